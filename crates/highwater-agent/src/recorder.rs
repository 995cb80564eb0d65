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
use highwater_core::time::{BootId, BootTime, Stamp, WallTime};
use highwater_core::units::Bytes;
use highwater_store::{Cursor, Store, StoreError};

use crate::board::Board;
use crate::clock;
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
    /// All is well, though there is no frame to show for it.
    Beat,
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

/// How many events wait at most for a store that does not take them: some 20 kB each, 5 MB in all.
/// The oldest are given up first, and that is an event of its own once the store is back.
const WAITING_EVENTS: usize = 256;

/// In a close-up a process is recorded from this size on, however large others have to be: what is
/// near a limit may be killed by its smallest part. Compilers and shells that come and go are not.
const CLOSE_UP_LEAST: Bytes = Bytes::from_mib(1);

/// A wall clock that jumped further than this is not believed for a while: one step into the
/// future would make all history old.
const JUMP_MS: i64 = 24 * 3_600_000;

/// So many writes in a row must go well before the store counts as well again: about a minute.
const STEADY_WRITES: u32 = 12;

/// How long nothing is forgotten after a jump: time for a person, or for the clock, to set it right.
const JUMP_LASTS: Duration = Duration::from_hours(1);

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
    /// How many clock ticks a second has, for when a process started.
    pub(crate) ticks_per_second: u64,
    /// There is more to forget than one batch.
    pub(crate) behind: bool,
    /// After a write that failed: how many went well since.
    pub(crate) good_since_failure: Option<u32>,
    /// What has to be added to a command so that it reads this recording.
    pub(crate) option: String,
    /// Events that were given up since the last that could be written.
    pub(crate) given_up: usize,
    /// How far wall and boot clock were apart at the last whole frame, and until when, after a
    /// jump of the wall clock, nothing is forgotten.
    pub(crate) skew_ms: Option<i64>,
    pub(crate) keep_all_until: BootTime,
}

