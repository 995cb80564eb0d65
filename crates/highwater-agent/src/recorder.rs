//! The recorder: the only thread that writes to the store.
//!
//! It takes frames and deaths from one bounded queue. A write that fails is counted and said once;
//! recording goes on with the next frame, in memory for the board at least. Deaths are different:
//! one that could not be written is kept and tried again with every frame.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::Duration;

use highwater_core::event::{Death, Event, Happening};
use highwater_core::frame::{Frame, ProcSample, Scope};
use highwater_core::time::{BootId, WallTime};
use highwater_core::units::Bytes;
use highwater_store::{Cursor, Store};

use crate::board::{Board, Counts};
use crate::known::Known;
use crate::log;

/// What the other threads send to be recorded.
#[derive(Debug)]
pub(crate) enum Entry {
    /// A tick.
    Frame(Box<Frame>),
    /// What happened, and up to where the kernel log is thereby read.
    Events(Vec<Event>, Option<Cursor>),
    /// Keep so much from now on.
    Keep(Keep),
    /// Nothing more will come.
    Stop,
}

/// What is kept, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keep {
    /// Ticks older than this go.
    pub(crate) raw: Duration,
    /// A process has series of its own from this size on.
    pub(crate) process_min_rss: Bytes,
}

/// How many events wait at most for a store that does not take them; the oldest are given up
/// first, and the kernel log still has them.
const WAITING_EVENTS: usize = 1_000;

/// Every so many whole frames the old ones are looked for: about once a minute. While there are
/// more than one batch of them, the next frame goes on with it.
const FORGET_EVERY: u64 = 12;

pub(crate) struct Recorder {
    pub(crate) store: Store,
    pub(crate) boot: BootId,
    pub(crate) board: Arc<Board>,
    pub(crate) keep: Keep,
    /// Where used frames go back to be refilled.
    pub(crate) used: SyncSender<Box<Frame>>,
    /// There is more to forget than one batch.
    pub(crate) behind: bool,
}

impl Recorder {
    /// Takes entries until told to stop.
    pub(crate) fn run(mut self, entries: &Receiver<Entry>) {
        let mut known = Known::default();
        let mut waiting = Vec::new();
        while let Ok(entry) = entries.recv() {
            match entry {
                Entry::Frame(frame) => {
                    known.learn(&frame);
                    self.frame(frame);
                    self.write_events(&mut waiting, None);
                }
                Entry::Events(events, cursor) => {
                    waiting.extend(events.into_iter().map(|event| join(event, &known)));
                    self.write_events(&mut waiting, cursor.as_ref());
                }
                Entry::Keep(keep) => self.keep = keep,
                Entry::Stop => break,
            }
        }
        self.write_events(&mut waiting, None);
    }

    fn frame(&mut self, mut frame: Box<Frame>) {
        self.board.publish(&frame);
        let (scope, stamp) = (frame.scope, frame.stamp);
        if scope == Scope::Whole {
            let least = self.keep.process_min_rss;
            frame.processes.retain(|process| matters(process, least));
        }
        let written = self.store.append(&frame, self.boot);
        self.note("samples", written.map(|_| ()).map_err(|error| error.to_string()));
        // The pool has a place for every frame there is, so this never fails while anybody samples.
        let _nobody_samples = self.used.try_send(frame);
        let counts = self.board.counts();
        let frames = bump(if scope == Scope::Whole { &counts.frames } else { &counts.close_ups });
        counts.last_recorded_us.store(stamp.boot.micros(), Ordering::Relaxed);
        if scope == Scope::Whole {
            let _no_systemd = sd_notify::notify(&[sd_notify::NotifyState::Watchdog]);
            if self.behind || frames.is_multiple_of(FORGET_EVERY) {
                self.forget(stamp.wall.before(self.keep.raw));
            }
        }
    }

    fn forget(&mut self, before: WallTime) {
        let forgotten = self.store.forget_before(before);
        self.behind = forgotten.as_ref().is_ok_and(|forgotten| forgotten.more);
        self.note("old samples", forgotten.map(|_| ()).map_err(|error| error.to_string()));
    }

    /// Writes what waits; what could not be written goes on waiting.
    fn write_events(&mut self, waiting: &mut Vec<Event>, cursor: Option<&Cursor>) {
        if waiting.is_empty() && cursor.is_none() {
            return;
        }
        match self.store.record(waiting, cursor) {
            Ok(new) => {
                let written = waiting.drain(..).zip(new);
                let told: Vec<_> =
                    written.filter_map(|(event, new)| new.then_some(event)).collect();
                self.tell(&told);
                self.note("events", Ok(()));
            }
            Err(error) => {
                let surplus = waiting.len().saturating_sub(WAITING_EVENTS);
                waiting.drain(..surplus);
                self.note("events", Err(error.to_string()));
            }
        }
    }

    /// Reports events, now that they are safe on disk.
    fn tell(&self, events: &[Event]) {
        let (mut deaths, mut newest) = (0_usize, None);
        for event in events {
            match &event.what {
                Happening::Death(death) => {
                    bump(&self.board.counts().deaths);
                    deaths += 1;
                    newest = Some(death);
                }
                Happening::Recorder { note, .. } => log::say(note),
            }
        }
        if let Some(Death { comm, pid, .. }) = newest {
            let others = match deaths {
                1 => String::new(),
                _ => format!(" (the newest of {deaths})"),
            };
            log::say(&format!(
                "{comm} (pid {pid}) was killed for memory{others}: highwater why {pid}"
            ));
        }
    }

    /// Counts a failure, and says it when it begins and when it ends.
    fn note(&self, what: &str, result: Result<(), String>) {
        let counts: &Counts = self.board.counts();
        let ok = result.is_ok();
        let was_ok = counts.store_ok.swap(ok, Ordering::Relaxed);
        match result {
            Err(error) => {
                bump(&counts.store_errors);
                if was_ok {
                    log::say(&format!("cannot write {what}: {error}; going on in memory"));
                }
            }
            Ok(()) if !was_ok && counts.store_errors.load(Ordering::Relaxed) > 0 => {
                log::say("the store takes writes again");
            }
            Ok(()) => {}
        }
    }
}

/// Adds one, and says how many there are now.
fn bump(count: &AtomicU64) -> u64 {
    count.fetch_add(1, Ordering::Relaxed).saturating_add(1)
}

/// Whether a process is worth series of its own; the others are in their cgroup's sum. The dead
/// that nobody reaped are not: they have no memory.
fn matters(process: &ProcSample, least: Bytes) -> bool {
    process.resident >= least
}

/// Adds what is known of the process that died.
fn join(mut event: Event, known: &Known) -> Event {
    if let Happening::Death(death) = &mut event.what
        && death.known.is_none()
    {
        death.known = known.whereabouts(death.pid);
    }
    event
}
