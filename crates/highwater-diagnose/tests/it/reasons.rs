//! Why it came to it: one primary reason for each kind of report, and what contributed.

use highwater_core::units::{Bytes, PageSize, Pages};
use highwater_diagnose::death::{Confidence, Diagnosis, Kind, Reason, Role};
use highwater_oom::OomReport;
use highwater_oom::report::{
    Allocation, Candidate, Cited, Constraint, Hugepages, Kill, Machine, Node, Slab, Summary,
    Trigger, Trust, Writer, Zone,
};

use crate::{explained, told};

fn read(log: &str) -> OomReport {
    let mut reports = highwater_oom::read(highwater_log::Stream::new(log.as_bytes()));
    assert_eq!(reports.len(), 1, "{log}");
    reports.remove(0)
}

fn explain(report: &OomReport) -> Diagnosis {
    explained(report, (!report.kills.is_empty()).then_some(0), "a.log")
}

fn primary(diagnosis: &Diagnosis) -> (Reason, Confidence) {
    let first = &diagnosis.grounds[0];
    assert_eq!(first.role, Role::Primary);
    let others = &diagnosis.grounds[1..];
    assert!(others.iter().all(|ground| ground.role == Role::Contributing), "{others:?}");
    (first.reason, first.confidence)
}

fn contributing(diagnosis: &Diagnosis) -> Vec<Reason> {
    diagnosis.grounds.iter().skip(1).map(|ground| ground.reason).collect()
}

fn text(diagnosis: &Diagnosis, reason: Reason) -> String {
    let found = diagnosis.grounds.iter().find(|ground| ground.reason == reason);
    found.unwrap_or_else(|| panic!("{}", told(diagnosis))).claim.text.clone()
}

fn cited<T>(value: T) -> Cited<T> {
    Cited { value, line: 1 }
}

/// A machine of 4 GiB out of memory; `counts` are pages below `Mem-Info:`.
fn machine(counts: &[(&str, u64)], order: i32, mask: &str) -> OomReport {
    let trigger = Trigger {
        comm: Some("asker".to_owned()),
        gfp_mask: Some(mask.to_owned()),
        order: Some(order),
        ..Trigger::default()
    };
    let kill = Kill {
        line: 1,
        pid: Some(highwater_core::id::Pid::new(7)),
        comm: Some("victim".to_owned()),
        anon_rss: Some(Bytes::from_mib(20)),
        ..Kill::default()
    };
    let pages = counts.iter().map(|(name, count)| ((*name).to_owned(), Pages::new(*count)));
    let machine = Machine {
        pages: pages.collect(),
        line: Some(1),
        ram: Some(cited(Pages::new(1 << 20))),
        reserved: Some(cited(Pages::new(0))),
        page_size: Some(cited(PageSize::KIB4)),
        ..Machine::default()
    };
    OomReport {
        trigger: Some(cited(trigger)),
        constraint: Some(cited(Constraint::None)),
        machine,
        kills: vec![kill],
        ..OomReport::default()
    }
}

fn zone(node: u32, name: &str, free: u64, min: u64) -> Cited<Zone> {
    let amounts = [("free", free), ("min", min), ("managed", 2_000_000)];
    let amounts = amounts.map(|(name, kib)| (name.to_owned(), Bytes::from_kib(kib))).to_vec();
    cited(Zone { node: Some(node), name: name.to_owned(), amounts, ..Zone::default() })
}

const USER: &str = "0x100cca(GFP_HIGHUSER_MOVABLE)";
const FULL: [(&str, u64); 6] = [
    ("active_anon", 10_000),
    ("inactive_anon", 60_000),
    ("active_file", 10),
    ("inactive_file", 20),
    ("slab_unreclaimable", 10_000),
    ("free", 9_000),
];

fn with(name: &str, count: u64) -> Vec<(&'static str, u64)> {
    let mut counts = FULL.to_vec();
    let name: &'static str = ["shmem", "slab_unreclaimable", "inactive_anon"]
        .into_iter()
        .find(|known| *known == name)
        .unwrap();
    counts.retain(|(known, _)| *known != name);
    counts.push((name, count));
    counts
}

