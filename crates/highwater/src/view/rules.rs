//! Rule files that were checked, tested and listed: pages and documents.

use std::collections::BTreeMap;

use anstyle::Style;
use highwater_alert::unit::Failure;
use highwater_alert::{Fault, Group, Kind, Rule, RuleFile, span};
use highwater_core::text::escape;
use serde::Serialize;

use super::backtest::Document as Audited;
use super::paint::{BOLD, DIM, GREEN, Page, RED, YELLOW, put};
use crate::cmd::rules::backtest::Outcome;
use crate::cmd::rules::check::Checked;
use crate::cmd::rules::test::Tested;

/// The version of the documents.
const SCHEMA: u8 = 1;

/// Files that were checked.
pub(crate) fn checked(files: &[Checked], doubles: &[(&str, &Rule)]) -> String {
    let mut out = String::new();
    for file in files {
        match &file.read {
            Ok(read) => {
                out += &line(GREEN, &format!("{}: {}", file.name, size(read)));
            }
            Err(faults) => out += &faulty(faults),
        }
        for (_, rule) in doubles.iter().filter(|(name, _)| *name == file.name) {
            let said = format!("{}:{}: {}", file.name, rule.place, double(rule));
            out += &line(YELLOW, &said);
        }
    }
    out
}

/// One line each, however long: other programs read them too.
fn faulty(faults: &[Fault]) -> String {
    faults.iter().map(|fault| line(RED, &fault.to_string())).collect()
}

fn line(style: Style, text: &str) -> String {
    Page::paint(style, &shown(text)) + "\n"
}

fn size(file: &RuleFile) -> String {
    let rules = file.groups.iter().map(|group| group.rules.len()).sum();
    format!("{} in {}", counted(rules, "rule"), counted(file.groups.len(), "group"))
}

fn double(rule: &Rule) -> String {
    let (word, name) = (rule.word(), rule.name());
    format!("{word}: {name} is there before with the same labels: what they make clashes")
}

/// Tests that were run.
pub(crate) fn tested(files: &[Tested]) -> String {
    let mut out = String::new();
    for file in files {
        for note in &file.notes {
            out += &line(YELLOW, &format!("{}: {note}", file.name));
        }
        match &file.verdict {
            Err(faults) => out += &faulty(faults),
            Ok(verdict) if verdict.failures.is_empty() => {
                let said = format!("{}: {} passed", file.name, counted(verdict.cases, "case"));
                out += &line(GREEN, &said);
            }
            Ok(verdict) => {
                for failure in &verdict.failures {
                    out += &failed(failure);
                }
            }
        }
    }
    out
}

fn failed(failure: &Failure) -> String {
    let mut said = failure.to_string();
    if !failure.test.is_empty() {
        put(&mut said, &format!(" (test {:?})", failure.test));
    }
    let mut out = line(RED, &said);
    if failure.wanted.is_empty() && failure.got.is_empty() {
        return out;
    }
    for (mark, lines) in [("  expected  ", &failure.wanted), ("  got       ", &failure.got)] {
        let none = ["nothing".to_owned()];
        let lines = if lines.is_empty() { none.as_slice() } else { lines };
        for line in lines {
            put(&mut out, &format!("{mark}{}\n", shown(line)));
        }
    }
    out
}

/// The rules of files.
pub(crate) fn listed(page: Page, files: &[RuleFile]) -> String {
    let mut out = String::new();
    for (file, group) in groups(files) {
        let every = group.interval.map(|every| format!(", every {}", span::written(every)));
        let about = format!("{}:{}{}", file.name, group.place, every.unwrap_or_default());
        out += &page.head(&shown(&group.name), &shown(&about));
        for rule in &group.rules {
            let said = format!("{}{}", rule.name(), waits(rule));
            out += &page.item(&format!("  {:<7}", rule.word()), &shown(&said), BOLD);
            out += &page.item("         ", &shown(&rule.expr), DIM);
        }
    }
    out
}

fn groups(files: &[RuleFile]) -> impl Iterator<Item = (&RuleFile, &Group)> {
    files.iter().flat_map(|file| file.groups.iter().map(move |group| (file, group)))
}

fn waits(rule: &Rule) -> String {
    let Kind::Alert { hold, keep, .. } = &rule.kind else { return String::new() };
    let mut said = String::new();
    for (word, time) in [("for", hold), ("kept for", keep)] {
        if !time.is_zero() {
            put(&mut said, &format!(" {word} {}", span::written(*time)));
        }
    }
    said
}

/// What is the matter with rules against what is on record.
pub(crate) fn audited(page: Page, outcome: &Outcome<'_>) -> String {
    let mut out = String::new();
    for note in &outcome.notes {
        out += &page.aside(&shown(note));
    }
    for (course, reasons) in outcome.courses.iter().zip(&outcome.reasons) {
        if reasons.is_empty() {
            continue;
        }
        let said = format!("{}:{}: {}", course.file, course.rule.place, course.name());
        out += &page.item("", &shown(&said), YELLOW);
        for reason in reasons {
            out += &page.item("  - ", &shown(&reason.claim.text), Style::new());
        }
    }
    out
}

/// Names and texts come from anybody: nothing of them moves the cursor.
fn shown(text: &str) -> String {
    escape(text.as_bytes()).into_owned()
}

fn counted(count: usize, what: &str) -> String {
    let end = if count == 1 { "" } else { "s" };
    format!("{count} {what}{end}")
}

