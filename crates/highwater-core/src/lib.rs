//! The words every other room speaks: units, time, ids, limits, frames, events, series.
//!
//! This crate knows no file, no clock, no thread and no environment variable. It is not a place
//! for code that two rooms happen to share: only for the nouns that cross a door.

pub mod event;
pub mod evidence;
pub mod frame;
pub mod growth;
pub mod id;
pub mod limit;
pub mod line;
pub mod metric;
pub mod owner;
pub mod print;
pub mod series;
pub mod sum;
pub mod testimony;
pub mod text;
pub mod thing;
pub mod time;
pub mod units;
