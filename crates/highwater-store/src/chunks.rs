//! Writing chunks: the sheets of a compacted batch, one metric and some entities each.

use std::fmt;

use rusqlite::Connection;

use crate::batch::{Batch, Sheet, State, Tier, next_batch};
use crate::codec::{Form, Key, SheetWriter, times};
use crate::entity::Group;
use crate::error::wrapped;

/// The most entities of a sheet. Most series hardly change, and the heads of many are smaller
/// together; to find one among so many takes some ten microseconds.
const SHEET_ENTITIES: usize = 1024;

/// A sheet is full at this size: a row is written in one transaction, whose pages the log holds.
const SHEET_BYTES: usize = 256 * 1024;

/// A compacted batch being written.
pub(crate) struct Chunks {
    batch: Batch,
    points: usize,
    sheet: SheetWriter,
    metric: u32,
    /// The first and the last entity of the sheet, and how many they are.
    entities: Option<(u64, u64, usize)>,
}

impl fmt::Debug for Chunks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chunks").field("batch", &self.batch).finish_non_exhaustive()
    }
}

impl Chunks {
    /// Begins a batch of these moments.
    pub(crate) fn begin(
        db: &Connection,
        tier: Tier,
        group: Group,
        era: i64,
        moments: &[i64],
    ) -> rusqlite::Result<Self> {
        let mut packed = vec![];
        times::encode(moments, &mut packed);
        let batch = Batch {
            id: next_batch(db)?,
            tier,
            level: 1,
            group,
            scope: group.scope(),
            era,
            first_ms: moments.first().copied().unwrap_or(0),
            last_ms: moments.last().copied().unwrap_or(0),
            points: i64::try_from(moments.len()).unwrap_or(i64::MAX),
            samples: 0,
            bytes: 0,
            state: State::Made,
            times: packed,
        };
        batch.put(db)?;
        let sheet = SheetWriter::new(Form::Chunks).map_err(wrapped)?;
        Ok(Self { batch, points: moments.len(), sheet, metric: 0, entities: None })
    }

    /// Adds a series; keys rise.
    pub(crate) fn push(
        &mut self,
        db: &Connection,
        key: Key,
        values: &[f64],
    ) -> rusqlite::Result<()> {
        let full = self.entities.is_some_and(|(_, last, count)| {
            let large = count >= SHEET_ENTITIES || self.sheet.size() >= SHEET_BYTES;
            self.metric != key.metric || (large && last != key.entity)
        });
        if full {
            self.flush(db)?;
        }
        self.entities = match self.entities {
            None => {
                self.sheet.begin(self.points);
                self.metric = key.metric;
                Some((key.entity, key.entity, 1))
            }
            Some((first, last, count)) => {
                Some((first, key.entity, count + usize::from(last != key.entity)))
            }
        };
        self.sheet.push(key, values).map_err(wrapped)
    }

    fn flush(&mut self, db: &Connection) -> rusqlite::Result<()> {
        let Some((first, last, _)) = self.entities.take() else { return Ok(()) };
        let finished = self.sheet.finish().map_err(wrapped)?;
        if finished.samples == 0 {
            return Ok(());
        }
        let (heads, body) = (finished.heads, finished.body);
        let (batch, metric) = (self.batch.id, self.metric);
        let sheet = Sheet { batch, metric, entities: (first, last), heads, body };
        self.batch.bytes += sheet.insert(db)?;
        self.batch.samples += i64::try_from(finished.samples).unwrap_or(i64::MAX);
        Ok(())
    }

    /// Writes what is left; from now on the batch counts.
    pub(crate) fn finish(&mut self, db: &Connection) -> rusqlite::Result<()> {
        self.flush(db)?;
        self.batch.state = if self.batch.samples > 0 { State::Valid } else { State::Doomed };
        self.batch.put(db)
    }
}
