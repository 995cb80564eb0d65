//! Frames and surveys as tick blobs: which columns each group has, and whose row is whose.

use std::collections::HashMap;
use std::io;

use highwater_core::frame::{
    CgroupMemory, CgroupSample, Frame, MachineSample, ProcSample, ZoneSample,
};
use highwater_core::metric::{self, Column, MetricKind};
use highwater_core::series::NAME;
use highwater_core::sum::{OwnerSample, OwnerSum};
use highwater_core::thing::{Metric, Survey};
use rusqlite::{Connection, OptionalExtension, params};

use crate::crc::RowCrc;
use crate::entity::Group;
use crate::error::wrapped;
use crate::registry::{Registry, Rows};
use crate::round::{Round, recorded_metric};
use crate::tick;

/// The blob of each group, in the order of [`Group::ALL`]; empty if there is none.
pub(crate) type Blobs = [Vec<u8>; Group::ALL.len()];

/// The columns of each group, and the ids of their metrics.
#[derive(Debug)]
pub(crate) struct Columns {
    machine: Vec<Column<MachineSample>>,
    machine_ids: Vec<u32>,
    zone_ids: Vec<u32>,
    cgroup_ids: Vec<u32>,
    process_ids: Vec<u32>,
    owner_ids: Vec<u32>,
    /// Of things, as far as they have been seen.
    things: HashMap<&'static str, u32>,
    /// Of what rules record, as far as it has been seen; `None` where the name is another's.
    recorded: HashMap<String, Option<u32>>,
}

impl Columns {
    pub(crate) fn register(db: &Connection) -> rusqlite::Result<Self> {
        let all = db.unchecked_transaction()?;
        let machine = metric::machine();
        let columns = Self {
            machine_ids: metric_ids(&all, Group::Machine, &machine)?,
            zone_ids: metric_ids(&all, Group::Zone, metric::ZONE)?,
            cgroup_ids: metric_ids(&all, Group::Cgroup, metric::CGROUP)?,
            process_ids: metric_ids(&all, Group::Process, metric::PROCESS)?,
            owner_ids: metric_ids(&all, Group::Owner, metric::OWNER)?,
            things: HashMap::new(),
            recorded: HashMap::new(),
            machine,
        };
        all.commit()?;
        Ok(columns)
    }

    /// The id of a thing's metric.
    fn thing(&mut self, db: &Connection, of: &'static Metric) -> rusqlite::Result<u32> {
        if let Some(id) = self.things.get(of.name) {
            return Ok(*id);
        }
        let id = metric_id(db, Group::Thing, of.name, of.kind, of.help)?;
        self.things.insert(of.name, id);
        Ok(id)
    }

    /// The id of a metric that rules record.
    fn recorded(&mut self, db: &Connection, name: &str) -> rusqlite::Result<Option<u32>> {
        if let Some(id) = self.recorded.get(name) {
            return Ok(*id);
        }
        let id = recorded_metric(db, name)?;
        self.recorded.insert(name.to_owned(), id);
        Ok(id)
    }

    /// Forgets what was made in a transaction that failed.
    pub(crate) fn forget_things(&mut self) {
        self.things.clear();
        self.recorded.clear();
    }
}

/// The ids of a group's metrics: those they have had for good, or new ones.
fn metric_ids<T>(
    db: &Connection,
    group: Group,
    columns: &[Column<T>],
) -> rusqlite::Result<Vec<u32>> {
    let id_of = |column: &Column<T>| metric_id(db, group, column.name, column.kind, column.help);
    columns.iter().map(id_of).collect()
}

