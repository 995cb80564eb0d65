//! The writer: one transaction a tick; events durable before the call returns.

use std::io;
use std::path::{Path, PathBuf};

use highwater_core::event::Event;
use highwater_core::frame::{
    CgroupMemory, CgroupSample, Frame, MachineSample, ProcSample, Scope, ZoneSample,
};
use highwater_core::metric::{self, Column, MetricKind};
use highwater_core::time::{BootId, WallTime};
use rusqlite::{Connection, OptionalExtension, params};

use crate::entity::Group;
use crate::error::StoreError;
use crate::event::{self, Cursor};
use crate::registry::{LAST_SEEN_SLACK_MS, Registry, Rows};
use crate::schema;
use crate::tick;

/// How far a tick is moved to find a millisecond of its own. Only a clock that was set back onto
/// dense history needs more than one step.
const MOST_MOVES: i64 = 1000;

/// The most ticks, and rows of entities, deleted in one transaction: a few hundred pages, so that
/// neither the log nor the wait of a reader grows.
const FORGET_BATCH: i64 = 64;

/// Free pages are kept for the next ticks up to here (4 MiB), and only the rest given back.
const SPARE_PAGES: i64 = 1024;

/// The most pages given back in one call.
const VACUUM_BATCH: i64 = 256;

/// The history, open for writing. One at a time: the agent's lock on the data directory sees to it.
#[derive(Debug)]
pub struct Store {
    db: Connection,
    path: PathBuf,
    registry: Registry,
    columns: Columns,
    scratch: Scratch,
    boot: Option<(BootId, i64)>,
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Where it stands: its own moment, or a millisecond or so later if that was taken.
    pub at: WallTime,
    /// What its blobs take.
    pub bytes: usize,
    /// Entities that were not known in memory: usually new ones.
    pub entities: usize,
    /// Samples left out, because a group had more than [`tick::MAX_ENTITIES`].
    pub left_out: usize,
}

/// What [`Store::forget_before`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// Ticks deleted.
    pub ticks: usize,
    /// Entities deleted.
    pub entities: usize,
    /// There is more to forget: call again.
    pub more: bool,
}

impl Store {
    /// Opens the history in the directory `dir`; makes both if they are not there.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let (db, path) = schema::open_writer(dir)?;
        let failed = StoreError::database(&path, "register the metrics in");
        let columns = Columns::register(&db).map_err(failed)?;
        schema::checkpoint(&db).map_err(StoreError::database(&path, "tidy the log of"))?;
        let scratch = Scratch::new().map_err(|cause| StoreError::Io {
            doing: "prepare compression for",
            path: path.clone(),
            cause,
        })?;
        Ok(Self { db, path, registry: Registry::default(), columns, scratch, boot: None })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Stores a frame: all of it, or none of it. Survives the death of the process at once, and
    /// the death of the machine from the next event or checkpoint on.
    pub fn append(&mut self, frame: &Frame, boot: BootId) -> Result<Appended, StoreError> {
        let appended = self.try_append(frame, boot);
        if appended.is_err() {
            // Rows that were made in the failed transaction are not there.
            self.registry.clear();
            self.boot = None;
        }
        appended.map_err(StoreError::database(&self.path, "add a tick to"))
    }

    fn try_append(&mut self, frame: &Frame, boot: BootId) -> rusqlite::Result<Appended> {
        let now_ms = frame.stamp.wall.millis();
        let all = self.db.unchecked_transaction()?;
        if self.boot.is_none_or(|(known, _)| known != boot) {
            self.registry.clear();
            self.boot = Some((boot, boot_row(&all, boot, now_ms)?));
        }
        let boot = self.boot.map_or(0, |(_, row)| row);
        self.registry.sweep(now_ms);
        self.registry.made = 0;
        let rows = Rows { db: &all, boot, now_ms };
        let left_out = self.scratch.encode(frame, &self.columns, &mut self.registry, rows)?;
        let at = insert_tick(&all, frame, boot, &self.scratch.blobs)?;
        all.commit()?;
        let bytes = self.scratch.blobs.iter().map(Vec::len).sum();
        let entities = self.registry.made;
        Ok(Appended { at: WallTime::from_millis(at), bytes, entities, left_out })
    }

    /// Stores events, and in the same transaction how far their source was read. What it returns
    /// is on the disk, whatever happens next: for each event, whether it was new.
    pub fn record(
        &mut self,
        events: &[Event],
        cursor: Option<&Cursor>,
    ) -> Result<Vec<bool>, StoreError> {
        let failed = || StoreError::database(&self.path, "add an event to");
        self.db.pragma_update(None, "synchronous", "FULL").map_err(failed())?;
        let recorded = event::insert(&self.db, events, cursor);
        let back = self.db.pragma_update(None, "synchronous", "NORMAL");
        let recorded = recorded.map_err(failed())?;
        back.map_err(failed())?;
        Ok(recorded)
    }

