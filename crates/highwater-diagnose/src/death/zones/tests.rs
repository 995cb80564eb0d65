use highwater_oom::report::{Cited, Constraint, Trigger};

use super::*;

fn cited<T>(value: T) -> Cited<T> {
    Cited { value, line: 1 }
}

fn zone(node: u32, name: &str, kib: [u64; 3], reserve: &[u64]) -> Cited<Zone> {
    let [free, min, managed] = kib;
    let amounts = [("free", free), ("min", min), ("managed", managed)];
    cited(Zone {
        node: Some(node),
        name: name.to_owned(),
        amounts: amounts.map(|(name, kib)| (name.to_owned(), Bytes::from_kib(kib))).to_vec(),
        lowmem_reserve: reserve.iter().map(|count| Pages::new(*count)).collect(),
        all_unreclaimable: None,
    })
}

fn list(node: u32, name: &str, blocks: &[(u64, u64, &str)]) -> Cited<FreeList> {
    let of = |(kib, count, types): &(u64, u64, &str)| Blocks {
        size: Bytes::from_kib(*kib),
        count: *count,
        types: (*types).to_owned(),
    };
    let blocks: Vec<Blocks> = blocks.iter().map(of).collect();
    let free = blocks.iter().map(|piece| Bytes::new(piece.size.get() * piece.count)).sum();
    cited(FreeList { node: Some(node), name: name.to_owned(), blocks, free: Some(free) })
}

fn asked(order: i32, flags: &str) -> OomReport {
    let trigger =
        Trigger { order: Some(order), gfp_mask: Some(flags.to_owned()), ..Trigger::default() };
    OomReport {
        trigger: Some(cited(trigger)),
        constraint: Some(cited(Constraint::None)),
        ..OomReport::default()
    }
}

fn shortage(report: &OomReport) -> Shortage {
    Shortage::of(report, Some(PageSize::KIB4))
}

#[test]
fn free_pages_that_do_not_lie_together_are_fragmentation() {
    let mut report = asked(3, "0xcc0(GFP_KERNEL)");
    report.machine.zones = vec![zone(0, "Normal", [830_000, 20_000, 4_000_000], &[0, 0, 0])];
    let small =
        [(4, 120_000, "UME"), (8, 40_000, "UM"), (16, 1_875, "M"), (32, 0, ""), (64, 9, "H")];
    report.machine.free_lists = vec![list(0, "Normal", &small)];
    let found = shortage(&report);
    assert!(
        matches!(&found, Shortage::Pieces { needed: Some(needed), .. } if *needed == Bytes::from_kib(32))
    );
    assert_eq!(
        found.words(),
        "811 MiB was free, but the largest piece that it may use was 16 KiB, and the request needed 32 KiB in one piece"
    );
    // A piece that fits was there: no fragmentation, and no other answer either.
    report.machine.free_lists = vec![list(0, "Normal", &[(4, 100, "M"), (64, 9, "U")])];
    assert!(matches!(shortage(&report), Shortage::Unclear { .. }));
}

#[test]
fn lists_alone_show_that_no_piece_fits() {
    let mut report = asked(2, "0xd0");
    report.machine.free_lists = vec![list(0, "Normal", &[(4, 737, ""), (8, 232, ""), (16, 0, "")])];
    let found = shortage(&report);
    assert_eq!(
        found.words(),
        "4.69 MiB was free, but the largest piece that it may use was 8 KiB, and the request needed 16 KiB in one piece"
    );
    report.machine.free_lists = vec![list(0, "Normal", &[(4, 7, ""), (16, 9, "")])];
    assert!(matches!(shortage(&report), Shortage::Whole), "a piece was there, and too little");
}

