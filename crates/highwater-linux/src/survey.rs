//! The survey: what changes slowly or costs much, read rarely, in a thread of its own.
//!
//! ```text
//!   round(stamp, candidates) ──► parts that are due ──► their readings, kept
//!                                parts that are not ──► their last readings, again
//!                                                            └──► one Survey: the whole picture
//! ```
//!
//! Every round gives the whole picture, so that a series ends when its thing is gone and not when
//! it was not its part's turn. A part that costs more than its share is read less often by itself;
//! the mappings of processes have an allowance that they save up. Nothing here waits for another
//! machine or program, and nothing here reads a clock.

mod allowance;
mod descriptors;
mod disks;
mod docker;
mod kernel;
mod logs;
mod mappings;
mod mounts;
mod pages;
mod part;
mod process;
mod reading;
mod slabs;

use std::time::Duration;

use highwater_core::thing::Survey;
use highwater_core::time::{BootTime, Stamp};
use highwater_core::units::PageSize;

use crate::facts::HostFacts;
use crate::root::Root;
use reading::{Reading, Sight};

pub use part::{Cadences, Candidate, Part, SurveyConfig};

/// However dear a part is, it is read this often: a series that is older says nothing of today.
const STRETCHED_MAX: Duration = Duration::from_mins(30);

/// How soon an answer that is awaited is looked for.
const GLANCE: Duration = Duration::from_secs(5);

/// The room for files that is kept from round to round; only a crowded host needs more.
const BUFFER_BYTES_KEPT: usize = 64 << 10;

/// The smallest cadence: what is asked for is not always meant.
const CADENCE_MIN: Duration = Duration::from_secs(1);

/// Reads the slow things again and again.
#[derive(Debug)]
pub struct Surveyor {
    root: Root,
    config: SurveyConfig,
    page_size: PageSize,
    slots: Vec<Slot>,
    slower: u32,
    buffer: Vec<u8>,
    slabs: slabs::Slabs,
    logs: logs::Logs,
    mappings: mappings::Mappings,
    docker: docker::Docker,
    blind: Vec<Blind>,
}

/// One part's last reading and its next.
#[derive(Debug)]
struct Slot {
    part: Part,
    due: BootTime,
    paused: bool,
    reading: Reading,
}

/// Something that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blind {
    /// The part that wanted it.
    pub part: Part,
    /// What and why: a lower-case fragment.
    pub why: String,
}

/// What a round cost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Processor time of the whole round.
    pub cpu: Duration,
    /// That of the parts that were read.
    pub parts: Vec<(Part, Duration)>,
    /// How many candidates' mappings were not read because they cost too much for now.
    pub skipped: usize,
}

impl Surveyor {
    /// A surveyor of the machine at `root`. Reads only the machine's facts; every part is due.
    pub fn new(root: &Root, config: SurveyConfig) -> Self {
        let slot = |part| Slot {
            part,
            due: BootTime::default(),
            paused: false,
            reading: Reading::default(),
        };
        Self {
            root: root.clone(),
            page_size: HostFacts::read(root).page_size,
            slots: Part::ALL.map(slot).into(),
            slower: 1,
            buffer: Vec::new(),
            slabs: slabs::Slabs::default(),
            logs: logs::Logs::default(),
            mappings: mappings::Mappings::new(config.mappings_ppm),
            docker: docker::Docker::default(),
            blind: Vec::new(),
            config,
        }
    }

    /// When the next round is due: `now` if one already is.
    pub fn due(&self, now: BootTime) -> BootTime {
        let parts = self.slots.iter().filter(|slot| !slot.paused).map(|slot| slot.due);
        let glance = self.docker.is_waiting().then(|| later(now, GLANCE));
        let first = parts.chain(glance).min().unwrap_or_else(|| later(now, STRETCHED_MAX));
        first.max(now)
    }

