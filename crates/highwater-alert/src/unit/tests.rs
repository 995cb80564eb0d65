use super::TestFile;
use crate::rule::RuleFile;

const RULES: &str = "
groups:
- name: g
  rules:
  - record: low
    expr: x < 5
  - alert: Low
    expr: low
    for: 1m
    annotations: {text: 'x is {{ $value }}'}
";

fn verdict(test: &str) -> super::Verdict {
    let rules = RuleFile::read("rules.yml", RULES).unwrap();
    TestFile::read("test.yml", test).unwrap().run(&[rules])
}

#[test]
fn what_is_expected_is_found() {
    let verdict = verdict(
        "rule_files: [rules.yml]
tests:
- interval: 1m
  input_series: [{series: 'x{a=\"b\"}', values: '9 1 2 9'}]
  alert_rule_test:
  - {eval_time: 1m, alertname: Low}
  - {eval_time: 2m, alertname: Low, exp_alerts: [{exp_labels: {a: b}, exp_annotations: {text: x is 2}}]}
  - {eval_time: 3m, alertname: Low, exp_alerts: []}
  promql_expr_test:
  - {expr: 'ALERTS{alertstate=\"firing\"}', eval_time: 2m, exp_samples: [{labels: 'ALERTS{a=\"b\",alertname=\"Low\",alertstate=\"firing\"}', value: 1}]}
  - {expr: low, eval_time: 3m}
",
    );
    assert_eq!(verdict.cases, 5);
    assert!(verdict.failures.is_empty(), "{:?}", verdict.failures);
}

#[test]
fn what_differs_is_told_with_its_place() {
    let verdict = verdict(
        "rule_files: [rules.yml]
tests:
- interval: 1m
  name: mine
  input_series: [{series: x, values: '1x5'}]
  alert_rule_test:
  - {eval_time: 2m, alertname: Low, exp_alerts: [{exp_labels: {a: b}}]}
  promql_expr_test:
  - {expr: x, eval_time: 2m, exp_samples: [{labels: x, value: 2}]}
",
    );
    let [alert, expr] = &*verdict.failures else { panic!("{verdict:?}") };
    assert_eq!(alert.to_string(), "test.yml:7:5: the alert Low at 2m is not as expected");
    assert_eq!(alert.wanted, [r#"{a="b",alertname="Low"}"#]);
    assert_eq!(alert.got, [r#"{alertname="Low"} text="x is 1""#]);
    assert_eq!((&*expr.wanted[0], &*expr.got[0]), ("x 2", "x 1"));
    assert_eq!(expr.test, "mine");
}

#[test]
fn faults_of_a_file_are_all_told() {
    let faults = TestFile::read(
        "test.yml",
        "rule_file: [a]
tests:
- interval: soon
  input_series: [{series: 'x{', values: '1'}, {series: x, values: '1 y'}]
  alert_rule_test: [{eval_time: 1m}]
  promql_expr_test: [{expr: 'x +', exp_samples: [{labels: x, value: much}, {histogram: '{{}}'}]}]
group_eval_order: [a, a]
",
    )
    .unwrap_err();
    let lines: Vec<usize> = faults.iter().map(|fault| fault.place.line).collect();
    assert_eq!(lines, [1, 3, 4, 4, 5, 6, 6, 6, 7], "{faults:#?}");
}

#[test]
fn endless_tests_end() {
    let verdict = verdict(
        "evaluation_interval: 1ms
tests:
- interval: 1m
  alert_rule_test: [{eval_time: 1y, alertname: Low}]
",
    );
    assert!(verdict.failures[0].what.contains("longer interval"));
}
