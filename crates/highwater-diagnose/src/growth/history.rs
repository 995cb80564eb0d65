//! Reading history in four densities: the last half hour closely, the weeks before coarsely.
//!
//! ```text
//!   at − 30 d                  at − 2 d         at − 6 h        at − 30 min     at
//!      ├─ one per hour, or denser ─┤─ one per 10 min ─┤─ one per min ─┤─ per 15 s ─┤
//! ```
//!
//! How dense the older parts are depends on how many series there are, so that all of them fit the
//! store's bound for one answer.

use std::collections::BTreeMap;
use std::time::Duration;

use highwater_core::series::{
    Labels, Matcher, NAME, Point, Selection, Series, SeriesSource, SourceError, is_stale,
};
use highwater_core::time::WallTime;

/// The newest part: programs that leak fast are found in minutes.
const FRESH: Duration = Duration::from_mins(30);
const FRESH_STEP: Duration = Duration::from_secs(15);

/// The part before it that is read closely, and how closely.
const CLOSE: Duration = Duration::from_hours(6);
const CLOSE_STEP: Duration = Duration::from_mins(1);

/// The part before it.
const NEAR: Duration = Duration::from_hours(48);
const NEAR_STEP: Duration = Duration::from_mins(10);
const NEAR_FINEST: Duration = Duration::from_mins(2);

/// How far back is looked, unless told otherwise.
pub(super) const FAR: Duration = Duration::from_hours(30 * 24);
const FAR_STEP: Duration = Duration::from_hours(1);
const FAR_FINEST: Duration = Duration::from_mins(15);

/// So many points of one metric are held at a time: 24 MiB of them.
const POINTS: usize = 1_500_000;

/// What is on record up to a moment.
#[derive(Clone, Copy)]
pub(super) struct History<'a> {
    pub(super) source: &'a dyn SeriesSource,
    pub(super) at: WallTime,
    /// From when on.
    pub(super) from: WallTime,
}

impl History<'_> {
    /// All series of `metric` that are not about one process, from the beginning to the end.
    pub(super) fn whole(&self, metric: &str) -> Result<Vec<Series>, SourceError> {
        self.matching(metric, &[Matcher::is("pid", "")])
    }

    /// All series of `metric` that meet `conditions`.
    pub(super) fn matching(
        &self,
        metric: &str,
        conditions: &[Matcher],
    ) -> Result<Vec<Series>, SourceError> {
        let [fresh, close, near] = [FRESH, CLOSE, NEAR].map(|reach| self.start(reach));
        let latest = self.part(metric, conditions, (fresh, self.at), FRESH_STEP)?;
        let later = self.part(metric, conditions, (close, just_before(fresh)), CLOSE_STEP)?;
        let (near_step, far_step) = steps(latest.len().max(later.len()));
        let before = self.part(metric, conditions, (near, just_before(close)), near_step)?;
        let oldest = self.part(metric, conditions, (self.from, just_before(near)), far_step)?;
        Ok(joined([oldest, before, later, latest]))
    }

    /// The last value of each series of `metric` within `reach`.
    pub(super) fn last(
        &self,
        metric: &str,
        conditions: &[Matcher],
        reach: Duration,
    ) -> Result<Vec<(Labels, Point)>, SourceError> {
        let found = self.part(metric, conditions, (self.start(reach), self.at), reach)?;
        let last = |series: Series| Some((series.labels, *series.points.last()?));
        Ok(found.into_iter().filter_map(last).collect())
    }

    fn start(&self, reach: Duration) -> WallTime {
        self.at.before(reach).max(self.from)
    }

    fn part(
        &self,
        metric: &str,
        conditions: &[Matcher],
        (from, to): (WallTime, WallTime),
        step: Duration,
    ) -> Result<Vec<Series>, SourceError> {
        if to < from {
            return Ok(Vec::new());
        }
        let mut matchers = vec![Matcher::is(NAME, metric)];
        matchers.extend_from_slice(conditions);
        let selection = Selection { matchers, from, to, step: Some(step), ends: false };
        let mut found = self.source.select(&selection)?;
        for series in &mut found {
            // A source that does not know of steps or of ends is none the worse.
            series.points.retain(|point| {
                !point.value.is_nan()
                    && !is_stale(point.value)
                    && point.at >= from
                    && point.at <= to
            });
        }
        found.retain(|series| !series.points.is_empty());
        Ok(found)
    }
}

