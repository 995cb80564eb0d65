//! Functions of windows, series by series.

use crate::error::Error;
use crate::eval::range::Strips;
use crate::eval::row::{Column, Row};
use crate::eval::{Evaluated, Evaluator, Grid};
use crate::functions::{Over, OverKind};
use crate::number::general;
use crate::plan::{Call, Node};
use highwater_core::series::NAME;
use highwater_core::text::quoted;

/// Names of counters end so; of others Prometheus says that they might not be counters.
const COUNTERS: [&str; 4] = ["_total", "_sum", "_count", "_bucket"];

/// The arguments beside the range vector, which may stand before or after it.
struct Others {
    columns: [Column; 2],
    /// Where the first of them stands in the text.
    at: usize,
}

impl Evaluator<'_> {
    /// What a function makes of windows, at all steps or at those that are asked for.
    pub(in crate::eval) fn over(
        &mut self,
        call: &Call,
        over: Over,
        (grid, asked): (Grid, Option<&[bool]>),
    ) -> Evaluated<Vec<Row>> {
        use crate::answer::ValueType::Matrix;
        self.room(grid.count)?;
        let is_asked = |step: usize| asked.is_none_or(|asked| asked.get(step) == Some(&true));
        if !(0..grid.count).any(is_asked) {
            return Ok(Vec::new());
        }
        let ranged = call.args.iter().find(|arg| arg.gives == Matrix);
        let ranged = ranged.ok_or_else(|| Error::execution("expected a range vector"))?;
        let others = self.others(call, grid)?;
        if over.kind == OverKind::Factors {
            factors(&others)?;
        }
        let Strips { all, range, when, held } = self.strips(ranged, grid)?;
        // Under `@` every step sees the same window.
        let fixed = self.fixed(&when).is_some() && over.kind != OverKind::FromNow;
        let once = fixed && others.columns.iter().all(|column| matches!(column, Column::Same(_)));
        let (start, step) = (grid.start, grid.step);
        let seen = if once { Grid { start, step, count: grid.count.min(1) } } else { grid };
        let mut rows = Vec::with_capacity(all.len());
        for strip in all {
            let mut row = Row::new(strip.labels);
            row.drops = strip.drops;
            self.windows(&strip.points, (range, when), seen, |this, step, mut window| {
                if !is_asked(step) {
                    return Ok(());
                }
                window.args = [others.columns[0].get(step), others.columns[1].get(step)];
                if over.kind == OverKind::Quantile {
                    this.check_quantile(others.columns[0].get(step), others.at);
                }
                if let Some(value) = (over.value)(&window) {
                    row.push(step, value);
                }
                Ok(())
            })?;
            if let (true, Some(value)) = (once, row.get(0)) {
                row.fill(1, grid.count, value);
            }
            if row.is_empty() {
                continue;
            }
            self.hold(row.len())?;
            if over.kind == OverKind::Counter {
                self.check_counter(row.labels.get(NAME), ranged);
            }
            if over.kind != OverKind::Picks {
                self.drop_name(&mut row);
            }
            rows.push(row);
        }
        self.release(held);
        self.merged_if_dropped(rows, over, grid)
    }

    fn merged_if_dropped(&self, rows: Vec<Row>, over: Over, grid: Grid) -> Evaluated<Vec<Row>> {
        if over.kind == OverKind::Picks { Ok(rows) } else { self.merged(rows, grid) }
    }

    fn others(&mut self, call: &Call, grid: Grid) -> Evaluated<Others> {
        use crate::answer::ValueType::Scalar;
        let mut columns = [Column::Same(0.0), Column::Same(0.0)];
        let nodes: Vec<&Node> = call.args.iter().filter(|arg| arg.gives == Scalar).collect();
        for (slot, node) in columns.iter_mut().zip(&nodes) {
            *slot = self.scalar(node, grid)?;
        }
        Ok(Others { columns, at: nodes.first().map_or(0, |node| node.at) })
    }

    pub(in crate::eval) fn check_quantile(&mut self, q: f64, at: usize) {
        if q.is_nan() || !(0.0..=1.0).contains(&q) {
            let text = format!("quantile value should be between 0 and 1, got {}", general(q));
            self.warn(at, text);
        }
    }

    fn check_counter(&mut self, name: &str, node: &Node) {
        if !name.is_empty() && !COUNTERS.iter().any(|end| name.ends_with(end)) {
            let name = quoted(name.as_bytes());
            let text = format!(
                "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: \
                 {name}"
            );
            self.inform(node.at, text);
        }
    }

    pub(super) fn absent_over_time(&mut self, node: &Node, grid: Grid) -> Evaluated<Vec<Row>> {
        self.room(grid.count)?;
        let Strips { all, range, when, held } = self.strips(node, grid)?;
        let fixed = self.fixed(&when).is_some();
        let mut present = vec![false; grid.count];
        for strip in all {
            self.windows(&strip.points, (range, when), grid, |_, step, _| {
                if let Some(slot) = present.get_mut(step) {
                    *slot = true;
                }
                Ok(())
            })?;
            if fixed && present.contains(&true) {
                break;
            }
        }
        self.release(held);
        let present = present.into_iter().enumerate().filter(|(_, is)| *is).map(|(step, _)| step);
        self.absence(present, node, grid)
    }
}

fn factors(others: &Others) -> Evaluated<()> {
    for (column, name) in others.columns.iter().zip(["smoothing", "trend"]) {
        let wrong = |factor: &&f64| !(**factor > 0.0 && **factor < 1.0);
        if let Some(factor) = column.values().iter().find(wrong) {
            let short = if name == "smoothing" { "sf" } else { "tf" };
            let text =
                format!("invalid {name} factor. Expected: 0 < {short} < 1, got: {factor:.6}");
            return Err(Error::execution(text));
        }
    }
    Ok(())
}