/// A metric's row as this version has it; made or brought up to date where it is not so yet.
pub(crate) fn metric_id(
    db: &Connection,
    group: Group,
    name: &str,
    kind: MetricKind,
    help: &str,
) -> rusqlite::Result<u32> {
    let kind = match kind {
        MetricKind::Gauge => "gauge",
        MetricKind::Counter => "counter",
    };
    let known: Option<(u32, i64)> = db
        .prepare_cached("SELECT id, crc FROM metric WHERE name = ?1")?
        .query_row([name], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let id = match known {
        Some((id, _)) => id,
        None => db
            .prepare_cached("SELECT coalesce(max(id), 0) + 1 FROM metric")?
            .query_row([], |row| row.get(0))?,
    };
    let crc = metric_crc(id, group.name(), name, kind, help);
    if known.is_none_or(|(_, written)| written != crc) {
        db.prepare_cached(
            "INSERT OR REPLACE INTO metric (id, grp, name, kind, help, crc)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![id, group.name(), name, kind, help, crc])?;
    }
    Ok(id)
}

/// The checksum of a metric's row.
pub(crate) fn metric_crc(id: u32, group: &str, name: &str, kind: &str, help: &str) -> i64 {
    RowCrc::of("metric").int(id.into()).text(group).text(name).text(kind).text(help).done()
}

/// Buffers that keep their room from tick to tick.
#[derive(Debug)]
pub(crate) struct Scratch {
    writer: tick::Writer,
    /// Ids of entities and where their samples stand.
    order: Vec<(u64, usize)>,
    pub(crate) blobs: Blobs,
}

impl Scratch {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { writer: tick::Writer::new()?, order: vec![], blobs: Blobs::default() })
    }

    /// Encodes the groups of a frame; how many samples were left out.
    pub(crate) fn frame(
        &mut self,
        frame: &Frame,
        columns: &Columns,
        registry: &mut Registry,
        rows: Rows<'_>,
    ) -> rusqlite::Result<usize> {
        let Self { writer, order, blobs: [machine, zone, cgroup, process, owner, thing] } = self;
        thing.clear();
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
        put.order(&frame.owners, |o| registry.owner(rows, o.owner.as_ref()))?;
        let sum: fn(&OwnerSample) -> &OwnerSum = |o| &o.sum;
        put.blob(&frame.owners, sum, metric::OWNER, &columns.owner_ids, owner)?;
        Ok(left_out)
    }

    /// Encodes a survey; how many of its numbers were left out.
    pub(crate) fn survey(
        &mut self,
        survey: &Survey,
        columns: &mut Columns,
        registry: &mut Registry,
        rows: Rows<'_>,
    ) -> rusqlite::Result<usize> {
        let most = survey.things.len().min(tick::MAX_ENTITIES);
        let mut cells = Vec::with_capacity(most);
        for thing in survey.things.iter().take(most) {
            let entity = registry.thing(rows, &thing.labels)?;
            let of = thing.metric;
            let metric = columns.thing(rows.db, of)?;
            cells.push((metric, entity, thing.value));
        }
        self.things(cells)?;
        Ok(survey.things.len().saturating_sub(most))
    }

    /// Encodes what rules recorded; how many samples were left out.
    pub(crate) fn round(
        &mut self,
        round: &Round,
        columns: &mut Columns,
        registry: &mut Registry,
        rows: Rows<'_>,
    ) -> rusqlite::Result<usize> {
        let mut cells = vec![];
        for (labels, value) in round.samples.iter().take(tick::MAX_ENTITIES) {
            if let Some(metric) = columns.recorded(rows.db, labels.get(NAME))? {
                let mut bare = labels.clone();
                bare.set(NAME, "");
                cells.push((metric, registry.thing(rows, &bare)?, *value));
            }
        }
        let left_out = round.samples.len().saturating_sub(cells.len());
        self.things(cells)?;
        Ok(left_out)
    }

    /// Writes cells column by column; of one metric and entity the first.
    fn things(&mut self, mut cells: Vec<(u32, u64, f64)>) -> rusqlite::Result<()> {
        self.blobs.iter_mut().for_each(Vec::clear);
        cells.sort_by_key(|(metric, entity, _)| (*metric, *entity));
        cells.dedup_by_key(|(metric, entity, _)| (*metric, *entity));
        let mut ids: Vec<u64> = cells.iter().map(|(_, entity, _)| *entity).collect();
        ids.sort_unstable();
        ids.dedup();
        let [.., blob] = &mut self.blobs;
        if ids.is_empty() {
            return Ok(());
        }
        self.writer.begin(ids.iter().copied());
        for column in cells.chunk_by(|a, b| a.0 == b.0) {
            let Some((metric, _, _)) = column.first() else { continue };
            let mut rest = column.iter().peekable();
            let values = ids.iter().map(|id| rest.next_if(|cell| cell.1 == *id).map(|cell| cell.2));
            self.writer.column(*metric, values);
        }
        // Compression into a buffer of the stated bound fails for want of memory only.
        self.writer.finish(blob).map_err(wrapped)
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
        self.writer.finish(blob).map_err(wrapped)
    }
}
