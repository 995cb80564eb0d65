//! The sampler: one tick in, one refilled [`Frame`] out.
//!
//! ```text
//!   usage of each memory cgroup ──► it moved? its other files ──► near a limit? close-ups
//!        │                                                         of it until it is calm
//!        └───────────────────────┐
//!   readdir /proc ──► who came,  └─► each process: has it run? statm + stat, by kept-open
//!                     who went       descriptors; where nothing can have changed, what was
//! ```
//!
//! Kept-open descriptors halve the cost of a reading and pin what they were opened on: the
//! descriptor of a dead process answers ESRCH, never with a stranger that got its pid. A steady
//! tick allocates nothing: buffers, vectors and names are reused.
//!
//! The sampler does not know the clock: every tick is handed its [`Stamp`].

mod cgroups;
mod heat;
mod kept;
mod listing;
mod machine;
mod paths;
mod processes;
mod sources;

use std::io;
use std::time::Duration;

use highwater_core::frame::{Frame, Scope};
use highwater_core::id::CgroupPath;
use highwater_core::time::Stamp;
use highwater_core::units::{PageSize, Permille};

use crate::facts::HostFacts;
use crate::parse::mountinfo::{self, Hierarchies};
use crate::root::Root;

pub use heat::Nearness;

/// How often what is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SamplerConfig {
    /// Every so many whole ticks the slow readings of a process or cgroup are renewed.
    pub slow_every_ticks: u32,
    /// When a cgroup is watched closely.
    pub nearness: Nearness,
    /// How many descriptors may be kept open; beyond it files are opened anew each time.
    pub kept_files: usize,
}

impl Default for SamplerConfig {
    fn default() -> Self {
        Self {
            slow_every_ticks: 6,
            nearness: Nearness {
                within: Permille::new(100),
                horizon: Duration::from_mins(1),
                patience: Duration::from_mins(1),
            },
            // At rest one per process and two per cgroup, else three and six: 10,000 processes of
            // which a quarter runs, and 300 cgroups.
            kept_files: 16_000,
        }
    }
}

/// What the sampler could not read, for the agent to say once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blindness {
    /// There is no memory controller to be found, so no cgroup is sampled. Why.
    pub cgroups: Option<String>,
    /// Some processes' slow readings are refused: how many of those tried last.
    pub refused_processes: usize,
}

/// Counts of what the sampler did since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Whole ticks.
    pub ticks: u64,
    /// Close-ups.
    pub close_ups: u64,
    /// Process readings.
    pub process_samples: u64,
    /// Cgroup readings.
    pub cgroup_samples: u64,
    /// Descriptors kept open now.
    pub kept_files: u64,
}

/// Reads the machine again and again into a [`Frame`].
#[derive(Debug)]
pub struct Sampler {
    config: SamplerConfig,
    facts: HostFacts,
    machine: machine::Machine,
    processes: processes::Processes,
    cgroups: Option<cgroups::Cgroups>,
    budget: kept::Budget,
    buffer: Vec<u8>,
    tally: Tally,
    blindness: Blindness,
}

impl Sampler {
    /// A sampler of the machine at `root`. Fails only where `/proc` itself cannot be read; what
    /// else is missing is told by [`Sampler::blindness`].
    pub fn new(root: &Root, facts: HostFacts, config: SamplerConfig) -> io::Result<Self> {
        let mut blindness = Blindness::default();
        let mut processes = processes::Processes::open(root, &facts)?;
        let cgroups = match open_cgroups(root, facts.page_size) {
            Ok((cgroups, top)) => {
                processes.follow(cgroups.version(), top);
                Some(cgroups)
            }
            Err(why) => {
                blindness.cgroups = Some(why.to_string());
                None
            }
        };
        Ok(Self {
            config,
            machine: machine::Machine::open(root)?,
            processes,
            facts,
            cgroups,
            budget: kept::Budget::new(config.kept_files),
            buffer: Vec::with_capacity(kept::BUFFER_BYTES),
            tally: Tally::default(),
            blindness,
        })
    }

    /// Goes on by another cadence of slow readings, and by another idea of what is near a limit.
    pub fn adjust(&mut self, slow_every_ticks: u32, nearness: Nearness) {
        self.config.slow_every_ticks = slow_every_ticks;
        self.config.nearness = nearness;
    }

