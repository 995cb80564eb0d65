//! One line after the other out of its envelope.

use highwater_core::line::{Caller, LogLine, Origin};
use highwater_core::time::{BootTime, WallTime};

use crate::{dmesg, kmsg, paste, scan, syslog};

/// The byte order mark that some editors put first.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// Takes lines out of their envelopes.
///
/// The envelope is found line by line, so mixed logs are read. Empty lines, `grep`'s separators and
/// the device lines of `/dev/kmsg` records give nothing.
///
/// In two steps, so that a message can be lent both from the line and from what was kept of those
/// before: [`take`](Self::take) says whether the line completes a message,
/// [`message`](Self::message) gives it.
#[derive(Debug, Default)]
pub struct Opener {
    number: u64,
    below_record: bool,
    /// The line at hand without colours and escapes, if it had any.
    scratch: Vec<u8>,
    is_cleaned: bool,
}

impl Opener {
    /// Takes the line `raw`, which stands at `number` and is without its line end. `true` if it
    /// completes a message.
    pub fn take(&mut self, number: u64, raw: &[u8]) -> bool {
        self.number = number;
        let raw = self.bare(raw);
        let skip = raw.trim_ascii().is_empty()
            || paste::is_separator(raw)
            || (self.below_record && kmsg::is_dictionary(raw));
        if skip {
            return false;
        }
        self.is_cleaned = !paste::is_plain(raw);
        if self.is_cleaned {
            paste::clean(raw, &mut self.scratch);
        }
        self.below_record = kmsg::head(paste::unwrap(raw)).is_some();
        true
    }

    /// The message that the line `raw`, taken last, completed.
    pub fn message<'a>(&'a self, raw: &'a [u8]) -> LogLine<'a> {
        let raw = self.bare(raw);
        opened(self.number, raw, if self.is_cleaned { &self.scratch } else { raw })
    }

    /// The input is over. `true` if a message was still in the making: `message(b"")` gives it.
    pub fn finish(&mut self) -> bool {
        false
    }

    /// Lines were left out before the next one.
    pub fn skipped(&mut self) {
        self.below_record = false;
    }

    /// Without a carriage return, and on the first line without a byte order mark.
    fn bare<'a>(&self, raw: &'a [u8]) -> &'a [u8] {
        let raw = raw.strip_suffix(b"\r").unwrap_or(raw);
        if self.number == 1 { raw.strip_prefix(BOM).unwrap_or(raw) } else { raw }
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
    origin: Origin,
    caller: Option<Caller>,
}

/// One line out of its envelope.
fn opened<'a>(number: u64, raw: &'a [u8], line: &'a [u8]) -> LogLine<'a> {
    let inner = paste::unwrap(line);
    let (envelope, text) = record(inner).unwrap_or_else(|| layers(inner));
    let Envelope { wall, boot, seq, ident, continues, origin, caller } = envelope;
    let text = text.trim_ascii_end();
    LogLine { number, text, raw, wall, boot, seq, ident, continues, origin, caller }
}

/// A `/dev/kmsg` record.
fn record(line: &[u8]) -> Option<(Envelope<'_>, &[u8])> {
    let record = kmsg::head(line)?;
    let envelope = Envelope {
        boot: Some(record.boot),
        seq: Some(record.seq),
        ident: Some(kmsg::writer(record.facility, record.text)),
        continues: record.continues,
        origin: kmsg::origin(record.facility),
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

    fn one(line: &[u8]) -> LogLine<'_> {
        let opener: &'static mut Opener = Box::leak(Box::default());
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        assert!(opener.take(1, line));
        opener.message(line)
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
    fn a_moment_needs_a_zone() {
        assert!(one(b"2026-04-27T08:47:12+0200 host kernel: x").wall.is_some());
        assert_eq!(one(b"Apr 27 08:47:12 host kernel: x").wall, None);
        assert_eq!(one(b"[Mon Apr 27 08:47:12 2026] x").wall, None);
    }
}
