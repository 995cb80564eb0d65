//! The recorder: the only thread that writes to the store.
//!
//! It takes frames, surveys and deaths from one bounded queue, sums processes up by owner, chooses
//! which of them are kept by themselves, and gives the rest to the keeper. In between it does the
//! store's chores, and minds what the agent itself uses.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use highwater_core::event::{Event, Happening};
use highwater_core::frame::{Frame, Scope};
use highwater_core::thing::Survey;
use highwater_core::time::{BootId, BootTime, Stamp};
use highwater_core::units::{Bytes, Permille};
use highwater_diagnose::counsel::is_of_note;
use highwater_linux::survey::Candidate;
use highwater_owners::Directory;
use highwater_store::{Cursor, Keep, Round};

use crate::board::Board;
use crate::census::Census;
use crate::clock;
use crate::coroner::Coroner;
use crate::feed::Inbox;
use crate::growth;
use crate::herald::{Herald, Outline};
use crate::keeper::{Keeper, is_told_aloud};
use crate::known::Known;
use crate::log;
use crate::notice::Notice;
use crate::own::{self, Mirror};
use crate::policy::{Bounds, Choice, Policy};
use crate::rounds::Candidates;
use crate::thrift::{Step, Thrift};

/// What the other threads send to be recorded.
#[derive(Debug)]
pub(crate) enum Entry {
    /// A tick.
    Frame(Box<Frame>),
    /// What changes slowly.
    Survey(Survey),
    /// What happened, and up to where the kernel log is thereby read.
    Events(Vec<Event>, Option<Cursor>),
    /// What rules gave, and where it is awaited whether it was stored.
    Round(Box<Round>, SyncSender<bool>),
    /// Go on by these from now on.
    Terms(Box<Terms>),
    /// All is well, though there is no frame to show for it.
    Beat,
    /// Nothing more will come.
    Stop,
}

/// What is kept, and what may be used for it.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    /// How long, and how much.
    pub(crate) keep: Keep,
    /// Which processes.
    pub(crate) bounds: Bounds,
    /// How much of a processor.
    pub(crate) cpu: Permille,
    /// How much memory.
    pub(crate) memory: Bytes,
    /// The file that says so.
    pub(crate) config: Option<PathBuf>,
}

impl Terms {
    /// What may wait in memory for a store that fails: a quarter of the agent's memory, and 16 MiB
    /// at most, which is half an hour of a usual machine at full resolution.
    pub(crate) fn backlog(&self) -> Bytes {
        Bytes::new(self.memory.get() / 4).min(Bytes::from_mib(16))
    }
}

/// A wall clock that jumped further than this is not believed for a while: one step into the
/// future would make all history old.
const JUMP_MS: i64 = 24 * 3_600_000;

/// How long nothing expires by age after a jump: time for a person, or for the clock, to set it
/// right. The budget holds all the same.
const JUMP_LASTS: Duration = Duration::from_hours(1);

/// So many steps of the store's chores are done after a whole reading, as far as nothing else
/// waits: a store that was not tended for long catches up without taking a processor for itself.
const CHORES: usize = 8;

/// How often the agent looks at its own memory and threads.
const SELF_EVERY: Duration = Duration::from_secs(30);

/// How many processes the survey may choose from: it has time for a dozen.
const CANDIDATES: usize = 24;

pub(crate) struct Recorder {
    pub(crate) keeper: Keeper,
    pub(crate) board: Arc<Board>,
    pub(crate) terms: Terms,
    pub(crate) census: Census,
    pub(crate) policy: Policy,
    pub(crate) thrift: Thrift,
    pub(crate) mirror: Mirror,
    pub(crate) candidates: Candidates,
    /// Where used frames go back to be refilled.
    pub(crate) used: SyncSender<Box<Frame>>,
    /// How many clock ticks a second has, for when a process started.
    pub(crate) ticks_per_second: u64,
    pub(crate) herald: Herald,
    /// Where it is left for others how the recorder is.
    pub(crate) notice: Notice,
    /// Joins what the witnesses of a death say.
    pub(crate) coroner: Coroner,
    /// The names of containers.
    pub(crate) directory: Arc<Directory>,
    /// In which boot this is.
    pub(crate) boot: BootId,
    /// What is remembered from one whole frame to the next.
    pub(crate) past: Past,
}

