//! What a witness says, on its way to the recorder.

use std::sync::Arc;

use highwater_core::event::{Event, Happening};
use highwater_core::owner::Owner;
use highwater_core::testimony::Party;
use highwater_core::time::{BootId, Stamp, WallTime};
use highwater_owners::{Directory, Missed, Told};
use highwater_store::Cursor;

use super::sieve::{Fate, Sieve};
use crate::board::Board;
use crate::feed::Feed;
use crate::recorder::{Entry, lifecycle};

/// So many events are sent in one go at most: a batch is one write to the disk.
const BATCH: usize = 256;

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
        let Told { wall, boot, key, mut testimony } = told;
        let witness = testimony.witness;
        match self.sieve.judge(&testimony, now.boot) {
            Fate::Kept => {}
            Fate::Idle => return,
            Fate::Dropped => return self.board.gallery().dropped(witness, 1),
        }
        self.board.gallery().heard(witness);
        name(&self.directory, &mut testimony.about);
        if let highwater_core::testimony::Fact::Signalled(sent) = &mut testimony.fact {
            name(&self.directory, &mut sent.by);
        }
        let wall = wall.or_else(|| boot.map(|boot| now.wall_at(boot))).unwrap_or(now.wall);
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
    pub(crate) fn note_missed(&mut self, note: &str, until: WallTime, now: Stamp) {
        let mut event = lifecycle(now, self.boot, "missed", note);
        event.key = format!("missed:{}", until.millis());
        self.note(event);
    }

    /// Sends what was taken, and how far the witness was heard thereby. `false`: nobody records any
    /// more.
    pub(crate) fn flush(&mut self, cursor: Option<Cursor>) -> bool {
        if self.events.is_empty() && cursor.is_none() {
            return true;
        }
        self.feed.send(Entry::Events(std::mem::take(&mut self.events), cursor))
    }

    /// The cursor `name` at `seq`.
    pub(crate) fn cursor(&self, name: &str, seq: u64) -> Cursor {
        Cursor { name: name.to_owned(), boot_id: self.boot, seq }
    }
}

/// That a witness no longer has what happened in a span, in words.
pub(crate) fn missed(witness: &str, span: &Missed) -> String {
    format!("{witness} has nothing of {} to {}: {}", span.from, span.until, span.why)
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
