//! `predict_linear` of Prometheus: the line of least squares through a window, drawn on.

use std::time::Duration;

use highwater_core::series::Point;
use highwater_core::time::WallTime;

use super::super::trace::Trace;
use super::HOUR;

/// Over which window, how far ahead, and for how long it must be so.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ahead {
    window: Duration,
    reach: Duration,
    hold: Duration,
}

impl Ahead {
    /// As in Prometheus' own documentation: an hour, four hours ahead.
    pub(super) const HOUR: Self = Self::new(1, 4, Duration::from_mins(5));
    /// As in the rules that come with `node_exporter`: six hours, a day ahead.
    pub(super) const SHIFT: Self = Self::new(6, 24, HOUR);
    /// A day, and as far ahead as the rules for Kubernetes' volumes: four days.
    pub(super) const DAY: Self = Self::new(24, 96, HOUR);

    const fn new(window: u64, ahead: u64, hold: Duration) -> Self {
        let (window, reach) = (Duration::from_hours(window), Duration::from_hours(ahead));
        Self { window, reach, hold }
    }
}

/// Sums from which the line of least squares comes; times and values are from where they begin.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sums {
    count: f64,
    t: f64,
    v: f64,
    tt: f64,
    tv: f64,
}

impl Sums {
    /// With a point more, or (`weight` −1) a point less.
    pub(super) fn with(self, t: f64, v: f64, weight: f64) -> Self {
        Self {
            count: self.count + weight,
            t: self.t + weight * t,
            v: self.v + weight * v,
            tt: self.tt + weight * t * t,
            tv: self.tv + weight * t * v,
        }
    }

    /// Its height at 0 and its slope; `None` if there is no line.
    pub(super) fn line(self) -> Option<(f64, f64)> {
        let spread = self.count * self.tt - self.t * self.t;
        let some = self.count >= 2.0 && spread > 1e-9;
        let slope = (self.count * self.tv - self.t * self.v) / spread;
        some.then(|| ((self.v - slope * self.t) / self.count, slope))
    }
}

/// Where the line through the last window, drawn on, is above the ceiling.
pub(super) fn foreseen(trace: &Trace, how: Ahead) -> Vec<WallTime> {
    let points = &trace.points;
    let Some(start) = points.first() else {
        return Vec::new();
    };
    let place = |point: &Point| {
        (point.at.since(start.at).as_secs_f64() / 3600.0, point.value - start.value)
    };
    let mut sums = Sums::default();
    let mut oldest = points.iter().peekable();
    let (mut since, mut found) = (None, Vec::new());
    for point in points {
        while let Some(gone) = oldest.next_if(|old| point.at.since(old.at) > how.window) {
            let (t, v) = place(gone);
            sums = sums.with(t, v, -1.0);
        }
        let (t, v) = place(point);
        sums = sums.with(t, v, 1.0);
        let seen = oldest.peek().map_or(Duration::ZERO, |old| point.at.since(old.at));
        let then = t + how.reach.as_secs_f64() / 3600.0;
        let level = sums.line().map(|(height, slope)| start.value + height + slope * then);
        if seen * 2 >= how.window && level.is_some_and(|level| level > trace.ceiling) {
            let begun = *since.get_or_insert(point.at);
            if point.at.since(begun) >= how.hold {
                found.push(point.at);
            }
        } else {
            since = None;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::tests::{first, minutes};
    use super::*;

    #[test]
    fn a_line_is_foreseen_as_far_ahead_as_asked() {
        // 1000 is met at minute 1000: four hours before is 760, and the five minutes it must hold.
        let trace = minutes(1000, |minute| minute);
        assert_eq!(first(&foreseen(&trace, Ahead::HOUR)), Some(766));
        // Three hours must have been seen for the six; then it is foreseen at once, and holds an hour.
        assert_eq!(first(&foreseen(&trace, Ahead::SHIFT)), Some(240));
    }

    #[test]
    fn what_is_flat_is_not_foreseen() {
        let trace = minutes(3000, |minute| 800.0 + (minute / 9.0).sin());
        assert!(foreseen(&trace, Ahead::SHIFT).is_empty());
        assert!(foreseen(&trace, Ahead::DAY).is_empty());
    }
}
