//! A history written by schema 1 stays readable. `HIGHWATER_BLESS=1` writes it anew, which is
//! right only together with a new version number and `docs/formats/store.md`.

use std::fs;
use std::path::{Path, PathBuf};

use highwater_store::{Cursor, EventFilter, FILE_NAME, Reader, Store};
use tempfile::tempdir;

use crate::frames::{at, boot, close_up, death, frame, points, select};

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/store/v1")
}

/// Writes the history that the test below expects.
fn write(dir: &Path) {
    let mut store = Store::open(dir).unwrap();
    for ms in [0, 5000, 10_000] {
        store.append(&frame(ms), boot()).unwrap();
    }
    store.append(&close_up(10_250), boot()).unwrap();
    let cursor = Cursor { name: "kmsg".into(), boot_id: boot(), seq: 77 };
    store.record(&[death("kmsg:77", 10_400, 20)], Some(&cursor)).unwrap();
}

/// What the history must say.
fn check(dir: &Path) {
    let reader = Reader::open(dir).unwrap();
    let info = reader.info().unwrap();
    assert_eq!((info.ticks, info.entities, info.events), (4, 6, 1));
    let rss = "process_resident_memory_bytes";
    let leaker = select(&reader, rss, &[("unit", "nginx.service")], (0, 20_000), None);
    let moments: Vec<_> = points(&leaker[0]).into_iter().map(|(ms, _)| ms).collect();
    assert_eq!(moments, [0, 5000, 10_000, 10_250]);
    assert!((leaker[0].points[3].value - 110.0 * 1_048_576.0).abs() < 0.5);
    let cpu = select(&reader, "process_cpu_seconds_total", &[("pid", "10")], (0, 0), None);
    assert!((cpu[0].points[0].value - 1.234_567).abs() < 1e-12);
    let fds = select(&reader, "process_max_fds", &[("pid", "10")], (0, 0), None);
    assert!(fds[0].points[0].value.is_infinite());
    let events = reader.events(&EventFilter::default()).unwrap();
    assert_eq!(events[0].event, death("kmsg:77", 10_400, 20));
    assert_eq!(reader.cursor("kmsg").unwrap().unwrap().seq, 77);
    assert_eq!(reader.last_tick().unwrap().unwrap().wall, at(10_250));
    assert!(reader.caveats().is_empty(), "{:?}", reader.caveats());
}

#[test]
fn a_history_of_schema_1_still_reads_and_takes_more() {
    if std::env::var_os("HIGHWATER_BLESS").is_some() {
        let fresh = tempdir().unwrap();
        write(fresh.path());
        fs::create_dir_all(golden()).unwrap();
        fs::copy(fresh.path().join(FILE_NAME), golden().join(FILE_NAME)).unwrap();
    }
    let copy = tempdir().unwrap();
    fs::copy(golden().join(FILE_NAME), copy.path().join(FILE_NAME)).unwrap();
    check(copy.path());
    let mut store = Store::open(copy.path()).unwrap();
    let appended = store.append(&frame(15_000), boot()).unwrap();
    assert_eq!(appended.at, at(15_000));
    let reader = Reader::open(copy.path()).unwrap();
    assert_eq!(reader.info().unwrap().entities, 6, "entities are recognised");
}

#[test]
fn this_version_writes_what_the_golden_file_says() {
    let fresh = tempdir().unwrap();
    write(fresh.path());
    check(fresh.path());
}
