//! `cargo xtask e2e deaths`: every way a service dies, for real, and what highwater says of it.
//!
//! ```text
//! cases ── a script of scenes ──┬─ an emulated systemd machine with cgroup v2 ─┐ PASS/CASE/{did,truth,why}
//!                               └─ this machine, with a dockerd of its own ────┴─ judge ── note
//! ```
//!
//! Each case is played with an agent that stands since the beginning, and once more with one that was
//! killed with SIGKILL and started again just before. What is true comes from how the scene is made
//! and from the kernel's own trace of it, never from highwater.

mod cases;
mod dumps;
mod judge;
mod note;
mod restarts;
mod sight;
mod stage;

use std::path::PathBuf;

use super::Scoreboard;
use crate::repo::{self, Profile};

use cases::{CASES, Case, Place};

/// What is played.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Only these cases.
    #[arg(long, num_args = 1.., value_parser = clap::builder::PossibleValuesParser::new(CASES.iter().map(|case| case.name)))]
    only: Vec<String>,
    /// Only those of the emulated machine.
    #[arg(long, conflicts_with = "here")]
    vm: bool,
    /// Only those of this machine.
    #[arg(long)]
    here: bool,
    /// Without highwater: only the deaths and what is true of them, once each.
    #[arg(long)]
    bare: bool,
    /// This highwater instead of one that is built for it.
    #[arg(long, conflicts_with = "bare")]
    program: Option<PathBuf>,
}

impl Options {
    fn highwater(&self) -> anyhow::Result<Option<PathBuf>> {
        if self.bare || self.program.is_some() {
            return Ok(self.program.clone());
        }
        repo::build("highwater", Profile::Release).map(Some)
    }

    /// Whether all that is checked beside the cases is to be checked.
    fn wants_all(&self, place: Place) -> bool {
        self.only.is_empty() && place == if self.vm { Place::Vm } else { place }
    }

    fn wants(&self, case: &Case) -> bool {
        let named = self.only.is_empty() || self.only.iter().any(|name| name == case.name);
        let placed = match case.place {
            Place::Vm => !self.here,
            Place::Here => !self.vm,
        };
        named && placed
    }
}

/// Plays, judges, and writes the note.
pub(crate) fn run(options: &Options, board: &mut Scoreboard) -> anyhow::Result<()> {
    let highwater = options.highwater()?;
    let mut outcomes = Vec::new();
    for place in [Place::Here, Place::Vm] {
        let cases: Vec<&Case> =
            CASES.iter().filter(|case| case.place == place && options.wants(case)).collect();
        if cases.is_empty() {
            continue;
        }
        let Some(played) = stage::play(place, &cases, highwater.as_deref())? else { continue };
        dumps::write(&played, &cases)?;
        if options.wants_all(place)
            && let Some(program) = &highwater
        {
            match place {
                Place::Here => sight::run(program, &played, board),
                Place::Vm => restarts::check(&played, board),
            }
        }
        for pass in played.passes() {
            outcomes.extend(cases.iter().map(|case| judge::judge(&played, pass, case)));
        }
    }
    for outcome in &outcomes {
        board.check(&outcome.statement(), outcome.verdict());
    }
    note::write(&outcomes)
}
