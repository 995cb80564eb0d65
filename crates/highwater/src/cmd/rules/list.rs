//! `highwater rules list`: the rules of files, one by one.

use std::process::ExitCode;

use super::backtest;
use crate::args::{RuleFilesArgs, RulesArgs};
use crate::cmd::out;
use crate::view::{self, Page};

/// Runs the command.
pub(super) fn run(args: &RuleFilesArgs, group: &RulesArgs) -> anyhow::Result<ExitCode> {
    let files = backtest::files(&args.files)?;
    if group.json {
        out::document(&view::rules::listed_document(&files))?;
    } else {
        out::page(&view::rules::listed(Page::of_terminal(), &files))?;
    }
    Ok(ExitCode::SUCCESS)
}
