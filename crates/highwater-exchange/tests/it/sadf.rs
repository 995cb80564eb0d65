use highwater_exchange::{Format, Given};
use jiff::tz::Offset;

use crate::told::{All, read, read_as};

const ALL: &[u8] = include_bytes!("../../../../fixtures/exchange/sadf-all.json");
const MEMORY: &[u8] = include_bytes!("../../../../fixtures/exchange/sadf-memory.json");
const MOUNTS: &[u8] = include_bytes!("../../../../fixtures/exchange/sadf-mounts.json");
const LOCAL: &[u8] = include_bytes!("../../../../fixtures/exchange/sadf-local.json");

fn sadf(text: &str) -> All {
    read_as(Format::Sadf, Given::default(), &[text.as_bytes()])
}

/// A document of one machine with these records.
fn document(records: &str) -> String {
    format!(
        r#"{{"sysstat": {{"hosts": [{{"nodename": "db1", "timezone": "CET", "statistics": [{records}]}}]}}}}"#
    )
}

const AT: &str = r#""timestamp": {"date": "2026-01-02", "time": "03:04:05", "utc": 1}"#;
const AT_MS: i64 = 1_767_323_045_000;

/// The number after `"key": ` at its first place in a text.
fn number(text: &[u8], key: &str) -> f64 {
    let text = String::from_utf8_lossy(text);
    let rest = text.split_once(&format!("\"{key}\": ")).unwrap().1;
    rest.split([',', '}']).next().unwrap().parse().unwrap()
}

#[test]
fn the_sections_of_memory_are_read() {
    let all = read(&[MEMORY]);
    assert_eq!(all.oddities, []);
    for (key, name) in [
        ("memfree", "node_memory_MemFree_bytes"),
        ("avail", "node_memory_MemAvailable_bytes"),
        ("slab", "node_memory_Slab_bytes"),
        ("anonpg", "node_memory_AnonPages_bytes"),
        ("pgpgout", "sar_disk_written_bytes_per_second"),
    ] {
        let values = all.values(&format!("{name}{{instance=\"vm\"}}"));
        assert_eq!(values[0], number(MEMORY, key) * 1024.0, "{key}");
    }
    let share = all.values("sar_memory_used_percent{instance=\"vm\"}");
    assert_eq!(share[0], number(MEMORY, "memused-percent"));
    let parts: f64 = ["memfree", "memused", "buffers", "cached", "slab"]
        .map(|key| number(MEMORY, key))
        .iter()
        .sum();
    let total = all.values("node_memory_MemTotal_bytes{instance=\"vm\"}");
    assert_eq!(total[0], parts * 1024.0);
    let disk = "node_filesystem_size_bytes{device=\"/dev/loop0\",instance=\"vm\"}";
    assert_eq!(all.values(disk)[0], 55.0 * 1_048_576.0);
}

#[test]
fn every_section_does_no_harm_and_a_restart_is_told() {
    assert_eq!(Format::of(ALL), Some(Format::Sadf));
    let all = read(&[ALL]);
    assert_eq!(all.oddities, []);
    let boot = all.points("node_boot_time_seconds{instance=\"vm\"}");
    assert!(matches!(boot, [(at, value)] if at.to_string() == format!("{value}000")), "{boot:?}");
    for name in ["node_load1", "node_filefd_allocated", "node_sockstat_sockets_used"] {
        assert!(!all.points(&format!("{name}{{instance=\"vm\"}}")).is_empty());
    }
    // All processors together, not each.
    let idle = all.values("sar_cpu_percent{instance=\"vm\",mode=\"idle\"}");
    assert_eq!(idle.len(), all.values("node_load1{instance=\"vm\"}").len());
    let single: Vec<&[u8]> = ALL.chunks(1).collect();
    assert_eq!(read_as(Format::Sadf, Given::default(), &single).lines(), all.lines());
}

#[test]
fn file_systems_are_told_apart_by_mount_point_too() {
    let all = read(&[MOUNTS]);
    let free = all.values("node_filesystem_free_bytes{instance=\"vm\",mountpoint=\"/srv/data\"}");
    assert!(free.iter().all(|free| (3e7..7e7).contains(free)), "{free:?}");
    let used = all.values("sar_filesystem_used_percent{instance=\"vm\",mountpoint=\"/\"}");
    assert_eq!(used[0], number(MOUNTS, "%fsused"));
}

