//! Samples out of batches: of each sheet the heads, and of its body the blocks that are wanted.

use std::collections::HashMap;
use std::ops::Range;

use highwater_core::series::Stretch;
use highwater_core::time::WallTime;
use rusqlite::Row;
use rusqlite::blob::Blob;

use super::cover::Take;
use super::fresh::Most;
use super::gather::{Gathered, Run};
use super::wanted::Wanted;
use crate::batch::{Tier, sheet_crc};
use crate::codec::times::{self, Excerpt};
use crate::codec::{Aspect, BlockReader, Entry, Heads, MAX_POINTS};
use crate::entity::Group;
use crate::error::StoreError;
use crate::reader::{Reader, is_corrupt, walk};
use crate::schema;

/// More metrics than this are not looked up one by one: all sheets of a batch are looked at.
const FEW_METRICS: usize = 12;

/// Of so many batches the heads are held before any of their bodies is read, or fewer if they have so many
/// series: some two MiB of them.
const MOST_HELD: usize = 64;
const MOST_ENTRIES: usize = 16_384;

/// What may be wrong with a sheet, beside its own damage.
const TOO_SHORT: &str = "the body ends before the block";

/// The sheets of each batch that have some metrics.
pub(crate) type Rows = HashMap<i64, Vec<i64>>;

/// Reads sheets, one after the other, in the same buffers.
pub(crate) struct Sheets<'a> {
    reader: &'a Reader,
    blocks: BlockReader,
    body: Option<Blob<'a>>,
    bytes: Vec<u8>,
    /// Moments of the present batch, as far as they are asked for.
    times: Excerpt,
    /// What is wanted of a sheet: block, place, aspect, metric's place and labels'.
    finds: Vec<Find>,
    places: Vec<u16>,
}

/// A series that is wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Find {
    pub(crate) block: u32,
    pub(crate) place: u16,
    pub(crate) metric: usize,
    pub(crate) slot: usize,
    pub(crate) aspect: Aspect,
}

/// Which moments of a batch are read, and for which stretch that somebody visits.
#[derive(Debug)]
struct Part {
    stretch: Option<Stretch>,
    shift: i64,
    ranges: Vec<Range<usize>>,
}

/// The sheets of a batch, and whether all that it has could be read.
#[derive(Debug)]
pub(super) struct Held {
    sheets: Vec<SheetRow>,
    whole: bool,
}

/// One sheet's row, with its heads parsed.
#[derive(Debug)]
pub(crate) struct SheetRow {
    pub(crate) id: i64,
    pub(crate) heads: Heads,
}

impl<'a> Sheets<'a> {
    pub(crate) fn new(reader: &'a Reader) -> Self {
        let (bytes, times, finds, places) = Default::default();
        Self { reader, blocks: BlockReader::new(), body: None, bytes, times, finds, places }
    }

    /// The sheets of the first of these batches that may have what is wanted: of those that are known to have
    /// any of it, or of all. What of them will be read is asked for.
    pub(super) fn hold(
        &self,
        takes: &[Take],
        known: Option<&Rows>,
        wanted: &Wanted,
    ) -> Result<Vec<Held>, StoreError> {
        let (reader, mut all, mut entries) = (self.reader, vec![], 0);
        if let (Some(ahead), Some(rows)) = (reader.ahead.borrow_mut().as_mut(), known) {
            let of_takes = takes.iter().take(MOST_HELD).filter_map(|take| rows.get(&take.batch.id));
            ahead.rows(of_takes.flatten().copied());
        }
        for take in takes.iter().take(MOST_HELD) {
            let before = reader.damaged.borrow().met();
            let mut held = Held { sheets: vec![], whole: true };
            let mut visit = |sheet: SheetRow| {
                entries += sheet.heads.entries.len();
                reader.read_ahead(&sheet, wanted);
                held.sheets.push(sheet);
                Ok(())
            };
            match known {
                None => reader.each_sheet(take.batch.id, wanted, visit)?,
                Some(rows) => {
                    for row in rows.get(&take.batch.id).into_iter().flatten() {
                        reader.meet(reader.sheet(*row, take.batch.id, wanted), &mut visit)?;
                    }
                }
            }
            held.whole = reader.damaged.borrow().met() == before;
            all.push(held);
            if entries > MOST_ENTRIES {
                break;
            }
        }
        Ok(all)
    }

