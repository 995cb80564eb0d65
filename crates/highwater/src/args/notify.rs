//! What can be typed about who is told of alerts.

use std::path::PathBuf;

use clap::Subcommand;

/// Look after who is told of alerts.
#[derive(Debug, clap::Args)]
pub(crate) struct NotifyArgs {
    #[command(subcommand)]
    pub(crate) command: NotifyCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum NotifyCommand {
    /// Send a test to all receivers of the configuration, or to one, and tell how that went
    ///
    /// What is sent says that it is a test. It is sent at once, without groups and outbox, from this
    /// terminal: what an agent that runs as a service may read and reach can be less or more.
    ///
    /// Exit status: 0 all have taken it; 1 one has not, or the configuration cannot be read, or has no
    /// such receiver; 64 usage.
    Test(NotifyTestArgs),
}

/// What is tried.
#[derive(Debug, clap::Args)]
pub(crate) struct NotifyTestArgs {
    /// Only this receiver, by its name
    pub(crate) receiver: Option<String>,
    /// Read this configuration
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Send nothing; print what would be sent, and to where
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Answer in JSON
    #[arg(long)]
    pub(crate) json: bool,
}
