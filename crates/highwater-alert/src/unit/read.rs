//! Reads files of tests, as strictly as promtool.

use std::time::Duration;

use highwater_core::series::Labels;
use highwater_core::time::WallTime;
use highwater_promql::notation::Line;

use super::{AlertCase, ExprCase, Test, TestFile};
use crate::fault::Fault;
use crate::read::{Fields, Reader, placed};
use crate::yaml::{self, Node};

/// How often rules are evaluated if the file does not say.
const EVERY: Duration = Duration::from_mins(1);

impl TestFile {
    /// Reads a file that is called `name`.
    ///
    /// # Errors
    /// All that is wrong with it, in order of place.
    pub fn read(name: &str, text: &str) -> Result<Self, Vec<Fault>> {
        let mut reader = Reader::new(name);
        let mut found = Self {
            name: name.to_owned(),
            rule_files: Vec::new(),
            every: EVERY,
            order: Vec::new(),
            fuzzy: false,
            tests: Vec::new(),
        };
        match yaml::read(text) {
            Ok(None) => {}
            Ok(Some(root)) => found.fill(&mut reader, &root),
            Err(broken) => reader.fault(broken.place, broken.what),
        }
        reader.end()?;
        Ok(found)
    }

    fn fill(&mut self, reader: &mut Reader, root: &Node) {
        let known =
            ["rule_files", "evaluation_interval", "group_eval_order", "fuzzy_compare", "tests"];
        let mut fields = Fields::of(reader, root, "a file of tests", &known);
        self.rule_files = texts(reader, &mut fields, "rule_files");
        let every = fields.span(reader, "evaluation_interval").filter(|every| !every.is_zero());
        self.every = every.unwrap_or(EVERY);
        if let Some(list) = fields.take("group_eval_order") {
            self.order(reader, list);
        }
        self.fuzzy = fields.flag(reader, "fuzzy_compare");
        if let Some(list) = fields.take("tests") {
            for node in reader.items(list, "tests") {
                let test = test(reader, node, self.every);
                self.tests.push(test);
            }
        }
    }

    fn order(&mut self, reader: &mut Reader, list: &Node) {
        for node in reader.items(list, "group_eval_order") {
            let name = node.text().unwrap_or_default().to_owned();
            if self.order.contains(&name) {
                let what = format!("group name repeated in evaluation order: {name}");
                reader.fault(node.place, what);
            }
            self.order.push(name);
        }
    }
}

fn texts(reader: &mut Reader, fields: &mut Fields<'_>, name: &str) -> Vec<String> {
    let Some(list) = fields.take(name) else { return Vec::new() };
    let mut texts = Vec::new();
    for node in reader.items(list, name) {
        match node.text() {
            Some(text) => texts.push(text.to_owned()),
            None => reader.fault(node.place, format!("{name}: has texts, not {}", node.kind())),
        }
    }
    texts
}

fn test(reader: &mut Reader, node: &Node, every: Duration) -> Test {
    const KNOWN: [&str; 8] = [
        "interval",
        "start_timestamp",
        "input_series",
        "alert_rule_test",
        "promql_expr_test",
        "external_labels",
        "external_url",
        "name",
    ];
    let mut fields = Fields::of(reader, node, "a test", &KNOWN);
    let interval = fields.span(reader, "interval").filter(|interval| !interval.is_zero());
    let mut test = Test {
        place: node.place,
        name: fields.text(reader, "name").unwrap_or_default(),
        interval: interval.unwrap_or(every),
        start: start(reader, &mut fields),
        series: Vec::new(),
        alerts: Vec::new(),
        exprs: Vec::new(),
        external_labels: labels(reader, &mut fields, "external_labels"),
        external_url: fields.text(reader, "external_url").unwrap_or_default(),
    };
    if let Some(list) = fields.take("input_series") {
        for node in reader.items(list, "input_series") {
            test.series.extend(series(reader, node));
        }
    }
    if let Some(list) = fields.take("alert_rule_test") {
        for node in reader.items(list, "alert_rule_test") {
            test.alerts.push(alert_case(reader, node));
        }
    }
    if let Some(list) = fields.take("promql_expr_test") {
        for node in reader.items(list, "promql_expr_test") {
            test.exprs.extend(expr_case(reader, node));
        }
    }
    test
}

