//! The tables, their version, and how the file is opened.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use highwater_core::units::Bytes;
use rusqlite::{Connection, OpenFlags};

use crate::error::StoreError;
use crate::migrate::migrate;

/// The history's file in the data directory.
pub const FILE_NAME: &str = "highwater.db";

/// The version of the tables and blobs (`PRAGMA user_version`).
pub const SCHEMA_VERSION: i64 = 4;

/// The earliest version that is read as it stands.
pub(crate) const READABLE_VERSION: i64 = 2;

/// `PRAGMA application_id`: `hwtr` in ASCII, by which `file` and we know our own.
const APPLICATION_ID: i64 = 0x6877_7472;

/// How long to wait for another connection's lock. Writers hold it for milliseconds; the longest
/// wait is for a checkpoint on a slow disk.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Prepared statements kept: all of them, with room.
const STATEMENTS: usize = 64;

/// Settings of every connection. The page cache is 1 MiB, because the agent promises to stay
/// below 20 MiB; a tick touches a dozen pages. No mmap: an I/O error on a mapped page is a signal
/// instead of an error.
const EVERY: &str = "
    PRAGMA cache_size = -1024;
    PRAGMA mmap_size = 0;
    PRAGMA temp_store = MEMORY;
";

/// The most pages of the log before a checkpoint: 2 MiB, about five minutes of a large machine.
const MOST_LOG_PAGES: i64 = 512;

/// The least: two ticks of a large machine.
const LEAST_LOG_PAGES: i64 = 32;

/// Settings of the writer; the bounds of the log are those of a large budget.
const WRITER: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    PRAGMA wal_autocheckpoint = 512;
    PRAGMA journal_size_limit = 4194304;
    PRAGMA foreign_keys = OFF;
";

pub(crate) const TABLES: &str = include_str!("schema.sql");

/// The history's file in `dir`.
pub(crate) fn file_in(dir: &Path) -> PathBuf {
    dir.join(FILE_NAME)
}

/// Opens the history in `dir` for writing; makes it if it is not there.
pub(crate) fn open_writer(dir: &Path) -> Result<Connection, StoreError> {
    fs::create_dir_all(dir).map_err(|cause| StoreError::Io {
        doing: "make",
        path: dir.to_owned(),
        cause,
    })?;
    let path = file_in(dir);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let failed = || StoreError::database(&path, "open");
    let db = Connection::open_with_flags(&path, flags).map_err(failed())?;
    prepare(&db).map_err(failed())?;
    let fresh = is_fresh(&db).map_err(failed())?;
    if fresh {
        // Only an empty file takes this setting, and switching to WAL fills the first page.
        db.pragma_update(None, "auto_vacuum", "INCREMENTAL").map_err(failed())?;
    } else {
        check(&db, &path)?;
    }
    db.execute_batch(WRITER).map_err(failed())?;
    if fresh {
        make_tables(&db).map_err(StoreError::database(&path, "make the tables of"))?;
    }
    let found = number(&db, "user_version").map_err(failed())?;
    if found < SCHEMA_VERSION {
        migrate(&db, found).map_err(StoreError::database(&path, "bring up to date"))?;
    }
    Ok(db)
}

/// What every connection is set to.
pub(crate) fn prepare(db: &Connection) -> rusqlite::Result<()> {
    db.busy_timeout(BUSY_TIMEOUT)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    db.execute_batch(EVERY)
}

/// Nothing was ever stored here.
fn is_fresh(db: &Connection) -> rusqlite::Result<bool> {
    let tables: i64 = db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(tables == 0 && number(db, "application_id")? == 0)
}

/// Refuses another program's database, and one of a newer version.
pub(crate) fn check(db: &Connection, path: &Path) -> Result<(), StoreError> {
    let failed = || StoreError::database(path, "read");
    if is_fresh(db).map_err(failed())? {
        return Err(StoreError::Empty { path: path.to_owned() });
    }
    if number(db, "application_id").map_err(failed())? != APPLICATION_ID {
        return Err(StoreError::Foreign { path: path.to_owned() });
    }
    let found = number(db, "user_version").map_err(failed())?;
    if found > SCHEMA_VERSION {
        let (path, known) = (path.to_owned(), SCHEMA_VERSION);
        return Err(StoreError::Newer { path, found, known });
    }
    Ok(())
}

/// All tables and both marks in one transaction: a crash leaves an empty file or a whole one.
fn make_tables(db: &Connection) -> rusqlite::Result<()> {
    let all = db.unchecked_transaction()?;
    all.execute_batch(TABLES)?;
    all.pragma_update(None, "application_id", APPLICATION_ID)?;
    all.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    all.commit()
}

/// Moves what a crash left in the log into the file, as far as readers let it; and a new
/// history's tables, so that the file by itself is always one that can be recognised.
pub(crate) fn checkpoint(db: &Connection) -> rusqlite::Result<()> {
    db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
}

/// The longest that the log gets unless a reader is in the way.
pub(crate) fn longest_log(budget: Bytes) -> Bytes {
    Bytes::new(unsigned(log_pages(budget).saturating_mul(2 * 4096)))
}

/// The log may take a sixteenth of a small budget.
fn log_pages(budget: Bytes) -> i64 {
    signed(budget.get() / 16 / 4096).clamp(LEAST_LOG_PAGES, MOST_LOG_PAGES)
}

/// Bounds the log: it is moved into the file at so many pages at the latest, and cut back to twice
/// as many after a reader or a large transaction let it grow.
pub(crate) fn bound_log(db: &Connection, budget: Bytes) -> rusqlite::Result<()> {
    let pages = log_pages(budget);
    db.query_row(&format!("PRAGMA wal_autocheckpoint = {pages}"), [], |_| Ok(()))?;
    let limit = pages.saturating_mul(2 * 4096);
    db.query_row(&format!("PRAGMA journal_size_limit = {limit}"), [], |_| Ok(()))
}

/// Moves the log into the file and empties it, where no reader is in the way.
pub(crate) fn truncate_log(db: &Connection) -> rusqlite::Result<()> {
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}

/// The log beside a database.
pub(crate) fn wal_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

/// A pragma that answers with one number.
pub(crate) fn number(db: &Connection, pragma: &str) -> rusqlite::Result<i64> {
    db.pragma_query_value(None, pragma, |row| row.get(0))
}

/// A count as SQLite holds it: signed. No clock or sequence number gets near the bound.
pub(crate) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A count from SQLite; a negative one was never written by us and reads as zero.
pub(crate) fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}
