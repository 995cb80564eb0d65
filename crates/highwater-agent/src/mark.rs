//! Which file the database is: by its inode, not its name.
//!
//! SQLite goes on writing into a file that somebody renamed, deleted or replaced, and nobody would
//! ever read that. So before each write it is asked whether the name still leads to the file, and
//! whether that still begins as a database and is as long as it says: somebody may write over it.

use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use highwater_core::time::WallTime;

/// A file for good: its device and inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Inode {
    device: u64,
    number: u64,
}

impl Inode {
    fn of(path: &Path) -> io::Result<Self> {
        fs::metadata(path).map(|found| Self::told(&found))
    }

    fn told(found: &Metadata) -> Self {
        Self { device: found.dev(), number: found.ino() }
    }
}

/// How every SQLite database begins (sqlite.org/fileformat.html, 1.3).
const MAGIC: &[u8] = b"SQLite format 3\0";

/// The size of a database's header.
const HEADER_BYTES: usize = 100;

/// Where the header says how large a page is, and how many there are; both big-endian.
const PAGE_SIZE_AT: usize = 16;
const PAGE_COUNT_AT: usize = 28;

/// The files of an open database.
#[derive(Debug)]
pub(crate) struct Mark {
    path: PathBuf,
    database: Inode,
    /// Stays open as long as the store is: closing any descriptor of a file gives up the locks that
    /// SQLite has on it.
    file: File,
    /// How large the file was after the last write.
    size: u64,
    log: Option<Inode>,
    index: Option<Inode>,
}

/// What is found at the database's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// The file itself.
    Same,
    /// The file itself, but somebody wrote over it or cut it short.
    Overwritten,
    /// Another file.
    Other,
    /// No file.
    Nothing,
}

impl Mark {
    /// Of the database that was just opened at `path`.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let found = file.metadata()?;
        let (database, size) = (Inode::told(&found), found.len());
        let path = path.to_owned();
        let mut mark = Self { path, database, file, size, log: None, index: None };
        mark.look_beside();
        Ok(mark)
    }

    /// The store wrote: the file may have grown or shrunk.
    pub(crate) fn wrote(&mut self) {
        self.size = self.file.metadata().map_or(self.size, |found| found.len());
    }

    /// Looks what the name leads to now. What cannot be told counts as the file itself: the next
    /// write will tell.
    pub(crate) fn look(&mut self) -> Found {
        match fs::metadata(&self.path) {
            Ok(found) if Inode::told(&found) == self.database => {
                self.look_beside();
                if self.is_overwritten(found.len()) { Found::Overwritten } else { Found::Same }
            }
            Ok(_) => Found::Other,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Found::Nothing,
            Err(_) => Found::Same,
        }
    }

    /// Whether the file, so large now, is no longer what the store made of it. A file that is
    /// shorter than it says is not enough: a checkpoint on a full disk leaves one, and its log has
    /// the rest. One that shrank is not enough either: others may vacuum it.
    fn is_overwritten(&self, size: u64) -> bool {
        let mut header = [0; HEADER_BYTES];
        match self.file.read_exact_at(&mut header, 0) {
            Ok(()) => {
                let is_cut = size < self.size && told_size(&header).is_some_and(|told| size < told);
                is_cut || !header.starts_with(MAGIC)
            }
            // What cannot be read for another reason is the next write's matter.
            Err(error) => error.kind() == io::ErrorKind::UnexpectedEof,
        }
    }

    /// Renames the database that was written over, and its log, before the store is closed: closing
    /// would write the log into whatever the file is now. The database's new name.
    pub(crate) fn set_aside(&self, now: WallTime) -> io::Result<PathBuf> {
        let stamp = now.to_string().replace(':', "");
        let aside = beside(&self.path, &format!(".damaged-{stamp}"));
        // The log first: one that met a new database could be taken for its own.
        let log = fs::rename(beside(&self.path, "-wal"), beside(&aside, "-wal"));
        match log {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => fs::rename(&self.path, &aside)?,
        }
        match fs::remove_file(beside(&self.path, "-shm")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(aside),
        }
    }

    /// Moves the log of the old database out of the way of the new one, which would take it for its
    /// own. To be called when the old one is closed. The log's new name, if it was there.
    pub(crate) fn part_from(&self, now: WallTime) -> io::Result<Option<PathBuf>> {
        let index = beside(&self.path, "-shm");
        if self.index.is_some() && Inode::of(&index).ok() == self.index {
            fs::remove_file(&index)?;
        }
        let log = beside(&self.path, "-wal");
        if self.log.is_none() || Inode::of(&log).ok() != self.log {
            return Ok(None);
        }
        let stamp = now.to_string().replace(':', "");
        let aside = beside(&self.path, &format!(".replaced-{stamp}-wal"));
        fs::rename(&log, &aside)?;
        Ok(Some(aside))
    }

    fn look_beside(&mut self) {
        self.log = Inode::of(&beside(&self.path, "-wal")).ok();
        self.index = Inode::of(&beside(&self.path, "-shm")).ok();
    }
}

