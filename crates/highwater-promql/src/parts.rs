//! What a query is made of, for whoever explains its answer: the conditions that it sets, what a sum
//! adds up, over which span a change is taken, which series it asks for. Nothing of it is evaluated.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use highwater_core::series::Matcher;

use crate::answer::ValueType;
use crate::eval::applied;
use crate::plan::{Binary, Kind, Matching, Node, Op, Selector};
use crate::query::Query;

/// A comparison that decides which values are left: `left op right`.
#[derive(Clone, Debug)]
pub struct Condition {
    /// What is compared. A number that is written before the operator is the right side all the same.
    pub left: Query,
    /// How.
    pub op: Comparison,
    /// What it is compared with.
    pub right: Query,
    /// What the right side is, where it is the same at all times.
    pub bound: Option<f64>,
    /// How far the left side is above the right one, of series that belong together.
    pub gap: Query,
}

/// The comparisons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `==`
    Equal,
    /// `!=`
    Unequal,
    /// `>`
    Above,
    /// `>=`
    AtLeast,
    /// `<`
    Below,
    /// `<=`
    AtMost,
}

/// Two sides of an operator whose series must belong together.
#[derive(Clone, Debug)]
pub struct Join {
    /// The left side.
    pub left: Query,
    /// The right side.
    pub right: Query,
    /// Whether by the labels alone, or by all but these.
    pub on: bool,
    /// The labels.
    pub labels: Vec<String>,
}

/// A change over a span: `x - x offset 10m`, `delta(x[10m])`.
#[derive(Clone, Debug)]
pub struct Trend {
    /// What changes.
    pub of: Query,
    /// The span.
    pub span: Duration,
}

/// Series that are asked for.
#[derive(Clone, Debug)]
pub struct Asked {
    /// All conditions on their labels, that on the name among them.
    pub matchers: Vec<Matcher>,
    /// The selector as it is written, without `offset`, `@` and range.
    pub text: String,
    /// How far back of each moment it looks, its offset included; `None` if only for the newest sample.
    pub reach: Option<Duration>,
}

impl Comparison {
    const fn of(op: Op) -> Option<Self> {
        Some(match op {
            Op::Eq => Self::Equal,
            Op::Ne => Self::Unequal,
            Op::Gt => Self::Above,
            Op::Ge => Self::AtLeast,
            Op::Lt => Self::Below,
            Op::Le => Self::AtMost,
            _ => return None,
        })
    }

    /// The same with its sides exchanged.
    const fn turned(self) -> Self {
        match self {
            Self::Equal | Self::Unequal => self,
            Self::Above => Self::Below,
            Self::AtLeast => Self::AtMost,
            Self::Below => Self::Above,
            Self::AtMost => Self::AtLeast,
        }
    }

    /// Whether `left op right` holds.
    #[expect(clippy::float_cmp, reason = "the language's own comparison is exact")]
    pub fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Self::Equal => left == right,
            Self::Unequal => left != right,
            Self::Above => left > right,
            Self::AtLeast => left >= right,
            Self::Below => left < right,
            Self::AtMost => left <= right,
        }
    }
}

impl fmt::Display for Comparison {
    /// As it is written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Equal => "==",
            Self::Unequal => "!=",
            Self::Above => ">",
            Self::AtLeast => ">=",
            Self::Below => "<",
            Self::AtMost => "<=",
        })
    }
}

impl Query {
    /// The comparisons that decide whether there is a result at all, in order of the text: those on
    /// both sides of `and` and `or`, before `unless`, and within arithmetic. What is compared within
    /// them, or within a function, is not told.
    pub fn conditions(&self) -> Vec<Condition> {
        let mut found = Vec::new();
        self.collect(&self.plan, &mut found);
        found
    }

    fn collect(&self, node: &Node, into: &mut Vec<Condition>) {
        match &node.kind {
            Kind::Paren(inner) | Kind::Negate(inner) => self.collect(inner, into),
            Kind::Binary(binary) => match Comparison::of(binary.op) {
                Some(_) if binary.bool_result => {}
                Some(op) => into.push(self.condition(binary, op)),
                None => {
                    self.collect(&binary.lhs, into);
                    if binary.op != Op::Unless {
                        self.collect(&binary.rhs, into);
                    }
                }
            },
            _ => {}
        }
    }

