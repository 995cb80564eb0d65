//! Samples for the tests of this crate.

use highwater_core::frame::{ProcSample, SlowReadings};
use highwater_core::id::{Comm, Pid, ProcKey, StartTicks};
use highwater_core::units::Bytes;

/// A process with so much anonymous memory, all of it in RAM, that began with the machine.
pub(crate) fn process(pid: u32, anon_mib: u64) -> ProcSample {
    ProcSample {
        key: ProcKey { pid: Pid::new(pid), start: StartTicks::new(0) },
        comm: Comm::new(b"x"),
        cgroup: None,
        parent: Pid::new(1),
        state: b'S',
        threads: 1,
        cpu_us: 0,
        major_faults: 0,
        virtual_size: Bytes::ZERO,
        resident: Bytes::from_mib(anon_mib),
        resident_shared: Bytes::ZERO,
        children: None,
        zombie_children: None,
        slow: SlowReadings::default(),
    }
}
