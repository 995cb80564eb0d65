//! What the processes of one owner have together.

use crate::frame::ProcSample;
use crate::owner::Owner;
use crate::units::Bytes;

/// An owner and the sum of its processes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnerSample {
    /// Whose; `None`: of processes whose cgroup is not known.
    pub owner: Option<Owner>,
    /// How much.
    pub sum: OwnerSum,
}

/// What the processes of one owner have together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnerSum {
    /// Processes, zombies among them.
    pub processes: u64,
    /// Processes that died and were not reaped.
    pub zombies: u64,
    /// Threads.
    pub threads: u64,
    /// Anonymous memory in RAM: belongs to one process each, so that the sum counts nothing twice
    /// but what a fork still shares.
    pub resident_anon: Bytes,
    /// Memory in swap; `None` until it was read of one of them.
    pub swap: Option<Bytes>,
    /// Open file descriptors; `None` until they were read of one of them.
    pub open_fds: Option<u64>,
}

impl OwnerSum {
    /// Of one process alone.
    pub fn of(process: &ProcSample) -> Self {
        Self {
            processes: 1,
            zombies: u64::from(process.state == b'Z'),
            threads: process.threads.into(),
            resident_anon: process.resident_anon(),
            swap: process.slow.swap,
            open_fds: process.slow.open_fds,
        }
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            processes: self.processes.saturating_add(other.processes),
            zombies: self.zombies.saturating_add(other.zombies),
            threads: self.threads.saturating_add(other.threads),
            resident_anon: self.resident_anon.saturating_add(other.resident_anon),
            swap: known(self.swap, other.swap, Bytes::saturating_add),
            open_fds: known(self.open_fds, other.open_fds, u64::saturating_add),
        }
    }
}

/// The sum of what is known.
fn known<T: Copy>(a: Option<T>, b: Option<T>, plus: fn(T, T) -> T) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(plus(a, b)),
        (a, b) => a.or(b),
    }
}
