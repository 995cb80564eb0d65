//! The chores of the store: one bounded step at a time, in between ticks.

#[cfg(test)]
mod tests;

use std::path::Path;
use std::time::Duration;

use highwater_core::time::{BootTime, Stamp};
use highwater_core::units::Bytes;
use rusqlite::Connection;

use crate::batch::Batch;
use crate::compact::{Compacting, Day};
use crate::era;
use crate::error::StoreError;
use crate::retain::{Look, Room, is_over_budget, is_squeezed};
use crate::schema;
use crate::seal::{SEAL_MOST, Sealing, WINDOW_MS, window_of};
use crate::store::Store;

/// A day, by which raw samples are compacted.
const DAY_MS: i64 = 24 * 3_600_000;

/// How often it is looked for what is too old or too much.
const LOOK_EVERY: Duration = Duration::from_mins(1);

/// How long too little must have been free before history is given up for it.
const SQUEEZE_LASTS: Duration = Duration::from_mins(5);

/// An era this long, by the boot clock, has a wall clock that can be believed when it says that
/// something is too old: one that was wrong at boot is set right sooner.
const SETTLED_US: i64 = 3_600_000_000;

/// How often entities are looked through for those of which nothing is left.
const CENSUS_EVERY: Duration = Duration::from_hours(1);

/// What is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// How long samples are kept as they were taken.
    pub raw: Duration,
    /// How long they are kept by the minute.
    pub minute: Duration,
    /// How long they are kept by ten minutes.
    pub ten_minutes: Duration,
    /// The most that the database and its log take together. The oldest samples go first.
    pub budget: Bytes,
    /// So much is left free on the file system.
    pub free_floor: Bytes,
}

impl Default for Keep {
    fn default() -> Self {
        let days = |count: u64| Duration::from_hours(24 * count);
        Self {
            raw: days(7),
            minute: days(30),
            ten_minutes: days(400),
            budget: Bytes::from_mib(2048),
            free_floor: Bytes::from_mib(512),
        }
    }
}

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Nothing was due.
    Idle,
    /// Ticks became blocks.
    Sealed,
    /// A day became chunks.
    Compacted,
    /// Samples that are too old, or more than the budget allows, went.
    Forgot,
    /// Room was given back.
    GaveBack,
}

/// What [`Store::maintain`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Maintained {
    /// The kind of work.
    pub work: Work,
    /// There is more to do: call again soon.
    pub more: bool,
    /// Rows and blocks met that could not be read, and whose samples are lost.
    pub damaged: usize,
    /// Samples were given up before their time, for want of room.
    pub early: bool,
}

/// How much room the history takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// The database file.
    pub database: Bytes,
    /// The write-ahead log beside it.
    pub wal: Bytes,
    /// Room in the database file that is free to be used again.
    pub free_inside: Bytes,
    /// Room on the file system; `None` where it cannot be asked.
    pub disk_free: Option<Bytes>,
}

/// Chores under way.
#[derive(Debug, Default)]
pub(crate) struct Chores {
    job: Option<Job>,
    /// What waits to be sealed; `None`: not counted yet.
    waiting: Option<Waiting>,
    /// A day may have come to be over since this was looked for.
    maybe_over: bool,
    /// What an earlier job left unfinished is marked to be deleted.
    cleared: bool,
    /// The budget that the log is bounded by.
    budget: Option<Bytes>,
    looked: Option<BootTime>,
    counted: Option<BootTime>,
    /// There may be more to forget than the last look did.
    forgetting: bool,
    /// Since when too little has been free on the file system.
    squeezed_since: Option<BootTime>,
}

#[derive(Debug)]
enum Job {
    Seal(Box<Sealing>),
    Compact(Box<Compacting>),
}

/// What waits to be sealed.
#[derive(Clone, Copy, Debug, Default)]
struct Waiting {
    ticks: usize,
    /// Some are of an era, or of ten minutes, that are over.
    over: bool,
    /// The ten minutes of the oldest.
    window: Option<i64>,
}

impl Chores {
    /// A tick was added, at this moment; `begun`: the first of its era.
    pub(crate) fn added(&mut self, at_ms: i64, begun: bool) {
        if let Some(waiting) = &mut self.waiting {
            let window = *waiting.window.get_or_insert(window_of(at_ms));
            waiting.over |= (begun && waiting.ticks > 0) || window_of(at_ms) > window;
            waiting.ticks += 1;
        }
    }

    /// Judges whether there is too little room. A disk that somebody fills for a moment, as a core
    /// dump does, takes no history.
    fn is_short(&mut self, now: BootTime, keep: &Keep, size: &Size) -> bool {
        let since = self.squeezed_since.or(Some(now));
        self.squeezed_since = since.filter(|_| is_squeezed(keep, size));
        let lasts = self.squeezed_since.is_some_and(|since| now.since(since) >= SQUEEZE_LASTS);
        lasts || is_over_budget(keep, size)
    }

