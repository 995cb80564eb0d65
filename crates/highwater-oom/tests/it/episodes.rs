//! Where episodes begin and end, and what belongs to which.

use highwater_core::id::Pid;
use highwater_oom::report::{Chosen, Constraint, OomReport, Writer};
use highwater_oom::{Cause, deaths};

use crate::{corpus, fixture};

const KILL_7: &str = "Memory cgroup out of memory: Killed process 7 (x) total-vm:8kB, anon-rss:4kB, file-rss:0kB, shmem-rss:0kB, UID:0 pgtables:40kB oom_score_adj:0";
const KILL_8: &str = "Memory cgroup out of memory: Killed process 8 (y) total-vm:8kB, anon-rss:4kB, file-rss:0kB, shmem-rss:0kB, UID:0 pgtables:40kB oom_score_adj:0";
const TRIGGER: &str = "a invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0";
const SUMMARY_7: &str = "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/m,task_memcg=/m/t,task=x,pid=7,uid=0";

fn reports(lines: &[&str]) -> Vec<OomReport> {
    corpus::reports(lines.join("\n").as_bytes())
}

fn pids(reports: &[OomReport]) -> Vec<u32> {
    deaths(reports).filter_map(|(_, kill)| kill.pid).map(Pid::get).collect()
}

#[test]
fn thirty_kills_of_a_burst_are_thirty_deaths_of_their_own() {
    let reports = corpus::reports(&fixture("v1-burst-of-30"));
    assert_eq!(reports.len(), 30);
    for report in &reports {
        assert_eq!(report.kills.len(), 1);
        let kill = &report.kills[0];
        let named = report.summary.as_ref().map(|summary| summary.value.pid);
        assert_eq!(kill.bare, named.is_none());
        assert!(named.is_none_or(|pid| pid == kill.pid));
        assert_eq!(report.trigger.is_none(), kill.bare);
        assert_eq!(report.memcg.limit_owner.is_none(), kill.bare);
        assert_eq!(report.constraint.unwrap().value, Constraint::Memcg);
    }
    assert_eq!(reports.iter().filter(|report| report.kills[0].bare).count(), 20);
}

#[test]
fn a_kill_that_the_summary_does_not_name_stands_alone() {
    let reports = reports(&[TRIGGER, SUMMARY_7, KILL_8, KILL_7]);
    assert_eq!(pids(&reports), [8, 7], "the report waits for the kill that it named");
    assert!(reports[0].kills[0].bare && reports[0].trigger.is_none());
    assert_eq!((reports[1].kills[0].line, reports[1].oddities.len()), (4, 0));
}

#[test]
fn a_group_dies_together_and_the_first_is_counted_once() {
    let group = "Tasks in /m are going to be killed due to memory.oom.group set";
    let reports = reports(&[TRIGGER, SUMMARY_7, KILL_7, group, KILL_7, KILL_8]);
    assert_eq!((reports.len(), pids(&reports)), (1, vec![7, 8]));
    assert_eq!(reports[0].kills[1].chosen, Chosen::WithGroup);
    assert_eq!(reports[0].oom_group.as_ref().unwrap().value, "/m");
}

#[test]
fn a_sacrificed_child_has_no_score_of_its_own() {
    let reports = reports(&[
        "Memory cgroup out of memory: Kill process 6 (p) score 561 or sacrifice child",
        "Killed process 7 (x) total-vm:8kB, anon-rss:4kB, file-rss:0kB",
    ]);
    let kill = &reports[0].kills[0];
    assert_eq!((kill.chosen, kill.oom_score), (Chosen::AsChild, None));
    assert_eq!(reports[0].selected.as_ref().unwrap().value.score, Some(561));
    assert_eq!(reports[0].cause(), Cause::KernelOomMemcg);
}

#[test]
fn a_line_printed_twice_is_one() {
    let stamped: Vec<String> =
        [TRIGGER, SUMMARY_7, KILL_7].map(|l| format!("[   10.000001] {l}")).into();
    let twice: Vec<&str> = stamped.iter().chain(&stamped).map(String::as_str).collect();
    let reports = reports(&twice);
    assert_eq!((reports.len(), pids(&reports)), (1, vec![7]));
}

