//! A machine that lives by a seed: what happens next, and what its readings are.

use highwater_core::event::{Event, Happening};
use highwater_core::frame::{Frame, MachineSample, MemInfo, ProcSample, Scope, VmStat};
use highwater_core::owner::Owner;
use highwater_core::series::Labels;
use highwater_core::sum::{OwnerSample, OwnerSum};
use highwater_core::thing::{Metric, Survey, Thing};
use highwater_core::time::{BootId, BootTime, Stamp, WallTime};
use highwater_core::units::Bytes;

use crate::dice::Dice;
use crate::frames::{T0, cgroup, process};

/// What happens next.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Append(Box<Frame>),
    Survey(Survey),
    Record(Vec<Event>),
    Maintain {
        until_done: bool,
    },
    Reopen,
    /// The recorder dies: after the step before, or in the middle of the next one.
    Crash {
        inside: bool,
    },
}

static ROOM: Metric = Metric::gauge("highwater_model_room_bytes", "A gauge of a thing.");
static TURNS: Metric = Metric::counter("highwater_model_turns_total", "A counter of a thing.");

/// How many processes, cgroups and things there are at most.
const PROCESSES: usize = 6;
const CGROUPS: [&str; 4] = ["/a", "/b", "/c", "/d"];
const THINGS: [&str; 3] = ["one", "two", "three"];

/// From tick to tick, in microseconds, in the manners in which time goes by.
const PACES: [(i64, i64); 4] = [
    (4_990_000, 5_010_000),
    (240_000, 260_000),
    (20_000_000, 90_000_000),
    (120_000_000, 400_000_000),
];

