//! Metrics and health over HTTP: what Prometheus scrapes and a probe asks.
//!
//! Reads the newest frame through [`Readings`] and writes text. It never touches the machine,
//! keeps no history, and answers nothing that could change anything.

pub mod exposition;
mod health;
mod metrics;
mod owners;
mod readings;
mod server;

pub use health::health;
pub use metrics::{Detail, FIXED, Fixed, metrics};
pub use readings::{Condition, Health, Readings};
pub use server::{Stopper, Stopping, serve, stopper};
