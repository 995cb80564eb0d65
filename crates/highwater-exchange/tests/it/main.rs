//! Files of other programs, and files made to hurt, through the public door.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::format_collect,
    clippy::float_cmp,
    missing_docs,
    reason = "tests; values are compared to the bit"
)]

mod openmetrics;
mod round;
mod sadf;
mod told;
mod vmstat;
