//! The keeper: what is seen goes to the store, and waits in memory while the store does not take it.
//!
//! ```text
//!   reading ──► store          as long as all is well
//!      └──► backlog ──► store  in order, once it is well again: full, read-only, failing, gone
//!   event ──► waiting ──► store   the same, but never thinned out: bounded in number
//! ```
//!
//! Before each write it is checked that the database is still the file that was opened, and that
//! nobody wrote over it. A database
//! that fails is opened anew now and then: one that was opened on a file system that was read-only
//! for a while stays read-only itself.

mod health;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use highwater_core::event::{Event, Happening};
use highwater_core::frame::Frame;
use highwater_core::thing::Survey;
use highwater_core::time::{BootId, BootTime, Stamp};
use highwater_core::units::Bytes;
use highwater_store::{
    Appended, Cursor, FILE_NAME, Keep, Pen, Round, SetAside, Store, StoreError, Work,
};
use rustix::fs::statvfs;

use crate::backlog::{Backlog, Reading};
use crate::board::{Board, Counts};
use crate::log;
use crate::mark::{Found, Mark};
use crate::recorder::{bump, lifecycle};

use health::Health;

/// How many events wait at most for a store that does not take them: some 20 kB each, 5 MB in all.
/// The oldest are given up first, and that is an event of its own once the store is back.
const WAITING_EVENTS: usize = 256;

/// A store that fails is tried this often. Each try may wait for a lock.
const TRY_EVERY: Duration = Duration::from_secs(2);

/// And opened anew this often.
const REOPEN_EVERY: Duration = Duration::from_secs(15);

/// So many readings of the backlog are written in one go; the next ones come after what arrived
/// meanwhile.
const DRAIN: usize = 16;

/// Where what is seen goes.
#[derive(Debug)]
pub(crate) struct Keeper {
    dir: PathBuf,
    boot: BootId,
    board: Arc<Board>,
    keep: Keep,
    shelf: Option<Shelf>,
    backlog: Backlog,
    events: Vec<Event>,
    /// Of each source, how far it was read.
    cursors: BTreeMap<String, Cursor>,
    /// Events that were given up since the last that could be written.
    given_up: usize,
    health: Health,
    /// The last failure, if pages of the database were damaged; and whether it was opened anew for
    /// one before, in vain so far.
    damage: Option<StoreError>,
    opened_in_vain: bool,
    tried_at: Option<BootTime>,
    opened_at: Option<BootTime>,
    more_chores: bool,
}

/// The open database.
#[derive(Debug)]
struct Shelf {
    store: Store,
    mark: Mark,
}

impl Keeper {
    /// Opens the store in `dir`. One that is damaged is set aside; one whose disk is full is tried
    /// again later, and what is seen waits in memory.
    pub(crate) fn open(
        dir: PathBuf,
        boot: BootId,
        board: Arc<Board>,
        keep: Keep,
        now: Stamp,
    ) -> Result<Self, StoreError> {
        let mut keeper = Self {
            dir,
            boot,
            board,
            keep,
            shelf: None,
            backlog: Backlog::new(Bytes::ZERO),
            events: Vec::new(),
            cursors: BTreeMap::new(),
            given_up: 0,
            health: Health::default(),
            damage: None,
            opened_in_vain: false,
            tried_at: None,
            opened_at: None,
            more_chores: false,
        };
        keeper.board.set_trouble(None);
        match keeper.reopen(now) {
            Err(error) if !error.is_full() => return Err(error),
            Err(error) => keeper.note::<()>("anything", Err(error)),
            Ok(()) => {}
        }
        keeper.weigh();
        Ok(keeper)
    }

    /// How far the source called `name` was read, as far as the store can tell.
    pub(crate) fn cursor(&self, name: &str) -> Option<Cursor> {
        let store = &self.shelf.as_ref()?.store;
        store.cursor(name).ok().flatten()
    }

    /// Holds so much in memory at most while the store fails.
    pub(crate) fn bound(&mut self, most: Bytes) {
        self.backlog.bound(most);
    }

    /// Keeps so much from now on.
    pub(crate) fn set_keep(&mut self, keep: Keep) {
        self.keep = keep;
        let budget = keep.budget.get();
        self.board.counts().budget_bytes.store(budget, Ordering::Relaxed);
    }

    /// Takes a tick.
    pub(crate) fn frame(&mut self, frame: &Frame, now: Stamp) {
        let boot = self.boot;
        let written = self.at_once(now, |store| store.append(frame, boot));
        if !written {
            self.wait(Reading::Frame(Box::new(frame.clone())), now);
        }
    }

