//! Clocks that are set, and how history stays in order all the same.
//!
//! An era is a stretch of recording within one boot under one setting of the wall clock. Within an
//! era the wall clock and the boot clock run side by side, so its moments are in order. What was
//! recorded stays as it was; how it is shown is worked out by [`windows`] when it is read:
//!
//! ```text
//! set forward   ──era 1──┤        ├──era 2──     a gap: either the clock was late, or the machine
//!                                                was stopped unseen; both leave era 1 as it is
//! set back      ──era 1──────┤                   the clock was ahead: era 1 is dated by the boot
//!                     ├──era 2──                 clock, back from where era 2 begins
//! another boot  ──era 1──────┤                   no clock connects them: where both tell the same
//!                     ├──era 2──                 time, the later one is shown
//! ```

#![expect(clippy::similar_names, reason = "wall clock in ms and boot clock in us come in pairs")]

use rusqlite::{Connection, OptionalExtension, params};

use crate::crc::RowCrc;
use crate::schema;

/// A wall clock that moves by more than this against the boot clock was set. Slewing stays below:
/// 500 ppm are 2.5 ms in five seconds. A leap second is above.
const STEP_MS: u64 = 500;

/// A stretch of recording under one setting of the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Era {
    /// Its row.
    pub id: i64,
    /// The row of its boot.
    pub boot: i64,
    /// The wall clock at its first tick.
    pub first_ms: i64,
    /// The boot clock at its first tick.
    pub first_us: i64,
    /// The wall clock at its last tick that is known.
    pub last_ms: i64,
    /// The boot clock at its last tick that is known.
    pub last_us: i64,
}

/// Where an era's moments are shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// Which era.
    pub era: i64,
    /// Recorded moment + shift = moment shown.
    pub shift_ms: i64,
    /// The moments shown that are its own, first and last of each span.
    pub spans: Vec<(i64, i64)>,
}

/// Where each era's moments are shown, in the order of the eras.
pub fn windows(eras: &[Era]) -> Vec<Window> {
    let mut windows: Vec<Window> = Vec::with_capacity(eras.len());
    let mut next: Option<(&Era, i64)> = None;
    for era in eras.iter().rev() {
        let shift_ms = match next {
            Some((later, shift)) if later.boot == era.boot => shift_before(era, later, shift),
            _ => 0,
        };
        next = Some((era, shift_ms));
        let shown = (era.first_ms + shift_ms, era.last_ms + shift_ms);
        let others = windows.iter().zip(eras.iter().rev());
        let taken = others.filter(|(_, other)| other.boot != era.boot).map(|(window, other)| {
            (other.first_ms + window.shift_ms, other.last_ms + window.shift_ms)
        });
        let spans = taken.fold(vec![shown], |spans, hole| without(&spans, hole));
        windows.push(Window { era: era.id, shift_ms, spans });
    }
    windows.reverse();
    // The newest goes on for as long as nothing later is recorded.
    if let Some((_, last)) = windows.last_mut().and_then(|window| window.spans.last_mut()) {
        *last = i64::MAX;
    }
    windows
}

/// How an era is shifted that ends where `later`, of the same boot, begins.
fn shift_before(era: &Era, later: &Era, later_shift: i64) -> i64 {
    let later_first = later.first_ms.saturating_add(later_shift);
    if era.last_ms < later_first {
        return 0;
    }
    let between_ms = (later.first_us.saturating_sub(era.last_us) / 1000).max(1);
    later_first.saturating_sub(between_ms).saturating_sub(era.last_ms)
}

/// Spans without what a hole takes.
fn without(spans: &[(i64, i64)], (from, to): (i64, i64)) -> Vec<(i64, i64)> {
    spans
        .iter()
        .flat_map(|(first, last)| {
            let before = (*first, (*last).min(from.saturating_sub(1)));
            let after = ((*first).max(to.saturating_add(1)), *last);
            [before, after]
        })
        .filter(|(first, last)| first <= last)
        .collect()
}

