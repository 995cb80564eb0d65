//! What is shown while the agent runs: the latest frame and survey, and the agent's own counts.
//!
//! The recorder publishes, the page reads. Publishing never waits: where a reader holds the board,
//! that frame is not shown, and the next one is.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use highwater_core::frame::{Frame, Scope};
use highwater_core::id::Comm;
use highwater_core::sum::OwnerSample;
use highwater_core::thing::{Survey, Thing};
use highwater_core::time::{BootTime, Stamp};

use crate::gallery::Gallery;
use crate::growth;
use crate::own;
use crate::rules;
use crate::thrift::Step;

/// What the agent shows of itself and of the machine.
#[derive(Debug, Default)]
pub struct Board {
    latest: Mutex<Frame>,
    survey: Mutex<Survey>,
    counts: Counts,
    trouble: Mutex<Option<String>>,
    threads: Mutex<Vec<ThreadUse>>,
    /// The witnesses of deaths.
    gallery: Gallery,
    /// What grows.
    growth: growth::Shown,
    /// The rules and their alerts.
    rules: rules::Shown,
    /// How much the agent goes without, see `thrift`.
    step: AtomicU8,
}

/// Processor time of one of the agent's threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ThreadUse {
    pub(crate) name: Comm,
    pub(crate) cpu_us: u64,
}

/// The agent's own counts, each since it began, and the state of its parts.
#[derive(Debug, Default)]
pub struct Counts {
    /// Whole frames recorded.
    pub frames: AtomicU64,
    /// Close-up frames recorded.
    pub close_ups: AtomicU64,
    /// Surveys recorded.
    pub surveys: AtomicU64,
    /// Frames that could not be recorded in time and were dropped.
    pub dropped_frames: AtomicU64,
    /// Process readings taken.
    pub process_samples: AtomicU64,
    /// Cgroup readings taken.
    pub cgroup_samples: AtomicU64,
    /// Descriptors kept open.
    pub kept_files: AtomicU64,
    /// Deaths recorded.
    pub deaths: AtomicU64,
    /// Events recorded, whatever they tell of.
    pub events: AtomicU64,
    /// Kernel messages read.
    pub kernel_messages: AtomicU64,
    /// Times that kernel messages were overwritten before they were read.
    pub kernel_overruns: AtomicU64,
    /// Writes to the store that failed.
    pub store_errors: AtomicU64,
    /// When the last frame was recorded, in microseconds of the boot clock.
    pub last_recorded_us: AtomicU64,
    /// Entries that wait for the recorder.
    pub queued: AtomicU64,
    /// Readings that wait in memory for the store.
    pub backlog: AtomicU64,
    /// What they take.
    pub backlog_bytes: AtomicU64,
    /// How old the oldest of them is, in microseconds.
    pub backlog_age_us: AtomicU64,
    /// Readings that went to make room for later ones.
    pub thinned: AtomicU64,
    /// Events that wait for the store.
    pub waiting_events: AtomicU64,
    /// Events that were given up.
    pub lost_events: AtomicU64,
    /// Bytes that readings took in the store as they were added.
    pub stored_bytes: AtomicU64,
    /// Rows of processes, cgroups and other things that were made in the store.
    pub new_entities: AtomicU64,
    /// Steps in which ticks were sealed.
    pub seals: AtomicU64,
    /// When the last of them was, in milliseconds of the wall clock.
    pub last_seal_ms: AtomicU64,
    /// Steps in which days were compacted.
    pub compactions: AtomicU64,
    /// When the last of them was, in milliseconds of the wall clock.
    pub last_compaction_ms: AtomicU64,
    /// Steps in which samples went, because they were too old or too many.
    pub expiries: AtomicU64,
    /// Of those, for want of room before their time.
    pub early_expiries: AtomicU64,
    /// Rows that sealing and compaction could not read.
    pub damaged_rows: AtomicU64,
    /// Processes with series of their own: for their size, growth, nearness to a limit, age.
    pub large: AtomicU64,
    /// See [`Counts::large`].
    pub growing: AtomicU64,
    /// See [`Counts::large`].
    pub near: AtomicU64,
    /// See [`Counts::large`].
    pub old: AtomicU64,
    /// Processes that are only in the sum of their owner.
    pub left_out: AtomicU64,
    /// Times that a process got no series, because too many others were new.
    pub refused: AtomicU64,
    /// Processor time of the agent, in microseconds.
    pub cpu_us: AtomicU64,
    /// Of that, what went into questions of others; it is no part of the recorder's budget.
    pub asked_us: AtomicU64,
    /// Its share of one processor over the last minute, in thousandths.
    pub cpu_permille: AtomicU64,
    /// Memory of the agent in RAM.
    pub resident_bytes: AtomicU64,
    /// The same, with what is shared divided among those who share it.
    pub proportional_bytes: AtomicU64,
    /// Times that a part was slowed down.
    pub slowed: AtomicU64,
    /// Memory is short: fewer processes are kept, and less waits for the store.
    pub tight: AtomicU64,
    /// Size of the database.
    pub database_bytes: AtomicU64,
    /// Size of its log.
    pub log_bytes: AtomicU64,
    /// What both may take.
    pub budget_bytes: AtomicU64,
    /// What is free on their file system.
    pub free_bytes: AtomicU64,
    /// Times that the database was found replaced or gone.
    pub replaced: AtomicU64,
    /// Databases that were set aside because they could not be used.
    pub set_aside: AtomicU64,
    /// Processor time of the survey, in microseconds.
    pub survey_cpu_us: AtomicU64,
    /// Times that a process's mappings were not read, because their budget was used up.
    pub survey_skipped: AtomicU64,
    /// Looks for what grows that gave an answer.
    pub growth_looks: AtomicU64,
    /// Looks that gave none.
    pub growth_failures: AtomicU64,
    /// Processor time of those that did, in microseconds.
    pub growth_cpu_us: AtomicU64,
    /// When the last one was, in milliseconds of the wall clock.
    pub growth_at_ms: AtomicU64,
    /// Until when it is current, in milliseconds of the wall clock.
    pub growth_until_ms: AtomicU64,
    /// Rounds in which rules were evaluated.
    pub rules_rounds: AtomicU64,
    /// Processor time of those, in microseconds.
    pub rules_cpu_us: AtomicU64,
    /// The kernel's messages are being read.
    pub kmsg_ok: AtomicBool,
    /// The last write to the store went well.
    pub store_ok: AtomicBool,
    /// Part of what was seen is not in the database of this name: it was replaced or written over.
    pub incomplete: AtomicBool,
    /// Between two whole readings, in milliseconds.
    pub every_ms: AtomicU64,
    /// A thread ended that should not have.
    pub failed: AtomicBool,
}

