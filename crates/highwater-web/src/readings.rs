//! What this room is told: the trait the agent answers.

use std::time::Duration;

use highwater_core::frame::Frame;
use highwater_core::metric::MetricKind;

/// The newest state of the recorder, asked anew for every request.
pub trait Readings: Send + Sync {
    /// Calls `visit` with the newest whole frame (never a close-up), or not at all if there is
    /// none yet. `visit` takes milliseconds and may not block the sampler for longer.
    fn frame(&self, visit: &mut dyn FnMut(&Frame));

    /// How the recorder is.
    fn health(&self) -> Health;

    /// The recorder's own numbers.
    fn own(&self) -> Vec<OwnMetric>;
}

/// How the recorder is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// How long ago the last whole frame was taken; `None` before the first.
    pub sample_age: Option<Duration>,
    /// How long it should be between two whole frames.
    pub cadence: Duration,
    /// Writing history.
    pub store: Condition,
    /// Reading kernel messages.
    pub kmsg: Condition,
}

/// The state of one part of the recorder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It works.
    Ok,
    /// It is switched off or not permitted, and why.
    Off(String),
    /// It should work and does not, and why.
    Failing(String),
}

/// One number about the recorder itself, with its labels.
///
/// Names begin with `highwater_agent_`; a counter's ends in `_total`. No two may have the same
/// name and labels.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnMetric {
    /// The metric's name.
    pub name: &'static str,
    /// One line of help.
    pub help: &'static str,
    /// Gauge or counter.
    pub kind: MetricKind,
    /// Labels, if one name has several numbers.
    pub labels: Vec<(&'static str, String)>,
    /// The number.
    pub value: f64,
}
