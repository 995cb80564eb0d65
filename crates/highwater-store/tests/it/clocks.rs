//! Clocks that are set, machines that sleep, boots that tell the same time: nothing is refused,
//! nothing is there twice, and the order is that of recording.

use std::time::Duration;

use highwater_core::frame::Frame;
use highwater_core::time::{BootId, BootTime, Stamp};
use highwater_store::{Keep, Reader, Store};
use tempfile::{TempDir, tempdir};

use crate::frames::{at, boot, frame, other_boot, points, select};
use crate::levels::HOUR;

const RSS: &str = "process_resident_memory_bytes";
const DAY: i64 = 24 * HOUR;
const FOREVER: (i64, i64) = (-400 * DAY, 400 * DAY);

/// Longer than any clock is set.
fn keep() -> Keep {
    let raw = Duration::from_hours(24 * 400);
    Keep { raw, minute: raw, ..Keep::default() }
}

/// A machine with both clocks and a recorder.
struct Machine {
    dir: TempDir,
    store: Store,
    boot: BootId,
    boot_ms: i64,
    /// How far the wall clock is ahead of the boot clock.
    ahead_ms: i64,
    ticks: u64,
}

impl Machine {
    fn new() -> Self {
        let dir = tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        Self { dir, store, boot: boot(), boot_ms: 0, ahead_ms: 0, ticks: 0 }
    }

    fn now(&self) -> Stamp {
        let boot = BootTime::from_micros((1000 + self.boot_ms.unsigned_abs()) * 1000);
        Stamp { wall: at(self.boot_ms + self.ahead_ms), boot }
    }

    /// So many ticks, five seconds apart; the number of each is what the calm process has in MiB.
    fn tick(&mut self, count: u64) {
        for _ in 0..count {
            self.boot_ms += 5000;
            self.ticks += 1;
            let mut frame = Frame { stamp: self.now(), ..frame(0) };
            frame.processes.retain(|process| process.comm.to_string() == "calm");
            frame.processes[0].resident = highwater_core::units::Bytes::from_mib(self.ticks);
            self.store.append(&frame, self.boot).unwrap();
            let _more = self.store.maintain(self.now(), &keep()).unwrap();
        }
    }

    /// Moments and numbers of all ticks as they are shown; the same however they are kept.
    fn shown(&mut self) -> Vec<(i64, u64)> {
        let fresh = self.read();
        self.store.settle(self.now(), &keep(), &mut |_| ()).unwrap();
        assert_eq!(self.read(), fresh, "sealed and compacted as fresh");
        fresh
    }

    fn read(&self) -> Vec<(i64, u64)> {
        let reader = Reader::open(self.dir.path()).unwrap();
        let mut found = select(&reader, RSS, &[], FOREVER, None);
        assert!(reader.caveats().is_empty(), "{:?}", reader.caveats());
        let series = found.pop().unwrap();
        assert!(found.is_empty());
        let number =
            |mib: f64| (1..=self.ticks).find(|n| mib.to_bits() == mib_of(*n).to_bits()).unwrap();
        points(&series).into_iter().map(|(ms, mib)| (ms, number(mib))).collect()
    }
}

fn mib_of(number: u64) -> f64 {
    highwater_core::units::Bytes::from_mib(number).as_f64()
}

/// All ticks are shown, once each, in the order of recording.
fn in_order(shown: &[(i64, u64)], ticks: u64) {
    let numbers: Vec<u64> = shown.iter().map(|(_, number)| *number).collect();
    assert_eq!(numbers, (1..=ticks).collect::<Vec<_>>());
    assert!(shown.is_sorted_by(|a, b| a.0 < b.0), "{shown:?}");
}

