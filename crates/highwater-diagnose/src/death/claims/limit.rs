//! A cgroup's limit: whose it was, who lived below it, and whether it could ever have sufficed.

use highwater_core::limit::Limit;
use highwater_core::units::{Bytes, Permille};
use highwater_oom::report::{LineNumber, MemcgStats};

use super::{Said, said};
use crate::death::makeup::Kind;
use crate::death::reason::Reason;
use crate::death::scene::Scene;
use crate::death::{Confidence, growth::Growth};
use crate::words;

/// Whose limit was reached, and how far above the victim it stands.
pub(super) fn reached(scene: &Scene<'_>) -> Option<Said> {
    let kill_line = scene.kill.map(|kill| kill.line);
    let constraint = scene.report.constraint.map(|told| told.line);
    let mut evidence = scene.cite.lines(constraint.or(kill_line));
    evidence.extend(scene.limit_owner.as_ref().map(|told| told.evidence.clone()));
    evidence.extend(scene.limit.as_ref().map(|told| told.evidence.clone()));
    let mut text =
        format!("the limit that was reached belongs to {}{}", place(scene), bound(scene));
    let (reason, mut confidence) = whose(scene);
    if let (Reason::AncestorLimit, Some(above)) = (reason, above(scene)) {
        text += &above;
        let (siblings, lines) = siblings(scene);
        text += &siblings;
        evidence.extend(scene.cite.lines(lines));
    }
    // A recording saw it there a moment before, not at the moment itself.
    if scene.limit_owner.as_ref().is_some_and(|told| told.evidence.line.is_none()) {
        confidence = confidence.at_most(Confidence::Likely);
    }
    evidence.dedup();
    said(reason, confidence, text, evidence)
}

fn whose(scene: &Scene<'_>) -> (Reason, Confidence) {
    let sure = scene.verdict.1;
    match (&scene.limit_owner, &scene.task_cgroup) {
        (Some(owner), Some(task)) if owner.value == task.value => (Reason::OwnLimit, sure),
        (Some(owner), Some(task)) if levels(&owner.value, &task.value).is_some() => {
            (Reason::AncestorLimit, sure)
        }
        _ => (Reason::CgroupLimit, sure),
    }
}

fn place(scene: &Scene<'_>) -> String {
    match &scene.limit_owner {
        Some(owner) => format!("cgroup {}", words::place(&owner.value)),
        None => "a memory cgroup that the log does not name".to_owned(),
    }
}

fn bound(scene: &Scene<'_>) -> String {
    let limit = scene.limit.as_ref().map(|told| told.value);
    let usage = scene.usage.as_ref().map(|told| told.value);
    match (limit, usage) {
        (Some(Limit::At(limit)), Some(usage)) => format!(": {usage} used of {limit}"),
        (Some(Limit::At(limit)), None) => format!(": {limit}"),
        _ => String::new(),
    }
}

/// How many levels `task` lies below `owner`; `None` unless it does.
fn levels(owner: &str, task: &str) -> Option<usize> {
    let rest = task.strip_prefix(owner.trim_end_matches('/'))?;
    let levels = rest.strip_prefix('/')?.split('/').filter(|part| !part.is_empty()).count();
    (levels > 0).then_some(levels)
}

fn above(scene: &Scene<'_>) -> Option<String> {
    let (owner, task) = (scene.limit_owner.as_ref()?, scene.task_cgroup.as_ref()?);
    let levels = levels(&owner.value, &task.value)?;
    let depth = match levels {
        1 => "right below it".to_owned(),
        more => format!("{more} levels below it"),
    };
    Some(format!("; the victim ran in {}, {depth}", words::place(&task.value)))
}

/// Who else lived under the same limit: the cgroups whose statistics v1 prints, else the processes
/// of the table, which are those of the limited cgroup.
fn siblings(scene: &Scene<'_>) -> (String, Vec<LineNumber>) {
    /// More of them are a list, not a sentence.
    const NAMED: usize = 3;
    let (owner, task) = match (&scene.limit_owner, &scene.task_cgroup) {
        (Some(owner), Some(task)) => (owner.value.as_str(), task.value.as_str()),
        _ => return (String::new(), Vec::new()),
    };
    let is_sibling = |stats: &&MemcgStats| {
        stats.path.as_deref().is_some_and(|path| path != owner && path != task && !path.is_empty())
    };
    let mut others: Vec<(&MemcgStats, Bytes)> = scene
        .report
        .memcg
        .stats
        .iter()
        .filter(is_sibling)
        .map(|stats| (stats, held(stats)))
        .filter(|(_, held)| *held > Bytes::ZERO)
        .collect();
    others.sort_by_key(|(_, held)| std::cmp::Reverse(*held));
    if others.is_empty() {
        return (neighbours(scene), Vec::new());
    }
    let named = others.iter().take(NAMED).map(|(stats, held)| {
        format!("{} ({held})", words::place(stats.path.as_deref().unwrap_or_default()))
    });
    let more = others.len().checked_sub(NAMED).filter(|more| *more > 0);
    let named: Vec<String> = named.chain(more.map(|more| format!("{more} more"))).collect();
    let text = format!("; under the same limit lived {}", named.join(", "));
    (text, others.iter().take(NAMED).map(|(stats, _)| stats.line).collect())
}

