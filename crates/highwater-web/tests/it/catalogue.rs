//! The tables of docs/manual/metrics.md are written from the tables that the page is written from.

use std::fmt::Write as _;
use std::path::Path;

use highwater_core::frame::{MemInfo, VmStat};
use highwater_core::metric::OWNER;
use highwater_core::metric::{CGROUP, Column, PROCESS, ZONE, machine};
use highwater_core::thing::THINGS;
use highwater_web::FIXED;
use highwater_web::exposition::Kind;

/// What stands beside one metric in the manual: its unit and where its number comes from.
type Told = (&'static str, String);

#[test]
fn the_manual_lists_every_metric() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/manual/metrics.md");
    let manual = std::fs::read_to_string(&path).unwrap();
    let expected = tables().iter().fold(manual.clone(), |text, (name, table)| {
        let begin = format!("<!-- table {name} -->\n");
        let (head, rest) = text.split_once(&begin).expect("the table's place is marked");
        let (_, tail) = rest.split_once("<!-- end -->").expect("and its end");
        format!("{head}{begin}{table}<!-- end -->{tail}")
    });
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &expected).unwrap();
    }
    let now = std::fs::read_to_string(&path).unwrap();
    assert!(now == expected, "docs/manual/metrics.md is out of date: run this test with BLESS=1");
}

