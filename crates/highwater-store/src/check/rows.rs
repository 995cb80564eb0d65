//! The rows of each table, by their checksums.

use std::collections::HashMap;

use highwater_core::time::WallTime;
use rusqlite::Row;

use super::{CheckProgress, CheckReport, DamagedRow};
use crate::batch::{BATCH_COLUMNS, Batch, State, sheet_crc};
use crate::codec::{BlockReader, Heads, MAX_POINTS, is_absent, times};
use crate::encode::metric_crc;
use crate::entity::Group;
use crate::era;
use crate::event::EventRow;
use crate::reader::{Hole, Reader, walk};
use crate::registry::{entity_crc, facts_crc};
use crate::round::standing_crc;
use crate::schema;
use crate::select::fresh::tick_of;
use crate::store::boot_crc;
use crate::tick::{Damage, Unpacker};

/// A word is said after so many rows.
const SAY_EVERY: u64 = 256;

/// What is wrong with a row whose columns and checksum do not agree.
const CHECKSUM: &str = "its checksum is wrong";

/// What is lost with a row of `standing`.
const LOST_STANDING: &str = "what rules and receivers go on from";

/// A check on its way through the tables.
pub(super) struct Rows<'a> {
    reader: &'a Reader,
    report: &'a mut CheckReport,
    progress: &'a mut dyn FnMut(CheckProgress),
    doing: &'static str,
    done: u64,
    all: u64,
    metrics: HashMap<u32, String>,
    batches: HashMap<i64, Stands>,
    unpacker: Unpacker,
    blocks: BlockReader,
}

/// What stands on a batch.
#[derive(Clone, Copy, Debug)]
struct Stands {
    first_ms: i64,
    last_ms: i64,
    group: Group,
    points: usize,
    is_read: bool,
    /// Samples that it claims, and that its sheets were found to have.
    claimed: i64,
    found: i64,
    damaged: bool,
}

/// A finding about one row: what is wrong, when, and what is lost.
type Finding = (String, Option<(i64, i64)>, String);

impl<'a> Rows<'a> {
    pub(super) fn new(
        reader: &'a Reader,
        report: &'a mut CheckReport,
        progress: &'a mut dyn FnMut(CheckProgress),
    ) -> Self {
        Self {
            reader,
            report,
            progress,
            doing: "",
            done: 0,
            all: 0,
            metrics: HashMap::new(),
            batches: HashMap::new(),
            unpacker: Unpacker::default(),
            blocks: BlockReader::new(),
        }
    }

    /// All tables.
    pub(super) fn all(&mut self) -> rusqlite::Result<()> {
        self.table("boot", "id, boot_id, first_ms, crc", "the name of a boot", Self::boot)?;
        let columns = "id, boot, first_ms, first_us, last_ms, last_us, crc";
        let lost = "where its samples belong if the clock was set";
        self.table("era", columns, lost, Self::era)?;
        let lost = "the name of a metric, and with it its series";
        self.table("metric", "id, grp, name, kind, help, crc", lost, Self::metric)?;
        let columns = "id, grp, boot, facts, first_ms, last_ms, crc";
        let lost = "whose some samples are, and so they cannot be shown";
        self.table("entity", columns, lost, Self::entity)?;
        let groups = Group::ALL.map(Group::name).join(", ");
        let columns = format!("id, at_ms, era, boot_us, scope, crc, {groups}");
        self.table("tick", &columns, "a reading", Self::tick)?;
        self.table("batch", BATCH_COLUMNS, "a group's samples of a while", Self::batch)?;
        let columns = "id, batch, metric, first_entity, last_entity, crc, heads, body";
        self.table("sheet", columns, "some series of a while", Self::sheet)?;
        self.missing();
        let columns = "id, at_ms, boot, boot_us, kind, key, pid, comm, cgroup, body, crc";
        self.table("event", columns, "an event", Self::event)?;
        if schema::number(&self.reader.db, "user_version")? < schema::SCHEMA_VERSION {
            return Ok(());
        }
        self.table("standing", "id, name, body, crc", LOST_STANDING, Self::standing)
    }