    /// Takes a survey.
    pub(crate) fn survey(&mut self, survey: Survey, now: Stamp) {
        let boot = self.boot;
        let written = self.at_once(now, |store| store.append_survey(&survey, boot));
        if !written {
            self.wait(Reading::Survey(survey), now);
        }
    }

    /// Takes what rules gave; whether it is stored. It does not wait for a store that fails: who
    /// evaluates brings the states again.
    pub(crate) fn round(&mut self, round: &Round, now: Stamp) -> bool {
        let boot = self.boot;
        self.at_once(now, |store| store.record_round(round, boot))
    }

    /// What rules and receivers go on from, by name.
    pub(crate) fn standing(&self) -> Vec<(String, String)> {
        let standing = self.shelf.as_ref().map(|open| open.store.standing());
        standing.and_then(Result::ok).unwrap_or_default()
    }

    /// Takes events, and how far their source is read thereby; those that are on disk now.
    pub(crate) fn events(
        &mut self,
        events: Vec<Event>,
        cursor: Option<Cursor>,
        now: Stamp,
    ) -> Vec<Event> {
        self.events.extend(events);
        self.cursors.extend(cursor.map(|cursor| (cursor.name.clone(), cursor)));
        if self.events.is_empty() && self.cursors.is_empty() {
            return Vec::new();
        }
        self.check_file(now);
        let Some(open) = &mut self.shelf else {
            self.give_up_surplus();
            count(&self.board.counts().waiting_events, self.events.len());
            return Vec::new();
        };
        // Nearly always there is one cursor at most; the others come after all events.
        let first = self.cursors.pop_first().map(|(_, cursor)| cursor);
        let recorded = open.store.record(&self.events, first.as_ref());
        if recorded.is_err() {
            self.cursors.extend(first.map(|cursor| (cursor.name.clone(), cursor)));
        }
        let mut cursors = self.cursors.values();
        let kept = match &recorded {
            Ok(_) => cursors.try_for_each(|last| open.store.record(&[], Some(last)).map(|_| ())),
            Err(_) => Ok(()),
        };
        open.mark.wrote();
        let told = match recorded {
            Ok(new) => {
                let written = self.events.drain(..).zip(new);
                let told = written.filter_map(|(event, new)| new.then_some(event)).collect();
                if kept.is_ok() {
                    self.cursors.clear();
                }
                self.note("events", kept);
                self.tell_given_up(now);
                told
            }
            Err(error) => {
                self.give_up_surplus();
                self.note::<()>("events", Err(error));
                Vec::new()
            }
        };
        count(&self.board.counts().waiting_events, self.events.len());
        told
    }

    /// Does a bounded part of what else there is to do: what waits is written, then the store's
    /// chores. Whether there is more.
    pub(crate) fn chores(&mut self, now: Stamp) -> bool {
        if self.health.is_ill() {
            return false;
        }
        self.drain(now);
        if self.backlog.len() > 0 {
            return !self.health.is_ill();
        }
        let Some(open) = &mut self.shelf else { return false };
        let done = open.store.maintain(now, &self.keep);
        open.mark.wrote();
        match done {
            Ok(done) => {
                let counts = self.board.counts();
                tally(counts, done.work, now);
                counts.damaged_rows.fetch_add(wide(done.damaged), Ordering::Relaxed);
                counts.early_expiries.fetch_add(u64::from(done.early), Ordering::Relaxed);
                self.more_chores = done.more;
                self.note("what is due", Ok(()));
            }
            Err(error) => {
                self.more_chores = false;
                self.note::<()>("what is due", Err(error));
            }
        }
        self.more_chores
    }

    /// Shows how large the database is, and how much room there is. Takes some microseconds.
    pub(crate) fn weigh(&self) {
        if let Ok(disk) = statvfs(&self.dir) {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            self.board.counts().free_bytes.store(free, Ordering::Relaxed);
        }
        let Some(open) = &self.shelf else { return };
        let Ok(size) = open.store.size() else { return };
        let counts = self.board.counts();
        counts.database_bytes.store(size.database.get(), Ordering::Relaxed);
        counts.log_bytes.store(size.wal.get(), Ordering::Relaxed);
    }

    /// Writes a reading if nothing that is older waits, and all is well.
    fn at_once(
        &mut self,
        now: Stamp,
        append: impl FnOnce(&mut Store) -> Result<Appended, StoreError>,
    ) -> bool {
        self.check_file(now);
        if self.backlog.len() > 0 || self.health.is_ill() {
            return false;
        }
        let Some(open) = &mut self.shelf else { return false };
        let appended = append(&mut open.store);
        open.mark.wrote();
        self.appended(appended)
    }

