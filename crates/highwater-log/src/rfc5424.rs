//! Syslog as RFC 5424 has it, and the frames of RFC 6587 that carry it over a stream.
//!
//! ```text
//! <6>1 2026-04-27T08:47:12.123456+02:00 host kernel - - [meta x="a]b"] text
//! │  │ │                                │    │      │ │ └ structured data
//! │  │ └ time                           host app pid message's id
//! │  └ version
//! └ facility * 8 + level                         123 <6>1 …   (the frame's length before it)
//! ```

use crate::envelope::{Facts, Opened};
use crate::{iso, scan};

/// Takes the envelope behind the priority off.
pub(crate) fn open(rest: &[u8]) -> Option<Opened<'_>> {
    let (time, rest) = scan::word(rest.strip_prefix(b"1 ")?)?;
    let wall = match time {
        b"-" => None,
        _ => iso::strip(time)?.0,
    };
    let (_host, rest) = scan::word(rest)?;
    let (app, rest) = scan::word(rest)?;
    let (_pid, rest) = scan::word(rest)?;
    let (_id, rest) = scan::word(rest)?;
    let text = structured(rest)?;
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let facts = Facts { wall, ..Facts::default() };
    Some(Opened { facts, ident: (app != b"-").then_some(app), text, is_enveloped: true })
}

/// What follows the structured data: `-`, or `[id name="value" …]…` with `\"`, `\\` and `\]`.
fn structured(rest: &[u8]) -> Option<&[u8]> {
    if let Some(text) = rest.strip_prefix(b"-") {
        return text.strip_prefix(b" ").or(text.is_empty().then_some(text));
    }
    let (mut at, mut quoted) = (0, false);
    while rest.get(at) == Some(&b'[') || quoted {
        loop {
            at += 1 + memchr::memchr3(b'"', b'\\', b']', rest.get(at + 1..)?)?;
            match rest.get(at)? {
                b'"' => quoted = !quoted,
                b'\\' => at += 1,
                _ if quoted => {}
                _ => break,
            }
        }
        at += 1;
    }
    let text = rest.get(at..).filter(|_| at > 0)?;
    text.strip_prefix(b" ").or(text.is_empty().then_some(text))
}

/// The frames on one line, each without its length; `None` if the line begins with no frame. What
/// follows the last whole frame is given as one more.
pub(crate) fn frames(line: &[u8]) -> Option<Vec<&[u8]>> {
    let mut frames = Vec::new();
    let mut rest = line;
    while let Some((len, framed)) = frame(rest) {
        let (text, after) = framed.split_at_checked(len).unwrap_or((framed, &[]));
        frames.push(text);
        rest = after;
    }
    if !rest.is_empty() && !frames.is_empty() {
        frames.push(rest);
    }
    (!frames.is_empty()).then_some(frames)
}

/// `123 <`: the length, and what it counts.
fn frame(text: &[u8]) -> Option<(usize, &[u8])> {
    let (len, rest) = scan::number(text)?;
    let framed = rest.strip_prefix(b" ").filter(|framed| framed.starts_with(b"<"))?;
    let (_, behind) = scan::number(framed.get(1..)?)?;
    (len > 0 && behind.starts_with(b">")).then_some((usize::try_from(len).ok()?, framed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_comes_off() {
        let line =
            b"1 2026-04-27T08:47:12.123456+02:00 h kernel 7 id [a b=\"x\\\"]y\"][c] hello you";
        let opened = open(line).unwrap();
        assert_eq!((opened.ident, opened.text), (Some(&b"kernel"[..]), &b"hello you"[..]));
        assert_eq!(opened.facts.wall.unwrap().to_string(), "2026-04-27T06:47:12.123Z");
        let opened = open("1 - - - - - - \u{feff}hello".as_bytes()).unwrap();
        assert_eq!((opened.ident, opened.facts.wall, opened.text), (None, None, &b"hello"[..]));
        assert_eq!(open(b"1 - h app - - -").unwrap().text, b"");
    }

    #[test]
    fn other_text_and_cut_text_is_left_alone() {
        for line in [
            &b""[..],
            b"1 ",
            b"2 - - - - - - x",
            b"1 - h app - - [a b=\"x",
            b"1 - h app - - x",
            b"1 yesterday h app - - - x",
            b"1 - h",
        ] {
            assert_eq!(open(line), None, "{}", line.escape_ascii());
        }
    }

    #[test]
    fn frames_come_apart() {
        let parts = |line| frames(line).map(|parts| parts.concat());
        assert_eq!(frames(b"6 <6>1 a6 <6>1 b"), Some(vec![&b"<6>1 a"[..], b"<6>1 b"]));
        assert_eq!(frames(b"99 <6>1 a"), Some(vec![&b"<6>1 a"[..]]));
        assert_eq!(frames(b"5 <6>1 a"), Some(vec![&b"<6>1 "[..], b"a"]));
        assert_eq!(parts(b"12 apples"), None);
        assert_eq!(parts(b"0 <6>"), None);
        assert_eq!(parts(b""), None);
    }
}