#[test]
fn a_clock_set_forward_leaves_a_gap() {
    for step in [HOUR, 10 * DAY] {
        let mut machine = Machine::new();
        machine.tick(150);
        machine.ahead_ms += step;
        machine.tick(150);
        let shown = machine.shown();
        in_order(&shown, 300);
        assert_eq!(shown[0].0, 5000, "what was recorded before stays where it is");
        assert_eq!(shown[150].0 - shown[149].0, 5000 + step);
        assert_eq!(shown[299].0, 300 * 5000 + step);
    }
}

#[test]
fn a_clock_set_back_was_ahead() {
    for step in [HOUR, 10 * DAY] {
        let mut machine = Machine::new();
        machine.tick(150);
        machine.ahead_ms -= step;
        machine.tick(150);
        let shown = machine.shown();
        in_order(&shown, 300);
        assert_eq!(shown[299].0, 300 * 5000 - step, "the present is where the clock is now");
        // By the boot clock nothing happened: there is no gap.
        assert!(shown.windows(2).all(|pair| pair[1].0 - pair[0].0 == 5000));
    }
}

#[test]
fn ten_days_forward_by_mistake_and_back_again() {
    let mut machine = Machine::new();
    machine.tick(130);
    machine.ahead_ms += 10 * DAY;
    machine.tick(20);
    machine.ahead_ms -= 10 * DAY;
    machine.tick(130);
    let shown = machine.shown();
    in_order(&shown, 280);
    assert!(shown.windows(2).all(|pair| pair[1].0 - pair[0].0 == 5000), "as if nothing happened");
}

#[test]
fn a_leap_second_and_a_slewed_clock_hide_nothing() {
    let mut machine = Machine::new();
    for _ in 0..20 {
        machine.tick(10);
        machine.ahead_ms -= 1000;
        machine.tick(10);
        machine.ahead_ms += 40;
    }
    let shown = machine.shown();
    in_order(&shown, 400);
    assert_eq!(shown[399].0, machine.boot_ms + machine.ahead_ms - 40);
}

#[test]
fn a_suspend_is_a_gap_of_both_clocks() {
    let mut machine = Machine::new();
    machine.tick(100);
    machine.boot_ms += 9 * HOUR;
    machine.tick(100);
    let shown = machine.shown();
    in_order(&shown, 200);
    assert_eq!(shown[100].0 - shown[99].0, 9 * HOUR + 5000);
}

#[test]
fn of_two_boots_that_tell_the_same_time_the_later_is_shown() {
    let mut machine = Machine::new();
    machine.tick(200);
    // The machine boots with a clock that lags by ten minutes: 500 s of the first boot are told again.
    machine.boot = other_boot();
    (machine.boot_ms, machine.ahead_ms) = (0, 500_000);
    machine.tick(40);
    let shown = machine.shown();
    assert!(shown.is_sorted_by(|a, b| a.0 < b.0), "{shown:?}");
    let of_first: Vec<u64> = shown.iter().map(|(_, n)| *n).filter(|n| *n <= 200).collect();
    // The second boot tells 505 s to 700 s; ticks 101 to 140 of the first are of then.
    assert_eq!(of_first, (1..=100).chain(141..=200).collect::<Vec<_>>());
    assert_eq!(shown.iter().filter(|(_, n)| *n > 200).count(), 40);
}

#[test]
fn a_clock_that_stands_still_refuses_nothing() {
    let mut machine = Machine::new();
    machine.tick(1);
    for _ in 0..50 {
        // Ticks of one and the same millisecond.
        machine.boot_ms -= 5000;
        machine.tick(1);
    }
    let shown = machine.shown();
    in_order(&shown, 51);
    assert_eq!(shown[50].0 - shown[0].0, 50, "a millisecond each");
}

#[test]
fn a_clock_set_at_every_tick_keeps_the_order() {
    let mut machine = Machine::new();
    for n in 0..120_i64 {
        machine.ahead_ms =
            [0, HOUR, -HOUR, 3 * DAY, -10 * DAY, 1000][usize::try_from(n % 6).unwrap()];
        machine.tick(1);
    }
    let shown = machine.shown();
    in_order(&shown, 120);
}
