//! Frames, events and questions made by hand.

use std::path::Path;
use std::time::Duration;

use highwater_core::event::{Death, Event, Happening, Whereabouts};
use highwater_core::frame::{
    CgroupMemory, CgroupSample, CgroupVersion, Frame, MachineSample, MemInfo, ProcSample, Scope,
    SlowReadings, ZoneSample,
};
use highwater_core::id::{CgroupPath, Comm, Pid, ProcKey, StartTicks};
use highwater_core::limit::Limit;
use highwater_core::line::RecordedLine;
use highwater_core::series::{Matcher, NAME, Selection, Series, SeriesSource};
use highwater_core::time::{BootId, BootTime, Stamp, WallTime};
use highwater_core::units::Bytes;
use highwater_store::Reader;

/// A moment in 2024; ticks of the tests come after it.
pub(crate) const T0: i64 = 1_714_000_000_000;

pub(crate) fn boot() -> BootId {
    "3b1f7a520c2e4d689a1e1f2e3d4c5b6a".parse().unwrap()
}

pub(crate) fn other_boot() -> BootId {
    "00000000000000000000000000000002".parse().unwrap()
}

pub(crate) fn at(ms: i64) -> WallTime {
    WallTime::from_millis(T0 + ms)
}

pub(crate) fn stamp(ms: i64) -> Stamp {
    Stamp { wall: at(ms), boot: BootTime::from_micros(1_000_000 + ms.unsigned_abs() * 1000) }
}

pub(crate) fn process(pid: u32, comm: &str, cgroup: Option<&str>, mib: u64) -> ProcSample {
    ProcSample {
        key: ProcKey { pid: Pid::new(pid), start: StartTicks::new(u64::from(pid) * 10) },
        comm: Comm::new(comm.as_bytes()),
        cgroup: cgroup.map(|path| CgroupPath::new(path.as_bytes())),
        parent: Pid::new(1),
        state: b'S',
        threads: 3,
        cpu_us: 1_234_567,
        major_faults: 2,
        virtual_size: Bytes::from_mib(mib * 10),
        resident: Bytes::from_mib(mib),
        resident_shared: Bytes::from_mib(1),
        children: None,
        zombie_children: None,
        slow: SlowReadings { max_fds: Some(Limit::Unlimited), ..SlowReadings::default() },
    }
}

pub(crate) fn cgroup(path: &str, mib: u64, limit: Option<Limit>) -> CgroupSample {
    let memory =
        CgroupMemory { usage: Some(Bytes::from_mib(mib)), limit, ..CgroupMemory::default() };
    CgroupSample { path: CgroupPath::new(path.as_bytes()), version: CgroupVersion::V1, memory }
}

/// A whole tick: the machine, a zone, two cgroups, two processes that grow with time.
pub(crate) fn frame(ms: i64) -> Frame {
    let mib = 100 + ms.unsigned_abs() / 1000;
    let mem = MemInfo { mem_total: Some(Bytes::from_mib(4096)), ..MemInfo::default() };
    let zone =
        ZoneSample { zone: Comm::new(b"Normal"), free: Bytes::from_mib(7), ..Default::default() };
    Frame {
        stamp: stamp(ms),
        scope: Scope::Whole,
        machine: Some(MachineSample { mem, processes: 2, ..MachineSample::default() }),
        zones: vec![zone],
        owners: vec![],
        cgroups: vec![
            cgroup("/system.slice/nginx.service", mib, Some(Limit::At(Bytes::from_mib(512)))),
            cgroup("/batch", 2 * mib, Some(Limit::Unlimited)),
        ],
        processes: vec![
            process(20, "leaker", Some("/system.slice/nginx.service"), mib),
            process(10, "calm", Some("/batch"), 50),
        ],
    }
}

/// A close-up of the leaking process and its cgroup.
pub(crate) fn close_up(ms: i64) -> Frame {
    let mut frame = frame(ms);
    frame.scope = Scope::CloseUp;
    frame.machine = None;
    frame.zones.clear();
    frame.cgroups.truncate(1);
    frame.processes.truncate(1);
    frame
}

pub(crate) fn death(key: &str, ms: i64, pid: u32) -> Event {
    let text = format!("Memory cgroup out of memory: Killed process {pid} (leaker)");
    let boot_at = stamp(ms).boot;
    let line = RecordedLine { seq: Some(77), boot: Some(boot_at), wall: Some(at(ms)), text };
    let known = Whereabouts {
        key: ProcKey { pid: Pid::new(pid), start: StartTicks::new(5) },
        cgroup: Some(CgroupPath::new(b"/batch")),
        limited_by: Some(CgroupPath::new(b"/batch")),
        limit: Some(Limit::At(Bytes::from_mib(64))),
        usage: Some(Bytes::from_mib(63)),
        at: at(ms - 250),
    };
    let death = Death {
        pid: Pid::new(pid),
        comm: "leaker".into(),
        lines: vec![line],
        kill_line: 0,
        known: Some(known),
    };
    let (wall, what) = (at(ms), Happening::Death(death));
    Event { wall, boot: Some(boot_at), boot_id: boot(), key: key.into(), what }
}

/// What `matchers` (name, value) select in a range of milliseconds after [`T0`].
pub(crate) fn select(
    reader: &Reader,
    metric: &str,
    matchers: &[(&str, &str)],
    range: (i64, i64),
    step_ms: Option<u64>,
) -> Vec<Series> {
    let mut all = vec![Matcher::is(NAME, metric)];
    all.extend(matchers.iter().map(|(name, value)| Matcher::is(name, value)));
    let (from, to) = (at(range.0), at(range.1));
    let step = step_ms.map(Duration::from_millis);
    reader.select(&Selection { matchers: all, from, to, step, ends: false }).unwrap()
}

/// The points of a series: milliseconds after [`T0`] and value.
pub(crate) fn points(series: &Series) -> Vec<(i64, f64)> {
    series.points.iter().map(|point| (point.at.millis() - T0, point.value)).collect()
}

/// Copies the history as it lies on the disk, lock file and all: what a crash leaves.
pub(crate) fn copy(from: &Path, to: &Path) {
    for entry in from.read_dir().unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}
