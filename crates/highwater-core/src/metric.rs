//! The catalogue: which number of a sample has which name.
//!
//! Store and exposition read samples through these tables, so a metric is declared once. Names
//! are the ecosystem's (`node_*` as `node_exporter`, `container_*` as cAdvisor, `process_*` as the
//! client libraries); `highwater_*` only where nobody has named the thing yet.

use crate::frame::{CgroupMemory, MachineSample, MemInfo, ProcSample, VmStat, ZoneSample};
use crate::limit::Limit;
use crate::sum::OwnerSum;
use crate::units::Bytes;

/// Whether a number goes up and down or only up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Up and down.
    Gauge,
    /// Only up; a fall is a reset.
    Counter,
}

/// One number of a sample `S`.
#[derive(Debug)]
pub struct Column<S: 'static> {
    /// The metric's name.
    pub name: &'static str,
    /// One line of help.
    pub help: &'static str,
    /// Gauge or counter.
    pub kind: MetricKind,
    /// Reads it; `None` where the sample does not have it.
    pub read: Read<S>,
}

/// How a column is read out of a sample.
#[derive(Debug)]
pub enum Read<S: 'static> {
    /// By a function.
    By(fn(&S) -> Option<f64>),
    /// From the readings of `/proc/meminfo`.
    Mem(fn(&S) -> &MemInfo, fn(&MemInfo) -> Option<Bytes>),
    /// From the readings of `/proc/vmstat`.
    Vm(fn(&S) -> &VmStat, fn(&VmStat) -> Option<u64>),
}

impl<S> Column<S> {
    /// The column's number in `sample`.
    pub fn value(&self, sample: &S) -> Option<f64> {
        match &self.read {
            Read::By(read) => read(sample),
            Read::Mem(of, read) => read(of(sample)).map(Bytes::as_f64),
            Read::Vm(of, read) => read(of(sample)).map(float),
        }
    }
}

/// A count as a series' value; exact below 2^53.
fn float(count: u64) -> f64 {
    Bytes::new(count).as_f64()
}

fn seconds(us: u64) -> f64 {
    float(us) / 1e6
}

fn bytes(amount: Option<Bytes>) -> Option<f64> {
    amount.map(Bytes::as_f64)
}

/// No limit is `+Inf`: honest in a comparison, unlike cAdvisor's 0.
fn limit(limit: Option<Limit>) -> Option<f64> {
    limit.map(|limit| limit.at().map_or(f64::INFINITY, Bytes::as_f64))
}

fn count_limit(limit: Option<Limit<u64>>) -> Option<f64> {
    limit.map(|limit| limit.at().map_or(f64::INFINITY, float))
}

fn flag(state: Option<bool>) -> Option<f64> {
    state.map(|on| if on { 1.0 } else { 0.0 })
}

const fn gauge<S>(
    name: &'static str,
    help: &'static str,
    read: fn(&S) -> Option<f64>,
) -> Column<S> {
    Column { name, help, kind: MetricKind::Gauge, read: Read::By(read) }
}

const fn counter<S>(
    name: &'static str,
    help: &'static str,
    read: fn(&S) -> Option<f64>,
) -> Column<S> {
    Column { name, help, kind: MetricKind::Counter, read: Read::By(read) }
}

/// The columns of the machine: every key of meminfo and vmstat, then what is counted or reckoned.
pub fn machine() -> Vec<Column<MachineSample>> {
    let mem = MemInfo::KEYS.iter().map(|key| Column {
        name: key.metric,
        help: key.help,
        kind: MetricKind::Gauge,
        read: Read::Mem(|machine: &MachineSample| &machine.mem, key.get),
    });
    let vm = VmStat::KEYS.iter().map(|key| Column {
        name: key.metric,
        help: key.help,
        kind: MetricKind::Counter,
        read: Read::Vm(|machine: &MachineSample| &machine.vm, key.get),
    });
    mem.chain(vm).chain(machine_own()).collect()
}

