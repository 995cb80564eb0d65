//! How much there is, by tier, level and group.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use highwater_core::time::WallTime;
use rusqlite::Row;

use super::open::{size_of, wal_of};
use super::{Reader, TICK_COLUMNS, is_corrupt, walk};
use crate::batch::Batch;
use crate::entity::Group;
use crate::error::StoreError;
use crate::schema;
use crate::select::fresh::tick_of;

/// How much there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// The file.
    pub path: PathBuf,
    /// The version of its tables.
    pub schema: i64,
    /// Its size in bytes.
    pub database_bytes: u64,
    /// The size of the write-ahead log beside it.
    pub wal_bytes: u64,
    /// Bytes of the file that are free for new rows.
    pub free_bytes: u64,
    /// Readings of the machine, sealed and not.
    pub ticks: u64,
    /// What has been seen, and is not forgotten yet: machine, zones, cgroups, processes, owners
    /// and things.
    pub entities: u64,
    /// Names of metrics.
    pub metrics: u64,
    /// Boots of the machine.
    pub boots: u64,
    /// Stretches of recording under one setting of the clock.
    pub eras: u64,
    /// Events.
    pub events: u64,
    /// The oldest reading.
    pub oldest: Option<WallTime>,
    /// The newest reading.
    pub newest: Option<WallTime>,
    /// What is kept of each group, raw first, newest form first.
    pub levels: Vec<Level>,
}

/// What is kept of one group in one form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Level {
    /// Seconds of a bucket; 0: as sampled.
    pub tier: u32,
    /// 0: sealed; 1: compacted; `None`: ticks that are not sealed yet.
    pub level: Option<u32>,
    /// Of what.
    pub group: Group,
    /// Batches; ticks, of those that are not sealed yet.
    pub batches: u64,
    /// Sheets.
    pub sheets: u64,
    /// Moments.
    pub points: u64,
    /// Values; `None`: of ticks they are not counted.
    pub samples: Option<u64>,
    /// What it takes, without the pages' own administration.
    pub bytes: u64,
    /// The oldest moment.
    pub oldest: WallTime,
    /// The newest moment.
    pub newest: WallTime,
}

/// The newest sample: a bucket is kept under the moment at which it ends, which may be later.
fn newest(levels: &[Level]) -> Option<WallTime> {
    let sampled = levels.iter().filter(|level| level.tier == 0).map(|level| level.newest).max();
    sampled.or_else(|| levels.iter().map(|level| level.newest).max())
}

impl Reader {
    /// How much there is, of what can be reached. Of blobs only the lengths are read.
    pub fn info(&self) -> Result<Info, StoreError> {
        self.try_info().map_err(self.failed())
    }

    fn try_info(&self) -> rusqlite::Result<Info> {
        let state = self.db.unchecked_transaction()?;
        let levels = self.levels()?;
        let machine =
            levels.iter().filter(|level| level.group == Group::Machine && level.tier == 0);
        let ticks = machine.filter(|level| level.level.is_some()).map(|level| level.points).sum();
        let unsealed = self.count("ticks", "tick")?;
        let free = schema::number(&state, "freelist_count")?;
        let page = schema::number(&state, "page_size")?;
        Ok(Info {
            path: self.path.clone(),
            schema: schema::number(&state, "user_version")?,
            database_bytes: size_of(&self.path),
            wal_bytes: size_of(&wal_of(&self.path)),
            free_bytes: schema::unsigned(free.saturating_mul(page)),
            ticks: unsealed.saturating_add(ticks),
            entities: self.count("entities", "entity")?,
            metrics: self.count("metrics", "metric")?,
            boots: self.count("boots", "boot")?,
            eras: self.count("eras", "era")?,
            events: self.count("events", "event")?,
            oldest: levels.iter().map(|level| level.oldest).min(),
            newest: newest(&levels),
            levels,
        })
    }

