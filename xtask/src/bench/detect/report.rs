//! What is printed of a run.

use std::collections::BTreeMap;

use highwater_core::series::Point;
use highwater_detect::Verdict;

use super::score::{Ratios, Score, hours, part};
use super::trace::Trace;
use super::walk::{Course, Outcome};

/// How many trace numbers of a family are listed.
const LISTED: usize = 12;

/// How our own judge did, beyond what can be asked of a rule.
#[derive(Debug, Default)]
pub(super) struct Account {
    families: BTreeMap<&'static str, Family>,
    rates: Ratios,
    left: Ratios,
    fitting: usize,
    judged: usize,
}

#[derive(Debug, Default)]
struct Family {
    traces: usize,
    missed: Vec<usize>,
    accused: Vec<usize>,
    unfit: Vec<(usize, Verdict)>,
}

impl Account {
    /// Adds what was said of a trace.
    pub(super) fn add(&mut self, trace: &Trace, course: &Course, outcome: &Outcome) {
        let family = self.families.entry(trace.family).or_default();
        family.traces += 1;
        if trace.truth.leak.is_some() && outcome.found.is_none() {
            family.missed.push(trace.number);
        }
        if outcome.false_alarms > 0 {
            family.accused.push(trace.number);
        }
        self.judged += 1;
        if trace.truth.allows(course.last) {
            self.fitting += 1;
        } else {
            family.unfit.push((trace.number, course.last));
        }
        self.estimate(trace, course, outcome);
    }

    /// How near rate and time left were, at the first accusation.
    fn estimate(&mut self, trace: &Trace, course: &Course, outcome: &Outcome) {
        let (Some(leak), Some(said), Some((_, left))) =
            (&trace.truth.leak, &course.first, outcome.found)
        else {
            return;
        };
        if let Some(rate) = said.rate {
            self.rates.0.push(rate.per_hour / leak.per_hour);
        }
        if let Some(said) = said.left_to(trace.ceiling) {
            self.left.0.push(hours(said.likely) / hours(left).max(0.01));
        }
    }

    /// Where it was wrong, by family.
    pub(super) fn families(&self) -> String {
        let rows = self.families.iter().map(|(name, family)| family.row(name));
        let head = "family                    traces  missed  accused  unfit\n".to_owned();
        std::iter::once(head).chain(rows).collect()
    }

    /// The part of all traces that were called in the end what they may be called.
    pub(super) fn fit(&self) -> f64 {
        part(self.fitting, self.judged)
    }

    /// How right its words and figures were.
    pub(super) fn words(&self) -> String {
        format!(
            "verdict fits in the end {:.3}; at the first accusation: rate off by {:.0} % (median), \
             within 25 % {:.2}; time left off by {:.0} %, within 25 % {:.2}\n",
            self.fit(),
            100.0 * self.rates.median_error(),
            self.rates.within(0.25),
            100.0 * self.left.median_error(),
            self.left.within(0.25),
        )
    }
}

impl Family {
    fn row(&self, name: &str) -> String {
        let list = |word: &str, all: Vec<String>| match all.join(" ") {
            none if none.is_empty() => none,
            all => format!("  {word} {all}"),
        };
        let numbers = |all: &[usize]| all.iter().take(LISTED).map(ToString::to_string).collect();
        let said = self.unfit.iter().take(LISTED).map(|(number, said)| format!("{number} {said},"));
        format!(
            "{name:<25} {:>6}  {:>6}  {:>7}  {:>5}{}{}{}\n",
            self.traces,
            self.missed.len(),
            self.accused.len(),
            self.unfit.len(),
            list("missed", numbers(&self.missed)),
            list("accused", numbers(&self.accused)),
            list("unfit", said.collect()),
        )
    }
}

/// The judges' accounts, one line each.
pub(super) fn table(scores: &[(&str, Score)]) -> String {
    let head = "| judge | precision | recall | lead of those found, h | lead of all, h | false alarms per owner-month |\n\
         |---|---|---|---|---|---|\n";
    std::iter::once(head.to_owned()).chain(scores.iter().map(row)).collect()
}

fn row((name, score): &(&str, Score)) -> String {
    let lead = score.lead_hours().map_or_else(|| "–".to_owned(), |lead| format!("{lead:.1}"));
    format!(
        "| {name} | {:.3} | {:.3} | {lead} | {:.1} | {:.3} |\n",
        score.precision(),
        score.recall(),
        score.lead_of_all_hours(),
        score.false_alarms_a_month(),
    )
}

/// Lead beside the best of those who are right nine times of ten, in words.
pub(super) fn ratio(ours: &Score, rivals: &[(&str, Score)]) -> String {
    match (best(rivals), lead(ours, rivals)) {
        (Some((name, _)), Some(times)) => {
            format!("lead: {times:.1} times that of the best rival of precision 0.9 ({name})\n")
        }
        _ if rivals.is_empty() => String::new(),
        _ => "lead: no rival has a precision of 0.9\n".to_owned(),
    }
}

/// How many times the lead of the best of those who are right nine times of ten ours is.
pub(super) fn lead(ours: &Score, rivals: &[(&str, Score)]) -> Option<f64> {
    let (_, best) = best(rivals)?;
    Some(ours.lead_hours().unwrap_or(0.0) / best.lead_hours().unwrap_or(0.0).max(0.01))
}

fn best<'a>(rivals: &'a [(&'a str, Score)]) -> Option<&'a (&'a str, Score)> {
    let hours = |score: &Score| score.lead_hours().unwrap_or(0.0);
    let sure = rivals.iter().filter(|(_, score)| score.precision() >= 0.9);
    sure.max_by(|a, b| hours(&a.1).total_cmp(&hours(&b.1)))
}

/// A trace as CSV, with what was said of it at the steps.
pub(super) fn csv(
    trace: &Trace,
    said: impl Fn(highwater_core::time::WallTime) -> Option<String>,
) -> String {
    let from = trace.span().0;
    let mut load = trace.load.iter().peekable();
    let mut begins = trace.begins.iter().peekable();
    let row = |point: &Point| {
        let work = load.next_if(|work| work.at <= point.at).map(|work| work.value.to_string());
        let born = begins.next_if(|begin| **begin <= point.at).map_or("", |_| "1");
        format!(
            "{},{:.4},{},{},{born},{}\n",
            point.at.millis(),
            hours(point.at.since(from)),
            point.value,
            work.unwrap_or_default(),
            said(point.at).unwrap_or_default(),
        )
    };
    let head = "ms,hour,value,load,begins,said\n".to_owned();
    std::iter::once(head).chain(trace.points.iter().map(row)).collect()
}