fn machine_own() -> [Column<MachineSample>; 9] {
    [
        counter(
            "node_pressure_memory_waiting_seconds_total",
            "Time in which some task waited for memory.",
            |m: &MachineSample| Some(seconds(m.memory_pressure?.some?.total_us)),
        ),
        counter(
            "node_pressure_memory_stalled_seconds_total",
            "Time in which all tasks waited for memory.",
            |m: &MachineSample| Some(seconds(m.memory_pressure?.full?.total_us)),
        ),
        counter(
            "node_pressure_cpu_waiting_seconds_total",
            "Time in which some task waited for a processor.",
            |m: &MachineSample| Some(seconds(m.cpu_pressure?.some?.total_us)),
        ),
        counter(
            "node_pressure_io_waiting_seconds_total",
            "Time in which some task waited for a disk.",
            |m: &MachineSample| Some(seconds(m.io_pressure?.some?.total_us)),
        ),
        counter(
            "node_pressure_io_stalled_seconds_total",
            "Time in which all tasks waited for a disk.",
            |m: &MachineSample| Some(seconds(m.io_pressure?.full?.total_us)),
        ),
        gauge("node_processes_pids", "Processes.", |m: &MachineSample| Some(float(m.processes))),
        gauge("node_processes_threads", "Threads of all processes.", |m: &MachineSample| {
            Some(float(m.threads))
        }),
        gauge(
            "highwater_zombie_processes",
            "Processes that died and were not reaped.",
            |m: &MachineSample| Some(float(m.zombies)),
        ),
        gauge(
            "highwater_memory_pressure_some_avg10_ratio",
            "Share of the last 10 s in which some task waited for memory.",
            |m: &MachineSample| Some(m.memory_pressure?.some?.avg10 / 100.0),
        ),
    ]
}

/// The columns of a memory zone. `node_exporter` counts pages here; so that no reader needs the
/// page size, these are bytes.
pub const ZONE: &[Column<ZoneSample>] = &[
    gauge("highwater_zone_free_bytes", "Free memory of the zone.", |z: &ZoneSample| {
        bytes(Some(z.free))
    }),
    gauge(
        "highwater_zone_min_bytes",
        "The zone's min watermark: below it allocations fail or kill.",
        |z: &ZoneSample| bytes(Some(z.min)),
    ),
    gauge(
        "highwater_zone_low_bytes",
        "The zone's low watermark: below it background reclaim starts.",
        |z: &ZoneSample| bytes(Some(z.low)),
    ),
    gauge(
        "highwater_zone_high_bytes",
        "The zone's high watermark: above it background reclaim stops.",
        |z: &ZoneSample| bytes(Some(z.high)),
    ),
    gauge("highwater_zone_managed_bytes", "Memory that the zone hands out.", |z: &ZoneSample| {
        bytes(Some(z.managed))
    }),
];