    /// How many rows of a table can be reached.
    fn count(&self, rows: &'static str, table: &str) -> rusqlite::Result<u64> {
        let mut count: u64 = 0;
        let sql = format!("SELECT count(*) FROM {table}");
        match self.db.query_row(&sql, [], |row| row.get(0)) {
            Err(cause) if is_corrupt(&cause) => {}
            counted => return counted.map(schema::unsigned),
        }
        let visit = |_: &Row<'_>| {
            count = count.saturating_add(1);
            Ok(())
        };
        walk(&self.db, table, "id", visit, |hole| self.note_hole(rows, &hole))?;
        Ok(count)
    }

    fn levels(&self) -> rusqlite::Result<Vec<Level>> {
        let mut levels = self.fresh_levels()?;
        let take = |row: &Row<'_>| row.get(1).map(Some);
        let mut sheets: HashMap<i64, u64> = HashMap::new();
        for batch in self.rows("sheets", ("sheet", "id, batch"), ("1", &[]), take)? {
            let count = sheets.entry(batch).or_default();
            *count = count.saturating_add(1);
        }
        let times = self.times_lengths()?;
        for group in Group::ALL {
            let mut forms: BTreeMap<(i64, i64), Level> = BTreeMap::new();
            for batch in self.all_batches(group)?.iter() {
                let sheets = sheets.get(&batch.id).copied().unwrap_or(0);
                let form = (batch.tier.seconds(), batch.level);
                let level = forms.entry(form).or_insert_with(|| Level::empty(batch));
                level.add(batch, sheets, times.get(&batch.id).copied().unwrap_or(0));
            }
            levels.extend(forms.into_values());
        }
        // Of each group what is not sealed comes first.
        levels.sort_by_key(|level| {
            let group = Group::ALL.into_iter().position(|group| group == level.group);
            (level.tier, group, level.level)
        });
        Ok(levels)
    }

    /// What is not sealed, of each group.
    fn fresh_levels(&self) -> rusqlite::Result<Vec<Level>> {
        let lengths = Group::ALL.map(|group| format!("length({})", group.name()));
        let columns = format!("{TICK_COLUMNS}, {}", lengths.join(", "));
        let take = |row: &Row<'_>| {
            let Some(tick) = tick_of(row)? else {
                self.note_row("ticks", row.get(0)?, &"its checksum is wrong");
                return Ok(None);
            };
            let mut bytes = [None; Group::ALL.len()];
            for (at, bytes) in bytes.iter_mut().enumerate() {
                *bytes = row.get::<_, Option<i64>>(at.saturating_add(6))?.map(schema::unsigned);
            }
            Ok(Some((WallTime::from_millis(tick.at_ms), bytes)))
        };
        let mut levels = [const { None }; Group::ALL.len()];
        for (at, bytes) in self.rows("ticks", ("tick", &columns), ("1", &[]), take)? {
            for ((group, level), bytes) in Group::ALL.into_iter().zip(&mut levels).zip(bytes) {
                let Some(bytes) = bytes else { continue };
                let level = level.get_or_insert_with(|| Level::fresh(group, at));
                level.batches = level.batches.saturating_add(1);
                level.points = level.batches;
                level.bytes = level.bytes.saturating_add(bytes);
                (level.oldest, level.newest) = (level.oldest.min(at), level.newest.max(at));
            }
        }
        Ok(levels.into_iter().flatten().collect())
    }
}

impl Level {
    fn fresh(group: Group, at: WallTime) -> Self {
        Self {
            tier: 0,
            level: None,
            group,
            batches: 0,
            sheets: 0,
            points: 0,
            samples: None,
            bytes: 0,
            oldest: at,
            newest: at,
        }
    }

    fn empty(batch: &Batch) -> Self {
        Self {
            tier: u32::try_from(batch.tier.seconds()).unwrap_or(0),
            level: u32::try_from(batch.level).ok(),
            samples: Some(0),
            ..Self::fresh(batch.group, WallTime::from_millis(batch.first_ms))
        }
    }

    fn add(&mut self, batch: &Batch, sheets: u64, times: u64) {
        let (first, last) = (batch.first_ms, batch.last_ms);
        let samples = schema::unsigned(batch.samples);
        self.batches = self.batches.saturating_add(1);
        self.sheets = self.sheets.saturating_add(sheets);
        self.points = self.points.saturating_add(schema::unsigned(batch.points));
        self.samples = self.samples.map(|all| all.saturating_add(samples));
        self.bytes = self.bytes.saturating_add(schema::unsigned(batch.bytes)).saturating_add(times);
        self.oldest = self.oldest.min(WallTime::from_millis(first));
        self.newest = self.newest.max(WallTime::from_millis(last));
    }
}
