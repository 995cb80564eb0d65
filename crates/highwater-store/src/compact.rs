//! Compacting: the sealed batches of a day become chunks, a series of a day each, and buckets of one
//! and of ten minutes.
//!
//! ```text
//! 144 sealed batches ──► a few dozen series at a time ─┬─► raw, by the day
//!                                                      ├─► least, greatest, last, sum, count by 1 min
//!                                                      └─► and by 10 min
//! ```
//!
//! As sealing, it goes in bounded steps; nothing of it is read before all of it is there, and the
//! sealed batches go in the same transaction. Close-ups stay sealed: they are short and rare. What
//! they saw counts in the buckets' extremes.

use rusqlite::{Connection, params};

use crate::batch::{BATCH_COLUMNS, Batch, State, Tier};
use crate::bucket::Buckets;
use crate::chunks::Chunks;
use crate::codec::{ABSENT, Aspect, Key, is_absent, times};
use crate::entity::{Group, Scope};
use crate::source::{Source, Wanted};

/// The most numbers held at once: 4 MiB of the agent's twenty, or 30 series of a day at 5 s.
const GRID: usize = 512 * 1024;

/// The most moments of one compacted batch: a day at one reading a second fits. More make another.
const MOST_POINTS: usize = 100_000;

/// A day of one group on its way into chunks.
#[derive(Debug)]
pub(crate) struct Compacting {
    sources: Vec<Source>,
    close_ups: Vec<Source>,
    moments: Vec<i64>,
    /// Metric and entity of each series, in order.
    series: Vec<(u32, u64)>,
    counters: Vec<u32>,
    next: usize,
    raw: Chunks,
    tiers: Vec<(Buckets, Chunks)>,
    /// Sheets and blocks that could not be read.
    pub(crate) damaged: usize,
}

/// The sealed batches of one group, era and day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Day {
    group: Group,
    era: i64,
    first_ms: i64,
    end_ms: i64,
}

impl Day {
    /// The oldest day that is over, so that nothing of it is still to come. `present` is the present
    /// era and up to which moment it is sealed; `None`: whatever is sealed counts as over.
    pub(crate) fn oldest_over(
        db: &Connection,
        span_ms: i64,
        present: Option<(i64, i64)>,
    ) -> rusqlite::Result<Option<Self>> {
        let mut oldest = db.prepare_cached(
            "SELECT era, first_ms FROM batch
             WHERE grp = ?1 AND tier = 0 AND level = 0 AND scope = ?2 AND state = 1
             ORDER BY id LIMIT 1",
        )?;
        for group in Group::ALL {
            let mut rows = oldest.query(params![group.name(), group.scope().number()])?;
            let Some(row) = rows.next()? else { continue };
            let (era, at_ms): (i64, i64) = (row.get(0)?, row.get(1)?);
            // A day has its end but not its beginning, as buckets have.
            let day = at_ms.saturating_sub(1).div_euclid(span_ms);
            let first_ms = day.saturating_mul(span_ms).saturating_add(1);
            let end_ms = first_ms.saturating_add(span_ms);
            let goes_on = present.is_some_and(|(of, until)| of == era && until < end_ms);
            if !goes_on {
                return Ok(Some(Self { group, era, first_ms, end_ms }));
            }
        }
        Ok(None)
    }
}

impl Compacting {
    /// Collects what there is of a day.
    pub(crate) fn begin(db: &Connection, day: Day) -> rusqlite::Result<Self> {
        let mut sources = load(db, day, day.group.scope())?;
        let mut points = 0;
        let fit = sources.iter().take_while(|source| {
            points += source.moments.len();
            points <= MOST_POINTS
        });
        let fit = fit.count().max(1);
        sources.truncate(fit);
        let close_ups = match day.group.scope() {
            Scope::Whole => load(db, day, Scope::CloseUp)?,
            _ => vec![],
        };
        let moments: Vec<i64> = sources.iter().flat_map(|s| s.moments.iter().copied()).collect();
        let (mut series, mut damaged) = (vec![], 0);
        for source in &mut sources {
            source.note_series(db, &mut series, &mut damaged)?;
        }
        let tiers = tiers_of(day.group).iter().map(|tier| {
            let buckets = Buckets::of(&moments, tier.seconds());
            let chunks = Chunks::begin(db, *tier, day.group, day.era, buckets.ends())?;
            Ok((buckets, chunks))
        });
        let tiers = tiers.collect::<rusqlite::Result<_>>()?;
        let raw = Chunks::begin(db, Tier::Raw, day.group, day.era, &moments)?;
        let counters = counters(db)?;
        let next = 0;
        Ok(Self { sources, close_ups, moments, series, counters, next, raw, tiers, damaged })
    }

