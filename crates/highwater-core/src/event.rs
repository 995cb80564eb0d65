//! Something that happened, as it is kept.

mod grown;

use serde::{Deserialize, Serialize};

use crate::id::{CgroupPath, Pid, ProcKey};
use crate::limit::Limit;
use crate::line::RecordedLine;
use crate::testimony::{Testimony, Witness};
use crate::time::{BootId, BootTime, WallTime};
use crate::units::Bytes;

pub use grown::{Finding, Grower, Grown, GrowthLimit, HourlyRate, TimeLeft, Turn};

/// One event: when, in which boot, and what.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The wall clock at the event.
    pub wall: WallTime,
    /// The boot clock at the event, where known.
    pub boot: Option<BootTime>,
    /// Which boot of the machine.
    pub boot_id: BootId,
    /// Two events of the same boot with the same key are the same event: `kmsg:SEQ` of the line
    /// that tells it. A log that is read again adds nothing.
    pub key: String,
    /// What happened.
    pub what: Happening,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Happening {
    /// A process was killed for memory.
    Death(Death),
    /// A witness of a death, a start or an end spoke.
    Testimony(Box<Testimony>),
    /// Which witnesses the recorder has, from here on: without this nobody could say later what
    /// would have been heard.
    Sight(Sight),
    /// A growth began, changed or ended.
    Growth(Box<Grown>),
    /// The recorder itself began or ended, so that a gap in the history has a name.
    Recorder {
        /// `started`, `stopped`, or `missed`: kernel messages were overwritten before they could
        /// be read.
        what: String,
        /// In plain words.
        note: String,
    },
}

/// Which witnesses there are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sight {
    /// Each witness that may be there; of those that are not, why, and what it would take.
    pub witnesses: Vec<Presence>,
}

/// Whether one witness is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presence {
    /// Who.
    pub witness: Witness,
    /// Why it is not heard, and what it would take: `needs CAP_NET_ADMIN`; `None`: it is heard.
    pub absent: Option<String>,
}

impl Sight {
    /// Whether this witness is heard; `None` if nothing is known of it.
    pub fn hears(&self, witness: Witness) -> Option<bool> {
        let presence = self.witnesses.iter().find(|presence| presence.witness == witness)?;
        Some(presence.absent.is_none())
    }
}

/// A death as it was recorded: the kernel's words, and what the recorder knew at that moment.
/// The meaning is read out of the words when somebody asks, by the newest reader there is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Death {
    /// The process the kill line names.
    pub pid: Pid,
    /// Its name on the kill line, escaped.
    pub comm: String,
    /// The log lines of the report, the kill line among them.
    pub lines: Vec<RecordedLine>,
    /// Where among `lines` the kill line stands.
    pub kill_line: usize,
    /// What was on record about the process: `None` if it was never sampled.
    pub known: Option<Whereabouts>,
}

/// Where a process was when it was last sampled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Whereabouts {
    /// The process.
    pub key: ProcKey,
    /// Its memory cgroup.
    pub cgroup: Option<CgroupPath>,
    /// The nearest cgroup from there up that has a memory limit.
    pub limited_by: Option<CgroupPath>,
    /// That limit.
    pub limit: Option<Limit>,
    /// What that cgroup used.
    pub usage: Option<Bytes>,
    /// When it was sampled.
    pub at: WallTime,
}
