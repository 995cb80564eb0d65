//! Why a question has no answer, in the kinds, words and status codes of Prometheus.

use axum::http::StatusCode;
use highwater_core::series::SourceError;
use highwater_promql::{Error, ErrorKind, Stop};

/// A question without an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(super) kind: Kind,
    pub(crate) text: String,
}

/// What kind of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The question is wrong.
    BadData,
    /// There is no such path.
    NotFound,
    /// The path takes no such method.
    Method,
    /// The question is right and has no answer.
    Execution,
    /// It took too long.
    Timeout,
    /// Whoever asked has gone.
    Canceled,
    /// Too many ask already.
    Unavailable,
    /// The history could not be read.
    Internal,
}

impl Kind {
    /// The word of the API, `errorType`.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::BadData | Self::Method => "bad_data",
            Self::NotFound => "not_found",
            Self::Execution => "execution",
            Self::Timeout => "timeout",
            Self::Canceled => "canceled",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }

    pub(super) const fn status(self) -> StatusCode {
        match self {
            Self::BadData => StatusCode::BAD_REQUEST,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Execution => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Timeout | Self::Canceled | Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl Failure {
    pub(super) fn new(kind: Kind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }

    pub(crate) fn bad(text: impl Into<String>) -> Self {
        Self::new(Kind::BadData, text)
    }

    /// A parameter is wrong, said as Prometheus says it.
    pub(crate) fn of_parameter(name: &str, why: &str) -> Self {
        Self::bad(format!("invalid parameter \"{name}\": {why}"))
    }

    /// A query could not be read or evaluated.
    pub(super) fn of_query(error: &Error) -> Self {
        match error.kind {
            ErrorKind::BadData => Self::of_parameter("query", &error.text),
            ErrorKind::Execution => Self::new(Kind::Execution, &error.text),
            ErrorKind::Timeout => Self::new(Kind::Timeout, &error.text),
            ErrorKind::Canceled => Self::new(Kind::Canceled, &error.text),
        }
    }

    /// It was told to stop.
    pub(super) fn of_stop(stop: Stop) -> Self {
        match stop {
            Stop::Timeout => Self::new(Kind::Timeout, "query timed out"),
            Stop::Canceled => Self::new(Kind::Canceled, "query was canceled"),
        }
    }
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        Self::new(Kind::Internal, error.what)
    }
}
