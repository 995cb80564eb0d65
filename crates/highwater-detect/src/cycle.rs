//! What comes again every day or every week, and the floors without it.
//!
//! Growth is measured between the same hours of different days (Hirsch, Slack & Smith 1982), and
//! what the days then have in common is taken out, its lowest hour left at zero: a floor stays a
//! floor. It counts as a cycle only where one day foretells the next, and foretells it better than
//! half a day does: a slow wave does the latter as well. And the changes of one day must foretell
//! those of the next: of a step between two days the levels make a day of 24 equal growths.

use crate::order::median;
use crate::shape::best_step;
use crate::trend::{Row, centred, dot, pair_slopes};

/// A cycle that was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Cycle {
    /// Its length in hours.
    pub(crate) period: f64,
    /// How well one period foretells the next: a correlation.
    pub(crate) likeness: f64,
    /// From its lowest to its highest hour, in the units of the values.
    pub(crate) height: f64,
}

/// One period must foretell the next at least this well, and the changes within it those of the next.
const MANY: (f64, f64) = (0.5, 0.4);
/// Where there are hardly two of them to compare, so well.
const FEW: (f64, f64) = (0.7, 0.55);
/// And better than half a period by this much.
const LEAD: f64 = 0.3;
/// One step that explains this share of all there is to explain is no cycle; of a straight line it
/// would explain three quarters.
const STEP: f64 = 0.8;

/// Takes the cycle of `period` blocks out of `rows`, whose blocks lie `backs` before the end.
pub(crate) fn take_out(rows: &mut [Row], backs: &[i64], period: i64, hours: f64) -> Option<Cycle> {
    if period < 2 {
        return None;
    }
    let of = |at: usize| backs.get(at).copied().unwrap_or_default();
    let slope = pair_slopes(rows, |i, j| (of(i) - of(j)) % period == 0)
        .or_else(|| pair_slopes(rows, |_, _| true))?;
    let flat = flattened(rows, slope);
    let few = backs.first().is_some_and(|first| *first < period * 3);
    let (likeness, least) = if few { FEW } else { MANY };
    let whole = echo(backs, &flat, period)?;
    let half = echo(backs, &flat, period / 2).map_or(0.0, |echo| echo.likeness);
    if whole.pairs * 10 < usize::try_from(period).ok()? * 7
        || whole.likeness < likeness
        || whole.likeness - half < LEAD
        || changes(rows, backs, period).is_none_or(|found| found < least)
        || (few && is_step(rows))
    {
        return None;
    }
    let profile = profile(backs, &flat, period);
    let lowest = profile.iter().flatten().copied().min_by(f64::total_cmp)?;
    let highest = profile.iter().flatten().copied().max_by(f64::total_cmp)?;
    for (row, back) in rows.iter_mut().zip(backs) {
        let phase = usize::try_from(back % period).ok();
        if let Some(level) = phase.and_then(|phase| profile.get(phase).copied().flatten()) {
            row.value -= level - lowest;
        }
    }
    Some(Cycle { period: hours, likeness: whole.likeness, height: highest - lowest })
}

/// The values without their growth, each life about zero.
fn flattened(rows: &[Row], slope: f64) -> Vec<f64> {
    let mut flat = Vec::with_capacity(rows.len());
    for life in rows.chunk_by(|a, b| a.life == b.life) {
        let rest = |row: &Row| row.value - slope * row.hours;
        let level = median(&mut life.iter().map(rest).collect::<Vec<_>>()).unwrap_or_default();
        flat.extend(life.iter().map(|row| rest(row) - level));
    }
    flat
}

/// Whether one step explains nearly all.
fn is_step(rows: &[Row]) -> bool {
    let values: Vec<f64> = rows.iter().map(|row| row.value).collect();
    let one = vec![0_usize; rows.len()];
    let y = centred(&one, &values);
    best_step(&one, &y).left < (1.0 - STEP) * dot(&y, &y)
}

/// How well the changes over an eighth of a period foretell those of the next one.
fn changes(rows: &[Row], backs: &[i64], period: i64) -> Option<f64> {
    let lag = (period / 8).max(1);
    let mut before = rows.iter().zip(backs).peekable();
    let (mut moved, mut at) = (Vec::new(), Vec::new());
    for (row, back) in rows.iter().zip(backs) {
        while before.next_if(|(_, other)| **other > back + lag).is_some() {}
        let earlier = before.peek().filter(|(_, other)| **other == back + lag);
        if let Some((other, _)) = earlier.filter(|(other, _)| other.life == row.life) {
            moved.push(row.value - other.value);
            at.push(*back);
        }
    }
    let usual = median(&mut moved.clone())?;
    for change in &mut moved {
        *change -= usual;
    }
    echo(&at, &moved, period).map(|echo| echo.likeness)
}

