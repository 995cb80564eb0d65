//! The agent's threads: how each is started, told to stop, and missed when it fails.

use std::io;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{Builder, JoinHandle};

use rustix::event::{EventfdFlags, eventfd};
use rustix::process::{Signal, getpid, kill_process};

use crate::board::Board;
use crate::run::AgentError;

/// A thread's stack. The deepest is the recorder's, in SQLite; 256 KiB is what it recommends.
const STACK_BYTES: usize = 512 * 1024;

/// The stack of the thread that evaluates rules, as questions have it; only what is used is taken.
const DEEP_STACK_BYTES: usize = 2 << 20;

/// The threads that look, and how they are told to stop.
#[derive(Debug)]
pub(crate) struct Crew {
    board: Arc<Board>,
    stops: Vec<OwnedFd>,
    members: Vec<JoinHandle<()>>,
}

impl Crew {
    pub(crate) fn new(board: &Arc<Board>) -> Self {
        Self { board: Arc::clone(board), stops: Vec::new(), members: Vec::new() }
    }

    /// The agent's board.
    pub(crate) fn board(&self) -> &Arc<Board> {
        &self.board
    }

    /// Adds a thread that ends when its signal is raised.
    pub(crate) fn add(
        &mut self,
        name: &str,
        body: impl FnOnce(OwnedFd) + Send + 'static,
    ) -> Result<(), AgentError> {
        let stop = self.stop_signal()?;
        self.add_ready(name, move || body(stop))
    }

    /// The same, where questions are answered: each level of an expression takes some of the stack.
    pub(crate) fn add_deep(
        &mut self,
        name: &str,
        body: impl FnOnce(OwnedFd) + Send + 'static,
    ) -> Result<(), AgentError> {
        let stop = self.stop_signal()?;
        self.members.push(stacked(name, DEEP_STACK_BYTES, &self.board, move || body(stop))?);
        Ok(())
    }

    /// Adds a thread that has its signal.
    pub(crate) fn add_ready(
        &mut self,
        name: &str,
        body: impl FnOnce() + Send + 'static,
    ) -> Result<(), AgentError> {
        self.members.push(thread(name, &self.board, body)?);
        Ok(())
    }

    /// An event that one thread waits for and [`Agent::stop`] raises.
    pub(crate) fn stop_signal(&mut self) -> Result<OwnedFd, AgentError> {
        let made = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK);
        let signal = made.map_err(io::Error::from).map_err(AgentError::Thread)?;
        self.stops.push(signal.try_clone().map_err(AgentError::Thread)?);
        Ok(signal)
    }

    /// Ends every thread.
    pub(crate) fn stop(self) {
        for stop in &self.stops {
            let _written = rustix::io::write(stop, &1_u64.to_ne_bytes());
        }
        for member in self.members {
            let _panicked = member.join();
        }
    }
}

/// Starts a thread. One that panics takes the agent down in good order: the other threads write
/// what they have, and whoever supervises the agent starts it anew.
pub(crate) fn thread(
    name: &str,
    board: &Arc<Board>,
    body: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, AgentError> {
    stacked(name, STACK_BYTES, board, body)
}

fn stacked(
    name: &str,
    stack_bytes: usize,
    board: &Arc<Board>,
    body: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, AgentError> {
    let (board, title) = (Arc::clone(board), name.to_owned());
    let guarded = move || {
        if catch_unwind(AssertUnwindSafe(body)).is_err() {
            board.counts().failed.store(true, Ordering::Relaxed);
            let _ended_anyway = kill_process(getpid(), Signal::TERM);
            crate::log::say(&format!("the {title} thread failed; ending"));
        }
    };
    let builder = Builder::new().name(name.to_owned()).stack_size(stack_bytes);
    builder.spawn(guarded).map_err(AgentError::Thread)
}
