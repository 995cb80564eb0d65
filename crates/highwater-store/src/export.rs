//! The history for elsewhere: a copy of the file, or plain tables that any program reads.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use highwater_core::event::{Event, Happening, Presence, Sight};
use highwater_core::series::{NAME, Selection, Series, is_stale};
use highwater_core::time::WallTime;
use highwater_core::units::Bytes;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use crate::error::{StoreError, wrapped};
use crate::event::{EventFilter, StoredEvent, Subject};
use crate::reader::Reader;
use crate::schema;

/// Pages copied between two words about how far it is: 4 MiB.
const PAGES_AT_ONCE: i32 = 1024;

/// Samples written in one transaction: some 10 MiB of pages, most of which wait in the kernel.
const SAMPLES_AT_ONCE: u64 = 500_000;

/// Owner and group: what is recorded tells much about a machine.
const MODE: u32 = 0o640;

const PLAIN_TABLES: &str = "
    CREATE TABLE series (
      id     INTEGER PRIMARY KEY,
      metric TEXT NOT NULL,
      labels TEXT NOT NULL,      -- a JSON object
      UNIQUE (metric, labels)
    ) STRICT;
    CREATE TABLE sample (
      at_ms  INTEGER NOT NULL,   -- milliseconds since 1970 UTC
      series INTEGER NOT NULL,
      value  REAL                -- NULL: not a number
    ) STRICT;
    CREATE TABLE event (
      at_ms  INTEGER NOT NULL,
      kind   TEXT NOT NULL,      -- death, recorder
      pid    INTEGER,            -- of a death
      comm   TEXT,
      cgroup TEXT,
      text   TEXT NOT NULL       -- the log's lines, or what is to be said
    ) STRICT;
    CREATE VIEW reading AS
      SELECT strftime('%Y-%m-%d %H:%M:%f', at_ms / 1000.0, 'unixepoch') AS time,
             metric, labels, value
      FROM sample JOIN series ON series.id = sample.series;
";

/// How far a copy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyProgress {
    /// Bytes that are copied.
    pub done: u64,
    /// Bytes that there are.
    pub all: u64,
}

/// What was exported so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Series.
    pub series: u64,
    /// Samples.
    pub samples: u64,
    /// Events.
    pub events: u64,
    /// The oldest sample, and the newest.
    pub range: Option<(WallTime, WallTime)>,
}

impl Reader {
    /// Copies the history as it is at this moment into a new file, which stands alone: no log
    /// beside it is needed. Nobody is held up meanwhile.
    pub fn copy_to(
        &self,
        to: &Path,
        progress: &mut dyn FnMut(CopyProgress),
    ) -> Result<(), StoreError> {
        let mut copy = create(to)?;
        let copied = self.try_copy(&mut copy, progress);
        let copied = copied.map_err(StoreError::database(to, "copy the recording to"));
        finish(copy, to, copied)
    }

    fn try_copy(
        &self,
        to: &mut Connection,
        progress: &mut dyn FnMut(CopyProgress),
    ) -> rusqlite::Result<()> {
        // One state of the database: otherwise each tick would make the copy begin anew.
        let state = self.db.unchecked_transaction()?;
        state.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
        let page = schema::unsigned(schema::number(&state, "page_size")?);
        let copy = Backup::new(&self.db, to)?;
        loop {
            let step = copy.step(PAGES_AT_ONCE)?;
            let pages = copy.progress();
            let bytes = |count: i32| u64::try_from(count).unwrap_or(0).saturating_mul(page);
            let done = pages.pagecount.saturating_sub(pages.remaining);
            progress(CopyProgress { done: bytes(done), all: bytes(pages.pagecount) });
            if step == StepResult::Done {
                break;
            }
        }
        drop(copy);
        drop(state);
        to.pragma_update(None, "journal_mode", "DELETE")
    }

    /// Writes what is selected into a new SQLite file of plain tables: `series (id, metric,
    /// labels)`, the labels as a JSON object, `sample (at_ms, series, value)`, and the events of the
    /// range; the view `reading` has it side by side. Without conditions it is everything in the
    /// range. About `budget` is held in memory.
    pub fn export_to(
        &self,
        to: &Path,
        selection: &Selection,
        budget: Bytes,
        progress: &mut dyn FnMut(Exported),
    ) -> Result<Exported, StoreError> {
        let mut plain = create(to)?;
        let exported = self.try_export(&mut plain, to, selection, budget, progress);
        finish(plain, to, exported)
    }

