//! Log envelopes: a pasted or filed log in, its lines out, each with what its envelope said.
//!
//! Nothing here reads files, and nothing here knows what a message means: this room takes the
//! stamps, hosts and names off, line by line, since logs are mixed.

mod dmesg;
mod iso;
pub mod kmsg;
mod lines;
mod paste;
mod scan;
mod syslog;

pub use lines::Lines;
pub use paste::plain;
