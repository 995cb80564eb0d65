//! A machine that never was: some 2,000 series that move as those of real machines do, for as many
//! days as are wanted.

use highwater_core::frame::{
    CgroupMemory, CgroupSample, CgroupVersion, Frame, MachineSample, ProcSample,
};
use highwater_core::id::{CgroupPath, Comm, Pid, ProcKey, StartTicks};
use highwater_core::metric::{self, MetricKind};
use highwater_core::time::{BootTime, Stamp, WallTime};
use highwater_core::units::Bytes;
use highwater_store::Facts;

use super::chance::Chance;
use super::feed;
use super::fields::{self, Field, count};
use super::frames::process;

/// When it is read.
#[derive(Clone, Copy, Debug)]
pub(in crate::bench) struct Beat {
    pub(in crate::bench) first_ms: i64,
    pub(in crate::bench) every_ms: i64,
}

/// Processes, of 15 series each; cgroups make up the rest.
const PROCESSES: u32 = 30;

/// A page.
const PAGE: f64 = 4096.0;

/// The machine.
pub(super) struct Machine {
    pub(super) frame: Frame,
    beat: Beat,
    cells: Vec<Cell>,
    chance: Chance,
}

/// One number.
struct Cell {
    field: Field,
    /// Which cgroup or process.
    place: usize,
    value: f64,
    habit: Habit,
}

/// How a number moves.
#[derive(Clone, Copy)]
enum Habit {
    /// Never.
    Still,
    /// In one of so many readings, by up to so many units either way.
    Walks { one_in: u64, by: f64, unit: f64 },
    /// In one of so many readings, by up to so many units upwards.
    Counts { one_in: u64, by: f64, unit: f64 },
}

impl Machine {
    /// With at least `series` series.
    pub(super) fn new(series: u64, beat: Beat) -> Self {
        let (frame, chance) = (Frame::default(), Chance::new(11));
        let mut machine = Self { frame, beat, cells: Vec::new(), chance };
        machine.frame.machine = Some(MachineSample::default());
        for column in metric::machine() {
            machine.cell(column.name, column.kind, 0);
        }
        for at in 0..PROCESSES {
            let place = machine.frame.processes.len();
            machine.frame.processes.push(member(at));
            for column in metric::PROCESS {
                machine.cell(column.name, column.kind, place);
            }
        }
        while machine.series() < series {
            let place = machine.frame.cgroups.len();
            let path = CgroupPath::new(format!("/system.slice/bench-{place}.service").as_bytes());
            let (version, memory) = (CgroupVersion::V2, CgroupMemory::default());
            machine.frame.cgroups.push(CgroupSample { path, version, memory });
            for column in metric::CGROUP {
                machine.cell(column.name, column.kind, place);
            }
            machine.tell();
        }
        machine
    }

    /// How many series there are.
    pub(super) fn series(&self) -> u64 {
        feed::numbers(&self.frame, &metric::machine()).iter().sum()
    }

    /// Goes on to reading number `at`.
    pub(super) fn step(&mut self, at: i64) {
        let ms = at.saturating_mul(self.beat.every_ms);
        let boot = u64::try_from(ms).unwrap_or(0).saturating_mul(1000);
        // A few milliseconds late, now and then.
        let late = i64::try_from(self.chance.below(4)).unwrap_or(0) / 3;
        let wall =
            WallTime::from_millis(self.beat.first_ms.saturating_add(ms).saturating_add(late));
        self.frame.stamp = Stamp { wall, boot: BootTime::from_micros(boot) };
        for cell in &mut self.cells {
            if cell.habit.moves(&mut cell.value, &mut self.chance) {
                cell.tell(&mut self.frame);
            }
        }
    }

