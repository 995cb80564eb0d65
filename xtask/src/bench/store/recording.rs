//! A recording: the readings that an agent kept on some machine, read back one by one.
//!
//! What is read is a copy, so the agent may go on. The tick blobs are read as
//! `docs/formats/store.md` draws them, in schema 1 as in schema 2.

use std::collections::HashMap;
use std::path::Path;

use anyhow::Context;
use highwater_core::frame::Scope;
use highwater_core::time::{BootTime, Stamp, WallTime};
use highwater_store::tick::Unpacker;
use highwater_store::{FILE_NAME, Facts};
use rusqlite::{Connection, OpenFlags, Row};

/// The groups that an agent reads; what is worked out of them is worked out again.
const GROUPS: usize = 4;
const MACHINE: usize = 0;
const ZONE: usize = 1;
const CGROUP: usize = 2;
const PROCESS: usize = 3;

/// A copied recording.
pub(super) struct Recording {
    db: Connection,
    /// Metrics by their ids.
    pub(super) metrics: HashMap<u32, Metric>,
    /// Everything that was ever read, by its id.
    pub(super) entities: HashMap<u64, Facts>,
}

/// A metric on record.
pub(super) struct Metric {
    pub(super) name: String,
    pub(super) is_counter: bool,
}

/// One reading.
pub(super) struct Reading {
    pub(super) stamp: Stamp,
    pub(super) scope: Scope,
    groups: [Block; GROUPS],
}

/// The numbers of one group at one moment.
#[derive(Default)]
pub(super) struct Block {
    pub(super) ids: Vec<u64>,
    pub(super) columns: Vec<Numbers>,
}

/// The numbers of one metric: one or none for each entity, in the order of the ids.
pub(super) struct Numbers {
    pub(super) metric: u32,
    pub(super) values: Vec<Option<f64>>,
}

/// What a first look at a recording tells.
pub(super) struct Overview {
    pub(super) readings: u64,
    /// Readings of everything.
    pub(super) whole: u64,
    pub(super) first: Stamp,
    pub(super) last: Stamp,
    /// Between two readings of everything.
    pub(super) every_ms: i64,
    /// How many readings of everything each entity was in.
    pub(super) seen: HashMap<u64, u64>,
}

impl Recording {
    /// Copies the history in the directory `from` into the file `to`, and opens that.
    pub(super) fn copy(from: &Path, to: &Path) -> anyhow::Result<Self> {
        let from = from.join(FILE_NAME);
        let source = Connection::open_with_flags(&from, OpenFlags::SQLITE_OPEN_READ_ONLY)
            .with_context(|| format!("cannot open {}", from.display()))?;
        let name = to.to_str().context("the copy needs a name of text")?;
        source.execute("VACUUM INTO ?1", [name]).context("cannot copy the recording")?;
        Self::open(to)
    }

    fn open(file: &Path) -> anyhow::Result<Self> {
        let db = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let metrics = pairs(&db, "SELECT id, name, kind = 'counter' FROM metric", |row| {
            Ok((row.get(0)?, Metric { name: row.get(1)?, is_counter: row.get(2)? }))
        })?;
        let facts = pairs(&db, "SELECT id, facts FROM entity", |row| {
            let id = u64::try_from(row.get::<_, i64>(0)?).unwrap_or(0);
            Ok((id, row.get::<_, String>(1)?))
        })?;
        let parsed = facts.into_iter().map(|(id, text)| Ok((id, serde_json::from_str(&text)?)));
        let entities = parsed.collect::<anyhow::Result<_>>()?;
        Ok(Self { db, metrics, entities })
    }

    /// Shows every reading, in the order of recording.
    pub(super) fn each(
        &self,
        mut show: impl FnMut(&mut Reading) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut rows = self.db.prepare(
            "SELECT at_ms, boot_us, scope, machine, zone, cgroup, process FROM tick ORDER BY rowid",
        )?;
        let mut rows = rows.query([])?;
        let mut unpacker = Unpacker::default();
        while let Some(row) = rows.next()? {
            show(&mut Reading::of(row, &mut unpacker)?)?;
        }
        Ok(())
    }

    /// Looks through it once.
    pub(super) fn overview(&self) -> anyhow::Result<Overview> {
        let (mut readings, mut whole, mut ends) = (0, 0_u64, None);
        let mut seen: HashMap<u64, u64> = HashMap::new();
        self.each(|reading| {
            readings += 1;
            let (first, _) = *ends.get_or_insert((reading.stamp, reading.stamp));
            ends = Some((first, reading.stamp));
            if reading.scope == Scope::Whole {
                whole += 1;
                for id in reading.groups.iter().flat_map(|block| &block.ids) {
                    *seen.entry(*id).or_default() += 1;
                }
            }
            Ok(())
        })?;
        let (first, last) = ends.context("the recording is empty")?;
        let span = i64::try_from(last.wall.since(first.wall).as_millis())?;
        let every_ms = span / i64::try_from(whole.saturating_sub(1).max(1))?;
        Ok(Overview { readings, whole, first, last, every_ms, seen })
    }
}

fn pairs<K: Eq + std::hash::Hash, V>(
    db: &Connection,
    question: &str,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<(K, V)>,
) -> anyhow::Result<HashMap<K, V>> {
    let mut rows = db.prepare(question)?;
    let rows = rows.query_map([], read)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

impl Reading {
    fn of(row: &Row<'_>, unpacker: &mut Unpacker) -> anyhow::Result<Self> {
        let boot_us = u64::try_from(row.get::<_, i64>(1)?).unwrap_or(0);
        let wall = WallTime::from_millis(row.get(0)?);
        let stamp = Stamp { wall, boot: BootTime::from_micros(boot_us) };
        let scope = if row.get::<_, i64>(2)? == 0 { Scope::Whole } else { Scope::CloseUp };
        let mut groups: [Block; GROUPS] = Default::default();
        for (at, block) in groups.iter_mut().enumerate() {
            if let Some(blob) = row.get_ref(3 + at)?.as_blob_or_null()? {
                *block = Block::of(blob, unpacker)?;
            }
        }
        Ok(Self { stamp, scope, groups })
    }

    /// All groups.
    pub(super) fn groups_mut(&mut self) -> &mut [Block] {
        &mut self.groups
    }

    pub(super) fn machine(&self) -> &Block {
        &self.groups[MACHINE]
    }

    pub(super) fn zones(&self) -> &Block {
        &self.groups[ZONE]
    }

    pub(super) fn cgroups(&self) -> &Block {
        &self.groups[CGROUP]
    }

    pub(super) fn processes(&self) -> &Block {
        &self.groups[PROCESS]
    }
}

impl Block {
    fn of(blob: &[u8], unpacker: &mut Unpacker) -> anyhow::Result<Self> {
        let tick = unpacker.unpack(blob)?;
        let columns = tick.columns().map(|column| {
            let column = column?;
            let values = column.values().collect::<Result<_, _>>()?;
            Ok(Numbers { metric: column.metric, values })
        });
        let columns = columns.collect::<anyhow::Result<_>>()?;
        Ok(Self { ids: tick.ids().to_vec(), columns })
    }
}