/// The moment of the first samples: seconds after the epoch or RFC 3339.
fn start(reader: &mut Reader, fields: &mut Fields<'_>) -> WallTime {
    let Some(node) = fields.take("start_timestamp") else { return WallTime::default() };
    let text = node.text().unwrap_or_default();
    let seconds = text.parse::<i64>().ok().and_then(|seconds| seconds.checked_mul(1000));
    let moment = || text.parse::<jiff::Timestamp>().ok().map(WallTime::from);
    if let Some(start) = seconds.map(WallTime::from_millis).or_else(moment) {
        return start;
    }
    let what = format!("{text:?} is no moment: write seconds since 1970 or 2026-01-02T03:04:05Z");
    reader.fault(node.place, what);
    WallTime::default()
}

fn labels(reader: &mut Reader, fields: &mut Fields<'_>, name: &str) -> Labels {
    let Some(node) = fields.take(name) else { return Labels::default() };
    let entries = reader.entries(node, name);
    let pairs: Vec<(String, String)> =
        entries.into_iter().filter_map(|(key, value)| reader.pair(key, value)).collect();
    Labels::new(pairs)
}

fn series(reader: &mut Reader, node: &Node) -> Option<Line> {
    let mut fields = Fields::of(reader, node, "a series", &["series", "values"]);
    let name = fields.text(reader, "series").unwrap_or_default();
    let values = fields.text(reader, "values").unwrap_or_default();
    // In one line: what a list of values is broken into does not matter.
    let line = format!("{name} {}", values.replace('\n', " "));
    match Line::read(&line) {
        Ok(line) => Some(line),
        Err(error) => {
            reader.fault(node.place, format!("the series is not in test notation: {error}"));
            None
        }
    }
}

fn alert_case(reader: &mut Reader, node: &Node) -> AlertCase {
    let known = ["eval_time", "alertname", "exp_alerts"];
    let mut fields = Fields::of(reader, node, "a test of alerts", &known);
    let after = fields.span(reader, "eval_time").unwrap_or_default();
    let name = fields.text(reader, "alertname").unwrap_or_default();
    if name.is_empty() {
        reader.fault(node.place, "a test of alerts needs alertname:, the alert it asks".into());
    }
    let mut wanted = Vec::new();
    if let Some(list) = fields.take("exp_alerts") {
        for node in reader.items(list, "exp_alerts") {
            let known = ["exp_labels", "exp_annotations"];
            let mut fields = Fields::of(reader, node, "an expected alert", &known);
            let mut of_alert = labels(reader, &mut fields, "exp_labels");
            of_alert.set("alertname", name.as_str());
            wanted.push((of_alert, labels(reader, &mut fields, "exp_annotations")));
        }
    }
    AlertCase { place: node.place, after, name, wanted }
}

fn expr_case(reader: &mut Reader, node: &Node) -> Option<ExprCase> {
    let known = ["expr", "eval_time", "exp_samples"];
    let mut fields = Fields::of(reader, node, "a test of an expression", &known);
    let after = fields.span(reader, "eval_time").unwrap_or_default();
    let mut wanted = Vec::new();
    if let Some(list) = fields.take("exp_samples") {
        for node in reader.items(list, "exp_samples") {
            wanted.extend(sample(reader, node));
        }
    }
    let expr = fields.take("expr");
    let text = expr.and_then(Node::text).unwrap_or_default();
    match highwater_promql::parse(text) {
        Ok(query) => {
            Some(ExprCase { place: node.place, after, expr: text.to_owned(), query, wanted })
        }
        Err(error) => {
            let (place, what) = placed(expr.unwrap_or(node), text, &error.text);
            reader.fault(place, format!("could not parse expression: {what}"));
            None
        }
    }
}

fn sample(reader: &mut Reader, node: &Node) -> Option<(Labels, f64)> {
    let known = ["labels", "value", "histogram"];
    let mut fields = Fields::of(reader, node, "an expected sample", &known);
    if let Some(histogram) = fields.take("histogram") {
        let what = "native histograms are not built here: expect a value:";
        reader.fault(histogram.place, what.into());
        return None;
    }
    let text = fields.text(reader, "labels").unwrap_or_default();
    let value = fields.number(reader, "value");
    // Nothing is the empty set, as in promtool.
    let read = if text.trim().is_empty() { "{}" } else { &text };
    match Line::read(read) {
        Ok(line) if line.samples.is_empty() => Some((line.labels, value)),
        Ok(_) => {
            reader.fault(node.place, format!("labels: {text:?} has more than labels"));
            None
        }
        Err(error) => {
            reader.fault(node.place, format!("labels: {text:?} are no labels: {error}"));
            None
        }
    }
}
