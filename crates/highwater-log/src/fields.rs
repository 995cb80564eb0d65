//! The members of a structured entry that matter, whatever it is written in: the journal's JSON,
//! export and verbose forms, `dmesg --json`, a container's log, a log shipper's JSON lines.
//!
//! What the journal takes from the sender and what it vouches for are told apart by the underscore:
//! `_TRANSPORT` is the journal's own word. Not even that is enough: what a program writes to
//! `/dev/kmsg` comes with `_TRANSPORT=kernel`, too, but never with facility 0 (systemd,
//! journald-kmsg.c; kernel, `devkmsg_write`).

use std::time::Duration;

use highwater_core::line::{JournalFields, Origin};
use highwater_core::time::{BootTime, WallTime};

use crate::container::Pipe;
use crate::envelope::{Facts, is_kernel};
use crate::{dmesg, iso};

/// The longest message that is kept; the kernel's have 1 KiB, the journal's unit lines a few.
const MESSAGE_BYTES: usize = 1 << 20;

/// The longest name of a writer that is kept.
const NAME_BYTES: usize = 256;

/// What a member's name means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// The message, as one kind of log calls it; of several the least counts.
    Message(u8),
    Realtime,
    SourceMonotonic,
    Monotonic,
    Transport,
    Ident,
    Comm,
    Facility,
    /// `dmesg --json`: facility and level in one number, or the level's name.
    Pri,
    /// `dmesg -x --json`: the facility's name.
    FacilityName,
    /// Seconds since boot in `dmesg --json`, elsewhere a date.
    Time,
    Pipe,
    /// Another object, whose members count as those of this one.
    Nest,
    /// A list of entries.
    List,
    /// A field of the journal that tells of an end or a start, by its name.
    Kept(&'static str),
    Other,
}

impl Key {
    /// What the name means.
    pub(crate) fn of(name: &[u8]) -> Self {
        match name {
            b"MESSAGE" => Self::Message(0),
            b"msg" => Self::Message(1),
            b"message" | b"textPayload" => Self::Message(2),
            b"log" | b"line" | b"_raw" | b"text" => Self::Message(3),
            b"__REALTIME_TIMESTAMP" => Self::Realtime,
            b"_SOURCE_MONOTONIC_TIMESTAMP" | b"_SOURCE_BOOTTIME_TIMESTAMP" => Self::SourceMonotonic,
            b"__MONOTONIC_TIMESTAMP" => Self::Monotonic,
            b"_TRANSPORT" => Self::Transport,
            b"SYSLOG_IDENTIFIER" | b"ident" | b"programname" | b"program" | b"appname"
            | b"app_name" | b"syslog_identifier" => Self::Ident,
            b"_COMM" => Self::Comm,
            b"SYSLOG_FACILITY" => Self::Facility,
            b"pri" => Self::Pri,
            b"fac" => Self::FacilityName,
            b"time" | b"timestamp" | b"@timestamp" | b"ts" => Self::Time,
            b"stream" => Self::Pipe,
            b"jsonPayload" | b"_source" | b"event" | b"fields" | b"record" | b"data" => Self::Nest,
            b"dmesg" | b"events" | b"entries" | b"logEvents" | b"hits" | b"result" | b"values" => {
                Self::List
            }
            [b'A'..=b'Z' | b'_', ..] => Self::kept(name),
            _ => Self::Other,
        }
    }

    fn kept(name: &[u8]) -> Self {
        let kept = JournalFields::KEPT.iter().find(|kept| kept.as_bytes() == name);
        kept.map_or(Self::Other, |kept| Self::Kept(kept))
    }

    /// What the journal calls it, if it is kept for whoever asks how something ended.
    const fn journals(self) -> Option<&'static str> {
        match self {
            Self::Kept(name) => Some(name),
            Self::Realtime => Some("__REALTIME_TIMESTAMP"),
            Self::Transport => Some("_TRANSPORT"),
            Self::Comm => Some("_COMM"),
            _ => None,
        }
    }
}

