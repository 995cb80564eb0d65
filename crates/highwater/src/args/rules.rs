//! What can be typed about alert rules.

use std::path::PathBuf;

use clap::Subcommand;

use super::BacktestArgs;

/// Check rule files, test them, and have them go through a history.
#[derive(Debug, clap::Args)]
pub(crate) struct RulesArgs {
    #[command(subcommand)]
    pub(crate) command: RulesCommand,
    /// Answer in JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Where the agent keeps its data, or what was imported
    #[arg(long, value_name = "DIR", global = true)]
    pub(crate) data_dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RulesCommand {
    /// Tell what is wrong with rule files, as promtool would and at which line and column
    ///
    /// With --data-dir the rules are also held against what is recorded there: conditions that can
    /// never be met are told with what shows it. The exit status is 1 if a file cannot be read.
    Check(RuleFilesArgs),
    /// Run promtool's unit tests of rules
    ///
    /// Rule files are found relative to the file of tests. The exit status is 1 if a test fails.
    Test(RuleFilesArgs),
    /// List the rules of files
    List(RuleFilesArgs),
    /// Tell when rules would have fired over a history, and why others did not
    Backtest(BacktestArgs),
}

/// Which files.
#[derive(Debug, clap::Args)]
pub(crate) struct RuleFilesArgs {
    /// Files, or directories with *.yml and *.yaml
    #[arg(value_name = "FILE|DIR", required = true)]
    pub(crate) files: Vec<PathBuf>,
}
