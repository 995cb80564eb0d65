//! Whether a growth still goes on, or was stopped: by a restart with something better, or by itself.
//!
//! The slope of a window is what all of it has in common; a short flat end hardly bends it. So the
//! end is asked by itself: had it gone on, it would stand out of the end's own scatter by far, and
//! nothing before paused for as long.

use crate::order::{count, median};
use crate::trend::{Row, theil_sen};

/// An end of fewer floors says nothing.
const FEWEST: usize = 6;
/// What should have grown, and did not, must be so many errors of its own slope: floors are not
/// independent, so the plain error is taken for half of the true one.
const CLEAR: f64 = 7.0;
/// Growth of less than this share of the slope is a pause.
const FLAT: f64 = 0.4;
/// Less than so many of the smallest steps that values make is no pause, whoever sees whole percents.
const GRAINS: f64 = 3.0;
/// A pause of this share of the longest life makes steps of a growth …
const PAUSE: f64 = 0.25;
/// … if so little of it, at its slope, comes in the pause.
const STILL: f64 = 0.2;
/// So many steps are a habit.
const RISES: usize = 3;
/// The last thirds and fifths of the only life that are asked.
const ENDS: [usize; 2] = [3, 5];

/// Whether growth at `slope` has stopped in the last life of `rows`, or in the end of the only one.
pub(crate) fn has_stopped(rows: &[Row], slope: f64, grain: f64) -> bool {
    let lives: Vec<&[Row]> = rows.chunk_by(|a, b| a.life == b.life).collect();
    let Some((last, earlier)) = lives.split_last() else { return false };
    if !earlier.is_empty() && last.len() >= FEWEST {
        return is_flat(last, slope, grain)
            && !earlier.iter().any(|life| paused(life, last, slope));
    }
    ENDS.iter().any(|part| {
        let (before, end) = last.split_at(last.len() - last.len() / part);
        is_flat(end, slope, grain) && !paused(before, end, slope)
    })
}

/// Whether `end` does not grow, though at `slope` it would visibly have.
fn is_flat(end: &[Row], slope: f64, grain: f64) -> bool {
    if end.len() < FEWEST {
        return false;
    }
    let Some(own) = theil_sen(end) else { return false };
    let mut rests: Vec<f64> = end.iter().map(|row| row.value - own * row.hours).collect();
    let level = median(&mut rests).unwrap_or_default();
    for rest in &mut rests {
        *rest = (*rest - level).abs();
    }
    // 1.4826 median deviations are a standard deviation, and √(12/n) of those the error of a rise
    // over n places.
    let error = 1.4826 * median(&mut rests).unwrap_or_default() * (12.0 / count(end.len())).sqrt();
    own < FLAT * slope && (slope - own) * lasts(end) > CLEAR * error + GRAINS * grain
}

/// Whether `life` once was as flat for as long as `end` is.
fn paused(life: &[Row], end: &[Row], slope: f64) -> bool {
    let run = lasts(end);
    life.iter().enumerate().any(|(at, row)| {
        let rest = life.get(at..).unwrap_or_default();
        let later = rest.get(rest.partition_point(|other| other.hours < row.hours + run));
        later.is_some_and(|later| later.value - row.value < FLAT * slope * run)
    })
}

/// Whether growth at `slope` paused for a quarter of `rows` or more, and rose fewer than
/// [`RISES`] times beside: a few steps are not yet a habit.
pub(crate) fn is_few_steps(rows: &[Row], slope: f64, grain: f64) -> bool {
    let lives = rows.chunk_by(|a, b| a.life == b.life);
    let Some(life) = lives.max_by_key(|life| life.len()) else { return false };
    let long = lasts(life) * PAUSE;
    if slope * long < GRAINS * grain {
        return false;
    }
    let (mut rises, mut pauses, mut at) = (0_usize, 0_usize, 0_usize);
    let mut rising = false;
    while let Some(row) = life.get(at) {
        let rest = life.get(at..).unwrap_or_default();
        let run = rest.partition_point(|other| other.hours < row.hours + long);
        let least = STILL * slope * long;
        let flat = rest.get(run).is_some_and(|later| later.value - row.value < least);
        if flat {
            pauses += 1;
            rising = false;
            at += run;
        } else {
            rises += usize::from(!rising);
            rising = true;
            at += 1;
        }
    }
    pauses > 0 && rises < RISES
}

fn lasts(rows: &[Row]) -> f64 {
    rows.first().zip(rows.last()).map_or(0.0, |(first, last)| last.hours - first.hours)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of an hour, by life and value.
    fn rows(values: impl IntoIterator<Item = (usize, f64)>) -> Vec<Row> {
        let hours = (-200..).map(f64::from);
        let noise = |hour: f64| 0.3 * (hour * 12.9898).sin();
        let row = |(hours, (life, value)): (f64, (usize, f64))| Row {
            life,
            hours,
            load: 0.0,
            value: value + noise(hours),
        };
        hours.zip(values).map(row).collect()
    }

    #[test]
    fn a_life_that_does_not_grow_any_more_ends_it() {
        let first = (0..60).map(|n| (0, f64::from(n)));
        let mended = rows(first.clone().chain((0..20).map(|_| (1, 5.0))));
        assert!(has_stopped(&mended, 1.0, 0.0));
        assert!(!has_stopped(
            &rows(first.chain((0..20).map(|n| (1, 5.0 + f64::from(n))))),
            1.0,
            0.0
        ));
    }

    #[test]
    fn the_end_of_the_only_life_counts_alike() {
        let flat_after = |end: i32| rows((0..60).map(move |n| (0, f64::from(n.min(end)))));
        assert!(has_stopped(&flat_after(40), 1.0, 0.0));
        assert!(!has_stopped(&flat_after(60), 1.0, 0.0));
        assert!(!has_stopped(&flat_after(40), 1.0, 10.0), "two steps of ten may be chance");
    }

    #[test]
    fn two_steps_are_few_and_four_are_a_habit() {
        let nights = |n: i32, every: i32| f64::from(n / every * every);
        assert!(is_few_steps(&rows((0..60).map(|n| (0, nights(n, 28)))), 1.0, 0.0));
        assert!(!is_few_steps(&rows((0..60).map(|n| (0, nights(n, 14)))), 1.0, 0.0));
        assert!(!is_few_steps(&rows((0..60).map(|n| (0, f64::from(n)))), 1.0, 0.0));
    }

    #[test]
    fn who_always_pauses_so_long_has_not_stopped() {
        let nightly = rows((0..60).map(|n| (0, f64::from(n / 24 * 24))));
        assert!(!has_stopped(&nightly, 1.0, 0.0));
    }
}
