//! A course reduced: from any number of samples to a bounded number of cells, and from cells to
//! blocks with their floors.
//!
//! ```text
//!  samples  . : ' . : ' . : '|. : ' . : '      cadence of the recording
//!  cells    [low mean high][ … ][ … ][ … ]     at most CELLS in a window
//!  blocks   [ floor = low decile of the lows ] tens in a window; what the statistics see
//! ```
//! All widths are counted backwards from the last sample, so a course that is moved in time gives
//! the same cells.

use std::time::Duration;

use highwater_core::series::Point;
use highwater_core::time::WallTime;

use crate::order::{count, mean, quantile};

/// Cells in one window: eight and more for each of the finest blocks, so that a decile is not the least.
pub(crate) const CELLS: i64 = 576;
/// As many, if none of them holds a new life.
const MOST_CELLS: usize = 577;
/// The share of a block's lows that may lie below its floor: a stray zero of a scrape that failed
/// half-way must not become the floor.
const FLOOR: usize = 100;
/// Likewise for its crest.
const CREST: usize = 900;

/// A short stretch of one life.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cell {
    /// Which life: how many had begun.
    pub(crate) life: usize,
    /// Its middle, in milliseconds before the end (never negative).
    pub(crate) back: i64,
    /// The lowest value.
    pub(crate) low: f64,
    /// The highest.
    pub(crate) high: f64,
    /// The mean.
    pub(crate) mean: f64,
}

/// A long stretch of one life.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block {
    /// Which life.
    pub(crate) life: usize,
    /// How many whole blocks lie between it and the end.
    pub(crate) back: i64,
    /// Its middle, in hours before the end, as a negative number.
    pub(crate) hours: f64,
    /// What stays after each collection: the low decile of the lows.
    pub(crate) floor: f64,
    /// The high decile of the highs.
    pub(crate) crest: f64,
    /// The mean.
    pub(crate) mean: f64,
    /// The mean load; not a number if it is unknown.
    pub(crate) load: f64,
}

/// Milliseconds from `earlier` to `later`.
pub(crate) fn millis_between(earlier: WallTime, later: WallTime) -> i64 {
    later.millis().saturating_sub(earlier.millis())
}

/// Milliseconds as hours.
pub(crate) fn hours(ms: i64) -> f64 {
    Duration::from_millis(ms.unsigned_abs()).as_secs_f64() / 3600.0
}

/// The cells of the last `span` milliseconds before `end`, oldest first. `points` are in order and
/// finite, `begins` are in order.
pub(crate) fn cells(points: &[Point], begins: &[WallTime], end: WallTime, span: i64) -> Vec<Cell> {
    let from = WallTime::from_millis(end.millis().saturating_sub(span));
    let first = points.partition_point(|point| point.at < from);
    let last = points.partition_point(|point| point.at <= end);
    let inside = points.get(first..last).unwrap_or_default();
    let width = (span / CELLS).max(1);
    let mut cells: Vec<Cell> = Vec::with_capacity(inside.len().min(MOST_CELLS));
    let mut life = begins.partition_point(|begin| *begin <= from);
    let mut open = Open::default();
    for point in inside {
        while begins.get(life).is_some_and(|begin| *begin <= point.at) {
            life += 1;
        }
        let back = millis_between(point.at, end);
        // Going forward, a sample is in the open cell until it is nearer than that cell's edge.
        if open.n > 0 && (open.life != life || back < open.edge) {
            cells.push(open.close());
            open = Open::default();
        }
        if open.n == 0 {
            open = Open {
                life,
                edge: back / width * width,
                first: back,
                low: point.value,
                high: point.value,
                ..open
            };
        }
        open.add(back, point.value);
    }
    if open.n > 0 {
        cells.push(open.close());
    }
    cells
}

/// A cell that is being filled.
#[derive(Default)]
struct Open {
    life: usize,
    /// What is nearer to the end than this is in the next one.
    edge: i64,
    n: usize,
    back: i64,
    first: i64,
    low: f64,
    high: f64,
    sum: f64,
}

impl Open {
    fn add(&mut self, back: i64, value: f64) {
        self.n += 1;
        self.back = back;
        self.low = self.low.min(value);
        self.high = self.high.max(value);
        self.sum += value;
    }

