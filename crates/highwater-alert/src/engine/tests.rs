use std::time::Duration;

use highwater_core::series::{Labels, NAME, Point, is_stale};
use highwater_core::time::WallTime;
use highwater_promql::notation::{Line, Memory};

use super::{GroupState, Health, Recorded, Terms, evaluate};
use crate::alert::Alert;
use crate::alert::State::{self, Firing, Inactive, Pending};
use crate::rule::{Group, RuleFile};

const STEP: Duration = Duration::from_mins(1);

/// A group as it is evaluated minute by minute over what was written down.
struct Trial {
    group: Group,
    state: GroupState,
    memory: Memory,
    at: WallTime,
}

impl Trial {
    fn new(rules: &str, series: &[&str]) -> Self {
        let mut memory = Memory::default();
        for line in series {
            memory.load(&Line::read(line).unwrap(), 60_000);
        }
        let group = group(rules);
        let state = GroupState::new(&group);
        Self { group, state, memory, at: WallTime::from_millis(0) }
    }

    /// One evaluation, a minute after the one before; the state is written and read in between.
    fn round(&mut self) -> Vec<Recorded> {
        let written = serde_json::to_string(&self.state).unwrap();
        let mut state: GroupState = serde_json::from_str(&written).unwrap();
        assert_eq!(format!("{state:?}"), format!("{:?}", self.state));
        let recorded = evaluate(&self.group, &mut state, &self.memory, self.at, &Terms::default());
        for Recorded { labels, at, value } in &recorded {
            self.memory.put(labels.clone(), Point { at: *at, value: *value });
        }
        self.state = state;
        self.at = self.at.after(STEP);
        recorded
    }

    fn states(&self) -> Vec<State> {
        let alerts = self.state.rules.iter().flat_map(|rule| &rule.alerts);
        alerts.map(|alert| alert.state).collect()
    }

    fn error(&self, at: usize) -> &str {
        self.state.rules[at].error.as_deref().unwrap_or_default()
    }
}

fn group(rules: &str) -> Group {
    let text = format!("groups:\n- name: g\n{rules}");
    RuleFile::read("test.yml", &text).unwrap().groups.remove(0)
}

fn sorted<const N: usize>(mut lines: [String; N]) -> [String; N] {
    lines.sort();
    lines
}

/// The series that are recorded, ends with a dagger.
fn said(recorded: &[Recorded]) -> Vec<String> {
    let end = |sample: &Recorded| if is_stale(sample.value) { "†" } else { "" };
    let mut said: Vec<String> =
        recorded.iter().map(|sample| format!("{}{}", sample.labels, end(sample))).collect();
    said.sort();
    said
}

#[test]
fn an_alert_waits_fires_is_kept_and_ends() {
    let rules = "  rules:\n  - alert: Low\n    expr: x < 5\n    for: 2m\n    keep_firing_for: 2m\n";
    let mut trial = Trial::new(rules, &["x 9 1 1 1 1 9 1 9 9 9 9 1"]);
    let mut seen = Vec::new();
    for _ in 0..12 {
        trial.round();
        seen.push(trial.states());
    }
    let wanted = [
        vec![],
        vec![Pending],
        vec![Pending],
        vec![Firing],
        vec![Firing],
        vec![Firing], // kept
        vec![Firing], // matches again
        vec![Firing], // kept anew
        vec![Firing],
        vec![Inactive],
        vec![Inactive],
        vec![Pending], // a new one
    ];
    assert_eq!(seen, wanted);
    let alert: &Alert = &trial.state.rules[0].alerts[0];
    assert_eq!(alert.active_at, WallTime::from_millis(11 * 60_000));
    assert_eq!((alert.fired_at, alert.resolved_at), (None, None));
}

#[test]
fn what_ended_is_told_for_fifteen_minutes() {
    let rules = "  rules:\n  - alert: Low\n    expr: x < 5\n";
    let mut trial = Trial::new(rules, &["x 1 9x40"]);
    trial.round();
    assert_eq!(trial.states(), [State::Firing]);
    for _ in 0..16 {
        trial.round();
        assert_eq!(trial.states(), [State::Inactive]);
    }
    trial.round();
    assert_eq!(trial.states(), []);
}

