//! What can be typed to have rules go through a history.

use std::path::PathBuf;
use std::time::Duration;

use super::{Since, as_of, span};

/// Tell when rules would have fired over a history, and why others did not.
///
/// Replays rule files over a recording, an import or, with --source, any server that speaks the Prometheus
/// API: each rule in steps of its group's interval, with `for` and `keep_firing_for`, recording rules
/// included. For each death, restart and growth on record it says which rule warned and how long
/// before; for each rule that never fired, why it could not, with figures.
///
/// Exit status: 0 told; 1 a rule file has a fault, or there is no history; 64 usage.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct BacktestArgs {
    /// The rule files; those of a directory are all its *.yml and *.yaml
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    pub(crate) rules: Vec<PathBuf>,
    /// From then on; else 30 days, or as far back as there is anything: 7d, 2026-11-20
    #[arg(long, value_name = "TIME", value_parser = as_of)]
    pub(crate) start: Option<Since>,
    /// Until then; else the newest reading
    #[arg(long, value_name = "TIME", value_parser = as_of)]
    pub(crate) end: Option<Since>,
    /// Evaluate every group so often; else as often as it says, or every minute
    #[arg(long, value_name = "SPAN", value_parser = span)]
    pub(crate) step: Option<Duration>,
    /// See only what a scraper would have seen that looks so often: 60s
    #[arg(long, value_name = "SPAN", value_parser = span)]
    pub(crate) scrape: Option<Duration>,
    /// Ask this server in place of the recording: `http://127.0.0.1:9090`
    #[arg(long, value_name = "URL")]
    pub(crate) source: Option<String>,
    /// What the server wants to see: a file with a bearer token
    #[arg(long, value_name = "FILE", requires = "source")]
    pub(crate) token_file: Option<PathBuf>,
}

/// What a page may ask to have gone through a history.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct TrialArgs {
    /// A rule file, or one that ships by its name
    #[arg(long, value_name = "FILE")]
    pub(crate) rules: Vec<String>,
    /// Only this alert
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    pub(crate) rule: Option<String>,
    /// This expression as a rule
    #[arg(long, value_name = "EXPR", allow_hyphen_values = true, conflicts_with = "rule")]
    pub(crate) expr: Option<String>,
    /// How long the expression has to match
    #[arg(long, value_name = "SPAN", value_parser = millis, requires = "expr", default_value = "0")]
    pub(crate) hold: Duration,
    /// From then on
    #[arg(long, value_name = "TIME", value_parser = as_of)]
    pub(crate) start: Option<Since>,
    /// Until then
    #[arg(long, value_name = "TIME", value_parser = as_of)]
    pub(crate) end: Option<Since>,
    /// As a scraper would have seen it
    #[arg(long, value_name = "SPAN", value_parser = millis)]
    pub(crate) scrape: Option<Duration>,
}

/// A length that a program writes: a whole number of milliseconds.
fn millis(text: &str) -> Result<Duration, &'static str> {
    text.parse().map(Duration::from_millis).map_err(|_| "no whole number of milliseconds")
}
