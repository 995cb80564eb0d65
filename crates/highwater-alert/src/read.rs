//! Rule files as Prometheus 3 reads them, as strictly, and with all faults of a file at once, each
//! at its place.

mod fields;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::fault::{Fault, Place};
use crate::rule::{Group, Kind, Rule, RuleFile};
use crate::yaml::{self, Node};
use crate::{span, template};
pub(crate) use fields::{Fields, Reader};

impl RuleFile {
    /// Reads a file that is called `name`. Of several documents in one file the first counts, and
    /// an empty one has no rules, as in Prometheus.
    ///
    /// # Errors
    /// All that is wrong with it, in order of place.
    pub fn read(name: &str, text: &str) -> Result<Self, Vec<Fault>> {
        let mut reader = Reader::new(name);
        let mut groups = Vec::new();
        match yaml::read(text) {
            Ok(None) => {}
            Ok(Some(root)) => groups = file(&mut reader, &root),
            Err(broken) => reader.fault(broken.place, broken.what),
        }
        reader.end()?;
        Ok(Self { name: name.to_owned(), groups })
    }
}

fn file(reader: &mut Reader, root: &Node) -> Vec<Group> {
    let mut fields = Fields::of(reader, root, "a rule file", &["groups"]);
    let Some(list) = fields.take("groups") else { return Vec::new() };
    let mut groups: Vec<Group> = Vec::new();
    for node in reader.items(list, "groups") {
        let group = group(reader, node);
        if let Some(before) = groups.iter().find(|other| other.name == group.name) {
            let what = format!(
                "the group {:?} is already at {}: names of groups differ within a file",
                group.name, before.place
            );
            reader.fault(group.place, what);
        }
        groups.push(group);
    }
    groups
}

fn group(reader: &mut Reader, node: &Node) -> Group {
    let known = ["name", "interval", "query_offset", "limit", "labels", "rules"];
    let mut fields = Fields::of(reader, node, "a group", &known);
    let name = fields.text(reader, "name").unwrap_or_default();
    if name.is_empty() {
        reader.fault(node.place, "a group without a name: give it one with name:".into());
    }
    let interval = fields.span(reader, "interval").filter(|span| !span.is_zero());
    let query_offset = fields.span(reader, "query_offset");
    let limit = fields.count(reader, "limit");
    let labels = fields.take("labels").map(|node| labels(reader, node, false)).unwrap_or_default();
    let mut rules = Vec::new();
    if let Some(list) = fields.take("rules") {
        for node in reader.items(list, "rules") {
            rules.extend(rule(reader, node, &labels));
        }
    }
    Group { name, place: node.place, interval, query_offset, limit, rules }
}

/// Pairs of names and texts.
type Pairs = Vec<(String, String)>;

fn rule(reader: &mut Reader, node: &Node, of_group: &[(String, String)]) -> Option<Rule> {
    const KNOWN: [&str; 7] =
        ["record", "alert", "expr", "for", "keep_firing_for", "labels", "annotations"];
    let mut fields = Fields::of(reader, node, "a rule", &KNOWN);
    let record = fields.text(reader, "record").filter(|name| !name.is_empty());
    let alert = fields.text(reader, "alert").filter(|name| !name.is_empty());
    let is_alert = alert.is_some();
    let expr = fields.take("expr");
    let hold = fields.place("for");
    let keep = fields.place("keep_firing_for");
    let spans = [fields.span(reader, "for"), fields.span(reader, "keep_firing_for")];
    let own = fields.take("labels").map(|node| labels(reader, node, is_alert));
    let notes = fields.take("annotations");
    let annotations = notes.map(|node| annotations(reader, node, is_alert)).unwrap_or_default();
    let kind = match (record, alert) {
        (Some(name), None) => {
            let alien = [("for", hold), ("keep_firing_for", keep)];
            let alien = alien.into_iter().chain([("annotations", notes.map(|node| node.place))]);
            record_of(reader, (node, &name), alien);
            Kind::Record(name)
        }
        (None, Some(name)) => {
            let [hold, keep] = spans.map(Option::unwrap_or_default);
            Kind::Alert { name, hold, keep, annotations }
        }
        (Some(_), Some(_)) => {
            let what = "a rule is either a record or an alert: take one of the two away";
            reader.fault(node.place, what.into());
            return None;
        }
        (None, None) => {
            let what = "a rule needs a name: record: for a series or alert: for an alert";
            reader.fault(node.place, what.into());
            return None;
        }
    };
    let (query, expr) = query(reader, node, expr)?;
    let labels = joined(of_group, own.unwrap_or_default());
    let texts = texts(&kind, &labels);
    Some(Rule { place: node.place, query, expr, labels, kind, texts })
}

