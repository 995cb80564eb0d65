//! A straight trend through floors that may belong to several lives, with an interval that stays
//! honest whether the floors scatter about the line or wander.
//!
//! One slope, a level of its own for each life. Inference is by quasi-differences with the
//! persistence of the residuals (Perron & Yabu 2009): where the floors wander like a random walk
//! the increments are judged, where they scatter the levels are. The long-run variance of what is
//! left is Newey & West's (1987). docs/detection.md has the formulae.

use crate::order::{count, median};

/// One floor of one life.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Row {
    /// Which life.
    pub(crate) life: usize,
    /// When, in hours.
    pub(crate) hours: f64,
    /// The load; only looked at where asked for.
    pub(crate) load: f64,
    /// The floor.
    pub(crate) value: f64,
}

/// What besides time may explain the floors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beside {
    /// Nothing.
    Nothing,
    /// The load.
    Load,
}

/// A trend.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Trend {
    /// Growth an hour, by generalised least squares.
    pub(crate) slope: f64,
    /// Its standard error.
    pub(crate) error: f64,
    /// Degrees of freedom.
    pub(crate) freedom: f64,
    /// The persistence of the residuals, 0 to 1; 1 is a random walk.
    pub(crate) persistence: f64,
}

impl Trend {
    /// How many standard deviations of a normal variable the slope is worth.
    pub(crate) fn score(&self) -> f64 {
        normal_score(self.slope / self.error.max(f64::MIN_POSITIVE), self.freedom)
    }
}

/// The bias of the first autocorrelation of residuals from a fitted line is about −10/n for a random
/// walk, and its scatter is as large; twice as many n-ths are added so that a random walk is rarely
/// taken for noise about a line (measured: the test `a_random_walk_is_rarely_a_trend`).
const PERSISTENCE_BIAS: f64 = 20.0;
/// The long-run variance is not believed to be less than this share of the plain one.
const LEAST_LONG_RUN: f64 = 0.3;

/// The trend of `rows`, which are in order of time; `None` if they cannot have one. `grain` is the
/// smallest step the values can make.
pub(crate) fn trend(rows: &[Row], beside: Beside, grain: f64) -> Option<Trend> {
    let lives: Vec<usize> = rows.iter().map(|row| row.life).collect();
    let hours: Vec<f64> = rows.iter().map(|row| row.hours).collect();
    let value: Vec<f64> = rows.iter().map(|row| row.value).collect();
    let load: Option<Vec<f64>> =
        (beside == Beside::Load).then(|| rows.iter().map(|row| row.load).collect());
    let n = rows.len();
    let kept = count(n) - count(distinct(&lives));
    if kept < 3.0 {
        return None;
    }
    let persistence = persistence(&lives, &hours, &value, load.as_deref(), kept)?;
    let differ = |values: &[f64]| differences(&lives, values, persistence);
    let (groups, times, values) = (same_life(&lives), differ(&hours), differ(&value));
    let loads = load.as_deref().map(differ);
    let wanders = persistence >= 1.0;
    let (times, values) = if wanders {
        (clear(&times, loads.as_deref()), clear(&values, loads.as_deref()))
    } else {
        let loads = loads.map(|loads| centred(&groups, &loads));
        let (times, values) = (centred(&groups, &times), centred(&groups, &values));
        (clear(&times, loads.as_deref()), clear(&values, loads.as_deref()))
    };
    let spread = dot(&times, &times);
    if spread <= 0.0 {
        return None;
    }
    let slope = dot(&times, &values) / spread;
    let left: Vec<f64> = times.iter().zip(&values).map(|(x, y)| y - slope * x).collect();
    let spent = if wanders { 1 } else { 1 + distinct(&groups) } + usize::from(load.is_some());
    let freedom = (count(left.len()) - count(spent)).max(1.0);
    let variance = long_run_variance(&groups, &left) * count(left.len()) / freedom;
    let span = hours.last()? - hours.first()?;
    let least = 0.3 * grain / span.max(f64::MIN_POSITIVE);
    Some(Trend { slope, error: (variance / spread).sqrt().max(least), freedom, persistence })
}

