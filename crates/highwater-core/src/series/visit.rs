//! Series read some at a time: those that belong together come together, over all stretches of
//! time that are asked for, and of each step only its extremes.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Labels, Matcher, NAME, Point, Selection, Series, SeriesSource, SourceError};
use crate::time::WallTime;

/// What is read: see [`SeriesSource::visit`].
#[derive(Clone, Copy, Debug)]
pub struct Visit<'a> {
    /// The metrics; several are read in one pass.
    pub metrics: &'a [&'a str],
    /// Conditions that all other labels must meet.
    pub matchers: &'a [Matcher],
    /// Stretches of time that do not overlap, oldest first.
    pub stretches: &'a [Stretch],
    /// Which samples of each step.
    pub keep: Keep,
}

/// Which samples stand for all of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// The last one: of series that are read at the same moments those stay together.
    Last,
    /// The lowest and the highest, and the very last of all; of a counter the last one.
    Extremes,
}

/// A stretch of time, and how closely it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// The first moment wanted.
    pub from: WallTime,
    /// The last moment wanted.
    pub to: WallTime,
    /// So far apart samples may be.
    pub step: Duration,
}

impl Stretch {
    /// Which step a moment is in. Steps end at `from`, `from + step`, …, and each has its end but
    /// not its beginning, as buckets have.
    pub fn step_of(&self, at: WallTime) -> i64 {
        let step = i64::try_from(self.step.as_millis()).unwrap_or(i64::MAX).max(1);
        let past = at.millis().saturating_sub(self.from.millis());
        past.div_euclid(step).saturating_add(i64::from(past.rem_euclid(step) > 0))
    }
}

/// The lowest and the highest samples of steps, being found.
#[derive(Clone, Debug, Default)]
pub struct Extremes {
    lows: Vec<Point>,
    highs: Vec<Point>,
    /// The newest sample.
    last: Option<Point>,
}

impl Extremes {
    /// Takes a sample of a stretch. What is not a number is none.
    pub fn take(&mut self, point: Point, stretch: &Stretch) {
        self.low(point, stretch);
        self.high(point, stretch);
        if !point.value.is_nan() && self.last.is_none_or(|last| last.at < point.at) {
            self.last = Some(point);
        }
    }

    /// Takes what was the lowest for a while.
    pub fn low(&mut self, point: Point, stretch: &Stretch) {
        if !point.value.is_nan() {
            put(&mut self.lows, point, stretch, |new, old| new < old);
        }
    }

    /// Takes what was the highest for a while.
    pub fn high(&mut self, point: Point, stretch: &Stretch) {
        if !point.value.is_nan() {
            put(&mut self.highs, point, stretch, |new, old| new > old);
        }
    }

    /// Whether nothing was taken.
    pub fn is_empty(&self) -> bool {
        self.lows.is_empty() && self.highs.is_empty()
    }

    /// The samples that were the extremes of their steps, in the order of time, each once; and the
    /// last one.
    pub fn points(self) -> Vec<Point> {
        let last = self.last;
        let mut points = self.merged();
        points.extend(last.filter(|last| points.last().is_none_or(|point| point.at < last.at)));
        points
    }

    fn merged(self) -> Vec<Point> {
        let Self { mut lows, mut highs, .. } = self;
        for points in [&mut lows, &mut highs] {
            if !points.is_sorted_by(|a, b| a.at <= b.at) {
                points.sort_by_key(|point| point.at);
            }
        }
        if lows == highs {
            return lows;
        }
        let mut all = Vec::with_capacity(lows.len() + highs.len());
        let mut highs = highs.into_iter().peekable();
        for low in lows {
            while let Some(high) = highs.next_if(|high| high.at < low.at) {
                all.push(high);
            }
            highs.next_if(|high| *high == low);
            all.push(low);
        }
        all.extend(highs);
        all
    }
}

/// Adds a sample, or puts it in the place of the one of its step if it is `beyond` that.
fn put(points: &mut Vec<Point>, point: Point, stretch: &Stretch, beyond: fn(f64, f64) -> bool) {
    let same = |last: &&mut Point| {
        last.at >= stretch.from && stretch.step_of(last.at) == stretch.step_of(point.at)
    };
    match points.last_mut().filter(same) {
        Some(last) if beyond(point.value, last.value) => *last = point,
        Some(_) => {}
        None => points.push(point),
    }
}

