//! What journalctl writes, line by line: JSON, one entry on each.
//!
//! Most lines tell nothing and are dropped after a look at their words; only what is left is taken
//! apart. Memory is one buffer.

use highwater_log::Opener;
use highwater_owners::{Told, journal};
use memchr::memmem;

use super::killers;

/// The longest line that is read. journalctl leaves values of more than 4 KiB out unless it is told
/// otherwise, and an entry of systemd's has some thirty fields.
const LINE_BYTES: usize = 64 << 10;

/// So much is asked for at a time: as much as a pipe holds.
const READ_BYTES: usize = 64 << 10;

/// How a message is written that is not plain text.
const BYTES: [&[u8]; 2] = [b"\"MESSAGE\":[", b"\"MESSAGE\" : ["];

/// What stands before the wall clock of an entry.
const REALTIME: &[u8] = b"\"__REALTIME_TIMESTAMP\":\"";

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
    number: u64,
    newest_us: Option<u64>,
}

impl Default for Lines {
    fn default() -> Self {
        let buffer = vec![0; LINE_BYTES + READ_BYTES];
        Self { buffer, filled: 0, passing: false, number: 0, newest_us: None }
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
        let mut from = 0;
        let mut last = None;
        for end in memchr::memchr_iter(b'\n', bytes) {
            let line = bytes.get(from..end).unwrap_or_default();
            from = end + 1;
            self.number += 1;
            if std::mem::take(&mut self.passing) {
                continue;
            }
            last = Some(line);
            if is_relevant(line) {
                tell(self.number, line, out);
            }
        }
        self.newest_us = newest(self.newest_us, last.and_then(realtime));
        self.buffer.copy_within(from..self.filled, 0);
        self.filled -= from;
        if self.filled >= LINE_BYTES {
            (self.filled, self.passing) = (0, true);
        }
    }
}

/// Entries of several files may be a little out of order; a stamp that is much earlier than the last
/// one is of a clock that was set back, and then that is what holds.
fn newest(before: Option<u64>, stamp: Option<u64>) -> Option<u64> {
    match (before, stamp) {
        (Some(before), Some(stamp)) if stamp.saturating_add(SET_BACK_US) < before => Some(stamp),
        (before, stamp) => before.max(stamp),
    }
}

/// The cheap look.
fn is_relevant(line: &[u8]) -> bool {
    journal::is_relevant(line)
        || highwater_oom::is_relevant(line)
        || BYTES.iter().any(|bytes| memmem::find(line, bytes).is_some())
}

/// Takes the entry apart. Each line vouches for itself alone.
fn tell(number: u64, line: &[u8], out: &mut dyn FnMut(Told)) {
    let mut opener = Opener::default();
    if !opener.take(number, line) {
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