impl Board {
    /// The board of an agent that reads the machine this often.
    pub(crate) fn of(every: std::time::Duration) -> Self {
        let board = Self::default();
        board.set_every(every);
        board
    }

    /// The counts.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// The span between two whole readings, as it is now.
    pub fn every(&self) -> std::time::Duration {
        std::time::Duration::from_millis(self.counts.every_ms.load(Ordering::Relaxed))
    }

    pub(crate) fn set_every(&self, every: std::time::Duration) {
        let ms = u64::try_from(every.as_millis()).unwrap_or(u64::MAX);
        self.counts.every_ms.store(ms, Ordering::Relaxed);
    }

    /// Whether a thread of the agent failed.
    pub fn has_failed(&self) -> bool {
        self.counts.failed.load(Ordering::Relaxed)
    }

    /// Whether the store takes what is seen.
    pub fn is_stored(&self) -> bool {
        self.counts.store_ok.load(Ordering::Relaxed)
    }

    /// Whether all that was seen is in the database, none of it lost, waiting, or left in another
    /// file.
    pub fn is_complete(&self) -> bool {
        let Counts { incomplete, dropped_frames, thinned, lost_events, .. } = &self.counts;
        let (readings, events) = self.waiting();
        let lost = [dropped_frames, thinned, lost_events];
        self.is_stored()
            && !incomplete.load(Ordering::Relaxed)
            && lost.iter().all(|count| count.load(Ordering::Relaxed) == 0)
            && readings == 0
            && events == 0
    }

    /// Whether the store takes everything, and nothing waits or is gone without.
    pub(crate) fn is_well(&self) -> bool {
        let tight = self.counts.tight.load(Ordering::Relaxed);
        self.is_stored() && self.waiting() == (0, 0) && self.step() == Step::None && tight == 0
    }

