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

/// Growth is measured over at least this long: a program that allocates once a second stands still
/// in most close-ups.
const STRIDE: Duration = Duration::from_secs(5);

/// How long a cgroup is still watched after it was last near. One that swings around the mark, as
/// a garbage collector does, is watched all the time rather than now and then.
const CALMING: Duration = Duration::from_secs(10);

/// What is remembered of one cgroup to judge the next reading.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Heat {
    /// Earlier readings to measure growth from: the newer is at most a stride old or so, the
    /// older was when the newer was taken.
    older: Option<Mark>,
    newer: Option<Mark>,
    near_at: Option<BootTime>,
    peak: Bytes,
    peak_at: BootTime,
}

/// What was held, and when.
#[derive(Clone, Copy, Debug)]
struct Mark {
    at: BootTime,
    held: Bytes,
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
            *self = Self::default();
            return false;
        };
        let here = Mark { at: now, held: held(memory, usage) };
        let soon = self.arrival(here, limit.saturating_sub(usage));
        if is_within(usage, limit, nearness.within)
            || soon.is_some_and(|eta| eta < nearness.horizon)
        {
            self.near_at = Some(now);
        }
        self.remember(here);
        if self.near_at.is_none_or(|near| now.since(near) >= CALMING) {
            (self.near_at, self.peak) = (None, Bytes::ZERO);
            return false;
        }
        // A tenth of a per cent more than ever before is a new height; less is noise.
        let grown = here.held.saturating_sub(self.peak).get();
        if self.peak == Bytes::ZERO || grown > limit.get() / 1000 {
            (self.peak, self.peak_at) = (here.held, now);
        }
        now.since(self.peak_at) < nearness.patience
    }

    /// Whether it was near lately, or is within the share of its limit.
    pub(super) fn is_near(&self, memory: &CgroupMemory, nearness: &Nearness) -> bool {
        let within = |(limit, usage)| is_within(usage, limit, nearness.within);
        self.near_at.is_some() || lowest_limit(memory).zip(memory.usage).is_some_and(within)
    }

    /// How long until the `left` is used up, at the rate since the mark.
    fn arrival(&self, here: Mark, left: Bytes) -> Option<Duration> {
        let mark = self.older.or(self.newer)?;
        let (grown, over) = (here.held.saturating_sub(mark.held), here.at.since(mark.at));
        if grown == Bytes::ZERO {
            return None;
        }
        let seconds = left.as_f64() / grown.as_f64() * over.as_secs_f64();
        Duration::try_from_secs_f64(seconds).ok()
    }

    fn remember(&mut self, here: Mark) {
        if self.newer.is_none_or(|newer| here.at.since(newer.at) >= STRIDE) {
            (self.older, self.newer) = (self.newer, Some(here));
        }
    }
}

/// How near the limit the memory is that is held, to tell who of many hot ones goes first: page
/// cache would give way.
pub(super) fn share_held(memory: &CgroupMemory) -> Permille {
    let of = |(limit, usage)| held(memory, usage).permille_of(limit);
    lowest_limit(memory).zip(memory.usage).and_then(of).unwrap_or(Permille::new(0))
}

/// Memory that reclaim cannot simply drop: usage without the page cache on its file lists, and
/// what reclaim moved to swap. With swap, usage stays at the limit while a leak goes on there.
fn held(memory: &CgroupMemory, usage: Bytes) -> Bytes {
    let cache = [memory.inactive_file, memory.active_file].into_iter().flatten().sum();
    usage.saturating_sub(cache).saturating_add(memory.swap.unwrap_or(Bytes::ZERO))
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
    fn a_climber_in_steps_stays_hot_between_them() {
        let mut heat = Heat::default();
        assert!(!heat.judge(&memory(2, 0, 64), at(0), &NEARNESS));
        for step in 20..120_u64 {
            let now = BootTime::from_micros(step * 250_000);
            let used = 2 + step / 4 * 2;
            assert!(heat.judge(&memory(used, 0, 64), now, &NEARNESS), "at {now}, {used} MiB");
        }
    }

    #[test]
    fn one_that_falls_back_is_watched_for_a_while_and_then_no_more() {
        let mut heat = Heat::default();
        assert!(heat.judge(&memory(95, 0, 100), at(0), &NEARNESS));
        assert!(heat.judge(&memory(40, 0, 100), at(9), &NEARNESS));
        assert!(!heat.judge(&memory(40, 0, 100), at(10), &NEARNESS));
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
    fn a_leak_into_swap_stays_hot_while_usage_is_at_the_limit() {
        let mut heat = Heat::default();
        for tick in 0..40 {
            let swap = Some(Bytes::from_mib(tick));
            let memory = CgroupMemory { swap, ..memory(100, 0, 100) };
            assert!(heat.judge(&memory, at(tick * 5), &NEARNESS), "after {} s", tick * 5);
        }
    }

    #[test]
    fn held_memory_is_nearer_than_page_cache() {
        let [held, cache] = [memory(90, 0, 100), memory(100, 80, 100)].map(|m| share_held(&m));
        assert_eq!((held, cache), (Permille::new(900), Permille::new(200)));
        assert_eq!(share_held(&CgroupMemory::default()), Permille::new(0));
    }

    #[test]
    fn without_a_limit_nothing_is_near() {
        let unlimited = CgroupMemory { limit: Some(Limit::Unlimited), ..memory(99, 0, 100) };
        assert!(!Heat::default().judge(&unlimited, at(0), &NEARNESS));
    }
}