/// How large the database is by its header. A page of 65,536 bytes is told as 1.
fn told_size(header: &[u8; HEADER_BYTES]) -> Option<u64> {
    let (_, page) = header.split_at_checked(PAGE_SIZE_AT)?;
    let (_, count) = header.split_at_checked(PAGE_COUNT_AT)?;
    let page = match u16::from_be_bytes(*page.first_chunk()?) {
        1 => 65_536,
        size => u64::from(size),
    };
    Some(u64::from(u32::from_be_bytes(*count.first_chunk()?)).saturating_mul(page))
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_told_from_another_of_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.db");
        assert!(Mark::of(&path).is_err());
        fs::write(&path, database(2)).unwrap();
        let mut mark = Mark::of(&path).unwrap();
        fs::write(&path, database(3)).unwrap();
        assert_eq!(mark.look(), Found::Same);
        fs::rename(&path, dir.path().join("moved.db")).unwrap();
        assert_eq!(mark.look(), Found::Nothing);
        fs::write(&path, "new").unwrap();
        assert_eq!(mark.look(), Found::Other);
    }

    /// A file with the header of so many pages of 512 bytes, and as long as that.
    fn database(pages: u8) -> Vec<u8> {
        let mut file = MAGIC.to_vec();
        file.resize(512 * usize::from(pages), 0);
        file[PAGE_SIZE_AT] = 2;
        file[PAGE_COUNT_AT + 3] = pages;
        file
    }

    #[test]
    fn a_file_that_was_written_over_or_cut_is_noticed_and_one_that_shrank_by_right_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.db");
        fs::write(&path, database(4)).unwrap();
        let mut mark = Mark::of(&path).unwrap();
        assert_eq!(told_size(database(4).first_chunk().unwrap()), Some(2048));
        for (bytes, found) in [
            (database(3), Found::Same),
            (database(4)[..1024].to_vec(), Found::Overwritten),
            (database(4), Found::Same),
            (b"hello\n".to_vec(), Found::Overwritten),
            (vec![], Found::Overwritten),
            (vec![0xff; 4096], Found::Overwritten),
        ] {
            fs::write(&path, &bytes).unwrap();
            assert_eq!(mark.look(), found, "{} bytes", bytes.len());
        }
        // Shorter than it says, as after a checkpoint on a full disk.
        fs::write(&path, &database(4)[..1024]).unwrap();
        mark.wrote();
        assert_eq!(mark.look(), Found::Same);
        fs::write(dir.path().join("x.db-wal"), "log").unwrap();
        let aside = mark.set_aside(WallTime::from_millis(0)).unwrap();
        assert!(aside.ends_with("x.db.damaged-1970-01-01T000000.000Z"), "{aside:?}");
        assert!(aside.exists() && beside(&aside, "-wal").exists() && !path.exists());
        assert_eq!(mark.look(), Found::Nothing);
    }

    #[test]
    fn only_the_log_of_the_old_file_is_moved() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.db");
        let (log, index) = (dir.path().join("x.db-wal"), dir.path().join("x.db-shm"));
        for file in [&path, &log, &index] {
            fs::write(file, "old").unwrap();
        }
        let mark = Mark::of(&path).unwrap();
        let aside = mark.part_from(WallTime::from_millis(0)).unwrap().unwrap();
        assert!(aside.ends_with("x.db.replaced-1970-01-01T000000.000Z-wal"), "{aside:?}");
        assert!(!log.exists() && !index.exists());
        // Whatever stands there now is not the old file's.
        fs::write(&log, "new").unwrap();
        fs::write(&index, "new").unwrap();
        assert_eq!(mark.part_from(WallTime::from_millis(1)).unwrap(), None);
        assert!(log.exists() && index.exists());
    }
}
