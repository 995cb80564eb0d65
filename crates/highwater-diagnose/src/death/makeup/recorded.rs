//! Of what a cgroup's memory was made when it was last sampled before the death.

use std::time::Duration;

use highwater_core::evidence::Evidence;
use highwater_core::frame::CgroupVersion;
use highwater_core::series::{Matcher, NAME, Selection, Series, SeriesSource};
use highwater_core::time::WallTime;
use highwater_core::units::Bytes;

use super::{Kind, Makeup, Part};
use crate::death::cite;
use crate::words;

/// How long before a death a sample still tells what the death found: a few ticks of the default
/// cadence.
const FRESH: Duration = Duration::from_secs(20);

/// Of a cgroup as it was last sampled before the death: for a kill that came without a report.
pub(in crate::death) fn recorded(
    history: &dyn SeriesSource,
    path: &str,
    death: WallTime,
) -> Option<Makeup> {
    const PARTS: [(&str, Kind); 8] = [
        ("container_memory_rss", Kind::Anon),
        ("container_memory_cache", Kind::PageCache),
        ("highwater_cgroup_shmem_bytes", Kind::Shmem),
        ("highwater_cgroup_slab_unreclaimable_bytes", Kind::SlabUnreclaimable),
        ("highwater_cgroup_slab_reclaimable_bytes", Kind::SlabReclaimable),
        ("highwater_cgroup_page_tables_bytes", Kind::PageTables),
        ("highwater_cgroup_kernel_stack_bytes", Kind::KernelStacks),
        ("highwater_cgroup_sock_bytes", Kind::Sockets),
    ];
    let last = |metric| last_sample(history, metric, path, death);
    let mut parts: Vec<Part> = PARTS
        .iter()
        .filter_map(|(metric, kind)| {
            let (amount, evidence) = last(metric)?;
            Some(Part { kind: *kind, amount, evidence })
        })
        .collect();
    let shmem: Bytes = amounts(&parts, Kind::Shmem);
    for part in parts.iter_mut().filter(|part| part.kind == Kind::PageCache) {
        part.amount = part.amount.saturating_sub(shmem);
    }
    let (usage, rest) = last("container_memory_usage_bytes")?;
    let named = amounts(&parts, Kind::SlabUnreclaimable)
        .saturating_add(amounts(&parts, Kind::SlabReclaimable))
        .saturating_add(amounts(&parts, Kind::PageTables))
        .saturating_add(amounts(&parts, Kind::KernelStacks));
    if let Some((kernel, evidence)) = last("container_memory_kernel_usage") {
        parts.push(Part { kind: Kind::Kernel, amount: kernel.saturating_sub(named), evidence });
    }
    let of = format!("cgroup {}", words::place(path));
    Some(Makeup::finished(of, Some(usage), parts, &rest))
}

fn amounts(parts: &[Part], kind: Kind) -> Bytes {
    parts.iter().filter(|part| part.kind == kind).map(|part| part.amount).sum()
}

/// Which kind of cgroup was recorded: each has a limit that the other does not.
pub(in crate::death) fn version(
    history: &dyn SeriesSource,
    path: &str,
    death: WallTime,
) -> Option<CgroupVersion> {
    const TELLING: [(&str, CgroupVersion); 2] = [
        ("container_spec_memory_swap_limit_bytes", CgroupVersion::V1),
        ("highwater_cgroup_memory_high_bytes", CgroupVersion::V2),
    ];
    let is_there = |metric| last_sample(history, metric, path, death).is_some();
    TELLING.into_iter().find(|(metric, _)| is_there(metric)).map(|(_, version)| version)
}

/// The last sample of a cgroup's metric shortly before `death`.
pub(in crate::death) fn last_sample(
    history: &dyn SeriesSource,
    metric: &str,
    path: &str,
    death: WallTime,
) -> Option<(Bytes, Evidence)> {
    let matchers = vec![Matcher::is(NAME, metric), Matcher::is("id", path)];
    let only = |series: &Series| series.labels.get("pid").is_empty();
    let selection =
        Selection { matchers, from: death.before(FRESH), to: death, step: None, ends: false };
    let found = history.select(&selection).ok()?;
    let series = found.into_iter().find(only)?;
    let last = series.points.last()?;
    let evidence = cite::series(history.name(), &series.labels, std::slice::from_ref(last));
    Some((Bytes::from_f64(last.value), evidence))
}