#[test]
fn strangers_lines_neither_end_an_episode_nor_keep_it_open() {
    let stranger = "usb 1-1: new high-speed USB device number 2 using xhci_hcd";
    let few = reports(&[TRIGGER, stranger, SUMMARY_7, stranger, KILL_7]);
    assert_eq!((few.len(), few[0].lines.len()), (1, 3));
    let mut many = vec![TRIGGER];
    many.extend([stranger; 500]);
    many.push(KILL_7);
    let many = reports(&many);
    assert_eq!(many.len(), 2);
    assert!(many[1].trigger.is_none());
}

#[test]
fn a_long_silence_ends_an_episode() {
    let line = |at: u32, text: &str| format!("[{at:5}.000000] {text}");
    let (first, near, far) = (line(10, TRIGGER), line(12, KILL_7), line(100, KILL_7));
    assert!(reports(&[&first, &near])[0].trigger.is_some());
    assert!(reports(&[&first, &far])[1].trigger.is_none());
    let other_boot = line(1, KILL_7);
    assert_eq!(reports(&[&first, &other_boot]).len(), 2);
}

#[test]
fn a_reaper_that_comes_late_finds_its_victim() {
    let reaped = "oom_reaper: reaped process 7 (x), now anon-rss:0kB, file-rss:0kB, shmem-rss:0kB";
    let reports = reports(&[TRIGGER, SUMMARY_7, KILL_7, TRIGGER, reaped]);
    assert_eq!(reports[0].kills[0].reaped, Some(5));
    assert_eq!(reports.len(), 2);
}

#[test]
fn what_a_program_writes_is_not_the_kernels_word() {
    let forged = format!("Apr 27 08:47:12 host myapp[5]: {KILL_7}");
    assert_eq!(pids(&reports(&[&forged])), Vec::<u32>::new());
    let kmsg = format!("12,5,600,-;{KILL_7}");
    assert_eq!(pids(&reports(&[&kmsg])), Vec::<u32>::new(), "facility 1 is a program's");
}

#[test]
fn an_asker_of_another_name_is_not_the_trigger() {
    let asker = "CPU: 0 UID: 0 PID: 54 Comm: b Not tainted 6.1.0 #1";
    assert_eq!(reports(&[TRIGGER, asker])[0].trigger.as_ref().unwrap().value.pid, None);
    let asker = "CPU: 0 UID: 0 PID: 54 Comm: a Not tainted 6.1.0 #1";
    let report = &reports(&[TRIGGER, asker])[0];
    assert_eq!(report.trigger.as_ref().unwrap().value.pid, Some(Pid::new(54)));
    assert_eq!(report.kernel.as_ref().unwrap().value, "6.1.0");
}

#[test]
fn the_dump_of_a_failed_allocation_is_no_report() {
    let failure = "x: page allocation failure: order:0, mode:0x1d2";
    assert_eq!(reports(&[failure, "Mem-Info:", "active_anon:1 inactive_anon:2"]), []);
    let after = reports(&[KILL_7, failure, "Mem-Info:", "active_anon:1 inactive_anon:2"]);
    assert_eq!((after.len(), after[0].machine.line), (1, None));
}

#[test]
fn a_person_with_sysrq() {
    let by_hand = TRIGGER.replace("order=0", "order=-1");
    let kill = KILL_7.replace("Memory cgroup out of memory", "Out of memory");
    let reports = reports(&["sysrq: Manual OOM execution", &by_hand, &kill]);
    assert_eq!((reports.len(), reports[0].cause()), (1, Cause::KernelOomSysrq));
    assert_eq!(reports[0].sysrq, Some(1));
}

#[test]
fn an_end_without_a_kill_is_told() {
    let reports = reports(&[TRIGGER, "Out of memory and no killable processes...", TRIGGER]);
    assert_eq!((reports.len(), pids(&reports).len()), (2, 0));
    assert_eq!(reports[0].endings.len(), 1);
}

