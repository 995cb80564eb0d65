//! `topk` and `bottomk`: the series themselves, where they are among the first.

use super::aggregate::{Grouped, grouped};
use super::row::{Column, Row};
use super::{Evaluated, Evaluator, Grid};
use crate::error::Error;
use crate::number::{general, items, nan_first};
use crate::plan::{Aggregate, Aggregation};

/// Where a number of series no longer fits Prometheus's own: 2^63.
const MOST: f64 = 9_223_372_036_854_775_807.0;

impl Evaluator<'_> {
    pub(super) fn chosen(
        &mut self,
        aggregate: &Aggregate,
        rows: Vec<Row>,
        param: &Column,
        grid: Grid,
    ) -> Evaluated<Vec<Row>> {
        let values = param.values();
        if values.iter().any(|k| k.is_nan()) {
            return Err(Error::execution("Parameter value is NaN"));
        }
        let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        if most < 1.0 {
            return Ok(Vec::new());
        }
        if least <= -MOST {
            let text = format!("Scalar value {} underflows int64", general(least));
            return Err(Error::execution(text));
        }
        if most >= MOST {
            let text = format!("Scalar value {} overflows int64", general(most));
            return Err(Error::execution(text));
        }
        let top = aggregate.by == Aggregation::Topk;
        let mut made = Vec::new();
        for group in grouped(rows, aggregate.grouping.as_ref()) {
            let all = group.rows.iter().fold(0, |n: usize, row| n.saturating_add(row.len()));
            self.worked(all)?;
            made.extend(first_of(&group, param, (top, grid)));
        }
        Ok(made)
    }
}

fn first_of(group: &Grouped, param: &Column, (top, grid): (bool, Grid)) -> Vec<Row> {
    let empty = |row: &Row| {
        let mut kept = Row::new(row.labels.clone());
        kept.drops = row.drops;
        kept
    };
    let mut kept: Vec<Row> = group.rows.iter().map(empty).collect();
    let mut order = Vec::new();
    for step in 0..grid.count {
        let there = group.rows.iter().enumerate();
        let there = there.filter_map(|(place, row)| row.get(step).map(|value| (place, value)));
        let mut heap = Heap { top, most: items(param.get(step)), kept: Vec::new() };
        there.for_each(|(place, value)| heap.offer(place, value));
        let best = heap.in_order();
        for (place, value) in &best {
            if let Some(row) = kept.get_mut(*place) {
                row.push(step, *value);
            }
        }
        if grid.count == 1 {
            order = best.into_iter().map(|(place, _)| place).collect();
        }
    }
    if grid.count == 1 {
        // A single step shows its series in order of their values.
        return order.into_iter().filter_map(|place| kept.get(place).cloned()).collect();
    }
    kept.into_iter().filter(|row| !row.is_empty()).collect()
}

/// The best so far, the worst of them in front: a binary heap as Go's `container/heap` moves it,
/// because among equal values that decides which ones stay.
struct Heap {
    top: bool,
    most: usize,
    kept: Vec<(usize, f64)>,
}

impl Heap {
    fn offer(&mut self, place: usize, value: f64) {
        if self.kept.len() < self.most {
            self.kept.push((place, value));
            self.up(self.kept.len().saturating_sub(1));
            return;
        }
        let Some(worst) = self.kept.first_mut() else {
            return;
        };
        let better = if self.top { worst.1 < value } else { worst.1 > value };
        if better || (worst.1.is_nan() && !value.is_nan()) {
            *worst = (place, value);
            self.down();
        }
    }

    /// Whether the value at one place is worse than that at another; not-a-number is the worst.
    fn worse(&self, a: usize, b: usize) -> bool {
        let (Some(a), Some(b)) = (self.kept.get(a), self.kept.get(b)) else {
            return false;
        };
        if a.1.is_nan() {
            return true;
        }
        if self.top { a.1 < b.1 } else { a.1 > b.1 }
    }

    fn up(&mut self, mut place: usize) {
        while let Some(below) = place.checked_sub(1) {
            let parent = below / 2;
            if !self.worse(place, parent) {
                return;
            }
            self.kept.swap(parent, place);
            place = parent;
        }
    }

    fn down(&mut self) {
        let mut place: usize = 0;
        loop {
            let left = place.saturating_mul(2).saturating_add(1);
            if left >= self.kept.len() {
                return;
            }
            let right = left.saturating_add(1);
            let child =
                if right < self.kept.len() && self.worse(right, left) { right } else { left };
            if !self.worse(child, place) {
                return;
            }
            self.kept.swap(place, child);
            place = child;
        }
    }

    /// The best first, not-a-number last.
    fn in_order(mut self) -> Vec<(usize, f64)> {
        let top = self.top;
        self.kept.sort_by(|a, b| {
            let order = nan_first(a.1, b.1);
            a.1.is_nan().cmp(&b.1.is_nan()).then(if top { order.reverse() } else { order })
        });
        self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_stay_and_nan_is_the_worst() {
        let mut heap = Heap { top: true, most: 2, kept: Vec::new() };
        for (place, value) in [f64::NAN, 1.0, 5.0, 3.0, f64::NAN].into_iter().enumerate() {
            heap.offer(place, value);
        }
        assert_eq!(heap.in_order(), [(2, 5.0), (3, 3.0)]);
        let mut heap = Heap { top: false, most: 9, kept: Vec::new() };
        for (place, value) in [2.0, f64::NAN, 1.0].into_iter().enumerate() {
            heap.offer(place, value);
        }
        let places: Vec<usize> = heap.in_order().into_iter().map(|(place, _)| place).collect();
        assert_eq!(places, [2, 0, 1]);
    }
}
