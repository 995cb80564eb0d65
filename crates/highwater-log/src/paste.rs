//! What terminals, editors, browsers and mailers do to a log before somebody passes it on.

use std::borrow::Cow;

use crate::{kmsg, scan};

/// The byte a colour begins with.
const ESCAPE: u8 = 0x1b;

/// An HTML entity is no longer than this, `&` and `;` included: `&#x0000003c;`.
const ENTITY_BYTES: usize = 12;

/// The entities that forums and bug trackers write for what means something in HTML.
const ENTITIES: [(&[u8], u8); 6] = [
    (b"lt", b'<'),
    (b"gt", b'>'),
    (b"amp", b'&'),
    (b"quot", b'"'),
    (b"apos", b'\''),
    (b"nbsp", b' '),
];

/// What stands before or behind a log on its first or last line.
const TAGS_BEFORE: [&[u8]; 5] = [b"<pre>", b"<code>", b"[code]", b"[CODE]", b"`"];
const TAGS_BEHIND: [&[u8]; 6] = [b"</code>", b"</pre>", b"[/code]", b"[/CODE]", b"<br>", b"<br />"];

/// Without line ends, the padding that a crash leaves in a file, and trailing blanks.
pub(crate) fn bare(line: &[u8]) -> &[u8] {
    let front = line.iter().take_while(|b| **b == 0).count();
    let line = line.get(front..).unwrap_or_default();
    let back = line.iter().rev().take_while(|b| matches!(**b, 0 | b'\r')).count();
    line.get(..line.len() - back).unwrap_or_default()
}

/// The line without terminal codes, HTML entities and no-break blanks, and with `/dev/kmsg`'s
/// escapes of letters undone. A backspace stays: it must not take the name of a program away that
/// wrote it.
pub(crate) fn clean(line: &[u8]) -> Cow<'_, [u8]> {
    let is_marked = memchr::memchr3(ESCAPE, b'&', 0xc2, line).is_some();
    if !is_marked && memchr::memchr(b'\\', line).is_none() {
        return Cow::Borrowed(line);
    }
    let line = if is_marked { legible(line) } else { Cow::Borrowed(line) };
    if memchr::memchr(b'\\', &line).is_none() || kmsg::head(&line).is_none() {
        return line;
    }
    let mut out = Vec::with_capacity(line.len());
    kmsg::unescape(&line, &mut out, |byte| byte >= 0x20 && byte != 0x7f);
    Cow::Owned(out)
}

/// Takes out what begins with one of three bytes: terminal codes, entities, no-break blanks.
fn legible(line: &[u8]) -> Cow<'_, [u8]> {
    let mut out = Vec::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = memchr::memchr3(ESCAPE, b'&', 0xc2, rest) {
        let (before, marked) = rest.split_at_checked(at).unwrap_or((rest, &[]));
        out.extend_from_slice(before);
        rest = replaced(marked, &mut out).unwrap_or_else(|| {
            out.extend(marked.first());
            marked.get(1..).unwrap_or_default()
        });
    }
    out.extend_from_slice(rest);
    Cow::Owned(out)
}

/// Writes what stands for the code at the front, and gives what follows it.
fn replaced<'a>(marked: &'a [u8], out: &mut Vec<u8>) -> Option<&'a [u8]> {
    match marked.first()? {
        &ESCAPE => after_code(marked),
        b'&' => {
            let (byte, rest) = entity(marked)?;
            out.push(byte);
            Some(rest)
        }
        _ => {
            let rest = marked.strip_prefix("\u{a0}".as_bytes())?;
            out.push(b' ');
            Some(rest)
        }
    }
}

/// What follows one terminal code: a colour (`ESC [ 1 ; 31 m`, `ESC [ ? 2004 h`), a title
/// (`ESC ] 0 ; … BEL`), a character set (`ESC ( B`), a keypad (`ESC =`).
fn after_code(code: &[u8]) -> Option<&[u8]> {
    let rest = code.get(2..)?;
    match code.get(1)? {
        b'[' => {
            let len = rest.iter().take_while(|b| (0x20..0x40).contains(*b)).count();
            let (letter, rest) = rest.get(len..)?.split_first()?;
            (0x40..0x7f).contains(letter).then_some(rest)
        }
        b']' | b'P' | b'_' | b'^' => {
            let end = memchr::memchr2(0x07, ESCAPE, rest)?;
            let behind = rest.get(end + 1..)?;
            Some(if rest.get(end) == Some(&0x07) {
                behind
            } else {
                behind.strip_prefix(b"\\").unwrap_or(behind)
            })
        }
        b'(' | b')' | b'*' | b'+' | b'#' | b'%' => rest.get(1..),
        b'=' | b'>' | b'7' | b'8' | b'M' | b'D' | b'E' | b'c' => Some(rest),
        _ => None,
    }
}

