//! What people and tools put around a log when they pass it on: colours, quote marks, `grep`'s
//! prefixes.

use std::borrow::Cow;

use crate::{dmesg, kmsg, scan, syslog};

/// The byte a colour begins with.
const ESCAPE: u8 = 0x1b;

/// `grep -n` and `grep -H` put at most a path and a number before a line.
const GREP_BYTES: usize = 256;

/// Nothing has to be taken out of the line.
pub(crate) fn is_plain(line: &[u8]) -> bool {
    memchr::memchr2(ESCAPE, b'\\', line).is_none()
}

/// Writes the line to `out` without terminal colours, and with `/dev/kmsg`'s escapes of letters
/// undone.
pub(crate) fn clean(line: &[u8], out: &mut Vec<u8>) {
    out.clear();
    let uncoloured = uncolour(line);
    match kmsg::head(&uncoloured) {
        Some(_) => kmsg::unescape(&uncoloured, out, |byte| byte >= 0x20 && byte != 0x7f),
        None => out.extend_from_slice(&uncoloured),
    }
}

/// A line without `ESC [ … letter`.
fn uncolour(line: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(ESCAPE, line).is_none() {
        return Cow::Borrowed(line);
    }
    let mut out = Vec::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = memchr::memchr(ESCAPE, rest) {
        let (before, escape) = rest.split_at_checked(at).unwrap_or((rest, &[]));
        out.extend_from_slice(before);
        rest = after_colour(escape).unwrap_or_else(|| {
            out.push(ESCAPE);
            escape.get(1..).unwrap_or_default()
        });
    }
    out.extend_from_slice(rest);
    Cow::Owned(out)
}

/// What follows one colour (`ESC [ 1 ; 31 m`, `ESC [ K`).
fn after_colour(escape: &[u8]) -> Option<&[u8]> {
    let rest = escape.strip_prefix(b"\x1b[")?;
    let len = rest.iter().take_while(|b| b.is_ascii_digit() || **b == b';').count();
    let (letter, rest) = rest.get(len..)?.split_first()?;
    letter.is_ascii_alphabetic().then_some(rest)
}

/// The line without quote marks and `grep`'s prefix.
pub(crate) fn unwrap(line: &[u8]) -> &[u8] {
    let line = unquote(line);
    guest(line).or_else(|| grep(line)).unwrap_or(line)
}

/// Takes off what a hypervisor's log puts before its guest's console: `vcpu-0| Guest: <6>…`.
fn guest(line: &[u8]) -> Option<&[u8]> {
    let window = line.get(..line.len().min(GREP_BYTES))?;
    let mark = memchr::memmem::find(window, b"Guest: <")?;
    line.get(mark + b"Guest: ".len()..)
}

/// Takes `> > ` off.
fn unquote(line: &[u8]) -> &[u8] {
    let mut line = line;
    while let Some(rest) = line.strip_prefix(b">") {
        line = rest.strip_prefix(b" ").unwrap_or(rest);
    }
    line
}

/// Takes `12:`, `12-`, `kern.log:12:` or `kern.log-12-` off, if an envelope follows.
fn grep(line: &[u8]) -> Option<&[u8]> {
    let window = line.get(..line.len().min(GREP_BYTES))?;
    let name_end = memchr::memchr2(b' ', b'[', window).unwrap_or(window.len());
    let window = window.get(..name_end)?;
    let mut at = 0;
    while let Some(found) = window.get(at..)?.iter().position(|b| matches!(b, b':' | b'-')) {
        let mark = at + found;
        if let Some(rest) = numbered(line, at, mark).or_else(|| line.get(mark + 1..))
            && is_enveloped(rest)
        {
            return Some(rest);
        }
        at = mark + 1;
    }
    None
}

/// What follows the mark, if a number stands between `from` and it.
fn numbered(line: &[u8], from: usize, mark: usize) -> Option<&[u8]> {
    let (_, rest) = scan::number(line.get(from..mark)?)?;
    rest.is_empty().then(|| line.get(mark + 1..))?
}

/// An envelope that cannot be part of a message.
fn is_enveloped(rest: &[u8]) -> bool {
    dmesg::strip(rest).is_some_and(|_| rest.starts_with(b"["))
        || rest.starts_with(b"kernel: ")
        || syslog::time(rest).is_some_and(|(_, rest)| syslog::writer(rest).is_some())
}

/// What `grep -A` writes between two places.
pub(crate) fn is_separator(line: &[u8]) -> bool {
    line == b"--"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cleaned(line: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        clean(line, &mut out);
        out
    }

    #[test]
    fn colours_go_and_nothing_else() {
        let log = b"\x1b[32m[    1.0] \x1b[0m\x1b[33moom-kill:\x1b[0mx\x1b \x1b[";
        assert_eq!(cleaned(log), b"[    1.0] oom-kill:x\x1b \x1b[");
        assert!(!is_plain(log) && is_plain(b"nothing to do"));
    }

    #[test]
    fn letters_in_records_are_unescaped_but_not_line_ends() {
        assert_eq!(cleaned(br"6,1,2,-;caf\xc3\xa9\x0ax"), "6,1,2,-;café\\x0ax".as_bytes());
        assert_eq!(cleaned(br"C:\xc3 is a path"), br"C:\xc3 is a path");
    }

    #[test]
    fn quotes_and_grep_prefixes_come_off() {
        let stamped = &b"[    1.000000] x"[..];
        for before in [
            "> ",
            ">> ",
            "12:",
            "12-",
            "kern.log:12:",
            "kern.log-12-",
            "a-b.log:",
            "vcpu-0| Guest: <6>",
        ] {
            let line = [before.as_bytes(), stamped].concat();
            assert!(
                unwrap(&line).ends_with(stamped) && unwrap(&line).len() < line.len(),
                "{before}"
            );
        }
        let syslog = &b"kern.log:Apr 27 08:47:12 h kernel: x"[..];
        assert_eq!(unwrap(syslog), b"Apr 27 08:47:12 h kernel: x");
    }

    #[test]
    fn messages_stay_whole() {
        for line in ["oom-kill:constraint=CONSTRAINT_NONE", "a-b", "Mem-Info:", ":", "--x", "12:30"]
        {
            assert_eq!(unwrap(line.as_bytes()), line.as_bytes());
        }
    }
}
