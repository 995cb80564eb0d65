//! Rules that need each other go through a history together, part by part.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use highwater_core::series::{Labels, NAME, Point, Series, SeriesSource};
use highwater_core::time::WallTime;
use highwater_promql::Options;

use super::ahead::Ahead;
use super::order::{Chain, Turn};
use super::past::{Past, Results, Room};
use super::walk::Walks;
use super::{Course, Grid, Period, in_halves};
use crate::rule::{Kind, Rule};
use crate::template;

/// A rule that failed so often is not evaluated any more.
const MOST_FAULTS: usize = 8;

/// Rules that need each other, and where they are.
pub struct Strand<'r> {
    tracks: Vec<Track<'r>>,
    parts: Vec<Period>,
    /// So many parts are done.
    done: usize,
    made: Results,
    is_circle: bool,
}

/// What has to be found while the history is gone through.
struct Track<'r> {
    turn: Turn<'r>,
    step: Duration,
    walks: Walks,
    faults: Vec<(WallTime, String)>,
}

impl fmt::Debug for Strand<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { done, parts, .. } = self;
        f.debug_struct("Strand").field("done", done).field("parts", parts).finish_non_exhaustive()
    }
}

impl<'r> Strand<'r> {
    pub(super) fn new(chain: Chain<'r>, period: Period, room: &Room) -> Self {
        let track = |turn: Turn<'r>| {
            let step = period.step_of(turn.group.interval);
            Track { turn, step, walks: Walks::default(), faults: Vec::new() }
        };
        let tracks: Vec<Track<'r>> = chain.turns.into_iter().map(track).collect();
        let least = tracks.iter().map(|track| track.step).min().unwrap_or(super::INTERVAL);
        let (parts, made) = (period.parts(least), Results::within(room));
        Self { tracks, parts, done: 0, made, is_circle: chain.is_circle }
    }

    /// How far it is: so many parts of so many.
    pub fn progress(&self) -> (usize, usize) {
        (self.done, self.parts.len())
    }

    /// When its next part begins; `None`: it is at the end.
    pub fn next(&self) -> Option<WallTime> {
        self.parts.get(self.done).map(|part| part.from)
    }

    /// Goes through its next part.
    pub fn go_on(&mut self, history: &dyn SeriesSource) {
        let Some(part) = self.parts.get(self.done).copied() else { return };
        if self.is_circle {
            self.step_by_step(history, part);
        } else {
            for track in &mut self.tracks {
                track.go_on(history, &mut self.made, part.grid(track.step));
            }
        }
        self.done = self.done.saturating_add(1);
    }

    /// Each moment by itself: what a rule gives at one of them may depend on what it gave before.
    fn step_by_step(&mut self, history: &dyn SeriesSource, part: Period) {
        let least = self.tracks.iter().map(|track| track.step).min().unwrap_or(super::INTERVAL);
        let aheads: Vec<(Grid, Ahead<'_>)> = self
            .tracks
            .iter()
            .map(|track| part.grid(track.step))
            .map(|grid| (grid, Ahead::new(history, grid)))
            .collect();
        for at in part.grid(least).moments() {
            for (track, (grid, ahead)) in self.tracks.iter_mut().zip(&aheads) {
                if grid.has(at) {
                    ahead.at(at.millis());
                    track.go_on(ahead, &mut self.made, grid.only(at));
                }
            }
        }
    }

    /// What became of the alerting rules, with their places among all.
    pub(super) fn courses(self, period: Period) -> Vec<(usize, Course<'r>)> {
        let made = Arc::new(self.made);
        let alerts = self.tracks.into_iter().filter(|track| track.turn.is_alert());
        alerts.map(|track| (track.turn.place, track.course(period, &made))).collect()
    }
}

impl<'r> Track<'r> {
    /// Evaluates the moments of a grid.
    fn go_on(&mut self, history: &dyn SeriesSource, made: &mut Results, grid: Grid) {
        if self.faults.len() >= MOST_FAULTS {
            return;
        }
        let rule = self.turn.rule;
        let offset = self.turn.group.query_offset.unwrap_or_default();
        let past = Past::new(history, made);
        let (mut found, faults) = in_halves(&rule.query, &past, (grid, offset));
        self.faults.extend(faults);
        let last = WallTime::from_millis(grid.last);
        match &rule.kind {
            Kind::Record(name) => {
                for one in &mut found {
                    one.labels = named(&one.labels, &rule.labels, (NAME, name));
                    before(&mut one.points, offset);
                }
                made.record(self.turn.place, found, (last.before(offset), grid.step));
            }
            Kind::Alert { name, hold, keep, .. } => {
                let terms = (self.step, *hold, *keep);
                for one in labelled(found, rule, name, &past) {
                    self.walks.take(&one.labels, &one.points, terms);
                }
                if self.turn.is_asked {
                    let mut states = self.walks.states(grid);
                    for one in &mut states {
                        before(&mut one.points, offset);
                    }
                    made.record(self.turn.place, states, (last.before(offset), grid.step));
                }
            }
        }
    }

    fn course(self, period: Period, made: &Arc<Results>) -> Course<'r> {
        let (lives, uncounted) = self.walks.end(period.to);
        Course {
            file: self.turn.file,
            group: &self.turn.group.name,
            rule: self.turn.rule,
            step: self.step,
            lives,
            uncounted,
            faults: self.faults,
            made: Arc::clone(made),
        }
    }
}

/// What is recorded of a moment is recorded so far before it.
fn before(points: &mut [Point], offset: Duration) {
    for point in points {
        point.at = point.at.before(offset);
    }
}

/// The series with the labels of the alerts that they are.
fn labelled(found: Vec<Series>, rule: &Rule, name: &str, past: &Past<'_>) -> Vec<Series> {
    let name = ("alertname", name);
    if !rule.labels.iter().any(|(_, text)| template::is_one(text)) {
        let alert = |one: Series| Series {
            labels: named(&one.labels, &rule.labels, name),
            points: one.points,
        };
        return found.into_iter().map(alert).collect();
    }
    // The text may be another one at each moment.
    let mut alerts: BTreeMap<Labels, Vec<Point>> = BTreeMap::new();
    for Series { labels, points } in found {
        for point in points {
            let expanded = named(&labels, &expanded(rule, &labels, point, past), name);
            alerts.entry(expanded).or_default().push(point);
        }
    }
    let in_order = |(labels, mut points): (Labels, Vec<Point>)| {
        points.sort_by_key(|point| point.at);
        Series { labels, points }
    };
    alerts.into_iter().map(in_order).collect()
}

/// The rule's labels for a series at a moment.
fn expanded(
    rule: &Rule,
    labels: &Labels,
    Point { at, value }: Point,
    source: &dyn SeriesSource,
) -> Vec<(String, String)> {
    let (external_labels, options) = (&Labels::default(), &Options::default());
    let scene =
        template::Scene { labels, value, external_labels, external_url: "", at, source, options };
    let text = |text: &str| rule.texts.expand_or_say(text, &scene);
    rule.labels.iter().map(|(label, written)| (label.clone(), text(written))).collect()
}

/// The labels of a result: those of the series, then those of the rule, then the name.
fn named(series: &Labels, rule: &[(String, String)], (label, name): (&str, &str)) -> Labels {
    let own = series.iter().filter(|(label, _)| *label != NAME);
    let told = rule.iter().map(|(label, value)| (label.as_str(), value.as_str()));
    Labels::new(own.chain(told).chain([(label, name)]))
}
