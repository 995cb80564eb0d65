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

use super::private::Private;
use super::{ANSWER_WITHIN, Bus};
use crate::told::Absent;

/// How many messages wait to be read: a second of the busiest machine. Beyond that the socket fills
/// up, and then systemd's own queue.
const MESSAGES: usize = 512;

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

/// A socket, and whether a bus or systemd itself listens on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Peer {
    Bus,
    Manager,
}

/// Gets through to a systemd, over the bus or straight.
pub(super) async fn connect(bus: Bus, run: &Path) -> Result<Line, Absent> {
    let mut failures = Vec::new();
    for (peer, socket) in sockets(bus, run) {
        match time::timeout(ANSWER_WITHIN, reach(peer, &socket)).await {
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
    // A folder that may not be looked into is there.
    bus != Bus::System
        && sockets(bus, run).iter().all(|(_, socket)| matches!(socket.try_exists(), Ok(false)))
}

fn sockets(bus: Bus, run: &Path) -> [(Peer, PathBuf); 2] {
    match bus {
        Bus::System => [
            (Peer::Bus, run.join("dbus/system_bus_socket")),
            (Peer::Manager, run.join("systemd/private")),
        ],
        // A user's bus turns root away; that user's systemd does not.
        Bus::User(uid) => {
            let user = run.join("user").join(uid.to_string());
            [(Peer::Manager, user.join("systemd/private")), (Peer::Bus, user.join("bus"))]
        }
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

async fn reach(peer: Peer, socket: &Path) -> zbus::Result<Connection> {
    let stream = UnixStream::connect(socket).await?;
    let builder = match peer {
        Peer::Bus => Builder::unix_stream(stream),
        Peer::Manager => Builder::socket(Private(stream)).p2p(),
    };
    builder.max_queued(MESSAGES).build().await
}

/// The error as a person would say it.
fn plain(error: &zbus::Error) -> String {
    match error {
        zbus::Error::InputOutput(error) if error.kind() == io::ErrorKind::NotFound => {
            "is not there".to_owned()
        }
        zbus::Error::InputOutput(error) => error.to_string(),
        error => error.to_string(),
    }
}
