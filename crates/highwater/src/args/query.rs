//! What can be typed to ask in PromQL.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;

use super::{Since, as_of};

/// Ask the recording in PromQL.
///
/// EXPR is PromQL as Prometheus 3 understands it. Without a range it is asked at one moment, the newest
/// reading; with --start it is asked at every step of a range. What is asked is the recording, with or
/// without its agent, an import, or, with --source, any server that speaks the Prometheus API.
///
/// Exit status: 0 answered, also where the answer is empty; 1 there is no recording, or the query has no
/// answer; 64 usage.
#[derive(Debug, clap::Args)]
pub(crate) struct QueryArgs {
    /// The query, such as `rate(container_cpu_usage_seconds_total[5m])`
    #[arg(value_name = "EXPR", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) text: String,
    /// Ask as of then: seconds since 1970, 2h (ago), 2026-11-20, 2026-11-20T08:00:00Z
    #[arg(long, value_name = "TIME", value_parser = as_of, conflicts_with_all = ["start", "end"])]
    pub(crate) at: Option<Since>,
    /// Ask at every step from then on
    #[arg(long, value_name = "TIME", value_parser = as_of)]
    pub(crate) start: Option<Since>,
    /// Until then; else the newest reading
    #[arg(long, value_name = "TIME", value_parser = as_of, requires = "start")]
    pub(crate) end: Option<Since>,
    /// How far the moments are apart: 15s, 5m; else a 250th of the range
    #[arg(long, value_name = "SPAN", value_parser = span, requires = "start")]
    pub(crate) step: Option<Duration>,
    /// Answer in JSON, as the Prometheus API does
    #[arg(long, group = "form")]
    pub(crate) json: bool,
    /// Answer in CSV: a column for each label, the time, the value
    #[arg(long, group = "form")]
    pub(crate) csv: bool,
    /// Draw the series of a range
    #[arg(long, group = "form", requires = "start")]
    pub(crate) plot: bool,
    /// Ask this server in place of the recording: `http://127.0.0.1:9090`
    #[arg(long, value_name = "URL", conflicts_with = "data_dir")]
    pub(crate) source: Option<String>,
    /// What the server wants to see: a file with a bearer token
    #[arg(long, value_name = "FILE", requires = "source")]
    pub(crate) token_file: Option<PathBuf>,
    /// Give up after so long
    #[arg(long, value_name = "SPAN", value_parser = span, default_value = "2m")]
    pub(crate) timeout: Duration,
    /// Where the agent keeps its data, or what was imported
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
}

/// A span of time, of at least a millisecond.
fn span(text: &str) -> Result<Duration, String> {
    let wrong = || "a span is 15s, 5m, 1h30m, 500ms or so many seconds".to_owned();
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds)
            .ok()
            .filter(|span| *span >= Duration::from_millis(1))
            .ok_or_else(wrong);
    }
    let span: jiff::Span = text.parse().map_err(|_| wrong())?;
    let span = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    Duration::try_from(span).ok().filter(|span| *span >= Duration::from_millis(1)).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_written_as_in_promql_or_in_seconds() {
        for (text, ms) in [("15s", 15_000), ("1h30m", 5_400_000), ("500ms", 500), ("0.5", 500)] {
            assert_eq!(span(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for wrong in ["", "0", "-5m", "NaN", "1e30", "soon", "1mo"] {
            assert!(span(wrong).is_err(), "{wrong}");
        }
    }
}
