//! `rules` and `alerts`: the rules that are evaluated beside the history, and how they stand.

use std::io::Write as _;
use std::time::Duration;

use highwater_alert::{Alert, Group, GroupState, Kind, Rule, RuleState, State};
use highwater_core::series::Labels;
use highwater_core::time::WallTime;

use super::answered::Answered;
use super::failure::Failure;
use super::form::Form;
use super::{Api, json};

/// A group of rules, and how it stands.
#[derive(Clone, Copy, Debug)]
pub struct Ruled<'a> {
    /// The file that it stands in.
    pub file: &'a str,
    /// Its rules.
    pub group: &'a Group,
    /// How they stand.
    pub state: &'a GroupState,
    /// How often it is evaluated.
    pub interval: Duration,
    /// How long that took the last time.
    pub lasted: Duration,
}

/// Which rules are asked for.
struct Filter<'a> {
    alerts: bool,
    records: bool,
    /// Whether each rule's alerts are told with it.
    active: bool,
    form: &'a Form,
}

impl<'a> Filter<'a> {
    fn of(form: &'a Form) -> Result<Self, Failure> {
        let (alerts, records) = match form.get("type").to_lowercase().as_str() {
            "" => (true, true),
            "alert" => (true, false),
            "record" => (false, true),
            other => return Err(Failure::bad(format!("not supported value {other:?}"))),
        };
        let active = match form.get("exclude_alerts") {
            "" | "0" | "f" | "F" | "false" | "False" | "FALSE" => true,
            "1" | "t" | "T" | "true" | "True" | "TRUE" => false,
            other => {
                let text = format!("invalid parameter \"exclude_alerts\": {other:?} is no truth");
                return Err(Failure::bad(text));
            }
        };
        Ok(Self { alerts, records, active, form })
    }

    /// Whether `value` is among those asked for under `name`, or none is.
    fn names(&self, name: &str, value: &str) -> bool {
        let mut wanted = self.form.all(name).peekable();
        wanted.peek().is_none() || wanted.any(|one| one == value)
    }

    fn takes(&self, rule: &Rule) -> bool {
        let (name, is_kind) = match &rule.kind {
            Kind::Alert { name, .. } => (name, self.alerts),
            Kind::Record(name) => (name, self.records),
        };
        is_kind && self.names("rule_name[]", name)
    }
}

/// `rules`.
pub(super) fn rules(api: &Api, form: &Form) -> Result<Answered, Failure> {
    let filter = Filter::of(form)?;
    let mut out = br#"{"groups":["#.to_vec();
    let mut first = true;
    api.history.rules(&mut |ruled| {
        let is_asked =
            filter.names("rule_group[]", &ruled.group.name) && filter.names("file[]", ruled.file);
        let rules = ruled.group.rules.iter().zip(&ruled.state.rules);
        let asked: Vec<_> = rules.filter(|(rule, _)| filter.takes(rule)).collect();
        if !is_asked || (asked.is_empty() && !ruled.group.rules.is_empty()) {
            return;
        }
        if !std::mem::take(&mut first) {
            out.push(b',');
        }
        put_group(&mut out, ruled, &asked, filter.active);
    });
    out.extend_from_slice(b"]}");
    Ok(Answered { warnings: api.history.rule_faults(), ..Answered::json(out) })
}

/// `alerts`: those that are pending or fire.
pub(super) fn alerts(api: &Api) -> Answered {
    let mut out = br#"{"alerts":["#.to_vec();
    let mut first = true;
    api.history.rules(&mut |ruled| {
        for alert in ruled.state.rules.iter().flat_map(active) {
            if !std::mem::take(&mut first) {
                out.push(b',');
            }
            put_alert(&mut out, alert);
        }
    });
    out.extend_from_slice(b"]}");
    Answered::json(out)
}

fn active(state: &RuleState) -> impl Iterator<Item = &Alert> {
    state.alerts.iter().filter(|alert| alert.state != State::Inactive)
}

