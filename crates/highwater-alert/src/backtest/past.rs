//! A history, and beside it what rules make of it.

use std::collections::BTreeMap;
use std::fmt;

use highwater_core::series::{
    Labels, Looks, Point, STALE, Selection, Series, SeriesSource, SourceError, is_stale,
};
use highwater_core::time::WallTime;

/// So many samples of results are held; more are left out, and that is told.
const MOST: usize = 20_000_000;

/// A history with series of its own, which take the place of those with the same labels.
pub struct Past<'a> {
    history: &'a dyn SeriesSource,
    own: BTreeMap<Labels, Vec<Point>>,
    held: usize,
    is_full: bool,
}

impl fmt::Debug for Past<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Past").field("held", &self.held).finish_non_exhaustive()
    }
}

impl<'a> Past<'a> {
    /// A history, and series that it should have had.
    pub fn new(history: &'a dyn SeriesSource, series: Vec<Series>) -> Self {
        let held = series.iter().map(|one| one.points.len()).sum();
        let own = series.into_iter().map(|one| (one.labels, one.points)).collect();
        Self { history, own, held, is_full: false }
    }

    /// Whether results were left out because there were too many.
    pub const fn is_full(&self) -> bool {
        self.is_full
    }

    /// Adds results up to a moment, that were looked for every so many milliseconds. Where one is
    /// missing the series has ended.
    pub(super) fn record(&mut self, series: Vec<Series>, (last, step): (i64, i64)) {
        let count: usize = series.iter().map(|one| one.points.len()).sum();
        self.held = self.held.saturating_add(count);
        if self.held > MOST {
            self.is_full = true;
            return;
        }
        let end = |at: WallTime| WallTime::from_millis(at.millis().saturating_add(step));
        for one in series {
            let own = self.own.entry(one.labels).or_default();
            for point in one.points {
                let ended = own.last().map(|before| end(before.at)).filter(|end| *end < point.at);
                let is_open = own.last().is_some_and(|before| !is_stale(before.value));
                own.extend(ended.filter(|_| is_open).map(|at| Point { at, value: STALE }));
                own.push(point);
            }
            if let Some(newest) = own.last().filter(|newest| end(newest.at).millis() <= last) {
                let at = end(newest.at);
                own.push(Point { at, value: STALE });
            }
        }
    }

    /// What was selected of the history, and what is there beside it.
    fn joined(&self, mut found: Vec<Series>, selection: &Selection) -> Vec<Series> {
        let wanted = |labels: &Labels| selection.matchers.iter().all(|m| m.accepts(labels));
        let own: Vec<Series> = self
            .own
            .iter()
            .filter(|(labels, _)| wanted(labels))
            .map(|(labels, points)| within(labels, points, selection))
            .filter(|series| !series.points.is_empty())
            .collect();
        if own.is_empty() {
            return found;
        }
        found.retain(|one| !self.own.contains_key(&one.labels));
        found.extend(own);
        found.sort_by(|a, b| a.labels.cmp(&b.labels));
        found
    }
}

fn within(labels: &Labels, points: &[Point], selection: &Selection) -> Series {
    let from = points.partition_point(|point| point.at < selection.from);
    let points = points.iter().skip(from).take_while(|point| point.at <= selection.to);
    let points = points.filter(|point| selection.ends || !is_stale(point.value));
    Series { labels: labels.clone(), points: points.copied().collect() }
}

impl SeriesSource for Past<'_> {
    fn select(&self, selection: &Selection) -> Result<Vec<Series>, SourceError> {
        Ok(self.joined(self.history.select(selection)?, selection))
    }

    fn select_looks(
        &self,
        selection: &Selection,
        looks: &Looks,
    ) -> Result<Vec<Series>, SourceError> {
        Ok(self.joined(self.history.select_looks(selection, looks)?, selection))
    }

    fn name(&self) -> &str {
        self.history.name()
    }
}
