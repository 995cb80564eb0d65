//! The document of a backtest.

use std::collections::BTreeMap;

use highwater_alert::audit::Reason;
use highwater_alert::backtest::{Course, Incident, Life, Warning, warnings};
use highwater_core::evidence::Evidence;
use highwater_core::series::Labels;
use highwater_core::time::WallTime;
use highwater_promql::Condition;
use serde::Serialize;

use crate::cmd::rules::backtest::Outcome;

/// The version of the document.
const SCHEMA: u32 = 1;

/// All of it.
#[derive(Serialize)]
pub(crate) struct Document<'o> {
    schema: u32,
    from: String,
    to: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    scrape_seconds: Option<f64>,
    rules: Vec<Rule<'o>>,
    incidents: Vec<Happened<'o>>,
    notes: &'o [String],
}

#[derive(Serialize)]
struct Rule<'o> {
    alert: &'o str,
    file: &'o str,
    group: &'o str,
    line: usize,
    expr: &'o str,
    conditions: Vec<Compared>,
    for_seconds: f64,
    step_seconds: f64,
    fired: bool,
    alerts: Vec<Alert<'o>>,
    alerts_left_out: usize,
    why_not: Vec<WhyNot<'o>>,
}

/// A comparison of the expression: what is compared, and with what.
#[derive(Serialize)]
struct Compared {
    left: String,
    op: String,
    right: String,
    /// What the right side is, where it is the same at all times.
    bound: Option<String>,
}

#[derive(Serialize)]
struct Alert<'o> {
    labels: BTreeMap<&'o str, &'o str>,
    pending_at: String,
    fired_at: Option<String>,
    ended_at: Option<String>,
    value: String,
}

#[derive(Serialize)]
struct WhyNot<'o> {
    kind: &'static str,
    text: &'o str,
    evidence: &'o [Evidence],
}

#[derive(Serialize)]
struct Happened<'o> {
    kind: &'static str,
    owner: &'o str,
    labels: BTreeMap<&'o str, &'o str>,
    moments: Vec<Moment>,
    note: &'o str,
    warned: Vec<Warned<'o>>,
}

#[derive(Serialize)]
struct Moment {
    at: String,
    down_seconds: Option<f64>,
}

#[derive(Serialize)]
struct Warned<'o> {
    alert: &'o str,
    labels: BTreeMap<&'o str, &'o str>,
    fired_at: Option<String>,
    lead_seconds: Option<f64>,
    late_seconds: Option<f64>,
}

/// The document of what came of a backtest.
pub(crate) fn document<'o>(outcome: &'o Outcome<'_>) -> Document<'o> {
    let rules = outcome.courses.iter().zip(&outcome.reasons);
    Document {
        schema: SCHEMA,
        from: outcome.period.from.to_string(),
        to: outcome.period.to.to_string(),
        scrape_seconds: outcome.scrape.map(|every| every.as_secs_f64()),
        rules: rules.map(|(course, reasons)| rule(course, reasons)).collect(),
        incidents: outcome.incidents.iter().map(|one| happened(one, outcome)).collect(),
        notes: &outcome.notes,
    }
}

fn rule<'o>(course: &'o Course<'_>, reasons: &'o [Reason]) -> Rule<'o> {
    Rule {
        alert: course.name(),
        file: course.file,
        group: course.group,
        line: course.rule.place.line,
        expr: &course.rule.expr,
        conditions: course.rule.query.conditions().iter().map(compared).collect(),
        for_seconds: course.hold().as_secs_f64(),
        step_seconds: course.step.as_secs_f64(),
        fired: course.fired().next().is_some(),
        alerts: course.lives.iter().map(alert).collect(),
        alerts_left_out: course.uncounted,
        why_not: reasons.iter().map(why_not).collect(),
    }
}

fn compared(condition: &Condition) -> Compared {
    Compared {
        left: condition.left.to_string(),
        op: condition.op.to_string(),
        right: condition.right.to_string(),
        bound: condition.bound.map(|bound| bound.to_string()),
    }
}

fn alert(life: &Life) -> Alert<'_> {
    Alert {
        labels: pairs(&life.labels),
        pending_at: life.pending.to_string(),
        fired_at: moment(life.fired),
        ended_at: moment(life.ended),
        value: life.value.to_string(),
    }
}

fn why_not(reason: &Reason) -> WhyNot<'_> {
    let claim = &reason.claim;
    WhyNot { kind: reason.why.name(), text: &claim.text, evidence: &claim.evidence }
}

fn happened<'o>(incident: &'o Incident, outcome: &'o Outcome<'_>) -> Happened<'o> {
    let moments = incident.moments.iter().map(|one| Moment {
        at: one.at.to_string(),
        down_seconds: one.down.map(|down| down.as_secs_f64()),
    });
    Happened {
        kind: incident.sort.name(),
        owner: &incident.owner,
        labels: pairs(&incident.labels),
        moments: moments.collect(),
        note: &incident.note,
        warned: warnings(incident, &outcome.courses).iter().map(warned).collect(),
    }
}

fn warned<'o>(warning: &Warning<'o>) -> Warned<'o> {
    Warned {
        alert: warning.course.name(),
        labels: pairs(&warning.life.labels),
        fired_at: moment(warning.life.fired),
        lead_seconds: warning.lead.map(|lead| lead.as_secs_f64()),
        late_seconds: warning.late.map(|late| late.as_secs_f64()),
    }
}

fn pairs(labels: &Labels) -> BTreeMap<&str, &str> {
    labels.iter().collect()
}

fn moment(at: Option<WallTime>) -> Option<String> {
    at.map(|at| at.to_string())
}