/// The persistence of the residuals from a straight line, corrected upwards.
fn persistence(
    lives: &[usize],
    hours: &[f64],
    value: &[f64],
    load: Option<&[f64]>,
    kept: f64,
) -> Option<f64> {
    let load = load.map(|load| centred(lives, load));
    let x = clear(&centred(lives, hours), load.as_deref());
    let y = clear(&centred(lives, value), load.as_deref());
    let (spread, before) = (dot(&x, &x), dot(&centred(lives, hours), &centred(lives, hours)));
    // A load that is itself a straight line leaves nothing of time.
    if spread <= before * 1e-6 {
        return None;
    }
    let slope = dot(&x, &y) / spread;
    let left: Vec<f64> = x.iter().zip(&y).map(|(x, y)| y - slope * x).collect();
    let square = dot(&left, &left);
    let raw = if square > 0.0 { lagged(lives, &left, 1) / square } else { 0.0 };
    let corrected = (raw + PERSISTENCE_BIAS / kept).max(0.0);
    Some(if corrected > 1.0 - kept.sqrt().recip() { 1.0 } else { corrected })
}

/// Theil and Sen's slope: the median of the slopes between all pairs of one life.
pub(crate) fn theil_sen(rows: &[Row]) -> Option<f64> {
    pair_slopes(rows, |_, _| true)
}

/// The median slope of those pairs of one life, the earlier first, that `fits`.
pub(crate) fn pair_slopes(rows: &[Row], fits: impl Fn(usize, usize) -> bool) -> Option<f64> {
    let mut slopes = Vec::new();
    for (i, earlier) in rows.iter().enumerate() {
        for (j, later) in rows.iter().enumerate().skip(i + 1) {
            if later.life != earlier.life {
                break;
            }
            let run = later.hours - earlier.hours;
            if run > 0.0 && fits(i, j) {
                slopes.push((later.value - earlier.value) / run);
            }
        }
    }
    median(&mut slopes)
}

/// Newey and West's long-run variance of `left`, over lags within one life.
fn long_run_variance(groups: &[usize], left: &[f64]) -> f64 {
    let n = count(left.len()).max(1.0);
    let plain = dot(left, left) / n;
    let lags = match left.len() {
        0..8 => 0,
        8..27 => 1,
        27..64 => 2,
        _ => 3,
    };
    let long = (1..=lags).fold(plain, |sum, lag| {
        let weight = 1.0 - count(lag) / (count(lags) + 1.0);
        sum + 2.0 * weight * lagged(groups, left, lag) / n
    });
    long.max(plain * LEAST_LONG_RUN)
}

/// Student's t with `freedom` degrees as a normal score (Wallace 1959).
pub(crate) fn normal_score(t: f64, freedom: f64) -> f64 {
    let v = freedom.max(1.0);
    let score = (v * (t * t / v).ln_1p()).sqrt() * (8.0 * v + 1.0) / (8.0 * v + 3.0);
    score.copysign(t)
}

/// The t of `freedom` degrees that is worth the normal `score`: the inverse of [`normal_score`].
pub(crate) fn student(score: f64, freedom: f64) -> f64 {
    let v = freedom.max(1.0);
    let scaled = score * (8.0 * v + 3.0) / (8.0 * v + 1.0);
    (v * (scaled * scaled / v).exp_m1()).sqrt().copysign(score)
}

/// `values` less the mean of their life.
pub(crate) fn centred(lives: &[usize], values: &[f64]) -> Vec<f64> {
    let mut out = Vec::with_capacity(values.len());
    let mut rest = values;
    for life in lives.chunk_by(|a, b| a == b) {
        let (these, others) = rest.split_at_checked(life.len()).unwrap_or((rest, &[]));
        let mean = crate::order::mean(these.iter().copied());
        out.extend(these.iter().map(|value| value - mean));
        rest = others;
    }
    out
}

