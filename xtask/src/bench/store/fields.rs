//! Which field of a sample each metric was read from.

use highwater_core::frame::{CgroupMemory, MachineSample, Pressure, ProcSample, Stall, ZoneSample};
use highwater_core::limit::Limit;
use highwater_core::units::Bytes;

use super::frames::kernel_key;

/// Where a number goes.
#[derive(Clone, Copy)]
pub(super) enum Field {
    /// A key of `/proc/meminfo`.
    Mem(&'static str),
    /// A key of `/proc/vmstat`.
    Vm(&'static str),
    Machine(fn(&mut MachineSample, f64)),
    Zone(fn(&mut ZoneSample, f64)),
    Cgroup(fn(&mut CgroupMemory, f64)),
    Process(fn(&mut ProcSample, f64)),
}

/// The field of the metric called `name`.
pub(super) fn named(name: &str) -> Option<Field> {
    let tables = [MACHINE, ZONE, CGROUP_SIZES, CGROUP_COUNTS, PROCESS];
    let mut all = tables.into_iter().flatten();
    kernel_key(name).or_else(|| all.find(|(listed, _)| *listed == name).map(|(_, field)| *field))
}

type Fields = &'static [(&'static str, Field)];

const MACHINE: Fields = {
    use Field::Machine;
    &[
        (
            "node_pressure_memory_waiting_seconds_total",
            Machine(|m, v| some(&mut m.memory_pressure, v)),
        ),
        (
            "node_pressure_memory_stalled_seconds_total",
            Machine(|m, v| full(&mut m.memory_pressure, v)),
        ),
        ("node_pressure_cpu_waiting_seconds_total", Machine(|m, v| some(&mut m.cpu_pressure, v))),
        ("node_pressure_io_waiting_seconds_total", Machine(|m, v| some(&mut m.io_pressure, v))),
        ("node_pressure_io_stalled_seconds_total", Machine(|m, v| full(&mut m.io_pressure, v))),
        ("node_processes_pids", Machine(|m, v| m.processes = count(v))),
        ("node_processes_threads", Machine(|m, v| m.threads = count(v))),
        ("highwater_zombie_processes", Machine(|m, v| m.zombies = count(v))),
        (
            "highwater_memory_pressure_some_avg10_ratio",
            Machine(|m, v| stall(&mut m.memory_pressure).avg10 = (v * 1e4).round() / 100.0),
        ),
    ]
};

const ZONE: Fields = {
    use Field::Zone;
    &[
        ("highwater_zone_free_bytes", Zone(|z, v| z.free = bytes(v))),
        ("highwater_zone_min_bytes", Zone(|z, v| z.min = bytes(v))),
        ("highwater_zone_low_bytes", Zone(|z, v| z.low = bytes(v))),
        ("highwater_zone_high_bytes", Zone(|z, v| z.high = bytes(v))),
        ("highwater_zone_managed_bytes", Zone(|z, v| z.managed = bytes(v))),
    ]
};

