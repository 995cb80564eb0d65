//! The envelopes that `dmesg` and the kernel's console write.
//!
//! ```text
//! [12345.678901] text              <6>[12345.678901] text
//! [12345.678901][ T9185] text      kern  :info  : [12345.678901] text
//! [Mon Apr 27 08:47:12 2026] text  [二 9月  3 05:57:48 2024] text      (dmesg -T, any locale)
//! [Apr27 08:47] text               [  +0.000005] text                  (dmesg -H, --reltime)
//! [12345.678901 <    0.000005>] text                                   (dmesg -d)
//! [12345.678901 <    0.000005 >] host kernel: text                     (journalctl short-delta)
//! kern  :info  : 2026-04-27T08:47:12,345678+00:00 text                 (dmesg -x, iso)
//! ```

use highwater_core::line::Caller;
use highwater_core::time::{BootTime, WallTime};

use crate::{iso, scan};

/// What stands before a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// The seconds since boot, if those stand there.
    pub(crate) boot: Option<BootTime>,
    /// The moment, if date and zone stand there.
    pub(crate) wall: Option<WallTime>,
    /// The task or processor that printed.
    pub(crate) caller: Option<Caller>,
    /// The facility, if a level stands there.
    pub(crate) facility: Option<u32>,
}

/// The longest date in brackets, in bytes: locales with three-byte letters need about 60.
const DATE_BYTES: usize = 96;

/// The names syslog gives its facilities, in their order, as `dmesg -x` prints them.
const FACILITIES: [&[u8]; 24] = [
    b"kern",
    b"user",
    b"mail",
    b"daemon",
    b"auth",
    b"syslog",
    b"lpr",
    b"news",
    b"uucp",
    b"cron",
    b"authpriv",
    b"ftp",
    b"ntp",
    b"security",
    b"console",
    b"solaris-cron",
    b"local0",
    b"local1",
    b"local2",
    b"local3",
    b"local4",
    b"local5",
    b"local6",
    b"local7",
];

/// The names syslog gives its levels, and `dmesg` its own.
const LEVELS: [&[u8]; 11] = [
    b"emerg", b"alert", b"crit", b"err", b"error", b"warn", b"warning", b"notice", b"info",
    b"debug", b"panic",
];

/// The number of the facility with this name.
pub(crate) fn facility(name: &[u8]) -> Option<u32> {
    u32::try_from(FACILITIES.iter().position(|known| *known == name)?).ok()
}

/// Is this the name of a level?
pub(crate) fn is_level(name: &[u8]) -> bool {
    LEVELS.contains(&name)
}

/// Takes the envelope off: the stamp and the message. `None` if there is none.
pub(crate) fn strip(line: &[u8]) -> Option<(Stamp, &[u8])> {
    let (facility, rest) = match level(line) {
        Some((facility, rest)) => (Some(facility), rest),
        None => (None, line),
    };
    match bracket(rest) {
        Some((stamp, text)) => {
            let (caller, text) = caller(text);
            Some((Stamp { caller, facility, ..stamp }, text))
        }
        None if facility.is_some() => Some(dated(facility, rest)),
        None => None,
    }
}

/// `2026-04-27T08:47:12,345678+00:00 ` behind a level.
fn dated(facility: Option<u32>, rest: &[u8]) -> (Stamp, &[u8]) {
    let found = iso::stamp(rest).filter(|stamp| stamp.is_comma);
    let text = found.and_then(|stamp| stamp.rest.strip_prefix(b" ")).unwrap_or(rest);
    (Stamp { facility, wall: found.and_then(|stamp| stamp.wall), ..Stamp::default() }, text)
}

/// Takes a level off: its facility, and what follows.
pub(crate) fn level(line: &[u8]) -> Option<(u32, &[u8])> {
    priority(line).or_else(|| decoded(line))
}

/// `<6>`.
fn priority(line: &[u8]) -> Option<(u32, &[u8])> {
    let (priority, rest) = scan::number(line.strip_prefix(b"<")?)?;
    Some((u32::try_from(priority / 8).ok()?, rest.strip_prefix(b">")?))
}

