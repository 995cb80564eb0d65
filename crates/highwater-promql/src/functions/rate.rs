//! How much a series moved within a window.

use super::Window;
use crate::number::{count, seconds};

/// Counters are taken to begin or end within the window when the gap to its edge is larger than
/// this many times the average distance of samples (Prometheus's factor).
const GAP_FACTOR: f64 = 1.1;

/// Per second, resets of the counter added.
pub(crate) fn rate(window: &Window<'_>) -> Option<f64> {
    extrapolated(window, true).map(|all| all / seconds(window.to.saturating_sub(window.from)))
}

/// In all, resets of the counter added.
pub(crate) fn increase(window: &Window<'_>) -> Option<f64> {
    extrapolated(window, true)
}

/// In all, of a gauge.
pub(crate) fn delta(window: &Window<'_>) -> Option<f64> {
    extrapolated(window, false)
}

/// The difference of last and first, stretched to the edges of the window where samples are near
/// enough to them; by half a distance where they are not; and no further than to a counter's zero.
fn extrapolated(window: &Window<'_>, counter: bool) -> Option<f64> {
    let (first, last) = (window.points.first()?, window.points.last()?);
    if window.points.len() < 2 {
        return None;
    }
    let mut moved = last.value - first.value;
    if counter {
        let pairs = window.points.iter().zip(window.points.iter().skip(1));
        moved = pairs.filter(|(a, b)| b.value < a.value).fold(moved, |sum, (a, _)| sum + a.value);
    }
    let (begin, end) = (first.at.millis(), last.at.millis());
    let sampled = seconds(end.saturating_sub(begin));
    let distance = sampled / count(window.points.len().saturating_sub(1));
    let reach = |gap: f64| if gap >= distance * GAP_FACTOR { distance / 2.0 } else { gap };
    let mut before = reach(seconds(begin.saturating_sub(window.from)));
    if counter && moved > 0.0 && first.value >= 0.0 {
        let to_zero = sampled * (first.value / moved);
        if to_zero < before {
            before = to_zero;
        }
    }
    let after = reach(seconds(window.to.saturating_sub(end)));
    Some(moved * ((sampled + before + after) / sampled))
}

/// Per second between the last two samples of a counter.
pub(crate) fn irate(window: &Window<'_>) -> Option<f64> {
    let [.., a, b] = window.points else {
        return None;
    };
    let apart = b.at.millis().saturating_sub(a.at.millis());
    let moved = if b.value < a.value { b.value } else { b.value - a.value };
    (apart != 0).then(|| moved / seconds(apart))
}

/// Between the last two samples.
pub(crate) fn idelta(window: &Window<'_>) -> Option<f64> {
    let [.., a, b] = window.points else {
        return None;
    };
    (a.at != b.at).then_some(b.value - a.value)
}

/// How often it fell.
#[expect(clippy::unnecessary_wraps, reason = "the form that all functions of windows have")]
pub(crate) fn resets(window: &Window<'_>) -> Option<f64> {
    Some(pairs(window, |a, b| b < a))
}

/// How often it changed.
#[expect(clippy::unnecessary_wraps, reason = "the form that all functions of windows have")]
pub(crate) fn changes(window: &Window<'_>) -> Option<f64> {
    #[expect(clippy::float_cmp, reason = "any change counts")]
    let differ = |a: f64, b: f64| a != b && !(a.is_nan() && b.is_nan());
    Some(pairs(window, differ))
}

fn pairs(window: &Window<'_>, holds: fn(f64, f64) -> bool) -> f64 {
    let pairs = window.points.iter().zip(window.points.iter().skip(1));
    count(pairs.filter(|(a, b)| holds(a.value, b.value)).count())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use highwater_core::series::Point;
    use highwater_core::time::WallTime;

    pub(crate) fn points(samples: &[(i64, f64)]) -> Vec<Point> {
        let point =
            |(s, value): &(i64, f64)| Point { at: WallTime::from_millis(s * 1000), value: *value };
        samples.iter().map(point).collect()
    }

    pub(crate) fn window(points: &[Point], range: (i64, i64)) -> Window<'_> {
        let (from, to) = (range.0 * 1000, range.1 * 1000);
        Window { points, from, to, now: to, args: [0.5, 0.5] }
    }

    #[test]
    fn a_steady_counter_is_stretched_to_the_edges() {
        let all = points(&[(10, 0.0), (20, 10.0), (30, 20.0), (40, 30.0), (50, 40.0), (60, 50.0)]);
        // From zero on: the counter cannot have been less.
        assert_eq!(increase(&window(&all, (0, 60))), Some(50.0));
        let all = points(&[(10, 100.0), (20, 110.0), (30, 105.0), (40, 110.0)]);
        assert_eq!(delta(&window(&all, (0, 50))), Some(10.0 * 50.0 / 30.0));
        assert_eq!(increase(&window(&all, (0, 50))), Some(120.0 * 50.0 / 30.0));
        assert_eq!(rate(&window(&all, (0, 50))), Some(120.0 * 50.0 / 30.0 / 50.0));
    }

    #[test]
    fn one_sample_has_no_rate() {
        let one = points(&[(10, 1.0)]);
        for function in [rate, increase, delta, irate, idelta] {
            assert_eq!(function(&window(&one, (0, 60))), None);
        }
        assert_eq!(changes(&window(&one, (0, 60))), Some(0.0));
    }

    #[test]
    fn the_last_two_samples_and_counts_of_moves() {
        let all =
            points(&[(10, 4.0), (20, 6.0), (30, f64::NAN), (40, f64::NAN), (50, 6.0), (60, 2.0)]);
        assert_eq!(irate(&window(&all, (0, 60))), Some(0.2));
        assert_eq!(idelta(&window(&all, (0, 60))), Some(-4.0));
        assert_eq!(resets(&window(&all, (0, 60))), Some(1.0));
        assert_eq!(changes(&window(&all, (0, 60))), Some(4.0));
    }
}