    fn condition(&self, binary: &Binary, op: Comparison) -> Condition {
        let is_turned = binary.lhs.gives == ValueType::Scalar;
        let (left, right, op) = if is_turned {
            (&binary.rhs, &binary.lhs, op.turned())
        } else {
            (&binary.lhs, &binary.rhs, op)
        };
        let gap = Binary { op: Op::Sub, lhs: left.clone(), rhs: right.clone(), ..binary.clone() };
        let gap = Node { at: left.at, kind: Kind::Binary(Box::new(gap)), gives: left.gives };
        Condition {
            left: self.part(left),
            op,
            right: self.part(right),
            bound: constant(right),
            gap: self.part(&gap),
        }
    }

    /// What an aggregation that stands at the top adds up, or chooses from.
    pub fn unaggregated(&self) -> Option<Self> {
        match &self.plan.bare().kind {
            Kind::Aggregate(aggregate) => Some(self.part(aggregate.inner.bare())),
            _ => None,
        }
    }

    /// The change over a span that the whole is, if it is one.
    pub fn trend(&self) -> Option<Trend> {
        let (of, span) = match &self.plan.bare().kind {
            Kind::Binary(binary) if binary.op == Op::Sub => earlier(&binary.lhs, &binary.rhs)?,
            Kind::Call(call) if CHANGES.contains(&call.name.as_str()) => {
                let arg = call.args.first()?.bare();
                let Kind::Window(selector, span) = &arg.kind else { return None };
                let kind = Kind::Select(selector.clone());
                (Node { at: arg.at, kind, gives: ValueType::Vector }, *span)
            }
            _ => return None,
        };
        Some(Trend { of: self.part(&of), span: millis(span) })
    }

    /// The series that are asked for, in order of the text.
    pub fn asked(&self) -> Vec<Asked> {
        let mut found = Vec::new();
        asked(&self.plan, 0, &mut found);
        found
    }

    /// The operators with series on both sides that give something only where these belong together,
    /// the innermost first.
    pub fn joins(&self) -> Vec<Join> {
        let mut found = Vec::new();
        self.join(&self.plan, &mut found);
        found
    }

    fn join(&self, node: &Node, into: &mut Vec<Join>) {
        for child in node.children() {
            self.join(child, into);
        }
        let Kind::Binary(binary) = &node.kind else { return };
        let Binary { op, lhs, rhs, matching, .. } = &**binary;
        let has_series = [lhs, rhs].iter().all(|side| side.gives == ValueType::Vector);
        if has_series && !matches!(op, Op::Or | Op::Unless) {
            let Matching { on, labels, .. } = matching.clone();
            into.push(Join { left: self.part(lhs), right: self.part(rhs), on, labels });
        }
    }

    fn part(&self, node: &Node) -> Self {
        Self { text: Arc::clone(&self.text), plan: node.bare().clone() }
    }
}

/// The functions that tell a change over their window.
const CHANGES: [&str; 3] = ["delta", "increase", "idelta"];

/// `now`, if `before` is the same some time earlier, and how much earlier.
fn earlier(now: &Node, before: &Node) -> Option<(Node, i64)> {
    let (Kind::Select(new), Kind::Select(old)) = (&now.bare().kind, &before.bare().kind) else {
        return None;
    };
    let span = old.when.offset.saturating_sub(new.when.offset);
    let is_same =
        new.name == old.name && new.matchers == old.matchers && new.when.at == old.when.at;
    (is_same && span > 0).then(|| (now.bare().clone(), span))
}

/// What an expression of nothing but numbers is.
fn constant(node: &Node) -> Option<f64> {
    match &node.kind {
        Kind::Number(value) => Some(*value),
        Kind::Paren(inner) => constant(inner),
        Kind::Negate(inner) => constant(inner).map(|value| -value),
        Kind::Binary(binary) if !binary.op.compares() && !binary.op.is_set() => {
            applied(binary.op, constant(&binary.lhs)?, constant(&binary.rhs)?)
        }
        _ => None,
    }
}

