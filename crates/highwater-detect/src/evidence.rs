//! What one window of a course says of its growth: floors, their slope with its interval, whether
//! it is more than chance, its shape, its cycles, and what load explains.

use std::cmp::Ordering;

use highwater_core::series::Point;
use highwater_core::time::WallTime;

use crate::cells::{Block, blocks, cells, hours};
use crate::cycle::{Cycle, blocks_in, take_out};
use crate::load::{Burden, burden};
use crate::order::{count, median};
use crate::shape::{Shape, shape};
use crate::trend::{Beside, Row, Trend, student, theil_sen, trend};

/// Milliseconds in an hour.
pub(crate) const HOUR: i64 = 3_600_000;
/// From this span on, blocks fit into days, and daily cycles are looked for.
pub(crate) const DAYS: i64 = 42 * HOUR;
/// From this span on, weekly cycles are looked for: two weeks, and something to compare.
const WEEKS: i64 = 16 * 24 * HOUR;
/// From this span on, cycles are looked for across lives: of two or three days, restarts make what
/// looks like one.
pub(crate) const DAYS_OF_LIVES: i64 = 96 * HOUR;
/// Blocks in a window of hours.
const BLOCKS: i64 = 36;
/// Most blocks in a window of days, but for the longest ones.
const MOST_BLOCKS: i64 = 72;
/// Fewer floors than this say nothing.
const FEWEST: usize = 6;

/// What is known of the course: in order, finite, and nothing after its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    pub(crate) points: &'a [Point],
    pub(crate) begins: &'a [WallTime],
    pub(crate) load: &'a [Point],
    pub(crate) end: WallTime,
    /// The smallest step the values make.
    pub(crate) grain: f64,
}

/// What a window says.
#[derive(Clone, Debug)]
pub(crate) struct Evidence {
    /// Its length in hours, from the first floor to the end.
    pub(crate) span: f64,
    /// Its finest floors, without their cycle.
    pub(crate) rows: Vec<Row>,
    /// How many lives it touches.
    pub(crate) lives: usize,
    /// Growth an hour, and how far it may be off either way.
    pub(crate) slope: f64,
    pub(crate) margin: f64,
    /// How much more than chance the growth is, in standard deviations.
    pub(crate) score: f64,
    /// The same at the second best of the three sizes of blocks: a finding that only one of them
    /// makes is that one's chance.
    pub(crate) second: f64,
    /// The share of increments between coarse floors that are upwards.
    pub(crate) upward: f64,
    /// The share of the growth that stays without its greatest increment.
    pub(crate) spread: f64,
    /// The floor by the line, at the beginning and at the end of the last life in the window.
    pub(crate) first: f64,
    pub(crate) last: f64,
    /// How far the values reach above their floor, typically.
    pub(crate) reach: f64,
    pub(crate) daily: Option<Cycle>,
    pub(crate) weekly: Option<Cycle>,
    pub(crate) shape: Option<Shape>,
    pub(crate) burden: Option<Burden>,
}

impl Evidence {
    /// How much it has grown within the window, in the longest life there.
    pub(crate) fn growth(&self) -> f64 {
        self.slope * self.reached()
    }

    /// Hours that its longest life lasted within the window.
    pub(crate) fn reached(&self) -> f64 {
        let lives = self.rows.chunk_by(|a, b| a.life == b.life);
        let span = |life: &[Row]| Some(life.last()?.hours - life.first()?.hours);
        lives.filter_map(span).fold(0.0, f64::max)
    }

    /// The slope before the last `span` hours, without the first quarter of this window: what begins
    /// steeply has its say in the shape.
    pub(crate) fn slope_before(&self, span: f64) -> Option<f64> {
        let inside = |row: &&Row| row.hours < -span && row.hours >= -0.75 * self.span;
        let before: Vec<Row> = self.rows.iter().filter(inside).copied().collect();
        if before.len() < 4 { None } else { theil_sen(&before) }
    }

    /// The lowest and the highest slope that the interval holds.
    pub(crate) fn interval(&self) -> (f64, f64) {
        (self.slope - self.margin, self.slope + self.margin)
    }
}

/// The width of the blocks of a window of `span` milliseconds.
fn width_of(span: i64) -> i64 {
    if span < DAYS {
        return (span / BLOCKS).max(1);
    }
    let fits = |width: &&i64| span / (**width * HOUR) <= MOST_BLOCKS;
    [1, 2, 4, 8, 12, 24].iter().find(fits).unwrap_or(&24) * HOUR
}

