//! What the page asks of the agent.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use highwater_agent::board::Board;
use highwater_agent::clock;
use highwater_agent::config::Config;
use highwater_agent::rules::GroupShown;
use highwater_core::frame::Frame;
use highwater_core::series::SourceError;
use highwater_core::thing::Thing;
use highwater_core::time::WallTime;
use highwater_web::{Api, Condition, Health, History, Limits, Reading, Readings, Ruled};

use crate::cmd::serve::recorded::Recorded;
use crate::cmd::serve::teller::Loaded;

/// A reader of the recording that stays open: an agent is asked now and then, by one dashboard.
const KEPT: usize = 1;

/// Samples that a question may hold, of 16 bytes each: 32 MB beside what the agent has. A
/// day of fifty containers, as they are sampled, is less. Whoever wants more asks a copy of the
/// recording, with `highwater serve`.
const MAX_SAMPLES: usize = 2_000_000;

/// The API over the agent's own recording: one question at a time, so that the recorder beside it
/// has memory and a processor.
pub(super) fn api(dir: &Path, board: Arc<Board>) -> Arc<Api> {
    let limits = Limits { at_once: 1, max_samples: MAX_SAMPLES, ..Limits::default() };
    Arc::new(Api::new(Arc::new(Own { recorded: Recorded::new(dir, KEPT), board }), limits))
}

/// The files of the rules that run.
pub(super) fn loaded(board: Arc<Board>) -> Loaded {
    Box::new(move || {
        let rules = board.latest_rules();
        let mut files: Vec<String> = rules.groups.iter().map(|group| group.file.clone()).collect();
        files.dedup();
        files
    })
}

/// The agent's own recording, and where it is noted what questions cost.
struct Own {
    recorded: Recorded,
    board: Arc<Board>,
}

impl History for Own {
    fn now(&self) -> WallTime {
        self.recorded.now()
    }

    fn attend(&self, work: &mut dyn FnMut()) {
        let before = clock::thread_cpu();
        work();
        let used = clock::thread_cpu().saturating_sub(before);
        let us = u64::try_from(used.as_micros()).unwrap_or(u64::MAX);
        self.board.counts().asked_us.fetch_add(us, Ordering::Relaxed);
    }

    fn rules(&self, give: &mut dyn FnMut(Ruled<'_>)) {
        for shown in &self.board.latest_rules().groups {
            let GroupShown { file, group, state, interval, lasted } = shown;
            give(Ruled { file, group, state, interval: *interval, lasted: *lasted });
        }
    }

    fn rule_faults(&self) -> Vec<String> {
        self.board.latest_rules().faults.clone()
    }

    fn read(&self, ask: &mut dyn FnMut(&dyn Reading)) -> Result<(), SourceError> {
        self.recorded.read(ask)
    }
}

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
