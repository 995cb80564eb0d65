//! One reading of the machine. What is not known is `None`, never zero.
//!
//! A frame is refilled in place tick after tick: its vectors keep their room, names are inline or
//! shared, so that a steady tick allocates nothing.

use crate::id::{CgroupPath, Comm, Pid, ProcKey};
use crate::limit::Limit;
use crate::sum::OwnerSample;
use crate::time::Stamp;
use crate::units::Bytes;

/// What one tick of the sampler saw.
#[derive(Clone, Debug, Default)]
pub struct Frame {
    /// When the reading began.
    pub stamp: Stamp,
    /// Why this frame was taken.
    pub scope: Scope,
    /// The machine as a whole; `None` in a close-up that left it out.
    pub machine: Option<MachineSample>,
    /// Memory zones, for their watermarks.
    pub zones: Vec<ZoneSample>,
    /// Memory cgroups.
    pub cgroups: Vec<CgroupSample>,
    /// Processes.
    pub processes: Vec<ProcSample>,
    /// What the processes of each owner have together.
    pub owners: Vec<OwnerSample>,
}

/// How much of the machine a frame holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// Everything.
    #[default]
    Whole,
    /// Only what is near a limit or under pressure, at the fast cadence.
    CloseUp,
}

/// Declares a struct of optional readings with the kernel's key and the metric's name of each.
macro_rules! readings {
    ($(#[$doc:meta])* $name:ident: $value:ty { $($field:ident $key:literal => $metric:literal $help:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name { $(#[doc = $help] pub $field: Option<$value>,)* }

        impl $name {
            /// Each key: as the kernel writes it, the metric's name, what it means, and how to read it.
            pub const KEYS: &'static [Reading<Self, $value>] = &[
                $(Reading { key: $key, metric: $metric, help: $help, get: |all| all.$field },)*
            ];

            /// Takes the reading of the kernel's `key`; an unknown key changes nothing and is `false`.
            pub fn set(&mut self, key: &[u8], value: $value) -> bool {
                match std::str::from_utf8(key) {
                    $(Ok($key) => self.$field = Some(value),)*
                    _ => return false,
                }
                true
            }
        }
    };
}

/// One key of a kernel file: its name there, its metric, its meaning.
#[derive(Debug)]
pub struct Reading<S, V> {
    /// As the kernel writes it.
    pub key: &'static str,
    /// As `node_exporter` names it.
    pub metric: &'static str,
    /// One line of help.
    pub help: &'static str,
    /// Reads it.
    pub get: fn(&S) -> Option<V>,
}

