use highwater_diagnose::death::Cause;
use highwater_diagnose::document::{DeathDocument, EpisodeDocument, WhyDocument};
use highwater_oom::facts::Turn;

use crate::{explained, fixture, told};

fn only_death(name: &str) -> String {
    let reports = fixture(name);
    assert_eq!((reports.len(), reports[0].kills.len()), (1, 1), "{name}");
    told(&explained(&reports[0], Some(0), name))
}

#[test]
fn a_v1_cgroup_at_its_limit() {
    insta::assert_snapshot!(only_death("v1.log"));
}

#[test]
fn a_v2_unit_with_tmpfs_and_an_exempt_giant() {
    insta::assert_snapshot!(only_death("v2.log"));
}

#[test]
fn a_machine_that_ran_out() {
    insta::assert_snapshot!(only_death("global.log"));
}

#[test]
fn a_bare_kill_line_says_what_is_missing() {
    insta::assert_snapshot!(only_death("bare.log"));
}

#[test]
fn an_episode_without_a_kill_is_no_death() {
    let reports = fixture("no-kill.log");
    assert!(reports[0].kills.is_empty());
    let diagnosis = explained(&reports[0], None, "no-kill.log");
    assert_eq!(diagnosis.cause, Cause::KernelOomMemcg);
    insta::assert_snapshot!(told(&diagnosis));
    let mut document = WhyDocument::new(Vec::new());
    document.episodes.push(EpisodeDocument::new(&diagnosis, &reports[0]));
    let json = serde_json::to_value(&document).unwrap();
    assert_eq!(json["deaths"], serde_json::json!([]));
    assert_eq!(json["episodes"][0]["memcg"]["limit_bytes"], 16 << 20);
}

#[test]
fn a_death_as_json_has_every_key() {
    let reports = fixture("v1.log");
    let diagnosis = explained(&reports[0], Some(0), "v1.log");
    let mut document = WhyDocument::new(Vec::new());
    document.deaths.push(DeathDocument::new(&diagnosis, &reports[0], Turn::First));
    insta::assert_snapshot!(serde_json::to_string_pretty(&document).unwrap());
}

#[test]
fn every_statement_stands_on_something_or_says_unknown() {
    for name in ["v1.log", "v2.log", "global.log", "bare.log", "no-kill.log"] {
        for report in fixture(name) {
            let kill = (!report.kills.is_empty()).then_some(0);
            for claim in explained(&report, kill, name).claims {
                let unknown = claim.text.starts_with("Unknown, because ");
                assert!(unknown || !claim.evidence.is_empty(), "{name}: {}", claim.text);
                assert!(claim.text.ends_with('.'), "{name}: {}", claim.text);
            }
        }
    }
}

fn explained_text(log: &str) -> highwater_diagnose::death::Diagnosis {
    let reports = highwater_oom::read(highwater_log::Stream::new(log.as_bytes()));
    assert_eq!(reports.len(), 1);
    explained(&reports[0], Some(0), "a.log")
}

#[test]
fn a_low_zone_that_ran_out_is_not_the_machine() {
    let diagnosis = explained_text(
        "Normal: 217*4kB 10*8kB 1*64kB = 3700kB\n\
         HighMem: 151*4kB 136*8kB 43*64kB = 63351580kB\n\
         Free swap  = 134217724kB\n\
         Total swap = 134217724kB\n\
         16777200 pages RAM\n\
         Out of memory (oom_kill_allocating_task): Kill process 6344 (sh) score 0 or sacrifice child\n\
         Killed process 6345 (sleep) total-vm:1736kB, anon-rss:44kB, file-rss:200kB\n",
    );
    let text = told(&diagnosis);
    assert!(diagnosis.summary.contains("zone Normal ran out"), "{text}");
    assert!(diagnosis.summary.contains("HighMem had 60.4 GiB free"), "{text}");
    assert!(!text.contains("whole machine") && !text.contains("whether there was swap"), "{text}");
    assert!(!text.contains("MemoryMax") && text.contains("oom_kill_allocating_task=0"), "{text}");
}

#[test]
fn a_victim_that_held_nothing_needs_no_limit_and_swap_is_part_of_what_is_held() {
    let kill = |pid: u32, anon: u32| {
        format!(
            "[    5.000000] x invoked oom-killer: gfp_mask=0x1100cca(GFP_HIGHUSER_MOVABLE), order=0, oom_score_adj=0\n\
             [    5.000001] 1048576 pages RAM\n\
             [    5.000001] Tasks state (memory values in pages):\n\
             [    5.000001] [  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name\n\
             [    5.000001] [    7]     0     7  8388608     1000  9875456   2097152           0 y\n\
             [    5.000002] Out of memory: Killed process {pid} (y) total-vm:33554432kB, anon-rss:{anon}kB, file-rss:0kB, shmem-rss:0kB, UID:0 pgtables:9644kB oom_score_adj:0\n"
        )
    };
    let swapped = explained_text(&kill(7, 3_000_000));
    assert!(
        swapped.summary.contains("held 2.86 GiB in RAM and 8 GiB in swap"),
        "{}",
        swapped.summary
    );
    let capped = swapped.advice[0].command.clone().unwrap();
    assert!(
        capped.contains("MemoryMax=2637M"),
        "below what it held, and below the machine: {capped}"
    );
    let tiny = explained_text(&kill(8, 4));
    assert!(tiny.advice[0].text.contains("held next to nothing"), "{:?}", tiny.advice);
}

#[test]
fn a_hostile_name_cannot_write_to_the_terminal() {
    let log = b"[    1.000000] Out of memory: Killed process 7 (x\x1b]0;y\x07\x01z) total-vm:8kB, anon-rss:4kB, file-rss:0kB, shmem-rss:0kB";
    let reports = highwater_oom::read(highwater_log::Stream::new(&log[..]));
    let text = told(&explained(&reports[0], Some(0), "evil"));
    assert!(!text.contains(['\x1b', '\x07', '\x01']), "{text:?}");
    assert!(text.contains(r"\x01"), "{text}");
}
