//! Series from elsewhere: of any age, in any order, once each however often they come.
//!
//! A history that was imported is not recorded into, and no retention looks at it. Samples are sorted
//! outside of memory ([`spool`]), merged with those that are there ([`merge`]) and written window by
//! window ([`part`]), each in place of what the window held, in one transaction.
//!
//! ```text
//! push ─► spool ─► window of 15 days ──► parts ─┬─► raw, by moments that series share
//!           ▲                                   └─► buckets of ten minutes
//!           └── what the window holds already
//! ```
//!
//! In memory are at most 2 Mi samples being sorted (72 MiB) or a part of a window with the table of
//! its moments (96 MiB), a block of each run (128 KiB for each 2 Mi samples), and 64 bytes a series.

mod entity;
mod grid;
mod merge;
mod part;
mod spool;
#[cfg(test)]
mod tests;
mod window;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use highwater_core::metric::MetricKind;
use highwater_core::series::{Labels, NAME};
use highwater_core::time::WallTime;
use rusqlite::{Connection, OptionalExtension, params};

use crate::batch::Batch;
use crate::codec::{is_absent, number};
use crate::compact::counters;
use crate::encode::metric_id;
use crate::entity::Group;
use crate::era::{self, Era};
use crate::error::StoreError;
use crate::retain;
use crate::schema;
use crate::store::boot_crc;
use entity::{Seen, Span};
use spool::{Age, Sample, Spool};
use window::Rewritten;

/// The boot that nothing was recorded in: what it has was imported.
pub(crate) const NO_BOOT: &str = "00000000000000000000000000000000";

/// Its row, and that of its era: a history that was imported has one of each.
const BOOT: i64 = 1;
const ERA: i64 = 1;

/// A window: what one import replaces as a whole. To read a month of many series, two or three chunks
/// of each are few enough.
const WINDOW_MS: i64 = 15 * 24 * 3_600_000;

/// Moments before this one (1970) and from that one on (2200) are left out: they stem from another
/// unit of time, and each would make a window of its own.
const EARLIEST_MS: i64 = 0;
const LATEST_MS: i64 = 7_258_118_400_000;

/// The most series of one history; their spans take 64 MiB.
const MOST_SERIES: usize = 1 << 20;

/// So many rows of new series are written in one transaction.
const ROWS: usize = 10_000;

/// The number of a window. It has its end but not its beginning, as buckets have.
type Window = i64;

const fn window_of(at: i64) -> Window {
    at.saturating_sub(1).div_euclid(WINDOW_MS)
}

/// First and last moment of a window.
const fn span_of(window: Window) -> (i64, i64) {
    let before = window.saturating_mul(WINDOW_MS);
    (before.saturating_add(1), before.saturating_add(WINDOW_MS))
}

/// Entity and metric of a series.
const fn parts_of(series: u64) -> (u64, u32) {
    let low = series.to_le_bytes();
    (series >> 32, u32::from_le_bytes([low[0], low[1], low[2], low[3]]))
}

/// A series of an import: see [`Import::series`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeriesId(usize);

/// A history open for importing. One at a time, and no agent beside it: the lock on the data
/// directory sees to it.
#[derive(Debug)]
pub struct Import {
    db: Connection,
    path: PathBuf,
    spool: Spool,
    metrics: HashMap<String, u32>,
    series: Vec<Seen>,
    places: HashMap<u64, usize>,
    /// Rows written since the last transaction ended.
    rows: usize,
    samples: u64,
    left_out: u64,
}

/// How far writing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImportProgress {
    /// Samples that are written.
    pub done: u64,
    /// Samples that there are, at most.
    pub all: u64,
}

/// What was imported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Series with samples.
    pub series: u64,
    /// Samples that came.
    pub samples: u64,
    /// Those that were not there before.
    pub new: u64,
    /// Samples before 1970 or after 2199, which were left out.
    pub left_out: u64,
    /// The oldest sample that came, and the newest.
    pub range: Option<(WallTime, WallTime)>,
    /// Rows and blocks of the history that could not be read, and whose samples are lost.
    pub damaged: usize,
}

