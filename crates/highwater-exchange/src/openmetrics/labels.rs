//! The text before a value: a name and labels, `name{a="b"}` or, with names of any letters,
//! `{"a name",a="b"}`.

use std::borrow::Cow;

use highwater_core::series::{Labels, NAME};
use highwater_core::text;

use crate::desk::Odd;

/// Labels of one series: Kubernetes objects bring dozens.
const MAX_LABELS: usize = 128;

/// Where the name and labels of a line end, if they end.
pub(crate) fn end(line: &[u8]) -> Option<usize> {
    let brace = match line.iter().position(|byte| matches!(byte, b'{' | b' ' | b'\t'))? {
        at if line.get(at) == Some(&b'{') => at,
        at => match line.get(at..)?.iter().position(|byte| !is_blank(*byte)) {
            // Prometheus's text format allows blanks before the brace.
            Some(blanks) if line.get(at + blanks) == Some(&b'{') => at + blanks,
            _ => return Some(at),
        },
    };
    closing(line, brace + 1)
}

/// The place after the brace that closes what begins at `at`.
fn closing(line: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += memchr::memchr2(b'"', b'}', line.get(at..)?)?;
        if line.get(at) == Some(&b'}') {
            return Some(at + 1);
        }
        at = quote_end(line, at + 1)?;
    }
}

/// The place after the quote that closes what begins at `at`.
fn quote_end(line: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += memchr::memchr2(b'"', b'\\', line.get(at..)?)?;
        match line.get(at)? {
            b'"' => return Some(at + 1),
            _ => at += 2,
        }
    }
}

pub(crate) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Reads such a text; what is wrong with it otherwise.
///
/// Values stay as they are, control characters included: whoever shows them escapes them. Only bytes
/// that are not UTF-8, which no label can hold, become escapes.
pub(crate) fn read(text: &[u8]) -> Result<Labels, Odd> {
    let brace = memchr::memchr(b'{', text).unwrap_or(text.len());
    let (name, rest) = text.split_at(brace);
    let name = name.trim_ascii_end();
    let mut labels = Labels::default();
    if !name.is_empty() {
        is_name(name, b':').then_some(()).ok_or(Odd::NoSample)?;
        labels.set(NAME, &*held(name));
    }
    if let Some(inner) = rest.strip_prefix(b"{") {
        pairs(inner.strip_suffix(b"}").ok_or(Odd::BadLabels)?, &mut labels)?;
    }
    if labels.get(NAME).is_empty() { Err(Odd::NoSample) } else { Ok(labels) }
}

/// Bytes as a label can hold them.
fn held(bytes: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(bytes).map_or_else(|_| text::escape(bytes), Cow::Borrowed)
}

/// `[a-zA-Z_][a-zA-Z0-9_]*`, of a metric with colons.
fn is_name(name: &[u8], extra: u8) -> bool {
    let first = name.first().is_some_and(|byte| !byte.is_ascii_digit());
    first && name.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_' || *b == extra)
}

fn pairs(inner: &[u8], labels: &mut Labels) -> Result<(), Odd> {
    let mut rest = inner.trim_ascii();
    for _ in 0..MAX_LABELS {
        if rest.is_empty() {
            break;
        }
        rest = pair(rest, labels).ok_or(Odd::BadLabels)?;
    }
    if rest.is_empty() { Ok(()) } else { Err(Odd::ManyLabels) }
}

/// Takes one `name="value"`, or the metric's name in quotes, and the comma after it.
fn pair<'a>(text: &'a [u8], labels: &mut Labels) -> Option<&'a [u8]> {
    let is_quoted = text.starts_with(b"\"");
    let (name, after) = if is_quoted { quoted(text)? } else { bare(text)? };
    let after = after.trim_ascii_start();
    let (name, value, after) = match after.strip_prefix(b"=") {
        Some(after) => {
            let (value, after) = quoted(after.trim_ascii_start())?;
            (name, value, after)
        }
        None if is_quoted => (Cow::Borrowed(NAME.as_bytes()), name, after),
        None => return None,
    };
    let name = held(&name);
    // Whoever gives one label twice means something that is not known.
    labels.get(&name).is_empty().then_some(())?;
    labels.set(&*name, &*held(&value));
    match after.trim_ascii_start() {
        [] => Some(&[]),
        [b',', after @ ..] => Some(after.trim_ascii_start()),
        _ => None,
    }
}

