//! The thread that follows auditd's log, where there is one.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use highwater_core::testimony::Witness;
use highwater_core::time::WallTime;
use highwater_owners::Absent;
use highwater_owners::audit::{Follower, Progress};

use super::AUDIT;
use super::outlet::Outlet;
use crate::clock;
use crate::watcher::sleep_or_stop;

/// auditd writes as it happens; a death is told when its other witnesses have been heard anyway.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A log that is not there may come with auditd.
const LOOK_RARELY: Duration = Duration::from_mins(1);

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
        loop {
            let now = clock::now();
            let progress = follower.poll(&mut |told| self.outlet.take(told, now))?;
            let read = follower.cursor().and_then(|at| u64::try_from(at.millis()).ok());
            let is_news = read.is_some() && read != self.since;
            let cursor = read.filter(|_| is_news).map(|ms| self.outlet.cursor(AUDIT, ms));
            self.since = read.or(self.since);
            self.outlet.flush(cursor);
            let wait = if progress == Progress::More { Duration::ZERO } else { LOOK_EVERY };
            if !sleep_or_stop(&self.stop, wait) {
                return Ok(());
            }
        }
    }
}

fn moment(ms: u64) -> WallTime {
    WallTime::from_millis(i64::try_from(ms).unwrap_or(i64::MAX))
}
