//! The hands: notifications are sent from here, and nothing else yet.
//! It sends what it is given and says how that went; whom, what and when is decided elsewhere.
//! It writes no files and keeps nothing: what has to outlast a restart is the store's.

mod answer;
mod courier;
mod failure;
mod mail;
mod program;
mod receiver;
mod secret;
mod sign;
mod web;

pub use courier::Courier;
pub use mail::{Security, Smtp, is_address};
pub use program::Program;
pub use receiver::{Body, Message, Outcome, Receiver};
pub use secret::{Secret, SecretError};
pub use web::{Auth, Manner, Web};