/// All eras, in the order of recording; rows whose checksum is wrong are counted, not given.
pub(crate) fn load(db: &Connection) -> rusqlite::Result<(Vec<Era>, usize)> {
    let mut select = db.prepare_cached(
        "SELECT id, boot, first_ms, first_us, last_ms, last_us, crc, fresh_ms, fresh_us
         FROM era LEFT JOIN (SELECT era, max(at_ms) AS fresh_ms, max(boot_us) AS fresh_us
                             FROM tick GROUP BY era) ON era = id
         ORDER BY id",
    )?;
    let mut rows = select.query([])?;
    let (mut eras, mut damaged) = (vec![], 0);
    while let Some(row) = rows.next()? {
        let (sealed_ms, sealed_us): (Option<i64>, Option<i64>) = (row.get(4)?, row.get(5)?);
        let (fresh_ms, fresh_us): (Option<i64>, Option<i64>) = (row.get(7)?, row.get(8)?);
        let (first_ms, first_us) = (row.get(2)?, row.get(3)?);
        let last_ms = sealed_ms.max(fresh_ms).unwrap_or(first_ms).max(first_ms);
        let last_us = sealed_us.max(fresh_us).unwrap_or(first_us).max(first_us);
        let (id, boot) = (row.get(0)?, row.get(1)?);
        let era = Era { id, boot, first_ms, first_us, last_ms, last_us };
        if crc(&era, sealed_ms, sealed_us) == row.get::<_, i64>(6)? {
            eras.push(era);
        } else {
            damaged += 1;
        }
    }
    Ok((eras, damaged))
}

/// The checksum of an era's row, with what its last columns hold.
pub(crate) fn crc(era: &Era, last_ms: Option<i64>, last_us: Option<i64>) -> i64 {
    RowCrc::of("era")
        .int(era.id)
        .int(era.boot)
        .int(era.first_ms)
        .int(era.first_us)
        .maybe(last_ms)
        .maybe(last_us)
        .done()
}

/// The era that is being recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Current {
    pub(crate) era: Era,
    /// It has no tick yet.
    empty: bool,
}

impl Current {
    /// The era of a moment of `boot`: the present one, or a new one if the clock was set or the
    /// boot is another.
    pub(crate) fn of(
        db: &Connection,
        present: Option<Self>,
        boot: i64,
        (wall_ms, boot_us): (i64, i64),
    ) -> rusqlite::Result<Self> {
        let present = match present {
            Some(present) => Some(present),
            None => newest(db)?,
        };
        match present {
            Some(now) if now.era.boot == boot && !is_step(&now.era, wall_ms, boot_us) => Ok(now),
            Some(closed) => {
                closed.note_last(db)?;
                begin(db, boot, (wall_ms, boot_us))
            }
            None => begin(db, boot, (wall_ms, boot_us)),
        }
    }

    /// Whether it has no tick yet.
    pub(crate) const fn is_empty(&self) -> bool {
        self.empty
    }

    /// The moment at which a tick is kept: its own, or just after the one before it.
    pub(crate) fn next(&mut self, wall_ms: i64, boot_us: i64) -> i64 {
        let era = &mut self.era;
        let at = if self.empty { wall_ms } else { wall_ms.max(era.last_ms.saturating_add(1)) };
        (era.last_ms, era.last_us) = (at, boot_us.max(era.last_us));
        self.empty = false;
        at
    }

    /// Writes down how far the era has come: its ticks are about to be sealed, or another begins.
    pub(crate) fn note_last(&self, db: &Connection) -> rusqlite::Result<()> {
        let era = &self.era;
        let crc = crc(era, Some(era.last_ms), Some(era.last_us));
        db.prepare_cached("UPDATE era SET last_ms = ?2, last_us = ?3, crc = ?4 WHERE id = ?1")?
            .execute(params![era.id, era.last_ms, era.last_us, crc])?;
        Ok(())
    }
}

fn is_step(era: &Era, wall_ms: i64, boot_us: i64) -> bool {
    let before = era.last_ms.saturating_sub(era.last_us / 1000);
    let now = wall_ms.saturating_sub(boot_us / 1000);
    before.abs_diff(now) > STEP_MS
}

