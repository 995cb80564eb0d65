//! What owners have: memory of all kinds, descriptors, threads, processes.

use std::collections::{BTreeMap, BTreeSet};

use highwater_core::growth::Resource;
use highwater_core::series::{Matcher, NAME, Point, SourceError};
use highwater_core::time::WallTime;

use super::Caveat;
use super::bounds::{Bound, Bounds};
use super::draft::{Bench, Draft, Subject};
use super::history::{History, rises, together};
use super::strand::{Strand, of_owners};
use super::whose::Whose;

/// By what name a resource of an owner goes; of several names the first that an owner has counts.
type Names = &'static [(&'static str, Option<Caveat>)];

const COLUMNS: &[(Resource, Names)] = &[
    (
        Resource::Anon,
        &[
            ("container_memory_rss", None),
            ("highwater_owner_resident_anon_bytes", None),
            ("process_resident_memory_bytes", Some(Caveat::Resident)),
            ("container_memory_working_set_bytes", Some(Caveat::WorkingSet)),
            ("container_memory_usage_bytes", Some(Caveat::Usage)),
        ],
    ),
    (Resource::Shmem, &[("highwater_cgroup_shmem_bytes", None)]),
    (Resource::Swap, &[("container_memory_swap", None), ("highwater_owner_swap_bytes", None)]),
    (Resource::SlabReclaimable, &[("highwater_cgroup_slab_reclaimable_bytes", None)]),
    (Resource::SlabUnreclaimable, &[("highwater_cgroup_slab_unreclaimable_bytes", None)]),
    (Resource::PageTables, &[("highwater_cgroup_page_tables_bytes", None)]),
    (Resource::KernelStacks, &[("highwater_cgroup_kernel_stack_bytes", None)]),
    (Resource::Sockets, &[("highwater_cgroup_sock_bytes", None)]),
    (
        Resource::Fds,
        &[
            ("highwater_owner_open_fds", None),
            ("process_open_fds", None),
            ("container_file_descriptors", None),
        ],
    ),
    (
        Resource::Threads,
        &[
            ("highwater_owner_threads", None),
            ("container_threads", None),
            ("process_threads", None),
        ],
    ),
    (Resource::Children, &[("highwater_owner_processes", None), ("container_processes", None)]),
];

/// What counts against a memory limit and cannot be dropped.
const HARD: [(Resource, &str); 5] = [
    (Resource::Anon, "container_memory_rss"),
    (Resource::Shmem, "highwater_cgroup_shmem_bytes"),
    (Resource::SlabUnreclaimable, "highwater_cgroup_slab_unreclaimable_bytes"),
    (Resource::PageTables, "highwater_cgroup_page_tables_bytes"),
    (Resource::KernelStacks, "highwater_cgroup_kernel_stack_bytes"),
];

/// An owner's key, made its own.
pub(super) type Key = (String, String, String);

pub(super) fn key(whose: &Whose) -> Key {
    let (kind, own, host) = whose.key();
    (kind.to_owned(), own.to_owned(), host.to_owned())
}

/// Judges everything that owners have.
pub(super) fn drafts(
    history: History<'_>,
    bench: &Bench<'_>,
    bounds: &Bounds,
) -> Result<Vec<Draft>, SourceError> {
    let beside = beside(history, bounds)?;
    let mut drafts = Vec::new();
    for (resource, names) in COLUMNS {
        let mut seen: BTreeSet<Key> = BTreeSet::new();
        for (metric, caveat) in *names {
            for strand in of_owners(history.whole(metric)?, &bounds.hosts) {
                if !seen.insert(key(&strand.whose)) {
                    continue;
                }
                let bound = bound(*resource, &strand, bounds, &beside);
                let subject = Subject::of(*resource).with(*caveat).within(bound);
                drafts.extend(bench.judge(strand, subject, &[]));
            }
        }
    }
    drafts.extend(caches(history, bench, bounds)?);
    Ok(drafts)
}

/// Page cache: what tmpfs holds is counted in it, and is no cache.
fn caches(
    history: History<'_>,
    bench: &Bench<'_>,
    bounds: &Bounds,
) -> Result<Vec<Draft>, SourceError> {
    let all = of_owners(history.whole("container_memory_cache")?, &bounds.hosts);
    let shared = by_key(of_owners(history.whole("highwater_cgroup_shmem_bytes")?, &bounds.hosts));
    let judged = all.into_iter().filter_map(|mut strand| {
        if let Some(shmem) = shared.get(&key(&strand.whose)) {
            strand.points =
                together(&strand.points, &shmem.points, |all, shared| (all - shared).max(0.0));
        }
        bench.judge(strand, Subject::of(Resource::Cache), &[])
    });
    Ok(judged.collect())
}

pub(super) fn by_key(strands: Vec<Strand>) -> BTreeMap<Key, Strand> {
    strands.into_iter().map(|strand| (key(&strand.whose), strand)).collect()
}