struct Echo {
    likeness: f64,
    pairs: usize,
}

/// How well values foretell those `lag` blocks later.
fn echo(backs: &[i64], flat: &[f64], lag: i64) -> Option<Echo> {
    let (mut product, mut early, mut late, mut pairs) = (0.0, 0.0, 0.0, 0_usize);
    // Both lists go from far back to near; the later of a pair is sought behind the earlier one.
    let mut ahead = backs.iter().zip(flat).peekable();
    for (back, value) in backs.iter().zip(flat) {
        let wanted = back - lag;
        while ahead.next_if(|(back, _)| **back > wanted).is_some() {}
        if let Some((_, other)) = ahead.peek().filter(|(back, _)| **back == wanted) {
            product += value * *other;
            early += value * value;
            late += *other * *other;
            pairs += 1;
        }
    }
    let scale = (early * late).sqrt();
    (pairs > 0).then(|| Echo { likeness: if scale > 0.0 { product / scale } else { 0.0 }, pairs })
}

/// The median of each phase.
fn profile(backs: &[i64], flat: &[f64], period: i64) -> Vec<Option<f64>> {
    let phases = usize::try_from(period).unwrap_or_default();
    let mut values: Vec<Vec<f64>> = vec![Vec::new(); phases];
    for (back, value) in backs.iter().zip(flat) {
        let phase = usize::try_from(back % period).ok();
        if let Some(values) = phase.and_then(|phase| values.get_mut(phase)) {
            values.push(*value);
        }
    }
    values.iter_mut().map(|values| median(values)).collect()
}

/// How many blocks of `width_hours` make `hours`; zero if they do not.
pub(crate) fn blocks_in(hours: i64, width_ms: i64) -> i64 {
    let whole = hours.saturating_mul(3_600_000);
    if width_ms > 0 && whole % width_ms == 0 { whole / width_ms } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `days` days of 24 blocks: `per_day` of growth upon a wave of the given height.
    fn rows(days: i64, per_day: f64, height: f64) -> (Vec<Row>, Vec<i64>) {
        let n = days * 24;
        let backs: Vec<i64> = (0..n).rev().collect();
        let row = |back: &i64| {
            let hours = -f64::from(i32::try_from(*back).unwrap());
            let wave = (hours / 24.0 * std::f64::consts::TAU).sin();
            Row {
                life: 0,
                hours,
                load: 0.0,
                value: 100.0 + per_day * hours / 24.0 + height * wave / 2.0,
            }
        };
        (backs.iter().map(row).collect(), backs)
    }

    #[test]
    fn a_daily_wave_is_taken_out_and_the_growth_stays() {
        let (mut rows, backs) = rows(3, 5.0, 40.0);
        let cycle = take_out(&mut rows, &backs, 24, 24.0).unwrap();
        assert!((cycle.height - 40.0).abs() < 1e-9, "{cycle:?}");
        let slope = crate::trend::theil_sen(&rows).unwrap();
        assert!((slope * 24.0 - 5.0).abs() < 1e-9, "{slope}");
    }

    #[test]
    fn growth_alone_is_no_cycle() {
        let (mut rows, backs) = rows(3, 5.0, 0.0);
        assert_eq!(take_out(&mut rows, &backs, 24, 24.0), None);
    }

    #[test]
    fn a_slow_wave_is_no_daily_cycle() {
        let (mut rows, backs) = rows(9, 0.0, 0.0);
        for row in &mut rows {
            row.value += 10.0 * (row.hours / 120.0 * std::f64::consts::TAU).sin();
        }
        assert_eq!(take_out(&mut rows, &backs, 24, 24.0), None);
    }

    #[test]
    fn a_step_between_two_days_is_no_daily_cycle() {
        let (mut rows, backs) = rows(2, 0.0, 0.0);
        for row in rows.iter_mut().filter(|row| row.hours > -20.0) {
            row.value += 10.0;
        }
        assert_eq!(take_out(&mut rows, &backs, 24, 24.0), None);
    }

    #[test]
    fn blocks_fit_a_day_or_not() {
        assert_eq!(blocks_in(24, 3_600_000), 24);
        assert_eq!(blocks_in(24, 7_000_000), 0);
        assert_eq!(blocks_in(24, 0), 0);
    }
}
