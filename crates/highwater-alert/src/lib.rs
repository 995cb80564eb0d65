//! Rule files become alerts, and alerts become what is sent: Prometheus's rules and states.
//! Pure: texts, series and moments come in, alerts and payloads go out.
//! No clock, no file, no socket: whoever evaluates brings the time, whoever sends brings the wire.

mod alert;
pub mod audit;
pub mod backtest;
pub mod dispatch;
mod engine;
mod fault;
pub mod payload;
mod read;
mod rule;
pub mod span;
mod template;
pub mod unit;
mod yaml;

pub use alert::{Alert, State};
pub use engine::{
    Expand, GroupState, Health, Overlay, Recorded, RuleState, Terms, Timer, evaluate,
};
pub use fault::{Fault, Place};
pub use rule::{Group, Kind, Rule, RuleFile};
