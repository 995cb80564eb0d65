//! Selections over everything a store makes of its ticks, against what was put in.

use std::collections::BTreeMap;
use std::time::Duration;

use highwater_core::frame::{Frame, ProcSample, Scope, SlowReadings};
use highwater_core::id::{CgroupPath, Comm, Pid, ProcKey, StartTicks};
use highwater_core::metric::MetricKind;
use highwater_core::series::{
    Labels, Matcher, NAME, Pattern, Selection, SeriesSource, Want, is_stale,
};
use highwater_core::time::{BootId, BootTime, Stamp, WallTime};
use highwater_core::units::Bytes;
use tempfile::{TempDir, tempdir};

use crate::{Bound, Keep, Reader, Store};

/// Midnight of a day in 2024.
pub(crate) const T0: i64 = 1_714_003_200_000;
pub(crate) const MINUTE: i64 = 60_000;
pub(crate) const DAY: i64 = 86_400_000;
pub(crate) const RSS: &str = "process_resident_memory_bytes";
const CPU: &str = "process_cpu_seconds_total";

/// Truth: by pid, the moments and resident pages.
pub(crate) type Truth = BTreeMap<u32, Vec<(i64, f64)>>;

pub(crate) fn boot() -> BootId {
    "3b1f7a520c2e4d689a1e1f2e3d4c5b6a".parse().unwrap()
}

pub(crate) fn stamp(ms: i64) -> Stamp {
    let us = u64::try_from(ms).unwrap() * 1000 + 1_000_000;
    Stamp { wall: WallTime::from_millis(T0 + ms), boot: BootTime::from_micros(us) }
}

fn process(pid: u32, pages: u64, cpu_us: u64) -> ProcSample {
    ProcSample {
        key: ProcKey { pid: Pid::new(pid), start: StartTicks::new(7) },
        comm: Comm::new(b"worker"),
        cgroup: Some(CgroupPath::new(b"/batch")),
        parent: Pid::new(1),
        state: b'S',
        threads: 3,
        cpu_us,
        major_faults: 2,
        virtual_size: Bytes::from_mib(10),
        resident: Bytes::new(pages * 4096),
        resident_shared: Bytes::ZERO,
        children: None,
        zombie_children: None,
        slow: SlowReadings::default(),
    }
}

fn frame(ms: i64, scope: Scope, processes: Vec<ProcSample>) -> Frame {
    let (machine, zones, owners, cgroups) = Default::default();
    Frame { stamp: stamp(ms), scope, machine, zones, owners, cgroups, processes }
}

/// Pages of a process at a moment: nothing regular.
fn pages(pid: u32, ms: i64) -> u64 {
    let mix = (u64::try_from(ms).unwrap() / 1000 + u64::from(pid) * 7919).wrapping_mul(0x9e37_79b9);
    1000 + (mix >> 12) % 500
}

/// Whether a process is there: some all the time, others for a while.
fn lives(pid: u32, ms: i64) -> bool {
    let hour = ms / (60 * MINUTE);
    pid < 4 || (hour / i64::from(pid)) % 3 == 1
}

/// A history of `until` ms, a whole tick each `every` ms and now and then a close-up.
pub(crate) fn record(until: i64, every: i64) -> (TempDir, Store, Truth) {
    let dir = tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let mut truth = Truth::new();
    for ms in (0..until).step_by(usize::try_from(every).unwrap()) {
        let here: Vec<u32> = (1..12).filter(|pid| lives(*pid, ms)).collect();
        // A counter that falls every seven hours, as if a process had been replaced.
        let cpu = |pid: u32, ms: i64| u64::try_from(ms % (7 * 3_600_000)).unwrap() * u64::from(pid);
        let at = |pid: &u32, ms| process(*pid, pages(*pid, ms), cpu(*pid, ms));
        let all = here.iter().map(|pid| at(pid, ms)).collect();
        store.append(&frame(ms, Scope::Whole, all), boot()).unwrap();
        let mut note = |pid: u32, ms| {
            let value = Bytes::new(pages(pid, ms) * 4096).as_f64();
            truth.entry(pid).or_default().push((T0 + ms, value));
        };
        for pid in &here {
            note(*pid, ms);
        }
        if ms % (40 * MINUTE) == 0 {
            let near = ms + 1250;
            store.append(&frame(near, Scope::CloseUp, vec![at(&2, near)]), boot()).unwrap();
            note(2, near);
        }
    }
    (dir, store, truth)
}

pub(crate) fn keep(raw_hours: u64) -> Keep {
    let days = |count: u64| Duration::from_hours(24 * count);
    Keep {
        raw: Duration::from_hours(raw_hours),
        minute: days(100),
        ten_minutes: days(100),
        budget: Bytes::from_mib(1000),
        free_floor: Bytes::ZERO,
    }
}

