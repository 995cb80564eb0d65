//! A limit is an amount or none at all; the kernel's sentinels end here.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::units::Bytes;

/// How much there may be of something: of memory unless said otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Limit<T = Bytes> {
    /// No limit: `max` in cgroup v2, a value near `i64::MAX` in v1, RLIM_INFINITY in rlimits.
    Unlimited,
    /// At most this.
    At(T),
}

impl<T: Copy> Limit<T> {
    /// The amount, if there is a limit.
    pub const fn at(self) -> Option<T> {
        match self {
            Self::Unlimited => None,
            Self::At(amount) => Some(amount),
        }
    }
}

impl<T: fmt::Display> fmt::Display for Limit<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unlimited => f.pad("unlimited"),
            Self::At(amount) => amount.fmt(f),
        }
    }
}
