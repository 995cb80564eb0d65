//! Frames in, series out.

use std::time::Duration;

use highwater_core::frame::Frame;
use highwater_core::series::{Matcher, NAME, Selection, SeriesSource, Want};
use highwater_store::{Keep, Maintained, Reader, Store, Work};
use tempfile::tempdir;

use crate::frames::{at, boot, close_up, frame, other_boot, points, process, select, stamp};

const RSS: &str = "process_resident_memory_bytes";
const USAGE: &str = "container_memory_usage_bytes";
const MIB: f64 = 1_048_576.0;

#[test]
fn what_was_appended_is_selected() {
    let dir = tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    for ms in [0, 5000, 10_000] {
        let appended = store.append(&frame(ms), boot()).unwrap();
        assert_eq!((appended.at, appended.left_out), (at(ms), 0));
        assert_eq!(appended.entities, if ms == 0 { 6 } else { 0 });
    }
    let reader = Reader::open(dir.path()).unwrap();
    let leaker = select(&reader, RSS, &[("comm", "leaker")], (0, 10_000), None);
    assert_eq!(leaker.len(), 1);
    assert_eq!(
        leaker[0].labels.to_string(),
        r#"process_resident_memory_bytes{comm="leaker",id="/system.slice/nginx.service",pid="20",start="200",unit="nginx.service"}"#
    );
    assert_eq!(points(&leaker[0]), [(0, 100.0 * MIB), (5000, 105.0 * MIB), (10_000, 110.0 * MIB)]);
    assert_eq!(points(&select(&reader, RSS, &[("pid", "10")], (1, 9_999), None)[0]).len(), 1);
    assert!(select(&reader, RSS, &[("pid", "99")], (0, 10_000), None).is_empty());
    assert!(select(&reader, RSS, &[], (10_001, 20_000), None).is_empty());

    let total = select(&reader, "node_memory_MemTotal_bytes", &[], (0, 0), None);
    assert_eq!(total[0].labels.to_string(), "node_memory_MemTotal_bytes");
    let zone = select(&reader, "highwater_zone_free_bytes", &[("zone", "Normal")], (0, 0), None);
    assert_eq!(points(&zone[0]), [(0, 7.0 * MIB)]);
    let limit = "container_spec_memory_limit_bytes";
    let limits = select(&reader, limit, &[("id", "/batch")], (0, 0), None);
    assert_eq!(points(&limits[0]), [(0, f64::INFINITY)]);
    let all = select(&reader, USAGE, &[], (0, 10_000), None);
    assert!(all.is_sorted_by(|a, b| a.labels < b.labels), "{all:?}");
    assert!(reader.caveats().is_empty());
}

#[test]
fn matchers_without_a_metric_find_all_of_one_cgroup() {
    let dir = tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    store.append(&frame(0), boot()).unwrap();
    let reader = Reader::open(dir.path()).unwrap();
    let ask = |matchers| {
        reader.select(&Selection { matchers, from: at(0), to: at(0), step: None, ends: false })
    };
    let of_unit = ask(vec![Matcher::is("unit", "nginx.service")]).unwrap();
    let names: Vec<_> = of_unit.iter().map(|series| series.labels.get(NAME)).collect();
    assert!(names.contains(&USAGE) && names.contains(&RSS), "{names:?}");
    let not = Matcher { name: "unit".into(), want: Want::IsNot("nginx.service".into()) };
    assert_eq!(ask(vec![Matcher::is(NAME, USAGE), not.clone()]).unwrap().len(), 1);
    let refused = ask(vec![not]).unwrap_err();
    assert!(refused.to_string().contains("name a metric"), "{refused}");
}

#[test]
fn two_ticks_in_one_millisecond_are_both_kept() {
    let dir = tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let moments = [0, 0, 0].map(|ms| store.append(&frame(ms), boot()).unwrap().at);
    assert_eq!(moments, [at(0), at(1), at(2)]);
    let reader = Reader::open(dir.path()).unwrap();
    assert_eq!(points(&select(&reader, USAGE, &[("id", "/batch")], (0, 9), None)[0]).len(), 3);
}

