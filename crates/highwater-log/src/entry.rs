//! Entries of several lines: `journalctl -o export`, `-o verbose`, `-o json-pretty`, `dmesg --json`
//! and other indented JSON.
//!
//! ```text
//! __CURSOR=s=…                Sat 2026-04-27 08:47:12.123456 UTC [s=…;i=…]      {
//! _TRANSPORT=kernel               _TRANSPORT=kernel                             "MESSAGE" : "text",
//! MESSAGE                         MESSAGE=text                                  "PRIORITY" : "6"
//! ........text                            more text                         }
//! (empty)
//! ```
//!
//! In the export form a value with control characters stands on a line after its name, behind its
//! length in eight bytes, the least first. Any of these may be a line end, so what came as several
//! lines is one again here; nothing but what matters of it is kept.

use crate::fields::{Fields, Key};
use crate::{export, json, scan, syslog};

/// So much of an entry is kept as it stood there.
const RAW_BYTES: usize = 64 << 10;

/// What becomes of a line that is offered to an entry.
#[derive(Debug)]
pub(crate) enum Fed {
    /// The line belongs to no entry.
    Foreign,
    /// It belongs to one that is not complete.
    Taken,
    /// It completes this one.
    Complete(Whole),
    /// The entry was complete before this line, which belongs to none.
    CompleteBefore(Whole),
}

/// An entry with a message.
#[derive(Debug)]
pub(crate) struct Whole {
    pub(crate) fields: Fields,
    /// The lines as they stood in the input.
    pub(crate) raw: Vec<u8>,
    /// What looks like an entry may be part of a value of another one.
    pub(crate) is_lost: bool,
}

/// The form of the entry at hand.
#[derive(Debug, Default)]
enum Form {
    #[default]
    None,
    Export(export::Value),
    /// The member whose value may go on.
    Verbose(Key),
    /// The member whose list of bytes is open.
    Json(Option<Key>),
}

/// The entry in the making.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    form: Form,
    fields: Fields,
    raw: Vec<u8>,
    /// A value did not keep to its length: what looks like an entry from here on may be part of
    /// one.
    is_lost: bool,
}

impl Entry {
    /// Lines were left out: what was begun will not be completed.
    pub(crate) fn skipped(&mut self) {
        *self = Self { is_lost: self.is_lost, ..Self::default() };
    }

    /// Lines of an entry came, and its end did not.
    pub(crate) fn is_open(&self) -> bool {
        !matches!(self.form, Form::None)
    }

    /// The next line has to be taken as bytes, line end included.
    pub(crate) fn wants_bytes(&self) -> bool {
        matches!(&self.form, Form::Export(value) if value.is_open())
    }

    /// Takes a line of a value that is counted in bytes.
    pub(crate) fn take_bytes(&mut self, number: u64, line: &[u8]) {
        self.note(line);
        let Form::Export(value) = &mut self.form else { return };
        match value.take(line) {
            export::Taken::More => {}
            export::Taken::Whole(key, bytes) => set(&mut self.fields, number, key, &bytes),
            export::Taken::Lost => self.is_lost = true,
        }
    }

    /// Takes an empty line, which ends an entry of the export form.
    pub(crate) fn take_blank(&mut self) -> Option<Whole> {
        match self.form {
            Form::Export(_) => self.whole(),
            _ => None,
        }
    }

    /// Offers a line.
    pub(crate) fn take(&mut self, number: u64, line: &[u8]) -> Fed {
        let fed = match self.form {
            Form::None => Fed::Foreign,
            Form::Export(_) => self.exported(number, line),
            Form::Verbose(key) => self.verbose(number, line, key),
            Form::Json(list) => self.json(number, line, list),
        };
        if !matches!(fed, Fed::Foreign) {
            return fed;
        }
        self.form = Form::None;
        let whole = self.whole();
        match (self.begin(number, line), whole) {
            (true, Some(whole)) => Fed::Complete(whole),
            (true, None) => Fed::Taken,
            (false, Some(whole)) => Fed::CompleteBefore(whole),
            (false, None) => Fed::Foreign,
        }
    }

    /// The input is over.
    pub(crate) fn finish(&mut self) -> Option<Whole> {
        self.form = Form::None;
        self.whole()
    }