impl Import {
    /// Opens the history in `dir` for importing; makes both if they are not there. One that an agent
    /// records into is refused.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let (path, db) = (schema::file_in(dir), schema::open_writer(dir)?);
        let failed = || StoreError::database(&path, "prepare");
        if !is_imported(&db).map_err(failed())? {
            if is_used(&db).map_err(failed())? {
                return Err(StoreError::Recorded { path });
            }
            mark(&db).map_err(failed())?;
        }
        // What an import that was interrupted left behind.
        Batch::doom_unfinished(&db).map_err(failed())?;
        while retain::delete_doomed(&db).map_err(failed())? {}
        let (metrics, series, places) = Default::default();
        let spool = Spool::new(dir);
        Ok(Self { db, path, spool, metrics, series, places, rows: 0, samples: 0, left_out: 0 })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The series of these labels, the metric's name among them. What is known of a metric stays
    /// where nothing is told: `help` may be empty.
    pub fn series(
        &mut self,
        labels: &Labels,
        kind: MetricKind,
        help: &str,
    ) -> Result<SeriesId, StoreError> {
        let known = self.series_of(labels, kind, help);
        let series = known.map_err(StoreError::database(&self.path, "add a series to"))?;
        if let Some(place) = self.places.get(&series) {
            return Ok(SeriesId(*place));
        }
        let place = self.series.len();
        if place >= MOST_SERIES {
            return Err(StoreError::TooManySeries { most: MOST_SERIES });
        }
        self.series.push(Seen { series, span: Span::NOTHING });
        self.places.insert(series, place);
        Ok(SeriesId(place))
    }

    fn series_of(
        &mut self,
        labels: &Labels,
        kind: MetricKind,
        help: &str,
    ) -> rusqlite::Result<u64> {
        if self.rows == 0 {
            self.db.execute_batch("BEGIN")?;
        }
        self.rows += 1;
        let name = labels.get(NAME);
        let metric = if let Some(metric) = self.metrics.get(name) {
            *metric
        } else {
            let metric = metric_of(&self.db, name, kind, help)?;
            *self.metrics.entry(name.to_owned()).or_insert(metric)
        };
        let entity = entity::of_labels(&self.db, labels)?;
        if self.rows >= ROWS {
            self.end_rows()?;
        }
        Ok((u64::from(entity) << 32) | u64::from(metric))
    }

    fn end_rows(&mut self) -> rusqlite::Result<()> {
        if std::mem::take(&mut self.rows) > 0 {
            self.db.execute_batch("COMMIT")?;
        }
        Ok(())
    }

    /// Adds a sample. Of several of one series at one moment the first stays, also that of an
    /// earlier import.
    pub fn push(&mut self, series: SeriesId, at: WallTime, value: f64) -> Result<(), StoreError> {
        let Some(seen) = self.series.get_mut(series.0) else { return Ok(()) };
        let at = at.millis();
        if !(EARLIEST_MS..LATEST_MS).contains(&at) || is_absent(value) {
            self.left_out += 1;
            return Ok(());
        }
        seen.span.note(at);
        self.samples += 1;
        self.spool.push(Age::New, Sample { series: seen.series, at, value })
    }

    /// Writes everything that was pushed, window by window: what is interrupted leaves each window as
    /// it was or as it will be, and can be done again.
    pub fn finish(mut self, tell: &mut dyn FnMut(ImportProgress)) -> Result<Imported, StoreError> {
        let path = self.path.clone();
        let failed = || StoreError::database(&path, "import into");
        self.end_rows().map_err(failed())?;
        let spans = self.series.iter().map(|seen| seen.span);
        let hull = spans.clone().fold(Span::NOTHING, Span::with);
        let mut imported = Imported {
            series: number::length(spans.filter(|span| span.is_some()).count()),
            samples: self.samples,
            left_out: self.left_out,
            range: hull.moments(),
            ..Imported::default()
        };
        if hull.is_some() {
            widen(&self.db, &self.series, hull).map_err(failed())?;
            let windows = self.spool.windows();
            let (known, damaged) = self.recall(&windows)?;
            let all = known.saturating_add(self.samples);
            let (sorted, counters) = (self.spool.sorted()?, counters(&self.db).map_err(failed())?);
            let mut rewritten = Rewritten::new(&self.db, &path, &counters);
            for window in windows {
                rewritten
                    .window(&sorted, window, &mut |done| tell(ImportProgress { done, all }))?;
            }
            imported.new = rewritten.samples.saturating_sub(known);
            imported.damaged = damaged;
        }
        tidy(&self.db).map_err(failed())?;
        Ok(imported)
    }

