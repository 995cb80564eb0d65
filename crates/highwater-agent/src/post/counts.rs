//! How telling goes, counted for each receiver.

use highwater_core::series::Labels;
use highwater_core::thing::{Metric, Thing};
use highwater_core::units::Bytes;

static SENT: Metric = Metric::counter(
    "highwater_agent_notify_sent_total",
    "Messages that a receiver has taken, since the agent started.",
);
static FAILED: Metric = Metric::counter(
    "highwater_agent_notify_failed_total",
    "Tries to tell a receiver that failed and are made again.",
);
static REFUSED: Metric = Metric::counter(
    "highwater_agent_notify_refused_total",
    "Messages that a receiver read and does not want.",
);
static GIVEN_UP: Metric = Metric::counter(
    "highwater_agent_notify_given_up_total",
    "Notices that waited for too long, or were too many.",
);
static WAITING: Metric =
    Metric::gauge("highwater_agent_notify_waiting", "Notices that wait for a receiver.");

/// The metrics of telling.
pub(crate) static METRICS: [&Metric; 5] = [&SENT, &FAILED, &REFUSED, &GIVEN_UP, &WAITING];

/// One receiver's counts.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) sent: u64,
    pub(super) failed: u64,
    pub(super) refused: u64,
    pub(super) given_up: u64,
}

impl Counts {
    /// As numbers of the receiver `name`, for which so many notices wait.
    pub(super) fn things(&self, name: &str, waiting: usize) -> Vec<Thing> {
        let waiting = u64::try_from(waiting).unwrap_or(u64::MAX);
        let Self { sent, failed, refused, given_up } = *self;
        let all = [sent, failed, refused, given_up, waiting];
        let of = |(metric, count): (&'static Metric, u64)| Thing {
            metric,
            labels: Labels::new([("receiver", name)]),
            value: Bytes::new(count).as_f64(),
        };
        METRICS.into_iter().zip(all).map(of).collect()
    }
}
