//! The same owner again and again.

use highwater_core::evidence::Claim;
use highwater_diagnose::death::{Case, Window, repeats};
use highwater_oom::OomReport;

/// A cgroup's death at `second` after boot, with `held` MiB at a limit of `limit` MiB.
fn of_cgroup(second: u64, path: &str, comm: &str, held: u64, limit: u64) -> String {
    let (held, limit, pid) = (held * 1024, limit * 1024, second % 30_000 + 2);
    format!(
        "[{second:5}.000001] {comm} invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0
[{second:5}.000002] memory: usage {limit}kB, limit {limit}kB, failcnt 7
[{second:5}.000003] oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg={path},task_memcg={path},task={comm},pid={pid},uid=0
[{second:5}.000004] Memory cgroup out of memory: Killed process {pid} ({comm}) total-vm:9000kB, anon-rss:{held}kB, file-rss:0kB, shmem-rss:0kB, UID:0 pgtables:8kB oom_score_adj:0
"
    )
}

fn bare(second: u64, comm: &str, held: u64) -> String {
    let (held, pid) = (held * 1024, second % 30_000 + 2);
    format!(
        "[{second:5}.000004] Out of memory: Killed process {pid} ({comm}) total-vm:9000kB, anon-rss:{held}kB, file-rss:0kB, shmem-rss:0kB, UID:0 pgtables:8kB oom_score_adj:0\n"
    )
}

fn of_log(log: &str) -> Vec<Claim> {
    let reports = reports_of(log);
    let case = |report, kill| Case {
        report,
        kill: Some(kill),
        source: "a.log",
        recorded: None,
        page_size: None,
        look_back: Window::Minutes,
    };
    let cases: Vec<_> = reports
        .iter()
        .flat_map(|report| (0..report.kills.len()).map(move |kill| case(report, kill)))
        .collect();
    repeats(&cases)
}

fn reports_of(log: &str) -> Vec<OomReport> {
    highwater_oom::read(highwater_log::Stream::new(log.as_bytes()))
}

#[test]
fn a_unit_that_leaks_dies_at_its_limit_with_a_period_and_a_rate() {
    let hours = [1u64, 6, 11, 16];
    let log: String = hours
        .iter()
        .map(|hour| of_cgroup(hour * 3600, "/system.slice/web.service", "node", 1000, 1024))
        .collect();
    let claims = of_log(&log);
    assert_eq!(claims.len(), 1);
    assert_eq!(
        claims[0].text,
        "Cgroup /system.slice/web.service had a process killed 4 times (node), every 5 h in the median, regularly; each time at the limit of 1 GiB: its limit, not the machine; it grew about 200 MiB/h in each life, if each began near zero at the death before."
    );
    assert_eq!(claims[0].evidence.len(), 4);
}

#[test]
fn a_restart_loop_is_called_one() {
    let log: String = (1..=9).map(|at| of_cgroup(at * 20, "/loop", "hog", 60, 64)).collect();
    let text = of_log(&log).remove(0).text;
    assert!(text.contains("9 times (hog), every 20 s in the median, regularly: a loop"), "{text}");
    assert!(!text.contains("grew"), "too short a life for a rate: {text}");
}

#[test]
fn many_at_once_are_a_burst_and_no_loop() {
    let log: String = (1..=5)
        .map(|at| {
            bare(50, "hog", 60)
                .replace(".000004", &format!(".{at:06}"))
                .replace("process 52", &format!("process {}", 52 + at))
        })
        .collect();
    let text = of_log(&log).remove(0).text;
    assert!(text.contains("hog was killed 5 times") && text.contains("a burst"), "{text}");
}

#[test]
fn containers_of_a_pod_are_one_owner() {
    let path = |id: u32| {
        format!("/kubepods.slice/kubepods-pod11aa_22bb.slice/cri-containerd-{id:064x}.scope")
    };
    let log =
        of_cgroup(100, &path(1), "java", 500, 512) + &of_cgroup(4000, &path(2), "java", 500, 512);
    let text = of_log(&log).remove(0).text;
    assert!(
        text.contains("pod11aa_22bb.slice had a process killed 2 times (java), 1 h 5 min apart"),
        "{text}"
    );
}

#[test]
fn a_machine_that_runs_out_again_and_again_kills_whoever_is_largest() {
    let log = bare(1000, "node", 900) + &bare(3000, "java", 700) + &bare(9000, "node", 910);
    let claims = of_log(&log);
    assert_eq!(claims.len(), 2, "{claims:?}");
    assert!(
        claims[0].text.starts_with("node was killed 2 times, 2 h 13 min apart"),
        "{}",
        claims[0].text
    );
    assert!(claims[0].text.contains("nearly the same each time"), "{}", claims[0].text);
    assert!(
        claims[1].text.contains("ran out 3 times, with different victims (node ×2, java ×1)"),
        "{}",
        claims[1].text
    );
}

#[test]
fn single_deaths_and_nothing_are_no_repetition() {
    assert!(of_log("").is_empty());
    assert!(of_log(&bare(5, "node", 9)).is_empty());
    let two = of_cgroup(5, "/a", "x", 60, 64) + &of_cgroup(500, "/b", "x", 60, 64);
    assert!(of_log(&two).is_empty(), "two cgroups, one death each");
    assert!(repeats(&[]).is_empty());
}

#[test]
fn a_reboot_in_between_is_no_gap() {
    let log = of_cgroup(90_000, "/a", "x", 60, 64) + &of_cgroup(500, "/a", "x", 60, 64);
    assert!(of_log(&log).is_empty(), "two deaths, and nobody knows how far apart");
    let text = of_log(&(log + &of_cgroup(700, "/a", "x", 60, 64))).remove(0).text;
    assert!(
        text.contains("3 times (x); those that have a clock in common, 3 min 20 s apart"),
        "{text}"
    );
}

#[test]
fn a_reboot_that_another_death_betrays_is_no_gap_either() {
    let log = of_cgroup(500, "/a", "x", 60, 64)
        + &of_cgroup(90, "/b", "y", 60, 64)
        + &of_cgroup(900, "/a", "x", 60, 64);
    assert!(of_log(&log).is_empty(), "900 s of another boot than 500 s");
}

#[test]
fn logs_without_a_common_clock_have_no_order_and_no_period() {
    let logs = [("a.log", 250), ("b.log", 405), ("c.log", 467)];
    let reports: Vec<_> =
        logs.iter().map(|(name, at)| (*name, reports_of(&bare(*at, "hog", 90)))).collect();
    let cases: Vec<_> = reports
        .iter()
        .map(|(source, reports)| Case {
            report: &reports[0],
            kill: Some(0),
            source,
            recorded: None,
            page_size: None,
            look_back: Window::Minutes,
        })
        .collect();
    let text = repeats(&cases).remove(0).text;
    assert!(text.contains("3 times; how far apart is unknown"), "{text}");
    assert!(!text.contains("grew") && !text.contains("every"), "{text}");
}
