//! Lines of a mail as it is sent, in quoted-printable: `=3D` for `=`, and lines of 76 letters at
//! most, of which those that go on end in `=`.
//!
//! ```text
//! oom-kill:constraint=3DCONSTRAINT_NONE,nodemask=3D(null),cpuset=3D/,mems_all=
//! owed=3D0
//! ```
//!
//! Logs end lines in `=`, too. In this form no `=` stands for itself, so a line is in it only if
//! each `=` begins a code, and one is that of `=` itself; a line with another one ends it.
//!
//! A program can write all that. So nothing is decoded where a code could become part of an
//! envelope's own form, and a line that goes on swallows no line that could be anything else: both
//! are as short as this form has them, without an envelope, and the first is as long as a line that
//! had to be broken.

use std::ops::RangeInclusive;

use memchr::memmem;

use crate::envelope::is_kernel;
use crate::{container, dmesg, entry, export, kmsg, layers, logcat, paste, prefix, scan, wrapper};

/// No line of this form is longer (RFC 2045, 6.7).
const COLUMNS: usize = 76;

/// A line that goes on was broken as late as it could be, before a letter of four codes at most.
const BROKEN_COLUMNS: RangeInclusive<usize> = COLUMNS - 12..=COLUMNS;

/// So much of a line is put together of parts.
const LINE_BYTES: usize = 16 << 10;

/// The code of `=`.
const EQUALS: &[u8] = b"=3D";

/// Puts lines together that were broken, and decodes them.
#[derive(Debug, Default)]
pub(crate) struct Soft {
    /// The lines above were in this form.
    is_coded: bool,
    /// A line that goes on: its number and what came so far.
    begun: Option<(u64, Vec<u8>)>,
}

/// What came of a line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Softened {
    /// It stands as it is.
    Plain,
    /// It goes on.
    Part,
    /// A whole line.
    Line(u64, Vec<u8>),
}

impl Soft {
    /// The line that was begun, if `raw` does not carry it on: it comes first.
    pub(crate) fn ended_by(&mut self, raw: &[u8]) -> Option<(u64, Vec<u8>)> {
        let (_, text) = self.begun.as_ref()?;
        let line = raw.trim_ascii_end();
        let carries_on = line.len() <= COLUMNS
            && text.len() + line.len() <= LINE_BYTES
            && !line.is_empty()
            && is_coded(line)
            && is_carrying_on(line);
        if carries_on { None } else { self.rest() }
    }

    /// Takes the next line, which carries on the one that was begun, if one is.
    pub(crate) fn take(&mut self, number: u64, raw: &[u8]) -> Softened {
        let line = raw.trim_ascii_end();
        let (part, goes_on) = line.strip_suffix(b"=").map_or((line, false), |part| (part, true));
        let goes_on = goes_on && BROKEN_COLUMNS.contains(&line.len());
        if let Some((begun, mut text)) = self.begun.take() {
            text.extend_from_slice(part);
            if goes_on {
                self.begun = Some((begun, text));
                return Softened::Part;
            }
            return Softened::Line(begun, decoded(&text));
        }
        if !self.is_in_form(line) || !is_text(line) {
            return Softened::Plain;
        }
        if goes_on && is_bare(line) {
            self.begun = Some((number, part.to_vec()));
            return Softened::Part;
        }
        Softened::Line(number, decoded(line))
    }

    /// Does the line look as if it were in this form? One without `=` leaves that as it was.
    fn is_in_form(&mut self, line: &[u8]) -> bool {
        if memchr::memchr(b'=', line).is_none() {
            return false;
        }
        self.is_coded = line.len() <= COLUMNS
            && is_coded(line)
            && (self.is_coded || memmem::find(line, EQUALS).is_some());
        self.is_coded
    }

    /// What came so far of a line that goes on.
    pub(crate) fn rest(&mut self) -> Option<(u64, Vec<u8>)> {
        let (number, text) = self.begun.take()?;
        Some((number, decoded(&text)))
    }

    /// Forgets what came before.
    pub(crate) fn skipped(&mut self) {
        self.begun = None;
    }
}

/// Each `=` begins a code, or ends the line.
fn is_coded(line: &[u8]) -> bool {
    memchr::memchr_iter(b'=', line)
        .all(|at| at + 1 == line.len() || line.get(at + 1..).and_then(code).is_some())
}

