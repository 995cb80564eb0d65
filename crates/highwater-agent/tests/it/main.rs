//! The agent against this very machine.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests"
)]

mod bad_times;
mod catalogue;
mod death;
mod growth;
mod life;
mod rules;
mod shipped;
