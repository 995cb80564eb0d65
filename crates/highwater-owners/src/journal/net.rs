//! The cheap look: may a line, as it stands in a log, tell of an end or a start?
//!
//! Text, JSON and the journal's export form have the same words: systemd speaks no other language,
//! and of every line that is read here one of these words stands in it. A log is drawn through at
//! the speed of memory ([`prints`]); where one of the words may be, the words are looked at, and of
//! those that other programs write as well, their line.

mod prints;

use std::ops::Range;
use std::sync::LazyLock;

use memchr::memmem::{self, Finder};

use self::prints::{GROUPS, PRINT, Place, Prints};
use super::systemd::IDS;

/// A word of which every line that tells something has at least one.
struct Word {
    text: &'static str,
    /// What is sought of it: bytes that stand together rarely.
    print: &'static str,
    /// What its line must have besides.
    needs: Needs,
}

/// What a line with a word must have to be worth reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Needs {
    Nothing,
    /// The name of a unit, without which nobody knows of whom it is said.
    Unit,
    /// The id of a message of systemd's.
    Id,
}

const fn alone(text: &'static str, print: &'static str) -> Word {
    Word { text, print, needs: Needs::Nothing }
}

const fn of_unit(text: &'static str, print: &'static str) -> Word {
    Word { text, print, needs: Needs::Unit }
}

/// The words: of systemd those that need a unit, of containerd, dockerd and the kubelet, of the
/// kernel about what a program did wrong, of programs that were refused memory.
///
/// They are in groups whose prints are alike: the fewer bytes a group may have at a place, the fewer
/// other places look like one of it. Which print of each word, and which group, was sought by trial
/// over a syslog, a journal, the reports of the test data and prose: one byte in a thousand gets a
/// closer look.
const WORDS: [&[Word]; GROUPS] = [
    &[
        of_unit("Started ", "Star"),
        alone("atchdog Timeout (", "Time"),
        alone("terminated abnormally", "d ab"),
        alone("bad frame in", "d fr"),
        alone("Allowed memory size of", "d me"),
    ],
    &[
        of_unit("process exited", "ited"),
        of_unit("ith result '", "esul"),
        of_unit(": Succeeded.", "eded"),
        of_unit("Sent signal ", "igna"),
        of_unit("cheduled restart", "edul"),
        of_unit("scheduling restart", "edul"),
        of_unit("repeated too quickly", "epea"),
        alone("dumped core", "mped"),
        alone("Message for Container", "essa"),
        alone("segfault at", "egfa"),
        alone("segfault (", "egfa"),
        alone("fatal signal", "igna"),
    ],
    &[
        of_unit("activated successfully", "ucce"),
        alone("to exit within", "to e"),
        alone("bus error (", "us e"),
    ],
    &[
        of_unit("Stopping ", "oppi"),
        alone("shim disconnected", "disc"),
        alone("topic=/tasks/", "opic"),
        alone("viction manager", "ctio"),
        alone("memory for the allocation", "loca"),
        alone("Cannot allocate memory", "loca"),
        alone("failed to allocate memory", "loca"),
    ],
    &[
        of_unit("OOM killer", "OOM "),
        Word { text: "MESSAGE_ID", print: "GE_I", needs: Needs::Id },
        alone("TaskOOM event", "kOOM"),
        alone("type=1326 ", "e=13"),
    ],
    &[
        of_unit("omd killed ", "md k"),
        of_unit("runtime time limit", "me l"),
        of_unit("Stopped ", "oppe"),
        alone("TaskExit event", "it e"),
        alone("exit event", "it e"),
        alone("runtime: out of memory", "of m"),
        alone("heap out of memory", "of m"),
        alone("Out of memory!", "of m"),
    ],
    &[
        // The journal's own field, whatever the message is.
        alone("COREDUMP_PID", "ORED"),
        alone("traps: ", "raps"),
        alone("MemoryError", "yErr"),
    ],
    &[
        of_unit("atchdog timeout", "imeo"),
        of_unit(" timed out", "imed"),
        of_unit("Timed out ", "imed"),
        of_unit("Killing process ", "illi"),
        of_unit("entered failed state", "iled"),
        alone("Killing container", "illi"),
        alone("unhandled ", "dled"),
        alone("std::bad_alloc", "d::b"),
    ],
];

