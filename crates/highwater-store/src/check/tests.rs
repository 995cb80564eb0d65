//! Histories with bytes flipped: what is found, and what is read all the same.

use std::fs;
use std::path::Path;

use highwater_core::series::{Matcher, NAME, Selection, SeriesSource};
use highwater_core::units::Bytes;
use rusqlite::Connection;
use tempfile::{TempDir, tempdir};

use crate::select::tests::{DAY, MINUTE, RSS, Truth, ask, keep, record, seen, stamp};
use crate::{EventFilter, FILE_NAME, Reader, Store};

/// A day and a half that is partly compacted, partly sealed, partly fresh; closed.
fn history() -> (TempDir, Truth) {
    let until = DAY + DAY / 2;
    let (dir, mut store, truth) = record(until, 5 * MINUTE);
    while store.maintain(stamp(until), &keep(1200)).unwrap().more {}
    (dir, truth)
}

#[test]
fn a_whole_history_is_found_whole() {
    let (dir, _) = history();
    let reader = Reader::open(dir.path()).unwrap();
    let mut said = vec![];
    let report = reader.check(&mut |progress| said.push(progress.doing)).unwrap();
    assert!(report.is_whole(), "{report:?}");
    assert!(report.rows > 50 && report.blocks > 20 && report.samples > 4000, "{report:?}");
    said.dedup();
    assert_eq!(
        said,
        ["pages", "boot", "era", "metric", "entity", "tick", "batch", "sheet", "event", "standing"]
    );
}

#[test]
fn damaged_rows_are_listed_with_what_is_lost() {
    let (dir, _) = history();
    let db = Connection::open(dir.path().join(FILE_NAME)).unwrap();
    db.execute_batch(
        "UPDATE entity SET facts = replace(facts, 'worker', 'wurker') WHERE id = 2;
         UPDATE metric SET kind = 'gauge' WHERE name = 'process_cpu_seconds_total';
         UPDATE era SET first_ms = first_ms + 1;
         DELETE FROM sheet WHERE id = (SELECT max(id) FROM sheet);
         UPDATE sheet SET body = zeroblob(length(body)) WHERE id =
           (SELECT sheet.id FROM sheet JOIN batch ON batch.id = batch
            WHERE level = 1 AND tier = 0 ORDER BY length(body) DESC LIMIT 1);",
    )
    .unwrap();
    drop(db);
    let reader = Reader::open(dir.path()).unwrap();
    let report = reader.check(&mut |_| {}).unwrap();
    let tables: Vec<_> = report.damaged.iter().map(|row| row.table).collect();
    for table in ["entity", "metric", "era", "batch", "sheet"] {
        assert!(tables.contains(&table), "{table}: {report:?}");
    }
    let sheet = report.damaged.iter().find(|row| row.table == "sheet").unwrap();
    assert!(sheet.lost.contains("series"), "{sheet:?}");
    assert!(sheet.what.contains("block") && sheet.when.is_some(), "{sheet:?}");
    // What is not hit is read, and what is missing is said.
    let found = reader.select(&ask(RSS, (0, 2 * DAY))).unwrap();
    assert!(!found.is_empty());
    let said = reader.caveats().join("\n");
    for word in ["sheets", "entity", "era"] {
        assert!(said.contains(&format!("damaged {word}")), "{said}");
    }
    let twice = reader.caveats();
    reader.select(&ask(RSS, (0, 2 * DAY))).unwrap();
    assert_eq!(reader.caveats(), twice, "each is counted once");
}

/// Everything that a damaged copy still tells is true; whether anything is missing.
fn is_hurt(dir: &Path, truth: &Truth, place: &str) -> bool {
    // The first page damaged: not to be recognised as a history, and said so.
    let Ok(reader) = Reader::open(dir) else { return false };
    let all = ask(RSS, (-DAY, 3 * DAY));
    let found = match reader.select(&all) {
        Ok(found) => found,
        Err(error) => panic!("{place}: {error}"),
    };
    let mut count = 0;
    for series in &found {
        let pid: u32 = series.labels.get("pid").parse().unwrap();
        let known = &truth[&pid];
        for point in &series.points {
            let told = (point.at.millis(), point.value);
            // Where the samples are gone, buckets tell of the last of each minute, by its end.
            let bucket = told.0 % MINUTE == 0
                && known.iter().any(|(at, value)| {
                    (told.0 - MINUTE..=told.0).contains(at) && value.to_bits() == told.1.to_bits()
                });
            assert!(known.contains(&told) || bucket, "{place}: {pid} {told:?}");
        }
        count += series.points.len();
    }
    let missing = count < truth.values().map(Vec::len).sum();
    let report = reader.check(&mut |_| {}).unwrap();
    let said = !reader.caveats().is_empty() || !report.is_whole();
    assert!(said || !missing, "{place}: samples are missing and nobody says so");
    drop(reader.events(&EventFilter::default()));
    drop(reader.latest(&[Matcher::is(NAME, RSS)], None).unwrap());
    let everything = Selection { matchers: vec![], ..all };
    for piece in reader.stream(&everything, Bytes::from_mib(8)).unwrap() {
        piece.unwrap();
    }
    missing
}

