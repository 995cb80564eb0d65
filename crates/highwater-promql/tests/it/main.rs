//! Queries as a user asks them, over series in memory.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod annotations;
mod form;
mod hostile;
mod matching;
mod memory;
mod moments;
mod selectors;
mod walk;
