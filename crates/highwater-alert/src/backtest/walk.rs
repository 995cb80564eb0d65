//! An alert through time: pending, firing, gone.

use std::collections::BTreeMap;
use std::time::Duration;

use highwater_core::series::{Labels, NAME, Point, Series};
use highwater_core::time::WallTime;

use super::Grid;
use super::order::ALERTS;
use crate::alert::{State, for_state};

/// So many alerts of one rule are kept; more are only counted.
const MOST: usize = 10_000;

/// One alert from its first match to its end.
#[derive(Clone, Debug, PartialEq)]
pub struct Life {
    /// What tells it apart.
    pub labels: Labels,
    /// The first moment that matched.
    pub pending: WallTime,
    /// When it began to fire.
    pub fired: Option<WallTime>,
    /// The last moment that matched.
    pub last: WallTime,
    /// The first moment at which it was gone; `None`: it was still there at the end.
    pub ended: Option<WallTime>,
    /// The value when it began to fire, or that of the first match.
    pub value: f64,
}

impl Life {
    /// For how long it matched.
    pub fn length(&self) -> Duration {
        self.last.since(self.pending)
    }
}

/// How often a rule is looked at, and its `for` and `keep_firing_for`.
type Terms = (Duration, Duration, Duration);

/// The alerts of one rule.
#[derive(Debug, Default)]
pub(super) struct Walks {
    open: BTreeMap<Labels, (Life, WallTime)>,
    over: Vec<Life>,
    uncounted: usize,
    /// How many of those that are over are recorded as alerts.
    recorded: usize,
}

impl Walks {
    /// Takes the moments at which the series with these labels matched, which come in order.
    pub(super) fn take(&mut self, labels: &Labels, points: &[Point], terms: Terms) {
        for point in points {
            match self.open.get_mut(labels) {
                Some((life, gone)) if point.at < *gone => *gone = go_on(life, *point, terms),
                _ => self.begin(labels, *point, terms),
            }
        }
    }

    fn begin(&mut self, labels: &Labels, point: Point, terms: Terms) {
        let mut life = Life {
            labels: labels.clone(),
            pending: point.at,
            fired: None,
            last: point.at,
            ended: None,
            value: point.value,
        };
        let gone = go_on(&mut life, point, terms);
        if let Some((mut before, ended)) = self.open.insert(labels.clone(), (life, gone)) {
            before.ended = Some(without_rest(ended));
            self.close(before);
        }
    }

    fn close(&mut self, life: Life) {
        if self.over.len() < MOST {
            self.over.push(life);
        } else {
            self.uncounted = self.uncounted.saturating_add(1);
        }
    }

    /// How they stood at each moment of a grid, as it is recorded: `ALERTS` and `ALERTS_FOR_STATE`.
    pub(super) fn states(&mut self, grid: Grid) -> Vec<Series> {
        let mut made: BTreeMap<Labels, Vec<Point>> = BTreeMap::new();
        for life in self.over.iter().skip(self.recorded) {
            stood(life, life.ended.unwrap_or(life.last), grid, &mut made);
        }
        self.recorded = self.over.len();
        for (life, gone) in self.open.values() {
            stood(life, without_rest(*gone), grid, &mut made);
        }
        made.into_iter().map(|(labels, points)| Series { labels, points }).collect()
    }

    /// All of them at the end of the history, in order of time; and how many were not kept.
    pub(super) fn end(mut self, to: WallTime) -> (Vec<Life>, usize) {
        for (mut life, gone) in std::mem::take(&mut self.open).into_values() {
            life.ended = Some(without_rest(gone)).filter(|gone| *gone <= to);
            self.close(life);
        }
        self.over.sort_by(|a, b| (a.pending, &a.labels).cmp(&(b.pending, &b.labels)));
        (self.over, self.uncounted)
    }
}

/// One match more; gives the moment from which on another one is of another life.
fn go_on(life: &mut Life, point: Point, (step, hold, keep): Terms) -> WallTime {
    life.last = point.at;
    if life.fired.is_none() && point.at.since(life.pending) >= hold {
        life.fired = Some(point.at);
        life.value = point.value;
    }
    let missed = point.at.after(step);
    let kept = match life.fired {
        Some(_) => keep.as_millis().div_ceil(step.as_millis().max(1)),
        None => 0,
    };
    // The next match may be as late as the moment itself.
    let kept = step.saturating_mul(u32::try_from(kept).unwrap_or(u32::MAX));
    missed.after(kept).after(Duration::from_millis(1))
}

/// The moment that [`go_on`] gave, without the millisecond that lets the next match belong to it.
fn without_rest(gone: WallTime) -> WallTime {
    gone.before(Duration::from_millis(1))
}

/// Adds how an alert stood, as far as it was there.
fn stood(life: &Life, gone: WallTime, grid: Grid, into: &mut BTreeMap<Labels, Vec<Point>>) {
    let [alerts, since] = ALERTS.map(|metric| {
        let mut labels = life.labels.clone();
        labels.set(NAME, metric);
        labels
    });
    let state = |state: State| {
        let mut labels = alerts.clone();
        labels.set("alertstate", state.word());
        labels
    };
    let (pending, firing) = (state(State::Pending), state(State::Firing));
    for at in grid.moments().filter(|at| life.pending <= *at && *at < gone) {
        let is_firing = life.fired.is_some_and(|fired| fired <= at);
        let labels = if is_firing { &firing } else { &pending };
        let began = for_state(life.pending);
        for (labels, value) in [(labels, 1.0), (&since, began)] {
            let point = Point { at, value };
            match into.get_mut(labels) {
                Some(points) => points.push(point),
                None => drop(into.insert(labels.clone(), vec![point])),
            }
        }
    }
}
