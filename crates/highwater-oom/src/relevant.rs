//! The cheap look: is a line worth reading at all, and where in a large log is the next one?
//!
//! Three nets. [`is_relevant`] is the finest: a line that it holds may begin an episode or bears on
//! one. [`find`] draws a whole log through the coarsest at the speed of memory (`sweep`), what that
//! holds through one of five words, and the lines that those stand in through the finest. Every
//! report has a line that stays: a kill, the line that names killer or victim in lower case, or one
//! of the many amounts in `kB`. The rest of a report stands within the stretch before that a reader
//! of logs goes back anyway.

use std::ops::Range;
use std::sync::LazyLock;

use highwater_core::line::{Net, Seen};
use memchr::memmem::Finder;

use crate::sweep;

/// Words of which every line that can begin an episode has at least one, and other lines rarely.
const WORDS: &[&str] = &[
    "oom-k",
    "oom_reaper",
    "-oomd",
    "oomd kill",
    "nohang",
    "lowmemorykiller",
    "Kill",
    "kill process",
    "killed process",
    "ut of memory",
    "ut of Memory",
    "as a result of limit",
    "going to be killed",
    "killable",
    "sigkill",
    "Mem-Info",
    "total_vm",
    "Mem-info",
    ": usage ",
    "SIGTERM",
    "SIGKILL",
    "Manual OOM",
    "page allocation",
    "Show Memory",
    // What `nohang`, `systemd-oomd` and old page faults say.
    "highest badness",
    "ictim status",
    "for killing",
    "VM: killing",
    // The free lists, where the head of a report is cut off; every page size has it.
    "*64kB",
    " min:",
    "Free swap",
];

/// A word of the wide-meshed net, and what a line that has it must have to be worth reading. Of
/// every report that is more than a lone heading some line has a mark and what goes with it.
struct Mark {
    word: &'static str,
    /// The bit that the sweep sees it by.
    bit: u8,
    /// One of these; none, if the mark alone is enough.
    with: &'static [&'static str],
}

const MARKS: [Mark; 5] = [
    // `Killed process`, `Kill process`, `Killing process`, `Killed /a.slice due to`.
    Mark { word: "Kill", bit: sweep::KILL, with: &[] },
    // `oom-killer`, `oom-kill:`, `Task in /a killed`, `no killable processes`, `systemd-oomd killed`.
    Mark {
        word: "kill",
        bit: sweep::KILL,
        with: &[
            "oom-k",
            "-oomd",
            "oomd kill",
            "nohang",
            "lowmemorykiller",
            "kill process",
            "killed process",
            "as a result of limit",
            "going to be killed",
            "killable",
            "sigkill",
            "for killing",
            "VM: killing",
        ],
    },
    // `usage 4kB, limit 4kB`, `1*64kB`, `anon-rss:4kB`: all that is left of a report in pieces.
    Mark {
        word: "kB",
        bit: sweep::KILOBYTES,
        with: &[": usage ", "*64kB", " min:", "Free swap", "oom_reaper"],
    },
    // `sending SIGTERM to process`: what early killers say.
    Mark { word: "SIG", bit: sweep::SIGNAL, with: &["SIGTERM", "SIGKILL"] },
    // The header of a table of tasks, which may be long and has no other mark.
    Mark { word: "l_vm", bit: sweep::TOTAL_VM, with: &["total_vm"] },
];

/// What colours begin with: one may stand inside a word, so a line that has one is worth reading.
const ESCAPE: u8 = 0x1b;

/// How far before and behind a mark the ends of its line are sought: the head of a longer line has
/// been read, and of what is behind it nothing matters here.
const REACH_BYTES: usize = 4096;

static WORD_FINDERS: LazyLock<Vec<Finder<'static>>> =
    LazyLock::new(|| WORDS.iter().map(Finder::new).collect());
/// The finders of a [`Mark`].
struct MarkFinder {
    bit: u8,
    word: Finder<'static>,
    with: Vec<Finder<'static>>,
}

impl MarkFinder {
    fn is_in(&self, line: &[u8]) -> bool {
        self.with.is_empty() || self.with.iter().any(|finder| finder.find(line).is_some())
    }
}

static MARK_FINDERS: LazyLock<[MarkFinder; MARKS.len()]> = LazyLock::new(|| {
    MARKS.map(|Mark { word, bit, with }| MarkFinder {
        bit,
        word: Finder::new(word),
        with: with.iter().map(Finder::new).collect(),
    })
});

/// May this line begin an episode? Few lines that may not are let through; none that may is not.
pub fn is_relevant(text: &[u8]) -> bool {
    WORD_FINDERS.iter().any(|finder| finder.find(text).is_some())
}

