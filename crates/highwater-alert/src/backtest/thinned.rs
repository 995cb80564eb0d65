//! A history as a slower scraper would have seen it.

use std::fmt;
use std::time::Duration;

use highwater_core::series::{
    Point, STALE, Selection, Series, SeriesSource, SourceError, is_stale,
};
use highwater_core::time::WallTime;

use super::millis;

/// At each whole multiple of an interval what was there at that moment, and nothing else.
pub struct Thinned<'a> {
    history: &'a dyn SeriesSource,
    every: Duration,
}

/// A value was there at a moment if it was read no longer before than so many times what usually lies
/// between two readings.
const FRESH: i64 = 2;

/// What is usual is told by so many readings on either side: a scraper may have become quicker.
const AROUND: usize = 4;

impl fmt::Debug for Thinned<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Thinned").field("every", &self.every).finish_non_exhaustive()
    }
}

impl<'a> Thinned<'a> {
    /// `history`, looked at every so often.
    pub fn new(history: &'a dyn SeriesSource, every: Duration) -> Self {
        Self { history, every: every.max(Duration::from_millis(1)) }
    }

    fn thin(&self, series: Series, ends: bool) -> Series {
        let every = millis(self.every);
        let mut points: Vec<Point> = Vec::new();
        let mut all = series.points.iter().enumerate().peekable();
        while let Some((place, point)) = all.next() {
            let look = multiple(point.at, every);
            let next = all.peek().map(|(_, next)| multiple(next.at, every));
            if next == Some(look) {
                continue;
            }
            let (from, to) = (place.saturating_sub(AROUND), place.saturating_add(AROUND));
            let near = series.points.get(from..=to.min(series.points.len().saturating_sub(1)));
            let usual = usual(near.unwrap_or_default()).min(every);
            let fresh = usual.saturating_mul(FRESH).min(every);
            let is_there = look - point.at.millis() <= fresh && !is_stale(point.value);
            if is_there {
                points.push(Point { at: WallTime::from_millis(look), value: point.value });
            }
            let missed = if is_there { look.saturating_add(every) } else { look };
            if ends && next.is_some_and(|next| next > missed || !is_there) {
                points.push(Point { at: WallTime::from_millis(missed), value: STALE });
            }
        }
        Series { labels: series.labels, points }
    }
}

/// The first multiple of `every` that is not before a moment.
const fn multiple(at: WallTime, every: i64) -> i64 {
    let past = at.millis().rem_euclid(every);
    let up = if past == 0 { 0 } else { every.saturating_sub(past) };
    at.millis().saturating_add(up)
}

/// What usually lies between two readings: the median.
fn usual(points: &[Point]) -> i64 {
    let mut gaps: Vec<i64> = points
        .windows(2)
        .filter_map(|pair| match pair {
            [before, after] => Some(after.at.millis().saturating_sub(before.at.millis())),
            _ => None,
        })
        .collect();
    let middle = gaps.len() / 2;
    if gaps.is_empty() { i64::MAX } else { *gaps.select_nth_unstable(middle).1 }
}

impl SeriesSource for Thinned<'_> {
    fn select(&self, selection: &Selection) -> Result<Vec<Series>, SourceError> {
        let all = self.history.select(&Selection { step: None, ..selection.clone() })?;
        let thinned = all.into_iter().map(|series| self.thin(series, selection.ends));
        let within = |series: &Series| !series.points.is_empty();
        let cut = |mut series: Series| {
            series.points.retain(|point| point.at <= selection.to);
            series
        };
        Ok(thinned.map(cut).filter(within).collect())
    }

    fn name(&self) -> &str {
        self.history.name()
    }
}
