//! Reading the sheets of one sealed batch, for those who make other batches of it.

use std::collections::HashMap;

use rusqlite::{Connection, MAIN_DB};

use crate::batch::sheet_crc;
use crate::codec::{Aspect, BlockReader, Heads, Key};
use crate::error::unless_damaged;

/// A sealed batch and its sheets.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) batch: i64,
    pub(crate) moments: Vec<i64>,
    sheets: Vec<Place>,
}

/// One sheet, and which series it may have.
#[derive(Clone, Copy, Debug)]
struct Place {
    row: i64,
    first: (u32, u64),
    last: (u32, u64),
}

/// The series of one step, by metric and entity; they rise.
#[derive(Debug)]
pub(crate) struct Wanted<'a> {
    series: &'a [(u32, u64)],
}

impl<'a> Wanted<'a> {
    pub(crate) fn new(series: &'a [(u32, u64)]) -> Self {
        Self { series }
    }

    fn row(&self, key: Key) -> Option<usize> {
        let raw = key.aspect == Aspect::Raw;
        self.series.binary_search(&(key.metric, key.entity)).ok().filter(|_| raw)
    }

    /// Whether a sheet with series from `first` to `last` may have any of them.
    fn meets(&self, place: &Place) -> bool {
        let at = self.series.partition_point(|one| *one < place.first);
        self.series.get(at).is_some_and(|one| *one <= place.last)
    }
}

/// Which series there are in a day.
#[derive(Debug, Default)]
pub(crate) struct Roll {
    /// Metric and entity of each; they rise.
    pub(crate) series: Vec<(u32, u64)>,
    /// The first and the last batch that has an entity.
    pub(crate) lives: HashMap<u64, (usize, usize)>,
}

impl Source {
    /// A batch and which sheets it has.
    pub(crate) fn new(db: &Connection, batch: i64, moments: Vec<i64>) -> rusqlite::Result<Self> {
        let mut select = db.prepare_cached("SELECT id FROM sheet WHERE batch = ?1 ORDER BY id")?;
        let everything = |row| Place { row, first: (0, 0), last: (u32::MAX, u64::MAX) };
        let sheets = select.query_map([batch], |row| row.get(0).map(everything))?;
        Ok(Self { batch, moments, sheets: sheets.collect::<rusqlite::Result<_>>()? })
    }

    /// Notes which series this batch has, the `nth` of its day, and which sheet has which.
    pub(crate) fn note_series(
        &mut self,
        db: &Connection,
        nth: usize,
        known: &mut Roll,
        damaged: &mut usize,
    ) -> rusqlite::Result<()> {
        let sorted = known.series.len();
        for place in &mut self.sheets {
            let Some(heads) = heads(db, place.row)? else {
                *damaged += 1;
                continue;
            };
            let keys = || heads.entries.iter().map(|entry| (entry.key.metric, entry.key.entity));
            let (Some(first), Some(last)) = (keys().next(), keys().next_back()) else { continue };
            (place.first, place.last) = (first, last);
            // What is new stands behind what is known until the whole batch is noted.
            let known_before = known.series.get(..sorted).unwrap_or_default();
            let new: Vec<_> =
                keys().filter(|key| known_before.binary_search(key).is_err()).collect();
            known.series.extend(new);
            for entity in keys().map(|(_, entity)| entity) {
                let life = known.lives.entry(entity).or_insert((nth, nth));
                life.1 = life.1.max(nth);
            }
        }
        if known.series.len() > sorted {
            known.series.sort_unstable();
            known.series.dedup();
        }
        Ok(())
    }

    /// Gives the samples of those series that are wanted: which of them, and its values.
    pub(crate) fn read(
        &self,
        db: &Connection,
        wanted: &Wanted<'_>,
        damaged: &mut usize,
        give: &mut dyn FnMut(usize, &[f64]),
    ) -> rusqlite::Result<()> {
        let mut reader = BlockReader::new();
        for place in self.sheets.iter().filter(|place| wanted.meets(place)) {
            let Some(heads) = heads(db, place.row)? else {
                *damaged += 1;
                continue;
            };
            let rows = heads.entries.iter().filter_map(|entry| {
                wanted.row(entry.key).map(|row| (entry.block, entry.place, row))
            });
            let rows: Vec<(u32, u16, usize)> = rows.collect();
            if rows.is_empty() {
                continue;
            }
            let body = db.blob_open(MAIN_DB, "sheet", "body", place.row, true);
            let Some(body) = unless_damaged(body)? else {
                *damaged += 1;
                continue;
            };
            for of_block in rows.chunk_by(|a, b| a.0 == b.0) {
                let Some((block, _, _)) = of_block.first() else { continue };
                let at = heads.blocks.get(usize::try_from(*block).unwrap_or(usize::MAX));
                let mut bytes = vec![0; at.map_or(0, |at| at.length)];
                let whole = at.is_some_and(|at| body.read_at_exact(&mut bytes, at.offset).is_ok());
                let places: Vec<u16> = of_block.iter().map(|(_, place, _)| *place).collect();
                let mut out = |place: u16, values: &[f64]| {
                    let row = of_block.iter().find(|(_, of, _)| *of == place);
                    if let Some((_, _, row)) = row {
                        give(*row, values);
                    }
                };
                if !whole || reader.decode(&heads, *block, &bytes, &places, &mut out).is_err() {
                    *damaged += 1;
                }
            }
        }
        Ok(())
    }
}

/// The heads of a sheet; `None` if it is damaged.
fn heads(db: &Connection, row: i64) -> rusqlite::Result<Option<Heads>> {
    let mut select = db.prepare_cached(
        "SELECT batch, metric, first_entity, last_entity, crc, heads FROM sheet WHERE id = ?1",
    )?;
    let heads = select.query_row([row], |row| {
        let heads = row.get_ref(5)?.as_blob().unwrap_or_default();
        let entities = (row.get(2)?, row.get(3)?);
        let crc = sheet_crc(row.get(0)?, row.get(1)?, entities, heads);
        let intact = crc == row.get::<_, i64>(4)?;
        Ok(if intact { Heads::parse(heads).ok() } else { None })
    });
    Ok(unless_damaged(heads)?.flatten())
}