/// The members that matter of one entry.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    message: Option<(u8, Vec<u8>)>,
    /// The line on which the message stands.
    pub(crate) number: u64,
    realtime_us: Option<u64>,
    source_us: Option<u64>,
    monotonic_us: Option<u64>,
    /// `_TRANSPORT` is `kernel`.
    is_transport_kernel: Option<bool>,
    transport: Vec<u8>,
    ident: Vec<u8>,
    comm: Vec<u8>,
    facility: Option<u64>,
    is_dmesg: bool,
    seconds: Option<BootTime>,
    wall: Option<WallTime>,
    pipe: Option<Pipe>,
    /// What the journal keeps beside the message.
    journal: JournalFields,
    /// A value of it that comes byte by byte.
    opened: Option<(&'static str, Vec<u8>)>,
    /// Members that no `json-file` of Docker has.
    has_others: bool,
}

/// A text in a list is the message where no member is.
const LIST_RANK: u8 = 4;

impl Fields {
    /// A member whose value is text.
    pub(crate) fn set(&mut self, key: Key, value: &[u8]) {
        self.has_others |= !matches!(key, Key::Message(_) | Key::Time | Key::Pipe);
        if let Some(name) = key.journals() {
            self.journal.keep(name.as_bytes(), value);
        }
        let number = || -> Option<u64> { std::str::from_utf8(value).ok()?.parse().ok() };
        match key {
            Key::Message(rank) => self.say(rank, value),
            Key::Realtime => self.realtime_us = number(),
            Key::SourceMonotonic => self.source_us = number(),
            Key::Monotonic => self.monotonic_us = number(),
            Key::Transport => self.carry(value),
            Key::Ident => name(&mut self.ident, value),
            Key::Comm => name(&mut self.comm, value),
            Key::Facility => self.facility = self.facility.max(number()),
            Key::FacilityName => {
                self.is_dmesg = true;
                self.facility = dmesg::facility(value).map(u64::from).or(Some(1));
            }
            Key::Time => {
                self.wall = iso::strip(value).and_then(|(wall, _)| wall).or(self.wall);
            }
            Key::Pipe => self.pipe = Pipe::named(value),
            // The item of a list, or a whole log in place of one. A number in quotes is a time.
            Key::List if value.iter().any(|b| !b.is_ascii_digit()) => {
                self.say(LIST_RANK, value);
            }
            Key::Pri | Key::Nest | Key::List | Key::Kept(_) | Key::Other => {}
        }
    }

    /// A member whose value is a whole number.
    pub(crate) fn set_whole(&mut self, key: Key, value: u64) {
        self.has_others |= key != Key::Time;
        if let Some(name) = key.journals() {
            self.journal.keep(name.as_bytes(), value.to_string().as_bytes());
        }
        match key {
            Key::Pri => {
                self.is_dmesg = true;
                self.facility = Some(value / 8);
            }
            Key::Facility => self.facility = self.facility.max(Some(value)),
            Key::Realtime => self.realtime_us = Some(value),
            Key::Monotonic => self.monotonic_us = Some(value),
            Key::SourceMonotonic => self.source_us = Some(value),
            _ => {}
        }
    }

    /// A member whose value is a number with a fraction: seconds.
    pub(crate) fn set_seconds(&mut self, key: Key, value: f64) {
        self.has_others |= key != Key::Time;
        if key == Key::Time {
            let us = Duration::try_from_secs_f64(value).map(|span| u64::try_from(span.as_micros()));
            self.seconds = us.ok().and_then(Result::ok).map(BootTime::from_micros);
        }
    }

    /// More of a value that comes byte by byte.
    pub(crate) fn append_byte(&mut self, key: Key, byte: u8) {
        let Some(name) = key.journals() else { return self.append(key, &[byte]) };
        if self.opened.as_ref().is_none_or(|(opened, _)| *opened != name) {
            self.close();
            self.opened = Some((name, Vec::new()));
        }
        if let Some((_, bytes)) = &mut self.opened
            && bytes.len() < JournalFields::MOST_BYTES
        {
            bytes.push(byte);
        }
    }

