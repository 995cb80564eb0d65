//! Benchmarks: each prints a ratio against a peer measured in the same run, never a lone figure.

use clap::Subcommand;

mod crowd;
mod footprint;
mod monitor;

/// What is measured.
#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    /// Processor time and memory of the agent beside other monitors of the same machine.
    Footprint(footprint::Options),
}

impl Bench {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        match self {
            Self::Footprint(options) => footprint::run(options),
        }
    }
}
