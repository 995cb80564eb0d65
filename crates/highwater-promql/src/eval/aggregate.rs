//! Aggregations: rows of a group become one, step by step.

use std::collections::HashMap;

use highwater_core::series::Labels;

use super::labels::group;
use super::row::{Column, Row};
use super::{Evaluated, Evaluator, Grid};
use crate::error::Error;
use crate::number::{Mean, Sum, general, quantile, shortest};
use crate::plan::{Aggregate, Aggregation, Grouping};

/// The rows that belong together.
pub(super) struct Grouped {
    pub(super) labels: Labels,
    pub(super) rows: Vec<Row>,
}

impl Evaluator<'_> {
    pub(super) fn aggregate(&mut self, aggregate: &Aggregate, grid: Grid) -> Evaluated<Vec<Row>> {
        if aggregate.by == Aggregation::CountValues {
            return self.count_values(aggregate, grid);
        }
        let param = match &aggregate.param {
            Some(param) => self.scalar(param, grid)?,
            None => Column::Same(0.0),
        };
        let rows = self.vector(&aggregate.inner, grid)?;
        let held = rows.iter().fold(0, |sum: usize, row| sum.saturating_add(row.len()));
        let at = aggregate.param.as_ref().map_or(0, |param| param.at);
        let made = match aggregate.by {
            Aggregation::Topk | Aggregation::Bottomk => {
                self.chosen(aggregate, rows, &param, grid)?
            }
            by => {
                if by == Aggregation::Quantile {
                    self.check_quantiles(&param, at);
                }
                let groups = grouped(rows, aggregate.grouping.as_ref());
                let mut made = Vec::with_capacity(groups.len());
                for group in groups {
                    let all =
                        group.rows.iter().fold(0, |n: usize, row| n.saturating_add(row.len()));
                    self.worked(all)?;
                    made.push(folded(by, &group, &param));
                }
                made
            }
        };
        self.release(held);
        self.hold(made.iter().fold(0, |sum: usize, row| sum.saturating_add(row.len())))?;
        Ok(made)
    }

    /// Of all quantiles that are none, the worst on each side is told.
    fn check_quantiles(&mut self, param: &Column, at: usize) {
        let values = param.values();
        let nan = values.iter().copied().find(|q| q.is_nan());
        let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        let beyond = [Some(most).filter(|q| *q > 1.0), Some(least).filter(|q| *q < 0.0)];
        for q in nan.into_iter().chain(beyond.into_iter().flatten()) {
            let text = format!("quantile value should be between 0 and 1, got {}", general(q));
            self.warn(at, text);
        }
    }

    fn count_values(&mut self, aggregate: &Aggregate, grid: Grid) -> Evaluated<Vec<Row>> {
        let label = aggregate.param.as_ref().and_then(|param| param.text());
        let label = label.ok_or_else(|| Error::execution("expected a string"))?;
        if label.value.is_empty() || label.broken.is_some() {
            let shown = label.broken.clone().unwrap_or_else(|| "\"\"".to_owned());
            return Err(Error::execution(format!("invalid label name {shown}")));
        }
        let label = label.value.as_str();
        // The label with the value is one of the group's.
        let grouping = match &aggregate.grouping {
            Some(Grouping::By(names)) => {
                Grouping::By(names.iter().cloned().chain([label.to_owned()]).collect())
            }
            Some(without @ Grouping::Without(_)) => without.clone(),
            None => Grouping::By(vec![label.to_owned()]),
        };
        let mut counts: HashMap<Labels, usize> = HashMap::new();
        let mut made: Vec<(Labels, Vec<u32>)> = Vec::new();
        for row in self.vector(&aggregate.inner, grid)? {
            let mut places: HashMap<u64, usize> = HashMap::new();
            for (step, value) in row.iter() {
                let place = *places.entry(value.to_bits()).or_insert_with(|| {
                    let mut labels = row.labels.clone();
                    labels.set(label, shortest(value));
                    let labels = group(&labels, Some(&grouping));
                    *counts.entry(labels.clone()).or_insert_with(|| {
                        made.push((labels, vec![0; grid.count]));
                        made.len().saturating_sub(1)
                    })
                });
                let counts = made.get_mut(place).and_then(|(_, counts)| counts.get_mut(step));
                if let Some(count) = counts {
                    *count = count.saturating_add(1);
                }
            }
            // As many columns as values: a series that never repeats must not fill the memory.
            self.room(made.len().saturating_mul(grid.count))?;
            self.worked(row.len())?;
        }
        let row = |(labels, counts): (Labels, Vec<u32>)| {
            let mut row = Row::new(labels);
            for (step, count) in counts.into_iter().enumerate().filter(|(_, count)| *count > 0) {
                row.push(step, f64::from(count));
            }
            row
        };
        Ok(made.into_iter().map(row).collect())
    }
}

