//! The lines of a whole log, as its bytes come in.
//!
//! ```text
//! input ─ blocks ─┬─ skipped: swept for marks, line ends counted, the last two held
//!                 └─ a mark: back up to a line start, copy to `buffer`, give line by line
//!  ┌───────────────┬───────────────┐
//!  │ held          │ held  ↓ mark  │         `buffer` begins at a line start at most
//!  └──────────┬────┴───────────────┘         `back` bytes before the mark
//!             └ buffer …
//! ```

use std::collections::VecDeque;
use std::io::{self, Read};
use std::ops::Range;

use highwater_core::line::{LineSource, LogLine, Net};

use self::block::{Block, Input, ends, long};
use self::pair::Pair;
use crate::Opener;

mod block;
mod pair;
#[cfg(test)]
mod tests;

/// The first bytes, which are kept to tell what the input is.
const HEAD_BYTES: usize = 32 << 10;

/// Blocks that either of two threads may be ahead: a report takes as long to read as 2 MiB to sweep.
const WAITING_BLOCKS: usize = 10;

/// A mark may stand across two blocks: so much on either side is looked at.
const SEAM_BYTES: usize = 64;

/// What bounds memory and time.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// So much of the front is read line by line whatever stands in it: nothing is left out of what
    /// a person pastes.
    front: u64,
    /// So much is read and swept at a time.
    block: usize,
    /// The longest line that is looked at; what is beyond it is left out.
    line: usize,
    /// So much before a mark is looked at line by line: the lines before it may bear on it.
    back: usize,
    /// So much before the first relevant line is read as well: it may be part of an entry of
    /// several lines.
    lead: usize,
    /// An entry of an exported journal that the mark is in is read from its beginning, if that is
    /// not farther away than this.
    entry: usize,
    /// So much behind a mark is read line by line before the next sweep: what belongs to a report
    /// that is over, and no sweep for each of many marks that stand close together.
    linger: usize,
}

/// A block fits the cache of one processor several times. Docker writes lines of 16 KiB, the
/// journal of 48 KiB. Between the head of a memory dump and the first amount in it stand 100 lines
/// at most.
const LIMITS: Limits = Limits {
    front: 64 << 10,
    block: 256 << 10,
    line: 256 << 10,
    back: 16 << 10,
    lead: 2 << 10,
    entry: 64 << 10,
    linger: 2 << 10,
};

impl Limits {
    /// How far before a mark lines may begin that are given.
    fn window(self) -> usize {
        self.line.max(self.back).max(self.entry)
    }
}

/// What stands in the first lines of an entry of an exported journal, and nowhere else in it.
const ENTRY: &[u8] = b"__CURSOR";

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
    source: Source<R>,
    opener: Opener,
    limits: Limits,
    head: Vec<u8>,
    /// The blocks that were fetched last: the newest, and before it enough to back up.
    held: VecDeque<Block>,
    /// Bytes fetched and not yet given: `from` is where the next line begins. Its end is the end of
    /// what was fetched.
    buffer: Vec<u8>,
    from: usize,
    /// How many bytes were fetched.
    bytes: u64,
    number: u64,
    /// Up to here in the input lines are given, whatever they are.
    until: u64,
    fault: Option<io::Error>,
    is_over: bool,
}

/// Where blocks come from.
#[derive(Debug)]
enum Source<R> {
    Alone(Input<R>, Vec<Block>),
    Pair(Pair<R>),
}

/// The end of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tail {
    /// The last lines, the first of them whole.
    pub bytes: Vec<u8>,
    /// The number of the first of them.
    pub first_line: u64,
}

impl<R: Read> Stream<R> {
    /// The lines of `input`.
    pub fn new(input: R) -> Self {
        Self::within(LIMITS, Source::Alone(Input::new(input), Vec::new()))
    }

    /// The lines of `input`, of which `block` bytes are read at a time: for tests that want the
    /// borders of blocks everywhere. Of the size there is much depends for speed and nothing else.
    pub fn in_blocks(input: R, block: usize) -> Self {
        let limits = Limits { block: block.max(1), ..LIMITS };
        Self::within(limits, Source::Alone(Input::new(input), Vec::new()))
    }

