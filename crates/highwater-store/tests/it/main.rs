//! The history from outside: what is written comes back, whatever happens in between.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::cast_precision_loss,
    clippy::panic,
    clippy::missing_docs_in_private_items,
    clippy::print_stderr,
    missing_docs,
    reason = "tests"
)]

mod blob;
mod clocks;
mod crash;
mod damage;
mod dice;
mod events;
mod flips;
mod frames;
mod golden;
mod history;
mod levels;
mod model;
