//! The daemon: threads, queues, configuration.
//!
//! ```text
//!   pulse ──Frame──► recorder ──► store          one writer; queues are bounded; a full one
//!   watcher ─Death──►    │                       drops frames (counted), never deaths
//!                        └──► board ──► /metrics, /healthz
//! ```
//!
//! This crate wires rooms together. It parses nothing, judges nothing and draws nothing; it is
//! the only one that reads the clock.

pub mod board;
pub mod clock;
pub mod config;
pub mod place;

mod known;
mod log;
mod privilege;
mod progress;
mod pulse;
mod recorder;
mod run;
mod watcher;

pub use run::{Agent, AgentError, Findings};
