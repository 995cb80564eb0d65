//! The watcher: reads the kernel's messages as they come, and sends each death to be recorded.
//!
//! The cursor that goes with a death never passes a report that is not recorded: an agent that is
//! killed in between reads it again after its restart. Where the messages went on without being
//! read, because the kernel overwrote them first, that gap is an event of its own.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use highwater_core::event::{Event, Happening};
use highwater_core::evidence::Evidence;
use highwater_core::line::LogLine;
use highwater_core::testimony::{Testimony, Witness};
use highwater_core::time::{BootId, BootTime, Stamp, WallTime};
use highwater_linux::kmsg::{Kmsg, Next};
use highwater_linux::witness::fault;
use highwater_owners::cited;
use highwater_store::Cursor;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::board::Board;
use crate::clock;
use crate::feed::Feed;
use crate::progress::Progress;
use crate::recorder::Entry;

/// What the cursor of the kernel's messages is called in the store.
pub(crate) const CURSOR: &str = "kmsg";

/// The facility of the kernel's own messages.
const KERNEL: u32 = 0;

/// How many messages are read before what they brought is sent: a kernel that never stops
/// printing must not keep a death waiting.
const BATCH: usize = 1_000;

/// How often the cursor is kept while nothing happens, so that a restart knows what it missed.
const KEEP_CURSOR_EVERY: Duration = Duration::from_mins(1);

pub(crate) struct Watcher {
    pub(crate) kmsg: Kmsg,
    pub(crate) boot: BootId,
    /// Everything up to this sequence number was read before.
    pub(crate) after: Option<u64>,
    pub(crate) entries: Feed,
    pub(crate) board: Arc<Board>,
    /// Readable when the agent stops.
    pub(crate) stop: OwnedFd,
}

/// What reading brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Drained {
    /// There is nothing more for now.
    Empty,
    /// There may be more.
    Batch,
    /// There will never be more.
    Broken,
}

/// Which cursor was sent last, and when.
#[derive(Clone, Copy, Debug, Default)]
struct Sent {
    seq: Option<u64>,
    at: BootTime,
}

impl Watcher {
    /// Reads until told to stop, or until the messages cannot be read any more.
    pub(crate) fn run(mut self) {
        let mut progress = Progress::new(self.boot, self.after);
        let (mut sent, mut live) = (Sent { seq: self.after, at: clock::now().boot }, false);
        loop {
            let drained = self.drain(&mut progress, live);
            live |= drained == Drained::Empty;
            let now = clock::now();
            self.settle(&mut progress, &mut sent, now.boot, false);
            let stopping = match drained {
                Drained::Empty => !self.wait(&progress, now.boot),
                Drained::Batch => false,
                Drained::Broken => true,
            };
            if stopping {
                break;
            }
        }
        self.settle(&mut progress, &mut sent, clock::now().boot, true);
    }

    /// Reads what messages there are. Those of before the agent began are not `live`: when they
    /// were printed has to be reckoned.
    fn drain(&mut self, progress: &mut Progress, live: bool) -> Drained {
        let mut scratch = Vec::new();
        for _ in 0..BATCH {
            let record = match self.kmsg.next() {
                Ok(Next::Record(record)) => highwater_log::kmsg::record(record, &mut scratch),
                Ok(Next::Overrun) => {
                    self.missed(progress);
                    continue;
                }
                Ok(Next::Empty) => return Drained::Empty,
                Err(error) => {
                    crate::log::say(&format!("kernel messages cannot be read any more: {error}"));
                    self.board.counts().kmsg_ok.store(false, Ordering::Relaxed);
                    self.board.gallery().set(Witness::Kmsg, Some(error.to_string()));
                    return Drained::Broken;
                }
            };
            let Some(record) = record else { continue };
            self.board.counts().kernel_messages.fetch_add(1, Ordering::Relaxed);
            let now = clock::now();
            let wall = if live { now.wall } else { printed(record.boot, now) };
            if self.after.is_some_and(|after| record.seq <= after) {
                continue;
            }
            let last = progress.last_seq();
            if last.is_some_and(|last| record.seq > last.saturating_add(1)) {
                progress.note(gap(self.boot, now, last));
            }
            // Programs may write to the kernel's log too; only the kernel's word counts.
            if record.facility == KERNEL {
                let message = record.as_line();
                progress.take(&message, wall, now.boot);
                if let Some(event) = faulted(&message, self.boot, wall) {
                    self.board.gallery().heard(Witness::Kmsg);
                    progress.note(event);
                }
            }
            progress.pass(record.seq);
        }
        Drained::Batch
    }