/// `values` less what `by` explains of them.
pub(crate) fn clear(values: &[f64], by: Option<&[f64]>) -> Vec<f64> {
    let Some(by) = by else { return values.to_vec() };
    let square = dot(by, by);
    let share = if square > 0.0 { dot(values, by) / square } else { 0.0 };
    values.iter().zip(by).map(|(value, by)| value - share * by).collect()
}

pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The sum of products of values `lag` apart in one life.
pub(crate) fn lagged(lives: &[usize], values: &[f64], lag: usize) -> f64 {
    let later = lives.iter().zip(values).skip(lag);
    let pairs = lives.iter().zip(values).zip(later);
    pairs.filter(|((a, _), (b, _))| a == b).map(|((_, a), (_, b))| a * b).sum()
}

/// Each value less `share` of the one before it in the same life.
fn differences(lives: &[usize], values: &[f64], share: f64) -> Vec<f64> {
    let pairs = lives.windows(2).zip(values.windows(2));
    pairs
        .filter_map(|(life, value)| match (life, value) {
            ([a, b], [before, after]) if a == b => Some(after - share * before),
            _ => None,
        })
        .collect()
}

/// The lives of those differences.
fn same_life(lives: &[usize]) -> Vec<usize> {
    let pairs = lives.windows(2);
    let same = |pair: &[usize]| matches!(pair, [a, b] if a == b).then(|| pair.first().copied());
    pairs.filter_map(same).flatten().collect()
}