    /// Does one step; whether that was the last one.
    pub(crate) fn step(&mut self, db: &Connection) -> rusqlite::Result<bool> {
        let points = self.moments.len().max(1);
        let room = (GRID / points).max(1);
        let series: Vec<_> = self.series.iter().skip(self.next).take(room).copied().collect();
        if series.is_empty() {
            return self.finish(db).map(|()| true);
        }
        self.next += series.len();
        let mut grid = vec![ABSENT; series.len() * points];
        let wanted = Wanted::new(&series);
        let mut before = 0;
        for source in &self.sources {
            let len = source.moments.len();
            source.read(db, &wanted, &mut self.damaged, &mut |row, values| {
                let from = row * points + before;
                if let (Some(cells), Some(values)) =
                    (grid.get_mut(from..from + len), values.get(..len))
                {
                    cells.copy_from_slice(values);
                }
            })?;
            before += len;
        }
        let peaks = self.peaks(db, &wanted, series.len())?;
        for (row, (metric, entity)) in series.iter().enumerate() {
            let values = grid.get(row * points..(row + 1) * points).unwrap_or_default();
            self.write(db, (*metric, *entity), values, peaks.get(row).map_or(&[], Vec::as_slice))?;
        }
        Ok(false)
    }

    /// What close-ups saw of each series.
    fn peaks(
        &mut self,
        db: &Connection,
        wanted: &Wanted<'_>,
        count: usize,
    ) -> rusqlite::Result<Vec<Vec<(i64, f64)>>> {
        let mut peaks = vec![vec![]; count];
        for source in &self.close_ups {
            source.read(db, wanted, &mut self.damaged, &mut |row, values| {
                let seen = source.moments.iter().copied().zip(values.iter().copied());
                if let Some(of) = peaks.get_mut(row) {
                    of.extend(seen.filter(|(_, value)| !is_absent(*value)));
                }
            })?;
        }
        Ok(peaks)
    }

    fn write(
        &mut self,
        db: &Connection,
        (metric, entity): (u32, u64),
        values: &[f64],
        peaks: &[(i64, f64)],
    ) -> rusqlite::Result<()> {
        let key = |aspect| Key { metric, entity, aspect };
        self.raw.push(db, key(Aspect::Raw), values)?;
        let counter = self.counters.binary_search(&metric).is_ok();
        for (buckets, chunks) in &mut self.tiers {
            let columns =
                if counter { buckets.counter(values) } else { buckets.gauge(values, peaks) };
            for (aspect, values) in columns {
                chunks.push(db, key(aspect), &values)?;
            }
        }
        Ok(())
    }

    fn finish(&mut self, db: &Connection) -> rusqlite::Result<()> {
        let all = db.unchecked_transaction()?;
        self.raw.finish(&all)?;
        for (_, chunks) in &mut self.tiers {
            chunks.finish(&all)?;
        }
        for source in &self.sources {
            Batch::doom(&all, source.batch)?;
        }
        all.commit()
    }
}

/// Dead processes are not looked for after a month.
fn tiers_of(group: Group) -> &'static [Tier] {
    match group {
        Group::Process => &[Tier::Minute],
        _ => &[Tier::Minute, Tier::TenMinutes],
    }
}

/// The sealed batches of a day, in the order of recording. One whose row or moments are damaged
/// cannot be read by anybody; it goes with the others.
fn load(db: &Connection, day: Day, scope: Scope) -> rusqlite::Result<Vec<Source>> {
    let mut select = db.prepare_cached(&format!(
        "SELECT {BATCH_COLUMNS} FROM batch
         WHERE grp = ?1 AND tier = 0 AND level = 0 AND first_ms >= ?2 AND first_ms < ?3
           AND scope = ?4 AND era = ?5 AND state = ?6 ORDER BY id"
    ))?;
    let (group, valid) = (day.group.name(), State::Valid.number());
    let values = params![group, day.first_ms, day.end_ms, scope.number(), day.era, valid];
    let mut rows = select.query(values)?;
    let mut found = vec![];
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        let moments = Batch::of_row(row)?
            .and_then(|batch| times::decode(&batch.times, crate::codec::MAX_POINTS).ok());
        found.push(Source::new(db, id, moments.unwrap_or_default())?);
    }
    Ok(found)
}

/// The ids of the metrics that are counters, rising.
fn counters(db: &Connection) -> rusqlite::Result<Vec<u32>> {
    let mut select =
        db.prepare_cached("SELECT id FROM metric WHERE kind = 'counter' ORDER BY id")?;
    select.query_map([], |row| row.get(0))?.collect()
}
