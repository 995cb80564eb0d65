//! Of what shape a growth is: straight, ever slower, one step, or a bend upwards from flat.
//!
//! Each shape is fitted by least squares, a level of its own for each life, and compared by what it
//! leaves unexplained: n·ln(S₁/S₂) with as many independent floors as their persistence allows,
//! which for as many parameters is twice the logarithm of the likelihood ratio (Schwarz 1978).

use crate::order::count;
use crate::trend::{Row, centred, distinct, dot, lagged, theil_sen};

/// How a growth is shaped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Shape {
    /// For a straight line and against one that slows down, in natural logarithms (times two);
    /// negative is the other way round.
    pub(crate) straight: f64,
    /// For a straight line and against a single step.
    pub(crate) stepless: f64,
    /// The slope of the later half over the slope of the whole.
    pub(crate) late: f64,
    /// For a bend, against a straight line.
    pub(crate) bend: f64,
    /// At which row it bends upwards.
    pub(crate) bends_at: usize,
}

/// Time constants of slowing down that are tried, as shares of the longest age: from one that is
/// over long since to one that has hardly begun to bend.
const SLOWING: [f64; 6] = [0.05, 0.1, 0.2, 0.4, 0.8, 1.6];

/// The shape of `rows`, whose ages in their lives (or in the window) are `ages`, in hours.
pub(crate) fn shape(rows: &[Row], ages: &[f64], slope: f64) -> Option<Shape> {
    let lives: Vec<usize> = rows.iter().map(|row| row.life).collect();
    let value: Vec<f64> = rows.iter().map(|row| row.value).collect();
    let y = centred(&lives, &value);
    let total = dot(&y, &y);
    let hours: Vec<f64> = rows.iter().map(|row| row.hours).collect();
    let line = Fit::of(&lives, &hours, &y);
    let oldest = ages.iter().copied().fold(0.0_f64, f64::max);
    // Nothing is ever explained better than this: numbers have an end.
    let least = total * 1e-9 + f64::MIN_POSITIVE;
    let slowest = SLOWING.map(|share| {
        let tau = (oldest * share).max(1e-9);
        let curve: Vec<f64> = ages.iter().map(|age| -(-age / tau).exp_m1()).collect();
        Fit::of(&lives, &curve, &y).left
    });
    let slow = slowest.into_iter().min_by(f64::total_cmp)?;
    let step = best_step(&lives, &y);
    let bend = best_bend(&lives, &hours, &y);
    let kept = independent(&lives, &hours, &y, line.slope);
    let against = |other: f64| kept * ((other + least) / (line.left + least)).ln();
    Some(Shape {
        straight: against(slow),
        stepless: against(step.left),
        late: late_slope(rows, ages).map_or(1.0, |late| late / slope),
        bend: -against(bend.left),
        bends_at: bend.at,
    })
}

struct Fit {
    slope: f64,
    left: f64,
}

impl Fit {
    /// `y`, centred, on `x`.
    fn of(lives: &[usize], x: &[f64], y: &[f64]) -> Self {
        let x = centred(lives, x);
        let (square, product) = (dot(&x, &x), dot(&x, y));
        if square <= 0.0 {
            return Self { slope: 0.0, left: dot(y, y) };
        }
        let slope = product / square;
        Self { slope, left: (dot(y, y) - slope * product).max(0.0) }
    }
}

/// How many independent floors there are, for what is left of a line.
fn independent(lives: &[usize], hours: &[f64], y: &[f64], slope: f64) -> f64 {
    let x = centred(lives, hours);
    let left: Vec<f64> = x.iter().zip(y).map(|(x, y)| y - slope * x).collect();
    let square = dot(&left, &left);
    let echo = if square > 0.0 { lagged(lives, &left, 1) / square } else { 0.0 };
    let echo = echo.clamp(0.0, 0.95);
    (count(y.len()) * (1.0 - echo) / (1.0 + echo) - count(distinct(lives))).max(3.0)
}

pub(crate) struct Broken {
    pub(crate) at: usize,
    pub(crate) left: f64,
}

