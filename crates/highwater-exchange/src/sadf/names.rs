//! Which numbers of `sadf -j` are taken, and what they are called.
//!
//! Sections and keys are those of sysstat's `json_stats.c`, since 10.1; sizes are in kB of 1,024
//! bytes, and of file systems in MB of 1,048,576.

use crate::figure::{Figure, KNOWN};

const KB: f64 = 1024.0;
const MB: f64 = 1_048_576.0;

/// The sections that are read; numbers in others are passed over.
pub(crate) const SECTIONS: [&str; 10] = [
    "memory",
    "swap-pages",
    "paging",
    "hugepages",
    "queue",
    "kernel",
    "cpu-load",
    "net-sock",
    "filesystems",
    "psi-mem",
];

const fn memory(key: &'static str, name: &'static str) -> Figure {
    Figure::new(("memory", key), KB, name, KNOWN)
}

const fn share(at: (&'static str, &'static str), name: &'static str, help: &'static str) -> Figure {
    Figure::new(at, 1.0, name, help)
}

const fn paging(key: &'static str, name: &'static str, help: &'static str) -> Figure {
    Figure::new(("paging", key), 1.0, name, help)
}

const fn count(at: (&'static str, &'static str), name: &'static str, help: &'static str) -> Figure {
    Figure::new(at, 1.0, name, help)
}

const fn cpu(key: &'static str, mode: &'static str) -> Figure {
    Figure::mode(("cpu-load", key), "sar_cpu_percent", mode)
}

/// `sar -r`, `-S` and `-R`.
pub(crate) static MEMORY: &[Figure] = &[
    memory("memfree", "node_memory_MemFree_bytes"),
    memory("avail", "node_memory_MemAvailable_bytes"),
    Figure::new(
        ("memory", "memused"),
        KB,
        "sar_memory_used_bytes",
        "Memory in use as sar reckons it: since sysstat 11.7.2 without buffers, cache and slab.",
    ),
    share(("memory", "memused-percent"), "sar_memory_used_percent", "Share of memory in use."),
    memory("buffers", "node_memory_Buffers_bytes"),
    memory("cached", "node_memory_Cached_bytes"),
    memory("commit", "node_memory_Committed_AS_bytes"),
    share(
        ("memory", "commit-percent"),
        "sar_memory_committed_percent",
        "Memory promised to programs, of memory and swap together.",
    ),
    memory("active", "node_memory_Active_bytes"),
    memory("inactive", "node_memory_Inactive_bytes"),
    memory("dirty", "node_memory_Dirty_bytes"),
    memory("anonpg", "node_memory_AnonPages_bytes"),
    memory("slab", "node_memory_Slab_bytes"),
    memory("kstack", "node_memory_KernelStack_bytes"),
    memory("pgtbl", "node_memory_PageTables_bytes"),
    memory("vmused", "node_memory_VmallocUsed_bytes"),
    memory("shmem", "node_memory_Shmem_bytes"),
    memory("swpfree", "node_memory_SwapFree_bytes"),
    memory("swpused", "node_swap_used_bytes"),
    share(("memory", "swpused-percent"), "sar_swap_used_percent", "Share of swap in use."),
    memory("swpcad", "node_memory_SwapCached_bytes"),
];

/// `sar -W`, `-B` and `-H`.
pub(crate) static PAGING: &[Figure] = &[
    count(("swap-pages", "pswpin"), "sar_swap_in_pages_per_second", "Pages read from swap."),
    count(("swap-pages", "pswpout"), "sar_swap_out_pages_per_second", "Pages written to swap."),
    Figure::new(("paging", "pgpgin"), KB, "sar_disk_read_bytes_per_second", "Read from disks."),
    Figure::new(
        ("paging", "pgpgout"),
        KB,
        "sar_disk_written_bytes_per_second",
        "Written to disks.",
    ),
    paging("fault", "sar_page_faults_per_second", "Page faults."),
    paging("majflt", "sar_major_faults_per_second", "Page faults that had to read a disk."),
    paging("pgfree", "sar_pages_freed_per_second", "Pages put on the free list."),
    paging(
        "pgscank",
        "sar_pages_scanned_kswapd_per_second",
        "Pages that background reclaim looked at.",
    ),
    paging(
        "pgscand",
        "sar_pages_scanned_direct_per_second",
        "Pages that programs themselves had to look at for reclaim.",
    ),
    paging("pgsteal", "sar_pages_reclaimed_per_second", "Pages that reclaim freed."),
    share(
        ("paging", "vmeff-percent"),
        "sar_reclaim_efficiency_percent",
        "Pages freed, of those that reclaim looked at.",
    ),
    Figure::new(("hugepages", "hugfree"), KB, "highwater_hugetlb_free_bytes", KNOWN),
    Figure::new(
        ("hugepages", "hugused"),
        KB,
        "sar_hugepages_used_bytes",
        "Huge pages of the usual size in use.",
    ),
    share(
        ("hugepages", "hugused-percent"),
        "sar_hugepages_used_percent",
        "Share of the huge pages in use.",
    ),
    Figure::new(("hugepages", "hugrsvd"), KB, "highwater_hugetlb_reserved_bytes", KNOWN),
    Figure::new(("hugepages", "hugsurp"), KB, "highwater_hugetlb_surplus_bytes", KNOWN),
];