    /// Reads what is due, and puts the whole picture into `out`, whose old content goes.
    ///
    /// `candidates` are the processes worth looking into, the most interesting first; `cpu` is
    /// the processor time that this thread has used.
    pub fn round(
        &mut self,
        stamp: Stamp,
        candidates: &[Candidate],
        cpu: &mut dyn FnMut() -> Duration,
        out: &mut Survey,
    ) -> Spent {
        let begin = cpu();
        let mut spent = Spent::default();
        let candidates = candidates.get(..self.config.processes).unwrap_or(candidates);
        let mut slots = std::mem::take(&mut self.slots);
        for slot in &mut slots {
            if !slot.paused && slot.due <= stamp.boot {
                let before = cpu();
                self.read(slot, stamp.boot, candidates, cpu);
                let cost = cpu().saturating_sub(before);
                slot.due = later(stamp.boot, self.pace(slot.part, cost));
                spent.parts.push((slot.part, cost));
            }
            if slot.part == Part::Docker && !slot.paused {
                self.docker.tell(stamp.boot, &mut slot.reading);
            }
        }
        self.slots = slots;
        self.buffer.clear();
        self.buffer.shrink_to(BUFFER_BYTES_KEPT);
        self.give(stamp, candidates, out);
        spent.skipped = self.mappings.unaffordable();
        spent.cpu = cpu().saturating_sub(begin);
        spent
    }

    /// Reads the optional parts `factor` times less often than configured; 1 is as configured.
    pub fn slow_down(&mut self, factor: u32) {
        self.slower = factor.max(1);
    }

    /// Leaves a part out, or takes it up again; while it is left out its things are not told.
    pub fn pause(&mut self, part: Part, paused: bool) {
        for slot in self.slots.iter_mut().filter(|slot| slot.part == part) {
            if slot.paused && !paused {
                slot.due = BootTime::default();
            }
            slot.paused = paused;
            if paused {
                slot.reading.clear();
            }
        }
    }

    /// What could not be read, as of the last round.
    pub fn blindness(&self) -> &[Blind] {
        &self.blind
    }

    fn read(
        &mut self,
        slot: &mut Slot,
        now: BootTime,
        candidates: &[Candidate],
        cpu: &mut dyn FnMut() -> Duration,
    ) {
        let (config, page_size) = (&self.config, self.page_size);
        if slot.part != Part::Docker {
            slot.reading.clear();
        }
        let reading = &mut slot.reading;
        let mut sight = Sight { root: &self.root, buffer: &mut self.buffer, reading };
        let sight = &mut sight;
        match slot.part {
            Part::Kernel => kernel::read(sight, page_size),
            Part::Pages => pages::read(sight),
            Part::Slabs => self.slabs.read(sight, page_size, config.slabs),
            Part::Disks => disks::read(sight, config),
            Part::Logs => self.logs.read(sight, &config.log_dirs, config.log_file_least, now),
            Part::Mappings => self.mappings.read(sight, candidates, (now, self.slower), cpu),
            Part::Descriptors => descriptors::read(sight, candidates),
            Part::Docker => {
                if let Some(socket) = &config.docker_socket {
                    self.docker.ask(&self.root.path(socket), now);
                }
            }
        }
    }

    /// How long a part that cost this much rests: as configured, or until it keeps to its share.
    /// What the mappings may cost their allowance decides.
    fn pace(&self, part: Part, cost: Duration) -> Duration {
        let slower = if part.is_optional() { self.slower } else { 1 };
        let wanted = self.config.every.of(part).max(CADENCE_MIN).saturating_mul(slower);
        if part == Part::Mappings {
            return wanted;
        }
        let affordable = (cost.as_nanos().saturating_mul(1_000_000))
            .checked_div(u128::from(self.config.part_ppm))
            .and_then(|nanos| u64::try_from(nanos).ok())
            .map_or(STRETCHED_MAX, Duration::from_nanos);
        wanted.max(affordable.min(STRETCHED_MAX))
    }

    /// The whole picture: of processes only the present candidates.
    fn give(&mut self, stamp: Stamp, candidates: &[Candidate], out: &mut Survey) {
        out.stamp = stamp;
        out.things.clear();
        self.blind.clear();
        let starts: Vec<(String, String)> = candidates
            .iter()
            .map(|one| (one.key.pid.to_string(), one.key.start.get().to_string()))
            .collect();
        for slot in &self.slots {
            let wanted = |thing: &&highwater_core::thing::Thing| {
                let (pid, start) = (thing.labels.get("pid"), thing.labels.get("start"));
                pid.is_empty() || starts.iter().any(|(p, s)| p == pid && s == start)
            };
            out.things.extend(slot.reading.things.iter().filter(wanted).cloned());
            let part = slot.part;
            self.blind
                .extend(slot.reading.blind.iter().map(|why| Blind { part, why: why.clone() }));
        }
    }
}

fn later(now: BootTime, span: Duration) -> BootTime {
    let us = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
    BootTime::from_micros(now.micros().saturating_add(us))
}

#[cfg(test)]
mod tests;
