//! Forgetting: what is too old, what is more than the budget allows, and the room it took.

use highwater_core::time::WallTime;
use highwater_core::units::Bytes;
use rusqlite::{Connection, OptionalExtension, params};

use crate::batch::{Batch, State, Tier};
use crate::entity::Group;
use crate::maintain::{Keep, Maintained, Size, Work};
use crate::registry::LAST_SEEN_SLACK_MS;
use crate::schema;

/// The most rows deleted in one transaction: a few hundred pages, so that neither the log nor the
/// wait of a reader grows.
const BATCH_ROWS: i64 = 64;

/// The most sheets deleted in one transaction: a quarter of a megabyte each.
const SHEETS: i64 = 8;

/// Of the budget, events may take one part in so many. They are what a recorder is for, and a cgroup
/// that dies once a second must not fill a disk.
const EVENTS: u64 = 4;

/// Free pages are kept for what comes next, up to this or a sixteenth of the file, whichever is
/// more: a day of sealed batches goes at once and comes again within the next day.
const SPARE_PAGES: i64 = 1024;
const SPARE_SHARE: i64 = 16;

/// The most pages given back in one call.
const VACUUM_BATCH: i64 = 256;

/// How much of the budget each tier may take before it is the first that has to give: raw, minutes,
/// ten minutes.
const SHARES: [u64; 3] = [60, 30, 10];

/// The room that a floor of free space never takes from the history: somebody else fills the disk,
/// and would fill what is given up, too.
const LEAST: Bytes = Bytes::from_mib(16);

/// Free room below this is not worth giving back before samples go.
const CRUMBS: Bytes = Bytes::from_kib(256);

/// The budget counts as reached a little early, for the log grows between two looks.
const HEADROOM: u64 = 20;

/// What was forgotten.
#[derive(Debug)]
pub(crate) struct Forgot {
    pub(crate) done: Maintained,
    /// Entities last written before this moment may be gone.
    pub(crate) entities_before: Option<i64>,
}

impl Forgot {
    fn of(work: Work, more: bool) -> Self {
        Self { done: Maintained { work, more, damaged: 0, early: false }, entities_before: None }
    }
}

/// What forgetting goes by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look<'a> {
    pub(crate) now: WallTime,
    pub(crate) keep: &'a Keep,
    pub(crate) size: &'a Size,
    /// Whether there is room enough.
    pub(crate) room: Room,
    /// The clock is to be believed, so that what is too old may go.
    pub(crate) ages: bool,
    /// Entities and events are to be looked through, too.
    pub(crate) census: bool,
}

/// Whether there is room enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// There is.
    Enough,
    /// There is; but all that is free is to be given back.
    AllWanted,
    /// There is not.
    Short,
}

impl Look<'_> {
    /// One step of forgetting, the most urgent first.
    pub(crate) fn step(&self, db: &Connection) -> rusqlite::Result<Forgot> {
        if delete_doomed(db)? {
            return Ok(Forgot::of(Work::Forgot, true));
        }
        if self.room == Room::Short {
            if self.size.free_inside > CRUMBS && give_back(db, true)? {
                return Ok(Forgot::of(Work::GaveBack, true));
            }
            if give_up_oldest(db)? {
                let mut forgot = Forgot::of(Work::Forgot, true);
                forgot.done.early = true;
                return Ok(forgot);
            }
        }
        if self.ages && doom_old(db, self.now, self.keep)? {
            return Ok(Forgot::of(Work::Forgot, true));
        }
        if self.census && delete_events(db, self.keep.budget)? {
            return Ok(Forgot::of(Work::Forgot, true));
        }
        if self.census
            && let Some(before) = delete_entities(db)?
        {
            return Ok(Forgot { entities_before: Some(before), ..Forgot::of(Work::Forgot, true) });
        }
        let more = give_back(db, self.room != Room::Enough)?;
        Ok(Forgot::of(if more { Work::GaveBack } else { Work::Idle }, more))
    }
}

/// Whether the history is larger than its budget. A log that a reader keeps from being emptied grows
/// whatever is given up, and counts for no more than it usually has: a long copy must not cost history.
pub(crate) fn is_over_budget(keep: &Keep, size: &Size) -> bool {
    let log = size.wal.min(schema::longest_log(keep.budget));
    let used = size.database.saturating_add(log).get();
    used > keep.budget.get().saturating_sub(keep.budget.get() / HEADROOM)
}

/// Whether less is free on the file system than should be, and there is something to give up for it.
pub(crate) fn is_squeezed(keep: &Keep, size: &Size) -> bool {
    let pinned = size.wal > schema::longest_log(keep.budget);
    let low = size.disk_free.is_some_and(|free| free < keep.free_floor);
    low && !pinned && size.database > LEAST
}

/// Deletes some rows of a batch that does not count any more; whether there was one.
pub(crate) fn delete_doomed(db: &Connection) -> rusqlite::Result<bool> {
    let sql = "SELECT id FROM batch WHERE state = ?1 LIMIT 1";
    let doomed: Option<i64> =
        db.prepare_cached(sql)?.query_row([State::Doomed.number()], |row| row.get(0)).optional()?;
    let Some(id) = doomed else { return Ok(false) };
    let all = db.unchecked_transaction()?;
    let sheets = all
        .prepare_cached(
            "DELETE FROM sheet WHERE id IN (SELECT id FROM sheet WHERE batch = ?1 LIMIT ?2)",
        )?
        .execute([id, SHEETS])?;
    if i64::try_from(sheets) != Ok(SHEETS) {
        all.prepare_cached("DELETE FROM batch WHERE id = ?1")?.execute([id])?;
    }
    all.commit()?;
    Ok(true)
}

