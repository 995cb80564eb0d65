//! What comes back.

use std::fmt;

use highwater_core::series::{Labels, Point, Series};
use highwater_core::time::WallTime;

/// The answer to a query, and what the asker should know of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The values.
    pub value: Value,
    /// What is probably wrong: `PromQL warning: … (1:5)`, in order and each once.
    pub warnings: Vec<String>,
    /// What may be wrong: `PromQL info: … (1:5)`, in order and each once.
    pub infos: Vec<String>,
}

/// The four kinds of result.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A number.
    Scalar(Point),
    /// A text.
    Text {
        /// When it was asked for.
        at: WallTime,
        /// What it is.
        value: String,
    },
    /// One sample of each series, in the order that the query gives.
    Vector(Vec<(Labels, Point)>),
    /// Many samples of each series; of a range query in order of labels.
    Matrix(Vec<Series>),
}

/// The type of an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    /// A number.
    Scalar,
    /// A text.
    Text,
    /// An instant vector.
    Vector,
    /// A range vector.
    Matrix,
}

impl fmt::Display for ValueType {
    /// As Prometheus's error texts name them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Scalar => "scalar",
            Self::Text => "string",
            Self::Vector => "instant vector",
            Self::Matrix => "range vector",
        })
    }
}
