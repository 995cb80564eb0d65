//! The door: arguments in, one command run, an exit code out.
//!
//! Commands live in `cmd`, what they show in `view`. Nothing here judges; that is
//! `highwater-diagnose`.

mod args;
mod cmd;
mod view;

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Parser as _;

use args::{Args, Command};

/// A usage error, in every command (`EX_USAGE` of sysexits.h).
const USAGE: u8 = 64;

fn main() -> ExitCode {
    match Args::try_parse() {
        Ok(args) => match args.into_command() {
            Ok(command) => run(&command),
            Err(error) => usage(&error),
        },
        Err(error) => usage(&error),
    }
}

fn run(command: &Command) -> ExitCode {
    let done = match command {
        Command::Checkup(args) => cmd::checkup::run(args),
        Command::Why(args) => cmd::why::run(args),
        Command::Restarts(args) => cmd::restarts::run(args),
        Command::Leaks(args) => cmd::leaks::run(args),
        Command::Query(args) => cmd::query::run(args),
        Command::Notify(args) => cmd::notify::run(args),
        Command::Rules(args) => cmd::rules::run(args),
        Command::Agent(args) => cmd::agent::run(args),
        Command::Serve(args) => cmd::serve::run(args),
        Command::Look(args) => cmd::look::run(args),
        Command::Tell(args) => cmd::tell::run(args),
        Command::Import(args) => cmd::import::run(args),
        Command::Export(args) => cmd::export::run(args),
        Command::Store(args) => cmd::store::run(args),
        Command::WebSecret(args) => cmd::websecret::run(args),
        Command::Completions(args) => cmd::manual::completions(args),
        Command::Man(args) => cmd::manual::man(args),
    };
    match done {
        Ok(code) => code,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            if let Some(mistyped) = error.downcast_ref::<clap::Error>() {
                return usage(mistyped);
            }
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

/// Help and version were asked for; everything else is a usage error.
fn usage(error: &clap::Error) -> ExitCode {
    let printed = error.print();
    match (error.exit_code(), printed) {
        (0, Ok(())) => ExitCode::SUCCESS,
        (0, Err(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        (0, Err(error)) => {
            complain(&anyhow::Error::new(error).context("cannot write to standard output"));
            ExitCode::FAILURE
        }
        _ => ExitCode::from(USAGE),
    }
}

/// `highwater why | head` ends when head has seen enough.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let pipe = |cause: &io::Error| cause.kind() == io::ErrorKind::BrokenPipe;
    error.chain().any(|cause| cause.downcast_ref::<io::Error>().is_some_and(pipe))
}

/// Nothing can be done about a standard error that is closed.
pub(crate) fn complain(error: &anyhow::Error) {
    let _unheard = writeln!(anstream::stderr(), "highwater: {}", cmd::refusal::said(error));
}
