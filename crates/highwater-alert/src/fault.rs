//! What is wrong with a file, and where.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where something stands in a text; both count from 1.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// One thing that is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{place}: {what}")]
pub struct Fault {
    /// The file, as it was named.
    pub file: String,
    /// Where in it.
    pub place: Place,
    /// A lower-case fragment that names the thing and the way out.
    pub what: String,
}
