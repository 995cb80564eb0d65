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

/// How series are put into sheets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Long series: a chunk each, a metric a sheet.
    ByMetric,
    /// The same, for histories that are read more often than they are written.
    Swift,
    /// Short ones: in blocks, all metrics together, so that those of one entity share their gaps.
    Together,
}

/// A compacted batch being written.
pub(crate) struct Chunks {
    batch: Batch,
    points: usize,
    layout: Layout,
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
        layout: Layout,
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
        let form = match layout {
            Layout::ByMetric => Form::Chunks,
            Layout::Swift => Form::Swift,
            Layout::Together => Form::Blocks,
        };
        let sheet = SheetWriter::new(form).map_err(wrapped)?;
        Ok(Self { batch, points: moments.len(), layout, sheet, metric: 0, entities: None })
    }

    /// The last moment.
    pub(crate) fn until(&self) -> i64 {
        self.batch.last_ms
    }

    /// The batch counts as reaching up to here: it is forgotten together with those that do.
    pub(crate) fn reach(&mut self, until_ms: i64) {
        self.batch.last_ms = self.batch.last_ms.max(until_ms);
    }

    /// Adds a series; keys rise.
    pub(crate) fn push(
        &mut self,
        db: &Connection,
        key: Key,
        values: &[f64],
    ) -> rusqlite::Result<()> {
        let full = self.entities.is_some_and(|(_, last, count)| {
            if self.layout == Layout::Together {
                return false;
            }
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
                self.metric = if self.metric == key.metric { key.metric } else { 0 };
                let more = usize::from(last != key.entity);
                Some((first.min(key.entity), last.max(key.entity), count + more))
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

    /// Writes what is left: the batch as it will count, once its row is put.
    pub(crate) fn finish(&mut self, db: &Connection) -> rusqlite::Result<Batch> {
        self.flush(db)?;
        self.batch.state = if self.batch.samples > 0 { State::Valid } else { State::Doomed };
        Ok(self.batch.clone())
    }
}