/// What the recorder remembers of the last whole frame.
#[derive(Debug, Default)]
pub(crate) struct Past {
    /// How far wall and boot clock were apart.
    skew_ms: Option<i64>,
    /// Until when, after a jump of the wall clock, nothing expires by age.
    keep_all_until: BootTime,
    looked_at: Option<BootTime>,
    was_well: bool,
    is_tight: bool,
    sizes: Vec<(Bytes, usize)>,
    /// How often a witness had come or gone when that was last recorded.
    sights: u64,
}

impl Recorder {
    /// Takes entries until told to stop.
    pub(crate) fn run(mut self, entries: &Inbox) {
        let mut known = Known::new(self.ticks_per_second);
        let mut chores = 0;
        loop {
            let entry = match entries.waiting() {
                Err(_) if chores > 0 => {
                    chores = if self.keeper.chores(clock::now()) { chores - 1 } else { 0 };
                    continue;
                }
                Ok(entry) => entry,
                Err(_) => match entries.next() {
                    Ok(entry) => entry,
                    Err(_) => break,
                },
            };
            match entry {
                Entry::Frame(frame) => {
                    known.learn(&frame);
                    let whole = frame.scope == Scope::Whole;
                    self.frame(frame);
                    self.events(Vec::new(), None);
                    if whole {
                        chores = if self.board.step() == Step::None { CHORES } else { 1 };
                    }
                }
                Entry::Survey(survey) => self.survey(survey),
                Entry::Round(round, written) => {
                    let stored = self.keeper.round(&round, clock::now());
                    // Who asked may have given up.
                    let _gone = written.try_send(stored);
                }
                Entry::Events(events, cursor) => {
                    self.events(
                        events.into_iter().map(|event| join(event, &known)).collect(),
                        cursor,
                    );
                }
                Entry::Terms(terms) => self.come_to(*terms),
                Entry::Beat => beat(),
                Entry::Stop => break,
            }
        }
        self.events(Vec::new(), None);
        self.keeper.finish(clock::now());
        // The last look may have found something to tell.
        self.events(Vec::new(), None);
        self.leave_notice(clock::now(), "stopped");
    }

    /// Goes on by other terms.
    pub(crate) fn come_to(&mut self, terms: Terms) {
        self.policy.rebound(terms.bounds);
        self.keeper.set_keep(terms.keep);
        self.terms = terms;
        self.bound_backlog();
        self.leave_notice(clock::now(), "running");
    }

    fn frame(&mut self, mut frame: Box<Frame>) {
        let now = clock::now();
        let (scope, stamp) = (frame.scope, frame.stamp);
        self.census.take(&mut frame, &self.directory);
        self.board.publish(&frame);
        if scope == Scope::Whole {
            self.pick(&frame);
        }
        let choice = self.policy.choose(&mut frame);
        self.show(choice);
        self.keeper.frame(&frame, now);
        self.census.take_back(&mut frame);
        // The pool has a place for every frame there is, so this never fails while anybody samples.
        let _nobody_samples = self.used.try_send(frame);
        let counts = self.board.counts();
        bump(if scope == Scope::Whole { &counts.frames } else { &counts.close_ups });
        counts.last_recorded_us.store(stamp.boot.micros(), Ordering::Relaxed);
        beat();
        if scope == Scope::Whole {
            self.mind_the_clock(stamp);
            self.mind_use(now);
            if let Some(line) = self.herald.summary() {
                log::say(&line);
            }
            self.hold_inquest(now);
        }
    }

    /// Records who is heard, where that changed, and tells of the deaths that have settled.
    fn hold_inquest(&mut self, now: Stamp) {
        let gallery = self.board.gallery();
        let changes = gallery.changes();
        if changes != self.past.sights {
            self.past.sights = changes;
            let what = Happening::Sight(gallery.sight());
            let key = format!("sight:{}", now.boot.micros());
            let (wall, boot, boot_id) = (now.wall, Some(now.boot), self.boot);
            self.events(vec![Event { wall, boot, boot_id, key, what }], None);
        }
        for verdict in self.coroner.settled(now) {
            if is_of_note(&verdict) || verdict.cause.is_wanted() {
                self.board.gallery().toll(verdict.cause, verdict.who.owner.as_ref());
            }
            if let Some(line) = self.herald.verdict(&verdict) {
                log::say(&line);
            }
        }
    }

