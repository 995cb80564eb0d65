//! The reader: opens the history without changing it, beside a running agent or after its end.

use std::cell::{Cell, RefCell};
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use highwater_core::time::{BootId, BootTime, WallTime};
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension};

use crate::error::StoreError;
use crate::event::{self, Cursor, EventFilter, StoredEvent};
use crate::schema;

/// The history, open for reading.
#[derive(Debug)]
pub struct Reader {
    pub(crate) db: Connection,
    path: PathBuf,
    opened: Option<String>,
    /// Ticks that could not be read, and what was wrong with the last of them.
    pub(crate) damaged: RefCell<Damaged>,
    strange_events: Cell<usize>,
}

/// Ticks that could not be read.
#[derive(Debug, Default)]
pub(crate) struct Damaged {
    pub(crate) ticks: usize,
    pub(crate) last: Option<(WallTime, crate::tick::Damage)>,
}

/// The newest tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastTick {
    /// When, by the wall clock.
    pub wall: WallTime,
    /// When, by the boot clock.
    pub boot: BootTime,
    /// In which boot.
    pub boot_id: BootId,
}

/// A boot of the machine that the recorder saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Boot {
    /// Which.
    pub id: BootId,
    /// The first moment on record.
    pub first: WallTime,
}

/// How much there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// The file.
    pub path: PathBuf,
    /// Its size in bytes.
    pub database_bytes: u64,
    /// The size of the write-ahead log beside it.
    pub wal_bytes: u64,
    /// Ticks.
    pub ticks: u64,
    /// Machine, zones, cgroups and processes that have been seen.
    pub entities: u64,
    /// Events.
    pub events: u64,
    /// The oldest tick.
    pub oldest: Option<WallTime>,
    /// The newest tick.
    pub newest: Option<WallTime>,
}

impl Reader {
    /// Opens the history in the directory `dir`.
    ///
    /// A user who may read the files but not write beside them cannot make SQLite's lock file. If
    /// that keeps the history from being opened, it is read as it stands on the disk, without
    /// locks, and [`Reader::caveats`] says what that means.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let path = schema::file_in(dir);
        readable(&path)?;
        match connect(&path, "mode=ro") {
            Ok(db) => Self::checked(db, path, None),
            Err(cause) if is_refusal(&cause) => {
                let db = connect(&path, "mode=ro&immutable=1");
                let db = db.map_err(StoreError::database(&path, "open"))?;
                let caveat = unlocked_caveat(&path);
                Self::checked(db, path, Some(caveat))
            }
            Err(cause) => Err(StoreError::database(&path, "open")(cause)),
        }
    }

    fn checked(db: Connection, path: PathBuf, opened: Option<String>) -> Result<Self, StoreError> {
        schema::check(&db, &path)?;
        let (damaged, strange_events) = Default::default();
        Ok(Self { db, path, opened, damaged, strange_events })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What stands in the way of complete answers, as sentences without a full stop; of those
    /// readings, too, that were made so far.
    pub fn caveats(&self) -> Vec<String> {
        let damaged = self.damaged.borrow();
        let ticks = damaged.last.map(|(at, damage)| {
            format!(
                "{} damaged ticks were left out, such as the one at {at}: {damage}",
                damaged.ticks
            )
        });
        let strange = self.strange_events.get();
        let events = (strange > 0)
            .then(|| format!("{strange} events are of a kind that this version does not know"));
        self.opened.iter().cloned().chain(ticks).chain(events).collect()
    }

    /// The newest events that pass `filter`, oldest first.
    pub fn events(&self, filter: &EventFilter) -> Result<Vec<StoredEvent>, StoreError> {
        let (events, strange) = event::read(&self.db, filter).map_err(self.failed())?;
        self.strange_events.set(self.strange_events.get().max(strange));
        Ok(events)
    }

    /// How far the source called `name` was read.
    pub fn cursor(&self, name: &str) -> Result<Option<Cursor>, StoreError> {
        event::cursor(&self.db, name).map_err(self.failed())
    }

    /// The newest tick.
    pub fn last_tick(&self) -> Result<Option<LastTick>, StoreError> {
        let row = self.db.query_row(
            "SELECT at_ms, boot_us, boot_id FROM tick JOIN boot ON boot.id = tick.boot
             ORDER BY at_ms DESC LIMIT 1",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, String>(2)?)),
        );
        let row = row.optional().map_err(self.failed())?;
        Ok(row.and_then(|(at_ms, boot_us, boot_id)| {
            let boot = BootTime::from_micros(schema::unsigned(boot_us));
            let wall = WallTime::from_millis(at_ms);
            Some(LastTick { wall, boot, boot_id: boot_id.parse().ok()? })
        }))
    }

    /// The boots on record, oldest first.
    pub fn boots(&self) -> Result<Vec<Boot>, StoreError> {
        let read = || {
            let mut all = self.db.prepare("SELECT boot_id, first_ms FROM boot ORDER BY id")?;
            let rows = all.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        };
        let rows = read().map_err(self.failed())?;
        let boot = |(id, first): (String, i64)| {
            Some(Boot { id: id.parse().ok()?, first: WallTime::from_millis(first) })
        };
        Ok(rows.into_iter().filter_map(boot).collect())
    }

    /// How much there is. Cheap: it counts along an index.
    pub fn info(&self) -> Result<Info, StoreError> {
        let counted = self.db.query_row(
            "SELECT (SELECT count(*) FROM tick), (SELECT count(*) FROM entity),
                    (SELECT count(*) FROM event),
                    (SELECT min(at_ms) FROM tick), (SELECT max(at_ms) FROM tick)",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)),
        );
        let (ticks, entities, events, oldest, newest): (_, _, _, Option<i64>, Option<i64>) =
            counted.map_err(self.failed())?;
        Ok(Info {
            path: self.path.clone(),
            database_bytes: size_of(&self.path),
            wal_bytes: size_of(&wal_of(&self.path)),
            ticks: schema::unsigned(ticks),
            entities: schema::unsigned(entities),
            events: schema::unsigned(events),
            oldest: oldest.map(WallTime::from_millis),
            newest: newest.map(WallTime::from_millis),
        })
    }

    pub(crate) fn failed(&self) -> impl FnOnce(rusqlite::Error) -> StoreError {
        StoreError::database(&self.path, "read")
    }
}

/// Whether the file is there and may be read: SQLite would say only that it cannot open it.
fn readable(path: &Path) -> Result<(), StoreError> {
    match File::open(path) {
        Ok(_) => Ok(()),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
            Err(StoreError::Missing { path: path.to_owned() })
        }
        Err(cause) => Err(StoreError::Io { doing: "read", path: path.to_owned(), cause }),
    }
}

fn connect(path: &Path, options: &str) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(uri(path, options), flags)?;
    schema::prepare(&db)?;
    // The file and its lock are opened by the first reading only.
    schema::number(&db, "user_version")?;
    db.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    Ok(db)
}

/// The path as SQLite's URI: bytes that mean something there, or are not ASCII, as `%41`.
fn uri(path: &Path, options: &str) -> String {
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
             to write beside it: run this as the user who records, or as root",
            wal_of(path).display()
        ),
    }
}

fn wal_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

/// A file's size; nothing, if there is no such file.
fn size_of(path: &Path) -> u64 {
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
