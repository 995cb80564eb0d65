//! What can be typed to serve a history.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::span;

/// Serve a history to Grafana, promtool and curl, without recording anything.
///
/// Answers the Prometheus API under /api/v1 from a recording or an import, until it is ended. The agent
/// serves the same of its own recording; this is for a history that was imported, or copied from another
/// machine.
///
/// Exit status: 0 ended by a signal; 1 there is no history, or the address is taken; 64 usage.
#[derive(Debug, clap::Args)]
pub(crate) struct ServeArgs {
    /// Serve here
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9478", value_parser = address)]
    pub(crate) listen: SocketAddr,
    /// Take who may ask (the table web) from this configuration: TLS, tokens, users
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// End a query that takes longer
    #[arg(long, value_name = "SPAN", value_parser = span, default_value = "2m")]
    pub(crate) timeout: Duration,
    /// End a query that holds more samples at once, of 16 bytes each
    #[arg(long, value_name = "COUNT", default_value_t = 50_000_000)]
    pub(crate) max_samples: usize,
    /// Where the agent keeps its data, or what was imported
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
}

fn address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse().map_err(|_| "no address and port, as in 127.0.0.1:9478")
}