    /// A reading waits; and if it is time, the oldest ones are tried.
    fn wait(&mut self, reading: Reading, now: Stamp) {
        self.backlog.push(reading);
        let due = self.tried_at.is_none_or(|last| now.boot.since(last) >= TRY_EVERY);
        if due {
            self.try_again(now);
        }
        self.show_backlog(now);
    }

    fn try_again(&mut self, now: Stamp) {
        self.tried_at = Some(now.boot);
        let reopen = self.opened_at.is_none_or(|last| now.boot.since(last) >= REOPEN_EVERY);
        if self.health.is_ill() && reopen && !(self.health.is_full() && self.shelf.is_some()) {
            // The old one first: two writers would wait for each other.
            self.shelf = None;
            self.part_from_damaged(now);
            if let Err(error) = self.reopen(now) {
                self.note::<()>("anything", Err(error));
            }
        }
        self.drain(now);
    }

    /// A database in which damage is met again after it was opened anew is set aside: recording does
    /// not wait for repair.
    fn part_from_damaged(&mut self, now: Stamp) {
        let Some(error) = self.damage.take() else { return };
        if !self.opened_in_vain {
            self.opened_in_vain = true;
            return;
        }
        self.opened_in_vain = false;
        match SetAside::of(&self.dir, now.wall, &error) {
            Ok(aside) => self.tell_set_aside(&aside, now),
            Err(error) => self.note::<()>("anything", Err(error)),
        }
    }

    /// Writes what waits, the oldest first, a bounded number.
    fn drain(&mut self, now: Stamp) {
        if self.backlog.len() == 0 {
            return;
        }
        self.check_file(now);
        for _ in 0..DRAIN {
            let (Some(open), Some(oldest)) = (&mut self.shelf, self.backlog.first()) else {
                break;
            };
            let appended = match oldest {
                Reading::Frame(frame) => open.store.append(frame, self.boot),
                Reading::Survey(survey) => open.store.append_survey(survey, self.boot),
            };
            open.mark.wrote();
            if !self.appended(appended) {
                break;
            }
            self.backlog.pop();
        }
        self.show_backlog(now);
    }

    fn appended(&mut self, result: Result<Appended, StoreError>) -> bool {
        let written = result.is_ok();
        if let Ok(appended) = &result {
            let counts = self.board.counts();
            counts.stored_bytes.fetch_add(wide(appended.bytes), Ordering::Relaxed);
            counts.new_entities.fetch_add(wide(appended.entities), Ordering::Relaxed);
        }
        self.note("samples", result);
        written
    }

