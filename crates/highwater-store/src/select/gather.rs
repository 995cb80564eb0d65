//! Series being put together out of what stands in many places.
//!
//! Each source gives runs of samples in order of time. Where runs interleave (close-ups between
//! whole readings), they are put in order at the end, once for each series.

use std::collections::HashMap;

use highwater_core::series::{Extremes, Keep, Point, Series, Stretch, is_stale};
use highwater_core::time::WallTime;

use super::carry::{Carried, Carry};
use super::finish::{Ends, in_order};
use super::steps::{Glances, Steps};
use super::wanted::Wanted;
use crate::codec::{Aspect, is_absent};
use crate::entity::Group;

/// Series being filled.
#[derive(Debug)]
pub(crate) struct Gathered<'a> {
    pub(crate) wanted: &'a Wanted,
    steps: Option<Steps>,
    /// The looks of a query, where samples that nobody looks at are left out.
    pub(super) glances: Option<Glances>,
    /// The stretch that is being visited, and which samples of its steps are wanted.
    stretch: Option<Stretch>,
    pub(super) keep: Keep,
    pub(super) spared: Spared,
    /// Which of `filling` the series of a metric and labels is, metric after metric.
    places: Vec<Option<usize>>,
    filling: Vec<Filling>,
    /// When the group was read as a whole, as shown, in no order.
    pub(crate) readings: Vec<i64>,
    /// How many points there are.
    pub(crate) points: usize,
    /// Whether anybody asks when the group was read.
    pub(crate) asks_readings: bool,
    /// For so many points of each series room is made at once; 0 where there are many series.
    pub(crate) expected: usize,
}

/// What need not be read of whom.
#[derive(Debug, Default)]
pub(super) struct Spared {
    /// Of each metric, and those that are spared of each slot.
    pub(super) bits: Vec<u64>,
    pub(super) of_slots: Vec<u64>,
}

impl Spared {
    fn has(&self, metric: usize, slot: usize) -> bool {
        let both = self.bits.get(metric).zip(self.of_slots.get(slot));
        both.is_some_and(|(bit, spared)| spared & bit != 0)
    }
}

/// One series being filled.
#[derive(Debug)]
pub(super) struct Filling {
    pub(super) metric: usize,
    pub(super) slot: usize,
    pub(super) points: Vec<Point>,
    /// What resets took away from a counter, by bucket.
    pub(super) lost: Vec<Point>,
    /// Some of it comes from buckets.
    pub(super) bucketed: bool,
    /// The extremes of a gauge, where those are wanted.
    extremes: Extremes,
}

/// Times and values side by side.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run<'a> {
    /// As recorded.
    pub(crate) times: &'a [i64],
    pub(crate) values: &'a [f64],
    /// Recorded moment + shift = moment shown.
    pub(crate) shift: i64,
}

impl Run<'_> {
    fn points(&self) -> impl Iterator<Item = Point> {
        let both = self.times.iter().zip(self.values);
        both.filter(|(_, value)| !is_absent(**value)).map(|(at, value)| Point {
            at: WallTime::from_millis(at.saturating_add(self.shift)),
            value: *value,
        })
    }
}

impl<'a> Gathered<'a> {
    pub(crate) fn new(wanted: &'a Wanted, steps: Option<Steps>) -> Self {
        let places = wanted.metrics.len().saturating_mul(wanted.labels.len());
        Self {
            wanted,
            steps,
            glances: None,
            stretch: None,
            keep: Keep::Last,
            spared: Spared::default(),
            places: vec![None; places],
            filling: vec![],
            readings: vec![],
            points: 0,
            asks_readings: true,
            expected: 0,
        }
    }

    /// From here on samples of the steps of `stretch` are wanted.
    pub(super) fn turn_to(&mut self, stretch: Option<Stretch>) {
        if let Some(stretch) = stretch.filter(|stretch| self.stretch != Some(*stretch)) {
            self.steps = Some(Steps::new(stretch.from.millis(), stretch.step));
            self.stretch = Some(stretch);
        }
    }

