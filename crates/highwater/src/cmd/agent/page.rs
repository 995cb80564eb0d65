//! What the page asks of the agent.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use highwater_agent::board::Board;
use highwater_agent::clock;
use highwater_agent::config::Config;
use highwater_core::frame::Frame;
use highwater_core::thing::Thing;
use highwater_web::{Condition, Health, Readings};

/// The agent's board as the page's source.
pub(super) struct Page {
    board: Arc<Board>,
    kmsg_wanted: bool,
}

impl Page {
    pub(super) fn new(board: Arc<Board>, config: &Config) -> Self {
        Self { board, kmsg_wanted: config.kmsg.enabled }
    }
}

impl Readings for Page {
    fn frame(&self, visit: &mut dyn FnMut(&Frame)) {
        if self.board.age(clock::now()).is_some() {
            self.board.look(visit);
        }
    }

    fn health(&self) -> Health {
        let counts = self.board.counts();
        let ok = |state: &std::sync::atomic::AtomicBool, why: &str| {
            if state.load(Ordering::Relaxed) {
                Condition::Ok
            } else {
                Condition::Failing(why.to_owned())
            }
        };
        let kmsg = if self.kmsg_wanted {
            ok(&counts.kmsg_ok, "kernel messages cannot be read; the agent's log says why")
        } else {
            Condition::Off("kmsg.enabled = false".to_owned())
        };
        let backlog = counts.backlog.load(Ordering::Relaxed);
        let age = Duration::from_micros(counts.backlog_age_us.load(Ordering::Relaxed));
        Health {
            sample_age: self.board.age(clock::now()),
            cadence: self.board.every(),
            store: self.board.trouble().map_or(Condition::Ok, Condition::Failing),
            backlog: (backlog > 0).then_some((backlog, age)),
            slowed: self.board.slowed_parts().map(ToOwned::to_owned).collect(),
            kmsg,
        }
    }

    fn things(&self) -> Vec<Thing> {
        self.board.things()
    }
}
