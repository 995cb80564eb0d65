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

use std::collections::BTreeMap;

use rusqlite::{Connection, params};

use crate::batch::{BATCH_COLUMNS, Batch, State, Tier};
use crate::bucket::{Buckets, Peak};
use crate::chunks::{Chunks, Layout};
use crate::codec::{ABSENT, Aspect, Key, is_absent, times};
use crate::entity::{Group, Scope};
use crate::error::unless_damaged;
use crate::source::{Roll, Source, Wanted};

/// The most numbers held at once: 4 MiB of the agent's twenty, or 30 series of a day at 5 s.
const GRID: usize = 512 * 1024;

/// The most moments of one compacted batch: a day at one reading a second fits. More make another.
const MOST_POINTS: usize = 100_000;

/// The most series that a batch is made of, as soon as that is known: 3 MiB of names alone.
const MOST_SERIES: usize = 200_000;

/// What is seen in so many of a day's sealed batches, from the first to the last, lived long.
const LONG: usize = 6;

/// A day of one group on its way into chunks.
#[derive(Debug)]
pub(crate) struct Compacting {
    day: Day,
    sources: Vec<Source>,
    close_ups: Vec<Source>,
    moments: Vec<i64>,
    /// Metric and entity of each series of those that lived long, in order.
    long: Vec<(u32, u64)>,
    /// How many of them are done.
    next: usize,
    /// Of those that lived shortly: the first and last batch that has them, which, and its metrics.
    short: Short,
    counters: Vec<u32>,
    /// The batches of those that lived long.
    written: Written,
    /// Batches that are whole, and wait for the others.
    whole: Vec<Batch>,
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
        let mut fit = fit.count().max(1);
        sources.truncate(fit);
        let close_ups = match day.group.scope() {
            Scope::Whole => load(db, day, Scope::CloseUp)?,
            _ => vec![],
        };
        let (mut roll, mut damaged) = (Roll::default(), 0);
        for (nth, source) in sources.iter_mut().enumerate() {
            source.note_series(db, nth, &mut roll, &mut damaged)?;
            if roll.series.len() > MOST_SERIES {
                fit = nth + 1;
                break;
            }
        }
        // What is left out makes the next batch.
        sources.truncate(fit);
        let moments: Vec<i64> = sources.iter().flat_map(|s| s.moments.iter().copied()).collect();
        let (long, short) = parted(&roll, sources.len());
        let written = Written::begin(db, day, &moments, Layout::ByMetric)?;
        let counters = counters(db)?;
        Ok(Self {
            day,
            sources,
            close_ups,
            moments,
            long,
            next: 0,
            short,
            counters,
            written,
            whole: vec![],
            damaged,
        })
    }

    /// Does one step; whether that was the last one.
    pub(crate) fn step(&mut self, db: &Connection) -> rusqlite::Result<bool> {
        let room = (GRID / self.moments.len().max(1)).max(1);
        let series: Vec<_> = self.long.iter().skip(self.next).take(room).copied().collect();
        if !series.is_empty() {
            self.next += series.len();
            self.compact(db, &series)?;
        } else if self.short.is_empty() {
            return self.finish(db).map(|()| true);
        } else {
            self.compact_short(db)?;
        }
        Ok(false)
    }

    fn compact(&mut self, db: &Connection, series: &[(u32, u64)]) -> rusqlite::Result<()> {
        let points = self.moments.len();
        let wanted = Wanted::new(series);
        let grid = self.gather(db, (0, self.sources.len()), &wanted, series.len(), points)?;
        let peaks = self.peaks(db, &wanted, series.len())?;
        for ((key, values), peaks) in series.iter().zip(grid.chunks(points.max(1))).zip(&peaks) {
            self.written.push(db, *key, &self.counters, (values, peaks))?;
        }
        Ok(())
    }

    /// Some of those that lived shortly, and near each other in time: batches of their own.
    fn compact_short(&mut self, db: &Connection) -> rusqlite::Result<()> {
        let Some((from, series)) = self.next_short() else { return Ok(()) };
        let to = (from + LONG + 1).min(self.sources.len());
        let of_sources = self.sources.iter().take(to).skip(from);
        let moments: Vec<i64> = of_sources.flat_map(|s| s.moments.iter().copied()).collect();
        let points = moments.len();
        let wanted = Wanted::new(&series);
        let grid = self.gather(db, (from, to), &wanted, series.len(), points)?;
        let peaks = self.peaks(db, &wanted, series.len())?;
        let mut written = Written::begin(db, self.day, &moments, Layout::Together)?;
        // A day goes as a whole: while some of it is there raw, nobody looks for its buckets.
        written.reach(&self.written);
        for ((key, values), peaks) in series.iter().zip(grid.chunks(points.max(1))).zip(&peaks) {
            written.push(db, *key, &self.counters, (values, peaks))?;
        }
        self.whole.extend(written.finish(db)?);
        Ok(())
    }

    /// The first batch of the next ones that lived shortly, and their series in order: as many as
    /// begin near each other and fit.
    fn next_short(&mut self) -> Option<(usize, Vec<(u32, u64)>)> {
        let ((from, _, _), _) = self.short.first_key_value()?;
        let (from, to) = (*from, (*from + LONG + 1).min(self.sources.len()));
        let of_sources = self.sources.iter().take(to).skip(from);
        let points: usize = of_sources.map(|source| source.moments.len()).sum();
        let (room, mut series) = (GRID / points.max(1), vec![]);
        while let Some(next) = self.short.first_entry() {
            let ((_, last, entity), metrics) = (*next.key(), next.get());
            if last >= to || (!series.is_empty() && series.len() + metrics.len() > room) {
                break;
            }
            series.extend(next.remove().into_iter().map(|metric| (metric, entity)));
        }
        series.sort_unstable();
        Some((from, series))
    }

    /// The samples of series in some of the sources: series by series, a place for each moment.
    fn gather(
        &mut self,
        db: &Connection,
        (from, to): (usize, usize),
        wanted: &Wanted<'_>,
        count: usize,
        points: usize,
    ) -> rusqlite::Result<Vec<f64>> {
        let mut grid = vec![ABSENT; count * points];
        let mut before = 0;
        for source in self.sources.iter().take(to).skip(from) {
            let len = source.moments.len();
            source.read(db, wanted, &mut self.damaged, &mut |row, values| {
                let at = row * points + before;
                if let (Some(cells), Some(values)) = (grid.get_mut(at..at + len), values.get(..len))
                {
                    cells.copy_from_slice(values);
                }
            })?;
            before += len;
        }
        Ok(grid)
    }

    /// The extremes that close-ups saw of each series, minute by minute.
    fn peaks(
        &mut self,
        db: &Connection,
        wanted: &Wanted<'_>,
        count: usize,
    ) -> rusqlite::Result<Vec<Vec<Peak>>> {
        let mut peaks: Vec<Vec<Peak>> = vec![vec![]; count];
        for source in &self.close_ups {
            source.read(db, wanted, &mut self.damaged, &mut |row, values| {
                let Some(of) = peaks.get_mut(row) else { return };
                let seen = source.moments.iter().zip(values);
                for (ms, value) in seen.filter(|(_, value)| !is_absent(**value)) {
                    Peak::note(of, *ms, *value);
                }
            })?;
        }
        Ok(peaks)
    }

    fn finish(&mut self, db: &Connection) -> rusqlite::Result<()> {
        let all = db.unchecked_transaction()?;
        self.whole.extend(self.written.finish(&all)?);
        self.whole.iter().try_for_each(|batch| batch.put(&all))?;
        self.sources.iter().try_for_each(|source| Batch::doom(&all, source.batch))?;
        all.commit()
    }
}

