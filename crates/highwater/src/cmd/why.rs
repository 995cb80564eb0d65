//! `highwater why`: deaths from logs, or from the recording and the kernel's log, explained.
//!
//! ```text
//! logs ───┐                                              ┌─ page
//!         ├─ Found ─ judged ─ chosen ─ Answer ─ (masked) ┼─ JSON
//! record ─┘  episodes, witnesses        deaths           └─ files
//! ```

pub(crate) mod absence;
mod answer;
mod choice;
pub(crate) mod desk;
mod episode;
mod foretold;
mod hangs;
mod judged;
mod logs;
mod merge;
mod pauses;
mod record;
mod root;
mod split;
pub(crate) mod testified;

use std::process::ExitCode;

use super::inputs::{self, Asked};
use crate::args::WhyArgs;

pub(crate) use answer::moment;
pub(crate) use episode::{AlsoTold, Episode, Found, Subject, outlines};
pub(crate) use judged::{Death, Judged, again, judged, name};
pub(crate) use record::{UNSHARED, gather_all};

/// Runs the command.
pub(crate) fn run(args: &WhyArgs) -> anyhow::Result<ExitCode> {
    let Asked { logs, name } = inputs::asked(args)?;
    if logs.is_empty() {
        record::explained(args, name.as_deref())
    } else {
        logs::explained(args, &logs, name.as_deref())
    }
}