    /// The entry at hand, if it has a message; the next one is begun.
    fn whole(&mut self) -> Option<Whole> {
        let fields = std::mem::take(&mut self.fields);
        let raw = std::mem::take(&mut self.raw);
        fields.has_message().then_some(Whole { fields, raw, is_lost: self.is_lost })
    }

    /// Begins an entry, if the line does.
    fn begin(&mut self, number: u64, line: &[u8]) -> bool {
        if export::is_field(line) {
            self.form = Form::Export(export::Value::default());
            self.field(number, line);
        } else if let Some((wall_us, boot_us)) = header(line) {
            self.form = Form::Verbose(Key::Other);
            self.fields.set_whole(Key::Realtime, wall_us);
            self.fields.set_whole(Key::Monotonic, boot_us);
            self.fields.set(Key::of(b"__CURSOR"), cursor(line).unwrap_or_default());
        } else if is_structure(line) && line.contains(&b'{') && !line.trim_ascii().ends_with(b"}") {
            self.form = Form::Json(None);
        } else if line.trim_ascii_start().starts_with(b"\"") {
            let mut fields = Fields::default();
            let Some((Key::Message(_), _)) = json::member(line, &mut fields) else { return false };
            self.form = Form::Json(None);
            self.member(number, line);
        } else {
            return false;
        }
        self.note(line);
        true
    }

    fn exported(&mut self, number: u64, line: &[u8]) -> Fed {
        let again = !self.fields.is_headed() && line.starts_with(b"MESSAGE=");
        let begins = self.fields.has_message() && (again || export::begins(line));
        if begins || !export::is_name_or_field(line) {
            return Fed::Foreign;
        }
        self.note(line);
        self.field(number, line);
        Fed::Taken
    }

    /// `NAME=value`, or `NAME` before a value that is counted.
    fn field(&mut self, number: u64, line: &[u8]) {
        let (name, value) = match memchr::memchr(b'=', line) {
            Some(at) => (line.get(..at), line.get(at + 1..)),
            None => (Some(line), None),
        };
        let key = Key::of(name.unwrap_or_default());
        match value {
            Some(value) => set(&mut self.fields, number, key, value),
            None => self.form = Form::Export(export::Value::open(key)),
        }
    }

    fn verbose(&mut self, number: u64, line: &[u8], last: Key) -> Fed {
        let inner = scan::trim_start(line);
        let blanks = line.len() - inner.len();
        // A value goes on right below where it began, behind four blanks, its name and a `=`.
        if blanks > 4 {
            self.note(line);
            self.fields.append(last, b"\n");
            self.fields.append(last, inner);
            return Fed::Taken;
        }
        let Some(at) = memchr::memchr(b'=', inner).filter(|_| blanks == 4) else {
            return Fed::Foreign;
        };
        let (name, value) = inner.split_at_checked(at).unwrap_or((inner, &[]));
        if !export::is_name(name) {
            return Fed::Foreign;
        }
        self.note(line);
        let key = Key::of(name);
        self.form = Form::Verbose(key);
        set(&mut self.fields, number, key, value.get(1..).unwrap_or_default());
        Fed::Taken
    }

    fn json(&mut self, number: u64, line: &[u8], list: Option<Key>) -> Fed {
        let inner = line.trim_ascii();
        if let Some(key) = list
            && let Some((byte, b"" | b",")) = scan::number(inner)
        {
            self.note(line);
            self.fields.append_byte(key, u8::try_from(byte).unwrap_or(b'?'));
            return Fed::Taken;
        }
        if let Some(key @ Key::Kept(_)) = list
            && json::item(inner, key, &mut self.fields)
        {
            self.note(line);
            return Fed::Taken;
        }
        if is_structure(line) {
            self.note(line);
            self.form = Form::Json(None);
            let ends = inner.contains(&b'}');
            if ends && self.fields.has_message() {
                return self.whole().map_or(Fed::Taken, Fed::Complete);
            }
            if inner.contains(&b'{') {
                self.whole();
            }
            return Fed::Taken;
        }
        if self.member(number, line) {
            self.note(line);
            return Fed::Taken;
        }
        if is_value(inner) { Fed::Taken } else { Fed::Foreign }
    }

