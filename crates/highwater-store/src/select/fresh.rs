//! Samples out of ticks that are not sealed yet.

use highwater_core::series::Point;
use highwater_core::time::WallTime;
use rusqlite::Row;

use super::cover::Reach;
use super::gather::Gathered;
use crate::entity::{Group, Scope};
use crate::error::StoreError;
use crate::reader::{Reader, TICK_COLUMNS, is_corrupt, walk};
use crate::store::Tick as TickRow;
use crate::tick::{Column, Damage, Tick, Unpacker};

/// How many samples of one selection are held at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Most(pub(crate) usize);

impl Most {
    pub(crate) fn check(self, gathered: &Gathered<'_>) -> Result<(), StoreError> {
        if gathered.points > self.0 {
            return Err(StoreError::TooMany { most: self.0 });
        }
        Ok(())
    }
}

impl Reader {
    /// Reads the ticks of a stretch, oldest first.
    pub(crate) fn read_fresh(
        &self,
        reach: &Reach,
        gathered: &mut Gathered<'_>,
        most: Most,
    ) -> Result<(), StoreError> {
        let group = gathered.wanted.group;
        let mut unpacker = Unpacker::default();
        self.each_tick(group, reach, "ASC", |tick, blob| {
            let point = tick.at_ms.saturating_add(reach.shift);
            let taken = take(gathered, &mut unpacker, point, blob);
            match taken {
                Ok(()) if tick.scope == group.scope() => gathered.reading([point]),
                Ok(()) => {}
                Err(damage) => self.note_tick(group, *tick, damage),
            }
            most.check(gathered).map(|()| true)
        })
    }

    /// Reads the newest ticks of a stretch, back to the newest one of all that is in the group,
    /// which is one tick but for close-ups; whether there was one.
    pub(crate) fn read_newest(
        &self,
        reach: &Reach,
        gathered: &mut Gathered<'_>,
    ) -> Result<bool, StoreError> {
        let group = gathered.wanted.group;
        let (mut unpacker, mut whole) = (Unpacker::default(), false);
        self.each_tick(group, reach, "DESC", |tick, blob| {
            let point = tick.at_ms.saturating_add(reach.shift);
            match take(gathered, &mut unpacker, point, blob) {
                Ok(()) => whole = tick.scope == Scope::Whole,
                Err(damage) => self.note_tick(group, *tick, damage),
            }
            Ok(!whole)
        })?;
        Ok(whole)
    }

    /// Visits the blobs of a group in a stretch for as long as `visit` wants more.
    fn each_tick(
        &self,
        group: Group,
        reach: &Reach,
        order: &str,
        mut visit: impl FnMut(&TickRow, &[u8]) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        let column = group.name();
        // All rows are looked at, so that their checksums say which of them are in the stretch;
        // but no blobs of the others.
        let sql = format!(
            "SELECT {TICK_COLUMNS},
               CASE WHEN era = ?1 AND at_ms BETWEEN ?2 AND ?3 THEN {column} END
             FROM tick ORDER BY id {order}"
        );
        let mut refused = None;
        let mut each = |row: &Row<'_>| -> rusqlite::Result<bool> {
            let Some(tick) = tick_of(row)? else {
                self.note_row("ticks", row.get(0)?, &"its checksum is wrong");
                return Ok(true);
            };
            let within = (reach.span.0..=reach.span.1).contains(&tick.at_ms);
            let Some(blob) = row.get_ref(6)?.as_blob_or_null()? else { return Ok(true) };
            if tick.era != reach.era || !within || refused.is_some() {
                return Ok(true);
            }
            let more = visit(&tick, blob).unwrap_or_else(|error| {
                refused = Some(error);
                false
            });
            Ok(more)
        };
        let mut read = || -> rusqlite::Result<()> {
            let mut select = self.db.prepare_cached(&sql)?;
            let mut rows = select.query([reach.era, reach.span.0, reach.span.1])?;
            while let Some(row) = rows.next()? {
                if !each(row)? {
                    break;
                }
            }
            Ok(())
        };
        let read = match read() {
            // What was read already comes again, and counts once.
            Err(cause) if is_corrupt(&cause) => {
                self.note_pages("ticks", &cause);
                let visit = |row: &Row<'_>| each(row).map(|_| ());
                let columns = format!("{TICK_COLUMNS}, {column}");
                walk(&self.db, "tick", &columns, visit, |hole| self.note_hole("ticks", &hole))
            }
            read => read,
        };
        match refused {
            Some(error) => Err(error),
            None => read.map_err(self.failed()),
        }
    }

    fn note_tick(&self, group: Group, tick: TickRow, damage: Damage) {
        let at = WallTime::from_millis(tick.at_ms);
        let what = || format!("the one at {at}: {damage}");
        // Each group of a tick is damaged by itself.
        let part = Group::ALL.into_iter().position(|one| one == group).unwrap_or(0);
        self.damaged.borrow_mut().note("ticks", tick.id, part, what);
    }
}

/// A tick out of its row; `None` if that is damaged.
pub(crate) fn tick_of(row: &Row<'_>) -> rusqlite::Result<Option<TickRow>> {
    let Some(scope) = Scope::of_number(row.get(4)?) else { return Ok(None) };
    let (id, at_ms, era, boot_us) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
    let tick = TickRow { id, at_ms, era, boot_us, scope };
    Ok((tick.crc() == row.get::<_, i64>(5)?).then_some(tick))
}

/// Takes what is wanted out of one blob.
fn take(
    gathered: &mut Gathered<'_>,
    unpacker: &mut Unpacker,
    at: i64,
    blob: &[u8],
) -> Result<(), Damage> {
    let tick = unpacker.unpack(blob)?;
    let places = places(&tick, &gathered.wanted.entities);
    if places.is_empty() {
        return Ok(());
    }
    for column in tick.columns() {
        let column = column?;
        if let Some(metric) = gathered.wanted.place_of(column.metric) {
            take_column(gathered, metric, WallTime::from_millis(at), column, &places)?;
        }
    }
    Ok(())
}

/// Takes the values at `places`, which rise; those after the last one are not decoded.
fn take_column(
    gathered: &mut Gathered<'_>,
    metric: usize,
    at: WallTime,
    column: Column<'_>,
    places: &[(usize, usize)],
) -> Result<(), Damage> {
    let mut places = places.iter().peekable();
    for (place, value) in column.values().enumerate() {
        let Some((wanted, slot)) = places.peek() else { break };
        let value = value?;
        if place == *wanted {
            places.next();
            if let Some(value) = value {
                gathered.point(metric, *slot, Point { at, value });
            }
        }
    }
    Ok(())
}

/// Where the wanted entities stand in a tick, and which labels are theirs.
fn places(tick: &Tick<'_>, entities: &[(u64, usize)]) -> Vec<(usize, usize)> {
    let mut wanted = entities.iter().peekable();
    let mut places = vec![];
    for (place, id) in tick.ids().iter().enumerate() {
        while wanted.next_if(|(want, _)| want < id).is_some() {}
        match wanted.peek() {
            None => break,
            Some((want, slot)) if want == id => places.push((place, *slot)),
            Some(_) => {}
        }
    }
    places
}