/// `kern  :info  : ` of `dmesg -x`.
fn decoded(line: &[u8]) -> Option<(u32, &[u8])> {
    let window = line.get(..line.len().min(14))?;
    let (name, rest) = line.split_at_checked(memchr::memchr(b':', window)?)?;
    let facility = facility(name.trim_ascii_end())?;
    let rest = rest.strip_prefix(b":")?;
    let window = rest.get(..rest.len().min(10))?;
    let (level, rest) = rest.split_at_checked(memchr::memchr(b':', window)?)?;
    let rest = rest.strip_prefix(b": ").or_else(|| rest.strip_prefix(b":"))?;
    is_level(level.trim_ascii_end()).then_some((facility, rest))
}

/// `[…] ` at the front, if what stands in it is a time.
fn bracket(line: &[u8]) -> Option<(Stamp, &[u8])> {
    let inner = line.strip_prefix(b"[")?;
    let window = inner.get(..inner.len().min(DATE_BYTES))?;
    let (inside, _) = window.split_at_checked(memchr::memchr(b']', window)?)?;
    let rest = inner.get(inside.len() + 1..)?;
    let stamp = match seconds(inside) {
        Some(boot) => Stamp { boot: Some(boot), ..Stamp::default() },
        None if is_date(inside) || is_relative(inside) || is_delta(inside) => Stamp::default(),
        None => return None,
    };
    Some((stamp, rest.strip_prefix(b" ").unwrap_or(rest)))
}

/// `  123.456789`, perhaps with the time since the line above.
fn seconds(inside: &[u8]) -> Option<BootTime> {
    let (whole, rest) = scan::number(scan::trim_start(inside))?;
    let (us, rest) = scan::micros(rest.strip_prefix(b".")?)?;
    let sum = whole.checked_mul(1_000_000)?.checked_add(us)?;
    let alone = scan::trim_start(rest).is_empty() || is_delta(rest);
    alone.then_some(BootTime::from_micros(sum))
}

/// ` <    0.000005>`, ` <    0.000005 >`.
fn is_delta(text: &[u8]) -> bool {
    let inside = scan::trim_start(text).strip_prefix(b"<").and_then(|rest| rest.strip_suffix(b">"));
    inside.is_some_and(|inside| {
        let inside = inside.trim_ascii();
        !inside.is_empty() && inside.iter().all(|b| b.is_ascii_digit() || b".-+*".contains(b))
    })
}

/// `  +0.000005`.
fn is_relative(inside: &[u8]) -> bool {
    scan::trim_start(inside).strip_prefix(b"+").is_some_and(|rest| seconds(rest).is_some())
}

/// A date has a time of day, and letters or a day before it.
fn is_date(inside: &[u8]) -> bool {
    let mut words = inside.split(|b| *b == b' ').filter(|word| !word.is_empty()).skip(1);
    words.any(|word| scan::clock(word).is_some() || is_minutes(word))
}

/// `08:47`.
fn is_minutes(word: &[u8]) -> bool {
    let minutes = scan::digits(word, 2).and_then(|(_, rest)| rest.strip_prefix(b":"));
    minutes.and_then(|rest| scan::digits(rest, 2)).is_some_and(|(_, rest)| rest.is_empty())
}

/// Takes off which task or processor printed: `[ T9185] `, `[    C0] `.
fn caller(text: &[u8]) -> (Option<Caller>, &[u8]) {
    let taken = text.strip_prefix(b"[").and_then(|inner| {
        let (caller, rest) = printer(scan::trim_start(inner))?;
        let rest = rest.strip_prefix(b"]")?;
        Some((Some(caller), rest.strip_prefix(b" ").unwrap_or(rest)))
    });
    taken.unwrap_or((None, text))
}

/// Takes off which processor printed, as some of Android's kernels say after their stamp: `c2 `. A
/// process may have that name, too: `c2 invoked …`.
pub(crate) fn android_cpu(text: &[u8]) -> Option<(Caller, &[u8])> {
    let (cpu, rest) = text.strip_prefix(b"c").and_then(scan::number)?;
    let rest = rest.strip_prefix(b" ").filter(|rest| !rest.starts_with(b"invoked "))?;
    Some((Caller::Cpu(u32::try_from(cpu).ok()?), rest))
}