    /// Goes through one table; `lost` is what a row holds whose kind of damage says nothing more.
    fn table(
        &mut self,
        table: &'static str,
        columns: &str,
        lost: &str,
        mut check: impl FnMut(&mut Self, &Row<'_>) -> rusqlite::Result<Vec<Finding>>,
    ) -> rusqlite::Result<()> {
        let db = &self.reader.db;
        let count = format!("SELECT count(*) FROM {table}");
        let all: i64 = db.query_row(&count, [], |row| row.get(0)).unwrap_or(0);
        (self.doing, self.done, self.all) = (table, 0, u64::try_from(all).unwrap_or(0));
        self.say();
        let mut holes = vec![];
        let visit = |row: &Row<'_>| {
            let id: i64 = row.get(0)?;
            // A column of a type that was never written is damage, too.
            let findings = match check(self, row) {
                Ok(findings) => findings,
                Err(cause) => vec![(cause.to_string(), None, lost.to_owned())],
            };
            for (what, when, lost) in findings {
                self.found(table, id, what, when, lost);
            }
            self.done = self.done.saturating_add(1);
            self.report.rows = self.report.rows.saturating_add(1);
            if self.done.is_multiple_of(SAY_EVERY) {
                self.say();
            }
            Ok(())
        };
        walk(db, table, columns, visit, |hole| holes.push(hole))?;
        for Hole { first, last, why } in holes {
            let behind = if last == i64::MAX { "on".to_owned() } else { format!("to {last}") };
            let what = format!("rows from {first} {behind} cannot be read: {why}");
            self.found(table, first, what, None, format!("of each such row, {lost}"));
        }
        self.say();
        Ok(())
    }

    fn say(&mut self) {
        let Self { doing, done, all, .. } = *self;
        (self.progress)(CheckProgress { doing, done, all });
    }

    fn found(
        &mut self,
        table: &'static str,
        id: i64,
        what: String,
        when: Option<(i64, i64)>,
        lost: String,
    ) {
        let when = when.map(|(from, to)| (WallTime::from_millis(from), WallTime::from_millis(to)));
        self.report.add(DamagedRow { table, id, what, when, lost });
    }

    fn boot(_: &mut Self, row: &Row<'_>) -> rusqlite::Result<Vec<Finding>> {
        let crc = boot_crc(row.get(0)?, row.get_ref(1)?.as_str()?, row.get(2)?);
        Ok(wrong(crc == row.get::<_, i64>(3)?, || "the name of a boot".to_owned()))
    }

    fn era(_: &mut Self, row: &Row<'_>) -> rusqlite::Result<Vec<Finding>> {
        let era = era::Era {
            id: row.get(0)?,
            boot: row.get(1)?,
            first_ms: row.get(2)?,
            first_us: row.get(3)?,
            last_ms: 0,
            last_us: 0,
        };
        let crc = era::crc(&era, row.get(4)?, row.get(5)?);
        Ok(wrong(crc == row.get::<_, i64>(6)?, || {
            "where its samples belong if the clock was set: they stand where it put them".to_owned()
        }))
    }

    fn metric(&mut self, row: &Row<'_>) -> rusqlite::Result<Vec<Finding>> {
        let text = |at: usize| row.get_ref(at).and_then(|text| Ok(text.as_str()?));
        let (id, name) = (row.get(0)?, text(2)?);
        let crc = metric_crc(id, text(1)?, name, text(3)?, text(4)?);
        let right = crc == row.get::<_, i64>(5)?;
        if right {
            self.metrics.insert(id, name.to_owned());
        }
        Ok(wrong(right, || "the name of a metric, and with it its series".to_owned()))
    }

    fn entity(_: &mut Self, row: &Row<'_>) -> rusqlite::Result<Vec<Finding>> {
        let text = |at: usize| row.get_ref(at).and_then(|text| Ok(text.as_str()?));
        let group = text(1)?;
        let crc = facts_crc(row.get(0)?, group, row.get(2)?, text(3)?);
        let crc = entity_crc(crc, row.get(4)?, row.get(5)?);
        let lost = || format!("which {group} some samples are of, and so they cannot be shown");
        Ok(wrong(crc == row.get::<_, i64>(6)?, lost))
    }

