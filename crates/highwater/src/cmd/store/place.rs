//! Which recording is meant, and within which limits it is kept.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use highwater_agent::config::Config;
use highwater_agent::notice::Status;
use highwater_agent::place;
use highwater_core::text::escape;
use highwater_core::units::Bytes;
use highwater_store::Keep;

use crate::args::CompactArgs;
use crate::cmd::agent::CONFIG_FILE;

/// The directory of the recording: where `chosen` says, else the user's own, else the machine's.
pub(in crate::cmd) fn dir(chosen: Option<&Path>) -> anyhow::Result<PathBuf> {
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
#[derive(Debug)]
pub(super) struct Kept {
    /// For how long, and in how much room.
    pub(super) keep: Keep,
    /// Between two readings.
    pub(super) every: Duration,
    /// Where these limits are from, as the end of a sentence: `--config x.toml`.
    pub(super) from: String,
    /// What is to be said about where that stands.
    pub(super) note: Option<String>,
}

impl Kept {
    fn of(config: &Config, from: String) -> Self {
        let store = &config.store;
        let keep = Keep {
            raw: store.keep,
            minute: store.keep_minutes,
            ten_minutes: store.keep_ten_minutes,
            budget: store.budget,
            free_floor: store.free_floor,
        };
        Self { keep, every: config.sample.every, from, note: None }
    }

    /// The floor as it is on the file system of `dir`.
    fn on(mut self, dir: &Path) -> Self {
        let floor = self.keep.free_floor;
        self.keep.free_floor = tenth_of_disk(dir).map_or(floor, |tenth| floor.min(tenth));
        self
    }
}

/// A floor made for large disks is no more than a tenth of a small one, as with the agent.
fn tenth_of_disk(dir: &Path) -> Option<Bytes> {
    let disk = rustix::fs::statvfs(dir).ok()?;
    Some(Bytes::new(disk.f_blocks.saturating_mul(disk.f_frsize) / 10))
}

fn shown(path: &Path) -> String {
    escape(path.as_os_str().as_encoded_bytes()).into_owned()
}

/// The limits of the configuration that is named, else those that the agent of `dir` left word of,
/// else those of the usual configuration.
pub(super) fn kept(
    dir: &Path,
    named: Option<&Path>,
    status: Option<&Status>,
) -> anyhow::Result<Kept> {
    // The error says what is beneath it already.
    let load = |file: &Path| Config::load(file).map_err(|error| anyhow::anyhow!("{error}"));
    if let Some(file) = named {
        return Ok(Kept::of(&load(file)?, format!("--config {}", shown(file))).on(dir));
    }
    let usual = Some(Path::new(CONFIG_FILE)).filter(|usual| usual.exists());
    if let Some((status, keep)) = status.and_then(|status| Some((status, status.keep?))) {
        let file = status.config.as_deref();
        let by = file.map_or("the defaults".to_owned(), shown);
        let config = file.or(usual).and_then(|file| Config::load(file).ok()).unwrap_or_default();
        let from = format!("the agent's last run, by {by}");
        return Ok(Kept { keep, ..Kept::of(&config, from) }.on(dir));
    }
    let (config, from) = match usual {
        Some(file) => (load(file)?, shown(file)),
        None => (Config::default(), "the defaults".to_owned()),
    };
    Ok(Kept::of(&config, from).on(dir))
}

/// The same, and the defaults where the usual one cannot be read: for what only shows them.
pub(super) fn kept_or_usual(
    dir: &Path,
    named: Option<&Path>,
    status: Option<&Status>,
) -> anyhow::Result<Kept> {
    kept(dir, named, status).or_else(|error| {
        if named.is_some() {
            return Err(error);
        }
        let note = Some(format!("the limits shown are the defaults: {error:#}"));
        Ok(Kept { note, ..Kept::of(&Config::default(), "the defaults".to_owned()).on(dir) })
    })
}

/// The limits that `compact` keeps to.
pub(super) fn narrowed(
    args: &CompactArgs,
    dir: &Path,
    status: Option<&Status>,
) -> anyhow::Result<Kept> {
    let mut kept = kept(dir, args.config.as_deref(), status).context("nothing was changed")?;
    let CompactArgs { keep, keep_minutes, keep_ten_minutes, budget, .. } = args;
    if [keep, keep_minutes, keep_ten_minutes].iter().any(|typed| typed.is_some())
        || budget.is_some()
    {
        kept.from += ", and the command line";
    }
    let span = |typed: &Option<Duration>, usual: Duration| typed.unwrap_or(usual);
    let limits = &mut kept.keep;
    limits.raw = span(keep, limits.raw);
    limits.minute = span(keep_minutes, limits.minute);
    limits.ten_minutes = span(keep_ten_minutes, limits.ten_minutes);
    limits.budget = budget.unwrap_or(limits.budget);
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(count: u64) -> Duration {
        Duration::from_hours(24 * count)
    }

    #[test]
    fn what_is_typed_goes_before_a_named_file_and_that_before_the_agents_last_run() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("x.toml");
        std::fs::write(&file, "[store]\nkeep = \"3d\"\nfree_floor = \"16GiB\"\n").unwrap();
        let keep = Keep { raw: days(5), minute: days(50), ..Keep::default() };
        let ran = Path::new("/etc/own.toml").to_owned();
        let status = Status { keep: Some(keep), config: Some(ran), ..Status::default() };
        let mut args = CompactArgs::default();
        let of = |args: &CompactArgs| narrowed(args, dir.path(), Some(&status)).unwrap();
        let kept = of(&args);
        assert_eq!((kept.keep.raw, kept.keep.minute), (days(5), days(50)));
        assert_eq!(kept.from, "the agent's last run, by /etc/own.toml");
        args.config = Some(file);
        let kept = of(&args);
        assert_eq!((kept.keep.raw, kept.keep.minute), (days(3), days(30)));
        assert!(kept.from.starts_with("--config ") && kept.from.ends_with("/x.toml"), "{kept:?}");
        assert!(kept.keep.free_floor <= tenth_of_disk(dir.path()).unwrap(), "{kept:?}");
        args.keep = Some(days(1));
        let kept = of(&args);
        assert_eq!(kept.keep.raw, days(1));
        assert!(kept.from.ends_with("/x.toml, and the command line"), "{kept:?}");
    }

    #[test]
    fn a_configuration_that_is_named_must_be_there() {
        let dir = tempfile::tempdir().unwrap();
        let none = dir.path().join("none.toml");
        assert!(kept_or_usual(dir.path(), Some(&none), None).is_err());
    }
}