/// A machine.
#[derive(Debug)]
pub(super) struct World {
    dice: Dice,
    boots: u64,
    boot_us: i64,
    /// Wall clock minus boot clock.
    skew_ms: i64,
    pace: (i64, i64),
    processes: Vec<Option<ProcSample>>,
    cgroups: [Option<u64>; 4],
    faults: u64,
    turns: [u64; 3],
    events: u64,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut world = Self {
            dice: Dice::of(seed),
            boots: 1,
            boot_us: 50_000_000,
            skew_ms: T0 - 50_000,
            pace: PACES[0],
            processes: vec![None; PROCESSES],
            cgroups: [Some(1), None, None, None],
            faults: 7,
            turns: [0; 3],
            events: 0,
        };
        world.processes[0] = Some(process(1, "init", None, 9));
        world
    }

    pub(super) fn boot(&self) -> BootId {
        format!("{:032x}", self.boots).parse().unwrap()
    }

    pub(super) fn now(&self) -> Stamp {
        let wall = WallTime::from_millis(self.boot_us / 1000 + self.skew_ms);
        Stamp { wall, boot: BootTime::from_micros(u64::try_from(self.boot_us).unwrap()) }
    }

    pub(super) fn next(&mut self) -> Step {
        match self.dice.below(1000) {
            0..620 => self.append(Scope::Whole),
            620..720 => self.append(Scope::CloseUp),
            720..780 => Step::Survey(self.survey()),
            780..810 => Step::Record(self.events()),
            810..970 => Step::Maintain { until_done: false },
            970..980 => Step::Maintain { until_done: true },
            980..987 => Step::Reopen,
            987..990 => Step::Crash { inside: false },
            990..994 => Step::Crash { inside: true },
            _ => {
                self.upset_the_clock();
                self.append(Scope::Whole)
            }
        }
    }

    /// The clock is set, the machine sleeps or boots anew.
    fn upset_the_clock(&mut self) {
        const HOUR: i64 = 3_600_000;
        let (minutes, hours) = (self.dice.between(1, 59), self.dice.between(1, 30));
        match self.dice.below(8) {
            0 => self.skew_ms += minutes * 60_000,
            1 => self.skew_ms -= minutes * 60_000,
            2 => self.skew_ms -= 1000,
            3 => self.skew_ms += hours * HOUR,
            4 => self.skew_ms -= hours * HOUR,
            5 => self.boot_us += hours * HOUR * 1000,
            // A boot whose clock goes on where the last one's was, or lags behind it.
            _ => {
                let gone = if self.dice.permille(700) { minutes * 60_000 } else { -hours * HOUR };
                let wall = self.boot_us / 1000 + self.skew_ms + gone;
                self.boots += 1;
                self.boot_us = self.dice.between(1_000_000, 90_000_000);
                self.skew_ms = wall - self.boot_us / 1000;
                self.faults = self.dice.below(100);
                self.processes.iter_mut().skip(1).for_each(|slot| *slot = None);
            }
        }
    }

    fn pass_time(&mut self) {
        if self.dice.permille(10) {
            self.pace = PACES[self.dice.place(PACES.len())];
        }
        self.boot_us += self.dice.between(self.pace.0, self.pace.1);
        if self.dice.permille(2) {
            // The recorder was away.
            self.boot_us += self.dice.between(1, 10) * 3_600_000_000;
        }
        // The clock is slewed.
        self.skew_ms += self.dice.between(-1, 1);
    }

    fn append(&mut self, scope: Scope) -> Step {
        self.pass_time();
        self.live();
        let mut frame = Frame { stamp: self.now(), scope, ..Frame::default() };
        let cgroups = self.cgroups.iter().zip(CGROUPS);
        frame.cgroups = cgroups
            .filter_map(|(hits, path)| {
                let mut sample = cgroup(path, (*hits)? % 977, None);
                sample.memory.limit_hits = *hits;
                Some(sample)
            })
            .collect();
        frame.processes = self.processes.iter().flatten().cloned().collect();
        if scope == Scope::CloseUp {
            // Of what there is, some.
            frame.cgroups.retain(|_| self.dice.permille(400));
            frame.processes.retain(|_| self.dice.permille(400));
            return Step::Append(Box::new(frame));
        }
        let mem_free = Some(Bytes::from_kib(self.dice.below(1 << 22)));
        let (mem, vm) = (
            MemInfo { mem_free, ..MemInfo::default() },
            VmStat { pgfault: Some(self.faults), ..VmStat::default() },
        );
        frame.machine = Some(MachineSample { mem, vm, ..MachineSample::default() });
        let sum = frame.processes.iter().map(OwnerSum::of).reduce(OwnerSum::plus);
        frame.owners = sum
            .map(|sum| OwnerSample { owner: Some(Owner::Cgroup("/a".to_owned())), sum })
            .into_iter()
            .collect();
        Step::Append(Box::new(frame))
    }

    /// Processes are born, grow, rename themselves, move and die; cgroups come and go.
    fn live(&mut self) {
        let dice = &mut self.dice;
        self.faults += dice.below(1000);
        for (slot, process) in self.processes.iter_mut().enumerate() {
            let Some(alive) = process else {
                if dice.permille(30) {
                    // Nobody else has this pid now; somebody may have had it before.
                    let pid =
                        u32::try_from(slot).unwrap() * 10 + u32::try_from(dice.below(4)).unwrap();
                    let mut born = crate::frames::process(pid, "born", None, 1);
                    born.cpu_us = dice.below(1000);
                    *process = Some(born);
                }
                continue;
            };
            alive.resident = Bytes::from_kib(4 * dice.below(1 << 20));
            alive.cpu_us += dice.below(3_000_000);
            match dice.below(1000) {
                0..10 if slot > 0 => *process = None,
                10..15 => {
                    let comm = ["node", "java", "postgres"][dice.place(3)];
                    alive.comm = highwater_core::id::Comm::new(comm.as_bytes());
                }
                15..20 => {
                    let path = CGROUPS[dice.place(CGROUPS.len())].as_bytes();
                    alive.cgroup = Some(highwater_core::id::CgroupPath::new(path));
                }
                _ => {}
            }
        }
        for (place, hits) in self.cgroups.iter_mut().enumerate() {
            match (dice.below(1000), &hits) {
                // One stays: where there is none at all, nobody can tell that they were looked for.
                (0..10, _) if place > 0 => *hits = None,
                // Made anew, its counters begin anew.
                (10..40, None) => *hits = Some(dice.below(50)),
                (_, Some(_)) => *hits = hits.map(|hits| hits + dice.below(40)),
                _ => {}
            }
        }
    }

    fn survey(&mut self) -> Survey {
        self.boot_us += self.dice.between(1000, 90_000);
        let mut things = vec![];
        for (place, name) in THINGS.iter().enumerate() {
            if self.dice.permille(250) {
                continue;
            }
            self.turns[place] += self.dice.below(9);
            let labels = Labels::new([("name", *name)]);
            let turns = Bytes::new(self.turns[place]).as_f64();
            things.push(Thing { metric: &TURNS, labels: labels.clone(), value: turns });
            let room = Bytes::new(self.dice.roll()).as_f64() / 3.0;
            things.push(Thing { metric: &ROOM, labels, value: room });
        }
        Survey { stamp: self.now(), things }
    }

    fn events(&mut self) -> Vec<Event> {
        let now = self.now();
        let count = self.dice.below(3) + 1;
        (0..count)
            .map(|_| {
                // One in five was told before.
                self.events += u64::from(self.dice.permille(800));
                let key = format!("model:{}", self.events);
                let note = format!("event {}", self.events);
                let what = Happening::Recorder { what: "noted".to_owned(), note };
                Event { wall: now.wall, boot: Some(now.boot), boot_id: self.boot(), key, what }
            })
            .collect()
    }
}
