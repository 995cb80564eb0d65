//! `cargo xtask e2e leaks`: programs that leak, beside programs that only look as if they did.
//!
//! ```text
//! cast ── each program in a cgroup of its own ──► the agent ──► highwater leaks --json ── judge
//! mixes ─ stress-ng, likewise ───────────────────┘    asked again and again while all of it runs
//! ```
//!
//! What is true is how the programs are made. Every look counts, not the last alone: who was accused
//! once was accused.

mod ask;
mod cast;
mod judge;
mod mixes;
mod stage;

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};

use super::Scoreboard;
use crate::clock;
use crate::repo::{self, Profile};

use ask::Look;
use stage::Stage;

/// Nobody is asked about sooner: less than a minute is no course.
const FIRST_LOOK: Duration = Duration::from_mins(1);

/// How far apart the looks are.
const LOOKS_EVERY: Duration = Duration::from_secs(20);

/// What is played. The limits of who leaks are met a little after seven minutes.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How long the programs run: `420s`, `7m`, `1h`.
    #[arg(long, value_parser = duration, default_value = "7m")]
    lasts: Duration,
    /// Only mixes of stress-ng, for this long, of which nobody may be accused.
    #[arg(long, value_parser = duration, conflicts_with = "lasts")]
    stress: Option<Duration>,
    /// This highwater instead of one that is built for it.
    #[arg(long)]
    program: Option<PathBuf>,
    /// Nothing else runs on this machine: what can only be told from its own counters is asked as well.
    #[arg(long)]
    alone: bool,
    /// Keeps the recording in this folder.
    #[arg(long)]
    keep: Option<PathBuf>,
}

/// Plays, looks, judges.
pub(crate) fn run(options: &Options, board: &mut Scoreboard) -> anyhow::Result<()> {
    let program = match &options.program {
        Some(program) => program.clone(),
        None => repo::build("highwater", Profile::Dev)?,
    };
    let Some(mut stage) = Stage::build(program)? else {
        println!("skipped: no memory cgroup can be made here (it takes root and a cgroup mount)");
        return Ok(());
    };
    let lasts = options.stress.unwrap_or(options.lasts);
    if options.stress.is_none() {
        stage.enter_cast()?;
    }
    if !stage.enter_mixes()? {
        println!("without mixes of stress-ng: it is not installed");
    }
    let looks = watch(&mut stage, lasts)?;
    judge::judge(&stage, &looks, options.alone, board);
    match &options.keep {
        Some(folder) => stage.keep(folder),
        None => Ok(()),
    }
}

/// Looks until the time is over.
fn watch(stage: &mut Stage, lasts: Duration) -> anyhow::Result<Vec<Look>> {
    let begun = clock::now();
    let mut looks = Vec::new();
    let mut next = FIRST_LOOK.min(lasts);
    while next <= lasts {
        while begun.elapsed() < next {
            thread::sleep(Duration::from_millis(500));
            stage.prompt(begun.elapsed())?;
        }
        let look = ask::look(stage.program(), &stage.data(), begun.elapsed());
        looks.push(look.context("highwater leaks does not answer")?);
        next = (next + LOOKS_EVERY).max(begun.elapsed());
    }
    Ok(looks)
}

/// `90s`, `6m`, `1h`.
fn duration(text: &str) -> anyhow::Result<Duration> {
    let (number, unit) = text.split_at(text.len().saturating_sub(1));
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => bail!("{text} is no duration such as 90s, 6m or 1h"),
    };
    let number: u64 = number.parse().context("a duration begins with a number")?;
    Ok(Duration::from_secs(number.saturating_mul(seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_number_with_its_unit() {
        assert_eq!(duration("90s").unwrap(), Duration::from_secs(90));
        assert_eq!(duration("6m").unwrap(), Duration::from_mins(6));
        assert_eq!(duration("1h").unwrap(), Duration::from_hours(1));
        for wrong in ["", "6", "m", "six m", "1d"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
