//! Sealing: ten minutes of ticks become batches, one for each group and scope.
//!
//! ```text
//! tick, tick, … of one era ──► a batch for each group and scope, in pieces: sheet, sheet, …
//! ```
//!
//! It goes in steps, each a few milliseconds and a bounded grid of numbers, between which ticks go on
//! being recorded. A batch is not read before it is whole; then, in one transaction, the batches
//! begin to count and the ticks go. A crash in between leaves the ticks.

use rusqlite::{Connection, params};

use crate::batch::{Batch, Sheet, State, Tier, next_batch};
use crate::codec::{ABSENT, Aspect, Form, Key, SheetWriter, times};
use crate::entity::{Group, Scope};
use crate::error::{unless_damaged, wrapped};
use crate::store::Tick;
use crate::tick::{Damage, Unpacker};

/// Ten minutes: 120 points at one reading in five seconds, which make a block small. Ticks of
/// different windows are never sealed together, so that each bucket is made of whole batches.
pub(crate) const WINDOW_MS: i64 = 600_000;

/// Ticks are sealed sooner when so many have come, by close-ups: a tick that is not sealed takes
/// ten times the room.
pub(crate) const SEAL_MOST: usize = 480;

/// The most numbers held at once: 2 MiB of the agent's twenty.
const GRID: usize = 256 * 1024;

/// Ticks of one era on their way into batches.
#[derive(Debug)]
pub(crate) struct Sealing {
    era: i64,
    /// The first and the last tick.
    ticks: (i64, i64),
    todo: Vec<(Group, Scope)>,
    part: Option<Part>,
    done: Vec<Batch>,
    /// Blobs that could not be read.
    pub(crate) damaged: usize,
}

/// One group and scope of them.
#[derive(Debug)]
struct Part {
    batch: Batch,
    /// Each tick's row and moment.
    moments: Vec<(i64, i64)>,
    entities: Vec<u64>,
    metrics: Vec<u32>,
    /// The first metric and entity that are not done.
    next: (usize, usize),
}

/// The series of one step: of these metrics, these entities.
struct Piece<'a> {
    metrics: &'a [u32],
    entities: &'a [u64],
}

type Pair = (i64, i64);

impl Sealing {
    /// The oldest ticks, up to [`SEAL_MOST`], of one era and window; `None` if there are none.
    pub(crate) fn of_oldest(db: &Connection) -> rusqlite::Result<Option<Self>> {
        let sql = "SELECT id, at_ms, era, boot_us, scope, crc FROM tick ORDER BY id";
        let mut select = db.prepare_cached(sql)?;
        let mut rows = select.query([])?;
        // Their first and last row; their era and window.
        let (mut ticks, mut of): (Option<Pair>, Option<Pair>) = (None, None);
        let (mut count, mut damaged) = (0, 0);
        while let Some(row) = rows.next()? {
            let id = row.get(0)?;
            let [at_ms, era, boot_us, scope, crc] =
                [1, 2, 3, 4, 5].map(|at| row.get::<_, i64>(at).unwrap_or(i64::MIN));
            let scope = Scope::of_number(scope);
            let wanted = scope.map(|scope| Tick { id, at_ms, era, boot_us, scope }.crc());
            if wanted != Some(crc) {
                // It goes with its neighbours; nothing of it can be believed.
                damaged += 1;
            } else if of.is_some_and(|of| of != (era, window_of(at_ms))) || count == SEAL_MOST {
                break;
            } else {
                of = Some((era, window_of(at_ms)));
                count += 1;
            }
            ticks = Some((ticks.map_or(id, |(first, _)| first), id));
        }
        let todo = Group::ALL.into_iter().rev();
        let todo = todo.flat_map(|group| Scope::ALL.map(|scope| (group, scope))).collect();
        Ok(ticks.map(|ticks| Self {
            era: of.map_or(0, |(era, _)| era),
            ticks,
            todo,
            part: None,
            done: vec![],
            damaged,
        }))
    }

    /// Does one step; whether that was the last one.
    pub(crate) fn step(&mut self, db: &Connection) -> rusqlite::Result<bool> {
        if let Some(mut part) = self.part.take() {
            if part.step(db)? {
                self.done.push(part.batch);
            } else {
                self.part = Some(part);
            }
            return Ok(false);
        }
        while let Some((group, scope)) = self.todo.pop() {
            if let Some(part) = Part::begin(db, self, group, scope)? {
                self.part = Some(part);
                return Ok(false);
            }
        }
        self.finish(db)?;
        Ok(true)
    }