#[test]
fn a_step_takes_the_last_tick_of_each_and_close_ups_hide_nothing() {
    let dir = tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    for ms in (0..60_000).step_by(5000) {
        store.append(&frame(ms), boot()).unwrap();
        for later in [250, 500, 750] {
            store.append(&close_up(ms + later), boot()).unwrap();
        }
    }
    let reader = Reader::open(dir.path()).unwrap();
    let moments = |id, range, step| {
        let series = select(&reader, USAGE, &[("id", id)], range, step);
        points(&series[0]).into_iter().map(|(ms, _)| ms).collect::<Vec<_>>()
    };
    let nginx = "/system.slice/nginx.service";
    assert_eq!(moments(nginx, (0, 60_000), None).len(), 48);
    assert_eq!(moments(nginx, (0, 60_000), Some(19_000)), [0, 15_750, 35_750, 55_750]);
    // Not in the close-ups, so from the whole tick before them.
    assert_eq!(moments("/batch", (0, 60_000), Some(19_000)), [0, 15_000, 35_000, 55_000]);
    // Steps shorter than the cadence lose nothing.
    assert_eq!(moments(nginx, (0, 60_000), Some(1)), moments(nginx, (0, 60_000), None));
    assert_eq!(moments(nginx, (4000, 5600), Some(600_000)), [5500]);
}

#[test]
fn a_process_that_moves_or_reboots_keeps_its_labels_straight() {
    let dir = tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let mut moving = |ms, cgroup, id| {
        let alone = vec![process(20, "leaker", cgroup, 9)];
        store.append(&Frame { processes: alone, ..frame(ms) }, id).unwrap();
    };
    moving(0, Some("/a"), boot());
    moving(1000, Some("/b"), boot());
    moving(2000, Some("/a"), boot());
    moving(3000, Some("/a"), other_boot());
    let reader = Reader::open(dir.path()).unwrap();
    let found = select(&reader, RSS, &[("pid", "20")], (0, 3000), None);
    let of: Vec<_> = found.iter().map(|s| (s.labels.get("id"), points(s).len())).collect();
    assert_eq!(of, [("/a", 3), ("/b", 1)]);
    assert_eq!(
        reader.boots().unwrap().iter().map(|b| b.id).collect::<Vec<_>>(),
        [boot(), other_boot()]
    );
    let last = reader.last_tick().unwrap().unwrap();
    assert_eq!((last.wall, last.boot_id), (at(3000), other_boot()));
}

/// Raw samples and buckets alike for so long.
fn keep(span: Duration) -> Keep {
    Keep { raw: span, minute: span, ten_minutes: span, ..Keep::default() }
}

#[test]
fn age_takes_samples_then_entities_and_leaves_the_rest() {
    let dir = tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let hour = 3_600_000;
    let mut gone = frame(0);
    gone.processes.push(process(99, "gone", None, 5));
    store.append(&gone, boot()).unwrap();
    for n in 1..200 {
        store.append(&frame(n * 5000), boot()).unwrap();
    }
    store.append(&frame(hour), boot()).unwrap();
    let (mut forgot, half_hour) = (0, Duration::from_mins(30));
    let mut tell = |done: Maintained| forgot += usize::from(done.work == Work::Forgot);
    store.settle(stamp(hour), &keep(half_hour), &mut tell).unwrap();
    assert!(forgot > 1, "in steps");
    store.append(&frame(hour + 5000), boot()).unwrap();
    let reader = Reader::open(dir.path()).unwrap();
    let info = reader.info().unwrap();
    assert_eq!(info.entities, 6);
    assert_eq!((info.oldest, info.newest), (Some(at(hour)), Some(at(hour + 5000))));
    assert!(info.database_bytes > 0 && info.wal_bytes > 0, "{info:?}");
    assert_eq!(points(&select(&reader, RSS, &[("pid", "20")], (0, 2 * hour), None)[0]).len(), 2);
}

#[test]
fn what_is_forgotten_entirely_may_come_back() {
    let dir = tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    store.append(&frame(0), boot()).unwrap();
    store.settle(stamp(10_000_000), &keep(Duration::from_hours(1)), &mut |_| ()).unwrap();
    assert!(select(&Reader::open(dir.path()).unwrap(), RSS, &[], (-9, 9), None).is_empty());
    store.append(&frame(10_001_000), boot()).unwrap();
    let reader = Reader::open(dir.path()).unwrap();
    assert_eq!(select(&reader, RSS, &[], (0, 20_000_000), None).len(), 2);
    assert_eq!(reader.info().unwrap().entities, 6);
}

#[test]
fn long_lives_are_found_at_both_ends() {
    let dir = tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let hour = 3_600_000;
    for ms in (0..=5 * hour).step_by(60_000) {
        store.append(&frame(ms), boot()).unwrap();
    }
    let reader = Reader::open(dir.path()).unwrap();
    for range in [(0, 1000), (5 * hour, 5 * hour + 9)] {
        assert_eq!(select(&reader, RSS, &[], range, None).len(), 2, "{range:?}");
    }
}
