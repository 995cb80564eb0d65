//! What was recorded of the growth before a death.

use std::time::Duration;

use highwater_core::evidence::Evidence;
use highwater_core::id::ProcKey;
use highwater_core::series::{Labels, Matcher, NAME, Point, Selection, Series, SeriesSource};
use highwater_core::time::{Span, WallTime};

use super::cite;

/// A recorded curve up to the death.
#[derive(Clone, Debug, PartialEq)]
pub struct Growth {
    /// Of what: `node (pid 7), anonymous`, `cgroup /docker/…`.
    pub what: String,
    /// Over which time: `10 min`, `1 h`, `7 d`.
    pub window: Window,
    /// Its samples, oldest first, at least two.
    pub points: Vec<Point>,
    /// The slope of the straight line that fits best.
    pub bytes_per_second: f64,
    /// Which series, how many points.
    pub evidence: Evidence,
}

impl Growth {
    /// Whether it ended higher than it began, and rose on the whole.
    pub(super) fn rose(&self) -> bool {
        let ends = self.points.first().zip(self.points.last());
        self.bytes_per_second > 0.0 && ends.is_some_and(|(first, last)| last.value > first.value)
    }

    /// Over which time, as it is on record: the window's name, or `last 16 s` where the points
    /// cover less than that.
    pub fn span(&self) -> String {
        let (Some(first), Some(last)) = (self.points.first(), self.points.last()) else {
            return self.window.name().to_owned();
        };
        let covered = last.at.since(first.at);
        if covered.saturating_mul(5) >= self.window.length().saturating_mul(4) {
            return self.window.name().to_owned();
        }
        format!("last {}", Span(covered))
    }

    /// The slope in words: `2 MiB/s`.
    pub fn rate(&self) -> String {
        crate::words::rate(self.bytes_per_second)
    }
}

/// How far a curve looks back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Window {
    /// Ten minutes, every sample.
    Minutes,
    /// An hour.
    Hour,
    /// A week.
    Week,
}

impl Window {
    const ALL: [Self; 3] = [Self::Minutes, Self::Hour, Self::Week];

    /// In words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Minutes => "10 min",
            Self::Hour => "1 h",
            Self::Week => "7 d",
        }
    }

    const fn length(self) -> Duration {
        match self {
            Self::Minutes => Duration::from_mins(10),
            Self::Hour => Duration::from_hours(1),
            Self::Week => Duration::from_hours(7 * 24),
        }
    }

    /// A curve is drawn in some tens of columns; a few hundred points say all there is.
    const fn step(self) -> Option<Duration> {
        match self {
            Self::Minutes => None,
            Self::Hour => Some(Duration::from_secs(15)),
            Self::Week => Some(Duration::from_mins(30)),
        }
    }

    /// The span that a curve must cover to add to the next shorter one.
    const fn least(self) -> Duration {
        match self {
            Self::Minutes => Duration::ZERO,
            Self::Hour => Duration::from_mins(12),
            Self::Week => Duration::from_mins(72),
        }
    }
}

/// How well the end is on record.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recorded {
    /// Distinct moments in the ten minutes before the death at which the victim or its limited
    /// cgroup was sampled.
    pub points: usize,
    /// The first of them.
    pub from: WallTime,
    /// The last of them.
    pub to: WallTime,
    /// How fast memory grew in that time.
    pub bytes_per_second: Option<f64>,
}

/// All that is on record of one death.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Curves {
    pub(super) growth: Vec<Growth>,
    pub(super) recorded: Option<Recorded>,
    /// Why there may be less than hoped for.
    pub(super) trouble: Option<String>,
}

/// Whose curves are wanted.
#[derive(Clone, Debug)]
pub(super) struct Subject<'a> {
    pub(super) process: Option<(ProcKey, String)>,
    pub(super) cgroup: Option<(&'a str, String)>,
}

const PROCESS_METRIC: &str = "highwater_process_resident_anon_bytes";
const CGROUP_METRIC: &str = "container_memory_usage_bytes";