#[test]
fn earlyoom_asks_twice_and_kills_once() {
    let line = |signal: &str| {
        format!(
            "Apr 27 08:47:12 h earlyoom[5]: sending {signal} to process 9 uid 1000 \"t\": oom_score 156, VmRSS 10 MiB"
        )
    };
    let reports = reports(&[&line("SIGTERM"), &line("SIGKILL")]);
    assert_eq!((pids(&reports), reports[0].writer), (vec![9], Writer::Earlyoom));
    assert_eq!(reports[0].kills[0].oom_score, Some(156));
}

#[test]
fn oomd_kills_a_cgroup_and_systemd_repeats_it_for_each_unit() {
    let oomd = "Apr 27 08:47:12 h systemd-oomd[5]: Killed /u.slice/a.service due to memory pressure for /u.slice being 64.02% > 50.00% for > 20s with reclaim activity";
    let unit =
        "Apr 27 08:47:12 h systemd[1]: a.service: systemd-oomd killed 12 process(es) in this unit.";
    let slice =
        "Apr 27 08:47:12 h systemd[1]: u.slice: systemd-oomd killed 12 process(es) in this unit.";
    for order in [[oomd, unit, slice], [unit, oomd, slice]] {
        let reports = reports(&order);
        assert_eq!((reports.len(), reports[0].kills.len()), (1, 1), "{order:?}");
        assert_eq!(reports[0].kills[0].pid, None);
        assert_eq!(reports[0].memcg.task.as_ref().unwrap().value, "/u.slice/a.service");
        assert_eq!(reports[0].cause(), Cause::SystemdOomd);
    }
}

#[test]
fn damaged_fields_are_read_and_named() {
    let reports = reports(&[
        "[    1.000000] oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=0,cpuset=g,mems_allowed=0,oom_memcg=/s.scope,task_memc=RSSanon:5KB,task=node,oom_score_adj=0",
        "[    1.000001] Memory cgroup out of memory: Killed process 7 (node) total-vm:20KB, RSS:9KB, shmem:0KB, file:1KB",
    ]);
    let kill = &reports[0].kills[0];
    assert_eq!(
        (reports.len(), kill.rss.unwrap().get(), kill.total_vm.unwrap().get()),
        (1, 9216, 20480)
    );
    let told: Vec<_> = reports[0].oddities.iter().map(|odd| odd.what.as_str()).collect();
    let told = told.join("\n");
    for damaged in ["task_memc=RSSanon:5KB", "total-vm:20KB", "RSS:9KB", "shmem:0KB", "file:1KB"] {
        assert!(told.contains(damaged), "{damaged} in {told}");
    }
    assert_eq!(reports[0].memcg.limit_owner.as_ref().unwrap().value, "/s.scope");
}

#[test]
fn a_record_with_line_ends_in_it_is_read_whole() {
    for end in ["\\x0a", "#012"] {
        let log = format!(
            "6,1,10,-;{TRIGGER}\n6,2,11,-;Mem-Info:\n6,3,12,-;active_anon:1 inactive_anon:2{end} free:3\n3,4,13,-;Out of memory: Killed process 7 (x) total-vm:8kB"
        );
        let reports = corpus::reports(log.as_bytes());
        assert_eq!(reports[0].machine.pages("free").unwrap().get(), 3, "{end}");
    }
}

#[test]
fn a_log_that_runs_backwards_has_each_death_once() {
    let reports = reports(&[KILL_7, SUMMARY_7, TRIGGER]);
    assert_eq!(pids(&reports), [7]);
    assert_eq!(reports[0].memcg.limit_owner.as_ref().unwrap().value, "/m");
    assert!(!reports[0].kills[0].bare && reports[0].trigger.is_none());
}

#[test]
fn oomd_may_kill_the_same_cgroup_again() {
    let line = |at: &str| {
        format!(
            "Apr 27 08:{at} h systemd-oomd[5]: Killed /u/a.scope due to memory used (9) / total (10) and swap used (9) / total (10) being more than 90.00%"
        )
    };
    let reports = reports(&[&line("01:00"), &line("01:00"), &line("02:00")]);
    assert_eq!(reports.len(), 2);
}