    /// How far the source called `name` was read.
    pub fn cursor(&self, name: &str) -> Result<Option<Cursor>, StoreError> {
        event::cursor(&self.db, name).map_err(StoreError::database(&self.path, "read"))
    }

    /// Deletes ticks before `moment`, and entities with no tick left: a bounded batch of them, so
    /// that recording waits for milliseconds only. Events stay.
    pub fn forget_before(&mut self, moment: WallTime) -> Result<Forgotten, StoreError> {
        self.try_forget(moment.millis()).map_err(StoreError::database(&self.path, "age out of"))
    }

    fn try_forget(&mut self, before_ms: i64) -> rusqlite::Result<Forgotten> {
        let all = self.db.unchecked_transaction()?;
        let ticks = all
            .prepare_cached(
                "DELETE FROM tick WHERE at_ms IN
                   (SELECT at_ms FROM tick WHERE at_ms < ?1 ORDER BY at_ms LIMIT ?2)",
            )?
            .execute([before_ms, FORGET_BATCH])?;
        let mut forgotten = Forgotten { ticks, entities: 0, more: is_batch(ticks) };
        if !forgotten.more {
            let written_before = before_ms.saturating_sub(LAST_SEEN_SLACK_MS);
            forgotten.entities = forget_entities(&all, written_before)?;
            forgotten.more = is_batch(forgotten.entities);
            self.registry.drop_written_before(written_before);
        }
        all.commit()?;
        give_back(&self.db)?;
        Ok(forgotten)
    }
}

fn is_batch(deleted: usize) -> bool {
    i64::try_from(deleted) == Ok(FORGET_BATCH)
}

fn forget_entities(db: &Connection, written_before: i64) -> rusqlite::Result<usize> {
    let mut delete = db.prepare_cached(
        "DELETE FROM entity WHERE id IN (SELECT id FROM entity WHERE last_ms < ?1 LIMIT ?2)",
    )?;
    delete.execute([written_before, FORGET_BATCH])
}

/// Gives pages back to the file system, if more are free than the next ticks can use.
fn give_back(db: &Connection) -> rusqlite::Result<()> {
    let spare = schema::number(db, "freelist_count")?.saturating_sub(SPARE_PAGES);
    if spare <= 0 {
        return Ok(());
    }
    // Each step of this statement frees one page.
    let pragma = format!("PRAGMA incremental_vacuum({})", spare.min(VACUUM_BATCH));
    let mut vacuum = db.prepare(&pragma)?;
    let mut freed = vacuum.query([])?;
    while freed.next()?.is_some() {}
    Ok(())
}

/// The row of a boot; made when the boot is new.
pub(crate) fn boot_row(db: &Connection, boot: BootId, now_ms: i64) -> rusqlite::Result<i64> {
    let text = boot.to_string();
    let known = db
        .prepare_cached("SELECT id FROM boot WHERE boot_id = ?1")?
        .query_row([&text], |row| row.get(0))
        .optional()?;
    match known {
        Some(row) => Ok(row),
        None => db
            .prepare_cached("INSERT INTO boot (boot_id, first_ms) VALUES (?1, ?2) RETURNING id")?
            .query_row(params![text, now_ms], |row| row.get(0)),
    }
}

