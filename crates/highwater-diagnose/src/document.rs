//! A diagnosis and a check-up as documents for programs, version 1 of their form.
//!
//! `docs/manual/json.md` describes it. Keys are always there, `null` where the value is not
//! known; times are RFC 3339 in UTC, sizes bytes. A later version adds keys; one that changes or
//! drops any has another number.

mod checkup;
mod death;
mod growth;
mod inquest;
mod opening;
mod restarts;

use highwater_core::evidence::Claim;
use highwater_core::limit::Limit;
use highwater_core::time::WallTime;
use highwater_core::units::Bytes;
use serde::Serialize;

pub use checkup::CheckupDocument;
pub use death::{DeathDocument, EpisodeDocument};
pub use growth::GrowthDocument;
pub use inquest::{StuckDocument, TestifiedDocument};
pub use opening::opening;
pub use restarts::RestartsDocument;

/// The version of the form.
pub const SCHEMA: u32 = 1;

/// The answer of `why`.
///
/// The deaths may be any sequence that is written as one: a list, or one that explains each death
/// only when it is written.
#[derive(Clone, Debug, Serialize)]
pub struct WhyDocument<D = Vec<DeathDocument>, E = Vec<EpisodeDocument>> {
    schema: u32,
    /// One for each killed process, in the order of the log.
    pub deaths: D,
    /// Episodes in which nothing was killed.
    pub episodes: E,
    /// Cgroups that are out of memory while nothing may be killed in them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stuck: Option<Vec<StuckDocument>>,
    /// What else the input tells, where it tells of no death.
    pub notes: Vec<Claim>,
}

impl WhyDocument {
    /// No deaths so far, and what else the input tells.
    pub fn new(notes: Vec<Claim>) -> Self {
        Self::with(Vec::new(), Vec::new(), notes)
    }
}

impl<D, E> WhyDocument<D, E> {
    /// These deaths, these episodes in which nothing was killed, and what else the input tells.
    pub const fn with(deaths: D, episodes: E, notes: Vec<Claim>) -> Self {
        Self { schema: SCHEMA, deaths, episodes, stuck: None, notes }
    }
}

fn time(moment: Option<WallTime>) -> Option<String> {
    moment.map(|moment| moment.to_string())
}

fn bytes(amount: Option<Bytes>) -> Option<u64> {
    amount.map(Bytes::get)
}

/// No limit and an unknown limit are both `null`: neither is an amount.
fn limit(limit: Option<Limit>) -> Option<u64> {
    bytes(limit.and_then(Limit::at))
}
