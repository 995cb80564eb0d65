//! Rules and alerts, as Prometheus and Grafana read them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use highwater_alert::{GroupState, RuleFile, Terms, Timer, evaluate};
use highwater_core::series::{Matcher, NAME, Selection, Series, SeriesSource, SourceError};
use highwater_core::time::WallTime;
use highwater_web::{Api, History, Limits, Reading, Ruled};
use serde_json::{Value, json};

const RULES: &str = "
groups:
  - name: one
    interval: 30s
    limit: 5
    rules:
      - record: seven
        expr: vector(7)
      - alert: Seven
        expr: seven > 6
        labels: {severity: page}
        annotations: {summary: 'it is {{ $value }}'}
      - alert: Soon
        expr: seven
        for: 5m
        keep_firing_for: 1m
  - name: other
    rules:
      - alert: Wrong
        expr: other
";

/// Rules that were evaluated once.
struct Evaluated {
    file: RuleFile,
    states: Vec<GroupState>,
}

/// There are no samples, and one metric cannot even be looked for.
struct Nothing;

impl SeriesSource for Nothing {
    fn select(&self, selection: &Selection) -> Result<Vec<Series>, SourceError> {
        if !selection.matchers.contains(&Matcher::is(NAME, "other")) {
            return Ok(vec![]);
        }
        Err(SourceError { what: "the disk is \"gone\"".to_owned(), cause: None })
    }

    fn name(&self) -> &'static str {
        "nothing"
    }
}

impl History for Evaluated {
    fn now(&self) -> WallTime {
        WallTime::default()
    }

    fn rules(&self, give: &mut dyn FnMut(Ruled<'_>)) {
        for (group, state) in self.file.groups.iter().zip(&self.states) {
            let (interval, lasted) = (Duration::from_secs(30), Duration::from_millis(2));
            give(Ruled { file: "a.yml", group, state, interval, lasted });
        }
    }

    fn rule_faults(&self) -> Vec<String> {
        vec!["b.yml:3:5: bad".to_owned()]
    }

    fn read(&self, _: &mut dyn FnMut(&dyn Reading)) -> Result<(), SourceError> {
        unreachable!("rules are no part of the history")
    }
}

fn api() -> Api {
    let file = RuleFile::read("a.yml", RULES).unwrap();
    let at = WallTime::from_millis(1_700_000_000_000);
    let round = |group| {
        let mut state = GroupState::new(group);
        let passed = AtomicU64::new(0);
        let timer =
            Timer::new(move || Duration::from_millis(passed.fetch_add(3, Ordering::Relaxed)));
        evaluate(group, &mut state, &Nothing, at, &Terms { timer, ..Terms::default() });
        state
    };
    let states = file.groups.iter().map(round).collect();
    Api::new(Arc::new(Evaluated { file, states }), Limits::default())
}

fn ask(path: &str, parameters: &str) -> (u16, Value) {
    let (status, body) = api().ask(&format!("/api/v1/{path}"), parameters, b"");
    (status, serde_json::from_slice(&body).unwrap())
}

/// The names of the rules that are told, group by group.
fn names(parameters: &str) -> Vec<Vec<String>> {
    let (status, answer) = ask("rules", parameters);
    assert_eq!(status, 200, "{answer}");
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let name = |rule: &Value| rule["name"].as_str().unwrap().to_owned();
    let of = |group: &Value| list(&group["rules"]).iter().map(name).collect();
    list(&answer["data"]["groups"]).iter().map(of).collect()
}

#[test]
fn rules_are_told_with_their_alerts_and_what_is_wrong_with_them() {
    let (status, answer) = ask("rules", "");
    assert_eq!((status, &answer["warnings"]), (200, &json!(["b.yml:3:5: bad"])));
    let of = |path: &str| answer.pointer(&format!("/data/groups/{path}")).cloned();
    for (path, value) in [
        ("0/name", json!("one")),
        ("0/file", json!("a.yml")),
        ("0/interval", json!(30)),
        ("0/limit", json!(5)),
        ("0/evaluationTime", json!(0.002)),
        ("0/lastEvaluation", json!("2023-11-14T22:13:20.000Z")),
        ("0/rules/0/type", json!("recording")),
        ("0/rules/0/query", json!("vector(7)")),
        ("0/rules/0/health", json!("ok")),
        ("0/rules/0/evaluationTime", json!(0.003)),
        ("0/rules/1/type", json!("alerting")),
        ("0/rules/1/state", json!("firing")),
        ("0/rules/1/labels", json!({"severity": "page"})),
        ("0/rules/1/alerts/0/labels", json!({"alertname": "Seven", "severity": "page"})),
        ("0/rules/1/alerts/0/annotations", json!({"summary": "it is 7"})),
        ("0/rules/1/alerts/0/value", json!("7e+00")),
        ("0/rules/2/state", json!("pending")),
        ("0/rules/2/duration", json!(300)),
        ("0/rules/2/keepFiringFor", json!(60)),
        ("1/rules/0/health", json!("err")),
    ] {
        assert_eq!(of(path), Some(value), "{path}");
    }
    let error = of("1/rules/0/lastError").unwrap();
    assert!(error.as_str().unwrap().contains("the disk is \"gone\""), "{error}");
}

#[test]
fn rules_are_chosen_by_kind_name_group_and_file() {
    assert_eq!(names("type=record"), [["seven"]]);
    assert_eq!(names("type=alert"), [vec!["Seven", "Soon"], vec!["Wrong"]]);
    assert_eq!(names("rule_name[]=Seven&rule_name[]=Wrong"), [["Seven"], ["Wrong"]]);
    assert_eq!(names("rule_group[]=other"), [["Wrong"]]);
    assert_eq!(names("file[]=b.yml").len(), 0);
    assert!(
        ask("rules", "exclude_alerts=true").1.pointer("/data/groups/0/rules/1/alerts").is_none()
    );
    assert_eq!(ask("rules", "type=other").0, 400);
    assert_eq!(ask("rules", "exclude_alerts=perhaps").1["errorType"], "bad_data");
}

#[test]
fn alerts_are_those_that_are_pending_or_fire() {
    let (_, answer) = ask("alerts", "");
    let all = answer["data"]["alerts"].as_array().unwrap();
    let states: Vec<&str> = all.iter().map(|alert| alert["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["firing", "pending"]);
    assert_eq!(all[0]["activeAt"], "2023-11-14T22:13:20.000Z");
}
