//! Reading history in four densities: the last half hour closely, the weeks before coarsely.
//!
//! ```text
//!   at − 30 d             at − 2 d             at − 6 h          at − 30 min     at
//!      ├─ extremes of 30 min ─┤─ extremes of 10 min ─┤─ of 1 min ─┤─ of 15 s ─┤
//! ```
//!
//! What stays after every fall is judged, so of each step its lowest sample counts, and its highest
//! for how far the values reach above that. Owners are read some at a time: a month of all of them
//! would not fit.

use std::collections::BTreeMap;
use std::time::Duration;

use highwater_core::series::{
    Keep, Labels, Matcher, NAME, Point, Selection, Series, SeriesSource, SourceError, Stretch,
    Visit, is_stale,
};
use highwater_core::time::WallTime;

use super::owners::Key;
use super::strand::{Hosts, owners};

/// The newest part: programs that leak fast are found in minutes.
const FRESH: Duration = Duration::from_mins(30);
const FRESH_STEP: Duration = Duration::from_secs(15);

/// The part before it that is read closely, and how closely.
const CLOSE: Duration = Duration::from_hours(6);
const CLOSE_STEP: Duration = Duration::from_mins(1);

/// The part before it.
const NEAR: Duration = Duration::from_hours(48);
const NEAR_STEP: Duration = Duration::from_mins(10);
const NEAR_FINE: Duration = Duration::from_mins(2);

/// How far back is looked, unless told otherwise; four steps at least make a block of floors, so that
/// a stray sample does not become one.
pub(super) const FAR: Duration = Duration::from_hours(30 * 24);
const FAR_STEP: Duration = Duration::from_mins(30);
const FAR_FINE: Duration = Duration::from_mins(15);

/// What is on record up to a moment.
#[derive(Clone, Copy)]
pub(super) struct History<'a> {
    pub(super) source: &'a dyn SeriesSource,
    pub(super) at: WallTime,
    /// From when on.
    pub(super) from: WallTime,
    /// What was read beforehand.
    pub(super) known: &'a Known,
}

/// Series of some metrics, which are few, read in one pass.
#[derive(Debug, Default)]
pub(super) struct Known(BTreeMap<String, Vec<Series>>);

impl Known {
    /// Reads those of `metrics` that are not about one process.
    pub(super) fn read(history: History<'_>, metrics: &[&str]) -> Result<Self, SourceError> {
        let mut all: BTreeMap<String, Vec<Series>> =
            metrics.iter().map(|metric| ((*metric).to_owned(), Vec::new())).collect();
        history.each(metrics, &mut |series| {
            if let Some(of) = all.get_mut(series.labels.get(NAME)) {
                of.push(series);
            }
        })?;
        for of in all.values_mut() {
            of.sort_by(|a, b| a.labels.cmp(&b.labels));
        }
        Ok(Self(all))
    }
}

impl History<'_> {
    /// All series of `metric` that are not about one process, from the beginning to the end.
    pub(super) fn whole(&self, metric: &str) -> Result<Vec<Series>, SourceError> {
        match self.known.0.get(metric) {
            Some(known) => Ok(known.clone()),
            None => Ok(Known::read(*self, &[metric])?.0.remove(metric).unwrap_or_default()),
        }
    }

    /// Gives all series of `metrics` that are not about one process, one after the other.
    pub(super) fn each(
        &self,
        metrics: &[&str],
        give: &mut dyn FnMut(Series),
    ) -> Result<(), SourceError> {
        let each = &mut |labels: &[Labels]| (0..labels.len()).map(|place| vec![place]).collect();
        self.visit((metrics, &[]), Keep::Last, each, &mut |found| {
            found.into_iter().for_each(&mut *give);
        })
    }

    /// Gives all series of `metrics` of each owner that is `wanted`, owner by owner.
    pub(super) fn each_owner(
        &self,
        metrics: &[&str],
        how: (Keep, &Hosts),
        wanted: &dyn Fn(&Key) -> bool,
        give: &mut dyn FnMut(Vec<Series>),
    ) -> Result<(), SourceError> {
        self.each_choosing((metrics, &[]), how, wanted, give)
    }

    /// The same; of what stands for each other by the `choices`, at least the first that it has.
    pub(super) fn each_choosing(
        &self,
        (metrics, choices): (&[&str], &[&[&str]]),
        (keep, hosts): (Keep, &Hosts),
        wanted: &dyn Fn(&Key) -> bool,
        give: &mut dyn FnMut(Vec<Series>),
    ) -> Result<(), SourceError> {
        let mut group = |all: &[Labels]| {
            let owners = owners(all, hosts).into_iter();
            owners.filter(|(key, _)| wanted(key)).map(|(_, places)| places).collect()
        };
        self.visit((metrics, choices), keep, &mut group, give)
    }

    /// The last value of each series of `metric` within `reach`.
    pub(super) fn last(
        &self,
        metric: &str,
        conditions: &[Matcher],
        reach: Duration,
    ) -> Result<Vec<(Labels, Point)>, SourceError> {
        let from = self.start(reach);
        let last = |series: Series| Some((series.labels, *series.points.last()?));
        if let Some(known) = self.known.0.get(metric) {
            let accepted = known.iter().filter(|series| {
                conditions.iter().all(|condition| condition.accepts(&series.labels))
            });
            let lasts = accepted.cloned().filter_map(last);
            return Ok(lasts.filter(|(_, point)| point.at >= from).collect());
        }
        let mut matchers = vec![Matcher::is(NAME, metric)];
        matchers.extend_from_slice(conditions);
        let to = self.at;
        let selection = Selection { matchers, from, to, step: Some(reach), ends: false };
        let mut found = self.source.select(&selection)?;
        for series in &mut found {
            // A source that does not know of steps or of ends is none the worse.
            series.points.retain(|point| is_sound(point, from, to));
        }
        Ok(found.into_iter().filter_map(last).collect())
    }

    fn start(&self, reach: Duration) -> WallTime {
        self.at.before(reach).max(self.from)
    }

    fn visit(
        &self,
        (metrics, choices): (&[&str], &[&[&str]]),
        keep: Keep,
        group: &mut dyn FnMut(&[Labels]) -> Vec<Vec<usize>>,
        give: &mut dyn FnMut(Vec<Series>),
    ) -> Result<(), SourceError> {
        let [fresh, close, near] = [FRESH, CLOSE, NEAR].map(|reach| self.start(reach));
        let (far_step, near_step) = match keep {
            Keep::Extremes => (FAR_STEP, NEAR_STEP),
            Keep::Last => (FAR_FINE, NEAR_FINE),
        };
        let before = |moment: WallTime| moment.before(Duration::from_millis(1));
        // Ranges have both their ends.
        let stretches = [
            Stretch { from: self.from, to: before(near), step: far_step },
            Stretch { from: near, to: before(close), step: near_step },
            Stretch { from: close, to: before(fresh), step: CLOSE_STEP },
            Stretch { from: fresh, to: self.at, step: FRESH_STEP },
        ];
        let matchers = &[Matcher::is("pid", "")];
        let visit = Visit { metrics, choices, matchers, stretches: &stretches, keep };
        self.source.visit(&visit, group, give)
    }
}

fn is_sound(point: &Point, from: WallTime, to: WallTime) -> bool {
    !point.value.is_nan() && !is_stale(point.value) && point.at >= from && point.at <= to
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
