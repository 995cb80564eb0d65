//! The recorder by itself, with the clocks in the test's hands.

use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};

use highwater_core::frame::MachineSample;
use highwater_core::series::{Matcher, NAME, Selection, SeriesSource};
use highwater_core::time::WallTime;
use highwater_linux::facts::HostFacts;
use highwater_linux::root::Root;
use highwater_store::Reader;

use super::*;
use crate::config::Config;
use crate::place::Place;
use crate::plan;

const BOOT: &str = "0af46ef7-3b9c-4f0c-8f0e-6f6f0e1f5b11";

const TEN_DAYS: Duration = Duration::from_hours(240);

/// A recorder that keeps everything for an hour, and where its frames go.
fn recorder(dir: &Path, now: Stamp) -> (Recorder, Receiver<Box<Frame>>) {
    let mut config = Config::default();
    let hour = Duration::from_hours(1);
    let store = &mut config.store;
    (store.keep, store.keep_minutes, store.keep_ten_minutes) = (hour, hour, hour);
    store.free_floor = Bytes::ZERO;
    let place = Place::claim(dir).unwrap();
    let (board, terms) = (Arc::new(Board::default()), plan::terms(&config, dir));
    let (boot, shown) = (BOOT.parse().unwrap(), Arc::clone(&board));
    let keeper = Keeper::open(dir.to_owned(), boot, shown, terms.keep, now).unwrap();
    let root = Root::live();
    let (used, back) = sync_channel(1);
    let recorder = Recorder {
        keeper,
        board,
        census: Census::default(),
        policy: Policy::new(terms.bounds, 100),
        thrift: Thrift::default(),
        mirror: Mirror::new(&root, &HostFacts::read(&root)),
        candidates: Candidates::default(),
        used,
        ticks_per_second: 100,
        herald: Herald::new(now, String::new()),
        notice: place.notice().unwrap(),
        coroner: Coroner::default(),
        directory: Arc::default(),
        boot,
        past: Past::default(),
        terms,
    };
    (recorder, back)
}

/// Ten minutes of whole readings from `now` on, and all chores that come up; when they end.
fn ten_minutes(recorder: &mut Recorder, mut now: Stamp) -> Stamp {
    for _ in 0..120 {
        let mut frame = Box::new(Frame { stamp: now, ..Frame::default() });
        let machine = frame.machine.insert(MachineSample::default());
        machine.mem.mem_total = Some(Bytes::from_mib(512));
        recorder.frame(frame);
        for _ in 0..CHORES {
            if !recorder.keeper.chores(now) {
                break;
            }
        }
        now = after(now, Duration::from_secs(5));
    }
    now
}

fn after(now: Stamp, span: Duration) -> Stamp {
    let us = u64::try_from(span.as_micros()).unwrap();
    let boot = BootTime::from_micros(now.boot.micros() + us);
    Stamp { wall: now.wall.after(span), boot }
}

fn begin() -> Stamp {
    Stamp {
        wall: WallTime::from_millis(1_714_207_632_250),
        boot: BootTime::from_micros(100_000_000),
    }
}

/// How many readings are on disk.
fn stored(dir: &Path) -> usize {
    let matchers = vec![Matcher::is(NAME, "node_memory_MemTotal_bytes")];
    let (from, to) = (WallTime::from_millis(0), WallTime::from_millis(i64::MAX));
    let all = Selection { matchers, from, to, step: None, ends: false };
    let found = Reader::open(dir).unwrap().select(&all).unwrap();
    found.iter().map(|series| series.points.len()).sum()
}

#[test]
fn a_clock_that_is_set_ten_days_ahead_and_back_neither_forgets_nor_stops() {
    let dir = tempfile::tempdir().unwrap();
    let (mut recorder, _back) = recorder(dir.path(), begin());
    let now = ten_minutes(&mut recorder, begin());
    let ahead = Stamp { wall: now.wall.after(TEN_DAYS), ..now };
    let now = ten_minutes(&mut recorder, ahead);
    assert_eq!(stored(dir.path()), 240, "nothing is forgotten by a clock that is ahead");
    let back = Stamp { wall: now.wall.before(TEN_DAYS), ..now };
    ten_minutes(&mut recorder, back);
    assert!(recorder.board.is_complete());
    assert_eq!(stored(dir.path()), 360);
}

#[test]
fn ten_days_that_did_pass_are_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let (mut recorder, _back) = recorder(dir.path(), begin());
    let now = ten_minutes(&mut recorder, begin());
    ten_minutes(&mut recorder, after(now, TEN_DAYS));
    assert!(stored(dir.path()) <= 120);
}
