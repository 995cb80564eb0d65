//! What commands show: text for a terminal, as strings. Colours are always in it; the door takes
//! them off where nobody sees them.

pub(crate) mod backtest;
pub(crate) mod checkup;
pub(crate) mod death;
mod draw;
pub(crate) mod import;
pub(crate) mod leaks;
pub(crate) mod notify;
mod paint;
mod plot;
pub(crate) mod query;
mod ranking;
pub(crate) mod restarts;
pub(crate) mod rules;
pub(crate) mod store;
pub(crate) mod verdict;
pub(crate) mod why;
pub(crate) mod wrap;
pub(crate) mod written;
mod zones;

pub(crate) use paint::Page;

use highwater_core::time::WallTime;

/// A moment to the minute.
fn minute(at: WallTime) -> String {
    let text: String = at.to_string().chars().take(16).collect();
    format!("{} UTC", text.replace('T', " "))
}
