//! The notice beside the database: how the recorder is, for who looks at the files alone.
//!
//! It stands in the lock file, always in the same bytes of it, so that it can still be written when
//! the disk is full:
//!
//! ```text
//! highwater-agent 1           <- what this is, and of which version
//! state running               <- one fact a line; unknown ones are skipped
//! at 1714207632250
//! …                           <- line feeds up to 2048 bytes
//! ```

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use highwater_core::text::escape;
use highwater_core::time::{Stamp, WallTime};
use highwater_core::units::Bytes;

use crate::board::Board;

/// The file that one agent locks.
pub(crate) const LOCK_FILE: &str = "agent.lock";

/// Its size, for good.
const NOTICE_BYTES: usize = 2048;

const HEAD: &str = "highwater-agent 1";

/// The most of a reason that is told.
const WHY_CHARS: usize = 300;

/// How the recorder was when it last said so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// An agent holds the directory now.
    pub is_running: bool,
    /// When it said this.
    pub at: Option<WallTime>,
    /// Why its store does not take what it sees; escaped.
    pub trouble: Option<String>,
    /// Readings that wait in its memory.
    pub backlog: u64,
    /// How old the oldest of them is.
    pub backlog_age: Duration,
    /// Events that wait.
    pub events: u64,
    /// What the database and its log may take.
    pub budget: Option<Bytes>,
    /// Parts that are slowed down, because the agent used too much of a processor.
    pub slowed: Vec<String>,
    /// The agent keeps less, because it has too much memory.
    pub is_tight: bool,
}

impl Status {
    /// Reads what the agent of the directory `dir` left there; `None` if none ever ran there, or
    /// its notice may not be read.
    pub fn read(dir: &Path) -> Option<Self> {
        let file = File::open(dir.join(LOCK_FILE)).ok()?;
        let mut text = Vec::new();
        let most = u64::try_from(NOTICE_BYTES).unwrap_or(u64::MAX);
        (&file).take(most).read_to_end(&mut text).ok()?;
        let is_running = matches!(file.try_lock_shared(), Err(std::fs::TryLockError::WouldBlock));
        Some(Self { is_running, ..Self::parse(&text) })
    }

    fn parse(text: &[u8]) -> Self {
        let mut status = Self::default();
        let text = String::from_utf8_lossy(text);
        let mut lines = text.lines();
        if lines.next() != Some(HEAD) {
            return status;
        }
        for (name, value) in lines.filter_map(|line| line.split_once(' ')) {
            let number = value.parse::<u64>().unwrap_or_default();
            match name {
                "at" => status.at = value.parse().ok().map(WallTime::from_millis),
                // A file may have been changed by others since.
                "trouble" => status.trouble = Some(escape(value.as_bytes()).into_owned()),
                "backlog" => status.backlog = number,
                "backlog-age-s" => status.backlog_age = Duration::from_secs(number),
                "events" => status.events = number,
                "budget" => status.budget = Some(Bytes::new(number)),
                "slowed" => {
                    let parts = value.split_whitespace().map(|part| escape(part.as_bytes()));
                    status.slowed = parts.map(std::borrow::Cow::into_owned).collect();
                }
                "tight" => status.is_tight = number > 0,
                _ => {}
            }
        }
        status
    }
}

/// Where the agent leaves it.
#[derive(Debug)]
pub(crate) struct Notice {
    file: File,
}

impl Notice {
    /// In the file that is locked; takes its room on the disk at once.
    pub(crate) fn new(file: File) -> Self {
        let notice = Self { file };
        let _no_room_yet = notice.write(HEAD);
        notice
    }

    /// Leaves it how the recorder is at `now`. Where it cannot be written, the old one stays.
    pub(crate) fn leave(&self, state: &str, now: Stamp, board: &Board) {
        let _disk_is_ill = self.write(&text(state, now, board));
    }

    fn write(&self, text: &str) -> io::Result<()> {
        let mut bytes = text.as_bytes().to_vec();
        bytes.resize(NOTICE_BYTES, b'\n');
        self.file.write_all_at(&bytes, 0)
    }
}

fn text(state: &str, now: Stamp, board: &Board) -> String {
    let counts = board.counts();
    let count = |slot: &std::sync::atomic::AtomicU64| slot.load(Ordering::Relaxed);
    let mut text = format!(
        "{HEAD}\nstate {state}\nat {}\nbacklog {}\nbacklog-age-s {}\nevents {}\nbudget {}\ntight {}\n",
        now.wall.millis(),
        count(&counts.backlog),
        count(&counts.backlog_age_us) / 1_000_000,
        count(&counts.waiting_events),
        count(&counts.budget_bytes),
        count(&counts.tight),
    );
    let slowed: Vec<_> = board.slowed_parts().collect();
    if !slowed.is_empty() {
        text.extend(["slowed ", &slowed.join(" "), "\n"]);
    }
    if let Some(why) = board.trouble() {
        let why: String = escape(why.as_bytes()).chars().take(WHY_CHARS).collect();
        text.extend(["trouble ", &why, "\n"]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::thrift::Step;

    fn now() -> Stamp {
        Stamp { wall: WallTime::from_millis(1_714_207_632_250), ..Stamp::default() }
    }

    #[test]
    fn what_is_left_is_read_back_and_the_file_never_changes_its_size() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(LOCK_FILE);
        assert_eq!(Status::read(dir.path()), None);
        let file = File::create(&path).unwrap();
        let lock = file.try_clone().unwrap();
        lock.try_lock().unwrap();
        let notice = Notice::new(file);
        let board = Board::default();
        board.set_trouble(Some("disk\nfull ".repeat(200)));
        board.set_step(Step::CloseUps);
        board.counts().backlog.store(12, Ordering::Relaxed);
        board.counts().backlog_age_us.store(61_500_000, Ordering::Relaxed);
        board.counts().budget_bytes.store(1 << 31, Ordering::Relaxed);
        notice.leave("running", now(), &board);
        let status = Status::read(dir.path()).unwrap();
        assert!(status.is_running);
        assert_eq!((status.at, status.backlog), (Some(now().wall), 12));
        assert_eq!(status.backlog_age, Duration::from_secs(61));
        assert_eq!(status.budget, Some(Bytes::new(1 << 31)));
        assert_eq!(status.slowed, ["survey", "close-ups"]);
        assert!(status.trouble.unwrap().starts_with("disk"));
        board.set_trouble(None);
        notice.leave("stopped", now(), &board);
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 2048);
        assert_eq!(Status::read(dir.path()).unwrap().trouble, None);
        drop((notice, lock));
        assert!(!Status::read(dir.path()).unwrap().is_running);
    }

    #[test]
    fn garbage_tells_nothing() {
        for text in
            [&b""[..], b"\xff\xfe", b"highwater-agent 9\nat 7\n", b"highwater-agent 1\nat\nat x\n"]
        {
            assert_eq!(Status::parse(text), Status::default());
        }
        let hostile = Status::parse(b"highwater-agent 1\ntrouble \x1b[2J\nbacklog -1\n");
        assert_eq!(hostile.trouble.as_deref(), Some(r"\x1b[2J"));
        assert_eq!(hostile.backlog, 0);
    }
}
