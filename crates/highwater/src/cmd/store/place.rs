//! Which recording is meant, and within which limits it is kept.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use highwater_agent::config::{self, Config};
use highwater_agent::place;

use crate::args::CompactArgs;
use crate::cmd::agent::CONFIG_FILE;

/// The directory of the recording: where `chosen` says, else the user's own, else the machine's.
pub(super) fn dir(chosen: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(dir) = chosen {
        return Ok(dir.to_owned());
    }
    let own = place::default_dir().ok();
    let system = PathBuf::from(place::SYSTEM_DIR);
    let mut all: Vec<PathBuf> = own.into_iter().chain([system]).collect();
    all.dedup();
    let mut looked = Vec::new();
    for dir in all {
        match dir.join(highwater_store::FILE_NAME).try_exists() {
            Ok(true) => return Ok(dir),
            Ok(false) => looked.push(dir.display().to_string()),
            Err(error) => looked.push(format!("{} ({error})", dir.display())),
        }
    }
    anyhow::bail!(
        "no recording in {}: begin one with `highwater agent`, or name its directory with --data-dir",
        looked.join(" or ")
    )
}

/// What is kept, and how often it is read.
pub(super) struct Kept {
    /// For how long, and in how much room.
    pub(super) store: config::Store,
    /// Between two readings.
    pub(super) every: Duration,
    /// What is to be said about where that stands.
    pub(super) note: Option<String>,
}

/// The limits of the configuration that is named, or of the usual one.
pub(super) fn kept(named: Option<&Path>) -> anyhow::Result<Kept> {
    let file = match named {
        Some(file) => Some(file),
        None => Some(Path::new(CONFIG_FILE)).filter(|usual| usual.exists()),
    };
    // The error says what is beneath it already.
    let loaded = file.map(Config::load).transpose().map_err(|error| anyhow::anyhow!("{error}"))?;
    let config = loaded.unwrap_or_default();
    Ok(Kept { store: config.store, every: config.sample.every, note: None })
}

/// The same, and the defaults where the usual one cannot be read: for what only shows them.
pub(super) fn kept_or_usual(named: Option<&Path>) -> anyhow::Result<Kept> {
    kept(named).or_else(|error| {
        if named.is_some() {
            return Err(error);
        }
        let note = format!("the limits shown are the defaults: {error:#}");
        let Config { store, sample, .. } = Config::default();
        Ok(Kept { store, every: sample.every, note: Some(note) })
    })
}

/// The limits that `compact` keeps to.
pub(super) fn narrowed(args: &CompactArgs) -> anyhow::Result<config::Store> {
    let mut store = kept(args.config.as_deref()).context("nothing was changed")?.store;
    let CompactArgs { keep, keep_minutes, keep_ten_minutes, budget, .. } = args;
    let span = |chosen: &Option<Duration>, usual: Duration| chosen.unwrap_or(usual);
    store.keep = span(keep, store.keep);
    store.keep_minutes = span(keep_minutes, store.keep_minutes);
    store.keep_ten_minutes = span(keep_ten_minutes, store.keep_ten_minutes);
    store.budget = budget.unwrap_or(store.budget);
    Ok(store)
}
