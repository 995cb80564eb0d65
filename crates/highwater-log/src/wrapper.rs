//! What log services and test farms print around each line that they hand out.
//!
//! ```text
//! 1772355600100,"[12.5] text ""quoted"""                        CSV of a log service
//! 2026-04-27T08:47:12Z {host="a", unit="kernel"} text           a query of Loki
//! [0] kube: [[1772355600.1, {}], {"log"=>"[12.5] text"}]        fluent-bit
//! 2026-04-27 08:47:12.123456789 +0200 kernel: {"msg": "text"}   fluentd
//! - {"dt": "2026-04-27T08:47:12", "lvl": "target", "msg": "…"}  LAVA
//! "[12.5] text\n[12.6] text"    b'[12.5] text\n[12.6] text'     a string of JSON or Python
//! ```

use crate::envelope::{Facts, Opened};
use crate::{iso, layers, scan};

/// The first column of a table or the labels of a stream end within this.
const FRONT_BYTES: usize = 1024;

/// So many columns of a table are looked at.
const COLUMNS: usize = 16;

/// Seconds since 1970 have ten digits until 2286, nanoseconds nineteen.
const EPOCH_DIGITS: std::ops::RangeInclusive<usize> = 10..=19;

/// The digits of a second that fluentd prints.
const FLUENTD_DIGITS: usize = 9;

/// The labels that name who wrote a line.
const WRITERS: [&[u8]; 5] =
    [b"unit=", b"syslog_identifier=", b"identifier=", b"transport=", b"_transport="];

/// What is inside.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Inside<'a> {
    /// This part of the line.
    Part(Opened<'a>),
    /// This text, made of the line.
    Text(Vec<u8>),
}

/// What the wrapper around `line` holds, if it has one.
pub(crate) fn open(line: &[u8]) -> Option<Inside<'_>> {
    match line.first()? {
        b'0'..=b'9' => table(line).or_else(|| labelled(line)).or_else(|| fluentd(line)),
        b'-' => object(line.strip_prefix(b"- ")?),
        b'[' => fluent_bit(line),
        b'"' => json_string(line).or_else(|| table(line)),
        b'b' => python_bytes(line),
        _ => None,
    }
}

fn part(text: &[u8], facts: Facts) -> Inside<'_> {
    Inside::Part(Opened { facts, is_enveloped: true, ..Opened::bare(text) })
}

fn object(text: &[u8]) -> Option<Inside<'_>> {
    text.starts_with(b"{\"").then(|| part(text, Facts::default()))
}

/// A row whose first column is a time: the column behind it, or a later one that holds an envelope.
fn table(line: &[u8]) -> Option<Inside<'_>> {
    let window = line.get(..line.len().min(FRONT_BYTES))?;
    memchr::memmem::find(window, b",\"")?;
    let (first, mut rest) = column(line)?;
    let digits = first.iter().all(u8::is_ascii_digit) && EPOCH_DIGITS.contains(&first.len());
    // Nothing but a time: behind a writer's name a comma is part of what was written.
    let is_stamp = iso::stamp(&first).is_some_and(|stamp| stamp.rest.is_empty());
    if !digits && !is_stamp {
        return None;
    }
    let (mut second, mut columns) = (None, 0);
    for _ in 1..COLUMNS {
        let Some((text, behind)) = rest.strip_prefix(b",").and_then(column) else { break };
        if layers::is_enveloped(&text) {
            return Some(Inside::Text(text));
        }
        second.get_or_insert(text);
        (columns, rest) = (columns + 1, behind);
    }
    second.filter(|text| columns == 1 && !text.is_empty()).map(Inside::Text)
}

/// The first column of a row without its quotes, and what follows it.
fn column(row: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let Some(mut rest) = row.strip_prefix(b"\"") else {
        let end = memchr::memchr(b',', row).unwrap_or(row.len());
        let (text, rest) = row.split_at_checked(end)?;
        return Some((text.to_vec(), rest));
    };
    let mut text = Vec::new();
    loop {
        // A row that breaks off in a column keeps what is there.
        let Some(end) = memchr::memchr(b'"', rest) else {
            text.extend_from_slice(rest);
            return Some((text, &[]));
        };
        text.extend_from_slice(rest.get(..end)?);
        rest = rest.get(end + 1..)?;
        match rest.strip_prefix(b"\"") {
            Some(behind) => rest = behind,
            None => return Some((text, rest)),
        }
        text.push(b'"');
    }
}

