//! Who is told what, and when: alerts come in at each round, notices go out.
//!
//! A [`Desk`] puts one receiver's alerts into groups and says when a group has news, by the same
//! rules as an Alertmanager's route. What it says waits in an [`Outbox`] until it has arrived. An
//! Alertmanager groups by itself: it has a [`Relay`] instead. All three are values that are stored
//! with the states of the alerts, in one transaction: a restart repeats nothing and loses nothing.

mod desk;
mod notice;
mod outbox;
mod relay;
mod report;
#[cfg(test)]
mod tests;

use std::time::Duration;

use highwater_core::time::WallTime;

pub use desk::{Desk, Terms};
pub use notice::Notice;
pub use outbox::{GivenUp, Outbox};
pub use relay::Relay;
pub use report::{Context, Report, TopProcess};

/// How a delivery went, as far as the plan of the next one is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It has arrived.
    Arrived,
    /// It may arrive later: not before this span, if the receiver named one.
    Later(Option<Duration>),
    /// It will never arrive.
    Refused,
}

/// The first wait after a failure; each further failure doubles it.
const FIRST_WAIT: Duration = Duration::from_secs(5);
/// Who is down for hours is asked as often as this: soon enough when it is back.
const LONGEST_WAIT: Duration = Duration::from_mins(5);
/// A receiver that asks for a longer pause is asked again after this one all the same.
const LONGEST_ASKED: Duration = Duration::from_hours(1);

/// Whether `due` is still to come. What is further ahead than it can be was reckoned by a clock that
/// has been set back since, and is due.
fn is_ahead(due: WallTime, longest: Duration, now: WallTime) -> bool {
    now < due && due.since(now) <= longest
}

/// How long to wait after so many failures in a row. `salt` spreads it by a quarter: receivers that
/// failed together do not come back together.
fn pause(failures: u32, asked: Option<Duration>, salt: &str) -> Duration {
    if let Some(asked) = asked {
        return asked.clamp(FIRST_WAIT, LONGEST_ASKED);
    }
    let doubled = FIRST_WAIT.saturating_mul(1 << failures.saturating_sub(1).min(10));
    let wait = doubled.min(LONGEST_WAIT);
    let share = highwater_core::print::fnv1a(format!("{salt} {failures}").as_bytes()) % 256;
    let spread = wait / 4 * u32::try_from(share).unwrap_or(0) / 256;
    wait.saturating_add(spread)
}
