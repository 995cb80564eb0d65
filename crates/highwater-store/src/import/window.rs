//! A window of an imported history: what it holds, and how it is replaced.

use std::path::Path;

use rusqlite::{Connection, params};

use super::merge::merge;
use super::part::Part;
use super::spool::{Sample, Sorted};
use super::{Window, span_of};
use crate::batch::{BATCH_COLUMNS, Batch, State, Tier};
use crate::codec::{MAX_POINTS, is_absent, times};
use crate::entity::Group;
use crate::error::{StoreError, unless_damaged, wrapped};
use crate::retain;
use crate::source::{Roll, Source, Wanted};

/// So many series of a batch are unpacked in one pass over its sheets.
const AT_ONCE: usize = 4096;

/// The valid batches of a window.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// Of samples.
    pub(super) raw: Vec<i64>,
    /// Of buckets.
    buckets: Vec<i64>,
}

/// What a window holds. A bucket belongs to where it ends, which is where its samples are.
pub(super) fn batches(db: &Connection, window: Window) -> rusqlite::Result<Held> {
    let mut select = db.prepare_cached(
        "SELECT id, tier FROM batch
         WHERE grp = ?1 AND state = ?2 AND first_ms BETWEEN ?3 AND ?4 ORDER BY id",
    )?;
    let (first, last) = span_of(window);
    let values = params![Group::Thing.name(), State::Valid.number(), first, last];
    let mut rows = select.query(values)?;
    let mut held = Held::default();
    while let Some(row) = rows.next()? {
        let of = if row.get::<_, i64>(1)? == Tier::Raw.seconds() {
            &mut held.raw
        } else {
            &mut held.buckets
        };
        of.push(row.get(0)?);
    }
    Ok(held)
}

/// Gives the samples of a batch; how much of it could not be read.
pub(super) fn recall(
    db: &Connection,
    id: i64,
    give: &mut dyn FnMut(Sample),
) -> rusqlite::Result<usize> {
    let sql = format!("SELECT {BATCH_COLUMNS} FROM batch WHERE id = ?1");
    let row = unless_damaged(db.prepare_cached(&sql)?.query_row([id], Batch::of_row))?;
    let moments = row.flatten().and_then(|batch| times::decode(&batch.times, MAX_POINTS).ok());
    let Some(moments) = moments else { return Ok(1) };
    let (mut roll, mut damaged) = (Roll::default(), 0);
    let mut source = Source::new(db, id, moments)?;
    source.note_series(db, 0, &mut roll, &mut damaged)?;
    for some in roll.series.chunks(AT_ONCE) {
        source.read(db, &Wanted::new(some), &mut damaged, &mut |row, values| {
            let Some((metric, entity)) = some.get(row) else { return };
            let series = (entity << 32) | u64::from(*metric);
            let samples = source.moments.iter().zip(values);
            for (at, value) in samples.filter(|(_, value)| !is_absent(**value)) {
                give(Sample { series, at: *at, value: *value });
            }
        })?;
    }
    Ok(damaged)
}

/// Windows being replaced.
#[derive(Debug)]
pub(super) struct Rewritten<'a> {
    db: &'a Connection,
    path: &'a Path,
    counters: &'a [u32],
    part: Part,
    /// The batches of the present window.
    made: Vec<i64>,
    /// How many samples were written.
    pub(super) samples: u64,
}

impl<'a> Rewritten<'a> {
    pub(super) fn new(db: &'a Connection, path: &'a Path, counters: &'a [u32]) -> Self {
        Self { db, path, counters, part: Part::default(), made: vec![], samples: 0 }
    }

    /// Writes a window anew: until all of it is there, nothing of it is read.
    pub(super) fn window(
        &mut self,
        sorted: &Sorted,
        window: Window,
        tell: &mut dyn FnMut(u64),
    ) -> Result<(), StoreError> {
        let merged = merge::<Failed>(sorted.cursors(window), &mut |series, times, values| {
            self.take(series, times, values, tell).map_err(Failed::Database)
        });
        let failed = StoreError::database(self.path, "import into");
        match merged {
            Ok(()) => self.replace(window, tell).map_err(failed),
            Err(Failed::Database(cause)) => Err(failed(cause)),
            Err(Failed::Io(cause)) => Err(sorted.failed(cause)),
        }
    }

    fn take(
        &mut self,
        series: u64,
        times: &[i64],
        values: &[f64],
        tell: &mut dyn FnMut(u64),
    ) -> rusqlite::Result<()> {
        if self.part.has_room(series, times.len()) {
            self.part.extend(series, times, values);
            return Ok(());
        }
        for (at, value) in times.iter().zip(values) {
            if self.part.is_full(series, *at) {
                self.end_part(tell)?;
            }
            self.part.push(series, *at, *value);
        }
        Ok(())
    }

    fn end_part(&mut self, tell: &mut dyn FnMut(u64)) -> rusqlite::Result<()> {
        if self.part.is_empty() {
            return Ok(());
        }
        self.made.extend(self.part.write(self.db, self.counters)?);
        self.samples += u64::try_from(self.part.len()).map_err(wrapped)?;
        self.part.clear();
        tell(self.samples);
        Ok(())
    }

    fn replace(&mut self, window: Window, tell: &mut dyn FnMut(u64)) -> rusqlite::Result<()> {
        self.end_part(tell)?;
        let held = batches(self.db, window)?;
        let all = self.db.unchecked_transaction()?;
        held.raw.iter().chain(&held.buckets).try_for_each(|id| Batch::doom(&all, *id))?;
        self.made.drain(..).try_for_each(|id| Batch::validate(&all, id))?;
        all.commit()?;
        // Their room is used by the next window.
        while retain::delete_doomed(self.db)? {}
        Ok(())
    }
}

/// Why merging stopped.
#[derive(Debug)]
enum Failed {
    Io(std::io::Error),
    Database(rusqlite::Error),
}

impl From<std::io::Error> for Failed {
    fn from(cause: std::io::Error) -> Self {
        Self::Io(cause)
    }
}