/// A label's name without quotes, and the rest.
fn bare(text: &[u8]) -> Option<(Cow<'_, [u8]>, &[u8])> {
    let end = text.iter().position(|byte| *byte == b'=' || is_blank(*byte))?;
    let (name, rest) = text.split_at(end);
    is_name(name, b'_').then_some((Cow::Borrowed(name), rest))
}

/// A text in quotes, and the rest.
pub(crate) fn quoted(text: &[u8]) -> Option<(Cow<'_, [u8]>, &[u8])> {
    let text = text.strip_prefix(b"\"")?;
    let (inner, rest) = text.split_at(quote_end(text, 0)?);
    Some((unescape(inner.strip_suffix(b"\"")?), rest))
}

/// `\\`, `\"` and `\n` for what they mean; any other backslash is one.
pub(crate) fn unescape(text: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'\\', text).is_none() {
        return Cow::Borrowed(text);
    }
    let (mut out, mut rest) = (Vec::with_capacity(text.len()), text);
    loop {
        rest = match rest {
            [b'\\', b'n', rest @ ..] => {
                out.push(b'\n');
                rest
            }
            [b'\\', byte @ (b'\\' | b'"'), rest @ ..] | [byte, rest @ ..] => {
                out.push(*byte);
                rest
            }
            [] => return Cow::Owned(out),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Result<String, Odd> {
        read(text.as_bytes()).map(|labels| labels.to_string())
    }

    #[test]
    fn names_and_labels_are_read_in_all_their_forms() {
        for (text, want) in [
            ("up", "up"),
            ("a:b_c9", "a:b_c9"),
            ("up{}", "up"),
            (r#"up{b="2",a="1"}"#, r#"up{a="1",b="2"}"#),
            (r#"up { a = "1" , b = "2" , }"#, r#"up{a="1",b="2"}"#),
            (r#"up{a="}{,=\\"}"#, r#"up{a="}{,=\\"}"#),
            (r#"up{a="say \"hi\"",gone=""}"#, r#"up{a="say \"hi\""}"#),
            (r#"{"my.metric","a b"="1"}"#, r#"{"my.metric","a b"="1"}"#),
            (r#"{a="1",__name__="up"}"#, r#"up{a="1"}"#),
            (r#"up{a="d:\dir"}"#, r#"up{a="d:\\dir"}"#),
            (r#"up{a="two\nlines"}"#, r#"up{a="two\nlines"}"#),
        ] {
            assert_eq!(shown(text), Ok(want.to_owned()), "{text}");
        }
    }

    #[test]
    fn hostile_and_broken_labels_do_no_harm() {
        for text in [r#"{a="1"}"#, "", "9up", "u-p", r#"up{__name__="a"}"#, "\u{e9}"] {
            assert!(shown(text).is_err(), "{text}");
        }
        for text in ["up{a}", r#"up{a="1" b="2"}"#, r#"up{a="1",a="2"}"#, "up{a=1}", "up{"] {
            assert_eq!(shown(text), Err(Odd::BadLabels), "{text}");
        }
        let labels = read(b"up{a=\"\x1b[31m\xff\"}").unwrap();
        assert_eq!(labels.get("a"), r"\x1b[31m\xff");
        let raw = read(b"up{a=\"\x1b\\n\"}").unwrap();
        assert_eq!(raw.get("a"), "\x1b\n");
        assert_ne!(raw, read(br#"up{a="\x1b\\n"}"#).unwrap());
        let many: Vec<String> = (0..200).map(|at| format!("l{at}=\"1\"")).collect();
        assert_eq!(shown(&format!("up{{{}}}", many.join(","))), Err(Odd::ManyLabels));
    }

    #[test]
    fn the_end_of_a_name_is_found_past_quotes() {
        fn at(text: &str) -> Option<(&str, &str)> {
            text.split_at_checked(end(text.as_bytes())?)
        }
        assert_eq!(at("up 1"), Some(("up", " 1")));
        assert_eq!(at(r#"up{a="} \"} "} 1"#), Some((r#"up{a="} \"} "}"#, " 1")));
        assert_eq!(at(r#"up {a="b"} 1"#), Some((r#"up {a="b"}"#, " 1")));
        assert_eq!(at(r#"up{a="b"}1"#), Some((r#"up{a="b"}"#, "1")));
        for text in ["", "up", r#"up{a="b} 1"#, r#"up{a="\"#, "up{ 1"] {
            assert_eq!(at(text), None, "{text}");
        }
    }
}
