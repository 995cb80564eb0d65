//! Who is blamed, who is acquitted, and what the first sentence says.

use crate::{explained, told};

fn diagnosis(log: &str) -> highwater_diagnose::death::Diagnosis {
    let reports = highwater_oom::read(highwater_log::Stream::new(log.as_bytes()));
    let kill = reports[0].kills.len().checked_sub(1);
    explained(&reports[0], kill, "a.log")
}

/// A machine on which `asker` holds `pages` and `victim`, adjusted upwards, about 98 MiB.
fn asked(pages: u64) -> String {
    format!(
        "[    5.000000] asker invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0
[    5.000001] CPU: 0 PID: 5 Comm: asker Not tainted 6.1.0 #1
[    5.000002] Node 0 Normal: 1*4kB (U) 0*8kB 0*16kB = 4kB
[    5.000003] 1048576 pages RAM
[    5.000004] Tasks state (memory values in pages):
[    5.000005] [  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name
[    5.000006] [      5]     0     5    90000 {pages:8}    40960        0             0 asker
[    5.000007] [      7]     0     7    90000    25000    40960        0           700 victim
[    5.000008] Out of memory: Killed process 7 (victim) total-vm:360000kB, anon-rss:100000kB, file-rss:0kB, shmem-rss:0kB, UID:0 pgtables:40kB oom_score_adj:700
"
    )
}

#[test]
fn only_a_small_asker_is_acquitted() {
    let small = told(&diagnosis(&asked(50)));
    assert!(small.contains("it is not to blame"), "{small}");
    let large = told(&diagnosis(&asked(63_000)));
    assert!(!large.contains("not to blame"), "{large}");
    assert!(large.contains("itself, more than the one that died"), "{large}");
    let equal = told(&diagnosis(&asked(12_000)));
    assert!(!equal.contains("not to blame") && equal.contains("itself."), "{equal}");
}

#[test]
fn who_held_nearly_all_that_programs_held_did_not_hold_next_to_nothing() {
    let log = "Out of memory: Kill process 957 (app) score 524 or sacrifice child
Killed process 957 (app) total-vm:16000kB, anon-rss:14200kB, file-rss:8kB
";
    let text = told(&diagnosis(log));
    assert!(!text.contains("next to nothing"), "{text}");
}

#[test]
fn a_full_swap_is_no_pressure() {
    let log = "Nov 21 03:43:56 host systemd-oomd[421]: Killed /system.slice/a.service due to memory used (165040128) / total (491528192) and swap used (28856320) / total (134213632) being more than 20.00%\n";
    let summary = diagnosis(log).summary;
    assert!(summary.contains("swap were above its limit of 20.00 %"), "{summary}");
    assert!(!summary.contains("pressure"), "{summary}");
}

/// A cgroup of 32 MiB with these statistics.
fn of_cgroup(memory: &str, stats: &str) -> String {
    format!(
        "[   59.000001] x invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0
[   59.000002] memory: {memory}, failcnt 3
[   59.000003] Memory cgroup stats for /both:
[   59.000004] {stats}
[   59.000005] oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/both,task_memcg=/both,task=x,pid=3,uid=0
[   59.000006] Memory cgroup out of memory: Killed process 3 (x) total-vm:48876kB, anon-rss:1000kB, file-rss:0kB, shmem-rss:0kB, UID:0 pgtables:136kB oom_score_adj:0
"
    )
}

const FULL: &str = "usage 32768kB, limit 32768kB";

#[test]
fn swap_cache_is_not_the_kernels() {
    let text = told(&diagnosis(&of_cgroup(FULL, "anon 27036544\nfile 4096\nswapcached 16031744")));
    assert!(text.contains("swap cache: 6.21 MiB"), "{text}");
    assert!(!text.contains("unaccounted") && !text.contains("kernel-memory"), "{text}");
    let text = told(&diagnosis(&of_cgroup(FULL, "anon 27036544\nfile 4096\nswapcached 4096")));
    assert!(text.contains("unaccounted") && !text.contains("drivers"), "{text}");
}

#[test]
fn what_is_mostly_tmpfs_is_called_that_in_the_first_sentence() {
    let stats = "anon 1036544\nfile 32505856\nshmem 32505856";
    let summary = diagnosis(&of_cgroup(FULL, stats)).summary;
    assert!(summary.contains("of it was shared memory or tmpfs (31 MiB)"), "{summary}");
    assert!(summary.contains("x's own anonymous memory"), "{summary}");
}

#[test]
fn a_few_counters_without_the_usage_are_no_account() {
    let memory = "usage 18446744073709551612kB, limit 16777216kB";
    let text = told(&diagnosis(&of_cgroup(memory, "anon 16384\nfile 0")));
    assert!(!text.contains("/both: 16 KiB"), "{text}");
    assert!(text.contains("what the cgroup used"), "{text}");
}
