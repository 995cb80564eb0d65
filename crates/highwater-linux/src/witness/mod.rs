//! What the kernel tells of deaths while they happen: who signals whom, who ran what and how it
//! ended, which cgroup ran out of memory.
//!
//! ```text
//! tracefs, an instance of our own ── Tracing      who sends which fatal signal to whom; OOM victims
//! netlink, proc connector ────────── Connector    every fork, exec and exit
//! /proc/PID at exec ──────────────── People       who that was, also when it is gone
//! oom_control, memory.events ─────── CgroupEvents which cgroup ran out of memory, or hangs
//! the kernel's log ───────────────── fault        whom the processor stopped
//! ```
//!
//! Each witness is optional. One that cannot be had says why, and what it would take, as
//! [`Absent`]. None of them reads a clock: the kernel's own stamps are handed on.

pub mod cgroups;
pub mod connector;
pub mod fault;
pub mod people;
pub mod rlimits;
pub mod tracing;

use std::fmt;

pub use cgroups::{CgroupEvents, Spoke};
pub use connector::{Connector, ProcEvent};
pub use people::{People, noteworthy};
pub use rlimits::Rlimits;
pub use tracing::{Signalled, Strays, Traced, Tracing};

/// Why a witness is not heard, and what it would take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Absent {
    /// In one lower-case sentence: `needs CAP_NET_ADMIN …`.
    pub why: String,
}

impl Absent {
    /// Absent because of `why`.
    pub fn new(why: impl fmt::Display) -> Self {
        Self { why: why.to_string() }
    }
}
