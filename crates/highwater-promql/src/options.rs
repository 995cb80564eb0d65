//! How far back to look, and how much a query may cost.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Prometheus's default: a series is looked for this far back (`--query.lookback-delta`).
const LOOKBACK: Duration = Duration::from_mins(5);
/// Prometheus's default: samples in memory at once (`--query.max-samples`).
const MAX_SAMPLES: usize = 50_000_000;
/// Prometheus's limit of points per series in a range query: a screen shows no more.
const MAX_POINTS: usize = 11_000;
/// Prometheus's default evaluation interval: the step of a subquery that names none.
const SUBQUERY_STEP: Duration = Duration::from_mins(1);

/// The settings of an evaluation.
#[derive(Clone, Debug)]
pub struct Options {
    /// An instant selector takes the newest sample in (t − lookback, t].
    pub lookback: Duration,
    /// The step of subqueries that name none.
    pub subquery_step: Duration,
    /// How many samples may be in memory at once.
    pub max_samples: usize,
    /// How many points each series of a range query may have.
    pub max_points: usize,
    /// Drop metric names at the end instead of where functions do (experimental in Prometheus,
    /// and what its own test language expects).
    pub delayed_name_removal: bool,
    /// Asked now and then whether to stop.
    pub watch: Option<Watch>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            lookback: LOOKBACK,
            subquery_step: SUBQUERY_STEP,
            max_samples: MAX_SAMPLES,
            max_points: MAX_POINTS,
            delayed_name_removal: false,
            watch: None,
        }
    }
}

/// Why an evaluation should stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The time allowed is over.
    Timeout,
    /// Whoever asked has gone.
    Canceled,
}

/// Says whether to stop; it owns the clock that this crate has not.
#[derive(Clone)]
pub struct Watch(Arc<dyn Fn() -> Option<Stop> + Send + Sync>);

impl Watch {
    /// A watch that asks `stop`; it is asked often, so it must be quick.
    pub fn new(stop: impl Fn() -> Option<Stop> + Send + Sync + 'static) -> Self {
        Self(Arc::new(stop))
    }

    /// What it says now.
    pub fn stop(&self) -> Option<Stop> {
        (self.0)()
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watch")
    }
}
