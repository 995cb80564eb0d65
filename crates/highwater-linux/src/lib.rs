//! Reading the kernel: /proc, /sys, cgroups v1 and v2, pressure, kmsg.
//!
//! Bytes in, the words of `highwater-core` out. This crate only reads: but for a tracing instance of
//! its own it changes nothing on the machine, it knows no clock, and does not say what a number
//! means; it is not a place for systemd, containers or logs, which have rooms of their own.

pub mod facts;
pub mod kmsg;
pub mod mappings;
pub mod parse;
pub mod psi;
pub mod root;
pub mod sampler;
pub mod survey;
pub mod witness;
