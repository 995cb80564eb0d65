//! Unit tests of rules in promtool's files: series that are written down, and what rules make of
//! them at which moment.

mod read;
mod run;

use std::fmt;
use std::time::Duration;

use highwater_core::series::Labels;
use highwater_core::time::WallTime;
use highwater_promql::Query;
use highwater_promql::notation::Line;

use crate::fault::Place;

/// A file of tests.
#[derive(Clone, Debug)]
pub struct TestFile {
    /// How it is called where it is spoken of.
    pub name: String,
    /// Paths and patterns of the rule files, relative to its own.
    pub rule_files: Vec<String>,
    /// How often rules are evaluated.
    every: Duration,
    /// Names of groups that are evaluated in this order.
    order: Vec<String>,
    /// Whether values that differ by rounding are equal.
    fuzzy: bool,
    tests: Vec<Test>,
}

/// Series and what is expected of them.
#[derive(Clone, Debug)]
struct Test {
    place: Place,
    name: String,
    /// So far apart the samples are.
    interval: Duration,
    start: WallTime,
    series: Vec<Line>,
    alerts: Vec<AlertCase>,
    exprs: Vec<ExprCase>,
    external_labels: Labels,
    external_url: String,
}

/// Alerts that fire at a moment.
#[derive(Clone, Debug)]
struct AlertCase {
    place: Place,
    after: Duration,
    name: String,
    /// Their labels and annotations.
    wanted: Vec<(Labels, Labels)>,
}

/// What an expression gives at a moment.
#[derive(Clone, Debug)]
struct ExprCase {
    place: Place,
    after: Duration,
    expr: String,
    query: Query,
    wanted: Vec<(Labels, f64)>,
}

/// How the tests of a file went.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// So many cases were judged.
    pub cases: usize,
    /// What was not as expected.
    pub failures: Vec<Failure>,
}

/// A case that was not as expected.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The file of tests.
    pub file: String,
    /// Where in it.
    pub place: Place,
    /// What the test is called; often nothing.
    pub test: String,
    /// What was judged.
    pub what: String,
    /// What should be, a line each, where that is what differs.
    pub wanted: Vec<String>,
    /// What is.
    pub got: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.place, self.what)
    }
}

#[cfg(test)]
mod tests;
