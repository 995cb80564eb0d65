//! JSON, one entry on a line or several: `journalctl -o json` (also `json-sse`, `json-seq`),
//! Docker's `json-file`, JSON lines of log shippers.
//!
//! ```text
//! {"MESSAGE":"text","_TRANSPORT":"kernel","__REALTIME_TIMESTAMP":"1777272432123456",…}
//! {"MESSAGE":[79,117,116],…}     data: {"MESSAGE":…}     ␞{"MESSAGE":…}
//! {"log":"text\n","stream":"stderr","time":"2026-04-27T08:47:12.123456789Z"}
//! [{"timestamp":…,"message":"text"},{…}]
//! ```
//!
//! A line that breaks off keeps the members that were whole, and of the one that was cut what is
//! there.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::fields::{Fields, Key};

/// So deep the objects are looked into that stand in an entry.
const DEPTH: u8 = 6;

/// So many entries on one line are kept.
const ENTRIES: usize = 10_000;

/// What may stand around an object: `data: ` of server-sent events, the separator of RFC 7464, the
/// comma of a list that is printed one entry on a line.
const SSE: &[u8] = b"data: ";
const SEPARATOR: u8 = 0x1e;

/// The entries on a line; none if it is not JSON. An entry of the journal may lack a message.
pub(crate) fn entries(line: &[u8]) -> Vec<Fields> {
    let Some(object) = object(line) else { return Vec::new() };
    let (mut found, is_cut) = gather(object);
    if is_cut && !found.iter().any(Fields::has_message) {
        // A string that was cut is closed, and so is the object.
        found = gather(&[object, b"\"}"].concat()).0;
    }
    found
}

/// The entries, and whether the text broke off.
fn gather(object: &[u8]) -> (Vec<Fields>, bool) {
    let mut found = Found::default();
    let text = text(object);
    let mut reader = serde_json::Deserializer::from_str(&text);
    let seed = Value { key: Key::List, depth: 0, found: &mut found };
    let is_cut = seed.deserialize(&mut reader).is_err_and(|error| error.is_eof());
    found.close();
    (found.entries, is_cut)
}

/// What is not UTF-8 in it is replaced. Nearly all is, and that is found out at several times the speed.
fn text(bytes: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

/// A member on a line of its own, `"name" : value,`: what it means, and where the value is not on
/// the line, what opens there. Whole values go to `fields`.
pub(crate) fn member(line: &[u8], fields: &mut Fields) -> Option<(Key, Opens)> {
    let rest = line.trim_ascii().strip_prefix(b"\"")?;
    let (name, rest) = rest.split_at_checked(memchr::memchr(b'"', rest)?)?;
    let rest = rest.strip_prefix(b"\"")?.trim_ascii_start().strip_prefix(b":")?;
    let value = rest.trim_ascii();
    let value = value.strip_suffix(b",").unwrap_or(value);
    let key = Key::of(name);
    match value {
        b"{" => return Some((key, Opens::Object)),
        b"[" | b"[{" => return Some((key, Opens::List)),
        _ if matches!(key, Key::Other | Key::Nest | Key::List) => {}
        _ if !read(value, key, fields) => {
            // The value was cut.
            read(&[value, b"\""].concat(), key, fields);
        }
        _ => {}
    }
    Some((key, Opens::Nothing))
}

/// What a member's line leaves open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opens {
    Nothing,
    Object,
    List,
}

/// An item of a list on a line of its own, `"value",`, if it is text: it goes to `fields`.
pub(crate) fn item(inner: &[u8], key: Key, fields: &mut Fields) -> bool {
    let value = inner.strip_suffix(b",").unwrap_or(inner);
    value.starts_with(b"\"") && read(value, key, fields)
}

/// Reads one value; `false` if it breaks off.
fn read(value: &[u8], key: Key, fields: &mut Fields) -> bool {
    let mut found = Found { current: std::mem::take(fields), ..Found::default() };
    let text = text(value);
    let mut reader = serde_json::Deserializer::from_str(&text);
    let seed = Value { key, depth: DEPTH, found: &mut found };
    let is_whole = !seed.deserialize(&mut reader).is_err_and(|error| error.is_eof());
    *fields = found.current;
    is_whole
}

/// The object or list of objects on the line, if it begins like one.
fn object(line: &[u8]) -> Option<&[u8]> {
    let line = line.strip_prefix(SSE).unwrap_or(line);
    let line = line.strip_prefix(&[SEPARATOR]).unwrap_or(line).trim_ascii();
    let line = line.strip_prefix(b",").unwrap_or(line).trim_ascii_start();
    let line = line.strip_suffix(b",").unwrap_or(line);
    let inner = line.strip_prefix(b"[").map_or(line, <[u8]>::trim_ascii_start);
    let inner = inner.strip_prefix(b"{")?.trim_ascii_start();
    inner.starts_with(b"\"").then_some(line)
}

/// What has been read.
#[derive(Default)]
struct Found {
    entries: Vec<Fields>,
    current: Fields,
}

impl Found {
    /// The entry at hand is over.
    fn close(&mut self) {
        let entry = std::mem::take(&mut self.current);
        if (entry.has_message() || entry.is_journals()) && self.entries.len() < ENTRIES {
            self.entries.push(entry);
        }
    }
}

