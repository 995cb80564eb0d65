//! The programs that the tests put in harm's way: one that leaks, one that only sits there.
//!
//! They are hidden subcommands of xtask itself, so that a test needs no compiler, no other binary and
//! no tool of the guest: whatever can run xtask can run them.

use std::fs;
use std::hint::black_box;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::Context;

pub(crate) mod habit;

/// How a victim behaves.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Leak {
    /// How much is taken each time.
    #[arg(long, default_value_t = 2)]
    pub(crate) step_mib: usize,
    /// How long it waits in between.
    #[arg(long, default_value_t = 1000)]
    pub(crate) every_ms: u64,
    /// The cgroup it enters first.
    #[arg(long)]
    pub(crate) cgroup: Option<PathBuf>,
    /// How long it sits still before it begins.
    #[arg(long, default_value_t = 0)]
    pub(crate) rest_ms: u64,
    /// Where it stops and stays; without it, it leaks until it is killed.
    #[arg(long)]
    pub(crate) until_mib: Option<usize>,
}

impl Default for Leak {
    fn default() -> Self {
        Self { step_mib: 2, every_ms: 1000, cgroup: None, rest_ms: 0, until_mib: None }
    }
}

const MIB: usize = 1024 * 1024;

impl Leak {
    /// Leaks until it is killed.
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        die_with_parent()?;
        if let Some(cgroup) = &self.cgroup {
            // "0" is whoever writes it.
            let procs = cgroup.join("cgroup.procs");
            fs::write(&procs, "0").with_context(|| format!("cannot enter {}", procs.display()))?;
        }
        thread::sleep(Duration::from_millis(self.rest_ms));
        let mut held: Vec<Vec<u8>> = Vec::new();
        loop {
            let enough = self.until_mib.is_some_and(|mib| held.len() * self.step_mib >= mib);
            if !enough {
                // A pattern rather than zeros: zeroed pages are only promised, not resident.
                held.push(vec![0xA5; self.step_mib * MIB]);
                black_box(&held);
            }
            thread::sleep(Duration::from_millis(self.every_ms));
        }
    }

    /// The command line that behaves like this.
    pub(crate) fn arguments(&self, command: &mut Command) {
        command.arg("leak");
        command.arg("--step-mib").arg(self.step_mib.to_string());
        command.arg("--every-ms").arg(self.every_ms.to_string());
        command.arg("--rest-ms").arg(self.rest_ms.to_string());
        if let Some(cgroup) = &self.cgroup {
            command.arg("--cgroup").arg(cgroup);
        }
        if let Some(mib) = self.until_mib {
            command.arg("--until-mib").arg(mib.to_string());
        }
    }
}

/// How an idle process is: it holds a little memory and waits.
#[derive(Debug, clap::Args)]
pub(crate) struct Idle {
    /// The cgroup it enters first.
    #[arg(long)]
    pub(crate) cgroup: Option<PathBuf>,
}

impl Idle {
    /// Waits until it is killed.
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let cgroup = self.cgroup.clone();
        let still =
            Leak { step_mib: 1, every_ms: 3_600_000, until_mib: Some(1), ..Leak::default() };
        Leak { cgroup, ..still }.run()
    }
}

/// A test that is killed leaves no victim behind.
fn die_with_parent() -> anyhow::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
        .context("cannot ask to die with the parent")
}