/// The batches that series are written to: raw, and a bucketed one for each tier.
#[derive(Debug)]
struct Written {
    raw: Chunks,
    tiers: Vec<(Buckets, Chunks)>,
}

impl Written {
    fn begin(db: &Connection, day: Day, moments: &[i64], layout: Layout) -> rusqlite::Result<Self> {
        let begin =
            |tier, moments: &[i64]| Chunks::begin(db, tier, day.group, day.era, moments, layout);
        let tiers = tiers_of(day.group).iter().map(|tier| {
            let buckets = Buckets::of(moments, tier.seconds());
            let chunks = begin(*tier, buckets.ends())?;
            Ok((buckets, chunks))
        });
        let tiers = tiers.collect::<rusqlite::Result<_>>()?;
        Ok(Self { raw: begin(Tier::Raw, moments)?, tiers })
    }

    /// These batches count as reaching as far as those of the whole day.
    fn reach(&mut self, day: &Self) {
        self.raw.reach(day.raw.until());
        for ((_, chunks), (_, of_day)) in self.tiers.iter_mut().zip(&day.tiers) {
            chunks.reach(of_day.until());
        }
    }

    /// Adds a series; they rise.
    fn push(
        &mut self,
        db: &Connection,
        (metric, entity): (u32, u64),
        counters: &[u32],
        (values, peaks): (&[f64], &[Peak]),
    ) -> rusqlite::Result<()> {
        let key = |aspect| Key { metric, entity, aspect };
        self.raw.push(db, key(Aspect::Raw), values)?;
        let counter = counters.binary_search(&metric).is_ok();
        for (buckets, chunks) in &mut self.tiers {
            for (aspect, values) in buckets.columns(counter, values, peaks) {
                chunks.push(db, key(aspect), &values)?;
            }
        }
        Ok(())
    }

    /// The batches as they will count.
    fn finish(&mut self, db: &Connection) -> rusqlite::Result<Vec<Batch>> {
        let tiers = self.tiers.iter_mut().map(|(_, chunks)| chunks);
        std::iter::once(&mut self.raw).chain(tiers).map(|chunks| chunks.finish(db)).collect()
    }
}

/// Series of entities that lived shortly: the first and last batch that has one, which, its metrics.
type Short = BTreeMap<(usize, usize, u64), Vec<u32>>;

/// The series of what lived long, and of what lived shortly: was seen in few batches, near each
/// other, of a day that has more.
fn parted(roll: &Roll, batches: usize) -> (Vec<(u32, u64)>, Short) {
    let (mut long, mut short) = (vec![], Short::new());
    for (metric, entity) in &roll.series {
        let (first, last) = roll.lives.get(entity).copied().unwrap_or((0, batches));
        if batches > LONG && last - first + 1 < LONG {
            short.entry((first, last, *entity)).or_default().push(*metric);
        } else {
            long.push((*metric, *entity));
        }
    }
    (long, short)
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
        let moments = unless_damaged(Batch::of_row(row))?
            .flatten()
            .and_then(|batch| times::decode(&batch.times, crate::codec::MAX_POINTS).ok());
        found.push(Source::new(db, id, moments.unwrap_or_default())?);
    }
    Ok(found)
}

/// The ids of the metrics that are counters, rising.
pub(crate) fn counters(db: &Connection) -> rusqlite::Result<Vec<u32>> {
    let mut select =
        db.prepare_cached("SELECT id FROM metric WHERE kind = 'counter' ORDER BY id")?;
    select.query_map([], |row| row.get(0))?.collect()
}
