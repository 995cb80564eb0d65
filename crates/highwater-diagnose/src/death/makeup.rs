//! What memory was made of, where it ran out.

use std::time::Duration;

use highwater_core::evidence::Evidence;
use highwater_core::frame::CgroupVersion;
use highwater_core::series::{Matcher, NAME, Selection, SeriesSource};
use highwater_core::time::WallTime;
use highwater_core::units::{Bytes, PageSize};
use highwater_oom::report::{Kill, Machine, Memcg};
use serde::Serialize;

use super::cite::{self, Cite};
use crate::words;

/// The parts of some memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Makeup {
    /// Whose memory: `cgroup /docker/…`, `the machine`, `node (pid 7)`.
    pub of: String,
    /// All of it.
    pub total: Bytes,
    /// Its parts, without those of size zero.
    pub parts: Vec<Part>,
    /// What had gone to swap, and is no part of the total.
    pub swap: Option<Part>,
}

/// One part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Which.
    pub kind: Kind,
    /// How much.
    pub amount: Bytes,
    /// Where it stands.
    pub evidence: Evidence,
}

/// What memory can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Programs' own memory: heap, stacks.
    Anon,
    /// Cached file contents, which are given back before anybody is killed.
    PageCache,
    /// Cached file contents and shared memory, where the kernel does not tell them apart.
    CacheAndShmem,
    /// Shared memory and tmpfs: cannot be given back without swap.
    Shmem,
    /// Slab that can be reclaimed.
    SlabReclaimable,
    /// Slab that cannot be reclaimed.
    SlabUnreclaimable,
    /// Page tables.
    PageTables,
    /// Kernel stacks of threads.
    KernelStacks,
    /// Socket buffers.
    Sockets,
    /// Per-processor memory.
    PerCpu,
    /// The kernel's memory, not told apart further.
    Kernel,
    /// Nobody's: kept back by the watermarks, or not usable for the request.
    Free,
    /// In swap.
    Swap,
    /// What no counter names.
    Unaccounted,
}

impl Kind {
    /// In words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Anon => "anonymous",
            Self::PageCache => "page cache",
            Self::CacheAndShmem => "cache and shared",
            Self::Shmem => "shared, tmpfs",
            Self::SlabReclaimable => "slab, reclaimable",
            Self::SlabUnreclaimable => "slab, unreclaimable",
            Self::PageTables => "page tables",
            Self::KernelStacks => "kernel stacks",
            Self::Sockets => "socket buffers",
            Self::PerCpu => "per-cpu",
            Self::Kernel => "kernel",
            Self::Free => "free",
            Self::Swap => "swap",
            Self::Unaccounted => "unaccounted",
        }
    }
}

impl Makeup {
    /// The amount of one part; zero if it is not among them.
    pub fn amount(&self, kind: Kind) -> Bytes {
        self.parts.iter().filter(|part| part.kind == kind).map(|part| part.amount).sum()
    }

    /// The part itself.
    pub fn part(&self, kind: Kind) -> Option<&Part> {
        self.parts.iter().find(|part| part.kind == kind)
    }

    /// Sorts out nothing-sized parts and adds what the total has beyond them.
    fn finished(of: String, total: Option<Bytes>, mut parts: Vec<Part>, rest: &Evidence) -> Self {
        parts.retain(|part| part.amount > Bytes::ZERO);
        let named: Bytes = parts.iter().map(|part| part.amount).sum();
        let total = total.unwrap_or(named);
        let beyond = total.saturating_sub(named);
        if beyond > Bytes::ZERO {
            let evidence = rest.clone();
            parts.push(Part { kind: Kind::Unaccounted, amount: beyond, evidence });
        }
        Self { of, total, parts, swap: None }
    }
}

