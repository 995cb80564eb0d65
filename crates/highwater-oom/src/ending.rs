//! Lines that say how it ended without, or beyond, a kill, and lines about the log itself.

use crate::said::{Hold, Said};
use crate::scan;

pub(crate) fn read(line: &[u8], hold: Hold) -> Option<Said> {
    panic(line).or_else(|| ending(line, hold)).or_else(|| notice(line))
}

/// `Kernel panic - not syncing: Out of memory: compulsory panic_on_oom is enabled`.
fn panic(line: &[u8]) -> Option<Said> {
    if !line.starts_with(b"Kernel panic") {
        return None;
    }
    let text = scan::owned(line);
    let oom = scan::has(line, b"ut of memory")
        || scan::has(line, b"panic_on_oom")
        || scan::has(line, b"deadlocked on memory");
    Some(if oom { Said::Ending(text) } else { Said::Panic(text) })
}

/// `Out of memory and no killable processes...`.
fn ending(line: &[u8], hold: Hold) -> Option<Said> {
    const HEADS: [&[u8]; 5] = [
        b"out of memory",
        b"memory cgroup out of memory",
        b"system is deadlocked",
        b"oom request",
        b"sysrq",
    ];
    let lower = line.get(..40).unwrap_or(line).to_ascii_lowercase();
    if hold == Hold::Whole && !HEADS.iter().any(|head| lower.starts_with(head)) {
        return None;
    }
    let is = |needle: &[u8]| scan::has(line, needle);
    let known = is(b"no killable processes")
        || is(b"System is deadlocked on memory")
        || (is(b"panic_on_oom is ") && is(b"ut of memory"))
        || (is(b"OOM victim ") && is(b" is already exiting"))
        || is(b"OOM request ignored");
    known.then(|| Said::Ending(scan::owned(line)))
}

/// What the log says of its own gaps, by its first words: further in they may be somebody's name.
fn notice(line: &[u8]) -> Option<Said> {
    const LOGGERS: [&[u8]; 4] = [b"imklog", b"imuxsock", b"imjournal", b"rsyslogd: im"];
    let is = |needle: &[u8]| scan::has(line, needle);
    let begins = |heads: &[&[u8]]| heads.iter().any(|head| line.starts_with(head));
    let lost = (begins(&[b"printk", b"** "]) && is(b"messages dropped"))
        || is_suppressed(line)
        || (begins(&[b"Missed "]) && is(b"kernel messages"))
        || (begins(&LOGGERS) && is(b"lost"));
    if lost {
        return Some(Said::Notice(format!("lines are missing here: {}", scan::owned(line))));
    }
    let again = line.starts_with(b"last message repeated ");
    if again {
        return Some(Said::Notice(format!("lines were left out: {}", scan::owned(line))));
    }
    let broken = line.starts_with(b"------------[ cut here ]")
        || line.starts_with(b"Huh VM_FAULT_OOM leaked out");
    broken.then(|| Said::Notice(format!("amid the report: {}", scan::owned(line))))
}

/// `warn_alloc: 3 callbacks suppressed`.
fn is_suppressed(line: &[u8]) -> bool {
    let Some(front) = line.strip_suffix(b" callbacks suppressed") else { return false };
    let function = scan::cut(front, b": ").filter(|(_, count)| scan::whole(count).is_some());
    function.is_some_and(|(name, _)| memchr::memchr(b' ', name).is_none())
}

/// `message repeated 3 times: [ TEXT]`, as rsyslog writes it: TEXT.
pub(crate) fn repeated(line: &[u8]) -> Option<&[u8]> {
    let rest = line.strip_prefix(b"message repeated ")?;
    let (_, rest) = scan::number(rest)?;
    let rest = rest.strip_prefix(b" times: [")?;
    Some(rest.strip_suffix(b"]").unwrap_or(rest).trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_of_all_ages() {
        for line in [
            "Out of memory and no killable processes...",
            "Memory cgroup out of memory: OOM victim 7 (x) is already exiting. Skip killing the task",
            "Kernel panic - not syncing: Out of memory: compulsory panic_on_oom is enabled",
            "Kernel panic - not syncing: Out of memory and no killable processes...",
            "Kernel panic - not syncing: System is deadlocked on memory",
            "Kernel panic - not syncing: out of memory. panic_on_oom is selected",
            "sysrq: OOM request ignored. No task eligible",
        ] {
            for hold in [Hold::Whole, Hold::Loose] {
                assert!(matches!(read(line.as_bytes(), hold), Some(Said::Ending(_))), "{line}");
            }
        }
        let other = b"Kernel panic - not syncing: Attempted to kill init!";
        assert!(matches!(read(other, Hold::Whole), Some(Said::Panic(_))));
        assert_eq!(read(b"app: no killable processes", Hold::Whole), None);
    }

    #[test]
    fn gaps_are_told() {
        for line in [
            "printk: 12 messages dropped",
            "** 12 printk messages dropped **",
            "warn_alloc: 3 callbacks suppressed",
            "Missed 36 kernel messages",
            "last message repeated 3 times",
            "------------[ cut here ]------------",
        ] {
            assert!(matches!(read(line.as_bytes(), Hold::Whole), Some(Said::Notice(_))), "{line}");
        }
        for line in [
            &b"usb 1-1: new"[..],
            b"Out of memory: Killed process 7 (imklog lost)",
            b"[    7] 0 7 2 1 40960 0 0 imklog lost",
        ] {
            assert_eq!(read(line, Hold::Loose), None);
        }
        let lost = read(b"imklog: 12 messages lost due to rate-limiting", Hold::Loose);
        assert!(matches!(lost, Some(Said::Notice(_))));
    }

    #[test]
    fn a_repeated_message_is_its_text() {
        assert_eq!(repeated(b"message repeated 3 times: [ hello]"), Some(&b"hello"[..]));
        assert_eq!(repeated(b"message repeated x"), None);
    }
}