    /// Whether a bucket's aspect is to be read, of a metric and labels by their places.
    pub(super) fn asks_for(&self, aspect: Aspect, metric: usize, slot: usize) -> bool {
        if self.spared.has(metric, slot) {
            return false;
        }
        match aspect {
            Aspect::Raw | Aspect::Lost => true,
            Aspect::Min | Aspect::Max => self.is_for_extremes(metric),
            Aspect::Last => !self.is_for_extremes(metric),
            _ => false,
        }
    }

    /// The stretch, if a metric's extremes are wanted in it.
    fn stretch_of(&self, metric: usize) -> Option<Stretch> {
        self.stretch.filter(|_| self.is_for_extremes(metric))
    }

    fn is_for_extremes(&self, metric: usize) -> bool {
        let is_gauge = || self.wanted.metrics.get(metric).is_some_and(|metric| !metric.counter);
        self.keep == Keep::Extremes && is_gauge()
    }

    /// Adds extremes of a metric's buckets.
    pub(super) fn bounds(&mut self, metric: usize, slot: usize, run: Run<'_>, aspect: Aspect) {
        let Some(stretch) = self.stretch_of(metric) else { return };
        let Some(Filling { extremes, .. }) = self.series(metric, slot) else { return };
        match aspect {
            Aspect::Min => extremes.all_low(run.points(), &stretch),
            Aspect::Max => extremes.all_high(run.points(), &stretch),
            _ => run.points().for_each(|point| extremes.take(point, &stretch)),
        }
    }

    /// Adds samples of a metric, by its place, and of an entity.
    pub(crate) fn run(&mut self, metric: usize, slot: usize, run: Run<'_>, bucketed: bool) {
        if self.stretch_of(metric).is_some() {
            return self.bounds(metric, slot, run, Aspect::Raw);
        }
        let (steps, glances) = (self.steps, self.glances);
        let all = steps.is_none() && glances.is_none();
        let expected = if all { self.expected } else { 0 };
        let Some(filling) = self.series(metric, slot) else { return };
        filling.bucketed |= bucketed;
        if filling.points.is_empty() {
            filling.points.reserve(expected);
        }
        let before = filling.points.len();
        match (steps, glances) {
            (None, None) => {
                filling.points.reserve(run.values.len());
                filling.points.extend(run.points());
            }
            (None, Some(glances)) => glances.extend(&mut filling.points, run.points()),
            (Some(_), _) => {
                for point in run.points() {
                    put(&mut filling.points, point, steps);
                }
            }
        }
        let after = filling.points.len();
        self.points = self.points.saturating_add(after.saturating_sub(before));
    }

    /// Notes what resets took away from a counter.
    pub(crate) fn lost(&mut self, metric: usize, slot: usize, run: Run<'_>) {
        if let Some(filling) = self.series(metric, slot) {
            filling.lost.extend(run.points().filter(|point| point.value > 0.0));
        }
    }

    /// Adds one sample.
    pub(crate) fn point(&mut self, metric: usize, slot: usize, point: Point) {
        let (steps, stretch) = (self.steps, self.stretch_of(metric));
        if let Some(stretch) = stretch {
            if let Some(filling) = self.series(metric, slot) {
                filling.extremes.take(point, &stretch);
            }
            return;
        }
        if let Some(filling) = self.series(metric, slot)
            && put(&mut filling.points, point, steps)
        {
            self.points = self.points.saturating_add(1);
        }
    }

    /// Notes when the group was read as a whole.
    pub(crate) fn reading(&mut self, shown: impl IntoIterator<Item = i64>) {
        self.readings.extend(shown);
    }

    /// Visits all samples: the place of the metric, of the labels, and the value.
    pub(crate) fn each(&self, mut visit: impl FnMut(usize, usize, f64)) {
        for filling in &self.filling {
            filling.points.iter().for_each(|p| visit(filling.metric, filling.slot, p.value));
        }
    }

    /// The place of a series, which is made when it has its first sample.
    fn series(&mut self, metric: usize, slot: usize) -> Option<&mut Filling> {
        let at = metric.checked_mul(self.wanted.labels.len())?.checked_add(slot)?;
        let place = self.places.get_mut(at)?;
        let next = self.filling.len();
        let at = *place.get_or_insert(next);
        if at == next {
            let (points, lost, extremes) = Default::default();
            self.filling.push(Filling { metric, slot, points, lost, bucketed: false, extremes });
        }
        self.filling.get_mut(at)
    }