    fn tick(&mut self, row: &Row<'_>) -> rusqlite::Result<Vec<Finding>> {
        let Some(tick) = tick_of(row)? else {
            return Ok(vec![(CHECKSUM.to_owned(), None, "a reading".to_owned())]);
        };
        let mut findings = vec![];
        for (at, group) in (6..).zip(Group::ALL) {
            let blob = row.get_ref(at)?.as_blob_or_null()?;
            let read = blob.map_or(Ok(()), |blob| read_tick(&mut self.unpacker, blob));
            if let Err(damage) = read {
                let what = format!("{}: {damage}", group.name());
                let lost = format!("the group {} of a reading", group.name());
                findings.push((what, Some((tick.at_ms, tick.at_ms)), lost));
            }
        }
        Ok(findings)
    }

    fn batch(&mut self, row: &Row<'_>) -> rusqlite::Result<Vec<Finding>> {
        let Some(batch) = Batch::of_row(row)? else {
            return Ok(vec![(
                CHECKSUM.to_owned(),
                None,
                "a group's samples of a while".to_owned(),
            )]);
        };
        let when = (batch.first_ms, batch.last_ms);
        let lost = || format!("{} samples of the group {}", batch.samples, batch.group.name());
        let points = match times::decode(&batch.times, MAX_POINTS) {
            Ok(times) => times.len(),
            Err(damage) => return Ok(vec![(damage.to_string(), Some(when), lost())]),
        };
        let is_read = batch.state == State::Valid;
        let stands = Stands {
            first_ms: batch.first_ms,
            last_ms: batch.last_ms,
            group: batch.group,
            points,
            is_read,
            claimed: batch.samples,
            found: 0,
            damaged: false,
        };
        self.batches.insert(batch.id, stands);
        Ok(vec![])
    }

    fn sheet(&mut self, row: &Row<'_>) -> rusqlite::Result<Vec<Finding>> {
        let batch: i64 = row.get(1)?;
        let Some(stands) = self.batches.get(&batch).copied().filter(|stands| stands.is_read) else {
            // Its batch is not read, or is a finding of its own.
            return Ok(vec![]);
        };
        let when = Some((stands.first_ms, stands.last_ms));
        let metric: u32 = row.get(2)?;
        let heads = row.get_ref(6)?.as_blob()?;
        let crc = sheet_crc(batch, metric, (row.get(3)?, row.get(4)?), heads);
        let heads = Heads::parse(heads);
        let mut findings = vec![];
        let mut found = 0;
        match heads {
            Ok(heads) if crc == row.get::<_, i64>(5)? => {
                if heads.points != stands.points {
                    let what = "it has more or fewer points than its batch".to_owned();
                    findings.push((what, when, self.of_metric(metric, heads.entries.len())));
                }
                found = self.body(&heads, row.get_ref(7)?.as_blob()?, when, &mut findings);
            }
            Err(damage) => findings.push((damage.to_string(), when, self.of_metric(metric, 0))),
            Ok(_) => findings.push((CHECKSUM.to_owned(), when, self.of_metric(metric, 0))),
        }
        if let Some(stands) = self.batches.get_mut(&batch) {
            stands.found = stands.found.saturating_add(found);
            stands.damaged |= !findings.is_empty();
        }
        Ok(findings)
    }

