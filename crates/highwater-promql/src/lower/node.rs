//! One expression after the other.

use promql_parser::parser::token::TokenType;

use super::{Cursor, Tree};
use crate::answer::ValueType;
use crate::error::Error;
use crate::functions::Function;
use crate::lex::{What, parse_error};
use crate::plan::{
    Aggregate, Aggregation, Binary, Call, Group, Grouping, Kind, Matching, Node, Op, Selector,
    Subquery,
};

type Lowered = Result<Node, Error>;

impl Cursor<'_> {
    /// The plan of a tree whose first token comes next. A chain of operators leans to the left
    /// and may be long, so that way is gone without recursion.
    pub(super) fn node(&mut self, tree: &Tree) -> Lowered {
        let mut chain = Vec::new();
        let mut first = tree;
        while let Tree::Binary(binary) = first {
            chain.push(binary);
            first = &binary.lhs;
        }
        let mut node = self.operand(first)?;
        while let Some(binary) = chain.pop() {
            node = self.binary(node, &binary.rhs)?;
        }
        Ok(node)
    }

    fn operand(&mut self, tree: &Tree) -> Lowered {
        // The grammar drops the sign plus and takes minus into a number.
        if !matches!(tree, Tree::NumberLiteral(_)) {
            while self.mark("+") {}
        }
        let at = self.at();
        let (kind, gives) = match tree {
            Tree::Paren(paren) => {
                self.expect("(")?;
                let inner = self.node(&paren.expr)?;
                self.expect(")")?;
                let gives = inner.gives;
                (Kind::Paren(Box::new(inner)), gives)
            }
            Tree::Unary(unary) => {
                self.expect("-")?;
                let inner = self.node(&unary.expr)?;
                let gives = inner.gives;
                (Kind::Negate(Box::new(inner)), gives)
            }
            Tree::NumberLiteral(_) => {
                let sign = self.sign();
                let value = self.number().ok_or_else(|| self.lost())?;
                self.step();
                (Kind::Number(if sign < 0.0 { -value } else { value }), ValueType::Scalar)
            }
            Tree::StringLiteral(_) => {
                let Some(What::Text(text)) = self.peek() else {
                    return Err(self.lost());
                };
                self.step();
                (Kind::Text(text.clone()), ValueType::Text)
            }
            Tree::VectorSelector(vector) => {
                let selector = self.selector(is_named(vector.name.as_deref()))?;
                let when = self.when()?;
                (Kind::Select(Selector { when, ..selector }), ValueType::Vector)
            }
            Tree::MatrixSelector(matrix) => {
                let selector = self.selector(is_named(matrix.vs.name.as_deref()))?;
                self.expect("[")?;
                let range = self.range()?;
                self.expect("]")?;
                let when = self.when()?;
                (Kind::Window(Selector { when, ..selector }, range), ValueType::Matrix)
            }
            Tree::Subquery(subquery) => self.subquery(&subquery.expr)?,
            Tree::Call(call) => self.call(&call.args.args)?,
            Tree::Aggregate(a) => self.aggregate(a.op, a.param.as_deref(), &a.expr)?,
            Tree::Binary(_) => return self.node(tree),
            Tree::Extension(_) => return Err(self.lost()),
        };
        Ok(Node { at, kind, gives })
    }

    fn subquery(&mut self, inner: &Tree) -> Result<(Kind, ValueType), Error> {
        let inner = self.node(inner)?;
        self.expect("[")?;
        let range = self.range()?;
        self.expect(":")?;
        let step = if self.mark("]") {
            None
        } else {
            let step = self.range()?;
            self.expect("]")?;
            Some(step)
        };
        let when = self.when()?;
        let subquery = Subquery { inner, range, step, when };
        Ok((Kind::Subquery(Box::new(subquery)), ValueType::Matrix))
    }

    fn call(&mut self, trees: &[Box<Tree>]) -> Result<(Kind, ValueType), Error> {
        let at = self.at();
        let name = self.take_word()?.to_owned();
        let Some(function) = Function::of(&name) else {
            let what = format!("unknown function with name {name:?}");
            return Err(parse_error(self.source, at, &what));
        };
        self.expect("(")?;
        let mut args = Vec::new();
        for tree in trees {
            args.push(self.node(tree)?);
            self.mark(",");
        }
        self.expect(")")?;
        let gives = function.gives();
        Ok((Kind::Call(Call { name, function, args }), gives))
    }

    fn aggregate(
        &mut self,
        _op: TokenType,
        param: Option<&Tree>,
        inner: &Tree,
    ) -> Result<(Kind, ValueType), Error> {
        let by = Aggregation::of(self.take_word()?).ok_or_else(|| self.lost())?;
        let mut grouping = self.grouping()?;
        self.expect("(")?;
        let param = match param {
            Some(param) => {
                let param = self.node(param)?;
                self.expect(",")?;
                Some(param)
            }
            None => None,
        };
        let inner = self.node(inner)?;
        self.expect(")")?;
        if grouping.is_none() {
            grouping = self.grouping()?;
        }
        let aggregate = Aggregate { by, grouping, param, inner };
        Ok((Kind::Aggregate(Box::new(aggregate)), ValueType::Vector))
    }

    fn grouping(&mut self) -> Result<Option<Grouping>, Error> {
        if self.keyword("by") {
            return Ok(Some(Grouping::By(self.labels()?)));
        }
        if self.keyword("without") {
            return Ok(Some(Grouping::Without(self.labels()?)));
        }
        Ok(None)
    }

    fn binary(&mut self, lhs: Node, rhs: &Tree) -> Lowered {
        let op = match self.peek() {
            Some(What::Mark(mark)) => Op::of(mark),
            _ => self.word().and_then(Op::of),
        };
        let op = op.ok_or_else(|| self.lost())?;
        self.step();
        let bool_result = self.keyword("bool");
        let matching = self.matching()?;
        let rhs = self.node(rhs)?;
        let scalars = lhs.gives == ValueType::Scalar && rhs.gives == ValueType::Scalar;
        let gives = if scalars { ValueType::Scalar } else { ValueType::Vector };
        let at = lhs.at;
        let binary = Binary { op, lhs, rhs, matching, bool_result };
        Ok(Node { at, kind: Kind::Binary(Box::new(binary)), gives })
    }

    fn matching(&mut self) -> Result<Matching, Error> {
        let mut matching = Matching::default();
        if self.keyword("on") {
            matching.on = true;
            matching.labels = self.labels()?;
        } else if self.keyword("ignoring") {
            matching.labels = self.labels()?;
        }
        for (word, group) in [("group_left", Group::Left), ("group_right", Group::Right)] {
            if self.keyword(word) {
                matching.group = group;
                if matches!(self.peek(), Some(What::Mark("("))) {
                    matching.include = self.labels()?;
                }
            }
        }
        Ok(matching)
    }
}

/// Whether a name stands before the braces: one of the placeholders stands inside them.
fn is_named(name: Option<&str>) -> bool {
    name.is_some_and(|name| !name.starts_with('#'))
}
