//! The recorder's queue: bounded, and counted, so that it can be seen how much waits.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvError, SyncSender, TryRecvError, TrySendError, sync_channel};

use crate::board::Board;
use crate::recorder::Entry;

/// A queue of so many places.
pub(crate) fn feed(places: usize, board: &Arc<Board>) -> (Feed, Inbox) {
    let (entries, inbox) = sync_channel(places);
    (Feed { entries, board: Arc::clone(board) }, Inbox { entries: inbox, board: Arc::clone(board) })
}

/// Where the other threads put what is to be recorded.
#[derive(Clone, Debug)]
pub(crate) struct Feed {
    entries: SyncSender<Entry>,
    board: Arc<Board>,
}

impl Feed {
    /// Waits for a place. `false`: nobody takes anything any more.
    pub(crate) fn send(&self, entry: Entry) -> bool {
        self.board.counts().queued.fetch_add(1, Ordering::Relaxed);
        let sent = self.entries.send(entry).is_ok();
        if !sent {
            self.took_back();
        }
        sent
    }

    /// Gives the entry back where there is no place.
    pub(crate) fn try_send(&self, entry: Entry) -> Result<(), Box<TrySendError<Entry>>> {
        self.board.counts().queued.fetch_add(1, Ordering::Relaxed);
        self.entries.try_send(entry).map_err(|refused| {
            self.took_back();
            Box::new(refused)
        })
    }

    fn took_back(&self) {
        self.board.counts().queued.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Where the recorder takes them from.
#[derive(Debug)]
pub(crate) struct Inbox {
    entries: Receiver<Entry>,
    board: Arc<Board>,
}

impl Inbox {
    /// Waits for an entry.
    pub(crate) fn next(&self) -> Result<Entry, RecvError> {
        self.entries.recv().inspect(|_| self.took())
    }

    /// The next entry, if one waits.
    pub(crate) fn waiting(&self) -> Result<Entry, TryRecvError> {
        self.entries.try_recv().inspect(|_| self.took())
    }

    fn took(&self) {
        self.board.counts().queued.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_counted_and_what_found_no_place_is_not() {
        let board = Arc::new(Board::default());
        let (feed, inbox) = feed(2, &board);
        let queued = || board.counts().queued.load(Ordering::Relaxed);
        assert!(feed.try_send(Entry::Beat).is_ok() && feed.send(Entry::Beat));
        assert!(feed.try_send(Entry::Stop).is_err());
        assert_eq!(queued(), 2);
        assert!(matches!(inbox.next(), Ok(Entry::Beat)));
        assert!(matches!(inbox.waiting(), Ok(Entry::Beat)));
        assert!(inbox.waiting().is_err());
        assert_eq!(queued(), 0);
        drop(inbox);
        assert!(!feed.send(Entry::Beat));
        assert_eq!(queued(), 0);
    }
}
