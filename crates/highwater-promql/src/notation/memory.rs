//! The samples of a test, in memory, and whether a query met one that is no float.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use highwater_core::series::is_stale;
use highwater_core::series::{Labels, NAME, Point, Selection, Series, SeriesSource, SourceError};
use highwater_core::time::WallTime;

use super::{Line, Sample};

/// What ends the names of the series of a classic histogram, and the label of its bounds.
const BUCKET: &str = "_bucket";
const BOUND: &str = "le";

/// Samples by series and moment.
#[derive(Debug, Default)]
pub struct Memory {
    series: BTreeMap<Labels, BTreeMap<i64, Sample>>,
    /// Series that say when they began to count.
    starts: BTreeSet<Labels>,
    met: Cell<Met>,
}

/// What queries met that is not built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Met {
    /// Native histograms.
    pub histograms: bool,
    /// Series that say when they began to count.
    pub starts: bool,
}

impl Memory {
    /// Takes a line in; point i stands at i steps after the epoch.
    pub fn load(&mut self, line: &Line, step_ms: i64) {
        if line.starts {
            self.starts.insert(line.labels.clone());
        } else {
            self.add(&line.labels, line, (0, step_ms), |sample| sample);
        }
    }

    /// The same; point i stands at i steps after `start`.
    pub fn load_from(&mut self, line: &Line, start: WallTime, step_ms: i64) {
        self.add(&line.labels, line, (start.millis(), step_ms), |sample| sample);
    }

    /// Takes the native histogram in that a line of buckets would be (`load_with_nhcb`).
    pub fn load_buckets(&mut self, line: &Line, step_ms: i64) {
        if let Some(labels) = of_buckets(&line.labels).filter(|_| !line.starts) {
            self.add(&labels, line, (0, step_ms), |_| Sample::Histogram);
        }
    }

    /// Takes one sample in.
    pub fn put(&mut self, labels: Labels, point: Point) {
        let points = self.series.entry(labels).or_default();
        points.insert(point.at.millis(), Sample::Float(point.value));
    }

    fn add(
        &mut self,
        labels: &Labels,
        line: &Line,
        (mut at_ms, step_ms): (i64, i64),
        kind: impl Fn(Sample) -> Sample,
    ) {
        let points = self.series.entry(labels.clone()).or_default();
        for sample in &line.samples {
            if !matches!(sample, Sample::Gap) {
                points.insert(at_ms, kind(*sample));
            }
            at_ms = at_ms.saturating_add(step_ms);
        }
    }

    /// What was met since this was asked last.
    pub fn met(&self) -> Met {
        self.met.take()
    }

    fn points(
        &self,
        labels: &Labels,
        samples: &BTreeMap<i64, Sample>,
        s: &Selection,
    ) -> Vec<Point> {
        let mut met = self.met.get();
        let mut points = Vec::new();
        if s.from > s.to {
            return points;
        }
        for (at_ms, sample) in samples.range(s.from.millis()..=s.to.millis()) {
            let at = WallTime::from_millis(*at_ms);
            met.starts |= self.starts.contains(labels);
            match sample {
                Sample::Float(value) if s.ends || !is_stale(*value) => {
                    points.push(Point { at, value: *value });
                }
                Sample::Histogram => met.histograms = true,
                Sample::Float(_) | Sample::Gap => {}
            }
        }
        self.met.set(met);
        points
    }
}

/// The labels of the histogram that a series of buckets belongs to.
fn of_buckets(labels: &Labels) -> Option<Labels> {
    let name = labels.get(NAME).strip_suffix(BUCKET)?.to_owned();
    let mut labels = labels.clone();
    labels.set(NAME, name);
    labels.set(BOUND, "");
    Some(labels)
}

impl SeriesSource for Memory {
    fn select(&self, selection: &Selection) -> Result<Vec<Series>, SourceError> {
        let accepted = self
            .series
            .iter()
            .filter(|(labels, _)| selection.matchers.iter().all(|matcher| matcher.accepts(labels)));
        let mut found = Vec::new();
        for (labels, samples) in accepted {
            let points = self.points(labels, samples, selection);
            if !points.is_empty() {
                found.push(Series { labels: labels.clone(), points });
            }
        }
        Ok(found)
    }

    fn name(&self) -> &'static str {
        "the samples of a test"
    }
}