    /// Reads everything.
    pub fn sample(&mut self, stamp: Stamp, frame: &mut Frame) -> io::Result<()> {
        let slow = u64::from(self.config.slow_every_ticks.max(1));
        let turn = processes::Turn { stamp, tick: self.tally.ticks, slow };
        clear(frame, stamp, Scope::Whole);
        let mut machine = self.machine.read(&mut self.buffer);
        self.processes.reconcile(&mut self.budget)?;
        // The cgroups first: what they use tells of which processes the memory cannot have changed.
        if let Some(cgroups) = &mut self.cgroups {
            if turn.is_slow(0) {
                cgroups.walk();
            }
            let (budget, buffer) = (&mut self.budget, &mut self.buffer);
            let means = cgroups::Means { nearness: &self.config.nearness, budget, buffer };
            cgroups.read_all(turn, means, &mut frame.cgroups);
        }
        let (budget, buffer) = (&mut self.budget, &mut self.buffer);
        let (cgroups, processes) = (self.cgroups.as_ref(), &mut frame.processes);
        let census = self.processes.read_all(turn, cgroups, budget, buffer, processes);
        (machine.processes, machine.threads, machine.zombies) =
            (census.processes, census.threads, census.zombies);
        frame.machine = Some(machine);
        if turn.is_slow(0) {
            self.machine.read_zones(&self.facts, &mut self.buffer, &mut frame.zones);
        }
        if let Some(cgroups) = &mut self.cgroups {
            self.processes.settle(|path| cgroups.adopt(path));
            let (budget, buffer) = (&mut self.budget, &mut self.buffer);
            let means = cgroups::Means { nearness: &self.config.nearness, budget, buffer };
            cgroups.read_fresh(turn, means, &mut frame.cgroups);
        }
        self.blindness.refused_processes = census.refused;
        self.tally.ticks += 1;
        self.count(frame);
        Ok(())
    }

    /// Whether any cgroup is near its limit, so that [`Sampler::close_up`] has something to see.
    pub fn is_hot(&self) -> bool {
        self.cgroups.as_ref().is_some_and(cgroups::Cgroups::is_hot)
    }

    /// The cgroups that are watched closely.
    pub fn hot(&self) -> impl Iterator<Item = &CgroupPath> {
        self.cgroups.iter().flat_map(cgroups::Cgroups::hot)
    }

    /// Reads the cgroups that are near a limit and the processes inside; with `machine`, because
    /// the machine itself is under pressure, also its numbers and its largest processes.
    pub fn close_up(&mut self, stamp: Stamp, machine: bool, frame: &mut Frame) -> io::Result<()> {
        let turn = processes::Turn { stamp, tick: 1, slow: u64::MAX };
        clear(frame, stamp, Scope::CloseUp);
        if machine {
            frame.machine = Some(self.machine.read(&mut self.buffer));
        }
        if let Some(cgroups) = &mut self.cgroups {
            cgroups.newcomers(&mut self.buffer, |pid| self.processes.adopt(pid));
            let (budget, buffer) = (&mut self.budget, &mut self.buffer);
            let means = cgroups::Means { nearness: &self.config.nearness, budget, buffer };
            cgroups.read_hot(turn, means, &mut frame.cgroups);
        }
        let hot = self.cgroups.as_ref();
        let wanted = |process: &processes::Tracked| {
            (machine && process.is_large())
                || process.cgroup().is_some_and(|path| hot.is_some_and(|c| c.covers_hot(path)))
        };
        let processes = &mut frame.processes;
        let (budget, buffer) = (&mut self.budget, &mut self.buffer);
        self.processes.read_some(turn, hot, wanted, budget, buffer, processes);
        self.tally.close_ups += 1;
        self.count(frame);
        Ok(())
    }

    /// What was done so far.
    pub fn tally(&self) -> Tally {
        Tally { kept_files: self.budget.kept(), ..self.tally }
    }

    /// What could not be read.
    pub fn blindness(&self) -> &Blindness {
        &self.blindness
    }

    fn count(&mut self, frame: &Frame) {
        self.tally.process_samples += u64::try_from(frame.processes.len()).unwrap_or(0);
        self.tally.cgroup_samples += u64::try_from(frame.cgroups.len()).unwrap_or(0);
    }
}

fn clear(frame: &mut Frame, stamp: Stamp, scope: Scope) {
    frame.stamp = stamp;
    frame.scope = scope;
    frame.machine = None;
    frame.zones.clear();
    frame.cgroups.clear();
    frame.processes.clear();
}

/// The memory cgroups, and which of them their mount shows as its top.
fn open_cgroups(root: &Root, page_size: PageSize) -> io::Result<(cgroups::Cgroups, Vec<u8>)> {
    let mut text = Vec::new();
    root.read("proc/self/mountinfo", &mut text)?;
    let hierarchies = Hierarchies::find(&mountinfo::parse(&text));
    let cgroups = cgroups::Cgroups::open(root, &hierarchies, page_size)?;
    Ok((cgroups, hierarchies.memory_root))
}