/// A line that is bare or has one of the kernel's own envelopes of text: in all others a code may
/// stand for a part of the envelope, or the words are a program's.
fn is_text(line: &[u8]) -> bool {
    let clean = paste::clean(paste::bare(line));
    let line = uncovered(&clean);
    if is_formed(line) || prefix::strip(line).is_some() {
        return false;
    }
    let opened = layers::open(line, b"");
    if !opened.is_enveloped {
        return !line.starts_with(b"[");
    }
    let is_stamped = dmesg::strip(line).is_some() || layers::is_kernels(line);
    is_stamped && opened.ident.is_none_or(is_kernel) && !is_formed(opened.text)
}

/// No envelope at all, whatever stands around it.
fn is_bare(line: &[u8]) -> bool {
    let clean = paste::clean(paste::bare(line));
    let line = uncovered(&clean);
    let is_enveloped = layers::open(line, b"").is_enveloped
        || layers::is_enveloped(line)
        || logcat::open(line).is_some()
        || prefix::strip(line).is_some();
    let names_kernel = || memmem::find(line, b"kernel: ").is_some();
    let mut stamps = memchr::memchr_iter(b'[', line).filter_map(|at| line.get(at..));
    !is_enveloped && !is_formed(line) && !names_kernel() && !stamps.any(dmesg::is_plain)
}

/// No line breaks before a quote mark or an envelope: what has one carries none on.
fn is_carrying_on(line: &[u8]) -> bool {
    !line.starts_with(b">") && !line.starts_with(b"|") && is_bare(line)
}

/// Without indentation, quote marks and tags.
fn uncovered(line: &[u8]) -> &[u8] {
    let line = scan::trim_start(paste::unquote(scan::trim_start(line)));
    scan::trim_start(paste::untagged(line))
}

/// Does it begin like JSON, a field or the head of a journal's entry, a record, a wrapper?
fn is_formed(line: &[u8]) -> bool {
    matches!(line.first(), Some(b'{' | b'"' | b',' | b']' | b'}' | 0x1e))
        || line.starts_with(b"data:")
        || export::is_name_or_field(line)
        || entry::header(line).is_some()
        || kmsg::head(line).is_some()
        || container::cri(line).is_some()
        || wrapper::open(line).is_some()
}

/// The byte whose code's two digits stand at the front. Lower case is nobody's.
fn code(text: &[u8]) -> Option<u8> {
    let digits = text.get(..2)?;
    let is_code = digits.iter().all(|b| matches!(b, b'0'..=b'9' | b'A'..=b'F'));
    let digits = std::str::from_utf8(digits).ok().filter(|_| is_code)?;
    u8::from_str_radix(digits, 16).ok()
}

