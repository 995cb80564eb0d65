//! Which row each entity of the present has: looked up every tick, written only when something
//! appears, or when its `last_ms` grows old.

use std::collections::HashMap;
use std::hash::Hash;

use highwater_core::frame::{ProcSample, ZoneSample};
use highwater_core::id::{CgroupPath, Comm, ProcKey};
use highwater_core::owner::Owner;
use highwater_core::series::Labels;
use rusqlite::{Connection, OptionalExtension, params};

use crate::crc::RowCrc;
use crate::entity::{Facts, Group};
use crate::schema;

/// The most entities remembered: as many as a tick may have, four times over for those that come
/// and go. At about 200 bytes each this is the bound of a pathological machine; a usual one has
/// a few thousand.
const MOST: usize = 4 * crate::tick::MAX_ENTITIES;

/// An entity not sampled for so long is forgotten here; should it come back, its row is found.
const GONE_AFTER_MS: i64 = 10 * 60 * 1000;

/// `last_ms` is never further than this behind an entity's last sample: a row is written once in
/// ten minutes and not every tick, and whoever asks by time allows for that.
pub(crate) const LAST_SEEN_SLACK_MS: i64 = 10 * 60 * 1000;

/// Rows are refreshed up to so much sooner, each by its id, so that they do not all fall due in
/// one tick.
const SPREAD_MS: i64 = 5 * 60 * 1000;

/// The entities of the present.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    machine: HashMap<(), Entry>,
    zones: HashMap<(u16, Comm), Entry>,
    cgroups: HashMap<CgroupPath, Entry>,
    processes: HashMap<ProcKey, Known>,
    owners: HashMap<Owner, Entry>,
    ownerless: HashMap<(), Entry>,
    things: HashMap<Labels, Entry>,
    swept_ms: i64,
    /// How many rows were made.
    pub(crate) made: usize,
}

/// A row, and when it was last written and used.
#[derive(Clone, Copy, Debug)]
struct Entry {
    id: u64,
    /// The checksum of the row's first columns, and what comes behind them.
    crc: u32,
    first_ms: i64,
    written_ms: i64,
    seen_ms: i64,
}

/// A process with what may change about it.
#[derive(Debug)]
struct Known {
    comm: Comm,
    cgroup: Option<CgroupPath>,
    entry: Entry,
}

/// Where rows are written, and at which moment.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    pub(crate) db: &'a Connection,
    pub(crate) boot: i64,
    pub(crate) now_ms: i64,
}

impl Registry {
    /// The row of the machine.
    pub(crate) fn machine(&mut self, rows: Rows<'_>) -> rusqlite::Result<u64> {
        keep(&mut self.machine, &(), rows, &mut self.made, Group::Machine, Facts::default)
    }

    /// The row of a zone.
    pub(crate) fn zone(&mut self, rows: Rows<'_>, zone: &ZoneSample) -> rusqlite::Result<u64> {
        let key = (zone.node, zone.zone);
        keep(&mut self.zones, &key, rows, &mut self.made, Group::Zone, || Facts::of_zone(zone))
    }

    /// The row of a cgroup.
    pub(crate) fn cgroup(&mut self, rows: Rows<'_>, path: &CgroupPath) -> rusqlite::Result<u64> {
        let facts = || Facts::of_cgroup(path);
        keep(&mut self.cgroups, path, rows, &mut self.made, Group::Cgroup, facts)
    }

    /// The row of a process as it is now: with this name, in this cgroup.
    pub(crate) fn process(
        &mut self,
        rows: Rows<'_>,
        process: &ProcSample,
    ) -> rusqlite::Result<u64> {
        if let Some(known) = self.processes.get_mut(&process.key)
            && known.comm == process.comm
            && known.cgroup == process.cgroup
        {
            return known.entry.seen(rows);
        }
        let entry = rows.insert(Group::Process, &Facts::of_process(process))?;
        self.made += 1;
        let known = Known { comm: process.comm, cgroup: process.cgroup.clone(), entry };
        self.processes.insert(process.key, known);
        Ok(entry.id)
    }

    /// The row of an owner.
    pub(crate) fn owner(&mut self, rows: Rows<'_>, owner: Option<&Owner>) -> rusqlite::Result<u64> {
        let facts = || Facts::of_owner(owner);
        let made = &mut self.made;
        match owner {
            Some(of) => keep(&mut self.owners, of, rows, made, Group::Owner, facts),
            None => keep(&mut self.ownerless, &(), rows, made, Group::Owner, facts),
        }
    }

    /// The row of a thing.
    pub(crate) fn thing(&mut self, rows: Rows<'_>, labels: &Labels) -> rusqlite::Result<u64> {
        let facts = || Facts::of_thing(labels);
        keep(&mut self.things, labels, rows, &mut self.made, Group::Thing, facts)
    }

    /// Forgets what is gone, now and then; and everything, should there be too much even so.
    pub(crate) fn sweep(&mut self, now_ms: i64) {
        let due = now_ms.saturating_sub(self.swept_ms).unsigned_abs();
        if due < GONE_AFTER_MS.unsigned_abs() && self.len() <= MOST {
            return;
        }
        self.swept_ms = now_ms;
        self.keep_if(|entry| entry.seen_ms.saturating_add(GONE_AFTER_MS) >= now_ms);
        if self.len() > MOST {
            self.clear();
        }
    }

