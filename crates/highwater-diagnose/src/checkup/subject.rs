//! What a finding is about and the values in it, for whoever tells it in words of his own: a page in
//! another language, a program. The sentence has them too, for people.

use highwater_core::units::Bytes;
use serde::Serialize;

/// What a finding is about. `docs/manual/json.md` says which values go with each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// A cgroup is out of memory, and nothing is killed in it.
    Hanging,
    /// How much memory there is could not be read.
    MemoryUnknown,
    /// Little memory is left on the machine.
    MemoryLow,
    /// An owner is about to reach its limit.
    LimitNear,
    /// All programs waited for memory.
    StallFull,
    /// Some program waited for memory.
    StallSome,
    /// Processes were killed for memory lately.
    Kills,
    /// The kernel counts processes that it killed for memory since boot.
    KillsSinceBoot,
    /// Swap is full.
    SwapFull,
    /// An owner without a limit holds much.
    Unlimited,
    /// The kernel itself holds much.
    KernelMemory,
    /// Shared memory and tmpfs hold much.
    SharedMemory,
    /// Processes died, and nobody reaped them.
    Zombies,
    /// An owner is started again and again.
    RestartStorm,
    /// systemd starts an owner no more.
    GivenUp,
    /// What ended lately though nobody wanted it.
    Ends,
    /// What is started again for ever.
    Endless,
    /// Who would tell of deaths, and is not heard.
    Unheard,
    /// The recorder cannot store.
    CannotStore,
    /// The recorder runs, and writes nothing.
    RecorderSilent,
    /// No recorder runs.
    NotRecording,
    /// The recorder looks less often than it should.
    RecorderSlowed,
    /// The recorder has too much memory, and keeps less.
    RecorderTight,
    /// Something grows.
    Growth,
}

impl Subject {
    /// Every subject.
    pub const ALL: [Self; 24] = [
        Self::Hanging,
        Self::MemoryUnknown,
        Self::MemoryLow,
        Self::LimitNear,
        Self::StallFull,
        Self::StallSome,
        Self::Kills,
        Self::KillsSinceBoot,
        Self::SwapFull,
        Self::Unlimited,
        Self::KernelMemory,
        Self::SharedMemory,
        Self::Zombies,
        Self::RestartStorm,
        Self::GivenUp,
        Self::Ends,
        Self::Endless,
        Self::Unheard,
        Self::CannotStore,
        Self::RecorderSilent,
        Self::NotRecording,
        Self::RecorderSlowed,
        Self::RecorderTight,
        Self::Growth,
    ];
}

/// The values that a finding speaks of; those that its subject has no use for are `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Values {
    /// Whom it is about, or who was the last of several; escaped.
    pub owner: Option<String>,
    /// Whose limit it was; escaped.
    pub limit_owner: Option<String>,
    /// How much.
    pub bytes: Option<Bytes>,
    /// Of how much.
    pub of_bytes: Option<Bytes>,
    /// How many.
    pub count: Option<u64>,
    /// Of how many.
    pub of_count: Option<u64>,
    /// Which share, in whole per cent.
    pub percent: Option<u32>,
    /// For how long, or how long ago.
    pub seconds: Option<u64>,
    /// Several of a kind; escaped.
    pub names: Vec<String>,
}

impl Values {
    /// So much of so much.
    pub(super) fn share(bytes: Bytes, of: Bytes) -> Self {
        Self { bytes: Some(bytes), of_bytes: Some(of), ..Self::default() }
    }

    /// So many.
    pub(super) fn count(count: usize) -> Self {
        Self { count: u64::try_from(count).ok(), ..Self::default() }
    }

    /// About this owner.
    #[must_use]
    pub(super) fn about(self, owner: &str) -> Self {
        Self { owner: Some(owner.to_owned()), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The page and the manual tell each subject; what is missing in the table is missing there, too.
    #[test]
    fn the_table_of_the_manual_has_every_subject_once_and_nothing_else() {
        let manual = include_str!("../../../../docs/manual/json.md");
        let (_, after) = manual.split_once("\n| `subject` |").unwrap();
        let rows = after.lines().skip(2).take_while(|line| line.starts_with('|'));
        let mut told: Vec<&str> = rows.filter_map(|row| row.split('`').nth(1)).collect();
        let all = Subject::ALL.map(|subject| serde_json::to_value(subject).unwrap());
        let mut all: Vec<&str> = all.iter().filter_map(|name| name.as_str()).collect();
        told.sort_unstable();
        all.sort_unstable();
        assert_eq!(told, all);
    }
}