const LIMITED: &str = "[    5.000000] b invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0
[    5.000001] Task in /a/b/c killed as a result of limit of /a
[    5.000002] memory: usage 102400kB, limit 102400kB, failcnt FAILED
[    5.000003] Memory cgroup stats for /a: cache:0KB rss:0KB
[    5.000004] Memory cgroup stats for /a/b: cache:0KB rss:0KB
[    5.000005] Memory cgroup stats for /a/b/c: cache:4KB rss:61440KB
[    5.000006] Memory cgroup stats for /a/d: cache:4096KB rss:30720KB
[    5.000007] Memory cgroup out of memory: Killed process 7 (b) total-vm:70000kB, anon-rss:61440kB, file-rss:0kB, shmem-rss:0kB
";

#[test]
fn a_limit_above_names_its_level_and_who_shares_it() {
    let diagnosis = explain(&read(&LIMITED.replace("FAILED", "7")));
    assert_eq!(primary(&diagnosis), (Reason::AncestorLimit, Confidence::Certain));
    let text = text(&diagnosis, Reason::AncestorLimit);
    assert!(text.contains("the victim ran in /a/b/c, 2 levels below it"), "{text}");
    assert!(text.contains("under the same limit lived /a/d (34 MiB)"), "{text}");
    let own = explain(&read(
        &LIMITED.replace("FAILED", "7").replace("limit of /a\n", "limit of /a/b/c\n"),
    ));
    assert_eq!(primary(&own).0, Reason::OwnLimit);
}

#[test]
fn a_limit_that_was_hit_thousands_of_times_is_too_low_or_leaks() {
    let diagnosis = explain(&read(&LIMITED.replace("FAILED", "83420")));
    let hit = diagnosis.grounds.iter().find(|g| g.reason == Reason::LimitBelowWorkingSet).unwrap();
    assert_eq!(hit.confidence, Confidence::Possible);
    assert!(hit.claim.text.contains("83420 times"), "{}", hit.claim.text);
    let mut thrashing = read(&LIMITED.replace("FAILED", "83420"));
    thrashing.memcg.stats[0].events.push(("workingset_refault_file".to_owned(), 1_238_461));
    let diagnosis = explain(&thrashing);
    let hit = diagnosis.grounds.iter().find(|g| g.reason == Reason::LimitBelowWorkingSet).unwrap();
    assert_eq!(hit.confidence, Confidence::Likely);
    assert!(hit.claim.text.contains("1238461 pages"), "{}", hit.claim.text);
}

#[test]
fn a_machine_whose_slab_grew_was_not_filled_by_its_victim() {
    let mut report = machine(&with("slab_unreclaimable", 700_000), 0, USER);
    let slab =
        Slab { name: "kmalloc-64".to_owned(), used: Bytes::ZERO, total: Bytes::from_mib(2600) };
    report.machine.slabs = vec![cited(slab)];
    let diagnosis = explain(&report);
    assert_eq!(primary(&diagnosis), (Reason::KernelMemory, Confidence::Likely));
    assert!(contributing(&diagnosis).contains(&Reason::Machine));
    let text = text(&diagnosis, Reason::KernelMemory);
    assert!(text.contains("kmalloc-64 2.54 GiB"), "{text}");
    assert!(text.contains("victim, with 20 MiB, was not the reason"), "{text}");
    assert!(diagnosis.summary.contains("held by the kernel itself"), "{}", diagnosis.summary);
}

#[test]
fn what_no_counter_names_is_told_with_who_allocated() {
    let mut report = machine(&FULL, 0, USER);
    let held = Bytes::from_mib(3000);
    let site = "drivers/net/some.c:77 [some] func:some_rx".to_owned();
    report.machine.allocations = vec![cited(Allocation { held, count: 9, site })];
    let diagnosis = explain(&report);
    assert_eq!(primary(&diagnosis).0, Reason::KernelMemory);
    let said = text(&diagnosis, Reason::KernelMemory);
    assert!(
        said.contains("no counter of the report names") && said.contains("some_rx 2.93 GiB"),
        "{said}"
    );
    // A log that lost counters has a rest that means nothing; so has one that was cut before the
    // line of the reserved pages.
    let reserved = report.machine.reserved.take();
    let cut = explain(&report);
    assert_ne!(primary(&cut).0, Reason::KernelMemory);
    let unknown = &cut.claims.last().unwrap().text;
    assert!(unknown.contains("how much of the memory was reserved"), "{unknown}");
    report.machine.reserved = reserved;
    report.machine.pages.retain(|(name, _)| name != "inactive_anon");
    let diagnosis = explain(&report);
    assert_eq!(primary(&diagnosis).0, Reason::Machine);
}