readings! {
    /// `/proc/meminfo`; what is written in kB, in bytes.
    MemInfo: Bytes {
        mem_total "MemTotal" => "node_memory_MemTotal_bytes" "Memory that the kernel manages.",
        mem_free "MemFree" => "node_memory_MemFree_bytes" "Memory that nobody uses.",
        mem_available "MemAvailable" => "node_memory_MemAvailable_bytes" "The kernel's estimate of what new programs can have without swapping.",
        buffers "Buffers" => "node_memory_Buffers_bytes" "Page cache of block devices.",
        cached "Cached" => "node_memory_Cached_bytes" "Page cache of files, tmpfs and shared memory included.",
        swap_cached "SwapCached" => "node_memory_SwapCached_bytes" "Memory that is also still in swap.",
        active "Active" => "node_memory_Active_bytes" "Memory used recently.",
        inactive "Inactive" => "node_memory_Inactive_bytes" "Memory not used recently.",
        active_anon "Active(anon)" => "node_memory_Active_anon_bytes" "Anonymous and tmpfs memory used recently.",
        inactive_anon "Inactive(anon)" => "node_memory_Inactive_anon_bytes" "Anonymous and tmpfs memory not used recently.",
        active_file "Active(file)" => "node_memory_Active_file_bytes" "Page cache used recently.",
        inactive_file "Inactive(file)" => "node_memory_Inactive_file_bytes" "Page cache not used recently: given back first.",
        unevictable "Unevictable" => "node_memory_Unevictable_bytes" "Memory that cannot be reclaimed.",
        mlocked "Mlocked" => "node_memory_Mlocked_bytes" "Memory locked with mlock.",
        swap_total "SwapTotal" => "node_memory_SwapTotal_bytes" "Swap space.",
        swap_free "SwapFree" => "node_memory_SwapFree_bytes" "Swap space not used.",
        zswap "Zswap" => "node_memory_Zswap_bytes" "Memory that compressed swap takes.",
        zswapped "Zswapped" => "node_memory_Zswapped_bytes" "Memory held in compressed swap.",
        dirty "Dirty" => "node_memory_Dirty_bytes" "Page cache that waits to be written.",
        writeback "Writeback" => "node_memory_Writeback_bytes" "Page cache being written.",
        anon_pages "AnonPages" => "node_memory_AnonPages_bytes" "Anonymous memory mapped by processes.",
        mapped "Mapped" => "node_memory_Mapped_bytes" "Files mapped by processes.",
        shmem "Shmem" => "node_memory_Shmem_bytes" "Shared memory and tmpfs.",
        k_reclaimable "KReclaimable" => "node_memory_KReclaimable_bytes" "Kernel memory that can be reclaimed.",
        slab "Slab" => "node_memory_Slab_bytes" "The kernel's own objects.",
        slab_reclaimable "SReclaimable" => "node_memory_SReclaimable_bytes" "Slab that can be reclaimed, such as directory entries.",
        slab_unreclaimable "SUnreclaim" => "node_memory_SUnreclaim_bytes" "Slab that cannot be reclaimed.",
        kernel_stack "KernelStack" => "node_memory_KernelStack_bytes" "Kernel stacks of threads.",
        page_tables "PageTables" => "node_memory_PageTables_bytes" "Page tables of processes.",
        sec_page_tables "SecPageTables" => "node_memory_SecPageTables_bytes" "Page tables of virtual machines and devices.",
        bounce "Bounce" => "node_memory_Bounce_bytes" "Bounce buffers.",
        commit_limit "CommitLimit" => "node_memory_CommitLimit_bytes" "What may be promised under strict overcommit.",
        committed_as "Committed_AS" => "node_memory_Committed_AS_bytes" "What has been promised to programs.",
        vmalloc_used "VmallocUsed" => "node_memory_VmallocUsed_bytes" "Memory of vmalloc.",
        percpu "Percpu" => "node_memory_Percpu_bytes" "Per-processor memory of the kernel.",
        hardware_corrupted "HardwareCorrupted" => "node_memory_HardwareCorrupted_bytes" "Memory taken out of use after hardware errors.",
        anon_huge_pages "AnonHugePages" => "node_memory_AnonHugePages_bytes" "Anonymous memory in transparent huge pages.",
        shmem_huge_pages "ShmemHugePages" => "node_memory_ShmemHugePages_bytes" "Shared memory in transparent huge pages.",
        file_huge_pages "FileHugePages" => "node_memory_FileHugePages_bytes" "Page cache in transparent huge pages.",
        cma_total "CmaTotal" => "node_memory_CmaTotal_bytes" "Memory set aside for contiguous allocation.",
        cma_free "CmaFree" => "node_memory_CmaFree_bytes" "Contiguous-allocation memory not used.",
        hugepage_size "Hugepagesize" => "node_memory_Hugepagesize_bytes" "Size of a huge page.",
        hugetlb "Hugetlb" => "node_memory_Hugetlb_bytes" "Memory in huge page pools of all sizes.",
    }
}

readings! {
    /// The counters of `/proc/vmstat` that tell of memory trouble.
    VmStat: u64 {
        oom_kill "oom_kill" => "node_vmstat_oom_kill" "Processes killed for memory since boot.",
        pgfault "pgfault" => "node_vmstat_pgfault" "Page faults.",
        pgmajfault "pgmajfault" => "node_vmstat_pgmajfault" "Page faults that had to read a disk.",
        pgpgin "pgpgin" => "node_vmstat_pgpgin" "Kilobytes read from disks.",
        pgpgout "pgpgout" => "node_vmstat_pgpgout" "Kilobytes written to disks.",
        pswpin "pswpin" => "node_vmstat_pswpin" "Pages read from swap.",
        pswpout "pswpout" => "node_vmstat_pswpout" "Pages written to swap.",
        pgscan_kswapd "pgscan_kswapd" => "node_vmstat_pgscan_kswapd" "Pages that background reclaim looked at.",
        pgscan_direct "pgscan_direct" => "node_vmstat_pgscan_direct" "Pages that programs themselves had to look at for reclaim.",
        pgsteal_kswapd "pgsteal_kswapd" => "node_vmstat_pgsteal_kswapd" "Pages that background reclaim freed.",
        pgsteal_direct "pgsteal_direct" => "node_vmstat_pgsteal_direct" "Pages that direct reclaim freed.",
        allocstall_dma32 "allocstall_dma32" => "node_vmstat_allocstall_dma32" "Direct reclaims for zone DMA32.",
        allocstall_normal "allocstall_normal" => "node_vmstat_allocstall_normal" "Direct reclaims for zone Normal.",
        allocstall_movable "allocstall_movable" => "node_vmstat_allocstall_movable" "Direct reclaims for zone Movable.",
        compact_stall "compact_stall" => "node_vmstat_compact_stall" "Programs that had to wait for compaction.",
        compact_fail "compact_fail" => "node_vmstat_compact_fail" "Compactions that failed.",
        workingset_refault_anon "workingset_refault_anon" => "node_vmstat_workingset_refault_anon" "Anonymous pages faulted back in soon after reclaim.",
        workingset_refault_file "workingset_refault_file" => "node_vmstat_workingset_refault_file" "File pages read again soon after reclaim.",
    }
}

