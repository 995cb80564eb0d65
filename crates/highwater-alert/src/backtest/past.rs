//! A history, and beside it what rules make of it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use highwater_core::series::{
    Labels, Looks, Point, STALE, Selection, Series, SeriesSource, SourceError, is_stale,
};
use highwater_core::time::WallTime;

/// So many samples of results are held; more are left out, and that is told.
const MOST: usize = 20_000_000;

/// A history with series beside it, which take the place of those with the same labels.
pub struct Past<'a> {
    history: &'a dyn SeriesSource,
    made: &'a Results,
}

/// Series that are not in a history and should be.
#[derive(Clone, Debug, Default)]
pub struct Results {
    own: BTreeMap<Labels, Vec<Point>>,
    /// Which go on, of each rule by its number, and when the next sample is due.
    open: BTreeMap<usize, BTreeMap<Labels, WallTime>>,
    room: Room,
}

/// How many samples of results there are, of all rules together.
#[derive(Clone, Debug, Default)]
pub(super) struct Room(Arc<AtomicUsize>);

impl Room {
    /// Takes room for samples; false if there is none.
    fn take(&self, samples: usize) -> bool {
        self.0.fetch_add(samples, Ordering::Relaxed).saturating_add(samples) <= MOST
    }

    /// Whether more was asked for than there is.
    pub(super) fn is_full(&self) -> bool {
        self.0.load(Ordering::Relaxed) > MOST
    }
}

impl fmt::Debug for Past<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Past").field("series", &self.made.own.len()).finish_non_exhaustive()
    }
}

impl Results {
    /// Series as they are.
    pub fn of(series: Vec<Series>) -> Self {
        let own = series.into_iter().map(|one| (one.labels, one.points)).collect();
        Self { own, ..Self::default() }
    }

    /// None yet, with a share of this room.
    pub(super) fn within(room: &Room) -> Self {
        Self { room: room.clone(), ..Self::default() }
    }

    /// Adds what a rule gave up to a moment, where it was looked for every so many milliseconds. Where
    /// one is missing the series has ended.
    pub(super) fn record(
        &mut self,
        rule: usize,
        series: Vec<Series>,
        (last, step): (WallTime, i64),
    ) {
        let samples = series.iter().fold(0, |sum: usize, one| sum.saturating_add(one.points.len()));
        if !self.room.take(samples) {
            return;
        }
        let due = |at: WallTime| WallTime::from_millis(at.millis().saturating_add(step));
        let open = self.open.entry(rule).or_default();
        for Series { labels, points } in series {
            let own = self.own.entry(labels.clone()).or_default();
            let mut next = open.get(&labels).copied();
            for point in points {
                let missed = next.filter(|due| *due < point.at);
                own.extend(missed.map(|at| Point { at, value: STALE }));
                next = Some(due(point.at));
                own.push(point);
            }
            open.extend(next.map(|due| (labels, due)));
        }
        open.retain(|labels, due| {
            let goes_on = *due > last;
            if let Some(own) = self.own.get_mut(labels).filter(|_| !goes_on) {
                own.push(Point { at: *due, value: STALE });
            }
            goes_on
        });
    }
}

impl<'a> Past<'a> {
    /// A history, and what is beside it.
    pub const fn new(history: &'a dyn SeriesSource, made: &'a Results) -> Self {
        Self { history, made }
    }

    /// What was selected of the history, and what is there beside it.
    fn joined(&self, mut found: Vec<Series>, selection: &Selection) -> Vec<Series> {
        let wanted = |labels: &Labels| selection.matchers.iter().all(|m| m.accepts(labels));
        let own = &self.made.own;
        let made: Vec<Series> = own
            .iter()
            .filter(|(labels, _)| wanted(labels))
            .map(|(labels, points)| within(labels, points, selection))
            .filter(|series| !series.points.is_empty())
            .collect();
        if made.is_empty() {
            return found;
        }
        found.retain(|one| !own.contains_key(&one.labels));
        found.extend(made);
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
