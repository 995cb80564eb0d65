//! The watcher: reads the kernel's messages as they come, and sends each death to be recorded.
//!
//! A kill line is a death at once, but its report goes on for a moment (the reaper's line comes
//! after it). So a death waits [`SETTLE`] for the rest, and the cursor stays before its report
//! until it is recorded: an agent that is killed in that moment reads it again after its restart.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use highwater_core::event::{Death, Event, Happening};
use highwater_core::line::{LogLine, RecordedLine};
use highwater_core::time::{BootId, BootTime, Stamp, WallTime};
use highwater_linux::kmsg::{Kmsg, Next};
use highwater_oom::Assembler;
use highwater_oom::report::{Kill, OomReport};
use highwater_store::Cursor;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::board::Board;
use crate::clock;
use crate::recorder::Entry;

/// How long a death waits for the rest of its report. A report is printed in one go; a tenth of a
/// second is many times what the slowest console takes for its last lines.
const SETTLE: Duration = Duration::from_millis(150);

/// What the cursor of the kernel's messages is called in the store.
pub(crate) const CURSOR: &str = "kmsg";

/// The facility of the kernel's own messages.
const KERNEL: u32 = 0;

pub(crate) struct Watcher {
    pub(crate) kmsg: Kmsg,
    pub(crate) boot: BootId,
    /// Everything up to this sequence number was read before.
    pub(crate) after: Option<u64>,
    pub(crate) entries: SyncSender<Entry>,
    pub(crate) board: Arc<Board>,
    /// Readable when the agent stops.
    pub(crate) stop: OwnedFd,
}

/// A death whose report may not be over.
struct Pending {
    kill_line: u64,
    due: BootTime,
}

/// What is known while reading, and the room for one message.
#[derive(Default)]
struct Reading {
    progress: Progress,
    scratch: Vec<u8>,
}

/// How far the messages are understood.
#[derive(Default)]
struct Progress {
    assembler: Assembler,
    pending: Vec<Pending>,
    events: Vec<Event>,
    /// The last message read, and the first of the report in progress.
    last_seq: Option<u64>,
    report_from: Option<u64>,
}

impl Progress {
    /// Takes one message of the kernel.
    fn take(&mut self, line: &LogLine<'_>, boot: BootId) {
        let pushed = self.assembler.push(line);
        if let Some(report) = pushed.finished {
            // All of them: those that were sent before are known to the store by their key, and a
            // death whose kill line was lost is only found when its report is over.
            self.events.extend(report.kills.iter().filter_map(|kill| death(&report, kill, boot)));
            self.pending.clear();
            self.report_from = None;
        }
        let Some(report) = self.assembler.current() else { return };
        self.report_from = self.report_from.or(line.seq);
        if pushed.new_kill
            && let Some(kill) = report.kills.last()
        {
            let now = clock::now().boot.micros();
            let due = BootTime::from_micros(now.saturating_add(micros(SETTLE)));
            self.pending.push(Pending { kill_line: kill.line, due });
        }
    }

    /// The deaths that waited long enough by `now`, with their wall time; and how far the
    /// messages are dealt with thereby.
    fn settled(&mut self, now: Stamp, all: bool, boot: BootId) -> (Vec<Event>, Option<u64>) {
        if self.pending.iter().any(|pending| all || pending.due <= now.boot) {
            match self.assembler.current() {
                Some(report) => self.events.extend(deaths(report, &mut self.pending, boot)),
                None => self.pending.clear(),
            }
        }
        let mut events = std::mem::take(&mut self.events);
        for event in &mut events {
            event.wall = event.boot.map_or(now.wall, |boot| now.wall_at(boot));
        }
        // A report in progress may bring more kills; it is read again from its first line.
        let dealt_with = match self.report_from {
            Some(from) if !self.pending.is_empty() => from.checked_sub(1),
            _ => self.last_seq,
        };
        (events, dealt_with)
    }
}

impl Watcher {
    /// Reads until told to stop, or until the messages cannot be read any more.
    pub(crate) fn run(mut self) {
        let mut reading = Reading::default();
        reading.progress.last_seq = self.after;
        loop {
            let more = self.drain(&mut reading);
            let now = clock::now();
            self.settle(&mut reading.progress, now, false);
            if !more || !self.wait(&reading.progress, now) {
                break;
            }
        }
        self.settle(&mut reading.progress, clock::now(), true);
    }

