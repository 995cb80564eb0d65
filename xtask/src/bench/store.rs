//! `cargo xtask bench store`: what months of history take on the disk, and how quickly they are read.

use crate::borrowed::Folder;
use std::path::Path;

mod chance;
mod cost;
mod feed;
mod fields;
mod figures;
mod frames;
mod kept;
mod months;
mod pages;
mod peers;
mod reads;
mod recording;
mod replay;
mod size;
mod synth;

pub(super) use reads::record;
pub(super) use synth::Beat;

/// What is measured.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Store {
    /// Bytes a sample: sealed, after simulated days, and beside other stores.
    Size(size::Options),
    /// Milliseconds a question, warm and cold, of a month of 2,000 series.
    Reads(reads::Options),
    /// Ask once, in a new process (the cold part of `reads`).
    #[command(hide = true)]
    ReadsOnce(reads::Once),
}

impl Store {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        match self {
            Self::Size(options) => size::run(options),
            Self::Reads(options) => reads::run(options),
            Self::ReadsOnce(once) => once.run(),
        }
    }
}

/// A file system in memory, if there is one: a replayed month would wait for the disk a hundred
/// thousand times, and a file is as large here as there.
const IN_MEMORY: &str = "/dev/shm";

/// Where a benchmark keeps what it makes. Dropping it removes all of it.
struct Desk(Folder);

impl Desk {
    fn new(name: &str) -> anyhow::Result<Self> {
        let memory = Path::new(IN_MEMORY);
        let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        Ok(Self(Folder::below(&parent, &format!("bench-{name}"))?))
    }

    fn path(&self) -> &Path {
        &self.0
    }
}