/// Inserts the row of a tick at its moment, or at the next one that is free.
fn insert_tick(
    db: &Connection,
    frame: &Frame,
    boot: i64,
    blobs: &[Vec<u8>; 4],
) -> rusqlite::Result<i64> {
    let mut insert = db.prepare_cached(
        "INSERT OR IGNORE INTO tick (at_ms, boot, boot_us, scope, machine, zone, cgroup, process)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    let boot_us = schema::signed(frame.stamp.boot.micros());
    let scope = scope_number(frame.scope);
    let [machine, zone, cgroup, process] =
        blobs.each_ref().map(|blob| (!blob.is_empty()).then_some(blob.as_slice()));
    let first = frame.stamp.wall.millis();
    for at in first..first.saturating_add(MOST_MOVES) {
        let values = params![at, boot, boot_us, scope, machine, zone, cgroup, process];
        if insert.execute(values)? > 0 {
            return Ok(at);
        }
    }
    Err(rusqlite::Error::StatementChangedRows(0))
}

/// A scope as the table holds it.
pub(crate) const fn scope_number(scope: Scope) -> i64 {
    match scope {
        Scope::Whole => 0,
        Scope::CloseUp => 1,
    }
}

/// The columns of each group, and the ids of their metrics.
#[derive(Debug)]
struct Columns {
    machine: Vec<Column<MachineSample>>,
    machine_ids: Vec<u32>,
    zone_ids: Vec<u32>,
    cgroup_ids: Vec<u32>,
    process_ids: Vec<u32>,
}

impl Columns {
    fn register(db: &Connection) -> rusqlite::Result<Self> {
        let all = db.unchecked_transaction()?;
        let machine = metric::machine();
        let columns = Self {
            machine_ids: metric_ids(&all, Group::Machine, &machine)?,
            zone_ids: metric_ids(&all, Group::Zone, metric::ZONE)?,
            cgroup_ids: metric_ids(&all, Group::Cgroup, metric::CGROUP)?,
            process_ids: metric_ids(&all, Group::Process, metric::PROCESS)?,
            machine,
        };
        all.commit()?;
        Ok(columns)
    }
}

/// The ids of a group's metrics: those they have had for good, or new ones.
fn metric_ids<T>(
    db: &Connection,
    group: Group,
    columns: &[Column<T>],
) -> rusqlite::Result<Vec<u32>> {
    let mut put = db.prepare(
        "INSERT INTO metric (grp, name, kind, help) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (name) DO UPDATE SET kind = excluded.kind, help = excluded.help
         WHERE kind != excluded.kind OR help != excluded.help",
    )?;
    let mut get = db.prepare("SELECT id FROM metric WHERE name = ?1")?;
    let id_of = |column: &Column<T>| {
        let kind = match column.kind {
            MetricKind::Gauge => "gauge",
            MetricKind::Counter => "counter",
        };
        put.execute(params![group.name(), column.name, kind, column.help])?;
        get.query_row([column.name], |row| row.get(0))
    };
    columns.iter().map(id_of).collect()
}

/// Buffers that keep their room from tick to tick.
#[derive(Debug)]
struct Scratch {
    writer: tick::Writer,
    /// Ids of entities and where their samples stand.
    order: Vec<(u64, usize)>,
    /// The blob of each group, in the order of [`Group::ALL`]; empty if there is none.
    blobs: [Vec<u8>; 4],
}

impl Scratch {
    fn new() -> io::Result<Self> {
        Ok(Self { writer: tick::Writer::new()?, order: vec![], blobs: Default::default() })
    }

    /// Encodes the groups of a frame; how many samples were left out.
    fn encode(
        &mut self,
        frame: &Frame,
        columns: &Columns,
        registry: &mut Registry,
        rows: Rows<'_>,
    ) -> rusqlite::Result<usize> {
        let Self { writer, order, blobs: [machine, zone, cgroup, process] } = self;
        let mut left_out = 0;
        let mut put = Encoding { writer, order, left_out: &mut left_out };
        let alone = frame.machine.as_slice();
        put.order(alone, |_| registry.machine(rows))?;
        put.blob(alone, |m| m, &columns.machine, &columns.machine_ids, machine)?;
        put.order(&frame.zones, |z| registry.zone(rows, z))?;
        put.blob(&frame.zones, |z: &ZoneSample| z, metric::ZONE, &columns.zone_ids, zone)?;
        put.order(&frame.cgroups, |c: &CgroupSample| registry.cgroup(rows, &c.path))?;
        let memory: fn(&CgroupSample) -> &CgroupMemory = |c| &c.memory;
        put.blob(&frame.cgroups, memory, metric::CGROUP, &columns.cgroup_ids, cgroup)?;
        put.order(&frame.processes, |p| registry.process(rows, p))?;
        let whole: fn(&ProcSample) -> &ProcSample = |p| p;
        put.blob(&frame.processes, whole, metric::PROCESS, &columns.process_ids, process)?;
        Ok(left_out)
    }
}

/// One frame being encoded.
struct Encoding<'a> {
    writer: &'a mut tick::Writer,
    order: &'a mut Vec<(u64, usize)>,
    left_out: &'a mut usize,
}

impl Encoding<'_> {
    /// Puts the samples of a group in the order of their entities' ids, each entity once.
    fn order<S>(
        &mut self,
        samples: &[S],
        mut id_of: impl FnMut(&S) -> rusqlite::Result<u64>,
    ) -> rusqlite::Result<()> {
        self.order.clear();
        for (at, sample) in samples.iter().take(tick::MAX_ENTITIES).enumerate() {
            self.order.push((id_of(sample)?, at));
        }
        self.order.sort_unstable();
        self.order.dedup_by_key(|(id, _)| *id);
        *self.left_out += samples.len().saturating_sub(tick::MAX_ENTITIES);
        Ok(())
    }

    /// Encodes the samples in that order.
    fn blob<S, T>(
        &mut self,
        samples: &[S],
        part: fn(&S) -> &T,
        columns: &[Column<T>],
        metrics: &[u32],
        blob: &mut Vec<u8>,
    ) -> rusqlite::Result<()> {
        blob.clear();
        if self.order.is_empty() {
            return Ok(());
        }
        let order = &*self.order;
        self.writer.begin(order.iter().map(|(id, _)| *id));
        for (metric, column) in metrics.iter().zip(columns) {
            let values = order.iter().map(|(_, at)| column.value(part(samples.get(*at)?)));
            self.writer.column(*metric, values);
        }
        // Compression into a buffer of the stated bound fails for want of memory only.
        let packed = self.writer.finish(blob);
        packed.map_err(|cause| rusqlite::Error::ToSqlConversionFailure(Box::new(cause)))
    }
}
