//! Programs with one habit each: those that leak something, and those that only look as if they did.
//!
//! What a leaking one takes each second is a constant, and it catches up when it was late: how fast it
//! leaks is known, however busy the machine is.

mod calm;
mod leaking;

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::ValueEnum;
use rustix::process::{Resource, Rlimit, setrlimit};

use crate::clock;

/// What a program does for as long as it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Habit {
    /// Keeps memory that it needs no more.
    Anon,
    /// Collects its garbage, and each time a little more is left.
    Ratchet,
    /// Opens files and forgets them.
    Fds,
    /// Starts threads that wait for ever.
    Threads,
    /// Starts children and never asks how they ended.
    Zombies,
    /// Writes files into a tmpfs and forgets them.
    Shmem,
    /// Gives a file ever more names.
    Dentries,
    /// Sends itself messages that it does not read.
    Messages,
    /// Accepts connections and does not read what comes.
    Tcp,
    /// Writes a log that nobody cuts.
    Log,
    /// Reads a file that is larger than what is cached of it yet.
    WarmingCache,
    /// Makes garbage and collects it.
    Sawtooth,
    /// Has more to do, then less.
    LoadCycle,
    /// Fills its tables when it starts, ever more slowly.
    StartUp,
    /// Opens and closes files, starts threads and children and awaits them.
    Churn,
    /// Holds much, always the same.
    Steady,
    /// Takes more once, and stays there.
    Step,
}

impl Habit {
    /// Its name on the command line.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// How much of what it leaks it takes in an hour: bytes, or a number of things.
    pub(crate) const fn leaks_an_hour(self) -> Option<f64> {
        leaking::an_hour(self)
    }
}

/// How a program with a habit is started.
#[derive(Debug, clap::Args)]
pub(crate) struct Program {
    /// What it does.
    pub(crate) habit: Habit,
    /// The cgroups it enters first.
    #[arg(long)]
    pub(crate) cgroup: Vec<PathBuf>,
    /// The folder for its files.
    #[arg(long)]
    pub(crate) folder: PathBuf,
    /// How many files it may open.
    #[arg(long)]
    pub(crate) files: Option<u64>,
    /// Whether it ends at once: a child that is only there to have ended.
    #[arg(long)]
    pub(crate) ends: bool,
}

impl Program {
    /// Does what it does until it is killed.
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        if self.ends {
            return Ok(());
        }
        super::die_with_parent()?;
        for cgroup in &self.cgroup {
            // "0" is whoever writes it.
            let procs = cgroup.join("cgroup.procs");
            fs::write(&procs, "0").with_context(|| format!("cannot enter {}", procs.display()))?;
        }
        if let Some(files) = self.files {
            let limit = Rlimit { current: Some(files), maximum: Some(files) };
            setrlimit(Resource::Nofile, limit).context("cannot limit the open files")?;
        }
        fs::create_dir_all(&self.folder)?;
        match leaking::run(self.habit, &self.folder) {
            Some(ended) => ended,
            None => calm::run(self.habit, &self.folder),
        }
    }

    /// The command line that behaves like this.
    pub(crate) fn arguments(&self, command: &mut Command) {
        command.arg("habit").arg(self.habit.name()).arg("--folder").arg(&self.folder);
        for cgroup in &self.cgroup {
            command.arg("--cgroup").arg(cgroup);
        }
        if let Some(files) = self.files {
            command.arg("--files").arg(files.to_string());
        }
        // Blocks of a fixed size and more go back to the kernel as soon as they are freed: what is
        // resident is then what is held, whatever the allocator would learn.
        command.env("MALLOC_MMAP_THRESHOLD_", "65536");
    }
}

/// A child of this program that ends at once.
fn child() -> anyhow::Result<std::process::Child> {
    let own = std::env::current_exe()?;
    let mut command = Command::new(own);
    command.args(["habit", "steady", "--folder", "/", "--ends"]);
    command.spawn().context("cannot start a child")
}

/// Wakes at equal distances; who was late is woken at once until it has caught up.
struct Pace {
    begun: Instant,
    every: Duration,
    done: u32,
}

impl Pace {
    fn every(every: Duration) -> Self {
        Self { begun: clock::now(), every, done: 0 }
    }

    /// Waits for the next moment, and says how long after the beginning it is.
    fn next(&mut self) -> Duration {
        let due = self.every.saturating_mul(self.done);
        self.done = self.done.saturating_add(1);
        thread::sleep(due.saturating_sub(self.begun.elapsed()));
        due
    }
}

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

const SECOND: Duration = Duration::from_secs(1);
const HALF_A_SECOND: Duration = Duration::from_millis(500);

/// Memory in blocks, resident as long as it is held.
#[derive(Default)]
struct Heap {
    blocks: Vec<Vec<u8>>,
}

impl Heap {
    const BLOCK: usize = 128 * KIB;
    /// What the allocator keeps beside a block; with it a block is whole pages.
    const BESIDE: usize = 16;

    /// Takes or gives back until this much is held.
    fn hold(&mut self, bytes: usize) {
        let wanted = bytes / Self::BLOCK;
        self.blocks.truncate(wanted);
        while self.blocks.len() < wanted {
            // A pattern rather than zeros: zeroed pages are only promised, not resident.
            self.blocks.push(vec![0xA5; Self::BLOCK - Self::BESIDE]);
        }
    }

    fn held(&self) -> usize {
        self.blocks.len() * Self::BLOCK
    }
}
