//! Events, each vouched for by its checksum.

use std::cmp::Reverse;
use std::collections::HashMap;

use highwater_core::event::Event;
use highwater_core::id::Pid;
use highwater_core::time::{BootId, BootTime, WallTime};
use rusqlite::{Row, ToSql};

use super::{Reader, is_corrupt, walk};
use crate::error::StoreError;
use crate::event::{EventFilter, EventRow, StoredEvent};
use crate::schema;

const COLUMNS: &str = "id, at_ms, boot, boot_us, kind, key, pid, comm, cgroup, body, crc";

/// What is wrong with a row whose columns and checksum do not agree.
const CHECKSUM: &str = "its checksum is wrong";

/// What a row turned out to be.
enum Met {
    Event(Box<StoredEvent>),
    /// Not asked for, once it was read by itself.
    Other,
    /// Of a kind that this version does not know.
    Strange,
    Damaged,
}

impl Reader {
    /// The newest events that pass `filter`, oldest first.
    pub fn events(&self, filter: &EventFilter) -> Result<Vec<StoredEvent>, StoreError> {
        let (events, strange) = self.try_events(filter).map_err(self.failed())?;
        self.strange_events.set(self.strange_events.get().max(strange));
        Ok(events)
    }

    fn try_events(&self, filter: &EventFilter) -> rusqlite::Result<(Vec<StoredEvent>, usize)> {
        let boots = self.boot_ids()?;
        let (mut events, mut strange) = (vec![], 0);
        let mut take = |row: &Row<'_>| -> rusqlite::Result<()> {
            match meet(row, filter, &boots)? {
                Met::Event(event) => events.push(*event),
                Met::Other => {}
                Met::Strange => strange += 1,
                Met::Damaged => self.note_row("events", row.get(0)?, &CHECKSUM),
            }
            Ok(())
        };
        let limit = filter.limit.unwrap_or(EventFilter::MOST).min(EventFilter::MOST);
        if let Err(cause) = self.events_by_index(filter, limit, &mut take) {
            if !is_corrupt(&cause) {
                return Err(cause);
            }
            self.note_pages("events", &cause);
            walk(&self.db, "event", COLUMNS, take, |hole| self.note_hole("events", &hole))?;
            if events.is_empty() {
                return Err(cause);
            }
        }
        // The newest ones, whichever way they were found.
        events.sort_by_key(|one: &StoredEvent| Reverse((one.event.wall, one.row)));
        events.dedup_by_key(|one| one.row);
        events.truncate(limit);
        events.reverse();
        Ok((events, strange))
    }

    fn events_by_index(
        &self,
        filter: &EventFilter,
        limit: usize,
        take: &mut dyn FnMut(&Row<'_>) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<()> {
        let mut select = self.db.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM event
             WHERE at_ms >= ?1 AND at_ms <= ?2
               AND (?3 IS NULL OR pid = ?3) AND (?4 IS NULL OR kind = ?4)
             ORDER BY at_ms DESC, id DESC LIMIT ?5"
        ))?;
        let since = filter.since.map_or(i64::MIN, WallTime::millis);
        let until = filter.until.map_or(i64::MAX, WallTime::millis);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let pid = filter.pid.map(Pid::get);
        let values: &[&dyn ToSql] = &[&since, &until, &pid, &filter.kind, &limit];
        let mut rows = select.query(values)?;
        while let Some(row) = rows.next()? {
            take(row)?;
        }
        Ok(())
    }

    /// Which boot each row of `boot` is.
    fn boot_ids(&self) -> rusqlite::Result<HashMap<i64, BootId>> {
        Ok(self.boot_rows()?.into_iter().map(|(row, boot)| (row, boot.id)).collect())
    }
}

/// The event of a row.
fn meet(
    row: &Row<'_>,
    filter: &EventFilter,
    boots: &HashMap<i64, BootId>,
) -> rusqlite::Result<Met> {
    let text = |at: usize| row.get_ref(at).and_then(|text| Ok(text.as_str()?));
    let maybe = |at: usize| row.get_ref(at).and_then(|text| Ok(text.as_str_or_null()?));
    let read = EventRow {
        at_ms: row.get(1)?,
        boot: row.get(2)?,
        boot_us: row.get(3)?,
        kind: text(4)?,
        key: text(5)?,
        pid: row.get(6)?,
        comm: maybe(7)?,
        cgroup: maybe(8)?,
        body: text(9)?,
    };
    if read.crc() != row.get::<_, i64>(10)? {
        return Ok(Met::Damaged);
    }
    let wall = WallTime::from_millis(read.at_ms);
    let asked = filter.since.is_none_or(|since| since <= wall)
        && filter.until.is_none_or(|until| wall <= until)
        && filter.pid.is_none_or(|pid| read.pid == Some(pid.get()))
        && filter.kind.is_none_or(|kind| kind == read.kind);
    if !asked {
        return Ok(Met::Other);
    }
    let (Some(boot_id), Ok(what)) = (boots.get(&read.boot), serde_json::from_str(read.body)) else {
        return Ok(Met::Strange);
    };
    let boot = read.boot_us.map(|us| BootTime::from_micros(schema::unsigned(us)));
    let event = Event { wall, boot, boot_id: *boot_id, key: read.key.to_owned(), what };
    let row = schema::unsigned(row.get(0)?);
    Ok(Met::Event(Box::new(StoredEvent { row, event })))
}
