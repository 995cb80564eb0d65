//! Events as rows, and how far their sources were read.

use highwater_core::event::{Event, Grower, Happening};
use highwater_core::id::{CgroupPath, Pid};
use highwater_core::time::{BootId, WallTime};
use rusqlite::{Connection, OptionalExtension, params};

use crate::crc::RowCrc;
use crate::error::wrapped;
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
    /// Of this kind: `death`, `testimony`, `sight`, `growth`, `recorder`.
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

/// What an event is about, as its row tells it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Subject<'a> {
    pub(crate) kind: &'static str,
    pub(crate) pid: Option<u32>,
    pub(crate) comm: Option<&'a str>,
    pub(crate) cgroup: Option<&'a str>,
}

impl<'a> Subject<'a> {
    pub(crate) fn of(what: &'a Happening) -> Self {
        match what {
            Happening::Death(death) => {
                let known = death.known.as_ref();
                Self {
                    kind: "death",
                    pid: Some(death.pid.get()),
                    comm: Some(&death.comm),
                    cgroup: known.and_then(|known| Some(known.cgroup.as_ref()?.as_str())),
                }
            }
            Happening::Testimony(testimony) => {
                let about = &testimony.about;
                Self {
                    kind: "testimony",
                    pid: about.pid.map(Pid::get),
                    comm: about.comm.as_deref(),
                    cgroup: about.cgroup.as_ref().map(CgroupPath::as_str),
                }
            }
            Happening::Sight(_) => Self { kind: "sight", ..Self::default() },
            Happening::Growth(grown) => {
                let owner = &grown.finding.owner;
                Self { kind: "growth", cgroup: path_of(owner), ..Self::default() }
            }
            Happening::Recorder { .. } => Self { kind: "recorder", ..Self::default() },
        }
    }
}

/// The cgroup of a growth, where its owner is told by one.
fn path_of(owner: &Grower) -> Option<&str> {
    Some(owner.id.as_str()).filter(|id| id.starts_with('/') && owner.kind == "cgroup")
}

fn insert_one(db: &Connection, event: &Event) -> rusqlite::Result<bool> {
    let boot = boot_row(db, event.boot_id, event.wall.millis())?;
    let boot_us = event.boot.map(|boot| schema::signed(boot.micros()));
    let body = serde_json::to_string(&event.what).map_err(wrapped)?;
    let Subject { kind, pid, comm, cgroup } = Subject::of(&event.what);
    let mut insert = db.prepare_cached(
        "INSERT OR IGNORE INTO event (at_ms, boot, boot_us, kind, key, pid, comm, cgroup, body, crc)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?;
    let at_ms = event.wall.millis();
    let key = &event.key;
    let crc = EventRow { at_ms, boot, boot_us, kind, key, pid, comm, cgroup, body: &body }.crc();
    let values = params![at_ms, boot, boot_us, kind, key, pid, comm, cgroup, body, crc];
    Ok(insert.execute(values)? > 0)
}

/// The columns of an event that its checksum is of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EventRow<'a> {
    pub(crate) at_ms: i64,
    pub(crate) boot: i64,
    pub(crate) boot_us: Option<i64>,
    pub(crate) kind: &'a str,
    pub(crate) key: &'a str,
    pub(crate) pid: Option<u32>,
    pub(crate) comm: Option<&'a str>,
    pub(crate) cgroup: Option<&'a str>,
    pub(crate) body: &'a str,
}

impl EventRow<'_> {
    pub(crate) fn crc(self) -> i64 {
        RowCrc::of("event")
            .int(self.at_ms)
            .int(self.boot)
            .maybe(self.boot_us)
            .text(self.kind)
            .text(self.key)
            .maybe(self.pid.map(i64::from))
            .maybe_text(self.comm)
            .maybe_text(self.cgroup)
            .text(self.body)
            .done()
    }
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
