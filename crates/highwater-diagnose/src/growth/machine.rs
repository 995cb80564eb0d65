//! What the machine as a whole has, kind by kind, and what nobody accounts for.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use highwater_core::growth::Resource;
use highwater_core::series::{Labels, NAME, Point, Series, SourceError};

use super::bounds::{Bound, Bounds, Ceiling};
use super::draft::{Bench, Draft, Subject, cited};
use super::history::{History, together};
use super::strand::Strand;
use super::whose::Whose;
use super::{Caveat, Unit};

/// A sum of metrics, each added or taken away; what comes first must be there, of the rest what
/// there is.
struct Sum {
    resource: Resource,
    first: &'static str,
    plus: &'static [&'static str],
    minus: &'static [&'static str],
    caveat: Option<Caveat>,
}

const fn plain(resource: Resource, first: &'static str) -> Sum {
    Sum { resource, first, plus: &[], minus: &[], caveat: None }
}

/// What a machine has; of two for one resource the first that can be had counts.
const SUMS: &[Sum] = &[
    plain(Resource::Anon, "node_memory_AnonPages_bytes"),
    Sum {
        resource: Resource::Anon,
        first: "node_memory_MemTotal_bytes",
        plus: &[],
        minus: &["node_memory_MemAvailable_bytes"],
        caveat: Some(Caveat::Used),
    },
    Sum {
        resource: Resource::Anon,
        first: "node_memory_MemTotal_bytes",
        plus: &["node_memory_Shmem_bytes"],
        minus: &[
            "node_memory_MemFree_bytes",
            "node_memory_Cached_bytes",
            "node_memory_Buffers_bytes",
            "node_memory_SReclaimable_bytes",
        ],
        caveat: Some(Caveat::Used),
    },
    Sum {
        resource: Resource::Anon,
        first: "sar_memory_used_bytes",
        plus: &[],
        minus: &[],
        caveat: Some(Caveat::Used),
    },
    Sum {
        resource: Resource::Cache,
        first: "node_memory_Cached_bytes",
        plus: &["node_memory_Buffers_bytes"],
        minus: &["node_memory_Shmem_bytes"],
        caveat: None,
    },
    plain(Resource::Shmem, "node_memory_Shmem_bytes"),
    plain(Resource::SlabReclaimable, "node_memory_SReclaimable_bytes"),
    plain(Resource::SlabUnreclaimable, "node_memory_SUnreclaim_bytes"),
    plain(Resource::PageTables, "node_memory_PageTables_bytes"),
    plain(Resource::KernelStacks, "node_memory_KernelStack_bytes"),
    Sum {
        resource: Resource::Sockets,
        first: "node_sockstat_TCP_mem_bytes",
        plus: &["node_sockstat_UDP_mem_bytes", "node_sockstat_FRAG_memory"],
        minus: &[],
        caveat: None,
    },
    Sum {
        resource: Resource::Swap,
        first: "node_memory_SwapTotal_bytes",
        plus: &[],
        minus: &["node_memory_SwapFree_bytes"],
        caveat: None,
    },
    plain(Resource::Swap, "node_swap_used_bytes"),
    plain(Resource::Hugetlb, "node_memory_Hugetlb_bytes"),
    Sum {
        resource: Resource::Unaccounted,
        first: "node_memory_MemTotal_bytes",
        plus: &[],
        minus: KNOWN,
        caveat: None,
    },
    plain(Resource::Fds, "node_filefd_allocated"),
    plain(Resource::Threads, "node_processes_threads"),
    plain(Resource::Children, "node_processes_pids"),
];

/// What the kernel counts of its memory. Without the first [`BASIC`] nothing can be said of the rest.
const KNOWN: &[&str] = &[
    "node_memory_MemFree_bytes",
    "node_memory_Cached_bytes",
    "node_memory_AnonPages_bytes",
    "node_memory_Slab_bytes",
    "node_memory_Buffers_bytes",
    "node_memory_SwapCached_bytes",
    "node_memory_PageTables_bytes",
    "node_memory_SecPageTables_bytes",
    "node_memory_KernelStack_bytes",
    "node_memory_Percpu_bytes",
    "node_memory_Hugetlb_bytes",
    "node_memory_Bounce_bytes",
    "node_memory_Zswap_bytes",
];

/// How many of what is known there must be: free, cached, anonymous, slab.
const BASIC: usize = 4;

/// Whether a metric is one without which nothing can be said of what nobody accounts for.
fn is_basic(metric: &str) -> bool {
    KNOWN.iter().take(BASIC).any(|one| *one == metric)
}