    /// Keeps the value that came byte by byte.
    fn close(&mut self) {
        if let Some((name, bytes)) = self.opened.take() {
            self.journal.keep(name.as_bytes(), &bytes);
        }
    }

    /// Takes out what the journal keeps beside the message; nothing, if this is no entry of it.
    pub(crate) fn take_journal(&mut self) -> Option<JournalFields> {
        self.close();
        let fields = std::mem::take(&mut self.journal);
        (self.is_journals() && !fields.is_empty()).then_some(fields)
    }

    /// More of a value that has several lines.
    pub(crate) fn append(&mut self, key: Key, more: &[u8]) {
        if let (Key::Message(_), Some((_, message))) = (key, &mut self.message) {
            let room = MESSAGE_BYTES.saturating_sub(message.len());
            message.extend_from_slice(more.get(..more.len().min(room)).unwrap_or_default());
        }
    }

    fn say(&mut self, rank: u8, value: &[u8]) {
        if self.message.as_ref().is_none_or(|(old, _)| rank < *old) {
            let kept = value.get(..value.len().min(MESSAGE_BYTES)).unwrap_or_default();
            self.message = Some((rank, kept.to_vec()));
        }
    }

    /// The transport. One entry has one; of two that differ neither is the kernel.
    fn carry(&mut self, value: &[u8]) {
        let is_kernel = value == b"kernel" && self.is_transport_kernel != Some(false);
        self.is_transport_kernel = Some(is_kernel);
        name(&mut self.transport, value);
    }

    /// There is a message.
    pub(crate) fn has_message(&self) -> bool {
        self.message.is_some()
    }

    /// The journal's own stamp has been read.
    pub(crate) fn is_headed(&self) -> bool {
        self.realtime_us.is_some()
    }

    /// Only an entry of the journal has such members.
    pub(crate) fn is_journals(&self) -> bool {
        self.is_headed() || self.is_transport_kernel.is_some()
    }

    /// Takes the message out.
    pub(crate) fn take_message(&mut self) -> Option<Vec<u8>> {
        self.message.take().map(|(_, message)| message)
    }

    /// The output of a container that this is a line of, if it is no more than that: Docker's
    /// `json-file` has no other members.
    pub(crate) fn piece(&self) -> Option<Pipe> {
        self.pipe.filter(|_| !self.has_others && self.wall.is_some())
    }

    /// Who wrote it. A program that took the kernel's name is told by another one.
    pub(crate) fn ident(&self) -> Option<&[u8]> {
        if self.origin() == Origin::Kernel {
            return Some(b"kernel");
        }
        let names = [&self.ident, &self.comm, &self.transport];
        let is_program = self.origin() == Origin::Program;
        let fits = |name: &&Vec<u8>| !(name.is_empty() || is_program && is_kernel(name));
        names.into_iter().find(fits).map(Vec::as_slice)
    }

    /// Whose words these are. Only the journal vouches: `dmesg --json` mixes facility and level up
    /// (util-linux 2.38 writes 46, facility 5 and level 6, as 7).
    pub(crate) fn origin(&self) -> Origin {
        let is_facility_kernel = self.facility.is_none_or(|facility| facility == 0);
        let is_named_kernel = self.ident.is_empty() || is_kernel(&self.ident);
        match self.is_transport_kernel {
            _ if !is_facility_kernel || !is_named_kernel => Origin::Program,
            Some(false) => Origin::Program,
            Some(true) => Origin::Kernel,
            None => Origin::Unsaid,
        }
    }

    /// What the entry says about the message.
    pub(crate) fn facts(&self) -> Facts {
        let us = self.realtime_us.and_then(|us| i64::try_from(us / 1000).ok());
        let boot_us = self.source_us.or(self.monotonic_us).map(BootTime::from_micros);
        Facts {
            wall: us.map(WallTime::from_millis).or(self.wall),
            boot: boot_us.or(self.seconds.filter(|_| self.is_dmesg)),
            origin: self.origin(),
            ..Facts::default()
        }
    }
}

