//! What owners have: memory of all kinds, descriptors, threads, processes.

use std::collections::{BTreeMap, BTreeSet};

use highwater_core::growth::Resource;
use highwater_core::series::{Keep, NAME, Point, Series, SourceError};
use highwater_core::time::WallTime;
use highwater_core::units::Bytes;

use super::Caveat;
use super::bounds::{Bound, Bounds};
use super::draft::{Bench, Draft, RECENT, Subject};
use super::hands::shared;
use super::history::{History, rises, together};
use super::strand::{Hosts, Strand, of_metric};
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

/// Where page cache is counted, with what tmpfs holds; and that by itself.
const CACHE: &str = "container_memory_cache";
const SHMEM: &str = "highwater_cgroup_shmem_bytes";

/// When an owner's present life began.
const STARTS: [&str; 2] = ["container_start_time_seconds", "process_start_time_seconds"];

/// Judges everything that owners have, owner by owner.
pub(super) fn drafts(
    history: History<'_>,
    bench: &Bench<'_>,
    bounds: &Bounds,
) -> Result<Vec<Draft>, SourceError> {
    let names = COLUMNS.iter().flat_map(|(_, names)| names.iter().map(|(metric, _)| *metric));
    let metrics: Vec<&str> = names.chain([CACHE]).chain(STARTS).collect();
    let of_one_kind = |(_, names): &(Resource, Names)| names.iter().map(|(metric, _)| *metric);
    let choices: Vec<Vec<&str>> = COLUMNS.iter().map(|kind| of_one_kind(kind).collect()).collect();
    let choices: Vec<&[&str]> = choices.iter().map(Vec::as_slice).collect();
    let judged = |found: Vec<Series>| of_one(found, bench, bounds);
    let mut drafts = shared(&judged, |give| {
        let (what, how) = ((&*metrics, &*choices), (Keep::Extremes, &bounds.hosts));
        history.each_choosing(what, how, &|_| true, &mut |found| give(found))
    })?;
    let place = |resource: Resource| COLUMNS.iter().position(|(other, _)| *other == resource);
    drafts.sort_by_cached_key(|draft: &Draft| {
        (place(draft.resource).unwrap_or(COLUMNS.len()), key(&draft.whose))
    });
    Ok(drafts)
}

/// Judges everything that one owner has.
fn of_one(mut found: Vec<Series>, bench: &Bench<'_>, bounds: &Bounds) -> Vec<Draft> {
    let begins = begins(&found);
    let beside = beside(&found, bench.at);
    let with_begins = |strand: Strand| match &begins {
        // What the owner says of its start is truer than where its series change.
        Some(told) => Strand { begins: told.clone(), ..strand },
        None => strand,
    };
    let mut drafts = Vec::new();
    if let Some(strand) = cache(&mut found, &bounds.hosts) {
        drafts.extend(bench.judge(with_begins(strand), Subject::of(Resource::Cache), &[]));
    }
    for (resource, names) in COLUMNS {
        let strand = names.iter().find_map(|(metric, caveat)| {
            Some((of_metric(&mut found, metric, &bounds.hosts)?, *caveat))
        });
        let Some((strand, caveat)) = strand else { continue };
        let bound = bound(*resource, &strand, bounds, &beside);
        let subject = Subject::of(*resource).with(caveat).within(bound);
        drafts.extend(bench.judge(with_begins(strand), subject, &[]));
    }
    drafts
}

/// Page cache: what tmpfs holds is counted in it, and is no cache.
fn cache(found: &mut [Series], hosts: &Hosts) -> Option<Strand> {
    let mut cache = of_metric(found, CACHE, hosts)?;
    let mut shared: Vec<Series> =
        found.iter().filter(|series| series.labels.get(NAME) == SHMEM).cloned().collect();
    if let Some(shmem) = of_metric(&mut shared, SHMEM, hosts) {
        cache.points =
            together(&cache.points, &shmem.points, |all, shared| (all - shared).max(0.0));
    }
    Some(cache)
}

/// What may not be exceeded by one resource of an owner.
fn bound(
    resource: Resource,
    strand: &Strand,
    bounds: &Bounds,
    beside: &BTreeMap<Resource, f64>,
) -> Option<Bound> {
    let current = strand.points.last()?.value;
    match resource {
        Resource::Fds => bounds.of_files(&strand.whose, current),
        Resource::Threads | Resource::Children => bounds.of_tasks(&strand.whose),
        Resource::Swap | Resource::SlabReclaimable | Resource::Cache => None,
        _ => {
            let others = beside.iter().filter(|(other, _)| **other != resource);
            let others = others.map(|(_, held)| held).sum();
            bounds.of_memory(&strand.whose, current, others)
        }
    }
}