/// The groups in the order in which they come.
pub(super) fn grouped(rows: Vec<Row>, grouping: Option<&Grouping>) -> Vec<Grouped> {
    let mut places: HashMap<Labels, usize> = HashMap::new();
    let mut groups: Vec<Grouped> = Vec::new();
    for row in rows {
        let labels = group(&row.labels, grouping);
        let place = *places.entry(labels.clone()).or_insert(groups.len());
        if place == groups.len() {
            groups.push(Grouped { labels, rows: Vec::new() });
        }
        if let Some(group) = groups.get_mut(place) {
            group.rows.push(row);
        }
    }
    groups
}

fn folded(by: Aggregation, group: &Grouped, param: &Column) -> Row {
    let fold = Fold { group };
    let mut row = match by {
        Aggregation::Sum => fold.rows(Sum::of, |sum, value| *sum = sum.plus(value), Sum::total),
        Aggregation::Avg => fold.rows(Mean::of, Mean::add, Mean::value),
        Aggregation::Min => fold.rows(|v| v, |least, v| choose(least, v, v < *least), |v| v),
        Aggregation::Max => fold.rows(|v| v, |most, v| choose(most, v, v > *most), |v| v),
        Aggregation::Count => fold.rows(|_| 1.0, |count, _| *count += 1.0, |count| count),
        Aggregation::Stdvar => fold.rows(Spread::of, Spread::add, Spread::variance),
        Aggregation::Stddev => {
            fold.rows(Spread::of, Spread::add, |spread| spread.variance().sqrt())
        }
        Aggregation::Quantile => fold.quantiles(param),
        _ => fold.rows(|_| 1.0, |_, _| {}, |one| one),
    };
    row.drops = group.rows.iter().any(|row| row.drops);
    row
}

/// The better value; not-a-number only if there is nothing else.
fn choose(best: &mut f64, value: f64, better: bool) {
    if better || best.is_nan() {
        *best = value;
    }
}

/// Mean and sum of squares around it, value by value (Welford's way).
#[derive(Clone, Copy)]
struct Spread {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Spread {
    fn of(value: f64) -> Self {
        let squares = if value.is_finite() { 0.0 } else { f64::NAN };
        Self { count: 1.0, mean: value, squares }
    }

    fn add(&mut self, value: f64) {
        self.count += 1.0;
        let off = value - self.mean;
        self.mean += off / self.count;
        self.squares += off * (value - self.mean);
    }

    fn variance(self) -> f64 {
        self.squares / self.count
    }
}

struct Fold<'a> {
    group: &'a Grouped,
}

impl Fold<'_> {
    fn span(&self) -> (usize, usize) {
        let spans = self.group.rows.iter().map(Row::span);
        spans.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))).unwrap_or_default()
    }

    fn rows<A: Copy>(&self, begin: fn(f64) -> A, add: fn(&mut A, f64), end: fn(A) -> f64) -> Row {
        let (from, to) = self.span();
        let mut all: Vec<Option<A>> = vec![None; to.saturating_sub(from)];
        for (step, value) in self.group.rows.iter().flat_map(Row::iter) {
            let slot = step.checked_sub(from).and_then(|place| all.get_mut(place));
            match slot {
                Some(Some(folded)) => add(folded, value),
                Some(slot) => *slot = Some(begin(value)),
                None => {}
            }
        }
        let mut row = Row::new(self.group.labels.clone());
        for (step, folded) in (from..).zip(all) {
            if let Some(folded) = folded {
                row.push(step, end(folded));
            }
        }
        row
    }

    fn quantiles(&self, param: &Column) -> Row {
        let mut row = Row::new(self.group.labels.clone());
        let (from, to) = self.span();
        let mut values = Vec::with_capacity(self.group.rows.len());
        for step in from..to {
            values.clear();
            values.extend(self.group.rows.iter().filter_map(|row| row.get(step)));
            if !values.is_empty() {
                row.push(step, quantile(param.get(step), &mut values));
            }
        }
        row
    }
}
