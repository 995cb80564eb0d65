//! What rules would have done over a history.
//!
//! ```text
//!  SeriesSource ─(Thinned)─► Past ◄─ results of recording rules
//!                               │ a day at a time, each rule once as a range query
//!                               ▼
//!                     walk (pending, firing) ─► Course of each rule ─► Warning of each incident
//! ```
//!
//! Groups run in steps of their interval, at whole multiples of it since 1970. A rule sees all that
//! recording rules give for the same moment, whichever group they are in.

mod incident;
mod order;
mod past;
#[cfg(test)]
pub(crate) mod tests;
mod thinned;
mod walk;

use std::collections::BTreeMap;
use std::time::Duration;

use highwater_core::series::{Labels, NAME, Series, SeriesSource};
use highwater_core::time::WallTime;
use highwater_promql::{Options, Query, Value};

pub use incident::{Incident, Moment, Sort, Warning, is_about, warnings};
pub use past::Past;
pub use thinned::Thinned;
pub use walk::Life;

use crate::rule::{Kind, Rule, RuleFile};
use order::{Turn, in_order};
use walk::Walks;

/// Groups without an interval of their own run so often, as Prometheus's do.
const INTERVAL: Duration = Duration::from_mins(1);

/// A rule is evaluated for so many steps at once: a day of minutes.
const STEPS: u32 = 1_440;

/// So many samples one evaluation may hold: a day of minutes of some thousand series, in 150 MB.
const MOST_SAMPLES: usize = 10_000_000;

/// A rule that failed so often is not evaluated any more.
const MOST_FAULTS: usize = 8;

/// What failed is tried again in halves down to a part of so many steps.
const LEAST_STEPS: i64 = 90;

/// From when to when, and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// The first moment.
    pub from: WallTime,
    /// The last moment.
    pub to: WallTime,
    /// The interval of all groups; `None`: each its own.
    pub step: Option<Duration>,
}

/// What became of one alerting rule.
#[derive(Clone, Debug)]
pub struct Course<'r> {
    /// The file it stands in.
    pub file: &'r str,
    /// Its group.
    pub group: &'r str,
    /// The rule.
    pub rule: &'r Rule,
    /// How often it was evaluated.
    pub step: Duration,
    /// Each alert from its first match to its end, in order of time.
    pub lives: Vec<Life>,
    /// So many more were not kept.
    pub uncounted: usize,
    /// What kept it from being evaluated, and when that was first so.
    pub faults: Vec<(WallTime, String)>,
}

impl Course<'_> {
    /// The alert's name.
    pub fn name(&self) -> &str {
        self.rule.name()
    }

    /// How long it has to match before it fires.
    pub fn hold(&self) -> Duration {
        match &self.rule.kind {
            Kind::Alert { hold, .. } => *hold,
            Kind::Record(_) => Duration::ZERO,
        }
    }

    /// Those that fired.
    pub fn fired(&self) -> impl Iterator<Item = &Life> {
        self.lives.iter().filter(|life| life.fired.is_some())
    }
}

impl Period {
    /// How often rules of a group with this interval are evaluated.
    fn step_of(&self, interval: Option<Duration>) -> Duration {
        let step = self.step.or(interval).unwrap_or(INTERVAL);
        step.max(Duration::from_millis(1))
    }

    /// The moments at which something is evaluated every `step`.
    fn grid(&self, step: Duration) -> Grid {
        let step = millis(step).max(1);
        let first = self.from.millis().div_euclid(step).saturating_mul(step);
        let first = if first < self.from.millis() { first.saturating_add(step) } else { first };
        Grid { first, last: self.to.millis(), step }
    }

    /// The whole in parts that are evaluated at once.
    fn parts(&self, step: Duration) -> Vec<Self> {
        let length = step.saturating_mul(STEPS);
        let mut parts = Vec::new();
        let mut from = self.from;
        while from <= self.to {
            let end = from.after(length);
            let to = end.before(Duration::from_millis(1)).min(self.to);
            parts.push(Self { from, to, ..*self });
            from = end;
        }
        parts
    }
}

/// Moments that are equally far apart, in milliseconds.
#[derive(Clone, Copy, Debug)]
struct Grid {
    first: i64,
    last: i64,
    step: i64,
}

/// What has to be found while the history is gone through.
struct Track<'r> {
    turn: Turn<'r>,
    step: Duration,
    walks: Walks,
    faults: Vec<(WallTime, String)>,
}

/// Has the rules of `files` go through `period` of a history, and tells of each alerting rule what it
/// did. `told` hears how far it is: so many of so many.
pub fn replay<'r>(
    files: &'r [RuleFile],
    history: &mut Past<'_>,
    period: Period,
    told: &mut dyn FnMut(u64, u64),
) -> Vec<Course<'r>> {
    let turns = in_order(files);
    let mut tracks: Vec<Track<'r>> = turns
        .into_iter()
        .map(|turn| {
            let step = period.step_of(turn.group.interval);
            Track { turn, step, walks: Walks::default(), faults: Vec::new() }
        })
        .collect();
    let least = tracks.iter().map(|track| track.step).min().unwrap_or(INTERVAL);
    let parts = period.parts(least);
    let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    let (mut done, all) = (0, count(parts.len().saturating_mul(tracks.len())));
    for part in parts {
        for track in &mut tracks {
            track.go_on(history, part);
            done += 1;
            told(done, all);
        }
    }
    let mut courses: Vec<Track<'r>> =
        tracks.into_iter().filter(|track| track.turn.is_alert()).collect();
    courses.sort_by_key(|track| track.turn.place);
    courses.into_iter().map(|track| track.course(period)).collect()
}

