//! The state machine of rules, as Prometheus 3 has it: what an evaluation of a group records, and
//! what becomes of its alerts. The state is a value: stored and read again, it goes on as if nothing
//! had happened.

mod advance;
mod overlay;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use highwater_core::series::{Labels, STALE, SeriesSource};
use highwater_core::time::WallTime;
use highwater_promql::{Options, Value};
use serde::{Deserialize, Serialize};

use crate::alert::Alert;
use crate::rule::{Group, Rule};
use crate::template::Scene;
pub use advance::Expand;
pub use overlay::Overlay;

/// What all rules are evaluated with.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    /// Labels of this recorder as a whole, `$externalLabels` of templates.
    pub external_labels: Labels,
    /// Where this recorder is reached, `$externalURL` of templates.
    pub external_url: String,
    /// What a question may cost.
    pub options: Options,
    /// How long evaluations take.
    pub timer: Timer,
}

/// Tells how much time has passed since some moment: whoever evaluates brings the clock. Without one
/// nothing takes any time.
#[derive(Clone, Default)]
pub struct Timer(Option<Arc<dyn Fn() -> Duration + Send + Sync>>);

impl Timer {
    /// A timer that asks `passed`.
    pub fn new(passed: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(passed)))
    }

    fn passed(&self) -> Duration {
        self.0.as_ref().map_or(Duration::ZERO, |passed| passed())
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Timer")
    }
}

/// One sample of a series that a rule makes.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// The series, its name among the labels.
    pub labels: Labels,
    /// When.
    pub at: WallTime,
    /// What; [`STALE`] is the end of the series.
    pub value: f64,
}

/// The state of a group between two evaluations.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GroupState {
    /// Of each of its rules, in their order.
    pub rules: Vec<RuleState>,
    /// Series of rules that are no more, to be ended at the next evaluation.
    ended: Vec<Labels>,
}

/// The state of a rule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RuleState {
    /// What the rule was when this was written: `record` or `alert`, its name, its labels.
    kind: String,
    name: String,
    labels: Vec<(String, String)>,
    /// Its alerts in order of labels: pending, firing, and for 15 minutes those that ended.
    pub alerts: Vec<Alert>,
    /// The series that its last evaluation made.
    series: Vec<Labels>,
    /// How its last evaluation went.
    pub health: Health,
    /// Why it failed, if it did.
    pub error: Option<String>,
    /// When that was.
    pub evaluated_at: Option<WallTime>,
    /// How long it took; an agent that has just begun does not know.
    #[serde(skip)]
    pub lasted: Duration,
}

/// How a rule does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// It was not evaluated yet.
    #[default]
    Unknown,
    /// Its last evaluation went well.
    Ok,
    /// Its last evaluation failed.
    Err,
}

impl Health {
    /// The word of Prometheus's API.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Ok => "ok",
            Self::Err => "err",
        }
    }
}

impl GroupState {
    /// The state of a group that was never evaluated.
    pub fn new(group: &Group) -> Self {
        Self { rules: group.rules.iter().map(RuleState::new).collect(), ended: Vec::new() }
    }

    /// The state of the group as it is now, from that of the group as it was: rules with the same
    /// kind, name and labels go on, whatever else changed. The series of the others end.
    #[must_use]
    pub fn reloaded(mut self, group: &Group) -> Self {
        let mut next = Self::new(group);
        for (rule, state) in group.rules.iter().zip(&mut next.rules) {
            if let Some(at) = self.rules.iter().position(|old| old.is_of(rule)) {
                *state = self.rules.remove(at);
            }
        }
        next.ended = self.ended;
        next.ended.extend(self.rules.into_iter().flat_map(|rule| rule.series));
        next
    }

    /// Whether it is that of just these rules.
    fn is_of(&self, group: &Group) -> bool {
        let same = |(rule, state): (&Rule, &RuleState)| state.is_of(rule);
        self.rules.len() == group.rules.len() && group.rules.iter().zip(&self.rules).all(same)
    }

