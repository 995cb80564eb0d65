//! Coroot's rule for memory leaks, as its source has it: the last run without a fall, a line through
//! it that still rises in its last quarter, and growth that matters.

use std::time::Duration;

use highwater_core::series::Point;
use highwater_core::time::WallTime;

use super::super::trace::Trace;
use super::HOUR;
use super::line::Sums;

/// The window it looks at; the longer one where samples are rare, for it wants five in a quarter.
const WINDOWS: [Duration; 2] = [HOUR, Duration::from_hours(2)];

/// A fall by more than this part parts two runs.
const FALL: f64 = 0.5;

/// Points that a run must have, and that its last quarter must have.
const LEAST: (usize, usize) = (10, 5);

/// Part of the slope that the last quarter must have.
const STILL: f64 = 0.3;

/// Growth in an hour: of the limit, and of what there was (it fires above).
const MATTERS: (f64, f64) = (0.05, 0.10);

/// How long it must be so.
const HOLD: Duration = Duration::from_mins(15);

/// When it accuses: growth of more than a tenth in an hour, a quarter of an hour long. It looks all
/// the time, not only at the steps of the walk.
pub(super) fn accuses(trace: &Trace, _: &[WallTime]) -> Vec<WallTime> {
    // It looks at resident memory, which has no page cache in it.
    if trace.resource.is_reclaimable() {
        return Vec::new();
    }
    let (from, until) = trace.span();
    let looks = std::iter::successors(Some(from), |at| Some(at.after(HOLD)));
    let mut grew = false;
    let mut still = |at: &WallTime| {
        let before = std::mem::replace(&mut grew, growth(trace, *at) > MATTERS.1);
        before && grew
    };
    looks.take_while(|at| *at <= until).filter(|at| still(at)).collect()
}

/// The part by which it grew within the last hour, by its line; 0 where it does not count.
fn growth(trace: &Trace, at: WallTime) -> f64 {
    WINDOWS.iter().map(|window| grown(trace, at, *window)).fold(0.0, f64::max)
}

fn grown(trace: &Trace, at: WallTime, window: Duration) -> f64 {
    let seen = trace.until(at).points;
    let from = seen.partition_point(|point| point.at <= at.before(window));
    let run = longest(seen.get(from..).unwrap_or_default());
    let (Some(first), Some(last)) = (run.first(), run.last()) else {
        return 0.0;
    };
    let lasts = last.at.since(first.at);
    if run.len() < LEAST.0 || lasts * 3 < window {
        return 0.0;
    }
    let quarter = run.partition_point(|point| last.at.since(point.at) > (lasts / 4).max(HOLD));
    let quarter = run.get(quarter..).unwrap_or_default();
    let (Some((height, slope)), Some((_, still))) = (line(run, first), line(quarter, first)) else {
        return 0.0;
    };
    if quarter.len() < LEAST.1 || slope <= 0.0 || still < STILL * slope {
        return 0.0;
    }
    let ends = hours(first, last);
    let then = first.value + height + slope * (ends - 1.0).max(0.0);
    let added = slope * ends.min(1.0);
    if added >= MATTERS.0 * trace.ceiling && then > 0.0 { added / then } else { 0.0 }
}

/// The longest run without a great fall.
fn longest(points: &[Point]) -> &[Point] {
    let falls = |pair: &[Point]| matches!(pair, [a, b] if b.value < a.value * (1.0 - FALL));
    let (mut best, mut rest): (&[Point], _) = (&[], points);
    while !rest.is_empty() {
        let until = rest.windows(2).position(falls).map_or(rest.len(), |at| at + 1);
        let (run, later) = rest.split_at(until);
        if run.len() > best.len() {
            best = run;
        }
        rest = later;
    }
    best
}

fn hours(first: &Point, point: &Point) -> f64 {
    point.at.since(first.at).as_secs_f64() / 3600.0
}

fn line(points: &[Point], first: &Point) -> Option<(f64, f64)> {
    let add =
        |sums: Sums, point: &Point| sums.with(hours(first, point), point.value - first.value, 1.0);
    points.iter().fold(Sums::default(), add).line()
}

#[cfg(test)]
mod tests {
    use super::super::tests::minutes;
    use super::*;

    fn at(trace: &Trace, minute: i64) -> bool {
        let about = |at: &WallTime| (at.millis() / 60_000 - minute).abs() < 15;
        accuses(trace, &[]).iter().any(about)
    }

    #[test]
    fn fast_growth_counts_and_slow_does_not() {
        assert!(at(&minutes(200, |minute| 100.0 + minute), 150));
        assert!(!at(&minutes(2000, |minute| 100.0 + minute / 20.0), 1500));
    }

    #[test]
    fn growth_that_has_stopped_does_not_count() {
        assert!(!at(&minutes(200, |minute| 100.0 + minute.min(120.0)), 150));
    }

    #[test]
    fn a_run_ends_at_a_great_fall() {
        let saw = minutes(100, |minute| if minute < 70.0 { 100.0 + minute } else { minute - 60.0 });
        assert_eq!(longest(&saw.points).len(), 70);
    }
}