    fn show_backlog(&self, now: Stamp) {
        let counts = self.board.counts();
        count(&counts.backlog, self.backlog.len());
        counts.backlog_bytes.store(self.backlog.bytes().get(), Ordering::Relaxed);
        counts.thinned.store(self.backlog.thinned(), Ordering::Relaxed);
        let oldest = self.backlog.first().map(|reading| now.boot.since(reading.stamp().boot));
        let age = oldest.unwrap_or_default().as_micros();
        counts.backlog_age_us.store(u64::try_from(age).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Notices a database that was replaced or taken away, and begins anew at its name. What the
    /// old file holds stays in it; nothing more is written there.
    fn check_file(&mut self, now: Stamp) {
        let Some(open) = &mut self.shelf else { return };
        let found = open.mark.look();
        if found == Found::Same {
            return;
        }
        self.board.counts().incomplete.store(true, Ordering::Relaxed);
        let Some(old) = self.shelf.take() else { return };
        let _until_reopened = match found {
            Found::Overwritten => self.part_from_ruin(old, now),
            Found::Other => self.part_from(old, "replaced by another file", now),
            Found::Nothing | Found::Same => self.part_from(old, "taken away", now),
        };
        if let Err(error) = self.reopen(now) {
            self.note::<()>("anything", Err(error));
        }
    }

    /// Leaves the old file to itself.
    fn part_from(&mut self, old: Shelf, what: &str, now: Stamp) -> Pen {
        bump(&self.board.counts().replaced);
        let Shelf { store, mark } = old;
        let path = store.path().display().to_string();
        let pen = store.part();
        let kept = match mark.part_from(now.wall) {
            Ok(Some(log)) => format!(
                "; to read the old one, put it into a directory as {FILE_NAME}, with its log, now \
                 {}, beside it as {FILE_NAME}-wal, and name that directory with --data-dir",
                log.display()
            ),
            Ok(None) => String::new(),
            Err(error) => format!("; its log is in the way: {error}"),
        };
        let note = format!("{path} was {what} while it was recorded into; recording goes on{kept}");
        log::say(&note);
        self.events.push(lifecycle(now, self.boot, "replaced", &note));
        pen
    }

    /// Sets a file aside that somebody wrote over. Where that is refused, opening it anew tells why.
    fn part_from_ruin(&mut self, old: Shelf, now: Stamp) -> Pen {
        let why = "something else was written over it while it was recorded into".to_owned();
        let Shelf { store, mark } = old;
        match mark.set_aside(now.wall) {
            Ok(path) => self.tell_set_aside(&SetAside { path, why }, now),
            Err(error) => log::say(&format!(
                "{}: {why}, and it cannot be renamed: {error}",
                store.path().display()
            )),
        }
        // Before its mark, whose descriptor must not be closed first.
        store.part()
    }

    /// Nothing more will come: what waits is written as far as the store takes it, and the file is
    /// looked at once more.
    pub(crate) fn finish(&mut self, now: Stamp) {
        while !self.health.is_ill() {
            let before = self.backlog.len();
            self.drain(now);
            if self.backlog.len() == before {
                break;
            }
        }
        self.check_file(now);
        if !self.health.is_ill() && self.shelf.is_some() && self.backlog.len() == 0 {
            self.board.set_trouble(None);
        }
    }

    /// Whether the event of this key waits for the store.
    pub(crate) fn holds(&self, key: &str) -> bool {
        self.events.iter().any(|event| event.key == key)
    }

    fn reopen(&mut self, now: Stamp) -> Result<(), StoreError> {
        self.opened_at = Some(now.boot);
        let (store, aside) = Store::open_or_set_aside(&self.dir, now.wall)?;
        let marked = Mark::of(store.path());
        let mark = marked.map_err(|cause| gone(&store, cause))?;
        self.shelf = Some(Shelf { store, mark });
        if let Some(aside) = aside {
            self.tell_set_aside(&aside, now);
        }
        Ok(())
    }

    fn tell_set_aside(&mut self, aside: &SetAside, now: Stamp) {
        bump(&self.board.counts().set_aside);
        let note = format!(
            "{} was damaged ({}) and set aside as {}; a new one is begun",
            self.dir.join(FILE_NAME).display(),
            aside.why,
            aside.path.display()
        );
        log::say(&note);
        self.events.push(lifecycle(now, self.boot, "set-aside", &note));
    }

    /// Nobody knows which source the events that go came from: how far each was read is forgotten, too,
    /// so that an agent that is started anew meanwhile reads them again.
    fn give_up_surplus(&mut self) {
        let surplus = self.events.len().saturating_sub(WAITING_EVENTS);
        if surplus > 0 {
            self.cursors.clear();
        }
        self.given_up += self.events.drain(..surplus).count();
        self.board.counts().lost_events.fetch_add(wide(surplus), Ordering::Relaxed);
    }

    /// The store is back: what was given up meanwhile is an event to be written next.
    fn tell_given_up(&mut self, now: Stamp) {
        if self.given_up == 0 {
            return;
        }
        let note = format!("{} events could not be written and are lost", self.given_up);
        self.events.push(lifecycle(now, self.boot, "missed", &note));
        self.given_up = 0;
    }

    /// Takes note of a success or failure, and says what changes by it.
    fn note<T>(&mut self, what: &str, result: Result<T, StoreError>) {
        match result {
            Err(error) => {
                bump(&self.board.counts().store_errors);
                let why = health::reasons(&error);
                if self.health.fails(error.is_full()) {
                    log::say(&format!("cannot write {what}: {why}; going on in memory"));
                }
                self.board.set_trouble(Some(why));
                self.damage = error.is_damage().then_some(error);
            }
            Ok(_) => {
                if self.health.works() {
                    self.opened_in_vain = false;
                    self.board.set_trouble(None);
                    log::say("the store takes writes again");
                }
            }
        }
    }
}

/// What is recorded as `missed`, `replaced` and so on is told by the recorder, not here.
pub(crate) fn is_told_aloud(what: &Happening) -> bool {
    matches!(what, Happening::Recorder { what, .. } if what == "missed")
}

fn gone(store: &Store, cause: io::Error) -> StoreError {
    StoreError::Io { doing: "find", path: store.path().to_owned(), cause }
}

fn tally(counts: &Counts, work: Work, now: Stamp) {
    let ms = u64::try_from(now.wall.millis()).unwrap_or(0);
    match work {
        Work::Sealed => {
            bump(&counts.seals);
            counts.last_seal_ms.store(ms, Ordering::Relaxed);
        }
        Work::Compacted => {
            bump(&counts.compactions);
            counts.last_compaction_ms.store(ms, Ordering::Relaxed);
        }
        Work::Forgot => {
            bump(&counts.expiries);
        }
        Work::Idle | Work::GaveBack => {}
    }
}

fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

fn count(slot: &std::sync::atomic::AtomicU64, number: usize) {
    slot.store(wide(number), Ordering::Relaxed);
}

#[cfg(test)]
mod tests;