/// What is expanded of an alert again and again; a recording rule's labels are no templates.
fn texts(kind: &Kind, labels: &[(String, String)]) -> template::Texts {
    match kind {
        Kind::Record(_) => template::Texts::default(),
        Kind::Alert { annotations, .. } => {
            let pairs = labels.iter().chain(annotations);
            template::Texts::of(pairs.map(|(_, text)| text.as_str()))
        }
    }
}

/// What a recording rule must not have, and what its name must be.
fn record_of(
    reader: &mut Reader,
    (node, name): (&Node, &str),
    alien: impl Iterator<Item = (&'static str, Option<Place>)>,
) {
    for (field, place) in alien {
        let Some(place) = place else { continue };
        let what = format!("{field}: belongs to alerts: a recording rule has none");
        reader.fault(place, what);
    }
    if name.contains(['{', '}']) {
        let what = format!("braces in the name {name:?}: what is selected belongs into expr:");
        reader.fault(node.place, what);
    }
}

fn query(
    reader: &mut Reader,
    rule: &Node,
    expr: Option<&Node>,
) -> Option<(highwater_promql::Query, String)> {
    let text = expr.and_then(Node::text).unwrap_or_default();
    let Some(expr) = expr.filter(|_| !text.is_empty()) else {
        reader.fault(rule.place, "a rule needs expr:, the PromQL that it asks".into());
        return None;
    };
    match highwater_promql::parse(text) {
        Ok(query) => Some((query, text.to_owned())),
        Err(error) => {
            let (place, what) = placed(expr, text, &error.text);
            reader.fault(place, format!("could not parse expression: {what}"));
            None
        }
    }
}

/// Where in the file a fault of an expression stands: its text begins with line and column.
pub(crate) fn placed(expr: &Node, text: &str, said: &str) -> (Place, String) {
    let found = said.split_once(": ").and_then(|(at, what)| {
        let (line, column) = at.split_once(':')?;
        let place = Place { line: line.parse().ok()?, column: column.parse().ok()? };
        Some((place, what.strip_prefix("parse error: ").unwrap_or(what)))
    });
    let Some((place, what)) = found else {
        let what = said.strip_prefix("unknown position: parse error: ").unwrap_or(said);
        return (expr.place, what.to_owned());
    };
    // PromQL counts bytes, a place characters.
    let line = text.lines().nth(place.line.saturating_sub(1)).unwrap_or_default();
    let before = line.get(..place.column.saturating_sub(1)).unwrap_or(line);
    let column = before.chars().count().saturating_add(1);
    (expr.place_of(Place { column, ..place }), what.to_owned())
}

/// Labels; of an alert their values are templates.
fn labels(reader: &mut Reader, node: &Node, is_alert: bool) -> Pairs {
    let mut pairs = Vec::new();
    for (key, value) in reader.entries(node, "labels") {
        let Some((name, text)) = reader.pair(key, value) else { continue };
        if name.is_empty() || name == highwater_core::series::NAME {
            let what = format!("invalid label name: {name:?}: __name__ is the metric's own");
            reader.fault(key.place, what);
        }
        if is_alert {
            template_in(reader, value, &text);
        }
        pairs.push((name, text));
    }
    pairs
}

fn annotations(reader: &mut Reader, node: &Node, is_alert: bool) -> Pairs {
    let mut pairs = Vec::new();
    for (key, value) in reader.entries(node, "annotations") {
        let Some((name, text)) = reader.pair(key, value) else { continue };
        if name.is_empty() {
            reader.fault(key.place, "invalid annotation name: it is empty".into());
        }
        if is_alert {
            template_in(reader, value, &text);
        }
        pairs.push((name, text));
    }
    pairs
}

fn template_in(reader: &mut Reader, node: &Node, text: &str) {
    if let Err(error) = template::check(text) {
        let place = error.place.map_or(node.place, |place| node.place_of(place));
        reader.fault(place, format!("the template does not parse: {}", error.what));
    }
}

/// The group's labels and the rule's own, which come first, in order of names.
fn joined(of_group: &[(String, String)], own: Pairs) -> Pairs {
    let all: BTreeMap<String, String> = of_group.iter().cloned().chain(own).collect();
    all.into_iter().collect()
}

/// A duration's text as a field has it.
pub(crate) fn span_of(text: &str) -> Result<Duration, String> {
    span::read(text).map_err(|error| error.to_string())
}