/// The columns of a cgroup.
pub const CGROUP: &[Column<CgroupMemory>] = &[
    gauge(
        "container_memory_usage_bytes",
        "Memory charged to the cgroup, page cache included.",
        |c: &CgroupMemory| bytes(c.usage),
    ),
    gauge(
        "container_memory_working_set_bytes",
        "Usage without inactive page cache: what kubelet evicts by.",
        |c: &CgroupMemory| bytes(c.working_set()),
    ),
    gauge("container_memory_rss", "Anonymous memory of the cgroup.", |c: &CgroupMemory| {
        bytes(c.anon)
    }),
    gauge(
        "container_memory_cache",
        "Page cache of the cgroup, shared memory included.",
        |c: &CgroupMemory| bytes(c.file),
    ),
    gauge(
        "container_memory_mapped_file",
        "Files mapped by the cgroup's processes.",
        |c: &CgroupMemory| bytes(c.mapped_file),
    ),
    gauge("container_memory_swap", "Swap used by the cgroup.", |c: &CgroupMemory| bytes(c.swap)),
    gauge(
        "container_memory_max_usage_bytes",
        "The most the cgroup ever used.",
        |c: &CgroupMemory| bytes(c.peak),
    ),
    gauge(
        "container_memory_kernel_usage",
        "Kernel memory charged to the cgroup.",
        |c: &CgroupMemory| bytes(c.kernel),
    ),
    counter("container_memory_failcnt", "How often the limit was hit.", |c: &CgroupMemory| {
        c.limit_hits.map(float)
    }),
    counter(
        "container_oom_events_total",
        "Processes of the cgroup killed for memory.",
        |c: &CgroupMemory| c.oom_kills.map(float),
    ),
    gauge(
        "container_spec_memory_limit_bytes",
        "The memory limit; +Inf if there is none.",
        |c: &CgroupMemory| limit(c.limit),
    ),
    gauge(
        "container_spec_memory_swap_limit_bytes",
        "The limit of memory and swap together (v1); +Inf if there is none.",
        |c: &CgroupMemory| limit(c.memsw_limit),
    ),
    gauge("container_threads", "Processes and threads of the cgroup.", |c: &CgroupMemory| {
        c.pids.map(float)
    }),
    gauge(
        "container_threads_max",
        "How many processes and threads there may be; +Inf if there is no limit.",
        |c: &CgroupMemory| count_limit(c.pids_limit),
    ),
    counter(
        "container_pressure_memory_waiting_seconds_total",
        "Time in which some task of the cgroup waited for memory.",
        |c: &CgroupMemory| Some(seconds(c.pressure?.some?.total_us)),
    ),
    counter(
        "container_pressure_memory_stalled_seconds_total",
        "Time in which all tasks of the cgroup waited for memory.",
        |c: &CgroupMemory| Some(seconds(c.pressure?.full?.total_us)),
    ),
    gauge(
        "highwater_cgroup_memory_high_bytes",
        "memory.high: over it the cgroup is slowed down; +Inf if there is none.",
        |c: &CgroupMemory| limit(c.high),
    ),
    gauge(
        "highwater_cgroup_memory_low_bytes",
        "memory.low: protected while there is anything else to reclaim.",
        |c: &CgroupMemory| limit(c.low),
    ),
    gauge(
        "highwater_cgroup_memory_min_bytes",
        "memory.min: never reclaimed.",
        |c: &CgroupMemory| limit(c.min),
    ),
    gauge(
        "highwater_cgroup_swap_limit_bytes",
        "memory.swap.max (v2); +Inf if there is none.",
        |c: &CgroupMemory| limit(c.swap_limit),
    ),
    gauge(
        "highwater_cgroup_memsw_usage_bytes",
        "Memory and swap together (v1).",
        |c: &CgroupMemory| bytes(c.memsw_usage),
    ),
    gauge(
        "highwater_cgroup_shmem_bytes",
        "Shared memory and tmpfs of the cgroup.",
        |c: &CgroupMemory| bytes(c.shmem),
    ),
    gauge(
        "highwater_cgroup_inactive_file_bytes",
        "Page cache not used recently: given back first.",
        |c: &CgroupMemory| bytes(c.inactive_file),
    ),
    gauge("highwater_cgroup_active_file_bytes", "Page cache used recently.", |c: &CgroupMemory| {
        bytes(c.active_file)
    }),
    gauge(
        "highwater_cgroup_unevictable_bytes",
        "Memory of the cgroup that cannot be reclaimed.",
        |c: &CgroupMemory| bytes(c.unevictable),
    ),
    gauge(
        "highwater_cgroup_slab_reclaimable_bytes",
        "Slab of the cgroup that can be reclaimed.",
        |c: &CgroupMemory| bytes(c.slab_reclaimable),
    ),
    gauge(
        "highwater_cgroup_slab_unreclaimable_bytes",
        "Slab of the cgroup that cannot be reclaimed.",
        |c: &CgroupMemory| bytes(c.slab_unreclaimable),
    ),
    gauge(
        "highwater_cgroup_page_tables_bytes",
        "Page tables of the cgroup's processes.",
        |c: &CgroupMemory| bytes(c.page_tables),
    ),
    gauge(
        "highwater_cgroup_kernel_stack_bytes",
        "Kernel stacks of the cgroup's threads.",
        |c: &CgroupMemory| bytes(c.kernel_stack),
    ),
    gauge("highwater_cgroup_sock_bytes", "Socket buffers of the cgroup.", |c: &CgroupMemory| {
        bytes(c.sock)
    }),
    counter(
        "highwater_cgroup_major_faults_total",
        "Page faults of the cgroup that had to read a disk.",
        |c: &CgroupMemory| c.pgmajfault.map(float),
    ),
    counter(
        "highwater_cgroup_high_events_total",
        "How often usage went over memory.high.",
        |c: &CgroupMemory| c.high_hits.map(float),
    ),
    counter(
        "highwater_cgroup_oom_total",
        "How often memory ran out at this cgroup's limit.",
        |c: &CgroupMemory| c.ooms.map(float),
    ),
    counter(
        "highwater_cgroup_oom_group_kills_total",
        "How often the whole cgroup was killed.",
        |c: &CgroupMemory| c.oom_group_kills.map(float),
    ),
    gauge(
        "highwater_cgroup_oom_group",
        "1 if the whole cgroup dies together (memory.oom.group).",
        |c: &CgroupMemory| flag(c.oom_group),
    ),
    gauge(
        "highwater_cgroup_oom_kill_disabled",
        "1 if tasks hang instead of being killed (v1 oom_kill_disable).",
        |c: &CgroupMemory| flag(c.oom_kill_disabled),
    ),
    gauge(
        "highwater_cgroup_under_oom",
        "1 while tasks hang for want of memory (v1).",
        |c: &CgroupMemory| flag(c.under_oom),
    ),
];