/// The value of the member `key`.
struct Value<'f> {
    key: Key,
    depth: u8,
    found: &'f mut Found,
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        self.found.current.set(self.key, value.as_bytes());
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.found.current.set_whole(self.key, value);
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.found.current.set_seconds(self.key, value);
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        if !matches!(self.key, Key::Nest | Key::List) || self.depth > DEPTH {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(());
        }
        while let Some(key) = map.next_key_seed(Name)? {
            map.next_value_seed(Value { key, depth: self.depth + 1, found: &mut *self.found })?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        match self.key {
            Key::List if self.depth <= DEPTH => {
                let depth = self.depth + 1;
                loop {
                    let seed = Value { key: Key::List, depth, found: &mut *self.found };
                    let is_over = seq.next_element_seed(seed)?.is_none();
                    self.found.close();
                    if is_over {
                        return Ok(());
                    }
                }
            }
            Key::Message(_) | Key::Ident | Key::Transport | Key::Comm | Key::Kept(_) => {
                let mut bytes = Vec::new();
                while let Some(item) = seq.next_element::<Item>()? {
                    match item {
                        Item::Byte(byte) => bytes.push(byte),
                        Item::Text(text) => self.found.current.set(self.key, text.as_bytes()),
                        Item::Other(_) => {}
                    }
                }
                if !bytes.is_empty() {
                    self.found.current.set(self.key, &bytes);
                }
            }
            _ => while seq.next_element::<IgnoredAny>()?.is_some() {},
        }
        Ok(())
    }
}

/// An item of a list where one value is usual: a byte of text that is not UTF-8, or one value of a
/// field that the journal has twice.
#[derive(Deserialize)]
#[serde(untagged)]
enum Item {
    Byte(u8),
    Text(String),
    Other(IgnoredAny),
}

/// A member's name.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Key;

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<Key, D::Error> {
        reader.deserialize_str(self)
    }
}

impl Visitor<'_> for Name {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Key, E> {
        Ok(Key::of(name.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use highwater_core::line::Origin;

    use super::*;

    fn messages(line: &[u8]) -> Vec<String> {
        let messages = entries(line).into_iter().filter_map(|mut fields| fields.take_message());
        messages.map(|message| String::from_utf8_lossy(&message).into_owned()).collect()
    }

    #[test]
    fn every_form_of_an_object_gives_its_message() {
        for line in [
            &br#"{"MESSAGE":"hello","_TRANSPORT":"kernel"}"#[..],
            br#"data: {"MESSAGE":"hello"}"#,
            b"\x1e{\"MESSAGE\":\"hello\"}",
            br#"{"MESSAGE":[104,101,108,108,111]}"#,
            br#"{ "a" : { "MESSAGE" : "no" }, "MESSAGE" : "he\u006clo" },"#,
            br#"{"log":"hello","stream":"stderr","time":"2026-04-27T08:47:12.1Z"}"#,
            br#"{"jsonPayload":{"message":"hello"}}"#,
            br#"{"MESSAGE":["hello","again"]}"#,
            br#"[{"message":"hello"}]"#,
            br#"{"events":[{"timestamp":1,"message":"hello"}]}"#,
            br#"{"time":1.5,"pri":6,"msg":"hello"}"#,
            br#"{"a":1,"MESSAGE":"hello"#,
            br#"{"MESSAGE":"hello","b":"cut of"#,
        ] {
            assert_eq!(messages(line), ["hello"], "{}", line.escape_ascii());
        }
        assert_eq!(messages(br#"[{"msg":"a"},{"msg":"b"}]"#), ["a", "b"]);
        assert_eq!(messages(br#"{"MESSAGE":"a\nb\u00e9"}"#), ["a\nb\u{e9}"]);
    }

    #[test]
    fn what_is_no_entry_gives_nothing() {
        for line in [
            &b""[..],
            b"{",
            b"[",
            b"{}",
            b"hello",
            br#"{"level":"info"}"#,
            br#"{"MESSAGE":null,"_TRANSPORT":"kernel"}"#,
            br#"{"MESSAGE":{"a":1}}"#,
            b"{\"\xff\":\xff}",
            b"[  930] 61876   930      647",
        ] {
            assert!(messages(line).is_empty(), "{}", line.escape_ascii());
        }
        let deep = [b"{\"event\":".repeat(10_000), b"1".to_vec()].concat();
        assert!(messages(&deep).is_empty());
    }

    #[test]
    fn the_transport_of_an_inner_object_is_read_but_counts_as_any_other() {
        let line = br#"{"MESSAGE":"x","_TRANSPORT":"stdout","fields":{"_TRANSPORT":"kernel"}}"#;
        assert_eq!(entries(line).pop().unwrap().origin(), Origin::Program);
    }

    #[test]
    fn members_on_lines_of_their_own_are_read() {
        let mut fields = Fields::default();
        assert_eq!(
            member(b"\t\"_MACHINE_ID\" : \"x\",", &mut fields),
            Some((Key::Other, Opens::Nothing))
        );
        assert_eq!(member(b"  \"MESSAGE\": [", &mut fields), Some((Key::Message(0), Opens::List)));
        assert_eq!(member(b"\"jsonPayload\": {", &mut fields), Some((Key::Nest, Opens::Object)));
        assert!(member(b"\"msg\": \"he\\\"llo", &mut fields).is_some());
        assert_eq!(fields.take_message(), Some(b"he\"llo".to_vec()));
        for line in [&b""[..], b"\"", b"\"a", b"\"a\"", b"a: b", b"{"] {
            assert_eq!(member(line, &mut fields), None);
        }
    }
}