pub(crate) fn ask(metric: &str, range: (i64, i64)) -> Selection {
    Selection {
        matchers: vec![Matcher::is(NAME, metric)],
        from: WallTime::from_millis(T0 + range.0),
        to: WallTime::from_millis(T0 + range.1),
        step: None,
        ends: false,
    }
}

pub(crate) fn seen(reader: &Reader, selection: &Selection) -> Truth {
    let pid = |labels: &Labels| labels.get("pid").parse().unwrap();
    let found = reader.select(selection).unwrap();
    assert_eq!(reader.caveats(), Vec::<String>::new());
    let points = |points: &[highwater_core::series::Point]| {
        points.iter().map(|point| (point.at.millis(), point.value)).collect()
    };
    found.iter().map(|series| (pid(&series.labels), points(&series.points))).collect()
}

fn within(truth: &Truth, range: (i64, i64)) -> Truth {
    let mut cut = truth.clone();
    for points in cut.values_mut() {
        points.retain(|(at, _)| (T0 + range.0..=T0 + range.1).contains(at));
    }
    cut.retain(|_, points| !points.is_empty());
    cut
}

#[test]
fn any_condition_that_nothing_without_labels_meets_is_enough() {
    let (dir, _store, _) = record(2 * MINUTE, 5000);
    let reader = Reader::open(dir.path()).unwrap();
    let asked = |name: &str, want: Want| {
        let matchers = vec![Matcher { name: name.to_owned(), want }];
        reader.select(&Selection { matchers, ..ask(RSS, (0, 2 * MINUTE)) })
    };
    let pattern = |text: &str| Want::Matches(Pattern::new(text).unwrap());
    let names = asked(NAME, pattern("process_(cpu|resident).*")).unwrap();
    assert!(names.iter().any(|series| series.labels.get(NAME) == CPU));
    assert!(names.iter().any(|series| series.labels.get(NAME) == RSS));
    assert!(asked("comm", pattern("w.rker")).unwrap().len() > names.len());
    assert!(asked(NAME, Want::IsNot(String::new())).unwrap().len() >= names.len());
    for anything in [pattern(".*"), Want::Is(String::new()), Want::IsNot("up".to_owned())] {
        assert!(asked("comm", anything).is_err());
    }
}

#[test]
fn fresh_sealed_and_compacted_tell_the_same() {
    let until = 2 * DAY + 5 * 3_600_000;
    let (dir, mut store, truth) = record(until, 5 * MINUTE);
    let ranges = [(0, until), (DAY - 1, DAY), (3_600_000, 3_600_000 + 1), (DAY / 2, DAY * 3 / 2)];
    let check = || {
        let reader = Reader::open(dir.path()).unwrap();
        for range in ranges {
            assert_eq!(seen(&reader, &ask(RSS, range)), within(&truth, range), "{range:?}");
        }
    };
    check();
    while store.maintain(stamp(until), &keep(1200)).unwrap().more {}
    check();
    store.settle(stamp(until), &keep(1200), &mut |_| {}).unwrap();
    check();
    let info = Reader::open(dir.path()).unwrap().info().unwrap();
    let forms: Vec<_> = info.levels.iter().map(|level| (level.tier, level.level)).collect();
    assert_eq!(forms, [(0, Some(0)), (0, Some(1)), (60, Some(1))], "{info:?}");
    assert!(info.levels.iter().all(|level| level.bytes > 0 && level.samples > Some(0)));
    assert_eq!(info.newest, Some(WallTime::from_millis(T0 + until - 5 * MINUTE)));
}

#[test]
fn streams_give_the_same_in_pieces_that_fit() {
    let until = DAY + 5 * 3_600_000;
    let (dir, mut store, truth) = record(until, 5 * MINUTE);
    while store.maintain(stamp(until), &keep(1200)).unwrap().more {}
    let reader = Reader::open(dir.path()).unwrap();
    for budget in [1, 40_000, 1 << 24] {
        let mut all = Truth::new();
        let selection = Selection { matchers: vec![], ..ask(RSS, (-DAY, 50 * DAY)) };
        let mut longest = 0;
        for piece in reader.stream(&selection, Bytes::new(budget)).unwrap() {
            let piece = piece.unwrap();
            longest = longest.max(piece.points.len());
            if piece.labels.get(NAME) == RSS {
                let points = piece.points.iter().map(|point| (point.at.millis(), point.value));
                all.entry(piece.labels.get("pid").parse().unwrap()).or_default().extend(points);
            }
        }
        assert_eq!(all, truth, "budget {budget}");
        assert!(longest <= 288 + 40, "pieces are a day's at most: {longest}");
    }
}

