//! A history in memory.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use highwater_core::metric::MetricKind;
use highwater_core::series::{
    Labels, Matcher, NAME, Point, Selection, Series, SeriesSource, SourceError,
};
use highwater_core::time::WallTime;
use highwater_web::{Figures, History, Known, Reading};

/// Monday 2026-01-05, midnight UTC.
pub(crate) const BEGIN_S: i64 = 1_767_571_200;

/// Series in memory.
pub(crate) struct Shelf {
    series: Vec<Series>,
    caveats: Vec<String>,
    /// Reading it fails.
    broken: bool,
    /// Reading it waits here.
    gate: Option<Arc<Gate>>,
}

/// Holds questions until it is opened.
#[derive(Default)]
pub(crate) struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// So many questions came to it.
    here: usize,
    open: bool,
    /// Somebody was told to stop before the end.
    stopped: bool,
}

impl Gate {
    /// Waits until so many questions stand before it.
    pub(crate) fn await_questions(&self, count: usize) {
        let state = self.state.lock().unwrap();
        drop(self.changed.wait_while(state, |state| state.here < count).unwrap());
    }

    pub(crate) fn open(&self) {
        self.state.lock().unwrap().open = true;
        self.changed.notify_all();
    }

    /// Waits until somebody is told to stop.
    pub(crate) fn await_stop(&self) {
        let state = self.state.lock().unwrap();
        let wait = Duration::from_secs(30);
        let waited = self.changed.wait_timeout_while(state, wait, |state| !state.stopped).unwrap();
        assert!(waited.0.stopped, "it is answered to nobody");
    }

    fn stop(&self) {
        self.state.lock().unwrap().stopped = true;
        self.changed.notify_all();
    }

    fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        state.here += 1;
        self.changed.notify_all();
        drop(self.changed.wait_while(state, |state| !state.open).unwrap());
    }
}

impl Shelf {
    /// An hour of a small service, a sample each 15 s.
    pub(crate) fn demo() -> Self {
        let mut shelf = Self::empty();
        for (at, (instance, kind)) in
            (1..).zip([("a", "cache"), ("a", "rss"), ("b", "cache"), ("b", "rss")])
        {
            let labels = Labels::new([
                (NAME, "demo_memory_usage_bytes"),
                ("instance", instance),
                ("type", kind),
            ]);
            shelf.add(labels, |reading| f64::from(at * 1_000_000 + reading * 1000));
        }
        for (at, status) in (1..).zip(["200", "404"]) {
            let labels = Labels::new([
                (NAME, "demo_requests_total"),
                ("http.status", status),
                ("instance", "a"),
            ]);
            shelf.add(labels, |reading| f64::from(reading * at * 3));
        }
        shelf
    }

    /// One metric of so many series.
    pub(crate) fn crowd(count: u32) -> Self {
        let mut shelf = Self::empty();
        for at in 0..count {
            let labels = Labels::new([(NAME, "crowd"), ("number", &format!("{at:06}"))]);
            shelf.add(labels, |reading| f64::from(reading) + 0.1);
        }
        shelf
    }

    pub(crate) fn empty() -> Self {
        Self { series: Vec::new(), caveats: Vec::new(), broken: false, gate: None }
    }

    pub(crate) fn broken() -> Self {
        Self { broken: true, ..Self::demo() }
    }

    pub(crate) fn with_caveat(caveat: &str) -> Self {
        Self { caveats: vec![caveat.to_owned()], ..Self::demo() }
    }

    pub(crate) fn behind(self, gate: &Arc<Gate>) -> Self {
        Self { gate: Some(Arc::clone(gate)), ..self }
    }

    fn add(&mut self, labels: Labels, value: impl Fn(i32) -> f64) {
        let points = (0..240).map(|reading| Point {
            at: WallTime::from_millis((BEGIN_S + i64::from(reading) * 15) * 1000 + 1),
            value: value(reading),
        });
        self.series.push(Series { labels, points: points.collect() });
    }
}

impl History for Shelf {
    fn now(&self) -> WallTime {
        WallTime::from_millis((BEGIN_S + 3600) * 1000)
    }

    fn read(&self, ask: &mut dyn FnMut(&dyn Reading)) -> Result<(), SourceError> {
        if self.broken {
            let what = "the history is a \"torn\" file".to_owned();
            return Err(SourceError { what, cause: None });
        }
        if let Some(gate) = &self.gate {
            gate.pass();
        }
        ask(self);
        Ok(())
    }
}

impl SeriesSource for Shelf {
    fn select(&self, selection: &Selection) -> Result<Vec<Series>, SourceError> {
        let wanted = |one: &&Series| selection.matchers.iter().all(|m| m.accepts(&one.labels));
        let inside = |point: &&Point| selection.from <= point.at && point.at <= selection.to;
        let cut = |series: &Series| Series {
            labels: series.labels.clone(),
            points: series.points.iter().filter(inside).copied().collect(),
        };
        let found = self.series.iter().filter(wanted).map(cut);
        Ok(found.filter(|series| !series.points.is_empty()).collect())
    }

    fn name(&self) -> &'static str {
        "a shelf"
    }
}

impl Reading for Shelf {
    fn source(&self) -> &dyn SeriesSource {
        self
    }

    fn metrics(&self) -> Result<Vec<Known>, SourceError> {
        let known = |name: &str, kind, help: &str| Known {
            name: name.to_owned(),
            kind,
            help: help.to_owned(),
        };
        Ok(vec![
            known("demo_memory_usage_bytes", MetricKind::Gauge, "Memory, by \"type\"."),
            known("demo_requests_total", MetricKind::Counter, "Requests."),
        ])
    }

    fn series(
        &self,
        matchers: &[Matcher],
        (from, to): (WallTime, WallTime),
        give: &mut dyn FnMut(&Labels) -> bool,
    ) -> Result<(), SourceError> {
        for series in &self.series {
            let inside = series.points.iter().any(|point| from <= point.at && point.at <= to);
            let meets = matchers.iter().all(|matcher| matcher.accepts(&series.labels));
            if inside && meets && !give(&series.labels) {
                if let Some(gate) = &self.gate {
                    gate.stop();
                }
                return Ok(());
            }
        }
        Ok(())
    }

    fn figures(&self) -> Result<Figures, SourceError> {
        let ends = |at: usize| self.series.first().map(|series| series.points[at].at);
        Ok(Figures { oldest: ends(0), newest: ends(239), chunks: 12 })
    }

    fn caveats(&self) -> Vec<String> {
        self.caveats.clone()
    }
}
