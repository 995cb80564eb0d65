//! What journalctl writes, line by line: JSON, one entry on each.
//!
//! Most lines tell nothing: what was read is drawn through the nets at once ([`Marks`]), and only the
//! lines that stay are taken apart. Memory is one buffer.

mod marks;

use highwater_log::Opener;
use highwater_owners::{Told, journal};
use memchr::memmem;

use self::marks::Marks;
use super::killers;

/// The longest line that is read. journalctl leaves values of more than 4 KiB out unless it is told
/// otherwise, and an entry of systemd's has some thirty fields.
const LINE_BYTES: usize = 64 << 10;

/// So much is asked for at a time: as much as a pipe holds.
const READ_BYTES: usize = 64 << 10;

/// What stands before a message of plain text.
const MESSAGE: &[u8] = b"\"MESSAGE\":\"";

/// What stands before the wall clock of an entry.
const REALTIME: &[u8] = b"\"__REALTIME_TIMESTAMP\":\"";

/// The number of a line that is read for itself.
const FIRST: u64 = 1;

/// Two entries are not out of order by more than this.
const SET_BACK_US: u64 = 1_000_000;

/// The lines in the making.
#[derive(Debug)]
pub(super) struct Lines {
    buffer: Vec<u8>,
    /// So much of the buffer was read and not yet taken.
    filled: usize,
    /// The line that began is too long: what is left of it is passed over.
    passing: bool,
    newest_us: Option<u64>,
}

impl Default for Lines {
    fn default() -> Self {
        let buffer = vec![0; LINE_BYTES + READ_BYTES];
        Self { buffer, filled: 0, passing: false, newest_us: None }
    }
}

impl Lines {
    /// Where the next bytes go; never empty.
    pub(super) fn room(&mut self) -> &mut [u8] {
        let end = self.filled.saturating_add(READ_BYTES);
        self.buffer.get_mut(self.filled..end).unwrap_or_default()
    }

    /// The wall clock of the newest entry, in µs.
    pub(super) const fn newest_us(&self) -> Option<u64> {
        self.newest_us
    }

    /// Forgets a line that will have no end.
    pub(super) const fn cut_off(&mut self) {
        (self.filled, self.passing) = (0, false);
    }

    /// `count` bytes more are in the room that was given: gives what their lines tell.
    pub(super) fn take(&mut self, count: usize, out: &mut dyn FnMut(Told)) {
        self.filled = self.filled.saturating_add(count).min(self.buffer.len());
        let bytes = self.buffer.get(..self.filled).unwrap_or_default();
        let end = memchr::memrchr(b'\n', bytes).map_or(0, |end| end + 1);
        let mut lines = bytes.get(..end).unwrap_or_default();
        if !lines.is_empty() && std::mem::take(&mut self.passing) {
            lines = after_line(lines);
        }
        Marks::of(lines).filter(|line| is_relevant(line)).for_each(|line| tell(line, out));
        self.newest_us = newest(self.newest_us, last(lines).and_then(realtime));
        self.buffer.copy_within(end..self.filled, 0);
        self.filled -= end;
        if self.filled >= LINE_BYTES {
            (self.filled, self.passing) = (0, true);
        }
    }
}

/// What follows the first of the lines.
fn after_line(lines: &[u8]) -> &[u8] {
    memchr::memchr(b'\n', lines).and_then(|end| lines.get(end + 1..)).unwrap_or_default()
}

/// The last of the lines.
fn last(lines: &[u8]) -> Option<&[u8]> {
    let lines = lines.strip_suffix(b"\n")?;
    lines.get(memchr::memrchr(b'\n', lines).map_or(0, |end| end + 1)..)
}

/// Entries of several files may be a little out of order; a stamp that is much earlier than the last
/// one is of a clock that was set back, and then that is what holds.
fn newest(before: Option<u64>, stamp: Option<u64>) -> Option<u64> {
    match (before, stamp) {
        (Some(before), Some(stamp)) if stamp.saturating_add(SET_BACK_US) < before => Some(stamp),
        (before, stamp) => before.max(stamp),
    }
}

/// A closer look at a line that a net has held. Who kills for memory is named in other fields of each of
/// its lines, and says in the message whom.
fn is_relevant(line: &[u8]) -> bool {
    journal::is_relevant(line)
        || marks::is_bytes(line)
        || highwater_oom::is_relevant(message(line).unwrap_or(line))
}

/// The message as it is written. Within a value no such name can stand: its quotes are escaped there.
fn message(line: &[u8]) -> Option<&[u8]> {
    let text = line.get(memmem::find(line, MESSAGE)? + MESSAGE.len()..)?;
    let mut ends = memchr::memchr_iter(b'"', text).map(|end| text.get(..end).unwrap_or_default());
    ends.find(|text| !is_escaping(text))
}

