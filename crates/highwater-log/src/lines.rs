//! The lines of a whole log, each out of its own envelope.

use highwater_core::line::LogLine;
use highwater_core::time::{BootTime, WallTime};

use crate::{dmesg, kmsg, paste, scan, syslog};

/// The byte order mark that some editors put first.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// An iterator over the lines of a log that was pasted or read from a file.
///
/// The envelope is found line by line, so mixed logs are read. Empty lines, `grep`'s separators and
/// the device lines of `/dev/kmsg` records are counted but not given. Colours are taken off by
/// [`plain`](crate::plain) beforehand.
#[derive(Clone, Debug)]
pub struct Lines<'a> {
    rest: &'a [u8],
    number: u64,
    below_record: bool,
}

impl<'a> Lines<'a> {
    /// The lines of `log`.
    pub fn new(log: &'a [u8]) -> Self {
        let rest = log.strip_prefix(BOM).unwrap_or(log);
        Self { rest, number: 0, below_record: false }
    }

    /// Skips to the line in which `find` sees something; to the end if it sees nothing.
    ///
    /// `find` is given all that is left and answers with an offset: one sweep over a large log in
    /// place of a look at each line.
    pub fn skip_to(&mut self, find: impl FnOnce(&[u8]) -> Option<usize>) {
        let found = find(self.rest).unwrap_or(self.rest.len());
        let before = self.rest.get(..found).unwrap_or(self.rest);
        let start = memchr::memrchr(b'\n', before).map_or(0, |at| at + 1);
        let skipped = before.get(..start).unwrap_or_default();
        let count = memchr::memchr_iter(b'\n', skipped).count();
        self.number = self.number.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
        self.rest = self.rest.get(start..).unwrap_or_default();
        if start > 0 {
            self.below_record = false;
        }
    }

    /// The next line, without its end.
    fn cut(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let end = memchr::memchr(b'\n', self.rest);
        let (line, rest) = self.rest.split_at_checked(end.unwrap_or(self.rest.len()))?;
        self.rest = rest.strip_prefix(b"\n").unwrap_or_default();
        self.number += 1;
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = LogLine<'a>;

    fn next(&mut self) -> Option<LogLine<'a>> {
        loop {
            let raw = self.cut()?;
            let skip = raw.trim_ascii().is_empty()
                || paste::is_separator(raw)
                || (self.below_record && kmsg::is_dictionary(raw));
            if skip {
                continue;
            }
            let line = opened(self.number, raw);
            self.below_record = line.seq.is_some();
            return Some(line);
        }
    }
}

/// What an envelope said.
#[derive(Default)]
struct Envelope<'a> {
    wall: Option<WallTime>,
    boot: Option<BootTime>,
    seq: Option<u64>,
    ident: Option<&'a [u8]>,
    continues: bool,
}

/// One line out of its envelope.
fn opened(number: u64, raw: &[u8]) -> LogLine<'_> {
    let inner = paste::unwrap(raw);
    let (envelope, text) = record(inner).unwrap_or_else(|| layers(inner));
    let Envelope { wall, boot, seq, ident, continues } = envelope;
    LogLine { number, text: text.trim_ascii_end(), raw, wall, boot, seq, ident, continues }
}

/// A `/dev/kmsg` record.
fn record(line: &[u8]) -> Option<(Envelope<'_>, &[u8])> {
    let record = kmsg::head(line)?;
    let envelope = Envelope {
        boot: Some(record.boot),
        seq: Some(record.seq),
        ident: Some(kmsg::writer(record.facility, record.text)),
        continues: record.continues,
        ..Envelope::default()
    };
    Some((envelope, record.text))
}

/// The layers of the other envelopes, outermost first: time, then writer, then the kernel's stamp.
fn layers(line: &[u8]) -> (Envelope<'_>, &[u8]) {
    let mut envelope = Envelope::default();
    let timed = syslog::time(line);
    let mut text = line;
    if let Some((wall, rest)) = timed {
        envelope.wall = wall;
        text = rest;
    }
    let mut stamped = take_stamp(&mut envelope, &mut text);
    // `short-monotonic` has the stamp before the host, all others behind the writer.
    let named = if timed.is_some() || stamped { syslog::writer(text) } else { alone(text) };
    if let Some((ident, rest)) =
        named.filter(|(ident, _)| timed.is_some() || is_certain(text, ident))
    {
        envelope.ident = Some(ident);
        text = rest;
        stamped |= take_stamp(&mut envelope, &mut text);
    } else if timed.is_some() && stamped {
        text = syslog::android_cpu(text);
    }
    let bare = timed.is_none() && !stamped && envelope.ident.is_none();
    envelope.continues = bare && line.first().is_some_and(|b| matches!(b, b' ' | b'\t'));
    (envelope, text)
}