    /// Unpacks the blocks of a sheet; how many samples there were.
    fn body(
        &mut self,
        heads: &Heads,
        body: &[u8],
        when: Option<(i64, i64)>,
        findings: &mut Vec<Finding>,
    ) -> i64 {
        let mut samples = 0_i64;
        for of_block in heads.entries.chunk_by(|a, b| a.block == b.block) {
            let Some(first) = of_block.first() else { continue };
            let place = usize::try_from(first.block).ok().and_then(|at| heads.blocks.get(at));
            let bytes = place
                .and_then(|place| body.get(place.offset..place.offset.checked_add(place.length)?));
            let places: Vec<u16> = of_block.iter().map(|entry| entry.place).collect();
            let mut here = 0_i64;
            let mut count = |_: u16, values: &[f64]| {
                let present = values.iter().filter(|value| !is_absent(**value)).count();
                here = here.saturating_add(i64::try_from(present).unwrap_or(0));
            };
            let read = match bytes {
                Some(bytes) => self.blocks.decode(heads, first.block, bytes, &places, &mut count),
                None => Err(Damage::Body),
            };
            self.report.blocks = self.report.blocks.saturating_add(1);
            samples = samples.saturating_add(here);
            if let Err(damage) = read {
                let what = format!("block {}: {damage}", first.block);
                findings.push((what, when, self.of_metric(first.key.metric, of_block.len())));
            }
        }
        let found = u64::try_from(samples).unwrap_or(0);
        self.report.samples = self.report.samples.saturating_add(found);
        samples
    }

    /// What is lost with series of a metric.
    fn of_metric(&self, metric: u32, series: usize) -> String {
        let name = self.metrics.get(&metric).map_or("several metrics", String::as_str);
        match series {
            0 => format!("series of {name}"),
            1 => format!("one series of {name}"),
            count => format!("{count} series, such as of {name}"),
        }
    }

    /// Batches that have fewer samples than they should, though none of their sheets is damaged:
    /// sheets are not there.
    fn missing(&mut self) {
        let short =
            |stands: &Stands| stands.is_read && !stands.damaged && stands.found != stands.claimed;
        let short: Vec<(i64, Stands)> =
            self.batches.iter().filter(|(_, s)| short(s)).map(|(id, s)| (*id, *s)).collect();
        for (id, stands) in short {
            let what =
                format!("its sheets have {} of its {} samples", stands.found, stands.claimed);
            let lost = format!("the other samples of the group {}", stands.group.name());
            self.found("batch", id, what, Some((stands.first_ms, stands.last_ms)), lost);
        }
        self.batches.clear();
    }

    fn standing(_: &mut Self, row: &Row<'_>) -> rusqlite::Result<Vec<Finding>> {
        let text = |at: usize| row.get_ref(at).and_then(|text| Ok(text.as_str()?));
        let crc = standing_crc(text(1)?, text(2)?);
        Ok(wrong(crc == row.get::<_, i64>(3)?, || LOST_STANDING.to_owned()))
    }

    fn event(_: &mut Self, row: &Row<'_>) -> rusqlite::Result<Vec<Finding>> {
        let text = |at: usize| row.get_ref(at).and_then(|text| Ok(text.as_str()?));
        let maybe = |at: usize| row.get_ref(at).and_then(|text| Ok(text.as_str_or_null()?));
        let event = EventRow {
            at_ms: row.get(1)?,
            boot: row.get(2)?,
            boot_us: row.get(3)?,
            kind: text(4)?,
            key: text(5)?,
            pid: row.get(6)?,
            comm: maybe(7)?,
            cgroup: maybe(8)?,
            body: text(9)?,
        };
        if event.crc() == row.get::<_, i64>(10)? {
            return Ok(vec![]);
        }
        let when = Some((event.at_ms, event.at_ms));
        Ok(vec![(CHECKSUM.to_owned(), when, lost_event(&event))])
    }
}

/// Which event a damaged row was, as far as its other columns tell: one of them may be what is
/// damaged.
fn lost_event(event: &EventRow<'_>) -> String {
    if event.kind != "death" {
        return "an event".to_owned();
    }
    let comm = event.comm.unwrap_or("an unnamed process");
    let pid = event.pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default();
    format!("a death, by what can be read that of {comm}{pid}")
}

/// The finding of a wrong checksum.
fn wrong(right: bool, lost: impl FnOnce() -> String) -> Vec<Finding> {
    if right { vec![] } else { vec![(CHECKSUM.to_owned(), None, lost())] }
}

/// Reads all of a tick blob.
fn read_tick(unpacker: &mut Unpacker, blob: &[u8]) -> Result<(), Damage> {
    let tick = unpacker.unpack(blob)?;
    for column in tick.columns() {
        column?.values().try_for_each(|value| value.map(|_| ()))?;
    }
    Ok(())
}
