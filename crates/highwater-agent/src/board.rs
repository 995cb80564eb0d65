//! What is shown while the agent runs: the latest frame and the agent's own counts.
//!
//! The recorder publishes, the page reads. Publishing never waits: where a reader holds the board,
//! that frame is not shown, and the next one is.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use highwater_core::frame::{Frame, Scope};
use highwater_core::time::{BootTime, Stamp};

/// What the agent shows of itself and of the machine.
#[derive(Debug, Default)]
pub struct Board {
    latest: Mutex<Frame>,
    counts: Counts,
}

/// The agent's own counts, each since it began.
#[derive(Debug, Default)]
pub struct Counts {
    /// Whole frames recorded.
    pub frames: AtomicU64,
    /// Close-up frames recorded.
    pub close_ups: AtomicU64,
    /// Frames that could not be recorded in time and were dropped.
    pub dropped_frames: AtomicU64,
    /// Process readings taken.
    pub process_samples: AtomicU64,
    /// Cgroup readings taken.
    pub cgroup_samples: AtomicU64,
    /// Descriptors kept open.
    pub kept_files: AtomicU64,
    /// Deaths recorded.
    pub deaths: AtomicU64,
    /// Kernel messages read.
    pub kernel_messages: AtomicU64,
    /// Times that kernel messages were overwritten before they were read.
    pub kernel_overruns: AtomicU64,
    /// Writes to the store that failed.
    pub store_errors: AtomicU64,
    /// When the last frame was recorded, in microseconds of the boot clock.
    pub last_recorded_us: AtomicU64,
    /// The kernel's messages are being read.
    pub kmsg_ok: AtomicBool,
    /// The last write to the store went well.
    pub store_ok: AtomicBool,
    /// A thread ended that should not have.
    pub failed: AtomicBool,
}

impl Board {
    /// The counts.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Whether a thread of the agent failed.
    pub fn has_failed(&self) -> bool {
        self.counts.failed.load(Ordering::Relaxed)
    }

    /// Whether the store takes what is seen.
    pub fn is_stored(&self) -> bool {
        self.counts.store_ok.load(Ordering::Relaxed)
    }

    /// Shows `frame` if it is whole and nobody is looking.
    pub(crate) fn publish(&self, frame: &Frame) {
        if frame.scope != Scope::Whole {
            return;
        }
        if let Ok(mut latest) = self.latest.try_lock() {
            refill(&mut latest, frame);
        }
    }

    /// Looks at the latest whole frame.
    pub fn look(&self, visit: &mut dyn FnMut(&Frame)) {
        visit(&self.latest.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// How long ago, at `now`, the last frame was recorded; `None` before the first.
    pub fn age(&self, now: Stamp) -> Option<std::time::Duration> {
        match self.counts.last_recorded_us.load(Ordering::Relaxed) {
            0 => None,
            us => Some(now.boot.since(BootTime::from_micros(us))),
        }
    }
}

/// Copies `from` into `into` without new memory. Zones are read more rarely; the last ones stay.
fn refill(into: &mut Frame, from: &Frame) {
    into.stamp = from.stamp;
    into.scope = from.scope;
    into.machine = from.machine;
    if !from.zones.is_empty() {
        into.zones.clone_from(&from.zones);
    }
    into.cgroups.clone_from(&from.cgroups);
    into.processes.clone_from(&from.processes);
}
