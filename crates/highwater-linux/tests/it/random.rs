//! Whatever the bytes are, no parser panics, and what it gives stays small.

use highwater_core::frame::{CgroupMemory, CgroupVersion, MemInfo, VmStat};
use highwater_core::units::PageSize;
use highwater_linux::parse::mountinfo::Hierarchies;
use highwater_linux::parse::{
    limits, membership, meminfo, mountinfo, number, pressure, schedstat, stat, statm, status,
    swaps, v1, v2, vmstat, zoneinfo,
};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::tree::captured;

/// Random bytes; and, since those hardly ever look like anything, the kernel's own words and
/// separators in random order.
fn texts() -> impl Strategy<Value = Vec<u8>> {
    let words = [
        "\n",
        " ",
        "\t",
        ":",
        ",",
        "-",
        " - ",
        "(",
        ")",
        "=",
        "/",
        "\\040",
        "kB",
        "max",
        "unlimited",
        "0",
        "1",
        "42",
        "4096",
        "9223372036854771712",
        "18446744073709551615",
        "99999999999999999999",
        "-1",
        "nan",
        "inf",
        "1e9",
        "\u{fffd}",
        "\u{0}",
        "MemTotal:",
        "oom_kill ",
        "some ",
        "full ",
        "avg10=",
        "avg60=",
        "avg300=",
        "total=",
        "Node ",
        ", zone ",
        "pages free ",
        "min ",
        "low ",
        "high ",
        "managed ",
        "total_",
        "rss ",
        "anon ",
        "Uid:",
        "VmHWM:",
        "Max open files ",
        "0::/",
        "4:memory:/",
        " (deleted)",
        "cgroup",
        "cgroup2",
        "partition",
        "file",
    ];
    let word = prop_oneof![
        4 => prop::sample::select(words.to_vec()).prop_map(|word| word.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..8),
    ];
    prop_oneof![vec(any::<u8>(), 0..512), vec(word, 0..120).prop_map(|words| words.concat())]
}

fn every_parser(text: &[u8]) {
    let _ = (number::u64(text), number::i64(text), number::u32(text), number::kib(text));
    let _ = (number::v2_limit(text), number::count_limit(text));
    let _ = number::v1_limit(text, PageSize::KIB4);
    meminfo::parse(text, &mut MemInfo::default());
    vmstat::parse(text, &mut VmStat::default());
    let pressure = pressure::parse(text);
    for stall in [pressure.some, pressure.full].into_iter().flatten() {
        assert!(stall.avg10.is_finite() && stall.avg60 >= 0.0 && stall.avg300 >= 0.0);
    }
    let mut zones = Vec::new();
    zoneinfo::parse(text, PageSize::KIB4, &mut zones);
    assert!(zones.len() <= text.len());
    assert!(swaps::parse(text).len() <= text.len());
    let _ = (stat::parse(text), statm::parse(text), status::parse(text));
    let _ = schedstat::parse(text);
    for version in [CgroupVersion::V1, CgroupVersion::V2] {
        let path = membership::memory_path(text, version);
        assert!(path.is_none_or(|path| path.starts_with(b"/") && !path.contains(&b'\n')));
    }
    let _ = limits::max_open_files(text);
    let mut memory = CgroupMemory::default();
    v1::stat(text, &mut memory);
    v1::oom_control(text, &mut memory);
    v2::stat(text, &mut memory);
    v2::events(text, &mut memory);
    let _ = Hierarchies::find(&mountinfo::parse(text));
}

proptest! {
    #[test]
    fn no_parser_panics(text in texts()) {
        every_parser(&text);
    }

    #[test]
    fn no_parser_panics_on_damaged_files(which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let tree = &captured()[0];
        let files = ["meminfo", "vmstat", "pressure/memory", "zoneinfo", "self/mountinfo", "1/stat", "1/statm", "1/status", "1/cgroup", "1/limits"];
        let mut text = tree.bytes(format!("proc/{}", which.get(&files)));
        let at = at.index(text.len());
        text[at] = byte;
        every_parser(&text);
        every_parser(&text[..at]);
    }

    #[test]
    fn numbers_survive_the_round_trip(unsigned in any::<u64>(), signed in any::<i64>()) {
        prop_assert_eq!(number::u64(format!(" {unsigned}\n").as_bytes()), Some(unsigned));
        prop_assert_eq!(number::i64(format!("{signed}\n").as_bytes()), Some(signed));
    }

    #[test]
    fn any_name_survives_stat(name in vec(any::<u8>(), 0..32)) {
        let tail = b") S 1 1 1 0 -1 0 0 0 12 0 1 2 0 0 20 0 3 0 4242 73728 18 0\n";
        let parsed = stat::parse(&[b"7 (", &name[..], tail].concat()).unwrap();
        prop_assert_eq!(parsed.comm.as_bytes(), &name[..]);
        prop_assert_eq!((parsed.start.get(), parsed.resident.get()), (4242, 18));
    }
}