/// The columns of a process.
pub const PROCESS: &[Column<ProcSample>] = &[
    gauge("process_resident_memory_bytes", "Memory of the process in RAM.", |p: &ProcSample| {
        bytes(Some(p.resident))
    }),
    gauge(
        "highwater_process_resident_anon_bytes",
        "Anonymous memory of the process in RAM.",
        |p: &ProcSample| bytes(Some(p.resident_anon())),
    ),
    gauge("process_virtual_memory_bytes", "Address space of the process.", |p: &ProcSample| {
        bytes(Some(p.virtual_size))
    }),
    counter(
        "process_cpu_seconds_total",
        "Processor time used, user and system.",
        |p: &ProcSample| Some(seconds(p.cpu_us)),
    ),
    counter(
        "highwater_process_major_faults_total",
        "Page faults that had to read a disk.",
        |p: &ProcSample| Some(float(p.major_faults)),
    ),
    gauge(
        "highwater_process_children",
        "Children of the process, the dead among them.",
        |p: &ProcSample| p.children.map(|count| float(count.into())),
    ),
    gauge(
        "highwater_process_zombie_children",
        "Children that died and that the process did not reap.",
        |p: &ProcSample| p.zombie_children.map(|count| float(count.into())),
    ),
    gauge("process_threads", "Threads of the process.", |p: &ProcSample| {
        Some(float(p.threads.into()))
    }),
    gauge(
        "highwater_process_peak_resident_bytes",
        "The most the process ever had in RAM.",
        |p: &ProcSample| bytes(p.slow.peak_resident),
    ),
    gauge("highwater_process_swap_bytes", "Memory of the process in swap.", |p: &ProcSample| {
        bytes(p.slow.swap)
    }),
    gauge(
        "highwater_process_page_tables_bytes",
        "Page tables of the process.",
        |p: &ProcSample| bytes(p.slow.page_tables),
    ),
    gauge("process_open_fds", "Open file descriptors.", |p: &ProcSample| {
        p.slow.open_fds.map(float)
    }),
    gauge(
        "process_max_fds",
        "How many file descriptors the process may open; +Inf if there is no limit.",
        |p: &ProcSample| count_limit(p.slow.max_fds),
    ),
    gauge(
        "highwater_process_oom_score",
        "The kernel's present score of the process as a victim.",
        |p: &ProcSample| p.slow.oom_score.map(signed),
    ),
    gauge(
        "highwater_process_oom_score_adj",
        "What was added to or taken from that score, in permille of memory.",
        |p: &ProcSample| p.slow.oom_score_adj.map(signed),
    ),
];

/// The columns of an owner: what its processes have together.
pub const OWNER: &[Column<OwnerSum>] = &[
    gauge(
        "highwater_owner_processes",
        "Processes of the owner, zombies among them.",
        |o: &OwnerSum| Some(float(o.processes)),
    ),
    gauge(
        "highwater_owner_zombies",
        "Processes of the owner that died and were not reaped.",
        |o: &OwnerSum| Some(float(o.zombies)),
    ),
    gauge("highwater_owner_threads", "Threads of the owner's processes.", |o: &OwnerSum| {
        Some(float(o.threads))
    }),
    gauge(
        "highwater_owner_resident_anon_bytes",
        "Anonymous memory in RAM of the owner's processes.",
        |o: &OwnerSum| bytes(Some(o.resident_anon)),
    ),
    gauge(
        "highwater_owner_swap_bytes",
        "Memory of the owner's processes in swap.",
        |o: &OwnerSum| bytes(o.swap),
    ),
    gauge(
        "highwater_owner_open_fds",
        "Open file descriptors of the owner's processes, as far as they may be counted.",
        |o: &OwnerSum| o.open_fds.map(float),
    ),
];

/// A small signed number as a series' value.
#[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "scores are within ±2000")]
fn signed(number: i64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_metric_has_one_name_and_counters_of_ours_say_total() {
        let machine = machine();
        let all = (machine.iter().map(|c| (c.name, c.kind)))
            .chain(ZONE.iter().map(|c| (c.name, c.kind)))
            .chain(CGROUP.iter().map(|c| (c.name, c.kind)))
            .chain(PROCESS.iter().map(|c| (c.name, c.kind)))
            .chain(OWNER.iter().map(|c| (c.name, c.kind)))
            .collect::<Vec<_>>();
        let names: HashSet<_> = all.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), all.len());
        for (name, kind) in all.iter().filter(|(name, _)| name.starts_with("highwater_")) {
            assert_eq!(name.ends_with("_total"), *kind == MetricKind::Counter, "{name}");
        }
    }

    #[test]
    fn no_limit_is_infinite() {
        let unlimited = CgroupMemory { limit: Some(Limit::Unlimited), ..CgroupMemory::default() };
        let column = CGROUP.iter().find(|c| c.name == "container_spec_memory_limit_bytes").unwrap();
        assert_eq!(column.value(&unlimited), Some(f64::INFINITY));
        assert_eq!(column.value(&CgroupMemory::default()), None);
    }
}
