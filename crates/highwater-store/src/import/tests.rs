use std::collections::BTreeMap;
use std::path::Path;

use highwater_core::metric::MetricKind;
use highwater_core::series::STALE;
use highwater_core::series::{Labels, Matcher, NAME, Selection, Series, SeriesSource as _};
use highwater_core::time::WallTime;
use highwater_core::units::Bytes;
use proptest::prelude::*;

use super::*;
use crate::reader::Reader;
use crate::select::whole::Told;
use crate::store::Store;

/// Samples by metric, entity and moment.
type Model = BTreeMap<(u8, u8), BTreeMap<i64, f64>>;

const NAMES: [&str; 3] = ["container_memory_rss", "container_memory_failcnt", "made_up"];

fn labels(metric: u8, entity: u8) -> Labels {
    let id = format!("/docker/{entity}");
    let container = format!("c{entity}");
    Labels::new([(NAME, NAMES[usize::from(metric)]), ("id", &id), ("container", &container)])
}

fn import(dir: &Path, samples: &[(u8, u8, i64, f64)]) -> Imported {
    let mut import = Import::open(dir).unwrap();
    for (metric, entity, at, value) in samples {
        let kind = if *metric == 1 { MetricKind::Counter } else { MetricKind::Gauge };
        let id = import.series(&labels(*metric, *entity), kind, "").unwrap();
        import.push(id, WallTime::from_millis(*at), *value).unwrap();
    }
    import.finish(&mut |_| {}).unwrap()
}

fn ask(name: &str) -> Selection {
    Selection {
        matchers: vec![Matcher::is(NAME, name)],
        from: WallTime::from_millis(i64::MIN),
        to: WallTime::from_millis(i64::MAX),
        step: None,
        ends: false,
    }
}

/// What a history has, series by series.
fn all_of(reader: &Reader) -> Vec<Series> {
    let of = |name: &&str| reader.select(&ask(name)).unwrap();
    NAMES.iter().flat_map(of).collect()
}

fn of_model(model: &Model) -> Vec<Series> {
    let mut all: Vec<Series> = model
        .iter()
        .map(|((metric, entity), points)| Series {
            labels: labels(*metric, *entity),
            points: points
                .iter()
                .map(|(at, value)| highwater_core::series::Point {
                    at: WallTime::from_millis(*at),
                    value: *value,
                })
                .collect(),
        })
        .collect();
    let place = |series: &Series| NAMES.iter().position(|name| *name == series.labels.get(NAME));
    all.sort_by_key(|series| (place(series), series.labels.clone()));
    all
}

fn add(model: &mut Model, samples: &[(u8, u8, i64, f64)]) -> u64 {
    let mut new = 0;
    for (metric, entity, at, value) in samples {
        model.entry((*metric, *entity)).or_default().entry(*at).or_insert_with(|| {
            new += 1;
            *value
        });
    }
    new
}