    /// `"name" : value,`.
    fn member(&mut self, number: u64, line: &[u8]) -> bool {
        let Some((key, opens)) = json::member(line, &mut self.fields) else { return false };
        if let Key::Message(_) = key {
            self.fields.number = number;
        }
        let is_text = matches!(key, Key::Message(_) | Key::Comm | Key::Kept(_));
        let is_list = opens == json::Opens::List && is_text;
        if is_list && let Key::Message(_) = key {
            self.fields.set(key, b"");
        }
        self.form = Form::Json(is_list.then_some(key));
        true
    }

    /// Keeps the line as it stands.
    fn note(&mut self, line: &[u8]) {
        if self.raw.len() + line.len() < RAW_BYTES {
            if !self.raw.is_empty() {
                self.raw.push(b'\n');
            }
            self.raw.extend_from_slice(line);
        }
    }
}

/// A member, and where the message stands.
fn set(fields: &mut Fields, number: u64, key: Key, value: &[u8]) {
    if let Key::Message(_) = key {
        fields.number = number;
    }
    fields.set(key, value);
}

/// Nothing but brackets and commas.
fn is_structure(line: &[u8]) -> bool {
    let inner = line.trim_ascii();
    !inner.is_empty() && inner.iter().all(|b| b"{}[], \t".contains(b))
}

/// A value of a list that does not matter.
fn is_value(inner: &[u8]) -> bool {
    let value = inner.strip_suffix(b",").unwrap_or(inner);
    let is_text = value.len() > 1 && value.starts_with(b"\"") && value.ends_with(b"\"");
    let is_number = value.iter().all(|b| b.is_ascii_digit() || b"+-.eE".contains(b));
    is_text || is_number || matches!(value, b"true" | b"false" | b"null")
}