    /// Reads what is wanted of one batch.
    pub(super) fn read(
        &mut self,
        take: &Take,
        held: &Held,
        gathered: &mut Gathered<'_>,
        most: Most,
    ) -> Result<(), StoreError> {
        // Of many batches few may have what is wanted, and their moments need not be unpacked.
        let asks_readings = gathered.asks_readings && gathered.wanted.group != Group::Thing;
        if held.sheets.is_empty() && !asks_readings {
            return Ok(());
        }
        let Some(part) = self.part(take, None) else { return Ok(()) };
        let before = self.reader.damaged.borrow().met();
        for sheet in &held.sheets {
            self.take_sheet(sheet, take.batch.tier, std::slice::from_ref(&part), gathered);
            most.check(gathered)?;
        }
        // Where something could not be read, nothing can be said about what is missing.
        let whole = held.whole && self.reader.damaged.borrow().met() == before;
        if whole && asks_readings && take.batch.scope == gathered.wanted.group.scope() {
            for range in &part.ranges {
                let shown = self.times.at(range).unwrap_or_default().iter();
                gathered.reading(shown.map(|at| at.saturating_add(take.shift)));
            }
        }
        Ok(())
    }

    /// The newest moment of some batches, as shown: of things nothing else is asked about their
    /// readings.
    pub(super) fn newest(&mut self, takes: &[Take]) -> Option<i64> {
        let latest = |take: &Take| {
            let last = take.spans.iter().map(|span| span.1).max()?;
            Some(last.min(take.batch.last_ms).saturating_add(take.shift))
        };
        let mut by_end: Vec<(i64, &Take)> =
            takes.iter().filter_map(|take| latest(take).map(|at| (at, take))).collect();
        by_end.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        let mut newest = None;
        for (latest, take) in by_end {
            if newest.is_some_and(|newest| newest >= latest) {
                break;
            }
            let ends = self.moments(take).unwrap_or_default().into_iter();
            let last = ends.filter_map(|range| self.times.at(&range)?.last()).max();
            newest = newest.max(last.map(|at| at.saturating_add(take.shift)));
        }
        newest
    }

    /// Reads what is wanted of some sheets of one batch, in one pass for several stretches.
    pub(super) fn read_rows(
        &mut self,
        takes: &[(Stretch, Take)],
        rows: &[i64],
        gathered: &mut Gathered<'_>,
    ) -> Result<(), StoreError> {
        let Some(batch) = takes.first().map(|(_, take)| &take.batch).filter(|_| !rows.is_empty())
        else {
            return Ok(());
        };
        let parts = takes.iter().filter_map(|(stretch, take)| self.part(take, Some(*stretch)));
        let parts: Vec<Part> = parts.collect();
        let (reader, wanted) = (self.reader, gathered.wanted);
        for row in rows {
            let met = reader.sheet(*row, batch.id, wanted);
            reader.meet(met, &mut |sheet| {
                self.take_sheet(&sheet, batch.tier, &parts, gathered);
                Ok(())
            })?;
        }
        Ok(())
    }

    /// What of a batch is in a stretch.
    fn part(&mut self, take: &Take, stretch: Option<Stretch>) -> Option<Part> {
        let ranges = self.moments(take)?;
        Some(Part { stretch, shift: take.shift, ranges })
    }

    /// Decodes the moments of a batch; which of them are to be read.
    pub(crate) fn moments(&mut self, take: &Take) -> Option<Vec<Range<usize>>> {
        match self.times_of(take) {
            Ok(times) => self.times = times,
            Err(damage) => {
                self.reader.note_batch(take, damage);
                return None;
            }
        }
        let Excerpt { before, times, .. } = &mut self.times;
        let within = take.spans.iter().map(|(first, last)| {
            let from = times.partition_point(|at| at < first);
            *before + from..*before + times.partition_point(|at| at <= last)
        });
        let within: Vec<_> = within.filter(|range| !range.is_empty()).collect();
        // A bucket that ends after its era is shown at its era's end.
        let late = times.partition_point(|at| *at <= take.till);
        times.iter_mut().skip(late).for_each(|at| *at = take.till);
        (!within.is_empty()).then_some(within)
    }

    fn times_of(&self, take: &Take) -> Result<Excerpt, String> {
        let first = take.spans.iter().map(|span| span.0).min().unwrap_or(0);
        let span = (first, take.spans.iter().map(|span| span.1).max().unwrap_or(first));
        let decoded = if take.batch.times.is_empty() {
            let long = self.reader.long_times(take.batch.id).map_err(|cause| cause.to_string())?;
            times::decode_within(&long, MAX_POINTS, span)
        } else {
            times::decode_within(&take.batch.times, MAX_POINTS, span)
        };
        decoded.map_err(|damage| damage.to_string())
    }