#[test]
fn ends_are_marked_where_a_reading_lacks_the_series() {
    let until = DAY + 5 * 3_600_000;
    let (dir, mut store, truth) = record(until, 5 * MINUTE);
    // Pid 5 lives for five hours of fifteen.
    let expected = |pid: u32, found: &Truth| {
        let marks: Vec<i64> = found[&pid]
            .iter()
            .filter(|(_, value)| is_stale(*value))
            .map(|(at, _)| (at - T0) / MINUTE)
            .collect();
        marks
    };
    let mut check = |sealed: bool| {
        let reader = Reader::open(dir.path()).unwrap();
        let selection = Selection { ends: true, ..ask(RSS, (0, until)) };
        let found = seen(&reader, &selection);
        assert_eq!(expected(5, &found), [10 * 60, 25 * 60], "sealed: {sealed}");
        assert_eq!(expected(2, &found), Vec::<i64>::new());
        assert_eq!(found.len(), truth.len());
        let mut pieces = Truth::new();
        for piece in reader.stream(&selection, Bytes::new(9000)).unwrap() {
            let piece = piece.unwrap();
            let points = piece.points.iter().map(|point| (point.at.millis(), point.value));
            pieces.entry(piece.labels.get("pid").parse().unwrap()).or_default().extend(points);
        }
        assert_eq!(expected(5, &pieces), [10 * 60, 25 * 60]);
        assert_eq!(pieces[&2].len(), found[&2].len());
        if !sealed {
            while store.maintain(stamp(until), &keep(1200)).unwrap().more {}
        }
    };
    check(false);
    check(true);
}

#[test]
fn tiers_answer_steps_and_the_time_before_raw_samples() {
    let until = DAY;
    let (dir, mut store, truth) = record(until, 30_000);
    store.settle(stamp(until), &keep(8), &mut |_| {}).unwrap();
    let reader = Reader::open(dir.path()).unwrap();
    let forms = reader.info().unwrap().levels;
    let raw = forms.iter().find(|level| (level.tier, level.level) == (0, Some(1))).unwrap();
    assert!(raw.oldest > WallTime::from_millis(T0 + DAY / 2), "{raw:?}");
    // The last of each minute, under the minute's end, until raw samples begin.
    let found = &seen(&reader, &ask(RSS, (0, DAY / 2)))[&1];
    let last = |end: i64| *truth[&1].iter().rev().find(|(at, _)| *at <= end).unwrap();
    assert_eq!(found.len(), 721);
    let other = found.iter().find(|(at, value)| last(*at).1.to_bits() != value.to_bits());
    assert_eq!(other, None);
    let whole = &seen(&reader, &ask(RSS, (0, until)))[&1];
    assert!(whole.is_sorted_by(|a, b| a.0 < b.0));
    assert!(whole.len() > 720 + 2 * 480, "both tiers and raw: {}", whole.len());
    // One in an hour, from buckets, is what PromQL would see at those moments.
    let step = Some(Duration::from_hours(1));
    let hours = &seen(&reader, &Selection { step, ..ask(RSS, (0, until - 1)) })[&1];
    assert_eq!(hours.len(), 25, "the first moment is a step by itself");
    for (at, value) in hours {
        assert_eq!(last(*at).1.to_bits(), value.to_bits());
    }
}

#[test]
fn counters_out_of_buckets_never_fall() {
    let until = DAY;
    let (dir, mut store, _) = record(until, 30_000);
    let selection = Selection {
        matchers: vec![Matcher::is(NAME, CPU), Matcher::is("pid", "3")],
        ..ask(CPU, (0, until))
    };
    let increase = |points: &[(i64, f64)]| {
        let steps = points.windows(2);
        steps
            .map(|two| if two[1].1 < two[0].1 { two[1].1 } else { two[1].1 - two[0].1 })
            .sum::<f64>()
    };
    let raw = seen(&Reader::open(dir.path()).unwrap(), &selection)[&3].clone();
    assert!(!raw.is_sorted_by(|a, b| a.1 <= b.1));
    store.settle(stamp(until), &keep(8), &mut |_| {}).unwrap();
    let reader = Reader::open(dir.path()).unwrap();
    let metrics = reader.metrics(&[Matcher::is(NAME, CPU)]).unwrap();
    assert!(metrics.iter().all(|(_, metric)| metric.counter), "{:?}", MetricKind::Counter);
    for step in [None, Some(Duration::from_mins(1)), Some(Duration::from_hours(3))] {
        let found = &seen(&reader, &Selection { step, ..selection.clone() })[&3];
        assert!(found.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1), "step {step:?}");
        let (all, told) = (increase(&raw), increase(found));
        assert!((all - told).abs() / all < 0.05, "step {step:?}: {told} of {all}");
    }
    let mut pieces = vec![];
    for piece in reader.stream(&selection, Bytes::new(1)).unwrap() {
        pieces.extend(piece.unwrap().points.iter().map(|p| (p.at.millis(), p.value)));
    }
    assert_eq!(pieces, seen(&reader, &selection)[&3], "what was lost is carried on");
}

