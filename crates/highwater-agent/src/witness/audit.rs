//! The thread that follows auditd's log, where there is one.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use highwater_core::testimony::Witness;
use highwater_core::time::{BootTime, WallTime};
use highwater_owners::Absent;
use highwater_owners::audit::{Follower, Progress};

use super::AUDIT;
use super::outlet::Outlet;
use super::resume;
use crate::clock;
use crate::watcher::sleep_or_stop;

/// auditd writes as it happens; a death is told when its other witnesses have been heard anyway.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A log that is not there may come with auditd.
const LOOK_RARELY: Duration = Duration::from_mins(1);

/// How often the cursor is kept while nothing is told: each time is a write to the disk.
const KEEP_CURSOR_EVERY: Duration = Duration::from_mins(1);

/// The thread.
pub(crate) struct Reading {
    pub(crate) outlet: Outlet,
    pub(crate) path: PathBuf,
    /// Up to when the log was read before, in ms.
    pub(crate) since: Option<u64>,
    /// Readable when the agent stops.
    pub(crate) stop: OwnedFd,
}

impl Reading {
    /// Follows until told to stop.
    pub(crate) fn run(mut self) {
        let now = u64::try_from(clock::now().wall.millis()).unwrap_or(0);
        self.since = self.since.map(|since| resume::from(since, now, Duration::from_millis(1)));
        loop {
            let absent = match Follower::open(&self.path, self.since.map(moment)) {
                Ok(follower) => match self.follow(follower) {
                    Ok(()) => break,
                    Err(absent) => absent,
                },
                Err(absent) => absent,
            };
            self.outlet.board().gallery().set(Witness::Audit, Some(absent.why));
            if !sleep_or_stop(&self.stop, LOOK_RARELY) {
                break;
            }
        }
    }

    /// Until the end, or until the log cannot be read any more.
    fn follow(&mut self, mut follower: Follower) -> Result<(), Absent> {
        self.outlet.board().gallery().set(Witness::Audit, None);
        let mut kept = Kept { ms: self.since, at: clock::now().boot };
        loop {
            let now = clock::now();
            let progress = follower.poll(&mut |told| self.outlet.take(told, now))?;
            let read = follower.cursor().and_then(|at| u64::try_from(at.millis()).ok());
            self.since = read.or(self.since);
            if !self.outlet.is_empty() || now.boot.since(kept.at) >= KEEP_CURSOR_EVERY {
                self.keep(&mut kept, now.boot);
            }
            let wait = if progress == Progress::More { Duration::ZERO } else { LOOK_EVERY };
            if !sleep_or_stop(&self.stop, wait) {
                self.keep(&mut kept, now.boot);
                return Ok(());
            }
        }
    }

    /// Sends what was taken, and how far the log was read.
    fn keep(&mut self, kept: &mut Kept, now: BootTime) {
        let news = self.since.filter(|_| self.since != kept.ms);
        let cursor = news.map(|ms| self.outlet.cursor(AUDIT, ms));
        *kept = Kept { ms: self.since, at: now };
        self.outlet.flush(cursor);
    }
}

/// What was sent to the recorder last.
#[derive(Clone, Copy, Debug)]
struct Kept {
    ms: Option<u64>,
    at: BootTime,
}

fn moment(ms: u64) -> WallTime {
    WallTime::from_millis(i64::try_from(ms).unwrap_or(i64::MAX))
}