/// Whether what follows the text is escaped by its end.
fn is_escaping(text: &[u8]) -> bool {
    text.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
}

/// Takes the entry apart. Each line vouches for itself alone.
fn tell(line: &[u8], out: &mut dyn FnMut(Told)) {
    let mut opener = Opener::default();
    if !opener.take(FIRST, line) {
        return;
    }
    let entry = opener.message(line);
    let Some(key) = journal::key(&entry) else { return };
    let told = journal::testimony(&entry).into_iter().chain(killers::testimonies(&entry));
    for (turn, mut testimony) in told.enumerate() {
        // Of a stream that never ends a line's number says nothing.
        testimony.evidence.line = None;
        let key = if turn == 0 { key.clone() } else { format!("{key}:{turn}") };
        out(Told { wall: entry.wall, boot: entry.boot, key, testimony });
    }
}

/// The wall clock of an entry, in µs.
fn realtime(line: &[u8]) -> Option<u64> {
    let at = memmem::find(line, REALTIME)?;
    let digits = line.get(at + REALTIME.len()..)?;
    let end = memchr::memchr(b'"', digits)?;
    std::str::from_utf8(digits.get(..end)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// What is told of these bytes, which come in pieces.
    fn told(text: &[u8], piece_bytes: usize) -> Vec<(String, String)> {
        let (mut lines, mut all) = (Lines::default(), Vec::new());
        for piece in text.chunks(piece_bytes) {
            lines.room()[..piece.len()].copy_from_slice(piece);
            lines.take(piece.len(), &mut |told| all.push(said(&told)));
        }
        all
    }

    fn said(told: &Told) -> (String, String) {
        (told.key.clone(), format!("{:?}", told.testimony))
    }

    #[test]
    fn the_nets_let_nothing_through_that_tells_something() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/deaths/vm");
        let mut count = 0;
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let text = std::fs::read(&path).unwrap();
            let mut all = Vec::new();
            for line in text.split(|byte| *byte == b'\n').filter(|line| line.len() < LINE_BYTES) {
                tell(line, &mut |told| all.push(said(&told)));
            }
            count += all.len();
            for piece_bytes in [READ_BYTES, 3_001] {
                assert_eq!(told(&text, piece_bytes), all, "{}", path.display());
            }
        }
        assert!(count > 100, "{count}");
    }

    #[test]
    fn a_line_that_is_too_long_is_passed_over_and_the_next_is_read() {
        let entry = r#"{"__CURSOR":"c","__REALTIME_TIMESTAMP":"7000000","_PID":"1","_TRANSPORT":"journal","UNIT":"a.service","MESSAGE":"a.service: Failed with result 'signal'."}"#;
        let long = entry.replace("signal", &"x".repeat(3 * LINE_BYTES));
        let text = format!("{long}\n{entry}\n{long}\n\n{entry}\n");
        for piece_bytes in [READ_BYTES, READ_BYTES - 1, 777] {
            assert_eq!(told(text.as_bytes(), piece_bytes).len(), 2, "{piece_bytes}");
        }
    }

    #[test]
    fn a_message_is_what_is_between_its_quotes() {
        let of = |line: &'static str| message(line.as_bytes());
        assert_eq!(of(r#"{"A":"x","MESSAGE":"one","B":"Killed"}"#), Some(&b"one"[..]));
        assert_eq!(of(r#"{"MESSAGE":"a \"b\" c\\","B":"y"}"#), Some(&br#"a \"b\" c\\"#[..]));
        assert_eq!(of(r#"{"MESSAGE":""}"#), Some(&b""[..]));
        let none = ["", r#"{"MESSAGE":"cut"#, r#"{"MESSAGE":[7]}"#, r#"{"A":"\"MESSAGE\":\"x\""}"#];
        assert!(none.into_iter().all(|line| of(line).is_none()));
    }

    #[test]
    fn the_newest_is_that_of_the_last_line() {
        let mut lines = Lines::default();
        let text = b"{\"__REALTIME_TIMESTAMP\":\"5\"}\n{\"__REALTIME_TIMESTAMP\":\"7\"}\n{\"__REAL";
        lines.room()[..text.len()].copy_from_slice(text);
        lines.take(text.len(), &mut |_| {});
        assert_eq!(lines.newest_us(), Some(7));
        for text in ["", "\n", "x"] {
            assert_eq!(last(text.as_bytes()), text.strip_suffix('\n').map(str::as_bytes));
        }
    }
}
