//! `cargo xtask bench promql`: a month of 2,000 series, asked as dashboards ask, here and in Debian's
//! Prometheus and `VictoriaMetrics`.
//!
//! ```text
//! made fleet ────────┬─ our importer     ─ highwater serve ──┐
//!                    ├─ promtool         ─ prometheus        ├─ the same queries in turn ─ table
//!                    └─ /api/v1/import   ─ victoria-metrics ─┘
//! ```
//!
//! Every query is asked cold (the server just started, nothing of its files in the page cache) and
//! warm. A quick wrong answer is worth nothing: ours must be Prometheus's, value by value.
//! What was imported stays in `target/bench-promql`, so that a second run asks at once.

use std::path::PathBuf;

use anyhow::bail;

use crate::repo::{self, Profile};

mod answer;
mod ask;
mod fleet;
pub(super) mod load;
mod questions;
mod report;
mod server;

/// How it is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How many series; a multiple of 200.
    #[arg(long, default_value_t = 2000)]
    series: u32,
    /// How many days of them.
    #[arg(long, default_value_t = 30)]
    days: u32,
    /// How often each query is asked of a warm server; the middle one counts.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Our program; without it, it is built.
    #[arg(long)]
    program: Option<PathBuf>,
    /// Only the queries that have this in their text.
    #[arg(long)]
    only: Option<String>,
    /// Leave out the cold part.
    #[arg(long)]
    warm: bool,
    /// Remove what was imported at the end.
    #[arg(long)]
    remove: bool,
}

/// Imports what is not there yet, asks, prints the tables, and fails if a promise is broken.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let program = match &options.program {
        Some(program) => program.clone(),
        None => repo::build("highwater", Profile::Release)?,
    };
    let folder = repo::target().join("bench-promql");
    let folder = folder.join(format!("{}-{}", options.series, options.days));
    load::all(&folder, &program, (options.series, options.days))?;
    let mut questions = questions::all();
    if let Some(word) = &options.only {
        questions.retain(|question| question.expr.contains(word.as_str()));
    }
    let place = ask::Place { program: &program, folder: &folder };
    let mut seen = ask::warm(place, &questions, options.rounds)?;
    if !options.warm {
        ask::cold(place, &questions, &mut seen)?;
    }
    let broken = report::print(&questions, &seen);
    if options.remove {
        std::fs::remove_dir_all(&folder)?;
    }
    if broken.is_empty() { Ok(()) } else { bail!("{}", broken.join("; ")) }
}
