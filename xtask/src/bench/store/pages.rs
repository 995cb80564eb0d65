//! Where the bytes of a database are: its pages by table, as SQLite itself counts them.

use std::path::Path;

use anyhow::bail;
use highwater_store::FILE_NAME;
use rusqlite::{Connection, OpenFlags};

/// The pages of a database in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pages {
    /// Sealed samples: batches, sheets and their indices.
    pub(super) sealed: u64,
    /// What samples are about: entities and their index.
    pub(super) entities: u64,
    /// Readings that are not sealed.
    pub(super) ticks: u64,
    /// All others.
    pub(super) rest: u64,
    /// Free, and held for what comes next.
    pub(super) free: u64,
}

impl Pages {
    /// Of the database in the directory `dir`.
    pub(super) fn of(dir: &Path) -> anyhow::Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        let db = Connection::open_with_flags(dir.join(FILE_NAME), flags)?;
        let sql = "SELECT coalesce(tbl_name, dbstat.name), sum(pgsize) FROM dbstat
                   LEFT JOIN sqlite_schema ON sqlite_schema.name = dbstat.name GROUP BY 1";
        let mut rows = db.prepare(sql)?;
        let mut rows = rows.query([])?;
        let mut pages = Self::default();
        while let Some(row) = rows.next()? {
            let bytes = u64::try_from(row.get::<_, i64>(1)?)?;
            *match row.get::<_, String>(0)?.as_str() {
                "batch" | "sheet" => &mut pages.sealed,
                "entity" => &mut pages.entities,
                "tick" => &mut pages.ticks,
                _ => &mut pages.rest,
            } += bytes;
        }
        let number = |name: &str| -> anyhow::Result<u64> {
            let number: i64 = db.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))?;
            Ok(u64::try_from(number)?)
        };
        pages.free = number("freelist_count")? * number("page_size")?;
        // Pages that say where others are, and the lock byte's, belong to no table.
        let all = number("page_count")? * number("page_size")?;
        let known = pages.sealed + pages.entities + pages.ticks + pages.rest + pages.free;
        pages.rest += all.saturating_sub(known);
        Ok(pages)
    }

    /// The whole file.
    pub(super) fn all(&self) -> u64 {
        self.sealed + self.entities + self.ticks + self.rest + self.free
    }
}

/// Checks a database that nobody writes, and that all of it is in the one file: its log is empty.
pub(super) fn check(dir: &Path) -> anyhow::Result<()> {
    let file = dir.join(FILE_NAME);
    let log = std::fs::metadata(file.with_extension("db-wal")).map_or(0, |data| data.len());
    let db = Connection::open(&file)?;
    let said: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if said != "ok" {
        bail!("{} with a log of {log} bytes: {said}", file.display());
    }
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    Ok(())
}
