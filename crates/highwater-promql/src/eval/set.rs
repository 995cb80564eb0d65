//! `and`, `or` and `unless`: step by step, by what the other side has.

use std::collections::HashMap;

use highwater_core::series::Labels;

use super::binary::signature;
use super::row::Row;
use super::{Evaluated, Evaluator, Grid};
use crate::plan::{Binary, Matching, Op};

/// At which steps a group has anything.
type Present = HashMap<Labels, Vec<bool>>;

impl Evaluator<'_> {
    pub(super) fn set(
        &mut self,
        binary: &Binary,
        mut lhs: Vec<Row>,
        mut rhs: Vec<Row>,
        grid: Grid,
    ) -> Evaluated<Vec<Row>> {
        let matching = &binary.matching;
        self.room(grid.count)?;
        match binary.op {
            Op::Or => {
                let there = self.present(&lhs, matching)?;
                keep(&mut rhs, matching, &there, false);
                lhs.append(&mut rhs);
            }
            op => {
                let there = self.present(&rhs, matching)?;
                keep(&mut lhs, matching, &there, op == Op::And);
            }
        }
        let before = lhs.len();
        self.worked(before)?;
        self.merged(lhs, grid)
    }

    fn present(&mut self, rows: &[Row], matching: &Matching) -> Evaluated<Present> {
        let mut present = Present::new();
        for row in rows {
            let steps = present.entry(signature(&row.labels, matching)).or_default();
            let (_, end) = row.span();
            steps.resize(end.max(steps.len()), false);
            for (step, _) in row.iter() {
                if let Some(slot) = steps.get_mut(step) {
                    *slot = true;
                }
            }
            self.worked(end)?;
        }
        Ok(present)
    }
}

/// Keeps the values where their group is there, or where it is not.
fn keep(rows: &mut Vec<Row>, matching: &Matching, there: &Present, wanted: bool) {
    for row in rows.iter_mut() {
        let steps = there.get(&signature(&row.labels, matching));
        let is_there = |step: usize| steps.is_some_and(|steps| steps.get(step) == Some(&true));
        row.filter_map(|step, value| (is_there(step) == wanted).then_some(value));
    }
    rows.retain(|row| !row.is_empty());
}