/// Of the cgroup whose limit was reached, as the report's statistics have it.
pub(super) fn of_memcg(cite: &Cite<'_>, owner: Option<&str>) -> Option<Makeup> {
    let memcg = &cite.report.memcg;
    let first = memcg.stats.first()?;
    let evidence = cite.line(first.line);
    let part = |kind, amount| Part { kind, amount, evidence: evidence.clone() };
    let parts = if stat(memcg, "anon").is_some() { v2_parts(memcg) } else { v1_parts(memcg) };
    let parts: Vec<_> = parts.into_iter().map(|(kind, amount)| part(kind, amount)).collect();
    if parts.is_empty() {
        return None;
    }
    let of = owner.or(first.path.as_deref());
    let of = of.map_or("the cgroup".to_owned(), |path| format!("cgroup {}", words::place(path)));
    let usage = memcg.memory.and_then(|counter| Some((counter.value.usage?, counter.line)));
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

/// v1 prints its numbers once for each cgroup below, without theirs; v2 prints one sum. So the
/// sum over what is printed is right for both.
fn stat(memcg: &Memcg, name: &str) -> Option<Bytes> {
    let mut found = memcg.stats.iter().filter_map(|stats| stats.get(name)).peekable();
    found.peek()?;
    Some(found.sum())
}

fn v2_parts(memcg: &Memcg) -> Vec<(Kind, Bytes)> {
    let get = |name| stat(memcg, name);
    let or_zero = |name| get(name).unwrap_or_default();
    let kernel_parts = [
        (Kind::SlabUnreclaimable, or_zero("slab_unreclaimable")),
        (Kind::SlabReclaimable, or_zero("slab_reclaimable")),
        (Kind::PageTables, or_zero("pagetables").saturating_add(or_zero("sec_pagetables"))),
        (Kind::KernelStacks, or_zero("kernel_stack")),
        (Kind::PerCpu, or_zero("percpu")),
    ];
    let named: Bytes = kernel_parts.iter().map(|(_, amount)| *amount).sum();
    let mut parts = vec![(Kind::Anon, or_zero("anon"))];
    parts.extend(cache(get("file"), get("shmem")));
    parts.extend(kernel_parts);
    parts.push((Kind::Sockets, or_zero("sock")));
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

/// The kernel counts shared memory as file cache; here they part.
fn cache(file: Option<Bytes>, shmem: Option<Bytes>) -> Vec<(Kind, Bytes)> {
    match (file, shmem) {
        (Some(file), Some(shmem)) => {
            vec![(Kind::Shmem, shmem), (Kind::PageCache, file.saturating_sub(shmem))]
        }
        (Some(file), None) => vec![(Kind::CacheAndShmem, file)],
        (None, Some(shmem)) => vec![(Kind::Shmem, shmem)],
        (None, None) => vec![],
    }
}

/// Of the whole machine, from the counts below `Mem-Info:`.
pub(super) fn of_machine(cite: &Cite<'_>, page: Option<PageSize>) -> Option<Makeup> {
    let machine = &cite.report.machine;
    let (page, line) = (page?, machine.line?);
    let evidence = cite.line(line);
    let amounts = machine_parts(machine, page);
    if amounts.iter().all(|(_, amount)| *amount == Bytes::ZERO) {
        return None;
    }
    let of_amount = |(kind, amount)| Part { kind, amount, evidence: evidence.clone() };
    let parts: Vec<_> = amounts.into_iter().map(of_amount).collect();
    let ram = machine.ram.map(|ram| (ram.value.bytes(page), ram.line));
    let reserved = machine.reserved.map_or(Bytes::ZERO, |count| count.value.bytes(page));
    let total = ram.map(|(ram, _)| ram.saturating_sub(reserved));
    let rest = ram.map_or(evidence.clone(), |(_, line)| cite.line(line));
    let mut makeup = Makeup::finished("the machine".to_owned(), total, parts, &rest);
    makeup.swap = swap_of(machine).map(|(amount, line)| Part {
        kind: Kind::Swap,
        amount,
        evidence: cite.line(line),
    });
    Some(makeup)
}

fn machine_parts(machine: &Machine, page: PageSize) -> Vec<(Kind, Bytes)> {
    let get = |name| machine.pages(name).map_or(Bytes::ZERO, |count| count.bytes(page));
    // Shared memory lives on the lists of anonymous memory (mm/shmem.c), so it is counted there.
    let lists = get("active_anon").saturating_add(get("inactive_anon"));
    vec![
        (Kind::Anon, lists.saturating_sub(get("shmem"))),
        (Kind::Shmem, get("shmem")),
        (Kind::PageCache, get("active_file").saturating_add(get("inactive_file"))),
        (Kind::SlabUnreclaimable, get("slab_unreclaimable")),
        (Kind::SlabReclaimable, get("slab_reclaimable")),
        (Kind::PageTables, get("pagetables").saturating_add(get("sec_pagetables"))),
        (Kind::Free, get("free")),
    ]
}

fn swap_of(machine: &Machine) -> Option<(Bytes, u64)> {
    let (total, free) = (machine.swap_total?, machine.swap_free?);
    let used = total.value.saturating_sub(free.value);
    (used > Bytes::ZERO).then_some((used, free.line))
}

/// Of the victim alone: better than nothing when the report says nothing of the whole.
pub(super) fn of_victim(cite: &Cite<'_>, kill: &Kill) -> Option<Makeup> {
    // One undivided number has no parts.
    kill.anon_rss?;
    let evidence = cite.line(kill.line);
    let part = |kind, amount: Option<Bytes>| {
        Some(Part { kind, amount: amount?, evidence: evidence.clone() })
    };
    let parts: Vec<_> = [
        part(Kind::Anon, kill.anon_rss),
        part(Kind::PageCache, kill.file_rss),
        part(Kind::Shmem, kill.shmem_rss),
        part(Kind::PageTables, kill.pgtables),
    ]
    .into_iter()
    .flatten()
    .collect();
    if parts.is_empty() {
        return None;
    }
    let of = words::process(kill.comm.as_deref(), kill.pid);
    Some(Makeup::finished(of, None, parts, &evidence))
}

/// How long before a death a sample still tells what the death found: a few ticks of the default
/// cadence.
const FRESH: Duration = Duration::from_secs(20);

/// Of a cgroup as it was last sampled before the death: for a kill that came without a report.
pub(super) fn recorded(history: &dyn SeriesSource, path: &str, death: WallTime) -> Option<Makeup> {
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
pub(super) fn version(
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
pub(super) fn last_sample(
    history: &dyn SeriesSource,
    metric: &str,
    path: &str,
    death: WallTime,
) -> Option<(Bytes, Evidence)> {
    let matchers = vec![Matcher::is(NAME, metric), Matcher::is("id", path)];
    let only = |series: &highwater_core::series::Series| series.labels.get("pid").is_empty();
    let selection = Selection { matchers, from: death.before(FRESH), to: death, step: None };
    let found = history.select(&selection).ok()?;
    let series = found.into_iter().find(only)?;
    let last = series.points.last()?;
    let evidence = cite::series(history.name(), &series.labels, std::slice::from_ref(last));
    Some((Bytes::from_f64(last.value), evidence))
}
