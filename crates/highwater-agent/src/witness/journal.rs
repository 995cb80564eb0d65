//! The thread that follows the journal.
//!
//! ```text
//! journalctl ── lines ───── nets ───── entry ─┬─ systemd, dockerd, … ──► testimony
//!  (child)                     └ dropped      └─ earlyoom, oomd, … ────► killed by
//! ```
//!
//! The cursor is the wall clock of the newest entry: after a restart the journal is read from there
//! again, and what is heard twice has the same key. It goes back where the clock was set back. Only
//! entries of this boot are read.

mod follower;
mod killers;
mod lines;
#[cfg(test)]
mod tests;

use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use highwater_core::testimony::Witness;
use highwater_core::time::{BootTime, Stamp};
use highwater_owners::Told;

use self::follower::{Follower, Gone, Said};
use super::JOURNAL;
use super::outlet::Outlet;
use super::resume;
use crate::clock;
use crate::log;
use crate::watcher::sleep_or_stop;

/// What is run.
const PROGRAM: &str = "journalctl";

/// A journalctl that ended is started again so soon at first, …
const START_AGAIN: Duration = Duration::from_secs(1);

/// … and so rarely in the end.
const START_RARELY: Duration = Duration::from_mins(1);

/// How often the cursor is kept while nothing is told.
const KEEP_CURSOR_EVERY: Duration = Duration::from_mins(1);

/// The thread.
pub(crate) struct Following {
    pub(crate) outlet: Outlet,
    /// Up to when the journal was heard before: the wall clock in µs.
    pub(crate) since: Option<u64>,
    /// Readable when the agent stops.
    pub(crate) stop: OwnedFd,
}

/// What was sent to the recorder last.
#[derive(Clone, Copy, Debug)]
struct Kept {
    us: u64,
    at: BootTime,
}

impl Following {
    /// Follows until told to stop.
    pub(crate) fn run(self) {
        let Self { mut outlet, since, stop } = self;
        let now = clock::now();
        let unit = Duration::from_micros(1);
        let since_us = since.map_or(micros(now), |since| resume::from(since, micros(now), unit));
        let mut kept = Kept { us: since_us, at: now.boot };
        let mut follower = Follower::new(PathBuf::from(PROGRAM), since_us);
        let mut wait = START_AGAIN;
        loop {
            let mut heard = false;
            let gone = follower.follow(stop.as_fd(), &mut |said| {
                heard |= matches!(said, Said::Here);
                take(&mut outlet, &mut kept, said);
            });
            let Gone::Ended(why) = gone else { break };
            outlet.board().gallery().set(Witness::Journal, Some(why));
            wait = if heard { START_AGAIN } else { wait };
            if !sleep_or_stop(&stop, wait) {
                break;
            }
            wait = wait.saturating_mul(2).min(START_RARELY);
        }
        keep(&mut outlet, &mut kept, follower.newest_us(), true);
    }
}

fn take(outlet: &mut Outlet, kept: &mut Kept, said: Said) {
    match said {
        Said::Here => outlet.board().gallery().set(Witness::Journal, None),
        Said::Absent(why) => outlet.board().gallery().set(Witness::Journal, Some(why)),
        Said::Odd(words) => log::say(&words),
        Said::Told(told) => {
            let now = clock::now();
            outlet.take(Told { boot: told.boot.map(|boot| since_boot(boot, now)), ..*told }, now);
        }
        // What was told and dropped is not worth a write to the disk.
        Said::Read { newest_us, told } => {
            keep(outlet, kept, newest_us, told && !outlet.is_empty());
        }
    }
}

/// Sends what was taken and how far the journal was read, if anything was told or it is time.
fn keep(outlet: &mut Outlet, kept: &mut Kept, newest_us: u64, is_due: bool) {
    let now = clock::now().boot;
    let is_due = is_due || now.since(kept.at) >= KEEP_CURSOR_EVERY;
    if is_due && newest_us != kept.us {
        *kept = Kept { us: newest_us, at: now };
        let cursor = outlet.cursor(JOURNAL, newest_us);
        outlet.flush(Some(cursor));
    } else if is_due {
        outlet.flush(None);
    }
}

/// The journal stamps by a clock that stands still in suspend.
fn since_boot(awake: BootTime, now: Stamp) -> BootTime {
    let ago = clock::awake().since(awake);
    let ago_us = u64::try_from(ago.as_micros()).unwrap_or(u64::MAX);
    BootTime::from_micros(now.boot.micros().saturating_sub(ago_us))
}

fn micros(now: Stamp) -> u64 {
    u64::try_from(now.wall.millis()).unwrap_or(0).saturating_mul(1_000)
}