impl<'r> Track<'r> {
    /// Evaluates a part of the whole.
    fn go_on(&mut self, history: &mut Past<'_>, part: Period) {
        if self.faults.len() >= MOST_FAULTS {
            return;
        }
        let offset = self.turn.group.query_offset.unwrap_or_default();
        let grid = part.grid(self.step);
        let mut series = Vec::new();
        let evaluated =
            in_halves(&self.turn.rule.query, history, (grid, offset), &mut |found| series = found);
        self.faults.extend(evaluated);
        let labels = &self.turn.rule.labels;
        match &self.turn.rule.kind {
            Kind::Record(name) => {
                for one in &mut series {
                    one.labels = named(&one.labels, labels, (NAME, name));
                }
                history.record(series, (grid.last, grid.step));
            }
            Kind::Alert { name, hold, keep, .. } => {
                for one in series {
                    let labels = named(&one.labels, labels, ("alertname", name));
                    self.walks.take(&labels, &one.points, (self.step, *hold, *keep));
                }
            }
        }
    }

    fn course(self, period: Period) -> Course<'r> {
        let (lives, uncounted) = self.walks.end(period.to);
        Course {
            file: self.turn.file,
            group: &self.turn.group.name,
            rule: self.turn.rule,
            step: self.step,
            lives,
            uncounted,
            faults: self.faults,
        }
    }
}

/// The labels of a result: those of the series, then those of the rule, then the name. A template
/// stays as it is written.
fn named(series: &Labels, rule: &[(String, String)], (label, name): (&str, &str)) -> Labels {
    let own = series.iter().filter(|(label, _)| *label != NAME);
    let told = rule.iter().map(|(label, value)| (label.as_str(), value.as_str()));
    Labels::new(own.chain(told).chain([(label, name)]))
}

/// Evaluates all of a grid, or, where that fails, its halves. Gives what was found once, in one piece.
fn in_halves(
    query: &Query,
    source: &dyn SeriesSource,
    (grid, offset): (Grid, Duration),
    give: &mut dyn FnMut(Vec<Series>),
) -> Vec<(WallTime, String)> {
    let mut found: BTreeMap<Labels, Series> = BTreeMap::new();
    let mut faults = Vec::new();
    let mut open = vec![grid];
    while let Some(grid) = open.pop() {
        match evaluated(query, source, (grid, offset)) {
            Ok(series) => {
                for one in series {
                    let slot = found.entry(one.labels.clone());
                    let slot = slot.or_insert_with(|| Series { points: Vec::new(), ..one.clone() });
                    slot.points.extend(one.points);
                }
            }
            Err(error) => match grid.halves() {
                Some([early, late]) if faults.is_empty() => open.extend([late, early]),
                _ => faults.push((WallTime::from_millis(grid.first), error)),
            },
        }
    }
    give(found.into_values().collect());
    faults.truncate(1);
    faults
}

impl Grid {
    fn halves(self) -> Option<[Self; 2]> {
        let steps = self.last.saturating_sub(self.first) / self.step;
        let middle = self.first.saturating_add((steps / 2).saturating_mul(self.step));
        let early = Self { last: middle, ..self };
        let late = Self { first: middle.saturating_add(self.step), ..self };
        (steps > LEAST_STEPS).then_some([early, late])
    }
}

/// The result at each moment of a grid, at the moments of the grid.
fn evaluated(
    query: &Query,
    source: &dyn SeriesSource,
    (grid, offset): (Grid, Duration),
) -> Result<Vec<Series>, String> {
    if grid.first > grid.last {
        return Ok(Vec::new());
    }
    let options = Options { max_samples: MOST_SAMPLES, ..Options::default() };
    let moment = |ms: i64| WallTime::from_millis(ms).before(offset);
    let step = Duration::from_millis(u64::try_from(grid.step).unwrap_or(1));
    let answer = highwater_promql::range(
        query,
        source,
        moment(grid.first),
        moment(grid.last),
        step,
        &options,
    );
    let Value::Matrix(mut series) = answer.map_err(|error| error.text)?.value else {
        return Ok(Vec::new());
    };
    if !offset.is_zero() {
        for point in series.iter_mut().flat_map(|one| &mut one.points) {
            point.at = point.at.after(offset);
        }
    }
    Ok(series)
}

/// What `query` is over a period, part by part.
pub(crate) fn over(
    query: &Query,
    source: &dyn SeriesSource,
    (period, step): (Period, Duration),
    give: &mut dyn FnMut(Vec<Series>),
) -> Result<(), String> {
    for part in period.parts(step) {
        give(evaluated(query, source, (part.grid(step), Duration::ZERO))?);
    }
    Ok(())
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}