    /// How many moments the batch has whose moments were decoded last.
    pub(crate) fn points(&self) -> usize {
        self.times.count
    }

    fn take_sheet(
        &mut self,
        sheet: &SheetRow,
        tier: Tier,
        parts: &[Part],
        gathered: &mut Gathered<'_>,
    ) {
        let wanted = gathered.wanted;
        let mut finds = std::mem::take(&mut self.finds);
        finds.clear();
        find(&sheet.heads, wanted, &mut |entry, metric, slot| {
            let Entry { block, place, key, .. } = *entry;
            if gathered.asks_for(key.aspect, metric, slot) {
                finds.push(Find { block, place, metric, slot, aspect: key.aspect });
            }
        });
        let times = std::mem::take(&mut self.times);
        let bucketed = tier != Tier::Raw;
        // What is read of each series: from the first moment that is asked for to the last.
        let ranges = || parts.iter().flat_map(|part| &part.ranges);
        let from = ranges().map(|range| range.start).min().unwrap_or(0);
        let within = from..ranges().map(|range| range.end).max().unwrap_or(from);
        for of_block in finds.chunk_by(|a, b| a.block == b.block) {
            let mut rest = of_block.iter();
            self.read_block(sheet, of_block, &within, &mut |values| {
                let Some(find) = rest.next() else { return };
                let ranges =
                    parts.iter().flat_map(|part| part.ranges.iter().map(move |r| (part, r)));
                for (part, range) in ranges {
                    let here = range.start - from..range.end - from;
                    let (Some(times), Some(values)) = (times.at(range), values.get(here)) else {
                        continue;
                    };
                    let run = Run { times, values, shift: part.shift };
                    gathered.turn_to(part.stretch);
                    match find.aspect {
                        Aspect::Lost => gathered.lost(find.metric, find.slot, run),
                        Aspect::Min | Aspect::Max => {
                            gathered.bounds(find.metric, find.slot, run, find.aspect);
                        }
                        _ => gathered.run(find.metric, find.slot, run, bucketed),
                    }
                }
            });
        }
        (self.finds, self.times) = (finds, times);
    }

    /// Reads some series of one block, in their order and at the points that are `within`; what is
    /// damaged is noted and left out.
    pub(crate) fn read_block(
        &mut self,
        sheet: &SheetRow,
        of_block: &[Find],
        within: &Range<usize>,
        out: &mut dyn FnMut(&[f64]),
    ) {
        let Some(block) = of_block.first().map(|find| find.block) else { return };
        if let Err(what) = self.try_read_block(sheet, (block, of_block), within, out) {
            let part = usize::try_from(block).unwrap_or(0).saturating_add(1);
            let id = sheet.id;
            let what = || format!("block {block} of number {id}: {what}");
            self.reader.damaged.borrow_mut().note("sheets", id, part, what);
        }
    }

    fn try_read_block(
        &mut self,
        sheet: &SheetRow,
        (block, of_block): (u32, &[Find]),
        within: &Range<usize>,
        out: &mut dyn FnMut(&[f64]),
    ) -> Result<(), String> {
        let place = usize::try_from(block).ok().and_then(|at| sheet.heads.blocks.get(at));
        let place = *place.ok_or(TOO_SHORT)?;
        self.bytes.clear();
        if place.length > 0 {
            self.fetch(sheet.id, place.offset, place.length)?;
        }
        self.places.clear();
        self.places.extend(of_block.iter().map(|find| find.place));
        let read = self.blocks.decode_within(
            &sheet.heads,
            (block, &self.bytes),
            &self.places,
            within,
            &mut |_, values: &[f64]| out(values),
        );
        read.map_err(|damage| damage.to_string())
    }

    /// Reads bytes of a sheet's body into the buffer.
    fn fetch(&mut self, id: i64, offset: usize, length: usize) -> Result<(), String> {
        let said = |cause: rusqlite::Error| cause.to_string();
        let moved = match &mut self.body {
            Some(body) => body.reopen(id),
            None => Err(rusqlite::Error::InvalidQuery),
        };
        if moved.is_err() {
            // A handle that failed cannot be used again.
            self.body = None;
            let body = self.reader.db.blob_open("main", "sheet", "body", id, true);
            self.body = Some(body.map_err(said)?);
        }
        let body = self.body.as_ref().ok_or(TOO_SHORT)?;
        let end = offset.checked_add(length).ok_or(TOO_SHORT)?;
        if end > body.len() {
            return Err(TOO_SHORT.to_owned());
        }
        self.bytes.resize(length, 0);
        let read = body.read_at(&mut self.bytes, offset);
        if read.is_err() {
            self.body = None;
        }
        match read {
            Ok(count) if count == length => Ok(()),
            Ok(_) => Err(TOO_SHORT.to_owned()),
            Err(cause) => Err(cause.to_string()),
        }
    }
}

