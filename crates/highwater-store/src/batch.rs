//! Rows of batches and sheets.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::crc::RowCrc;
use crate::entity::{Group, Scope};
use crate::schema;

/// How closely samples are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// As they were taken.
    Raw,
    /// By the minute: least, greatest, last, sum and count of each.
    Minute,
    /// By ten minutes.
    TenMinutes,
}

impl Tier {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Raw, Self::Minute, Self::TenMinutes];

    /// How many seconds a bucket has, which is how the tables name the tier; 0: no buckets.
    pub const fn seconds(self) -> i64 {
        match self {
            Self::Raw => 0,
            Self::Minute => 60,
            Self::TenMinutes => 600,
        }
    }

    /// The tier of that number.
    pub fn of_seconds(seconds: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|tier| tier.seconds() == seconds)
    }
}

/// Whether a batch counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Being made: not read.
    Made,
    /// Whole and valid.
    Valid,
    /// Being deleted: not read.
    Doomed,
}

impl State {
    pub(crate) const fn number(self) -> i64 {
        match self {
            Self::Made => 0,
            Self::Valid => 1,
            Self::Doomed => 2,
        }
    }

    fn of_number(number: i64) -> Option<Self> {
        [Self::Made, Self::Valid, Self::Doomed].into_iter().find(|state| state.number() == number)
    }
}

/// A row of `batch`: moments, and what was sampled at them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) id: i64,
    pub(crate) tier: Tier,
    /// 0 sealed, 1 compacted.
    pub(crate) level: i64,
    pub(crate) group: Group,
    pub(crate) scope: Scope,
    pub(crate) era: i64,
    pub(crate) first_ms: i64,
    pub(crate) last_ms: i64,
    pub(crate) points: i64,
    pub(crate) samples: i64,
    pub(crate) bytes: i64,
    pub(crate) state: State,
    /// The moments, as `codec::times` writes them.
    pub(crate) times: Vec<u8>,
}

/// The columns of a batch in the order that [`Batch::of_row`] takes them.
pub(crate) const BATCH_COLUMNS: &str = "id, tier, level, grp, scope, era, first_ms, last_ms, points, \
                                        samples, bytes, state, times, crc";

impl Batch {
    /// The batch of a row of [`BATCH_COLUMNS`]; `None` if a byte of it flipped.
    pub(crate) fn of_row(row: &Row<'_>) -> rusqlite::Result<Option<Self>> {
        let (tier, group) = (row.get::<_, i64>(1)?, row.get_ref(3)?.as_str().map(Group::of_name));
        let (scope, state) = (Scope::of_number(row.get(4)?), State::of_number(row.get(11)?));
        let (Some(tier), Ok(Some(group)), Some(scope), Some(state)) =
            (Tier::of_seconds(tier), group, scope, state)
        else {
            return Ok(None);
        };
        let batch = Self {
            id: row.get(0)?,
            tier,
            level: row.get(2)?,
            group,
            scope,
            era: row.get(5)?,
            first_ms: row.get(6)?,
            last_ms: row.get(7)?,
            points: row.get(8)?,
            samples: row.get(9)?,
            bytes: row.get(10)?,
            state,
            times: row.get(12)?,
        };
        Ok((batch.crc() == row.get::<_, i64>(13)?).then_some(batch))
    }

    fn crc(&self) -> i64 {
        RowCrc::of("batch")
            .int(self.id)
            .int(self.tier.seconds())
            .int(self.level)
            .text(self.group.name())
            .int(self.scope.number())
            .int(self.era)
            .int(self.first_ms)
            .int(self.last_ms)
            .int(self.points)
            .int(self.samples)
            .int(self.bytes)
            .int(self.state.number())
            .blob(&self.times)
            .done()
    }

