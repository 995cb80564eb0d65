//! Lines that were read before.

use std::collections::{HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

use highwater_core::line::LogLine;

use crate::said::Said;

/// So many lines are remembered to know one that is printed twice: the marking lines of some
/// hundred episodes.
const REMEMBERED: usize = 2048;

/// The marking lines that were read last.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    order: VecDeque<u64>,
    known: HashSet<u64>,
}

impl Seen {
    /// Has the same line been read before? Only a stamp in µs tells a repetition from the same
    /// words said twice, unless the line names a victim.
    pub(crate) fn is_repeated(&mut self, said: &Said, line: &LogLine<'_>, part: &[u8]) -> bool {
        let coarse = said.names_victim() && line.raw.len() > line.text.len();
        if line.boot.is_none() && !coarse {
            return false;
        }
        let mut hasher = DefaultHasher::new();
        (line.boot, line.wall, part).hash(&mut hasher);
        if line.boot.is_none() {
            line.raw.hash(&mut hasher);
        }
        let mark = hasher.finish();
        if !self.known.insert(mark) {
            return true;
        }
        self.order.push_back(mark);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        false
    }
}