/// The single step within one life that explains most.
pub(crate) fn best_step(lives: &[usize], y: &[f64]) -> Broken {
    let total = dot(y, y);
    let mut best = Broken { at: 0, left: total };
    let mut start = 0;
    for life in lives.chunk_by(|a, b| a == b) {
        let n = count(life.len());
        let mut sum = 0.0;
        for (i, value) in y.iter().skip(start).take(life.len()).enumerate() {
            let before = count(i);
            if i > 0 {
                let left = total - sum * sum * n / (before * (n - before));
                if left < best.left {
                    best = Broken { at: start + i, left: left.max(0.0) };
                }
            }
            sum += value;
        }
        start += life.len();
    }
    best
}

/// The bend from flat to a straight rise that explains most, within the last life.
fn best_bend(lives: &[usize], hours: &[f64], y: &[f64]) -> Broken {
    let mut best = Broken { at: 0, left: Fit::of(lives, hours, y).left };
    let last = lives.chunk_by(|a, b| a == b).next_back().map_or(0, <[usize]>::len);
    let first = lives.len() - last;
    // A rise of fewer rows than this is a matter for a shorter window.
    let until = lives.len().saturating_sub(4);
    for (at, knee) in hours.iter().enumerate().take(until).skip(first + 1) {
        let curve: Vec<f64> = hours.iter().map(|hour| (hour - knee).max(0.0)).collect();
        let left = Fit::of(lives, &curve, y).left;
        if left < best.left {
            best = Broken { at, left };
        }
    }
    best
}

/// The slope of those rows that are in the later half of their life, or of its part in the window.
fn late_slope(rows: &[Row], ages: &[f64]) -> Option<f64> {
    let mut late = Vec::new();
    let mut rest = ages;
    for life in rows.chunk_by(|a, b| a.life == b.life) {
        let (these, others) = rest.split_at_checked(life.len())?;
        rest = others;
        let (first, last) = (these.first()?, these.last()?);
        let half = f64::midpoint(*first, *last);
        late.extend(life.iter().zip(these).filter(|(_, age)| **age >= half).map(|(row, _)| *row));
    }
    theil_sen(&late)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The shape of 48 floors of one life, an hour apart, with a little noise.
    fn of(value: impl Fn(f64) -> f64) -> Shape {
        let hours = || (0..48).map(f64::from);
        let noise = |hour: f64| 0.3 * (hour * 12.9898).sin();
        let row =
            |hours: f64| Row { life: 0, hours, load: 0.0, value: value(hours) + noise(hours) };
        let rows: Vec<Row> = hours().map(row).collect();
        let slope = theil_sen(&rows).unwrap();
        shape(&rows, &hours().collect::<Vec<_>>(), slope).unwrap()
    }

    #[test]
    fn a_line_is_straight_without_step_or_bend() {
        let line = of(|hour| 100.0 + hour);
        assert!(line.straight > 5.0 && line.stepless > 5.0 && line.bend < 6.0, "{line:?}");
        assert!((line.late - 1.0).abs() < 0.05, "{line:?}");
    }

    #[test]
    fn what_saturates_slows_down() {
        for pace in [5.0, 20.0, 50.0] {
            let curve = of(|hour| 100.0 - 60.0 * (-hour / pace).exp());
            assert!(curve.straight < -5.0 && curve.late < 0.9, "{pace}: {curve:?}");
        }
    }

    #[test]
    fn a_step_is_likelier_than_a_line() {
        let step = of(|hour| if hour < 30.0 { 10.0 } else { 60.0 });
        assert!(step.stepless < -20.0, "{step:?}");
    }

    #[test]
    fn a_bend_is_found_where_it_is() {
        let bent = of(|hour| 100.0 + 2.0 * (hour - 30.0).max(0.0));
        assert!(bent.bend > 20.0, "{bent:?}");
        assert!((29..=31).contains(&bent.bends_at), "{bent:?}");
    }

    #[test]
    fn the_best_step_is_that_of_one_life() {
        let lives = [0, 0, 0, 0, 1, 1, 1, 1];
        let y = centred(&lives, &[0.0, 0.0, 6.0, 6.0, 50.0, 50.0, 50.0, 50.0]);
        let step = best_step(&lives, &y);
        assert_eq!(step.at, 2);
        assert!(step.left.abs() < 1e-9, "nothing is left of it");
    }
}
