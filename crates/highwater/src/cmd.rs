//! The commands.

pub(crate) mod agent;
pub(crate) mod checkup;
mod history;
mod inputs;
mod kernel;
mod logfile;
pub(crate) mod manual;
mod mask;
mod out;
mod progress;
pub(crate) mod refusal;
pub(crate) mod restarts;
pub(crate) mod store;
pub(crate) mod target;
pub(crate) mod why;
