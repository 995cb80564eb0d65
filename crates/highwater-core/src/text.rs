//! Text that somebody else chose: process names, cgroup paths, log lines.

mod discreet;

use std::borrow::Cow;

pub use discreet::discreet;

/// `bytes` as one line of printable text, safe for a terminal, a page or a log.
///
/// Control characters, bytes that are not UTF-8, and the characters that reorder or hide text
/// (bidirectional marks, zero-width characters) become `\n`, `\x1b` or `\u{202e}`; everything else
/// stays as it is, other alphabets included.
pub fn escape(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.chars().any(is_unsafe) => Cow::Borrowed(text),
        _ => Cow::Owned(escaped(bytes)),
    }
}

/// `bytes` in double quotes, with the escapes of Go and so of PromQL: a query that quotes them so
/// means them. What [`escape`] spells out is spelled out.
pub fn quoted(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() + 2);
    out.push('"');
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' | '\\' | '\n' | '\r' | '\t' => out.extend(c.escape_default()),
                '\u{7}' => out.push_str("\\a"),
                '\u{8}' => out.push_str("\\b"),
                '\u{c}' => out.push_str("\\f"),
                '\u{b}' => out.push_str("\\v"),
                _ if c.is_ascii() && is_unsafe(c) => push_hex(&mut out, u32::from(c)),
                _ if is_unsafe(c) => out.extend([format!("\\u{:04x}", u32::from(c))]),
                _ => out.push(c),
            }
        }
        for byte in chunk.invalid() {
            push_hex(&mut out, u32::from(*byte));
        }
    }
    out.push('"');
    out
}

fn escaped(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() + 16);
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\n' | '\r' | '\t' => out.extend(c.escape_default()),
                _ if c.is_ascii() && is_unsafe(c) => push_hex(&mut out, u32::from(c)),
                _ if is_unsafe(c) => out.extend(c.escape_unicode()),
                _ => out.push(c),
            }
        }
        for byte in chunk.invalid() {
            push_hex(&mut out, u32::from(*byte));
        }
    }
    out
}

fn push_hex(out: &mut String, byte: u32) {
    out.push_str(r"\x");
    for shift in [4, 0] {
        out.extend(char::from_digit((byte >> shift) & 0xf, 16));
    }
}

/// Control characters and the format characters that change how a line reads.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_of_any_alphabet_stays() {
        assert!(matches!(escape("二 9月 café".as_bytes()), Cow::Borrowed("二 9月 café")));
    }

    #[test]
    fn what_could_mislead_is_spelled_out() {
        assert_eq!(escape(b"a\x1b[31m\nb\x00"), r"a\x1b[31m\nb\x00");
        assert_eq!(escape("x\u{202e}gpj".as_bytes()), r"x\u{202e}gpj");
        assert_eq!(escape(b"\xff\xfe"), r"\xff\xfe");
    }

    #[test]
    fn quotes_are_those_of_a_query() {
        assert_eq!(quoted("a\"b\\c\nd".as_bytes()), r#""a\"b\\c\nd""#);
        assert_eq!(
            quoted("\u{1b}[31m\u{7} \u{202e}gpj ä".as_bytes()),
            r#""\x1b[31m\a \u202egpj ä""#
        );
        assert_eq!(quoted(b"a\xc5z"), r#""a\xc5z""#);
    }
}
