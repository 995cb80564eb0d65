//! The project's chores, as `cargo xtask CHORE`: the house checks, the tests against a real kernel and
//! a real systemd machine, the benchmarks.
//!
//! Nothing here ships. A chore prints what it found and fails with a sentence.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a chore talks to the terminal")]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod asked;
mod bench;
mod borrowed;
mod capture;
mod clock;
mod corpus;
mod e2e;
mod kills;
mod layers;
mod peers;
mod promqltest;
mod repo;
mod tidy;
mod victim;
mod vm;

/// The project's chores.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Check the house rules that no compiler knows.
    Tidy,
    /// Check which crate knows which.
    Layers,
    /// Read a folder of logs and compare with the facts that each must yield.
    OomCorpus {
        /// The folder, with a `NAME.expected.json` for each `NAME.txt`.
        folder: PathBuf,
    },
    /// Read a folder of logs beside other readers, and compare.
    OomPeers(peers::Peers),
    /// Run Prometheus's test language on our evaluator.
    Promqltest(promqltest::Options),
    /// Test against the real thing.
    #[command(subcommand)]
    E2e(e2e::Scenario),
    /// Measure beside others.
    #[command(subcommand)]
    Bench(bench::Bench),
    /// Copy what a recorder reads of this machine, as a fixture tree.
    Capture(capture::Capture),
    /// Have real kernels kill, and keep what they say about it.
    CaptureOom(kills::CaptureOom),
    /// Leak memory (a victim of the tests).
    #[command(hide = true)]
    Leak(victim::Leak),
    /// Do nothing, in some memory (a victim of the tests).
    #[command(hide = true)]
    Idle(victim::Idle),
    /// Do one thing over and over (a victim of the tests).
    #[command(hide = true)]
    Habit(victim::habit::Program),
    /// Write a history as fast as it goes (a victim of the tests).
    #[command(hide = true)]
    Hammer(e2e::crash::hammer::Hammer),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().chore {
        Chore::Tidy => tidy::run(),
        Chore::Layers => layers::run(),
        Chore::OomCorpus { folder } => corpus::run(&folder),
        Chore::OomPeers(peers) => peers.run(),
        Chore::Promqltest(options) => promqltest::run(&options),
        Chore::E2e(scenario) => scenario.run(),
        Chore::Bench(bench) => bench.run(),
        Chore::Capture(capture) => capture.run(),
        Chore::CaptureOom(capture) => capture.run(),
        Chore::Leak(leak) => leak.run(),
        Chore::Idle(idle) => idle.run(),
        Chore::Habit(program) => program.run(),
        Chore::Hammer(hammer) => hammer.run(),
    };
    if let Err(cause) = done {
        eprintln!("xtask: {cause:#}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
