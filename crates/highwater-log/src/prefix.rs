//! What tools put before each line that they pass on: `grep`'s file and number, the host of a
//! parallel shell, the service of Compose, the guest of a hypervisor.
//!
//! ```text
//! kern.log-12-[12.5] text     host1: [12.5] text       vcpu-0| Guest: <6>[12.5] text
//! 12:[12.5] text              web-1  | [12.5] text     | [12.5] text     (quoted)
//! ```
//!
//! A prefix is only taken off if an envelope follows it, and never one that names a program.

use crate::{dmesg, layers, scan};

/// A prefix is no longer than this: a path and a number, or a host.
const PREFIX_BYTES: usize = 256;

/// So many places in a line are looked at for the end of a prefix.
const PLACES: usize = 24;

/// So many words that nobody knows are taken off: a number, a pod, a container, a stream.
const WORDS: usize = 4;

/// The line without its prefix, if it has one.
pub(crate) fn strip(line: &[u8]) -> Option<&[u8]> {
    let quoted = line.strip_prefix(b"| ").filter(|rest| layers::is_enveloped(rest));
    quoted
        .or_else(|| joined(line))
        .or_else(|| spaced(line))
        .or_else(|| guest(line))
        .or_else(|| beyond(line))
}

/// Takes off what a hypervisor's log puts before its guest's console: `vcpu-0| Guest: <6>…`.
pub(crate) fn guest(line: &[u8]) -> Option<&[u8]> {
    let window = line.get(..line.len().min(PREFIX_BYTES))?;
    let mark = memchr::memmem::find(window, b"Guest: ")?;
    let before = window.get(..mark)?;
    let is_guest = before.contains(&b'|') && memchr::memmem::find(before, b"]: ").is_none();
    let rest = line.get(mark + b"Guest: ".len()..)?;
    (is_guest && (rest.starts_with(b"<") || layers::is_enveloped(rest))).then_some(rest)
}

/// Takes `12:`, `12-`, `kern.log:12:` or `kern.log-12-` off: no blank before the envelope.
fn joined(line: &[u8]) -> Option<&[u8]> {
    let window = line.get(..line.len().min(PREFIX_BYTES))?;
    let name_end = memchr::memchr3(b' ', b'[', b'<', window).unwrap_or(window.len());
    let window = window.get(..name_end)?;
    let ends = window.iter().enumerate().filter(|(_, b)| matches!(b, b':' | b'-'));
    let mut rests = ends.take(PLACES).filter_map(|(at, _)| line.get(at + 1..));
    rests.find(|rest| layers::is_enveloped(rest))
}

/// Takes `host1: `, `[host1] out: ` and `web-1  | ` off: the first words of the line.
fn spaced(line: &[u8]) -> Option<&[u8]> {
    let window = line.get(..line.len().min(PREFIX_BYTES))?;
    let blanks = window.iter().enumerate().filter(|(_, b)| **b == b' ');
    blanks.take(PLACES).find_map(|(at, _)| {
        let before = window.get(..at)?;
        let is_end = matches!(before.last(), Some(b':' | b'|' | b']' | b'>'));
        let rest = line.get(at + 1..).filter(|rest| is_end && !rest.starts_with(b"kernel: "))?;
        (!names_program(before) && layers::is_enveloped(rest)).then_some(rest)
    })
}

/// Takes a few words off that nobody knows where the kernel's own stamp or a line of its syslog
/// follows, of which no message is part: bullets, numbers, a pod and its container, `(XEN)`. A name
/// with a colon further back is somebody who speaks.
fn beyond(line: &[u8]) -> Option<&[u8]> {
    let window = line.get(..line.len().min(PREFIX_BYTES))?;
    let is_filed = || memchr::memmem::find(window, b" kernel: ").is_some();
    if memchr::memmem::find(window, b"] ").is_none() && !is_filed() {
        return None;
    }
    let mut at = 0;
    for _ in 0..WORDS {
        let (word, rest) = scan::word(line.get(at..)?)?;
        let is_speaker = word.ends_with(b"]:") || at > 0 && word.ends_with(b":");
        at = line.len() - rest.len();
        if is_speaker || at > window.len() {
            return None;
        }
        if dmesg::is_plain(rest) || is_filed() && layers::is_kernels(rest) {
            return Some(rest);
        }
        if word.ends_with(b":") {
            return None;
        }
    }
    None
}

/// `app[1]:` is a writer, not a host.
fn names_program(before: &[u8]) -> bool {
    before.ends_with(b"]:")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_come_off_where_an_envelope_follows() {
        let stamped = &b"[    1.000000] x"[..];
        for before in [
            "12:",
            "12-",
            "kern.log:12:",
            "kern.log-12-",
            "a-b.log:",
            "/var/log/kern.log:",
            "host1: ",
            "host1 | ",
            "web-1   | ",
            "[host1] out: ",
            "| ",
        ] {
            let line = [before.as_bytes(), stamped].concat();
            assert_eq!(strip(&line), Some(stamped), "{before}");
        }
        let guest = [&b"vcpu-0| Guest: <6>"[..], stamped].concat();
        assert_eq!(strip(&guest), Some(&guest[15..]));
        let syslog = &b"kern.log:Apr 27 08:47:12 h kernel: x"[..];
        assert_eq!(strip(syslog), Some(&b"Apr 27 08:47:12 h kernel: x"[..]));
        assert_eq!(strip(b"web | {\"log\":1}"), Some(&b"{\"log\":1}"[..]));
    }

    #[test]
    fn words_nobody_knows_come_off_where_the_kernel_surely_follows() {
        for before in ["- ", "* ", "\u{2022} ", "12\t", "1. ", "(XEN) ", "pod-1 web ", "a b c d "] {
            let line = format!("{before}[    1.000000] x");
            assert_eq!(strip(line.as_bytes()), Some(&b"[    1.000000] x"[..]), "{before}");
        }
        let filed = &b"Apr 27 08:47:12 h kernel: x"[..];
        assert_eq!(strip(&[&b"* "[..], filed].concat()), Some(filed));
        for line in [
            "app[1]: - [    1.000000] x",
            "app: says [    1.000000] x",
            "- app[1]: [    1.000000] x",
            "a b c d e [    1.000000] x",
            "- [    1.5] x",
            "- [  930] 61876",
            "- Apr 27 08:47:12 h app: kernel: x",
            "- x] ",
        ] {
            assert_eq!(strip(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn messages_stay_whole() {
        for line in [
            "oom-kill:constraint=CONSTRAINT_NONE",
            "a-b",
            "Mem-Info:",
            ":",
            "--x",
            "12:30",
            "",
            "app[1]: [    1.000000] x",
            "app: kernel: x",
            "Guest: <6>x",
            "[  930] 61876   930      647      416    49152        0          -100 a: b",
        ] {
            assert_eq!(strip(line.as_bytes()), None, "{line}");
        }
    }
}
