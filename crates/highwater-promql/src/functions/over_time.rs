//! What the samples of a window are together.

use super::Window;
use crate::number::{Mean, Sum, count, quantile};

pub(crate) fn avg(window: &Window<'_>) -> Option<f64> {
    let mut values = window.points.iter().map(|point| point.value);
    let mut mean = Mean::of(values.next()?);
    values.for_each(|value| mean.add(value));
    Some(mean.value())
}

#[expect(clippy::unnecessary_wraps, reason = "the form that all functions of windows have")]
pub(crate) fn sum(window: &Window<'_>) -> Option<f64> {
    let values = window.points.iter().map(|point| point.value);
    Some(values.fold(Sum::default(), Sum::plus).total())
}

pub(crate) fn min(window: &Window<'_>) -> Option<f64> {
    chosen(window, |value, best| value < best)
}

pub(crate) fn max(window: &Window<'_>) -> Option<f64> {
    chosen(window, |value, best| value > best)
}

/// The best value; not-a-number only if there is nothing else.
fn chosen(window: &Window<'_>, better: fn(f64, f64) -> bool) -> Option<f64> {
    let values = window.points.iter().map(|point| point.value);
    values.reduce(|best, value| if better(value, best) || best.is_nan() { value } else { best })
}

#[expect(clippy::unnecessary_wraps, reason = "the form that all functions of windows have")]
pub(crate) fn count_all(window: &Window<'_>) -> Option<f64> {
    Some(count(window.points.len()))
}

pub(crate) fn stddev(window: &Window<'_>) -> Option<f64> {
    stdvar(window).map(f64::sqrt)
}

#[expect(clippy::unnecessary_wraps, reason = "the form that all functions of windows have")]
pub(crate) fn stdvar(window: &Window<'_>) -> Option<f64> {
    let (mut mean, mut squares, mut seen) = (Sum::default(), Sum::default(), 0.0);
    for point in window.points {
        seen += 1.0;
        let off = point.value - (mean.value + mean.lost);
        mean = mean.plus(off / seen);
        squares = squares.plus(off * (point.value - (mean.value + mean.lost)));
    }
    Some((squares.value + squares.lost) / seen)
}

#[expect(clippy::unnecessary_wraps, reason = "the form that all functions of windows have")]
pub(crate) fn quantile_of(window: &Window<'_>) -> Option<f64> {
    let mut values: Vec<f64> = window.points.iter().map(|point| point.value).collect();
    let [q, _] = window.args;
    Some(quantile(q, &mut values))
}

pub(crate) fn first(window: &Window<'_>) -> Option<f64> {
    window.points.first().map(|point| point.value)
}

pub(crate) fn last(window: &Window<'_>) -> Option<f64> {
    window.points.last().map(|point| point.value)
}

#[expect(clippy::unnecessary_wraps, reason = "the form that all functions of windows have")]
pub(crate) fn present(_: &Window<'_>) -> Option<f64> {
    Some(1.0)
}

#[cfg(test)]
mod tests {
    use super::super::rate::tests::{points, window};
    use super::*;

    #[test]
    fn a_window_is_summed_up() {
        let all = points(&[(10, 2.0), (20, 4.0), (30, 4.0), (40, 6.0)]);
        let window = window(&all, (0, 60));
        let all = [avg, sum, min, max, count_all, stdvar, stddev, quantile_of, first, last];
        let found: Vec<f64> = all.iter().map(|function| function(&window).unwrap()).collect();
        assert_eq!(found, [4.0, 16.0, 2.0, 6.0, 4.0, 2.0, 2.0_f64.sqrt(), 4.0, 2.0, 6.0]);
    }

    #[test]
    fn extremes_pass_over_what_is_no_number() {
        let all = points(&[(10, f64::NAN), (20, 4.0), (30, f64::NAN), (40, 6.0)]);
        assert_eq!(min(&window(&all, (0, 60))), Some(4.0));
        assert_eq!(max(&window(&all, (0, 60))), Some(6.0));
        let none = points(&[(10, f64::NAN)]);
        assert!(min(&window(&none, (0, 60))).unwrap().is_nan());
    }
}