    fn close(&self) -> Cell {
        Cell {
            life: self.life,
            back: i64::midpoint(self.first, self.back),
            low: self.low,
            high: self.high,
            mean: self.sum / count(self.n),
        }
    }
}

/// The blocks of `width` milliseconds that `cells` make, with the mean load of each.
pub(crate) fn blocks(cells: &[Cell], load: &[Cell], width: i64) -> Vec<Block> {
    let width = width.max(1);
    let mut loads = load.chunk_by(|a, b| a.back / width == b.back / width).peekable();
    let mut low_values = Vec::new();
    let mut high_values = Vec::new();
    let mut blocks = Vec::new();
    let mut rest = cells;
    while let Some(Cell { life, back, .. }) = rest.first().copied() {
        let back = back / width;
        // Cells come nearer to the end one by one.
        let inside = |cell: &&Cell| cell.life == life && cell.back >= back * width;
        let (chunk, later) = rest.split_at(rest.iter().take_while(inside).count());
        rest = later;
        low_values.clear();
        low_values.extend(chunk.iter().map(|cell| cell.low));
        high_values.clear();
        high_values.extend(chunk.iter().map(|cell| cell.high));
        let earlier = |cells: &&[Cell]| cells.first().is_some_and(|c| c.back / width > back);
        while loads.next_if(earlier).is_some() {}
        let same = |cells: &&&[Cell]| cells.first().is_some_and(|c| c.back / width == back);
        let load = loads.peek().filter(same).map_or(f64::NAN, |c| mean(c.iter().map(|c| c.mean)));
        blocks.push(Block {
            life,
            back,
            hours: -hours(chunk.iter().map(|cell| cell.back).sum::<i64>()) / count(chunk.len()),
            floor: quantile(&mut low_values, FLOOR).unwrap_or_default(),
            crest: quantile(&mut high_values, CREST).unwrap_or_default(),
            mean: mean(chunk.iter().map(|cell| cell.mean)),
            load,
        });
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(values: &[(i64, f64)]) -> Vec<Point> {
        let point =
            |(at, value): &(i64, f64)| Point { at: WallTime::from_millis(*at), value: *value };
        values.iter().map(point).collect()
    }

    #[test]
    fn a_cell_holds_what_lies_in_its_width_and_life() {
        let points = points(&[(1000, 5.0), (1001, 1.0), (1400, 7.0), (1401, 3.0), (2151, 4.0)]);
        let begin = [WallTime::from_millis(1401)];
        let cells = cells(&points, &begin, WallTime::from_millis(2151), CELLS * 100);
        let found: Vec<_> = cells.iter().map(|c| (c.life, c.back, c.low, c.high, c.mean)).collect();
        assert_eq!(
            found,
            [
                (0, 1150, 1.0, 5.0, 3.0),
                (0, 751, 7.0, 7.0, 7.0),
                (1, 750, 3.0, 3.0, 3.0),
                (1, 0, 4.0, 4.0, 4.0)
            ]
        );
    }

    #[test]
    fn a_floor_is_the_low_decile_and_a_stray_zero_is_not() {
        let cell = |back: i64| Cell {
            life: 0,
            back,
            low: if back == 3 { 0.0 } else { 10.0 },
            high: 20.0,
            mean: 15.0,
        };
        let cells: Vec<Cell> = (0..12).rev().map(cell).collect();
        let blocks = blocks(&cells, &[], 100);
        assert_eq!(blocks.len(), 1);
        assert!((blocks[0].floor - 10.0).abs() < 1e-12 && (blocks[0].crest - 20.0).abs() < 1e-12);
        assert!(blocks[0].load.is_nan(), "nobody knows");
    }

    #[test]
    fn a_block_knows_the_load_of_its_time() {
        let cell = |back: i64, mean: f64| Cell { life: 0, back, low: mean, high: mean, mean };
        let values = [cell(25, 1.0), cell(15, 1.0), cell(5, 1.0)];
        let loads = [cell(28, 2.0), cell(22, 4.0), cell(3, 9.0)];
        let found: Vec<f64> = blocks(&values, &loads, 10).iter().map(|block| block.load).collect();
        assert!(
            (found[0] - 3.0).abs() < 1e-12 && found[1].is_nan() && (found[2] - 9.0).abs() < 1e-12
        );
    }
}