    fn finish(&mut self, db: &Connection) -> rusqlite::Result<()> {
        let all = db.unchecked_transaction()?;
        for batch in &mut self.done {
            batch.state = if batch.samples > 0 { State::Valid } else { State::Doomed };
            batch.put(&all)?;
        }
        let (first, last) = self.ticks;
        all.prepare_cached("DELETE FROM tick WHERE id BETWEEN ?1 AND ?2")?
            .execute([first, last])?;
        all.commit()
    }
}

impl Part {
    /// Looks through the ticks; `None` if none has this group.
    fn begin(
        db: &Connection,
        of: &mut Sealing,
        group: Group,
        scope: Scope,
    ) -> rusqlite::Result<Option<Self>> {
        let (mut moments, mut entities, mut metrics) = (vec![], vec![], vec![]);
        let mut unpacker = Unpacker::default();
        let damaged = &mut of.damaged;
        each_blob(db, of.ticks, of.era, group, scope, |id, at_ms, blob| {
            match unpacker.unpack(blob) {
                Ok(tick) => {
                    moments.push((id, at_ms));
                    note(&mut entities, tick.ids());
                    for column in tick.columns() {
                        match column {
                            Ok(column) => note(&mut metrics, &[column.metric]),
                            Err(_) => *damaged += 1,
                        }
                    }
                }
                Err(_) => *damaged += 1,
            }
            Ok(())
        })?;
        let (Some((_, first_ms)), Some((_, last_ms))) = (moments.first(), moments.last()) else {
            return Ok(None);
        };
        let mut packed = vec![];
        let at: Vec<i64> = moments.iter().map(|(_, at)| *at).collect();
        times::encode(&at, &mut packed);
        let batch = Batch {
            id: next_batch(db)?,
            tier: Tier::Raw,
            level: 0,
            group,
            scope,
            era: of.era,
            first_ms: *first_ms,
            last_ms: *last_ms,
            points: i64::try_from(moments.len()).unwrap_or(i64::MAX),
            samples: 0,
            bytes: 0,
            state: State::Made,
            times: packed,
        };
        batch.put(db)?;
        Ok(Some(Self { batch, moments, entities, metrics, next: (0, 0) }))
    }

    /// Writes one sheet; whether that was the last one.
    fn step(&mut self, db: &Connection) -> rusqlite::Result<bool> {
        let (metric, entity) = self.next;
        let room = (GRID / self.moments.len().max(1)).max(1);
        let of_entities = self.entities.len().saturating_sub(entity).min(room);
        let whole = of_entities == self.entities.len();
        let of_metrics = if whole { (room / of_entities.max(1)).max(1) } else { 1 };
        let metrics =
            self.metrics.iter().skip(metric).take(of_metrics).copied().collect::<Vec<_>>();
        let entities =
            self.entities.iter().skip(entity).take(of_entities).copied().collect::<Vec<_>>();
        if metrics.is_empty() || entities.is_empty() {
            return Ok(true);
        }
        let piece = Piece { metrics: &metrics, entities: &entities };
        let grid = self.fill(db, &piece)?;
        self.write(db, &piece, &grid)?;
        self.next = if entity + of_entities < self.entities.len() {
            (metric, entity + of_entities)
        } else {
            (metric + of_metrics, 0)
        };
        Ok(self.next.0 >= self.metrics.len())
    }

    /// The numbers of a piece: series by series, a place for each moment.
    fn fill(&self, db: &Connection, piece: &Piece<'_>) -> rusqlite::Result<Vec<f64>> {
        let points = self.moments.len();
        let mut grid = vec![ABSENT; piece.metrics.len() * piece.entities.len() * points];
        let (mut unpacker, mut point) = (Unpacker::default(), 0);
        let (Some((first, _)), Some((last, _))) = (self.moments.first(), self.moments.last())
        else {
            return Ok(grid);
        };
        let Batch { group, scope, era, .. } = self.batch;
        each_blob(db, (*first, *last), era, group, scope, |id, _, blob| {
            while self.moments.get(point).is_some_and(|(at, _)| *at < id) {
                point += 1;
            }
            if self.moments.get(point).is_some_and(|(at, _)| *at == id) {
                // A column that cannot be read was counted when the ticks were looked through.
                let _rest_is_lost = piece.take(&mut unpacker, blob, points, point, &mut grid);
            }
            Ok(())
        })?;
        Ok(grid)
    }

