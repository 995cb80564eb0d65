//! Instant selectors: at each step the newest sample that is not too old, by one walk over each series.

use std::time::Duration;

use highwater_core::series::{
    Looks, Matcher, Point, Selection, Series, SourceError, TooManySamples, is_stale,
};
use highwater_core::time::WallTime;

use super::row::Row;
use super::{Evaluated, Evaluator, Grid, too_many};
use crate::error::Error;
use crate::plan::{At, Selector, When};

impl Evaluator<'_> {
    /// The moment that `@` fixes.
    pub(super) fn fixed(&self, when: &When) -> Option<i64> {
        when.at.map(|at| match at {
            At::Moment(ms) => ms,
            At::Start => self.bounds.0,
            At::End => self.bounds.1,
        })
    }

    /// The first and the last moment at which a selector or subquery is looked at.
    pub(super) fn looked_at(&self, when: &When, grid: Grid) -> (i64, i64) {
        let (first, last) = match self.fixed(when) {
            Some(at) => (at, at),
            None => (grid.start, grid.last()),
        };
        (first.saturating_sub(when.offset), last.saturating_sub(when.offset))
    }

    /// The looks at a selector: a while back from each step, or only once.
    pub(super) fn looks(&self, when: &When, range: i64, grid: Grid) -> Looks {
        let (first, last) = self.looked_at(when, grid);
        let span = |ms: i64| Duration::from_millis(u64::try_from(ms).unwrap_or(0));
        let step = if first == last { Duration::MAX } else { span(grid.step) };
        let first = WallTime::from_millis(first);
        let most = self.options.max_samples.saturating_sub(self.held);
        Looks { first, step, range: span(range), newest: false, most }
    }

    /// The series that match, with their samples after `from` up to `to`; those at which no step
    /// looks may be missing.
    pub(super) fn load(
        &mut self,
        matchers: Vec<Matcher>,
        (from, to): (i64, i64),
        looks: &Looks,
    ) -> Evaluated<Vec<Series>> {
        let (from, to) = (from.saturating_add(1), to);
        if from > to {
            return Ok(Vec::new());
        }
        let (from, to) = (WallTime::from_millis(from), WallTime::from_millis(to));
        let selection = Selection { matchers, from, to, step: None, ends: true };
        let mut found =
            self.source.select_looks(&selection, looks).map_err(|error| failed(&error))?;
        for series in &mut found {
            series.points.retain(|point| (from..=to).contains(&point.at));
        }
        found.retain(|series| !series.points.is_empty());
        let samples = found.iter().fold(0, |sum: usize, s| sum.saturating_add(s.points.len()));
        self.hold(samples)?;
        self.look()?;
        Ok(found)
    }

    pub(super) fn select(&mut self, selector: &Selector, grid: Grid) -> Evaluated<Vec<Row>> {
        self.selected(selector, grid, |point| point.value)
    }

    /// What `make` makes of the newest sample at each step.
    pub(super) fn selected(
        &mut self,
        selector: &Selector,
        grid: Grid,
        make: fn(&Point) -> f64,
    ) -> Evaluated<Vec<Row>> {
        if grid.count == 0 {
            return Ok(Vec::new());
        }
        self.room(grid.count)?;
        let lookback = millis(self.options.lookback);
        let (first, last) = self.looked_at(&selector.when, grid);
        let range = (first.saturating_sub(lookback), last);
        let looks = Looks { newest: true, ..self.looks(&selector.when, lookback, grid) };
        let found = self.load(selector.conditions(), range, &looks)?;
        let loaded = found.iter().fold(0, |sum: usize, s| sum.saturating_add(s.points.len()));
        let fixed = self.fixed(&selector.when).is_some();
        let mut rows = Vec::with_capacity(found.len());
        for series in found {
            let row = if fixed {
                latest(series, grid, make)
            } else {
                stretched(series, (lookback, selector.when.offset), grid, make)
            };
            let len = row.len();
            if len > 0 {
                self.hold(len)?;
                self.worked(len)?;
                rows.push(row);
            }
        }
        self.release(loaded);
        Ok(rows)
    }
}

/// Each sample holds until the next one comes or it is too old.
fn stretched(
    series: Series,
    (lookback, offset): (i64, i64),
    grid: Grid,
    make: fn(&Point) -> f64,
) -> Row {
    let mut row = Row::new(series.labels);
    let mut points = series.points.iter().peekable();
    while let Some(point) = points.next() {
        let begin = point.at.millis();
        let old = begin.saturating_add(lookback);
        let end = points.peek().map_or(old, |next| next.at.millis().min(old));
        if !is_stale(point.value) {
            let from = grid.first_from(begin.saturating_add(offset));
            let to = grid.first_from(end.saturating_add(offset));
            row.fill(from, to, make(point));
        }
    }
    row
}

/// The last sample at every step.
fn latest(series: Series, grid: Grid, make: fn(&Point) -> f64) -> Row {
    match series.points.last() {
        Some(point) if !is_stale(point.value) => Row::same(series.labels, make(point), grid),
        _ => Row::new(series.labels),
    }
}

/// A duration in milliseconds.
pub(super) fn millis(span: std::time::Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// Why there are no series: Prometheus's own words where they are too many.
fn failed(error: &SourceError) -> Error {
    match error.cause.as_ref().filter(|cause| cause.is::<TooManySamples>()) {
        Some(_) => too_many(),
        None => Error::execution(format!("expanding series: {error}")),
    }
}
