//! Where one life of an owner ends and the next begins, and how its lives went.

use std::time::Duration;

use highwater_core::series::Point;
use highwater_core::time::WallTime;

use crate::cells::millis_between;
use crate::order::{count, median};

/// The lives of an owner that ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lives {
    /// How many ended within what is known.
    pub ended: usize,
    /// How long they lasted: the median.
    pub lasted: Duration,
    /// How much that differs: the median deviation as a share of it.
    pub scatter: f64,
    /// The value at their ends: the median.
    pub level_at_end: f64,
    /// How many of them ended at the ceiling, or all about the same level after growing.
    pub at_ceiling: usize,
    /// When the present one ends if it goes as the others did; `None` if it is older already.
    pub next_end: Option<WallTime>,
}

/// A fall to less than this share of the value, from one sample to the next, may be a new life.
const FALL: f64 = 0.3;
/// But only from so near the ceiling: garbage collection falls from anywhere.
const NEAR_CEILING: f64 = 0.85;
/// What ends this near the ceiling ended there: a sample comes some time before the end.
const AT_CEILING: f64 = 0.9;
/// More lives than this say no more.
const MOST_LIVES: usize = 512;

/// When lives began, oldest first: as told, or, if nothing was told, where values fell from the
/// ceiling to a fraction.
pub(crate) fn begins(
    points: &[Point],
    told: &[WallTime],
    ceiling: Option<f64>,
    end: WallTime,
) -> Vec<WallTime> {
    let mut begins: Vec<WallTime> = told.iter().copied().filter(|begin| *begin <= end).collect();
    begins.sort_unstable();
    begins.dedup();
    if begins.is_empty()
        && let Some(ceiling) = ceiling
    {
        begins.extend(points.windows(2).filter_map(|pair| {
            match pair {
                [before, after] => (before.value >= ceiling * NEAR_CEILING
                    && after.value < before.value * FALL)
                    .then_some(after.at),
                _ => None,
            }
        }));
    }
    let surplus = begins.len().saturating_sub(MOST_LIVES);
    begins.split_off(surplus)
}

/// How the lives went that ended by `end`.
pub(crate) fn lives(
    points: &[Point],
    begins: &[WallTime],
    ceiling: Option<f64>,
    end: WallTime,
) -> Option<Lives> {
    let mut spans = Vec::new();
    let mut levels = Vec::new();
    for pair in begins.windows(2) {
        let [begin, next] = pair else { continue };
        let until = points.partition_point(|point| point.at < *next);
        let Some(last) = points.get(..until).and_then(<[Point]>::last) else { continue };
        if last.at < *begin {
            continue;
        }
        spans.push(next.since(*begin).as_secs_f64());
        levels.push(last.value);
    }
    let level_at_end = median(&mut levels)?;
    let lasted = median(&mut spans)?;
    let mut off: Vec<f64> = spans.iter().map(|span| (span - lasted).abs()).collect();
    let at_ceiling = ceiling
        .map_or(0, |ceiling| levels.iter().filter(|level| **level >= ceiling * AT_CEILING).count());
    let span = Duration::try_from_secs_f64(lasted).ok()?;
    let next_end = begins.last().map(|begin| begin.after(span)).filter(|next| *next > end);
    Some(Lives {
        ended: spans.len(),
        lasted: span,
        scatter: median(&mut off)? / lasted.max(f64::MIN_POSITIVE),
        level_at_end,
        at_ceiling,
        next_end,
    })
}

/// The smallest step the values make: the least difference between neighbours, of those there are.
pub(crate) fn grain(points: &[Point]) -> f64 {
    // A few thousand neighbours tell it; the latest count.
    let tail = points.get(points.len().saturating_sub(4096)..).unwrap_or(points);
    let steps = tail.windows(2).filter_map(|pair| match pair {
        [a, b] => Some((b.value - a.value).abs()).filter(|step| *step > 0.0),
        _ => None,
    });
    let least = steps.fold(f64::INFINITY, f64::min);
    if least.is_finite() { least } else { 0.0 }
}

/// The usual distance between samples, in milliseconds.
pub(crate) fn cadence(points: &[Point]) -> i64 {
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return 0 };
    let n = i64::try_from(points.len()).unwrap_or(i64::MAX);
    debug_assert!(count(points.len()) >= 1.0, "there is a first one");
    millis_between(first.at, last.at) / n
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(values: &[f64]) -> Vec<Point> {
        let at = (0..).map(|minute| WallTime::from_millis(minute * 60_000));
        at.zip(values).map(|(at, value)| Point { at, value: *value }).collect()
    }

    fn minute(n: i64) -> WallTime {
        WallTime::from_millis(n * 60_000)
    }

    #[test]
    fn lives_begin_as_told_or_where_values_fall_from_the_ceiling() {
        let points = points(&[10.0, 50.0, 95.0, 10.0, 60.0, 20.0, 99.0, 12.0]);
        assert_eq!(
            begins(&points, &[minute(5), minute(2), minute(9)], Some(100.0), minute(7)),
            [minute(2), minute(5)]
        );
        assert_eq!(begins(&points, &[], Some(100.0), minute(7)), [minute(3), minute(7)]);
        assert_eq!(begins(&points, &[], None, minute(7)), []);
    }

    #[test]
    fn the_next_end_is_a_median_life_after_the_last_beginning() {
        let points = points(&[10.0, 50.0, 95.0, 10.0, 60.0, 90.0, 20.0, 30.0]);
        let begins = [minute(0), minute(3), minute(6)];
        let lives = lives(&points, &begins, Some(100.0), minute(7)).unwrap();
        assert_eq!((lives.ended, lives.at_ceiling), (2, 2));
        assert_eq!(lives.lasted, Duration::from_mins(3));
        assert_eq!(lives.next_end, Some(minute(9)));
        assert!((lives.level_at_end - 92.5).abs() < 1e-9 && lives.scatter.abs() < 1e-9);
    }

    #[test]
    fn grain_and_cadence_are_read_from_the_values() {
        let points = points(&[4096.0, 4096.0, 12288.0, 8192.0]);
        assert!((grain(&points) - 4096.0).abs() < 1e-9);
        assert_eq!(cadence(&points) * 4, 180_000, "four samples in three minutes");
        assert!(grain(&points[..2]).abs() < 1e-9 && cadence(&[]) == 0);
    }
}
