//! What a witness says, on its way to the recorder.

use std::sync::Arc;
use std::sync::mpsc::TrySendError;
use std::time::Duration;

use highwater_core::event::{Event, Happening};
use highwater_core::owner::Owner;
use highwater_core::testimony::{Party, Witness};
use highwater_core::time::{BootId, BootTime, Stamp};
use highwater_owners::{Directory, Missed, Told};
use highwater_store::Cursor;

use super::sieve::{Fate, Sieve};
use crate::board::Board;
use crate::feed::Feed;
use crate::recorder::{Entry, lifecycle};

/// So many events are sent in one go at most: a batch is one write to the disk.
const BATCH: usize = 256;

/// So many events are held at most for a recorder that has no place for them: half a minute of a
/// storm. The oldest go first, and are counted.
const HELD: usize = 4_096;

/// The wall clock may be set by this much without a testimony of this boot being taken for one of
/// the last.
const CLOCKS_APART: Duration = Duration::from_mins(1);

/// Where a witness's thread puts what it heard.
#[derive(Debug)]
pub(crate) struct Outlet {
    boot: BootId,
    feed: Feed,
    board: Arc<Board>,
    directory: Arc<Directory>,
    sieve: Sieve,
    events: Vec<Event>,
}

impl Outlet {
    pub(crate) fn new(
        boot: BootId,
        feed: Feed,
        board: Arc<Board>,
        directory: Arc<Directory>,
    ) -> Self {
        Self { boot, feed, board, directory, sieve: Sieve::default(), events: Vec::new() }
    }

    /// One more like it, for another thread.
    pub(crate) fn another(&self) -> Self {
        let (feed, board) = (self.feed.clone(), Arc::clone(&self.board));
        Self::new(self.boot, feed, board, Arc::clone(&self.directory))
    }

    /// The agent's board.
    pub(crate) fn board(&self) -> &Board {
        &self.board
    }

    /// The names of containers.
    pub(crate) fn directory(&self) -> &Arc<Directory> {
        &self.directory
    }

    /// Takes what was said, and drops it if it is of low value and there is much of it.
    pub(crate) fn take(&mut self, told: Told, now: Stamp) {
        let fate = self.sieve.judge(&told.testimony, now.boot);
        self.take_as(fate, told, now);
    }

    /// The same for the end of a process that had a hand in another's: it is of use however it ended.
    pub(crate) fn take_awaited(&mut self, told: Told, now: Stamp) {
        let fate = self.sieve.judge_awaited(&told.testimony, now.boot);
        self.take_as(fate, told, now);
    }

    fn take_as(&mut self, fate: Fate, told: Told, now: Stamp) {
        match fate {
            Fate::Kept => self.keep(told, now),
            Fate::Idle => {}
            Fate::Dropped => self.board.gallery().dropped(told.testimony.witness, 1),
        }
    }

    fn keep(&mut self, told: Told, now: Stamp) {
        let Told { wall, boot, key, mut testimony } = told;
        self.board.gallery().heard(testimony.witness);
        name(&self.directory, &mut testimony.about);
        if let highwater_core::testimony::Fact::Signalled(sent) = &mut testimony.fact {
            name(&self.directory, &mut sent.by);
        }
        let wall = wall.or_else(|| boot.map(|boot| now.wall_at(boot))).unwrap_or(now.wall);
        let uptime = now.boot.since(BootTime::default()) + CLOCKS_APART;
        if boot.is_none() && wall < now.wall.before(uptime) {
            // It happened before this boot: its process is none of this one's.
            (testimony.about.pid, testimony.about.start) = (None, None);
        }
        let what = Happening::Testimony(Box::new(testimony));
        self.events.push(Event { wall, boot, boot_id: self.boot, key, what });
        if self.events.len() >= BATCH {
            self.flush(None);
        }
    }

    /// Nothing waits to be sent.
    pub(crate) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Takes an event that is no testimony.
    pub(crate) fn note(&mut self, event: Event) {
        self.events.push(event);
    }

    /// Takes that a witness no longer has what happened in a span.
    pub(crate) fn note_missed(&mut self, who: &str, span: &Missed, now: Stamp) {
        let note = format!("{who} has nothing of {} to {}: {}", span.from, span.until, span.why);
        let mut event = lifecycle(now, self.boot, "missed", &note);
        event.key = format!("missed:{who}:{}", span.from.millis());
        self.note(event);
    }

    /// Takes that the kernel dropped events of this witness before they were read.
    pub(crate) fn note_lost(&mut self, witness: Witness, now: Stamp) {
        let note =
            format!("{} said more than could be read in time: some of it is lost", witness.words());
        let mut event = lifecycle(now, self.boot, "missed", &note);
        event.key = format!("lost:{}:{}", witness.name(), now.boot.micros());
        self.note(event);
    }

    /// Takes who has been heard since `since`, which is found out at `now`.
    pub(crate) fn note_sight(&mut self, since: Stamp, now: Stamp) {
        let what = Happening::Sight(self.board.gallery().sight());
        let key = format!("sight:lost:{}", now.boot.micros());
        let (wall, boot, boot_id) = (since.wall, Some(since.boot), self.boot);
        self.note(Event { wall, boot, boot_id, key, what });
    }

    /// Sends what was taken, and how far the witness was heard thereby. `false`: nobody records any
    /// more.
    pub(crate) fn flush(&mut self, cursor: Option<Cursor>) -> bool {
        if self.events.is_empty() && cursor.is_none() {
            return true;
        }
        self.feed.send(Entry::Events(std::mem::take(&mut self.events), cursor))
    }

    /// The same, for a thread that must not wait: events that find no place are kept for the next time.
    /// The cursor is not: it is to be given again.
    pub(crate) fn try_flush(&mut self, cursor: Option<Cursor>) -> bool {
        if self.events.is_empty() && cursor.is_none() {
            return true;
        }
        let entry = Entry::Events(std::mem::take(&mut self.events), cursor);
        let Err(refused) = self.feed.try_send(entry) else { return true };
        let (TrySendError::Full(entry) | TrySendError::Disconnected(entry)) = *refused;
        if let Entry::Events(mut events, _) = entry {
            let surplus = events.len().saturating_sub(HELD);
            for event in events.drain(..surplus) {
                if let Happening::Testimony(testimony) = event.what {
                    self.board.gallery().dropped(testimony.witness, 1);
                }
            }
            self.events = events;
        }
        false
    }

    /// The cursor `name` at `seq`.
    pub(crate) fn cursor(&self, name: &str, seq: u64) -> Cursor {
        Cursor { name: name.to_owned(), boot_id: self.boot, seq }
    }
}

/// Calls a container by its name, where that is known.
fn name(directory: &Directory, party: &mut Party) {
    if let Some(cgroup) = &party.cgroup {
        let owner = directory.owner_of(cgroup.as_str());
        let is_better = match &party.owner {
            None | Some(Owner::Cgroup(_)) => true,
            Some(Owner::Container(id)) => highwater_core::owner::is_container_id(id),
            Some(_) => false,
        };
        if is_better {
            party.owner = Some(owner);
        }
    }
}