    /// The recorder's own numbers are part of every survey.
    fn survey(&mut self, mut survey: Survey) {
        let now = clock::now();
        self.board.show_survey(&survey);
        survey.things.extend(own::things(&self.board));
        bump(&self.board.counts().surveys);
        self.keeper.survey(survey, now);
    }

    fn events(&mut self, events: Vec<Event>, cursor: Option<Cursor>) {
        let now = clock::now();
        let mut fresh = Outline::of_each(&events);
        let told = self.keeper.events(events, cursor, now);
        fresh.retain(|death| self.keeper.holds(&death.key));
        if let Some(line) = self.herald.waits(fresh, now) {
            log::say(&line);
        }
        self.tell(&told, now);
    }

    /// Shows the survey which processes matter: the largest.
    fn pick(&mut self, frame: &Frame) {
        let sizes = &mut self.past.sizes;
        sizes.clear();
        sizes.extend(frame.processes.iter().enumerate().map(|(at, p)| (p.resident, at)));
        let most = CANDIDATES.min(sizes.len());
        if let Some(last) = most.checked_sub(1) {
            sizes.select_nth_unstable_by(last, |a, b| b.cmp(a));
            sizes.truncate(most);
            sizes.sort_unstable_by(|a, b| b.cmp(a));
        }
        // A survey that is just choosing has what it needs.
        let Ok(mut candidates) = self.candidates.try_lock() else { return };
        candidates.clear();
        candidates.extend(sizes.iter().filter_map(|(_, at)| frame.processes.get(*at)).map(|p| {
            let cgroup = p.cgroup.clone();
            Candidate { key: p.key, comm: p.comm, cgroup, resident: p.resident }
        }));
    }

    fn show(&self, choice: Choice) {
        let counts = self.board.counts();
        let set = |slot: &AtomicU64, count: u32| slot.store(u64::from(count), Ordering::Relaxed);
        set(&counts.large, choice.large);
        set(&counts.growing, choice.growing);
        set(&counts.near, choice.near);
        set(&counts.old, choice.old);
        set(&counts.left_out, choice.left_out);
        counts.refused.fetch_add(u64::from(choice.refused), Ordering::Relaxed);
    }

    /// Notices a wall clock that jumped.
    fn mind_the_clock(&mut self, stamp: Stamp) {
        let boot_ms = i64::try_from(stamp.boot.micros() / 1000).unwrap_or(i64::MAX);
        let skew = stamp.wall.millis().saturating_sub(boot_ms);
        let past = &mut self.past;
        if past.skew_ms.is_some_and(|before| before.abs_diff(skew) > JUMP_MS.unsigned_abs()) {
            let lasts = u64::try_from(JUMP_LASTS.as_micros()).unwrap_or(u64::MAX);
            past.keep_all_until = BootTime::from_micros(stamp.boot.micros().saturating_add(lasts));
            log::say("the clock jumped by more than a day; nothing is forgotten for an hour");
        }
        past.skew_ms = Some(skew);
        let keep = self.terms.keep;
        self.keeper.set_keep(if stamp.boot < past.keep_all_until {
            Keep { raw: Duration::MAX, minute: Duration::MAX, ten_minutes: Duration::MAX, ..keep }
        } else {
            keep
        });
    }

    /// Looks at what the agent itself uses, and goes without something where that is too much.
    fn mind_use(&mut self, now: Stamp) {
        let cpu = clock::cpu();
        let counts = self.board.counts();
        let us = u64::try_from(cpu.as_micros()).unwrap_or(u64::MAX);
        counts.cpu_us.store(us, Ordering::Relaxed);
        // Whoever asks much must not make the recording poorer.
        let asked = Duration::from_micros(counts.asked_us.load(Ordering::Relaxed));
        let own = cpu.saturating_sub(asked);
        let (before, step) = (self.board.step(), self.thrift.judge(now.boot, own, self.terms.cpu));
        if let Some(used) = self.thrift.used() {
            counts.cpu_permille.store(u64::from(used.get()), Ordering::Relaxed);
        }
        if step != before {
            self.board.set_step(step);
            self.tell_step(before, step);
        }
        let due = self.past.looked_at.is_none_or(|last| now.boot.since(last) >= SELF_EVERY);
        if due {
            self.past.looked_at = Some(now.boot);
            self.mind_memory();
            self.board.set_threads(self.mirror.threads());
        }
        self.keeper.weigh();
        // While something is wrong, who looks at the files sees what the page shows.
        let is_well = self.board.is_well();
        if due || !is_well || !self.past.was_well {
            self.past.was_well = is_well;
            self.leave_notice(now, "running");
        }
    }

