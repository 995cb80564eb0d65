//! Following the audit log as it grows, is renamed and begun anew.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use highwater_core::text::escape;
use highwater_core::time::WallTime;

use super::Records;
use super::record::Record;
use crate::told::{Absent, Told};

/// How much is read at once: some thousand records, a few milliseconds' work.
const CHUNK_BYTES: usize = 256 << 10;

/// How far back is looked for what came while nobody followed: the log is renamed at 8 MiB unless
/// told otherwise (`max_log_file`).
const LOOK_BACK_BYTES: u64 = 8 << 20;

/// The longest line that is kept while its end is not there: twice a record's most.
const LINE_BYTES: usize = 16 << 10;

/// Two records are not out of order by more than this.
const SET_BACK_MS: i64 = 1_000;

/// How far reading has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// There is more: read again soon.
    More,
    /// Everything that is there was read.
    End,
}

/// Reads the audit log as it grows. Asks nobody to wake it: it is to be polled.
#[derive(Debug)]
pub struct Follower {
    path: PathBuf,
    /// Those still to be read before the current one.
    older: VecDeque<Open>,
    current: Option<Open>,
    /// Where the last line that is told of was, by its stamp.
    cursor: Option<WallTime>,
    /// Records before this were told before.
    since: Option<WallTime>,
    records: Records,
    line: Vec<u8>,
    /// The line is too long, and what comes up to its end is left out.
    is_overlong: bool,
    chunk: Vec<u8>,
}

#[derive(Debug)]
struct Open {
    file: File,
    inode: (u64, u64),
    offset: u64,
    /// The first line begins somewhere before.
    is_cut: bool,
}

impl Follower {
    /// Follows the log at `path`, [`super::LOG`] as a rule. With `since`, the cursor of the one before
    /// it, what was written in between is read first, as far as it is there; without, only what is
    /// written from now on.
    pub fn open(path: impl Into<PathBuf>, since: Option<WallTime>) -> Result<Self, Absent> {
        let path = path.into();
        let mut current = Open::at(&path).map_err(|error| absent(&path, &error))?;
        let mut older = VecDeque::new();
        match since {
            Some(_) => {
                current.look_back().map_err(|error| absent(&path, &error))?;
                // What was renamed meanwhile is next to it.
                let renamed = Open::at(&renamed(&path)).and_then(|mut old| {
                    old.look_back()?;
                    Ok(old)
                });
                older.extend(renamed);
            }
            None => current.offset = current.file.metadata().map_or(0, |file| file.len()),
        }
        let source = escape(path.as_os_str().as_encoded_bytes()).into_owned();
        Ok(Self {
            path,
            older,
            current: Some(current),
            cursor: since,
            since,
            records: Records::of(source),
            line: Vec::new(),
            is_overlong: false,
            chunk: vec![0; CHUNK_BYTES],
        })
    }

    /// Reads on, a bounded piece; `each` is given what is told.
    pub fn poll(&mut self, each: &mut dyn FnMut(Told)) -> Result<Progress, Absent> {
        let reading = self.older.front_mut().or(self.current.as_mut());
        let read = match reading {
            Some(open) => open.read(&mut self.chunk).map_err(|error| absent(&self.path, &error))?,
            None => 0,
        };
        if read > 0 {
            let is_cut = self.older.front_mut().or(self.current.as_mut());
            let is_cut = is_cut.is_some_and(|open| std::mem::take(&mut open.is_cut));
            self.is_overlong |= is_cut;
            let chunk = std::mem::take(&mut self.chunk);
            self.take(chunk.get(..read).unwrap_or_default(), each);
            self.chunk = chunk;
            return Ok(Progress::More);
        }
        if self.older.pop_front().is_some() {
            self.forget_line();
            return Ok(Progress::More);
        }
        if self.turn() {
            return Ok(Progress::More);
        }
        self.records.rest(each);
        Ok(Progress::End)
    }

