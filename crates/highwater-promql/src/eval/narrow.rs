//! `costly and condition`: the condition comes first, and the costly side is made only where it holds.
//!
//! Windows of hours cost far more than what they are asked together with. What they would give where
//! the condition does not hold is dropped by `and` anyway. Only sides that can neither fail nor have
//! anything to say of what is left out are narrowed.

use super::{Evaluated, Evaluator, Grid, Val};
use crate::functions::{Function, Over, OverKind};
use crate::plan::{Binary, Call, Kind, Node, Op};

/// A function of windows that is made only at some steps.
pub(super) struct Narrow<'n> {
    call: &'n Call,
    over: Over,
    /// The right sides of the `and`s that it stands in, the innermost first.
    sides: Vec<&'n Node>,
}

/// What stands innermost in a chain of operators, which are the last of these first, if it may be
/// narrowed.
pub(super) fn narrow<'n>(first: &'n Node, chain: &[&'n Binary]) -> Option<Narrow<'n>> {
    let Kind::Call(call) = &first.kind else { return None };
    let Function::Over(over) = call.function else { return None };
    let is_quiet = matches!(over.kind, OverKind::Plain | OverKind::Picks | OverKind::FromNow);
    if !is_quiet || !call.args.iter().all(is_sure) {
        return None;
    }
    let outwards = chain.iter().rev();
    let is_plain = |binary: &&&Binary| !binary.op.is_set() && is_number(&binary.rhs);
    let ands = outwards.skip_while(is_plain).take_while(|binary| binary.op == Op::And);
    let sides: Vec<&Node> = ands.map(|binary| &binary.rhs).collect();
    (!sides.is_empty()).then_some(Narrow { call, over, sides })
}

/// Whether an argument cannot fail: a number, or samples of one metric, so that no two series are the
/// same without its name.
fn is_sure(arg: &Node) -> bool {
    match &arg.bare().kind {
        Kind::Window(selector, _) => selector.name.is_some() && selector.when.at.is_none(),
        _ => is_number(arg),
    }
}

fn is_number(node: &Node) -> bool {
    match &node.bare().kind {
        Kind::Number(_) => true,
        Kind::Negate(inner) => matches!(inner.bare().kind, Kind::Number(_)),
        _ => false,
    }
}

impl Evaluator<'_> {
    /// The function, and the right sides that were evaluated for it, the outermost first.
    pub(super) fn narrowed(
        &mut self,
        narrow: &Narrow<'_>,
        grid: Grid,
    ) -> Evaluated<(Val, Vec<Val>)> {
        self.room(grid.count)?;
        let mut asked = vec![true; grid.count];
        let mut sides = Vec::with_capacity(narrow.sides.len());
        for side in &narrow.sides {
            let side = self.eval(side, grid)?;
            keep(&mut asked, &side);
            sides.push(side);
        }
        sides.reverse();
        let rows = self.over(narrow.call, narrow.over, (grid, Some(&asked)))?;
        Ok((Val::Vector(rows), sides))
    }
}

/// Keeps the steps at which a side has anything.
fn keep(asked: &mut [bool], side: &Val) {
    let Val::Vector(rows) = side else { return };
    let mut there = vec![false; asked.len()];
    for (step, _) in rows.iter().flat_map(super::row::Row::iter) {
        if let Some(slot) = there.get_mut(step) {
            *slot = true;
        }
    }
    for (slot, there) in asked.iter_mut().zip(there) {
        *slot &= there;
    }
}