/// How many lives there are.
pub(crate) fn distinct(lives: &[usize]) -> usize {
    lives.chunk_by(|a, b| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Dice(u64);

    impl Dice {
        fn share(&mut self) -> f64 {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            f64::from(u32::try_from(self.0 >> 33).unwrap()) / 2_147_483_648.0
        }

        /// Twelve even ones less six: mean 0, variance 1.
        fn normal(&mut self) -> f64 {
            (0..12).map(|_| self.share()).sum::<f64>() - 6.0
        }
    }

    fn rows(values: impl IntoIterator<Item = f64>) -> Vec<Row> {
        let hours = (0..).map(f64::from);
        hours.zip(values).map(|(hours, value)| Row { life: 0, hours, load: 0.0, value }).collect()
    }

    /// A walk whose steps have variance 1, with `drift` a step, that keeps `memory` of itself.
    fn walk(dice: &mut Dice, n: usize, memory: f64, drift: f64) -> Vec<Row> {
        let mut off = 0.0;
        rows((0..n).map(|i| {
            off = memory * off + dice.normal();
            off + drift * count(i)
        }))
    }

    /// The share of `trials` in which `hit` is so.
    fn share(trials: u32, mut hit: impl FnMut() -> bool) -> f64 {
        f64::from((0..trials).map(|_| u32::from(hit())).sum::<u32>()) / f64::from(trials)
    }

    #[test]
    fn theil_and_sens_slope_is_the_median_of_all() {
        // Slopes 1, 1, 10, 1, 14.5 and 28.
        assert_eq!(theil_sen(&rows([0.0, 1.0, 2.0, 30.0])), Some(5.5));
        assert_eq!(theil_sen(&rows([1.0])), None);
        let mut two = rows([0.0, 2.0, 100.0, 102.0]);
        two[2].life = 1;
        two[3].life = 1;
        assert_eq!(theil_sen(&two), Some(2.0), "only pairs of one life count");
    }

    #[test]
    fn students_t_becomes_a_normal_score() {
        // One-sided probabilities from the tables: 2.5 % and 0.01 %.
        for (t, freedom, score) in [(2.571, 5.0, 1.960), (2.042, 30.0, 1.960), (5.694, 10.0, 3.719)]
        {
            assert!((normal_score(t, freedom) - score).abs() < 0.02, "{t} {freedom}");
            assert!((student(score, freedom) - t).abs() < 0.06, "{t} {freedom}");
            assert!((normal_score(-t, freedom) + score).abs() < 0.02, "{t} {freedom}");
        }
    }

    #[test]
    fn the_long_run_variance_counts_what_follows_upon_what() {
        let one = vec![0; 12];
        let alternating: Vec<f64> = (0..12).map(|i| if i % 2 == 0 { 1.0 } else { -1.0 }).collect();
        // 1 + 2 · ½ · (−11/12) would be 1/12: less is not believed than three tenths.
        assert!((long_run_variance(&one, &alternating) - 0.3).abs() < 1e-12);
        let pairs: Vec<f64> = (0..12).map(|i| if i / 2 % 2 == 0 { 1.0 } else { -1.0 }).collect();
        // Neighbours: six alike, five unlike; 1 + 2 · ½ · 1/12.
        assert!((long_run_variance(&one, &pairs) - (1.0 + 1.0 / 12.0)).abs() < 1e-12);
    }

    #[test]
    fn a_straight_line_is_found_exactly_and_its_error_is_that_of_the_grain() {
        let found = trend(&rows((0..20).map(|i| 3.0 * count(i))), Beside::Nothing, 2.0).unwrap();
        assert!((found.slope - 3.0).abs() < 1e-9, "{found:?}");
        assert!((found.error - 0.3 * 2.0 / 19.0).abs() < 1e-9, "{found:?}");
    }

    #[test]
    fn two_lives_of_one_slope_are_one_trend_whatever_their_levels() {
        let mut dice = Dice(2);
        let mut both = rows((0..40).map(|i| 0.5 * count(i % 20) + 0.1 * dice.normal()));
        for row in &mut both[20..] {
            row.life = 1;
            row.value -= 70.0;
        }
        let found = trend(&both, Beside::Nothing, 0.0).unwrap();
        assert!((found.slope - 0.5).abs() < 0.05 && found.score() > 5.0, "{found:?}");
    }

    #[test]
    fn what_load_explains_is_not_times() {
        let mut dice = Dice(3);
        let mut all = rows((0..60).map(|_| 0.0));
        for (i, row) in all.iter_mut().enumerate() {
            row.load = 10.0 + 0.1 * count(i) + 3.0 * (count(i) / 4.0).sin();
            row.value = 2.0 * row.load + 0.1 * dice.normal();
        }
        let alone = trend(&all, Beside::Nothing, 0.0).unwrap();
        let beside = trend(&all, Beside::Load, 0.0).unwrap();
        assert!(alone.slope > 0.1, "{alone:?}");
        assert!(beside.slope.abs() < 0.02 && beside.score() < 3.0, "{beside:?}");
    }

    #[test]
    fn a_random_walk_is_rarely_a_trend() {
        for n in [6, 12, 36, 72] {
            let mut dice = Dice(7);
            let mut beyond = |limit: f64| {
                share(4000, || {
                    trend(&walk(&mut dice, n, 1.0, 0.0), Beside::Nothing, 0.0).unwrap().score()
                        > limit
                })
            };
            let (two, four) = (beyond(2.0), beyond(4.0));
            assert!(two < 0.05, "{n}: {two}");
            assert!(four < 0.003, "{n}: {four}");
        }
    }

    #[test]
    fn noise_is_rarely_a_trend() {
        for memory in [0.0, 0.5, 0.9] {
            let mut dice = Dice(11);
            let two = share(2000, || {
                trend(&walk(&mut dice, 48, memory, 0.0), Beside::Nothing, 0.0).unwrap().score()
                    > 2.0
            });
            assert!(two < 0.06, "{memory}: {two}");
        }
    }

    #[test]
    fn the_interval_holds_the_truth() {
        for memory in [0.0, 0.6, 0.9, 1.0] {
            let mut dice = Dice(5);
            let held = share(2000, || {
                let rows = walk(&mut dice, 48, memory, 0.3);
                let found = trend(&rows, Beside::Nothing, 0.0).unwrap();
                let margin = student(1.96, found.freedom) * found.error;
                (theil_sen(&rows).unwrap() - 0.3).abs() <= margin * (1.0 + 0.1 * found.persistence)
            });
            assert!(held > 0.9, "{memory}: {held}");
        }
    }
}