/// Takes the kernel's stamp off, if there is one.
fn take_stamp(envelope: &mut Envelope<'_>, text: &mut &[u8]) -> bool {
    let Some((stamp, rest)) = dmesg::strip(text) else { return false };
    envelope.boot = envelope.boot.or(stamp.boot);
    *text = rest;
    true
}

/// A writer on a line without a time: only one that cannot be the message's own first word.
fn alone(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (first, _) = scan::first_word(text);
    first.ends_with(b":").then(|| syslog::writer(text))?
}

/// Behind a kernel stamp alone, `host kernel:` is a writer; the `name:` of a driver is not.
fn is_certain(text: &[u8], ident: &[u8]) -> bool {
    let (first, _) = scan::first_word(text);
    ident == b"kernel" || first.ends_with(b"]:")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(log: &[u8]) -> LogLine<'_> {
        let mut lines = Lines::new(log);
        let line = lines.next().unwrap();
        assert_eq!(lines.next(), None);
        line
    }

    #[test]
    fn every_envelope_comes_off() {
        let stamped = Some(BootTime::from_micros(12_345_678_901));
        for line in [
            "[12345.678901] hello",
            "<6>[12345.678901] hello",
            "\u{feff}[12345.678901] hello\r\n",
            "> [12345.678901] hello",
            "kern.log-12-[12345.678901] hello",
            "kern  :info  : [12345.678901] hello",
            "Apr 27 08:47:12 host kernel: [12345.678901] hello",
            "2026-04-27T08:47:12+02:00 host kernel: [12345.678901] hello",
            "[12345.678901] host kernel: hello",
            "6,22743,12345678901,-;hello",
            "09-22 15:36:44.117 <4>[12345.678901] c2 hello",
        ] {
            let line = one(line.as_bytes());
            assert_eq!((line.text, line.boot), (&b"hello"[..], stamped), "{line:?}");
        }
        for line in ["hello", "kernel: hello", "systemd[1]: hello", "Sep 03 07:18:33 kernel: hello"]
        {
            assert_eq!(one(line.as_bytes()).text, b"hello", "{line}");
        }
    }

    #[test]
    fn the_writer_is_named_where_the_envelope_names_it() {
        assert_eq!(one(b"kernel: hello").ident, Some(&b"kernel"[..]));
        assert_eq!(one(b"Apr 27 08:47:12 h earlyoom[7]: x").ident, Some(&b"earlyoom"[..]));
        assert_eq!(one(b"[    1.000000] usb 1-1: new device").ident, None);
        assert_eq!(one(b"[    1.000000] usb 1-1: new device").text, b"usb 1-1: new device");
        assert_eq!(one(b"[    1.000000] systemd[1]: hello").ident, Some(&b"systemd"[..]));
    }

    #[test]
    fn lines_without_a_stamp_that_begin_with_blanks_continue() {
        let log = b"[    1.000000] anon 1\n                file 2\nplain\n";
        let told: Vec<_> = Lines::new(log).map(|l| (l.number, l.continues)).collect();
        assert_eq!(told, [(1, false), (2, true), (3, false)]);
    }

    #[test]
    fn records_come_without_their_device_lines() {
        let log = b"6,1,2,-;a\n SUBSYSTEM=x\n DEVICE=y\n6,2,3,+;b\n";
        let told: Vec<_> = Lines::new(log).map(|l| (l.number, l.seq, l.continues)).collect();
        assert_eq!(told, [(1, Some(1), false), (4, Some(2), true)]);
    }

    #[test]
    fn skipping_keeps_the_count() {
        let log = b"one\ntwo\nthree\nfour";
        let mut lines = Lines::new(log);
        lines.skip_to(|rest| memchr::memmem::find(rest, b"ree"));
        assert_eq!(lines.next().map(|l| (l.number, l.text)), Some((3, &b"three"[..])));
        lines.skip_to(|_| None);
        assert_eq!(lines.next().map(|l| l.number), Some(4));
    }

    #[test]
    fn a_moment_needs_a_zone() {
        assert!(one(b"2026-04-27T08:47:12+0200 host kernel: x").wall.is_some());
        assert_eq!(one(b"Apr 27 08:47:12 host kernel: x").wall, None);
        assert_eq!(one(b"[Mon Apr 27 08:47:12 2026] x").wall, None);
    }

    #[test]
    fn garbage_is_a_line_like_any_other() {
        for log in [&b"\xff\xfe\x00"[..], b"[", b"<", b"<6", b"1,", b"> ", b">>>", b"[.]", b"\r"] {
            assert!(Lines::new(log).count() <= 1);
        }
    }
}