/// The blocks of the last `span` milliseconds, with the load of each.
pub(crate) fn blocks_of(view: &View<'_>, span: i64) -> Vec<Block> {
    let fine = cells(view.points, view.begins, view.end, span);
    let load = cells(view.load, &[], view.end, span);
    blocks(&fine, &load, width_of(span))
}

/// What the last `span` milliseconds say; `None` if that is nothing, or plainly no growth.
pub(crate) fn weigh(view: &View<'_>, span: i64) -> Option<Evidence> {
    let all = blocks_of(view, span);
    if sinks(&all) { None } else { weighed(view, &all, span) }
}

/// What these blocks say, which are the whole of the last `span` milliseconds.
pub(crate) fn weighed(view: &View<'_>, all: &[Block], span: i64) -> Option<Evidence> {
    let (kept, ages) = settled(view, all, span);
    if kept.len() < FEWEST {
        return None;
    }
    let width = width_of(span);
    let backs: Vec<i64> = kept.iter().map(|block| block.back).collect();
    let mut rows: Vec<Row> = kept.iter().map(row).collect();
    // Load is an affair of the mean, cycles and all.
    let means: Vec<Row> = kept.iter().map(|b| Row { value: b.mean, ..row(b) }).collect();
    let (daily, weekly) = cycles(&mut rows, &backs, width, span);
    let levels = [rows.clone(), grouped(&rows, 12, span), grouped(&rows, 6, span)];
    let mut found: Vec<(&Vec<Row>, Trend)> =
        levels.iter().filter_map(|level| Some((level, fit(level, view.grain)?))).collect();
    found.sort_by(|a, b| b.1.score().total_cmp(&a.1.score()));
    let second = found.get(1).map_or(0.0, |(_, trend)| trend.score());
    let (best, found) = found.first().copied()?;
    // Of what does not grow nobody asks how fast.
    let slope = if found.score() > WORTH { theil_sen(best)? } else { found.slope };
    let (upward, spread) = increments(levels.get(1).unwrap_or(best));
    let growing = found.score() > WORTH && slope > 0.0;
    let shaped = if best.len() >= 12 { best } else { &rows };
    let shaped_ages =
        if best.len() == rows.len() { ages.clone() } else { ages_of(shaped, &rows, &ages) };
    let form = growing.then(|| shape(shaped, &shaped_ages, slope)).flatten();
    let (first, last) = line(&rows, slope);
    let mut reach: Vec<f64> = kept.iter().map(|block| block.crest - block.floor).collect();
    Some(Evidence {
        span: -rows.first().map_or(0.0, |row| row.hours),
        lives: rows.chunk_by(|a, b| a.life == b.life).count(),
        slope,
        margin: student(CONFIDENCE, found.freedom) * found.error * (1.0 + 0.1 * found.persistence),
        score: found.score(),
        second,
        upward,
        spread,
        first,
        last,
        reach: median(&mut reach).unwrap_or_default(),
        daily,
        weekly,
        burden: if growing { burden(&means, slope, view.grain) } else { None },
        shape: form,
        rows,
    })
}

/// Whether the lowest floor of the last third is not above that of the first: no growth then, and
/// nothing to reckon with, wherever in a day the window begins and ends.
fn sinks(all: &[Block]) -> bool {
    let lowest =
        |part: &[Block]| part.iter().map(|block| block.floor).fold(f64::INFINITY, f64::min);
    let third = all.len() / 3;
    let restarted = all.first().zip(all.last()).is_some_and(|(a, b)| a.life != b.life);
    let (Some(early), Some(late)) = (all.get(..third), all.get(all.len() - third..)) else {
        return false;
    };
    !restarted && third > 0 && lowest(late) <= lowest(early)
}

/// Below this score there is no growth to look at more closely.
const WORTH: f64 = 2.0;
/// Intervals hold the truth with 95 %: this many standard deviations.
const CONFIDENCE: f64 = 1.96;

fn fit(rows: &[Row], grain: f64) -> Option<Trend> {
    (rows.len() >= FEWEST).then(|| trend(rows, Beside::Nothing, grain)).flatten()
}

