//! A line of somebody's log, out of its envelope.

use crate::time::{BootTime, WallTime};

/// One line of a log: what it says, and what its envelope said about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogLine<'a> {
    /// Which line of the input, from 1; of `/dev/kmsg`, which record.
    pub number: u64,
    /// The message without its envelope.
    pub text: &'a [u8],
    /// The whole line as it stood in the input, without its end.
    pub raw: &'a [u8],
    /// The wall clock, where the envelope gives date, year and zone.
    pub wall: Option<WallTime>,
    /// Time since boot, where the envelope gives it.
    pub boot: Option<BootTime>,
    /// The kernel's own sequence number (`/dev/kmsg`).
    pub seq: Option<u64>,
    /// Who wrote it, where the envelope says so: `kernel`, `systemd-oomd`, …
    pub ident: Option<&'a [u8]>,
    /// It carries on the message above it: printed without a stamp of its own, or a `kmsg`
    /// continuation.
    pub continues: bool,
}

/// A log line that owns its bytes, as it is stored with an event.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RecordedLine {
    /// The kernel's sequence number, if it had one.
    pub seq: Option<u64>,
    /// Time since boot, if known.
    pub boot: Option<BootTime>,
    /// The wall clock, if known.
    pub wall: Option<WallTime>,
    /// The message; bytes that are not UTF-8 are escaped.
    pub text: String,
}

impl RecordedLine {
    /// The line as a reader of logs sees it; it stands at `number`.
    pub fn as_line(&self, number: u64) -> LogLine<'_> {
        let text = self.text.as_bytes();
        LogLine {
            number,
            text,
            raw: text,
            wall: self.wall,
            boot: self.boot,
            seq: self.seq,
            ident: None,
            continues: false,
        }
    }
}

impl From<&LogLine<'_>> for RecordedLine {
    fn from(line: &LogLine<'_>) -> Self {
        Self {
            seq: line.seq,
            boot: line.boot,
            wall: line.wall,
            text: crate::text::escape(line.text).into_owned(),
        }
    }
}