#[test]
fn series_of_alerts_end_when_they_change() {
    let rules =
        "  rules:\n  - alert: Low\n    expr: x < 5\n    for: 1m\n    labels: {severity: page}\n";
    let mut trial = Trial::new(rules, &["x{job=\"a\"} 1 1 9"]);
    let of = |name: &str, state: &str, end: &str| {
        let mut labels =
            Labels::new([(NAME, name), ("alertname", "Low"), ("job", "a"), ("severity", "page")]);
        labels.set("alertstate", state);
        format!("{labels}{end}")
    };
    let first = trial.round();
    assert_eq!(said(&first), sorted([of("ALERTS", "pending", ""), of("ALERTS_FOR_STATE", "", "")]));
    let second =
        [of("ALERTS", "firing", ""), of("ALERTS", "pending", "†"), of("ALERTS_FOR_STATE", "", "")];
    assert_eq!(said(&trial.round()), sorted(second));
    let third = [of("ALERTS", "firing", "†"), of("ALERTS_FOR_STATE", "", "†")];
    assert_eq!(said(&trial.round()), sorted(third));
    assert!(trial.round().is_empty());
}

#[test]
fn later_rules_see_what_earlier_ones_record() {
    let rules = "  rules:\n  - record: twice\n    expr: 2 * x\n    labels: {from: x}\n  - alert: Much\n    expr: twice > 5\n    annotations: {text: '{{ $value }} of {{ $labels.from }}, {{ with query \"twice\" }}{{ . | first | value }}{{ end }}'}\n";
    let mut trial = Trial::new(rules, &["x 1 3"]);
    assert_eq!(said(&trial.round()), [r#"twice{from="x"}"#]);
    trial.round();
    let alert = &trial.state.rules[1].alerts[0];
    assert_eq!(alert.annotations.get("text"), "6 of x, 6");
    assert_eq!(alert.labels, Labels::new([("alertname", "Much"), ("from", "x")]));
}

#[test]
fn faults_keep_the_state_and_limits_clear_it() {
    let rules = "  limit: 1\n  rules:\n  - alert: Low\n    expr: x < 5\n  - alert: Same\n    expr: x < 5\n    labels: {job: same}\n  - record: r\n    expr: x\n";
    let mut trial = Trial::new(rules, &["x{job=\"a\"} 1 1", "x{job=\"b\"} 9 1"]);
    trial.round();
    assert_eq!(trial.state.rules[0].health, Health::Ok);
    assert!(trial.error(2).contains("exceeded limit of 1 with 2 series"), "{}", trial.error(2));
    trial.round();
    assert!(trial.error(0).contains("exceeded limit of 1 with 2 alerts"), "{}", trial.error(0));
    assert!(trial.state.rules[0].alerts.is_empty());
    assert!(trial.error(1).contains("same labelset after applying alert labels"));
    assert_eq!(trial.state.rules[1].alerts.len(), 1);
}

#[test]
fn a_reload_keeps_what_is_the_same_and_ends_the_rest() {
    let rules = "  rules:\n  - alert: Low\n    expr: x < 5\n  - record: gone\n    expr: x\n";
    let mut trial = Trial::new(rules, &["x 1 1 1 1 1 1 1 1"]);
    trial.round();
    trial.round();
    let longer =
        "  rules:\n  - record: new\n    expr: x\n  - alert: Low\n    expr: x < 6\n    for: 5m\n";
    trial.group = group(longer);
    trial.state = trial.state.clone().reloaded(&trial.group);
    let recorded = said(&trial.round());
    assert!(recorded.contains(&"gone†".to_owned()), "{recorded:?}");
    assert!(recorded.contains(&"new".to_owned()), "{recorded:?}");
    assert_eq!(trial.states(), [State::Pending]);
    assert_eq!(trial.state.rules[1].alerts[0].active_at, WallTime::from_millis(0));
    trial.round();
    trial.round();
    assert_eq!(trial.states(), [State::Pending]);
    trial.round();
    assert_eq!(trial.states(), [State::Firing]);
}

#[test]
fn an_offset_asks_the_past() {
    let rules = "  query_offset: 1m\n  rules:\n  - record: r\n    expr: x\n";
    let mut trial = Trial::new(rules, &["x 1 2 3"]);
    trial.round();
    let recorded = trial.round();
    assert_eq!(recorded[0].at, WallTime::from_millis(0));
    assert!((recorded[0].value - 1.0).abs() < f64::EPSILON);
}
