//! What the recorder may use, and what it goes without when that is exceeded.
//!
//! Processor time is judged over the last minute. Where it is too much, the optional parts become
//! rarer one after the other; they come back in the other order once there has been enough for a
//! while. What tells of a death (whole readings, the kernel's messages) is never slowed down.

use std::collections::VecDeque;
use std::time::Duration;

use highwater_core::time::BootTime;
use highwater_core::units::{Bytes, Permille};

/// How much is gone without; each step includes those before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    /// Nothing.
    #[default]
    None,
    /// The survey is rarer.
    Survey,
    /// Close-ups too.
    CloseUps,
    /// Slow readings too.
    SlowReadings,
}

impl Step {
    pub(crate) const ALL: [Self; 4] =
        [Self::None, Self::Survey, Self::CloseUps, Self::SlowReadings];

    /// As a number, to be shared between threads.
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Survey => 1,
            Self::CloseUps => 2,
            Self::SlowReadings => 3,
        }
    }

    /// The step of that number; none for a number that is none.
    pub(crate) fn of_number(number: u8) -> Self {
        Self::ALL.into_iter().find(|step| step.number() == number).unwrap_or_default()
    }

    /// What becomes rarer at this step.
    pub(crate) const fn part(self) -> &'static str {
        match self {
            Self::None => "nothing",
            Self::Survey => "survey",
            Self::CloseUps => "close-ups",
            Self::SlowReadings => "slow-readings",
        }
    }

    const fn further(self) -> Self {
        match self {
            Self::None => Self::Survey,
            Self::Survey => Self::CloseUps,
            Self::CloseUps | Self::SlowReadings => Self::SlowReadings,
        }
    }

    const fn back(self) -> Self {
        match self {
            Self::None | Self::Survey => Self::None,
            Self::CloseUps => Self::Survey,
            Self::SlowReadings => Self::CloseUps,
        }
    }
}

/// How many times rarer what is slowed down becomes.
pub(crate) const SLOWER: u32 = 4;

/// Use is judged over this span; a shorter one would take one tidying up of the store for use.
const JUDGED: Duration = Duration::from_mins(1);

/// A part comes back after use has been low for so long: each try costs a minute over the budget.
const CALM: Duration = Duration::from_mins(5);

/// The most readings remembered in the span: one a second.
const MARKS: usize = 64;

/// The accounts of the last minute.
#[derive(Debug, Default)]
pub(crate) struct Thrift {
    marks: VecDeque<(BootTime, Duration)>,
    step: Step,
    /// Since when use is low.
    calm_since: Option<BootTime>,
    used: Option<Permille>,
}

impl Thrift {
    /// Takes the processor time `cpu` that was used in all by `now`; the step that fits `budget`.
    pub(crate) fn judge(&mut self, now: BootTime, cpu: Duration, budget: Permille) -> Step {
        let Some(share) = self.share(now, cpu) else { return self.step };
        self.used = Some(share);
        // Back only where what comes back would fit: what is slowed down may double the use.
        if share.get().saturating_mul(2) > budget.get() {
            self.calm_since = None;
        }
        if share > budget {
            self.change(self.step.further());
        } else if self.step != Step::None && share.get().saturating_mul(2) <= budget.get() {
            let since = *self.calm_since.get_or_insert(now);
            if now.since(since) >= CALM {
                self.change(self.step.back());
            }
        }
        self.step
    }

    /// What was used in the last minute.
    pub(crate) fn used(&self) -> Option<Permille> {
        self.used
    }

    /// After a change a whole minute must pass before the next is judged.
    fn change(&mut self, to: Step) {
        if self.step != to {
            self.step = to;
            self.marks.clear();
        }
        self.calm_since = None;
    }

    fn share(&mut self, now: BootTime, cpu: Duration) -> Option<Permille> {
        let span = |marks: &VecDeque<(BootTime, Duration)>| {
            marks.front().map_or(Duration::ZERO, |(at, _)| now.since(*at))
        };
        while self.marks.get(1).is_some_and(|(at, _)| now.since(*at) >= JUDGED) {
            self.marks.pop_front();
        }
        if self.marks.len() < MARKS {
            self.marks.push_back((now, cpu));
        }
        let over = span(&self.marks);
        if over < JUDGED {
            return None;
        }
        let (_, before) = self.marks.front()?;
        let used = Bytes::new(micros(cpu.saturating_sub(*before)));
        used.permille_of(Bytes::new(micros(over)))
    }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: Permille = Permille::new(10);

    /// Goes on for so many seconds at so many microseconds of work a second; the step each second.
    struct Day {
        thrift: Thrift,
        second: u64,
        cpu: Duration,
    }

    impl Day {
        fn new() -> Self {
            Self { thrift: Thrift::default(), second: 0, cpu: Duration::ZERO }
        }

        fn go(&mut self, seconds: u64, us: u64, every: u64) -> Vec<Step> {
            let mut steps = Vec::new();
            for _ in 0..seconds / every {
                self.second += every;
                self.cpu += Duration::from_micros(us * every);
                let now = BootTime::from_micros(self.second * 1_000_000);
                steps.push(self.thrift.judge(now, self.cpu, BUDGET));
            }
            steps.dedup();
            steps
        }
    }

    #[test]
    fn within_the_budget_nothing_is_slowed_down() {
        for every in [1, 5, 600] {
            let mut day = Day::new();
            assert_eq!(day.go(36_000, 9_900, every), [Step::None], "every {every} s");
        }
    }

    #[test]
    fn beyond_it_part_after_part_is_slowed_down_a_minute_apart() {
        let mut day = Day::new();
        assert_eq!(day.go(55, 50_000, 5), [Step::None]);
        assert_eq!(day.go(65, 50_000, 5), [Step::None, Step::Survey]);
        assert_eq!(day.go(60, 50_000, 5), [Step::Survey, Step::CloseUps]);
        assert_eq!(day.go(600, 50_000, 5), [Step::CloseUps, Step::SlowReadings]);
    }

    #[test]
    fn what_was_slowed_down_comes_back_one_by_one_when_there_is_room() {
        let mut day = Day::new();
        day.go(600, 50_000, 5);
        assert_eq!(day.go(600, 8_000, 5), [Step::SlowReadings], "it just fits as it is");
        assert_eq!(
            day.go(2_000, 2_000, 5),
            [Step::SlowReadings, Step::CloseUps, Step::Survey, Step::None]
        );
    }

    #[test]
    fn a_short_burst_is_nothing() {
        let mut day = Day::new();
        day.go(300, 2_000, 5);
        assert_eq!(day.go(5, 80_000, 5), [Step::None]);
        assert_eq!(day.go(300, 2_000, 5), [Step::None]);
    }

    #[test]
    fn readings_ten_a_second_need_no_more_memory() {
        let mut thrift = Thrift::default();
        for n in 0..10_000_u64 {
            thrift.judge(BootTime::from_micros(n * 100_000), Duration::ZERO, BUDGET);
        }
        assert!(thrift.marks.len() <= MARKS);
        assert_eq!(thrift.used(), Some(Permille::new(0)));
    }

    #[test]
    fn steps_survive_being_numbers() {
        for step in Step::ALL {
            assert_eq!(Step::of_number(step.number()), step);
        }
        assert_eq!(Step::of_number(99), Step::None);
    }
}