/// How the names of units go on behind their dot (systemd.unit(5)): those that hold processes.
const KINDS: [&[u8]; 6] = [b"service", b"scope", b"slice", b"mount", b"swap", b"socket"];

/// The message's own line in an entry of several.
static MESSAGE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("MESSAGE"));

/// How far before and behind a word the ends of its line are sought. A longer line is worth reading.
const REACH_BYTES: usize = 4096;

/// A word as it is compared.
struct Sought {
    text: &'static [u8],
    /// Where in it the print stands.
    print_at: usize,
    needs: Needs,
}

/// All that is sought.
struct Table {
    prints: Prints,
    groups: [Vec<Sought>; GROUPS],
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let mut prints = Prints::default();
    let groups = WORDS.map(|words| words.iter().filter_map(Word::sought).collect::<Vec<_>>());
    for (group, words) in groups.iter().enumerate() {
        let found = words.iter().filter_map(|word| word.text.get(word.print_at..)?.first_chunk());
        found.for_each(|print: &[u8; PRINT]| prints.add(1 << group, *print));
    }
    Table { prints, groups }
});

impl Word {
    fn sought(&self) -> Option<Sought> {
        let text = self.text.as_bytes();
        let print_at = memmem::find(text, self.print.as_bytes())?;
        Some(Sought { text, print_at, needs: self.needs })
    }
}

impl Table {
    /// The first of the words that has what it needs, as `is_met` says of a word that begins there.
    fn find(&self, bytes: &[u8], is_met: impl Fn(Needs, usize) -> bool) -> Option<usize> {
        let mut from = 0;
        loop {
            let Place { at, groups } = self.prints.find(bytes.get(from..)?)?;
            let at = from + at;
            from = at + 1;
            let all = self.groups.iter().enumerate();
            let near = all.filter(|(group, _)| groups & (1 << group) != 0);
            let found = near.flat_map(|(_, words)| words).find_map(|word| {
                let begin = word.begin(bytes, at)?;
                is_met(word.needs, begin).then_some(begin)
            });
            if found.is_some() {
                return found;
            }
        }
    }
}

impl Sought {
    /// Where the word begins whose print is at `at`, if it is the word.
    fn begin(&self, bytes: &[u8], at: usize) -> Option<usize> {
        let begin = at.checked_sub(self.print_at)?;
        bytes.get(begin..)?.starts_with(self.text).then_some(begin)
    }
}

impl Needs {
    /// Has the line what it must have? If it was broken, the name may be in the part before or
    /// behind, so that is `beside`, with the line in it.
    fn are_met(self, line: &[u8], beside: &[u8]) -> bool {
        match self {
            Self::Nothing => true,
            Self::Unit => has_unit(beside) || is_field(line),
            Self::Id => IDS.iter().any(|id| memmem::find(line, id.as_bytes()).is_some()),
        }
    }

    /// The same of the line around `at`. One that the stretch cuts off may have all it must.
    fn are_met_around(self, stretch: &[u8], at: usize) -> bool {
        if self == Self::Nothing {
            return true;
        }
        let (line, beside) = lines_around(stretch, at);
        line.is_none_or(|line| self.are_met(line, stretch.get(beside).unwrap_or_default()))
    }
}

/// Is it one field of an entry of several lines? The unit has its own line there. So is a value with
/// its length in front, which has a zero.
fn is_field(line: &[u8]) -> bool {
    line.trim_ascii_start().starts_with(b"\"")
        || memchr::memchr(0, line).is_some()
        || MESSAGE.find(line).is_some()
}

fn has_unit(text: &[u8]) -> bool {
    memchr::memchr_iter(b'.', text).any(|dot| {
        let rest = text.get(dot + 1..).unwrap_or_default();
        KINDS.iter().any(|kind| rest.starts_with(kind))
    })
}

