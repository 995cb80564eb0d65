//! What a manager of services says, and when.

use highwater_core::testimony::Testimony;
use highwater_core::text::escape;
use highwater_core::time::{BootTime, WallTime};

/// The longest words that are cited: a long log line, not a page.
const CITED_CHARS: usize = 300;

/// A testimony, when it happened, and what it is told apart by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The wall clock at it, where the witness says.
    pub wall: Option<WallTime>,
    /// The boot clock at it, where the witness says.
    pub boot: Option<BootTime>,
    /// Two with the same key within one boot are the same one, heard twice.
    pub key: String,
    /// What was said.
    pub testimony: Testimony,
}

/// What comes from a witness that is listened to for long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It answers: who it is, in words for people (`Docker 28.2.2`). From here on it is heard.
    Here(String),
    /// It says something.
    Told(Box<Told>),
    /// It no longer has what happened in a span.
    Missed(Missed),
    /// All that it had to say of the past is said; what it says from here on happens now.
    Caught,
}

/// A span of which a witness has nothing left to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missed {
    /// From when on.
    pub from: WallTime,
    /// Until when.
    pub until: WallTime,
    /// Why, in a sentence's fragment.
    pub why: String,
}

/// A witness that is not heard, or no longer: why, and what it would take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Absent {
    /// A lower-case fragment that names the thing and the way out.
    pub why: String,
}

impl Absent {
    /// Absent because of `why`.
    pub fn because(why: impl Into<String>) -> Self {
        Self { why: why.into() }
    }
}

/// `text` as it may be cited: one line, harmless, and cut.
pub fn cited(text: &[u8]) -> String {
    cut(text, CITED_CHARS)
}

/// `text` as one harmless line of at most `most` characters.
pub fn cut(text: &[u8], most: usize) -> String {
    // A character has four bytes at most; what is beyond is not even looked at.
    let near = text.get(..most.saturating_mul(4)).unwrap_or(text);
    let escaped = escape(near);
    match escaped.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", escaped.get(..end).unwrap_or_default()),
        None if near.len() < text.len() => format!("{escaped}…"),
        None => escaped.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_cut_and_made_harmless() {
        assert_eq!(cut(b"a\x1b[31m", 40), r"a\x1b[31m");
        assert_eq!(cut("éééé".as_bytes(), 2), "éé…");
        assert_eq!(cut(b"whole", 5), "whole");
        assert_eq!(cited(&[b'x'; 9_000]).chars().count(), CITED_CHARS + 1);
    }
}
