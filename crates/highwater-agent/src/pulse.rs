//! The pulse: decides when to look, and sends what was seen to the recorder.
//!
//! At rest the whole machine is read every few seconds. While a cgroup is near its limit, or the
//! kernel's pressure trigger fired, close-ups are taken in between.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, TrySendError};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use highwater_core::frame::Frame;
use highwater_core::time::{BootTime, Stamp};
use highwater_linux::psi::Trigger;
use highwater_linux::sampler::{Nearness, Sampler};
use rustix::event::{PollFd, PollFlags, poll};

use crate::board::Board;
use crate::clock;
use crate::feed::Feed;
use crate::recorder::Entry;
use crate::thrift::{SLOWER, Step};
use crate::watcher::timespec;

/// How often what is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rhythm {
    /// The whole machine.
    pub(crate) every: Duration,
    /// What is near a limit.
    pub(crate) close_up_every: Duration,
    /// What costs more to read: every so many readings of the whole machine.
    pub(crate) slow_every_ticks: u32,
    /// What is near a limit.
    pub(crate) nearness: Nearness,
}

impl Rhythm {
    /// The same with those parts rarer that the agent goes without at this step.
    fn at(self, step: Step) -> Self {
        let mut slowed = self;
        if step >= Step::CloseUps {
            slowed.close_up_every = self.close_up_every.saturating_mul(SLOWER).min(self.every);
        }
        if step >= Step::SlowReadings {
            slowed.slow_every_ticks = self.slow_every_ticks.saturating_mul(SLOWER);
        }
        slowed
    }
}

/// How long the machine is watched closely after its pressure trigger fired. The trigger fires
/// again, at most once in its window, while the pressure lasts.
const PRESSURE_LASTS: Duration = Duration::from_secs(10);

pub(crate) struct Pulse {
    pub(crate) sampler: Sampler,
    pub(crate) rhythm: Arc<Mutex<Rhythm>>,
    pub(crate) pressure: Option<Trigger>,
    pub(crate) entries: Feed,
    /// Frames that can be refilled.
    pub(crate) used: Receiver<Box<Frame>>,
    /// A frame that could not be sent.
    pub(crate) spare: Option<Box<Frame>>,
    /// How often a supervising systemd wants to hear of us.
    pub(crate) beat: Option<Duration>,
    /// The machine could not be read the last time.
    pub(crate) blind: bool,
    pub(crate) board: Arc<Board>,
    /// Readable when the agent stops.
    pub(crate) stop: OwnedFd,
}

/// When what is due, by the boot clock.
#[derive(Clone, Copy, Debug, Default)]
struct Due {
    whole: BootTime,
    close_up: BootTime,
    pressure_until: BootTime,
}

impl Pulse {
    /// Looks until told to stop.
    pub(crate) fn run(mut self) {
        let mut due = Due { whole: clock::now().boot, ..Due::default() };
        loop {
            let now = clock::now();
            let wanted = *self.rhythm.lock().unwrap_or_else(PoisonError::into_inner);
            let rhythm = wanted.at(self.board.step());
            self.sampler.adjust(rhythm.slow_every_ticks, rhythm.nearness);
            let pressed = now.boot < due.pressure_until;
            if due.whole <= now.boot {
                self.look(now, None);
                due.whole = next(due.whole, now.boot, rhythm.every);
                due.close_up = later(now.boot, rhythm.close_up_every);
            } else if due.close_up <= now.boot && (pressed || self.sampler.is_hot()) {
                self.look(now, Some(pressed));
                due.close_up = next(due.close_up, now.boot, rhythm.close_up_every);
            }
            let close = pressed || self.sampler.is_hot();
            let at = if close { due.whole.min(due.close_up) } else { due.whole };
            let most = self.beat.unwrap_or(Duration::MAX);
            match self.wait(at.since(clock::now().boot).min(most)) {
                Woken::Stop => break,
                Woken::Pressure => {
                    let now = clock::now().boot;
                    due.pressure_until = later(now, PRESSURE_LASTS);
                    due.close_up = due.close_up.max(now).min(later(now, rhythm.close_up_every));
                }
                Woken::Time if self.beat.is_some() => {
                    // A recorder that has no place for it is behind, and not well.
                    let _behind = self.entries.try_send(Entry::Beat);
                }
                Woken::Time => {}
            }
        }
    }