/// `T9185`, `C0`, and what follows.
pub(crate) fn printer(text: &[u8]) -> Option<(Caller, &[u8])> {
    let (kind, rest) = text.split_first()?;
    let (number, rest) = scan::number(rest)?;
    let number = u32::try_from(number).ok()?;
    match kind {
        b'T' => Some((Caller::Task(number), rest)),
        b'C' => Some((Caller::Cpu(number), rest)),
        _ => None,
    }
}

/// The kernel's own stamp is at the front, as the kernel writes it: `[   12.345678] `.
pub(crate) fn is_plain(text: &[u8]) -> bool {
    let behind = || {
        let (_, rest) = scan::number(scan::trim_start(text.strip_prefix(b"[")?))?;
        let (_, rest) = scan::digits(rest.strip_prefix(b".")?, 6)?;
        rest.strip_prefix(b"]")?.first()
    };
    matches!(behind(), Some(b' ' | b'['))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(line: &str) -> Option<(Option<u64>, String)> {
        let (stamp, text) = strip(line.as_bytes())?;
        Some((stamp.boot.map(BootTime::micros), String::from_utf8_lossy(text).into_owned()))
    }

    #[test]
    fn every_form_of_stamp_comes_off() {
        let boot = Some(12_345_678_901);
        for line in [
            "[12345.678901] hello",
            "<6>[12345.678901] hello",
            "[12345.678901][ T9185] hello",
            "[12345.678901] [    C0] hello",
            "kern  :info  : [12345.678901] hello",
            "[12345.678901 <    0.000005>] hello",
            "[12345.678901 <    0.000005 >] hello",
            "[12345.678901                ] hello",
        ] {
            assert_eq!(text(line), Some((boot, "hello".into())), "{line}");
        }
        for line in [
            "[Mon Apr 27 08:47:12 2026] hello",
            "[二 9月  3 05:57:48 2024] hello",
            "[Di Aug 12 03:54:03 2025] hello",
            "kern  :warn  : [Mon Apr 27 08:47:12 2026] hello",
            "[Apr27 08:47] hello",
            "[  +0.000005] hello",
            "[<    0.000005>] hello",
            "[Mon Apr 27 08:47:12 2026 <    0.000005>] hello",
            "<6>hello",
        ] {
            assert_eq!(text(line), Some((None, "hello".into())), "{line}");
        }
    }

    #[test]
    fn a_message_that_begins_with_a_bracket_is_not_a_stamp() {
        for line in [
            "[  930] 61876   930      647      416    49152        0          -100 earlyoom",
            "[ pid ]   uid  tgid total_vm      rss",
            "[<ffffffff81401c43>] dump_stack+0x63/0x90",
            "[watchdog] Watchdog is alive. (pid:432)",
            "[",
            "[]",
            "",
        ] {
            assert_eq!(text(line), None, "{line}");
        }
    }

    #[test]
    fn blanks_of_the_message_stay() {
        assert_eq!(text("[    1.000000]  <TASK>"), Some((Some(1_000_000), " <TASK>".into())));
    }

    #[test]
    fn the_caller_and_the_facility_are_told() {
        let both = |line: &[u8]| strip(line).map(|(stamp, _)| (stamp.caller, stamp.facility));
        assert_eq!(both(b"[    1.5][ T9185] x"), Some((Some(Caller::Task(9185)), None)));
        assert_eq!(both(b"<30>[    1.5] [    C3] x"), Some((Some(Caller::Cpu(3)), Some(3))));
        assert_eq!(both(b"kern  :warn  : [    1.5] x"), Some((None, Some(0))));
        assert_eq!(both(b"user  :notice: [    1.5] [T] x"), Some((None, Some(1))));
    }

    #[test]
    fn a_date_with_a_zone_behind_a_level_is_a_moment() {
        let line = b"kern  :info  : 2026-04-27T08:47:12,345678+02:00 hello";
        let (stamp, text) = strip(line).unwrap();
        assert_eq!(text, b"hello");
        assert_eq!(stamp.wall.unwrap().to_string(), "2026-04-27T06:47:12.345Z");
    }
}