/// A stretch of one series: from when on, every how many milliseconds, how often.
fn stretch() -> impl Strategy<Value = Vec<(u8, u8, i64, f64)>> {
    let from = prop_oneof![0..40 * WINDOW_MS, Just(WINDOW_MS - 60_000), Just(0_i64)];
    let step = prop_oneof![Just(60_000_i64), Just(300_000), 1..100_000_i64, Just(86_400_000)];
    (0..3_u8, 0..4_u8, from, step, 1..60_i64, prop::bool::ANY).prop_map(
        |(metric, entity, from, step, count, aligned)| {
            let from = if aligned { from / 60_000 * 60_000 } else { from };
            let value = |n: i64| f64::from(u8::try_from(n % 97).unwrap()) * 4096.0;
            (0..count).map(|n| (metric, entity, from + n * step, value(n + from % 89))).collect()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Any series in any order, in any number of files that overlap, each sample once.
    #[test]
    fn what_is_imported_is_read(
        files in prop::collection::vec(prop::collection::vec(stretch(), 1..8), 1..4),
        seed: u64,
        again in 0..4_usize,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut model = Model::new();
        let mut files: Vec<Vec<_>> = files.into_iter().map(|f| f.concat()).collect();
        for (nth, file) in files.iter_mut().enumerate() {
            if nth % 2 == 1 {
                file.sort_by_key(|(m, e, at, _)| {
                    (*at ^ i64::from(m * 4 + e)).wrapping_mul(seed.cast_signed() | 1)
                });
            }
        }
        for file in files.iter().chain(files.get(again)) {
            let known: usize = model.values().map(BTreeMap::len).sum();
            let new = add(&mut model, file);
            let done = import(dir.path(), file);
            prop_assert_eq!((done.new, done.samples), (new, u64::try_from(file.len()).unwrap()));
            prop_assert_eq!((done.left_out, done.damaged), (0, 0));
            let after: usize = model.values().map(BTreeMap::len).sum();
            prop_assert!(after >= known);
        }
        let reader = Reader::open(dir.path()).unwrap();
        prop_assert_eq!(all_of(&reader), of_model(&model));
        let checked = reader.check(&mut |_| {}).unwrap();
        prop_assert!(checked.is_whole(), "{checked:?}");
        prop_assert!(reader.is_imported());
        prop_assert_eq!(reader.boots().unwrap(), vec![]);
        steps_are_buckets(&reader, &model);
        let leftovers = reader.db.query_row(
            "SELECT (SELECT count(*) FROM batch WHERE state <> 1) + (SELECT count(*) FROM sheet
             WHERE batch NOT IN (SELECT id FROM batch))", [], |row| row.get::<_, i64>(0));
        prop_assert_eq!(leftovers.unwrap(), 0);
    }
}

/// By ten minutes a gauge has the last sample of each, at the bucket's end.
fn steps_are_buckets(reader: &Reader, model: &Model) {
    let mut asked = ask(NAMES[0]);
    asked.from = WallTime::from_millis(-600_000);
    asked.step = Some(std::time::Duration::from_mins(10));
    for series in reader.select(&asked).unwrap() {
        let entity = series.labels.get("container").trim_start_matches('c').parse().unwrap();
        let mut wanted: BTreeMap<i64, f64> = BTreeMap::new();
        for (at, value) in &model[&(0, entity)] {
            wanted.insert((at - 1).div_euclid(600_000) * 600_000 + 600_000, *value);
        }
        let found: BTreeMap<i64, f64> =
            series.points.iter().map(|point| (point.at.millis(), point.value)).collect();
        assert_eq!(found, wanted);
    }
}

#[test]
fn neither_way_round_are_recordings_and_imports_mixed() {
    let dir = tempfile::tempdir().unwrap();
    import(dir.path(), &[(0, 0, 1000, 1.0)]);
    let refused = Store::open(dir.path()).unwrap_err().to_string();
    assert!(refused.contains("imported") && refused.contains("--data-dir"), "{refused}");
    let dir = tempfile::tempdir().unwrap();
    drop(Store::open(dir.path()).unwrap());
    let refused = Import::open(dir.path()).unwrap_err().to_string();
    assert!(refused.contains("agent") && refused.contains("--data-dir"), "{refused}");
    assert!(!Reader::open(dir.path()).unwrap().is_imported());
}

#[test]
fn moments_of_another_unit_are_left_out_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let far =
        [(0, 0, -1, 1.0), (0, 0, LATEST_MS, 2.0), (0, 0, i64::MIN, 3.0), (0, 0, i64::MAX, 4.0)];
    assert_eq!(import(dir.path(), &far).left_out, 4);
    let done = import(dir.path(), &[(0, 0, 0, 5.0), (0, 0, LATEST_MS - 1, 6.0)]);
    assert_eq!((done.left_out, done.new), (0, 2));
    let reader = Reader::open(dir.path()).unwrap();
    let points: Vec<f64> = all_of(&reader)[0].points.iter().map(|point| point.value).collect();
    assert_eq!(points, [5.0, 6.0]);
}

#[test]
fn nothing_at_all_may_be_imported() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(import(dir.path(), &[]), Imported::default());
    assert_eq!(all_of(&Reader::open(dir.path()).unwrap()), []);
}

