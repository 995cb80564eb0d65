//! Boots, eras and the ticks that are not sealed, each vouched for by its checksum: they say where
//! everything else is shown.

#![expect(clippy::similar_names, reason = "wall clock in ms and boot clock in us come in pairs")]

use std::collections::BTreeMap;

use highwater_core::time::WallTime;
use rusqlite::Row;

use super::{Boot, Reader};
use crate::era::{self, Era};
use crate::select::fresh::tick_of;
use crate::store::boot_crc;

/// What is wrong with a row whose columns and checksum do not agree.
const CHECKSUM: &str = "its checksum is wrong";

/// The columns of a tick in the order of [`tick_of`].
pub(crate) const TICK_COLUMNS: &str = "id, at_ms, era, boot_us, scope, crc";

/// The ticks of one era that are not sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fresh {
    pub(crate) era: i64,
    /// The first one's moment, by the wall clock of then, and the last one's.
    pub(crate) span: (i64, i64),
    /// The last one's by the boot clock.
    last_us: i64,
}

/// What is known of the eras.
#[derive(Clone, Debug, Default)]
pub(crate) struct Eras {
    /// In the order of recording; those whose row is damaged are not there.
    pub(crate) known: Vec<Era>,
    /// Some are damaged.
    pub(crate) damaged: bool,
    pub(crate) fresh: Vec<Fresh>,
}

impl Eras {
    /// First and last tick of an era that is not sealed.
    pub(crate) fn span_of(&self, era: i64) -> Option<(i64, i64)> {
        self.fresh.iter().find(|fresh| fresh.era == era).map(|fresh| fresh.span)
    }
}

impl Reader {
    /// The rows of the boots that are intact.
    pub(super) fn boot_rows(&self) -> rusqlite::Result<Vec<(i64, Boot)>> {
        let take = |row: &Row<'_>| {
            let (id, first): (i64, i64) = (row.get(0)?, row.get(2)?);
            let text = row.get_ref(1)?.as_str()?;
            let intact = boot_crc(id, text, first) == row.get::<_, i64>(3)?;
            let Some(boot) = text.parse().ok().filter(|_| intact) else {
                self.note_row("boots", id, &CHECKSUM);
                return Ok(None);
            };
            Ok(Some((id, Boot { id: boot, first: WallTime::from_millis(first) })))
        };
        self.rows("boots", ("boot", "id, boot_id, first_ms, crc"), ("1 ORDER BY id", &[]), take)
    }

    /// Reads the eras and the ticks.
    pub(super) fn read_eras(&self) -> rusqlite::Result<Eras> {
        let fresh = self.fresh()?;
        let met = self.damaged.borrow().met();
        let take = |row: &Row<'_>| {
            let found = era_of(row, &fresh)?;
            if found.is_none() {
                self.note_row("eras", row.get(0)?, &CHECKSUM);
            }
            Ok(found)
        };
        let columns = "id, boot, first_ms, first_us, last_ms, last_us, crc";
        let eras = self.rows("eras", ("era", columns), ("1 ORDER BY id", &[]), take)?;
        Ok(Eras { known: eras, damaged: self.damaged.borrow().met() > met, fresh })
    }

    fn fresh(&self) -> rusqlite::Result<Vec<Fresh>> {
        let mut fresh: BTreeMap<i64, Fresh> = BTreeMap::new();
        let take = |row: &Row<'_>| {
            let Some(tick) = tick_of(row)? else {
                self.note_row("ticks", row.get(0)?, &CHECKSUM);
                return Ok(None::<()>);
            };
            let (at, us) = (tick.at_ms, tick.boot_us);
            let one = Fresh { era: tick.era, span: (at, at), last_us: us };
            let of_era = fresh.entry(tick.era).or_insert(one);
            of_era.span = (of_era.span.0.min(at), of_era.span.1.max(at));
            of_era.last_us = of_era.last_us.max(us);
            Ok(None)
        };
        self.rows("ticks", ("tick", TICK_COLUMNS), ("1", &[]), take)?;
        Ok(fresh.into_values().collect())
    }
}

/// An era out of its row, up to its newest tick; `None` if the row is damaged.
fn era_of(row: &Row<'_>, fresh: &[Fresh]) -> rusqlite::Result<Option<Era>> {
    let (id, boot, first_ms, first_us) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
    let (sealed_ms, sealed_us): (Option<i64>, Option<i64>) = (row.get(4)?, row.get(5)?);
    let newest = fresh.iter().find(|fresh| fresh.era == id);
    let last_ms = sealed_ms.max(newest.map(|newest| newest.span.1));
    let last_us = sealed_us.max(newest.map(|newest| newest.last_us));
    let last_ms = last_ms.unwrap_or(first_ms).max(first_ms);
    let last_us = last_us.unwrap_or(first_us).max(first_us);
    let era = Era { id, boot, first_ms, first_us, last_ms, last_us };
    Ok((era::crc(&era, sealed_ms, sealed_us) == row.get::<_, i64>(6)?).then_some(era))
}
