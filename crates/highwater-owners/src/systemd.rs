//! What systemd says of its units, over D-Bus: the system's and every user's.
//!
//! ```text
//! /run/dbus/system_bus_socket ─┐
//! /run/systemd/private         ├─ session ── properties ── words ── Told
//! /run/user/UID/systemd/private┘  (one socket)  (state)     (pure)
//! ```
//!
//! systemd tells every change of a unit with all that may have changed, so a state is never asked
//! for and never read too late. What it does not tell unasked is what holds a unit: its limits, its
//! cgroup. That is read once per life, so many a second at most.
//!
//! Nothing here waits without an end: a socket that accepts and never answers is left after
//! [`ANSWER_WITHIN`], and tried again later and later.

mod place;
mod private;
mod properties;
mod session;
mod socket;
#[cfg(test)]
mod tests;
mod units;
mod words;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::Path;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::{self, Either};
use futures_util::stream::FuturesUnordered;
use tokio::time;

use crate::told::{Absent, Heard};

/// The longest wait for one answer. A busy systemd takes a second; the bus itself gives up after 25.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// How often the folder of the users' sockets is looked into: logging in takes longer than this.
const USERS_EVERY: Duration = Duration::from_secs(5);

/// The first wait before a manager is tried again, and the longest.
const RETRY: Duration = Duration::from_secs(1);
const RETRY_AT_MOST: Duration = Duration::from_mins(1);

/// The most users whose managers are followed: each is a socket.
const USERS: usize = 256;

/// Which systemd.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Bus {
    /// The machine's.
    System,
    /// That of the user with this id.
    User(u32),
}

impl fmt::Display for Bus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System => f.pad("systemd"),
            Self::User(uid) => f.pad(&format!("systemd of user {uid}")),
        }
    }
}

/// Follows one systemd until it is no longer heard, and says why that is.
///
/// The first word is [`Heard::Here`], then what runs and what has failed, then what happens.
pub async fn watch(bus: Bus, run: &Path, out: &dyn Fn(Heard)) -> Absent {
    match socket::connect(bus, run).await {
        Ok(connection) => session::follow(bus, connection, out).await,
        Err(absent) => absent,
    }
}

/// Follows the machine's systemd and every user's, as they come and go, for ever.
///
/// `run` is `/run`, or where that of the machine is mounted. Each [`Absent`] is told once, until the
/// manager is heard again or the reason is another one.
pub async fn watch_all(run: &Path, out: &dyn Fn(Bus, Result<Heard, Absent>)) {
    let mut present = BTreeSet::from([Bus::System]);
    let mut managers = FuturesUnordered::new();
    managers.push(keep(Bus::System, run, out));
    loop {
        for uid in users(run) {
            if present.insert(Bus::User(uid)) {
                managers.push(keep(Bus::User(uid), run, out));
            }
        }
        let tick = Box::pin(time::sleep(USERS_EVERY));
        if let Either::Left((Some(bus), _)) = future::select(managers.next(), tick).await {
            present.remove(&bus);
        }
    }
}

/// Follows one manager, again and again, until its socket is taken away: the machine's for ever.
async fn keep(bus: Bus, run: &Path, out: &dyn Fn(Bus, Result<Heard, Absent>)) -> Bus {
    let mut wait = RETRY;
    let mut told = None;
    loop {
        let heard = Cell::new(false);
        let listen = |word| {
            heard.set(true);
            out(bus, Ok(word));
        };
        let absent = watch(bus, run, &listen).await;
        if heard.get() {
            (wait, told) = (RETRY, None);
        }
        if socket::is_gone(bus, run) {
            // A user who leaves is nothing to be told of.
            return bus;
        }
        if told.as_ref() != Some(&absent) {
            out(bus, Err(absent.clone()));
            told = Some(absent);
        }
        time::sleep(wait).await;
        wait = wait.saturating_mul(2).min(RETRY_AT_MOST);
    }
}

/// The users who have a systemd of their own, or may have: in a folder that may not be looked into.
fn users(run: &Path) -> Vec<u32> {
    let Ok(folder) = fs::read_dir(run.join("user")) else { return Vec::new() };
    let names = folder.filter_map(Result::ok).map(|entry| entry.file_name());
    let uids = names.filter_map(|name| name.to_str().and_then(|name| name.parse().ok()));
    let managed = uids.filter(|uid| !socket::is_gone(Bus::User(*uid), run));
    managed.take(USERS).collect()
}
