//! Runs tests: rules are evaluated step by step over what is written down, as promtool does it.

use std::cmp::Ordering;
use std::fmt::Write as _;
use std::time::Duration;

use highwater_core::series::{Labels, Point};
use highwater_core::time::WallTime;
use highwater_promql::notation::Memory;
use highwater_promql::{Options, Value};

use super::{AlertCase, ExprCase, Failure, Test, TestFile, Verdict};
use crate::alert::State;
use crate::engine::{GroupState, Terms, evaluate};
use crate::rule::{Group, RuleFile};

/// Evaluations of one test; a month at one minute has a fifth of them.
const MOST_STEPS: u128 = 200_000;
/// Values that differ by less of themselves are equal where rounding is forgiven.
const FUZZ: f64 = 1e-6;

impl TestFile {
    /// Runs its tests on these rules.
    pub fn run(&self, rules: &[RuleFile]) -> Verdict {
        let mut verdict = Verdict::default();
        for test in &self.tests {
            let mut groups: Vec<&Group> = rules.iter().flat_map(|file| &file.groups).collect();
            groups.sort_by_key(|group| {
                self.order.iter().position(|name| *name == group.name).unwrap_or(0)
            });
            let mut trial = Trial::new(self, test, &groups);
            trial.run();
            verdict.cases =
                verdict.cases.saturating_add(test.alerts.len()).saturating_add(test.exprs.len());
            verdict.failures.extend(trial.failures);
        }
        verdict
    }
}

/// One test as it runs.
struct Trial<'a> {
    file: &'a TestFile,
    test: &'a Test,
    groups: Vec<(&'a Group, GroupState)>,
    terms: Terms,
    memory: Memory,
    failures: Vec<Failure>,
}

