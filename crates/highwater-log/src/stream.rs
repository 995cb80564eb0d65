//! The lines of a whole log, as its bytes come in.

use std::io::{self, Read};

use highwater_core::line::{LineSource, LogLine};

use crate::Opener;

/// So much is read at a time.
const BLOCK_BYTES: usize = 256 << 10;

/// The longest line that is looked at; what is beyond it is left out.
const LINE_BYTES: usize = 1 << 20;

/// The lines of a log, read as they are asked for. Memory is bounded whatever comes in.
///
/// ```
/// use highwater_core::line::LineSource as _;
/// use highwater_log::Stream;
///
/// let mut stream = Stream::new(&b"[    1.5] hello\n"[..]);
/// assert_eq!(stream.next_line().unwrap().text, b"hello");
/// assert!(stream.next_line().is_none());
/// ```
#[derive(Debug)]
pub struct Stream<R> {
    input: R,
    opener: Opener,
    /// Bytes read and not yet given: `from` is where the next line begins.
    buffer: Vec<u8>,
    from: usize,
    number: u64,
    bytes: u64,
    fault: Option<io::Error>,
    is_over: bool,
}

impl<R: Read> Stream<R> {
    /// The lines of `input`.
    pub fn new(input: R) -> Self {
        Self {
            input,
            opener: Opener::default(),
            buffer: Vec::new(),
            from: 0,
            number: 0,
            bytes: 0,
            fault: None,
            is_over: false,
        }
    }

    /// How many lines were passed.
    pub fn lines(&self) -> u64 {
        self.number
    }

    /// How many bytes were read.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Why reading broke off before the end.
    pub fn fault(&self) -> Option<&io::Error> {
        self.fault.as_ref()
    }

    /// The place of the next line in the buffer, without its end. Reads on as needed; of a line
    /// that is too long the front is kept.
    fn cut(&mut self) -> Option<std::ops::Range<usize>> {
        let mut searched = self.from;
        let mut kept = None;
        loop {
            let unsearched = self.buffer.get(searched..).unwrap_or_default();
            if let Some(at) = memchr::memchr(b'\n', unsearched) {
                let end = searched + at;
                let line = self.from..kept.unwrap_or(end);
                self.from = end + 1;
                self.number += 1;
                return Some(line);
            }
            searched = self.buffer.len();
            if searched - self.from > LINE_BYTES {
                let end = self.from + LINE_BYTES;
                kept = Some(end);
                self.buffer.truncate(end);
                searched = end;
            }
            if !self.fill(&mut searched, &mut kept) {
                let line = self.from..kept.unwrap_or(self.buffer.len());
                self.from = self.buffer.len();
                self.number += u64::from(!line.is_empty());
                return (!line.is_empty()).then_some(line);
            }
        }
    }

    /// Reads the next block behind what is left; `false` at the end.
    fn fill(&mut self, searched: &mut usize, kept: &mut Option<usize>) -> bool {
        if self.is_over {
            return false;
        }
        self.buffer.drain(..self.from);
        *searched -= self.from;
        *kept = kept.map(|at| at - self.from);
        self.from = 0;
        let old = self.buffer.len();
        self.buffer.resize(old + BLOCK_BYTES, 0);
        let read = loop {
            match self.input.read(self.buffer.get_mut(old..).unwrap_or_default()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        let count = *read.as_ref().unwrap_or(&0);
        self.fault = read.err();
        self.is_over = count == 0;
        self.buffer.truncate(old + count);
        self.bytes = self.bytes.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
        count > 0
    }
}

impl<R: Read> LineSource for Stream<R> {
    fn next_line(&mut self) -> Option<LogLine<'_>> {
        loop {
            let Some(line) = self.cut() else {
                return self.opener.finish().then(|| self.opener.message(&[]));
            };
            if self.opener.take(self.number, self.buffer.get(line.clone()).unwrap_or_default()) {
                return Some(self.opener.message(self.buffer.get(line).unwrap_or_default()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Something of each line of a log.
    fn each<T>(log: &[u8], told: impl Fn(&LogLine<'_>) -> T) -> Vec<T> {
        let (mut stream, mut all) = (Stream::new(log), Vec::new());
        while let Some(line) = stream.next_line() {
            all.push(told(&line));
        }
        all
    }

    #[test]
    fn lines_without_a_stamp_that_begin_with_blanks_continue() {
        let log = b"[    1.000000] anon 1\n                file 2\nplain\n";
        assert_eq!(each(log, |l| (l.number, l.continues)), [(1, false), (2, true), (3, false)]);
    }

    #[test]
    fn records_come_without_their_device_lines() {
        let log = b"6,1,2,-;a\n SUBSYSTEM=x\n DEVICE=y\n6,2,3,+;b\n";
        let told = each(log, |l| (l.number, l.seq, l.continues));
        assert_eq!(told, [(1, Some(1), false), (4, Some(2), true)]);
    }

    #[test]
    fn garbage_is_a_line_like_any_other() {
        for log in [&b"\xff\xfe\x00"[..], b"[", b"<", b"<6", b"1,", b"> ", b">>>", b"[.]", b"\r"] {
            assert!(each(log, |_| ()).len() <= 1);
        }
    }

    #[test]
    fn an_endless_line_is_cut_and_the_next_is_read() {
        let log = [vec![b'x'; 5 * LINE_BYTES], b"\nnext".to_vec()].concat();
        let told = each(&log, |l| (l.number, l.text.len()));
        assert_eq!(told, [(1, LINE_BYTES), (2, 4)]);
    }
}