/// A time, the labels of a stream in braces, and the line.
fn labelled(line: &[u8]) -> Option<Inside<'_>> {
    let window = line.get(..line.len().min(FRONT_BYTES))?;
    memchr::memmem::find(window, b" {")?;
    let stamp = iso::stamp(line)?;
    let labels = stamp.rest.strip_prefix(b" {")?;
    let end = memchr::memmem::find(labels.get(..labels.len().min(FRONT_BYTES))?, b"\"} ")?;
    let text = labels.get(end + b"\"} ".len()..)?;
    let labels = labels.get(..end)?;
    if labels.contains(&b'\\') {
        // A quote that is escaped might make a line's text a label, or the other way round.
        return None;
    }
    let facts = Facts { wall: stamp.wall, ..Facts::default() };
    let opened = Opened { facts, ident: writer(labels), is_enveloped: true, text };
    Some(Inside::Part(opened.judged(None)))
}

/// Who wrote the line, if a label says so: of several that is the one that is not the kernel.
fn writer(labels: &[u8]) -> Option<&[u8]> {
    let names = labels.split(|b| *b == b',').filter_map(|label| {
        let label = label.trim_ascii();
        let value = WRITERS.iter().find_map(|name| label.strip_prefix(*name))?;
        let value = value.strip_prefix(b"\"")?;
        Some(value.strip_suffix(b"\"").unwrap_or(value))
    });
    names.max_by_key(|name| !crate::envelope::is_kernel(name))
}

/// A time with a zone behind a blank, the tag, and an object.
fn fluentd(line: &[u8]) -> Option<Inside<'_>> {
    let window = line.get(..line.len().min(FRONT_BYTES))?;
    let mark = memchr::memmem::find(window, b": {\"")?;
    let stamp = iso::stamp(line).filter(|stamp| stamp.fraction == FLUENTD_DIGITS)?;
    let zone = stamp.rest.strip_prefix(b" ")?;
    let offset = zone.strip_prefix(b"+").or_else(|| zone.strip_prefix(b"-"))?;
    let (_, tag) = scan::digits(offset, 4)?;
    let object = line.get(mark + 2..)?;
    let tag = tag.strip_prefix(b" ")?;
    // The tag is one word: behind more of them the object is part of what somebody says.
    let is_tag = scan::first_word(tag).1.len() == object.len() + 1;
    is_tag.then(|| part(object, Facts::default()))
}

/// `[0] tag: [[time, {}], {"log"=>"text"}]`, and `[0] tag: [time, {…}]` of before 2.1.
fn fluent_bit(line: &[u8]) -> Option<Inside<'_>> {
    let (_, rest) = scan::number(line.strip_prefix(b"[")?)?;
    let (tag, rest) = scan::word(rest.strip_prefix(b"] ")?)?;
    tag.strip_suffix(b":")?;
    let inner = rest.strip_prefix(b"[")?;
    let inner = inner.strip_prefix(b"[").unwrap_or(inner);
    scan::number(inner)?;
    let window = rest.get(..rest.len().min(FRONT_BYTES))?;
    let from = memchr::memmem::find(window, b", {\"")? + 2;
    let object = rest.get(from..)?;
    let mut json = Vec::with_capacity(object.len());
    let mut left = object;
    // In a string the quote is escaped, and the escape keeps its meaning.
    while let Some(at) = memchr::memmem::find(left, b"\"=>") {
        json.extend_from_slice(left.get(..at)?);
        json.extend_from_slice(b"\":");
        left = left.get(at + b"\"=>".len()..)?;
    }
    json.extend_from_slice(left.strip_suffix(b"]").unwrap_or(left));
    Some(Inside::Text(json))
}

/// A line that is one string of JSON with several lines in it, or one in an envelope.
fn json_string(line: &[u8]) -> Option<Inside<'_>> {
    let end = line.strip_suffix(b",").unwrap_or(line);
    let text: String = serde_json::from_slice(end).ok()?;
    let is_log = text.trim_end().contains('\n') || layers::is_enveloped(text.as_bytes());
    is_log.then(|| Inside::Text(text.into_bytes()))
}