/// What an owner has now that cannot be dropped, by resource.
fn beside(found: &[Series], at: WallTime) -> BTreeMap<Resource, f64> {
    let mut all: BTreeMap<Resource, f64> = BTreeMap::new();
    for (resource, metric) in HARD {
        for series in found.iter().filter(|series| series.labels.get(NAME) == metric) {
            let last = series.points.last().filter(|last| at.since(last.at) <= RECENT);
            let Some(last) = last else { continue };
            // An owner's cgroups include those below them: the largest is all of it.
            let held = all.entry(resource).or_insert(0.0);
            *held = held.max(last.value);
        }
    }
    all
}

/// When the lives of an owner began, if that is told.
fn begins(found: &[Series]) -> Option<Vec<WallTime>> {
    /// Milliseconds in a second; starts are told in seconds.
    const MILLIS: f64 = 1000.0;
    let told = found.iter().filter(|series| STARTS.contains(&series.labels.get(NAME)));
    let mut seconds: Vec<f64> =
        told.flat_map(|series| &series.points).map(|point| point.value).collect();
    seconds.sort_unstable_by(f64::total_cmp);
    // Of readings that round differently one is meant.
    seconds.dedup_by(|b, a| *b - *a < 2.0);
    let moments = seconds.into_iter().filter(|start| *start > 0.0).filter_map(|start| {
        let ms = Bytes::from_f64(start * MILLIS).get();
        i64::try_from(ms).ok().map(WallTime::from_millis)
    });
    let moments: Vec<WallTime> = moments.collect();
    (!moments.is_empty()).then_some(moments)
}

/// What an owner had to do: processor time, by the names it goes by.
const LOADS: [&str; 2] = ["container_cpu_usage_seconds_total", "process_cpu_seconds_total"];

/// How many courses are judged again under their load: those that grow are few.
const LOADED: usize = 400;

/// Whether `draft` is of something that may grow because there is more to do.
fn may_follow_load(draft: &Draft) -> bool {
    let by_work = matches!(draft.resource, Resource::Anon | Resource::Fds | Resource::Threads);
    by_work && draft.rises() && !draft.whose.is_machine()
}

/// Judges again, under its load, what seemed to grow.
pub(super) fn under_load(
    history: History<'_>,
    bench: &Bench<'_>,
    bounds: &Bounds,
    drafts: &mut [Draft],
) -> Result<(), SourceError> {
    let mut places: BTreeMap<Key, Vec<usize>> = BTreeMap::new();
    let mut metrics: BTreeSet<String> = LOADS.map(str::to_owned).into();
    let grown = drafts.iter().enumerate().filter(|(_, draft)| may_follow_load(draft));
    for (place, draft) in grown.take(LOADED) {
        places.entry(key(&draft.whose)).or_default().push(place);
        metrics.insert(draft.labels.get(NAME).to_owned());
    }
    if places.is_empty() {
        return Ok(());
    }
    let metrics: Vec<&str> = metrics.iter().map(String::as_str).collect();
    let is_grown = |key: &Key| places.contains_key(key);
    history.each_owner(&metrics, (Keep::Extremes, &bounds.hosts), &is_grown, &mut |mut found| {
        let whose = found.first().and_then(|series| bounds.hosts.owner(&series.labels));
        let grown = whose.and_then(|whose| places.get(&key(&whose)));
        let (Some(grown), Some(load)) = (grown, load(&mut found, &bounds.hosts)) else { return };
        for place in grown {
            let Some(draft) = drafts.get_mut(*place) else { continue };
            let Some(strand) = of_metric(&mut found, draft.labels.get(NAME), &bounds.hosts) else {
                continue;
            };
            let strand = Strand { begins: draft.begins.clone(), ..strand };
            let subject =
                Subject::of(draft.resource).with(draft.caveat).within(draft.bound.clone());
            if let Some(again) = bench.judge(strand, subject, &load) {
                *draft = again;
            }
        }
    })
}

/// The load of an owner.
fn load(found: &mut Vec<Series>, hosts: &Hosts) -> Option<Vec<Point>> {
    // cAdvisor tells each processor by itself on some kernels, and all of them as `total`.
    found.retain(|series| matches!(series.labels.get("cpu"), "" | "total"));
    let load = LOADS.iter().find_map(|metric| of_metric(found, metric, hosts))?;
    Some(rises(&load.points))
}