    /// Sends the events that waited long enough, and the cursor as far as it is safe.
    fn settle(&self, progress: &mut Progress, sent: &mut Sent, now: BootTime, all: bool) {
        let (events, seq) = progress.settled(now, all);
        let keep = all || now.since(sent.at) >= KEEP_CURSOR_EVERY;
        if events.is_empty() && (!keep || seq == sent.seq) {
            return;
        }
        *sent = Sent { seq, at: now };
        let name = CURSOR.to_owned();
        let cursor = seq.map(|seq| Cursor { name, boot_id: self.boot, seq });
        let _stopped = self.entries.send(Entry::Events(events, cursor));
    }

    /// The kernel says that messages were overwritten; the next one's number tells which.
    fn missed(&self, progress: &mut Progress) {
        self.board.counts().kernel_overruns.fetch_add(1, Ordering::Relaxed);
        if progress.last_seq().is_none() {
            progress.note(gap(self.boot, clock::now(), None));
        }
    }

    /// Waits for a message, for a pending death's time, or for the end; `false` at the end.
    fn wait(&self, progress: &Progress, now: BootTime) -> bool {
        let next = progress.due().map(|due| due.since(now).max(Duration::from_millis(1)));
        let timeout = timespec(next.unwrap_or(KEEP_CURSOR_EVERY));
        let (kmsg, stop) = (self.kmsg.as_fd(), self.stop.as_fd());
        let mut fds = [PollFd::new(&kmsg, PollFlags::IN), PollFd::new(&stop, PollFlags::IN)];
        let _interrupted = poll(&mut fds, Some(&timeout));
        let [_, stop] = fds;
        stop.revents().is_empty()
    }
}

/// Waits for so long, or for the end; `false` at the end.
pub(crate) fn sleep_or_stop(stop: &OwnedFd, span: Duration) -> bool {
    let mut fds = [PollFd::new(stop, PollFlags::IN)];
    let _interrupted = poll(&mut fds, Some(&timespec(span)));
    let [stop] = fds;
    stop.revents().is_empty()
}

pub(crate) fn timespec(span: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(span.subsec_nanos()),
    }
}

/// When a message of before was printed. The kernel stamps by a clock that stands still in
/// suspend, so what is reckoned back is the time awake; a suspend in between makes it late by that.
fn printed(at: BootTime, now: Stamp) -> WallTime {
    now.wall.before(clock::awake().since(at))
}

/// That the kernel stopped a process, or refused it memory.
fn faulted(line: &LogLine<'_>, boot_id: BootId, wall: WallTime) -> Option<Event> {
    let (about, fact) = fault::of_line(line)?;
    let source = "/dev/kmsg".to_owned();
    let evidence = Evidence { source, line: Some(line.number), text: cited(line.text) };
    let what = Testimony { witness: Witness::Kmsg, about, fact, evidence };
    let key = format!("kmsg:{}", line.number);
    Some(Event { wall, boot: line.boot, boot_id, key, what: Happening::Testimony(Box::new(what)) })
}

fn gap(boot_id: BootId, now: Stamp, last: Option<u64>) -> Event {
    let after = last.map_or_else(|| "of the beginning".to_owned(), |seq| format!("after {seq}"));
    Event {
        wall: now.wall,
        boot: Some(now.boot),
        boot_id,
        key: format!("kmsg-gap:{}", last.unwrap_or(0)),
        what: Happening::Recorder {
            what: "missed".to_owned(),
            note: format!(
                "kernel messages {after} were overwritten before they could be read; deaths among \
                 them are not on record"
            ),
        },
    }
}
