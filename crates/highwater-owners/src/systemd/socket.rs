//! Where a systemd listens, and getting through to it.
//!
//! The bus comes first: anybody may use that. systemd's own socket serves root alone, and whoever it
//! belongs to; it is there where no bus is, and when the bus is the one that died.

use std::io;
use std::path::{Path, PathBuf};

use tokio::net::UnixStream;
use tokio::time;
use zbus::Connection;
use zbus::connection::Builder;

use super::place;
use super::private::{Budget, Private, Signed};
use super::{ANSWER_WITHIN, Bus};
use crate::told::{Absent, cited};

/// How many messages wait to be read: a second of the busiest machine. Beyond that the socket fills
/// up, and then systemd's own queue.
const MESSAGES: usize = 512;

/// The same of a user, who may mean no good: with [`Budget::OF_A_USER`] that is some MiB at most.
const MESSAGES_OF_A_USER: usize = 32;

/// A connection, and how it is spoken.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) connection: Connection,
    /// Which socket it is, for people.
    pub(super) socket: PathBuf,
}

impl Line {
    /// Whether a bus is in between, which wants to be told what to pass on.
    pub(super) fn is_bus(&self) -> bool {
        self.connection.is_bus()
    }
}

/// Who listens on a socket: a bus, or systemd itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Peer {
    Bus,
    Manager,
}

/// Gets through to a systemd, over the bus or straight.
pub(super) async fn connect(bus: Bus, run: &Path) -> Result<Line, Absent> {
    let mut failures = Vec::new();
    for peer in peers(bus) {
        let socket = place::path(bus, peer, run);
        match time::timeout(ANSWER_WITHIN, reach(bus, peer, run)).await {
            Ok(Ok(connection)) => return Ok(Line { connection, socket }),
            Ok(Err(error)) => failures.push(format!("{}: {}", socket.display(), plain(&error))),
            Err(_late) => failures.push(format!(
                "{} accepts and says nothing for {} s",
                socket.display(),
                ANSWER_WITHIN.as_secs()
            )),
        }
    }
    Err(Absent::because(format!("{} ({})", advice(bus), failures.join("; "))))
}

/// Whether there is nothing to get through to: a user who left. The machine's is always tried.
pub(super) fn is_gone(bus: Bus, run: &Path) -> bool {
    let is_missing = |peer: Peer| {
        // A folder that may not be looked into is there.
        let found = place::find(bus, peer, run);
        found.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    };
    bus != Bus::System && peers(bus).into_iter().all(is_missing)
}

/// A user's bus turns root away; that user's systemd does not.
const fn peers(bus: Bus) -> [Peer; 2] {
    match bus {
        Bus::System => [Peer::Bus, Peer::Manager],
        Bus::User(_) => [Peer::Manager, Peer::Bus],
    }
}

fn advice(bus: Bus) -> String {
    match bus {
        Bus::System => "cannot reach systemd; in a container mount the machine's \
                        /run/dbus/system_bus_socket or, for root, /run/systemd/private"
            .to_owned(),
        Bus::User(uid) => format!("cannot reach {bus}; needs root or user {uid}"),
    }
}

async fn reach(bus: Bus, peer: Peer, run: &Path) -> zbus::Result<Connection> {
    let place = place::find(bus, peer, run)?;
    let stream = UnixStream::connect(place.path()).await?;
    place::vouch(bus, stream.peer_cred()?.uid())?;
    let (budget, messages) = match bus {
        Bus::System => (Budget::OF_THE_SYSTEM, MESSAGES),
        Bus::User(_) => (Budget::OF_A_USER, MESSAGES_OF_A_USER),
    };
    let builder = match (peer, bus) {
        (Peer::Bus, Bus::System) => Builder::unix_stream(stream),
        (Peer::Bus, Bus::User(_)) => {
            Builder::socket(Private { stream, budget, signed: Signed::ByBus })
        }
        (Peer::Manager, _) => {
            Builder::socket(Private { stream, budget, signed: Signed::ByName }).p2p()
        }
    };
    builder.max_queued(messages).build().await
}

/// The error as a person would say it.
fn plain(error: &zbus::Error) -> String {
    match error {
        zbus::Error::InputOutput(error) if error.kind() == io::ErrorKind::NotFound => {
            "is not there".to_owned()
        }
        zbus::Error::InputOutput(error) => error.to_string(),
        // It may be in the words of whoever listens there.
        error => cited(error.to_string().as_bytes()),
    }
}