    fn within(limits: Limits, source: Source<R>) -> Self {
        Self {
            source,
            opener: Opener::default(),
            limits,
            head: Vec::new(),
            held: VecDeque::new(),
            buffer: Vec::new(),
            from: 0,
            bytes: 0,
            number: 0,
            until: limits.front,
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

    /// The first 32 KiB, or all there is, once lines were asked for.
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// As grep has it: text has no NUL near its beginning.
    pub fn looks_binary(&self) -> bool {
        self.head.contains(&0)
    }

    /// The last lines of what was read: 256 KiB or more, or all there is. What was read but not
    /// given yet is in it, so it is asked for at the end.
    pub fn tail(&self) -> Tail {
        let mut bytes: Vec<u8> = self.held.iter().flat_map(Block::bytes).copied().collect();
        if self.held.front().is_some_and(|first| first.start > 0) {
            let begin = memchr::memchr(b'\n', &bytes).map_or(bytes.len(), |at| at + 1);
            bytes.drain(..begin);
        }
        let count = ends(&bytes) + u64::from(bytes.last().is_some_and(|last| *last != b'\n'));
        Tail { bytes, first_line: self.number.saturating_sub(count).saturating_add(1) }
    }

    /// The place of the next line in the buffer, without its end. Reads on as needed; of a line
    /// that is too long the front is kept.
    fn cut(&mut self) -> Option<Range<usize>> {
        let mut searched = self.from;
        loop {
            let most = self.from.saturating_add(self.limits.line);
            let unsearched = self.buffer.get(searched..).unwrap_or_default();
            if let Some(at) = memchr::memchr(b'\n', unsearched) {
                let end = searched + at;
                let line = self.from..end.min(most);
                self.from = end + 1;
                self.number += 1;
                return Some(line);
            }
            self.buffer.truncate(most.max(self.from));
            if self.is_over {
                let line = self.from..self.buffer.len();
                self.from = self.buffer.len();
                self.number += u64::from(!line.is_empty());
                return (!line.is_empty()).then_some(line);
            }
            self.buffer.drain(..self.from);
            self.from = 0;
            searched = self.buffer.len();
            self.fetch(None);
            if let Some(block) = self.held.back() {
                self.buffer.extend_from_slice(block.bytes());
            }
        }
    }

    /// Fetches the next block and holds it.
    fn fetch(&mut self, net: Option<Net>) {
        let block = match &mut self.source {
            Source::Alone(input, empty) => {
                let mut block = empty.pop().unwrap_or_else(|| Block::of(self.limits.block));
                input.fill(&mut block);
                Some(block)
            }
            Source::Pair(pair) => pair.fetch(net),
        };
        let mut block = block.unwrap_or_else(|| Block::broken(self.bytes, pair::died()));
        self.bytes = block.end();
        self.is_over = block.is_last;
        self.fault = block.fault.take();
        let room = HEAD_BYTES.saturating_sub(self.head.len());
        self.head.extend_from_slice(block.bytes().get(..room).unwrap_or(block.bytes()));
        self.hold(block);
    }

    /// Holds the newest block; those that nobody can back up to any more are used again.
    fn hold(&mut self, block: Block) {
        let needed = long(self.limits.window());
        let newest = block.start;
        self.held.push_back(block);
        while let Some(second) = self.held.get(1)
            && newest.saturating_sub(second.start) >= needed
            && let Some(oldest) = self.held.pop_front()
        {
            match &mut self.source {
                Source::Alone(_, empty) => empty.push(oldest),
                Source::Pair(pair) => pair.recycle(oldest),
            }
        }
    }

    /// Passes over what is in the buffer, up to a mark in it: then it is `true`.
    fn skip_buffer(&mut self, net: Net) -> bool {
        let rest = self.buffer.get(self.from..).unwrap_or_default();
        let given = self.bytes.saturating_sub(long(rest.len()));
        let seen = block::look(rest, net);
        let mut sighting = seen.mark;
        while let Some(mark) = sighting {
            let before = rest.get(..mark).unwrap_or_default();
            if let Some(skip) = self.line_start(before, true, net) {
                self.number += ends(before.get(..skip).unwrap_or_default());
                self.from += skip;
                self.enter(given + long(mark), skip > 0);
                return true;
            }
            let at = end_of_line(rest, mark);
            let left = rest.get(at..).unwrap_or_default();
            sighting = block::look(left, net).mark.map(|mark| at + mark);
        }
        self.number += seen.ends;
        self.buffer.clear();
        self.from = 0;
        false
    }

    /// Passes over the newest block, of which nothing was given, up to a mark in it: then the lines
    /// from before it are in the buffer, and it is `true`. Nothing before `given` is given again.
    fn skip_block(&mut self, net: Net, given: u64) -> bool {
        let Some(newest) = self.held.back_mut() else { return false };
        let seen = newest.sweep(net);
        let start = newest.start;
        let seam = self.seam(net).then_some(0);
        let mut sighting = seam.or(seen.mark);
        while let Some(mark) = sighting {
            if self.back_up(start, mark, given, net) {
                return true;
            }
            let bytes = self.held.back().map(Block::bytes).unwrap_or_default();
            let at = end_of_line(bytes, mark);
            let rest = bytes.get(at..).unwrap_or_default();
            sighting = block::look(rest, net).mark.map(|mark| at + mark);
        }
        self.number += seen.ends;
        false
    }

    /// Is there a mark across the border of the newest block and the one before it?
    fn seam(&self, net: Net) -> bool {
        let mut blocks = self.held.iter().rev().map(Block::bytes);
        let newest = blocks.next().unwrap_or_default();
        let mut left = Vec::with_capacity(2 * SEAM_BYTES);
        left.extend(blocks.flat_map(|block| block.iter().rev()).take(SEAM_BYTES).copied());
        left.reverse();
        if left.is_empty() {
            return false;
        }
        let right = newest.get(..SEAM_BYTES).unwrap_or(newest);
        left.extend_from_slice(right);
        block::look(&left, net).mark.is_some()
    }

    /// Fills the buffer from a line start before the mark at `mark` of the newest block, which
    /// begins at `start`. `false` if the mark stands too far from the beginning of its line.
    fn back_up(&mut self, start: u64, mark: usize, given: u64, net: Net) -> bool {
        let window = self.limits.window();
        let place = start + long(mark);
        let low = place.saturating_sub(long(window)).max(given);
        let mut bytes = std::mem::take(&mut self.buffer);
        bytes.clear();
        for block in &self.held {
            let skip = usize::try_from(low.saturating_sub(block.start)).unwrap_or(usize::MAX);
            bytes.extend_from_slice(block.bytes().get(skip..).unwrap_or_default());
        }
        let before = usize::try_from(place.saturating_sub(low)).unwrap_or(usize::MAX);
        let before = bytes.get(..before).unwrap_or(&bytes);
        let Some(skip) = self.line_start(before, low == given, net) else {
            bytes.clear();
            self.buffer = bytes;
            return false;
        };
        let begin = low + long(skip);
        let is_earlier = begin < start;
        let between = usize::try_from(begin.abs_diff(start)).unwrap_or(usize::MAX);
        if is_earlier {
            let again = bytes.get(skip..skip + between).unwrap_or_default();
            self.number = self.number.saturating_sub(ends(again));
        } else {
            let newest = self.held.back().map(Block::bytes).unwrap_or_default();
            self.number += ends(newest.get(..between).unwrap_or_default());
        }
        self.enter(place, begin > given);
        self.buffer = bytes;
        self.from = skip;
        true
    }

    /// Where in `before`, the bytes before a mark, lines are given from: a little before the first
    /// relevant line of the last `back` bytes, or the journal entry that the mark is in. `None` if
    /// the mark's line is too long.
    fn line_start(&self, before: &[u8], is_start: bool, net: Net) -> Option<usize> {
        let Limits { line, entry, back, .. } = self.limits;
        let far = before.len().saturating_sub(entry);
        let cursor = memchr::memmem::rfind(before.get(far..).unwrap_or_default(), ENTRY);
        let far = match cursor {
            Some(cursor) => before.len().saturating_sub(back).min(far + cursor),
            None => self.first_relevant(before, net),
        };
        if far == 0 && is_start {
            return Some(0);
        }
        // In front of the line that `far` is in, which may be the cursor's own.
        let early = before.get(..far).unwrap_or_default();
        let start = memchr::memrchr(b'\n', early).map(|at| at + 1).or(is_start.then_some(0));
        start.filter(|start| before.len() - start < line.max(back).max(entry)).or_else(|| {
            let near = before.get(far..).unwrap_or_default();
            memchr::memchr(b'\n', near).map(|at| far + at + 1)
        })
    }

    /// The place `lead` bytes before the first relevant line of the last `back` bytes.
    fn first_relevant(&self, before: &[u8], net: Net) -> usize {
        let Limits { back, lead, .. } = self.limits;
        let low = before.len().saturating_sub(back);
        let at = low + block::first_relevant(before.get(low..).unwrap_or_default(), net);
        at.saturating_sub(lead).max(low)
    }

    /// Lines are given again; the mark is at `place` in the input.
    fn enter(&mut self, place: u64, has_skipped: bool) {
        self.until = place.saturating_add(long(self.limits.linger)).saturating_add(1);
        if has_skipped {
            self.opener.skipped();
        }
    }
}

/// Where the line that `at` is in ends.
fn end_of_line(bytes: &[u8], at: usize) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    memchr::memchr(b'\n', rest).map_or(bytes.len(), |end| at + end)
}

impl<R: Read + Send + 'static> Stream<R> {
    /// The lines of `input`; a second thread reads and sweeps in turns with the caller's.
    pub fn ahead(input: R) -> Self {
        Self::ahead_within(LIMITS, input)
    }

    fn ahead_within(limits: Limits, input: R) -> Self {
        // As many as are held, and so many that wait while the caller reads a report.
        let blocks = limits.window().div_ceil(limits.block.max(1)) + WAITING_BLOCKS;
        let pair = Pair::start(Input::new(input), limits.block, blocks);
        Self::within(limits, Source::Pair(pair))
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

    fn skip_to(&mut self, net: Net) {
        let left = self.buffer.len().saturating_sub(self.from);
        let given = self.bytes.saturating_sub(long(left));
        if given < self.until || self.skip_buffer(net) {
            return;
        }
        while !self.is_over {
            self.fetch(Some(net));
            if self.skip_block(net, given) {
                return;
            }
        }
        self.end_skipped(given);
    }
}

impl<R> Stream<R> {
    /// Everything behind `given` was left out, to the end of the input; its last line may have no
    /// end.
    fn end_skipped(&mut self, given: u64) {
        let last = self.held.iter().rev().find_map(|block| block.bytes().last());
        if self.bytes > given {
            self.opener.skipped();
            self.number += u64::from(last.is_some_and(|last| *last != b'\n'));
        }
    }
}