    /// The series of the stretches that were visited, each with the places of its metric and labels.
    pub(super) fn visited(self) -> Vec<(usize, usize, Series)> {
        let wanted = self.wanted;
        let series = |mut filling: Filling| {
            let labels = wanted.labels_of(filling.metric, filling.slot);
            if filling.extremes.is_empty() {
                in_order(&mut filling.points);
                let counter = wanted.metrics.get(filling.metric).is_some_and(|of| of.counter);
                if counter && filling.bucketed {
                    Carried::default().counter(&mut filling);
                }
                filling.points.retain(|point| !point.value.is_nan());
                return (filling.metric, filling.slot, Series { labels, points: filling.points });
            }
            (filling.metric, filling.slot, Series { labels, points: filling.extremes.points() })
        };
        let found = self.filling.into_iter().map(series);
        found.filter(|(_, _, series)| !series.points.is_empty()).collect()
    }

    /// The series, in order of labels. What they need to know of the stretch before, and leave for
    /// the next one, is in `carry`.
    pub(crate) fn series_of(self, ends: Ends, carry: &mut Carry) -> Vec<Series> {
        let Self { wanted, steps, glances, filling, mut readings, .. } = self;
        readings.sort_unstable();
        let filling = in_order_of_labels(wanted, filling);
        let mut found = Vec::with_capacity(filling.len());
        for mut filling in filling {
            if filling.points.is_empty() && filling.lost.is_empty() {
                continue;
            }
            in_order(&mut filling.points);
            let labels = wanted.labels_of(filling.metric, filling.slot);
            let counter = wanted.metrics.get(filling.metric).is_some_and(|metric| metric.counter);
            let mut before = carry.take(&labels);
            if counter && (filling.bucketed || before.bucketed) {
                before.counter(&mut filling);
            }
            if ends == Ends::Bare && wanted.group == Group::Thing {
                // Marks that were imported.
                filling.points.retain(|point| !is_stale(point.value));
            }
            if ends == Ends::Marked {
                before.mark_ends(&mut filling.points, &readings, wanted.group);
            }
            if let Some(steps) = steps {
                steps.thin(&mut filling.points);
            }
            if let Some(glances) =
                glances.filter(|glances| glances.is_newest() && ends == Ends::Marked)
            {
                // Where samples were left out, ends were marked that are none.
                let all = std::mem::take(&mut filling.points);
                glances.extend(&mut filling.points, all.into_iter());
            }
            carry.keep(wanted.group, &labels, before);
            found.push(Series { labels, points: filling.points });
        }
        found.retain(|series| !series.points.is_empty());
        found.sort_by(|a, b| a.labels.cmp(&b.labels));
        found
    }
}

/// Series nearly in order of labels: by name and then by the others, which are compared once for
/// all metrics. It leaves little to do for the sorting by labels, which is slow.
fn in_order_of_labels(wanted: &Wanted, mut filling: Vec<Filling>) -> Vec<Filling> {
    let mut slots: Vec<usize> = filling.iter().map(|filling| filling.slot).collect();
    slots.sort_unstable();
    slots.dedup();
    slots.sort_by_key(|slot| wanted.labels.get(*slot));
    let ranks = slots.into_iter().enumerate().map(|(rank, slot)| (slot, rank));
    let ranks: HashMap<usize, usize> = ranks.collect();
    filling.sort_by_cached_key(|filling| {
        let name = wanted.metrics.get(filling.metric).map(|metric| metric.name.as_str());
        (name, ranks.get(&filling.slot).copied())
    });
    filling
}

/// Adds a point, in the place of an earlier one of its step; whether that makes one more.
fn put(points: &mut Vec<Point>, point: Point, steps: Option<Steps>) -> bool {
    if let (Some(last), Some(steps)) = (points.last_mut(), steps)
        && last.at < point.at
        && steps.share(last.at.millis(), point.at.millis())
    {
        *last = point;
        return false;
    }
    points.push(point);
    true
}