    /// Where the next follower goes on: the stamp of the last record read, or of the first one whose
    /// event is not told yet. Everything from this stamp on is told again, and known by its key.
    pub fn cursor(&self) -> Option<WallTime> {
        match self.records.waits_since() {
            Some(waits) => self.cursor.map(|cursor| cursor.min(waits)),
            None => self.cursor,
        }
    }

    /// How much memory the line that is being read takes.
    #[cfg(test)]
    pub(super) fn room(&self) -> usize {
        self.line.capacity()
    }

    fn take(&mut self, chunk: &[u8], each: &mut dyn FnMut(Told)) {
        for piece in chunk.split_inclusive(|byte| *byte == b'\n') {
            let is_whole = piece.ends_with(b"\n");
            if self.line.len() + piece.len() > LINE_BYTES {
                self.is_overlong = true;
                self.line.clear();
            }
            if !self.is_overlong {
                self.line.extend_from_slice(piece);
            }
            if is_whole {
                self.end_line(each);
            }
        }
    }

    fn end_line(&mut self, each: &mut dyn FnMut(Told)) {
        if let Some(record) = Record::parse(&self.line) {
            let wall = record.stamp.wall;
            self.cursor = newest(self.cursor, wall);
            if self.since.is_none() || wall >= self.since {
                self.records.push(&self.line, each);
            }
        }
        self.forget_line();
    }

    fn forget_line(&mut self) {
        self.line.clear();
        self.is_overlong = false;
    }

    /// At the end of the current file: whether there is another in its place, or it was emptied.
    fn turn(&mut self) -> bool {
        let Ok(there) = std::fs::metadata(&self.path) else { return false };
        let inode = (there.dev(), there.ino());
        match &mut self.current {
            Some(open) if open.inode == inode => {
                if there.len() >= open.offset {
                    return false;
                }
                open.offset = 0;
            }
            current => match Open::at(&self.path) {
                Ok(open) => *current = Some(open),
                Err(_) => return false,
            },
        }
        self.forget_line();
        true
    }
}

impl Open {
    fn at(path: &Path) -> io::Result<Self> {
        // A pipe in its place would keep the reader waiting.
        if !std::fs::metadata(path)?.is_file() {
            return Err(io::Error::other("it is not a file"));
        }
        let file = File::open(path)?;
        let meta = file.metadata()?;
        Ok(Self { file, inode: (meta.dev(), meta.ino()), offset: 0, is_cut: false })
    }

    fn look_back(&mut self) -> io::Result<()> {
        self.offset = self.file.metadata()?.len().saturating_sub(LOOK_BACK_BYTES);
        self.is_cut = self.offset > 0;
        Ok(())
    }

    fn read(&mut self, chunk: &mut [u8]) -> io::Result<usize> {
        self.file.seek(SeekFrom::Start(self.offset))?;
        let read = loop {
            match self.file.read(chunk) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => break done?,
            }
        };
        self.offset = self.offset.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
        Ok(read)
    }
}

/// Records of processors that write at once may be a little out of order; a stamp that is much
/// earlier than the last one is of a clock that was set back, and then that is what holds.
fn newest(before: Option<WallTime>, stamp: Option<WallTime>) -> Option<WallTime> {
    match (before, stamp) {
        (Some(before), Some(stamp)) if stamp.millis() < before.millis() - SET_BACK_MS => {
            Some(stamp)
        }
        (before, stamp) => before.max(stamp),
    }
}

/// The name that auditd gives the log before it begins another.
fn renamed(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".1");
    name.into()
}

fn absent(path: &Path, error: &io::Error) -> Absent {
    let path = escape(path.as_os_str().as_encoded_bytes());
    match error.kind() {
        io::ErrorKind::NotFound => Absent::because(format!(
            "{path} is not there: no audit daemon runs, or it writes elsewhere"
        )),
        io::ErrorKind::PermissionDenied => {
            Absent::because(format!("{path} cannot be read: needs root or CAP_DAC_READ_SEARCH"))
        }
        _ => Absent::because(format!("{path} cannot be read: {error}")),
    }
}
