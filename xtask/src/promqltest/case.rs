//! One case, and the ways in which it is run.
//!
//! A query at one moment must give the same when every selector is pinned there with `@`, whenever it
//! is asked then, and each of these must give the same as the middle of a range of three steps.

use std::fmt;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use highwater_core::series::{Labels, Point, Series};
use highwater_core::time::WallTime;
use highwater_promql::notation::{Line, Memory, Sample};
use highwater_promql::{Answer, Error, Options, Query, Refusal, Value};
use regex::Regex;

use super::judge;

/// So many samples a test may have in memory, as in the original.
const MOST_SAMPLES: usize = 10_000;

/// The step of the range that an instant query is repeated as; it reaches as far on both sides.
const AROUND: Duration = Duration::from_mins(1);

/// Who calls these depends on when it is asked, `@` or not.
const OF_THE_MOMENT: [&str; 15] = [
    "days_in_month",
    "day_of_month",
    "day_of_week",
    "day_of_year",
    "hour",
    "minute",
    "month",
    "year",
    "predict_linear",
    "time",
    "timestamp",
    "start",
    "end",
    "range",
    "step",
];

/// These mean something else in a range query.
const OF_THE_RANGE: [&str; 4] = ["start()", "end()", "step()", "range()"];

/// A query and what it must give.
#[derive(Debug)]
pub(crate) struct Case {
    /// Where it stands.
    pub(crate) line: usize,
    pub(crate) expr: String,
    pub(crate) asked: Asked,
    pub(crate) expected: Expected,
}

/// When it is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Asked {
    Instant { at_ms: i64 },
    Range(Steps),
}

/// Moments at equal distances, both ends included.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Steps {
    pub(crate) from: WallTime,
    pub(crate) to: WallTime,
    pub(crate) step: Duration,
}

/// What it must give.
#[derive(Debug, Default)]
pub(crate) struct Expected {
    pub(crate) is_ordered: bool,
    pub(crate) fail: Option<Wanted>,
    pub(crate) warnings: Notes,
    pub(crate) infos: Notes,
    /// The steps of a range vector that an instant query gives.
    pub(crate) steps: Option<Steps>,
    pub(crate) text: Option<String>,
    pub(crate) number: Option<f64>,
    pub(crate) lines: Vec<Line>,
}

/// What is wanted of warnings, or of hints.
#[derive(Debug, Default)]
pub(crate) enum Notes {
    #[default]
    Unchecked,
    None,
    Some(Vec<Wanted>),
}

impl Notes {
    pub(crate) fn add(&mut self, wanted: Wanted) {
        match self {
            Self::Some(all) => all.push(wanted),
            Self::Unchecked | Self::None => *self = Self::Some(vec![wanted]),
        }
    }
}

/// What a message must be.
#[derive(Debug)]
pub(crate) enum Wanted {
    Anything,
    Text(String),
    Pattern(Regex),
}

impl Wanted {
    pub(crate) fn accepts(&self, text: &str) -> bool {
        match self {
            Self::Anything => true,
            Self::Text(wanted) => text == wanted,
            Self::Pattern(pattern) => pattern.is_match(text),
        }
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anything => f.pad("anything"),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Pattern(pattern) => write!(f, "what matches {pattern}"),
        }
    }
}

/// How a case went.
#[derive(Debug)]
pub(crate) enum Outcome {
    Passed { evaluations: usize },
    Failed { way: String, wrong: anyhow::Error },
    Apart { reason: String },
}

/// One way to ask.
#[derive(Clone, Debug)]
struct Way {
    query: Query,
    at_ms: i64,
    /// The moment it is pinned to.
    pinned_ms: Option<i64>,
}

/// Why a way did not hold.
enum Fault {
    Wrong(anyhow::Error),
    Refused(Refusal),
}

impl From<anyhow::Error> for Fault {
    fn from(wrong: anyhow::Error) -> Self {
        Self::Wrong(wrong)
    }
}