/// What is said at a place.
#[derive(Serialize)]
struct Said {
    file: String,
    line: usize,
    column: usize,
    what: String,
}

impl Said {
    fn of(fault: &Fault) -> Self {
        let (line, column) = (fault.place.line, fault.place.column);
        Self { file: shown(&fault.file), line, column, what: shown(&fault.what) }
    }
}

fn said(faults: Option<&Vec<Fault>>) -> Vec<Said> {
    faults.into_iter().flatten().map(Said::of).collect()
}

/// The document of `rules check`.
#[derive(Serialize)]
pub(crate) struct CheckedDocument<'o> {
    schema: u8,
    files: Vec<CheckedFile>,
    /// Against what is on record, where that was asked for.
    audit: Option<Audited<'o>>,
}

#[derive(Serialize)]
struct CheckedFile {
    file: String,
    groups: usize,
    rules: usize,
    faults: Vec<Said>,
    remarks: Vec<Said>,
}

/// Files that were checked, as a document.
pub(crate) fn checked_document<'o>(
    files: &[Checked],
    doubles: &[(&str, &Rule)],
    audit: Option<&'o Outcome<'_>>,
) -> CheckedDocument<'o> {
    let file = |file: &Checked| {
        let read = file.read.as_ref().ok();
        let remarks = doubles.iter().filter(|(name, _)| *name == file.name).map(|(_, rule)| Said {
            file: file.name.clone(),
            line: rule.place.line,
            column: rule.place.column,
            what: shown(&double(rule)),
        });
        CheckedFile {
            file: file.name.clone(),
            groups: read.map_or(0, |read| read.groups.len()),
            rules: read.map_or(0, |read| read.groups.iter().map(|group| group.rules.len()).sum()),
            faults: said(file.read.as_ref().err()),
            remarks: remarks.collect(),
        }
    };
    let audit = audit.map(super::backtest::document);
    CheckedDocument { schema: SCHEMA, files: files.iter().map(file).collect(), audit }
}

/// The document of `rules test`.
#[derive(Serialize)]
pub(crate) struct TestedDocument {
    schema: u8,
    files: Vec<TestedFile>,
}

#[derive(Serialize)]
struct TestedFile {
    file: String,
    passed: bool,
    cases: usize,
    faults: Vec<Said>,
    failures: Vec<Failed>,
    notes: Vec<String>,
}

#[derive(Serialize)]
struct Failed {
    line: usize,
    column: usize,
    test: String,
    what: String,
    expected: Vec<String>,
    got: Vec<String>,
}

/// Tests that were run, as a document.
pub(crate) fn tested_document(files: &[Tested]) -> TestedDocument {
    let escaped = |lines: &[String]| lines.iter().map(|line| shown(line)).collect::<Vec<_>>();
    let failed = |failure: &Failure| Failed {
        line: failure.place.line,
        column: failure.place.column,
        test: shown(&failure.test),
        what: shown(&failure.what),
        expected: escaped(&failure.wanted),
        got: escaped(&failure.got),
    };
    let file = |file: &Tested| {
        let verdict = file.verdict.as_ref().ok();
        TestedFile {
            file: file.name.clone(),
            passed: file.passed(),
            cases: verdict.map_or(0, |verdict| verdict.cases),
            faults: said(file.verdict.as_ref().err()),
            failures: verdict.into_iter().flat_map(|v| &v.failures).map(failed).collect(),
            notes: escaped(&file.notes),
        }
    };
    TestedDocument { schema: SCHEMA, files: files.iter().map(file).collect() }
}

/// The document of `rules list`.
#[derive(Serialize)]
pub(crate) struct ListedDocument<'o> {
    schema: u8,
    groups: Vec<ListedGroup<'o>>,
}

#[derive(Serialize)]
struct ListedGroup<'o> {
    file: &'o str,
    name: String,
    line: usize,
    interval_seconds: Option<f64>,
    limit: Option<usize>,
    rules: Vec<ListedRule>,
}

#[derive(Serialize)]
struct ListedRule {
    kind: &'static str,
    name: String,
    line: usize,
    expr: String,
    for_seconds: Option<f64>,
    keep_firing_for_seconds: Option<f64>,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
}

/// The rules of files, as a document.
pub(crate) fn listed_document(files: &[RuleFile]) -> ListedDocument<'_> {
    let groups = groups(files).map(|(file, group)| ListedGroup {
        file: &file.name,
        name: shown(&group.name),
        line: group.place.line,
        interval_seconds: group.interval.map(|every| every.as_secs_f64()),
        limit: Some(group.limit).filter(|limit| *limit > 0),
        rules: group.rules.iter().map(listed_rule).collect(),
    });
    ListedDocument { schema: SCHEMA, groups: groups.collect() }
}

fn listed_rule(rule: &Rule) -> ListedRule {
    let pairs = |pairs: &[(String, String)]| {
        pairs.iter().map(|(name, text)| (shown(name), shown(text))).collect()
    };
    let (hold, keep, annotations) = match &rule.kind {
        Kind::Record(_) => (None, None, BTreeMap::new()),
        Kind::Alert { hold, keep, annotations, .. } => {
            (Some(hold.as_secs_f64()), Some(keep.as_secs_f64()), pairs(annotations))
        }
    };
    ListedRule {
        kind: rule.word(),
        name: shown(rule.name()),
        line: rule.place.line,
        expr: shown(&rule.expr),
        for_seconds: hold,
        keep_firing_for_seconds: keep,
        labels: pairs(&rule.labels),
        annotations,
    }
}
