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
    /// How far the kernel is known to have written it.
    pub origin: Origin,
    /// Which task or processor printed it (`CONFIG_PRINTK_CALLER`: `[ T9185]`, `[    C0]`).
    pub caller: Option<Caller>,
    /// What the journal keeps beside the message; `None` of a line from elsewhere.
    pub journal: Option<&'a JournalFields>,
}

/// Fields of a journal entry: those of [`JournalFields::KEPT`] that it has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JournalFields {
    fields: Vec<(&'static str, String)>,
}

impl JournalFields {
    /// The fields that tell of an end or a start (systemd.journal-fields(7), the message catalogue).
    /// Those with an underscore in front are the journal's own word, which no sender can choose.
    pub const KEPT: &'static [&'static str] = &[
        "MESSAGE_ID",
        "UNIT",
        "USER_UNIT",
        "INVOCATION_ID",
        "USER_INVOCATION_ID",
        "EXIT_CODE",
        "EXIT_STATUS",
        "COMMAND",
        "UNIT_RESULT",
        "JOB_TYPE",
        "JOB_RESULT",
        "N_RESTARTS",
        "COREDUMP_PID",
        "COREDUMP_UID",
        "COREDUMP_SIGNAL",
        "COREDUMP_COMM",
        "COREDUMP_UNIT",
        "COREDUMP_USER_UNIT",
        "COREDUMP_CGROUP",
        "CONTAINER_ID_FULL",
        "CONTAINER_NAME",
        "_PID",
        "_UID",
        "_COMM",
        "_SYSTEMD_UNIT",
        "_SYSTEMD_USER_UNIT",
        "_SYSTEMD_CGROUP",
        "_TRANSPORT",
        "_BOOT_ID",
        "__CURSOR",
        "__REALTIME_TIMESTAMP",
    ];

    /// The longest value that is kept.
    pub const MOST_BYTES: usize = 1024;

    /// Keeps `value` if the field is one that matters: escaped, and cut after
    /// [`Self::MOST_BYTES`].
    pub fn keep(&mut self, name: &[u8], value: &[u8]) {
        let Some(name) = Self::KEPT.iter().find(|kept| kept.as_bytes() == name) else { return };
        let value = value.get(..Self::MOST_BYTES).unwrap_or(value);
        if self.get(name).is_none() {
            self.fields.push((name, crate::text::escape(value).into_owned()));
        }
    }

    /// The value of a field.
    pub fn get(&self, name: &str) -> Option<&str> {
        let field = self.fields.iter().find(|(known, _)| *known == name)?;
        Some(&field.1)
    }

    /// Nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }
}

/// Whose words a line holds, by what its transport vouches for and no sender can choose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The kernel's: a `/dev/kmsg` record of facility 0, a journal entry with
    /// `_TRANSPORT=kernel`.
    Kernel,
    /// A program's: another facility, another transport, a syslog tag that is not the kernel's.
    Program,
    /// Nobody vouches: text as pasted, or a tag `kernel:` in a text file, which any program can
    /// write.
    #[default]
    Unsaid,
}

/// Who printed, as the kernel's log marks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Caller {
    /// `T9185`: the task with this pid.
    Task(u32),
    /// `C0`: this processor, in interrupt context.
    Cpu(u32),
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
    /// The line as a reader of logs sees it; it stands at `number`. What is recorded came out of
    /// the kernel's own log.
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
            origin: Origin::Kernel,
            caller: None,
            journal: None,
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

/// Lines one after the other, each borrowed until the next is asked for: a file, a stream, a
/// recording.
pub trait LineSource {
    /// The next line; `None` at the end.
    fn next_line(&mut self) -> Option<LogLine<'_>>;

    /// Everything up to the line in which `net` sees something may be left out.
    ///
    /// A source may ignore this, and it may give some lines before that one: what the net sees need
    /// not be where an episode begins.
    fn skip_to(&mut self, _net: Net) {}
}

/// Lent, so that it can be asked afterwards how it went.
impl<L: LineSource + ?Sized> LineSource for &mut L {
    fn next_line(&mut self) -> Option<LogLine<'_>> {
        (**self).next_line()
    }

    fn skip_to(&mut self, net: Net) {
        (**self).skip_to(net);
    }
}

/// What is worth reading, as two plain functions, so that a source may let another thread look
/// ahead.
#[derive(Clone, Copy, Debug)]
pub struct Net {
    /// Looks through a stretch of the input as it stands there. The stretch may begin and end within
    /// a line: what is in such a line and may be worth reading counts.
    pub sweep: fn(&[u8]) -> Seen,
    /// May this line, as it stands there, be worth reading? Finer, and slower: for the lines before
    /// the one that the sweep saw.
    pub is_relevant: fn(&[u8]) -> bool,
}

/// What was seen in a stretch of the input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// How many lines end in it.
    pub ends: u64,
    /// Where the first thing worth reading is.
    pub mark: Option<usize>,
}

/// Lines that are in memory already: those recorded with a death.
impl LineSource for std::vec::IntoIter<LogLine<'_>> {
    fn next_line(&mut self) -> Option<LogLine<'_>> {
        self.next()
    }
}