impl std::fmt::Debug for Sheets<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sheets").field("points", &self.times.count).finish_non_exhaustive()
    }
}

impl Reader {
    /// The sheets of some batches that have what is wanted, out of the index alone; `None` where
    /// there are too many metrics, or where the index is damaged.
    pub(super) fn rows_of(
        &self,
        takes: &[Take],
        wanted: &Wanted,
    ) -> Result<Option<Rows>, StoreError> {
        let ids = || takes.iter().map(|take| take.batch.id);
        let (Some(first), Some(last)) = (ids().min(), ids().max()) else { return Ok(None) };
        if wanted.metrics.len() > FEW_METRICS {
            return Ok(None);
        }
        let metrics = wanted.metrics.iter().map(|metric| i64::from(metric.id));
        let read = || -> rusqlite::Result<Rows> {
            let mut found = Rows::new();
            let sql = "SELECT batch, id FROM sheet WHERE metric = ?1 AND batch BETWEEN ?2 AND ?3";
            let mut select = self.db.prepare_cached(sql)?;
            for metric in std::iter::once(0).chain(metrics) {
                let mut rows = select.query([metric, first, last])?;
                while let Some(row) = rows.next()? {
                    found.entry(row.get(0)?).or_default().push(row.get(1)?);
                }
            }
            Ok(found)
        };
        match read() {
            Ok(rows) => Ok(Some(rows)),
            Err(cause) if is_corrupt(&cause) => Ok(None),
            Err(cause) => Err(self.failed()(cause)),
        }
    }

    /// Visits the sheets of a batch that may have what is wanted.
    pub(crate) fn each_sheet(
        &self,
        batch: i64,
        wanted: &Wanted,
        mut visit: impl FnMut(SheetRow) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        if wanted.metrics.len() > FEW_METRICS {
            let all = "SELECT id, metric, first_entity, last_entity, crc, heads FROM sheet
                       WHERE batch = ?1";
            return self.sheets_of(all, batch, None, wanted, &mut visit);
        }
        let of_metric = "SELECT id, metric, first_entity, last_entity, crc, heads FROM sheet
                         WHERE metric = ?2 AND batch = ?1";
        let metrics = wanted.metrics.iter().map(|metric| i64::from(metric.id));
        for metric in std::iter::once(0).chain(metrics) {
            self.sheets_of(of_metric, batch, Some(metric), wanted, &mut visit)?;
        }
        Ok(())
    }

    fn sheets_of(
        &self,
        sql: &str,
        batch: i64,
        metric: Option<i64>,
        wanted: &Wanted,
        visit: &mut dyn FnMut(SheetRow) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut read = || -> rusqlite::Result<Result<(), StoreError>> {
            let mut select = self.db.prepare_cached(sql)?;
            let mut rows = match metric {
                Some(metric) => select.query([batch, metric])?,
                None => select.query([batch])?,
            };
            while let Some(row) = rows.next()? {
                if let Err(error) = self.meet(sheet_of(row, batch, wanted)?, visit) {
                    return Ok(Err(error));
                }
            }
            Ok(Ok(()))
        };
        match read() {
            Ok(done) => done,
            Err(cause) if is_corrupt(&cause) => {
                self.note_pages("sheets", &cause);
                self.sheets_one_by_one(batch, metric, wanted, visit)
            }
            Err(cause) => Err(self.failed()(cause)),
        }
    }

