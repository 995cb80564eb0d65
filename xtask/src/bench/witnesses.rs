//! `cargo xtask bench witnesses`: whether the agent hears every death while the machine is loud.
//!
//! ```text
//! storm    short-lived processes, thousands a second ─┐
//! feed     a recorded journal, as a fake journalctl   ├─► the agent ─► its history ─► who is missing?
//! victims  kill -9 and OOM kills, now and then       ─┘
//! ```
//!
//! Who died is known from having killed them; the journal's fatal lines are numbered. Either may not
//! be missing from the history. What the agent takes is measured against what it may take.

mod feed;
mod storm;
mod toll;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, ensure};

use super::monitor::{Cost, Monitor};
use crate::borrowed::Folder;
use crate::clock;
use crate::repo::{self, Profile};

pub(crate) use feed::Feed;
use storm::Storm;
use toll::{Toll, Victims};

/// Time to start up in, which is not measured.
const SETTLE: Duration = Duration::from_secs(5);

/// Time in which the history may catch up.
const CALM: Duration = Duration::from_secs(5);

/// The promise: of one core while it is as loud as that, and of memory, which is the budget that
/// ships (`agent.memory_budget`).
const GOAL_CPU_PERCENT: f64 = 25.0;
const GOAL_PSS_MIB: f64 = 64.0;

/// Where the agent serves its metrics: free on most machines.
const PORT: u16 = 39_479;

/// The agent's count of what it did not keep, by witness.
const DROPPED: &str = "highwater_agent_testimonies_dropped_total{";

/// How loud it is.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// For how long.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Short-lived processes a second.
    #[arg(long, default_value_t = 2000)]
    processes: usize,
    /// Lines of the journal a second.
    #[arg(long, default_value_t = 10_000)]
    lines: usize,
}

/// Makes noise, kills, and asks the history who is missing.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let program = repo::build("highwater", Profile::Release)?;
    let desk = Desk::new(options)?;
    let from = clock::wall();
    let agent = desk.agent(&program)?.context("the agent does not start")?;
    thread::sleep(SETTLE);
    let (before, (fed_before, _)) = (agent.cost()?, desk.fed()?);
    let began = clock::now();
    let storm = Storm::start(options.processes)?;
    let mut peak_kib = before.pss_kib;
    let victims = Victims::fall(Duration::from_secs(options.seconds), || {
        peak_kib = peak_kib.max(agent.cost().map_or(0, |cost| cost.pss_kib));
    })?;
    let started = storm.stop();
    let (after, took) = (agent.cost()?, began.elapsed());
    let (lines, fatal) = desk.fed()?;
    thread::sleep(CALM);
    let dropped = agent.page()?;
    agent.stop()?;
    let toll = Toll::of(&desk.data(), &victims, from, fatal)?;
    let load = Load { took, started, lines: lines.saturating_sub(fed_before) };
    report(&load, &toll, &dropped, cost(before, after, took), peak_kib)
}

/// What there was.
struct Load {
    took: Duration,
    started: usize,
    lines: u64,
}

#[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "figures for people")]
fn cost(before: Cost, after: Cost, took: Duration) -> f64 {
    let ticks = after.ticks.saturating_sub(before.ticks) as f64;
    100.0 * ticks / rustix::param::clock_ticks_per_second() as f64 / took.as_secs_f64()
}

#[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "figures for people")]
fn report(
    load: &Load,
    toll: &Toll,
    metrics: &str,
    cpu_percent: f64,
    peak_kib: u64,
) -> anyhow::Result<()> {
    let seconds = load.took.as_secs_f64();
    let (processes, lines) = (load.started as f64 / seconds, load.lines as f64 / seconds);
    let pss_mib = peak_kib as f64 / 1024.0;
    println!("over {seconds:.0} s: {processes:.0} processes/s, {lines:.0} journal lines/s");
    println!("{toll}");
    println!(
        "processor: {cpu_percent:.1} % of a core, {:.2} of the {GOAL_CPU_PERCENT} % it may take",
        cpu_percent / GOAL_CPU_PERCENT
    );
    println!(
        "memory: {pss_mib:.1} MiB at most, {:.2} of its budget of {GOAL_PSS_MIB} MiB",
        pss_mib / GOAL_PSS_MIB
    );
    let dropped = dropped(metrics);
    println!("of low value, dropped and counted: {dropped}");
    ensure!(toll.missing() == 0, "{} fatal events are not on record", toll.missing());
    ensure!(
        dropped > 0,
        "half of the processes failed, and the agent says that it dropped nothing"
    );
    ensure!(cpu_percent <= GOAL_CPU_PERCENT, "the agent took {cpu_percent:.1} % of a core");
    ensure!(pss_mib <= GOAL_PSS_MIB, "the agent took {pss_mib:.1} MiB");
    Ok(())
}

/// What the agent says that it heard and did not keep.
fn dropped(metrics: &str) -> u64 {
    let counters = metrics.lines().filter_map(|line| line.strip_prefix(DROPPED));
    counters.filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok()).sum()
}

/// A folder with the history, the configuration and the fake journalctl.
struct Desk {
    folder: Folder,
}

impl Desk {
    fn new(options: &Options) -> anyhow::Result<Self> {
        let folder = Folder::fresh("bench-witnesses")?;
        fs::create_dir_all(folder.join("bin"))?;
        let desk = Self { folder };
        let xtask = std::env::current_exe().context("cannot find xtask's own program")?;
        // Whatever journalctl is asked for, all the lines come: no match of its spares the agent.
        let fake = desk.folder.join("bin/journalctl");
        let script = format!(
            "#!/bin/sh\nexec {} bench journal-feed --lines {} --note {}\n",
            xtask.display(),
            options.lines,
            desk.folder.join("fed").display()
        );
        fs::write(&fake, script)?;
        fs::set_permissions(&fake, fs::Permissions::from_mode(0o755))?;
        Ok(desk)
    }

    fn data(&self) -> PathBuf {
        self.folder.join("history")
    }

    fn agent(&self, program: &Path) -> anyhow::Result<Option<Monitor>> {
        let path = std::env::var("PATH").unwrap_or_default();
        let mut agent = Command::new(program);
        agent.env("PATH", format!("{}:{path}", self.folder.join("bin").display()));
        agent.arg("agent").arg("--data-dir").arg(self.data());
        agent.arg("--listen").arg(format!("127.0.0.1:{PORT}"));
        Monitor::start("highwater", &mut agent, Some(PORT))
    }

    /// How many lines were fed, and how many of them were fatal.
    fn fed(&self) -> anyhow::Result<(u64, u64)> {
        let note = fs::read_to_string(self.folder.join("fed"));
        let note = note.context("the agent did not follow the journal")?;
        let mut numbers = note.split_whitespace().map(str::parse);
        let both = (numbers.next(), numbers.next());
        let (Some(Ok(lines)), Some(Ok(fatal))) = both else {
            anyhow::bail!("the feed's note is not two numbers: {note}");
        };
        Ok((lines, fatal))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_dropped_is_the_sum_over_the_witnesses() {
        let page = "# TYPE highwater_agent_testimonies_dropped_total counter\n\
                    highwater_agent_testimonies_dropped_total{witness=\"signals\"} 2\n\
                    highwater_agent_testimonies_dropped_total{witness=\"journal\"} 40\n\
                    highwater_agent_testimonies_total{witness=\"journal\"} 7\n";
        assert_eq!(dropped(page), 42);
    }
}
