//! Binary operators: scalars, vectors with scalars, and vectors whose series belong together.

use std::collections::HashMap;

use highwater_core::series::Labels;

use super::labels::{drop_metadata, only, text, without};
use super::row::{Column, Row};
use super::{Evaluated, Evaluator, Grid, Val};
use crate::error::Error;
use crate::plan::{Binary, Group, Matching, Op};

/// What an operator makes of two values: a number, or nothing where a comparison does not hold.
pub(crate) fn applied(op: Op, a: f64, b: f64) -> Option<f64> {
    Some(match op {
        Op::Add => a + b,
        Op::Sub => a - b,
        Op::Mul => a * b,
        Op::Div => a / b,
        Op::Mod => a % b,
        Op::Pow => a.powf(b),
        Op::Atan2 => a.atan2(b),
        _ => return holds(op, a, b).then_some(a),
    })
}

#[expect(clippy::float_cmp, reason = "the language's own comparison is exact")]
fn holds(op: Op, a: f64, b: f64) -> bool {
    match op {
        Op::Eq => a == b,
        Op::Ne => a != b,
        Op::Gt => a > b,
        Op::Lt => a < b,
        Op::Ge => a >= b,
        Op::Le => a <= b,
        _ => false,
    }
}

fn truth(holds: bool) -> f64 {
    if holds { 1.0 } else { 0.0 }
}

