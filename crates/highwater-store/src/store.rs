//! The writer: one transaction a tick; events durable before the call returns.

use std::path::{Path, PathBuf};
use std::time::Duration;

use highwater_core::event::Event;
use highwater_core::frame::Frame;
use highwater_core::thing::Survey;
use highwater_core::time::{BootId, BootTime, Stamp, WallTime};
use rusqlite::{Connection, OptionalExtension, params};

use crate::crc::RowCrc;
use crate::encode::{Blobs, Columns, Scratch};
use crate::entity::Scope;
use crate::era::{Current, clocks};
use crate::error::StoreError;
use crate::event::{self, Cursor};
use crate::import::is_imported;
use crate::maintain::Chores;
use crate::pen::Pen;
use crate::registry::{Registry, Rows};
use crate::round::{self, Round};
use crate::schema;

/// How much may be lost when the machine loses power: a tick that comes this long after the last
/// one that is surely on the disk is written through. Syncing each one would wake the disk twelve
/// times a minute.
const DURABLE_EVERY: Duration = Duration::from_secs(10);

/// The history, open for writing. One at a time: the agent's lock on the data directory sees to it.
#[derive(Debug)]
pub struct Store {
    pub(crate) db: Connection,
    pub(crate) path: PathBuf,
    pub(crate) registry: Registry,
    columns: Columns,
    scratch: Scratch,
    boot: Option<(BootId, i64)>,
    pub(crate) era: Option<Current>,
    next_tick: i64,
    durable_at: Option<BootTime>,
    pub(crate) chores: Chores,
    /// The last to go: the file is closed by then.
    pen: Pen,
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// When it is kept at: its own moment, or just after that of the tick before.
    pub at: WallTime,
    /// What its blobs take.
    pub bytes: usize,
    /// Entities that were not known in memory: usually new ones.
    pub entities: usize,
    /// Samples left out, because a group had more than [`crate::tick::MAX_ENTITIES`].
    pub left_out: usize,
}

/// What is to be put into one row of `tick`.
enum Reading<'a> {
    Frame(&'a Frame),
    Survey(&'a Survey),
    Round(&'a Round),
}

impl Reading<'_> {
    fn stamp(&self) -> Stamp {
        match self {
            Self::Frame(frame) => frame.stamp,
            Self::Survey(survey) => survey.stamp,
            Self::Round(round) => round.stamp,
        }
    }

    fn scope(&self) -> Scope {
        match self {
            Self::Frame(frame) => frame.scope.into(),
            Self::Survey(_) | Self::Round(_) => Scope::Survey,
        }
    }

    /// Whether it is written through at once.
    fn is_durable(&self) -> bool {
        matches!(self, Self::Round(round) if round.durable)
    }
}

impl Store {
    /// Opens the history in the directory `dir`; makes both if they are not there, and brings one
    /// of an earlier version up to date.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let path = schema::file_in(dir);
        let (pen, db) = Pen::take(&path, || schema::open_writer(dir))?;
        let failed = || StoreError::database(&path, "prepare");
        if is_imported(&db).map_err(failed())? {
            return Err(StoreError::Imported { path });
        }
        let columns = Columns::register(&db).map_err(failed())?;
        schema::checkpoint(&db).map_err(failed())?;
        let last: Option<i64> =
            db.query_row("SELECT max(id) FROM tick", [], |row| row.get(0)).map_err(failed())?;
        let scratch = Scratch::new().map_err(|cause| StoreError::Io {
            doing: "prepare compression for",
            path: path.clone(),
            cause,
        })?;
        Ok(Self {
            db,
            path,
            registry: Registry::default(),
            columns,
            scratch,
            boot: None,
            era: None,
            next_tick: last.unwrap_or(0).saturating_add(1),
            durable_at: None,
            chores: Chores::default(),
            pen,
        })
    }

    /// Closes the file. Nobody in this process opens another one of its name until what is returned is
    /// dropped: to be held until that one is opened for writing.
    pub fn part(self) -> Pen {
        let Self { db, pen, .. } = self;
        drop(db);
        pen
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Stores a frame: all of it, or none of it. Survives the death of the process at once, and the
    /// death of the machine within ten seconds.
    pub fn append(&mut self, frame: &Frame, boot: BootId) -> Result<Appended, StoreError> {
        self.add(&Reading::Frame(frame), boot)
    }

    /// Stores what a survey saw, likewise.
    pub fn append_survey(&mut self, survey: &Survey, boot: BootId) -> Result<Appended, StoreError> {
        self.add(&Reading::Survey(survey), boot)
    }

    /// Stores a round of rules, its samples and texts together. Samples of metrics that are recorded
    /// otherwise are left out.
    pub fn record_round(&mut self, round: &Round, boot: BootId) -> Result<Appended, StoreError> {
        if round.samples.is_empty() {
            self.keep_standing(round).map_err(StoreError::database(&self.path, "add to"))?;
            let at = round.stamp.wall;
            return Ok(Appended { at, bytes: 0, entities: 0, left_out: 0 });
        }
        self.add(&Reading::Round(round), boot)
    }

    fn keep_standing(&self, round: &Round) -> rusqlite::Result<()> {
        self.sync_each(round.durable)?;
        let all = self.db.unchecked_transaction()?;
        round::put_standing(&all, round)?;
        all.commit()
    }

    /// The texts that were recorded, by name.
    pub fn standing(&self) -> Result<Vec<(String, String)>, StoreError> {
        round::standing(&self.db).map_err(StoreError::database(&self.path, "read"))
    }

    fn add(&mut self, reading: &Reading<'_>, boot: BootId) -> Result<Appended, StoreError> {
        let now = reading.stamp().boot;
        let through = reading.is_durable()
            || self.durable_at.is_none_or(|last| now.since(last) >= DURABLE_EVERY);
        let added = match self.sync_each(through) {
            Ok(()) => self.try_add(reading, boot),
            Err(error) => Err(error),
        };
        match added {
            Ok(_) if through => self.durable_at = Some(now),
            Ok(_) => {}
            Err(_) => {
                // Rows that were made in the failed transaction are not there.
                self.registry.clear();
                self.columns.forget_things();
                (self.boot, self.era) = (None, None);
            }
        }
        added.map_err(StoreError::database(&self.path, "add a tick to"))
    }

    fn try_add(&mut self, reading: &Reading<'_>, boot: BootId) -> rusqlite::Result<Appended> {
        let (wall_ms, boot_us) = clocks(reading.stamp());
        let all = self.db.unchecked_transaction()?;
        if self.boot.is_none_or(|(known, _)| known != boot) {
            self.registry.clear();
            (self.boot, self.era) = (Some((boot, boot_row(&all, boot, wall_ms)?)), None);
        }
        let row = self.boot.map_or(0, |(_, row)| row);
        let mut era = Current::of(&all, self.era, row, (wall_ms, boot_us))?;
        let begun = era.is_empty();
        let at_ms = era.next(wall_ms, boot_us);
        self.registry.sweep(at_ms);
        self.registry.made = 0;
        let rows = Rows { db: &all, boot: row, now_ms: at_ms };
        let (registry, columns) = (&mut self.registry, &mut self.columns);
        let left_out = match reading {
            Reading::Frame(frame) => self.scratch.frame(frame, columns, registry, rows)?,
            Reading::Survey(survey) => self.scratch.survey(survey, columns, registry, rows)?,
            Reading::Round(round) => {
                round::put_standing(&all, round)?;
                self.scratch.round(round, columns, registry, rows)?
            }
        };
        let tick =
            Tick { id: self.next_tick, at_ms, era: era.era.id, boot_us, scope: reading.scope() };
        tick.insert(&all, &self.scratch.blobs)?;
        all.commit()?;
        self.chores.added(at_ms, begun);
        self.era = Some(era);
        self.next_tick += 1;
        let bytes = self.scratch.blobs.iter().map(Vec::len).sum();
        let entities = self.registry.made;
        Ok(Appended { at: WallTime::from_millis(at_ms), bytes, entities, left_out })
    }

    /// Stores events, and in the same transaction how far their source was read. What it returns
    /// is on the disk, whatever happens next: for each event, whether it was new.
    pub fn record(
        &mut self,
        events: &[Event],
        cursor: Option<&Cursor>,
    ) -> Result<Vec<bool>, StoreError> {
        let recorded = self.sync_each(true).and_then(|()| event::insert(&self.db, events, cursor));
        recorded.map_err(StoreError::database(&self.path, "add an event to"))
    }

    /// How far the source called `name` was read.
    pub fn cursor(&self, name: &str) -> Result<Option<Cursor>, StoreError> {
        event::cursor(&self.db, name).map_err(StoreError::database(&self.path, "read"))
    }

    /// Whether the commits that follow are on the disk when they return, or in the kernel's hands.
    pub(crate) fn sync_each(&self, commit: bool) -> rusqlite::Result<()> {
        self.db.pragma_update(None, "synchronous", if commit { "FULL" } else { "NORMAL" })
    }
}

/// A row of `tick` without its blobs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tick {
    pub(crate) id: i64,
    pub(crate) at_ms: i64,
    pub(crate) era: i64,
    pub(crate) boot_us: i64,
    pub(crate) scope: Scope,
}

