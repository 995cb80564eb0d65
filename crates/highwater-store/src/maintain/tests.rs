use highwater_core::frame::{Frame, MachineSample, MemInfo, ProcSample, SlowReadings};
use highwater_core::id::{Comm, Pid, ProcKey, StartTicks};
use highwater_core::series::{Matcher, NAME, Selection, Series, SeriesSource as _};
use highwater_core::time::{BootId, WallTime};
use tempfile::TempDir;

use super::*;
use crate::Reader;

/// Midnight of some day, so that days begin where the tests say.
const DAY_0: i64 = 20_000 * DAY_MS;

fn boot() -> BootId {
    "3b1f7a52-0c2e-4d68-9a1e-1f2e3d4c5b6a".parse().unwrap()
}

/// A moment so many milliseconds after the beginning of the first day.
fn stamp(ms: i64) -> Stamp {
    let boot = BootTime::from_micros(u64::try_from(ms).unwrap() * 1000 + 1_000_000);
    Stamp { wall: WallTime::from_millis(DAY_0 + ms), boot }
}

fn process(pid: u32, resident: u64) -> ProcSample {
    ProcSample {
        key: ProcKey { pid: Pid::new(pid), start: StartTicks::new(1) },
        comm: Comm::new(b"worker"),
        cgroup: None,
        parent: Pid::new(1),
        state: b'S',
        threads: 1,
        cpu_us: resident / 7,
        major_faults: 0,
        virtual_size: Bytes::new(1 << 30),
        resident: Bytes::new(resident),
        resident_shared: Bytes::ZERO,
        children: None,
        zombie_children: None,
        slow: SlowReadings::default(),
    }
}

/// Numbers that do not compress: a multiplicative walk through 32 bits.
fn noise(seed: i64) -> u64 {
    u64::try_from(seed).unwrap().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32
}

fn frame(ms: i64, pids: &[u32]) -> Frame {
    let mem = MemInfo { mem_free: Some(Bytes::new(noise(ms))), ..MemInfo::default() };
    Frame {
        stamp: stamp(ms),
        machine: Some(MachineSample { mem, ..MachineSample::default() }),
        processes: pids.iter().map(|pid| process(*pid, noise(ms + i64::from(*pid)))).collect(),
        ..Frame::default()
    }
}

/// Does all that is due.
fn catch_up(store: &mut Store, ms: i64, keep: &Keep) {
    while store.maintain(stamp(ms), keep).unwrap().more {}
}

fn count(dir: &TempDir, sql: &str) -> i64 {
    let db = Connection::open(schema::file_in(dir.path())).unwrap();
    db.query_row(sql, [], |row| row.get(0)).unwrap()
}

fn resident(dir: &TempDir, from: i64, to: i64) -> Vec<Series> {
    let at = |ms| WallTime::from_millis(DAY_0 + ms);
    let matchers = vec![Matcher::is(NAME, "process_resident_memory_bytes")];
    let asked = Selection { matchers, from: at(from), to: at(to), step: None, ends: false };
    Reader::open(dir.path()).unwrap().select(&asked).unwrap()
}

#[test]
fn ten_minutes_are_sealed_when_they_are_over_and_read_the_same() {
    let dir = TempDir::new().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let keep = Keep::default();
    for tick in 0..=120 {
        let pids: &[u32] = if tick < 60 { &[1, 2] } else { &[2, 3] };
        store.append(&frame(tick * 5_000, pids), boot()).unwrap();
        let before = resident(&dir, 0, DAY_MS);
        catch_up(&mut store, tick * 5_000, &keep);
        assert_eq!(resident(&dir, 0, DAY_MS), before);
    }
    assert_eq!(count(&dir, "SELECT count(*) FROM tick"), 120);
    store.append(&frame(121 * 5_000, &[2]), boot()).unwrap();
    let before = resident(&dir, 0, DAY_MS);
    catch_up(&mut store, 121 * 5_000, &keep);
    assert_eq!(count(&dir, "SELECT count(*) FROM tick"), 1, "the end of a window belongs to it");
    assert_eq!(count(&dir, "SELECT count(*) FROM batch WHERE state = 1 AND level = 0"), 2);
    assert_eq!(resident(&dir, 0, DAY_MS), before);
}

