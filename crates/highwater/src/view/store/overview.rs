//! What is told of a recording, as the page and the document have it.

use highwater_core::units::Bytes;
use serde::Serialize;

use super::{Moment, Stretch};

/// Everything that is told. Texts that others chose are escaped already.
#[derive(Debug, Serialize)]
pub(crate) struct Overview {
    /// [`super::DOCUMENT`].
    pub(crate) schema: u32,
    /// The file.
    pub(crate) path: String,
    /// The version of its tables.
    pub(crate) store_schema: i64,
    /// When this was found out.
    pub(crate) now: Moment,
    /// From the oldest to the newest moment on record.
    pub(crate) history: Option<Stretch>,
    /// Who records.
    pub(crate) recorder: Recorder,
    /// What it takes.
    pub(crate) size: Size,
    /// One for each level of each tier.
    pub(crate) tiers: Vec<Tier>,
    /// Where the limits are from.
    pub(crate) limits_from: String,
    /// One for each kind of thing.
    pub(crate) groups: Vec<Group>,
    /// The boots, oldest first.
    pub(crate) boots: Vec<Boot>,
    /// Where the wall clock was set, oldest first.
    pub(crate) clock: Vec<Step>,
    /// One for each kind of event.
    pub(crate) events: Vec<Events>,
    /// What stands in the way of complete answers.
    pub(crate) notes: Vec<String>,
    /// What a command needs to be about this recording.
    #[serde(skip)]
    pub(crate) option: String,
}

/// Who records into it.
#[derive(Debug, Serialize)]
pub(crate) struct Recorder {
    /// Whether.
    pub(crate) state: State,
    /// The process, if it is known.
    pub(crate) pid: Option<u32>,
    /// The newest reading.
    pub(crate) last_reading: Option<Moment>,
    /// How old that is.
    pub(crate) age_seconds: Option<u64>,
    /// Why its store does not take what it sees.
    pub(crate) trouble: Option<String>,
    /// When it left word of that and of what follows.
    #[serde(rename = "told_at")]
    pub(crate) told: Option<Moment>,
    /// Readings that wait in its memory until it does.
    #[serde(rename = "waiting_readings")]
    pub(crate) waiting: u64,
    /// Parts that it slowed down, because it used too much of a processor.
    pub(crate) slowed: Vec<String>,
}

/// Whether an agent records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum State {
    /// One has the directory, and its newest reading is fresh.
    Recording,
    /// One has the directory, but nothing was stored for a while.
    Stalled,
    /// Nobody has the directory.
    Stopped,
    /// Nobody ever will: what it holds was imported.
    Imported,
}

/// What the recording takes, and what it may take.
#[derive(Debug, Serialize)]
pub(crate) struct Size {
    /// The database.
    #[serde(rename = "database_bytes")]
    pub(crate) database: Bytes,
    /// The write-ahead log beside it.
    #[serde(rename = "wal_bytes")]
    pub(crate) wal: Bytes,
    /// Pages of the database that hold nothing.
    #[serde(rename = "free_inside_bytes")]
    pub(crate) free_inside: Bytes,
    /// What both may take together.
    #[serde(rename = "budget_bytes")]
    pub(crate) budget: Option<Bytes>,
    /// What the file system has left for the recorder.
    #[serde(rename = "disk_free_bytes")]
    pub(crate) disk_free: Option<Bytes>,
    /// What the recorder leaves free of it.
    #[serde(rename = "disk_floor_bytes")]
    pub(crate) disk_floor: Option<Bytes>,
}

/// Samples of one resolution, in one form.
#[derive(Debug, Serialize)]
pub(crate) struct Tier {
    /// `raw`, `1 min`, `10 min`.
    #[serde(rename = "tier")]
    pub(crate) name: &'static str,
    /// `fresh`, `sealed`, `daily`.
    pub(crate) form: &'static str,
    /// From its oldest to its newest sample.
    pub(crate) stretch: Option<Stretch>,
    /// Rows that hold them.
    pub(crate) rows: u64,
    /// Samples; `None` where they are not counted.
    pub(crate) samples: Option<u64>,
    /// What they take.
    pub(crate) bytes: Bytes,
    /// How long they are kept.
    pub(crate) keep_seconds: Option<u64>,
}

/// What is recorded of one kind of thing.
#[derive(Debug, Serialize)]
pub(crate) struct Group {
    /// `machine`, `zone`, `cgroup`, `process`, `owner`, `thing`.
    #[serde(rename = "group")]
    pub(crate) name: String,
    /// Things on record.
    pub(crate) entities: u64,
    /// What is written down about them.
    #[serde(rename = "facts_bytes")]
    pub(crate) facts: Bytes,
    /// Metrics of each, at most.
    pub(crate) metrics: u64,
    /// Series of the newest sealed stretch; `None` where that cannot be read.
    pub(crate) series: Option<u64>,
    /// Samples, all tiers together, those aside that are not sealed yet.
    pub(crate) samples: Option<u64>,
    /// What those take.
    #[serde(rename = "sealed_bytes")]
    pub(crate) sealed: Bytes,
    /// What it takes, with those that are not sealed yet.
    pub(crate) bytes: Bytes,
}

/// A boot of the machine.
#[derive(Debug, Serialize)]
pub(crate) struct Boot {
    /// Its id.
    pub(crate) id: String,
    /// When it was first seen.
    pub(crate) first: Moment,
    /// It is the one that goes on.
    pub(crate) current: bool,
}

/// The wall clock was set.
#[derive(Debug, Serialize)]
pub(crate) struct Step {
    /// What it said then.
    pub(crate) at: Moment,
    /// By how much, forward or back.
    pub(crate) by_ms: i64,
    /// In which boot.
    pub(crate) boot: String,
}

/// Events of one kind.
#[derive(Debug, Serialize)]
pub(crate) struct Events {
    /// Which.
    pub(crate) kind: String,
    /// How many.
    pub(crate) count: u64,
    /// What they take.
    pub(crate) bytes: Bytes,
    /// The oldest and the newest.
    pub(crate) stretch: Option<Stretch>,
}