impl Case {
    /// Runs it in every way.
    pub(crate) fn run(&self, memory: &Memory) -> Outcome {
        memory.met();
        let outcome = match highwater_promql::parse(&self.expr) {
            Ok(query) => self.ask(&query, memory),
            Err(error) => match self.unread(error) {
                Ok(()) => Outcome::Passed { evaluations: 1 },
                Err(fault) => ended("read", fault),
            },
        };
        let met = memory.met();
        match outcome {
            Outcome::Failed { .. } if met.histograms => apart("native histograms"),
            // Nothing expected and nothing found, where there are only histograms, shows nothing.
            Outcome::Passed { .. } if met.histograms && self.expected.lines.is_empty() => {
                apart("native histograms")
            }
            Outcome::Failed { .. } if met.starts => apart("start timestamps (experimental)"),
            other => other,
        }
    }

    /// A query that cannot be read may be the failure that is expected only if its words are: else
    /// any slip of the pen would do.
    fn unread(&self, error: Error) -> Result<(), Fault> {
        if let Some(refusal) = error.refusal {
            return Err(Fault::Refused(refusal));
        }
        match &self.expected.fail {
            Some(wanted @ (Wanted::Text(_) | Wanted::Pattern(_)))
                if wanted.accepts(&error.text) =>
            {
                Ok(())
            }
            _ => Err(Fault::Wrong(anyhow::anyhow!("      does not parse: {}", error.text))),
        }
    }

    fn ask(&self, query: &Query, memory: &Memory) -> Outcome {
        let at_ms = match self.asked {
            Asked::Instant { at_ms } => {
                self.expected.steps.map_or(at_ms, |steps| steps.to.millis())
            }
            Asked::Range(steps) => {
                return match self.ask_range(query, steps, memory) {
                    Ok(()) => Outcome::Passed { evaluations: 1 },
                    Err(fault) => ended("as it is", fault),
                };
            }
        };
        let mut evaluations = 0;
        for way in ways(query, at_ms) {
            if let Err(fault) = self.ask_instant(&way, memory) {
                return ended(&way.to_string(), fault);
            }
            evaluations += 1;
            if self.means_the_same_in_a_range() {
                if let Err(fault) = self.ask_around(&way, memory) {
                    return ended(&format!("{way}, the middle of a range"), fault);
                }
                evaluations += 1;
            }
        }
        Outcome::Passed { evaluations }
    }

    fn means_the_same_in_a_range(&self) -> bool {
        let e = &self.expected;
        let has_value = e.fail.is_none() && e.steps.is_none() && e.text.is_none();
        let names_range = OF_THE_RANGE.iter().any(|call| self.expr.contains(call));
        has_value && !e.is_ordered && !names_range
    }

    fn ask_instant(&self, way: &Way, memory: &Memory) -> Result<(), Fault> {
        let at = WallTime::from_millis(way.at_ms);
        let answer = highwater_promql::instant(&way.query, memory, at, &options());
        let Some(answer) = self.unless_failed(answer)? else { return Ok(()) };
        let pinned = way.pinned_ms.is_some();
        judge::notes("warning", &self.expected.warnings, &answer.warnings, pinned)?;
        judge::notes("info", &self.expected.infos, &answer.infos, pinned)?;
        Ok(judge::instant(&self.expected, &answer.value)?)
    }

    fn ask_range(&self, query: &Query, steps: Steps, memory: &Memory) -> Result<(), Fault> {
        let answer = range(query, steps, memory);
        let Some(answer) = self.unless_failed(answer)? else { return Ok(()) };
        judge::notes("warning", &self.expected.warnings, &answer.warnings, false)?;
        judge::notes("info", &self.expected.infos, &answer.infos, false)?;
        Ok(judge::range(&self.expected.lines, steps, &matrix(answer.value)?)?)
    }

    /// The same as a range query, of which the middle step is compared.
    fn ask_around(&self, way: &Way, memory: &Memory) -> Result<(), Fault> {
        let at = WallTime::from_millis(way.at_ms);
        let around = Steps { from: at.before(AROUND), to: at.after(AROUND), step: AROUND };
        let answer = match range(&way.query, around, memory) {
            Ok(answer) => answer,
            Err(error) => return Err(fault(error)),
        };
        let series = matrix(answer.value)?;
        judge::in_order(&series)?;
        let middle = middle(&series, at);
        match (self.expected.number, middle.as_slice()) {
            (None, _) => Ok(judge::instant(&self.expected, &Value::Vector(middle))?),
            (Some(_), [(_, point)]) => Ok(judge::instant(&self.expected, &Value::Scalar(*point))?),
            (Some(_), others) => {
                Err(Fault::Wrong(anyhow::anyhow!("      a number became {} series", others.len())))
            }
        }
    }

