//! Histories that earlier versions wrote stay readable: each version has one in `fixtures/store/vN`,
//! and what it says in `told.txt` beside it. `HIGHWATER_BLESS=1` writes the one of this version anew,
//! which is right only together with a new version number and `docs/formats/store.md`.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use highwater_core::series::Series;
use highwater_core::time::WallTime;
use highwater_store::{EventFilter, FILE_NAME, Reader, SCHEMA_VERSION, Store};
use tempfile::{TempDir, tempdir};

use crate::frames::{T0, boot, frame};
use crate::levels;

/// What a golden history may weigh: it is cloned by everybody, for good.
const MOST_BYTES: u64 = 256 * 1024;

fn golden(version: i64) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../fixtures/store/v{version}"))
}

/// A copy of the golden history of a version, to be read or migrated.
fn copy(version: i64) -> TempDir {
    let copy = tempdir().unwrap();
    fs::copy(golden(version).join(FILE_NAME), copy.path().join(FILE_NAME)).unwrap();
    copy
}

/// Everything that a history says, a line for each series.
fn told(dir: &Path) -> String {
    let reader = Reader::open(dir).unwrap();
    let mut told = String::new();
    let line = |told: &mut String, series: &Series| {
        let ms = |at: WallTime| at.millis() - T0;
        let (first, last) = (series.points.first().unwrap(), series.points.last().unwrap());
        let sum = series.points.iter().fold(0_u64, |sum, point| {
            sum.rotate_left(7) ^ point.value.to_bits() ^ ms(point.at).unsigned_abs()
        });
        let (from, to) = ((ms(first.at), first.value), (ms(last.at), last.value));
        let count = series.points.len();
        writeln!(told, "  {} {count} points {from:?} to {to:?} {sum:016x}", series.labels).unwrap();
    };
    for step in [None, Some(60), Some(600)] {
        writeln!(told, "by {step:?} s").unwrap();
        for metric in levels::METRICS {
            let all = levels::all(&reader, metric, step.map(Duration::from_secs));
            for series in &all {
                line(&mut told, series);
            }
        }
    }
    for kept in reader.events(&EventFilter::default()).unwrap() {
        writeln!(told, "{:?}", kept.event).unwrap();
    }
    writeln!(told, "{:?}", reader.boots().unwrap()).unwrap();
    writeln!(told, "{:?}", reader.cursor("kmsg").unwrap()).unwrap();
    writeln!(told, "caveats {:?}", reader.caveats()).unwrap();
    told
}

fn bless() -> bool {
    std::env::var_os("HIGHWATER_BLESS").is_some()
}

/// Writes the golden history of this version.
fn write_golden() {
    let (fresh, golden) = (tempdir().unwrap(), golden(SCHEMA_VERSION));
    levels::write(fresh.path());
    fs::create_dir_all(&golden).unwrap();
    // Room for what comes next is no use to anybody here.
    let db = rusqlite::Connection::open(fresh.path().join(FILE_NAME)).unwrap();
    let mut vacuum = db.prepare("PRAGMA incremental_vacuum").unwrap();
    let mut freed = vacuum.query([]).unwrap();
    while freed.next().unwrap().is_some() {}
    drop(freed);
    drop(vacuum);
    drop(db);
    fs::copy(fresh.path().join(FILE_NAME), golden.join(FILE_NAME)).unwrap();
}

#[test]
fn every_version_ever_written_reads_and_takes_more() {
    if bless() {
        write_golden();
    }
    for version in 1..=SCHEMA_VERSION {
        let kept = copy(version);
        assert!(fs::metadata(kept.path().join(FILE_NAME)).unwrap().len() < MOST_BYTES);
        let written: i64 = rusqlite::Connection::open(kept.path().join(FILE_NAME))
            .unwrap()
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .unwrap();
        assert_eq!(written, version, "the golden file is of the version that it is said to be");
        // The agent brings it up to date; from then on everybody reads it.
        drop(Store::open(kept.path()).unwrap());
        let (said, file) = (told(kept.path()), golden(version).join("told.txt"));
        // What an old version said is written once; only this version's file may change.
        if bless() && (version == SCHEMA_VERSION || !file.exists()) {
            fs::write(&file, &said).unwrap();
        }
        assert_eq!(said, fs::read_to_string(file).unwrap(), "version {version}");
        let mut store = Store::open(kept.path()).unwrap();
        let before = store_entities(kept.path());
        store.append(&frame(100 * levels::HOUR), boot()).unwrap();
        store
            .settle(crate::frames::stamp(101 * levels::HOUR), &levels::keep(), &mut |_| ())
            .unwrap();
        let after = Reader::open(kept.path()).unwrap();
        assert!(after.caveats().is_empty(), "{:?}", after.caveats());
        assert!(before > 0 && after.last_tick().unwrap().is_some());
    }
}

fn store_entities(dir: &Path) -> u64 {
    Reader::open(dir).unwrap().info().unwrap().entities
}

#[test]
fn the_versions_before_are_read_as_they_stand() {
    for version in [2, 3] {
        let kept = copy(version);
        let said = fs::read_to_string(golden(version).join("told.txt")).unwrap();
        assert_eq!(told(kept.path()), said, "version {version}");
    }
    let old = Reader::open(copy(1).path()).map(|_| ()).unwrap_err();
    assert!(old.to_string().contains("start the recorder once"), "{old}");
}

#[test]
fn what_is_gone_on_from_is_in_the_golden_file() {
    let kept = copy(SCHEMA_VERSION);
    let standing = Store::open(kept.path()).unwrap().standing().unwrap();
    let last = format!("{{\"at\":{}}}", levels::END);
    assert_eq!(standing, [("rules:test".to_owned(), last)]);
    let older = copy(3);
    assert_eq!(Store::open(older.path()).unwrap().standing().unwrap(), []);
}

#[test]
fn this_version_has_its_golden_file() {
    assert!(
        golden(SCHEMA_VERSION).join(FILE_NAME).exists(),
        "write it with HIGHWATER_BLESS=1, together with docs/formats/store.md"
    );
}

#[test]
fn this_version_writes_what_its_golden_file_says() {
    let fresh = tempdir().unwrap();
    levels::write(fresh.path());
    assert_eq!(
        told(fresh.path()),
        fs::read_to_string(golden(SCHEMA_VERSION).join("told.txt")).unwrap()
    );
}

#[test]
fn the_golden_file_has_every_level() {
    let kept = copy(SCHEMA_VERSION);
    let info = Reader::open(kept.path()).unwrap().info().unwrap();
    for (tier, level) in [(0, None), (0, Some(0)), (0, Some(1)), (60, Some(1)), (600, Some(1))] {
        for group in highwater_store::Group::ALL {
            if group == highwater_store::Group::Process && tier == 600 {
                continue;
            }
            let is =
                |l: &highwater_store::Level| (l.tier, l.level, l.group) == (tier, level, group);
            assert!(info.levels.iter().any(is), "no {group:?} in tier {tier}, level {level:?}");
        }
    }
    assert_eq!((info.boots, info.eras, info.events), (2, 4, 3));
}