/// A process that was killed leaves a history that is read, and can be imported into again.
#[test]
fn an_import_that_was_cut_off_is_done_again() {
    let dir = tempfile::tempdir().unwrap();
    let before: Vec<_> = (0..500).map(|n| (0, 1, n * 60_000, 1.0)).collect();
    import(dir.path(), &before);
    // A window and a half.
    let more: Vec<_> = (1..=30_000).map(|n| (0, 2, n * 60_000, 2.0)).collect();
    // Cut off at any point of the log: each of its commits is one such state.
    let wal = schema::wal_of(&schema::file_in(dir.path()));
    let cut = tempfile::tempdir().unwrap();
    let mut import_again = Import::open(dir.path()).unwrap();
    for (metric, entity, at, value) in &more {
        let id = import_again.series(&labels(*metric, *entity), MetricKind::Gauge, "").unwrap();
        import_again.push(id, WallTime::from_millis(*at), *value).unwrap();
    }
    let mut states = 0;
    let mut look = |_: ImportProgress| {
        // The log stands as after `kill -9`.
        std::fs::copy(schema::file_in(dir.path()), schema::file_in(cut.path())).unwrap();
        std::fs::copy(&wal, schema::wal_of(&schema::file_in(cut.path()))).unwrap();
        let reader = Reader::open(cut.path()).unwrap();
        let counts: Vec<usize> = all_of(&reader).iter().map(|series| series.points.len()).collect();
        let whole_windows = [&[500][..], &[500, 21_600], &[500, 30_000]];
        assert!(whole_windows.contains(&counts.as_slice()), "{counts:?}");
        states += 1;
    };
    import_again.finish(&mut look).unwrap();
    assert!(states > 1, "{states}");
    let done = import(cut.path(), &more);
    assert_eq!(done.new, 8400, "the last state had the first window");
    let reader = Reader::open(cut.path()).unwrap();
    let counts: Vec<usize> = all_of(&reader).iter().map(|series| series.points.len()).collect();
    assert_eq!(counts, [500, 30_000]);
}

#[test]
fn series_come_one_by_one_in_order_and_with_the_marks_of_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let mut samples: Vec<_> =
        (0..300).map(|n| (0, u8::try_from(n % 60).unwrap(), 1000 + n * 60_000, 1.0)).collect();
    samples.extend([(2, 0, 1000, 5.0), (2, 0, 2000, STALE), (1, 0, 1000, 7.0)]);
    import(dir.path(), &samples);
    let reader = Reader::open(dir.path()).unwrap();
    let of = |choices: &[Vec<Matcher>]| {
        let (mut found, all) =
            (vec![], (WallTime::from_millis(0), WallTime::from_millis(i64::MAX)));
        let visit = &mut |told: Told<'_>, series: &Series| {
            let name = series.labels.get(NAME).to_owned();
            found.push((name, series.labels.to_string(), told.kind, series.points.len()));
            Ok::<(), StoreError>(())
        };
        reader.each_series(choices, all, Bytes::new(1), visit).unwrap();
        found
    };
    let all = of(&[]);
    assert_eq!(all.len(), 62);
    assert!(all.is_sorted_by(|a, b| (&a.0, &a.1) < (&b.0, &b.1)), "{all:?}");
    assert_eq!((all[0].2, all[0].3), (MetricKind::Counter, 1));
    assert_eq!((all[61].2, all[61].3), (MetricKind::Gauge, 2), "a mark is one of them");
    let name = Matcher::is(NAME, NAMES[0]);
    let some =
        of(&[vec![name, Matcher::is("container", "c7")], vec![Matcher::is(NAME, "made_up")]]);
    let names: Vec<&str> = some.iter().map(|one| one.0.as_str()).collect();
    assert_eq!(names, [NAMES[0], "made_up"]);
    // Whoever asks without ends is told of none.
    let made_up = reader.select(&ask("made_up")).unwrap();
    assert_eq!(made_up[0].points.len(), 1);
}
