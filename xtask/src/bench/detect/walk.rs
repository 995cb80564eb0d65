//! The walk along a trace: at each step a judge knows what was seen until then, and may accuse.

use std::time::Duration;

use highwater_core::growth::Verdict;
use highwater_core::time::WallTime;
use highwater_detect::{Judgement, judge};

use super::trace::Trace;

/// Into how many steps a trace is parted, unless somebody wants more.
pub(super) const STEPS: u32 = 96;

/// How near they may be to each other.
const LEAST_STEP: Duration = Duration::from_mins(1);

/// An accusation within this time of another is the same: whoever is told once is told.
const SAME: Duration = Duration::from_hours(24);

/// When judges are asked.
pub(super) fn steps(trace: &Trace, most: u32) -> Vec<WallTime> {
    let (from, until) = trace.span();
    let lasts = until.since(from);
    let step = (lasts / most.max(1)).max(LEAST_STEP);
    let inside = (1..=most).map(|n| from.after(step * n)).take_while(|at| *at < until);
    inside.chain([until]).collect()
}

/// What came of a judge's accusations against the truth.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Outcome {
    /// When a leak was found first, and how long that is before its limit.
    pub(super) found: Option<(WallTime, Duration)>,
    /// How often nobody was to be accused, and somebody was.
    pub(super) false_alarms: u32,
}

impl Outcome {
    /// Of accusations at these times, oldest first.
    pub(super) fn of(trace: &Trace, accusations: &[WallTime]) -> Self {
        let leak = trace.truth.leak.as_ref();
        let founded = |at: &&WallTime| leak.is_some_and(|leak| leak.is_there(**at));
        let found = accusations.iter().find(founded).copied();
        let left = |at: WallTime| leak.map(|leak| (at, leak.left_at(at)));
        let mut last: Option<WallTime> = None;
        let mut false_alarms = 0;
        for at in accusations.iter().filter(|at| !founded(at)) {
            if last.is_none_or(|last| at.since(last) > SAME) {
                false_alarms += 1;
            }
            last = Some(*at);
        }
        Self { found: found.and_then(left), false_alarms }
    }
}

/// What the detector says of a trace, step by step.
#[derive(Debug)]
pub(super) struct Course {
    /// When it accused.
    pub(super) accusations: Vec<WallTime>,
    /// What it said when it accused first.
    pub(super) first: Option<Judgement>,
    /// What it said in the end.
    pub(super) last: Verdict,
}

/// Walks the detector along a trace.
pub(super) fn detector(trace: &Trace, steps: &[WallTime]) -> Course {
    let mut course = Course { accusations: Vec::new(), first: None, last: Verdict::Steady };
    // The resource is known to the caller: what the kernel takes back is a cache, whatever its shape.
    if trace.resource.is_reclaimable() {
        course.last = Verdict::Cache;
        return course;
    }
    for at in steps {
        let judgement = judge(&trace.until(*at), *at);
        course.last = judgement.verdict;
        if judgement.verdict == Verdict::Leak {
            course.accusations.push(*at);
            course.first.get_or_insert(judgement);
        }
    }
    course
}

#[cfg(test)]
mod tests {
    use super::super::rivals::tests::minutes;
    use super::super::trace::{Leak, Life};
    use super::*;

    fn minute(n: i64) -> WallTime {
        WallTime::from_millis(n * 60_000)
    }

    #[test]
    fn steps_lie_inside_and_end_with_the_trace() {
        let trace = minutes(3000, |_| 1.0);
        let steps = steps(&trace, STEPS);
        assert_eq!(steps.last(), Some(&minute(2999)));
        assert!(steps.len() <= 97 && steps.is_sorted());
        assert!(super::steps(&minutes(50, |_| 1.0), STEPS).len() <= 50);
    }

    #[test]
    fn whoever_is_well_is_never_rightly_accused() {
        let trace = minutes(3000, |_| 1.0);
        let outcome = Outcome::of(&trace, &[minute(10), minute(20), minute(2000)]);
        assert_eq!(outcome, Outcome { found: None, false_alarms: 2 });
    }

    #[test]
    fn a_leak_is_found_from_its_beginning_on() {
        let mut trace = minutes(3000, |_| 1.0);
        let lives = vec![Life { begins: minute(0), limit_at: minute(4000) }];
        trace.truth.leak = Some(Leak { since: minute(1000), until: None, per_hour: 1.0, lives });
        let outcome = Outcome::of(&trace, &[minute(10), minute(1200), minute(1300)]);
        assert_eq!(outcome.false_alarms, 1);
        assert_eq!(outcome.found, Some((minute(1200), Duration::from_mins(2800))));
    }

    #[test]
    fn what_is_mended_is_soon_no_leak_any_more() {
        let mut trace = minutes(6000, |_| 1.0);
        trace.truth.leak = Some(Leak {
            since: minute(0),
            until: Some(minute(1000)),
            per_hour: 1.0,
            lives: Vec::new(),
        });
        let outcome = Outcome::of(&trace, &[minute(900), minute(2400), minute(2500)]);
        assert_eq!(outcome.found, Some((minute(900), Duration::ZERO)));
        assert_eq!(outcome.false_alarms, 1);
    }
}
