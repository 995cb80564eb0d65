//! The journal's export form (systemd, "Journal Export Formats"): its lines, and values that are
//! counted in bytes.

use crate::fields::Key;

/// The longest value journald takes (`DATA_SIZE_MAX`): a greater length is no length.
const VALUE_BYTES: u64 = 768 << 20;

/// So much of a counted value is kept.
const KEPT_BYTES: usize = 1 << 20;

/// Whoever feeds lines may cut those that are this long or longer, and then bytes are missing that
/// were counted.
const LINE_BYTES: usize = 256 << 10;

/// The longest name of a field that journald takes.
const NAME_BYTES: usize = 64;

/// The fields with which an entry begins.
const FIRST: [&[u8]; 3] = [b"__CURSOR=", b"__SEQNUM=", b"__REALTIME_TIMESTAMP="];

/// Fields by which an entry is known whose beginning is missing.
const KNOWN: [&[u8]; 12] = [
    b"__MONOTONIC_TIMESTAMP=",
    b"_SOURCE_MONOTONIC_TIMESTAMP=",
    b"_TRANSPORT=",
    b"_BOOT_ID=",
    b"_MACHINE_ID=",
    b"_HOSTNAME=",
    b"_PID=",
    b"_COMM=",
    b"MESSAGE=",
    b"PRIORITY=",
    b"SYSLOG_FACILITY=",
    b"SYSLOG_IDENTIFIER=",
];

/// Does an entry begin here?
pub(crate) fn begins(line: &[u8]) -> bool {
    FIRST.iter().any(|field| line.starts_with(field))
}

/// Is this a line that only the journal writes?
pub(crate) fn is_field(line: &[u8]) -> bool {
    match line.first() {
        Some(b'_' | b'M' | b'P' | b'S') => {
            begins(line) || KNOWN.iter().any(|field| line.starts_with(field))
        }
        _ => false,
    }
}

/// `NAME=value`, or `NAME` before a counted value.
pub(crate) fn is_name_or_field(line: &[u8]) -> bool {
    let window = line.get(..line.len().min(NAME_BYTES + 1)).unwrap_or_default();
    match memchr::memchr(b'=', window) {
        Some(at) => is_name(line.get(..at).unwrap_or_default()),
        None => is_name(line),
    }
}

/// Could this be the name of a field?
pub(crate) fn is_name(name: &[u8]) -> bool {
    let fits = |b: &u8| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b'_';
    name.len() <= NAME_BYTES
        && name.first().is_some_and(|b| !b.is_ascii_digit())
        && name.iter().all(fits)
}

/// What a line did to a value.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// The value goes on.
    More,
    /// The value is complete.
    Whole(Key, Vec<u8>),
    /// The value has not the length it said it has.
    Lost,
}

/// A value in the making: its length in eight bytes, the least first, then so many bytes, then a
/// line end.
#[derive(Debug, Default)]
pub(crate) struct Value {
    key: Option<Key>,
    length: Vec<u8>,
    left: u64,
    kept: Vec<u8>,
}

impl Value {
    /// The value of the member `key`, which begins on the next line.
    pub(crate) fn open(key: Key) -> Self {
        Self { key: Some(key), ..Self::default() }
    }

    /// The next line is part of the value.
    pub(crate) fn is_open(&self) -> bool {
        self.key.is_some()
    }

    /// Takes a line, whose end is a byte like any other.
    pub(crate) fn take(&mut self, line: &[u8]) -> Taken {
        if line.len() >= LINE_BYTES {
            return self.lost();
        }
        let (length, rest) = line.split_at_checked(self.missing()).unwrap_or((line, &[]));
        if self.missing() > 0 {
            self.length.extend_from_slice(length);
            if self.missing() > 0 {
                self.length.push(b'\n');
                return self.begin(&[], true);
            }
            return self.begin(rest, false);
        }
        self.fill(rest)
    }

    fn missing(&self) -> usize {
        size_of::<u64>().saturating_sub(self.length.len())
    }

    /// The length may be complete. `is_over`: the line end was its last byte.
    fn begin(&mut self, rest: &[u8], is_over: bool) -> Taken {
        let Ok(length) = <[u8; 8]>::try_from(self.length.as_slice()) else { return Taken::More };
        self.left = u64::from_le_bytes(length);
        if self.left > VALUE_BYTES {
            return self.lost();
        }
        if is_over { Taken::More } else { self.fill(rest) }
    }

    fn fill(&mut self, rest: &[u8]) -> Taken {
        let len = u64::try_from(rest.len()).unwrap_or(u64::MAX);
        if len > self.left {
            return self.lost();
        }
        self.left -= len;
        self.keep(rest);
        if self.left > 0 {
            self.left -= 1;
            self.keep(b"\n");
            return Taken::More;
        }
        let kept = std::mem::take(&mut self.kept);
        self.key.take().map_or(Taken::Lost, |key| Taken::Whole(key, kept))
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.key != Some(Key::Other) {
            let room = KEPT_BYTES.saturating_sub(self.kept.len());
            self.kept.extend_from_slice(bytes.get(..bytes.len().min(room)).unwrap_or_default());
        }
    }

    fn lost(&mut self) -> Taken {
        *self = Self::default();
        Taken::Lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of a value that stands in these bytes.
    fn taken(bytes: &[u8]) -> Option<Taken> {
        let mut value = Value::open(Key::Message(0));
        bytes.split(|b| *b == b'\n').map(|line| value.take(line)).find(|t| *t != Taken::More)
    }

    #[test]
    fn a_value_is_as_long_as_it_says_whatever_its_length_looks_like() {
        for len in [0, 1, 9, 10, 11, 266, 2570, 0x0a0a] {
            for byte in *b"x\n\r" {
                let bytes = vec![byte; len];
                let length = u64::try_from(len).unwrap().to_le_bytes();
                let whole = taken(&[&length[..], &bytes, b"\n"].concat());
                assert_eq!(whole, Some(Taken::Whole(Key::Message(0), bytes)), "{len} {byte}");
            }
        }
    }

    #[test]
    fn a_wrong_length_is_noticed() {
        assert_eq!(taken(b"\x01\0\0\0\0\0\0\0xy\n"), Some(Taken::Lost));
        assert_eq!(taken(&[0xff; 9]), Some(Taken::Lost));
        assert_eq!(taken(b"\x01\0\0"), None);
        assert_eq!(taken(&vec![b'x'; LINE_BYTES]), Some(Taken::Lost));
    }

    #[test]
    fn of_a_huge_value_only_the_front_is_kept_and_of_others_nothing() {
        for (key, kept) in [(Key::Message(0), KEPT_BYTES), (Key::Other, 0)] {
            let mut value = Value::open(key);
            value.take(&u64::to_le_bytes(700 << 20));
            (0..3000).for_each(|_| drop(value.take(&[b'x'; 1000])));
            assert_eq!(value.kept.len(), kept);
        }
    }

    #[test]
    fn fields_are_told_from_text() {
        assert!(is_field(b"__CURSOR=s=1") && is_field(b"MESSAGE=x") && !is_field(b"MESSAGE"));
        assert!(!is_field(b"PATH=/bin") && !is_field(b"Mem-Info:") && !is_field(b""));
        assert!(is_name_or_field(b"MESSAGE") && is_name_or_field(b"PATH=/bin"));
        assert!(!is_name_or_field(b"Hello") && !is_name_or_field(b"1A=x"));
        assert!(!is_name_or_field(&[b'A'; 65]));
    }
}
