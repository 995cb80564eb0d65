//! Records of `/dev/kmsg` (Documentation/ABI/testing/dev-kmsg).
//!
//! ```text
//! 6,22743,6115623303887,-,caller=T9185;text with \x0a for a line end
//!  SUBSYSTEM=memory
//! │ │     │             └ flags: - whole, c first of a continued line, + its continuation
//! │ │     └ microseconds after boot
//! │ └ sequence number
//! └ priority: facility * 8 + level
//! ```

use highwater_core::line::{Caller, LogLine, Origin};
use highwater_core::time::BootTime;

use crate::{dmesg, scan, syslog};

/// A kernel's release (`utsname`) is no longer than this.
const RELEASE_BYTES: usize = 65;

/// One record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Who wrote it: 0 is the kernel, 1 and up are programs.
    pub facility: u32,
    /// How grave: 0 emergency to 7 debug.
    pub level: u8,
    /// The kernel's sequence number.
    pub seq: u64,
    /// When it was printed.
    pub boot: BootTime,
    /// It carries on the record before it.
    pub continues: bool,
    /// Which task or processor printed it (`CONFIG_PRINTK_CALLER`).
    pub caller: Option<Caller>,
    /// The message, unescaped; a line end in it separates parts of one message.
    pub text: &'a [u8],
}

impl<'a> Record<'a> {
    /// The record as a reader of logs sees it; its number is its sequence number.
    pub fn as_line(&self) -> LogLine<'a> {
        LogLine {
            number: self.seq,
            text: self.text,
            raw: self.text,
            wall: None,
            boot: Some(self.boot),
            seq: Some(self.seq),
            ident: Some(writer(self.facility, self.text)),
            continues: self.continues,
            origin: origin(self.facility),
            caller: self.caller,
            journal: None,
        }
    }
}

/// The kernel stamps the facility of what programs write: none of them can send 0.
pub(crate) fn origin(facility: u32) -> Origin {
    if facility == 0 { Origin::Kernel } else { Origin::Program }
}

/// Who wrote a record of `facility`: a program that writes to the kernel's log puts its name first.
pub(crate) fn writer(facility: u32, text: &[u8]) -> &[u8] {
    match facility {
        0 => b"kernel",
        _ => syslog::writer(text).map_or(b"user", |writer| writer.ident),
    }
}

/// Reads one record as `read(2)` of `/dev/kmsg` returns it; `scratch` takes the message if it has
/// escapes. `None` of anything else.
pub fn record<'a>(bytes: &'a [u8], scratch: &'a mut Vec<u8>) -> Option<Record<'a>> {
    let first = bytes.split(|b| *b == b'\n').next()?;
    let mut record = head(first)?;
    if memchr::memmem::find(record.text, br"\x").is_some() {
        scratch.clear();
        unescape(record.text, scratch, |_| true);
        record.text = scratch;
    }
    Some(record)
}

/// The record on one line, its message as it stands there.
pub(crate) fn head(line: &[u8]) -> Option<Record<'_>> {
    if !line.first()?.is_ascii_digit() {
        return None;
    }
    let (priority, rest) = scan::number(unreleased(line))?;
    let (seq, rest) = scan::number(rest.strip_prefix(b",")?)?;
    let (boot, rest) = scan::number(rest.strip_prefix(b",")?)?;
    let flags = rest.strip_prefix(b",")?;
    let (flags, text) = flags.split_at_checked(memchr::memchr(b';', flags)?)?;
    Some(Record {
        facility: u32::try_from(priority / 8).ok()?,
        level: u8::try_from(priority % 8).ok()?,
        seq,
        boot: BootTime::from_micros(boot),
        continues: flags.starts_with(b"+"),
        caller: caller(flags),
        text: text.strip_prefix(b";")?,
    })
}

