//! Noise out of a recording, as `fixtures/growth/noise.txt` has it.

use std::path::Path;

use highwater_core::series::{Matcher, NAME, Point, Selection, Series, SeriesSource as _};
use highwater_core::time::WallTime;
use highwater_store::Reader;

/// What is taken: memory and counts of the machine and of processes.
const METRICS: [&str; 12] = [
    "node_memory_MemAvailable_bytes",
    "node_memory_AnonPages_bytes",
    "node_memory_Cached_bytes",
    "node_memory_Slab_bytes",
    "node_memory_PageTables_bytes",
    "highwater_process_resident_anon_bytes",
    "highwater_owner_resident_anon_bytes",
    "highwater_owner_open_fds",
    "highwater_owner_threads",
    "container_memory_rss",
    "container_memory_cache",
    "process_open_fds",
];

/// Samples of a series, at least and at most.
const SAMPLES: (usize, usize) = (100, 400);

/// Series of one metric: those that moved most.
const EACH: usize = 2;

/// Of its samples, the part that must differ from the one before.
const MOVES: usize = 8;

/// The series of a recording that moved enough to be noise, a line each: values are 1000 steps
/// between the lowest and the highest.
pub(super) fn noise(data: &Path) -> anyhow::Result<String> {
    let reader = Reader::open(data)?;
    let mut lines = Vec::new();
    for metric in METRICS {
        let mut series = reader.select(&everything(metric))?;
        series.retain(|series| {
            series.points.len() >= SAMPLES.0 && moves(series) * MOVES >= series.points.len()
        });
        series.sort_by_key(|series| std::cmp::Reverse(moves(series)));
        for (nth, series) in series.iter().take(EACH).enumerate() {
            lines.push(format!("{metric}/{nth}: {}\n", steps(&series.points)));
        }
    }
    Ok(lines.concat())
}

fn everything(metric: &str) -> Selection {
    Selection {
        matchers: vec![Matcher::is(NAME, metric)],
        from: WallTime::from_millis(0),
        to: WallTime::from_millis(i64::MAX),
        step: None,
        ends: false,
    }
}

/// How often it moved.
fn moves(series: &Series) -> usize {
    let points = &series.points;
    let differs = |(a, b): &(&Point, &Point)| a.value.to_bits() != b.value.to_bits();
    points.iter().zip(points.iter().skip(1)).filter(differs).count()
}

/// The last values, in steps.
fn steps(points: &[Point]) -> String {
    let points = points.get(points.len().saturating_sub(SAMPLES.1)..).unwrap_or_default();
    let low = points.iter().map(|point| point.value).fold(f64::MAX, f64::min);
    let high = points.iter().map(|point| point.value).fold(f64::MIN, f64::max);
    let step =
        |point: &Point| format!("{:.0}", 1000.0 * (point.value - low) / (high - low).max(1e-9));
    points.iter().map(step).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use highwater_core::series::Labels;

    use super::*;

    #[test]
    fn a_series_becomes_steps_of_its_range() {
        let point = |value: f64| Point { at: WallTime::from_millis(0), value };
        let points = vec![point(5.0), point(6.0), point(6.0), point(7.0)];
        assert_eq!(steps(&points), "0 500 500 1000");
        assert_eq!(moves(&Series { labels: Labels::default(), points }), 2);
    }
}