/// `&lt;`, `&#60;`, `&#x3c;`: the letter, if it is a printable one of ASCII, and what follows.
fn entity(text: &[u8]) -> Option<(u8, &[u8])> {
    let window = text.get(..text.len().min(ENTITY_BYTES))?;
    let end = memchr::memchr(b';', window)?;
    let name = text.get(1..end)?;
    let rest = text.get(end + 1..)?;
    let known = ENTITIES.iter().find(|(known, _)| *known == name).map(|(_, byte)| *byte);
    let numbered = || {
        let digits = std::str::from_utf8(name.strip_prefix(b"#")?).ok()?;
        match digits.strip_prefix(['x', 'X']) {
            Some(hex) => u8::from_str_radix(hex, 16).ok(),
            None => digits.parse().ok(),
        }
    };
    let byte = known.or_else(|| numbered().filter(|byte| (0x20..0x7f).contains(byte)))?;
    Some((byte, rest))
}

/// The line without the tags that end a log, or a line of one.
pub(crate) fn ended(line: &[u8]) -> &[u8] {
    let mut line = line;
    while matches!(line.last(), Some(b'>' | b']'))
        && let Some(rest) = TAGS_BEHIND.iter().find_map(|tag| line.strip_suffix(*tag))
    {
        line = rest;
    }
    line
}

/// The line without the tags and marks that begin a log.
pub(crate) fn untagged(line: &[u8]) -> &[u8] {
    let mut line = line;
    while let Some(rest) = TAGS_BEFORE.iter().find_map(|tag| line.strip_prefix(*tag)) {
        line = rest;
    }
    line.strip_suffix(b"`").unwrap_or(line)
}

/// Takes `> > ` off.
pub(crate) fn unquote(line: &[u8]) -> &[u8] {
    let mut line = line;
    while let Some(rest) = line.strip_prefix(b">") {
        line = rest.strip_prefix(b" ").unwrap_or(rest);
    }
    line
}

/// What stands between two places of a log and says nothing: the `--` of `grep -A`, the fence of
/// Markdown code.
pub(crate) fn is_separator(line: &[u8]) -> bool {
    if line == b"--" {
        return true;
    }
    let fence = scan::trim_start(line);
    let named = fence.strip_prefix(b"```").or_else(|| fence.strip_prefix(b"~~~"));
    named.is_some_and(|name| name.trim_ascii().iter().all(u8::is_ascii_alphanumeric))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_go_and_nothing_else() {
        let log = b"\x1b[32m[    1.0] \x1b[0m\x1b[33moom-kill:\x1b[0mx\x1b \x1b[";
        assert_eq!(&clean(log)[..], b"[    1.0] oom-kill:x\x1b \x1b[");
        assert!(matches!(clean(b"nothing to do"), Cow::Borrowed(_)));
    }

    #[test]
    fn titles_and_character_sets_go_but_nothing_is_erased() {
        let log = b"\x1b]0;user@host\x07\x1b(B\x1b[?2004h[1.5] \x1b]8;;x\x1b\\hello\x08";
        assert_eq!(&clean(log)[..], b"[1.5] hello\x08");
        assert_eq!(&clean(b"\x1b]0;no end")[..], b"\x1b]0;no end");
    }

    #[test]
    fn entities_become_letters_but_never_controls() {
        assert_eq!(
            &clean(b"&lt;6&gt;[ 1.5] &quot;a&quot; &#39;b&#x27;")[..],
            b"<6>[ 1.5] \"a\" 'b'"
        );
        assert_eq!(&clean(b"a&#10;b &unknown; & &amp;lt;")[..], b"a&#10;b &unknown; & &lt;");
        assert_eq!(&clean("[\u{a0}\u{a0}1.5] é".as_bytes())[..], "[  1.5] é".as_bytes());
    }

    #[test]
    fn letters_in_records_are_unescaped_but_not_line_ends() {
        assert_eq!(&clean(br"6,1,2,-;caf\xc3\xa9\x0ax")[..], "6,1,2,-;café\\x0ax".as_bytes());
        assert_eq!(&clean(br"C:\xc3 is a path")[..], br"C:\xc3 is a path");
    }

    #[test]
    fn padding_tags_and_quote_marks_go() {
        assert_eq!(bare(b"\0\0a\0b\r\r"), b"a\0b");
        assert_eq!(bare(b"\0\r"), b"");
        assert_eq!(untagged(b"<pre><code>[1.5] x"), b"[1.5] x");
        assert_eq!(untagged(b"`[1.5] x`"), b"[1.5] x");
        assert_eq!(ended(b"[1.5] x</code></pre><br />"), b"[1.5] x");
        assert_eq!(ended(b"[1.5]  </TASK>"), b"[1.5]  </TASK>");
        assert_eq!(unquote(b"> >> x"), b"x");
    }

    #[test]
    fn fences_and_greps_separators_say_nothing() {
        for line in [&b"--"[..], b"```", b"   ```text", b"~~~"] {
            assert!(is_separator(line));
        }
        for line in [&b"---"[..], b"``` x y", b"x", b""] {
            assert!(!is_separator(line));
        }
    }
}
