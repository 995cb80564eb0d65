//! How far something is known, and why no further.

use crate::report::LineNumber;

/// How sure an input or a conclusion is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Certainty {
    /// The log prints all that it is made of.
    #[default]
    Certain,
    /// Something is taken for granted that the log does not show.
    Likely {
        /// What, one lower-case fragment each.
        because: Vec<String>,
    },
    /// It cannot be worked out.
    Unknown {
        /// What the log would have to show, one lower-case fragment each.
        missing: Vec<String>,
    },
}

impl Certainty {
    /// Likely, for one reason.
    pub fn likely(because: &str) -> Self {
        Self::Likely { because: vec![because.to_owned()] }
    }

    /// Unknown, for want of one thing.
    pub fn unknown(missing: &str) -> Self {
        Self::Unknown { missing: vec![missing.to_owned()] }
    }

    /// What stands on both: the weaker of them; equally weak ones join their reasons.
    #[must_use]
    pub fn and(self, other: &Self) -> Self {
        match (self, other) {
            (Self::Unknown { mut missing }, Self::Unknown { missing: more }) => {
                add(&mut missing, more);
                Self::Unknown { missing }
            }
            (Self::Likely { mut because }, Self::Likely { because: more }) => {
                add(&mut because, more);
                Self::Likely { because }
            }
            (one @ Self::Unknown { .. }, _) | (one, Self::Certain) => one,
            (_, other) => other.clone(),
        }
    }

    /// `certain`, `likely`, `unknown`.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Certain => "certain",
            Self::Likely { .. } => "likely",
            Self::Unknown { .. } => "unknown",
        }
    }

    /// What is taken for granted, or what is missing.
    pub fn reasons(&self) -> &[String] {
        match self {
            Self::Certain => &[],
            Self::Likely { because } => because,
            Self::Unknown { missing } => missing,
        }
    }
}

fn add(reasons: &mut Vec<String>, more: &[String]) {
    for reason in more {
        if !reasons.contains(reason) {
            reasons.push(reason.clone());
        }
    }
}

/// An input of the choice: what it is, how sure that is, and the lines that say so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judged<T> {
    /// The value; `None` only if the certainty is unknown.
    pub value: Option<T>,
    /// How sure.
    pub certainty: Certainty,
    /// Where the log says it.
    pub lines: Vec<LineNumber>,
}

impl<T> Judged<T> {
    pub(super) const fn certain(value: T, lines: Vec<LineNumber>) -> Self {
        Self { value: Some(value), certainty: Certainty::Certain, lines }
    }

    pub(super) const fn with(value: T, certainty: Certainty, lines: Vec<LineNumber>) -> Self {
        Self { value: Some(value), certainty, lines }
    }

    pub(super) fn missing(what: &str) -> Self {
        Self { value: None, certainty: Certainty::unknown(what), lines: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weaker_one_counts_and_reasons_join() {
        let likely = Certainty::likely("a");
        assert_eq!(Certainty::Certain.and(&likely), likely);
        assert_eq!(likely.clone().and(&Certainty::Certain), likely);
        assert_eq!(likely.clone().and(&likely), likely);
        assert_eq!(likely.clone().and(&Certainty::likely("b")).reasons(), ["a", "b"]);
        let unknown = Certainty::unknown("c");
        assert_eq!(likely.and(&unknown), unknown);
        assert_eq!((unknown.as_str(), unknown.reasons()), ("unknown", &["c".to_owned()][..]));
    }
}