const CGROUP_SIZES: Fields = {
    use Field::Cgroup;
    &[
        ("container_memory_usage_bytes", Cgroup(|c, v| c.usage = Some(bytes(v)))),
        ("container_memory_rss", Cgroup(|c, v| c.anon = Some(bytes(v)))),
        ("container_memory_cache", Cgroup(|c, v| c.file = Some(bytes(v)))),
        ("container_memory_mapped_file", Cgroup(|c, v| c.mapped_file = Some(bytes(v)))),
        ("container_memory_swap", Cgroup(|c, v| c.swap = Some(bytes(v)))),
        ("container_memory_max_usage_bytes", Cgroup(|c, v| c.peak = Some(bytes(v)))),
        ("container_memory_kernel_usage", Cgroup(|c, v| c.kernel = Some(bytes(v)))),
        ("container_spec_memory_limit_bytes", Cgroup(|c, v| c.limit = Some(limit(v)))),
        ("container_spec_memory_swap_limit_bytes", Cgroup(|c, v| c.memsw_limit = Some(limit(v)))),
        ("highwater_cgroup_memory_high_bytes", Cgroup(|c, v| c.high = Some(limit(v)))),
        ("highwater_cgroup_memory_low_bytes", Cgroup(|c, v| c.low = Some(limit(v)))),
        ("highwater_cgroup_memory_min_bytes", Cgroup(|c, v| c.min = Some(limit(v)))),
        ("highwater_cgroup_swap_limit_bytes", Cgroup(|c, v| c.swap_limit = Some(limit(v)))),
        ("highwater_cgroup_memsw_usage_bytes", Cgroup(|c, v| c.memsw_usage = Some(bytes(v)))),
        ("highwater_cgroup_shmem_bytes", Cgroup(|c, v| c.shmem = Some(bytes(v)))),
        ("highwater_cgroup_inactive_file_bytes", Cgroup(|c, v| c.inactive_file = Some(bytes(v)))),
        ("highwater_cgroup_active_file_bytes", Cgroup(|c, v| c.active_file = Some(bytes(v)))),
        ("highwater_cgroup_unevictable_bytes", Cgroup(|c, v| c.unevictable = Some(bytes(v)))),
        (
            "highwater_cgroup_slab_reclaimable_bytes",
            Cgroup(|c, v| c.slab_reclaimable = Some(bytes(v))),
        ),
        (
            "highwater_cgroup_slab_unreclaimable_bytes",
            Cgroup(|c, v| c.slab_unreclaimable = Some(bytes(v))),
        ),
        ("highwater_cgroup_page_tables_bytes", Cgroup(|c, v| c.page_tables = Some(bytes(v)))),
        ("highwater_cgroup_kernel_stack_bytes", Cgroup(|c, v| c.kernel_stack = Some(bytes(v)))),
        ("highwater_cgroup_sock_bytes", Cgroup(|c, v| c.sock = Some(bytes(v)))),
    ]
};

const CGROUP_COUNTS: Fields = {
    use Field::Cgroup;
    &[
        ("container_memory_failcnt", Cgroup(|c, v| c.limit_hits = Some(count(v)))),
        ("container_oom_events_total", Cgroup(|c, v| c.oom_kills = Some(count(v)))),
        ("container_threads", Cgroup(|c, v| c.pids = Some(count(v)))),
        ("container_threads_max", Cgroup(|c, v| c.pids_limit = Some(count_limit(v)))),
        (
            "container_pressure_memory_waiting_seconds_total",
            Cgroup(|c, v| some(&mut c.pressure, v)),
        ),
        (
            "container_pressure_memory_stalled_seconds_total",
            Cgroup(|c, v| full(&mut c.pressure, v)),
        ),
        ("highwater_cgroup_major_faults_total", Cgroup(|c, v| c.pgmajfault = Some(count(v)))),
        ("highwater_cgroup_high_events_total", Cgroup(|c, v| c.high_hits = Some(count(v)))),
        ("highwater_cgroup_oom_total", Cgroup(|c, v| c.ooms = Some(count(v)))),
        (
            "highwater_cgroup_oom_group_kills_total",
            Cgroup(|c, v| c.oom_group_kills = Some(count(v))),
        ),
        ("highwater_cgroup_oom_group", Cgroup(|c, v| c.oom_group = Some(v > 0.0))),
        ("highwater_cgroup_oom_kill_disabled", Cgroup(|c, v| c.oom_kill_disabled = Some(v > 0.0))),
        ("highwater_cgroup_under_oom", Cgroup(|c, v| c.under_oom = Some(v > 0.0))),
    ]
};

