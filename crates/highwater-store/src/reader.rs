//! The reader: opens the history without changing it, beside a running agent or after its end.

mod ahead;
mod damage;
mod eras;
mod events;
mod info;
mod known;
mod open;
mod tally;
mod walk;

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};

use highwater_core::time::{BootId, BootTime, WallTime};
use rusqlite::Connection;

use crate::error::StoreError;
use crate::event::{self, Cursor};
use crate::import::{self, NO_BOOT};
use crate::pen;
use crate::schema;

pub(crate) use ahead::Ahead;
pub(crate) use damage::{Damaged, is_corrupt};
pub(crate) use eras::{Eras, TICK_COLUMNS};
pub use info::{Info, Level};
use known::Known;
pub(crate) use open::FileId;
pub use tally::{ClockStep, EventTally, GroupTally};
pub(crate) use walk::{Hole, walk};

/// So many pages of sheets' heads are read when a reader is made ready: 32 MiB, those of some 20,000 sheets.
const MOST_LEAVES: usize = 8192;

/// The history, open for reading.
#[derive(Debug)]
pub struct Reader {
    pub(crate) db: Connection,
    pub(crate) path: PathBuf,
    /// The file that was opened: another may have taken its place since.
    file: Option<FileId>,
    opened: Option<String>,
    /// Rows that could not be read.
    pub(crate) damaged: RefCell<Damaged>,
    strange_events: Cell<usize>,
    known: RefCell<Known>,
    /// Where it was asked for.
    pub(crate) ahead: RefCell<Option<Ahead>>,
}

/// The newest tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastTick {
    /// When, by the wall clock.
    pub wall: WallTime,
    /// When, by the boot clock.
    pub boot: BootTime,
    /// In which boot.
    pub boot_id: BootId,
}

/// A boot of the machine that the recorder saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Boot {
    /// Which.
    pub id: BootId,
    /// The first moment on record.
    pub first: WallTime,
}

impl Reader {
    /// Opens the history in the directory `dir`.
    ///
    /// A user who may read the files but not write beside them cannot make SQLite's lock file. If
    /// that keeps the history from being opened, it is read as it stands on the disk, without
    /// locks, and [`Reader::caveats`] says what that means.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let path = schema::file_in(dir);
        let (file, (db, opened)) =
            pen::beside(&path, || Ok((open::readable(&path)?, open::connect(&path)?)))?;
        open::check(&db, &path)?;
        let (damaged, strange_events, known, ahead) = Default::default();
        Ok(Self { db, path, file: Some(file), opened, damaged, strange_events, known, ahead })
    }

    /// Makes ready for the first question, for a process that will answer many: reads the small tables, has
    /// the kernel read the heads of the newest sheets, and from here on reads ahead what a question will need.
    ///
    /// Not in a process that records: the file is opened beside SQLite, and closing it would
    /// release the locks of all its connections.
    pub fn prepare(&self) -> Result<(), StoreError> {
        if let Some(ahead) = Ahead::open(&self.path, &self.db) {
            ahead.newest(MOST_LEAVES);
            self.ahead.replace(Some(ahead));
        }
        self.read_small_tables().map_err(self.failed())
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the file at the path is no longer the one that is being read: it was moved aside,
    /// deleted or replaced, so that answers are about the past only. Open it anew.
    pub fn is_replaced(&self) -> bool {
        FileId::of(&self.path) != self.file
    }

    /// What stands in the way of complete answers, as sentences without a full stop; of those
    /// readings, too, that were made so far.
    pub fn caveats(&self) -> Vec<String> {
        let strange = self.strange_events.get();
        let events = (strange > 0)
            .then(|| format!("{strange} events are of a kind that this version does not know"));
        let replaced = self.is_replaced().then(|| {
            format!(
                "{} was replaced or removed while it was being read, and these answers come from \
                 the old file: ask again",
                self.path.display()
            )
        });
        let opened = self.opened.iter().cloned();
        opened.chain(replaced).chain(self.damaged.borrow().said()).chain(events).collect()
    }

    /// How far the source called `name` was read.
    pub fn cursor(&self, name: &str) -> Result<Option<Cursor>, StoreError> {
        event::cursor(&self.db, name).map_err(self.failed())
    }

    /// The newest reading: a tick that is not sealed yet or, where all are, the end of the newest
    /// era.
    pub fn last_tick(&self) -> Result<Option<LastTick>, StoreError> {
        let eras = self.eras().map_err(self.failed())?;
        let Some(era) = eras.known.last() else { return Ok(None) };
        let boots = self.boot_rows().map_err(self.failed())?;
        let boot = boots.iter().find(|(row, _)| *row == era.boot);
        Ok(boot.map(|(_, boot)| LastTick {
            wall: WallTime::from_millis(era.last_ms),
            boot: BootTime::from_micros(schema::unsigned(era.last_us)),
            boot_id: boot.id,
        }))
    }

    /// The boots on record, oldest first; of a history that was imported there are none.
    pub fn boots(&self) -> Result<Vec<Boot>, StoreError> {
        let boots = self.boot_rows().map_err(self.failed())?;
        let recorded = boots.into_iter().filter(|(_, boot)| boot.id.to_string() != NO_BOOT);
        Ok(recorded.map(|(_, boot)| boot).collect())
    }

    /// Whether this history was imported: no agent records into it, and all of it stays.
    pub fn is_imported(&self) -> bool {
        import::is_imported(&self.db).unwrap_or(false)
    }

    pub(crate) fn failed(&self) -> impl FnOnce(rusqlite::Error) -> StoreError {
        StoreError::database(&self.path, "read")
    }
}