fn put_group(out: &mut Vec<u8>, group: Ruled<'_>, rules: &[(&Rule, &RuleState)], active: bool) {
    let Ruled { file, group, state, interval, lasted } = group;
    field(out, b'{', "name", &group.name);
    field(out, b',', "file", file);
    out.extend_from_slice(br#","rules":"#);
    json::list(out, rules, |out, (rule, state)| put_rule(out, rule, state, active));
    let last = state.rules.iter().filter_map(|rule| rule.evaluated_at).max();
    put(
        out,
        &format!(
            r#","interval":{},"limit":{},"evaluationTime":{},"lastEvaluation":"{}"}}"#,
            interval.as_secs_f64(),
            group.limit,
            lasted.as_secs_f64(),
            moment(last),
        ),
    );
}

fn put_rule(out: &mut Vec<u8>, rule: &Rule, state: &RuleState, with_alerts: bool) {
    match &rule.kind {
        Kind::Alert { name, hold, keep, annotations } => {
            let worst = active(state).map(|alert| alert.state).max().unwrap_or(State::Inactive);
            field(out, b'{', "state", worst.word());
            field(out, b',', "name", name);
            field(out, b',', "query", &rule.expr);
            let (hold, keep) = (hold.as_secs_f64(), keep.as_secs_f64());
            put(out, &format!(r#","duration":{hold},"keepFiringFor":{keep},"labels":"#));
            json::labels(out, &pairs(&rule.labels));
            put(out, r#","annotations":"#);
            json::labels(out, &pairs(annotations));
            if with_alerts {
                put(out, r#","alerts":"#);
                json::list(out, active(state), put_alert);
            }
            put_health(out, state);
            put(out, r#","type":"alerting"}"#);
        }
        Kind::Record(name) => {
            field(out, b'{', "name", name);
            field(out, b',', "query", &rule.expr);
            if !rule.labels.is_empty() {
                put(out, r#","labels":"#);
                json::labels(out, &pairs(&rule.labels));
            }
            put_health(out, state);
            put(out, r#","type":"recording"}"#);
        }
    }
}

fn put_health(out: &mut Vec<u8>, state: &RuleState) {
    field(out, b',', "health", state.health.word());
    if let Some(error) = &state.error {
        field(out, b',', "lastError", error);
    }
    put(out, &format!(r#","evaluationTime":{}"#, state.lasted.as_secs_f64()));
    field(out, b',', "lastEvaluation", &moment(state.evaluated_at));
}

fn put_alert(out: &mut Vec<u8>, alert: &Alert) {
    put(out, r#"{"labels":"#);
    json::labels(out, &alert.labels);
    put(out, r#","annotations":"#);
    json::labels(out, &alert.annotations);
    field(out, b',', "state", alert.state.word());
    field(out, b',', "activeAt", &moment(Some(alert.active_at)));
    if let Some(since) = alert.keep_firing_since {
        field(out, b',', "keepFiringSince", &moment(Some(since)));
    }
    field(out, b',', "value", &scientific(alert.value));
    out.push(b'}');
}

/// A value as Prometheus writes those of alerts: `7e+00`.
fn scientific(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = exponent.strip_prefix('-').map_or(("+", exponent), |e| ("-", e));
    format!("{digits}e{sign}{exponent:0>2}")
}

/// A moment; that of what never was is the first of the calendar.
fn moment(at: Option<WallTime>) -> String {
    at.map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), |at| at.to_string())
}

fn pairs(labels: &[(String, String)]) -> Labels {
    Labels::new(labels.iter().cloned())
}

fn field(out: &mut Vec<u8>, before: u8, name: &str, value: &str) {
    out.push(before);
    json::text(out, name);
    out.push(b':');
    json::text(out, value);
}

fn put(out: &mut Vec<u8>, text: &str) {
    // Writing to a vector cannot fail.
    out.write_all(text.as_bytes()).unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_prometheus_writes_those_of_alerts() {
        for (value, text) in
            [(7.0, "7e+00"), (0.05, "5e-02"), (1e100, "1e+100"), (f64::INFINITY, "+Inf")]
        {
            assert_eq!(scientific(value), text);
        }
    }
}