    fn tell_step(&self, before: Step, step: Step) {
        if step > before {
            bump(&self.board.counts().slowed);
        }
        if before == Step::None {
            let used = self.thrift.used().unwrap_or(Permille::new(0));
            let most = self.terms.cpu;
            log::say(&format!(
                "the recorder used {used} of a processor in the last minute, {most} is its \
                 budget: the survey and other optional parts become rarer"
            ));
        } else if step == Step::None {
            log::say("the recorder is within its budget again, and nothing is slowed down");
        }
    }

    /// Keeps the agent's memory within its budget; it is let go again at three quarters of it.
    fn mind_memory(&mut self) {
        let weight = self.mirror.weight();
        let counts = self.board.counts();
        let bytes = |amount: Option<Bytes>| amount.unwrap_or_default().get();
        counts.resident_bytes.store(bytes(weight.resident), Ordering::Relaxed);
        counts.proportional_bytes.store(bytes(weight.proportional), Ordering::Relaxed);
        let Some(used) = weight.counted() else { return };
        let most = self.terms.memory;
        let most_now = if self.past.is_tight { Bytes::new(most.get() / 4 * 3) } else { most };
        let is_tight = used > most_now;
        if is_tight != self.past.is_tight {
            self.past.is_tight = is_tight;
            counts.tight.store(u64::from(is_tight), Ordering::Relaxed);
            self.policy.tighten(u32::from(is_tight));
            self.bound_backlog();
            log::say(&if is_tight {
                format!("the recorder has {used} of memory, {most} is its budget: it keeps less")
            } else {
                "the recorder's memory is within its budget again".to_owned()
            });
        }
    }

    fn bound_backlog(&mut self) {
        let most = self.terms.backlog();
        let most = if self.past.is_tight { Bytes::new(most.get() / 4) } else { most };
        self.keeper.bound(most);
    }

    /// Leaves it beside the database how the recorder is, for who looks at the files alone.
    fn leave_notice(&self, now: Stamp, state: &str) {
        self.notice.leave(state, now, &self.board, &self.terms);
    }

    /// Reports events, now that they are safe on disk.
    fn tell(&mut self, events: &[Event], now: Stamp) {
        for event in events {
            bump(&self.board.counts().events);
            self.coroner.take(event);
            match &event.what {
                Happening::Death(_) => {
                    bump(&self.board.counts().deaths);
                }
                Happening::Recorder { note, .. } if is_told_aloud(&event.what) => log::say(note),
                Happening::Growth(grown) => {
                    if let Some(line) = growth::line(grown) {
                        log::say(&line);
                    }
                }
                Happening::Testimony(_) | Happening::Sight(_) | Happening::Recorder { .. } => {}
            }
        }
        let lines = self.herald.stored(Outline::of_each(events), now);
        for line in &lines {
            log::say(line);
        }
    }
}

/// An event of the recorder's own life.
pub(crate) fn lifecycle(now: Stamp, boot_id: BootId, what: &str, note: &str) -> Event {
    Event {
        wall: now.wall,
        boot: Some(now.boot),
        boot_id,
        key: format!("recorder:{what}:{}", now.boot.micros()),
        what: Happening::Recorder { what: what.to_owned(), note: note.to_owned() },
    }
}

/// Tells a supervising systemd that recording goes on.
fn beat() {
    let _no_systemd = sd_notify::notify(&[sd_notify::NotifyState::Watchdog]);
}

/// Adds one, and says how many there are now.
pub(crate) fn bump(count: &AtomicU64) -> u64 {
    count.fetch_add(1, Ordering::Relaxed).saturating_add(1)
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

#[cfg(test)]
mod tests;
