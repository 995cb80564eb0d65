//! What memory was made of, where it ran out: an account whose parts and rest add up to the whole.
//!
//! ```text
//! report ─ counters (none twice) ─ parts + unaccounted rest = total, swap besides
//! ```

mod cgroup;
mod machine;
mod recorded;

use highwater_core::evidence::Evidence;
use highwater_core::units::Bytes;
use highwater_oom::report::Kill;
use serde::Serialize;

use super::cite::Cite;
use crate::words;

pub(super) use cgroup::of_memcg;
pub(super) use machine::{of_machine, page_size};
pub(super) use recorded::{last_sample, recorded, version};

/// The parts of some memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Makeup {
    /// Whose memory: `cgroup /docker/…`, `the machine`, `node (pid 7)`.
    pub of: String,
    /// All of it: the sum of its parts.
    pub total: Bytes,
    /// Its parts, without those of size zero; what no counter names is one of them.
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
    /// Programs' own memory and cached files, where the kernel does not tell them apart (before
    /// 2.6.28).
    AnonAndCache,
    /// Shared memory and tmpfs: cannot be given back without swap.
    Shmem,
    /// Memory that is locked in RAM: `mlock`, ramfs.
    Unevictable,
    /// Slab that can be reclaimed.
    SlabReclaimable,
    /// Slab that cannot be reclaimed.
    SlabUnreclaimable,
    /// Slab, where the kernel does not tell the two kinds apart.
    Slab,
    /// Memory of the kernel that it can give back: graphics buffers and their like.
    KernelReclaimable,
    /// Page tables, those of virtual machines and devices included.
    PageTables,
    /// Kernel stacks of threads.
    KernelStacks,
    /// Socket buffers.
    Sockets,
    /// Per-processor memory.
    PerCpu,
    /// The kernel's `vmalloc`: modules, large tables, BPF.
    Vmalloc,
    /// The kernel's memory, not told apart further.
    Kernel,
    /// Pools of huge pages that somebody uses.
    HugePages,
    /// Pools of huge pages that nobody uses: kept from everybody else all the same.
    HugePagesFree,
    /// Compressed swap in RAM: zram, zswap.
    Compressed,
    /// Copies for devices that cannot reach all of memory.
    Bounce,
    /// Taken back by the host of a virtual machine.
    Balloon,
    /// Broken memory that the kernel does not use.
    Poisoned,
    /// Kept from the beginning for the kernel's own code and tables.
    Reserved,
    /// Nobody's: kept back by the watermarks, or not usable for the request.
    Free,
    /// Nobody's, but kept for devices: only movable memory may use it meanwhile.
    FreeCma,
    /// Nobody's, on the lists of single processors.
    FreePerCpu,
    /// In swap.
    Swap,
    /// Programs' own memory that came back from swap, or is on its way there, and is in no program's
    /// count at the moment.
    SwapCache,
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
            Self::AnonAndCache => "anonymous and cache",
            Self::Shmem => "shared, tmpfs",
            Self::Unevictable => "locked in RAM",
            Self::SlabReclaimable => "slab, reclaimable",
            Self::SlabUnreclaimable => "slab, unreclaimable",
            Self::Slab => "slab",
            Self::KernelReclaimable => "kernel, reclaimable",
            Self::PageTables => "page tables",
            Self::KernelStacks => "kernel stacks",
            Self::Sockets => "socket buffers",
            Self::PerCpu => "per-cpu",
            Self::Vmalloc => "vmalloc",
            Self::Kernel => "kernel",
            Self::HugePages => "huge pages, in use",
            Self::HugePagesFree => "huge pages, unused",
            Self::Compressed => "compressed swap",
            Self::Bounce => "bounce buffers",
            Self::Balloon => "balloon",
            Self::Poisoned => "broken memory",
            Self::Reserved => "reserved",
            Self::Free => "free",
            Self::FreeCma => "free, CMA",
            Self::FreePerCpu => "free, per-cpu lists",
            Self::Swap => "swap",
            Self::SwapCache => "swap cache",
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

    /// Sorts out nothing-sized parts and adds what the total has beyond them. Counters are read
    /// one after the other while memory moves: where they add up to more than the total, their
    /// sum is the total.
    fn finished(of: String, total: Option<Bytes>, mut parts: Vec<Part>, rest: &Evidence) -> Self {
        parts.retain(|part| part.amount > Bytes::ZERO);
        let named: Bytes = parts.iter().map(|part| part.amount).sum();
        let total = total.unwrap_or(named).max(named);
        let beyond = total.saturating_sub(named);
        if beyond > Bytes::ZERO {
            let evidence = rest.clone();
            parts.push(Part { kind: Kind::Unaccounted, amount: beyond, evidence });
        }
        Self { of, total, parts, swap: None }
    }
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

#[cfg(test)]
mod tests;
