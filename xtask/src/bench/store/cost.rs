//! What the bench itself costs: processor time of this thread, memory of this process.

use std::fs;
use std::time::Duration;

use anyhow::Context;
use rustix::time::{ClockId, clock_gettime};

/// Processor time of this thread so far.
pub(super) fn processor() -> Duration {
    let spent = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(spent.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(spent.tv_nsec).unwrap_or(0))
}

/// Forgets the most memory ever used (`/proc/PID/clear_refs`, proc(5)).
pub(super) fn forget_peak() -> anyhow::Result<()> {
    fs::write("/proc/self/clear_refs", "5").context("cannot reset the peak of memory")
}

/// Memory in RAM in KiB: now, and the most since [`forget_peak`].
pub(super) fn memory_kib() -> anyhow::Result<(u64, u64)> {
    let status = fs::read_to_string("/proc/self/status")?;
    let now = line(&status, "VmRSS:").context("no VmRSS")?;
    Ok((now, line(&status, "VmHWM:").context("no VmHWM")?))
}

fn line(status: &str, key: &str) -> Option<u64> {
    let rest = status.lines().find_map(|line| line.strip_prefix(key))?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_a_line_in_kib() {
        assert_eq!(line("VmHWM:\t  2048 kB\nVmRSS:\t 1024 kB\n", "VmRSS:"), Some(1024));
        assert_eq!(line("VmHWM:\t  2048 kB\n", "VmRSS:"), None);
    }
}