    /// Takes what the windows hold already in among the samples; how many that are, and how much
    /// could not be read.
    fn recall(&mut self, windows: &[Window]) -> Result<(u64, usize), StoreError> {
        let path = self.path.clone();
        let failed = || StoreError::database(&path, "read");
        let (mut count, mut damaged) = (0_u64, 0);
        for window in windows {
            for id in window::batches(&self.db, *window).map_err(failed())?.raw {
                if count == 0 {
                    self.spool.turn(Age::New)?;
                }
                let spool = &mut self.spool;
                let mut refused = None;
                let mut give = |sample: Sample| {
                    count += 1;
                    refused = refused.take().or(spool.push(Age::Known, sample).err());
                };
                damaged += window::recall(&self.db, id, &mut give).map_err(failed())?;
                if let Some(error) = refused {
                    return Err(error);
                }
            }
        }
        if count > 0 {
            self.spool.turn(Age::Known)?;
        }
        Ok((count, damaged))
    }
}

/// Deletes what was replaced, gives the room back, and brings all of it to the disk.
fn tidy(db: &Connection) -> rusqlite::Result<()> {
    while retain::delete_doomed(db)? {}
    while retain::give_back(db, true)? {}
    db.pragma_update(None, "synchronous", "FULL")?;
    schema::truncate_log(db)
}

/// The row of a metric. Where a file says nothing of it, what is known stays.
fn metric_of(db: &Connection, name: &str, kind: MetricKind, help: &str) -> rusqlite::Result<u32> {
    if kind == MetricKind::Gauge && help.is_empty() {
        let mut select = db.prepare_cached("SELECT id FROM metric WHERE name = ?1")?;
        if let Some(known) = select.query_row([name], |row| row.get(0)).optional()? {
            return Ok(known);
        }
    }
    metric_id(db, Group::Thing, name, kind, help)
}

/// Whether a history was imported.
pub(crate) fn is_imported(db: &Connection) -> rusqlite::Result<bool> {
    let mut select = db.prepare("SELECT 1 FROM boot WHERE boot_id = ?1")?;
    select.exists([NO_BOOT])
}

/// Whether anything was ever recorded, or an agent made it ready for that.
fn is_used(db: &Connection) -> rusqlite::Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM boot) OR EXISTS (SELECT 1 FROM metric)
                   OR EXISTS (SELECT 1 FROM tick) OR EXISTS (SELECT 1 FROM event)";
    db.query_row(sql, [], |row| row.get(0))
}

/// Marks a new history as imported, before anything else is in it.
fn mark(db: &Connection) -> rusqlite::Result<()> {
    db.execute(
        "INSERT INTO boot (id, boot_id, first_ms, crc) VALUES (?1, ?2, ?3, ?4)",
        params![BOOT, NO_BOOT, 0, boot_crc(BOOT, NO_BOOT, 0)],
    )?;
    Ok(())
}

/// The era and the series reach as far as their samples do, before those are there: a reader looks
/// for nothing outside.
fn widen(db: &Connection, series: &[Seen], hull: Span) -> rusqlite::Result<()> {
    let known: Option<(i64, i64)> = db
        .query_row("SELECT first_ms, last_ms FROM era WHERE id = ?1", [ERA], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    let known = known.map_or(Span::NOTHING, |(first, last)| Span { first, last });
    let Span { first, last } = known.with(hull);
    let (first_ms, last_ms) = (first, last);
    let row = Era { id: ERA, boot: BOOT, first_ms, first_us: 0, last_ms, last_us: 0 };
    let all = db.unchecked_transaction()?;
    all.execute(
        "INSERT OR REPLACE INTO era (id, boot, first_ms, first_us, last_ms, last_us, crc)
         VALUES (?1, ?2, ?3, 0, ?4, 0, ?5)",
        params![ERA, BOOT, first, last, era::crc(&row, Some(last), Some(0))],
    )?;
    entity::widen(&all, series)?;
    all.commit()
}