    /// How many readings and events wait for the store.
    pub fn waiting(&self) -> (u64, u64) {
        let Counts { backlog, waiting_events, .. } = &self.counts;
        (backlog.load(Ordering::Relaxed), waiting_events.load(Ordering::Relaxed))
    }

    /// Shows `frame` if it is whole and nobody is looking.
    pub(crate) fn publish(&self, frame: &Frame) {
        if frame.scope != Scope::Whole {
            return;
        }
        if let Ok(mut latest) = self.latest.try_lock() {
            refill(&mut latest, frame);
        }
    }

    /// Why the store does not take what is seen.
    pub fn trouble(&self) -> Option<String> {
        lock(&self.trouble).clone()
    }

    /// The parts that are slowed down, because the agent used more than it may.
    pub fn slowed_parts(&self) -> impl Iterator<Item = &'static str> {
        let step = self.step();
        Step::ALL.into_iter().filter(move |one| *one != Step::None && *one <= step).map(Step::part)
    }

    /// The agent's own numbers, and those of the latest survey.
    pub fn things(&self) -> Vec<Thing> {
        let mut things = lock(&self.survey).things.clone();
        things.extend(own::things(self));
        things
    }

    /// The witnesses of deaths.
    pub(crate) fn gallery(&self) -> &Gallery {
        &self.gallery
    }

    /// What grows.
    pub(crate) fn growth(&self) -> &growth::Shown {
        &self.growth
    }

    /// The rules, as far as they were evaluated, and their alerts.
    pub fn latest_rules(&self) -> std::sync::Arc<rules::RulesShown> {
        self.rules.latest()
    }

    /// How often an alert came, went or changed its state.
    pub fn alert_changes(&self) -> u64 {
        self.rules.changes()
    }

    /// Where the rules are shown.
    pub(crate) fn rules(&self) -> &rules::Shown {
        &self.rules
    }

    pub(crate) fn set_trouble(&self, why: Option<String>) {
        self.counts.store_ok.store(why.is_none(), Ordering::Relaxed);
        *lock(&self.trouble) = why;
    }

    pub(crate) fn show_survey(&self, survey: &Survey) {
        lock(&self.survey).clone_from(survey);
    }

    pub(crate) fn step(&self) -> Step {
        Step::of_number(self.step.load(Ordering::Relaxed))
    }

    pub(crate) fn set_step(&self, step: Step) {
        self.step.store(step.number(), Ordering::Relaxed);
    }

    pub(crate) fn set_threads(&self, threads: &[ThreadUse]) {
        let mut shown = lock(&self.threads);
        shown.clear();
        shown.extend_from_slice(threads);
    }

    pub(crate) fn each_thread(&self, visit: &mut dyn FnMut(ThreadUse)) {
        lock(&self.threads).iter().copied().for_each(visit);
    }

    /// Looks at the latest whole frame.
    pub fn look(&self, visit: &mut dyn FnMut(&Frame)) {
        visit(&lock(&self.latest));
    }

    /// How long ago, at `now`, the last frame was recorded; `None` before the first.
    pub fn age(&self, now: Stamp) -> Option<std::time::Duration> {
        match self.counts.last_recorded_us.load(Ordering::Relaxed) {
            0 => None,
            us => Some(now.boot.since(BootTime::from_micros(us))),
        }
    }
}

/// A thread that failed left nothing half done here: each value is whole.
fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Copies `from` into `into` without new memory. Zones are read more rarely; the last ones stay.
fn refill(into: &mut Frame, from: &Frame) {
    into.stamp = from.stamp;
    into.scope = from.scope;
    into.machine = from.machine;
    if !from.zones.is_empty() {
        into.zones.clone_from(&from.zones);
    }
    into.cgroups.clone_from(&from.cgroups);
    into.processes.clone_from(&from.processes);
    refill_owners(&mut into.owners, &from.owners);
}

/// Owners carry names, which are only copied where another owner stands.
fn refill_owners(into: &mut Vec<OwnerSample>, from: &[OwnerSample]) {
    into.truncate(from.len());
    for (into, from) in into.iter_mut().zip(from) {
        if into.owner == from.owner {
            into.sum = from.sum;
        } else {
            into.clone_from(from);
        }
    }
    into.extend(from.iter().skip(into.len()).cloned());
}
