//! Several processors print at once, lines are torn, wrapped and joined.

use highwater_core::id::Pid;
use highwater_core::line::{Caller, LogLine, Origin};
use highwater_core::time::BootTime;
use highwater_oom::report::OomReport;
use highwater_oom::{Assembler, deaths};

use crate::corpus;

fn reports(log: &str) -> Vec<OomReport> {
    corpus::reports(log.as_bytes())
}

fn pids(reports: &[OomReport]) -> Vec<u32> {
    deaths(reports).filter_map(|(_, kill)| kill.pid).map(Pid::get).collect()
}

/// Lines that the kernel vouches for, each with the task that printed it.
fn by_caller(lines: &[(u32, &str)]) -> Vec<OomReport> {
    let mut assembler = Assembler::new();
    let mut all = Vec::new();
    for ((caller, text), number) in lines.iter().zip(1..) {
        let line = LogLine {
            number,
            text: text.as_bytes(),
            raw: text.as_bytes(),
            wall: None,
            boot: None,
            seq: None,
            ident: None,
            continues: false,
            origin: Origin::Kernel,
            caller: Some(Caller::Task(*caller)),
            journal: None,
        };
        all.extend(assembler.push(&line).finished);
    }
    all.extend(std::iter::from_fn(|| assembler.finish()));
    all.sort_by_key(|report| report.lines[0].number);
    all
}

#[test]
fn reports_of_several_callers_are_told_apart() {
    let kill = |pid| {
        format!(
            "Memory cgroup out of memory: Killed process {pid} (x) total-vm:8kB, anon-rss:4kB, file-rss:0kB, shmem-rss:0kB, UID:0 pgtables:40kB oom_score_adj:0"
        )
    };
    let (kill_7, kill_8) = (kill(7), kill(8));
    let reports = by_caller(&[
        (1, "a invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0"),
        (2, "b invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=1, oom_score_adj=0"),
        (1, "memory: usage 4kB, limit 4kB, failcnt 1"),
        (2, "memory: usage 8kB, limit 8kB, failcnt 2"),
        (2, "[  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name"),
        (1, "[  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name"),
        (2, "[      8]     0     8        2        1    40960        0             0 x"),
        (1, "[      7]     0     7        2        1    40960        0             0 x"),
        (1, &kill_7),
        (2, &kill_8),
        (3, "oom_reaper: reaped process 7 (x), now anon-rss:0kB, file-rss:0kB, shmem-rss:0kB"),
    ]);
    assert_eq!(pids(&reports), [7, 8]);
    for (report, comm, failcnt) in [(&reports[0], "a", 1), (&reports[1], "b", 2)] {
        assert_eq!(report.trigger.as_ref().unwrap().value.comm.as_deref(), Some(comm));
        assert_eq!(report.memcg.memory.unwrap().value.failcnt, Some(failcnt));
        assert_eq!((report.tasks.rows.len(), report.kills[0].task_row.is_some()), (1, true));
    }
    assert_eq!((reports[0].kills[0].reaped, reports[1].kills[0].reaped), (Some(11), None));
}

#[test]
fn without_callers_each_victim_goes_to_the_report_that_named_it() {
    let reports = reports(
        "a invoked oom-killer: gfp_mask=0xcc0, order=0, oom_score_adj=0\n\
         [ pid ]   uid  tgid total_vm      rss nr_ptes swapents oom_score_adj name\n\
         [    7]     0     7        2        1       1        0             0 x\n\
         b invoked oom-killer: gfp_mask=0xcc0, order=1, oom_score_adj=0\n\
         [ pid ]   uid  tgid total_vm      rss nr_ptes swapents oom_score_adj name\n\
         [    8]     0     8        2        1       1        0             0 y\n\
         Out of memory: Kill process 7 (x) score 5 or sacrifice child\n\
         Killed process 7 (x) total-vm:8kB, anon-rss:4kB, file-rss:0kB\n\
         Out of memory: Kill process 8 (y) score 6 or sacrifice child\n\
         Killed process 8 (y) total-vm:8kB, anon-rss:4kB, file-rss:0kB\n",
    );
    assert_eq!(pids(&reports), [7, 8]);
    for (report, comm, score) in [(&reports[0], "a", 5), (&reports[1], "b", 6)] {
        assert_eq!(report.trigger.as_ref().unwrap().value.comm.as_deref(), Some(comm));
        assert_eq!(report.kills[0].oom_score, Some(score));
    }
}

