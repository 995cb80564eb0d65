//! Buckets: what is kept of a stretch of samples once the samples themselves are gone.
//!
//! A bucket has its end but not its beginning, and is named by its end, as PromQL looks at ranges.
//! A gauge keeps the least, the greatest, the last, the sum and the count. A counter keeps the last,
//! and what its resets since the bucket before took away: the last, and all that was lost up to
//! there, never falls, so that an increase is right however many resets a bucket has.

use std::ops::Range;

use crate::codec::{ABSENT, Aspect, is_absent};

/// The buckets of a list of moments.
#[derive(Debug)]
pub(crate) struct Buckets {
    length_ms: i64,
    ends: Vec<i64>,
    /// Which moments are in each.
    members: Vec<Range<usize>>,
}

/// The numbers of a series' buckets, aspect by aspect.
pub(crate) type Columns = Vec<(Aspect, Vec<f64>)>;

/// The extremes that close-ups saw in a minute, named by its end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Peak {
    end_ms: i64,
    min: f64,
    max: f64,
}

impl Peak {
    /// Adds a sample to those of its minute. Samples come in order of time.
    pub(crate) fn note(peaks: &mut Vec<Self>, ms: i64, value: f64) {
        let end_ms = end_of(ms, 60_000);
        match peaks.last_mut() {
            Some(last) if last.end_ms == end_ms => {
                (last.min, last.max) = (last.min.min(value), last.max.max(value));
            }
            _ => peaks.push(Self { end_ms, min: value, max: value }),
        }
    }
}

/// What is kept of a gauge's samples in one bucket.
#[derive(Clone, Copy, Debug)]
struct Gauge {
    min: f64,
    max: f64,
    last: f64,
    sum: f64,
    count: f64,
}

impl Gauge {
    /// Of one sample.
    fn of(value: f64) -> Self {
        Self { min: value, max: value, last: value, sum: value, count: 1.0 }
    }

    /// With a later one. A NaN is no extreme, as for Prometheus.
    fn with(self, value: f64) -> Self {
        Self {
            min: self.min.min(value),
            max: self.max.max(value),
            last: value,
            sum: self.sum + value,
            count: self.count + 1.0,
        }
    }

    /// With what counts for the extremes alone.
    fn peaking(self, peak: &Peak) -> Self {
        Self { min: self.min.min(peak.min), max: self.max.max(peak.max), ..self }
    }
}

impl Buckets {
    /// Buckets of so many seconds for moments that rise; none without a moment.
    pub(crate) fn of(moments: &[i64], seconds: i64) -> Self {
        let length_ms = seconds.saturating_mul(1000).max(1);
        let (mut ends, mut members): (Vec<i64>, Vec<Range<usize>>) = (vec![], vec![]);
        for (at, ms) in moments.iter().enumerate() {
            let end = end_of(*ms, length_ms);
            match members.last_mut() {
                Some(last) if ends.last() == Some(&end) => last.end = at + 1,
                _ => {
                    ends.push(end);
                    members.push(at..at + 1);
                }
            }
        }
        Self { length_ms, ends, members }
    }

    /// The end of each bucket.
    pub(crate) fn ends(&self) -> &[i64] {
        &self.ends
    }

    /// The buckets of a counter or a gauge, of which close-ups saw `peaks`.
    pub(crate) fn columns(&self, counter: bool, values: &[f64], peaks: &[Peak]) -> Columns {
        if counter { self.counter(values) } else { self.gauge(values, peaks) }
    }

    /// The buckets of a gauge. Of what close-ups saw, the extremes count: they come more densely
    /// when there is trouble, and would bend the mean.
    fn gauge(&self, values: &[f64], peaks: &[Peak]) -> Columns {
        let mut cells: Vec<Option<Gauge>> = self
            .members
            .iter()
            .map(|range| {
                present(values, range).fold(None, |cell: Option<Gauge>, value| {
                    Some(cell.map_or_else(|| Gauge::of(value), |cell| cell.with(value)))
                })
            })
            .collect();
        for peak in peaks {
            if let Ok(at) = self.ends.binary_search(&end_of(peak.end_ms, self.length_ms))
                && let Some(Some(cell)) = cells.get_mut(at)
            {
                *cell = cell.peaking(peak);
            }
        }
        let column = |get: fn(Gauge) -> f64| cells.iter().map(|c| c.map_or(ABSENT, get)).collect();
        vec![
            (Aspect::Min, column(|cell| cell.min)),
            (Aspect::Max, column(|cell| cell.max)),
            (Aspect::Last, column(|cell| cell.last)),
            (Aspect::Sum, column(|cell| cell.sum)),
            (Aspect::Count, column(|cell| cell.count)),
        ]
    }

    /// The buckets of a counter. What was lost is written only if anything was.
    fn counter(&self, values: &[f64]) -> Columns {
        let (mut before, mut any) = (None, false);
        let (mut lasts, mut taken) = (vec![], vec![]);
        for range in &self.members {
            let (mut last, mut took) = (ABSENT, 0.0);
            for value in present(values, range) {
                if let Some(was) = before.filter(|was| value < *was) {
                    took += was;
                    any = true;
                }
                (before, last) = (Some(value), value);
            }
            lasts.push(last);
            taken.push(if is_absent(last) { ABSENT } else { took });
        }
        let mut columns = vec![(Aspect::Last, lasts)];
        if any {
            columns.push((Aspect::Lost, taken));
        }
        columns
    }
}

/// The end of the bucket that a moment is in.
fn end_of(ms: i64, length_ms: i64) -> i64 {
    ms.saturating_sub(1).div_euclid(length_ms).saturating_add(1).saturating_mul(length_ms)
}

/// The samples of a bucket that are there.
fn present(values: &[f64], range: &Range<usize>) -> impl Iterator<Item = f64> {
    let all = values.get(range.clone()).unwrap_or_default();
    all.iter().copied().filter(|value| !is_absent(*value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_has_its_end_but_not_its_beginning() {
        let buckets = Buckets::of(&[1, 60_000, 60_001, 180_000], 60);
        assert_eq!(buckets.ends(), [60_000, 120_000, 180_000]);
        assert_eq!(buckets.members, [0..2, 2..3, 3..4]);
    }

    #[test]
    fn a_gauge_keeps_five_numbers() {
        let buckets = Buckets::of(&[10_000, 20_000, 30_000, 70_000], 60);
        let mut peaks = vec![];
        for (ms, value) in [(15_000, 9.0), (16_000, 2.0), (65_000, 9.0)] {
            Peak::note(&mut peaks, ms, value);
        }
        let columns = buckets.gauge(&[3.0, ABSENT, 1.0, ABSENT], &peaks);
        let first: Vec<f64> = columns.iter().map(|(_, values)| values[0]).collect();
        assert_eq!(first, [1.0, 9.0, 1.0, 4.0, 2.0]);
        assert!(columns.iter().all(|(_, values)| is_absent(values[1])));
    }

    #[test]
    fn a_counter_tells_what_resets_took() {
        let buckets = Buckets::of(&[10_000, 20_000, 70_000, 80_000], 60);
        let columns = buckets.counter(&[100.0, 7.0, 5.0, 150.0]);
        assert_eq!(columns, [(Aspect::Last, vec![7.0, 150.0]), (Aspect::Lost, vec![100.0, 7.0])]);
        let calm = buckets.counter(&[1.0, 2.0, 3.0, 4.0]);
        assert_eq!(calm, [(Aspect::Last, vec![2.0, 4.0])]);
    }
}
