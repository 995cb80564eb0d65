//! Where a series leads: least squares, and double exponential smoothing.

use super::Window;
use crate::number::{Sum, seconds};

/// Slope per second.
pub(crate) fn deriv(window: &Window<'_>) -> Option<f64> {
    // Times near the samples' own keep the sums small, and so exact.
    let origin = window.points.first()?.at.millis();
    line(window, origin).map(|(slope, _)| slope)
}

/// The value so many seconds from now.
pub(crate) fn predict_linear(window: &Window<'_>) -> Option<f64> {
    let [ahead, _] = window.args;
    line(window, window.now).map(|(slope, now)| slope * ahead + now)
}

/// Slope and value at `origin` of the line with the least squares.
fn line(window: &Window<'_>, origin: i64) -> Option<(f64, f64)> {
    let first = window.points.first()?.value;
    if window.points.len() < 2 {
        return None;
    }
    #[expect(clippy::float_cmp, reason = "a series that never moves has an exact line")]
    let still = window.points.iter().skip(1).all(|point| point.value == first);
    if still {
        let infinite = first.is_infinite();
        return Some(if infinite { (f64::NAN, f64::NAN) } else { (0.0, first) });
    }
    let mut n = 0.0;
    let [mut times, mut values, mut products, mut squares] = [Sum::default(); 4];
    for point in window.points {
        n += 1.0;
        let x = seconds(point.at.millis().saturating_sub(origin));
        times = times.plus(x);
        values = values.plus(point.value);
        products = products.plus(x * point.value);
        squares = squares.plus(x * x);
    }
    let [x, y, xy, xx] = [times, values, products, squares].map(|sum| sum.value + sum.lost);
    let slope = (xy - x * y / n) / (xx - x * x / n);
    Some((slope, y / n - slope * x / n))
}

/// The last smoothed value; its arguments are the factors of value and trend.
pub(crate) fn smoothed(window: &Window<'_>) -> Option<f64> {
    let [value_factor, trend_factor] = window.args;
    let mut values = window.points.iter().map(|point| point.value);
    let (mut now, second) = (values.next()?, values.next()?);
    let mut trend = second - now;
    let mut before = 0.0;
    for (place, value) in [second].into_iter().chain(values).enumerate() {
        if place > 0 {
            trend = trend_factor * (now - before) + (1.0 - trend_factor) * trend;
        }
        let next = value_factor * value + (1.0 - value_factor) * (now + trend);
        (before, now) = (now, next);
    }
    Some(now)
}

#[cfg(test)]
mod tests {
    use super::super::rate::tests::{points, window};
    use super::*;

    #[test]
    fn a_line_is_found_and_drawn_on() {
        let all = points(&[(10, 1.0), (20, 3.0), (30, 5.0)]);
        let mut window = window(&all, (0, 40));
        window.args = [10.0, 0.0];
        assert!((deriv(&window).unwrap() - 0.2).abs() < 1e-12);
        assert!((predict_linear(&window).unwrap() - 9.0).abs() < 1e-9);
    }

    #[test]
    fn a_still_series_has_slope_zero_and_one_sample_none() {
        let all = points(&[(10, 7.0), (20, 7.0)]);
        assert_eq!(deriv(&window(&all, (0, 40))), Some(0.0));
        assert_eq!(deriv(&window(&all[..1], (0, 40))), None);
        assert_eq!(smoothed(&window(&all[..1], (0, 40))), None);
    }

    #[test]
    fn smoothing_follows_a_line_exactly() {
        let all = points(&[(10, 1.0), (20, 3.0), (30, 5.0), (40, 7.0)]);
        assert_eq!(smoothed(&window(&all, (0, 40))), Some(7.0));
    }
}
