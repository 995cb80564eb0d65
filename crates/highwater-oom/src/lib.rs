//! Kernel OOM reports: lines in, one report per death-bringing episode out.
//!
//! Nothing here reads files or envelopes (that is `highwater-log`), and nothing here judges (that
//! is `highwater-diagnose`): this room says what the kernel said.

mod assembler;
pub mod badness;
mod cause;
mod ending;
mod episode;
pub mod facts;
mod header;
mod holders;
mod kill;
mod lines;
mod machine;
mod memcg;
mod relevant;
pub mod report;
mod said;
mod scan;
mod seen;
mod summary;
mod sweep;
mod table;
mod userspace;
mod zone;

pub use assembler::{Assembler, Pushed, Reading, Reaped, read, skim};
pub use cause::Cause;
pub use facts::deaths;
pub use relevant::{NET, is_relevant};
pub use report::OomReport;
