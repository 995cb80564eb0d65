//! One record of the audit log, as text.

use std::borrow::Cow;

use highwater_core::testimony::Signal;
use highwater_core::text::discreet;
use highwater_core::time::WallTime;

/// The most of a record that is looked at: the kernel's own bound (`MAX_AUDIT_MESSAGE_LENGTH`).
const RECORD_BYTES: usize = 8970;

/// The longest stamp and serial: of `ausearch -i` some thirty characters.
const STAMP_BYTES: usize = 48;

/// No user: nobody logged in.
const NOBODY: u32 = u32::MAX;

/// What a record is, of those that matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A process ended by a signal.
    Abend,
    /// seccomp acted.
    Seccomp,
    /// A system call that a rule watches.
    Syscall,
    /// Whom a kill was for.
    Target,
    /// The caller's command line.
    Title,
    /// No more records of this event.
    End,
}

/// By name, and by number where the kernel prints it (`include/uapi/linux/audit.h`).
const KINDS: [(&str, &str, Kind); 6] = [
    ("ANOM_ABEND", "1701", Kind::Abend),
    ("SECCOMP", "1326", Kind::Seccomp),
    ("SYSCALL", "1300", Kind::Syscall),
    ("OBJ_PID", "1318", Kind::Target),
    ("PROCTITLE", "1327", Kind::Title),
    ("EOE", "1320", Kind::End),
];

/// 64-bit x86, in numbers and as `ausearch -i` has it; and so on.
const X86_64: &[&str] = &["c000003e", "x86_64"];
const GENERIC: &[&str] = &["c00000b7", "aarch64", "c00000f3", "riscv64"];
const X86: &[&str] = &["40000003", "i386"];
const ARM: &[&str] = &["40000028", "arm"];

/// The system calls that send a signal, by architecture (any, if none is named), and the argument
/// that says which: kill, tkill, `rt_sigqueueinfo` and `pidfd_send_signal` have it second, tgkill and
/// `rt_tgsigqueueinfo` third.
const KILLS: [(&[&str], &[&str], &str); 10] = [
    (&[], &["kill", "tkill", "rt_sigqueueinfo", "pidfd_send_signal", "424"], "a1"),
    (&[], &["tgkill", "rt_tgsigqueueinfo"], "a2"),
    (X86_64, &["62", "200", "129"], "a1"),
    (X86_64, &["234", "297"], "a2"),
    (GENERIC, &["129", "130", "138"], "a1"),
    (GENERIC, &["131", "240"], "a2"),
    (X86, &["37", "238", "178"], "a1"),
    (X86, &["270", "335"], "a2"),
    (ARM, &["37", "238", "178"], "a1"),
    (ARM, &["268", "363"], "a2"),
];

/// By which the records of one event are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// `1364481363.243:24287`, as it stands there.
    pub(super) text: String,
    /// Its time, if it has one without a zone to guess.
    pub(super) wall: Option<WallTime>,
}

/// A record.
#[derive(Debug)]
pub(super) struct Record<'r> {
    pub(super) kind: Kind,
    pub(super) stamp: Stamp,
    /// All of it.
    pub(super) whole: &'r [u8],
    /// What comes after the stamp.
    body: &'r [u8],
}

impl<'r> Record<'r> {
    pub(super) fn parse(line: &'r [u8]) -> Option<Self> {
        let whole = line.get(..RECORD_BYTES).unwrap_or(line).trim_ascii();
        // Behind this mark auditd repeats the fields with names in place of numbers.
        let plain = whole.split(|byte| *byte == 0x1d).next().unwrap_or_default();
        let plain = plain.strip_prefix(b"audit: ").unwrap_or(plain);
        // Some daemons put the machine's name in front.
        let plain = match plain.strip_prefix(b"node=") {
            Some(named) => rest_after(named, b" ")?,
            None => plain,
        };
        let kind = plain.strip_prefix(b"type=")?;
        let (kind, rest) = split(kind, b' ')?;
        let (.., kind) = KINDS
            .iter()
            .find(|(name, number, _)| kind == name.as_bytes() || kind == number.as_bytes())?;
        let rest = rest.strip_prefix(b"msg=").unwrap_or(rest).strip_prefix(b"audit(")?;
        let (stamp, body) = split(rest, b')')?;
        let body = body.trim_ascii_start().strip_prefix(b":")?;
        Some(Self { kind: *kind, stamp: Stamp::parse(stamp)?, whole, body })
    }

    /// The signal, if the record is of a system call that sent one.
    pub(super) fn kill(&self) -> Option<Signal> {
        if self.field("success")? != b"yes" {
            return None;
        }
        let (arch, call) = (self.field("arch").unwrap_or_default(), self.field("syscall")?);
        let known = |list: &[&str], value: &[u8]| list.iter().any(|one| one.as_bytes() == value);
        let (.., argument) = KILLS.iter().find(|(archs, calls, _)| {
            (archs.is_empty() || known(archs, arch)) && known(calls, call)
        })?;
        self.argument(argument)
    }

    /// A signal among the arguments of a call: hexadecimal, or a name.
    fn argument(&self, key: &str) -> Option<Signal> {
        let value = std::str::from_utf8(self.field(key)?).ok()?;
        Signal::of_name(value).or_else(|| {
            let digits = value.strip_prefix("0x").unwrap_or(value);
            // Only the low half counts: the argument is an int.
            let value = u64::from_str_radix(digits, 16).ok()?;
            u8::try_from(value & u64::from(u32::MAX)).ok().map(Signal)
        })
    }

