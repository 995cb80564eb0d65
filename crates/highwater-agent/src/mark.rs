//! Which file the database is: by its inode, not its name.
//!
//! SQLite goes on writing into a file that somebody renamed, deleted or replaced, and nobody would
//! ever read that. So before each write it is asked whether the name still leads to the file.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
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
        fs::metadata(path).map(|found| Self { device: found.dev(), number: found.ino() })
    }
}

/// The files of an open database.
#[derive(Debug)]
pub(crate) struct Mark {
    path: PathBuf,
    database: Inode,
    log: Option<Inode>,
    index: Option<Inode>,
}

/// What is found at the database's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// The file itself.
    Same,
    /// Another file.
    Other,
    /// No file.
    Nothing,
}

impl Mark {
    /// Of the database that was just opened at `path`.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        let database = Inode::of(path)?;
        let mut mark = Self { path: path.to_owned(), database, log: None, index: None };
        mark.look_beside();
        Ok(mark)
    }

    /// Looks what the name leads to now. What cannot be told counts as the file itself: the next
    /// write will tell.
    pub(crate) fn look(&mut self) -> Found {
        match Inode::of(&self.path) {
            Ok(found) if found == self.database => {
                self.look_beside();
                Found::Same
            }
            Ok(_) => Found::Other,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Found::Nothing,
            Err(_) => Found::Same,
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
        fs::write(&path, "old").unwrap();
        let mut mark = Mark::of(&path).unwrap();
        fs::write(&path, "written anew in place").unwrap();
        assert_eq!(mark.look(), Found::Same);
        fs::rename(&path, dir.path().join("moved.db")).unwrap();
        assert_eq!(mark.look(), Found::Nothing);
        fs::write(&path, "new").unwrap();
        assert_eq!(mark.look(), Found::Other);
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
