//! PromQL over whatever answers [`SeriesSource`]: a text becomes a [`Query`], a query and a source
//! become an [`Answer`]. Floats and classic histograms, the semantics of Prometheus 3.
//! No clock, no I/O, no threads; native histograms and experimental functions are refused by name.

mod answer;
pub mod api;
mod error;
mod eval;
mod functions;
mod lex;
mod lower;
pub mod notation;
mod number;
mod options;
mod parts;
mod plan;
mod query;

use std::time::Duration;

use highwater_core::series::{Matcher, SeriesSource};
use highwater_core::time::WallTime;

pub use answer::{Answer, Value, ValueType};
pub use error::{Error, ErrorKind, Refusal};
pub use options::{Options, Stop, Watch};
pub use parts::{Asked, Comparison, Condition, Join, Trend};
pub use query::Query;

/// Reads a query.
///
/// # Errors
/// [`ErrorKind::BadData`] with where and why, if it is not PromQL or is refused.
pub fn parse(text: &str) -> Result<Query, Error> {
    Query::read(text)
}

/// Reads a selector of series, `name{a="b"}`, as `match[]` takes it.
///
/// # Errors
/// [`ErrorKind::BadData`] if it is anything else.
pub fn selector(text: &str) -> Result<Vec<Matcher>, Error> {
    parse(text)?.into_matchers()
}

/// What `query` is at one moment.
///
/// # Errors
/// As Prometheus gives them: series that clash, limits, the source's own.
pub fn instant(
    query: &Query,
    source: &dyn SeriesSource,
    at: WallTime,
    options: &Options,
) -> Result<Answer, Error> {
    query.at(source, at, options)
}

/// What `query` is at `start`, `start + step`, … up to `end`.
///
/// # Errors
/// As for [`instant`]; and [`ErrorKind::BadData`] if the range makes no sense, has too many steps,
/// or the query gives something that no range can have.
pub fn range(
    query: &Query,
    source: &dyn SeriesSource,
    start: WallTime,
    end: WallTime,
    step: Duration,
    options: &Options,
) -> Result<Answer, Error> {
    query.over(source, (start, end, step), options)
}
