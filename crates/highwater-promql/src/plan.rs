//! A query in our own types: what the evaluator walks and what `Display` writes.

mod form;
mod pin;

use highwater_core::series::Matcher;

use crate::answer::ValueType;
use crate::functions::Function;
use crate::lex::Text;

/// An expression and where it begins in the text, for annotations.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) at: usize,
    pub(crate) kind: Kind,
    pub(crate) gives: ValueType,
}

/// What an expression is.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Number(f64),
    Text(Text),
    Select(Selector),
    Window(Selector, i64),
    Subquery(Box<Subquery>),
    Call(Call),
    Aggregate(Box<Aggregate>),
    Binary(Box<Binary>),
    Negate(Box<Node>),
    Paren(Box<Node>),
}

/// Which series, and when.
#[derive(Clone, Debug)]
pub(crate) struct Selector {
    /// The name that stands before the braces.
    pub(crate) name: Option<String>,
    /// The matchers between the braces.
    pub(crate) matchers: Vec<Matcher>,
    pub(crate) when: When,
}

/// The `@` and `offset` of a selector or subquery.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct When {
    pub(crate) at: Option<At>,
    /// In milliseconds.
    pub(crate) offset: i64,
}

/// A fixed moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum At {
    /// In milliseconds.
    Moment(i64),
    Start,
    End,
}

/// `inner[range:step]`.
#[derive(Clone, Debug)]
pub(crate) struct Subquery {
    pub(crate) inner: Node,
    /// In milliseconds, like the step.
    pub(crate) range: i64,
    pub(crate) step: Option<i64>,
    pub(crate) when: When,
}

/// A call of a function.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// As it was written.
    pub(crate) name: String,
    pub(crate) function: Function,
    pub(crate) args: Vec<Node>,
}

/// An aggregation.
#[derive(Clone, Debug)]
pub(crate) struct Aggregate {
    pub(crate) by: Aggregation,
    pub(crate) grouping: Option<Grouping>,
    pub(crate) param: Option<Node>,
    pub(crate) inner: Node,
}

/// `by (…)` or `without (…)`.
#[derive(Clone, Debug)]
pub(crate) enum Grouping {
    By(Vec<String>),
    Without(Vec<String>),
}

/// The aggregations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aggregation {
    Sum,
    Avg,
    Min,
    Max,
    Count,
    Stddev,
    Stdvar,
    Group,
    Topk,
    Bottomk,
    Quantile,
    CountValues,
}

/// `lhs op rhs`.
#[derive(Clone, Debug)]
pub(crate) struct Binary {
    pub(crate) op: Op,
    pub(crate) lhs: Node,
    pub(crate) rhs: Node,
    pub(crate) matching: Matching,
    /// Whether a comparison gives 0 and 1 instead of choosing.
    pub(crate) bool_result: bool,
}

/// Which series of two vectors belong together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Matching {
    /// Whether `labels` are those that count, or those that do not.
    pub(crate) on: bool,
    pub(crate) labels: Vec<String>,
    pub(crate) group: Group,
    /// Labels taken from the side of one.
    pub(crate) include: Vec<String>,
}

/// Which side may have many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Group {
    #[default]
    OneToOne,
    Left,
    Right,
}

/// The binary operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Atan2,
    Eq,
    Ne,
    Gt,
    Lt,
    Ge,
    Le,
    And,
    Or,
    Unless,
}

/// The aggregations by name.
const AGGREGATIONS: &[(&str, Aggregation)] = &[
    ("sum", Aggregation::Sum),
    ("avg", Aggregation::Avg),
    ("min", Aggregation::Min),
    ("max", Aggregation::Max),
    ("count", Aggregation::Count),
    ("stddev", Aggregation::Stddev),
    ("stdvar", Aggregation::Stdvar),
    ("group", Aggregation::Group),
    ("topk", Aggregation::Topk),
    ("bottomk", Aggregation::Bottomk),
    ("quantile", Aggregation::Quantile),
    ("count_values", Aggregation::CountValues),
];

/// The operators by name.
const OPS: &[(&str, Op)] = &[
    ("+", Op::Add),
    ("-", Op::Sub),
    ("*", Op::Mul),
    ("/", Op::Div),
    ("%", Op::Mod),
    ("^", Op::Pow),
    ("atan2", Op::Atan2),
    ("==", Op::Eq),
    ("!=", Op::Ne),
    (">", Op::Gt),
    ("<", Op::Lt),
    (">=", Op::Ge),
    ("<=", Op::Le),
    ("and", Op::And),
    ("or", Op::Or),
    ("unless", Op::Unless),
];

impl Aggregation {
    pub(crate) fn of(name: &str) -> Option<Self> {
        let found = AGGREGATIONS.iter().find(|(known, _)| name.eq_ignore_ascii_case(known));
        found.map(|(_, aggregation)| *aggregation)
    }

    fn name(self) -> &'static str {
        AGGREGATIONS.iter().find(|(_, known)| *known == self).map_or("", |(name, _)| name)
    }
}

impl Op {
    pub(crate) fn of(name: &str) -> Option<Self> {
        OPS.iter().find(|(known, _)| name.eq_ignore_ascii_case(known)).map(|(_, op)| *op)
    }

    fn name(self) -> &'static str {
        OPS.iter().find(|(_, known)| *known == self).map_or("", |(name, _)| name)
    }

    pub(crate) const fn compares(self) -> bool {
        matches!(self, Self::Eq | Self::Ne | Self::Gt | Self::Lt | Self::Ge | Self::Le)
    }

    pub(crate) const fn is_set(self) -> bool {
        matches!(self, Self::And | Self::Or | Self::Unless)
    }
}

impl Selector {
    /// All conditions, that on the name among them.
    pub(crate) fn conditions(&self) -> Vec<Matcher> {
        let name = self.name.iter().map(|name| Matcher::is(highwater_core::series::NAME, name));
        name.chain(self.matchers.iter().cloned()).collect()
    }
}

impl Node {
    /// The expression within its parentheses.
    pub(crate) fn bare(&self) -> &Self {
        let mut node = self;
        while let Kind::Paren(inner) = &node.kind {
            node = inner;
        }
        node
    }

    /// The text that this expression is.
    pub(crate) fn text(&self) -> Option<&Text> {
        match &self.bare().kind {
            Kind::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The expressions directly within this one, in order of the text.
    pub(crate) fn children(&self) -> Vec<&Self> {
        match &self.kind {
            Kind::Number(_) | Kind::Text(_) | Kind::Select(_) | Kind::Window(..) => Vec::new(),
            Kind::Subquery(subquery) => vec![&subquery.inner],
            Kind::Call(call) => call.args.iter().collect(),
            Kind::Aggregate(a) => a.param.iter().chain([&a.inner]).collect(),
            Kind::Binary(binary) => vec![&binary.lhs, &binary.rhs],
            Kind::Negate(inner) | Kind::Paren(inner) => vec![inner],
        }
    }

    /// The names of the metrics asked for by name, in order of the text.
    pub(crate) fn metrics<'a>(&'a self, into: &mut Vec<&'a str>) {
        if let Kind::Select(selector) | Kind::Window(selector, ..) = &self.kind {
            into.extend(selector.name.as_deref());
        }
        for child in self.children() {
            child.metrics(into);
        }
    }

    /// The names of the functions called, in order of the text.
    pub(crate) fn calls<'a>(&'a self, into: &mut Vec<&'a str>) {
        if let Kind::Call(call) = &self.kind {
            into.push(&call.name);
        }
        for child in self.children() {
            child.calls(into);
        }
    }
}