fn tables() -> [(&'static str, String); 7] {
    let fixed = FIXED.iter().map(|f| (f.name, f.kind, f.help, fixed_told(f.name)));
    [
        ("machine", table(rows(&machine(), machine_told))),
        ("zone", table(rows(ZONE, |_| ("bytes", "/proc/zoneinfo".into())))),
        ("cgroup", table(rows(CGROUP, cgroup_told))),
        ("owner", table(rows(OWNER, owner_told))),
        ("process", table(rows(PROCESS, process_told))),
        ("survey", things()),
        ("recorder", table(fixed)),
    ]
}

/// The survey's numbers tell their unit by their names.
fn things() -> String {
    let mut out = "| metric | type | meaning |\n|---|---|---|\n".to_owned();
    for thing in THINGS {
        let kind = match Kind::of(thing.name, thing.kind) {
            Kind::Counter => "counter",
            Kind::Unknown => "untyped",
            Kind::Gauge | Kind::Info => "gauge",
        };
        writeln!(out, "| `{}` | {kind} | {} |", thing.name, thing.help).unwrap();
    }
    out
}

type Row = (&'static str, Kind, &'static str, Told);

fn rows<S>(columns: &[Column<S>], told: fn(&str) -> Told) -> impl Iterator<Item = Row> {
    columns.iter().map(move |c| (c.name, Kind::of(c.name, c.kind), c.help, told(c.name)))
}

fn table(rows: impl Iterator<Item = Row>) -> String {
    let mut out = "| metric | type | unit | source | meaning |\n|---|---|---|---|---|\n".to_owned();
    for (name, kind, help, (unit, source)) in rows {
        assert!(unit_fits(name, unit), "{name} is not in {unit}");
        let kind = match kind {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
            Kind::Unknown => "untyped",
            Kind::Info => "info",
        };
        writeln!(out, "| `{name}` | {kind} | {unit} | {source} | {help} |").unwrap();
    }
    out
}

/// A name that tells its unit must not be told to be in another.
fn unit_fits(name: &str, unit: &str) -> bool {
    let stem = name.strip_suffix("_total").unwrap_or(name);
    ["bytes", "seconds", "ratio"].iter().all(|end| !stem.ends_with(end) || unit == *end)
}

fn machine_told(name: &str) -> Told {
    if let Some(key) = MemInfo::KEYS.iter().find(|key| key.metric == name) {
        return ("bytes", format!("/proc/meminfo `{}`", key.key));
    }
    if let Some(key) = VmStat::KEYS.iter().find(|key| key.metric == name) {
        let unit = match key.key {
            "pgpgin" | "pgpgout" => "KiB",
            "oom_kill" => "kills",
            "pgfault" | "pgmajfault" => "faults",
            key if key.starts_with("pswp") || key.starts_with("pgs") => "pages",
            key if key.starts_with("workingset") => "pages",
            key if key.starts_with("allocstall") || key.starts_with("compact") => "events",
            key => panic!("what is {key} counted in?"),
        };
        return (unit, format!("/proc/vmstat `{}`", key.key));
    }
    let pressure = |file: &str, line: &str| format!("/proc/pressure/{file} `{line}`");
    match name {
        "node_pressure_memory_waiting_seconds_total" => ("seconds", pressure("memory", "some")),
        "node_pressure_memory_stalled_seconds_total" => ("seconds", pressure("memory", "full")),
        "node_pressure_cpu_waiting_seconds_total" => ("seconds", pressure("cpu", "some")),
        "node_pressure_io_waiting_seconds_total" => ("seconds", pressure("io", "some")),
        "node_pressure_io_stalled_seconds_total" => ("seconds", pressure("io", "full")),
        "highwater_memory_pressure_some_avg10_ratio" => ("ratio", pressure("memory", "some avg10")),
        "node_processes_pids" => ("processes", "folders of /proc".into()),
        "node_processes_threads" => ("threads", "/proc/PID/stat".into()),
        "highwater_zombie_processes" => ("processes", "/proc/PID/stat".into()),
        name => panic!("where does {name} come from?"),
    }
}

/// Unit, file of cgroup v1, file of cgroup v2; `–` where the version has no such number.
#[rustfmt::skip]
const CGROUP_TOLD: &[(&str, &str, &str, &str)] = &[
    ("container_memory_usage_bytes", "bytes", "memory.usage_in_bytes", "memory.current"),
    ("container_memory_working_set_bytes", "bytes", "usage − total_inactive_file", "usage − inactive_file"),
    ("container_memory_rss", "bytes", "memory.stat `total_rss`", "memory.stat `anon`"),
    ("container_memory_cache", "bytes", "memory.stat `total_cache`", "memory.stat `file`"),
    ("container_memory_mapped_file", "bytes", "memory.stat `total_mapped_file`", "memory.stat `file_mapped`"),
    ("container_memory_swap", "bytes", "memory.stat `total_swap`", "memory.swap.current"),
    ("container_memory_max_usage_bytes", "bytes", "memory.max_usage_in_bytes", "memory.peak"),
    ("container_memory_kernel_usage", "bytes", "memory.kmem.usage_in_bytes", "memory.stat `kernel`"),
    ("container_memory_failcnt", "events", "memory.failcnt", "memory.events `max`"),
    ("container_oom_events_total", "kills", "memory.oom_control `oom_kill`", "memory.events `oom_kill`"),
    ("container_spec_memory_limit_bytes", "bytes", "memory.limit_in_bytes", "memory.max"),
    ("container_spec_memory_swap_limit_bytes", "bytes", "memory.memsw.limit_in_bytes", "–"),
    ("container_threads", "threads", "pids.current", "pids.current"),
    ("container_threads_max", "threads", "pids.max", "pids.max"),
    ("container_pressure_memory_waiting_seconds_total", "seconds", "–", "memory.pressure `some`"),
    ("container_pressure_memory_stalled_seconds_total", "seconds", "–", "memory.pressure `full`"),
    ("highwater_cgroup_memory_high_bytes", "bytes", "–", "memory.high"),
    ("highwater_cgroup_memory_low_bytes", "bytes", "–", "memory.low"),
    ("highwater_cgroup_memory_min_bytes", "bytes", "–", "memory.min"),
    ("highwater_cgroup_swap_limit_bytes", "bytes", "–", "memory.swap.max"),
    ("highwater_cgroup_memsw_usage_bytes", "bytes", "memory.memsw.usage_in_bytes", "–"),
    ("highwater_cgroup_shmem_bytes", "bytes", "memory.stat `total_shmem`", "memory.stat `shmem`"),
    ("highwater_cgroup_inactive_file_bytes", "bytes", "memory.stat `total_inactive_file`", "memory.stat `inactive_file`"),
    ("highwater_cgroup_active_file_bytes", "bytes", "memory.stat `total_active_file`", "memory.stat `active_file`"),
    ("highwater_cgroup_unevictable_bytes", "bytes", "memory.stat `total_unevictable`", "memory.stat `unevictable`"),
    ("highwater_cgroup_slab_reclaimable_bytes", "bytes", "–", "memory.stat `slab_reclaimable`"),
    ("highwater_cgroup_slab_unreclaimable_bytes", "bytes", "–", "memory.stat `slab_unreclaimable`"),
    ("highwater_cgroup_page_tables_bytes", "bytes", "–", "memory.stat `pagetables`"),
    ("highwater_cgroup_kernel_stack_bytes", "bytes", "–", "memory.stat `kernel_stack`"),
    ("highwater_cgroup_sock_bytes", "bytes", "memory.kmem.tcp.usage_in_bytes", "memory.stat `sock`"),
    ("highwater_cgroup_major_faults_total", "faults", "memory.stat `total_pgmajfault`", "memory.stat `pgmajfault`"),
    ("highwater_cgroup_high_events_total", "events", "–", "memory.events `high`"),
    ("highwater_cgroup_oom_total", "events", "–", "memory.events `oom`"),
    ("highwater_cgroup_oom_group_kills_total", "kills", "–", "memory.events `oom_group_kill`"),
    ("highwater_cgroup_oom_group", "0 or 1", "–", "memory.oom.group"),
    ("highwater_cgroup_oom_kill_disabled", "0 or 1", "memory.oom_control `oom_kill_disable`", "–"),
    ("highwater_cgroup_under_oom", "0 or 1", "memory.oom_control `under_oom`", "–"),
];

fn cgroup_told(name: &str) -> Told {
    let told = CGROUP_TOLD.iter().find(|(metric, ..)| *metric == name);
    let (_, unit, v1, v2) = told.unwrap_or_else(|| panic!("where does {name} come from?"));
    (unit, format!("v1: {v1}; v2: {v2}"))
}

fn owner_told(name: &str) -> Told {
    match name {
        "highwater_owner_processes" | "highwater_owner_zombies" => {
            ("processes", "/proc/PID/stat, summed".into())
        }
        "highwater_owner_threads" => ("threads", "/proc/PID/stat, summed".into()),
        "highwater_owner_resident_anon_bytes" => ("bytes", "/proc/PID/statm, summed".into()),
        "highwater_owner_swap_bytes" => ("bytes", "/proc/PID/status, summed".into()),
        "highwater_owner_open_fds" => ("descriptors", "/proc/PID/fd, summed".into()),
        name => panic!("where does {name} come from?"),
    }
}

fn process_told(name: &str) -> Told {
    let (unit, file) = match name {
        "process_resident_memory_bytes" => ("bytes", "statm `resident`"),
        "highwater_process_resident_anon_bytes" => ("bytes", "statm `resident` − `shared`"),
        "process_virtual_memory_bytes" => ("bytes", "statm `size`"),
        "process_cpu_seconds_total" => ("seconds", "stat `utime` + `stime`"),
        "highwater_process_major_faults_total" => ("faults", "stat `majflt`"),
        "process_threads" => ("threads", "stat `num_threads`"),
        "highwater_process_children" => ("processes", "stat `ppid` of all processes"),
        "highwater_process_zombie_children" => ("processes", "stat `ppid` and `state` of all"),
        "highwater_process_peak_resident_bytes" => ("bytes", "status `VmHWM`"),
        "highwater_process_swap_bytes" => ("bytes", "status `VmSwap`"),
        "highwater_process_page_tables_bytes" => ("bytes", "status `VmPTE`"),
        "process_open_fds" => ("descriptors", "fd"),
        "process_max_fds" => ("descriptors", "limits `Max open files`"),
        "highwater_process_oom_score" => ("points", "oom_score"),
        "highwater_process_oom_score_adj" => ("points", "oom_score_adj"),
        name => panic!("where does {name} come from?"),
    };
    (unit, format!("/proc/PID/{file}"))
}

fn fixed_told(name: &str) -> Told {
    match name {
        "highwater_build_info" => ("1", "label `version`".into()),
        "highwater_last_sample_timestamp_seconds" => ("seconds", "the recorder's clock".into()),
        "highwater_omitted_cgroups" => ("cgroups", "this page".into()),
        "highwater_omitted_processes" => ("processes", "this page; with `per_process`".into()),
        name => panic!("where does {name} come from?"),
    }
}
