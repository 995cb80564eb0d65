//! Lines of a text that comes in pieces.

use crate::TooMuch;
use crate::desk::{Desk, Odd, Sink};

/// The longest line that is read: a sample of a container with 100 labels has some 20 KiB.
const MAX_LINE: usize = 256 * 1024;

/// The mark that some editors put before a text.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// Who reads the lines of one format.
pub(crate) trait ByLine: std::fmt::Debug + Send {
    /// Takes one line, without its end.
    fn line(&mut self, desk: &mut Desk, sink: Sink<'_>, line: Line<'_>) -> Result<(), TooMuch>;

    /// Takes the end; `cut` is what stands after the last line end, if anything does.
    fn end(
        &mut self,
        desk: &mut Desk,
        sink: Sink<'_>,
        cut: Option<Line<'_>>,
    ) -> Result<(), TooMuch>;
}

/// One line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line<'a> {
    /// From 1.
    pub(crate) number: u64,
    /// Without `\n` and `\r\n`.
    pub(crate) text: &'a [u8],
}

/// What is left between two pieces.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    /// The beginning of a line whose end has not come yet.
    carry: Vec<u8>,
    /// Whether that line is too long already and only its end is awaited.
    skipping: bool,
    /// Lines ended so far.
    ended: u64,
}

impl Lines {
    /// Takes a piece and gives the lines that end in it.
    pub(crate) fn push(
        &mut self,
        mut bytes: &[u8],
        (desk, sink): (&mut Desk, Sink<'_>),
        reader: &mut dyn ByLine,
    ) -> Result<(), TooMuch> {
        while let Some(at) = memchr::memchr(b'\n', bytes) {
            let (line, rest) = bytes.split_at(at);
            bytes = rest.get(1..).unwrap_or_default();
            self.ended += 1;
            desk.summary.lines = self.ended;
            if self.skipping || self.carry.len() + line.len() > MAX_LINE {
                self.skipping = false;
                self.carry.clear();
                desk.odd(sink, self.ended, Odd::LongLine, b"");
            } else if self.carry.is_empty() {
                reader.line(desk, sink, whole(self.ended, line))?;
            } else {
                self.carry.extend_from_slice(line);
                let done = reader.line(desk, sink, whole(self.ended, &self.carry));
                self.carry.clear();
                done?;
            }
        }
        self.keep(bytes);
        Ok(())
    }

    fn keep(&mut self, rest: &[u8]) {
        if self.skipping || self.carry.len() + rest.len() > MAX_LINE {
            self.skipping = true;
            self.carry.clear();
        } else {
            self.carry.extend_from_slice(rest);
        }
    }

    /// Takes the end of the text.
    pub(crate) fn end(
        &mut self,
        (desk, sink): (&mut Desk, Sink<'_>),
        reader: &mut dyn ByLine,
    ) -> Result<(), TooMuch> {
        let number = self.ended + 1;
        if self.skipping {
            desk.odd(sink, number, Odd::LongLine, b"");
        }
        let rest = whole(number, &self.carry);
        let cut = (!rest.text.is_empty()).then_some(rest);
        desk.summary.lines += u64::from(cut.is_some());
        reader.end(desk, sink, cut)
    }
}

fn whole(number: u64, line: &[u8]) -> Line<'_> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let text = if number == 1 { line.strip_prefix(BOM).unwrap_or(line) } else { line };
    Line { number, text }
}
