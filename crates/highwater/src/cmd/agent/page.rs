//! What the page asks of the agent.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use highwater_agent::board::{Board, Counts};
use highwater_agent::clock;
use highwater_agent::config::Config;
use highwater_core::frame::Frame;
use highwater_core::metric::MetricKind;
use highwater_core::units::Bytes;
use highwater_web::{Condition, Health, OwnMetric, Readings};

/// The agent's board as the page's source.
pub(super) struct Page {
    board: Arc<Board>,
    cadence: Duration,
    kmsg_wanted: bool,
}

impl Page {
    pub(super) fn new(board: Arc<Board>, config: &Config) -> Self {
        Self { board, cadence: config.sample.every, kmsg_wanted: config.kmsg.enabled }
    }
}

/// Which of the counts.
type Pick = fn(&Counts) -> &AtomicU64;

/// The agent's own counters: name, help, and which count it is.
const OWN: &[(&str, &str, Pick)] = &[
    ("highwater_agent_frames_total", "Whole frames recorded.", |c| &c.frames),
    ("highwater_agent_close_ups_total", "Close-up frames recorded.", |c| &c.close_ups),
    (
        "highwater_agent_dropped_frames_total",
        "Frames dropped because the recorder was late.",
        |c| &c.dropped_frames,
    ),
    ("highwater_agent_process_samples_total", "Process readings taken.", |c| &c.process_samples),
    ("highwater_agent_cgroup_samples_total", "Cgroup readings taken.", |c| &c.cgroup_samples),
    ("highwater_agent_deaths_total", "Deaths recorded.", |c| &c.deaths),
    ("highwater_agent_kernel_messages_total", "Kernel messages read.", |c| &c.kernel_messages),
    (
        "highwater_agent_kernel_overruns_total",
        "Times that kernel messages were overwritten before they were read.",
        |c| &c.kernel_overruns,
    ),
    ("highwater_agent_store_errors_total", "Writes to the store that failed.", |c| &c.store_errors),
];

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
        Health {
            sample_age: self.board.age(clock::now()),
            cadence: self.cadence,
            store: ok(&counts.store_ok, "the last write failed; the agent's log says why"),
            kmsg,
        }
    }

    fn own(&self) -> Vec<OwnMetric> {
        let counts = self.board.counts();
        let number = |name, help, kind, count: &AtomicU64| OwnMetric {
            name,
            help,
            kind,
            labels: Vec::new(),
            value: Bytes::new(count.load(Ordering::Relaxed)).as_f64(),
        };
        let counters = OWN
            .iter()
            .map(|(name, help, count)| number(name, help, MetricKind::Counter, count(counts)));
        let files = number(
            "highwater_agent_kept_files",
            "Files that the sampler keeps open.",
            MetricKind::Gauge,
            &counts.kept_files,
        );
        counters.chain([files]).collect()
    }
}