#[test]
fn a_failed_allocation_amid_a_report_changes_nothing_in_it() {
    let dump = |free| {
        format!(
            "Mem-Info:\nactive_anon:1 inactive_anon:2\n free:{free} free_pcp:0\nNode 0 DMA free:8kB min:1kB low:2kB high:3kB all_unreclaimable? no\n"
        )
    };
    let head = "a invoked oom-killer: gfp_mask=0xcc0, order=0, oom_score_adj=0\n";
    let kill = "Out of memory: Killed process 7 (x) total-vm:8kB, anon-rss:4kB, file-rss:0kB\n";
    let other = "b: page allocation failure: order:4, mode:0x20\nCPU: 1 PID: 9 Comm: b Not tainted 4.4.0 #1\nCall Trace:\n";
    for log in [
        format!("{head}{}{other}{}{kill}", dump(5), dump(6)),
        format!("{head}{other}{}{}{kill}", dump(6), dump(5)),
    ] {
        let reports = reports(&log);
        assert_eq!((reports.len(), pids(&reports)), (1, vec![7]), "{log}");
        let machine = &reports[0].machine;
        assert_eq!(machine.pages("free").unwrap().get(), 5, "{log}");
        assert_eq!(machine.zones.len(), 1);
        assert_eq!(reports[0].trigger.as_ref().unwrap().value.pid, None);
    }
}

#[test]
fn programs_that_kill_meanwhile_have_reports_of_their_own() {
    let reports = reports(
        "Apr 27 08:47:12 h kernel: a invoked oom-killer: gfp_mask=0xcc0, order=0, oom_score_adj=0\n\
         Apr 27 08:47:12 h earlyoom[5]: sending SIGTERM to process 9 uid 1000 \"t\": oom_score 156, VmRSS 10 MiB\n\
         Apr 27 08:47:12 h kernel: Out of memory: Killed process 7 (x) total-vm:8kB, anon-rss:4kB, file-rss:0kB\n",
    );
    assert_eq!(pids(&reports), [9, 7]);
    assert!(reports[0].trigger.is_none() && reports[1].trigger.is_some());
}

#[test]
fn a_kill_line_wrapped_by_a_mailer_is_whole() {
    let reports = reports(
        "> [  10.000000] Memory cgroup out of memory: Killed process 7 (x)\n\
         > total-vm:8kB, anon-rss:4kB, file-rss:0kB, shmem-rss:0kB, UID:5\n\
         > pgtables:40kB oom_score_adj:-9\n",
    );
    let kill = &reports[0].kills[0];
    assert_eq!((reports.len(), kill.uid, kill.oom_score_adj), (1, Some(5), Some(-9)));
    assert!(reports[0].oddities[0].what.contains("wrapped"));
}

#[test]
fn a_lost_line_end_makes_two_messages_of_one_line() {
    let reports = reports(
        "[  10.000000] Out of memory: Killed process 7 (x) total-vm:8kB, anon-rss:4kB, file-rss:0kB, shmem-rss:0kBoom_reaper: reaped process 7 (x), now anon-rss:0kB, file-rss:0kB, shmem-rss:0kB\n\
         [  10.000001] Out of memory: Killed process 8 (x) total-vm:8kB, anon-rss:4kB, file-rss:0kB[  10.000002] Out of memory: Killed process 9 (x) total-vm:8kB, anon-rss:4kB, file-rss:0kB\n",
    );
    assert_eq!(pids(&reports), [7, 8, 9]);
    assert_eq!(reports[0].kills[0].reaped, Some(1));
    assert!(reports[0].oddities.iter().any(|odd| odd.what.contains("two messages")));
}

#[test]
fn torn_free_lists_and_zones_are_whole() {
    let reports = reports(
        "[  10.000000] a invoked oom-killer: gfp_mask=0xcc0, order=0, oom_score_adj=0\n\
         [  10.000001] Mem-Info:\n\
         [  10.000002] Node 0 \n\
         [  10.000002] DMA free:8kB min:1kB low:2kB high:3kB managed:9kB\n\
         [  10.000003] lowmem_reserve[]:\n\
         [  10.000003]  0\n\
         [  10.000003]  12\n\
         [  10.000004] Node 0 \n\
         [  10.000004] DMA: \n\
         [  10.000004] 2*4kB \n\
         [  10.000004] (U) \n\
         [  10.000004] 0*8kB \n\
         [  10.000004] = 8kB\n\
         [  10.000005] Out of memory: Killed process 7 (x) total-vm:8kB, anon-rss:4kB, file-rss:0kB\n",
    );
    let machine = &reports[0].machine;
    let (zone, list) = (&machine.zones[0].value, &machine.free_lists[0].value);
    assert_eq!((zone.node, zone.lowmem_reserve.len()), (Some(0), 2));
    assert_eq!((list.node, list.blocks.len(), list.blocks[0].types.as_str()), (Some(0), 2, "U"));
    assert_eq!(list.free.unwrap().get(), 8192);
}

