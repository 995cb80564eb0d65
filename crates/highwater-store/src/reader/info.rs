//! How much there is, by tier, level and group.

use std::path::PathBuf;

use highwater_core::time::WallTime;
use rusqlite::Row;

use super::Reader;
use super::open::{size_of, wal_of};
use crate::entity::Group;
use crate::error::StoreError;
use crate::schema;

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

impl Reader {
    /// How much there is. It reads each row's first page, not its blobs.
    pub fn info(&self) -> Result<Info, StoreError> {
        self.try_info().map_err(self.failed())
    }

    fn try_info(&self) -> rusqlite::Result<Info> {
        let state = self.db.unchecked_transaction()?;
        let levels = self.levels()?;
        let count = |table: &str| -> rusqlite::Result<u64> {
            let count = format!("SELECT count(*) FROM {table}");
            state.query_row(&count, [], |row| row.get(0)).map(schema::unsigned)
        };
        let sealed: i64 = state.query_row(
            "SELECT coalesce(sum(points), 0) FROM batch
             WHERE tier = 0 AND grp = 'machine' AND state = 1",
            [],
            |row| row.get(0),
        )?;
        let free = schema::number(&state, "freelist_count")?;
        let page = schema::number(&state, "page_size")?;
        Ok(Info {
            path: self.path.clone(),
            schema: schema::number(&state, "user_version")?,
            database_bytes: size_of(&self.path),
            wal_bytes: size_of(&wal_of(&self.path)),
            free_bytes: schema::unsigned(free.saturating_mul(page)),
            ticks: count("tick")?.saturating_add(schema::unsigned(sealed)),
            entities: count("entity")?,
            metrics: count("metric")?,
            boots: count("boot")?,
            eras: count("era")?,
            events: count("event")?,
            oldest: levels.iter().map(|level| level.oldest).min(),
            newest: levels.iter().map(|level| level.newest).max(),
            levels,
        })
    }

    fn levels(&self) -> rusqlite::Result<Vec<Level>> {
        let mut levels = vec![];
        for group in Group::ALL {
            levels.extend(self.fresh_level(group)?);
            let mut sealed = self.db.prepare_cached(
                "SELECT tier, level, count(*), sum(points), sum(samples), min(first_ms),
                   max(last_ms), sum(length(times)),
                   sum((SELECT count(*) FROM sheet WHERE sheet.batch = batch.id)),
                   sum((SELECT sum(length(heads) + length(body))
                        FROM sheet WHERE sheet.batch = batch.id))
                 FROM batch WHERE grp = ?1 AND state = 1 GROUP BY tier, level ORDER BY tier, level",
            )?;
            let rows = sealed.query_map([group.name()], |row| sealed_level(group, row))?;
            levels.extend(rows.collect::<rusqlite::Result<Vec<_>>>()?);
        }
        levels.sort_by_key(|level| level.tier);
        Ok(levels)
    }

    fn fresh_level(&self, group: Group) -> rusqlite::Result<Option<Level>> {
        let column = group.name();
        let mut fresh = self.db.prepare_cached(&format!(
            "SELECT count(*), coalesce(sum(length({column})), 0), min(at_ms), max(at_ms)
             FROM tick WHERE {column} IS NOT NULL"
        ))?;
        fresh.query_row([], |row| {
            let count = schema::unsigned(row.get(0)?);
            let bytes = schema::unsigned(row.get(1)?);
            let span: (Option<i64>, Option<i64>) = (row.get(2)?, row.get(3)?);
            Ok(span.0.zip(span.1).map(|(oldest, newest)| Level {
                tier: 0,
                level: None,
                group,
                batches: count,
                sheets: 0,
                points: count,
                samples: None,
                bytes,
                oldest: WallTime::from_millis(oldest),
                newest: WallTime::from_millis(newest),
            }))
        })
    }
}

fn sealed_level(group: Group, row: &Row<'_>) -> rusqlite::Result<Level> {
    let number =
        |at: usize| row.get::<_, Option<i64>>(at).map(|n| schema::unsigned(n.unwrap_or(0)));
    Ok(Level {
        tier: row.get(0)?,
        level: Some(row.get(1)?),
        group,
        batches: number(2)?,
        sheets: number(8)?,
        points: number(3)?,
        samples: Some(number(4)?),
        bytes: number(7)?.saturating_add(number(9)?),
        oldest: WallTime::from_millis(row.get(5)?),
        newest: WallTime::from_millis(row.get(6)?),
    })
}