#[test]
fn the_latest_are_those_of_the_newest_reading() {
    let until = DAY;
    let (dir, mut store, truth) = record(until, 5 * MINUTE);
    let expected: Vec<(u32, (i64, f64))> = truth
        .iter()
        .filter(|(pid, _)| lives(**pid, until - 5 * MINUTE))
        .map(|(pid, points)| (*pid, *points.last().unwrap()))
        .collect();
    let check = |at: Option<i64>| {
        let reader = Reader::open(dir.path()).unwrap();
        let at = at.map(|ms| WallTime::from_millis(T0 + ms));
        let latest = reader.latest(&[Matcher::is(NAME, RSS)], at).unwrap();
        let mut latest: Vec<_> = latest
            .iter()
            .map(|(labels, point)| {
                let pid: u32 = labels.get("pid").parse().unwrap();
                (pid, (point.at.millis(), point.value))
            })
            .collect();
        latest.sort_by_key(|(pid, _)| *pid);
        latest
    };
    assert_eq!(check(None), expected);
    assert_eq!(check(Some(until - MINUTE)), expected);
    assert_eq!(check(Some(until + 3 * MINUTE)), []);
    store.settle(stamp(until), &keep(1200), &mut |_| {}).unwrap();
    assert_eq!(check(None), expected);
    assert_eq!(check(Some(until - MINUTE)), expected);
    // In the past, one that ended is not there any more.
    let then = 12 * 3_600_000;
    let alive: Vec<u32> = (1..12).filter(|pid| lives(*pid, then)).collect();
    assert_eq!(check(Some(then)).iter().map(|(pid, _)| *pid).collect::<Vec<_>>(), alive);
}

#[test]
fn extremes_are_those_of_the_samples() {
    let until = DAY + 5 * 3_600_000;
    let (dir, mut store, truth) = record(until, 5 * MINUTE);
    let bounds = [Bound::Above(1490.0 * 4096.0), Bound::Below(1003.0 * 4096.0), Bound::Above(1e12)];
    let ranges = [(0, until), (100, 3_600_000), (DAY / 2 + 7, DAY + 99), (until, 2 * until)];
    let check = || {
        let reader = Reader::open(dir.path()).unwrap();
        for (range, bound) in ranges.into_iter().flat_map(|r| bounds.map(|b| (r, b))) {
            let found = reader.extremes(&ask(RSS, range), bound).unwrap();
            let mut found: Vec<(u32, f64, f64)> = found
                .iter()
                .map(|one| (one.labels.get("pid").parse().unwrap(), one.min, one.max))
                .collect();
            found.sort_by_key(|one| one.0);
            let all = within(&truth, range).into_iter().map(|(pid, points)| {
                let values = points.iter().map(|(_, value)| *value);
                (pid, values.clone().fold(f64::NAN, f64::min), values.fold(f64::NAN, f64::max))
            });
            let passed = all.filter(|(_, min, max)| match bound {
                Bound::Above(bound) => *max > bound,
                Bound::Below(bound) => *min < bound,
            });
            assert_eq!(found, passed.collect::<Vec<_>>(), "{range:?} {bound:?}");
        }
    };
    check();
    while store.maintain(stamp(until), &keep(1200)).unwrap().more {}
    check();
}

#[test]
fn too_much_at_once_is_refused_with_the_way_out() {
    let (dir, _store, _) = record(DAY / 2, 5 * MINUTE);
    let reader = Reader::open(dir.path()).unwrap();
    let not = Matcher { name: "pid".into(), want: Want::IsNot("1".into()) };
    let all = Selection { matchers: vec![not], ..ask(RSS, (0, DAY)) };
    assert!(reader.select(&all).unwrap_err().to_string().contains("name a metric"));
    let reaches = reader.reaches(T0, T0 + DAY).unwrap();
    let metrics = reader.metrics(&[Matcher::is(NAME, RSS)]).unwrap();
    let (group, metric) = metrics.into_iter().next().unwrap();
    let wanted = reader.wanted_within(group, vec![metric], &[], &reaches).unwrap();
    let way = super::Way::of(&ask(RSS, (0, DAY)), 100);
    let error = reader.gather(&wanted, &reaches, way).unwrap_err();
    assert!(error.to_string().contains("give a step"), "{error}");
}
