//! Which file this process writes its history into.
//!
//! Of all connections that a process has to a file, SQLite keeps one index of the log. Where somebody
//! puts another file in the place of the one that is recorded into, a reader that is quick opens that
//! file beside the log of the old one, and makes the index of it. A recorder that opens it next goes on
//! by that index, and what it writes is in no log that anybody else can read. So nobody in the process
//! opens a file of this name but the one that is written, until the recorder has parted from it.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::StoreError;
use crate::reader::FileId;

/// SQLite's index is the process's, and so is this: the path and the file of each that is written.
static HELD: Mutex<Vec<(PathBuf, Option<FileId>)>> = Mutex::new(Vec::new());

/// That this process writes a file. Dropped, anybody may open what is at its path.
#[derive(Debug)]
pub struct Pen {
    path: PathBuf,
    file: Option<FileId>,
}

impl Pen {
    /// Opens the file at `path` for writing.
    pub(crate) fn take<T>(
        path: &Path,
        open: impl FnOnce() -> Result<T, StoreError>,
    ) -> Result<(Self, T), StoreError> {
        let mut held = held();
        let opened = open()?;
        let file = FileId::of(path);
        held.push((path.to_owned(), file));
        Ok((Self { path: path.to_owned(), file }, opened))
    }
}

impl Drop for Pen {
    fn drop(&mut self) {
        let mut held = held();
        let mine = |(path, file): &(PathBuf, _)| *path == self.path && *file == self.file;
        if let Some(at) = held.iter().position(mine) {
            held.swap_remove(at);
        }
    }
}

/// Opens the file at `path` for reading, unless this process writes another one of that name.
pub(crate) fn beside<T>(
    path: &Path,
    open: impl FnOnce() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let held = held();
    let written: Vec<_> = held.iter().filter(|(of, _)| of == path).map(|(_, file)| *file).collect();
    if written.is_empty() {
        drop(held);
        return open();
    }
    let is_other = || {
        let found = FileId::of(path);
        written.iter().any(|file| *file != found)
    };
    let replaced = || StoreError::Replaced { path: path.to_owned() };
    if is_other() {
        return Err(replaced());
    }
    // What was opened meanwhile is closed before anybody writes there.
    let opened = open()?;
    if is_other() { Err(replaced()) } else { Ok(opened) }
}

fn held() -> MutexGuard<'static, Vec<(PathBuf, Option<FileId>)>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::schema::FILE_NAME;
    use crate::{Reader, Store};

    #[test]
    fn another_file_in_the_place_of_the_written_one_is_opened_when_the_writer_has_parted_from_it() {
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        drop(Store::open(other.path()).unwrap());
        let store = Store::open(dir.path()).unwrap();
        assert!(Reader::open(dir.path()).is_ok());
        fs::rename(other.path().join(FILE_NAME), dir.path().join(FILE_NAME)).unwrap();
        let refused = Reader::open(dir.path()).unwrap_err();
        assert!(matches!(refused, StoreError::Replaced { .. }), "{refused}");
        let pen = store.part();
        assert!(Reader::open(dir.path()).is_err());
        let anew = Store::open(dir.path()).unwrap();
        drop(pen);
        assert!(Reader::open(dir.path()).is_ok());
        drop(anew);
        assert!(Reader::open(dir.path()).is_ok());
    }
}
