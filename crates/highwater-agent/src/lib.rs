//! The daemon: threads, queues, configuration.
//!
//! ```text
//!   pulse ───Frame──►             census, policy      one writer; queues are bounded; a full one
//!   rounds ─Survey──► recorder ──► keeper ──► store   drops frames (counted), never deaths
//!   watcher ─Death──►    │           └─ backlog, while the store fails     ▼
//!   growth ──Grown──►    ├──► board ──► /metrics, /healthz          a child that judges
//!   rules ───Round──►    ┘                                          alerts, and who is told
//! ```
//!
//! This crate wires rooms together. It parses nothing, judges nothing and draws nothing; it is
//! the only one that reads the clock.

pub mod board;
pub mod clock;
pub mod config;
pub mod growth;
pub mod notice;
pub mod own;
pub mod place;
pub mod post;
pub mod rules;

mod backlog;
mod census;
mod coroner;
mod crew;
mod feed;
#[cfg(test)]
mod fixture;
mod gallery;
mod herald;
mod keeper;
mod known;
mod log;
mod mark;
mod plan;
mod policy;
mod privilege;
mod progress;
mod pulse;
mod recorder;
mod rounds;
mod run;
mod thrift;
mod watcher;
mod witness;

pub use run::{Agent, AgentError, Findings};
