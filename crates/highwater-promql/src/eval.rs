//! The evaluator. Every expression is evaluated once for all steps: a vector is a list of rows, one for
//! each series, with a value or a gap at each step. Selectors and windows walk each series once.

mod aggregate;
mod binary;
mod call;
mod labels;
mod narrow;
mod range;
mod row;
mod select;
mod set;
mod topk;

use std::collections::{BTreeMap, BTreeSet};

use highwater_core::series::SeriesSource;
use highwater_core::time::WallTime;

use crate::answer::{Answer, Value};
use crate::error::{Error, ErrorKind};
use crate::lex::{Text, place};
use crate::options::{Options, Stop, Watch};
use crate::plan::{Kind, Node, Op};
pub(crate) use binary::applied;
use row::{Column, Row};

/// Gaps cost memory as well, so a row may span more steps than there may be samples, but not
/// without limit; a small limit on samples still leaves room for a sparse subquery.
const LEAST_SLOTS: usize = 1 << 20;

/// The moments of evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Grid {
    start: i64,
    /// At least one millisecond.
    step: i64,
    count: usize,
}

impl Grid {
    fn between(start: i64, end: i64, step: i64) -> Self {
        let step = step.max(1);
        let count = match end.checked_sub(start) {
            Some(span) if span >= 0 => usize::try_from(span / step).unwrap_or(usize::MAX),
            _ => return Self { start, step, count: 0 },
        };
        Self { start, step, count: count.saturating_add(1) }
    }

    fn at(self, place: usize) -> i64 {
        let steps = i64::try_from(place).unwrap_or(i64::MAX);
        self.start.saturating_add(steps.saturating_mul(self.step))
    }

    fn last(self) -> i64 {
        self.at(self.count.saturating_sub(1))
    }

    /// The first step that is not before `moment`; the count if there is none.
    fn first_from(self, moment: i64) -> usize {
        let gap = moment.saturating_sub(self.start);
        if gap <= 0 {
            return 0;
        }
        let whole = gap / self.step;
        let place = whole.saturating_add(i64::from(gap % self.step != 0));
        usize::try_from(place).unwrap_or(usize::MAX).min(self.count)
    }
}

/// What an expression is at all steps.
enum Val {
    Scalar(Column),
    Text(Text),
    Vector(Vec<Row>),
}

struct Evaluator<'a> {
    source: &'a dyn SeriesSource,
    options: &'a Options,
    /// The query's own start and end, for `@ start()` and `@ end()`.
    bounds: (i64, i64),
    notes: Notes,
    /// Samples in memory.
    held: usize,
    /// Work since the watch was last asked.
    work: usize,
}

/// Annotations by text, so that each is told once, with the place of what they are about.
#[derive(Default)]
struct Notes {
    warnings: BTreeSet<(usize, String)>,
    infos: BTreeSet<(usize, String)>,
    repairs: BTreeMap<(usize, String), call::Repairs>,
}

/// How much work passes between two looks at the watch.
const WORK_BETWEEN_LOOKS: usize = 1 << 16;

type Evaluated<T> = Result<T, Error>;

