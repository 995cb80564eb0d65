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

/// How long the dead are remembered: a kill line arrives within a second, a busy machine's within
/// a few; a kernel log that is read again after a restart is joined from the store instead.
const REMEMBERED: Duration = Duration::from_mins(10);

#[derive(Debug)]
struct Seen {
    key: ProcKey,
    cgroup: Option<CgroupPath>,
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
#[derive(Debug, Default)]
pub(crate) struct Known {
    processes: HashMap<Pid, Seen>,
    cgroups: HashMap<CgroupPath, Bounds>,
}

impl Known {
    /// Takes in what `frame` saw.
    pub(crate) fn learn(&mut self, frame: &Frame) {
        let (wall, boot) = (frame.stamp.wall, frame.stamp.boot);
        for process in &frame.processes {
            let cgroup = process.cgroup.clone();
            let seen = Seen { key: process.key, cgroup, wall, boot };
            self.processes.insert(process.key.pid, seen);
        }
        for cgroup in &frame.cgroups {
            let bounds = Bounds { limit: cgroup.memory.limit, usage: cgroup.memory.usage, boot };
            self.cgroups.insert(cgroup.path.clone(), bounds);
        }
        if frame.scope == Scope::Whole {
            self.processes.retain(|_, seen| boot.since(seen.boot) < REMEMBERED);
            self.cgroups.retain(|_, bounds| boot.since(bounds.boot) < REMEMBERED);
        }
    }

    /// Where `pid` was, and which limit held it.
    pub(crate) fn whereabouts(&self, pid: Pid) -> Option<Whereabouts> {
        let seen = self.processes.get(&pid)?;
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
            slow: highwater_core::frame::SlowReadings::default(),
        }
    }

    fn frame(seconds: u64) -> Frame {
        let boot = BootTime::from_micros(seconds * 1_000_000);
        Frame { stamp: Stamp { wall: WallTime::default(), boot }, ..Frame::default() }
    }

    #[test]
    fn the_nearest_limit_upwards_is_found_after_death() {
        let mut known = Known::default();
        let mut alive = frame(1);
        alive.processes.push(process(41, "/a/b/c"));
        alive.cgroups.push(cgroup("/a", Limit::At(Bytes::from_mib(64))));
        alive.cgroups.push(cgroup("/a/b/c", Limit::Unlimited));
        known.learn(&alive);
        known.learn(&frame(6));
        let found = known.whereabouts(Pid::new(41)).unwrap();
        assert_eq!(found.limited_by, Some(CgroupPath::new(b"/a")));
        assert_eq!(found.limit, Some(Limit::At(Bytes::from_mib(64))));
        known.learn(&frame(700));
        assert_eq!(known.whereabouts(Pid::new(41)), None);
    }
}