    fn try_export(
        &self,
        plain: &mut Connection,
        to: &Path,
        selection: &Selection,
        budget: Bytes,
        progress: &mut dyn FnMut(Exported),
    ) -> Result<Exported, StoreError> {
        let failed = || StoreError::database(to, "export to");
        plain.execute_batch(PLAIN_TABLES).map_err(failed())?;
        let events = self.put_events(plain, selection)?.map_err(failed())?;
        let mut all = Exported { events, ..Exported::default() };
        let mut pieces = self.stream(selection, budget)?;
        loop {
            let some = plain.transaction().map_err(failed())?;
            let before = all.samples;
            let more = loop {
                let Some(piece) = pieces.next().transpose()? else { break false };
                put(&some, &piece, &mut all).map_err(failed())?;
                if all.samples.saturating_sub(before) >= SAMPLES_AT_ONCE {
                    break true;
                }
            };
            some.commit().map_err(failed())?;
            progress(all);
            if !more {
                return Ok(all);
            }
        }
    }
}

impl Reader {
    /// Writes the events of a range, the newest where there are very many; how many.
    fn put_events(
        &self,
        to: &mut Connection,
        range: &Selection,
    ) -> Result<rusqlite::Result<u64>, StoreError> {
        let (since, until) = (Some(range.from), Some(range.to));
        let events = self.events(&EventFilter { since, until, ..EventFilter::default() })?;
        let mut put = || {
            let some = to.transaction()?;
            for StoredEvent { event, .. } in &events {
                put_event(&some, event)?;
            }
            some.commit()?;
            Ok(u64::try_from(events.len()).unwrap_or(u64::MAX))
        };
        Ok(put())
    }
}

/// `kmsg, signals; not docker (no socket at /run/docker.sock)`.
fn heard(sight: &Sight) -> String {
    let name = |presence: &Presence| match &presence.absent {
        None => presence.witness.to_string(),
        Some(why) => format!("not {} ({why})", presence.witness),
    };
    sight.witnesses.iter().map(name).collect::<Vec<_>>().join("; ")
}