/// `sar -q`, `-v`, `-n SOCK`, `-u` and `-F`.
pub(crate) static LOAD: &[Figure] = &[
    count(
        ("queue", "runq-sz"),
        "node_procs_running",
        "Processes that run or wait for a processor.",
    ),
    count(("queue", "plist-sz"), "node_processes_threads", "Processes and threads there are."),
    count(("queue", "blocked"), "node_procs_blocked", "Processes that wait for a disk."),
    count(("queue", "ldavg-1"), "node_load1", "Load average of one minute."),
    count(("queue", "ldavg-5"), "node_load5", "Load average of five minutes."),
    count(("queue", "ldavg-15"), "node_load15", "Load average of fifteen minutes."),
    count(("kernel", "file-nr"), "node_filefd_allocated", KNOWN),
    count(("kernel", "inode-nr"), "sar_inodes", "Inodes that the kernel holds."),
    count(
        ("kernel", "dentunusd"),
        "sar_dentries_unused",
        "Directory entries kept though nobody uses them.",
    ),
    count(("kernel", "pty-nr"), "sar_ptys", "Pseudo-terminals in use."),
    count(("net-sock", "totsck"), "node_sockstat_sockets_used", KNOWN),
    count(("net-sock", "tcpsck"), "node_sockstat_TCP_inuse", KNOWN),
    count(("net-sock", "udpsck"), "node_sockstat_UDP_inuse", KNOWN),
    count(("net-sock", "tcp-tw"), "node_sockstat_TCP_tw", KNOWN),
    Figure::new(
        ("psi-mem", "some_avg10"),
        0.01,
        "highwater_memory_pressure_some_avg10_ratio",
        "Share of the last 10 s in which some task waited for memory.",
    ),
    share(
        ("psi-mem", "some_avg"),
        "sar_memory_pressure_some_percent",
        "Time since the sample before in which some task waited for memory.",
    ),
    share(
        ("psi-mem", "full_avg"),
        "sar_memory_pressure_full_percent",
        "Time since the sample before in which all tasks waited for memory.",
    ),
    cpu("user", "user"),
    cpu("usr", "user"),
    cpu("nice", "nice"),
    cpu("system", "system"),
    cpu("sys", "system"),
    cpu("iowait", "iowait"),
    cpu("steal", "steal"),
    cpu("irq", "irq"),
    cpu("soft", "softirq"),
    cpu("idle", "idle"),
    Figure::new(("filesystems", "MBfsfree"), MB, "node_filesystem_free_bytes", KNOWN),
    Figure::new(
        ("filesystems", "MBfsused"),
        MB,
        "sar_filesystem_used_bytes",
        "Space of the file system in use.",
    ),
    count(
        ("filesystems", "%fsused"),
        "sar_filesystem_used_percent",
        "Share of the file system in use.",
    ),
    count(("filesystems", "Ifree"), "node_filesystem_files_free", KNOWN),
    count(
        ("filesystems", "Iused"),
        "sar_filesystem_files_used",
        "Inodes of the file system in use.",
    ),
];

/// A total that sadf does not write, but its parts: they stand in one object.
#[derive(Debug)]
pub(crate) struct Sum {
    /// The metric, scaled as its parts are.
    pub(crate) figure: Figure,
    /// Its parts, in the same section.
    pub(crate) parts: [&'static str; 2],
}

/// The totals that follow from their parts.
pub(crate) static SUMS: [Sum; 4] = [
    Sum {
        figure: Figure::new(("memory", ""), KB, "node_memory_SwapTotal_bytes", KNOWN),
        parts: ["swpfree", "swpused"],
    },
    Sum {
        figure: Figure::new(("hugepages", ""), KB, "node_memory_Hugetlb_bytes", KNOWN),
        parts: ["hugfree", "hugused"],
    },
    Sum {
        figure: Figure::new(("filesystems", ""), MB, "node_filesystem_size_bytes", KNOWN),
        parts: ["MBfsfree", "MBfsused"],
    },
    Sum {
        figure: Figure::new(("filesystems", ""), 1.0, "node_filesystem_files", KNOWN),
        parts: ["Ifree", "Iused"],
    },
];

/// All memory. What is used has two meanings, see `sar_memory_used_bytes`: the share tells which.
pub(crate) static MEM_TOTAL: Figure =
    Figure::new(("memory", ""), KB, "node_memory_MemTotal_bytes", KNOWN);

/// The start of the machine.
pub(crate) static BOOT: Figure = Figure::new(
    ("restarts", "boot"),
    1.0,
    "node_boot_time_seconds",
    "When the machine was started, in seconds since 1970.",
);
