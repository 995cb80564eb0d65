//! A claim and what it stands on.

use serde::{Deserialize, Serialize};

/// Where a claim can be checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// What was read: `/dev/kmsg`, a file's name, `recorded series`, `/proc/meminfo`.
    pub source: String,
    /// Which line of it, from 1, where lines can be counted.
    pub line: Option<u64>,
    /// What stands there; escaped, and cut if it is long.
    pub text: String,
}

/// One statement of a diagnosis. Without evidence it may only say what is unknown, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The statement, one sentence.
    pub text: String,
    /// What it stands on.
    pub evidence: Vec<Evidence>,
}
