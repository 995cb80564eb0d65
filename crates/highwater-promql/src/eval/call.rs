//! Calls of functions.

mod bucket;
mod label;
mod over;

use highwater_core::series::{Labels, NAME, Want};

pub(super) use bucket::Repairs;

use super::row::{Column, Row};
use super::{Evaluated, Evaluator, Grid, Val};
use crate::error::Error;
use crate::functions::{Function, math};
use crate::number::{larger, nan_first, seconds, smaller, whole};
use crate::plan::{Call, Kind, Node};

impl Evaluator<'_> {
    pub(super) fn call(&mut self, call: &Call, at: usize, grid: Grid) -> Evaluated<Val> {
        let arg = |place: usize| {
            call.args.get(place).ok_or_else(|| Error::execution("an argument is missing"))
        };
        match call.function {
            Function::Map(make) => self.mapped(arg(0)?, grid, make),
            Function::Over(over) => self.over(call, over, (grid, None)).map(Val::Vector),
            Function::Date(part) => self.date(call.args.first(), part, grid),
            Function::Absent => self.absent(arg(0)?, grid).map(Val::Vector),
            Function::AbsentOverTime => self.absent_over_time(arg(0)?, grid).map(Val::Vector),
            Function::Clamp => {
                let (low, high) = (self.scalar(arg(1)?, grid)?, self.scalar(arg(2)?, grid)?);
                self.clamped(arg(0)?, (&low, &high), grid)
            }
            Function::ClampMax => {
                let high = self.scalar(arg(1)?, grid)?;
                self.clamped(arg(0)?, (&Column::Same(f64::NEG_INFINITY), &high), grid)
            }
            Function::ClampMin => {
                let low = self.scalar(arg(1)?, grid)?;
                self.clamped(arg(0)?, (&low, &Column::Same(f64::INFINITY)), grid)
            }
            Function::Round => self.rounded(arg(0)?, call.args.get(1), grid),
            Function::Scalar => self.single(arg(0)?, grid).map(Val::Scalar),
            Function::Vector => {
                let column = self.scalar(arg(0)?, grid)?;
                self.column_row(&column, grid).map(|row| Val::Vector(vec![row]))
            }
            Function::Time => self.moments(grid).map(Val::Scalar),
            Function::Pi => Ok(Val::Scalar(Column::Same(std::f64::consts::PI))),
            Function::Timestamp => self.timestamps(arg(0)?, grid).map(Val::Vector),
            Function::Sort { descending } => self.sorted(arg(0)?, descending, (at, grid)),
            Function::LabelReplace => self.label_replace(&call.args, grid).map(Val::Vector),
            Function::LabelJoin => self.label_join(&call.args, grid).map(Val::Vector),
            Function::HistogramQuantile => {
                self.histogram_quantile(&call.args, grid).map(Val::Vector)
            }
            Function::HistogramFraction => {
                self.histogram_fraction(&call.args, grid).map(Val::Vector)
            }
            Function::NativeHistogram => {
                self.vector(arg(0)?, grid)?;
                Ok(Val::Vector(Vec::new()))
            }
        }
    }

    /// Every value by itself; the series are no longer those of their metrics.
    fn each(
        &mut self,
        node: &Node,
        grid: Grid,
        make: impl Fn(usize, f64) -> Option<f64>,
    ) -> Evaluated<Val> {
        let mut rows = self.vector(node, grid)?;
        for row in &mut rows {
            row.filter_map(&make);
            self.drop_name(row);
            self.worked(row.len())?;
        }
        self.merged(rows, grid).map(Val::Vector)
    }

    fn mapped(&mut self, node: &Node, grid: Grid, make: fn(f64) -> f64) -> Evaluated<Val> {
        self.each(node, grid, |_, value| Some(make(value)))
    }

    fn clamped(
        &mut self,
        node: &Node,
        (low, high): (&Column, &Column),
        grid: Grid,
    ) -> Evaluated<Val> {
        self.each(node, grid, |step, value| {
            let (low, high) = (low.get(step), high.get(step));
            let within = larger(low, smaller(high, value));
            if high < low { None } else { Some(within) }
        })
    }

    fn rounded(&mut self, node: &Node, nearest: Option<&Node>, grid: Grid) -> Evaluated<Val> {
        let nearest = match nearest {
            Some(nearest) => self.scalar(nearest, grid)?,
            None => Column::Same(1.0),
        };
        self.each(node, grid, |step, value| Some(math::round(value, nearest.get(step))))
    }

    fn date(&mut self, node: Option<&Node>, part: fn(i64) -> f64, grid: Grid) -> Evaluated<Val> {
        if let Some(node) = node {
            return self.each(node, grid, |_, value| Some(part(whole(value))));
        }
        let now = self.moments(grid)?.map(|seconds| part(whole(seconds)));
        self.column_row(&now, grid).map(|row| Val::Vector(vec![row]))
    }

    /// The moment of each step, in seconds.
    fn moments(&mut self, grid: Grid) -> Evaluated<Column> {
        self.room(grid.count)?;
        if grid.count == 1 {
            return Ok(Column::Same(seconds(grid.start)));
        }
        Ok(Column::Each((0..grid.count).map(|step| seconds(grid.at(step))).collect()))
    }

    /// A scalar as a series without labels.
    fn column_row(&mut self, column: &Column, grid: Grid) -> Evaluated<Row> {
        self.room(grid.count)?;
        self.hold(grid.count)?;
        let mut row = Row::new(Labels::default());
        for step in 0..grid.count {
            row.push(step, column.get(step));
        }
        Ok(row)
    }

    /// The value of the only series; not-a-number if there are more, or none.
    fn single(&mut self, node: &Node, grid: Grid) -> Evaluated<Column> {
        let rows = self.vector(node, grid)?;
        self.room(grid.count)?;
        let mut found: Vec<(f64, bool)> = vec![(f64::NAN, false); grid.count];
        for (step, value) in rows.iter().flat_map(Row::iter) {
            if let Some(slot) = found.get_mut(step) {
                *slot = (if slot.1 { f64::NAN } else { value }, true);
            }
        }
        self.release(rows.iter().fold(0, |sum: usize, row| sum.saturating_add(row.len())));
        Ok(Column::Each(found.into_iter().map(|(value, _)| value).collect()))
    }

    /// When the samples were taken; of anything but a selector, the moment itself.
    fn timestamps(&mut self, node: &Node, grid: Grid) -> Evaluated<Vec<Row>> {
        let mut rows = if let Kind::Select(selector) = &node.bare().kind {
            self.selected(selector, grid, |point| seconds(point.at.millis()))?
        } else {
            let mut rows = self.vector(node, grid)?;
            for row in &mut rows {
                row.filter_map(|step, _| Some(seconds(grid.at(step))));
            }
            rows
        };
        for row in &mut rows {
            self.drop_name(row);
        }
        self.merged(rows, grid)
    }

    /// In order of values where there is one step; not-a-number last, either way.
    fn sorted(
        &mut self,
        node: &Node,
        descending: bool,
        (at, grid): (usize, Grid),
    ) -> Evaluated<Val> {
        if self.bounds.0 != self.bounds.1 {
            let text = "sort is ineffective for range queries since results are always ordered by \
                        labels";
            self.warn(at, text.to_owned());
        }
        let mut rows = self.vector(node, grid)?;
        if grid.count == 1 {
            let value = |row: &Row| row.get(0).unwrap_or(f64::NAN);
            rows.sort_by(|a, b| {
                let (a, b) = (value(a), value(b));
                let nan_last = a.is_nan().cmp(&b.is_nan());
                let order = nan_first(a, b);
                nan_last.then(if descending { order.reverse() } else { order })
            });
        }
        Ok(Val::Vector(rows))
    }

    fn absent(&mut self, node: &Node, grid: Grid) -> Evaluated<Vec<Row>> {
        let rows = self.vector(node, grid)?;
        self.absence(rows.iter().flat_map(Row::iter).map(|(step, _)| step), node, grid)
    }

    /// One where no step is among those.
    fn absence(
        &mut self,
        present: impl Iterator<Item = usize>,
        node: &Node,
        grid: Grid,
    ) -> Evaluated<Vec<Row>> {
        self.room(grid.count)?;
        let mut there = vec![false; grid.count];
        for step in present {
            if let Some(slot) = there.get_mut(step) {
                *slot = true;
            }
        }
        let mut row = Row::new(absent_labels(node));
        for (step, _) in there.iter().enumerate().filter(|(_, there)| !**there) {
            row.push(step, 1.0);
        }
        self.hold(row.len())?;
        Ok(if row.is_empty() { Vec::new() } else { vec![row] })
    }
}

/// The labels that a selector says its series would have: those that are to equal something, and
/// that no other condition is about.
fn absent_labels(node: &Node) -> Labels {
    let (Kind::Select(selector) | Kind::Window(selector, _)) = &node.bare().kind else {
        return Labels::default();
    };
    let conditions = selector.conditions();
    let once = |name: &str| conditions.iter().filter(|other| other.name == name).count() == 1;
    let known = conditions.iter().filter(|c| c.name != NAME && once(&c.name));
    Labels::new(known.filter_map(|condition| match &condition.want {
        Want::Is(value) => Some((condition.name.as_str(), value.as_str())),
        _ => None,
    }))
}
