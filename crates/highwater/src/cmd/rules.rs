//! `highwater rules`: rule files, read, tested, and gone through a history.

pub(crate) mod backtest;
pub(crate) mod check;
mod files;
mod list;
pub(crate) mod test;

use std::process::ExitCode;

use crate::args::{RulesArgs, RulesCommand};

/// Runs one of the commands.
pub(crate) fn run(args: &RulesArgs) -> anyhow::Result<ExitCode> {
    match &args.command {
        RulesCommand::Check(of) => check::run(of, args),
        RulesCommand::Test(of) => test::run(of, args),
        RulesCommand::List(of) => list::run(of, args),
        RulesCommand::Backtest(of) => backtest::run(of, args),
    }
}
