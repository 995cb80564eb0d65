//! A small history that has everything: fresh ticks, sealed batches, days, both tiers, four eras of
//! two boots, every group, close-ups, a survey, events.

use std::path::Path;
use std::time::Duration;

use highwater_core::event::{Event, Happening};
use highwater_core::frame::{Frame, Scope};
use highwater_core::owner::Owner;
use highwater_core::series::{
    Labels, Matcher, NAME, STALE, Selection, Series, SeriesSource, SourceError,
};
use highwater_core::sum::{OwnerSample, OwnerSum};
use highwater_core::thing::{Metric, Survey, Thing};
use highwater_core::time::{BootId, BootTime, Stamp, WallTime};
use highwater_core::units::Bytes;
use highwater_store::{Cursor, Keep, Reader, Round, Store};

use crate::dice::Dice;
use crate::frames::{T0, at, boot, cgroup, close_up, death, frame, other_boot, process};

static ROOM: Metric = Metric::gauge("highwater_test_room_bytes", "A gauge of a thing.");

const MINUTE: i64 = 60_000;
pub(crate) const HOUR: i64 = 60 * MINUTE;

/// The moment of the last tick.
pub(crate) const END: i64 = 18 * HOUR;

/// Metrics of all groups.
pub(crate) const METRICS: [&str; 9] = [
    "node_memory_MemFree_bytes",
    "highwater_zone_free_bytes",
    "container_memory_usage_bytes",
    "process_resident_memory_bytes",
    "process_cpu_seconds_total",
    "highwater_owner_resident_anon_bytes",
    "highwater_test_room_bytes",
    "node_memory_MemTotal_bytes",
    "highwater:test:ratio",
];

/// Everything goes quickly, so that every level is there after a day.
pub(crate) fn keep() -> Keep {
    let hours = |count| Duration::from_hours(count);
    Keep {
        raw: hours(12),
        minute: hours(13),
        ten_minutes: hours(1000),
        budget: Bytes::from_mib(1024),
        free_floor: Bytes::default(),
    }
}

/// Both clocks at a moment by the wall clock, which is ahead by so much.
fn stamp(ms: i64, ahead_ms: i64) -> Stamp {
    let boot = BootTime::from_micros((1_000_000 + ms.unsigned_abs()) * 1000);
    Stamp { wall: at(ms + ahead_ms), boot }
}

fn tick(ms: i64, ahead_ms: i64) -> Frame {
    let mut dice = Dice::of(ms.unsigned_abs());
    let mut frame = Frame { stamp: stamp(ms, ahead_ms), ..frame(ms) };
    if let Some(machine) = &mut frame.machine {
        machine.mem.mem_free = Some(Bytes::from_kib(dice.below(1 << 22)));
    }
    frame.processes = vec![process(1, "init", None, 7 + dice.below(9))];
    if ms < 13 * HOUR {
        let mut old = process(20, "leaker", Some("/batch"), ms.unsigned_abs() / 60_000);
        old.cpu_us = ms.unsigned_abs() % 7_200_000 * 10;
        frame.processes.push(old);
    }
    frame.cgroups.push(cgroup("/calm", 5 + dice.below(2), None));
    let sum = frame.processes.iter().map(OwnerSum::of).reduce(OwnerSum::plus).unwrap();
    let owner = Some(Owner::Unit("nginx.service".to_owned()));
    frame.owners = vec![OwnerSample { owner, sum }];
    frame
}

fn survey(ms: i64, ahead_ms: i64) -> Survey {
    let one = |name: &str| Thing {
        metric: &ROOM,
        labels: Labels::new([("device", name)]),
        value: Bytes::new(Dice::of(ms.unsigned_abs()).below(1 << 30)).as_f64() / 8.0,
    };
    Survey { stamp: stamp(ms + 100, ahead_ms), things: vec![one("sda"), one("sdb")] }
}

/// A series that goes on, and one that ends every other hour.
fn round(ms: i64, ahead_ms: i64) -> Round {
    let labels = |name: &str| Labels::new([(NAME, "highwater:test:ratio"), ("id", name)]);
    let ended = ms / HOUR % 2 == 0;
    let samples = vec![
        (labels("/goes-on"), f64::from(u8::try_from(ms / HOUR % 100).unwrap()) / 8.0),
        (labels("/ends"), if ended { STALE } else { 1.0 }),
    ];
    let standing = vec![("rules:test".to_owned(), format!("{{\"at\":{ms}}}"))];
    Round { stamp: stamp(ms, ahead_ms), samples, standing, durable: ended, ..Round::default() }
}

fn started(ms: i64, boot_id: BootId) -> Event {
    let what = Happening::Recorder { what: "started".into(), note: "the recorder started".into() };
    Event { wall: at(ms), boot: None, boot_id, key: format!("recorder:{ms}"), what }
}

/// Writes it.
pub(crate) fn write(dir: &Path) {
    let mut store = Store::open(dir).unwrap();
    store.record(&[started(0, boot())], None).unwrap();
    let mut add = |ms: i64, ahead: i64, boot: BootId| {
        store.append(&tick(ms, ahead), boot).unwrap();
        if ms % (30 * MINUTE) == 0 {
            store.append_survey(&survey(ms, ahead), boot).unwrap();
        }
        if ms % (30 * MINUTE) == 0 {
            store.record_round(&round(ms, ahead), boot).unwrap();
        }
        if ms % (5 * HOUR) == 0 {
            let near = Frame { stamp: stamp(ms + 500, ahead), ..close_up(ms) };
            assert_eq!(near.scope, Scope::CloseUp);
            store.append(&near, boot).unwrap();
        }
        // What comes last stays as it was recorded.
        while ms <= 17 * HOUR + 40 * MINUTE
            && store.maintain(stamp(ms, ahead), &keep()).unwrap().more
        {}
    };
    for ms in (2 * HOUR..16 * HOUR).step_by(600_000) {
        add(ms, 0, boot());
    }
    // The clock is set forward by an hour, back again, and then a boot tells the same time again.
    (16 * HOUR..16 * HOUR + 30 * MINUTE).step_by(600_000).for_each(|ms| add(ms, HOUR, boot()));
    (16 * HOUR + 30 * MINUTE..17 * HOUR).step_by(600_000).for_each(|ms| add(ms, 0, boot()));
    (17 * HOUR..END).step_by(600_000).for_each(|ms| add(ms, -20 * MINUTE, other_boot()));
    add(END, -20 * MINUTE, other_boot());
    let cursor = Cursor { name: "kmsg".into(), boot_id: boot(), seq: 77 };
    store.record(&[death("kmsg:77", 3 * HOUR, 20)], Some(&cursor)).unwrap();
    store.record(&[started(17 * HOUR, other_boot())], None).unwrap();
}

/// All of a metric.
pub(crate) fn all(reader: &Reader, metric: &str, step: Option<Duration>) -> Vec<Series> {
    try_all(reader, metric, step).unwrap()
}

/// All of a metric, where it can be read.
pub(crate) fn try_all(
    reader: &Reader,
    metric: &str,
    step: Option<Duration>,
) -> Result<Vec<Series>, SourceError> {
    let (from, to) =
        (WallTime::from_millis(T0 - 100 * HOUR), WallTime::from_millis(T0 + 100 * HOUR));
    let matchers = vec![Matcher::is(NAME, metric)];
    reader.select(&Selection { matchers, from, to, step, ends: false })
}
