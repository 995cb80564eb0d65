//! The tests against the real thing: a real kernel that kills, a real machine that runs systemd.

use anyhow::bail;
use clap::Subcommand;

pub(crate) mod agent;
mod alertmanager;
mod browser;
pub(crate) mod crash;
mod deaths;
pub(crate) mod dice;
mod driven;
pub(crate) mod group;
mod hostile;
mod incident;
mod leaks;
pub(crate) mod loopback;
mod oom;
mod openapi;
mod power;
mod prometheus;
mod sound;
mod verdict;
mod vm;

/// What is tested.
#[derive(Debug, Subcommand)]
pub(crate) enum Scenario {
    /// Kernel OOM kills in a memory cgroup of this machine.
    Oom,
    /// A unit over its `MemoryMax` in an emulated systemd machine with cgroup v2.
    Vm(vm::Options),
    /// Every way a service dies, on a systemd machine and in containers here.
    Deaths(deaths::Options),
    /// Programs that leak, and others that only look so, in cgroups of this machine.
    Leaks(leaks::Options),
    /// Seven days of a slow creep that no alert saw, gone through by rules.
    IncidentA,
    /// The recorder is killed at random moments, hundreds of times.
    Crash(crash::Options),
    /// An emulated machine loses its power at random moments.
    Power(power::Options),
    /// The page in a real browser, over a real death and a real leak.
    Browser,
    /// Names made to be mistaken for something else, in the page, the answers and the terminal.
    Hostile,
    /// The described API, asked by schemathesis all that its description allows and forbids.
    Openapi,
    /// The same queries to Debian's Prometheus and to a history of ours.
    Prometheus,
    /// A squeeze of memory that a shipped rule tells Debian's Alertmanager of, through kill -9.
    Alertmanager,
}

impl Scenario {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let mut board = Scoreboard::default();
        match self {
            Self::Prometheus => return prometheus::run(),
            Self::Alertmanager => alertmanager::run(&mut board)?,
            Self::Browser => browser::run(&mut board)?,
            Self::Hostile => hostile::run(&mut board)?,
            Self::Openapi => openapi::run(&mut board)?,
            Self::Oom => oom::run(&mut board)?,
            Self::Vm(options) => vm::run(options, &mut board)?,
            Self::Deaths(options) => deaths::run(options, &mut board)?,
            Self::Leaks(options) => leaks::run(options, &mut board)?,
            Self::IncidentA => incident::run(&mut board)?,
            Self::Crash(options) => crash::run(options, &mut board),
            Self::Power(options) => power::run(options, &mut board)?,
        }
        board.close()
    }
}

/// What held and what did not, one line each.
#[derive(Debug, Default)]
pub(crate) struct Scoreboard {
    passed: usize,
    failed: usize,
}

impl Scoreboard {
    /// Counts a statement: `Ok` with the measured figures, or `Err` with what was seen instead.
    pub(crate) fn check(&mut self, statement: &str, outcome: anyhow::Result<String>) {
        match outcome {
            Ok(figures) => {
                self.passed += 1;
                println!("ok    {statement}: {figures}");
            }
            Err(instead) => {
                self.failed += 1;
                println!("FAIL  {statement}: {instead:#}");
            }
        }
    }

    fn close(&self) -> anyhow::Result<()> {
        println!("{} passed, {} failed", self.passed, self.failed);
        if self.failed > 0 {
            bail!("{} of {} statements do not hold", self.failed, self.passed + self.failed);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failure_fails_the_whole() {
        let mut board = Scoreboard::default();
        board.check("one", Ok("1".into()));
        assert!(board.close().is_ok());
        board.check("two", Err(anyhow::anyhow!("2")));
        assert_eq!(board.close().unwrap_err().to_string(), "1 of 2 statements do not hold");
    }
}
