//! The cheap look: may a line, as it stands in a log, tell of an end or a start?
//!
//! Text, JSON and the journal's export form have the same words: systemd speaks no other language,
//! and of every line that is read here one of these words stands in it.

use std::sync::LazyLock;

use highwater_core::line::{Net, Seen};
use memchr::memmem::Finder;

/// Words of which every line that tells something has at least one.
const WORDS: [&str; 35] = [
    // systemd.
    "process exited",
    "ith result '",
    "activated successfully",
    ": Succeeded.",
    "OOM killer",
    "omd killed ",
    "atchdog timeout",
    " timed out",
    "runtime time limit",
    " with signal SIG",
    "Sent signal ",
    "cheduled restart",
    "scheduling restart",
    "repeated too quickly",
    "entered failed state",
    "Started ",
    "Stopping ",
    "Stopped ",
    // Core dumps.
    "dumped core",
    "terminated abnormally",
    // Those who run containers.
    "to exit within",
    "shim disconnected",
    "TaskOOM event",
    "TaskExit event",
    "exit event",
    "topic=/tasks/",
    "Killing container",
    "viction manager",
    "Message for Container",
    // The kernel, of what a program did wrong.
    "segfault at",
    "general protection",
    "traps: ",
    " trap ",
    "fatal signal",
    "vm_enough_memory",
];

/// So much is looked at before an answer is given: it stays in the processor's nearest cache while
/// word after word is sought.
const PIECE_BYTES: usize = 8 << 10;

static FINDERS: LazyLock<Vec<Finder<'static>>> =
    LazyLock::new(|| WORDS.iter().map(Finder::new).collect());

/// What a source of lines may leave out that is read for ends and starts alone. Reports of the
/// kernel's OOM killer are for another net.
pub const NET: Net = Net { sweep, is_relevant };

/// May this line tell something? Few lines that do not are let through; none that does is not.
pub fn is_relevant(line: &[u8]) -> bool {
    FINDERS.iter().any(|finder| finder.find(line).is_some())
}

/// How many lines end in a stretch of a log, and where the first of the words is. What of a word the
/// ends of the stretch leave is seen by whoever looks at the seams.
fn sweep(stretch: &[u8]) -> Seen {
    let ends = u64::try_from(memchr::memchr_iter(b'\n', stretch).count()).unwrap_or(u64::MAX);
    let longest = WORDS.iter().map(|word| word.len()).max().unwrap_or_default();
    let mark = (0..stretch.len()).step_by(PIECE_BYTES).find_map(|from| {
        let end = from.saturating_add(PIECE_BYTES + longest).min(stretch.len());
        first(stretch.get(from..end)?).map(|at| from + at)
    });
    Seen { ends, mark }
}

/// Where the first of the words is.
fn first(piece: &[u8]) -> Option<usize> {
    FINDERS.iter().fold(None, |first: Option<usize>, finder| {
        let end = first.map_or(piece.len(), |at| at.saturating_add(finder.needle().len()));
        let near = piece.get(..end.min(piece.len())).unwrap_or(piece);
        finder.find(near).into_iter().chain(first).min()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_seen_wherever_it_stands() {
        for before in (0..40).chain(PIECE_BYTES - 40..PIECE_BYTES + 3) {
            let log = [vec![b'.'; before], b"\nx dumped core y\nz Started q\n".to_vec()].concat();
            assert_eq!(sweep(&log), Seen { ends: 3, mark: Some(before + 3) });
        }
        assert_eq!(sweep(b""), Seen::default());
        assert_eq!(sweep(b"a\nb"), Seen { ends: 1, mark: None });
    }

    #[test]
    fn ordinary_lines_are_passed_over() {
        assert!(!is_relevant(b"Nov 20 10:00:00 host sshd[77]: Accepted publickey for x from ::1"));
        assert!(is_relevant(b"web.service: Main process exited, code=killed, status=9/KILL"));
    }
}
