use highwater_core::units::{PageSize, Pages};
use highwater_oom::report::{Cited, Hugepages, Memcg, MemcgStats, Node, OomReport, Zone};

use super::*;

const MIB: u64 = 1 << 20;

fn cited<T>(value: T) -> Cited<T> {
    Cited { value, line: 1 }
}

fn kib(entries: &[(&str, u64)]) -> Vec<(String, Bytes)> {
    entries.iter().map(|(name, kib)| ((*name).to_owned(), Bytes::from_kib(*kib))).collect()
}

fn of_report(report: &OomReport) -> Option<Makeup> {
    of_machine(&Cite { source: "x", report }, Some(PageSize::KIB4))
}

/// The sum of all parts, the rest included.
fn adds_up(makeup: &Makeup) -> bool {
    makeup.parts.iter().map(|part| part.amount).sum::<Bytes>() == makeup.total
}

fn mem_info(counts: &[(&str, u64)], ram: u64) -> OomReport {
    let mut report = OomReport::default();
    report.machine.line = Some(1);
    report.machine.pages =
        counts.iter().map(|(name, count)| ((*name).to_owned(), Pages::new(*count))).collect();
    report.machine.ram = Some(cited(Pages::new(ram)));
    report
}

#[test]
fn a_machine_adds_up_and_nothing_is_counted_twice() {
    let counts = [
        ("active_anon", 100),
        ("inactive_anon", 900),
        ("isolated_anon", 10),
        ("active_file", 40),
        ("inactive_file", 60),
        ("unevictable", 5),
        ("mapped", 70),
        ("shmem", 300),
        ("slab_reclaimable", 20),
        ("slab_unreclaimable", 30),
        ("pagetables", 7),
        ("sec_pagetables", 1),
        ("bounce", 2),
        ("free", 50),
        ("free_pcp", 3),
        ("free_cma", 15),
    ];
    let mut report = mem_info(&counts, 4096);
    report.machine.reserved = Some(cited(Pages::new(96)));
    // The node repeats what stands below Mem-Info, and adds the stacks.
    report.machine.nodes = vec![cited(Node {
        node: 0,
        amounts: kib(&[("active_anon", 400), ("shmem", 1200), ("kernel_stack", 64)]),
        all_unreclaimable: None,
    })];
    report.machine.zones = vec![cited(Zone {
        node: Some(0),
        name: "Normal".to_owned(),
        amounts: kib(&[("free", 200), ("zspages", 40), ("bounce", 8), ("free_cma", 60)]),
        ..Zone::default()
    })];
    let makeup = of_report(&report).unwrap();
    let pages = |kind| makeup.amount(kind).get() / 4096;
    assert_eq!(makeup.total.get() / 4096, 4096);
    assert_eq!(pages(Kind::Anon), 1010 - 300, "shared memory stands on the same lists");
    assert_eq!((pages(Kind::Shmem), pages(Kind::PageCache)), (300, 100));
    assert_eq!((pages(Kind::Free), pages(Kind::FreeCma), pages(Kind::FreePerCpu)), (35, 15, 3));
    assert_eq!((pages(Kind::KernelStacks), pages(Kind::Compressed)), (16, 10));
    assert_eq!((pages(Kind::Bounce), pages(Kind::Reserved)), (2, 96));
    assert!(adds_up(&makeup));
}

#[test]
fn the_size_of_a_page_follows_from_what_is_free() {
    let mut report = mem_info(&[("free", 1815)], 0);
    assert_eq!(page_size(&report.machine), None);
    let zone = |free| {
        cited(Zone { amounts: kib(&[("free", free)]), name: "x".to_owned(), ..Zone::default() })
    };
    report.machine.zones = vec![zone(3076), zone(4184)];
    assert_eq!(page_size(&report.machine), Some(PageSize::KIB4));
    report.machine.zones.pop();
    assert_eq!(page_size(&report.machine), None, "a zone is missing");
}

#[test]
fn pools_of_huge_pages_are_part_of_it_used_or_not() {
    let mut report = mem_info(&[("active_anon", 100), ("free", 10)], 1024 * 1024);
    let size = Bytes::from_mib(2);
    let pool =
        |node, total, free| cited(Hugepages { node: Some(node), total, free, surplus: 0, size });
    report.machine.hugepages = vec![pool(0, 512, 500), pool(1, 512, 512)];
    let makeup = of_report(&report).unwrap();
    assert_eq!(makeup.amount(Kind::HugePagesFree), Bytes::from_mib(2 * 1012));
    assert_eq!(makeup.amount(Kind::HugePages), Bytes::from_mib(24));
    assert!(adds_up(&makeup));
}

#[test]
fn locked_shared_memory_is_taken_off_what_is_locked() {
    let report = mem_info(&[("active_anon", 10), ("shmem", 50), ("unevictable", 60)], 1000);
    let makeup = of_report(&report).unwrap();
    assert_eq!(makeup.amount(Kind::Anon), Bytes::ZERO);
    assert_eq!(makeup.amount(Kind::Unevictable), Bytes::from_kib(20 * 4));
    assert!(adds_up(&makeup));
}

#[test]
fn old_kernels_do_not_tell_the_lists_apart() {
    let counts =
        [("Active", 500), ("inactive", 100), ("free", 50), ("slab", 300), ("pagetables", 9)];
    let makeup = of_report(&mem_info(&counts, 1000)).unwrap();
    assert_eq!(makeup.amount(Kind::AnonAndCache), Bytes::from_kib(600 * 4));
    assert_eq!(makeup.amount(Kind::Slab), Bytes::from_kib(1200));
    assert_eq!(makeup.amount(Kind::Unaccounted), Bytes::from_kib(41 * 4));
    assert!(adds_up(&makeup));
}

