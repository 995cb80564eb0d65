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

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

use highwater_core::text::escape;
use highwater_core::time::{Stamp, WallTime};
use highwater_core::units::Bytes;
use highwater_store::Keep;

use crate::board::Board;
use crate::recorder::Terms;

/// The file that one agent locks.
pub(crate) const LOCK_FILE: &str = "agent.lock";

/// Its size, for good.
const NOTICE_BYTES: usize = 2048;

const HEAD: &str = "highwater-agent 1";

/// The most of a reason that is told.
const WHY_CHARS: usize = 300;

/// A longer path of the configuration is left out: the notice has its size.
const PATH_BYTES: usize = 512;

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
    /// All the limits that it keeps to: what its configuration says, and the floor of free space
    /// as it is for the size of this file system. `None` where not all of them are told.
    pub keep: Option<Keep>,
    /// The file that its configuration is from; `None` where it goes by the defaults alone.
    pub config: Option<PathBuf>,
    /// Parts that are slowed down, because the agent used too much of a processor.
    pub slowed: Vec<String>,
    /// The agent keeps less, because it has too much memory.
    pub is_tight: bool,
    /// When it last judged what grows.
    pub growth: Option<WallTime>,
    /// Until when what it then recorded of growths is all there is.
    pub growth_until: Option<WallTime>,
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

    /// What an agent that is gone could not write any more, in a sentence; `None` if nothing. To be
    /// asked before the next one leaves its own notice.
    pub(crate) fn unwritten(&self) -> Option<String> {
        if self.backlog == 0 && self.events == 0 {
            return None;
        }
        let waited = waiting(self.backlog, self.events);
        let at = self.at.map(|at| format!(" at {at}")).unwrap_or_default();
        let why = self.trouble.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        Some(format!(
            "{waited} of the recorder before this one were not written, when it last \
             told{at}{why}"
        ))
    }

    fn parse(text: &[u8]) -> Self {
        let mut status = Self::default();
        let text = String::from_utf8_lossy(text);
        let mut lines = text.lines();
        if lines.next() != Some(HEAD) {
            return status;
        }
        let mut limits = Limits::default();
        for (name, value) in lines.filter_map(|line| line.split_once(' ')) {
            let number = value.parse::<u64>().unwrap_or_default();
            match name {
                "at" => status.at = value.parse().ok().map(WallTime::from_millis),
                // A file may have been changed by others since.
                "trouble" => status.trouble = Some(escape(value.as_bytes()).into_owned()),
                "backlog" => status.backlog = number,
                "backlog-age-s" => status.backlog_age = Duration::from_secs(number),
                "events" => status.events = number,
                "budget" => status.budget = value.parse().ok().map(Bytes::new),
                "config" => status.config = Some(PathBuf::from(value)),
                "slowed" => {
                    let parts = value.split_whitespace().map(|part| escape(part.as_bytes()));
                    status.slowed = parts.map(std::borrow::Cow::into_owned).collect();
                }
                "tight" => status.is_tight = number > 0,
                "growth-at" => status.growth = value.parse().ok().map(WallTime::from_millis),
                "growth-until" => {
                    status.growth_until = value.parse().ok().map(WallTime::from_millis);
                }
                _ => limits.take(name, value),
            }
        }
        status.keep = status.budget.and_then(|budget| limits.with(budget));
        status
    }
}

/// What waits for the store, in words.
pub fn waiting(readings: u64, events: u64) -> String {
    let many = |count: u64, what: &str| match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    };
    format!("{} and {}", many(readings, "reading"), many(events, "event"))
}

/// The limits as far as they are read.
#[derive(Debug, Default)]
struct Limits {
    raw: Option<Duration>,
    minute: Option<Duration>,
    ten_minutes: Option<Duration>,
    free_floor: Option<Bytes>,
}

impl Limits {
    fn take(&mut self, name: &str, value: &str) {
        let Ok(number) = value.parse::<u64>() else { return };
        match name {
            "keep-ms" => self.raw = Some(Duration::from_millis(number)),
            "keep-minutes-ms" => self.minute = Some(Duration::from_millis(number)),
            "keep-ten-minutes-ms" => self.ten_minutes = Some(Duration::from_millis(number)),
            "free-floor" => self.free_floor = Some(Bytes::new(number)),
            _ => {}
        }
    }

