//! The samples of a test, in memory, and whether a query met one that is no float.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use highwater_core::series::is_stale;
use highwater_core::series::{Labels, NAME, Point, Selection, Series, SeriesSource, SourceError};
use highwater_core::time::WallTime;

use super::notation::{Line, Sample};
use super::script::Load;

/// What ends the names of the series of a classic histogram, and the label of its bounds.
const BUCKET: &str = "_bucket";
const BOUND: &str = "le";

/// Samples by series and moment.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    series: BTreeMap<Labels, BTreeMap<i64, Sample>>,
    /// Series that say when they began to count.
    starts: BTreeSet<Labels>,
    met: Cell<Met>,
}

/// What queries met that is not built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Met {
    pub(crate) histograms: bool,
    pub(crate) starts: bool,
}

impl Memory {
    /// Takes samples in; point i stands at i steps after the epoch.
    pub(crate) fn load(&mut self, load: &Load) {
        for line in &load.lines {
            if line.starts {
                self.starts.insert(line.labels.clone());
                continue;
            }
            self.add(&line.labels, line, load.step_ms, |sample| sample);
            if let Some(labels) = load.nhcb.then(|| of_buckets(&line.labels)).flatten() {
                self.add(&labels, line, load.step_ms, |_| Sample::Histogram);
            }
        }
    }

    fn add(&mut self, labels: &Labels, line: &Line, step_ms: i64, kind: impl Fn(Sample) -> Sample) {
        let points = self.series.entry(labels.clone()).or_default();
        let mut at_ms = 0;
        for sample in &line.samples {
            if !matches!(sample, Sample::Gap) {
                points.insert(at_ms, kind(*sample));
            }
            at_ms += step_ms;
        }
    }

    /// What was met since this was asked last.
    pub(crate) fn met(&self) -> Met {
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
        for (at_ms, sample) in samples {
            let at = WallTime::from_millis(*at_ms);
            if at < s.from || at > s.to {
                continue;
            }
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
