//! After a crash, beside a running recorder, and with fewer rights than it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use highwater_store::{EventFilter, Reader, Store};
use tempfile::{TempDir, tempdir};

use crate::frames::{boot, copy, death, frame, points, select};

const USAGE: &str = "container_memory_usage_bytes";

fn record(dir: &Path) -> Store {
    let mut store = Store::open(dir).unwrap();
    for ms in [0, 5000] {
        store.append(&frame(ms), boot()).unwrap();
    }
    store.record(&[death("kmsg:1", 6000, 7)], None).unwrap();
    store
}

fn count(reader: &Reader) -> usize {
    let series = select(reader, USAGE, &[("id", "/batch")], (0, 9000), None);
    series.first().map_or(0, |series| points(series).len())
}

#[test]
fn a_reader_sees_what_a_running_recorder_just_wrote() {
    let dir = tempdir().unwrap();
    let mut store = record(dir.path());
    let reader = Reader::open(dir.path()).unwrap();
    assert_eq!(count(&reader), 2);
    store.append(&frame(7000), boot()).unwrap();
    assert_eq!(count(&reader), 3);
}

#[test]
fn a_crash_leaves_every_tick_and_event() {
    let (dir, left) = (tempdir().unwrap(), tempdir().unwrap());
    let store = record(dir.path());
    copy(dir.path(), left.path());
    drop(store);
    // The lock file is gone too, as after a reboot on a file system that lost it.
    fs::remove_file(left.path().join("highwater.db-shm")).unwrap();
    let reader = Reader::open(left.path()).unwrap();
    assert_eq!(count(&reader), 2);
    assert_eq!(reader.events(&EventFilter::default()).unwrap().len(), 1);
    assert!(reader.caveats().is_empty(), "{:?}", reader.caveats());
    drop(reader);
    let mut again = Store::open(left.path()).unwrap();
    again.append(&frame(8000), boot()).unwrap();
    assert_eq!(count(&Reader::open(left.path()).unwrap()), 3);
}

#[test]
fn a_log_that_was_cut_short_costs_only_its_end() {
    let (dir, left) = (tempdir().unwrap(), tempdir().unwrap());
    let log = |dir: &Path| dir.join("highwater.db-wal");
    let mut store = Store::open(dir.path()).unwrap();
    for ms in [0, 5000] {
        store.append(&frame(ms), boot()).unwrap();
    }
    let before = fs::read(log(dir.path())).unwrap();
    store.record(&[death("kmsg:1", 6000, 7)], None).unwrap();
    copy(dir.path(), left.path());
    let whole = fs::read(log(left.path())).unwrap();
    let same = before.iter().zip(&whole).take_while(|(a, b)| a == b).count();
    assert!(same + 100 < whole.len(), "the event is at the end of the log");
    fs::write(log(left.path()), &whole[..same + 100]).unwrap();
    fs::remove_file(left.path().join("highwater.db-shm")).unwrap();
    let reader = Reader::open(left.path()).unwrap();
    assert_eq!(count(&reader), 2, "the event was written last");
    assert_eq!(reader.events(&EventFilter::default()).unwrap().len(), 0);
}

#[test]
fn no_history_and_no_permission_say_so() {
    let dir = tempdir().unwrap();
    let missing = Reader::open(dir.path()).unwrap_err().to_string();
    assert!(
        missing.contains("no recording at") && missing.contains("highwater agent"),
        "{missing}"
    );
}

/// In a directory that the reading user may not write, under one of these conditions.
const AS_STRANGER: &str = "HIGHWATER_TEST_READ_AS_STRANGER";

/// Not a test by itself: the next one runs this very binary again as another user.
#[test]
fn strangers_part() {
    let Some(dir) = std::env::var_os(AS_STRANGER) else { return };
    let reader = Reader::open(Path::new(&dir)).unwrap();
    let count = count(&reader);
    eprintln!("read {count} ticks; caveats: {}", reader.caveats().join("; "));
}

/// A directory that everybody may read.
fn open_dir() -> TempDir {
    let mode = Permissions::from_mode(0o755);
    tempfile::Builder::new().permissions(mode).tempdir().unwrap()
}

/// What [`strangers_part`] says about `dir`, run as `nobody`.
fn as_stranger(dir: &Path) -> String {
    // A copy, because the build's directory may be closed to other users.
    let open = open_dir();
    let program = open.path().join("it");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let output = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"])
        .arg(&program)
        .args(["--exact", "crash::strangers_part", "--nocapture"])
        .env(AS_STRANGER, dir)
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn another_user_reads_without_writing() {
    let able = rustix::process::geteuid().is_root()
        && Command::new("setpriv").arg("--version").output().is_ok_and(|out| out.status.success());
    if !able {
        eprintln!("skipped: needs root, to become another user with setpriv");
        return;
    }
    let dir = open_dir();
    // Beside a running recorder: nothing is missing.
    let store = record(dir.path());
    let said = as_stranger(dir.path());
    assert!(said.contains("read 2 ticks; caveats: \n"), "{said}");
    // After a crash that left its log, but not the lock file: the log cannot be read.
    let left = open_dir();
    copy(dir.path(), left.path());
    fs::remove_file(left.path().join("highwater.db-shm")).unwrap();
    let said = as_stranger(left.path());
    assert!(said.contains("the newest records,") && said.contains("could not be read"), "{said}");
    // After a clean end: everything, without locks.
    drop(store);
    let said = as_stranger(dir.path());
    assert!(said.contains("read 2 ticks; caveats: ") && said.contains("without locks"), "{said}");
}
