//! Log envelopes: a pasted or filed log in, its lines out, each with what its envelope said.
//!
//! Nothing here reads files, and nothing here knows what a message means: this room takes the
//! stamps, hosts and names off, line by line, since logs are mixed.

mod container;
mod decode;
mod dmesg;
mod entry;
mod envelope;
mod export;
mod fields;
mod iso;
mod json;
pub mod kmsg;
mod layers;
mod logcat;
mod open;
mod paste;
mod peel;
mod prefix;
mod rfc5424;
mod scan;
mod soft;
mod stream;
mod syslog;
mod wrapper;

pub use decode::{Decoded, decoded};
pub use open::Opener;
pub use stream::{Stream, Tail};
