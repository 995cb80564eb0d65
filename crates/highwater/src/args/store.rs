//! What can be typed to look after the recording on disk.

use std::path::PathBuf;
use std::time::Duration;

use clap::Subcommand;
use clap::builder::{PathBufValueParser, TypedValueParser as _};
use highwater_core::units::Bytes;

use super::{Since, budget, keep, keep_minutes, keep_ten_minutes, since};

/// Look after the recording on disk.
#[derive(Debug, clap::Args)]
pub(crate) struct StoreArgs {
    #[command(subcommand)]
    pub(crate) command: StoreCommand,
    /// Answer in JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Where the agent keeps its data
    #[arg(long, value_name = "DIR", global = true)]
    pub(crate) data_dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum StoreCommand {
    /// Tell what is on record: how far back, how large, in how many series
    Info(InfoArgs),
    /// Verify every row, and say what is lost if one is damaged
    Check(CheckArgs),
    /// Seal, compact, forget what is past its time, and give the room back now
    Compact(CompactArgs),
    /// Copy the recording into a file, also while the agent records
    ExportDb(ExportArgs),
}

/// Tell what is on record: how far back, how large, in how many series.
///
/// Nothing is changed, and the agent may go on recording. Times are UTC.
///
/// Exit status: 0 told; 1 there is no recording, or it cannot be read; 64 usage.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct InfoArgs {
    /// Take the limits from this configuration
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// Verify every row, and say what is lost if one is damaged.
///
/// Reads the whole file and changes nothing; the agent may go on recording. What is damaged is left
/// out of every answer by itself: this says how much that is.
///
/// Exit status: 0 whole; 1 damaged, or it cannot be read; 64 usage.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct CheckArgs {}

/// Seal, compact, forget what is past its time, and give the room back now.
///
/// The agent does all this by itself, a little at a time; this is for a recording that no agent
/// looks after, or to make room at once with narrower limits. Limits are those of --config, else
/// those of the agent that recorded last, unless they are given here; they are printed. Deaths
/// stay, up to a quarter of the budget.
///
/// Exit status: 0 done; 1 an agent is recording into it, or it cannot be written; 64 usage.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct CompactArgs {
    /// Take the limits from this configuration
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Keep every reading for so long: 7d
    #[arg(long, value_name = "SPAN", value_parser = keep)]
    pub(crate) keep: Option<Duration>,
    /// Keep the values of every minute for so long: 30d
    #[arg(long, value_name = "SPAN", value_parser = keep_minutes)]
    pub(crate) keep_minutes: Option<Duration>,
    /// Keep the values of every ten minutes for so long: 400d
    #[arg(long, value_name = "SPAN", value_parser = keep_ten_minutes)]
    pub(crate) keep_ten_minutes: Option<Duration>,
    /// Forget the oldest until all of it takes no more than this: 512MiB
    #[arg(long, value_name = "SIZE", value_parser = budget)]
    pub(crate) budget: Option<Bytes>,
}

/// Copy the recording into a file, also while the agent records.
///
/// The copy is of one moment, whole, and a SQLite database like the recording. With --plain it has
/// ordinary rows in place of compressed ones, to be asked with sqlite3; that takes twenty times the
/// room or more, so give a range.
///
/// Exit status: 0 written; 1 it cannot be read or written, or FILE exists; 64 usage.
#[derive(Debug, clap::Args)]
pub(crate) struct ExportArgs {
    /// Write this file; none is overwritten
    #[arg(value_parser = PathBufValueParser::new().try_map(new_file))]
    pub(crate) file: PathBuf,
    /// Unroll samples into ordinary SQL rows
    #[arg(long)]
    pub(crate) plain: bool,
    /// Only samples and events since then: 2h, 7d, 2026-11-20T08:00:00Z
    #[arg(long, value_name = "TIME", value_parser = since, requires = "plain")]
    pub(crate) since: Option<Since>,
    /// Only samples and events until then
    #[arg(long, value_name = "TIME", value_parser = since, requires = "plain")]
    pub(crate) until: Option<Since>,
}

/// A database is written here and there, so it cannot go to standard output.
fn new_file(path: PathBuf) -> Result<PathBuf, &'static str> {
    match path.as_os_str().as_encoded_bytes() {
        b"-" => Err("a database cannot be written to standard output: name a file"),
        _ => Ok(path),
    }
}