#[test]
fn without_its_head_the_nodes_tell() {
    let mut report = OomReport::default();
    report.machine.nodes = vec![cited(Node {
        node: 0,
        amounts: kib(&[("active_anon", 4000), ("inactive_file", 100), ("shmem", 1000)]),
        all_unreclaimable: None,
    })];
    let zone = |node| Zone {
        node: Some(node),
        name: "Normal".to_owned(),
        amounts: kib(&[("free", 500), ("managed", 8000)]),
        ..Zone::default()
    };
    report.machine.zones = vec![cited(zone(0))];
    let makeup = of_report(&report).unwrap();
    assert_eq!(makeup.of, "the memory nodes in the log");
    assert_eq!(
        (makeup.total, makeup.amount(Kind::Anon)),
        (Bytes::from_kib(8000), Bytes::from_kib(3000))
    );
    assert!(adds_up(&makeup));
    // The zones of the node are cut off: no total, so no rest.
    report.machine.zones = vec![cited(zone(1))];
    let makeup = of_report(&report).unwrap();
    assert_eq!(makeup.part(Kind::Unaccounted), None);
    assert!(adds_up(&makeup));
    assert_eq!(of_report(&OomReport::default()), None);
}

fn cgroup(usage: u64, stats: &[&[(&str, u64)]]) -> OomReport {
    let of = |entries: &&[(&str, u64)]| MemcgStats {
        path: Some("/x".to_owned()),
        line: 1,
        entries: entries
            .iter()
            .map(|(name, count)| ((*name).to_owned(), Bytes::new(*count)))
            .collect(),
        events: Vec::new(),
    };
    let usage = Some(Bytes::new(usage));
    let memory = Some(cited(highwater_oom::report::Counter { usage, limit: None, failcnt: None }));
    let memcg = Memcg { memory, stats: stats.iter().map(of).collect(), ..Memcg::default() };
    OomReport { memcg, ..OomReport::default() }
}

fn of_cgroup(report: &OomReport) -> Makeup {
    of_memcg(&Cite { source: "x", report }, None).unwrap()
}

#[test]
fn v2_parts_of_the_kernel_are_no_second_time_in_kernel() {
    let stats = [
        ("anon", 40 * MIB),
        ("file", 20 * MIB),
        ("shmem", 15 * MIB),
        ("kernel", 10 * MIB),
        ("kernel_stack", MIB),
        ("pagetables", 2 * MIB),
        ("percpu", MIB),
        ("vmalloc", MIB),
        ("slab_reclaimable", MIB),
        ("slab_unreclaimable", 3 * MIB),
        ("slab", 4 * MIB),
        ("sock", 2 * MIB),
    ];
    let makeup = of_cgroup(&cgroup(75 * MIB, &[&stats]));
    let mib = |kind| makeup.amount(kind).get() / MIB;
    assert_eq!((mib(Kind::Shmem), mib(Kind::PageCache), mib(Kind::Kernel)), (15, 5, 1));
    assert_eq!((mib(Kind::Slab), mib(Kind::SlabUnreclaimable)), (0, 3));
    assert_eq!(mib(Kind::Unaccounted), 75 - 40 - 20 - 10 - 2);
    assert!(adds_up(&makeup));
}

#[test]
fn v1_adds_the_cgroups_below_once() {
    let below: [(&str, u64); 3] = [("cache", 4 * MIB), ("rss", 30 * MIB), ("swap", MIB)];
    let each = of_cgroup(&cgroup(70 * MIB, &[&[("cache", 0), ("rss", MIB)], &below, &below]));
    assert_eq!(each.amount(Kind::Anon), Bytes::from_mib(61));
    assert_eq!(each.swap.as_ref().unwrap().amount, Bytes::from_mib(2));
    assert!(adds_up(&each));
    let sums = [
        ("rss", 0),
        ("cache", 0),
        ("shmem", 0),
        ("total_rss", 60 * MIB),
        ("total_cache", MIB),
        ("total_shmem", MIB),
    ];
    let whole = of_cgroup(&cgroup(64 * MIB, &[&sums]));
    assert_eq!(whole.amount(Kind::Anon), Bytes::from_mib(60));
    assert_eq!(whole.amount(Kind::Shmem), Bytes::from_mib(1));
    assert!(adds_up(&whole));
}

/// A small generator: the same numbers each time.
fn numbers(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    }
}

#[test]
fn whatever_is_printed_parts_and_rest_are_the_total() {
    const NAMES: [&str; 18] = [
        "active_anon",
        "inactive_anon",
        "active_file",
        "inactive_file",
        "unevictable",
        "shmem",
        "slab_reclaimable",
        "slab_unreclaimable",
        "slab",
        "pagetables",
        "free",
        "free_cma",
        "anon",
        "file",
        "kernel",
        "rss",
        "total_cache",
        "Active",
    ];
    for seed in 0..2000 {
        let mut next = numbers(seed);
        let mut some = || -> Vec<(&str, u64)> {
            let all = NAMES.iter().map(|name| (*name, next() % 3, next() % 5000));
            all.filter(|(_, there, _)| *there > 0).map(|(name, _, count)| (name, count)).collect()
        };
        let (counts, stats) = (some(), some());
        let makeups = [
            of_report(&mem_info(&counts, next() % 20_000)),
            of_memcg(&Cite { source: "x", report: &cgroup(next() % 20_000, &[&stats]) }, None),
        ];
        for makeup in makeups.iter().flatten() {
            assert!(adds_up(makeup), "seed {seed}: {makeup:?}");
        }
    }
}