/// The era of the newest tick, as the tables know it.
pub(crate) fn newest(db: &Connection) -> rusqlite::Result<Option<Current>> {
    let (eras, _) = load(db)?;
    Ok(eras.last().map(|era| Current { era: *era, empty: false }))
}

fn begin(
    db: &Connection,
    boot: i64,
    (first_ms, first_us): (i64, i64),
) -> rusqlite::Result<Current> {
    let last: Option<i64> =
        db.query_row("SELECT max(id) FROM era", [], |row| row.get(0)).optional()?.flatten();
    let id = last.unwrap_or(0).saturating_add(1);
    let era = Era { id, boot, first_ms, first_us, last_ms: first_ms, last_us: first_us };
    db.prepare_cached(
        "INSERT INTO era (id, boot, first_ms, first_us, crc) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![id, boot, first_ms, first_us, crc(&era, None, None)])?;
    Ok(Current { era, empty: true })
}

/// Wall and boot clock of a stamp, as the tables hold them.
pub(crate) fn clocks(stamp: highwater_core::time::Stamp) -> (i64, i64) {
    (stamp.wall.millis(), schema::signed(stamp.boot.micros()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn era(id: i64, boot: i64, ms: (i64, i64), us: (i64, i64)) -> Era {
        Era { id, boot, first_ms: ms.0, first_us: us.0, last_ms: ms.1, last_us: us.1 }
    }

    fn shown(eras: &[Era]) -> Vec<(i64, Vec<(i64, i64)>)> {
        windows(eras).into_iter().map(|w| (w.shift_ms, w.spans)).collect()
    }

    #[test]
    fn one_era_is_shown_as_it_is_and_goes_on() {
        assert_eq!(shown(&[era(1, 1, (100, 900), (0, 800_000))]), [(0, vec![(100, i64::MAX)])]);
    }

    #[test]
    fn a_clock_set_forward_leaves_a_gap() {
        let eras =
            [era(1, 1, (0, 100), (0, 100_000)), era(2, 1, (5_000, 5_100), (105_000, 205_000))];
        assert_eq!(shown(&eras), [(0, vec![(0, 100)]), (0, vec![(5_000, i64::MAX)])]);
    }

    #[test]
    fn a_clock_set_back_was_ahead() {
        let eras = [
            era(1, 1, (1_000, 9_000), (0, 8_000_000)),
            era(2, 1, (4_000, 6_000), (8_005_000, 10_005_000)),
        ];
        assert_eq!(shown(&eras), [(-5_005, vec![(-4_005, 3_995)]), (0, vec![(4_000, i64::MAX)])]);
    }

    #[test]
    fn forward_and_back_again_is_in_order() {
        let day = 86_400_000;
        let eras = [
            era(1, 1, (0, 100), (0, 100_000)),
            era(2, 1, (10 * day, 10 * day + 50), (105_000, 155_000)),
            era(3, 1, (160, 300), (160_000, 300_000)),
        ];
        let all = shown(&eras);
        assert_eq!(all[0], (0, vec![(0, 100)]));
        assert_eq!(all[1].1, [(105, 155)]);
        assert_eq!(all[2], (0, vec![(160, i64::MAX)]));
    }

    #[test]
    fn of_two_boots_the_later_one_is_shown() {
        let eras = [era(1, 1, (1_000, 9_000), (0, 1)), era(2, 2, (4_000, 5_000), (0, 1))];
        assert_eq!(
            shown(&eras),
            [(0, vec![(1_000, 3_999), (5_001, 9_000)]), (0, vec![(4_000, i64::MAX)])]
        );
    }

    #[test]
    fn small_steps_are_no_steps() {
        let at = |wall, boot| is_step(&era(1, 1, (0, 1_000), (0, 1_000_000)), wall, boot);
        assert!(!at(6_003, 6_000_000));
        assert!(!at(5_600, 6_000_000));
        assert!(at(5_000, 6_000_000), "a leap second");
        assert!(at(9_000, 6_000_000));
    }
}