/// What a source of lines may leave out.
pub const NET: Net = Net { sweep: find, is_relevant: may_be_relevant };

/// Of a line as it stands in the log: a colour may stand inside a word.
fn may_be_relevant(line: &[u8]) -> bool {
    is_relevant(line) || memchr::memchr(ESCAPE, line).is_some()
}

/// How many lines end in a stretch of a log, and where the first mark is that stands in a line worth
/// reading. A line that the stretch cuts off is, if a mark stands in it.
fn find(stretch: &[u8]) -> Seen {
    let mut ends = 0;
    for from in (0..stretch.len()).step_by(sweep::PIECE_BYTES) {
        let rest = stretch.get(from..).unwrap_or_default();
        let piece = sweep::piece(rest);
        if piece.suspects != 0
            && let Some(mark) = mark(stretch, from, piece.suspects)
        {
            return Seen { ends: ends + sweep::ends(rest), mark: Some(mark) };
        }
        ends += piece.ends;
    }
    Seen { ends, mark: None }
}

/// The first mark worth reading that begins in the piece at `from`.
fn mark(stretch: &[u8], from: usize, suspects: u8) -> Option<usize> {
    let piece = stretch.get(from..).unwrap_or_default();
    let colour = memchr::memchr(ESCAPE, piece.get(..sweep::PIECE_BYTES).unwrap_or(piece));
    let mut first = colour.map(|at| from + at);
    for mark in MARK_FINDERS.iter().filter(|mark| mark.bit & suspects != 0) {
        let end = first.unwrap_or(from + sweep::PIECE_BYTES);
        first = in_relevant(stretch, from..end, mark).or(first);
    }
    first
}

/// The first place in `range` where `mark` begins in a line that it makes worth reading.
fn in_relevant(stretch: &[u8], range: Range<usize>, mark: &MarkFinder) -> Option<usize> {
    let end = range.end.saturating_add(mark.word.needle().len() - 1).min(stretch.len());
    let mut from = range.start;
    loop {
        let at = from + mark.word.find(stretch.get(from..end)?)?;
        let (line, line_end) = line_around(stretch, at);
        if line.is_none_or(|line| mark.is_in(line)) {
            return Some(at);
        }
        from = line_end;
    }
}

/// The line in which `at` is, unless the stretch cuts it off, and where it ends.
fn line_around(stretch: &[u8], at: usize) -> (Option<&[u8]>, usize) {
    let (before, behind) = stretch.split_at_checked(at).unwrap_or((stretch, &[]));
    let low = before.len().saturating_sub(REACH_BYTES);
    let begin = memchr::memrchr(b'\n', before.get(low..).unwrap_or_default());
    let window = behind.get(..REACH_BYTES).unwrap_or(behind);
    let end = memchr::memchr(b'\n', window);
    let ends = at + end.unwrap_or(window.len());
    let line = match (begin, end) {
        (Some(begin), Some(_)) => stretch.get(low + begin + 1..ends),
        _ => None,
    };
    (line, ends)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_mark_in_a_line_worth_reading_is_found() {
        let mark = |log: &[u8]| find(log).mark;
        let log = b"aaaa\nKilled process 1\nbb\noom-kill:\ncc\n";
        assert_eq!(find(log), Seen { ends: 5, mark: Some(5) });
        assert_eq!(mark(&log[22..]), Some(7));
        assert_eq!(mark(&log[35..]), None);
        assert_eq!(mark(b"x\nwrote 12 kB\nskilled\n"), None);
        assert_eq!(mark(b"x\nwrote 12 kB\n[1.0] DMA: 1*4kB 0*64kB\n"), Some(28));
        assert_eq!(mark(b"x\nK\x1b[31mill\n"), Some(3));
    }

    #[test]
    fn a_line_that_is_cut_off_counts() {
        assert_eq!(find(b"x\nwrote 12 kB").mark, Some(11));
        assert_eq!(find(b"12 kB of\n").mark, Some(3));
        assert_eq!(find(b""), Seen::default());
    }

    #[test]
    fn marks_are_found_wherever_pieces_end() {
        for before in sweep::PIECE_BYTES - 20..sweep::PIECE_BYTES + 4 {
            let log = [vec![b'.'; before], b"\nKilled process 1\n".to_vec()].concat();
            assert_eq!(find(&log), Seen { ends: 2, mark: Some(before + 1) });
        }
    }

    #[test]
    fn ordinary_lines_are_passed_over() {
        assert!(!is_relevant(b"usb 1-1: new high-speed USB device number 2 using xhci_hcd"));
        assert!(is_relevant(b"Out of memory: Killed process 1 (x)"));
    }
}