/// `b'…'`, the way Python prints bytes.
fn python_bytes(line: &[u8]) -> Option<Inside<'_>> {
    let rest = line.strip_prefix(b"b")?;
    let (quote, rest) = rest.split_first().filter(|(quote, _)| matches!(quote, b'\'' | b'"'))?;
    let mut rest = rest.strip_suffix(&[*quote])?;
    let mut text = Vec::with_capacity(rest.len());
    while let Some(at) = memchr::memchr(b'\\', rest) {
        text.extend_from_slice(rest.get(..at)?);
        let (letter, behind) = rest.get(at + 1..)?.split_first()?;
        rest = behind;
        match letter {
            b'n' => text.push(b'\n'),
            b'r' => text.push(b'\r'),
            b't' => text.push(b'\t'),
            b'x' => {
                let (digits, behind) = rest.split_at_checked(2)?;
                text.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
                rest = behind;
            }
            other => text.push(*other),
        }
    }
    text.extend_from_slice(rest);
    Some(Inside::Text(text))
}

#[cfg(test)]
mod tests {
    use highwater_core::line::Origin;

    use super::*;

    fn inside(line: &str) -> Option<(String, Origin)> {
        let own = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Some(match open(line.as_bytes())? {
            Inside::Part(opened) => (own(opened.text), opened.facts.origin),
            Inside::Text(text) => (own(&text), Origin::Unsaid),
        })
    }

    #[test]
    fn what_is_wrapped_comes_out() {
        for (line, want) in [
            (r#"1772355600100,"[   12.500000] a ""b"""#, r#"[   12.500000] a "b""#),
            (r#"1772355600100,"a, b""#, "a, b"),
            (r#""2026-04-27 08:47:12.1","web","[   12.500000] x",7"#, "[   12.500000] x"),
            (r#"2026-04-27T08:47:12+02:00 {host="a", unit="kernel"}  x"#, " x"),
            (r#"2026-04-27 08:47:12.123456789 +0200 kernel: {"msg": "x"}"#, r#"{"msg": "x"}"#),
            (r#"[0] kube: [[1772355600.1, {}], {"log"=>"a\"=>b"}]"#, r#"{"log":"a\":b"}"#),
            (r#"[0] kube: [1772355600.1, {"log"=>"x"}]"#, r#"{"log":"x"}"#),
            (r#"- {"dt": "x", "msg": "y"}"#, r#"{"dt": "x", "msg": "y"}"#),
            (r#""a\nb""#, "a\nb"),
            (r#""[   12.500000] x","#, "[   12.500000] x"),
            (r"b'a\nb\x41\\'", "a\nbA\\"),
        ] {
            assert_eq!(inside(line), Some((want.to_owned(), Origin::Unsaid)), "{line}");
        }
    }

    #[test]
    fn labels_that_name_a_program_make_it_one() {
        for labels in [
            r#"host="a", unit="app.service""#,
            r#"unit="kernel", syslog_identifier="app""#,
            r#"transport="stdout""#,
        ] {
            let line = format!("2026-04-27T08:47:12Z {{{labels}}} [   12.500000] x");
            assert_eq!(inside(&line).unwrap().1, Origin::Program, "{line}");
        }
    }

    #[test]
    fn what_is_not_wrapped_stays() {
        for line in [
            "",
            "-",
            "- x",
            "12,\"x",
            "1772355600100",
            "1772355600100,\"a\",\"b\"",
            "6,1,2,-;x,\"y\"",
            "2026-04-27T08:47:12Z {",
            "2026-04-27T08:47:12Z {a=\"b\\\"} x",
            "2026-04-27T08:47:12Z app[1]: {a=\"b\"} x",
            "2026-04-27 08:47:12.123456789 +0200 app says: {\"msg\": \"x\"}",
            "[0] x: [",
            "[  930] 61876   930      647",
            "[   12.500000] x: [[1, {}], {\"log\"=>\"y\"}]",
            "\"x\"",
            "\"",
            "b'",
            "b'x\\",
            r"b'\x4'",
            "bond0: x",
        ] {
            assert_eq!(inside(line), None, "{line}");
        }
    }
}
