//! The kernel's files as bytes in, numbers with units out.
//!
//! Every parser here is total and pure: on foreign text it gives what it could read, never an
//! error, and never panics. None allocates unless it returns or is given a `Vec`. Of files made of
//! lines, only lines that end are taken: a number that was cut off in the middle is a wrong number.

pub mod limits;
pub mod membership;
pub mod meminfo;
pub mod mountinfo;
pub mod number;
pub mod pressure;
pub mod schedstat;
pub mod stat;
pub mod statm;
pub mod status;
pub mod swaps;
pub mod v1;
pub mod v2;
pub mod vmstat;
pub mod zoneinfo;

pub(crate) mod text;
