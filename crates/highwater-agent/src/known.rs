//! Who was where when last seen, so that a kill line that names only a pid can be joined with a
//! cgroup and its limit.

use std::collections::HashMap;
use std::time::Duration;

use highwater_core::event::Whereabouts;
use highwater_core::frame::{Frame, Scope};
use highwater_core::id::{CgroupPath, Pid, ProcKey};
use highwater_core::limit::Limit;
use highwater_core::time::{BootTime, WallTime};
use highwater_core::units::Bytes;

/// How far a sighting and a death may be apart. Pids come round again: what was seen long before
/// or after the kill may be somebody else, and the recorded series tell better.
const NEAR: Duration = Duration::from_mins(1);

#[derive(Debug)]
struct Seen {
    key: ProcKey,
    cgroup: Option<CgroupPath>,
    started: BootTime,
    wall: WallTime,
    boot: BootTime,
}

#[derive(Debug)]
struct Bounds {
    limit: Option<Limit>,
    usage: Option<Bytes>,
    boot: BootTime,
}

/// The processes and cgroups of the last minutes.
#[derive(Debug)]
pub(crate) struct Known {
    us_per_tick: u64,
    processes: HashMap<Pid, Seen>,
    cgroups: HashMap<CgroupPath, Bounds>,
}

impl Known {
    /// On a machine with so many clock ticks in a second.
    pub(crate) fn new(ticks_per_second: u64) -> Self {
        let us_per_tick = 1_000_000 / ticks_per_second.max(1);
        Self { us_per_tick, processes: HashMap::new(), cgroups: HashMap::new() }
    }

    /// Takes in what `frame` saw.
    pub(crate) fn learn(&mut self, frame: &Frame) {
        let (wall, boot) = (frame.stamp.wall, frame.stamp.boot);
        for process in &frame.processes {
            let cgroup = process.cgroup.clone();
            let started = process.key.start.get().saturating_mul(self.us_per_tick);
            let started = BootTime::from_micros(started);
            let seen = Seen { key: process.key, cgroup, started, wall, boot };
            self.processes.insert(process.key.pid, seen);
        }
        for cgroup in &frame.cgroups {
            let bounds = Bounds { limit: cgroup.memory.limit, usage: cgroup.memory.usage, boot };
            self.cgroups.insert(cgroup.path.clone(), bounds);
        }
        if frame.scope == Scope::Whole {
            self.processes.retain(|_, seen| boot.since(seen.boot) < NEAR);
            self.cgroups.retain(|_, bounds| boot.since(bounds.boot) < NEAR);
        }
    }

    /// Where `pid` was when it was killed at `killed`, and which limit held it.
    pub(crate) fn whereabouts(&self, pid: Pid, killed: WallTime) -> Option<Whereabouts> {
        let seen = self.processes.get(&pid)?;
        let started = seen.wall.before(seen.boot.since(seen.started));
        let apart = killed.since(seen.wall).max(seen.wall.since(killed));
        if apart > NEAR || started > killed {
            return None;
        }
        let limited = seen.cgroup.as_ref().and_then(|path| self.limit_above(path));
        Some(Whereabouts {
            key: seen.key,
            cgroup: seen.cgroup.clone(),
            limited_by: limited.map(|(path, _)| path.clone()),
            limit: limited.and_then(|(_, bounds)| bounds.limit),
            usage: limited.and_then(|(_, bounds)| bounds.usage),
            at: seen.wall,
        })
    }

    /// The nearest cgroup from `path` up that has a limit.
    fn limit_above(&self, path: &CgroupPath) -> Option<(&CgroupPath, &Bounds)> {
        let mut at = path.clone();
        loop {
            match self.cgroups.get_key_value(&at) {
                Some((path, bounds)) if matches!(bounds.limit, Some(Limit::At(_))) => {
                    return Some((path, bounds));
                }
                _ => at = CgroupPath::new(at.parent()?.as_bytes()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use highwater_core::frame::{CgroupMemory, CgroupSample, CgroupVersion, ProcSample};
    use highwater_core::id::{Comm, StartTicks};
    use highwater_core::time::Stamp;

    fn cgroup(path: &str, limit: Limit) -> CgroupSample {
        let memory = CgroupMemory {
            limit: Some(limit),
            usage: Some(Bytes::from_mib(63)),
            ..CgroupMemory::default()
        };
        CgroupSample { path: CgroupPath::new(path.as_bytes()), version: CgroupVersion::V1, memory }
    }

    fn process(pid: u32, path: &str) -> ProcSample {
        ProcSample {
            key: ProcKey { pid: Pid::new(pid), start: StartTicks::new(7) },
            comm: Comm::new(b"leak"),
            cgroup: Some(CgroupPath::new(path.as_bytes())),
            parent: Pid::new(1),
            state: b'S',
            threads: 1,
            cpu_us: 0,
            major_faults: 0,
            virtual_size: Bytes::ZERO,
            resident: Bytes::ZERO,
            resident_shared: Bytes::ZERO,
            children: None,
            zombie_children: None,
            slow: highwater_core::frame::SlowReadings::default(),
        }
    }

    fn frame(seconds: u64) -> Frame {
        let boot = BootTime::from_micros(seconds * 1_000_000);
        let wall = WallTime::from_millis((seconds * 1000).try_into().unwrap());
        Frame { stamp: Stamp { wall, boot }, ..Frame::default() }
    }

    /// The pid of a process that died long ago, or before this one was born, is not its own.
    #[test]
    fn a_stranger_with_the_same_pid_is_not_taken() {
        let mut known = Known::new(100);
        let mut alive = frame(100);
        let mut young = process(41, "/a");
        young.key.start = StartTicks::new(9_000);
        alive.processes.push(young);
        known.learn(&alive);
        let found = |second: i64| {
            known.whereabouts(Pid::new(41), WallTime::from_millis(second * 1000)).is_some()
        };
        assert!(!found(20), "long before it was seen");
        assert!(!found(89), "it started at 90 s");
        assert!(found(91) && found(101));
        assert!(!found(200), "long after it was seen");
    }

    #[test]
    fn the_nearest_limit_upwards_is_found_after_death() {
        let mut known = Known::new(100);
        let mut alive = frame(1);
        alive.processes.push(process(41, "/a/b/c"));
        alive.cgroups.push(cgroup("/a", Limit::At(Bytes::from_mib(64))));
        alive.cgroups.push(cgroup("/a/b/c", Limit::Unlimited));
        known.learn(&alive);
        known.learn(&frame(6));
        let killed = WallTime::from_millis(3_000);
        let found = known.whereabouts(Pid::new(41), killed).unwrap();
        assert_eq!(found.limited_by, Some(CgroupPath::new(b"/a")));
        assert_eq!(found.limit, Some(Limit::At(Bytes::from_mib(64))));
        known.learn(&frame(700));
        assert_eq!(known.whereabouts(Pid::new(41), killed), None);
    }
}
