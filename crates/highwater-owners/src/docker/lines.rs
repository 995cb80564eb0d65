//! Lines out of the pieces that a connection brings.

/// The longest line that is kept. A container's labels make its events long: 4 KiB is much.
pub(super) const LONGEST: usize = 64 << 10;

/// A line that has come to its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Without the newline.
    Whole(Vec<u8>),
    /// Longer than [`LONGEST`]: it is not here.
    TooLong,
}

/// Cuts pieces into lines. Holds at most one piece and [`LONGEST`] bytes.
#[derive(Debug, Default)]
pub(super) struct Lines {
    pending: Vec<u8>,
    /// Where the next line begins in `pending`.
    from: usize,
    /// Up to where `pending` holds no newline from `from` on.
    searched: usize,
    /// The line that is being read is too long: everything up to its end is left out.
    is_too_long: bool,
}

impl Lines {
    /// The next piece.
    pub(super) fn add(&mut self, piece: &[u8]) {
        self.pending.drain(..self.from);
        self.searched = self.searched.saturating_sub(self.from);
        self.from = 0;
        self.pending.extend_from_slice(piece);
    }

    /// The next line without its end.
    pub(super) fn take(&mut self) -> Option<Line> {
        loop {
            let ahead = self.pending.get(self.searched..).unwrap_or_default();
            let Some(end) = ahead.iter().position(|byte| *byte == b'\n') else {
                self.wait();
                return None;
            };
            let end = self.searched + end;
            let line = self.pending.get(self.from..end).unwrap_or_default().trim_ascii().to_vec();
            self.from = end + 1;
            self.searched = self.from;
            if std::mem::take(&mut self.is_too_long) || line.len() > LONGEST {
                return Some(Line::TooLong);
            }
            if !line.is_empty() {
                return Some(Line::Whole(line));
            }
        }
    }

    /// Nothing ends a line yet: what is too long already is let go.
    fn wait(&mut self) {
        self.searched = self.pending.len();
        if self.pending.len() - self.from > LONGEST || self.is_too_long {
            self.is_too_long = true;
            self.pending.clear();
            self.from = 0;
            self.searched = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(lines: &mut Lines) -> Vec<Option<String>> {
        std::iter::from_fn(|| lines.take())
            .map(|line| match line {
                Line::Whole(line) => Some(String::from_utf8_lossy(&line).into_owned()),
                Line::TooLong => None,
            })
            .collect()
    }

    #[test]
    fn lines_come_whole_however_they_are_cut() {
        let text = b"{\"a\":1}\r\n\n{\"b\":2}\n{\"c\":3}\n";
        for size in 1..text.len() {
            let mut lines = Lines::default();
            let mut got = Vec::new();
            for piece in text.chunks(size) {
                lines.add(piece);
                got.extend(all(&mut lines).into_iter().flatten());
            }
            assert_eq!(got, [r#"{"a":1}"#, r#"{"b":2}"#, r#"{"c":3}"#], "pieces of {size}");
        }
    }

    #[test]
    fn a_line_without_end_is_left_out_and_not_kept() {
        let mut lines = Lines::default();
        for _ in 0..100 {
            lines.add(&[b'x'; 8 << 10]);
            assert_eq!(lines.take(), None);
            assert!(lines.pending.len() <= LONGEST + (8 << 10));
        }
        lines.add(b"tail\nnext\n");
        assert_eq!(all(&mut lines), [None, Some("next".to_owned())]);
    }
}