/// What is read of machines.
pub(super) fn metrics() -> impl Iterator<Item = &'static str> {
    let of = |sum: &'static Sum| {
        std::iter::once(sum.first).chain(sum.plus.iter().copied()).chain(sum.minus.iter().copied())
    };
    SUMS.iter().flat_map(of).chain([MOST_FILES, MOST_THREADS, MOST_PROCESSES])
}

const MOST_FILES: &str = "node_filefd_maximum";
const MOST_THREADS: &str = "node_processes_max_threads";
const MOST_PROCESSES: &str = "node_processes_max_processes";

/// How many of what is taken away must be there.
fn needed(sum: &Sum) -> usize {
    match sum.resource {
        Resource::Unaccounted => BASIC,
        Resource::Cache => 0,
        _ if sum.minus.is_empty() => 0,
        _ => 1,
    }
}

/// A series that ended so long before another one has been taken over by it: a label of it changed.
const ANOTHER: Duration = Duration::from_hours(1);

type ByHost = BTreeMap<String, (Labels, Vec<Point>)>;

/// Judges everything that machines have.
pub(super) fn drafts(
    history: History<'_>,
    bench: &Bench<'_>,
    bounds: &Bounds,
) -> Result<Vec<Draft>, SourceError> {
    let mut drafts = Vec::new();
    let mut seen: BTreeSet<(Resource, String)> = BTreeSet::new();
    for sum in SUMS {
        for (host, strand) in summed(history, bounds, sum)? {
            if !seen.insert((sum.resource, host)) {
                continue;
            }
            let bound = bound(history, bench, bounds, sum.resource, &strand)?;
            let subject = Subject::of(sum.resource).with(sum.caveat).within(bound);
            drafts.extend(bench.judge(strand, subject, &[]));
        }
    }
    Ok(drafts)
}

fn summed(
    history: History<'_>,
    bounds: &Bounds,
    sum: &Sum,
) -> Result<Vec<(String, Strand)>, SourceError> {
    let base = by_host(history, bounds, sum.first)?;
    if base.is_empty() {
        return Ok(Vec::new());
    }
    let mut strands: BTreeMap<String, (Strand, usize)> = base
        .into_iter()
        .map(|(host, (labels, points))| {
            let whose =
                Whose { host: Some(host.clone()).filter(|h| !h.is_empty()), ..Whose::machine() };
            (host, (Strand { whose, labels, points, begins: Vec::new() }, 0))
        })
        .collect();
    for (metric, sign) in
        sum.plus.iter().map(|m| (m, 1.0)).chain(sum.minus.iter().map(|m| (m, -1.0)))
    {
        for (host, (_, points)) in by_host(history, bounds, metric)? {
            if let Some((strand, taken)) = strands.get_mut(&host) {
                strand.points = together(&strand.points, &points, |a, b| a + sign * b);
                let is_needed = sum.resource != Resource::Unaccounted || is_basic(metric);
                *taken += usize::from(sign < 0.0 && is_needed);
                let name = strand.labels.get(NAME).to_owned();
                let mark = if sign < 0.0 { " − " } else { " + " };
                strand.labels.set(NAME, format!("{name}{mark}{metric}"));
            }
        }
    }
    let enough = strands.into_iter().filter(|(_, (_, taken))| *taken >= needed(sum));
    Ok(enough
        .map(|(host, (mut strand, _))| {
            // What is counted at slightly different moments may come out below nothing.
            for point in &mut strand.points {
                point.value = point.value.max(0.0);
            }
            (host, strand)
        })
        .collect())
}

/// The series of each machine that have no other labels than where they are from; of several the one
/// that goes on, of those that go on the longest.
fn by_host(history: History<'_>, bounds: &Bounds, metric: &str) -> Result<ByHost, SourceError> {
    let mut found = ByHost::new();
    for series in history.whole(metric)? {
        let host = bounds.hosts.name(&series.labels).unwrap_or_default();
        let chosen = found.entry(host).or_insert_with(|| (series.labels.clone(), Vec::new()));
        let ends = |points: &[Point]| points.last().map(|point| point.at);
        let (own, other) = (ends(&chosen.1), ends(&series.points));
        let is_later = other > own.map(|at| at.after(ANOTHER));
        let is_earlier = own > other.map(|at| at.after(ANOTHER));
        if is_later || (!is_earlier && chosen.1.len() < series.points.len()) {
            *chosen = (series.labels, series.points);
        }
    }
    Ok(found)
}

