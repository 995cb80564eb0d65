//! What there is besides samples: things and their series by group, events by kind, and where the
//! wall clock was set.

use highwater_core::time::{BootId, WallTime};
use rusqlite::OptionalExtension;

use super::Reader;
use crate::codec::Heads;
use crate::entity::Group;
use crate::era;
use crate::error::StoreError;
use crate::schema;
use crate::tick::Unpacker;

/// How many there are of one group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupTally {
    /// Which.
    pub group: Group,
    /// Things that have been seen, and are not forgotten yet.
    pub entities: u64,
    /// What the facts about them take: names, cgroups.
    pub facts_bytes: u64,
    /// Metrics that they may have.
    pub metrics: u64,
    /// Series in the newest sealed stretch or, as long as nothing is sealed, the newest reading.
    /// `None` where that is damaged.
    pub series: Option<u64>,
}

/// How many events there are of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventTally {
    /// Which: `death`, `recorder`, or what a later version knows.
    pub kind: String,
    /// How many.
    pub count: u64,
    /// What they take: mostly the log lines of deaths.
    pub bytes: u64,
    /// The oldest.
    pub oldest: WallTime,
    /// The newest.
    pub newest: WallTime,
}

/// The wall clock was set while the machine ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockStep {
    /// The first reading under the new setting.
    pub at: WallTime,
    /// By how much: forward, or back if it is negative.
    pub by_ms: i64,
    /// In which boot.
    pub boot_id: BootId,
}

impl Reader {
    /// Things and series, by group.
    pub fn groups(&self) -> Result<Vec<GroupTally>, StoreError> {
        let all = Group::ALL.into_iter().map(|group| self.group(group));
        all.collect::<rusqlite::Result<_>>().map_err(self.failed())
    }

    fn group(&self, group: Group) -> rusqlite::Result<GroupTally> {
        let count = |table: &str| {
            let count = format!("SELECT count(*) FROM {table} WHERE grp = ?1");
            self.db.query_row(&count, [group.name()], |row| row.get(0)).map(schema::unsigned)
        };
        let (entities, metrics) = (count("entity")?, count("metric")?);
        let mut facts = self
            .db
            .prepare_cached("SELECT coalesce(sum(length(facts)), 0) FROM entity WHERE grp = ?1")?;
        let facts_bytes = facts.query_row([group.name()], |row| row.get(0))?;
        let facts_bytes = schema::unsigned(facts_bytes);
        let series = match self.newest_sealed(group)? {
            Some(batch) => self.sealed_series(batch)?,
            None => self.fresh_series(group)?,
        };
        Ok(GroupTally { group, entities, facts_bytes, metrics, series })
    }

    /// The newest sealed batch of all of a group.
    fn newest_sealed(&self, group: Group) -> rusqlite::Result<Option<i64>> {
        let mut newest = self.db.prepare_cached(
            "SELECT id FROM batch
             WHERE grp = ?1 AND tier = 0 AND scope = ?2 AND state = 1 ORDER BY last_ms DESC LIMIT 1",
        )?;
        newest.query_row((group.name(), group.scope().number()), |row| row.get(0)).optional()
    }

    /// The series of a batch.
    fn sealed_series(&self, batch: i64) -> rusqlite::Result<Option<u64>> {
        let mut select = self.db.prepare_cached("SELECT heads FROM sheet WHERE batch = ?1")?;
        let mut rows = select.query([batch])?;
        let mut all: Option<u64> = Some(0);
        while let Some(row) = rows.next()? {
            let heads = row.get_ref(0)?.as_blob().ok().and_then(|heads| Heads::parse(heads).ok());
            let count = heads.and_then(|heads| u64::try_from(heads.entries.len()).ok());
            all = all.zip(count).map(|(all, count)| all.saturating_add(count));
        }
        Ok(all)
    }

    /// The values of the newest reading of a group.
    fn fresh_series(&self, group: Group) -> rusqlite::Result<Option<u64>> {
        let column = group.name();
        let newest = format!(
            "SELECT {column} FROM tick WHERE {column} IS NOT NULL AND scope = ?1
             ORDER BY id DESC LIMIT 1"
        );
        let scope = group.scope().number();
        let blob = self.db.query_row(&newest, [scope], |row| row.get::<_, Vec<u8>>(0));
        let Some(blob) = blob.optional()? else { return Ok(Some(0)) };
        let mut unpacker = Unpacker::default();
        let Ok(tick) = unpacker.unpack(&blob) else { return Ok(None) };
        let mut count: u64 = 0;
        for column in tick.columns() {
            let Ok(column) = column else { return Ok(None) };
            let there = column.values().filter(|value| matches!(value, Ok(Some(_)))).count();
            count = count.saturating_add(u64::try_from(there).unwrap_or(u64::MAX));
        }
        Ok(Some(count))
    }

    /// Events, by kind.
    pub fn event_kinds(&self) -> Result<Vec<EventTally>, StoreError> {
        let read = || {
            let mut kinds = self.db.prepare_cached(
                "SELECT kind, count(*), min(at_ms), max(at_ms), sum(length(body) + length(key))
                 FROM event GROUP BY kind ORDER BY kind",
            )?;
            let rows = kinds.query_map([], |row| {
                Ok(EventTally {
                    kind: row.get(0)?,
                    count: schema::unsigned(row.get(1)?),
                    oldest: WallTime::from_millis(row.get(2)?),
                    newest: WallTime::from_millis(row.get(3)?),
                    bytes: schema::unsigned(row.get(4)?),
                })
            })?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        };
        read().map_err(self.failed())
    }

    /// Where the wall clock was set, oldest first.
    pub fn clock_steps(&self) -> Result<Vec<ClockStep>, StoreError> {
        let (eras, damaged) = era::load(&self.db).map_err(self.failed())?;
        if damaged > 0 {
            // The step from or to a damaged era is not to be known.
            self.damaged.borrow_mut().note("eras", 0, 0, || format!("{damaged} of them"));
        }
        let mut ids = self
            .db
            .prepare_cached("SELECT boot_id FROM boot WHERE id = ?1")
            .map_err(self.failed())?;
        let mut steps = vec![];
        for (before, after) in eras.iter().zip(eras.iter().skip(1)) {
            if before.boot != after.boot {
                continue;
            }
            let id = ids.query_row([before.boot], |row| row.get::<_, String>(0)).optional();
            let Some(boot_id) = id.map_err(self.failed())?.and_then(|id| id.parse().ok()) else {
                continue;
            };
            let wall_ms = after.first_ms.saturating_sub(before.last_ms);
            let boot_ms = after.first_us.saturating_sub(before.last_us) / 1000;
            let by_ms = wall_ms.saturating_sub(boot_ms);
            steps.push(ClockStep { at: WallTime::from_millis(after.first_ms), by_ms, boot_id });
        }
        Ok(steps)
    }
}
