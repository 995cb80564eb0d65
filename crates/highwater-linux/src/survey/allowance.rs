//! A bucket of processor time: it fills slowly, and what costs more than it holds is saved up for.

use std::time::Duration;

use highwater_core::time::BootTime;

/// For how long the bucket saves: with 75 millionths of a core it holds 270 ms at most, which
/// reads the mappings of about 27 GB.
const SAVED_FOR: Duration = Duration::from_hours(1);

/// What is there at the start, so that the first round sees something.
const START_US: u64 = 10_000;

/// Processor time that may be used.
#[derive(Debug)]
pub(super) struct Allowance {
    ppm: u64,
    held_us: u64,
    /// What is saved for: its cost, and whether it was still wanted since the last filling.
    goal_us: u64,
    wanted: bool,
    /// The part that is kept for it.
    kept_us: u64,
    filled: Option<BootTime>,
}

/// Whether something may be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Afford {
    /// Now.
    Now,
    /// It is being saved up for.
    Later,
    /// The bucket can never hold as much.
    Never,
}

impl Allowance {
    /// A bucket that fills by `ppm` millionths of a core.
    pub(super) fn new(ppm: u32) -> Self {
        let ppm = u64::from(ppm);
        Self {
            ppm,
            held_us: START_US.min(most(ppm)),
            goal_us: 0,
            wanted: false,
            kept_us: 0,
            filled: None,
        }
    }

    /// Fills it for the time that passed; `factor` times slower.
    ///
    /// While something dear is saved for, half goes there: neither does it starve, nor do the
    /// others.
    pub(super) fn fill(&mut self, now: BootTime, factor: u32) {
        let passed = self.filled.map_or(Duration::ZERO, |filled| now.since(filled));
        self.filled = Some(now);
        let us = share(passed, self.ppm / u64::from(factor.max(1)));
        self.held_us = self.held_us.saturating_add(us).min(most(self.ppm));
        if !std::mem::take(&mut self.wanted) {
            self.goal_us = 0;
        }
        let kept_us = if self.goal_us > 0 { self.kept_us.saturating_add(us / 2) } else { 0 };
        self.kept_us = kept_us.min(self.held_us);
    }

    /// Whether `cost` may be spent. What is too dear for now is saved for from here on.
    pub(super) fn afford(&mut self, cost: Duration) -> Afford {
        let cost = micros(cost);
        if cost > most(self.ppm) {
            return Afford::Never;
        }
        if cost <= self.held_us.saturating_sub(self.kept_us) {
            return Afford::Now;
        }
        // What a process costs is an estimate that changes a little from round to round.
        let is_goal = cost >= self.goal_us / 2;
        if is_goal && cost <= self.held_us {
            (self.goal_us, self.kept_us) = (0, 0);
            return Afford::Now;
        }
        if is_goal {
            self.goal_us = self.goal_us.max(cost);
            self.wanted = true;
        }
        Afford::Later
    }

    /// Takes out what was used.
    pub(super) fn spend(&mut self, cost: Duration) {
        self.held_us = self.held_us.saturating_sub(micros(cost));
        self.kept_us = self.kept_us.min(self.held_us);
    }
}

fn most(ppm: u64) -> u64 {
    share(SAVED_FOR, ppm)
}

fn share(span: Duration, ppm: u64) -> u64 {
    micros(span).saturating_mul(ppm) / 1_000_000
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    fn at(seconds: u64) -> BootTime {
        BootTime::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn it_starts_with_a_little_and_fills_by_its_share() {
        let mut bucket = Allowance::new(100);
        bucket.fill(at(50), 1);
        assert_eq!(bucket.afford(MS(10)), Afford::Now);
        bucket.spend(MS(10));
        assert_eq!(bucket.afford(MS(1)), Afford::Later);
        bucket.fill(at(150), 1);
        assert_eq!(bucket.afford(MS(10)), Afford::Now, "100 s at 100 ppm are 10 ms");
        assert_eq!(bucket.afford(MS(11)), Afford::Later);
    }

    #[test]
    fn it_never_holds_more_than_an_hour() {
        let mut bucket = Allowance::new(100);
        bucket.fill(at(0), 1);
        bucket.fill(at(1_000_000), 1);
        assert_eq!(bucket.afford(MS(360)), Afford::Now);
        assert_eq!(bucket.afford(MS(361)), Afford::Never);
    }

    /// Twelve small ones a minute and a large one: everybody gets a turn, and together they
    /// stay within the share.
    #[test]
    fn neither_the_dear_nor_the_cheap_starve() {
        let mut bucket = Allowance::new(100);
        let (mut small, mut large) = (0_u64, 0_u64);
        let minutes = 600;
        for minute in 0..minutes {
            bucket.fill(at(minute * 60), 1);
            for _ in 0..12 {
                if bucket.afford(MS(1)) == Afford::Now {
                    bucket.spend(MS(1));
                    small += 1;
                }
            }
            if bucket.afford(MS(100)) == Afford::Now {
                bucket.spend(MS(100));
                large += 1;
            }
        }
        assert!(small >= minutes && large >= 10, "{small} small, {large} large");
        let spent_ms = small + 100 * large;
        assert!(spent_ms <= 10 + 6 * minutes, "{spent_ms} ms in {minutes} min at 6 ms");
    }

    #[test]
    fn slowed_down_it_fills_slower_and_of_nothing_it_allows_nothing() {
        let mut bucket = Allowance::new(100);
        bucket.fill(at(0), 1);
        bucket.spend(MS(10));
        bucket.fill(at(100), 4);
        assert_eq!(bucket.afford(Duration::from_micros(2500)), Afford::Now);
        assert_eq!(bucket.afford(Duration::from_micros(2600)), Afford::Later);
        assert_eq!(Allowance::new(0).afford(MS(1)), Afford::Never);
    }
}