    fn write(&mut self, db: &Connection, piece: &Piece<'_>, grid: &[f64]) -> rusqlite::Result<()> {
        let points = self.moments.len().max(1);
        let mut sheet = SheetWriter::new(Form::Blocks).map_err(wrapped)?;
        sheet.begin(self.moments.len());
        let keys = piece.metrics.iter().flat_map(|metric| {
            let key = |entity: &u64| Key { metric: *metric, entity: *entity, aspect: Aspect::Raw };
            piece.entities.iter().map(key)
        });
        for (key, values) in keys.zip(grid.chunks(points)) {
            sheet.push(key, values).map_err(wrapped)?;
        }
        let finished = sheet.finish().map_err(wrapped)?;
        if finished.samples == 0 {
            return Ok(());
        }
        let metric = match piece.metrics {
            [one] => *one,
            _ => 0,
        };
        let ends = piece.entities.first().zip(piece.entities.last());
        let (heads, body) = (finished.heads, finished.body);
        let entities = ends.map_or((0, 0), |(first, last)| (*first, *last));
        let row = Sheet { batch: self.batch.id, metric, entities, heads, body };
        self.batch.bytes += row.insert(db)?;
        self.batch.samples += i64::try_from(finished.samples).unwrap_or(i64::MAX);
        Ok(())
    }
}

impl Piece<'_> {
    /// Takes what belongs to it out of the tick at `point`.
    fn take(
        &self,
        unpacker: &mut Unpacker,
        blob: &[u8],
        points: usize,
        point: usize,
        grid: &mut [f64],
    ) -> Result<(), Damage> {
        let tick = unpacker.unpack(blob)?;
        let rows = self.rows(tick.ids());
        for column in tick.columns() {
            let column = column?;
            let Ok(metric) = self.metrics.binary_search(&column.metric) else { continue };
            let first = metric * self.entities.len();
            let mut rows = rows.iter().peekable();
            for (place, value) in column.values().enumerate() {
                let Some((wanted, row)) = rows.peek() else { break };
                let value = value?;
                if place == *wanted {
                    rows.next();
                    let cell = grid.get_mut((first + row) * points + point);
                    if let (Some(cell), Some(value)) = (cell, value) {
                        *cell = value;
                    }
                }
            }
        }
        Ok(())
    }

    /// Which places of a tick are which of the wanted entities. Both rise.
    fn rows(&self, ids: &[u64]) -> Vec<(usize, usize)> {
        let mut wanted = self.entities.iter().enumerate().peekable();
        let mut rows = Vec::with_capacity(self.entities.len().min(ids.len()));
        for (place, id) in ids.iter().enumerate() {
            while wanted.next_if(|(_, want)| *want < id).is_some() {}
            if let Some((row, _)) = wanted.next_if(|(_, want)| *want == id) {
                rows.push((place, row));
            }
        }
        rows
    }
}

/// Which ten minutes a moment is in; they have their end but not their beginning, as buckets have.
pub(crate) fn window_of(at_ms: i64) -> i64 {
    at_ms.saturating_sub(1).div_euclid(WINDOW_MS)
}

/// Adds to a rising list what it does not have yet.
fn note<T: Ord + Copy>(known: &mut Vec<T>, more: &[T]) {
    if more.iter().all(|one| known.binary_search(one).is_ok()) {
        return;
    }
    known.extend_from_slice(more);
    known.sort_unstable();
    known.dedup();
}

/// Visits the blobs of a group and scope in a range of ticks, in order.
fn each_blob(
    db: &Connection,
    (first, last): (i64, i64),
    era: i64,
    group: Group,
    scope: Scope,
    mut visit: impl FnMut(i64, i64, &[u8]) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let column = group.name();
    let mut select = db.prepare_cached(&format!(
        "SELECT id, at_ms, {column} FROM tick
         WHERE id BETWEEN ?1 AND ?2 AND scope = ?3 AND era = ?4 AND {column} IS NOT NULL ORDER BY id"
    ))?;
    let mut rows = select.query(params![first, last, scope.number(), era])?;
    // Behind a damaged page nothing more of this group is found.
    while let Some(Some(row)) = unless_damaged(rows.next())? {
        let blob = row.get_ref(2)?.as_blob().unwrap_or_default();
        if let Some((id, at_ms)) = unless_damaged(row.get(0).and_then(|id| Ok((id, row.get(1)?))))?
        {
            visit(id, at_ms, blob)?;
        }
    }
    Ok(())
}
