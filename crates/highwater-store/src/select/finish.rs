//! The last touch on a series: order, counters that do not fall, marks at ends.

use highwater_core::series::{Point, STALE};
use highwater_core::time::WallTime;

use super::carry::Carried;
use super::gather::Filling;
use crate::entity::Group;

/// A thing that was not seen for so long is gone: the rarest survey comes every ten minutes, and
/// one round may be skipped. Surveys read a part each, so that no single one tells.
const THING_GONE_MS: i64 = 25 * 60 * 1000;

/// Whether the ends of series are marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    /// With a sample of their own.
    Marked,
    /// Not at all.
    Bare,
    /// As they were imported: where a file says that there is no value, there is such a mark.
    Stored,
}

/// Puts points in order; of two at one moment the one that came first stays.
pub(super) fn in_order(points: &mut Vec<Point>) {
    if !points.is_sorted_by(|a, b| a.at < b.at) {
        points.sort_by_key(|point| point.at);
        points.dedup_by_key(|point| point.at);
    }
}

impl Carried {
    /// Makes a counter of which buckets are left one that does not fall: to the last sample of
    /// each bucket comes what resets took away up to there. A fall from bucket to bucket that
    /// nothing accounts for is a reset to zero.
    pub(super) fn counter(&mut self, filling: &mut Filling) {
        self.bucketed = true;
        filling.lost.sort_by_key(|lost| lost.at);
        let mut lost = filling.lost.iter().peekable();
        for point in &mut filling.points {
            let mut here = 0.0;
            while let Some(reset) = lost.next_if(|reset| reset.at <= point.at) {
                here += reset.value;
            }
            let raw = point.value;
            if let Some(before) = self.raw
                && raw + here < before
            {
                self.offset += before;
            }
            self.offset += here;
            self.raw = Some(raw);
            point.value = raw + self.offset;
        }
        self.offset += lost.map(|reset| reset.value).sum::<f64>();
    }

    /// Marks each end with [`STALE`]: at the first reading that has no sample of the series, or
    /// after a long silence of a thing. `readings` are in order.
    pub(super) fn mark_ends(&mut self, points: &mut Vec<Point>, readings: &[i64], group: Group) {
        let newest = readings.last().copied();
        let mut marks = vec![];
        let mut end = |last: i64, next: Option<i64>| {
            let mark = match group {
                Group::Thing => Some(last.saturating_add(THING_GONE_MS)),
                _ => readings.get(readings.partition_point(|at| *at <= last)).copied(),
            };
            let until = next.or(newest.map(|newest| newest.saturating_add(1)));
            let mark = mark.filter(|mark| until.is_some_and(|until| *mark < until));
            marks.extend(mark.map(|at| Point { at: WallTime::from_millis(at), value: STALE }));
            mark.is_some()
        };
        let mut last = self.alive_since;
        for point in points.iter() {
            let at = point.at.millis();
            if let Some(before) = last {
                end(before, Some(at));
            }
            last = Some(at);
        }
        let ended = last.is_some_and(|last| end(last, None));
        self.alive_since = last.filter(|_| !ended);
        if !marks.is_empty() {
            points.append(&mut marks);
            points.sort_by_key(|point| point.at);
        }
    }
}
