//! Verdicts: why a process died, and how a machine fares now.
//!
//! Pure functions of what was recorded: no clock, no file, no network. Every statement cites what
//! it stands on; where that is missing it says `unknown, because …`.

pub mod checkup;
pub mod counsel;
pub mod death;
pub mod document;
pub mod finding;
pub mod growth;
pub mod hang;
pub mod hint;
pub mod inquest;
mod words;

pub use words::place;