#[test]
fn tmpfs_and_pools_of_huge_pages_fill_a_machine_too() {
    let mut counts = with("shmem", 600_000);
    counts.retain(|(name, _)| *name != "inactive_anon");
    counts.push(("inactive_anon", 900_000));
    let diagnosis = explain(&machine(&counts, 0, USER));
    assert_eq!(primary(&diagnosis), (Reason::SharedMemory, Confidence::Likely));
    let mut report = machine(&FULL, 0, USER);
    let size = Bytes::from_mib(2);
    let pool = Hugepages { node: Some(0), total: 1100, free: 1100, surplus: 0, size };
    report.machine.hugepages = vec![cited(pool)];
    let diagnosis = explain(&report);
    assert_eq!(primary(&diagnosis).0, Reason::HugePagePool);
    let makeup = diagnosis.makeup.unwrap();
    assert_eq!(makeup.amount(Kind::HugePagesFree), Bytes::from_mib(2200));
}

#[test]
fn swap_that_is_absent_or_full_contributes() {
    let mut report = machine(&with("inactive_anon", 950_000), 0, USER);
    report.machine.swap_total = Some(cited(Bytes::ZERO));
    report.machine.swap_free = Some(cited(Bytes::ZERO));
    let absent = explain(&report);
    assert_eq!(primary(&absent).0, Reason::Machine);
    assert!(contributing(&absent).contains(&Reason::SwapAbsent));
    report.machine.swap_total = Some(cited(Bytes::from_mib(2048)));
    report.machine.swap_free = Some(cited(Bytes::from_mib(3)));
    assert!(contributing(&explain(&report)).contains(&Reason::SwapExhausted));
    report.machine.swap_free = Some(cited(Bytes::from_mib(2000)));
    let free = contributing(&explain(&report));
    assert!(!free.contains(&Reason::SwapExhausted) && !free.contains(&Reason::SwapAbsent));
}

#[test]
fn one_zone_one_node_and_one_piece_are_told_apart() {
    let mut report = machine(&FULL, 0, "0xcc0(GFP_KERNEL)");
    report.machine.zones = vec![zone(0, "Normal", 3000, 3600), zone(0, "Movable", 900_000, 500)];
    let movable = explain(&report);
    assert_eq!(primary(&movable).0, Reason::Zone);
    assert!(text(&movable, Reason::Zone).contains("only memory that can be moved away"));
    report.machine.zones = vec![zone(0, "Normal", 3000, 3600), zone(1, "Normal", 900_000, 500)];
    assert_eq!(primary(&explain(&report)).0, Reason::Node);
    let mut report = machine(&FULL, 4, "0xcc0(GFP_KERNEL)");
    report.machine.zones = vec![zone(0, "Normal", 800_000, 3600)];
    let pieces = explain(&report);
    assert_eq!(primary(&pieces), (Reason::Fragmentation, Confidence::Likely), "no free lists");
    assert!(pieces.summary.contains("64 KiB in one piece"), "{}", pieces.summary);
    assert_eq!(pieces.zones.len(), 1);
}

#[test]
fn a_report_that_shows_enough_free_says_that_it_is_unclear() {
    let mut report = machine(&FULL, 0, USER);
    report.machine.zones = vec![zone(0, "Normal", 800_000, 3600)];
    let diagnosis = explain(&report);
    assert_eq!(primary(&diagnosis), (Reason::Machine, Confidence::Possible));
    assert!(text(&diagnosis, Reason::Machine).contains("is unknown, because"));
}

