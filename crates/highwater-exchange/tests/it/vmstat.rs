use highwater_core::time::WallTime;
use highwater_exchange::{Format, Given, VmstatUnit};
use jiff::tz::{Offset, TimeZone};

use crate::told::{All, read, read_as};

const PLAIN: &[u8] = include_bytes!("../../../../fixtures/exchange/vmstat.txt");
const WIDE: &[u8] = include_bytes!("../../../../fixtures/exchange/vmstat-wide.txt");
const ACTIVE: &[u8] = include_bytes!("../../../../fixtures/exchange/vmstat-active.txt");
const MEGABYTES: &[u8] = include_bytes!("../../../../fixtures/exchange/vmstat-megabytes.txt");
const MEBIBYTES: &[u8] = include_bytes!("../../../../fixtures/exchange/vmstat-mebibytes.txt");
const OFFSET: &[u8] = include_bytes!("../../../../fixtures/exchange/vmstat-offset.txt");
const CST: &[u8] = include_bytes!("../../../../fixtures/exchange/vmstat-cst.txt");

fn with(given: Given, text: &[u8]) -> All {
    read_as(Format::Vmstat, given, &[text])
}

/// The words of one row.
fn row(text: &[u8], at: usize) -> Vec<String> {
    let text = String::from_utf8_lossy(text);
    let line = text.lines().nth(at).unwrap();
    line.split_whitespace().map(str::to_owned).collect()
}

/// The moment that a row's last two words name in UTC.
fn moment(row: &[String]) -> i64 {
    let text = format!("{}T{}Z", row[row.len() - 2], row[row.len() - 1]);
    WallTime::from(text.parse::<jiff::Timestamp>().unwrap()).millis()
}

#[test]
fn columns_are_taken_by_their_names() {
    for (text, third, fourth) in [
        (PLAIN, "node_memory_Buffers_bytes", "vmstat_cache_bytes"),
        (WIDE, "node_memory_Buffers_bytes", "vmstat_cache_bytes"),
        (ACTIVE, "node_memory_Inactive_bytes", "node_memory_Active_bytes"),
    ] {
        assert_eq!(Format::of(text), Some(Format::Vmstat));
        let all = read(&[text]);
        assert_eq!(all.oddities, []);
        for (at, name) in [(3, "node_memory_MemFree_bytes"), (4, third), (5, fourth)] {
            let want: Vec<(i64, f64)> = (2..5)
                .map(|line| row(text, line))
                .map(|row| (moment(&row), row[at].parse::<f64>().unwrap() * 1024.0))
                .collect();
            assert_eq!(all.points(name), want, "{name}");
        }
    }
}

#[test]
fn rates_of_the_first_line_are_since_boot_and_left_out() {
    let all = read(&[PLAIN]);
    assert_eq!(all.points("vmstat_disk_written_bytes_per_second").len(), 2);
    assert_eq!(all.points("vmstat_cpu_percent{mode=\"user\"}").len(), 2);
    assert_eq!(all.points("node_procs_running").len(), 3);
    let bo: f64 = row(PLAIN, 4)[9].parse().unwrap();
    assert_eq!(all.values("vmstat_disk_written_bytes_per_second")[1], bo * 1024.0);
}

#[test]
fn another_unit_must_be_said_and_is_suspected() {
    for (text, unit, scale) in
        [(MEGABYTES, VmstatUnit::Mega, 1e6), (MEBIBYTES, VmstatUnit::Mebi, 1_048_576.0)]
    {
        let free: f64 = row(text, 2)[3].parse().unwrap();
        let all = with(Given { unit: Some(unit), ..Given::default() }, text);
        assert_eq!(all.values("node_memory_MemFree_bytes")[0], free * scale);
        assert_eq!(all.oddities, []);
        let all = read(&[text]);
        assert_eq!(all.values("node_memory_MemFree_bytes")[0], free * 1024.0);
        assert!(all.oddities[0].1.contains("-S m or M"), "{:?}", all.oddities);
    }
}

#[test]
fn the_zone_is_what_is_given_or_what_the_header_clearly_says() {
    let first = |all: &All| all.points("node_memory_MemFree_bytes")[0].0;
    let local = moment(&row(OFFSET, 2));
    assert_eq!(first(&read(&[OFFSET])), local + 3 * 3_600_000);
    let zone = |hours| Some(Offset::constant(hours).to_time_zone());
    let all = with(Given { zone: zone(-2), ..Given::default() }, OFFSET);
    assert_eq!(first(&all), local + 2 * 3_600_000);

    let local = moment(&row(CST, 2));
    let all = read(&[CST]);
    assert_eq!((first(&all), all.oddities.len()), (local, 1));
    assert!(all.oddities[0].1.ends_with("taken as UTC: CST"), "{:?}", all.oddities);
    let chicago = TimeZone::posix("CST6CDT,M3.2.0,M11.1.0").unwrap();
    let all = with(Given { zone: Some(chicago), ..Given::default() }, CST);
    assert_eq!((first(&all), all.oddities.len()), (local + 6 * 3_600_000, 0));
}

#[test]
fn zones_in_each_line_are_read_too() {
    // As procps 3.2 wrote it.
    let text = b"procs -----------memory---------- ---swap--\n \
        r  b   swpd   free   buff  cache   si   so\n \
        1  0      0 900000 100000 500000    0    0 2014-05-27 10:00:00 CEST\n";
    let all = with(Given { instance: Some("db1".to_owned()), ..Given::default() }, text);
    let points = all.points("node_memory_MemFree_bytes{instance=\"db1\"}");
    assert_eq!(points, [(1_401_177_600_000, 921_600_000.0)]);
}

#[test]
fn rows_that_do_not_fit_are_told() {
    let header = " r  b   swpd   free   buff  cache\n";
    let text = format!(
        "0 0 0 1 1 1 2026-01-01 00:00:00\n{header}\n\
         0 0 0 900000 1 1 2026-01-01 00:00:05\n\
         Connection to host closed.\n\
         0 0 0 900000 1\n\
         0 0 0 900000 1 1\n\
         0 0 -5 900000 1 1 2026-01-01 00:00:05\n\
         0 0 0 900001 1 1 2026-01-01 noon\n\
         0 0 0 900002 1 1 2026-01-01 00:00:10\n\
         0 0 0 900002 1 1 2026-01-01 00:0"
    );
    let all = with(Given::default(), text.as_bytes());
    let lines: Vec<u64> = all.oddities.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [1, 5, 6, 7, 8, 9, 11], "{:?}", all.oddities);
    assert_eq!((all.summary.untimed, all.values("node_memory_MemFree_bytes").len()), (1, 2));
    assert_eq!(with(Given::default(), b"").summary.oddities, 0);
}