    /// A signal's number, or its name; none of zero, which is no signal. It stands behind names that
    /// others chose, so the last counts.
    pub(super) fn signal(&self, key: &str) -> Option<Signal> {
        let value = std::str::from_utf8(self.fields(key).last()?).ok()?;
        let number = value.parse().ok().map(Signal);
        Signal::of_name(value).or(number).filter(|signal| signal.0 != 0)
    }

    pub(super) fn number(&self, key: &str) -> Option<u32> {
        std::str::from_utf8(self.field(key)?).ok()?.parse().ok()
    }

    /// A user by number; none of nobody, nor of a name.
    pub(super) fn user(&self, key: &str) -> Option<u32> {
        self.number(key).filter(|user| *user != NOBODY)
    }

    pub(super) fn hex(&self, key: &str) -> Option<u64> {
        let digits = std::str::from_utf8(self.fields(key).last()?).ok()?;
        u64::from_str_radix(digits.strip_prefix("0x")?, 16).ok()
    }

    /// A name that somebody chose: in quotes, as hexadecimal digits, or bare as `ausearch -i` has it,
    /// up to the field that follows such names.
    pub(super) fn text(&self, key: &str) -> Option<Cow<'r, [u8]>> {
        let value = self.field(key)?;
        if let Some(quoted) = value.strip_prefix(b"\"") {
            let end = memchr_quote(quoted);
            return Some(Cow::Borrowed(quoted.get(..end).unwrap_or(quoted)));
        }
        match unhex(value) {
            Some(bytes) => Some(Cow::Owned(bytes)),
            None if value == b"(null)" => None,
            None => Some(Cow::Borrowed(self.bare(key).unwrap_or(value))),
        }
    }

    /// The command line with spaces between its words, without what they say in confidence.
    pub(super) fn title(&self) -> Option<Vec<u8>> {
        let at = find(self.body, b"proctitle=")?;
        let value = self.body.get(at + b"proctitle=".len()..)?.trim_ascii_end();
        let bytes = match value.strip_prefix(b"\"") {
            Some(quoted) => quoted.strip_suffix(b"\"").unwrap_or(quoted).to_vec(),
            None => unhex(value).unwrap_or_else(|| value.to_vec()),
        };
        let bytes = discreet(&bytes);
        let words = bytes.iter().map(|byte| if *byte == 0 { b' ' } else { *byte });
        let line: Vec<u8> = words.collect();
        Some(line.trim_ascii_end().to_vec()).filter(|line| !line.is_empty())
    }

    /// The whole of a name with spaces in it, for which nobody put quotes: up to ` exe=`, or to the
    /// end.
    fn bare(&self, key: &str) -> Option<&'r [u8]> {
        let key = [b" ", key.as_bytes(), b"="].concat();
        let rest = self.body.get(find(self.body, &key)? + key.len()..)?;
        let end = find(rest, b" exe=").unwrap_or(rest.len());
        rest.get(..end)
    }

    fn field(&self, key: &str) -> Option<&'r [u8]> {
        self.fields(key).next()
    }

    fn fields(&self, key: &str) -> impl Iterator<Item = &'r [u8]> {
        let key = key.as_bytes();
        self.body.split(|byte| *byte == b' ').filter_map(move |field| {
            let (name, value) = split(field, b'=')?;
            (name == key).then_some(value)
        })
    }
}

impl Stamp {
    fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok().filter(|text| text.len() <= STAMP_BYTES)?;
        let (time, serial) = text.rsplit_once(':')?;
        let _digits: u64 = serial.parse().ok()?;
        let is_plain = text.bytes().all(|b| b.is_ascii_digit() || b" .:/-".contains(&b));
        is_plain.then(|| Self { text: text.to_owned(), wall: wall(time) })
    }
}

/// Seconds since 1970 with three digits behind the point.
fn wall(time: &str) -> Option<WallTime> {
    let (seconds, millis) = time.split_once('.')?;
    let (seconds, millis): (i64, i64) = (seconds.parse().ok()?, millis.parse().ok()?);
    let is_exact = (0..1000).contains(&millis);
    is_exact.then_some(WallTime::from_millis(seconds.checked_mul(1000)?.checked_add(millis)?))
}

fn unhex(digits: &[u8]) -> Option<Vec<u8>> {
    let is_even = digits.len().is_multiple_of(2) && !digits.is_empty();
    // The kernel writes capitals; `cafe` is a name that `ausearch -i` writes bare.
    let is_hex = digits.iter().all(|b| matches!(b, b'0'..=b'9' | b'A'..=b'F'));
    if !is_even || !is_hex {
        return None;
    }
    let pairs = digits.chunks_exact(2).map(|pair| {
        let pair = std::str::from_utf8(pair).ok()?;
        u8::from_str_radix(pair, 16).ok()
    });
    pairs.collect()
}

fn memchr_quote(text: &[u8]) -> usize {
    text.iter().position(|byte| *byte == b'"').unwrap_or(text.len())
}

fn find(text: &[u8], needle: &[u8]) -> Option<usize> {
    text.windows(needle.len()).position(|window| window == needle)
}

fn split(text: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let place = text.iter().position(|byte| *byte == at)?;
    Some((text.get(..place)?, text.get(place + 1..)?))
}

fn rest_after<'t>(text: &'t [u8], mark: &[u8]) -> Option<&'t [u8]> {
    text.get(find(text, mark)? + mark.len()..)
}
