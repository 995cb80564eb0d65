//! How near the conditions of a rule came to being met.

use std::time::Duration;

use highwater_core::series::{Labels, SeriesSource};
use highwater_core::time::WallTime;
use highwater_promql::{Comparison, Condition};

use super::said::{figure, moment, of, value};
use super::{Reason, Scene, Why};
use crate::backtest::{Course, Period, during};

/// A condition, and what its left side was.
pub(super) struct Reached {
    pub(super) condition: Condition,
    /// The nearest that it came, of its left side, or of the gap to the right one.
    pub(super) nearest: Option<Sight>,
    /// The lowest and the highest.
    pub(super) range: Option<(f64, f64)>,
    /// At so many moments of so many series it was looked at.
    pub(super) looks: usize,
    pub(super) is_met: bool,
}

/// A value that was seen.
#[derive(Clone, Debug)]
pub(super) struct Sight {
    pub(super) labels: Labels,
    pub(super) at: WallTime,
    pub(super) value: f64,
}

/// The conditions of a rule, before anything is known of them.
pub(super) fn conditions(course: &Course<'_>) -> Vec<Reached> {
    let all = course.rule.query.conditions().into_iter();
    let reached =
        |condition| Reached { condition, nearest: None, range: None, looks: 0, is_met: false };
    all.map(reached).collect()
}

impl Reached {
    /// Looks at a part of a history, in such steps.
    pub(super) fn go_on(
        &mut self,
        history: &dyn SeriesSource,
        part: (Period, Duration),
    ) -> Result<(), String> {
        let Condition { left, gap, op, bound, .. } = &self.condition;
        let query = if bound.is_some() { left } else { gap };
        let (series, op, bound) = (during(query, history, part)?, *op, bound.unwrap_or(0.0));
        for one in &series {
            for point in one.points.iter().filter(|point| !point.value.is_nan()) {
                self.take(op, bound, (&one.labels, point.at, point.value));
            }
        }
        Ok(())
    }

    fn take(&mut self, op: Comparison, bound: f64, (labels, at, value): (&Labels, WallTime, f64)) {
        self.looks = self.looks.saturating_add(1);
        self.is_met |= op.holds(value, bound);
        let (low, high) = self.range.unwrap_or((value, value));
        self.range = Some((low.min(value), high.max(value)));
        let is_nearer =
            |before: &Sight| distance(op, value, bound) < distance(op, before.value, bound);
        if self.nearest.as_ref().is_none_or(is_nearer) {
            self.nearest = Some(Sight { labels: labels.clone(), at, value });
        }
    }

    /// Whether its left side tells only whether something is there: nothing but 0 and 1.
    pub(super) fn is_of_life(&self) -> bool {
        let is_asked = match (self.condition.op, self.condition.bound) {
            (Comparison::Equal | Comparison::AtMost, Some(bound)) => bound == 0.0,
            (Comparison::Below | Comparison::Unequal, Some(bound)) => bound > 0.0 && bound <= 1.0,
            _ => false,
        };
        is_asked && self.range.is_some_and(|(low, high)| low >= 0.0 && high <= 1.0)
    }

    fn reason(&self, course: &Course<'_>, scene: Scene<'_>) -> Option<Reason> {
        let nearest = self.nearest.as_ref()?;
        let Condition { left, op, right, bound, .. } = &self.condition;
        let is_fixed = self.range.is_some_and(|(low, high)| low.total_cmp(&high).is_eq());
        let said = value(nearest.value, left);
        let text = match bound {
            Some(bound) if is_fixed => {
                let never = never(*op, &value(*bound, left));
                format!("{left} was {said} all the time, never {never}")
            }
            Some(bound) => format!(
                "{left} was never {}: {said} {}, at {}",
                never(*op, &value(*bound, left)),
                most(*op),
                moment(nearest.at),
            ),
            None => format!(
                "{left} was never {}: the difference was {said} {}, at {}",
                never(*op, &right.to_string()),
                most(*op),
                moment(nearest.at),
            ),
        };
        let shown = format!(
            "{} at {}{}; {} values, one every {}",
            figure(nearest.value),
            moment(nearest.at),
            of(&nearest.labels),
            self.looks,
            highwater_core::time::Span(course.step),
        );
        Some(scene.reason(Why::NeverReached, text, vec![shown]))
    }
}

/// How far a value is from where the comparison holds.
fn distance(op: Comparison, value: f64, bound: f64) -> f64 {
    match op {
        Comparison::Above | Comparison::AtLeast => bound - value,
        Comparison::Below | Comparison::AtMost => value - bound,
        Comparison::Equal | Comparison::Unequal => (value - bound).abs(),
    }
}

const fn most(op: Comparison) -> &'static str {
    match op {
        Comparison::Above | Comparison::AtLeast => "at most",
        Comparison::Below | Comparison::AtMost => "at least",
        Comparison::Equal | Comparison::Unequal => "at the nearest",
    }
}

/// What it never was.
fn never(op: Comparison, bound: &str) -> String {
    match op {
        Comparison::Above => format!("above {bound}"),
        Comparison::AtLeast => format!("{bound} or more"),
        Comparison::Below => format!("below {bound}"),
        Comparison::AtMost => format!("{bound} or less"),
        Comparison::Equal => bound.to_owned(),
        Comparison::Unequal => format!("anything but {bound}"),
    }
}

/// The conditions that were never met; or that all were, but never together.
pub(super) fn reasons(course: &Course<'_>, scene: Scene<'_>, all: &[Reached]) -> Vec<Reason> {
    let missed = all.iter().filter(|one| !one.is_met);
    let missed: Vec<Reason> = missed.filter_map(|one| one.reason(course, scene)).collect();
    if !missed.is_empty() || !course.lives.is_empty() || all.len() < 2 {
        return missed;
    }
    let text = "each of its conditions was met, but never all at one time and of the same labels";
    let said = all.iter().map(|one| {
        let Condition { left, op, right, .. } = &one.condition;
        format!("{left} {op} {right} was met")
    });
    vec![scene.reason(Why::Apart, text.to_owned(), said.collect())]
}
