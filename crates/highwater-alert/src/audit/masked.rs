//! What a sum hides, and what one target answers for others.

use std::time::Duration;

use highwater_core::series::{Labels, Matcher, NAME, Point, Selection, Series, Want};
use highwater_core::time::WallTime;
use highwater_promql::Asked;

use super::reached::Reached;
use super::said::{moment, of, times, value};
use super::{Reason, Scene, Why};
use crate::backtest::{Course, Incident, Sort, is_about, over};

/// So long around a moment what a target said of it is looked for.
const AROUND: Duration = Duration::from_mins(5);

/// So many incidents are told of one rule.
pub(super) const MOST: usize = 3;

/// The labels that say where, not whom.
const PLACES: [&str; 3] = ["instance", "host", "id"];

/// The aggregations that never met their condition, while what they sum up did.
pub(super) fn hidden(course: &Course<'_>, scene: Scene<'_>, all: &[Reached]) -> Vec<Reason> {
    let missed = all.iter().filter(|one| !one.is_met);
    missed.filter_map(|one| within(one, course, scene)).collect()
}

fn within(reached: &Reached, course: &Course<'_>, scene: Scene<'_>) -> Option<Reason> {
    let condition = &reached.condition;
    let (inner, bound) = (condition.left.unaggregated()?, condition.bound?);
    let mut count: usize = 0;
    let mut first: Option<(Labels, WallTime, f64)> = None;
    let period = (scene.period, course.step);
    let evaluated = over(&inner, scene.history, period, &mut |series| {
        for one in series {
            let met = one.points.iter().filter(|point| condition.op.holds(point.value, bound));
            for point in met {
                count = count.saturating_add(1);
                first.get_or_insert_with(|| (one.labels.clone(), point.at, point.value));
            }
        }
    });
    evaluated.ok()?;
    let (labels, at, met) = first?;
    let text = format!(
        "{} hides what its parts are: {inner} {} {} held {}, first{}",
        condition.left,
        condition.op,
        condition.right,
        times(count),
        of(&labels),
    );
    let shown = format!("{labels} was {} at {}", value(met, &inner), moment(at));
    Some(scene.reason(Why::Masked, text, vec![shown]))
}

/// The conditions on whether something is up that were never met, though it was down: no series
/// that they ask for speaks of it.
pub(super) fn one_target(course: &Course<'_>, scene: Scene<'_>, all: &[Reached]) -> Vec<Reason> {
    let is_silent = all.iter().any(|one| one.is_of_life() && !one.is_met);
    let downs = downs(scene).filter(|_| is_silent);
    downs.filter_map(|incident| answered(incident, course, scene)).take(MOST).collect()
}

/// The incidents in which somebody was down.
pub(super) fn downs(scene: Scene<'_>) -> impl Iterator<Item = &Incident> {
    scene.incidents.iter().filter(|incident| incident.sort != Sort::Growth)
}

/// What a rule asks for that may be meant for the owner of an incident: it names him, or nobody.
pub(super) fn meant_for(course: &Course<'_>, incident: &Incident) -> Vec<Asked> {
    let whom = incident.labels.iter().filter(|(label, _)| !PLACES.contains(label));
    let names: Vec<&str> =
        whom.map(|(_, name)| name.strip_suffix(".service").unwrap_or(name)).collect();
    let is_named = |matcher: &Matcher| {
        names.iter().any(|name| match &matcher.want {
            Want::Is(wanted) => wanted.strip_suffix(".service").unwrap_or(wanted) == *name,
            Want::Matches(pattern) => pattern.matches(name),
            Want::IsNot(_) | Want::MatchesNot(_) => false,
        })
    };
    let asked = course.rule.query.asked().into_iter();
    asked
        .filter(|asked| {
            let mut others =
                asked.matchers.iter().filter(|matcher| matcher.name != NAME).peekable();
            others.peek().is_none() || others.any(is_named)
        })
        .collect()
}

fn answered(incident: &Incident, course: &Course<'_>, scene: Scene<'_>) -> Option<Reason> {
    let (first, last) = (incident.first()?, incident.last()?);
    let all: Vec<(String, Vec<Series>)> = meant_for(course, incident)
        .into_iter()
        .map(|asked| {
            let selection = Selection {
                matchers: asked.matchers,
                from: first.before(AROUND),
                to: last.after(AROUND),
                step: None,
                ends: false,
            };
            (asked.text, scene.history.select(&selection).unwrap_or_default())
        })
        .collect();
    let speaks = |series: &Series| is_about(&series.labels, &incident.labels);
    if all.iter().any(|(_, series)| series.iter().any(speaks)) {
        return None;
    }
    let answers = |point: &Point| point.value != 0.0;
    let (text, series) = all.into_iter().find(|(_, series)| {
        !series.is_empty() && series.iter().all(|one| one.points.iter().all(answers))
    })?;
    let whose: Vec<String> = series.iter().map(|one| one.labels.to_string()).collect();
    let said = format!(
        "{text} says nothing of {}: {} answered all the time while it was down {}, as one address \
         answers for whoever stands behind it",
        incident.owner,
        whose.first()?,
        times(incident.moments.len()),
    );
    let values = series.first()?.points.len();
    let shown = format!(
        "{}: {values} values from {} to {}, none of them 0",
        whose.first()?,
        moment(first.before(AROUND)),
        moment(last.after(AROUND))
    );
    Some(scene.reason(Why::OneTarget, said, vec![shown]))
}