    /// Writes the row, new or as it is now.
    pub(crate) fn put(&self, db: &Connection) -> rusqlite::Result<()> {
        let mut put = db.prepare_cached(
            "INSERT OR REPLACE INTO batch
               (id, tier, level, grp, scope, era, first_ms, last_ms, points, samples, bytes, state,
                times, crc)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
        )?;
        put.execute(params![
            self.id,
            self.tier.seconds(),
            self.level,
            self.group.name(),
            self.scope.number(),
            self.era,
            self.first_ms,
            self.last_ms,
            self.points,
            self.samples,
            self.bytes,
            self.state.number(),
            self.times,
            self.crc(),
        ])?;
        Ok(())
    }

    /// Marks those batches that a crash or a failure left unfinished.
    pub(crate) fn doom_unfinished(db: &Connection) -> rusqlite::Result<()> {
        let mut select = db.prepare_cached("SELECT id FROM batch WHERE state = ?1")?;
        let ids = select.query_map([State::Made.number()], |row| row.get(0))?;
        let ids = ids.collect::<rusqlite::Result<Vec<i64>>>()?;
        ids.into_iter().try_for_each(|id| Self::doom(db, id))
    }

    /// Marks a batch that is whole as one that counts.
    pub(crate) fn validate(db: &Connection, id: i64) -> rusqlite::Result<()> {
        let sql = format!("SELECT {BATCH_COLUMNS} FROM batch WHERE id = ?1");
        let row = db.prepare_cached(&sql)?.query_row([id], Self::of_row).optional()?;
        match row.flatten() {
            Some(batch) => Self { state: State::Valid, ..batch }.put(db),
            None => Ok(()),
        }
    }

    /// Marks a batch as one to be deleted. One that is damaged is marked all the same.
    pub(crate) fn doom(db: &Connection, id: i64) -> rusqlite::Result<()> {
        let sql = format!("SELECT {BATCH_COLUMNS} FROM batch WHERE id = ?1");
        let row = db.prepare_cached(&sql)?.query_row([id], Self::of_row).optional()?;
        if let Some(batch) = row.flatten() {
            return Self { state: State::Doomed, ..batch }.put(db);
        }
        let sql = "UPDATE batch SET state = ?2 WHERE id = ?1";
        db.prepare_cached(sql)?.execute([id, State::Doomed.number()]).map(|_| ())
    }
}

/// The id that the next batch gets.
pub(crate) fn next_batch(db: &Connection) -> rusqlite::Result<i64> {
    db.prepare_cached("SELECT coalesce(max(id), 0) + 1 FROM batch")?.query_row([], |row| row.get(0))
}

/// A row of `sheet`: some series of a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sheet<'a> {
    pub(crate) batch: i64,
    /// 0: several.
    pub(crate) metric: u32,
    pub(crate) entities: (u64, u64),
    pub(crate) heads: &'a [u8],
    pub(crate) body: &'a [u8],
}

impl Sheet<'_> {
    /// Writes the row; how many bytes its blobs have.
    pub(crate) fn insert(&self, db: &Connection) -> rusqlite::Result<i64> {
        let mut insert = db.prepare_cached(
            "INSERT INTO sheet (batch, metric, first_entity, last_entity, crc, heads, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?;
        let (first, last) = (schema::signed(self.entities.0), schema::signed(self.entities.1));
        let crc = sheet_crc(self.batch, self.metric, (first, last), self.heads);
        insert.execute(params![
            self.batch,
            self.metric,
            first,
            last,
            crc,
            self.heads,
            self.body
        ])?;
        Ok(i64::try_from(self.heads.len() + self.body.len()).unwrap_or(i64::MAX))
    }
}

/// The checksum of a sheet's row; its blocks have their own.
pub(crate) fn sheet_crc(batch: i64, metric: u32, entities: (i64, i64), heads: &[u8]) -> i64 {
    RowCrc::of("sheet")
        .int(batch)
        .int(metric.into())
        .int(entities.0)
        .int(entities.1)
        .blob(heads)
        .done()
}