    /// All of them, or nothing: half of the limits are none to go by.
    fn with(&self, budget: Bytes) -> Option<Keep> {
        let (raw, minute, ten_minutes) = (self.raw?, self.minute?, self.ten_minutes?);
        Some(Keep { raw, minute, ten_minutes, budget, free_floor: self.free_floor? })
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

    /// Leaves it how the recorder is at `now`, and what it goes by. Where it cannot be written, the
    /// old one stays.
    pub(crate) fn leave(&self, state: &str, now: Stamp, board: &Board, terms: &Terms) {
        let _disk_is_ill = self.write(&text(state, now, board, terms));
    }

    fn write(&self, text: &str) -> io::Result<()> {
        let mut bytes = text.as_bytes().to_vec();
        bytes.resize(NOTICE_BYTES, b'\n');
        self.file.write_all_at(&bytes, 0)
    }
}

fn text(state: &str, now: Stamp, board: &Board, terms: &Terms) -> String {
    let counts = board.counts();
    let count = |slot: &std::sync::atomic::AtomicU64| slot.load(Ordering::Relaxed);
    let mut text = format!(
        "{HEAD}\nstate {state}\nat {}\nbacklog {}\nbacklog-age-s {}\nevents {}\ntight {}\n",
        now.wall.millis(),
        count(&counts.backlog),
        count(&counts.backlog_age_us) / 1_000_000,
        count(&counts.waiting_events),
        count(&counts.tight),
    );
    add_limits(&mut text, &terms.keep);
    if let Some(path) = terms.config.as_deref().and_then(one_line) {
        text.extend(["config ", path, "\n"]);
    }
    if count(&counts.growth_at_ms) > 0 {
        // Writing to a String cannot fail.
        let (at, until) = (count(&counts.growth_at_ms), count(&counts.growth_until_ms));
        writeln!(text, "growth-at {at}\ngrowth-until {until}").unwrap_or_default();
    }
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

fn add_limits(text: &mut String, keep: &Keep) {
    let ms = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    for (name, number) in [
        ("budget", keep.budget.get()),
        ("free-floor", keep.free_floor.get()),
        ("keep-ms", ms(keep.raw)),
        ("keep-minutes-ms", ms(keep.minute)),
        ("keep-ten-minutes-ms", ms(keep.ten_minutes)),
    ] {
        // Writing to a String cannot fail.
        writeln!(text, "{name} {number}").unwrap_or_default();
    }
}

/// A path that a line can hold as it is.
fn one_line(path: &Path) -> Option<&str> {
    let text = path.to_str()?;
    (text.len() <= PATH_BYTES && escape(text.as_bytes()) == text).then_some(text)
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
        let mut terms = crate::plan::terms(&crate::config::Config::default(), dir.path());
        terms.config = Some(PathBuf::from("/etc/highwater/config.toml"));
        notice.leave("running", now(), &board, &terms);
        let status = Status::read(dir.path()).unwrap();
        assert!(status.is_running);
        assert_eq!((status.at, status.backlog), (Some(now().wall), 12));
        assert_eq!(status.backlog_age, Duration::from_secs(61));
        assert_eq!(status.budget, Some(Bytes::new(1 << 31)));
        assert_eq!((status.keep, &status.config), (Some(terms.keep), &terms.config));
        assert_eq!(status.slowed, ["survey", "close-ups"]);
        assert!(status.trouble.as_ref().unwrap().starts_with("disk"));
        let unwritten = status.unwritten().unwrap();
        assert!(unwritten.starts_with("12 readings and 0 events of the recorder before this one"));
        assert!(unwritten.contains("at 2024-04-27T08:47:12.250Z: disk"), "{unwritten}");
        board.set_trouble(None);
        board.counts().backlog.store(0, Ordering::Relaxed);
        assert_eq!(Status::default().unwritten(), None);
        terms.config = Some(PathBuf::from("/two\nlines"));
        notice.leave("stopped", now(), &board, &terms);
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 2048);
        let status = Status::read(dir.path()).unwrap();
        assert_eq!((status.trouble, status.config), (None, None));
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
        let half = Status::parse(b"highwater-agent 1\nbudget 7\nkeep-ms 9\nkeep-minutes-ms x\n");
        assert_eq!((half.budget, half.keep), (Some(Bytes::new(7)), None));
        let hostile = Status::parse(b"highwater-agent 1\ntrouble \x1b[2J\nbacklog -1\n");
        assert_eq!(hostile.trouble.as_deref(), Some(r"\x1b[2J"));
        assert_eq!(hostile.backlog, 0);
    }
}
