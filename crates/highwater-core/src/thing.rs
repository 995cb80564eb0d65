//! Numbers of things that are neither the machine as a whole nor a zone, cgroup or process: a slab,
//! a file system, a log file, the mappings of one process, the recorder itself.
//!
//! They are read rarely and off the hot path, so each carries its name and labels with it.

pub mod names;

pub use names::THINGS;

use crate::metric::MetricKind;
use crate::series::Labels;
use crate::time::Stamp;

/// What a number is called and what it means.
#[derive(Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// One line of help.
    pub help: &'static str,
    /// Gauge or counter.
    pub kind: MetricKind,
}

impl Metric {
    /// A number that goes up and down.
    pub const fn gauge(name: &'static str, help: &'static str) -> Self {
        Self { name, help, kind: MetricKind::Gauge }
    }

    /// A number that only goes up.
    pub const fn counter(name: &'static str, help: &'static str) -> Self {
        Self { name, help, kind: MetricKind::Counter }
    }
}

/// One number of one thing.
#[derive(Clone, Debug, PartialEq)]
pub struct Thing {
    /// What is counted.
    pub metric: &'static Metric,
    /// Of what: labels without a name. Values from the machine are escaped already.
    pub labels: Labels,
    /// How much.
    pub value: f64,
}

/// What one round of slow readings saw.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Survey {
    /// When the round began.
    pub stamp: Stamp,
    /// Its numbers; of one metric and labels at most one.
    pub things: Vec<Thing>,
}