/// Ranges have both their ends.
fn just_before(moment: WallTime) -> WallTime {
    moment.before(Duration::from_millis(1))
}

/// How far apart points may be in the nearer and the farther past, for so many series.
fn steps(series: usize) -> (Duration, Duration) {
    let share = POINTS / series.max(1);
    let fit = |span: Duration, points: usize, finest: Duration, coarsest: Duration| {
        let points = u32::try_from(points).unwrap_or(u32::MAX).max(1);
        (span / points).clamp(finest, coarsest)
    };
    (fit(NEAR, share / 4, NEAR_FINEST, NEAR_STEP), fit(FAR, share / 2, FAR_FINEST, FAR_STEP))
}

/// Each series once, its parts behind each other.
fn joined(parts: [Vec<Series>; 4]) -> Vec<Series> {
    let mut all: BTreeMap<Labels, Vec<Point>> = BTreeMap::new();
    for series in parts.into_iter().flatten() {
        all.entry(series.labels).or_default().extend(series.points);
    }
    all.into_iter().map(|(labels, points)| Series { labels, points }).collect()
}

/// `a` with what `b` had at the same time: of each point of `a`, the last of `b` that is not later.
pub(super) fn together(a: &[Point], b: &[Point], join: impl Fn(f64, f64) -> f64) -> Vec<Point> {
    /// A value older than this says nothing of now.
    const STALE_AFTER: Duration = Duration::from_hours(2);
    let (mut rest, mut latest) = (b.iter().peekable(), None::<Point>);
    let mut out = Vec::with_capacity(a.len());
    for point in a {
        while let Some(next) = rest.next_if(|next| next.at <= point.at) {
            latest = Some(*next);
        }
        if let Some(other) = latest.filter(|other| point.at.since(other.at) <= STALE_AFTER) {
            out.push(Point { at: point.at, value: join(point.value, other.value) });
        }
    }
    out
}

/// A counter's rise per second, between its points; a reset starts again from zero.
pub(super) fn rises(counter: &[Point]) -> Vec<Point> {
    let rise = |pair: &[Point]| match pair {
        [a, b] => {
            let seconds = b.at.since(a.at).as_secs_f64();
            let rise = if b.value >= a.value { b.value - a.value } else { b.value };
            (seconds > 0.0).then(|| Point { at: b.at, value: rise / seconds })
        }
        _ => None,
    };
    counter.windows(2).filter_map(rise).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(pairs: &[(i64, f64)]) -> Vec<Point> {
        let point =
            |(s, value): &(i64, f64)| Point { at: WallTime::from_millis(s * 1000), value: *value };
        pairs.iter().map(point).collect()
    }

    #[test]
    fn many_series_are_read_less_densely() {
        assert_eq!(steps(1), (NEAR_FINEST, FAR_FINEST));
        assert_eq!(steps(1_000_000), (NEAR_STEP, FAR_STEP));
        let (near, far) = steps(2000);
        assert!(near > NEAR_FINEST && far > FAR_FINEST);
    }

    #[test]
    fn values_of_one_time_come_together() {
        let a = points(&[(0, 5.0), (10, 6.0), (20, 7.0), (90_000, 8.0)]);
        let b = points(&[(5, 1.0), (20, 2.0)]);
        let found = together(&a, &b, |a, b| a - b);
        assert_eq!(found, points(&[(10, 5.0), (20, 5.0)]), "nothing before, nothing stale");
    }

    #[test]
    fn a_counter_rises_also_over_a_reset() {
        let rises = rises(&points(&[(0, 10.0), (10, 20.0), (20, 5.0), (20, 5.0)]));
        assert_eq!(rises, points(&[(10, 1.0), (20, 0.5)]));
    }
}