/// What is kept of a series.
enum Kept {
    Last(Vec<Point>),
    Extremes(Extremes),
}

impl Kept {
    fn of(keep: Keep) -> Self {
        match keep {
            Keep::Last => Self::Last(Vec::new()),
            Keep::Extremes => Self::Extremes(Extremes::default()),
        }
    }

    fn take(&mut self, point: Point, stretch: &Stretch) {
        match self {
            Self::Last(points) if !point.value.is_nan() => put(points, point, stretch, |_, _| true),
            Self::Last(_) => {}
            Self::Extremes(extremes) => extremes.take(point, stretch),
        }
    }

    fn points(self) -> Vec<Point> {
        match self {
            Self::Last(points) => points,
            Self::Extremes(extremes) => extremes.points(),
        }
    }
}

/// The way of a source that has no better one: all of each metric is read at once.
pub(super) fn by_selecting<S: SeriesSource + ?Sized>(
    source: &S,
    visit: &Visit<'_>,
    group: &mut dyn FnMut(&[Labels]) -> Vec<Vec<usize>>,
    give: &mut dyn FnMut(Vec<Series>),
) -> Result<(), SourceError> {
    let mut found: BTreeMap<Labels, Vec<Series>> = BTreeMap::new();
    for metric in visit.metrics {
        let mut whole: BTreeMap<Labels, Kept> = BTreeMap::new();
        for stretch in visit.stretches.iter().filter(|stretch| stretch.from <= stretch.to) {
            let mut matchers = vec![Matcher::is(NAME, metric)];
            matchers.extend_from_slice(visit.matchers);
            let (from, to) = (stretch.from, stretch.to);
            let selection = Selection { matchers, from, to, step: None, ends: false };
            for series in source.select(&selection)? {
                let kept = whole.entry(series.labels).or_insert_with(|| Kept::of(visit.keep));
                let inside = series.points.iter().filter(|p| p.at >= from && p.at <= to);
                inside.for_each(|point| kept.take(*point, stretch));
            }
        }
        for (labels, kept) in whole {
            let (points, mut bare) = (kept.points(), labels.clone());
            bare.set(NAME, "");
            if !points.is_empty() {
                found.entry(bare).or_default().push(Series { labels, points });
            }
        }
    }
    let (labels, mut all): (Vec<Labels>, Vec<Vec<Series>>) = found.into_iter().unzip();
    for places in group(&labels) {
        let of_place = |place: usize| all.get_mut(place).map(std::mem::take).unwrap_or_default();
        let series: Vec<Series> = places.into_iter().flat_map(of_place).collect();
        if !series.is_empty() {
            give(series);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(at: i64, value: f64) -> Point {
        Point { at: WallTime::from_millis(at), value }
    }

    fn stretch() -> Stretch {
        let (from, to) = (WallTime::from_millis(100), WallTime::from_millis(1000));
        Stretch { from, to, step: Duration::from_millis(10) }
    }

    #[test]
    fn of_each_step_the_extremes_stay_in_order_of_time() {
        let mut extremes = Extremes::default();
        for (at, value) in [
            (101, 5.0),
            (103, 9.0),
            (104, 2.0),
            (110, 4.0),
            (111, 7.0),
            (112, 7.0),
            (119, f64::NAN),
        ] {
            extremes.take(point(at, value), &stretch());
        }
        assert_eq!(
            extremes.points(),
            [point(103, 9.0), point(104, 2.0), point(111, 7.0), point(112, 7.0)]
        );
    }

    #[test]
    fn what_stays_the_same_is_told_once_a_step() {
        let mut extremes = Extremes::default();
        (101..=130).for_each(|at| extremes.take(point(at, 3.0), &stretch()));
        assert_eq!(extremes.points(), [101, 111, 121, 130].map(|at| point(at, 3.0)));
    }

    #[test]
    fn buckets_tell_lowest_and_highest_apart() {
        let mut extremes = Extremes::default();
        for (at, low, high) in [(105, 3.0, 8.0), (110, 1.0, 4.0), (120, 2.0, 2.0)] {
            extremes.low(point(at, low), &stretch());
            extremes.high(point(at, high), &stretch());
        }
        assert_eq!(extremes.points(), [point(105, 8.0), point(110, 1.0), point(120, 2.0)]);
    }
}
