//! Sending to receivers that look closely: servers that reckon signatures for themselves, a real server
//! of e-mail, real programs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod exim;
mod mail;
mod program;
mod server;
mod signature;
mod web;
