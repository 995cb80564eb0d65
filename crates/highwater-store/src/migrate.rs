//! Bringing a history of an earlier version up to date, in one transaction: a crash leaves the old
//! one or the new one.

use rusqlite::{Connection, params};

use crate::encode::metric_crc;
use crate::entity::Scope;
use crate::era::Current;
use crate::event::EventRow;
use crate::registry::{entity_crc, entity_key, facts_crc};
use crate::schema::{SCHEMA_VERSION, TABLES};
use crate::store::{Tick, boot_crc};

/// A step brings a history from one version to the next.
type Step = fn(&Connection) -> rusqlite::Result<()>;

/// The steps, that from version 1 first. Version 2 had no series in pages; what it has is read and
/// written as before.
const STEPS: &[Step] = &[from_1, |_| Ok(()), from_3];

/// Brings a history of version `from` up to date.
pub(crate) fn migrate(db: &Connection, from: i64) -> rusqlite::Result<()> {
    let done = usize::try_from(from).unwrap_or(0).saturating_sub(1);
    let all = db.unchecked_transaction()?;
    STEPS.iter().skip(done).try_for_each(|step| step(&all))?;
    all.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    all.commit()
}

/// Version 1 had ticks alone, keyed by their moment, and no checksums.
fn from_1(db: &Connection) -> rusqlite::Result<()> {
    const OLD: [&str; 6] = ["boot", "metric", "entity", "tick", "event", "cursor"];
    db.execute_batch("DROP INDEX tick_scope; DROP INDEX event_at;")?;
    for table in OLD {
        db.execute_batch(&format!("ALTER TABLE {table} RENAME TO {table}_1"))?;
    }
    db.execute_batch(TABLES)?;
    db.execute_batch("INSERT INTO cursor SELECT * FROM cursor_1")?;
    copy(db, "boot", "id, boot_id, first_ms", |row| {
        Ok(boot_crc(row.get(0)?, &row.get::<_, String>(1)?, row.get(2)?))
    })?;
    copy(db, "metric", "id, grp, name, kind, help", |row| {
        let text = |at| row.get::<_, String>(at);
        Ok(metric_crc(row.get(0)?, &text(1)?, &text(2)?, &text(3)?, &text(4)?))
    })?;
    entities_from_1(db)?;
    copy(db, "event", "id, at_ms, boot, boot_us, kind, key, pid, comm, cgroup, body", |row| {
        let text = |at| row.get::<_, String>(at);
        let maybe = |at| row.get::<_, Option<String>>(at);
        let (kind, key, comm, cgroup, body) = (text(4)?, text(5)?, maybe(7)?, maybe(8)?, text(9)?);
        let event = EventRow {
            at_ms: row.get(1)?,
            boot: row.get(2)?,
            boot_us: row.get(3)?,
            kind: &kind,
            key: &key,
            pid: row.get(6)?,
            comm: comm.as_deref(),
            cgroup: cgroup.as_deref(),
            body: &body,
        };
        Ok(event.crc())
    })?;
    ticks_from_1(db)?;
    OLD.iter().try_for_each(|table| db.execute_batch(&format!("DROP TABLE {table}_1")))
}

/// Version 3 had nothing to go on from. One that was brought up to date from version 1 has the table.
fn from_3(db: &Connection) -> rusqlite::Result<()> {
    db.execute_batch(
        "CREATE TABLE IF NOT EXISTS standing (
           id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, body TEXT NOT NULL, crc INTEGER NOT NULL
         ) STRICT",
    )
}

/// Copies a table whose rows have a checksum now.
fn copy(
    db: &Connection,
    table: &str,
    columns: &str,
    crc: impl Fn(&rusqlite::Row<'_>) -> rusqlite::Result<i64>,
) -> rusqlite::Result<()> {
    let mut old = db.prepare(&format!("SELECT {columns} FROM {table}_1"))?;
    let mut new = db.prepare(&format!(
        "INSERT INTO {table} ({columns}, crc) SELECT {columns}, ?2 FROM {table}_1 WHERE id = ?1"
    ))?;
    let mut rows = old.query([])?;
    while let Some(row) = rows.next()? {
        new.execute(params![row.get::<_, i64>(0)?, crc(row)?])?;
    }
    Ok(())
}

/// Entities are found by a key now.
fn entities_from_1(db: &Connection) -> rusqlite::Result<()> {
    let mut old = db.prepare("SELECT id, grp, boot, facts, first_ms, last_ms FROM entity_1")?;
    let mut new = db.prepare("INSERT INTO entity VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?;
    let mut rows = old.query([])?;
    while let Some(row) = rows.next()? {
        let (id, boot): (i64, i64) = (row.get(0)?, row.get(2)?);
        let (group, facts): (String, String) = (row.get(1)?, row.get(3)?);
        let (first_ms, last_ms): (i64, i64) = (row.get(4)?, row.get(5)?);
        let crc = entity_crc(facts_crc(id, &group, boot, &facts), first_ms, last_ms);
        let key = entity_key(&group, boot, &facts);
        new.execute(params![id, group, boot, facts, first_ms, last_ms, key, crc])?;
    }
    Ok(())
}

/// Ticks in the order in which they were recorded: by boot, and within it by the boot clock.
fn ticks_from_1(db: &Connection) -> rusqlite::Result<()> {
    let mut old =
        db.prepare("SELECT at_ms, boot, boot_us, scope FROM tick_1 ORDER BY boot, boot_us, at_ms")?;
    let mut new = db.prepare(
        "INSERT INTO tick (id, at_ms, era, boot_us, scope, crc, machine, zone, cgroup, process)
         SELECT ?1, ?2, ?3, ?4, ?5, ?6, machine, zone, cgroup, process FROM tick_1 WHERE at_ms = ?7",
    )?;
    let mut rows = old.query([])?;
    let (mut id, mut present) = (0, None);
    while let Some(row) = rows.next()? {
        let (at, boot, boot_us): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let Some(scope) = Scope::of_number(row.get(3)?) else { continue };
        let mut era = Current::of(db, present, boot, (at, boot_us))?;
        id += 1;
        let at_ms = era.next(at, boot_us);
        let tick = Tick { id, at_ms, era: era.era.id, boot_us, scope };
        new.execute(params![id, at_ms, tick.era, boot_us, scope.number(), tick.crc(), at])?;
        present = Some(era);
    }
    Ok(())
}
