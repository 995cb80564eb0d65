//! Events: once each, and for good.

use std::path::Path;

use highwater_core::event::{Event, Happening};
use highwater_core::id::Pid;
use highwater_store::{Cursor, EventFilter, FILE_NAME, Reader, Store};
use tempfile::tempdir;

use crate::frames::{at, boot, copy, death, other_boot};

fn kmsg(seq: u64) -> Cursor {
    Cursor { name: "kmsg".into(), boot_id: boot(), seq }
}

fn started(ms: i64) -> Event {
    let what = Happening::Recorder { what: "started".into(), note: String::new() };
    Event { wall: at(ms), boot: None, boot_id: boot(), key: format!("recorder:{ms}"), what }
}

#[test]
fn an_event_is_stored_once_with_its_cursor() {
    let dir = tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    assert_eq!(store.cursor("kmsg").unwrap(), None);
    let two = [death("kmsg:1", 0, 7), death("kmsg:2", 10, 8)];
    assert_eq!(store.record(&two, Some(&kmsg(2))).unwrap(), [true, true]);
    let again = [death("kmsg:2", 10, 8), death("kmsg:3", 20, 9)];
    assert_eq!(store.record(&again, Some(&kmsg(3))).unwrap(), [false, true]);
    let elsewhere = Event { boot_id: other_boot(), ..death("kmsg:3", 30, 9) };
    assert_eq!(store.record(&[elsewhere], None).unwrap(), [true]);
    drop(store);

    let store = Store::open(dir.path()).unwrap();
    assert_eq!(store.cursor("kmsg").unwrap(), Some(kmsg(3)));
    let reader = Reader::open(dir.path()).unwrap();
    let events = reader.events(&EventFilter::default()).unwrap();
    assert_eq!(events.len(), 4);
    assert_eq!(events[0].event, two[0]);
    assert_eq!(reader.cursor("kmsg").unwrap(), Some(kmsg(3)));
}

#[test]
fn an_event_is_on_the_disk_when_the_call_returns() {
    let (dir, after_crash) = (tempdir().unwrap(), tempdir().unwrap());
    let mut store = Store::open(dir.path()).unwrap();
    store.record(&[death("kmsg:1", 0, 7)], Some(&kmsg(1))).unwrap();
    copy(dir.path(), after_crash.path());
    let store = Store::open(after_crash.path()).unwrap();
    assert_eq!(store.cursor("kmsg").unwrap(), Some(kmsg(1)));
    let events = Reader::open(after_crash.path()).unwrap().events(&EventFilter::default()).unwrap();
    assert_eq!(events.len(), 1);
}

#[test]
fn filters_narrow_and_a_limit_keeps_the_newest() {
    let dir = tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let all = [death("a", 0, 7), started(5), death("b", 10, 8), death("c", 20, 7)];
    store.record(&all, None).unwrap();
    let reader = Reader::open(dir.path()).unwrap();
    let keys = |filter| {
        let events = reader.events(&filter).unwrap();
        events.into_iter().map(|stored| stored.event.key).collect::<Vec<_>>()
    };
    let any = EventFilter::default;
    assert_eq!(keys(any()), ["a", "recorder:5", "b", "c"]);
    assert_eq!(keys(EventFilter { since: Some(at(10)), ..any() }), ["b", "c"]);
    assert_eq!(keys(EventFilter { until: Some(at(9)), ..any() }), ["a", "recorder:5"]);
    assert_eq!(keys(EventFilter { pid: Some(Pid::new(7)), ..any() }), ["a", "c"]);
    assert_eq!(keys(EventFilter { kind: Some("recorder"), ..any() }), ["recorder:5"]);
    assert_eq!(keys(EventFilter { kind: Some("death"), limit: Some(2), ..any() }), ["b", "c"]);
}

/// Turns the first event into one of a kind that this version does not know, checksum and all
/// (docs/formats/store.md).
fn eclipse(dir: &Path) {
    let db = rusqlite::Connection::open(dir.join(FILE_NAME)).unwrap();
    let body = r#"{"kind":"eclipse"}"#;
    let (at_ms, row, boot_us, pid, comm, cgroup): (i64, i64, i64, i64, String, String) = db
        .query_row(
            "SELECT at_ms, boot, boot_us, pid, comm, cgroup FROM event WHERE key = 'a'",
            [],
            |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?))
            },
        )
        .unwrap();
    let mut crc = crc32fast::Hasher::new();
    let int = |crc: &mut crc32fast::Hasher, number: i64| {
        crc.update(b"i");
        crc.update(&number.to_le_bytes());
    };
    let text = |crc: &mut crc32fast::Hasher, text: &str| {
        crc.update(b"b");
        crc.update(&u64::try_from(text.len()).unwrap().to_le_bytes());
        crc.update(text.as_bytes());
    };
    text(&mut crc, "event");
    for number in [at_ms, row, boot_us] {
        int(&mut crc, number);
    }
    for column in ["eclipse", "a"] {
        text(&mut crc, column);
    }
    int(&mut crc, pid);
    for column in [&comm, &cgroup, body] {
        text(&mut crc, column);
    }
    let crc = i64::from(crc.finalize());
    db.execute(
        "UPDATE event SET kind = 'eclipse', body = ?1, crc = ?2 WHERE key = 'a'",
        rusqlite::params![body, crc],
    )
    .unwrap();
}

#[test]
fn an_event_of_a_later_kind_is_a_caveat() {
    let dir = tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    store.record(&[death("a", 0, 7), death("b", 1, 7)], None).unwrap();
    drop(store);
    eclipse(dir.path());
    let reader = Reader::open(dir.path()).unwrap();
    assert_eq!(reader.events(&EventFilter::default()).unwrap().len(), 1);
    assert!(reader.caveats()[0].contains("1 events are of a kind"), "{:?}", reader.caveats());
}
