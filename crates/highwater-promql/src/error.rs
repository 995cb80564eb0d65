//! Why a query has no answer, in the kinds and words of Prometheus.

/// The kinds of failure that the Prometheus API tells apart (`errorType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The question is wrong: it does not parse, or its parameters do not fit.
    BadData,
    /// The question is right and has no answer: a duplicate, an ambiguous match, a limit.
    Execution,
    /// The time allowed for it is over.
    Timeout,
    /// Whoever asked has gone.
    Canceled,
}

impl ErrorKind {
    /// The word of the API: `bad_data`, `execution`, `timeout`, `canceled`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::BadData => "bad_data",
            Self::Execution => "execution",
            Self::Timeout => "timeout",
            Self::Canceled => "canceled",
        }
    }
}

/// A construct that is PromQL and is not built here, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Experimental in Prometheus 3: a function or a modifier.
    Experimental(String),
    /// It needs native histograms.
    NativeHistogram(String),
}

/// Why a query has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Error {
    /// What kind of failure.
    pub kind: ErrorKind,
    /// The text that the API shows.
    pub text: String,
    /// What was refused, if the query is good PromQL all the same.
    pub refusal: Option<Refusal>,
}

impl Error {
    pub(crate) fn bad(text: impl Into<String>) -> Self {
        Self { kind: ErrorKind::BadData, text: text.into(), refusal: None }
    }

    pub(crate) fn execution(text: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Execution, text: text.into(), refusal: None }
    }
}