    /// A transaction failed: what was planned is planned anew.
    fn start_over(&mut self) {
        (self.job, self.waiting, self.cleared) = (None, None, false);
    }
}

impl Waiting {
    fn count(db: &Connection) -> rusqlite::Result<Self> {
        let mut count = db.prepare_cached(
            "SELECT count(*), count(DISTINCT era), min(at_ms), max(at_ms) FROM tick",
        )?;
        count.query_row([], |row| {
            let (ticks, eras): (i64, i64) = (row.get(0)?, row.get(1)?);
            let (first, last): (Option<i64>, Option<i64>) = (row.get(2)?, row.get(3)?);
            let (window, newest) = (first.map(window_of), last.map(window_of));
            let ticks = usize::try_from(ticks).unwrap_or(0);
            Ok(Self { ticks, over: eras > 1 || newest > window, window })
        })
    }

    fn is_due(&self) -> bool {
        self.over || self.ticks >= SEAL_MOST
    }
}

impl Store {
    /// Does one bounded step of what is due: seals ticks, compacts days, forgets what is too old or
    /// too much, gives room back. To be called after each whole tick, and again while there is more
    /// and time for it.
    pub fn maintain(&mut self, now: Stamp, keep: &Keep) -> Result<Maintained, StoreError> {
        let done = self.sync_each(false).and_then(|()| self.step(now, keep, Urgency::Due));
        self.done(done)
    }

    /// Seals and compacts everything there is, forgets what is to be forgotten, and gives room
    /// back, telling after each step what it was. Nothing may be recorded meanwhile.
    pub fn settle(
        &mut self,
        now: Stamp,
        keep: &Keep,
        tell: &mut dyn FnMut(Maintained),
    ) -> Result<(), StoreError> {
        loop {
            let done = self.sync_each(false).and_then(|()| self.step(now, keep, Urgency::All));
            let done = self.done(done)?;
            tell(done);
            if !done.more {
                return schema::truncate_log(&self.db)
                    .map_err(StoreError::database(&self.path, "tidy the log of"));
            }
        }
    }

    fn done(&mut self, done: rusqlite::Result<Maintained>) -> Result<Maintained, StoreError> {
        if done.is_err() {
            self.chores.start_over();
        }
        done.map_err(StoreError::database(&self.path, "tidy up"))
    }

    /// How much room the history takes.
    pub fn size(&self) -> Result<Size, StoreError> {
        size(&self.db, &self.path).map_err(StoreError::database(&self.path, "measure"))
    }

    fn step(&mut self, now: Stamp, keep: &Keep, urgency: Urgency) -> rusqlite::Result<Maintained> {
        self.bound_log(keep)?;
        let size = size(&self.db, &self.path)?;
        let room = match urgency {
            _ if self.chores.is_short(now.boot, keep, &size) => Room::Short,
            Urgency::All => Room::AllWanted,
            Urgency::Due => Room::Enough,
        };
        let look = Look { now: now.wall, keep, size: &size, room, ages: false, census: false };
        if room == Room::Short {
            let forgot = self.forget(now, &look, urgency)?;
            if forgot.more {
                return Ok(forgot);
            }
        }
        if let Some(done) = self.work()? {
            return Ok(done);
        }
        if self.begin(keep, urgency)? {
            let work = self.chores.job.as_ref().map_or(Work::Idle, Job::work);
            return Ok(Maintained { work, more: true, damaged: 0, early: false });
        }
        let looked = self.chores.looked;
        let due = looked.is_none_or(|looked| now.boot.since(looked) >= LOOK_EVERY);
        if !due && !self.chores.forgetting && urgency == Urgency::Due {
            return Ok(Maintained { work: Work::Idle, more: false, damaged: 0, early: false });
        }
        self.chores.looked = Some(now.boot);
        let forgot = self.forget(now, &look, urgency)?;
        self.chores.forgetting = forgot.more;
        Ok(forgot)
    }

    fn bound_log(&mut self, keep: &Keep) -> rusqlite::Result<()> {
        if self.chores.budget == Some(keep.budget) {
            return Ok(());
        }
        schema::bound_log(&self.db, keep.budget)?;
        self.chores.budget = Some(keep.budget);
        Ok(())
    }

    /// Goes on with the job under way.
    fn work(&mut self) -> rusqlite::Result<Option<Maintained>> {
        let Some(job) = &mut self.chores.job else { return Ok(None) };
        let work = job.work();
        let (over, damaged) = match job {
            Job::Seal(sealing) => (sealing.step(&self.db)?, sealing.damaged),
            Job::Compact(compacting) => (compacting.step(&self.db)?, compacting.damaged),
        };
        if over {
            (self.chores.job, self.chores.waiting) = (None, None);
            (self.chores.forgetting, self.chores.maybe_over) = (true, true);
        }
        let damaged = if over { damaged } else { 0 };
        Ok(Some(Maintained { work, more: true, damaged, early: false }))
    }