/// Without the kernel's release that `netconsole` puts first if asked to: `6.18.0,`.
fn unreleased(line: &[u8]) -> &[u8] {
    let end = line.iter().take(RELEASE_BYTES).position(|b| *b == b',');
    // A release is one word: with anything else in front, the rest is somebody's message.
    let fits = |b: &u8| b.is_ascii_alphanumeric() || b"._+~-".contains(b);
    let is_release = |front: &[u8]| front.contains(&b'.') && front.iter().all(fits);
    let released = end.and_then(|at| line.split_at_checked(at)).filter(|(r, _)| is_release(r));
    released.and_then(|(_, rest)| rest.strip_prefix(b",")).unwrap_or(line)
}

/// `caller=T9185` among the fields behind the flag.
fn caller(flags: &[u8]) -> Option<Caller> {
    let mut fields = flags.split(|b| *b == b',').skip(1);
    let printer = fields.find_map(|field| field.strip_prefix(b"caller="))?;
    dmesg::printer(printer).map(|(caller, _)| caller)
}

/// A ` KEY=value` line below a record: what device it is about, not part of the message.
pub(crate) fn is_dictionary(line: &[u8]) -> bool {
    let Some(rest) = line.strip_prefix(b" ") else { return false };
    let key = rest.iter().take_while(|b| b.is_ascii_uppercase() || **b == b'_').count();
    key > 0 && rest.get(key) == Some(&b'=')
}

/// Writes `text` to `out` with each `\xNN` whose byte is `wanted` made that byte.
pub(crate) fn unescape(text: &[u8], out: &mut Vec<u8>, wanted: impl Fn(u8) -> bool) {
    let mut rest = text;
    while let Some(at) = memchr::memmem::find(rest, br"\x") {
        let (before, escape) = rest.split_at_checked(at).unwrap_or((rest, &[]));
        out.extend_from_slice(before);
        let byte = escape.get(2..4).and_then(|hex| std::str::from_utf8(hex).ok());
        let byte = byte.and_then(|hex| u8::from_str_radix(hex, 16).ok()).filter(|b| wanted(*b));
        let taken = if byte.is_some() { 4 } else { 2 };
        match byte {
            Some(byte) => out.push(byte),
            None => out.extend_from_slice(br"\x"),
        }
        rest = escape.get(taken..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_gives_all_its_parts() {
        let mut scratch = Vec::new();
        let bytes = b"12,22743,6115623303887,-,caller=T1;a\\x0ab\\x5c\\x\\xzz\n SUBSYSTEM=x\n";
        let record = record(bytes, &mut scratch).unwrap();
        assert_eq!((record.facility, record.level, record.seq), (1, 4, 22743));
        assert_eq!(record.boot, BootTime::from_micros(6_115_623_303_887));
        assert_eq!(record.text, b"a\nb\\\\x\\xzz");
        assert_eq!(record.as_line().number, 22743);
        assert_eq!(record.as_line().ident, Some(&b"user"[..]));
    }

    #[test]
    fn the_kernel_and_programs_are_told_apart() {
        let ident = |bytes| head(bytes).unwrap().as_line().ident.unwrap();
        assert_eq!(ident(b"6,1,2,-;systemd[1]: x"), b"kernel");
        assert_eq!(ident(b"30,1,2,-;systemd[1]: x"), b"systemd");
    }

    #[test]
    fn the_caller_and_the_release_are_understood() {
        let caller = |bytes| head(bytes).unwrap().caller;
        assert_eq!(caller(b"6,1,2,-,caller=T7;x"), Some(Caller::Task(7)));
        assert_eq!(caller(b"6.18.0-rc1,6,1,2,-,ncfrag=0/33,caller=C0;x"), Some(Caller::Cpu(0)));
        assert_eq!(caller(b"6,1,2,-,caller=x;x"), None);
    }

    #[test]
    fn other_text_is_no_record() {
        let mut scratch = Vec::new();
        for bytes in [&b""[..], b"6,1,2", b"6,1,2,-", b"hello", b"1,99999999999999999999,1,-;x"] {
            assert_eq!(record(bytes, &mut scratch), None);
        }
    }
}
