//! Opening the file: by whoever may read it, whatever stands beside it.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, OpenFlags};
use rustix::fs::{Access, access};

use crate::error::StoreError;
use crate::schema;

/// The pages that are kept in memory: 8 MiB (negative: KiB). Who reads has a question at a time,
/// and what answers it stands on a few hundred pages.
const CACHE_KIB: i64 = -8192;

/// Which file it is, whatever its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    /// Of the file that is at `path` now.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        fs::metadata(path).ok().map(|data| Self { device: data.dev(), inode: data.ino() })
    }
}

/// Whether the file is there and may be read: SQLite would say only that it cannot open it. It is not
/// opened for that: to close it would release the locks of all connections of this process.
pub(super) fn readable(path: &Path) -> Result<FileId, StoreError> {
    let found = fs::metadata(path).and_then(|data| {
        access(path, Access::READ_OK)?;
        Ok(data)
    });
    match found {
        Ok(data) => Ok(FileId { device: data.dev(), inode: data.ino() }),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
            Err(StoreError::Missing { path: path.to_owned() })
        }
        Err(cause) => Err(StoreError::Io { doing: "read", path: path.to_owned(), cause }),
    }
}

/// Opens the file; and what has to be said about how that was possible.
pub(super) fn connect(path: &Path) -> Result<(Connection, Option<String>), StoreError> {
    match connect_with(path, "mode=ro") {
        Ok(db) => Ok((db, None)),
        Err(cause) if is_refusal(&cause) => {
            let db = connect_with(path, "mode=ro&immutable=1");
            let db = db.map_err(StoreError::database(path, "open"))?;
            Ok((db, Some(unlocked_caveat(path))))
        }
        Err(cause) => Err(StoreError::database(path, "open")(cause)),
    }
}

fn connect_with(path: &Path, options: &str) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(uri(path, options), flags)?;
    schema::prepare(&db)?;
    db.pragma_update(None, "cache_size", CACHE_KIB)?;
    // The file and its lock are opened by the first reading only.
    schema::number(&db, "user_version")?;
    db.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    Ok(db)
}

/// Refuses what is not a history of this version. One of an older version is brought up to date
/// by the recorder, who may write; a reader may not.
pub(super) fn check(db: &Connection, path: &Path) -> Result<(), StoreError> {
    schema::check(db, path)?;
    let found = schema::number(db, "user_version").map_err(StoreError::database(path, "read"))?;
    if found < schema::READABLE_VERSION {
        let (path, known) = (path.to_owned(), schema::SCHEMA_VERSION);
        return Err(StoreError::Older { path, found, known });
    }
    Ok(())
}

/// The path as SQLite's URI: bytes that mean something there, or are not ASCII, as `%41`.
pub(crate) fn uri(path: &Path, options: &str) -> String {
    let escaped = path.as_os_str().as_bytes().iter().map(|byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => {
            char::from(*byte).to_string()
        }
        _ => format!("%{byte:02x}"),
    });
    format!("file:{}?{options}", escaped.collect::<String>())
}

/// The lock file or the log beside the database could not be opened or made.
fn is_refusal(cause: &rusqlite::Error) -> bool {
    matches!(
        cause.sqlite_error_code(),
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied)
    )
}

fn unlocked_caveat(path: &Path) -> String {
    match size_of(&wal_of(path)) {
        0 => format!(
            "{} was read without locks, for want of permission to write beside it: if a recorder \
             begins meanwhile, answers may be wrong",
            path.display()
        ),
        bytes => format!(
            "the newest records, {bytes} bytes in {}, could not be read, for want of permission \
             to write beside it: run this as the user who records, or as root, or on a copy of \
             both files in a directory of your own",
            wal_of(path).display()
        ),
    }
}

pub(super) fn wal_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

/// A file's size; nothing, if there is no such file.
pub(super) fn size_of(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |data| data.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_survive_as_uris() {
        let of = |path: &str| uri(Path::new(path), "mode=ro");
        assert_eq!(of("/var/lib/highwater.db"), "file:/var/lib/highwater.db?mode=ro");
        assert_eq!(of("/a b?c#d%é"), "file:/a%20b%3fc%23d%25%c3%a9?mode=ro");
    }
}
