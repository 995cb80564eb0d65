//! Kernel OOM reports: lines in, one report per death-bringing episode out.
//!
//! Nothing here reads files or envelopes (that is `highwater-log`), and nothing here judges (that
//! is `highwater-diagnose`): this room says what the kernel said.

pub mod report;
