//! The commands.

pub(crate) mod agent;
pub(crate) mod checkup;
mod history;
mod kernel;
mod logfile;
pub(crate) mod manual;
mod target;
pub(crate) mod why;
