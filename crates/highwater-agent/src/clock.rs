//! The one place that reads the clocks.

use std::time::Duration;

use highwater_core::time::{BootTime, Stamp, WallTime};
use rustix::time::{ClockId, Timespec, clock_gettime};

/// Both clocks, now.
pub fn now() -> Stamp {
    let wall = clock_gettime(ClockId::Realtime);
    let boot = span(clock_gettime(ClockId::Boottime));
    let wall_ms = wall.tv_sec.saturating_mul(1_000).saturating_add(wall.tv_nsec / 1_000_000);
    Stamp {
        wall: WallTime::from_millis(wall_ms),
        boot: BootTime::from_micros(u64::try_from(boot.as_micros()).unwrap_or(u64::MAX)),
    }
}

/// Time since boot without suspend (`CLOCK_MONOTONIC`): the nearest there is to the clock that the
/// kernel stamps its messages with.
pub(crate) fn awake() -> BootTime {
    let awake = span(clock_gettime(ClockId::Monotonic));
    BootTime::from_micros(u64::try_from(awake.as_micros()).unwrap_or(u64::MAX))
}

/// Processor time of this process, of all its threads.
pub(crate) fn cpu() -> Duration {
    span(clock_gettime(ClockId::ProcessCPUTime))
}

/// Processor time of the thread that asks.
pub fn thread_cpu() -> Duration {
    span(clock_gettime(ClockId::ThreadCPUTime))
}

fn span(time: Timespec) -> Duration {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}