    /// Reads every message there is; `false` if there will be no more.
    fn drain(&mut self, reading: &mut Reading) -> bool {
        loop {
            match self.kmsg.next() {
                Ok(Next::Record(record)) => {
                    let Some(record) = highwater_log::kmsg::record(record, &mut reading.scratch)
                    else {
                        continue;
                    };
                    self.board.counts().kernel_messages.fetch_add(1, Ordering::Relaxed);
                    let read_before = self.after.is_some_and(|after| record.seq <= after);
                    // Programs may write to the kernel's log too; only the kernel's word counts.
                    if !read_before && record.facility == KERNEL {
                        reading.progress.take(&record.as_line(), self.boot);
                    }
                    reading.progress.last_seq = reading.progress.last_seq.max(Some(record.seq));
                }
                Ok(Next::Overrun) => self.overrun(&mut reading.progress),
                Ok(Next::Empty) => return true,
                Err(error) => {
                    crate::log::say(&format!("kernel messages cannot be read any more: {error}"));
                    self.board.counts().kmsg_ok.store(false, Ordering::Relaxed);
                    return false;
                }
            }
        }
    }

    /// Sends the deaths that waited long enough, and moves the cursor as far as it is safe.
    fn settle(&self, progress: &mut Progress, now: Stamp, all: bool) {
        let (events, dealt_with) = progress.settled(now, all, self.boot);
        if events.is_empty() {
            return;
        }
        let name = CURSOR.to_owned();
        let cursor = dealt_with.map(|seq| Cursor { name, boot_id: self.boot, seq });
        let _stopped = self.entries.send(Entry::Events(events, cursor));
    }

    fn overrun(&self, progress: &mut Progress) {
        self.board.counts().kernel_overruns.fetch_add(1, Ordering::Relaxed);
        let now = clock::now();
        let after = progress.last_seq.map_or_else(|| "none".to_owned(), |seq| seq.to_string());
        progress.events.push(Event {
            wall: now.wall,
            boot: Some(now.boot),
            boot_id: self.boot,
            key: format!("kmsg-overrun:{after}"),
            what: Happening::Recorder {
                what: "missed".to_owned(),
                note: format!(
                    "kernel messages after number {after} were overwritten before they could be \
                     read; deaths among them are not on record"
                ),
            },
        });
    }

    /// Waits for a message, for a pending death's time, or for the end; `false` at the end.
    fn wait(&self, progress: &Progress, now: Stamp) -> bool {
        let next = progress.pending.iter().map(|pending| pending.due.since(now.boot)).min();
        let timeout = next.map(|span| timespec(span.max(Duration::from_millis(1))));
        let (kmsg, stop) = (self.kmsg.as_fd(), self.stop.as_fd());
        let mut fds = [PollFd::new(&kmsg, PollFlags::IN), PollFd::new(&stop, PollFlags::IN)];
        let _interrupted = poll(&mut fds, timeout.as_ref());
        let [_, stop] = fds;
        stop.revents().is_empty()
    }
}

fn timespec(span: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(span.subsec_nanos()),
    }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

/// The pending deaths that `report` tells of, as events.
fn deaths(report: &OomReport, pending: &mut Vec<Pending>, boot: BootId) -> Vec<Event> {
    let mut told = Vec::new();
    pending.retain(|death| {
        let kill = report.kills.iter().find(|kill| kill.line == death.kill_line);
        told.extend(kill.and_then(|kill| self::death(report, kill, boot)));
        kill.is_none()
    });
    told
}

fn death(report: &OomReport, kill: &Kill, boot_id: BootId) -> Option<Event> {
    let lines: Vec<_> = report
        .lines
        .iter()
        .map(|line| RecordedLine {
            seq: Some(line.number),
            boot: line.boot,
            wall: None,
            text: line.text.clone(),
        })
        .collect();
    let kill_line = report.lines.iter().position(|line| line.number == kill.line)?;
    Some(Event {
        wall: WallTime::default(),
        boot: kill.boot,
        boot_id,
        key: format!("kmsg:{}", kill.line),
        what: Happening::Death(Death {
            pid: kill.pid?,
            comm: kill.comm.clone().unwrap_or_default(),
            lines,
            kill_line,
            known: None,
        }),
    })
}
