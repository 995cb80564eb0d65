//! Real managers of services where there are any, and sockets that behave as real ones do.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests"
)]

mod docker;
mod kubernetes;
