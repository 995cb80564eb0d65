//! When a cgroup deserves a close look.
//!
//! Near means: within a share of its limit, or on its way there. A cgroup full of page cache rests
//! at its limit for ever and a service may live at 95 % of it; so nearness alone wears off, and
//! only memory that is held (not page cache) and reaches new heights keeps a cgroup hot.

use std::time::Duration;

use highwater_core::frame::CgroupMemory;
use highwater_core::limit::Limit;
use highwater_core::time::BootTime;
use highwater_core::units::{Bytes, Permille};

/// When a cgroup counts as near its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nearness {
    /// Usage is within this share of the limit.
    pub within: Permille,
    /// Or would be at the limit after this long, if it went on growing as between the last two
    /// readings.
    pub horizon: Duration,
    /// How long nearness lasts without a new height.
    pub patience: Duration,
}

/// What is remembered of one cgroup to judge the next reading.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Heat {
    last: Option<(BootTime, Bytes)>,
    peak: Bytes,
    peak_at: BootTime,
    pub(super) hot: bool,
}

impl Heat {
    /// Takes the reading of `memory` at `now`, and says whether the cgroup is hot.
    pub(super) fn judge(
        &mut self,
        memory: &CgroupMemory,
        now: BootTime,
        nearness: &Nearness,
    ) -> bool {
        let (Some(limit), Some(usage)) = (lowest_limit(memory), memory.usage) else {
            self.hot = false;
            return false;
        };
        let held = held(memory, usage);
        let near = is_within(usage, limit, nearness.within)
            || self.arrival(held, usage, limit, now).is_some_and(|eta| eta < nearness.horizon);
        self.last = Some((now, held));
        if !near {
            (self.peak, self.hot) = (Bytes::ZERO, false);
            return false;
        }
        // A tenth of a per cent more than ever before is a new height; less is noise.
        if self.peak == Bytes::ZERO || held.saturating_sub(self.peak).get() > limit.get() / 1000 {
            (self.peak, self.peak_at) = (held, now);
        }
        self.hot = now.since(self.peak_at) < nearness.patience;
        self.hot
    }

    /// How long until usage is at the limit, at the rate since the last reading.
    fn arrival(&self, held: Bytes, usage: Bytes, limit: Bytes, now: BootTime) -> Option<Duration> {
        let (then, before) = self.last?;
        let (grown, over) = (held.saturating_sub(before), now.since(then));
        if grown == Bytes::ZERO || over.is_zero() {
            return None;
        }
        let seconds = limit.saturating_sub(usage).as_f64() / grown.as_f64() * over.as_secs_f64();
        Duration::try_from_secs_f64(seconds).ok()
    }
}

/// Memory that reclaim cannot simply drop: usage without the page cache on its file lists.
fn held(memory: &CgroupMemory, usage: Bytes) -> Bytes {
    let cache = [memory.inactive_file, memory.active_file].into_iter().flatten().sum();
    usage.saturating_sub(cache)
}

/// The limit that is met first: `memory.max`, or `memory.high` below it.
fn lowest_limit(memory: &CgroupMemory) -> Option<Bytes> {
    [memory.limit, memory.high].into_iter().flatten().filter_map(Limit::at).min()
}

fn is_within(usage: Bytes, limit: Bytes, within: Permille) -> bool {
    let share = usage.permille_of(limit).map_or(0, Permille::get);
    limit > Bytes::ZERO && share >= 1000_u32.saturating_sub(within.get())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEARNESS: Nearness = Nearness {
        within: Permille::new(100),
        horizon: Duration::from_mins(1),
        patience: Duration::from_mins(1),
    };

    fn memory(usage_mib: u64, cache_mib: u64, limit_mib: u64) -> CgroupMemory {
        CgroupMemory {
            usage: Some(Bytes::from_mib(usage_mib)),
            inactive_file: Some(Bytes::from_mib(cache_mib)),
            limit: Some(Limit::At(Bytes::from_mib(limit_mib))),
            ..CgroupMemory::default()
        }
    }

    fn at(seconds: u64) -> BootTime {
        BootTime::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn within_a_tenth_of_the_limit_is_hot() {
        let mut heat = Heat::default();
        assert!(!heat.judge(&memory(89, 0, 100), at(0), &NEARNESS));
        assert!(heat.judge(&memory(90, 0, 100), at(100), &NEARNESS));
    }

    #[test]
    fn a_fast_climber_is_hot_long_before() {
        let mut heat = Heat::default();
        assert!(!heat.judge(&memory(2, 0, 64), at(0), &NEARNESS));
        assert!(heat.judge(&memory(12, 0, 64), at(5), &NEARNESS));
        let mut slow = Heat::default();
        assert!(!slow.judge(&memory(2, 0, 64), at(0), &NEARNESS));
        assert!(!slow.judge(&memory(3, 0, 64), at(5), &NEARNESS));
    }

    #[test]
    fn one_that_rests_near_its_limit_cools_until_it_climbs_again() {
        let mut heat = Heat::default();
        assert!(heat.judge(&memory(95, 0, 100), at(0), &NEARNESS));
        assert!(heat.judge(&memory(95, 0, 100), at(59), &NEARNESS));
        assert!(!heat.judge(&memory(95, 0, 100), at(61), &NEARNESS));
        assert!(heat.judge(&memory(97, 0, 100), at(66), &NEARNESS));
    }

    #[test]
    fn a_cache_that_fills_its_cgroup_wears_off() {
        let mut heat = Heat::default();
        assert!(heat.judge(&memory(99, 80, 100), at(0), &NEARNESS));
        assert!(!heat.judge(&memory(100, 81, 100), at(70), &NEARNESS));
    }

    #[test]
    fn without_a_limit_nothing_is_near() {
        let unlimited = CgroupMemory { limit: Some(Limit::Unlimited), ..memory(99, 0, 100) };
        assert!(!Heat::default().judge(&unlimited, at(0), &NEARNESS));
    }
}