    /// Forgets entities whose rows were deleted: those last written before `ms`.
    pub(crate) fn drop_written_before(&mut self, ms: i64) {
        self.keep_if(|entry| entry.written_ms >= ms);
    }

    /// Forgets everything: rows are found again by their facts.
    pub(crate) fn clear(&mut self) {
        *self = Self { swept_ms: self.swept_ms, ..Self::default() };
    }

    fn len(&self) -> usize {
        (self.machine.len() + self.zones.len() + self.cgroups.len())
            + (self.processes.len() + self.owners.len() + self.things.len())
    }

    fn keep_if(&mut self, keep: impl Fn(&Entry) -> bool) {
        self.machine.retain(|(), entry| keep(entry));
        self.zones.retain(|_, entry| keep(entry));
        self.cgroups.retain(|_, entry| keep(entry));
        self.processes.retain(|_, known| keep(&known.entry));
        self.owners.retain(|_, entry| keep(entry));
        self.ownerless.retain(|(), entry| keep(entry));
        self.things.retain(|_, entry| keep(entry));
    }
}

/// The row of `key`, found in memory or in the table, or made.
fn keep<K: Eq + Hash + Clone>(
    all: &mut HashMap<K, Entry>,
    key: &K,
    rows: Rows<'_>,
    made: &mut usize,
    group: Group,
    facts: impl FnOnce() -> Facts,
) -> rusqlite::Result<u64> {
    if let Some(entry) = all.get_mut(key) {
        return entry.seen(rows);
    }
    let entry = rows.insert(group, &facts())?;
    *made += 1;
    all.insert(key.clone(), entry);
    Ok(entry.id)
}

impl Entry {
    /// Notes that it was sampled, in its row too when that is due; its id.
    fn seen(&mut self, rows: Rows<'_>) -> rusqlite::Result<u64> {
        self.seen_ms = rows.now_ms;
        let sooner = i64::try_from(self.id % 64).unwrap_or(0) * (SPREAD_MS / 64);
        let due = self.written_ms.saturating_add(LAST_SEEN_SLACK_MS - sooner);
        // A clock that was set back makes the row's first moment wrong.
        if rows.now_ms >= due || rows.now_ms < self.first_ms {
            self.first_ms = self.first_ms.min(rows.now_ms);
            self.written_ms = self.written_ms.max(rows.now_ms);
            rows.refresh(self)?;
        }
        Ok(self.id)
    }
}

/// What an entity is found by. A fifth of the room that an index of the facts themselves would take.
pub(crate) fn entity_key(group: &str, boot: i64, facts: &str) -> i64 {
    RowCrc::of("key").text(group).int(boot).text(facts).done()
}

/// The checksum of an entity's row up to its facts.
pub(crate) fn facts_crc(id: i64, group: &str, boot: i64, facts: &str) -> u32 {
    RowCrc::of("entity").int(id).text(group).int(boot).text(facts).so_far()
}

/// The checksum of an entity's row.
pub(crate) fn entity_crc(facts: u32, first_ms: i64, last_ms: i64) -> i64 {
    RowCrc::after(facts).int(first_ms).int(last_ms).done()
}

impl Rows<'_> {
    fn insert(self, group: Group, facts: &Facts) -> rusqlite::Result<Entry> {
        let boot = if group == Group::Process { self.boot } else { 0 };
        let (name, facts) = (group.name(), facts.text());
        let key = entity_key(name, boot, &facts);
        let known: Option<(i64, i64, i64)> = self
            .db
            .prepare_cached(
                "SELECT id, first_ms, last_ms FROM entity
                 WHERE key = ?1 AND grp = ?2 AND facts = ?3 AND boot = ?4",
            )?
            .query_row(params![key, name, facts, boot], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })
            .optional()?;
        let (id, first_ms, last_ms) = match known {
            Some((id, first, last)) => (id, first.min(self.now_ms), last.max(self.now_ms)),
            None => (self.next_id()?, self.now_ms, self.now_ms),
        };
        let crc = facts_crc(id, name, boot, &facts);
        let entry = Entry {
            id: schema::unsigned(id),
            crc,
            first_ms,
            written_ms: last_ms,
            seen_ms: self.now_ms,
        };
        if known.is_some() {
            self.refresh(&entry)?;
            return Ok(entry);
        }
        let mut insert = self.db.prepare_cached(
            "INSERT INTO entity (id, grp, boot, facts, first_ms, last_ms, key, crc)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?;
        let crc = entity_crc(crc, first_ms, last_ms);
        insert.execute(params![id, name, boot, facts, first_ms, last_ms, key, crc])?;
        Ok(entry)
    }

    /// Ids rise, so that those of a tick are near each other; the last one may be given again once
    /// its entity and all its samples are gone.
    fn next_id(self) -> rusqlite::Result<i64> {
        let mut last = self.db.prepare_cached("SELECT coalesce(max(id), 0) + 1 FROM entity")?;
        last.query_row([], |row| row.get(0))
    }

    fn refresh(self, entry: &Entry) -> rusqlite::Result<()> {
        let mut refresh = self.db.prepare_cached(
            "UPDATE entity SET first_ms = ?2, last_ms = ?3, crc = ?4 WHERE id = ?1",
        )?;
        let crc = entity_crc(entry.crc, entry.first_ms, entry.written_ms);
        let id = schema::signed(entry.id);
        refresh.execute(params![id, entry.first_ms, entry.written_ms, crc])?;
        Ok(())
    }
}
