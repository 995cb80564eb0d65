//! The page of metrics as text, and the server as a scraper, a probe and an attacker see it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    missing_docs,
    reason = "tests"
)]

mod api;
mod catalogue;
mod guard;
mod hostile;
mod machine;
mod page;
mod served;
mod server;
mod stream;
mod v1;