impl Evaluator<'_> {
    pub(super) fn binary(
        &mut self,
        binary: &Binary,
        lhs: Val,
        rhs: Val,
        grid: Grid,
    ) -> Evaluated<Val> {
        let op = binary.op;
        match (lhs, rhs) {
            (Val::Scalar(a), Val::Scalar(b)) => {
                let compares = op.compares();
                let make = |a, b| {
                    if compares {
                        truth(holds(op, a, b))
                    } else {
                        applied(op, a, b).unwrap_or(f64::NAN)
                    }
                };
                Ok(Val::Scalar(a.with(&b, grid, make)))
            }
            (Val::Vector(rows), Val::Scalar(column)) => {
                self.with_scalar(binary, rows, &column, grid, false)
            }
            (Val::Scalar(column), Val::Vector(rows)) => {
                self.with_scalar(binary, rows, &column, grid, true)
            }
            (Val::Vector(lhs), Val::Vector(rhs)) if op.is_set() => {
                self.set(binary, lhs, rhs, grid).map(Val::Vector)
            }
            (Val::Vector(lhs), Val::Vector(rhs)) => {
                self.matched(binary, lhs, rhs, grid).map(Val::Vector)
            }
            _ => Err(Error::execution("a string is no operand")),
        }
    }

    /// Each value with that of a scalar, which may stand on the left.
    fn with_scalar(
        &mut self,
        binary: &Binary,
        mut rows: Vec<Row>,
        column: &Column,
        grid: Grid,
        left: bool,
    ) -> Evaluated<Val> {
        let op = binary.op;
        let bool_result = binary.bool_result;
        let make = |step: usize, value: f64| {
            let other = column.get(step);
            let (a, b) = if left { (other, value) } else { (value, other) };
            if bool_result {
                return Some(truth(holds(op, a, b)));
            }
            // A comparison chooses values of the vector, on whichever side it stands.
            let made = applied(op, a, b);
            if op.compares() { made.map(|_| value) } else { made }
        };
        for row in &mut rows {
            row.filter_map(make);
            if !op.compares() || bool_result {
                self.drop_name(row);
            }
            self.worked(row.len())?;
        }
        self.merged(rows, grid).map(Val::Vector)
    }

    /// Each series of the side that may have many, with the one that belongs to it.
    fn matched(
        &mut self,
        binary: &Binary,
        lhs: Vec<Row>,
        rhs: Vec<Row>,
        grid: Grid,
    ) -> Evaluated<Vec<Row>> {
        let matching = &binary.matching;
        let right = matching.group == Group::Right;
        let (many, one) = if right { (rhs, lhs) } else { (lhs, rhs) };
        let mut groups: HashMap<Labels, Vec<&Row>> = HashMap::new();
        for row in &one {
            groups.entry(signature(&row.labels, matching)).or_default().push(row);
        }
        let held = [&many, &one]
            .map(|rows| rows.iter().fold(0, |n: usize, row| n.saturating_add(row.len())));
        let mut asked = vec![false; grid.count];
        for (step, _) in many.iter().flat_map(Row::iter) {
            if let Some(slot) = asked.get_mut(step) {
                *slot = true;
            }
        }
        for (signature, group) in groups.iter().filter(|(_, group)| group.len() > 1) {
            for row in group {
                self.worked(row.len())?;
            }
            check_one(signature, group, &asked, right)?;
        }
        let mut pairing = Pairing { binary, taken: HashMap::new(), made: Vec::new() };
        for row in &many {
            let signature = signature(&row.labels, matching);
            if let Some(group) = groups.get(&signature) {
                for other in group {
                    self.worked(row.len())?;
                    self.pair(&mut pairing, &signature, row, other)?;
                }
            }
        }
        let rows = self.merged(pairing.made, grid)?;
        let made = rows.iter().fold(0, |n: usize, row| n.saturating_add(row.len()));
        self.hold(made)?;
        self.release(held.iter().sum());
        Ok(rows)
    }

    /// One series of many with one of one.
    fn pair(
        &self,
        pairing: &mut Pairing<'_>,
        signature: &Labels,
        many: &Row,
        one: &Row,
    ) -> Evaluated<()> {
        let binary = pairing.binary;
        let (op, group) = (binary.op, binary.matching.group);
        let mut row = Row::new(self.result_labels(binary, many, one));
        row.drops = binary.bool_result;
        let alone = group == Group::OneToOne;
        // What no two pairs of a group may share at any step: anything if both sides are one.
        let key = if alone { Labels::default() } else { row.labels.clone() };
        let taken = pairing.taken.entry((signature.clone(), key)).or_default();
        for (step, value) in many.iter() {
            let Some(other) = one.get(step) else {
                continue;
            };
            let (a, b) = if group == Group::Right { (other, value) } else { (value, other) };
            let made =
                if binary.bool_result { Some(truth(holds(op, a, b))) } else { applied(op, a, b) };
            // Pairs of which nothing comes do not count as matches.
            let Some(made) = made else { continue };
            if taken.len() <= step {
                taken.resize(step.saturating_add(1), false);
            }
            if taken.get_mut(step).is_some_and(|slot| std::mem::replace(slot, true)) {
                let what = if alone {
                    "many-to-one matching must be explicit (group_left/group_right)"
                } else {
                    "grouping labels must ensure unique matches"
                };
                return Err(Error::execution(format!("multiple matches for labels: {what}")));
            }
            row.push(step, made);
        }
        if !row.is_empty() {
            pairing.made.push(row);
        }
        Ok(())
    }

    fn result_labels(&self, binary: &Binary, many: &Row, one: &Row) -> Labels {
        let matching = &binary.matching;
        let mut labels = many.labels.clone();
        let changed = !binary.op.compares();
        if changed {
            drop_metadata(&mut labels);
        }
        if matching.group == Group::OneToOne {
            if matching.on {
                labels = only(&labels, &matching.labels);
            } else {
                for name in &matching.labels {
                    labels.set(name.as_str(), "");
                }
            }
        }
        for name in &matching.include {
            labels.set(name.as_str(), one.labels.get(name));
        }
        if binary.bool_result && !self.options.delayed_name_removal {
            drop_metadata(&mut labels);
        }
        labels
    }
}

/// On the side of one no two series of a group may have a value at the same step, where the
/// other side has any, which is `asked`.
fn check_one(signature: &Labels, group: &[&Row], asked: &[bool], right: bool) -> Evaluated<()> {
    let mut first: HashMap<usize, &Row> = HashMap::new();
    for row in group {
        for (step, _) in row.iter() {
            let Some(earlier) = first.insert(step, row) else {
                continue;
            };
            if asked.get(step) == Some(&true) {
                let side = if right { "left" } else { "right" };
                return Err(Error::execution(format!(
                    "found duplicate series for the match group {} on the {side} hand-side of \
                     the operation: [{}, {}];many-to-many matching not allowed: matching \
                     labels must be unique on one side",
                    text(signature),
                    text(&row.labels),
                    text(&earlier.labels),
                )));
            }
        }
    }
    Ok(())
}

/// The pairs of one operation.
struct Pairing<'a> {
    binary: &'a Binary,
    /// Which steps a group has used, for each that may use it once.
    taken: HashMap<(Labels, Labels), Vec<bool>>,
    made: Vec<Row>,
}

/// The labels by which series belong together.
pub(super) fn signature(labels: &Labels, matching: &Matching) -> Labels {
    if matching.on { only(labels, &matching.labels) } else { without(labels, &matching.labels) }
}