/// The line in which `at` is, unless the stretch cuts it off or it is too long; and where it, the
/// one before and the one behind are, as far as they are near.
fn lines_around(stretch: &[u8], at: usize) -> (Option<&[u8]>, Range<usize>) {
    let low = at.saturating_sub(REACH_BYTES);
    let before = stretch.get(low..at).unwrap_or_default();
    let behind = stretch.get(at..).unwrap_or_default();
    let behind = behind.get(..REACH_BYTES).unwrap_or(behind);
    let mut begins = memchr::memrchr_iter(b'\n', before).map(|end| low + end + 1);
    let mut ends = memchr::memchr_iter(b'\n', behind).map(|end| at + end);
    let (begin, end) = (begins.next(), ends.next());
    let line = begin.zip(end).and_then(|(begin, end)| stretch.get(begin..end));
    let beside = begins.next().unwrap_or(low)..ends.next().unwrap_or(at + behind.len());
    (line, beside)
}

/// May this line tell something? Few lines that do not are let through; none that does is not.
pub fn is_relevant(line: &[u8]) -> bool {
    TABLE.find(line, |needs, _| needs.are_met(line, line)).is_some()
}

/// Where in a stretch of a log the first word is that stands in a line worth reading. What of a word
/// the ends of the stretch leave is seen by whoever looks at the seams. Reports of the kernel's OOM
/// killer are for another net.
pub fn mark(stretch: &[u8]) -> Option<usize> {
    TABLE.find(stretch, |needs, at| needs.are_met_around(stretch, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_seen_wherever_it_stands() {
        for word in WORDS.into_iter().flatten() {
            let id = IDS[0];
            let line = format!("x {} of web.service {id}\n", word.text);
            for before in (0..70).chain([5_000]) {
                let log = [vec![b'.'; before], b"\n".to_vec(), line.clone().into_bytes()].concat();
                assert_eq!(mark(&log), Some(before + 3), "{} {before}", word.text);
            }
            assert!(is_relevant(line.as_bytes()), "{}", word.text);
        }
        assert_eq!((mark(b""), mark(b"a\nb")), (None, None));
    }

    #[test]
    fn every_print_is_sought() {
        let all = WORDS.into_iter().flatten().count();
        assert_eq!(TABLE.groups.iter().flatten().count(), all);
        let prints = TABLE
            .groups
            .iter()
            .flatten()
            .all(|word| word.text.get(word.print_at..).is_some_and(|rest| rest.len() >= PRINT));
        assert!(prints);
    }

    #[test]
    fn what_programs_say_of_memory_is_worth_reading() {
        for words in crate::journal::program::WORDS {
            assert!(is_relevant(words.as_bytes()), "{words}");
        }
    }

    #[test]
    fn a_unit_is_asked_for_where_other_programs_say_the_same() {
        let read = |log: &[u8]| mark(log).is_some();
        assert!(!read(b"\nStarted Session 3 of user root.\nx\n"));
        assert!(!read(b"\nupstream timed out (110: Connection timed out)\nx\n"));
        assert!(read(b"\nStarted session-3.scope - Session 3 of User root.\n"));
        // Cut off, broken, in an entry of several lines.
        assert!(read(b"\nStarted Session 3"));
        assert!(read(b"Started Session 3\n"));
        assert!(read(b"\na.service: State 'stop-sigterm'\n timed out. Killing.\nx\n"));
        assert!(read(b"\nMESSAGE=Started A web server.\nUNIT=web.service\n"));
        assert!(read(b"\n    MESSAGE=Started A web server.\n"));
        assert!(read(b"\n\t\"MESSAGE\" : \"Started A web server.\",\n"));
        assert!(read(b"\nMESSAGE\n\x15\0\0\0\0\0\0\0Started A web server.\nx\n"));
    }

    #[test]
    fn ordinary_lines_are_passed_over() {
        assert!(!is_relevant(b"Nov 20 10:00:00 host sshd[77]: Accepted publickey for x from ::1"));
        assert!(!is_relevant(b"Started Session 3 of user root."));
        assert!(is_relevant(b"web.service: Main process exited, code=killed, status=9/KILL"));
        let id = |id: &str| is_relevant(format!("\"MESSAGE_ID\" : \"{id}\"").as_bytes());
        assert!(IDS.into_iter().all(id) && !id("7d4958e842da4a758f6c1cdc7b36dcc5"));
    }
}
