//! What an owner held in each of its lives, out of the recorded series.

use std::time::Duration;

use highwater_core::id::CgroupPath;
use highwater_core::owner::Owner;
use highwater_core::series::{Matcher, NAME, Point, Selection, SeriesSource};
use highwater_core::time::WallTime;
use highwater_core::units::Bytes;

use super::{Cause, Chapter};

/// A reading so long before the end, or after the beginning, still tells of it: twelve readings at
/// the usual cadence.
const NEAR: Duration = Duration::from_mins(1);

/// The memory of so many lives is read, the newest: each costs a few readings of the store.
const MOST_LIVES: usize = 48;

/// A curve of so many points has its peak, or nearly.
const POINTS: u32 = 720;

/// What was held in one life. What is charged to its cgroup without idle page cache, where that is on
/// record, else the anonymous memory of its processes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memory {
    /// Shortly after it began.
    pub at_start: Option<Bytes>,
    /// The most on record.
    pub peak: Option<Bytes>,
    /// Shortly before it ended.
    pub at_end: Option<Bytes>,
    /// Its limit.
    pub limit: Option<Bytes>,
    /// The curve, thinned out.
    pub curve: Vec<Point>,
}

impl Memory {
    /// Memory at the end as a share of the limit.
    pub(super) fn height(&self) -> Option<f64> {
        share(self.at_end?, self.limit?)
    }

    /// Memory at the beginning as a share of that at the end.
    pub(super) fn start_share(&self) -> Option<f64> {
        share(self.at_start?, self.at_end?)
    }
}

fn share(part: Bytes, whole: Bytes) -> Option<f64> {
    (whole > Bytes::ZERO).then(|| part.as_f64() / whole.as_f64())
}

/// Fills in the memory of the newest of `chapters`.
pub(super) fn fill(
    owner: &Owner,
    chapters: &mut [Chapter],
    limit: Option<Bytes>,
    history: &dyn SeriesSource,
    now: WallTime,
) {
    let older = chapters.len().saturating_sub(MOST_LIVES);
    let mut before: Option<WallTime> = None;
    for (at, chapter) in chapters.iter_mut().enumerate() {
        let began = chapter.started.or(before);
        before = chapter.ended;
        if at < older {
            continue;
        }
        let ended = chapter.ended.unwrap_or(now);
        let from = began.unwrap_or_else(|| ended.before(NEAR));
        chapter.memory =
            Lived { owner, cgroup: chapter.cgroup.as_ref(), from, ended }.read(history);
        let memory = &mut chapter.memory;
        memory.limit = memory.limit.or(limit);
        if chapter.started.is_none() {
            memory.at_start = None;
        }
        // The kernel's own word is better than a reading that came before the last burst.
        memory.at_end = chapter.end.as_ref().and_then(|end| end.held).or(memory.at_end);
        let own_limit = chapter.end.as_ref().map(|end| end.cause) == Some(Cause::KernelOomMemcg);
        if own_limit && memory.at_end.is_none() {
            memory.at_end = memory.limit;
        }
        if chapter.ended.is_none() {
            memory.at_end = None;
        }
        memory.peak = memory.peak.max(memory.at_end);
    }
}

/// One life, as the series know it.
#[derive(Clone, Copy, Debug)]
struct Lived<'a> {
    owner: &'a Owner,
    cgroup: Option<&'a CgroupPath>,
    from: WallTime,
    ended: WallTime,
}

impl Lived<'_> {
    fn read(&self, history: &dyn SeriesSource) -> Memory {
        let of_cgroup = self.cgroup.map(|path| vec![Matcher::is("id", path.as_str())]);
        let charged = || {
            let of_cgroup = of_cgroup.clone()?;
            let mut metrics = [
                "container_memory_working_set_bytes",
                "container_memory_usage_bytes",
                "container_memory_rss",
            ]
            .iter();
            metrics.find_map(|metric| self.told(history, metric, &of_cgroup))
        };
        let owned = || self.told(history, "highwater_owner_resident_anon_bytes", &self.labels());
        let mut memory = charged().or_else(owned).unwrap_or_default();
        memory.limit = of_cgroup.as_ref().and_then(|of| {
            let metric = "container_spec_memory_limit_bytes";
            let limits = points(history, metric, of, self.ended.before(NEAR), self.ended, None);
            limits.last().map(|last| Bytes::from_f64(last.value))
        });
        memory
    }

    fn told(&self, history: &dyn SeriesSource, metric: &str, of: &[Matcher]) -> Option<Memory> {
        let step = self.ended.since(self.from) / POINTS;
        let curve = points(history, metric, of, self.from, self.ended, Some(step));
        let near = self.ended.before(NEAR).max(self.from);
        let last = points(history, metric, of, near, self.ended, None);
        let first = curve.first().filter(|first| first.at.since(self.from) <= NEAR);
        let bytes = |point: &Point| Bytes::from_f64(point.value);
        let peak = curve.iter().chain(&last).map(bytes).max()?;
        Some(Memory {
            at_start: first.map(bytes),
            peak: Some(peak),
            at_end: last.last().map(bytes),
            limit: None,
            curve,
        })
    }

    fn labels(&self) -> Vec<Matcher> {
        let mut all =
            vec![Matcher::is("kind", self.owner.kind()), Matcher::is("id", self.owner.id())];
        all.extend(self.owner.uid().map(|uid| Matcher::is("uid", &uid.to_string())));
        if let Owner::Pod { namespace, container, .. } = self.owner {
            all.push(Matcher::is("namespace", namespace));
            all.push(Matcher::is("container", container));
        }
        all
    }
}

/// Finite points of all series that match, in order of time.
fn points(
    history: &dyn SeriesSource,
    metric: &str,
    of: &[Matcher],
    from: WallTime,
    to: WallTime,
    step: Option<Duration>,
) -> Vec<Point> {
    let matchers = [Matcher::is(NAME, metric)].into_iter().chain(of.iter().cloned()).collect();
    let step = step.filter(|step| *step > Duration::from_secs(1));
    let selection = Selection { matchers, from, to, step, ends: false };
    let found = history.select(&selection).unwrap_or_default();
    let all = found.into_iter().flat_map(|series| series.points);
    let mut all: Vec<Point> =
        all.filter(|point| point.value.is_finite() && point.at >= from && point.at <= to).collect();
    all.sort_by_key(|point| point.at);
    all
}
