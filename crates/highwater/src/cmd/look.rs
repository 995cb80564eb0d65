//! `highwater look`: what grows, judged once, for the agent that started it.

use std::process::ExitCode;

use anyhow::Context as _;
use highwater_agent::clock;
use highwater_agent::growth::{be_modest, look};
use highwater_core::time::WallTime;
use highwater_store::Reader;

use super::{leaks, out};
use crate::args::LookArgs;

/// Runs the command.
pub(crate) fn run(args: &LookArgs) -> anyhow::Result<ExitCode> {
    be_modest();
    let dir = args.data_dir.as_deref().context("--data-dir is missing")?;
    let reader = Reader::open(dir)?;
    let owners = leaks::owners(&reader);
    let since = WallTime::from_millis(args.told_since);
    let found = look(&reader, clock::now().wall, since, &owners);
    let found = found.map_err(|error| anyhow::anyhow!("{error}"))?;
    out::bytes(&serde_json::to_vec(&found)?)?;
    Ok(ExitCode::SUCCESS)
}