impl Tick {
    pub(crate) fn crc(self) -> i64 {
        RowCrc::of("tick")
            .int(self.id)
            .int(self.at_ms)
            .int(self.era)
            .int(self.boot_us)
            .int(self.scope.number())
            .done()
    }

    fn insert(self, db: &Connection, blobs: &Blobs) -> rusqlite::Result<()> {
        let mut insert = db.prepare_cached(
            "INSERT INTO tick (id, at_ms, era, boot_us, scope, crc,
                               machine, zone, cgroup, process, owner, thing)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        )?;
        let [machine, zone, cgroup, process, owner, thing] =
            blobs.each_ref().map(|blob| (!blob.is_empty()).then_some(blob.as_slice()));
        insert.execute(params![
            self.id,
            self.at_ms,
            self.era,
            self.boot_us,
            self.scope.number(),
            self.crc(),
            machine,
            zone,
            cgroup,
            process,
            owner,
            thing,
        ])?;
        Ok(())
    }
}

/// The row of a boot; made when the boot is new.
pub(crate) fn boot_row(db: &Connection, boot: BootId, now_ms: i64) -> rusqlite::Result<i64> {
    let text = boot.to_string();
    let known = db
        .prepare_cached("SELECT id FROM boot WHERE boot_id = ?1")?
        .query_row([&text], |row| row.get(0))
        .optional()?;
    if let Some(row) = known {
        return Ok(row);
    }
    let id = db
        .prepare_cached("SELECT coalesce(max(id), 0) + 1 FROM boot")?
        .query_row([], |row| row.get(0))?;
    db.prepare_cached("INSERT INTO boot (id, boot_id, first_ms, crc) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![id, text, now_ms, boot_crc(id, &text, now_ms)])?;
    Ok(id)
}

/// The checksum of a boot's row.
pub(crate) fn boot_crc(id: i64, boot_id: &str, first_ms: i64) -> i64 {
    RowCrc::of("boot").int(id).text(boot_id).int(first_ms).done()
}