#[test]
fn no_flipped_byte_changes_a_value_or_silences_the_rest() {
    let (dir, truth) = history();
    // The log is moved into the file, and is gone.
    let db = Connection::open(dir.path().join(FILE_NAME)).unwrap();
    db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    drop(db);
    let whole = fs::read(dir.path().join(FILE_NAME)).unwrap();
    assert!(!is_hurt(dir.path(), &truth, "undamaged"));
    let mut dice = 0x2545_f491_4f6c_dd1d_u64;
    let mut hurt = 0;
    for round in 0..60 {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        let place =
            4096 + usize::try_from(dice % (u64::try_from(whole.len()).unwrap() - 4096)).unwrap();
        let copy = tempdir().unwrap();
        let mut bytes = whole.clone();
        bytes[place] ^= 1 << (round % 8);
        fs::write(copy.path().join(FILE_NAME), bytes).unwrap();
        hurt += usize::from(is_hurt(copy.path(), &truth, &format!("byte {place}, round {round}")));
    }
    assert!(hurt > 0, "some flips must have hit samples");
}

#[test]
fn the_rest_of_a_table_is_reached_behind_damaged_pages() {
    let (dir, _) = history();
    let db = Connection::open(dir.path().join(FILE_NAME)).unwrap();
    let count: i64 = db.query_row("SELECT count(*) FROM sheet", [], |row| row.get(0)).unwrap();
    let leaves: Vec<i64> = {
        let root = "SELECT rootpage FROM sqlite_schema WHERE name = 'sheet'";
        let root: i64 = db.query_row(root, [], |row| row.get(0)).unwrap();
        db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
        let bytes = fs::read(dir.path().join(FILE_NAME)).unwrap();
        let page = &bytes[usize::try_from(root - 1).unwrap() * 4096..][..4096];
        assert_eq!(page[0], 5, "the root points at leaves");
        let cells = usize::from(u16::from_be_bytes([page[3], page[4]]));
        let at = |cell: usize| {
            usize::from(u16::from_be_bytes([page[12 + 2 * cell], page[13 + 2 * cell]]))
        };
        (0..cells)
            .map(|cell| i64::from(u32::from_be_bytes(page[at(cell)..][..4].try_into().unwrap())))
            .collect()
    };
    drop(db);
    let mut bytes = fs::read(dir.path().join(FILE_NAME)).unwrap();
    let hit = usize::try_from(leaves[leaves.len() / 2] - 1).unwrap();
    bytes[hit * 4096..][..16].fill(0xff);
    fs::write(dir.path().join(FILE_NAME), bytes).unwrap();
    let db = Connection::open(dir.path().join(FILE_NAME)).unwrap();
    let (mut rows, mut holes) = (0, vec![]);
    crate::reader::walk(
        &db,
        "sheet",
        "id",
        |_| {
            rows += 1;
            Ok(())
        },
        |hole| holes.push(hole),
    )
    .unwrap();
    assert_eq!(holes.len(), 1, "{holes:?}");
    assert!(rows > count * 3 / 4 && rows < count, "{rows} of {count}");
}

#[test]
fn a_file_put_in_the_place_of_an_open_one_is_noticed() {
    let (dir, _) = history();
    let reader = Reader::open(dir.path()).unwrap();
    assert_eq!(seen(&reader, &ask(RSS, (0, DAY)))[&1].len(), 289);
    fs::rename(dir.path().join(FILE_NAME), dir.path().join("aside")).unwrap();
    drop(Store::open(dir.path()).unwrap());
    assert!(reader.is_replaced());
    assert!(reader.caveats()[0].contains("replaced"), "{:?}", reader.caveats());
    let anew = Reader::open(dir.path()).unwrap();
    assert!(anew.caveats().is_empty());
    assert_eq!(anew.info().unwrap().oldest, None);
}