fn held(stats: &MemcgStats) -> Bytes {
    ["rss", "cache"].iter().filter_map(|name| stats.get(name)).sum()
}

fn neighbours(scene: &Scene<'_>) -> String {
    let others: Vec<_> = scene.tasks().iter().filter(|task| !task.killed).collect();
    if others.is_empty() || scene.kill.is_none() {
        return String::new();
    }
    let sizes: Option<Vec<Bytes>> = others.iter().map(|task| task.rss).collect();
    let held = sizes
        .map_or(String::new(), |sizes| format!(" and held {}", sizes.into_iter().sum::<Bytes>()));
    format!("; {} lived under the same limit{held}", words::count(others.len(), "other process"))
}

/// Every charge that has to wait counts, so that a single climb makes some hundreds.
const OFTEN: u64 = 1000;

/// Below this share of the limit there is no cache left to give back.
const NO_CACHE: Permille = Permille::new(50);

/// Pages that had been thrown out and were needed again at once; below this it is chance.
const REFAULTS: u64 = 10_000;

/// The limit did not come as a surprise: the cgroup lived at it. Whether it is too low, or
/// something leaks, one report cannot tell; a recording can.
pub(super) fn below_working_set(scene: &Scene<'_>) -> Option<Said> {
    let memory = scene.report.memcg.memory.filter(|_| scene.is_memcg())?;
    let count = memory.value.failcnt.filter(|count| *count >= OFTEN)?;
    let limit = memory.value.limit.and_then(Limit::at);
    let refaults = refaults(&scene.report.memcg.stats);
    let bare = limit.zip(cache(scene)).is_some_and(|(limit, cache)| {
        cache.permille_of(limit).is_some_and(|share| share < NO_CACHE)
    });
    let thrashing = refaults.filter(|count| *count >= REFAULTS);
    let again = thrashing.map_or(String::new(), |count| {
        format!("; {count} pages that it had to give up were needed again")
    });
    let rising = scene.curves.growth.first().map(Growth::rose);
    let (verdict, confidence) = match (rising, thrashing.is_some() && bare) {
        (Some(true), _) => (
            "it was growing on record, so that a higher limit would only have been reached later",
            Confidence::Possible,
        ),
        (_, true) => (
            "so it is likely lower than what it needs to work (or something in it leaks slowly: one report cannot tell)",
            Confidence::Likely,
        ),
        _ => (
            "whether the limit is too low or something leaks, one report cannot tell",
            Confidence::Possible,
        ),
    };
    let text = format!(
        "usage had bumped into this limit {count} times: the cgroup lived at its limit, reclaiming{again}; {verdict}"
    );
    let evidence = scene.cite.lines([memory.line]);
    said(Reason::LimitBelowWorkingSet, confidence, text, evidence)
}

fn refaults(stats: &[MemcgStats]) -> Option<u64> {
    let refault = |(name, _): &&(String, u64)| name.starts_with("workingset_refault");
    let mut found = stats.iter().flat_map(|stats| &stats.events).filter(refault).peekable();
    found.peek()?;
    Some(found.fold(0, |sum, (_, count)| sum.saturating_add(*count)))
}

/// What could still have been given back.
fn cache(scene: &Scene<'_>) -> Option<Bytes> {
    let makeup = scene.makeup.as_ref()?;
    makeup.part(Kind::Anon)?;
    Some(makeup.amount(Kind::PageCache).saturating_add(makeup.amount(Kind::CacheAndShmem)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_count_what_lies_between() {
        assert_eq!(levels("/a", "/a/b/c"), Some(2));
        assert_eq!(levels("/", "/a"), Some(1));
        assert_eq!(levels("/a", "/a"), None);
        assert_eq!(levels("/a", "/ab"), None);
        assert_eq!(levels("/a/b", "/a"), None);
        assert_eq!(levels("", ""), None);
    }
}