/// Pressure of one resource: how long tasks were stalled, in all, in microseconds.
///
/// `some`: at least one task waited; `full`: all of them did. The averages are the kernel's own.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pressure {
    /// At least one task was stalled.
    pub some: Option<Stall>,
    /// All non-idle tasks were stalled at once.
    pub full: Option<Stall>,
}

/// One line of a pressure file.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stall {
    /// Per cent of the last 10 s.
    pub avg10: f64,
    /// Per cent of the last 60 s.
    pub avg60: f64,
    /// Per cent of the last 300 s.
    pub avg300: f64,
    /// Total stall time in microseconds.
    pub total_us: u64,
}

/// The machine as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MachineSample {
    /// `/proc/meminfo`.
    pub mem: MemInfo,
    /// `/proc/vmstat`.
    pub vm: VmStat,
    /// `/proc/pressure/memory`.
    pub memory_pressure: Option<Pressure>,
    /// `/proc/pressure/cpu`.
    pub cpu_pressure: Option<Pressure>,
    /// `/proc/pressure/io`.
    pub io_pressure: Option<Pressure>,
    /// How many processes there were.
    pub processes: u64,
    /// How many of them had died and were not reaped.
    pub zombies: u64,
    /// How many threads they had together.
    pub threads: u64,
}

/// One memory zone of one node, for its watermarks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ZoneSample {
    /// The NUMA node.
    pub node: u16,
    /// `DMA`, `DMA32`, `Normal`, `Movable`, ….
    pub zone: Comm,
    /// Free memory.
    pub free: Bytes,
    /// Below this only the kernel's own emergencies are served.
    pub min: Bytes,
    /// Below this background reclaim starts.
    pub low: Bytes,
    /// Above this background reclaim stops.
    pub high: Bytes,
    /// Memory that the zone hands out.
    pub managed: Bytes,
}

/// Which kind of cgroup a sample was read from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CgroupVersion {
    /// The memory controller of cgroup v1.
    V1,
    /// cgroup v2.
    #[default]
    V2,
}

/// One memory cgroup. Sizes cover the cgroup and everything below it.
#[derive(Clone, Debug, PartialEq)]
pub struct CgroupSample {
    /// Its path in the memory hierarchy.
    pub path: CgroupPath,
    /// Which kind.
    pub version: CgroupVersion,
    /// Its numbers.
    pub memory: CgroupMemory,
}