#[test]
fn a_policy_names_its_nodes_and_what_the_others_had() {
    let mut report = machine(&FULL, 0, USER);
    report.constraint = Some(cited(Constraint::Mempolicy));
    let summary = Summary { nodemask: Some("1".to_owned()), ..Summary::default() };
    report.summary = Some(cited(summary));
    report.machine.zones = vec![zone(0, "Normal", 700_000, 3600), zone(1, "Normal", 3000, 3600)];
    let diagnosis = explain(&report);
    assert_eq!(primary(&diagnosis).0, Reason::Node);
    let both = text(&diagnosis, Reason::Node);
    assert!(both.contains("memory node 1") && both.contains("684 MiB was free on other"), "{both}");
    // The kernel prints only the zones of the nodes that were allowed.
    report.machine.zones.remove(0);
    let one = text(&explain(&report), Reason::Node);
    assert!(one.contains("32.2 MiB was free on other"), "{one}");
}

#[test]
fn nodes_without_a_head_still_make_an_account() {
    let mut report = machine(&[], 0, USER);
    let amounts = [("active_anon", 1_500_000), ("shmem", 500_000)];
    let amounts = amounts.map(|(name, kib)| (name.to_owned(), Bytes::from_kib(kib))).to_vec();
    report.machine.nodes = vec![cited(Node { node: 0, amounts, all_unreclaimable: None })];
    report.machine.zones = vec![zone(0, "Normal", 3000, 3600)];
    let makeup = explain(&report).makeup.unwrap();
    assert_eq!(makeup.total, Bytes::from_kib(2_000_000));
    assert_eq!(makeup.amount(Kind::Anon), Bytes::from_kib(1_000_000));
}

fn by_program(writer: Writer) -> OomReport {
    let mut report = machine(&[], 0, USER);
    report.trigger = None;
    report.constraint = None;
    report.writer = writer;
    report
}

#[test]
fn programs_say_their_threshold() {
    let mut oomd = by_program(Writer::SystemdOomd);
    let candidate = Candidate {
        path: "/system.slice/build.service".to_owned(),
        usage: Some(Bytes::from_mib(4096)),
        pressure_avg10: Some(8587),
        pressure_limit: Some(6000),
        ..Candidate::default()
    };
    oomd.candidates = vec![cited(candidate)];
    let text = text(&explain(&oomd), Reason::KillerThreshold);
    assert!(text.contains("build.service (4 GiB used, pressure 85.87 %"), "{text}");
    for (writer, name) in [
        (Writer::Earlyoom, "earlyoom killed"),
        (Writer::Nohang, "nohang killed"),
        (Writer::Oomd, "oomd killed"),
        (Writer::Lowmemorykiller, "Android's low memory killer killed"),
    ] {
        let diagnosis = explain(&by_program(writer));
        assert!(diagnosis.summary.contains(name), "{}", diagnosis.summary);
        let (reason, confidence) = primary(&diagnosis);
        assert_eq!((reason, confidence), (Reason::KillerThreshold, Confidence::Likely));
        assert!(!diagnosis.advice.is_empty());
    }
}

#[test]
fn a_group_a_bystander_and_nobody_left_are_reasons_beside() {
    let mut report = read(&LIMITED.replace("FAILED", "7"));
    report.oom_group = Some(cited("/a".to_owned()));
    report.trigger.as_mut().unwrap().value.comm = Some("cron".to_owned());
    let found = contributing(&explain(&report));
    assert!(found.contains(&Reason::GroupKill) && found.contains(&Reason::AskedByAnother));
    // Who asked died with the others: no bystander.
    report.trigger.as_mut().unwrap().value.pid = report.kills[0].pid;
    assert!(!contributing(&explain(&report)).contains(&Reason::AskedByAnother));
    report.kills.clear();
    report.endings = vec![cited("Out of memory and no killable processes...".to_owned())];
    assert!(contributing(&explain(&report)).contains(&Reason::NothingToKill));
}

#[test]
fn nothing_said_is_unknown_and_why() {
    let mut report = machine(&[], 0, USER);
    report.trigger = None;
    report.constraint = None;
    let diagnosis = explain(&report);
    assert_eq!(primary(&diagnosis), (Reason::Unknown, Confidence::Unknown));
    assert!(text(&diagnosis, Reason::Unknown).starts_with("Unknown, because"));
    assert_eq!(diagnosis.trust, Trust::AsPasted);
}
