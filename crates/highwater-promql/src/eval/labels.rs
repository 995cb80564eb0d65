//! What happens to labels: names dropped, groups, signatures, and series that become one.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use highwater_core::series::{Labels, NAME, Series};
use highwater_core::text::quoted;

use super::row::Row;
use super::{Evaluated, Evaluator, Grid};
use crate::error::Error;
use crate::plan::Grouping;

/// What says what a metric is, and goes when the values become something else.
const METADATA: [&str; 3] = [NAME, "__type__", "__unit__"];

impl Evaluator<'_> {
    /// The values of a row are no longer those of its metric.
    pub(super) fn drop_name(&self, row: &mut Row) {
        row.drops = true;
        if !self.options.delayed_name_removal {
            drop_metadata(&mut row.labels);
        }
    }

    /// Rows with the same labels become one row; they must not meet at any step.
    pub(super) fn merged(&self, rows: Vec<Row>, grid: Grid) -> Evaluated<Vec<Row>> {
        // Names that are still there may hide that rows are the same, or make them so: at a single
        // step only the end decides.
        if self.options.delayed_name_removal && grid.count == 1 {
            return Ok(rows.into_iter().filter(|row| !row.is_empty()).collect());
        }
        merge(rows)
    }
}

/// The rows as series without the names that were to be dropped.
pub(super) fn finished(mut rows: Vec<Row>, grid: Grid) -> Evaluated<Vec<Series>> {
    for row in rows.iter_mut().filter(|row| row.drops) {
        drop_metadata(&mut row.labels);
    }
    let rows = merge(rows)?;
    let series =
        rows.into_iter().map(|row| Series { points: row.points(grid), labels: row.labels });
    Ok(series.filter(|series| !series.points.is_empty()).collect())
}

pub(super) fn drop_metadata(labels: &mut Labels) {
    for name in METADATA {
        if !labels.get(name).is_empty() {
            labels.set(name, "");
        }
    }
}

pub(super) fn merge(rows: Vec<Row>) -> Evaluated<Vec<Row>> {
    let mut places: HashMap<Labels, usize> = HashMap::with_capacity(rows.len());
    let mut kept: Vec<Row> = Vec::with_capacity(rows.len());
    for row in rows {
        if row.is_empty() {
            continue;
        }
        match places.entry(row.labels.clone()) {
            Entry::Vacant(entry) => {
                entry.insert(kept.len());
                kept.push(row);
            }
            Entry::Occupied(entry) => {
                let first = kept.get_mut(*entry.get());
                if !first.is_some_and(|first| first.absorb(&row)) {
                    return Err(duplicate());
                }
            }
        }
    }
    Ok(kept)
}

pub(super) fn duplicate() -> Error {
    Error::execution("vector cannot contain metrics with the same labelset")
}

/// These labels alone.
pub(super) fn only(labels: &Labels, names: &[String]) -> Labels {
    let kept = labels.iter().filter(|(name, _)| names.iter().any(|wanted| wanted == name));
    Labels::new(kept)
}

/// All but these labels and the metric's name.
pub(super) fn without(labels: &Labels, names: &[String]) -> Labels {
    let unwanted = |name: &str| name == NAME || names.iter().any(|unwanted| unwanted == name);
    Labels::new(labels.iter().filter(|(name, _)| !unwanted(name)))
}

/// The labels of the group that a series belongs to.
pub(super) fn group(labels: &Labels, grouping: Option<&Grouping>) -> Labels {
    match grouping {
        None => Labels::default(),
        Some(Grouping::By(names)) => only(labels, names),
        Some(Grouping::Without(names)) => without(labels, names),
    }
}

/// Labels as Prometheus's error texts write them.
pub(super) fn text(labels: &Labels) -> String {
    let pairs = labels.iter().map(|(name, value)| format!("{name}={}", quoted(value.as_bytes())));
    format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
}
