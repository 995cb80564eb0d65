//! `cargo xtask bench backtest`: the shipped rules over a month of a made fleet, against the promise.

use std::process::Command;

use anyhow::{Context, ensure};
use serde_json::Value;

use super::promql::load;
use crate::clock;
use crate::repo::{self, Profile};

/// Thirty rules over thirty days take no longer than this.
const MOST_SECONDS: f64 = 10.0;

/// How many rules that is at least.
const LEAST_RULES: usize = 30;

/// How it is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How many series; a multiple of 200.
    #[arg(long, default_value_t = 2000)]
    series: u32,
    /// How many days of them.
    #[arg(long, default_value_t = 30)]
    days: u32,
    /// How often; the middle one counts.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
}

/// Imports what is not there yet, has the rules go through it, and fails if the promise is broken.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let program = repo::build("highwater", Profile::Release)?;
    let folder = repo::target().join("bench-promql");
    let folder = folder.join(format!("{}-{}", options.series, options.days));
    let data = load::only_ours(&folder, (options.series, options.days))?;
    let mut seconds = Vec::new();
    let mut rules = 0;
    for _ in 0..options.rounds.max(1) {
        let began = clock::now();
        let mut command = Command::new(&program);
        command.args(["rules", "backtest", "--json", "--rules"]).arg(repo::root().join("rules"));
        let said = repo::succeed(command.arg("--data-dir").arg(&data))?;
        seconds.push(began.elapsed().as_secs_f64());
        let told: Value = serde_json::from_slice(&said).context("the document cannot be read")?;
        rules = told.get("rules").and_then(Value::as_array).map_or(0, Vec::len);
    }
    seconds.sort_by(f64::total_cmp);
    let middle = seconds.get(seconds.len() / 2).copied().unwrap_or_default();
    println!(
        "{rules} alerting rules over {} days of {} series: {middle:.1} s, {:.0} % of the promise",
        options.days,
        options.series,
        100.0 * middle / MOST_SECONDS
    );
    ensure!(rules >= LEAST_RULES, "only {rules} rules");
    ensure!(middle <= MOST_SECONDS, "it takes {middle:.1} s, and {MOST_SECONDS} s were promised");
    Ok(())
}
