//! Range vectors: windows that move along the samples of each series, and subqueries, whose steps
//! are samples to whoever asks.

use highwater_core::series::{Labels, Point, Series, is_stale};

use super::row::Row;
use super::select::millis;
use super::{Evaluated, Evaluator, Grid, labels};
use crate::answer::Value;
use crate::error::Error;
use crate::functions::Window;
use crate::plan::{Kind, Node, Subquery, When};

/// The samples of a series in which windows move.
pub(super) struct Strip {
    pub(super) labels: Labels,
    pub(super) drops: bool,
    /// In order of time, ends left out.
    pub(super) points: Vec<Point>,
}

/// A range vector before its windows are cut.
pub(super) struct Strips {
    pub(super) all: Vec<Strip>,
    pub(super) range: i64,
    pub(super) when: When,
    /// How many samples are held for it.
    pub(super) held: usize,
}

impl Evaluator<'_> {
    /// The samples of a range vector for all steps.
    pub(super) fn strips(&mut self, node: &Node, grid: Grid) -> Evaluated<Strips> {
        match &node.bare().kind {
            Kind::Window(selector, range) => {
                let when = selector.when;
                let (first, last) = self.looked_at(&when, grid);
                let whole = (first.saturating_sub(*range), last);
                let found = if grid.count == 0 {
                    Vec::new()
                } else {
                    self.load(selector.conditions(), whole, &self.looks(&when, *range, grid))?
                };
                let held = found.iter().fold(0, |sum: usize, s| sum.saturating_add(s.points.len()));
                let strip = |series: Series| {
                    let Series { labels, mut points } = series;
                    points.retain(|point| !is_stale(point.value));
                    Strip { labels, drops: false, points }
                };
                let all = found.into_iter().map(strip).collect();
                Ok(Strips { all, range: *range, when, held })
            }
            Kind::Subquery(subquery) => self.subquery(subquery, grid),
            _ => Err(Error::execution("expected a range vector")),
        }
    }

    fn subquery(&mut self, subquery: &Subquery, grid: Grid) -> Evaluated<Strips> {
        let (range, when) = (subquery.range, subquery.when);
        let step = subquery.step.unwrap_or_else(|| millis(self.options.subquery_step)).max(1);
        let (first, last) = self.looked_at(&when, grid);
        // Steps stand at multiples of the step, whatever the moment of evaluation.
        let after = first.saturating_sub(range);
        let start = after.div_euclid(step).saturating_add(1).saturating_mul(step);
        let inner = Grid::between(start, last, step);
        if inner.count == 0 || grid.count == 0 {
            return Ok(Strips { all: Vec::new(), range, when, held: 0 });
        }
        let before = self.held;
        let rows = self.vector(&subquery.inner, inner)?;
        let strip =
            |row: Row| Strip { points: row.points(inner), drops: row.drops, labels: row.labels };
        let all = rows.into_iter().map(strip).collect();
        Ok(Strips { all, range, when, held: self.held.saturating_sub(before) })
    }

    /// A range vector by itself, at a single moment.
    pub(super) fn whole(&mut self, node: &Node, grid: Grid) -> Evaluated<Value> {
        let Strips { all, range, when, .. } = self.strips(node, grid)?;
        let (_, to) = self.looked_at(&when, grid);
        let from = to.saturating_sub(range);
        let inside = |point: &Point| from < point.at.millis() && point.at.millis() <= to;
        let mut series = Vec::with_capacity(all.len());
        for mut strip in all {
            strip.points.retain(inside);
            if strip.drops {
                labels::drop_metadata(&mut strip.labels);
            }
            if !strip.points.is_empty() {
                series.push(Series { labels: strip.labels, points: strip.points });
            }
        }
        series.sort_by(|a, b| a.labels.cmp(&b.labels));
        let twice = series.windows(2).any(|pair| matches!(pair, [a, b] if a.labels == b.labels));
        if twice { Err(labels::duplicate()) } else { Ok(Value::Matrix(series)) }
    }

    /// Calls `make` with each window that has samples, in order of steps.
    pub(super) fn windows(
        &mut self,
        points: &[Point],
        (range, when): (i64, When),
        grid: Grid,
        mut make: impl FnMut(&mut Self, usize, Window<'_>) -> Evaluated<()>,
    ) -> Evaluated<()> {
        let fixed = self.fixed(&when);
        let (mut low, mut high, mut step) = (0, 0, 0);
        while step < grid.count {
            let now = grid.at(step);
            let to = fixed.unwrap_or(now).saturating_sub(when.offset);
            let from = to.saturating_sub(range);
            high = passed(points, high, to);
            low = passed(points, low, from);
            match points.get(low..high).filter(|window| !window.is_empty()) {
                Some(window) => {
                    self.worked(window.len())?;
                    make(self, step, Window { points: window, from, to, now, args: [0.0; 2] })?;
                    step = step.saturating_add(1);
                }
                None if fixed.is_some() => return Ok(()),
                // Nothing until the next sample comes into the window.
                None => match points.get(high) {
                    Some(next) => {
                        let comes = grid.first_from(next.at.millis().saturating_add(when.offset));
                        step = comes.max(step.saturating_add(1));
                    }
                    None => return Ok(()),
                },
            }
        }
        Ok(())
    }
}

/// The first place from `place` on whose sample is later than `moment`.
fn passed(points: &[Point], place: usize, moment: i64) -> usize {
    let rest = points.get(place..).unwrap_or_default();
    let is_passed = |point: &Point| point.at.millis() <= moment;
    // Windows mostly move by a few samples: what doubles is tried before it is searched by halves.
    let mut reach = 8;
    while rest.get(reach).is_some_and(is_passed) {
        reach = reach.saturating_mul(2);
    }
    let near = rest.get(..reach.min(rest.len())).unwrap_or(rest);
    let more = near.partition_point(is_passed);
    place.saturating_add(more)
}
