//! `cargo xtask bench page`: how heavy and how quick the page is, and what it costs who serves it.
//!
//! ```text
//!  the agent, recording this machine ──┬── Chromium: first view, weight, twenty pages for a minute
//!  highwater serve, a month of 2,000 ──┘             first curve, a zoom from the hand to the frame
//! ```
//!
//! The agent records into a history that has that month of 2,000 series already. Each figure stands
//! beside what is promised of it. The browser and the agent share a machine, so what else runs here makes
//! both slower.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail, ensure};

use highwater_store::{FILE_NAME, SCHEMA_VERSION};

use super::promql::load;
use super::store::{Beat, record};
use crate::e2e::agent::Recording;
use crate::e2e::loopback::Server;
use crate::repo::{self, Profile};

/// The history that is promised for: series and days.
const MADE: (u32, u32) = (2_000, 30);

/// The agent's: a free port, and nothing of the month is too old.
const CONFIGURATION: &str = "[web]\nlisten = \"127.0.0.1:0\"\n[store]\nkeep = \"60d\"\n";

/// Another recorded month is made when the one that was made has become so old.
const STALE: Duration = Duration::from_hours(7 * 24);

/// How it is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Our program; without it, it is built.
    #[arg(long)]
    program: Option<PathBuf>,
    /// A history of a month of 2,000 series; without it, it is made.
    #[arg(long)]
    history: Option<PathBuf>,
    /// For how many seconds the agent is measured, with pages open and without.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
}

/// Measures, prints a table, and fails if a promise is broken.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let program = match &options.program {
        Some(program) => program.clone(),
        None => repo::build("highwater", Profile::Release)?,
    };
    let history = match &options.history {
        Some(history) => history.clone(),
        None => load::only_ours(&repo::target().join("bench-promql").join("2000-30"), MADE)?,
    };
    let recording = Recording::configured(&program, "bench-page", CONFIGURATION)?;
    fs::create_dir(recording.data())?;
    fs::copy(recorded()?.join(FILE_NAME), recording.data().join(FILE_NAME))?;
    let agent = recording.agent()?;
    let asked = recording.address().context("the agent names no address")?;
    let name = program.to_str().context("the program's path is no text")?;
    let log = recording.scratch();
    let serve = Server::start(name, &log, "/api/v1/status/buildinfo", |command, address| {
        command.arg("serve").arg("--data-dir").arg(&history).args(["--listen", address]);
    })?;
    let [agent_url, history_url] = [&asked, serve.address()].map(|at| format!("http://{at}"));
    let mut node = Command::new("node");
    node.current_dir(repo::root().join("ui")).arg("drive/bench.mjs").stdin(Stdio::null());
    node.args([agent_url, agent.id().to_string(), history_url, options.seconds.to_string()]);
    let measured = node.stderr(Stdio::inherit()).output().context("cannot run node")?;
    let said = String::from_utf8_lossy(&measured.stdout).into_owned();
    let figures: Vec<Figure<'_>> = said.lines().filter_map(Figure::of).collect();
    figures.iter().for_each(Figure::print);
    ensure!(measured.status.success(), "not all was measured: {}", measured.status);
    let broken = figures.iter().filter(|figure| !figure.is_kept()).count();
    if broken > 0 {
        bail!("{broken} of {} promises are broken", figures.len());
    }
    Ok(())
}

/// A history as an agent has recorded it for the last month, a reading each minute.
fn recorded() -> anyhow::Result<PathBuf> {
    let (series, days) = MADE;
    let dir = repo::target().join("bench-page").join(format!("{SCHEMA_VERSION}-{series}-{days}"));
    let made = fs::metadata(dir.join(FILE_NAME)).and_then(|file| file.modified());
    if made.is_ok_and(|made| made.elapsed().is_ok_and(|age| age < STALE)) {
        return Ok(dir);
    }
    let first_ms = crate::clock::wall().millis() - i64::from(days) * 24 * 3_600_000;
    record(&dir, days, series.into(), Beat { first_ms, every_ms: 60_000 })?;
    Ok(dir)
}

/// What was measured, and what is promised of it.
#[derive(Debug, PartialEq)]
struct Figure<'a> {
    name: &'a str,
    measured: f64,
    most: Option<f64>,
}

impl<'a> Figure<'a> {
    /// A name, a tab, the figure, a tab, the most that was promised or nothing.
    fn of(line: &'a str) -> Option<Self> {
        let mut parts = line.split('\t');
        let (name, measured) = (parts.next()?, parts.next()?.parse().ok()?);
        Some(Self { name, measured, most: parts.next().and_then(|most| most.parse().ok()) })
    }

    fn is_kept(&self) -> bool {
        self.most.is_none_or(|most| self.measured <= most)
    }

    fn print(&self) {
        let Self { name, measured, most } = self;
        let most = most.map_or(String::new(), |most| format!("at most {most}"));
        let kept = if self.is_kept() { "" } else { "  BROKEN" };
        println!("{name:<62} {measured:>8} {most}{kept}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_figure_and_what_was_promised_of_it() {
        let figure = Figure::of("weight, KiB\t151.5\t150").unwrap();
        assert_eq!(figure, Figure { name: "weight, KiB", measured: 151.5, most: Some(150.0) });
        assert!(!figure.is_kept());
        assert!(Figure::of("so long, ms\t4\t").unwrap().is_kept());
        assert_eq!(Figure::of("no figure"), None);
    }
}