    fn cell(&mut self, name: &str, kind: MetricKind, place: usize) {
        let Some(field) = fields::named(name) else { return };
        let size = name.ends_with("_bytes") || name.starts_with("container_memory");
        let unit = if name.contains("seconds") { 1e-2 } else { 1.0 };
        let kinds = self.chance.below(20);
        let habit = match (kind, kinds) {
            // A third of all series stands still, as measured on real machines.
            (_, 0..7) => Habit::Still,
            (MetricKind::Counter, 7..14) => Habit::Counts { one_in: 20, by: 5.0, unit },
            (MetricKind::Counter, _) => Habit::Counts { one_in: 1, by: 400.0, unit },
            (MetricKind::Gauge, 7..13) if size => Habit::Walks { one_in: 30, by: 8.0, unit: PAGE },
            (MetricKind::Gauge, 13..18) if size => Habit::Walks { one_in: 4, by: 60.0, unit: PAGE },
            (MetricKind::Gauge, _) if size => Habit::Walks { one_in: 1, by: 900.0, unit: PAGE },
            (MetricKind::Gauge, _) => Habit::Walks { one_in: 10, by: 2.0, unit: 1.0 },
        };
        let most = if size { 1 << 18 } else { 200 };
        let unit = if size { PAGE } else { 1.0 };
        let value = Bytes::new(self.chance.below(most)).as_f64() * unit;
        let cell = Cell { field, place, value, habit };
        cell.tell(&mut self.frame);
        self.cells.push(cell);
    }

    /// Tells everything once: what is worked out of others depends on all of them.
    fn tell(&mut self) {
        for cell in &self.cells {
            cell.tell(&mut self.frame);
        }
    }
}

impl Habit {
    /// Moves `value`; whether it did.
    fn moves(self, value: &mut f64, chance: &mut Chance) -> bool {
        match self {
            Self::Still => false,
            Self::Walks { one_in, by, unit } => {
                let moves = one_in == 1 || chance.below(one_in) == 0;
                if moves {
                    *value = (*value + (2.0 * by * chance.half()).round() * unit).abs();
                }
                moves
            }
            Self::Counts { one_in, by, unit } => {
                let moves = one_in == 1 || chance.below(one_in) == 0;
                if moves {
                    let more = (by * (chance.half() + 0.5)).round() * unit;
                    *value = ((*value + more) * 100.0).round() / 100.0;
                }
                moves
            }
        }
    }
}

impl Cell {
    fn tell(&self, frame: &mut Frame) {
        let value = self.value;
        match self.field {
            Field::Zone(_) => {}
            Field::Cgroup(set) => {
                if let Some(cgroup) = frame.cgroups.get_mut(self.place) {
                    set(&mut cgroup.memory, value);
                }
            }
            Field::Process(set) => {
                if let Some(process) = frame.processes.get_mut(self.place) {
                    set(process, value);
                }
            }
            Field::Machine(set) => {
                if let Some(machine) = &mut frame.machine {
                    set(machine, value);
                }
            }
            Field::Mem(key) => {
                if let Some(machine) = &mut frame.machine {
                    machine.mem.set(key.as_bytes(), Bytes::from_f64(value));
                }
            }
            Field::Vm(key) => {
                if let Some(machine) = &mut frame.machine {
                    machine.vm.set(key.as_bytes(), count(value));
                }
            }
        }
    }
}

fn member(at: u32) -> ProcSample {
    let mut member = process(&Facts::default());
    member.key = ProcKey { pid: Pid::new(1000 + at), start: StartTicks::new(500) };
    member.comm = Comm::new(b"bench");
    member.cgroup = Some(CgroupPath::new(b"/system.slice/bench.service"));
    member
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_has_as_many_series_as_wanted_and_they_move() {
        let beat = Beat { first_ms: 1_735_689_600_000, every_ms: 15_000 };
        let mut machine = Machine::new(2000, beat);
        let series = machine.series();
        assert!((2000..2060).contains(&series), "{series}");
        machine.step(0);
        let before = machine.frame.cgroups.clone();
        machine.step(1);
        assert_ne!(machine.frame.cgroups, before);
        assert_eq!(machine.series(), series);
        let moment = machine.frame.stamp.wall.millis() - beat.first_ms - beat.every_ms;
        assert!((0..3).contains(&moment), "{moment}");
    }
}