#[test]
fn local_times_are_of_the_zone_given_or_said() {
    let first = |all: &All| all.points("node_memory_MemFree_bytes{instance=\"vm\"}")[0].0;
    let said = read(&[LOCAL]);
    let given = Given { zone: Some(Offset::constant(1).to_time_zone()), ..Given::default() };
    let given = read_as(Format::Sadf, given, &[LOCAL]);
    assert_eq!(first(&said) - first(&given), 3_600_000);

    let local = AT.replace("\"utc\": 1", "\"utc\": 0");
    let text = document(&format!(r#"{{{local}, "memory": {{"memfree": 1}}}}"#));
    assert_eq!(
        sadf(&text).points("node_memory_MemFree_bytes{instance=\"db1\"}")[0].0,
        AT_MS - 3_600_000
    );
    let all = sadf(&text.replace("CET", "IST"));
    assert_eq!(all.points("node_memory_MemFree_bytes{instance=\"db1\"}")[0].0, AT_MS);
    assert!(all.oddities[0].1.ends_with("taken as UTC: IST"), "{:?}", all.oddities);
}

#[test]
fn totals_follow_only_where_the_numbers_agree() {
    let total = |memory: &str| {
        let all = sadf(&document(&format!(r#"{{{AT}, "memory": {{{memory}}}}}"#)));
        let name = "node_memory_MemTotal_bytes";
        all.lines().into_iter().find(|line| line.starts_with(name))
    };
    // As sysstat before 11.7.2 counts: all that is not free is used.
    let old = total(r#""memfree": 250000, "memused": 750000, "memused-percent": 75.00"#);
    assert!(old.unwrap().contains(" 1024000000.0@"));
    // As it counts since then, without slab.
    let new = r#""memfree": 250000, "memused": 350000, "memused-percent": 35.00"#;
    assert_eq!(total(&format!(r#"{new}, "buffers": 100000, "cached": 200000"#)), None);
    let with_slab =
        total(&format!(r#"{new}, "buffers": 100000, "cached": 200000, "slab": 100000"#));
    assert!(with_slab.unwrap().contains(" 1024000000.0@"));
    let swap = sadf(&document(&format!(
        r#"{{{AT}, "memory": {{"swpfree": 3, "swpused": 1}}, "hugepages": {{"hugfree": 2048, "hugused": 4096}}}}"#
    )));
    assert_eq!(swap.values("node_memory_SwapTotal_bytes{instance=\"db1\"}"), [4096.0]);
    assert_eq!(swap.values("node_memory_Hugetlb_bytes{instance=\"db1\"}"), [6_291_456.0]);
}

#[test]
fn machines_are_told_apart() {
    let host = |name: &str, free: u32| {
        format!(
            r#"{{"nodename": "{name}", "statistics": [{{"memory": {{"memfree": {free}}}, {AT}}}]}}"#
        )
    };
    let text = format!(r#"{{"sysstat": {{"hosts": [{}, {}]}}}}"#, host("a", 1), host("b\u{1b}", 2));
    let all = sadf(&text);
    assert_eq!(all.points("node_memory_MemFree_bytes{instance=\"a\"}"), [(AT_MS, 1024.0)]);
    assert_eq!(all.points(r#"node_memory_MemFree_bytes{instance="b\\x1b"}"#), [(AT_MS, 2048.0)]);
}

#[test]
fn broken_documents_give_what_is_whole() {
    let record = format!(r#"{{{AT}, "memory": {{"memfree": 1}}}}"#);
    let whole = document(&format!("{record},\n{record}"));
    let free = "node_memory_MemFree_bytes{instance=\"db1\"}";
    assert_eq!(sadf(&whole).values(free).len(), 2);
    let all = sadf(&whole[..whole.len() - 20]);
    assert_eq!((all.values(free).len(), all.oddities.len()), (1, 1));
    assert!(all.oddities[0].0 == 2 && all.oddities[0].1.contains("in the middle"));

    let untimed = document(r#"{"memory": {"memfree": 1}}"#);
    assert_eq!((sadf(&untimed).summary.untimed, sadf(&untimed).series.len()), (1, 0));
    let when =
        document(&format!(r#"{{{}, "memory": {{"memfree": 1}}}}"#, AT.replace("01-02", "1/2")));
    assert!(sadf(&when).oddities[0].1.ends_with("left out: 2026-1/2 03:04:05"));
    let odd = document(&format!(
        r#"{{{AT}, "memory": {{"memfree": null, "avail": "many", "slab": {{"x": [[7]]}}, "new": 3}}}}"#
    ));
    assert_eq!((sadf(&odd).series.len(), sadf(&odd).summary.oddities), (0, 0));
    for text in ["", "{", "}}}]", "\u{feff}{\"sysstat\": 7}", "{\"sysstat\": {\"hosts\": {}}} tail"]
    {
        assert_eq!(sadf(text).series.len(), 0, "{text:?}");
    }
}

#[test]
fn a_record_without_bounds_is_cut() {
    let systems: Vec<String> = (0..5000)
        .map(|at| {
            format!(r#"{{"filesystem": "/dev/{at}", "MBfsfree": 1, "Ifree": 2, "Iused": 3}}"#)
        })
        .collect();
    let text = document(&format!(r#"{{{AT}, "filesystems": [{}]}}"#, systems.join(",")));
    let all = sadf(&text);
    // 4,096 file systems with three numbers and one total each.
    assert_eq!(all.series.len(), 4 * 4096);
    assert!(all.summary.oddities >= 904);
    let text = document(&format!(
        r#"{{{AT}, "memory": {{{}"z": 0}}}}"#,
        "\"memfree\": 1, ".repeat(20_000)
    ));
    assert_eq!(sadf(&text).summary.samples, 16_384);
}
