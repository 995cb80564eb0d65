//! What there is besides samples: things and their series by group, events by kind, and where the
//! wall clock was set.

use std::collections::BTreeMap;

use highwater_core::time::{BootId, WallTime};
use rusqlite::{OptionalExtension, Row};

use super::{Reader, is_corrupt};
use crate::batch::Tier;
use crate::codec::Heads;
use crate::entity::Group;
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
        let take = |row: &Row<'_>| {
            let of_group = row.get_ref(1)?.as_str()? == group.name();
            Ok(of_group.then_some(schema::unsigned(row.get(2)?)))
        };
        let (columns, of_group) = (("entity", "id, grp, length(facts)"), "grp = ?1");
        let facts = self.rows("entities", columns, (of_group, &[&group.name()]), take)?;
        let metrics = self.metrics(&[])?.iter().filter(|(of, _)| *of == group).count();
        let series = match self.newest_sealed(group)? {
            Some(batch) => self.sealed_series(batch),
            None => self.fresh_series(group),
        };
        Ok(GroupTally {
            group,
            entities: u64::try_from(facts.len()).unwrap_or(u64::MAX),
            facts_bytes: facts.into_iter().sum(),
            metrics: u64::try_from(metrics).unwrap_or(u64::MAX),
            series: series
                .or_else(|cause| if is_corrupt(&cause) { Ok(None) } else { Err(cause) })?,
        })
    }

    /// The newest sealed batch of all of a group.
    fn newest_sealed(&self, group: Group) -> rusqlite::Result<Option<i64>> {
        let batches = self.all_batches(group)?;
        let whole = batches.iter().filter(|b| b.tier == Tier::Raw && b.scope == group.scope());
        Ok(whole.max_by_key(|batch| batch.last_ms).map(|batch| batch.id))
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
        let take = |row: &Row<'_>| {
            let (at, bytes) = (row.get(2)?, schema::unsigned(row.get(3)?));
            Ok(Some((row.get::<_, String>(1)?, WallTime::from_millis(at), bytes)))
        };
        let columns = "id, kind, at_ms, length(body) + length(key)";
        let read = self.rows("events", ("event", columns), ("1", &[]), take);
        let mut kinds: BTreeMap<String, EventTally> = BTreeMap::new();
        for (kind, at, bytes) in read.map_err(self.failed())? {
            let none =
                || EventTally { kind: kind.clone(), count: 0, bytes: 0, oldest: at, newest: at };
            let tally = kinds.entry(kind.clone()).or_insert_with(none);
            tally.count = tally.count.saturating_add(1);
            tally.bytes = tally.bytes.saturating_add(bytes);
            (tally.oldest, tally.newest) = (tally.oldest.min(at), tally.newest.max(at));
        }
        Ok(kinds.into_values().collect())
    }

    /// Where the wall clock was set, oldest first.
    pub fn clock_steps(&self) -> Result<Vec<ClockStep>, StoreError> {
        let eras = self.eras().map_err(self.failed())?;
        let boots = self.boot_rows().map_err(self.failed())?;
        let mut steps = vec![];
        for (before, after) in eras.known.iter().zip(eras.known.iter().skip(1)) {
            let boot = boots.iter().find(|(row, _)| *row == after.boot);
            let Some((_, boot)) = boot.filter(|_| before.boot == after.boot) else { continue };
            let wall_ms = after.first_ms.saturating_sub(before.last_ms);
            let boot_ms = after.first_us.saturating_sub(before.last_us) / 1000;
            let by_ms = wall_ms.saturating_sub(boot_ms);
            let at = WallTime::from_millis(after.first_ms);
            steps.push(ClockStep { at, by_ms, boot_id: boot.id });
        }
        Ok(steps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::select::tests::{DAY, MINUTE, keep, record, stamp};

    #[test]
    fn what_was_recorded_is_counted_fresh_and_sealed() {
        let (dir, mut store, truth) = record(DAY / 4, 5 * MINUTE);
        let reader = Reader::open(dir.path()).unwrap();
        let of = |reader: &Reader, group: Group| {
            let groups = reader.groups().unwrap();
            groups.into_iter().find(|tally| tally.group == group).unwrap()
        };
        let fresh = of(&reader, Group::Process);
        assert!(fresh.entities >= u64::try_from(truth.len()).unwrap(), "{fresh:?}");
        assert!(fresh.facts_bytes > 0 && fresh.series.is_some_and(|series| series > 0));
        store.settle(stamp(DAY / 4), &keep(50), &mut |_| {}).unwrap();
        let sealed = of(&reader, Group::Process);
        assert_eq!(sealed.entities, fresh.entities);
        assert!(sealed.series.is_some_and(|series| series > 0), "{sealed:?}");
        assert_eq!(reader.event_kinds().unwrap(), []);
        assert_eq!(reader.clock_steps().unwrap(), []);
    }

    #[test]
    fn an_empty_history_counts_nothing() {
        let dir = tempfile::tempdir().unwrap();
        drop(crate::store::Store::open(dir.path()).unwrap());
        let reader = Reader::open(dir.path()).unwrap();
        let empty = |tally: GroupTally| tally.entities == 0 && tally.series == Some(0);
        assert!(reader.groups().unwrap().into_iter().all(empty));
    }
}
