//! What can grow, and what a growth turned out to be.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What grows: a kind of memory, or something that is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resource {
    /// Memory of programs that has no file behind it.
    Anon,
    /// Page cache that can be given back: clean, or written first.
    Cache,
    /// Shared memory and files on tmpfs: looks like cache, goes only to swap.
    Shmem,
    /// Objects of the kernel that it can give back, such as directory entries.
    SlabReclaimable,
    /// Objects of the kernel that it cannot give back.
    SlabUnreclaimable,
    /// Page tables.
    PageTables,
    /// Stacks of threads in the kernel.
    KernelStacks,
    /// Buffers of sockets.
    Sockets,
    /// Open file descriptors.
    Fds,
    /// Threads, or processes and threads together.
    Threads,
    /// Processes, the dead and unreaped among them.
    Children,
    /// Memory in swap.
    Swap,
    /// Huge pages that are set aside.
    Hugetlb,
    /// Memory that no counter of the kernel explains.
    Unaccounted,
    /// Log files.
    Log,
    /// Images of containers on disk.
    Images,
    /// A file system.
    Disk,
}

impl Resource {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::Anon,
        Self::Cache,
        Self::Shmem,
        Self::SlabReclaimable,
        Self::SlabUnreclaimable,
        Self::PageTables,
        Self::KernelStacks,
        Self::Sockets,
        Self::Fds,
        Self::Threads,
        Self::Children,
        Self::Swap,
        Self::Hugetlb,
        Self::Unaccounted,
        Self::Log,
        Self::Images,
        Self::Disk,
    ];

    /// Its name, as JSON has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Anon => "anon",
            Self::Cache => "cache",
            Self::Shmem => "shmem",
            Self::SlabReclaimable => "slab-reclaimable",
            Self::SlabUnreclaimable => "slab-unreclaimable",
            Self::PageTables => "page-tables",
            Self::KernelStacks => "kernel-stacks",
            Self::Sockets => "sockets",
            Self::Fds => "fds",
            Self::Threads => "threads",
            Self::Children => "children",
            Self::Swap => "swap",
            Self::Hugetlb => "hugetlb",
            Self::Unaccounted => "unaccounted",
            Self::Log => "log",
            Self::Images => "images",
            Self::Disk => "disk",
        }
    }

    /// Whether the kernel takes it back when memory is wanted: its growth kills nobody.
    pub const fn is_reclaimable(self) -> bool {
        matches!(self, Self::Cache | Self::SlabReclaimable)
    }

    /// Whether it is counted rather than measured in bytes.
    pub const fn is_count(self) -> bool {
        matches!(self, Self::Fds | Self::Threads | Self::Children)
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What a course of values turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It grows and gives nothing back, and somebody should act.
    Leak,
    /// It grows, but the evidence is not enough to accuse anybody, or it follows its load.
    Growing,
    /// The kernel's cache grows into what is free, and is given back.
    Cache,
    /// It rose steeply and fell again, or has just begun to rise.
    Burst,
    /// It stepped to another level and stays there.
    LevelShift,
    /// It rises ever more slowly towards a level of its own.
    WarmUp,
    /// It goes up and down with the day or the week.
    Cyclic,
    /// It stays about where it is.
    Steady,
}

impl Verdict {
    /// Its name, as JSON has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Leak => "leak",
            Self::Growing => "growing",
            Self::Cache => "cache",
            Self::Burst => "burst",
            Self::LevelShift => "level-shift",
            Self::WarmUp => "warm-up",
            Self::Cyclic => "cyclic",
            Self::Steady => "steady",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_json() {
        for resource in Resource::ALL {
            let json = serde_json::to_string(&resource).unwrap_or_default();
            assert_eq!(json, format!("\"{resource}\""));
        }
        let json = serde_json::to_string(&Verdict::LevelShift).unwrap_or_default();
        assert_eq!(json, format!("\"{}\"", Verdict::LevelShift));
    }
}
