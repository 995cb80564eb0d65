//! What others do to find growth: rules as they are published, each a pure function of what was seen.
//!
//! Where a rule leaves something open, it is settled in its favour: a prediction must hold for a
//! while before it counts, a trend must also reach the limit within a month.

mod coroot;
mod line;
mod trend;

use std::time::Duration;

use highwater_core::series::Point;
use highwater_core::time::WallTime;

use super::trace::Trace;
use line::{Ahead, foreseen};

/// An hour.
pub(super) const HOUR: Duration = Duration::from_hours(1);

/// Over which mean and deviation are taken, and how much of it must have been seen.
const SIGMA_WINDOW: Duration = Duration::from_hours(24);
const SIGMA_LEAST: Duration = Duration::from_hours(6);

/// How long memory must have risen at every sample, and how often at least.
const RISING: (Duration, usize) = (Duration::from_mins(10), 2);

/// A rule, and when it accuses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rival {
    /// What it is called.
    pub(super) name: &'static str,
    /// When it accuses: at samples, or at the steps of the walk if it is one that is asked.
    pub(super) accuses: fn(&Trace, &[WallTime]) -> Vec<WallTime>,
}

/// All of them.
pub(super) const ALL: [Rival; 11] = [
    Rival { name: "above 80 %", accuses: |trace, _| above(&trace.points, 0.80 * trace.ceiling) },
    Rival { name: "above 85 %", accuses: |trace, _| above(&trace.points, 0.85 * trace.ceiling) },
    Rival { name: "above 90 %", accuses: |trace, _| above(&trace.points, 0.90 * trace.ceiling) },
    Rival { name: "mean + 2σ of a day", accuses: |trace, _| unusual(&trace.points, 2.0) },
    Rival { name: "mean + 3σ of a day", accuses: |trace, _| unusual(&trace.points, 3.0) },
    Rival { name: "predict_linear 1 h", accuses: |trace, _| foreseen(trace, Ahead::HOUR) },
    Rival { name: "predict_linear 6 h", accuses: |trace, _| foreseen(trace, Ahead::SHIFT) },
    Rival { name: "predict_linear 24 h", accuses: |trace, _| foreseen(trace, Ahead::DAY) },
    Rival { name: "10 minutes' trend", accuses: |trace, _| rising(&trace.points) },
    Rival { name: "Mann–Kendall, Theil–Sen", accuses: trend::accuses },
    Rival { name: "Coroot", accuses: coroot::accuses },
];

/// A threshold.
fn above(points: &[Point], level: f64) -> Vec<WallTime> {
    points.iter().filter(|point| point.value >= level).map(|point| point.at).collect()
}

/// More than so many deviations above the mean of the day before.
fn unusual(points: &[Point], sigmas: f64) -> Vec<WallTime> {
    let (mut sum, mut squares, mut count) = (0.0, 0.0, 0.0_f64);
    let mut oldest = points.iter().peekable();
    let base = points.first().map_or(0.0, |point| point.value);
    let mut found = Vec::new();
    for point in points {
        while let Some(gone) = oldest.next_if(|old| point.at.since(old.at) > SIGMA_WINDOW) {
            let value = gone.value - base;
            (sum, squares, count) = (sum - value, squares - value * value, count - 1.0);
        }
        let value = point.value - base;
        let seen = oldest.peek().map_or(Duration::ZERO, |old| point.at.since(old.at));
        if count >= 10.0 && seen >= SIGMA_LEAST {
            let mean = sum / count;
            let deviation = (squares / count - mean * mean).max(0.0).sqrt();
            if value > mean + sigmas * deviation && deviation > 0.0 {
                found.push(point.at);
            }
        }
        (sum, squares, count) = (sum + value, squares + value * value, count + 1.0);
    }
    found
}

/// Higher at every sample, for ten minutes.
fn rising(points: &[Point]) -> Vec<WallTime> {
    let (mut since, mut rises) = (points.first().map(|point| point.at), 0_usize);
    let mut found = Vec::new();
    for (before, now) in points.iter().zip(points.iter().skip(1)) {
        if now.value > before.value {
            rises += 1;
        } else {
            (since, rises) = (Some(now.at), 0);
        }
        let long = since.is_some_and(|since| now.at.since(since) >= RISING.0);
        if long && rises >= RISING.1 {
            found.push(now.at);
        }
    }
    found
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::bench::detect::trace::Truth;
    use highwater_core::growth::Resource;

    /// A hand-made trace: a value each minute, by the minute.
    pub(in super::super) fn minutes(count: u32, value: impl Fn(f64) -> f64) -> Trace {
        let point = |n: u32| Point {
            at: WallTime::from_millis(i64::from(n) * 60_000),
            value: value(f64::from(n)),
        };
        Trace {
            number: 0,
            family: "by hand",
            resource: Resource::Anon,
            points: (0..count).map(point).collect(),
            begins: Vec::new(),
            load: Vec::new(),
            ceiling: 1000.0,
            truth: Truth { leak: None, fits: &[], may_cycle: false },
        }
    }

    /// The minute of the first accusation.
    pub(in super::super) fn first(found: &[WallTime]) -> Option<i64> {
        found.first().map(|at| at.millis() / 60_000)
    }

    #[test]
    fn a_threshold_waits_for_its_level() {
        let trace = minutes(1000, |minute| minute);
        assert_eq!(first(&above(&trace.points, 800.0)), Some(800));
        assert!(above(&minutes(100, |_| 700.0).points, 800.0).is_empty());
    }

    #[test]
    fn sigmas_see_what_is_unusual_and_nothing_in_the_usual() {
        let usual = |minute: f64| 500.0 + 10.0 * (minute / 7.0).sin();
        assert!(unusual(&minutes(2000, usual).points, 2.0).is_empty());
        let spike =
            minutes(2000, |minute| usual(minute) + if minute >= 1500.0 { 100.0 } else { 0.0 });
        assert_eq!(first(&unusual(&spike.points, 3.0)), Some(1500));
        let early = minutes(300, |minute| if minute >= 100.0 { 900.0 } else { usual(minute) });
        assert!(unusual(&early.points, 3.0).is_empty());
    }

    #[test]
    fn ten_minutes_must_all_rise() {
        let broken = |minute: f64| if minute % 8.0 < 7.0 { minute } else { minute - 2.0 };
        assert!(rising(&minutes(500, broken).points).is_empty());
        let trace = minutes(500, |minute| if minute > 100.0 { minute } else { 100.0 });
        assert_eq!(first(&rising(&trace.points)), Some(110));
    }
}