fn row(block: &Block) -> Row {
    Row { life: block.life, hours: block.hours, load: block.load, value: block.floor }
}

/// The blocks without the start-up of each life whose beginning is known, and their ages.
fn settled(view: &View<'_>, all: &[Block], span: i64) -> (Vec<Block>, Vec<f64>) {
    let window = hours(span);
    let begin_of = |life: usize| {
        let begin = life.checked_sub(1).and_then(|at| view.begins.get(at))?;
        Some(-hours(view.end.millis().saturating_sub(begin.millis())))
    };
    let mut kept = Vec::with_capacity(all.len());
    let mut ages = Vec::with_capacity(all.len());
    for life in all.chunk_by(|a, b| a.life == b.life) {
        let (Some(first), Some(last)) = (life.first(), life.last()) else { continue };
        let known = begin_of(first.life).filter(|begin| *begin >= -window);
        let begin = known.unwrap_or(first.hours);
        // Programs load their code and fill their first pools within minutes; a twentieth of the
        // life is left out, but never more than an hour.
        let start = ((last.hours - begin) / 20.0).min(1.0);
        for block in life {
            let age = block.hours - begin;
            if age >= start {
                kept.push(*block);
                ages.push(age);
            }
        }
    }
    (kept, ages)
}

fn cycles(
    rows: &mut [Row],
    backs: &[i64],
    width: i64,
    span: i64,
) -> (Option<Cycle>, Option<Cycle>) {
    let restarted = rows.windows(2).any(|pair| matches!(pair, [a, b] if a.life != b.life));
    if span < if restarted { DAYS_OF_LIVES } else { DAYS } {
        return (None, None);
    }
    let daily = take_out(rows, backs, blocks_in(24, width), 24.0);
    let week = if span >= WEEKS { blocks_in(7 * 24, width) } else { 0 };
    (daily, take_out(rows, backs, week, 7.0 * 24.0))
}

/// The lowest of the floors in each of about `parts` stretches; whole days where there are enough.
fn grouped(rows: &[Row], parts: i64, span: i64) -> Vec<Row> {
    let day = 24.0;
    let whole = hours(span) / count(usize::try_from(parts).unwrap_or(1));
    let width = if whole > day / 2.0 { (whole / day).round().max(1.0) * day } else { whole };
    let key = |row: &Row| (row.life, (-row.hours / width).floor());
    rows.chunk_by(|a, b| key(a) == key(b))
        .filter_map(|chunk| chunk.iter().min_by(|a, b| a.value.total_cmp(&b.value)))
        .copied()
        .collect()
}

/// The ages of `some` of the rows.
fn ages_of(some: &[Row], rows: &[Row], ages: &[f64]) -> Vec<f64> {
    let mut all = rows.iter().zip(ages).peekable();
    some.iter()
        .map(|row| {
            while all.next_if(|(other, _)| other.hours < row.hours).is_some() {}
            all.peek().map_or(0.0, |(_, age)| **age)
        })
        .collect()
}

/// The share of increments that are upwards, and of the growth that stays without the greatest. Where
/// nothing moved, in whole percents most of all, half of it counts as upwards.
fn increments(rows: &[Row]) -> (f64, f64) {
    let (mut up, mut n, mut sum, mut greatest) = (0.0, 0_usize, 0.0, 0.0_f64);
    for pair in rows.windows(2) {
        if let [a, b] = pair
            && a.life == b.life
        {
            let rise = b.value - a.value;
            n += 1;
            up += match b.value.total_cmp(&a.value) {
                Ordering::Greater => 1.0,
                Ordering::Equal => 0.5,
                Ordering::Less => 0.0,
            };
            sum += rise;
            greatest = greatest.max(rise);
        }
    }
    if n == 0 || sum <= 0.0 {
        return (0.0, 0.0);
    }
    (up / count(n), 1.0 - greatest / sum)
}

/// Where the line through the last life begins and ends.
fn line(rows: &[Row], slope: f64) -> (f64, f64) {
    let Some(life) = rows.chunk_by(|a, b| a.life == b.life).next_back() else { return (0.0, 0.0) };
    let mut rests: Vec<f64> = life.iter().map(|row| row.value - slope * row.hours).collect();
    let level = median(&mut rests).unwrap_or_default();
    let first = life.first().map_or(0.0, |row| row.hours);
    (level + slope * first, level)
}
