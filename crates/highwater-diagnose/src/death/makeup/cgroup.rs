//! The account of a memory cgroup, from the statistics that a report prints of it.
//!
//! v2 prints one sum over everything below (`anon`, `file`, `kernel`, …). v1 prints its own
//! numbers: in one line for each cgroup below (3.9 to 5.2), or one a line with the sums over all
//! below as `total_…` behind them.

use highwater_core::limit::Limit;
use highwater_core::units::Bytes;
use highwater_oom::report::Memcg;

use super::{Kind, Makeup, Part};
use crate::death::cite::Cite;
use crate::words;

/// Of the cgroup whose limit was reached, as the report's statistics have it.
pub(in crate::death) fn of_memcg(cite: &Cite<'_>, owner: Option<&str>) -> Option<Makeup> {
    let memcg = &cite.report.memcg;
    let first = memcg.stats.first()?;
    let evidence = cite.line(first.line);
    let part = |kind, amount| Part { kind, amount, evidence: evidence.clone() };
    let usage = memcg.memory.and_then(|counter| Some((counter.value.usage?, counter.line)));
    let mut amounts = if is_v2(memcg) { v2_parts(memcg) } else { v1_parts(memcg) };
    let named: Bytes = amounts.iter().map(|(_, amount)| *amount).sum();
    // Without what it used in all, a few counters beside a limit of gigabytes are no account of it.
    if usage.is_none() && memcg.memory.is_some_and(|told| is_far_below(named, told.value.limit)) {
        return None;
    }
    let beyond = usage.map(|(usage, _)| usage.saturating_sub(named)).unwrap_or_default();
    amounts.push((Kind::SwapCache, swap_cache(memcg).min(beyond)));
    let parts: Vec<_> = amounts.into_iter().map(|(kind, amount)| part(kind, amount)).collect();
    if parts.iter().all(|part| part.amount == Bytes::ZERO) {
        return None;
    }
    let of = owner.or(first.path.as_deref());
    let of = of.map_or("the cgroup".to_owned(), |path| format!("cgroup {}", words::place(path)));
    let rest = usage.map_or(evidence.clone(), |(_, line)| cite.line(line));
    let mut makeup = Makeup::finished(of, usage.map(|(amount, _)| amount), parts, &rest);
    let swapped = memcg.swap.and_then(|counter| Some((counter.value.usage?, counter.line)));
    makeup.swap = match swapped {
        Some((amount, line)) => Some(Part { kind: Kind::Swap, amount, evidence: cite.line(line) }),
        None => stat(memcg, "swap").map(|amount| part(Kind::Swap, amount)),
    };
    makeup.swap = makeup.swap.filter(|swap| swap.amount > Bytes::ZERO);
    Some(makeup)
}

/// Less than half of the limit, at which a cgroup that ran out was.
fn is_far_below(named: Bytes, limit: Option<Limit>) -> bool {
    limit.and_then(Limit::at).is_some_and(|limit| named.saturating_add(named) < limit)
}

/// What is in the swap cache and mapped by nobody is charged, but is not `anon` (`rss` of v1),
/// which counts what is mapped (`NR_ANON_MAPPED`). How much of the cache is mapped nothing says, so
/// that this is the most it can be.
fn swap_cache(memcg: &Memcg) -> Bytes {
    stat(memcg, "swapcached").unwrap_or_default()
}

fn is_v2(memcg: &Memcg) -> bool {
    memcg.stats.iter().any(|stats| stats.get("anon").is_some())
}

/// One number of the cgroup and all below it: the sum that is printed as such, else the sum over
/// what is printed of each cgroup.
fn stat(memcg: &Memcg, name: &str) -> Option<Bytes> {
    let total = memcg.stats.first().and_then(|stats| stats.get(&format!("total_{name}")));
    if total.is_some() {
        return total;
    }
    let mut found = memcg.stats.iter().filter_map(|stats| stats.get(name)).peekable();
    found.peek()?;
    Some(found.sum())
}

/// `kernel` (≥ 5.18) holds all of the kernel's parts but the socket buffers
/// (Documentation/admin-guide/cgroup-v2.rst), so that what they leave of it is the rest of it.
fn v2_parts(memcg: &Memcg) -> Vec<(Kind, Bytes)> {
    let get = |name| stat(memcg, name);
    let or_zero = |name| get(name).unwrap_or_default();
    let mut kernel = vec![
        (Kind::PageTables, or_zero("pagetables").saturating_add(or_zero("sec_pagetables"))),
        (Kind::KernelStacks, or_zero("kernel_stack")),
        (Kind::PerCpu, or_zero("percpu")),
        (Kind::Vmalloc, or_zero("vmalloc")),
        (Kind::Compressed, or_zero("zswap")),
    ];
    kernel.extend(slab(get("slab_reclaimable"), get("slab_unreclaimable"), get("slab")));
    let named: Bytes = kernel.iter().map(|(_, amount)| *amount).sum();
    let mut parts = vec![(Kind::Anon, or_zero("anon"))];
    parts.extend(cache(get("file"), get("shmem")));
    parts.extend(kernel);
    parts.push((Kind::Sockets, or_zero("sock")));
    parts.push((Kind::HugePages, or_zero("hugetlb")));
    parts.push((Kind::Kernel, or_zero("kernel").saturating_sub(named)));
    parts
}

fn v1_parts(memcg: &Memcg) -> Vec<(Kind, Bytes)> {
    let mut parts: Vec<_> = stat(memcg, "rss").map(|rss| (Kind::Anon, rss)).into_iter().collect();
    parts.extend(cache(stat(memcg, "cache"), stat(memcg, "shmem")));
    let kernel = memcg.kmem.and_then(|counter| counter.value.usage);
    parts.extend(kernel.map(|amount| (Kind::Kernel, amount)));
    parts
}

/// The two kinds where both are told, else their sum.
pub(super) fn slab(
    reclaimable: Option<Bytes>,
    unreclaimable: Option<Bytes>,
    all: Option<Bytes>,
) -> Vec<(Kind, Bytes)> {
    let parts = [(Kind::SlabUnreclaimable, unreclaimable), (Kind::SlabReclaimable, reclaimable)];
    let known: Vec<_> =
        parts.into_iter().filter_map(|(kind, amount)| Some((kind, amount?))).collect();
    match all {
        Some(all) if known.is_empty() => vec![(Kind::Slab, all)],
        _ => known,
    }
}

/// The kernel counts shared memory as file cache; here they part.
fn cache(file: Option<Bytes>, shmem: Option<Bytes>) -> Vec<(Kind, Bytes)> {
    match (file, shmem) {
        (Some(file), Some(shmem)) => {
            vec![(Kind::Shmem, shmem.min(file)), (Kind::PageCache, file.saturating_sub(shmem))]
        }
        (Some(file), None) => vec![(Kind::CacheAndShmem, file)],
        (None, Some(shmem)) => vec![(Kind::Shmem, shmem)],
        (None, None) => vec![],
    }
}
