//! What the recorded series remember of a death that the recorder did not see itself: it was down
//! at the moment, or the process lived between two samples.

use std::time::Duration;

use highwater_core::event::Whereabouts;
use highwater_core::evidence::Evidence;
use highwater_core::id::{CgroupPath, Pid, ProcKey, StartTicks};
use highwater_core::limit::Limit;
use highwater_core::series::{Matcher, NAME, Point, Selection, Series, SeriesSource};
use highwater_core::time::WallTime;
use highwater_core::units::Bytes;

use super::cite;
use super::scene::Told;

/// How far back a process is looked for. A pid comes round again in hours, on a busy machine in
/// minutes; the last process that had it within this time is the one that died.
const MEMORY: Duration = Duration::from_mins(10);

/// How far around a death a kill counter is compared: three ticks of the default cadence.
const AROUND: Duration = Duration::from_secs(15);

/// Where `pid` was when it was last sampled before `death`.
pub(super) fn whereabouts(
    history: &dyn SeriesSource,
    pid: Pid,
    death: WallTime,
) -> Option<Whereabouts> {
    let is_pid = Matcher::is("pid", &pid.to_string());
    let lives = before(history, "process_resident_memory_bytes", Some(is_pid), death);
    let (life, last) = lives.iter().filter_map(last_point).max_by_key(|(_, last)| last.at)?;
    let start = StartTicks::new(life.labels.get("start").parse().ok()?);
    let path = Some(life.labels.get("id")).filter(|path| !path.is_empty());
    let cgroup = path.map(|path| CgroupPath::new(path.as_bytes()));
    let limited = cgroup.as_ref().and_then(|path| limit_above(history, path, death));
    let usage = limited.as_ref().and_then(|(path, _)| {
        amount(history, "container_memory_usage_bytes", path.as_str(), death)
    });
    Some(Whereabouts {
        key: ProcKey { pid, start },
        cgroup,
        limited_by: limited.as_ref().map(|(path, _)| path.clone()),
        limit: limited.map(|(_, limit)| Limit::At(limit)),
        usage,
        at: last.at,
    })
}

/// When the machine was last sampled before `death`.
pub(super) fn last_tick(history: &dyn SeriesSource, death: WallTime) -> Option<WallTime> {
    let found = before(history, "node_memory_MemAvailable_bytes", None, death);
    found.iter().filter_map(last_point).map(|(_, last)| last.at).max()
}

/// The memory cgroups whose kill counter rose around `death`, the innermost only: a kill counts
/// in every cgroup above, too.
pub(super) fn suspects(history: &dyn SeriesSource, death: WallTime) -> Vec<Told<String>> {
    let selection = Selection {
        matchers: vec![Matcher::is(NAME, "container_oom_events_total")],
        from: death.before(AROUND),
        to: death.after(AROUND),
        step: None,
        ends: false,
    };
    let mut found: Vec<_> = history.select(&selection).unwrap_or_default();
    found.retain(|series| rose(&series.points));
    let paths: Vec<_> = found.iter().map(|series| series.labels.get("id").to_owned()).collect();
    let innermost = |path: &str| !paths.iter().any(|other| is_below(other, path));
    found
        .iter()
        .filter(|series| innermost(series.labels.get("id")))
        .map(|series| Told {
            value: series.labels.get("id").to_owned(),
            evidence: counted(history.name(), series),
        })
        .collect()
}

fn rose(points: &[Point]) -> bool {
    matches!(points, [first, .., last] if last.value > first.value)
}

fn is_below(path: &str, above: &str) -> bool {
    let rest = path.strip_prefix(above.trim_end_matches('/'));
    path != above && rest.is_some_and(|rest| rest.starts_with('/'))
}

fn counted(source: &str, series: &Series) -> Evidence {
    let text = match series.points.as_slice() {
        [first, .., last] => {
            format!("{}: {} to {} at {}", series.labels, first.value, last.value, last.at)
        }
        _ => series.labels.to_string(),
    };
    Evidence { source: source.to_owned(), line: None, text: cite::cut(&text) }
}

/// The nearest cgroup from `path` up that had a limit.
fn limit_above(
    history: &dyn SeriesSource,
    path: &CgroupPath,
    death: WallTime,
) -> Option<(CgroupPath, Bytes)> {
    let mut at = path.clone();
    loop {
        match amount(history, "container_spec_memory_limit_bytes", at.as_str(), death) {
            Some(limit) => return Some((at, limit)),
            None => at = CgroupPath::new(at.parent()?.as_bytes()),
        }
    }
}

/// The last finite value of a cgroup's `metric` before `death`.
fn amount(history: &dyn SeriesSource, metric: &str, path: &str, death: WallTime) -> Option<Bytes> {
    let found = before(history, metric, Some(Matcher::is("id", path)), death);
    let (_, last) = found.iter().filter_map(last_point).max_by_key(|(_, last)| last.at)?;
    last.value.is_finite().then(|| Bytes::from_f64(last.value))
}

fn before(
    history: &dyn SeriesSource,
    metric: &str,
    of: Option<Matcher>,
    death: WallTime,
) -> Vec<Series> {
    let matchers = [Matcher::is(NAME, metric)].into_iter().chain(of).collect();
    let selection =
        Selection { matchers, from: death.before(MEMORY), to: death, step: None, ends: false };
    history.select(&selection).unwrap_or_default()
}

fn last_point(series: &Series) -> Option<(&Series, Point)> {
    Some((series, *series.points.last()?))
}
