//! Events as rows, and how far their sources were read.

use highwater_core::event::{Event, Happening};
use highwater_core::id::Pid;
use highwater_core::time::{BootId, BootTime, WallTime};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::schema;
use crate::store::boot_row;

/// How far a source of events was read: of `/dev/kmsg`, the last sequence number of a boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The source: `kmsg`.
    pub name: String,
    /// In which boot.
    pub boot_id: BootId,
    /// The last sequence number that is dealt with.
    pub seq: u64,
}

/// Which events; the default is all of them, up to [`EventFilter::MOST`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Not before this moment.
    pub since: Option<WallTime>,
    /// Not after this moment.
    pub until: Option<WallTime>,
    /// About this process id.
    pub pid: Option<Pid>,
    /// Of this kind: `death`, `recorder`.
    pub kind: Option<&'static str>,
    /// So many of them at most, the newest ones.
    pub limit: Option<usize>,
}

impl EventFilter {
    /// The most events one reading gives. A death carries its log lines, some 20 kB with a task
    /// table.
    pub const MOST: usize = 10_000;
}

/// An event of the history.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredEvent {
    /// Its row: later events have higher ones.
    pub row: u64,
    /// The event.
    pub event: Event,
}

/// Inserts events and moves the cursor in one transaction; which events were new.
pub(crate) fn insert(
    db: &Connection,
    events: &[Event],
    cursor: Option<&Cursor>,
) -> rusqlite::Result<Vec<bool>> {
    let all = db.unchecked_transaction()?;
    let new = events.iter().map(|event| insert_one(&all, event)).collect::<Result<_, _>>()?;
    if let Some(cursor) = cursor {
        let mut set = all.prepare_cached(
            "INSERT INTO cursor (name, boot_id, seq) VALUES (?1, ?2, ?3)
             ON CONFLICT (name) DO UPDATE SET boot_id = excluded.boot_id, seq = excluded.seq",
        )?;
        let seq = schema::signed(cursor.seq);
        set.execute(params![cursor.name, cursor.boot_id.to_string(), seq])?;
    }
    all.commit()?;
    Ok(new)
}

fn insert_one(db: &Connection, event: &Event) -> rusqlite::Result<bool> {
    let boot = boot_row(db, event.boot_id, event.wall.millis())?;
    let boot_us = event.boot.map(|boot| schema::signed(boot.micros()));
    let body = serde_json::to_string(&event.what)
        .map_err(|cause| rusqlite::Error::ToSqlConversionFailure(Box::new(cause)))?;
    let (kind, death) = match &event.what {
        Happening::Death(death) => ("death", Some(death)),
        Happening::Recorder { .. } => ("recorder", None),
    };
    let cgroup = death.and_then(|d| Some(d.known.as_ref()?.cgroup.as_ref()?.as_str()));
    let (pid, comm) = (death.map(|d| d.pid.get()), death.map(|d| d.comm.as_str()));
    let mut insert = db.prepare_cached(
        "INSERT OR IGNORE INTO event (at_ms, boot, boot_us, kind, key, pid, comm, cgroup, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?;
    let at_ms = event.wall.millis();
    let rows =
        insert.execute(params![at_ms, boot, boot_us, kind, event.key, pid, comm, cgroup, body])?;
    Ok(rows > 0)
}

/// How far the source called `name` was read. A cursor that makes no sense is none.
pub(crate) fn cursor(db: &Connection, name: &str) -> rusqlite::Result<Option<Cursor>> {
    let row = db
        .prepare_cached("SELECT boot_id, seq FROM cursor WHERE name = ?1")?
        .query_row([name], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))
        .optional()?;
    Ok(row.and_then(|(boot_id, seq)| {
        let boot_id = boot_id.parse().ok()?;
        Some(Cursor { name: name.to_owned(), boot_id, seq: schema::unsigned(seq) })
    }))
}

/// The newest events that pass, oldest first; and how many rows make no sense to this version.
pub(crate) fn read(
    db: &Connection,
    filter: &EventFilter,
) -> rusqlite::Result<(Vec<StoredEvent>, usize)> {
    let mut select = db.prepare_cached(
        "SELECT event.id, at_ms, boot_us, boot_id, key, body
         FROM event JOIN boot ON boot.id = event.boot
         WHERE at_ms >= ?1 AND at_ms <= ?2
           AND (?3 IS NULL OR pid = ?3) AND (?4 IS NULL OR kind = ?4)
         ORDER BY at_ms DESC, event.id DESC LIMIT ?5",
    )?;
    let since = filter.since.map_or(i64::MIN, WallTime::millis);
    let until = filter.until.map_or(i64::MAX, WallTime::millis);
    let limit = filter.limit.unwrap_or(EventFilter::MOST).min(EventFilter::MOST);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let values = params![since, until, filter.pid.map(Pid::get), filter.kind, limit];
    let mut rows = select.query(values)?;
    let (mut events, mut strange) = (vec![], 0);
    while let Some(row) = rows.next()? {
        match event_of(row)? {
            Some(event) => events.push(event),
            None => strange += 1,
        }
    }
    events.reverse();
    Ok((events, strange))
}

/// The event of a row; `None` if this version does not know its kind, or it is damaged.
fn event_of(row: &Row<'_>) -> rusqlite::Result<Option<StoredEvent>> {
    let boot_id: String = row.get(3)?;
    let body: String = row.get(5)?;
    let (Ok(boot_id), Ok(what)) = (boot_id.parse(), serde_json::from_str(&body)) else {
        return Ok(None);
    };
    let boot: Option<i64> = row.get(2)?;
    let event = Event {
        wall: WallTime::from_millis(row.get(1)?),
        boot: boot.map(|us| BootTime::from_micros(schema::unsigned(us))),
        boot_id,
        key: row.get(4)?,
        what,
    };
    Ok(Some(StoredEvent { row: schema::unsigned(row.get(0)?), event }))
}
