//! Metrics, health and history over HTTP: what Prometheus scrapes, a probe asks and Grafana draws,
//! and the page that people look at.
//!
//! Reads the newest frame through [`Readings`] and a history through [`History`]. It never touches
//! the machine, keeps no history of its own, and answers nothing that could change anything.

mod api;
pub mod exposition;
mod guard;
mod health;
mod metrics;
mod owners;
mod page;
mod readings;
mod server;
mod v1;

pub use api::{Api, Figures, History, Known, Limits, Reading, Ruled};
pub use guard::{
    Guard, GuardError, Protection, SecretError, TlsError, TlsFiles, new_token, token_line,
    user_line,
};
pub use health::health;
pub use metrics::{Detail, FIXED, Fixed, metrics};
pub use readings::{Condition, Health, Readings};
pub use server::{Patience, Site, Stopper, Stopping, serve, stopper};
pub use v1::{Progress, Question, Since, Teller, Trial, Tried, Untold};