/// Gives up the oldest day of a group, of the tier that takes most of its share; whether there was
/// one to spare. The newest batch of a tier always stays.
fn give_up_oldest(db: &Connection) -> rusqlite::Result<bool> {
    let mut select = db.prepare_cached(
        "SELECT tier, sum(bytes), count(*) FROM batch WHERE state = 1 GROUP BY tier",
    )?;
    let tiers = select.query_map([], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
    })?;
    let mut fullest = None;
    for tier in tiers {
        let (tier, bytes, count) = tier?;
        let share = Tier::ALL.iter().position(|known| known.seconds() == tier);
        let share = share.and_then(|at| SHARES.get(at)).copied().unwrap_or(1);
        let pressure = schema::unsigned(bytes) / share;
        if count > 1 && fullest.is_none_or(|(most, _)| pressure > most) {
            fullest = Some((pressure, tier));
        }
    }
    let Some((_, tier)) = fullest else { return Ok(false) };
    // What reaches equally far is one day of a group: it goes as a whole.
    let mut day = db.prepare_cached(
        "SELECT batch.id FROM batch,
           (SELECT grp, scope, era, level, last_ms FROM batch WHERE state = 1 AND tier = ?1
            ORDER BY era, last_ms, first_ms LIMIT 1) AS oldest
         WHERE state = 1 AND tier = ?1 AND batch.grp = oldest.grp AND batch.scope = oldest.scope
           AND batch.era = oldest.era AND batch.level = oldest.level
           AND batch.last_ms = oldest.last_ms",
    )?;
    let ids = day.query_map([tier], |row| row.get(0))?.collect::<rusqlite::Result<Vec<i64>>>()?;
    let any = !ids.is_empty();
    ids.into_iter().try_for_each(|id| Batch::doom(db, id))?;
    Ok(any)
}

/// Marks batches that are too old; whether there were any.
fn doom_old(db: &Connection, now: WallTime, keep: &Keep) -> rusqlite::Result<bool> {
    let spans = [keep.raw, keep.minute, keep.ten_minutes];
    let mut old = db.prepare_cached(
        "SELECT id FROM batch WHERE state = 1 AND tier = ?1 AND last_ms < ?2 LIMIT ?3",
    )?;
    let mut any = false;
    for (tier, span) in Tier::ALL.into_iter().zip(spans) {
        let before = now.before(span).millis();
        let ids = old.query_map(params![tier.seconds(), before, BATCH_ROWS], |row| row.get(0))?;
        for id in ids.collect::<rusqlite::Result<Vec<i64>>>()? {
            Batch::doom(db, id)?;
            any = true;
        }
    }
    Ok(any)
}

/// Deletes the oldest events where they take more than their part of the budget; whether they did.
/// What witnesses said goes before the deaths themselves: there is far more of it.
fn delete_events(db: &Connection, budget: Bytes) -> rusqlite::Result<bool> {
    let mut size = db.prepare_cached("SELECT coalesce(sum(length(body)), 0) FROM event")?;
    let bytes: i64 = size.query_row([], |row| row.get(0))?;
    if schema::unsigned(bytes) <= budget.get() / EVENTS {
        return Ok(false);
    }
    for kind in ["kind = 'testimony'", "true"] {
        let mut delete = db.prepare_cached(&format!(
            "DELETE FROM event WHERE id IN (SELECT id FROM event WHERE {kind} ORDER BY id LIMIT ?1)"
        ))?;
        if delete.execute([BATCH_ROWS])? > 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Deletes entities of which no sample is left; the moment before which they were last seen, if
/// there were any.
fn delete_entities(db: &Connection) -> rusqlite::Result<Option<i64>> {
    let mut oldest = db.prepare_cached(
        "SELECT min(at) FROM (SELECT min(first_ms) AS at FROM batch WHERE grp = ?1
                              UNION ALL SELECT min(at_ms) FROM tick)",
    )?;
    let mut delete = db.prepare_cached(
        "DELETE FROM entity WHERE id IN
           (SELECT id FROM entity WHERE grp = ?1 AND last_ms < ?2 LIMIT ?3)",
    )?;
    for group in Group::ALL {
        let first: Option<i64> = oldest.query_row([group.name()], |row| row.get(0))?;
        let Some(first) = first else { continue };
        let before = first.saturating_sub(LAST_SEEN_SLACK_MS);
        if delete.execute(params![group.name(), before, BATCH_ROWS])? > 0 {
            return Ok(Some(before));
        }
    }
    Ok(None)
}

/// Gives pages back to the file system, if more are free than what comes next can use, or any where
/// room is short; whether it did.
pub(crate) fn give_back(db: &Connection, all: bool) -> rusqlite::Result<bool> {
    let free = schema::number(db, "freelist_count")?;
    let spare = SPARE_PAGES.max(schema::number(db, "page_count")? / SPARE_SHARE);
    let surplus = free.saturating_sub(if all { 0 } else { spare });
    if surplus <= 0 {
        return Ok(false);
    }
    // Each step of this statement frees one page.
    let pragma = format!("PRAGMA incremental_vacuum({})", surplus.min(VACUUM_BATCH));
    let mut vacuum = db.prepare(&pragma)?;
    let mut freed = vacuum.query([])?;
    while freed.next()?.is_some() {}
    Ok(true)
}