/// Keeps a name; the first counts, but a program's rather than the kernel's.
fn name(kept: &mut Vec<u8>, value: &[u8]) {
    if kept.is_empty() || is_kernel(kept) {
        let value = value.get(..value.len().min(NAME_BYTES)).unwrap_or_default();
        if !value.is_empty() {
            *kept = value.to_vec();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(members: &[(&str, &str)]) -> Fields {
        let mut fields = Fields::default();
        for (name, value) in members {
            fields.set(Key::of(name.as_bytes()), value.as_bytes());
        }
        fields
    }

    #[test]
    fn only_the_kernels_own_transport_facility_and_name_vouch() {
        let told = |members: &[(&str, &str)]| {
            let fields = fields(members);
            (fields.origin(), fields.ident().map(<[u8]>::to_vec))
        };
        let (transport, ident) = (("_TRANSPORT", "kernel"), ("SYSLOG_IDENTIFIER", "kernel"));
        let (kernel, program) = (Some(b"kernel".to_vec()), |name: &str| Some(name.into()));
        assert_eq!(told(&[transport, ident]), (Origin::Kernel, kernel.clone()));
        assert_eq!(told(&[transport, ("SYSLOG_FACILITY", "0")]), (Origin::Kernel, kernel.clone()));
        assert_eq!(
            told(&[transport, ident, ("SYSLOG_FACILITY", "1")]),
            (Origin::Program, None),
            "a program that writes to the kernel's log"
        );
        assert_eq!(
            told(&[transport, ("SYSLOG_IDENTIFIER", "systemd")]),
            (Origin::Program, program("systemd"))
        );
        assert_eq!(
            told(&[("_TRANSPORT", "stdout"), ident, ("_COMM", "logger")]),
            (Origin::Program, program("logger"))
        );
        assert_eq!(told(&[("_TRANSPORT", "syslog"), ident]), (Origin::Program, program("syslog")));
        assert_eq!(told(&[ident]), (Origin::Unsaid, kernel));
        assert_eq!(told(&[transport, ("_TRANSPORT", "stdout")]).0, Origin::Program);
        assert_eq!(told(&[("_TRANSPORT", "stdout"), transport]).0, Origin::Program);
    }

    #[test]
    fn moments_are_read_and_nonsense_is_not() {
        let times = [
            ("__REALTIME_TIMESTAMP", "1777272432123456"),
            ("__MONOTONIC_TIMESTAMP", "13000000"),
            ("_SOURCE_MONOTONIC_TIMESTAMP", "12500000"),
        ];
        let facts = fields(&times).facts();
        assert_eq!(facts.wall.unwrap().to_string(), "2026-04-27T06:47:12.123Z");
        assert_eq!(facts.boot, Some(BootTime::from_micros(12_500_000)));
        let facts = fields(&[("__REALTIME_TIMESTAMP", "-1"), ("time", "yesterday")]).facts();
        assert_eq!((facts.wall, facts.boot), (None, None));
    }

    #[test]
    fn the_most_telling_message_counts() {
        let message = |members: &[(&str, &str)]| fields(members).take_message();
        assert_eq!(message(&[("log", "a"), ("MESSAGE", "b"), ("message", "c")]), Some(b"b".into()));
        assert_eq!(message(&[("level", "info")]), None);
        let mut long = fields(&[("MESSAGE", "x")]);
        long.append(Key::Message(0), &vec![b'y'; 2 * MESSAGE_BYTES]);
        assert_eq!(long.take_message().map(|message| message.len()), Some(MESSAGE_BYTES));
    }

    #[test]
    fn dmesg_tells_facility_and_seconds() {
        let mut fields = fields(&[("msg", "x")]);
        fields.set_whole(Key::Pri, 6);
        fields.set_seconds(Key::Time, 9_828.950_593);
        let facts = fields.facts();
        assert_eq!(facts.boot, Some(BootTime::from_micros(9_828_950_593)));
        assert_eq!(facts.origin, Origin::Unsaid);
        fields.set_whole(Key::Pri, 30);
        assert_eq!(fields.facts().origin, Origin::Program);
        fields.set_seconds(Key::Time, f64::NAN);
        assert_eq!(fields.facts().boot, None);
    }
}
