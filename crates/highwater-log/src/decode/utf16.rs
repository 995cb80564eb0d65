//! UTF-16 to UTF-8, as a reader. PowerShell's `>` writes such files.

use std::io::{self, Read};

/// So much is read at a time.
const BUFFER_BYTES: usize = 32 << 10;

/// The order of the two bytes of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Little,
    Big,
}

/// An input in UTF-16 with its byte order mark, read as UTF-8 without one.
pub(super) struct Utf16<R> {
    input: R,
    order: Order,
    /// Half a unit, or the first unit of two, that came last.
    left: Vec<u8>,
    out: Vec<u8>,
    given: usize,
    is_begun: bool,
}

impl Utf16<()> {
    /// The order that a byte order mark tells.
    pub(super) fn of(first: &[u8]) -> Option<Order> {
        match first {
            [0xff, 0xfe, ..] => Some(Order::Little),
            [0xfe, 0xff, ..] => Some(Order::Big),
            _ => None,
        }
    }
}

impl<R: Read> Utf16<R> {
    pub(super) fn new(order: Order, input: R) -> Self {
        Self { input, order, left: Vec::new(), out: Vec::new(), given: 0, is_begun: false }
    }

    /// Reads on; `false` at the end.
    fn fill(&mut self) -> io::Result<bool> {
        let mut bytes = std::mem::take(&mut self.left);
        let old = bytes.len();
        bytes.resize(old + BUFFER_BYTES, 0);
        let read = self.input.read(bytes.get_mut(old..).unwrap_or_default());
        bytes.truncate(old + *read.as_ref().unwrap_or(&0));
        let count = match read {
            Ok(count) => count,
            Err(error) => {
                self.left = bytes;
                return Err(error);
            }
        };
        let whole = if count == 0 { bytes.len() } else { self.whole(&bytes) };
        self.left = bytes.split_off(whole);
        self.write(&bytes);
        Ok(count > 0)
    }

    /// How many bytes make whole characters.
    fn whole(&self, bytes: &[u8]) -> usize {
        let units = bytes.len() / 2 * 2;
        let last = units.checked_sub(2).and_then(|at| self.unit(bytes.get(at..)?));
        let is_half = last.is_some_and(|unit| (0xd800..0xdc00).contains(&unit));
        if is_half { units - 2 } else { units }
    }

    fn unit(&self, bytes: &[u8]) -> Option<u16> {
        let pair = *bytes.first_chunk()?;
        Some(match self.order {
            Order::Little => u16::from_le_bytes(pair),
            Order::Big => u16::from_be_bytes(pair),
        })
    }

    fn write(&mut self, bytes: &[u8]) {
        self.out.clear();
        self.given = 0;
        let units = bytes.chunks_exact(2).filter_map(|pair| self.unit(pair));
        let chars = char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER));
        let mark = if self.is_begun { None } else { Some('\u{feff}') };
        let text: String = chars
            .enumerate()
            .filter(|(at, c)| *at > 0 || Some(*c) != mark)
            .map(|(_, c)| c)
            .collect();
        self.is_begun |= !bytes.is_empty();
        self.out.extend_from_slice(text.as_bytes());
    }
}

impl<R: Read> Read for Utf16<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given >= self.out.len() {
            if !self.fill()? && self.out.is_empty() {
                return Ok(0);
            }
        }
        let rest = self.out.get(self.given..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..count), rest.get(..count)) {
            to.copy_from_slice(from);
        }
        self.given += count;
        Ok(count)
    }
}