/// The first line of an entry of the verbose form: the wall clock and the clock of the boot in µs,
/// as the cursor has them.
pub(crate) fn header(line: &[u8]) -> Option<(u64, u64)> {
    let cursor = cursor(line)?;
    let (_, behind) = syslog::time(line)?;
    if !behind.starts_with(b"[s=") {
        return None;
    }
    let hex = |name: &[u8]| {
        let mut parts = cursor.split(|b| *b == b';');
        let digits = parts.find_map(|part| part.strip_prefix(name))?;
        u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    Some((hex(b"t=")?, hex(b"m=")?))
}

/// The cursor in the first line of an entry of the verbose form.
fn cursor(line: &[u8]) -> Option<&[u8]> {
    let line = line.strip_suffix(b"]")?;
    let at = memchr::memmem::rfind(line, b" [s=")?;
    line.get(at + 2..)
}

#[cfg(test)]
mod tests {
    use highwater_core::line::Origin;

    use super::*;

    /// The messages of the entries in a log, with line, origin and writer.
    fn read(log: &[u8]) -> Vec<(u64, String, Origin, String)> {
        let (mut entry, mut all) = (Entry::default(), Vec::new());
        let mut add = |whole: Whole| {
            let Whole { mut fields, .. } = whole;
            let (origin, number) = (fields.origin(), fields.number);
            let own = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let ident = own(fields.ident().unwrap_or_default());
            all.push((number, own(&fields.take_message().unwrap()), origin, ident));
        };
        for (number, line) in (1..).zip(log.split(|b| *b == b'\n')) {
            if entry.wants_bytes() {
                entry.take_bytes(number, line);
            } else if line.is_empty() {
                entry.take_blank().into_iter().for_each(&mut add);
            } else if let Fed::Complete(whole) | Fed::CompleteBefore(whole) =
                entry.take(number, line)
            {
                add(whole);
            }
        }
        entry.finish().into_iter().for_each(add);
        all
    }

    fn kernel(number: u64, text: &str) -> (u64, String, Origin, String) {
        (number, text.into(), Origin::Kernel, "kernel".into())
    }

    #[test]
    fn exported_entries_are_read() {
        let log = b"__CURSOR=s=1\n_TRANSPORT=kernel\nMESSAGE=a=b\n\n\
            __CURSOR=s=2\nMESSAGE=x\n_TRANSPORT=stdout\n_COMM=app\n\n";
        let app = (6, "x".into(), Origin::Program, "app".into());
        assert_eq!(read(log), [kernel(3, "a=b"), app]);
    }

    #[test]
    fn a_counted_value_may_hold_anything_and_so_may_its_length() {
        let forged = b"x\n\n__CURSOR=s=9\n_TRANSPORT=kernel\nMESSAGE=forged\n\n";
        for message in [&forged[..], b"0123456789", b"", b"\n", b"\n\n"] {
            let len = u64::try_from(message.len()).unwrap().to_le_bytes();
            let log = [
                b"__CURSOR=s=1\n_TRANSPORT=stdout\n_COMM=app\nMESSAGE\n",
                &len[..],
                message,
                b"\n\n__CURSOR=s=2\n_TRANSPORT=kernel\nMESSAGE=next\n",
            ];
            let read = read(&log.concat());
            assert_eq!(read.len(), 2, "{}", message.escape_ascii());
            assert_eq!(read[0].1.as_bytes(), message);
            assert_eq!((read[0].2, read[1].1.as_str()), (Origin::Program, "next"));
        }
    }

    #[test]
    fn verbose_entries_are_read_and_their_lines_cannot_pose_as_fields() {
        let head = "Sat 2026-04-27 08:47:12.123456 UTC [s=a;i=1;b=c;m=140fd78;t=660c0769315bd;x=d]";
        let log = format!(
            "{head}\n    MESSAGE=one\n            _TRANSPORT=kernel\n    _TRANSPORT=stdout\n\
             {head}\n    _TRANSPORT=kernel\n    MESSAGE=two\n"
        );
        let program = (2, "one\n_TRANSPORT=kernel".into(), Origin::Program, "stdout".into());
        assert_eq!(read(log.as_bytes()), [program, kernel(7, "two")]);
        assert_eq!(header(head.as_bytes()), Some((0x0006_60c0_7693_15bd, 0x0140_fd78)));
    }

    #[test]
    fn indented_json_is_read_member_by_member() {
        let log = b"{\n\t\"MESSAGE\" : \"a\",\n\t\"_TRANSPORT\" : \"kernel\"\n}\n\
            {\n  \"MESSAGE\": [\n    104,\n    105\n  ],\n  \"_TRANSPORT\": \"kernel\"\n}\n";
        assert_eq!(read(log), [kernel(2, "a"), kernel(6, "hi")]);
        let log =
            b"{\n   \"dmesg\": [\n      {\n         \"pri\": 6,\n         \"time\":     1.5,\n\
            \"msg\": \"a\"\n      },{\n         \"pri\": 3,\n   \"msg\": \"b\"\n      }\n   ]\n}\n";
        let unsaid = |number, text: &str| (number, text.into(), Origin::Unsaid, String::new());
        assert_eq!(read(log), [unsaid(6, "a"), unsaid(9, "b")]);
    }

    #[test]
    fn an_entry_may_lack_its_head_or_its_end() {
        assert_eq!(read(b"_TRANSPORT=kernel\nMESSAGE=a"), [kernel(2, "a")]);
        assert_eq!(read(b"\"MESSAGE\" : \"a\",\n\"_TRANSPORT\" : \"kernel\""), [kernel(1, "a")]);
        assert_eq!(read(b"MESSAGE=a\nMESSAGE=b").len(), 2);
        assert_eq!(read(b"__REALTIME_TIMESTAMP=1\nMESSAGE=a\nMESSAGE=b").len(), 1);
    }

    #[test]
    fn garbage_gives_nothing() {
        for log in [
            &b""[..],
            b"__CURSOR=s=1\nMESSAGE\n\xff\xff\xff\xff\xff\xff\xff\xff\nx\n\n",
            b"__CURSOR=s=1\nMESSAGE\n123",
            b"{\n}\n{\n{\n}}\n]",
            b"hello\nthere",
            b"\"",
        ] {
            assert!(read(log).is_empty(), "{}", log.escape_ascii());
        }
    }

    #[test]
    fn an_endless_entry_is_kept_in_part() {
        let mut entry = Entry::default();
        entry.take(1, b"__CURSOR=s=1");
        let line = [b"MESSAGE=".to_vec(), vec![b'x'; 100_000]].concat();
        (2..1000).for_each(|number| drop(entry.take(number, &line)));
        assert!(entry.raw.len() <= RAW_BYTES);
    }
}