#[test]
fn a_day_that_is_over_becomes_chunks_and_buckets() {
    let dir = TempDir::new().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let keep = Keep::default();
    let mut at = DAY_MS - 3_600_000;
    while at <= DAY_MS + 1_200_000 {
        store.append(&frame(at, &[1]), boot()).unwrap();
        let before = resident(&dir, 0, 2 * DAY_MS);
        catch_up(&mut store, at, &keep);
        assert_eq!(resident(&dir, 0, 2 * DAY_MS), before, "at {at}");
        at += 15_000;
    }
    let of = |tier: i64, group: &str| {
        let sql = "SELECT count(*) FROM batch WHERE level = 1 AND state = 1";
        count(&dir, &format!("{sql} AND tier = {tier} AND grp = '{group}'"))
    };
    assert_eq!((of(0, "process"), of(60, "process"), of(600, "process")), (1, 1, 0));
    assert_eq!((of(0, "machine"), of(60, "machine"), of(600, "machine")), (1, 1, 1));
    let points = "SELECT points FROM batch WHERE tier = 60 AND grp = 'machine'";
    assert_eq!(count(&dir, points), 61, "an hour, and the moment that ends the minute before");
    assert_eq!(count(&dir, "SELECT count(*) FROM batch WHERE state != 1"), 0);
}

#[test]
fn a_job_that_a_crash_cut_short_leaves_nothing_behind() {
    let dir = TempDir::new().unwrap();
    let keep = Keep::default();
    let mut store = Store::open(dir.path()).unwrap();
    for tick in 0..=125 {
        store.append(&frame(tick * 5_000, &[1, 2]), boot()).unwrap();
    }
    let before = resident(&dir, 0, DAY_MS);
    for _ in 0..3 {
        store.maintain(stamp(630_000), &keep).unwrap();
    }
    assert!(count(&dir, "SELECT count(*) FROM batch WHERE state = 0") > 0);
    drop(store);
    let mut store = Store::open(dir.path()).unwrap();
    assert_eq!(resident(&dir, 0, DAY_MS), before);
    catch_up(&mut store, 630_000, &keep);
    assert_eq!(count(&dir, "SELECT count(*) FROM batch WHERE state != 1"), 0);
    assert_eq!(
        count(&dir, "SELECT count(*) FROM sheet WHERE batch NOT IN (SELECT id FROM batch)"),
        0
    );
    assert_eq!(resident(&dir, 0, DAY_MS), before);
}

#[test]
fn the_budget_holds_the_oldest_go_first_and_so_do_entities() {
    let dir = TempDir::new().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let keep = Keep { budget: Bytes::from_mib(4), free_floor: Bytes::ZERO, ..Keep::default() };
    let (mut early, mut worst) = (0, 0);
    for tick in 1..=3_000 {
        let ms = tick * 15_000;
        let first = u32::try_from(tick / 200).unwrap() * 100;
        let pids: Vec<u32> = (first + 1..=first + 100).collect();
        store.append(&frame(ms, &pids), boot()).unwrap();
        loop {
            let done = store.maintain(stamp(ms), &keep).unwrap();
            early += usize::from(done.early);
            if !done.more {
                break;
            }
        }
        let size = store.size().unwrap();
        worst = worst.max(size.database.get() + size.wal.get());
    }
    assert!(early > 0, "there was more than fits");
    assert!(worst <= keep.budget.get(), "{worst} bytes");
    let oldest = count(&dir, "SELECT min(first_ms) FROM batch WHERE tier = 0 AND state = 1");
    assert!(oldest > DAY_0 + 3_600_000, "the oldest went first");
    assert!(count(&dir, "SELECT count(*) FROM entity WHERE grp = 'process'") < 1_500);
    let newest = resident(&dir, 3_000 * 15_000 - 600_000, 3_000 * 15_000);
    assert_eq!(newest.len() % 100, 0, "the newest stay");
}

#[test]
fn a_floor_of_free_space_never_takes_the_last() {
    let dir = TempDir::new().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    // No disk has as much free.
    let keep = Keep { free_floor: Bytes::new(1 << 60), ..Keep::default() };
    for tick in 0..600 {
        store.append(&frame(tick * 5_000, &[1, 2]), boot()).unwrap();
        catch_up(&mut store, tick * 5_000, &keep);
    }
    assert_eq!(resident(&dir, 0, DAY_MS)[0].points.len(), 600);
}
