//! A plain test for trend (Mann, 1945; Kendall, 1975) with a plain slope (Theil, 1950; Sen, 1968).
//!
//! Plain: neighbours are taken to be independent, which memory's never are.

use highwater_core::series::Point;
use highwater_core::time::WallTime;

use super::super::draw::real;
use super::super::trace::Trace;

/// Into how many means of equal spans it is reduced.
const MEANS: u32 = 96;

/// Of a normal distribution, one chance in twenty on both sides.
const CRITICAL: f64 = 1.96;

/// In which time the slope must reach the limit to be of interest.
const MONTH_HOURS: f64 = 30.0 * 24.0;

/// When it sees a trend that reaches the ceiling within a month.
pub(super) fn accuses(trace: &Trace, steps: &[WallTime]) -> Vec<WallTime> {
    let rises = |at: &WallTime| {
        let means = means(trace.until(*at).points);
        let last = means.last().map_or(0.0, |mean| mean.1);
        z(&means) > CRITICAL
            && slope(&means).is_some_and(|slope| last + slope * MONTH_HOURS >= trace.ceiling)
    };
    steps.iter().copied().filter(rises).collect()
}

/// Means of equal spans, with their hours.
fn means(points: &[Point]) -> Vec<(f64, f64)> {
    let (Some(first), Some(last)) = (points.first(), points.last()) else {
        return Vec::new();
    };
    let width = (last.at.since(first.at) / MEANS).max(std::time::Duration::from_mins(1));
    let mut means = Vec::new();
    let mut rest = points;
    for n in 1..=MEANS {
        let until = first.at.after(width * n);
        let (span, later) = rest.split_at(rest.partition_point(|point| point.at <= until));
        rest = later;
        if !span.is_empty() {
            let mean = span.iter().map(|point| point.value).sum::<f64>() / real(span.len());
            means.push((f64::from(n) * width.as_secs_f64() / 3600.0, mean));
        }
    }
    means
}

/// Kendall's statistic in deviations of a normal distribution.
fn z(means: &[(f64, f64)]) -> f64 {
    let count = real(means.len());
    let mut score = 0.0;
    for (n, (_, before)) in means.iter().enumerate() {
        for (_, after) in means.iter().skip(n + 1) {
            score += if after > before {
                1.0
            } else if after < before {
                -1.0
            } else {
                0.0
            };
        }
    }
    let deviation = (count * (count - 1.0) * (2.0 * count + 5.0) / 18.0).sqrt();
    if count < 10.0 { 0.0 } else { (score - 1.0) / deviation }
}

/// The median of all slopes.
fn slope(means: &[(f64, f64)]) -> Option<f64> {
    let mut slopes = Vec::with_capacity(means.len() * means.len() / 2);
    for (n, before) in means.iter().enumerate() {
        slopes.extend(
            means.iter().skip(n + 1).map(|after| (after.1 - before.1) / (after.0 - before.0)),
        );
    }
    let middle = slopes.len() / 2;
    (middle < slopes.len()).then(|| *slopes.select_nth_unstable_by(middle, f64::total_cmp).1)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{first, minutes};
    use super::*;

    fn hourly(trace: &Trace) -> Vec<WallTime> {
        let steps: Vec<_> = (1..=50).map(|n| WallTime::from_millis(n * 3_600_000)).collect();
        accuses(trace, &steps)
    }

    #[test]
    fn a_trend_is_seen_and_a_level_is_not() {
        let noise = |minute: f64| 20.0 * (minute * 12.9898).sin();
        let trace = minutes(3000, |minute| 100.0 + minute / 10.0 + noise(minute));
        assert!(first(&hourly(&trace)).is_some_and(|minute| minute <= 600));
        assert!(hourly(&minutes(3000, |minute| 100.0 + noise(minute))).is_empty());
    }

    #[test]
    fn the_slope_is_the_median_of_all() {
        let line: Vec<_> = (0..21).map(|n| (f64::from(n), f64::from(n) * 3.0)).collect();
        assert_eq!(slope(&line), Some(3.0));
        assert_eq!(slope(&[]), None);
    }
}
