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

use std::borrow::Cow;

use memchr::memmem;

use crate::layers;

/// So much of a line is put together of parts.
const LINE_BYTES: usize = 64 << 10;

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
    /// A line that went on and did not, and the one at hand, which has to be taken again.
    Broken(u64, Vec<u8>),
}

impl Soft {
    /// Takes the next line.
    pub(crate) fn take(&mut self, number: u64, raw: &[u8]) -> Softened {
        let Some((begun, mut text)) = self.begun.take() else { return self.fresh(number, raw) };
        // No line breaks right before an envelope: what has one is nobody's continuation.
        let is_other = raw.starts_with(b">") || layers::is_enveloped(raw);
        if is_other || !is_coded(raw) || text.len() + raw.len() > LINE_BYTES {
            return Softened::Broken(begun, decoded(&text).into_owned());
        }
        let raw = trimmed(raw);
        text.extend_from_slice(raw.strip_suffix(b"=").unwrap_or(raw));
        if raw.ends_with(b"=") {
            self.begun = Some((begun, text));
            return Softened::Part;
        }
        Softened::Line(begun, decoded(&text).into_owned())
    }

    /// A line that carries none on.
    fn fresh(&mut self, number: u64, raw: &[u8]) -> Softened {
        let Some(last) = memchr::memrchr(b'=', raw) else { return Softened::Plain };
        let line = trimmed(raw);
        self.is_coded = is_coded(line) && (self.is_coded || memmem::find(line, EQUALS).is_some());
        if !self.is_coded {
            return Softened::Plain;
        }
        if last + 1 == line.len() {
            let text = line.get(..last).unwrap_or_default().to_vec();
            self.begun = Some((number, text));
            return Softened::Part;
        }
        Softened::Line(number, decoded(line).into_owned())
    }

    /// What came so far of a line that goes on.
    pub(crate) fn rest(&mut self) -> Option<(u64, Vec<u8>)> {
        let (number, text) = self.begun.take()?;
        Some((number, decoded(&text).into_owned()))
    }

    /// Forgets what came before.
    pub(crate) fn skipped(&mut self) {
        self.begun = None;
    }
}

/// Without what a line end leaves, which is no part of the code.
fn trimmed(raw: &[u8]) -> &[u8] {
    raw.trim_ascii_end()
}

/// Each `=` begins a code, or ends the line.
fn is_coded(line: &[u8]) -> bool {
    let line = trimmed(line);
    memchr::memchr_iter(b'=', line)
        .all(|at| at + 1 == line.len() || line.get(at + 1..).and_then(code).is_some())
}

/// The byte whose code's two digits stand at the front. Lower case is nobody's.
fn code(text: &[u8]) -> Option<u8> {
    let digits = text.get(..2)?;
    let is_code = digits.iter().all(|b| matches!(b, b'0'..=b'9' | b'A'..=b'F'));
    let digits = std::str::from_utf8(digits).ok().filter(|_| is_code)?;
    u8::from_str_radix(digits, 16).ok()
}

/// The line with its codes undone. Control characters stay coded: none may become a line end.
fn decoded(line: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'=', line).is_none() {
        return Cow::Borrowed(line);
    }
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
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines that come of a log, and their numbers.
    fn lines(log: &str) -> Vec<(u64, String)> {
        let (mut soft, mut all) = (Soft::default(), Vec::new());
        let own = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        for (number, line) in (1..).zip(log.lines()) {
            let mut softened = soft.take(number, line.as_bytes());
            if let Softened::Broken(number, text) = softened {
                all.push((number, own(&text)));
                softened = soft.take(number + 1, line.as_bytes());
            }
            match softened {
                Softened::Plain => all.push((number, line.to_owned())),
                Softened::Line(number, text) => all.push((number, own(&text))),
                Softened::Part | Softened::Broken(..) => {}
            }
        }
        all.extend(soft.rest().map(|(number, text)| (number, own(&text))));
        all
    }

    #[test]
    fn codes_are_undone_and_broken_lines_put_together() {
        let log = "> a=3D1,=\nb=3D2,=\r\nc\nplain\n> d =\ne=20f=C3=A9\ng=";
        let want = [(1, "> a=1,b=2,c"), (4, "plain"), (5, "> d e f\u{e9}"), (7, "g")];
        assert_eq!(lines(log), want.map(|(number, text)| (number, text.to_owned())));
    }

    #[test]
    fn ordinary_lines_stay() {
        for log in [
            "a=\nb",
            "x=1 y=\nb",
            "a=20\nb=20",
            "a=3D b=c\nd",
            "a=3d=\nb",
            "=",
            "==\n=",
            "order=0, oom_score_adj=0",
        ] {
            let want: Vec<_> = (1..).zip(log.lines().map(str::to_owned)).collect();
            assert_eq!(lines(log), want, "{log}");
        }
        // A line in which `=` stands for itself ends it.
        assert_eq!(lines("a=3D1\nb=x\nc=\nd").last(), Some(&(4, "d".to_owned())));
    }

    #[test]
    fn no_line_with_an_envelope_is_swallowed() {
        let log = "x=3D=\n[   12.500000] y\nz=3D=\nApr 27 08:47:12 host kernel: y";
        let told = lines(log);
        let texts: Vec<_> = told.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(texts, ["x=", "[   12.500000] y", "z=", "Apr 27 08:47:12 host kernel: y"]);
    }

    #[test]
    fn no_code_makes_a_line_end_and_no_line_grows_without_end() {
        assert_eq!(lines("a=3D=0A=0D=00b"), [(1, "a==0A=0D=00b".to_owned())]);
        let long = lines(&format!("a=3D=\n{}", format!("{}=\n", "x".repeat(1000)).repeat(100)));
        assert!(long.iter().all(|(_, text)| text.len() <= LINE_BYTES));
    }
}