/// The numbers of one memory cgroup; `None` where the kernel or the version has no such number.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CgroupMemory {
    /// `memory.current`, `memory.usage_in_bytes`.
    pub usage: Option<Bytes>,
    /// `memory.peak`, `memory.max_usage_in_bytes`.
    pub peak: Option<Bytes>,
    /// `memory.max`, `memory.limit_in_bytes`: going over it kills.
    pub limit: Option<Limit>,
    /// `memory.high`: going over it slows down. v2 only.
    pub high: Option<Limit>,
    /// `memory.low`: protected while there is anything else to reclaim. v2 only.
    pub low: Option<Limit>,
    /// `memory.min`: never reclaimed. v2 only.
    pub min: Option<Limit>,
    /// Swap alone: `memory.swap.current`, or `swap` of v1's `memory.stat`.
    pub swap: Option<Bytes>,
    /// `memory.swap.max`. v2 only.
    pub swap_limit: Option<Limit>,
    /// Memory and swap together: `memory.memsw.usage_in_bytes`. v1 only.
    pub memsw_usage: Option<Bytes>,
    /// `memory.memsw.limit_in_bytes`. v1 only.
    pub memsw_limit: Option<Limit>,
    /// Anonymous memory.
    pub anon: Option<Bytes>,
    /// Page cache, tmpfs and shared memory included.
    pub file: Option<Bytes>,
    /// Shared memory and tmpfs.
    pub shmem: Option<Bytes>,
    /// Files mapped by processes.
    pub mapped_file: Option<Bytes>,
    /// Page cache not used recently; usage without it is the working set.
    pub inactive_file: Option<Bytes>,
    /// Page cache used recently.
    pub active_file: Option<Bytes>,
    /// Memory that cannot be reclaimed.
    pub unevictable: Option<Bytes>,
    /// The kernel's memory for this cgroup: `kernel` of v2, `memory.kmem.usage_in_bytes` of v1.
    pub kernel: Option<Bytes>,
    /// Slab that can be reclaimed.
    pub slab_reclaimable: Option<Bytes>,
    /// Slab that cannot be reclaimed.
    pub slab_unreclaimable: Option<Bytes>,
    /// Page tables.
    pub page_tables: Option<Bytes>,
    /// Kernel stacks.
    pub kernel_stack: Option<Bytes>,
    /// Socket buffers.
    pub sock: Option<Bytes>,
    /// Page faults that had to read a disk.
    pub pgmajfault: Option<u64>,
    /// How often the limit was hit: `memory.failcnt` of v1, `max` of v2's `memory.events`.
    pub limit_hits: Option<u64>,
    /// How often usage went over `memory.high`. v2 only.
    pub high_hits: Option<u64>,
    /// How often memory ran out here (`oom` of `memory.events`). v2 only.
    pub ooms: Option<u64>,
    /// How many processes of this cgroup were killed (`oom_kill`).
    pub oom_kills: Option<u64>,
    /// How often the whole cgroup was killed (`oom_group_kill`). v2 only.
    pub oom_group_kills: Option<u64>,
    /// The whole cgroup dies together (`memory.oom.group`). v2 only.
    pub oom_group: Option<bool>,
    /// The OOM killer is off here, so tasks hang instead (`oom_kill_disable`). v1 only.
    pub oom_kill_disabled: Option<bool>,
    /// Tasks hang here right now for want of memory (`under_oom`). v1 only.
    pub under_oom: Option<bool>,
    /// Processes and threads, by the pids controller.
    pub pids: Option<u64>,
    /// How many there may be.
    pub pids_limit: Option<Limit<u64>>,
    /// `memory.pressure`. v2 only, also where v1 has the memory controller and v2 the path.
    pub pressure: Option<Pressure>,
}

impl CgroupMemory {
    /// Usage without the page cache that is given back first: what kubelet and cAdvisor call the
    /// working set.
    pub fn working_set(&self) -> Option<Bytes> {
        Some(self.usage?.saturating_sub(self.inactive_file?))
    }
}

/// One process.
#[derive(Clone, Debug, PartialEq)]
pub struct ProcSample {
    /// Which process.
    pub key: ProcKey,
    /// Its name.
    pub comm: Comm,
    /// Its memory cgroup, as of `slow` cadence; `None` until it was read.
    pub cgroup: Option<CgroupPath>,
    /// Its parent.
    pub parent: Pid,
    /// `R`, `S`, `D`, `Z`, ….
    pub state: u8,
    /// Threads.
    pub threads: u32,
    /// Processor time used, user and system, in microseconds.
    pub cpu_us: u64,
    /// Page faults that had to read a disk.
    pub major_faults: u64,
    /// Address space. Says nothing about memory used.
    pub virtual_size: Bytes,
    /// Memory in RAM: anonymous, file and shared.
    pub resident: Bytes,
    /// The part of it that is file or shared memory.
    pub resident_shared: Bytes,
    /// Its children, the dead among them; `None` where they were not counted.
    pub children: Option<u32>,
    /// Those of them that died and that it did not reap.
    pub zombie_children: Option<u32>,
    /// What costs more to read, at a slower cadence; kept from the last reading.
    pub slow: SlowReadings,
}

impl ProcSample {
    /// Anonymous memory in RAM. Exact: the kernel counts `resident` as anonymous, file and shared
    /// pages, and `shared` as the latter two (`fs/proc/task_mmu.c`).
    pub fn resident_anon(&self) -> Bytes {
        self.resident.saturating_sub(self.resident_shared)
    }
}

/// What is read of a process at the slower cadence; `None` where it was not yet or may not be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SlowReadings {
    /// Whose: the real user id.
    pub uid: Option<u32>,
    /// The most that was ever in RAM (`VmHWM`).
    pub peak_resident: Option<Bytes>,
    /// In swap (`VmSwap`).
    pub swap: Option<Bytes>,
    /// Page tables (`VmPTE`).
    pub page_tables: Option<Bytes>,
    /// Open file descriptors.
    pub open_fds: Option<u64>,
    /// How many it may open.
    pub max_fds: Option<Limit<u64>>,
    /// `/proc/PID/oom_score`.
    pub oom_score: Option<i64>,
    /// `/proc/PID/oom_score_adj`.
    pub oom_score_adj: Option<i64>,
}