#[test]
fn a_table_without_a_header_is_read_by_its_shape() {
    let reports = reports(
        "a invoked oom-killer: gfp_mask=0xcc0, order=0, oom_score_adj=0\n\
         [    7]     0     7      100       50    45056        3          -900 x y\n\
         [    8]     0     8      100       50    45056        0             0 z\n\
         Out of memory: Killed process 7 (x y) total-vm:400kB, anon-rss:4kB, file-rss:0kB\n",
    );
    let rows = &reports[0].tasks.rows;
    assert_eq!((rows.len(), rows[0].pgtables.unwrap().get()), (2, 45056));
    assert_eq!(reports[0].kills[0].oom_score_adj, Some(-900));
    assert!(reports[0].oddities[0].what.contains("header"));
}

#[test]
fn gaps_in_the_log_are_told() {
    let reports = reports(
        "a invoked oom-killer: gfp_mask=0xcc0, order=0, oom_score_adj=0\n\
         ** 12 printk messages dropped **\n\
         message repeated 2 times: [ Out of memory: Killed process 7 (x) total-vm:8kB, anon-rss:4kB, file-rss:0kB]\n",
    );
    assert_eq!((reports.len(), pids(&reports)), (1, vec![7]));
    let told: Vec<_> = reports[0].oddities.iter().map(|odd| odd.what.as_str()).collect();
    assert!(told[0].contains("missing") && told[1].contains("repeated"), "{told:?}");
}

#[test]
fn what_kernel_memory_holds_is_kept() {
    let reports = reports(
        "a invoked oom-killer: gfp_mask=0xcc0, order=0, oom_score_adj=0\n\
         Mem-Info:\n\
         Node 0 active_anon:4kB inactive_anon:8kB shmem_thp: 12kB all_unreclaimable? yes\n\
         Node 0 hugepages_total=4 hugepages_free=3 hugepages_surp=0 hugepages_size=2048kB\n\
         7 total pagecache pages\n\
         Unreclaimable slab info:\n\
         Name                      Used          Total\n\
         kmalloc-4k             24592KB        24600KB\n\
         Memory allocations:\n\
         \x20   1.50 GiB    12345 mm/slub.c:24 func:alloc_slab_page\n\
         Tasks state (memory values in pages):\n\
         Out of memory: Killed process 7 (x) total-vm:8kB, anon-rss:4kB, file-rss:0kB\n",
    );
    let machine = &reports[0].machine;
    assert_eq!(machine.nodes[0].value.get("shmem_thp").unwrap().get(), 12288);
    assert_eq!(machine.hugepages[0].value.free, 3);
    assert_eq!(machine.pagecache.unwrap().value.get(), 7);
    assert_eq!(machine.slabs[0].value.name, "kmalloc-4k");
    assert_eq!(machine.allocations[0].value.count, 12345);
}

#[test]
fn a_log_that_is_indented_as_a_whole_keeps_its_envelopes() {
    let log = "\
        [   12.500000] a invoked oom-killer: gfp_mask=0xcc0, order=0, oom_score_adj=0\n\
        [   12.500001] Out of memory: Killed process 7 (x) total-vm:8kB, anon-rss:4kB, file-rss:0kB\n";
    for blanks in [0, 4, 12, 16, 40] {
        let above = " ".repeat(blanks);
        let indented = format!("{above}{}", log.trim_end().replace('\n', &format!("\n{above}")));
        let reports = reports(&indented);
        assert_eq!((reports.len(), pids(&reports)), (1, vec![7]), "{blanks}");
        let boot = reports[0].lines[0].boot.map(BootTime::micros);
        assert_eq!(boot, Some(12_500_000), "{blanks}");
        let trigger = &reports[0].trigger.as_ref().unwrap().value;
        assert_eq!(trigger.comm.as_deref(), Some("a"), "{blanks}");
    }
}