const PROCESS: Fields = {
    use Field::Process;
    &[
        ("process_resident_memory_bytes", Process(|p, v| p.resident = bytes(v))),
        (
            "highwater_process_resident_anon_bytes",
            // Stands behind the resident size in every blob, so that is known here.
            Process(|p, v| p.resident_shared = p.resident.saturating_sub(bytes(v))),
        ),
        ("process_virtual_memory_bytes", Process(|p, v| p.virtual_size = bytes(v))),
        ("process_cpu_seconds_total", Process(|p, v| p.cpu_us = micros(v))),
        ("highwater_process_major_faults_total", Process(|p, v| p.major_faults = count(v))),
        ("process_threads", Process(|p, v| p.threads = small(v))),
        ("highwater_process_children", Process(|p, v| p.children = Some(small(v)))),
        ("highwater_process_zombie_children", Process(|p, v| p.zombie_children = Some(small(v)))),
        (
            "highwater_process_peak_resident_bytes",
            Process(|p, v| p.slow.peak_resident = Some(bytes(v))),
        ),
        ("highwater_process_swap_bytes", Process(|p, v| p.slow.swap = Some(bytes(v)))),
        (
            "highwater_process_page_tables_bytes",
            Process(|p, v| p.slow.page_tables = Some(bytes(v))),
        ),
        ("process_open_fds", Process(|p, v| p.slow.open_fds = Some(count(v)))),
        ("process_max_fds", Process(|p, v| p.slow.max_fds = Some(count_limit(v)))),
        ("highwater_process_oom_score", Process(|p, v| p.slow.oom_score = Some(signed(v)))),
        ("highwater_process_oom_score_adj", Process(|p, v| p.slow.oom_score_adj = Some(signed(v)))),
    ]
};

fn bytes(value: f64) -> Bytes {
    Bytes::from_f64(value)
}

fn limit(value: f64) -> Limit {
    if value.is_finite() { Limit::At(bytes(value)) } else { Limit::Unlimited }
}

fn count_limit(value: f64) -> Limit<u64> {
    if value.is_finite() { Limit::At(count(value)) } else { Limit::Unlimited }
}

/// A whole number that is not negative.
pub(super) fn count(value: f64) -> u64 {
    Bytes::from_f64(value).get()
}

fn small(value: f64) -> u32 {
    u32::try_from(count(value)).unwrap_or(u32::MAX)
}

fn micros(seconds: f64) -> u64 {
    count(seconds * 1e6)
}

fn signed(value: f64) -> i64 {
    let size = i64::try_from(count(value.abs())).unwrap_or(i64::MAX);
    if value < 0.0 { -size } else { size }
}

/// The line of "some" in a pressure file that is now known to be there.
fn stall(pressure: &mut Option<Pressure>) -> &mut Stall {
    pressure.get_or_insert_default().some.get_or_insert_default()
}

fn some(pressure: &mut Option<Pressure>, seconds: f64) {
    stall(pressure).total_us = micros(seconds);
}

fn full(pressure: &mut Option<Pressure>, seconds: f64) {
    pressure.get_or_insert_default().full.get_or_insert_default().total_us = micros(seconds);
}

#[cfg(test)]
mod tests {
    use super::*;
    use highwater_core::metric;
    use highwater_store::Facts;

    use super::super::frames::process;

    #[test]
    fn every_number_of_a_cgroup_comes_back_from_the_field_it_is_put_in() {
        let mut cgroup = CgroupMemory::default();
        for (at, column) in metric::CGROUP.iter().enumerate() {
            let wanted = if at % 2 == 0 { 1.0 } else { 0.0 };
            match named(column.name) {
                Some(Field::Cgroup(set)) => {
                    set(&mut cgroup, wanted);
                    assert_eq!(column.value(&cgroup), Some(wanted), "{}", column.name);
                }
                // Worked out of usage and the inactive cache.
                _ => assert_eq!(column.name, "container_memory_working_set_bytes"),
            }
        }
    }

    #[test]
    fn every_number_of_a_process_and_of_the_machine_has_a_field() {
        let mut process = process(&Facts::default());
        for (at, column) in (1_u32..).zip(metric::PROCESS) {
            let Some(Field::Process(set)) = named(column.name) else {
                panic!("{} has no field", column.name)
            };
            let wanted = 1_000.0 - f64::from(at);
            set(&mut process, wanted);
            assert_eq!(column.value(&process), Some(wanted), "{}", column.name);
        }
        for column in metric::machine() {
            assert!(named(column.name).is_some(), "{}", column.name);
        }
    }
}
