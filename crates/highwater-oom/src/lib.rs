//! Kernel OOM reports: lines in, one report per death-bringing episode out.
//!
//! Nothing here reads files or envelopes (that is `highwater-log`), and nothing here judges (that
//! is `highwater-diagnose`): this room says what the kernel said.

mod assembler;
pub mod badness;
mod cause;
mod episode;
pub mod facts;
mod header;
mod kill;
mod machine;
mod memcg;
mod relevant;
pub mod report;
mod said;
mod scan;
mod summary;
mod table;
mod userspace;

pub use assembler::{Assembler, Pushed, Reading, Reaped, read, skim};
pub use cause::Cause;
pub use facts::deaths;
pub use relevant::{Sweep, is_relevant};
pub use report::OomReport;
