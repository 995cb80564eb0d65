//! Which series a line belongs to, by the bytes of its name and labels.

use std::collections::HashMap;
use std::sync::Arc;

use crate::TooMuch;

/// Names and labels of all series together: a million series of 250 bytes.
const MAX_NAMES: usize = 256 * 1024 * 1024;

/// The series so far, by the text before the value.
///
/// Dumps go series by series or scrape by scrape, so the next line is nearly always of the same
/// series as this one, or of the one that followed this one the last time. Both are tried by
/// comparing bytes; only then is the text's end looked for and a hash made. The hash is the
/// standard library's, seeded: nobody can write a file that makes it slow.
#[derive(Debug)]
pub(crate) struct Keys {
    ids: HashMap<Arc<[u8]>, u32>,
    texts: Vec<Arc<[u8]>>,
    /// By id: which series came after it the last time.
    follows: Vec<u32>,
    /// The series of the line before.
    last: u32,
    /// How many bytes of names may still come.
    room: usize,
}

impl Keys {
    pub(crate) fn new() -> Self {
        let (ids, texts, follows) = (HashMap::new(), vec![], vec![]);
        Self { ids, texts, follows, last: 0, room: MAX_NAMES }
    }

    /// The series whose line this probably is, and the rest of the line.
    pub(crate) fn guess<'a>(&mut self, line: &'a [u8]) -> Option<(u32, &'a [u8])> {
        let next = self.follows.get(at(self.last)).copied()?;
        let rest = match self.try_one(self.last, line) {
            Some(rest) => return Some((self.last, rest)),
            None => self.try_one(next, line)?,
        };
        self.last = next;
        Some((next, rest))
    }

    fn try_one<'a>(&self, id: u32, line: &'a [u8]) -> Option<&'a [u8]> {
        let rest = line.strip_prefix(&**self.texts.get(at(id))?)?;
        match rest {
            [b' ', b'0'..=b'9' | b'+' | b'-', ..] => Some(rest),
            _ => None,
        }
    }

    /// The series with this text.
    pub(crate) fn find(&mut self, text: &[u8]) -> Option<u32> {
        let id = self.ids.get(text).copied()?;
        self.follow(id);
        Some(id)
    }

    /// Adds a series; `id` must be the next one.
    pub(crate) fn add(&mut self, text: &[u8], id: u32, line: u64) -> Result<(), TooMuch> {
        let too_many = TooMuch::Names { line, limit: MAX_NAMES };
        self.room = self.room.checked_sub(text.len()).ok_or(too_many)?;
        let text: Arc<[u8]> = text.into();
        self.texts.push(Arc::clone(&text));
        self.ids.insert(text, id);
        self.follows.push(id);
        self.follow(id);
        Ok(())
    }

    fn follow(&mut self, id: u32) {
        if let Some(next) = self.follows.get_mut(at(self.last)) {
            *next = id;
        }
        self.last = id;
    }
}

/// An id as a place in the tables; one too large for that has no place.
fn at(id: u32) -> usize {
    usize::try_from(id).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_a_bound() {
        let mut keys = Keys { room: 8, ..Keys::new() };
        assert_eq!(keys.add(b"up", 0, 1), Ok(()));
        assert_eq!(keys.add(b"down{}", 1, 2), Ok(()));
        let error = keys.add(b"a", 2, 3);
        assert_eq!(error, Err(TooMuch::Names { line: 3, limit: MAX_NAMES }));
    }

    #[test]
    fn the_next_line_is_guessed_from_the_last_round() {
        let mut keys = Keys::new();
        for (id, name) in [(0, "a"), (1, "ab{x=\"1\"}"), (2, "b")] {
            keys.add(name.as_bytes(), id, 1).unwrap();
        }
        assert_eq!(keys.find(b"a"), Some(0));
        for (line, want) in [
            ("a 1", Some(0)),
            ("ab{x=\"1\"} 1", Some(1)),
            ("b 1", Some(2)),
            ("a 2", Some(0)),
            // Not of the series `a`, though it begins like it.
            ("a {x=\"1\"} 2", None),
            ("ab 2", None),
        ] {
            assert_eq!(keys.guess(line.as_bytes()).map(|(id, _)| id), want, "{line}");
        }
    }
}
