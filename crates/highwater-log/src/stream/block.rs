//! A block of the input, and what a sweep over it saw.

use std::io::{self, Read};

use highwater_core::line::{Net, Seen};

/// How `journalctl -o json` writes a message that is not plain text: as its bytes.
const BYTE_ARRAYS: [&[u8]; 2] = [b"MESSAGE\":[", b"MESSAGE\" : ["];

/// A stretch of the input.
#[derive(Debug, Default)]
pub(super) struct Block {
    room: Vec<u8>,
    len: usize,
    /// Its number in the input.
    pub(super) place: u64,
    /// Where in the input it begins.
    pub(super) start: u64,
    /// What a sweep over it saw, if there was one.
    pub(super) seen: Option<Seen>,
    /// The input ends with it.
    pub(super) is_last: bool,
    /// Why the input ends with it, if not of itself.
    pub(super) fault: Option<io::Error>,
    /// Which of two threads fills it: memory stays with the processor that has it in its cache.
    pub(super) is_lent: bool,
}

impl Block {
    pub(super) fn of(size: usize) -> Self {
        Self { room: vec![0; size], ..Self::default() }
    }

    pub(super) fn lent(size: usize) -> Self {
        Self { is_lent: true, ..Self::of(size) }
    }

    /// The end of an input that broke off.
    pub(super) fn broken(start: u64, fault: io::Error) -> Self {
        Self { start, is_last: true, fault: Some(fault), ..Self::default() }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.room.get(..self.len).unwrap_or_default()
    }

    /// Where in the input it ends.
    pub(super) fn end(&self) -> u64 {
        self.start.saturating_add(long(self.len))
    }

    /// Looks through it, if nobody has.
    pub(super) fn sweep(&mut self, net: Net) -> Seen {
        let bytes = self.room.get(..self.len).unwrap_or_default();
        *self.seen.get_or_insert_with(|| look(bytes, net))
    }
}

/// What the net sees, and messages whose words do not stand there as they are read.
pub(super) fn look(bytes: &[u8], net: Net) -> Seen {
    let Seen { ends, mark } = (net.sweep)(bytes);
    let before = mark.and_then(|at| bytes.get(..at)).unwrap_or(bytes);
    Seen { ends, mark: veiled(before).or(mark) }
}

/// Where the first line begins that may be worth reading, or whose message is written as its bytes;
/// the end, if there is none.
pub(super) fn first_relevant(bytes: &[u8], net: Net) -> usize {
    let veiled = array(bytes).unwrap_or(bytes.len());
    let mut at = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        if (net.is_relevant)(line) || at + line.len() > veiled {
            break;
        }
        at += line.len();
    }
    at
}

/// The first message of a journal's objects that is written as its bytes.
fn veiled(bytes: &[u8]) -> Option<usize> {
    is_json(bytes).then(|| array(bytes))?
}

fn array(bytes: &[u8]) -> Option<usize> {
    BYTE_ARRAYS.iter().filter_map(|array| memchr::memmem::find(bytes, array)).min()
}

/// Does an object begin with the first line, or with the first that begins here?
fn is_json(bytes: &[u8]) -> bool {
    let next = memchr::memchr(b'\n', bytes).and_then(|at| bytes.get(at + 1));
    bytes.first() == Some(&b'{') || next == Some(&b'{')
}

/// How many lines end in it.
pub(super) fn ends(bytes: &[u8]) -> u64 {
    long(memchr::memchr_iter(b'\n', bytes).count())
}

/// A length as a place in the input.
pub(super) fn long(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

/// An input that is read block by block.
#[derive(Debug)]
pub(super) struct Input<R> {
    read: R,
    place: u64,
    start: u64,
    pub(super) is_over: bool,
    /// What whoever reads looks for.
    pub(super) net: Option<Net>,
}

impl<R: Read> Input<R> {
    pub(super) fn new(read: R) -> Self {
        Self { read, place: 0, start: 0, is_over: false, net: None }
    }

    /// Reads the next stretch into `block`, as much as it holds.
    pub(super) fn fill(&mut self, block: &mut Block) {
        (block.place, block.start) = (self.place, self.start);
        (block.len, block.seen, block.fault) = (0, None, None);
        while let Some(room) = block.room.get_mut(block.len..).filter(|room| !room.is_empty()) {
            match self.read.read(room) {
                Ok(0) => {
                    self.is_over = true;
                    break;
                }
                Ok(count) => block.len = (block.len + count).min(block.room.len()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.is_over = true;
                    block.fault = Some(error);
                    break;
                }
            }
        }
        block.is_last = self.is_over;
        self.place += 1;
        self.start = block.end();
    }
}
