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
    /// Metrics that stand for each other: of somebody who has the first of a list those behind it
    /// need not be given, and so on.
    pub choices: &'a [&'a [&'a str]],
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
        let step = self.step_ms();
        let past = at.millis().saturating_sub(self.from.millis());
        past.div_euclid(step).saturating_add(i64::from(past.rem_euclid(step) > 0))
    }

    /// How many steps it has, as far as room for a sample of each is worth being made at once.
    fn steps(&self) -> usize {
        /// A month of half hours.
        const MOST: i64 = 1_440;
        let all = self.to.millis().saturating_sub(self.from.millis()) / self.step_ms();
        usize::try_from(all.min(MOST)).unwrap_or(0)
    }

    fn step_ms(&self) -> i64 {
        i64::try_from(self.step.as_millis()).unwrap_or(i64::MAX).max(1)
    }

    /// The moments of the stretch in the step of one of them: those after the first of these two,
    /// up to the second with it. What is before the stretch is in no step.
    fn around(&self, at: WallTime) -> Option<(i64, i64)> {
        let (from, step) = (self.from.millis(), self.step_ms());
        let end = from.saturating_add(self.step_of(at).saturating_mul(step));
        let begin = end.saturating_sub(step).max(from.saturating_sub(1));
        (at >= self.from).then_some((begin, end))
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
        self.all_low([point], stretch);
    }

    /// Takes what was the highest for a while.
    pub fn high(&mut self, point: Point, stretch: &Stretch) {
        self.all_high([point], stretch);
    }

    /// Takes several of which each was the lowest for a while, in the order of time.
    pub fn all_low(&mut self, points: impl IntoIterator<Item = Point>, stretch: &Stretch) {
        put_all(&mut self.lows, points, stretch, |new, old| new < old);
    }

    /// Takes several of which each was the highest for a while, in the order of time.
    pub fn all_high(&mut self, points: impl IntoIterator<Item = Point>, stretch: &Stretch) {
        put_all(&mut self.highs, points, stretch, |new, old| new > old);
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

/// Adds samples as [`put`] does; to work out anew for each of them which step it is in takes longer
/// than all else.
fn put_all(
    kept: &mut Vec<Point>,
    points: impl IntoIterator<Item = Point>,
    stretch: &Stretch,
    beyond: impl Fn(f64, f64) -> bool + Copy,
) {
    let length = stretch.step_ms();
    // The step that the last one of those that are kept is in.
    let mut step = None;
    let points = points.into_iter();
    if kept.is_empty() {
        kept.reserve(points.size_hint().1.unwrap_or(0).min(stretch.steps()));
    }
    for point in points.filter(|point| !point.value.is_nan()) {
        let at = point.at.millis();
        let within = |(begin, end): (i64, i64), at: i64| at > begin && at <= end;
        if step.is_none_or(|step| !within(step, at)) {
            step = match step {
                Some((_, end)) if at > end && at.saturating_sub(end) <= length => {
                    Some((end, end.saturating_add(length)))
                }
                _ => stretch.around(point.at),
            };
            let last = kept.last().map(|last| last.at.millis());
            if !step.zip(last).is_some_and(|(step, last)| within(step, last)) {
                kept.push(point);
                continue;
            }
        }
        if let Some(last) = kept.last_mut().filter(|last| beyond(point.value, last.value)) {
            *last = point;
        }
    }
}

/// Adds a sample, or puts it in the place of the one of its step if it is `beyond` that.
fn put(
    points: &mut Vec<Point>,
    point: Point,
    stretch: &Stretch,
    beyond: impl Fn(f64, f64) -> bool,
) {
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
    fn several_at_once_are_what_one_by_one_they_are() {
        let value = |at: i64| f64::from(i32::try_from(at * 7919 % 13).unwrap());
        // With gaps of several steps, and with what is before the stretch.
        let all: Vec<Point> =
            (80..400).filter(|at| at % 50 < 37).map(|at| point(at, value(at))).collect();
        let (mut once, mut each) = (Extremes::default(), Extremes::default());
        once.all_low(all.iter().copied(), &stretch());
        once.all_high(all.iter().copied(), &stretch());
        for point in all {
            each.low(point, &stretch());
            each.high(point, &stretch());
        }
        assert_eq!(once.points(), each.points());
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