    /// The group could not be evaluated at all: its rules fail, its alerts stay as they are.
    pub fn fail(&mut self, why: &str, at: WallTime) {
        for rule in &mut self.rules {
            rule.evaluated_at = Some(at);
            rule.health = Health::Err;
            rule.error = Some(why.to_owned());
        }
    }

    /// The series that would go on: when the whole group is no more, they end.
    pub fn into_series(self) -> Vec<Labels> {
        let series = self.rules.into_iter().flat_map(|rule| rule.series);
        self.ended.into_iter().chain(series).collect()
    }
}

impl RuleState {
    /// The state of a rule that was never evaluated.
    pub fn new(rule: &Rule) -> Self {
        Self {
            kind: rule.word().to_owned(),
            name: rule.name().to_owned(),
            labels: rule.labels.clone(),
            ..Self::default()
        }
    }

    /// Whether it is that of this rule, perhaps with another condition: kind, name and labels.
    fn is_of(&self, rule: &Rule) -> bool {
        self.kind == rule.word() && self.name == rule.name() && self.labels == rule.labels
    }
}

/// Evaluates a group at a moment: its rules in their order, each seeing what those before it
/// recorded. What is recorded comes back, ends included; alerts and faults are in the state, which is
/// first brought to the rules as they are now.
pub fn evaluate(
    group: &Group,
    state: &mut GroupState,
    source: &dyn SeriesSource,
    at: WallTime,
    terms: &Terms,
) -> Vec<Recorded> {
    if !state.is_of(group) {
        *state = std::mem::take(state).reloaded(group);
    }
    let mut overlay = Overlay::new(source);
    let asked_at = at.before(group.query_offset.unwrap_or_default());
    let mut recorded = Vec::new();
    for (rule, state) in group.rules.iter().zip(&mut state.rules) {
        state.evaluated_at = Some(at);
        let began = terms.timer.passed();
        let made = round(rule, state, group.limit, &overlay, (at, asked_at), terms);
        state.lasted = terms.timer.passed().saturating_sub(began);
        match made {
            Ok(samples) => {
                state.health = Health::Ok;
                state.error = None;
                overlay.add(&samples);
                recorded.extend(samples);
            }
            Err(error) => {
                state.health = Health::Err;
                state.error = Some(error);
            }
        }
    }
    recorded.extend(left(&mut state.ended, &recorded, asked_at));
    recorded
}

fn round(
    rule: &Rule,
    state: &mut RuleState,
    limit: usize,
    source: &Overlay<'_>,
    (at, asked_at): (WallTime, WallTime),
    terms: &Terms,
) -> Result<Vec<Recorded>, String> {
    let answer = highwater_promql::instant(&rule.query, source, asked_at, &terms.options);
    let vector = match answer.map_err(|error| error.text)?.value {
        Value::Vector(vector) => {
            vector.into_iter().map(|(labels, point)| (labels, point.value)).collect()
        }
        Value::Scalar(point) => vec![(Labels::default(), point.value)],
        _ => return Err("rule result is not a vector or scalar".to_owned()),
    };
    let mut expand = |text: &str, labels: &Labels, value: f64| {
        let scene = Scene {
            labels,
            value,
            external_labels: &terms.external_labels,
            external_url: &terms.external_url,
            at,
            source,
            options: &terms.options,
        };
        rule.texts.expand_or_say(text, &scene)
    };
    let offset = at.since(asked_at);
    state.advance(rule, limit, vector, (at, offset), &mut expand)
}

/// The ends of series that nobody makes any more and nobody made anew.
fn left(ended: &mut Vec<Labels>, recorded: &[Recorded], at: WallTime) -> Vec<Recorded> {
    let made: BTreeSet<&Labels> = recorded.iter().map(|sample| &sample.labels).collect();
    let ended = std::mem::take(ended).into_iter();
    let ended = ended.filter(|labels| !made.contains(labels));
    ended.map(|labels| Recorded { labels, at, value: STALE }).collect()
}

/// What a rule made of its result: the labels of its series or alerts, each with the value.
type Made<T> = BTreeMap<Labels, T>;

#[cfg(test)]
mod tests;
