//! One receiver's sender: a thread of its own, so that a slow receiver delays nobody else.

use std::io;
use std::sync::mpsc::{Receiver as Inbox, SyncSender, TryRecvError, sync_channel};
use std::thread::{Builder, JoinHandle};

use highwater_core::time::WallTime;

use crate::receiver::{Message, Outcome, Receiver};

/// A handshake of TLS is the deepest that goes on here.
const STACK_BYTES: usize = 512 * 1024;

/// One receiver's sender. It sends one message at a time; dropped, it ends after that one.
#[derive(Debug)]
pub struct Courier {
    orders: SyncSender<(Message, WallTime)>,
    outcomes: Inbox<Outcome>,
    busy: bool,
    thread: JoinHandle<()>,
}

impl Courier {
    /// Starts the sender of the receiver that is called `name`.
    pub fn start(name: &str, receiver: Receiver) -> io::Result<Self> {
        let (orders, ordered) = sync_channel::<(Message, WallTime)>(1);
        let (told, outcomes) = sync_channel(1);
        let work = move || {
            for (message, now) in ordered {
                if told.send(receiver.send(&message, now)).is_err() {
                    break;
                }
            }
        };
        // The kernel shows 15 bytes of it.
        let title = format!("tell-{name}");
        let thread = Builder::new().name(title).stack_size(STACK_BYTES).spawn(work)?;
        Ok(Self { orders, outcomes, busy: false, thread })
    }

    /// Whether a message is on its way.
    pub fn is_busy(&self) -> bool {
        self.busy
    }

    /// Whether it has failed and sends nothing any more.
    pub fn is_over(&self) -> bool {
        self.thread.is_finished()
    }

    /// Has `message` sent. Not while another is on its way.
    pub fn give(&mut self, message: Message, now: WallTime) {
        // What cannot be taken shows as an outcome.
        self.busy = true;
        let _shows = self.orders.try_send((message, now));
    }

    /// How the message went, once it is known.
    pub fn outcome(&mut self) -> Option<Outcome> {
        if !self.busy {
            return None;
        }
        let outcome = match self.outcomes.try_recv() {
            Err(TryRecvError::Empty) => return None,
            Ok(outcome) => outcome,
            Err(TryRecvError::Disconnected) => Outcome::later("its sender failed"),
        };
        self.busy = false;
        Some(outcome)
    }

    /// How the message goes, when it has gone.
    pub fn wait(self) -> Outcome {
        self.outcomes.recv().unwrap_or_else(|_| Outcome::later("its sender failed"))
    }
}
