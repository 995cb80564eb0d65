//! A hand-made machine with names as hostile as the kernel allows them.

use std::time::Duration;

use highwater_core::frame::{
    CgroupMemory, CgroupSample, CgroupVersion, Frame, MachineSample, MemInfo, Pressure, ProcSample,
    Scope, SlowReadings, Stall, VmStat, ZoneSample,
};
use highwater_core::id::{CgroupPath, Comm, Pid, ProcKey, StartTicks};
use highwater_core::limit::Limit;
use highwater_core::owner::Owner;
use highwater_core::series::Labels;
use highwater_core::sum::{OwnerSample, OwnerSum};
use highwater_core::thing::{Metric, Thing};
use highwater_core::time::{BootTime, Stamp, WallTime};
use highwater_core::units::Bytes;
use highwater_web::{Condition, Health, Readings};

pub(crate) const CONTAINER: &str =
    "34186d9bd07706222bd427bb647ceed81e8e108eb653ff73c7137099fca1cab6";

/// Readings that never change.
pub(crate) struct Still {
    pub(crate) frame: Option<Frame>,
    pub(crate) health: Health,
}

impl Still {
    pub(crate) fn new() -> Self {
        let health = Health {
            sample_age: Some(Duration::from_millis(1_200)),
            cadence: Duration::from_secs(5),
            store: Condition::Ok,
            backlog: None,
            slowed: vec![],
            kmsg: Condition::Off("needs root or CAP_SYSLOG".into()),
        };
        Self { frame: Some(frame()), health }
    }
}

impl Readings for Still {
    fn frame(&self, visit: &mut dyn FnMut(&Frame)) {
        self.frame.iter().for_each(visit);
    }

    fn health(&self) -> Health {
        self.health.clone()
    }

    fn things(&self) -> Vec<Thing> {
        let thing = |metric, labels, value| Thing { metric, labels, value };
        let queue = |name: &str| Labels::new([("queue", name)]);
        vec![
            thing(&DROPPED, queue("store"), 0.0),
            thing(&UP, Labels::default(), 12.5),
            thing(&DROPPED, queue("events"), 2.0),
            // The same number told twice must not be two samples of one series.
            thing(&UP, Labels::default(), 12.5),
            thing(&LOG, Labels::new([("file", "/var/log/\"}\\\n1")]), 1e9),
        ]
    }
}

static DROPPED: Metric =
    Metric::counter("highwater_agent_dropped_total", "Items that a full queue\nturned away.");
static UP: Metric = Metric::gauge("highwater_agent_up_seconds", "How long the recorder runs.");
static LOG: Metric = Metric::gauge("highwater_log_file_bytes", "A file.");

pub(crate) fn frame() -> Frame {
    let mut frame = without_owners();
    sum_up(&mut frame);
    frame
}

/// Fills in the owners, as the agent does.
pub(crate) fn sum_up(frame: &mut Frame) {
    frame.owners.clear();
    for process in &frame.processes {
        let owner = process.cgroup.as_ref().map(|path| Owner::of_path(path.as_str()));
        let sum = OwnerSum::of(process);
        match frame.owners.iter_mut().find(|sample| sample.owner == owner) {
            Some(sample) => sample.sum = sample.sum.plus(sum),
            None => frame.owners.push(OwnerSample { owner, sum }),
        }
    }
}

fn without_owners() -> Frame {
    Frame {
        stamp: Stamp {
            wall: WallTime::from_millis(1_714_207_632_250),
            boot: BootTime::from_micros(5_000_000),
        },
        scope: Scope::Whole,
        machine: Some(machine()),
        zones: vec![zone(0, b"DMA32"), zone(1, b"Normal")],
        owners: vec![],
        cgroups: vec![
            cgroup("/system.slice/evil\"} 1\\.service", &memory(64)),
            cgroup(&format!("/docker/{CONTAINER}"), &limited()),
            cgroup("/", &memory(2_000)),
            // The same path read twice must not be two samples of one series.
            cgroup("/", &memory(2_000)),
        ],
        processes: vec![
            process(32_145, b"evil\"\n\\\x1b[2J", Some("/system.slice/evil\"} 1\\.service")),
            process(2, b"kthreadd", Some("/")),
            process(77, b"java", Some(&format!("/docker/{CONTAINER}"))),
            process(78, b"new", None),
        ],
    }
}

fn machine() -> MachineSample {
    let stall = |total_us| Some(Stall { avg10: 12.5, avg60: 1.0, avg300: 0.5, total_us });
    MachineSample {
        mem: MemInfo {
            mem_total: Some(Bytes::from_kib(24_684_084)),
            mem_available: Some(Bytes::from_kib(20_000_000)),
            ..MemInfo::default()
        },
        vm: VmStat { oom_kill: Some(3), pgmajfault: Some(1_376), ..VmStat::default() },
        memory_pressure: Some(Pressure { some: stall(1_500_000), full: None }),
        processes: 4,
        zombies: 1,
        threads: 9,
        ..MachineSample::default()
    }
}

fn zone(node: u16, name: &[u8]) -> ZoneSample {
    let [free, min, low, high, managed] = [900, 10, 20, 30, 1_000].map(Bytes::from_mib);
    ZoneSample { node, zone: Comm::new(name), free, min, low, high, managed }
}

fn cgroup(path: &str, memory: &CgroupMemory) -> CgroupSample {
    CgroupSample {
        path: CgroupPath::new(path.as_bytes()),
        version: CgroupVersion::V1,
        memory: *memory,
    }
}

fn memory(mib: u64) -> CgroupMemory {
    CgroupMemory {
        usage: Some(Bytes::from_mib(mib)),
        inactive_file: Some(Bytes::from_mib(1)),
        limit: Some(Limit::Unlimited),
        limit_hits: Some(0),
        ..CgroupMemory::default()
    }
}

fn limited() -> CgroupMemory {
    CgroupMemory {
        limit: Some(Limit::At(Bytes::from_mib(1024))),
        limit_hits: Some(17),
        oom_kills: Some(1),
        ..memory(900)
    }
}

pub(crate) fn process(pid: u32, comm: &[u8], path: Option<&str>) -> ProcSample {
    ProcSample {
        key: ProcKey { pid: Pid::new(pid), start: StartTicks::new(100) },
        comm: Comm::new(comm),
        cgroup: path.map(|path| CgroupPath::new(path.as_bytes())),
        parent: Pid::new(1),
        state: b'S',
        threads: 2,
        cpu_us: 1_250_000,
        major_faults: 4,
        virtual_size: Bytes::from_mib(73 * 1024),
        resident: Bytes::from_mib(u64::from(pid % 100)),
        resident_shared: Bytes::from_mib(1),
        children: None,
        zombie_children: None,
        slow: SlowReadings {
            open_fds: Some(10),
            max_fds: Some(Limit::Unlimited),
            oom_score_adj: Some(-900),
            ..SlowReadings::default()
        },
    }
}