/// What may not be exceeded by one resource of an owner.
fn bound(
    resource: Resource,
    strand: &Strand,
    bounds: &Bounds,
    beside: &BTreeMap<Key, BTreeMap<Resource, f64>>,
) -> Option<Bound> {
    let current = strand.points.last()?.value;
    match resource {
        Resource::Fds => bounds.of_files(&strand.whose, current),
        Resource::Threads | Resource::Children => bounds.of_tasks(&strand.whose),
        Resource::Swap | Resource::SlabReclaimable | Resource::Cache => None,
        _ => {
            let others = beside.get(&key(&strand.whose)).map_or(0.0, |all| {
                all.iter().filter(|(other, _)| **other != resource).map(|(_, held)| held).sum()
            });
            bounds.of_memory(&strand.whose, current, others)
        }
    }
}

/// What each owner has now that cannot be dropped, by resource.
fn beside(
    history: History<'_>,
    bounds: &Bounds,
) -> Result<BTreeMap<Key, BTreeMap<Resource, f64>>, SourceError> {
    let mut all: BTreeMap<Key, BTreeMap<Resource, f64>> = BTreeMap::new();
    for (resource, metric) in HARD {
        for (labels, point) in history.last(metric, &[], super::draft::RECENT)? {
            let Some(whose) = bounds.hosts.owner(&labels) else { continue };
            // An owner's cgroups include those below them: the largest is all of it.
            let held = all.entry(key(&whose)).or_default().entry(resource).or_insert(0.0);
            *held = held.max(point.value);
        }
    }
    Ok(all)
}

/// When the lives of each owner began.
pub(super) fn begins(
    history: History<'_>,
    bounds: &Bounds,
) -> Result<BTreeMap<Key, Vec<WallTime>>, SourceError> {
    /// Milliseconds in a second; starts are told in seconds.
    const MILLIS: f64 = 1000.0;
    let mut all: BTreeMap<Key, Vec<WallTime>> = BTreeMap::new();
    for metric in ["container_start_time_seconds", "process_start_time_seconds"] {
        for series in history.whole(metric)? {
            let Some(whose) = bounds.hosts.owner(&series.labels) else { continue };
            let starts = series.points.iter().filter(|point| point.value > 0.0);
            let moments = starts.filter_map(|point| {
                let ms = highwater_core::units::Bytes::from_f64(point.value * MILLIS).get();
                i64::try_from(ms).ok().map(WallTime::from_millis)
            });
            all.entry(key(&whose)).or_default().extend(moments);
        }
    }
    for moments in all.values_mut() {
        moments.sort_unstable();
        // Of readings that round differently one is meant.
        moments.dedup_by(|b, a| b.since(*a) < std::time::Duration::from_secs(2));
    }
    Ok(all)
}

/// What an owner had to do: processor time, by the names it goes by.
const LOADS: [&str; 2] = ["container_cpu_usage_seconds_total", "process_cpu_seconds_total"];

/// Whether `draft` is of something that may grow because there is more to do.
pub(super) fn may_follow_load(draft: &Draft) -> bool {
    let by_work = matches!(draft.resource, Resource::Anon | Resource::Fds | Resource::Threads);
    by_work && draft.rises() && !draft.whose.is_machine()
}

/// The load of each owner.
pub(super) fn loads(
    history: History<'_>,
    bounds: &Bounds,
) -> Result<BTreeMap<Key, Vec<Point>>, SourceError> {
    let mut all = BTreeMap::new();
    for metric in LOADS {
        let found = history.whole(metric)?;
        // cAdvisor tells each processor by itself on some kernels, and all of them as `total`.
        let whole =
            found.into_iter().filter(|series| matches!(series.labels.get("cpu"), "" | "total"));
        for strand in of_owners(whole.collect(), &bounds.hosts) {
            all.entry(key(&strand.whose)).or_insert_with(|| rises(&strand.points));
        }
    }
    Ok(all)
}

/// Judges a course again under `load`.
pub(super) fn again(
    history: History<'_>,
    bench: &Bench<'_>,
    bounds: &Bounds,
    draft: &Draft,
    load: &[Point],
) -> Result<Option<Draft>, SourceError> {
    let label = ["name", "id", "pod", "job"].into_iter().find(|l| !draft.labels.get(l).is_empty());
    let conditions = label.map(|label| Matcher::is(label, draft.labels.get(label)));
    let (Some(condition), name) = (conditions, draft.labels.get(NAME)) else { return Ok(None) };
    let found = history.matching(name, &[condition, Matcher::is("pid", "")])?;
    let strands = of_owners(found, &bounds.hosts);
    let wanted = key(&draft.whose);
    let Some(strand) = strands.into_iter().find(|strand| key(&strand.whose) == wanted) else {
        return Ok(None);
    };
    let subject = Subject::of(draft.resource).with(draft.caveat).within(draft.bound.clone());
    Ok(bench.judge(strand, subject, load))
}