/// The line with its codes undone. Control characters stay coded: none may become a line end.
fn decoded(line: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = memchr::memchr(b'=', rest) {
        let (before, coded) = rest.split_at_checked(at).unwrap_or((rest, &[]));
        out.extend_from_slice(before);
        let behind = coded.get(1..).unwrap_or_default();
        let byte = code(behind).filter(|byte| matches!(byte, b'\t' | b' '..=0x7e | 0x80..));
        out.push(byte.unwrap_or(b'='));
        rest = byte.and_then(|_| behind.get(2..)).unwrap_or(behind);
    }
    out.extend_from_slice(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines that come of a log, and their numbers.
    fn lines(log: &str) -> Vec<(u64, String)> {
        let (mut soft, mut all) = (Soft::default(), Vec::new());
        let own = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        for (number, line) in (1..).zip(log.lines()) {
            let ended = soft.ended_by(line.as_bytes());
            all.extend(ended.map(|(number, text)| (number, own(&text))));
            match soft.take(number, line.as_bytes()) {
                Softened::Plain => all.push((number, line.to_owned())),
                Softened::Line(number, text) => all.push((number, own(&text))),
                Softened::Part => {}
            }
        }
        all.extend(soft.rest().map(|(number, text)| (number, own(&text))));
        all
    }

    /// A line of 76 columns that ends in `=`.
    fn long(front: &str) -> String {
        format!("{front:x<75}=")
    }

    #[test]
    fn codes_are_undone_and_broken_lines_put_together() {
        let (first, third) = (long("> a=3D1,"), long("> d "));
        let log = format!("{first}\nb=3D2,\r\nplain\n{third}\ne=20f=C3=A9\ng=");
        let told = lines(&log);
        let front = first.trim_end_matches('=').replace("=3D", "=");
        let back = third.trim_end_matches('=');
        let want = [
            (1, format!("{front}b=2,")),
            (3, "plain".to_owned()),
            (4, format!("{back}e f\u{e9}")),
            (6, "g=".to_owned()),
        ];
        assert_eq!(told, want);
        assert_eq!(lines("[   12.500000] a=3D1"), [(1, "[   12.500000] a=1".to_owned())]);
    }

    #[test]
    fn ordinary_lines_stay() {
        let too_long = format!("{}=3D", "x".repeat(COLUMNS - 2));
        for log in [
            "a=\nb",
            "x=1 y=\nb",
            "a=20\nb=20",
            "a=3D b=c\nd",
            "a=3d=\nb",
            "=",
            "==\n=",
            "order=0, oom_score_adj=0",
            too_long.as_str(),
        ] {
            let want: Vec<_> = (1..).zip(log.lines().map(str::to_owned)).collect();
            assert_eq!(lines(log), want, "{log}");
        }
        // A line in which `=` stands for itself ends it.
        assert_eq!(lines("a=3D1\nb=x\nc=\nd").last(), Some(&(4, "d".to_owned())));
    }

    #[test]
    fn what_has_a_form_of_its_own_is_never_decoded() {
        for line in [
            r#"{"log":"x=3D=22,=22MESSAGE=22:=22y"}"#,
            r#"> {"log":"x=3D=22"}"#,
            r#"[{"log":"x=3D=22"}]"#,
            r#"data: {"MESSAGE":"x=3D=22"}"#,
            "\u{1e}{\"MESSAGE\":\"x=3D=22\"}",
            r#"    "MESSAGE" : "x=3D=22","#,
            r#"web-1  | {"log":"x=3D=22"}"#,
            "MESSAGE=3DOut of memory",
            "    MESSAGE=3Dx",
            "6,1,2,-;x=3D",
            "2026-04-27T08:47:12.123456789Z stdout F x=3D",
            "2026-04-27T08:47:12.123456789Z x=3D",
            "1772355600100,\"x=3D\"",
            "Apr 27 08:47:12 h app[1]: x=3D",
            "[   12.500000] app[1]: x=3D",
            "app[1]: x=3D",
        ] {
            assert_eq!(lines(line), [(1, line.to_owned())]);
        }
    }

    #[test]
    fn no_line_with_an_envelope_is_swallowed() {
        for line in [
            "[   12.500000] y",
            "\u{1b}[32m[   12.500000] \u{1b}[0my",
            "    [   12.500000] y",
            "kern.log:Apr 27 08:47:13 h kernel: y",
            "kern.log-12-[   12.500000] y",
            "> [   12.500000] y",
            "| [   12.500000] y",
            "some five words before it [   12.500000] y",
            "some five words before it h kernel: y",
            "app[1]: y",
            "6,1,2,-;y",
            "{\"MESSAGE\":\"y\"}",
            "MESSAGE=3Dy",
            "",
        ] {
            let log = format!("{}\n{line}\n", long("x=3D"));
            assert_eq!(lines(&log).get(1), Some(&(2, line.to_owned())), "{line}");
        }
        let kill =
            "Out of memory: Killed process 7 (x) total-vm:8kB, anon-rss:4kB, file-rss:0kB, UID:0";
        assert_eq!(
            lines(&format!("{}\n{kill}", long("x=3D"))).len(),
            2,
            "no such line is that long"
        );
    }

    #[test]
    fn only_bare_lines_go_on_and_only_such_as_had_to_be_broken() {
        let too_long = format!("x{}", long("x=3D"));
        for first in [
            "x=3D=".to_owned(),
            too_long,
            long("[   12.500000] x=3D"),
            long("kern.log:[   12.500000] x=3D"),
            long("kern.log:Apr 27 08:47:12 h app[1]: x=3D"),
            long("Apr 27 08:47:12 h kernel: x=3D"),
        ] {
            assert_eq!(lines(&format!("{first}\ny")).len(), 2, "{first}");
        }
    }

    #[test]
    fn no_code_makes_a_line_end_and_no_line_grows_without_end() {
        assert_eq!(lines("a=3D=0A=0D=00b"), [(1, "a==0A=0D=00b".to_owned())]);
        let told = lines(&format!("{}\n", long("a=3D")).repeat(1000));
        assert!(told.len() > 1 && told.iter().all(|(_, text)| text.len() <= LINE_BYTES));
    }
}