impl Evaluator<'_> {
    fn eval(&mut self, node: &Node, grid: Grid) -> Evaluated<Val> {
        self.look()?;
        // A chain of operators leans to the left and may be long: no recursion that way.
        let mut chain = Vec::new();
        let mut first = node.bare();
        while let Kind::Binary(binary) = &first.kind {
            chain.push(&**binary);
            first = binary.lhs.bare();
        }
        let (mut value, mut sides) = match narrow::narrow(first, &chain) {
            Some(narrow) => self.narrowed(&narrow, grid)?,
            None => (self.operand(first, grid)?, Vec::new()),
        };
        while let Some(binary) = chain.pop() {
            let early = if binary.op == Op::And { sides.pop() } else { None };
            let rhs = match early {
                Some(side) => side,
                None => self.eval(&binary.rhs, grid)?,
            };
            value = self.binary(binary, value, rhs, grid)?;
        }
        Ok(value)
    }

    fn operand(&mut self, node: &Node, grid: Grid) -> Evaluated<Val> {
        match &node.kind {
            Kind::Number(value) => Ok(Val::Scalar(Column::Same(*value))),
            Kind::Text(text) => Ok(Val::Text(text.clone())),
            Kind::Select(selector) => self.select(selector, grid).map(Val::Vector),
            Kind::Call(call) => self.call(call, node.at, grid),
            Kind::Aggregate(aggregate) => self.aggregate(aggregate, grid).map(Val::Vector),
            Kind::Negate(inner) => self.negate(inner, grid),
            Kind::Paren(inner) => self.eval(inner, grid),
            Kind::Binary(_) => self.eval(node, grid),
            Kind::Window(..) | Kind::Subquery(_) => {
                Err(Error::execution("range vector where only an instant vector can be evaluated"))
            }
        }
    }

    fn negate(&mut self, inner: &Node, grid: Grid) -> Evaluated<Val> {
        match self.eval(inner, grid)? {
            Val::Scalar(column) => Ok(Val::Scalar(column.map(|value| -value))),
            Val::Vector(mut rows) => {
                for row in &mut rows {
                    row.map(|value| -value);
                    self.drop_name(row);
                }
                self.merged(rows, grid).map(Val::Vector)
            }
            text @ Val::Text(_) => Ok(text),
        }
    }

    fn vector(&mut self, node: &Node, grid: Grid) -> Evaluated<Vec<Row>> {
        match self.eval(node, grid)? {
            Val::Vector(rows) => Ok(rows),
            _ => Err(Error::execution("expected an instant vector")),
        }
    }

    fn scalar(&mut self, node: &Node, grid: Grid) -> Evaluated<Column> {
        match self.eval(node, grid)? {
            Val::Scalar(column) => Ok(column),
            _ => Err(Error::execution("expected a scalar")),
        }
    }

    /// Asks whether to go on.
    fn look(&mut self) -> Evaluated<()> {
        self.work = 0;
        let (kind, what) = match self.options.watch.as_ref().and_then(Watch::stop) {
            None => return Ok(()),
            Some(Stop::Timeout) => (ErrorKind::Timeout, "query timed out"),
            Some(Stop::Canceled) => (ErrorKind::Canceled, "query was canceled"),
        };
        let text = format!("{what} in expression evaluation");
        Err(Error { kind, text, refusal: None })
    }

    /// Notes work that was done, and looks at the watch now and then.
    fn worked(&mut self, work: usize) -> Evaluated<()> {
        self.work = self.work.saturating_add(work);
        if self.work < WORK_BETWEEN_LOOKS { Ok(()) } else { self.look() }
    }

    /// Takes room for samples.
    fn hold(&mut self, samples: usize) -> Evaluated<()> {
        self.held = self.held.saturating_add(samples);
        if self.held <= self.options.max_samples { Ok(()) } else { Err(too_many()) }
    }

    fn release(&mut self, samples: usize) {
        self.held = self.held.saturating_sub(samples);
    }

    /// Whether a column of so many steps may be made.
    fn room(&self, steps: usize) -> Evaluated<()> {
        let most = self.options.max_samples.max(LEAST_SLOTS);
        if steps <= most { Ok(()) } else { Err(too_many()) }
    }

    fn warn(&mut self, at: usize, text: String) {
        self.notes.warnings.insert((at, text));
    }

    fn inform(&mut self, at: usize, text: String) {
        self.notes.infos.insert((at, text));
    }
}

fn too_many() -> Error {
    Error::execution("query processing would load too many samples into memory in query execution")
}

/// Evaluates a query from `start` to `end`.
pub(crate) fn evaluate(
    (plan, text): (&Node, &str),
    source: &dyn SeriesSource,
    (start, end, step): (i64, i64, i64),
    options: &Options,
) -> Result<Answer, Error> {
    let grid = Grid::between(start, end, step);
    let notes = Notes::default();
    let bounds = (start, end);
    let mut evaluator = Evaluator { source, options, bounds, notes, held: 0, work: 0 };
    let value = match &plan.bare().kind {
        Kind::Window(..) | Kind::Subquery(_) => evaluator.whole(plan.bare(), grid)?,
        _ => match evaluator.eval(plan, grid)? {
            Val::Vector(rows) => Value::Matrix(labels::finished(rows, grid)?),
            Val::Scalar(column) => Value::Matrix(vec![column.series(grid)]),
            Val::Text(text) => Value::Text { at: WallTime::from_millis(start), value: text.value },
        },
    };
    let (warnings, infos) = evaluator.notes.told(text);
    Ok(Answer { value, warnings, infos })
}

impl Notes {
    fn told(self, text: &str) -> (Vec<String>, Vec<String>) {
        let told = |kind: &str, at: usize, note: &str| {
            format!("PromQL {kind}: {note} ({})", place(text, at))
        };
        let warnings = self.warnings.into_iter();
        let warnings = warnings.map(|(at, note)| told("warning", at, &note)).collect();
        let repairs = self.repairs.iter();
        let repairs = repairs.map(|((at, name), repairs)| told("info", *at, &repairs.text(name)));
        let infos = self.infos.iter().map(|(at, note)| told("info", *at, note));
        (warnings, infos.chain(repairs).collect())
    }
}