fn bound(
    history: History<'_>,
    bench: &Bench<'_>,
    bounds: &Bounds,
    resource: Resource,
    strand: &Strand,
) -> Result<Option<Bound>, SourceError> {
    let Some(current) = strand.points.last().map(|point| point.value) else { return Ok(None) };
    let counted = |metric: &str, ceiling: Ceiling| {
        let found = by_host(history, bounds, metric)?;
        let host = strand.whose.host.as_deref().unwrap_or_default();
        Ok(found.get(host).and_then(|(labels, points)| {
            let limit = points.last()?.value;
            let evidence =
                cited(bench.source, labels, points.get(points.len() - 1..)?, Unit::Count);
            Some(Bound { ceiling, limit, level: limit, evidence })
        }))
    };
    match resource {
        Resource::Fds => counted(MOST_FILES, Ceiling::Files),
        Resource::Threads => counted(MOST_THREADS, Ceiling::Tasks),
        Resource::Children => counted(MOST_PROCESSES, Ceiling::Tasks),
        Resource::Cache | Resource::SlabReclaimable => Ok(None),
        Resource::Swap => {
            let free = bounds.machine(&strand.whose).and_then(|machine| machine.swap_free);
            let last = strand.points.get(strand.points.len().saturating_sub(1)..);
            let evidence =
                cited(bench.source, &strand.labels, last.unwrap_or_default(), Unit::Bytes);
            Ok(free.map(|free| {
                let level = current + free;
                Bound { ceiling: Ceiling::Swap, limit: level, level, evidence }
            }))
        }
        _ => Ok(bounds.of_memory(&strand.whose, current, 0.0)),
    }
}

/// Metrics that say nothing but a share, by their usual names: sar's and Telegraf's, and what people
/// call their own.
pub(super) const SHARES: &[(&str, Resource)] = &[
    ("sar_memory_used_percent", Resource::Anon),
    ("node_memory_used_percent", Resource::Anon),
    ("node_memory_usage_percent", Resource::Anon),
    ("node_memory_MemUsed_percent", Resource::Anon),
    ("mem_used_percent", Resource::Anon),
    ("memory_used_percent", Resource::Anon),
    ("memory_usage_percent", Resource::Anon),
    ("memory_percent", Resource::Anon),
    ("container_memory_usage_percent", Resource::Anon),
    ("container_memory_percent", Resource::Anon),
    ("docker_container_mem_usage_percent", Resource::Anon),
    ("process_memory_percent", Resource::Anon),
    ("sar_swap_used_percent", Resource::Swap),
    ("swap_used_percent", Resource::Swap),
    ("sar_filesystem_used_percent", Resource::Disk),
    ("disk_used_percent", Resource::Disk),
];

/// Who a share is of: an owner if its labels name one, a file system, else the machine.
fn sharer(labels: &Labels) -> Whose {
    let place = ["mountpoint", "path", "device"].map(|label| labels.get(label));
    if let Some(place) = place.into_iter().find(|place| !place.is_empty()) {
        return Whose::plain("filesystem", place, place);
    }
    let mut named = labels.clone();
    // Telegraf's name of a container.
    if named.get("name").is_empty() {
        named.set("name", labels.get("container_name"));
    }
    Whose::of(&named).filter(|whose| whose.kind != "job").unwrap_or_else(Whose::machine)
}

/// Judges what is only told in per cent.
pub(super) fn shares(
    history: History<'_>,
    bench: &Bench<'_>,
    bounds: &Bounds,
) -> Result<Vec<Draft>, SourceError> {
    const WHOLE: f64 = 100.0;
    let mut drafts = Vec::new();
    let metrics: Vec<&str> = SHARES.iter().map(|(metric, _)| *metric).collect();
    history.each(&metrics, &mut |series| {
        let name = series.labels.get(NAME);
        let Some((_, resource)) = SHARES.iter().find(|(metric, _)| *metric == name) else { return };
        let whose = Whose { host: bounds.hosts.name(&series.labels), ..sharer(&series.labels) };
        let last = series.points.get(series.points.len().saturating_sub(1)..);
        let last = last.unwrap_or_default();
        let evidence = cited(bench.source, &series.labels, last, Unit::Percent);
        let bound = Bound { ceiling: Ceiling::Whole, limit: WHOLE, level: WHOLE, evidence };
        let subject = Subject {
            resource: *resource,
            unit: Unit::Percent,
            caveat: Some(Caveat::Share),
            bound: Some(bound),
        };
        let Series { labels, points } = series;
        let strand = Strand { whose, labels, points, begins: Vec::new() };
        drafts.extend(bench.judge(strand, subject, &[]));
    })?;
    Ok(drafts)
}
