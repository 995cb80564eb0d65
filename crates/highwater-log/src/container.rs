//! What container runtimes put before each line.
//!
//! ```text
//! 2026-04-27T08:47:12.123456789Z stderr F text      (CRI: containerd, CRI-O)
//! 2026-04-27T08:47:12.123456789Z stderr P te        (the first part of a long line)
//! ```
//!
//! Docker's `json-file` cuts long lines, too: a part has no line end. Parts are glued here, those
//! of the two streams apart.

use highwater_core::time::WallTime;

use crate::{iso, scan};

/// So much of a line in parts is kept; runtimes cut at 16 KiB, and no line of the kernel has more
/// than one such part.
const GLUED_BYTES: usize = 1 << 20;

/// Which of a container's outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pipe {
    Stdout,
    Stderr,
}

impl Pipe {
    /// The output with this name.
    pub(crate) fn named(name: &[u8]) -> Option<Self> {
        match name {
            b"stdout" => Some(Self::Stdout),
            b"stderr" => Some(Self::Stderr),
            _ => None,
        }
    }
}

/// One line of a CRI log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece<'a> {
    pub(crate) wall: Option<WallTime>,
    pub(crate) pipe: Pipe,
    /// More follows.
    pub(crate) is_partial: bool,
    pub(crate) text: &'a [u8],
}

/// Takes the envelope off.
pub(crate) fn cri(line: &[u8]) -> Option<Piece<'_>> {
    let (wall, rest) = iso::strip(line)?;
    let (pipe, rest) = scan::first_word(rest);
    let pipe = Pipe::named(pipe)?;
    let (tags, rest) = scan::first_word(rest.strip_prefix(b" ")?);
    let is_partial = match tags.split(|b| *b == b':').next()? {
        b"P" => true,
        b"F" => false,
        _ => return None,
    };
    Some(Piece { wall, pipe, is_partial, text: rest.strip_prefix(b" ").unwrap_or(rest) })
}

/// The parts of lines that are not complete.
#[derive(Debug, Default)]
pub(crate) struct Glue {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Glue {
    fn of(&mut self, pipe: Pipe) -> &mut Vec<u8> {
        match pipe {
            Pipe::Stdout => &mut self.stdout,
            Pipe::Stderr => &mut self.stderr,
        }
    }

    /// Keeps a part.
    pub(crate) fn keep(&mut self, pipe: Pipe, text: &[u8]) {
        let kept = self.of(pipe);
        let room = GLUED_BYTES.saturating_sub(kept.len());
        kept.extend_from_slice(text.get(..text.len().min(room)).unwrap_or_default());
    }

    /// The whole line that `last` completes, if parts stand before it.
    pub(crate) fn complete(&mut self, pipe: Pipe, last: &[u8]) -> Option<Vec<u8>> {
        if self.of(pipe).is_empty() {
            return None;
        }
        self.keep(pipe, last);
        Some(std::mem::take(self.of(pipe)))
    }

    /// What was never completed: the parts of one stream at a time.
    pub(crate) fn rest(&mut self) -> Option<Vec<u8>> {
        let kept = [&mut self.stdout, &mut self.stderr].into_iter().find(|kept| !kept.is_empty());
        kept.map(std::mem::take)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_its_stream_and_whether_more_follows() {
        let piece = cri(b"2026-04-27T08:47:12.123456789Z stderr P:x [ 1.5] te").unwrap();
        assert_eq!((piece.pipe, piece.is_partial), (Pipe::Stderr, true));
        assert_eq!(piece.text, b"[ 1.5] te");
        assert_eq!(piece.wall.unwrap().to_string(), "2026-04-27T08:47:12.123Z");
        assert_eq!(cri(b"2026-04-27T08:47:12.1+02:00 stdout F").unwrap().text, b"");
    }

    #[test]
    fn other_text_is_left_alone() {
        for line in [
            &b""[..],
            b"2026-04-27T08:47:12.123Z host kernel: x",
            b"2026-04-27T08:47:12.123Z stderr",
            b"2026-04-27T08:47:12.123Z stderr X x",
            b"stderr F x",
        ] {
            assert_eq!(cri(line), None);
        }
    }

    #[test]
    fn streams_are_glued_apart_and_only_so_much_is_kept() {
        let mut glue = Glue::default();
        glue.keep(Pipe::Stdout, b"a");
        glue.keep(Pipe::Stderr, b"x");
        assert_eq!(glue.complete(Pipe::Stdout, b"b"), Some(b"ab".to_vec()));
        assert_eq!(glue.complete(Pipe::Stdout, b"c"), None);
        assert_eq!(glue.rest(), Some(b"x".to_vec()));
        assert_eq!(glue.rest(), None);
        let part = vec![b'x'; 1000];
        (0..2000).for_each(|_| glue.keep(Pipe::Stderr, &part));
        assert_eq!(glue.rest().map(|kept| kept.len()), Some(GLUED_BYTES));
    }
}
