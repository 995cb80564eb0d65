//! Foreign, newer and damaged files.

use std::fs;

use highwater_store::{EventFilter, FILE_NAME, Reader, SCHEMA_VERSION, Store, StoreError};
use rusqlite::Connection;
use tempfile::tempdir;

use crate::frames::{boot, frame, points, select};

const USAGE: &str = "container_memory_usage_bytes";

#[test]
fn a_newer_history_is_refused_with_the_way_out() {
    let dir = tempdir().unwrap();
    drop(Store::open(dir.path()).unwrap());
    let db = Connection::open(dir.path().join(FILE_NAME)).unwrap();
    db.pragma_update(None, "user_version", SCHEMA_VERSION + 1).unwrap();
    drop(db);
    let errors = [Store::open(dir.path()).unwrap_err(), Reader::open(dir.path()).unwrap_err()];
    for error in errors {
        let StoreError::Newer { found, known, .. } = &error else { panic!("{error}") };
        assert_eq!((*found, *known), (SCHEMA_VERSION + 1, SCHEMA_VERSION));
        assert!(error.to_string().contains("use the newer highwater"), "{error}");
    }
}

#[test]
fn garbage_is_not_a_history_and_is_left_alone() {
    let dir = tempdir().unwrap();
    let file = dir.path().join(FILE_NAME);
    fs::write(&file, "this is a shopping list, ".repeat(500)).unwrap();
    let before = fs::read(&file).unwrap();
    let errors = [Store::open(dir.path()).unwrap_err(), Reader::open(dir.path()).unwrap_err()];
    for error in errors {
        assert!(matches!(error, StoreError::NotADatabase { .. }), "{error:?}");
        assert!(error.to_string().contains("move it aside"), "{error}");
    }
    assert_eq!(fs::read(&file).unwrap(), before);
}

#[test]
fn another_programs_database_is_left_alone() {
    let dir = tempdir().unwrap();
    let db = Connection::open(dir.path().join(FILE_NAME)).unwrap();
    db.execute_batch("CREATE TABLE recipe (name TEXT)").unwrap();
    let error = Store::open(dir.path()).unwrap_err();
    assert!(matches!(error, StoreError::Foreign { .. }), "{error}");
}

#[test]
fn an_empty_file_becomes_a_history() {
    let dir = tempdir().unwrap();
    fs::write(dir.path().join(FILE_NAME), "").unwrap();
    assert!(matches!(Reader::open(dir.path()).unwrap_err(), StoreError::Empty { .. }));
    let mut store = Store::open(dir.path()).unwrap();
    store.append(&frame(0), boot()).unwrap();
    let db = Connection::open(store.path()).unwrap();
    let vacuum: i64 = db.pragma_query_value(None, "auto_vacuum", |row| row.get(0)).unwrap();
    let mode: String = db.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
    assert_eq!((vacuum, mode.as_str()), (2, "wal"));
}

#[test]
fn a_damaged_tick_costs_that_tick_only() {
    let dir = tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    for ms in [0, 1000, 2000, 3000] {
        store.append(&frame(ms), boot()).unwrap();
    }
    let db = Connection::open(store.path()).unwrap();
    let second = "SELECT at_ms FROM tick ORDER BY at_ms LIMIT 1 OFFSET 1";
    let blob: Vec<u8> = db
        .query_row(&format!("SELECT cgroup FROM tick WHERE at_ms = ({second})"), [], |r| r.get(0))
        .unwrap();
    for place in 0..blob.len() {
        let mut flipped = blob.clone();
        flipped[place] ^= 0x55;
        let update = format!("UPDATE tick SET cgroup = ?1 WHERE at_ms = ({second})");
        db.execute(&update, [&flipped]).unwrap();
        let reader = Reader::open(dir.path()).unwrap();
        let batch = select(&reader, USAGE, &[("id", "/batch")], (0, 3000), None);
        let moments: Vec<_> = points(&batch[0]).into_iter().map(|(ms, _)| ms).collect();
        assert_eq!(moments, [0, 2000, 3000], "byte {place}");
        let caveats = reader.caveats();
        assert!(caveats[0].contains("1 damaged tick"), "{caveats:?}");
        let process = select(&reader, "process_threads", &[("pid", "10")], (0, 3000), None);
        assert_eq!(points(&process[0]).len(), 4, "other groups of the tick are whole");
    }
}

#[test]
fn damaged_pages_are_an_error_and_not_a_panic() {
    let dir = tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    for ms in 0..50 {
        store.append(&frame(ms * 1000), boot()).unwrap();
    }
    drop(store);
    let file = dir.path().join(FILE_NAME);
    let mut bytes = fs::read(&file).unwrap();
    for page in bytes.chunks_mut(4096).skip(1) {
        page[..16].fill(0xff);
    }
    fs::write(&file, bytes).unwrap();
    match Reader::open(dir.path()) {
        Err(error) => assert!(error.to_string().contains(FILE_NAME), "{error}"),
        Ok(reader) => {
            let error = reader.events(&EventFilter::default()).unwrap_err();
            assert!(error.to_string().contains(FILE_NAME), "{error}");
        }
    }
}