    /// The answer, or `None` where it failed as expected.
    fn unless_failed(&self, answer: Result<Answer, Error>) -> Result<Option<Answer>, Fault> {
        let error = match (answer, &self.expected.fail) {
            (Ok(answer), None) => return Ok(Some(answer)),
            (Ok(_), Some(wanted)) => {
                return Err(Fault::Wrong(anyhow::anyhow!(
                    "      wanted it to fail with {wanted}, got an answer"
                )));
            }
            (Err(error), _) => error,
        };
        match &self.expected.fail {
            Some(wanted) if error.refusal.is_none() => {
                if wanted.accepts(error.text.trim()) {
                    return Ok(None);
                }
                Err(Fault::Wrong(anyhow::anyhow!(
                    "      wanted it to fail with {wanted}\n      got {:?}",
                    error.text
                )))
            }
            _ => Err(fault(error)),
        }
    }
}

/// As it is, and pinned with `@` and asked at other times.
fn ways(query: &Query, at_ms: i64) -> Vec<Way> {
    let mut ways = vec![Way { query: query.clone(), at_ms, pinned_ms: None }];
    if query.calls().iter().any(|call| OF_THE_MOMENT.contains(call)) {
        return ways;
    }
    let others = match at_ms {
        0 => vec![-1_000, 0, 1_000],
        t => vec![-10 * t, 0, t / 5, t, 10 * t],
    };
    let pinned = query.pinned(WallTime::from_millis(at_ms));
    ways.extend(others.into_iter().map(|other_ms| Way {
        query: pinned.clone(),
        at_ms: other_ms,
        pinned_ms: Some(at_ms),
    }));
    ways
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pinned_ms {
            None => f.pad("as it is"),
            Some(ms) => write!(f, "pinned to {ms} ms, asked at {} ms", self.at_ms),
        }
    }
}

fn options() -> Options {
    Options { max_samples: MOST_SAMPLES, delayed_name_removal: true, ..Options::default() }
}

fn range(query: &Query, steps: Steps, memory: &Memory) -> Result<Answer, Error> {
    highwater_promql::range(query, memory, steps.from, steps.to, steps.step, &options())
}

fn matrix(value: Value) -> anyhow::Result<Vec<Series>> {
    match value {
        Value::Matrix(series) => Ok(series),
        other => bail!("      a range query gave {other:?}"),
    }
}

/// What a matrix has at one moment.
fn middle(series: &[Series], at: WallTime) -> Vec<(Labels, Point)> {
    let points = series.iter().filter_map(|one| {
        let point = one.points.iter().find(|point| point.at == at)?;
        Some((one.labels.clone(), *point))
    });
    points.collect()
}

fn fault(error: Error) -> Fault {
    match error.refusal {
        Some(refusal) => Fault::Refused(refusal),
        None => Fault::Wrong(anyhow::anyhow!("      it failed: {}", error.text)),
    }
}

fn ended(way: &str, fault: Fault) -> Outcome {
    match fault {
        Fault::Wrong(wrong) => Outcome::Failed { way: way.to_owned(), wrong },
        Fault::Refused(Refusal::Experimental(what)) => apart(&format!("{what} (experimental)")),
        Fault::Refused(Refusal::NativeHistogram(what)) => {
            apart(&format!("native histograms: {what}"))
        }
    }
}

fn apart(reason: &str) -> Outcome {
    Outcome::Apart { reason: reason.to_owned() }
}

impl Steps {
    /// The moment of step `at`.
    pub(crate) fn at(self, at: usize) -> anyhow::Result<WallTime> {
        let at = u32::try_from(at).context("too many steps")?;
        Ok(self.from.after(self.step.saturating_mul(at)))
    }
}

/// The value that a line of an instant case has.
pub(crate) fn only(line: &Line) -> anyhow::Result<Sample> {
    ensure!(line.samples.len() == 1, "{} has {} values, not one", line.labels, line.samples.len());
    line.samples.first().copied().context("no value")
}
