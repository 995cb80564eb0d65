//! A history that is asked moment by moment, and read for many moments at once.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::time::Duration;

use highwater_core::series::{
    Looks, Matcher, Selection, Series, SeriesSource, SourceError, is_stale,
};
use highwater_core::time::WallTime;

use super::Grid;

/// So many different selectors are kept.
const MOST: usize = 64;

/// A history as it is asked at each moment of a grid.
pub(super) struct Ahead<'a> {
    history: &'a dyn SeriesSource,
    grid: Grid,
    now: Cell<i64>,
    read: RefCell<Vec<(Question, Vec<Series>)>>,
}

/// What is asked, as seen from the moment that asks.
#[derive(PartialEq)]
struct Question {
    matchers: Vec<Matcher>,
    from: i64,
    to: i64,
    ends: bool,
    looks: (i64, Duration, bool),
}

impl fmt::Debug for Ahead<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ahead").field("now", &self.now).finish_non_exhaustive()
    }
}

impl<'a> Ahead<'a> {
    pub(super) const fn new(history: &'a dyn SeriesSource, grid: Grid) -> Self {
        Self { history, grid, now: Cell::new(grid.first), read: RefCell::new(Vec::new()) }
    }

    /// It is this moment that asks from now on.
    pub(super) fn at(&self, now: i64) {
        self.now.set(now);
    }

    /// What this moment asks, for it and all after it.
    fn read(&self, selection: &Selection, looks: &Looks) -> Result<Vec<Series>, SourceError> {
        let rest = self.grid.last.saturating_sub(self.now.get());
        let rest = Duration::from_millis(u64::try_from(rest).unwrap_or(0));
        let step = Duration::from_millis(u64::try_from(self.grid.step).unwrap_or(1));
        let whole = Selection { to: selection.to.after(rest), ..selection.clone() };
        self.history.select_looks(&whole, &Looks { step, ..*looks })
    }
}

impl SeriesSource for Ahead<'_> {
    fn select(&self, selection: &Selection) -> Result<Vec<Series>, SourceError> {
        self.history.select(selection)
    }

    fn select_looks(
        &self,
        selection: &Selection,
        looks: &Looks,
    ) -> Result<Vec<Series>, SourceError> {
        let past = |at: WallTime| at.millis().saturating_sub(self.now.get());
        let question = Question {
            matchers: selection.matchers.clone(),
            from: past(selection.from),
            to: past(selection.to),
            ends: selection.ends,
            looks: (past(looks.first), looks.range, looks.newest),
        };
        let mut read = self.read.borrow_mut();
        if !read.iter().any(|(asked, _)| *asked == question) {
            let found = self.read(selection, looks)?;
            if read.len() >= MOST {
                read.clear();
            }
            let answer = cut(&found, selection);
            read.push((question, found));
            return Ok(answer);
        }
        let kept = read.iter().find(|(asked, _)| *asked == question);
        Ok(kept.map(|(_, found)| cut(found, selection)).unwrap_or_default())
    }

    fn name(&self) -> &str {
        self.history.name()
    }
}

/// What of it is asked for.
fn cut(found: &[Series], selection: &Selection) -> Vec<Series> {
    let within = |series: &Series| {
        let from = series.points.partition_point(|point| point.at < selection.from);
        let to = series.points.partition_point(|point| point.at <= selection.to);
        let points = series.points.get(from..to).unwrap_or_default();
        let points = points.iter().filter(|point| selection.ends || !is_stale(point.value));
        Series { labels: series.labels.clone(), points: points.copied().collect() }
    };
    found.iter().map(within).filter(|series| !series.points.is_empty()).collect()
}
