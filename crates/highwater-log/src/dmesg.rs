//! The envelopes that `dmesg` and the kernel's console write.
//!
//! ```text
//! [12345.678901] text              <6>[12345.678901] text
//! [12345.678901][ T9185] text      kern  :info  : [12345.678901] text
//! [Mon Apr 27 08:47:12 2026] text  [二 9月  3 05:57:48 2024] text      (dmesg -T, any locale)
//! [Apr27 08:47] text               [  +0.000005] text                  (dmesg --reltime)
//! ```

use highwater_core::time::BootTime;

use crate::scan;

/// What stands before a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// The seconds since boot, if those stand there.
    pub(crate) boot: Option<BootTime>,
}

/// The longest date in brackets, in bytes: locales with three-byte letters need about 60.
const DATE_BYTES: usize = 96;

/// The names syslog gives its facilities, as `dmesg -x` prints them.
const FACILITIES: [&[u8]; 12] = [
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
];

/// Takes the envelope off: the stamp and the message. `None` if there is none.
pub(crate) fn strip(line: &[u8]) -> Option<(Stamp, &[u8])> {
    let (level, rest) = match priority(line).or_else(|| decoded(line)) {
        Some(rest) => (true, rest),
        None => (false, line),
    };
    match bracket(rest) {
        Some((stamp, text)) => Some((stamp, caller(text))),
        None if level => Some((Stamp::default(), rest)),
        None => None,
    }
}

/// `<6>`.
fn priority(line: &[u8]) -> Option<&[u8]> {
    let (_, rest) = scan::number(line.strip_prefix(b"<")?)?;
    rest.strip_prefix(b">")
}

/// `kern  :info  : ` of `dmesg -x`.
fn decoded(line: &[u8]) -> Option<&[u8]> {
    let (facility, rest) = line.split_at_checked(memchr::memchr(b':', line.get(..10)?)?)?;
    if !FACILITIES.contains(&facility.trim_ascii_end()) {
        return None;
    }
    let rest = rest.strip_prefix(b":")?;
    let (level, rest) = rest.split_at_checked(memchr::memchr(b':', rest)?)?;
    let known = level.trim_ascii_end().iter().all(u8::is_ascii_lowercase) && level.len() <= 8;
    known.then(|| rest.strip_prefix(b": ").or_else(|| rest.strip_prefix(b":")))?
}

/// `[…] ` at the front, if what stands in it is a time.
fn bracket(line: &[u8]) -> Option<(Stamp, &[u8])> {
    let inner = line.strip_prefix(b"[")?;
    let window = inner.get(..inner.len().min(DATE_BYTES))?;
    let (inside, _) = window.split_at_checked(memchr::memchr(b']', window)?)?;
    let rest = inner.get(inside.len() + 1..)?;
    let stamp = match seconds(inside) {
        Some(boot) => Stamp { boot: Some(boot) },
        None if is_date(inside) || is_delta(inside) => Stamp::default(),
        None => return None,
    };
    Some((stamp, rest.strip_prefix(b" ").unwrap_or(rest)))
}

/// `  123.456789`.
fn seconds(inside: &[u8]) -> Option<BootTime> {
    let (whole, rest) = scan::number(scan::trim_start(inside))?;
    let (us, rest) = scan::micros(rest.strip_prefix(b".")?)?;
    let sum = whole.checked_mul(1_000_000)?.checked_add(us)?;
    rest.is_empty().then_some(BootTime::from_micros(sum))
}

/// `  +0.000005`.
fn is_delta(inside: &[u8]) -> bool {
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
fn caller(text: &[u8]) -> &[u8] {
    let taken = text.strip_prefix(b"[").and_then(|inner| {
        let (_, rest) = scan::trim_start(inner).split_first().filter(|(b, _)| b"TC".contains(b))?;
        let (_, rest) = scan::number(rest)?;
        let rest = rest.strip_prefix(b"]")?;
        Some(rest.strip_prefix(b" ").unwrap_or(rest))
    });
    taken.unwrap_or(text)
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
}
