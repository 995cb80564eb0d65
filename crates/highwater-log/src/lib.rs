//! Log envelopes: a pasted or filed log in, its lines out, each with what its envelope said.
//!
//! Nothing here reads files, and nothing here knows what a message means: this room takes the
//! stamps, hosts and names off, line by line, since logs are mixed.

mod dmesg;
mod iso;
pub mod kmsg;
mod open;
mod paste;
mod scan;
mod stream;
mod syslog;

pub use open::Opener;
pub use stream::Stream;