impl Recorder {
    /// Takes entries until told to stop.
    pub(crate) fn run(mut self, entries: &Receiver<Entry>) {
        let mut known = Known::new(self.ticks_per_second);
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
                Entry::Beat => beat(),
                Entry::Stop => break,
            }
        }
        self.write_events(&mut waiting, None);
    }

    fn frame(&mut self, mut frame: Box<Frame>) {
        self.board.publish(&frame);
        let (scope, stamp) = (frame.scope, frame.stamp);
        let least = match scope {
            Scope::Whole => self.keep.process_min_rss,
            Scope::CloseUp => self.keep.process_min_rss.min(CLOSE_UP_LEAST),
        };
        frame.processes.retain(|process| matters(process, least));
        let written = self.store.append(&frame, self.boot);
        self.note("samples", written);
        // The pool has a place for every frame there is, so this never fails while anybody samples.
        let _nobody_samples = self.used.try_send(frame);
        let counts = self.board.counts();
        let frames = bump(if scope == Scope::Whole { &counts.frames } else { &counts.close_ups });
        counts.last_recorded_us.store(stamp.boot.micros(), Ordering::Relaxed);
        beat();
        if scope == Scope::Whole {
            self.mind_the_clock(stamp);
            let due = self.behind || frames.is_multiple_of(FORGET_EVERY);
            if due && stamp.boot >= self.keep_all_until {
                self.forget(stamp.wall.before(self.keep.raw));
            }
        }
    }

    /// Notices a wall clock that jumped.
    fn mind_the_clock(&mut self, stamp: Stamp) {
        let boot_ms = i64::try_from(stamp.boot.micros() / 1000).unwrap_or(i64::MAX);
        let skew = stamp.wall.millis().saturating_sub(boot_ms);
        if self.skew_ms.is_some_and(|before| before.abs_diff(skew) > JUMP_MS.unsigned_abs()) {
            let lasts = u64::try_from(JUMP_LASTS.as_micros()).unwrap_or(u64::MAX);
            self.keep_all_until = BootTime::from_micros(stamp.boot.micros().saturating_add(lasts));
            self.behind = false;
            log::say("the clock jumped by more than a day; nothing is forgotten for an hour");
        }
        self.skew_ms = Some(skew);
    }

    fn forget(&mut self, before: WallTime) {
        let forgotten = self.store.forget_before(before);
        self.behind = forgotten.as_ref().is_ok_and(|forgotten| forgotten.more);
        self.note("what is too old to keep", forgotten);
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
                self.tell_given_up(waiting);
            }
            Err(error) => {
                let surplus = waiting.len().saturating_sub(WAITING_EVENTS);
                self.given_up += waiting.drain(..surplus).count();
                self.note::<()>("events", Err(error));
            }
        }
    }

    /// The store is back: what was given up meanwhile is an event to be written next.
    fn tell_given_up(&mut self, waiting: &mut Vec<Event>) {
        if self.given_up == 0 {
            return;
        }
        let now = clock::now();
        waiting.push(Event {
            wall: now.wall,
            boot: Some(now.boot),
            boot_id: self.boot,
            key: format!("recorder:missed:{}", now.boot.micros()),
            what: Happening::Recorder {
                what: "missed".to_owned(),
                note: format!("{} events could not be written and are lost", self.given_up),
            },
        });
        self.given_up = 0;
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
                Happening::Recorder { what, note } if what == "missed" => log::say(note),
                Happening::Recorder { .. } => {}
            }
        }
        if let Some(Death { comm, pid, .. }) = newest {
            let others = match deaths {
                1 => String::new(),
                _ => format!(" (the newest of {deaths})"),
            };
            let option = &self.option;
            log::say(&format!(
                "{comm} (pid {pid}) was killed for memory{others}: highwater why {pid}{option}"
            ));
        }
    }

    /// Counts a failure, and says it when it begins and when it is over: on a disk that is nearly
    /// full every other write may still go well.
    fn note<T>(&mut self, what: &str, result: Result<T, StoreError>) {
        let counts = self.board.counts();
        match result {
            Err(error) => {
                bump(&counts.store_errors);
                if self.good_since_failure.is_none() {
                    let why = reasons(&error);
                    log::say(&format!("cannot write {what}: {why}; going on in memory"));
                }
                self.good_since_failure = Some(0);
                counts.store_ok.store(false, Ordering::Relaxed);
            }
            Ok(_) => match self.good_since_failure {
                None => {}
                Some(good) if good < STEADY_WRITES => self.good_since_failure = Some(good + 1),
                Some(_) => {
                    self.good_since_failure = None;
                    counts.store_ok.store(true, Ordering::Relaxed);
                    log::say("the store takes writes again");
                }
            },
        }
    }
}

/// An error and what is beneath it, in one line.
fn reasons(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut beneath = error.source();
    while let Some(cause) = beneath {
        // Some errors already say what is beneath them.
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        beneath = cause.source();
    }
    text
}

/// Tells a supervising systemd that recording goes on.
fn beat() {
    let _no_systemd = sd_notify::notify(&[sd_notify::NotifyState::Watchdog]);
}

/// Adds one, and says how many there are now.
fn bump(count: &AtomicU64) -> u64 {
    count.fetch_add(1, Ordering::Relaxed).saturating_add(1)
}

/// Whether a process is worth series of its own; the others are in their cgroup's sum. The dead
/// that nobody reaped are not: they have no memory.
fn matters(process: &ProcSample, least: Bytes) -> bool {
    process.resident.saturating_add(process.slow.swap.unwrap_or_default()) >= least
}

/// Adds what is known of the process that died.
fn join(mut event: Event, known: &Known) -> Event {
    if let Happening::Death(death) = &mut event.what
        && death.known.is_none()
    {
        death.known = known.whereabouts(death.pid, event.wall);
    }
    event
}