/// Reads the curves of `subject` up to `death`.
pub(super) fn curves(
    history: &dyn SeriesSource,
    subject: &Subject<'_>,
    death: WallTime,
    look_back: Window,
) -> Curves {
    let mut curves = Curves::default();
    let mut kept = Vec::new();
    for window in Window::ALL.into_iter().filter(|window| *window <= look_back) {
        for (what, matchers) in wanted(subject) {
            let selection = Selection {
                matchers,
                from: death.before(window.length()),
                to: death,
                step: window.step(),
                ends: false,
            };
            match history.select(&selection) {
                Err(error) => curves.trouble = Some(error.to_string()),
                Ok(found) => {
                    let Some((labels, points)) = merged(found) else { continue };
                    if window == Window::Minutes {
                        kept.push(points.clone());
                    }
                    curves.growth.extend(curve(history, what, window, &labels, points));
                }
            }
        }
    }
    curves.recorded = recorded(&kept);
    curves
}

fn wanted(subject: &Subject<'_>) -> Vec<(String, Vec<Matcher>)> {
    let process = subject.process.as_ref().map(|(key, name)| {
        let (pid, start) = (key.pid.to_string(), key.start.get().to_string());
        let matchers = [(NAME, PROCESS_METRIC), ("pid", pid.as_str()), ("start", start.as_str())];
        (format!("{name}, anonymous"), matchers.map(|(name, value)| Matcher::is(name, value)))
    });
    let cgroup = subject.cgroup.as_ref().map(|(path, name)| {
        let matchers = [(NAME, CGROUP_METRIC), ("id", path), ("pid", "")];
        (format!("cgroup {name}"), matchers.map(|(name, value)| Matcher::is(name, value)))
    });
    [process, cgroup].into_iter().flatten().map(|(what, all)| (what, all.to_vec())).collect()
}

/// One curve out of a process's pieces: it gets another series when it moves to another cgroup or
/// renames itself.
fn merged(found: Vec<Series>) -> Option<(Labels, Vec<Point>)> {
    let labels = found.last()?.labels.clone();
    let mut points: Vec<Point> = found.into_iter().flat_map(|series| series.points).collect();
    points.sort_by_key(|point| point.at);
    points.dedup_by_key(|point| point.at);
    Some((labels, points))
}

fn curve(
    history: &dyn SeriesSource,
    what: String,
    window: Window,
    labels: &Labels,
    points: Vec<Point>,
) -> Option<Growth> {
    let (first, last) = (points.first()?, points.last()?);
    if last.at.since(first.at) <= window.least() {
        return None;
    }
    let bytes_per_second = slope(&points)?;
    let evidence = cite::series(history.name(), labels, &points);
    Some(Growth { what, window, points, bytes_per_second, evidence })
}

fn recorded(curves: &[Vec<Point>]) -> Option<Recorded> {
    let mut moments: Vec<WallTime> = curves.iter().flatten().map(|point| point.at).collect();
    moments.sort_unstable();
    moments.dedup();
    let best = curves.iter().max_by_key(|points| points.len())?;
    Some(Recorded {
        points: moments.len(),
        from: *moments.first()?,
        to: *moments.last()?,
        bytes_per_second: slope(best),
    })
}

/// Ordinary least squares over seconds.
fn slope(points: &[Point]) -> Option<f64> {
    let first = points.first()?.at;
    let at = |point: &Point| point.at.since(first).as_secs_f64();
    let count = points.iter().fold(0.0, |count, _| count + 1.0);
    let mean_at = points.iter().map(at).sum::<f64>() / count;
    let mean = points.iter().map(|point| point.value).sum::<f64>() / count;
    let spread: f64 = points.iter().map(|point| (at(point) - mean_at).powi(2)).sum();
    let joint: f64 = points.iter().map(|point| (at(point) - mean_at) * (point.value - mean)).sum();
    (spread > 0.0).then(|| joint / spread)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slope_of_a_line_is_its_rate() {
        let point = |s: i64, value| Point { at: WallTime::from_millis(s * 1000), value };
        let line = [point(0, 10.0), point(5, 20.0), point(10, 30.0)];
        assert_eq!(slope(&line), Some(2.0));
        assert_eq!(slope(&line[..1]), None);
        assert_eq!(slope(&[]), None);
    }
}