/// Collects selectors; those within subqueries reach back as far as these do.
fn asked(node: &Node, outer: i64, into: &mut Vec<Asked>) {
    let mut add = |selector: &Selector, range: i64| {
        let reach = outer.saturating_add(range).saturating_add(selector.when.offset.max(0));
        into.push(Asked {
            matchers: selector.conditions(),
            text: selector.to_string(),
            reach: (reach > 0).then(|| millis(reach)),
        });
    };
    match &node.kind {
        Kind::Select(selector) => add(selector, 0),
        Kind::Window(selector, range) => add(selector, *range),
        Kind::Subquery(subquery) => {
            let reach = subquery.range.saturating_add(subquery.when.offset.max(0));
            asked(&subquery.inner, outer.saturating_add(reach), into);
        }
        _ => node.children().into_iter().for_each(|child| asked(child, outer, into)),
    }
}

fn millis(span: i64) -> Duration {
    Duration::from_millis(u64::try_from(span).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse;

    fn said(text: &str) -> Vec<String> {
        let all = parse(text).unwrap().conditions();
        let said = |c: &Condition| format!("{} | {} | {} | {:?}", c.left, c.op, c.right, c.bound);
        all.iter().map(said).collect()
    }

    #[test]
    fn conditions_are_those_that_decide() {
        assert_eq!(said("up"), [""; 0]);
        assert_eq!(said("up == bool 0"), [""; 0]);
        assert_eq!(said("(up == 0)"), ["up | == | 0 | Some(0.0)"]);
        assert_eq!(said("90 < a / b"), ["a / b | > | 90 | Some(90.0)"]);
        assert_eq!(
            said("a > 2 * 2 and on (x) (b < c) unless d > 1"),
            ["a | > | 2 * 2 | Some(4.0)", "b | < | c | None"]
        );
        assert_eq!(said("a > time()"), ["a | > | time() | None"]);
    }

    #[test]
    fn the_gap_of_two_sides_keeps_how_they_match() {
        let condition = parse("a > on (x) group_left () b").unwrap().conditions().remove(0);
        assert_eq!(condition.gap.to_string(), "a - on (x) group_left () b");
        let joins = parse("a > on (x) group_left () (b / c) unless d").unwrap().joins();
        let told: Vec<_> =
            joins.iter().map(|j| format!("{} {} {}", j.left, j.on, j.right)).collect();
        assert_eq!(told, ["b false c", "a true b / c"]);
        assert_eq!(joins.last().map(|join| join.labels.clone()), Some(vec!["x".to_owned()]));
    }

    #[test]
    fn a_sum_tells_what_it_adds_up() {
        let inner = |text: &str| parse(text).unwrap().unaggregated().map(|q| q.to_string());
        assert_eq!(inner("(sum by (job) (up))").as_deref(), Some("up"));
        assert_eq!(inner("sum(up) / count(up)"), None);
    }

    #[test]
    fn a_trend_has_a_span() {
        let told = |text: &str| parse(text).unwrap().trend().map(|t| (t.of.to_string(), t.span));
        let ten = Duration::from_mins(10);
        assert_eq!(told("a - a offset 10m"), Some(("a".to_owned(), ten)));
        assert_eq!(told("(delta(a{b=\"c\"}[10m]))"), Some(("a{b=\"c\"}".to_owned(), ten)));
        assert_eq!(told("a - b offset 10m"), None);
        assert_eq!(told("a offset 10m - a"), None);
    }

    #[test]
    fn selectors_reach_back_as_far_as_all_around_them() {
        let asked = parse("rate(a[5m] offset 1m) > max_over_time(b[1h:1m]) + c").unwrap().asked();
        let told: Vec<_> = asked.iter().map(|a| (a.text.as_str(), a.reach)).collect();
        let mins = |m| Some(Duration::from_mins(m));
        assert_eq!(told, [("a", mins(6)), ("b", mins(60)), ("c", None)]);
    }
}
