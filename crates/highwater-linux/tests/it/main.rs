//! The readers against whole trees: captured machines, hand-made oddities, random bytes, and the
//! machine that runs the test.
//!
//! A tree is a folder below `fixtures/kernel` with `proc/` and `sys/`. To add a captured machine, put
//! its folder there and accept the new snapshot: every test over captured trees takes it up.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "tests"
)]

mod captured;
mod describe;
mod live;
mod oddities;
mod random;
mod resting;
mod sampler;
mod steady;
mod survey;
mod tree;
mod witness;