impl<'a> Trial<'a> {
    fn new(file: &'a TestFile, test: &'a Test, groups: &[&'a Group]) -> Self {
        let step = i64::try_from(test.interval.as_millis()).unwrap_or(i64::MAX);
        let mut memory = Memory::default();
        for line in &test.series {
            memory.load_from(line, test.start, step);
        }
        Self {
            file,
            test,
            groups: groups.iter().map(|group| (*group, GroupState::new(group))).collect(),
            terms: Terms {
                external_labels: test.external_labels.clone(),
                external_url: test.external_url.clone(),
                options: Options { subquery_step: file.every, ..Options::default() },
                ..Terms::default()
            },
            memory,
            failures: Vec::new(),
        }
    }

    fn run(&mut self) {
        let test = self.test;
        let last = test.alerts.iter().map(|case| case.after);
        let last = last.chain(test.exprs.iter().map(|case| case.after)).max().unwrap_or_default();
        if last.as_millis() / self.file.every.as_millis().max(1) > MOST_STEPS {
            let what = format!("more than {MOST_STEPS} evaluations: take a longer interval");
            self.fail(test.place, what, Vec::new(), Vec::new());
            return;
        }
        let mut after = Duration::ZERO;
        while after <= last {
            if !self.step(after) {
                return;
            }
            let next = after.saturating_add(self.file.every);
            let due = test.alerts.iter().filter(|case| after <= case.after && case.after < next);
            for case in due {
                self.judge_alerts(case);
            }
            after = next;
        }
        for case in &test.exprs {
            self.judge_expr(case);
        }
    }

    /// Evaluates all groups; whether all rules could be.
    fn step(&mut self, after: Duration) -> bool {
        let at = self.test.start.after(after);
        let mut faults = Vec::new();
        for (group, state) in &mut self.groups {
            for sample in evaluate(group, state, &self.memory, at, &self.terms) {
                self.memory.put(sample.labels, Point { at: sample.at, value: sample.value });
            }
            for (rule, state) in group.rules.iter().zip(&state.rules) {
                if let Some(error) = &state.error {
                    faults.push((rule.name().to_owned(), error.clone()));
                }
            }
        }
        for (name, error) in &faults {
            let after = crate::span::written(after);
            let what = format!("the rule {name} could not be evaluated at {after}: {error}");
            self.fail(self.test.place, what, Vec::new(), Vec::new());
        }
        faults.is_empty()
    }

    fn judge_alerts(&mut self, case: &AlertCase) {
        let rules =
            self.groups.iter().flat_map(|(group, state)| group.rules.iter().zip(&state.rules));
        let named = rules.filter(|(rule, _)| rule.word() == "alert" && rule.name() == case.name);
        let firing = named
            .flat_map(|(_, state)| &state.alerts)
            .filter(|alert| alert.state == State::Firing)
            .map(|alert| (alert.labels.clone(), alert.annotations.clone()));
        let mut got: Vec<(Labels, Labels)> = firing.collect();
        let mut wanted = case.wanted.clone();
        got.sort();
        wanted.sort();
        if got != wanted {
            let after = crate::span::written(case.after);
            let what = format!("the alert {} at {after} is not as expected", case.name);
            self.fail(case.place, what, wanted.iter().map(alert_line), got.iter().map(alert_line));
        }
    }

    fn judge_expr(&mut self, case: &ExprCase) {
        let at = self.test.start.after(case.after);
        let after = crate::span::written(case.after);
        let expr = &case.expr;
        let mut got = match self.ask(case, at) {
            Ok(got) => got,
            Err(error) => {
                let what = format!("the expression {expr} at {after} has no answer: {error}");
                self.fail(case.place, what, Vec::new(), Vec::new());
                return;
            }
        };
        let mut wanted = case.wanted.clone();
        got.sort_by(|a, b| a.0.cmp(&b.0));
        wanted.sort_by(|a, b| a.0.cmp(&b.0));
        let same = got.len() == wanted.len()
            && got.iter().zip(&wanted).all(|(a, b)| a.0 == b.0 && self.equal(a.1, b.1));
        if !same {
            let what = format!("the expression {expr} at {after} is not as expected");
            self.fail(
                case.place,
                what,
                wanted.iter().map(sample_line),
                got.iter().map(sample_line),
            );
        }
    }

    fn ask(&self, case: &ExprCase, at: WallTime) -> Result<Vec<(Labels, f64)>, String> {
        let answer = highwater_promql::instant(&case.query, &self.memory, at, &self.terms.options);
        match answer.map_err(|error| error.text)?.value {
            Value::Vector(vector) => {
                Ok(vector.into_iter().map(|(labels, point)| (labels, point.value)).collect())
            }
            Value::Scalar(point) => Ok(vec![(Labels::default(), point.value)]),
            _ => Err("rule result is not a vector or scalar".to_owned()),
        }
    }

    fn equal(&self, a: f64, b: f64) -> bool {
        // The two zeros are equal, and whatever is not a number is.
        let exact = a.partial_cmp(&b) == Some(Ordering::Equal) || a.is_nan() && b.is_nan();
        exact || self.file.fuzzy && (a - b).abs() / (a.abs() + b.abs()).min(f64::MAX) < FUZZ
    }

    fn fail(
        &mut self,
        place: crate::fault::Place,
        what: String,
        wanted: impl IntoIterator<Item = String>,
        got: impl IntoIterator<Item = String>,
    ) {
        self.failures.push(Failure {
            file: self.file.name.clone(),
            place,
            test: self.test.name.clone(),
            what,
            wanted: wanted.into_iter().collect(),
            got: got.into_iter().collect(),
        });
    }
}

fn alert_line((labels, annotations): &(Labels, Labels)) -> String {
    let mut line = labels.to_string();
    for (name, text) in annotations.iter() {
        // Writing to a text cannot fail.
        let _written = write!(line, " {name}={text:?}");
    }
    line
}

fn sample_line((labels, value): &(Labels, f64)) -> String {
    format!("{labels} {value}")
}
