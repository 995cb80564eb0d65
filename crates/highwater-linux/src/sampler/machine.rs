//! The machine as a whole: meminfo, vmstat, pressure, zones.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use highwater_core::frame::{MachineSample, Pressure, ZoneSample};

use super::kept::{Budget, Kept, read_pieces_once};
use crate::facts::HostFacts;
use crate::parse::{meminfo, pressure, vmstat, zoneinfo};
use crate::root::Root;

/// The files that are read every tick, relative to `/proc`.
const FILES: usize = 5;

/// The machine's own files, kept open.
#[derive(Debug)]
pub(super) struct Machine {
    proc: OwnedFd,
    kept: [Kept; FILES],
    budget: Budget,
}

impl Machine {
    pub(super) fn open(root: &Root) -> io::Result<Self> {
        let (proc, kept) = (root.open("proc")?, Default::default());
        Ok(Self { proc, kept, budget: Budget::new(FILES) })
    }

    /// What cannot be read stays unknown.
    pub(super) fn read(&mut self, buffer: &mut Vec<u8>) -> MachineSample {
        let mut sample = MachineSample::default();
        let proc = self.proc.as_fd();
        let budget = &mut self.budget;
        let [mem, vm, memory, cpu, io] = &mut self.kept;
        if let Ok(bytes) = mem.read(proc, || "meminfo", budget, buffer) {
            meminfo::parse(bytes, &mut sample.mem);
        }
        if let Ok(bytes) = vm.read_pieces(proc, || "vmstat", budget, buffer) {
            vmstat::parse(bytes, &mut sample.vm);
        }
        let mut pressure = |kept: &mut Kept, path: &'static str| -> Option<Pressure> {
            Some(pressure::parse(kept.read(proc, || path, budget, buffer).ok()?))
        };
        sample.memory_pressure = pressure(memory, "pressure/memory");
        sample.cpu_pressure = pressure(cpu, "pressure/cpu");
        sample.io_pressure = pressure(io, "pressure/io");
        sample
    }

    pub(super) fn read_zones(
        &self,
        facts: &HostFacts,
        buffer: &mut Vec<u8>,
        zones: &mut Vec<ZoneSample>,
    ) {
        if let Ok(bytes) = read_pieces_once(self.proc.as_fd(), "zoneinfo", buffer) {
            zoneinfo::parse(bytes, facts.page_size, zones);
        }
    }
}
