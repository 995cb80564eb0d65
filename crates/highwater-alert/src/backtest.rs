//! What rules would have done over a history.
//!
//! ```text
//!  SeriesSource ─(Thinned)─(Shelved)─► Past ◄─ Results: what recording rules and alerts give
//!                                       │ a day at a time, each rule once as a range query
//!                                       ▼
//!          Strand: walk (pending, firing) ─► Course of each rule ─► Warning of each incident
//! ```
//!
//! Groups run in steps of their interval, at whole multiples of it since 1970. A rule sees all that
//! other rules give for the same moment, whichever group they are in. Rules that need each other are a
//! strand; strands know nothing of each other, so whoever calls may have several go on at a time.

mod ahead;
mod incident;
mod order;
mod past;
mod shelf;
mod strand;
#[cfg(test)]
pub(crate) mod tests;
mod thinned;
mod walk;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use highwater_core::series::{Labels, Series, SeriesSource};
use highwater_core::time::WallTime;
use highwater_promql::{Options, Query, Value};

pub use incident::{Incident, Moment, Sort, Warning, is_about, label_of, warnings};
pub use past::{Past, Results};
pub use shelf::{Shelf, Shelved};
pub use strand::Strand;
pub use thinned::Thinned;
pub use walk::Life;

use crate::rule::{Kind, Rule, RuleFile};
use past::Room;

/// Groups without an interval of their own run so often, as Prometheus's do.
const INTERVAL: Duration = Duration::from_mins(1);

/// A rule is evaluated for so many steps at once: a day of minutes.
const STEPS: u32 = 1_440;

/// So many samples one evaluation may hold: a day of minutes of some thousand series, in 150 MB.
const MOST_SAMPLES: usize = 10_000_000;

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
    /// What it and the rules that it needs gave.
    made: Arc<Results>,
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

    /// A history with what the rule found beside it.
    pub(crate) fn past<'a>(&'a self, history: &'a dyn SeriesSource) -> Past<'a> {
        Past::new(history, &self.made)
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
    pub(crate) fn parts(&self, step: Duration) -> Vec<Self> {
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

impl Grid {
    /// Each of them.
    fn moments(self) -> impl Iterator<Item = WallTime> {
        let next = move |at: &i64| Some(at.saturating_add(self.step));
        let all = std::iter::successors(Some(self.first), next);
        all.take_while(move |at| *at <= self.last).map(WallTime::from_millis)
    }

    /// Whether a moment is one of them.
    const fn has(self, at: WallTime) -> bool {
        let past = at.millis().saturating_sub(self.first);
        past >= 0 && at.millis() <= self.last && past % self.step == 0
    }

    /// The same moment alone.
    const fn only(self, at: WallTime) -> Self {
        Self { first: at.millis(), last: at.millis(), ..self }
    }
}

/// Rules that go through a time.
pub struct Replay<'r> {
    strands: Vec<Strand<'r>>,
    period: Period,
    room: Room,
}

impl std::fmt::Debug for Replay<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replay").field("period", &self.period).finish_non_exhaustive()
    }
}

impl<'r> Replay<'r> {
    /// The rules of `files`, at the beginning of a time.
    pub fn new(files: &'r [RuleFile], period: Period) -> Self {
        let room = Room::default();
        let chains = order::chains(files).into_iter();
        let strands = chains.map(|chain| Strand::new(chain, period, &room)).collect();
        Self { strands, period, room }
    }

    /// Rules that know nothing of each other: each strand goes on by itself.
    pub fn strands(&mut self) -> &mut [Strand<'r>] {
        &mut self.strands
    }

    /// Whether results were left out because there were too many.
    pub fn is_full(&self) -> bool {
        self.room.is_full()
    }

    /// What became of each alerting rule, as they are written.
    pub fn courses(self) -> Vec<Course<'r>> {
        let period = self.period;
        let mut courses: Vec<(usize, Course<'r>)> =
            self.strands.into_iter().flat_map(|strand| strand.courses(period)).collect();
        courses.sort_by_key(|(place, _)| *place);
        courses.into_iter().map(|(_, course)| course).collect()
    }
}

/// Evaluates all of a grid, or, where that fails, its halves.
fn in_halves(
    query: &Query,
    source: &dyn SeriesSource,
    (grid, offset): (Grid, Duration),
) -> (Vec<Series>, Option<(WallTime, String)>) {
    let mut found: BTreeMap<Labels, Series> = BTreeMap::new();
    let mut fault = None;
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
                Some([early, late]) if fault.is_none() => open.extend([late, early]),
                _ => fault = fault.or(Some((WallTime::from_millis(grid.first), error))),
            },
        }
    }
    (found.into_values().collect(), fault)
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

/// What `query` is over a part of a time.
pub(crate) fn during(
    query: &Query,
    source: &dyn SeriesSource,
    (part, step): (Period, Duration),
) -> Result<Vec<Series>, String> {
    evaluated(query, source, (part.grid(step), Duration::ZERO))
}

/// What `query` is over a period, part by part.
pub(crate) fn over(
    query: &Query,
    source: &dyn SeriesSource,
    (period, step): (Period, Duration),
    give: &mut dyn FnMut(Vec<Series>),
) -> Result<(), String> {
    for part in period.parts(step) {
        give(during(query, source, (part, step))?);
    }
    Ok(())
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}