fn put_event(to: &Transaction<'_>, event: &Event) -> rusqlite::Result<()> {
    let Subject { kind, pid, comm, cgroup } = Subject::of(&event.what);
    let text = match &event.what {
        Happening::Death(death) => {
            let lines: Vec<&str> = death.lines.iter().map(|line| line.text.as_str()).collect();
            lines.join("\n")
        }
        Happening::Testimony(testimony) => {
            format!("{}: {}", testimony.witness, testimony.evidence.text)
        }
        Happening::Sight(sight) => heard(sight),
        Happening::Growth(grown) => {
            let finding = &grown.finding;
            let (what, whose) = (finding.resource, &finding.owner.name);
            format!("{}: {} of {what} by {whose}", grown.turn.name(), finding.verdict)
        }
        Happening::Recorder { what, note } => format!("{what}: {note}"),
    };
    to.prepare_cached(
        "INSERT INTO event (at_ms, kind, pid, comm, cgroup, text)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![event.wall.millis(), kind, pid, comm, cgroup, text])?;
    Ok(())
}

/// Writes a piece of a series.
fn put(to: &Transaction<'_>, piece: &Series, all: &mut Exported) -> rusqlite::Result<()> {
    let metric = piece.labels.get(NAME);
    let labels: BTreeMap<&str, &str> =
        piece.labels.iter().filter(|(name, _)| *name != NAME).collect();
    let labels = serde_json::to_string(&labels).map_err(wrapped)?;
    let known: Option<i64> = to
        .prepare_cached("SELECT id FROM series WHERE metric = ?1 AND labels = ?2")?
        .query_row([metric, &labels], |row| row.get(0))
        .optional()?;
    let id = if let Some(id) = known {
        id
    } else {
        all.series = all.series.saturating_add(1);
        to.prepare_cached("INSERT INTO series (metric, labels) VALUES (?1, ?2)")?
            .insert([metric, &labels])?
    };
    let mut insert =
        to.prepare_cached("INSERT INTO sample (at_ms, series, value) VALUES (?1, ?2, ?3)")?;
    for point in piece.points.iter().filter(|point| !is_stale(point.value)) {
        // SQLite has no value that is not a number: it becomes NULL.
        insert.execute(params![point.at.millis(), id, point.value])?;
        all.samples = all.samples.saturating_add(1);
        let (first, last) = all.range.unwrap_or((point.at, point.at));
        all.range = Some((first.min(point.at), last.max(point.at)));
    }
    Ok(())
}

/// Makes a new database file. A file that is there is left alone.
fn create(path: &Path) -> Result<Connection, StoreError> {
    let made = OpenOptions::new().write(true).create_new(true).mode(MODE).open(path);
    made.map_err(|cause| StoreError::Io { doing: "make", path: path.to_owned(), cause })?;
    let open = || {
        let db = Connection::open(path)?;
        schema::prepare(&db)?;
        // Until it is whole it is worth nothing, so nothing is done for a half of it.
        db.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;")?;
        Ok(db)
    };
    open().map_err(StoreError::database(path, "make"))
}

/// Brings a whole file to the disk, or removes half a one.
fn finish<T>(db: Connection, path: &Path, done: Result<T, StoreError>) -> Result<T, StoreError> {
    let closed = db.close().map_err(|(_, cause)| StoreError::database(path, "close")(cause));
    let failed = |cause| StoreError::Io { doing: "write", path: path.to_owned(), cause };
    let synced = || File::open(path).and_then(|file| file.sync_all()).map_err(failed);
    let all = done.and_then(|done| closed.and_then(|()| synced()).map(|()| done));
    if all.is_err() {
        // The error that is told is the first one.
        drop(fs::remove_file(path));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::select::tests::{DAY, MINUTE, RSS, ask, keep, record, seen, stamp};

    #[test]
    fn a_copy_stands_alone_and_tells_the_same() {
        let (dir, mut store, truth) = record(DAY, 5 * MINUTE);
        while store.maintain(stamp(DAY), &keep(1200)).unwrap().more {}
        let reader = Reader::open(dir.path()).unwrap();
        let other = tempfile::tempdir().unwrap();
        let to = schema::file_in(other.path());
        let mut last = None;
        reader.copy_to(&to, &mut |progress| last = Some(progress)).unwrap();
        let last = last.unwrap();
        assert!(last.done == last.all && last.all > 0, "{last:?}");
        assert_eq!(fs::read_dir(other.path()).unwrap().count(), 1, "no log beside it");
        let copy = Reader::open(other.path()).unwrap();
        assert_eq!(seen(&copy, &ask(RSS, (0, DAY))), truth);
        assert!(copy.check(&mut |_| {}).unwrap().is_whole());
        let again = reader.copy_to(&to, &mut |_| {}).unwrap_err();
        assert!(matches!(again, StoreError::Io { doing: "make", .. }), "{again}");
        assert_eq!(seen(&copy, &ask(RSS, (0, DAY))), truth, "what was there is left alone");
    }

    #[test]
    fn plain_tables_hold_what_was_recorded() {
        let (dir, _store, truth) = record(DAY / 4, 5 * MINUTE);
        let reader = Reader::open(dir.path()).unwrap();
        let other = tempfile::tempdir().unwrap();
        let to = other.path().join("plain.db");
        let all = Selection { matchers: vec![], ..ask(RSS, (0, DAY)) };
        let exported = reader.export_to(&to, &all, Bytes::new(1), &mut |_| {}).unwrap();
        let plain = Connection::open(&to).unwrap();
        let number = |sql: &str| plain.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!(exported.samples, number("SELECT count(*) FROM sample").unsigned_abs());
        assert_eq!(exported.series, number("SELECT count(*) FROM series").unsigned_abs());
        let sql = "SELECT labels ->> 'pid', at_ms, value FROM sample
                   JOIN series ON series.id = series WHERE metric = ?1 ORDER BY at_ms";
        let mut rows = plain.prepare(sql).unwrap();
        let rows = rows.query_map([RSS], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?, row.get::<_, f64>(2)?))
        });
        let mut found = crate::select::tests::Truth::new();
        for (pid, at, value) in rows.unwrap().map(Result::unwrap) {
            found.entry(pid.parse().unwrap()).or_default().push((at, value));
        }
        assert_eq!(found, truth);
    }

    #[test]
    fn half_a_file_does_not_stay() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        let db = create(&path).unwrap();
        let failed: Result<(), _> = Err(StoreError::Unbounded);
        assert!(finish(db, &path, failed).is_err() && !path.exists());
    }
}