    /// Begins what is due; whether anything was.
    fn begin(&mut self, keep: &Keep, urgency: Urgency) -> rusqlite::Result<bool> {
        if !self.chores.cleared {
            Batch::doom_unfinished(&self.db)?;
            (self.chores.cleared, self.chores.maybe_over) = (true, true);
        }
        let waiting = match self.chores.waiting {
            Some(waiting) => waiting,
            None => *self.chores.waiting.insert(Waiting::count(&self.db)?),
        };
        if waiting.is_due() || (urgency == Urgency::All && waiting.ticks > 0) {
            // Whoever has not recorded anything yet knows the era from the tables alone.
            let era = match self.era {
                Some(era) => Some(era),
                None => era::newest(&self.db)?,
            };
            if let Some(era) = era {
                era.note_last(&self.db)?;
            }
            self.chores.job =
                Sealing::of_oldest(&self.db)?.map(|sealing| Job::Seal(Box::new(sealing)));
            return Ok(self.chores.job.is_some());
        }
        if !self.chores.maybe_over {
            return Ok(false);
        }
        let present = self.present()?;
        let Some(day) = Day::oldest_over(&self.db, span_ms(keep), present)? else {
            self.chores.maybe_over = false;
            return Ok(false);
        };
        self.chores.job = Some(Job::Compact(Box::new(Compacting::begin(&self.db, day)?)));
        Ok(true)
    }

    /// The present era and the moment up to which it is sealed: what is later may still come.
    fn present(&self) -> rusqlite::Result<Option<(i64, i64)>> {
        let (eras, _) = era::load(&self.db)?;
        let Some(present) = eras.last() else { return Ok(None) };
        let sql = "SELECT min(at_ms) FROM tick WHERE era = ?1";
        let oldest: Option<i64> =
            self.db.prepare_cached(sql)?.query_row([present.id], |row| row.get(0))?;
        Ok(Some((present.id, oldest.unwrap_or(present.last_ms.saturating_add(1)))))
    }

    /// Whether the present setting of the clock has stood for a while.
    fn clock_is_settled(&self) -> bool {
        let era = self.era.as_ref().map(|now| now.era);
        era.is_some_and(|era| era.last_us.saturating_sub(era.first_us) >= SETTLED_US)
    }

    fn forget(
        &mut self,
        now: Stamp,
        look: &Look<'_>,
        urgency: Urgency,
    ) -> rusqlite::Result<Maintained> {
        let counted = self.chores.counted;
        let look = Look {
            ages: urgency == Urgency::All || self.clock_is_settled(),
            census: counted.is_none_or(|counted| now.boot.since(counted) >= CENSUS_EVERY),
            ..*look
        };
        let forgot = look.step(&self.db)?;
        match forgot.entities_before {
            Some(before) => self.registry.drop_written_before(before),
            None if look.census && !forgot.done.more => self.chores.counted = Some(now.boot),
            None => {}
        }
        Ok(forgot.done)
    }
}

/// Whether only what is due is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Urgency {
    Due,
    All,
}

impl Job {
    fn work(&self) -> Work {
        match self {
            Self::Seal(_) => Work::Sealed,
            Self::Compact(_) => Work::Compacted,
        }
    }
}

/// The stretch that is compacted together: a day, or less where raw samples are not kept for long,
/// so that there are buckets of them before they go. Always whole ten minutes, which no sealed batch
/// crosses, so that no bucket is ever made of a part of its samples.
fn span_ms(keep: &Keep) -> i64 {
    let raw = i64::try_from(keep.raw.as_millis()).unwrap_or(i64::MAX);
    let windows = (DAY_MS.min(raw / 4) / WINDOW_MS).max(1);
    windows.saturating_mul(WINDOW_MS)
}

/// How much room the history takes.
fn size(db: &Connection, path: &Path) -> rusqlite::Result<Size> {
    let page = schema::unsigned(schema::number(db, "page_size")?);
    let bytes = |pages: i64| Bytes::new(schema::unsigned(pages).saturating_mul(page));
    let disk = path.parent().and_then(|dir| rustix::fs::statvfs(dir).ok());
    Ok(Size {
        database: bytes(schema::number(db, "page_count")?),
        wal: Bytes::new(std::fs::metadata(schema::wal_of(path)).map_or(0, |data| data.len())),
        free_inside: bytes(schema::number(db, "freelist_count")?),
        disk_free: disk.map(|disk| Bytes::new(disk.f_bavail.saturating_mul(disk.f_frsize))),
    })
}