#[test]
fn pieces_for_devices_fit_only_what_can_be_moved() {
    let with = |flags: &str| {
        let mut report = asked(2, flags);
        report.machine.zones = vec![zone(0, "Normal", [400_000, 2_000, 900_000], &[])];
        report.machine.free_lists = vec![list(0, "Normal", &[(4, 9, "U"), (4096, 90, "C")])];
        states(&report, Some(PageSize::KIB4)).remove(0)
    };
    assert_eq!(with("0xcc0(GFP_KERNEL)").fitting, Some(Bytes::ZERO));
    assert_eq!(with("0x100cca(GFP_HIGHUSER_MOVABLE)").fitting, Some(Bytes::from_mib(360)));
}

#[test]
fn more_than_the_watermark_is_not_too_little() {
    let short = |free: u64| {
        let mut report = asked(0, "0x100cca(GFP_HIGHUSER_MOVABLE)");
        report.machine.zones = vec![zone(0, "Normal", [free, 10_000, 900_000], &[])];
        states(&report, Some(PageSize::KIB4)).remove(0).short
    };
    assert_eq!([short(9_999), short(10_000)], [Some(true); 2]);
    assert_eq!([short(10_001), short(12_500)], [None; 2]);
    assert_eq!(short(13_000), Some(false));
}

#[test]
fn the_reserve_for_higher_zones_counts_as_taken() {
    let zones = vec![
        zone(0, "DMA", [15_360, 260, 15_360], &[0, 1946, 15_899, 15_899]),
        zone(0, "DMA32", [60_000, 13_000, 2_000_000], &[0, 0, 13_953, 13_953]),
        zone(0, "Normal", [60_000, 59_000, 14_000_000], &[0, 0, 0, 0]),
    ];
    let mut report = asked(0, "0x100cca(GFP_HIGHUSER_MOVABLE)");
    report.machine.zones = zones;
    let found = states(&report, Some(PageSize::KIB4));
    assert_eq!(found[0].reserve, Some(Bytes::from_kib(15_899 * 4)));
    let short: Vec<_> = found.iter().map(|state| state.short).collect();
    // The last has a little more than its watermark: not too little, and not plainly enough.
    assert_eq!(short, [Some(true), Some(true), None], "{found:?}");
    assert!(matches!(shortage(&report), Shortage::Whole));
}

#[test]
fn a_request_of_the_kernel_finds_its_entry_by_the_zeros() {
    // i386: DMA, Normal, HighMem, Movable.
    let mut report = asked(0, "0xd0");
    report.machine.zones = vec![
        zone(0, "DMA", [3_000, 64, 15_900], &[0, 865, 16_000, 16_000]),
        zone(0, "Normal", [3_700, 3_700, 880_000], &[0, 0, 121_000, 121_000]),
        zone(0, "HighMem", [60_000_000, 512, 62_000_000], &[0, 0, 0, 0]),
    ];
    let found = states(&report, Some(PageSize::KIB4));
    let reserve = |at: usize| found[at].reserve.map(|kept| kept.get() / 4096);
    assert_eq!((reserve(0), reserve(1)), (Some(865), Some(0)));
    assert!(!found[2].reachable, "the kernel's own memory cannot lie there");
    let found = shortage(&report);
    assert!(found.words().contains("zone node 0 Normal ran out"), "{}", found.words());
    assert!(!found.is_of_node());
}

#[test]
fn another_node_with_plenty_is_told_apart() {
    let mut report = asked(0, "0x100cca(GFP_HIGHUSER_MOVABLE)");
    report.machine.zones = vec![
        zone(0, "Normal", [50_000, 50_000, 8_000_000], &[]),
        zone(1, "Normal", [7_000_000, 50_000, 8_000_000], &[]),
    ];
    assert!(shortage(&report).is_of_node());
}

#[test]
fn nothing_printed_is_the_whole_as_far_as_one_can_tell() {
    assert!(matches!(shortage(&OomReport::default()), Shortage::Whole));
    assert!(matches!(shortage(&asked(i32::MAX, "0x")), Shortage::Whole));
    let mut odd = asked(40, "0xd0");
    odd.machine.zones = vec![zone(0, "Normal", [50, 1, 100], &[7])];
    assert!(matches!(shortage(&odd), Shortage::Pieces { needed: None, .. }));
}