    /// Where pages are damaged each sheet is looked up by itself, found by going through the table.
    /// What was read already comes again, and counts once.
    fn sheets_one_by_one(
        &self,
        batch: i64,
        metric: Option<i64>,
        wanted: &Wanted,
        visit: &mut dyn FnMut(SheetRow) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut ids = vec![];
        let of_batch = |row: &Row<'_>| {
            let of: (i64, i64) = (row.get(1)?, row.get(2)?);
            if of.0 == batch && metric.is_none_or(|metric| of.1 == metric) {
                ids.push(row.get::<_, i64>(0)?);
            }
            Ok(())
        };
        let hole = |hole| self.note_hole("sheets", &hole);
        walk(&self.db, "sheet", "id, batch, metric", of_batch, hole).map_err(self.failed())?;
        for id in ids {
            self.meet(self.sheet(id, batch, wanted), visit)?;
        }
        Ok(())
    }

    /// One sheet of a batch.
    fn sheet(&self, id: i64, batch: i64, wanted: &Wanted) -> Met {
        let sql = "SELECT id, metric, first_entity, last_entity, crc, heads FROM sheet
                   WHERE id = ?1";
        let read = self
            .db
            .prepare_cached(sql)
            .and_then(|mut select| select.query_row([id], |row| sheet_of(row, batch, wanted)));
        read.unwrap_or_else(|cause| Met::Damaged(id, cause.to_string()))
    }

    fn meet(
        &self,
        met: Met,
        visit: &mut dyn FnMut(SheetRow) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        match met {
            Met::Elsewhere => {}
            Met::Sheet(sheet) => visit(sheet)?,
            Met::Damaged(id, damage) => self.note_row("sheets", id, &damage),
        }
        Ok(())
    }

    /// Has the kernel read what of a sheet's body will be read.
    fn read_ahead(&self, sheet: &SheetRow, wanted: &Wanted) {
        let mut ahead = self.ahead.borrow_mut();
        let Some(ahead) = ahead.as_mut().filter(|ahead| !ahead.has_told(sheet.id)) else { return };
        let mut last = None;
        let mut ranges: Vec<Range<usize>> = vec![];
        find(&sheet.heads, wanted, &mut |entry, _, _| {
            let block = usize::try_from(entry.block).ok();
            let place = block.and_then(|block| sheet.heads.blocks.get(block));
            if block != last {
                let place = place.filter(|place| place.length > 0);
                ranges.extend(place.map(|of| of.offset..of.offset.saturating_add(of.length)));
            }
            last = block;
        });
        let bytes = sheet.heads.blocks.last();
        let bytes = bytes.map_or(0, |last| last.offset.saturating_add(last.length));
        ahead.body(sheet.id, bytes, &ranges);
    }

    pub(crate) fn note_batch(&self, take: &Take, damage: impl std::fmt::Display) {
        let (id, at) = (take.batch.id, WallTime::from_millis(take.batch.first_ms));
        let group = take.batch.group.name();
        let what = || format!("number {id} of group {group} from {at}: {damage}");
        self.damaged.borrow_mut().note("batches", id, 0, what);
    }
}

/// What a row turned out to be.
enum Met {
    /// Of other entities.
    Elsewhere,
    Sheet(SheetRow),
    Damaged(i64, String),
}

/// A sheet out of its row. Its checksum is looked at before its entities are believed: there are
/// so few sheets of a metric in a batch that this costs less than it is worth.
fn sheet_of(row: &Row<'_>, batch: i64, wanted: &Wanted) -> rusqlite::Result<Met> {
    let (id, metric): (i64, i64) = (row.get(0)?, row.get(1)?);
    let entities: (i64, i64) = (row.get(2)?, row.get(3)?);
    let range = (schema::unsigned(entities.0), schema::unsigned(entities.1));
    let heads = row.get_ref(5)?.as_blob().unwrap_or_default();
    let metric = u32::try_from(metric).unwrap_or(u32::MAX);
    if sheet_crc(batch, metric, entities, heads) != row.get::<_, i64>(4)? {
        return Ok(Met::Damaged(id, "its checksum is wrong".to_owned()));
    }
    if wanted.between(range.0, range.1).is_empty() {
        return Ok(Met::Elsewhere);
    }
    Ok(match Heads::parse_few(heads, &|metric| wanted.place_of(metric).is_some()) {
        Ok(heads) => Met::Sheet(SheetRow { id, heads }),
        Err(damage) => Met::Damaged(id, damage.to_string()),
    })
}

/// Finds the series of a sheet that are wanted, in its order: their entries, the places of their
/// metrics and of their labels.
pub(crate) fn find(heads: &Heads, wanted: &Wanted, out: &mut dyn FnMut(&Entry, usize, usize)) {
    for of_metric in heads.entries.chunk_by(|a, b| a.key.metric == b.key.metric) {
        let (Some(first), Some(last)) = (of_metric.first(), of_metric.last()) else { continue };
        let Some(metric) = wanted.place_of(first.key.metric) else { continue };
        let candidates = wanted.between(first.key.entity, last.key.entity);
        if candidates.len() < of_metric.len() / 8 {
            for (entity, slot) in candidates {
                let from = of_metric.partition_point(|entry| entry.key.entity < *entity);
                let here = of_metric.iter().skip(from);
                here.take_while(|entry| entry.key.entity == *entity)
                    .for_each(|entry| out(entry, metric, *slot));
            }
        } else {
            for entry in of_metric {
                if let Some(slot) = wanted.slot_of(entry.key.entity) {
                    out(entry, metric, slot);
                }
            }
        }
    }
}