    /// Takes one frame: a close-up where `close_up` says whether the machine is part of it.
    fn look(&mut self, now: Stamp, close_up: Option<bool>) {
        let Some(mut frame) = self.spare.take().or_else(|| self.used.try_recv().ok()) else {
            self.drop_one();
            return;
        };
        let taken = match close_up {
            None => self.sampler.sample(now, &mut frame),
            Some(machine) => self.sampler.close_up(now, machine, &mut frame),
        };
        self.count();
        let is_news = !self.blind;
        self.blind = taken.is_err();
        match taken {
            Ok(()) => self.send(frame),
            Err(error) => {
                self.spare = Some(frame);
                self.drop_one();
                if is_news {
                    crate::log::say(&format!("this machine's /proc cannot be read: {error}"));
                }
            }
        }
    }

    /// Deaths may have taken all places; the frame itself must not be lost with what it holds.
    fn send(&mut self, frame: Box<Frame>) {
        let Err(refused) = self.entries.try_send(Entry::Frame(frame)) else { return };
        if let TrySendError::Full(Entry::Frame(frame)) = *refused {
            self.spare = Some(frame);
            self.drop_one();
        }
    }

    fn drop_one(&self) {
        self.board.counts().dropped_frames.fetch_add(1, Ordering::Relaxed);
    }

    fn count(&self) {
        let (tally, counts) = (self.sampler.tally(), self.board.counts());
        counts.process_samples.store(tally.process_samples, Ordering::Relaxed);
        counts.cgroup_samples.store(tally.cgroup_samples, Ordering::Relaxed);
        counts.kept_files.store(tally.kept_files, Ordering::Relaxed);
    }

    fn wait(&mut self, span: Duration) -> Woken {
        let timeout = timespec(span);
        let stop = PollFd::new(&self.stop, PollFlags::IN);
        let Some(pressure) = &self.pressure else {
            let mut fds = [stop];
            let _interrupted = poll(&mut fds, Some(&timeout));
            let [stop] = fds;
            return if stop.revents().is_empty() { Woken::Time } else { Woken::Stop };
        };
        let pressure = pressure.as_fd();
        let mut fds = [stop, PollFd::new(&pressure, PollFlags::PRI)];
        let _interrupted = poll(&mut fds, Some(&timeout));
        let [stop, pressure] = fds;
        let (stop, pressure) = (stop.revents(), pressure.revents());
        if pressure.contains(PollFlags::ERR) {
            self.pressure = None;
        }
        match (stop.is_empty(), pressure.contains(PollFlags::PRI)) {
            (false, _) => Woken::Stop,
            (true, true) => Woken::Pressure,
            (true, false) => Woken::Time,
        }
    }
}

enum Woken {
    Time,
    Pressure,
    Stop,
}

/// The next moment of a rhythm after `now`; beats that were slept through are left out.
fn next(last: BootTime, now: BootTime, every: Duration) -> BootTime {
    let beat = later(last, every);
    if beat > now { beat } else { later(now, every) }
}

fn later(moment: BootTime, span: Duration) -> BootTime {
    let us = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
    BootTime::from_micros(moment.micros().saturating_add(us))
}

#[cfg(test)]
mod tests {
    use highwater_core::units::Permille;

    use super::*;

    #[test]
    fn what_is_gone_without_is_rarer_and_whole_readings_never_are() {
        let rhythm = Rhythm {
            every: Duration::from_secs(5),
            close_up_every: Duration::from_millis(250),
            slow_every_ticks: 6,
            nearness: Nearness {
                within: Permille::new(100),
                horizon: Duration::ZERO,
                patience: Duration::ZERO,
            },
        };
        assert_eq!(rhythm.at(Step::None), rhythm);
        assert_eq!(rhythm.at(Step::Survey), rhythm);
        let close_ups = Rhythm { close_up_every: Duration::from_secs(1), ..rhythm };
        assert_eq!(rhythm.at(Step::CloseUps), close_ups);
        assert_eq!(rhythm.at(Step::SlowReadings), Rhythm { slow_every_ticks: 24, ..close_ups });
        let fast = Rhythm {
            every: Duration::from_secs(1),
            close_up_every: Duration::from_secs(1),
            ..rhythm
        };
        assert_eq!(fast.at(Step::CloseUps), fast);
    }
}
