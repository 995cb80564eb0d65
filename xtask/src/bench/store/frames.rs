//! Frames out of readings: each number goes back into the field that it was read from.

use std::collections::{BTreeMap, HashMap};

use highwater_core::frame::{
    CgroupMemory, CgroupSample, CgroupVersion, Frame, MachineSample, MemInfo, ProcSample,
    SlowReadings, VmStat, ZoneSample,
};
use highwater_core::id::{Comm, Pid, ProcKey, StartTicks};
use highwater_core::owner::Owner;
use highwater_core::sum::{OwnerSample, OwnerSum};
use highwater_core::units::Bytes;
use highwater_store::Facts;

use super::fields::{self, Field, count};
use super::recording::{Block, Metric, Reading};

/// Makes frames of the readings of one recording.
pub(super) struct Assembler {
    fields: HashMap<u32, Field>,
}

impl Assembler {
    /// For a recording with these metrics. A number that is worked out of others has no field: it
    /// comes back by itself.
    pub(super) fn new(metrics: &HashMap<u32, Metric>) -> Self {
        let field = |(id, metric): (&u32, &Metric)| Some((*id, fields::named(&metric.name)?));
        Self { fields: metrics.iter().filter_map(field).collect() }
    }

    /// The frame of a reading; `who` knows what each number is about.
    pub(super) fn frame(&self, reading: &Reading, who: &HashMap<u64, Facts>) -> Frame {
        let machine = self.fill(reading.machine(), |_| Some(MachineSample::default()), set_machine);
        let zones = self.fill(
            reading.zones(),
            |id| who.get(&id).map(zone),
            |zone, field, value| {
                if let Field::Zone(set) = field {
                    set(zone, value);
                }
            },
        );
        let cgroups = self.fill(
            reading.cgroups(),
            |id| who.get(&id).and_then(cgroup),
            |cgroup, field, value| {
                if let Field::Cgroup(set) = field {
                    set(&mut cgroup.memory, value);
                }
            },
        );
        let processes = self.fill(
            reading.processes(),
            |id| who.get(&id).map(process),
            |process, field, value| {
                if let Field::Process(set) = field {
                    set(process, value);
                }
            },
        );
        let machine = machine.into_iter().next();
        let (stamp, scope) = (reading.stamp, reading.scope);
        Frame { stamp, scope, machine, zones, cgroups, owners: owners(&processes), processes }
    }

    /// One sample for each entity of a block, filled column by column.
    fn fill<S>(
        &self,
        block: &Block,
        blank: impl FnMut(u64) -> Option<S>,
        set: impl Fn(&mut S, &Field, f64),
    ) -> Vec<S> {
        let mut samples: Vec<Option<S>> = block.ids.iter().copied().map(blank).collect();
        for column in &block.columns {
            let Some(field) = self.fields.get(&column.metric) else { continue };
            for (sample, value) in samples.iter_mut().zip(&column.values) {
                if let (Some(sample), Some(value)) = (sample, value) {
                    set(sample, field, *value);
                }
            }
        }
        samples.into_iter().flatten().collect()
    }
}

fn set_machine(machine: &mut MachineSample, field: &Field, value: f64) {
    match field {
        Field::Machine(set) => set(machine, value),
        Field::Mem(key) => {
            machine.mem.set(key.as_bytes(), Bytes::from_f64(value));
        }
        Field::Vm(key) => {
            machine.vm.set(key.as_bytes(), count(value));
        }
        Field::Zone(_) | Field::Cgroup(_) | Field::Process(_) => {}
    }
}

/// What the processes on record have together, by owner.
fn owners(processes: &[ProcSample]) -> Vec<OwnerSample> {
    let mut sums: BTreeMap<Option<Owner>, OwnerSum> = BTreeMap::new();
    for process in processes {
        let owner = process.cgroup.as_ref().map(|path| Owner::of_path(path.as_str()));
        let sum = sums.entry(owner).or_default();
        *sum = sum.plus(OwnerSum::of(process));
    }
    sums.into_iter().map(|(owner, sum)| OwnerSample { owner, sum }).collect()
}

fn zone(facts: &Facts) -> ZoneSample {
    let zone = Comm::new(facts.zone.as_deref().unwrap_or_default().as_bytes());
    ZoneSample { node: facts.node.unwrap_or(0), zone, ..ZoneSample::default() }
}

fn cgroup(facts: &Facts) -> Option<CgroupSample> {
    let path = facts.id.clone()?;
    Some(CgroupSample { path, version: CgroupVersion::V2, memory: CgroupMemory::default() })
}

/// A process with nothing known but who it is.
pub(super) fn process(facts: &Facts) -> ProcSample {
    ProcSample {
        key: ProcKey {
            pid: Pid::new(facts.pid.unwrap_or(0)),
            start: StartTicks::new(facts.start.unwrap_or(0)),
        },
        comm: Comm::new(facts.comm.as_deref().unwrap_or_default().as_bytes()),
        cgroup: facts.id.clone(),
        parent: Pid::new(1),
        state: b'S',
        threads: 0,
        cpu_us: 0,
        major_faults: 0,
        virtual_size: Bytes::ZERO,
        resident: Bytes::ZERO,
        resident_shared: Bytes::ZERO,
        children: None,
        zombie_children: None,
        slow: SlowReadings::default(),
    }
}

/// The names of meminfo and vmstat in the catalogue are not those of the kernel.
pub(super) fn kernel_key(name: &str) -> Option<Field> {
    let mem = MemInfo::KEYS.iter().find(|key| key.metric == name);
    let vm = || VmStat::KEYS.iter().find(|key| key.metric == name);
    mem.map(|key| Field::Mem(key.key)).or_else(|| Some(Field::Vm(vm()?.key)))
}
