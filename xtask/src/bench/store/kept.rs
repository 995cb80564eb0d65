//! Which processes have series of their own: what a recording that has them all would have kept
//! under the rules that agents go by unless told otherwise (`docs/manual/config.md`).

use std::collections::HashMap;
use std::time::Duration;

use highwater_core::frame::{Frame, ProcSample, Scope};
use highwater_core::id::ProcKey;
use highwater_core::time::BootTime;
use highwater_core::units::Bytes;

const LARGE: Bytes = Bytes::from_mib(16);
const HUGE: Bytes = Bytes::from_mib(128);
const GROWN: Bytes = Bytes::from_mib(4);
const OLD: Duration = Duration::from_hours(1);
const SETTLED: Duration = Duration::from_mins(1);
/// As many may come in a minute, and ten minutes' worth at once.
const NEW_A_MINUTE: f64 = 20.0;
const BURST: f64 = 200.0;
/// What was there at the start may all be kept.
const AT_START: f64 = 2000.0;
const TICK_US: u64 = 10_000;

/// The processes of the present.
#[derive(Clone)]
pub(super) struct Kept {
    known: HashMap<ProcKey, Known>,
    credit: f64,
    at: BootTime,
}

#[derive(Clone, Copy)]
struct Known {
    kept: bool,
    /// What it had when it had settled.
    settled: Option<Bytes>,
    seen: BootTime,
}

impl Kept {
    pub(super) fn new() -> Self {
        Self { known: HashMap::new(), credit: AT_START, at: BootTime::default() }
    }

    /// Leaves those in a reading of everything that are kept. Close-ups were chosen by the agent.
    pub(super) fn choose(&mut self, frame: &mut Frame) {
        let now = frame.stamp.boot;
        if frame.scope == Scope::CloseUp || frame.machine.is_none() {
            return;
        }
        let minutes = now.since(self.at).as_secs_f64() / 60.0;
        if self.at > BootTime::default() {
            self.credit = (self.credit + minutes * NEW_A_MINUTE).min(self.credit.max(BURST));
        }
        self.at = now;
        frame.processes.retain(|process| self.keeps(process, now));
        self.known.retain(|_, known| known.seen == now);
    }

    fn keeps(&mut self, process: &ProcSample, now: BootTime) -> bool {
        let started = BootTime::from_micros(process.key.start.get().saturating_mul(TICK_US));
        let age = now.since(started);
        let blank = Known { kept: false, settled: None, seen: now };
        let known = self.known.entry(process.key).or_insert(blank);
        known.seen = now;
        let held = process.resident_anon();
        if age >= SETTLED {
            known.settled.get_or_insert(held);
        }
        let grown = known.settled.is_some_and(|settled| held.saturating_sub(settled) >= GROWN);
        let huge = process.resident >= HUGE;
        let wanted = huge || grown || process.resident >= LARGE || age >= OLD;
        if !known.kept && wanted && (huge || self.credit >= 1.0) {
            known.kept = true;
            self.credit = (self.credit - 1.0).max(0.0);
        }
        known.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use highwater_core::frame::MachineSample;
    use highwater_core::id::{Pid, StartTicks};
    use highwater_store::Facts;

    use super::super::frames::process;

    #[test]
    fn the_small_and_young_are_left_out_until_they_are_old() {
        let mut small = process(&Facts::default());
        small.key = ProcKey { pid: Pid::new(7), start: StartTicks::new(100) };
        let mut large = small.clone();
        large.key.pid = Pid::new(8);
        large.resident = Bytes::from_mib(17);
        let mut kept = Kept::new();
        let mut left = |seconds: u64| {
            let mut frame = Frame {
                machine: Some(MachineSample::default()),
                processes: vec![small.clone(), large.clone()],
                ..Frame::default()
            };
            frame.stamp.boot = BootTime::from_micros(seconds * 1_000_000);
            kept.choose(&mut frame);
            frame.processes.iter().map(|process| process.key.pid.get()).collect::<Vec<_>>()
        };
        assert_eq!(left(5), [8]);
        assert_eq!(left(3_000), [8]);
        assert_eq!(left(3_602), [7, 8]);
    }
}
