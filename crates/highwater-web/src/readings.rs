//! What this room is told: the trait the agent answers.

use std::time::Duration;

use highwater_core::frame::Frame;
use highwater_core::thing::Thing;

/// The newest state of the recorder, asked anew for every request.
pub trait Readings: Send + Sync {
    /// Calls `visit` with the newest whole frame (never a close-up), or not at all if there is
    /// none yet. `visit` takes milliseconds and may not block the sampler for longer.
    fn frame(&self, visit: &mut dyn FnMut(&Frame));

    /// How the recorder is.
    fn health(&self) -> Health;

    /// Numbers that are not part of a frame: the recorder's own, and those of the newest survey.
    fn things(&self) -> Vec<Thing>;
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
    /// Readings that wait in memory because history cannot be written, and since when.
    pub backlog: Option<(u64, Duration)>,
    /// What is slowed down because the recorder used more than it may.
    pub slowed: Vec<String>,
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
