//! The commands.

pub(crate) mod agent;
pub(crate) mod checkup;
pub(crate) mod export;
mod guard;
mod history;
pub(crate) mod import;
mod inputs;
mod kernel;
pub(crate) mod leaks;
mod logfile;
pub(crate) mod look;
pub(crate) mod manual;
mod mask;
pub(crate) mod notify;
mod out;
mod progress;
pub(crate) mod query;
pub(crate) mod refusal;
pub(crate) mod restarts;
pub(crate) mod rules;
pub(crate) mod serve;
pub(crate) mod store;
pub(crate) mod target;
pub(crate) mod tell;
pub(crate) mod websecret;
pub(crate) mod why;
