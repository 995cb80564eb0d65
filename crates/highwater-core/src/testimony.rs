//! What the witnesses of a death say.
//!
//! ```text
//! witness ── Testimony { who says it, whom it is about, what it says, in which words }
//! ```
//!
//! Testimonies are kept as they were given. Which of them tell of one death, and what that death
//! was, is judged when somebody asks, by the newest judgement there is.
//!
//! Every text in here is escaped and cut to length by the witness that brings it.

mod party;
mod word;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::evidence::Evidence;

pub use party::{Ancestor, Party};
pub use word::{
    AuditWord, ContainerWord, Exit, Fact, Fault, FaultKind, Job, Limits, OomWord, Origin, PodWord,
    Reception, Sent, Signal, Status, UnitWord,
};

/// Who says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Witness {
    /// The kernel's log.
    Kmsg,
    /// The kernel's tracepoints of signals and of the OOM killer's choice.
    Signals,
    /// The kernel's process events: every exec and exit.
    Processes,
    /// The counters and notifications of memory cgroups.
    Cgroups,
    /// systemd over D-Bus, the system's and the users'.
    Systemd,
    /// systemd's journal.
    Journal,
    /// Docker, or Podman, over its socket.
    Docker,
    /// The kubelet or the API server.
    Kubernetes,
    /// The audit log.
    Audit,
}

impl Witness {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Kmsg,
        Self::Signals,
        Self::Processes,
        Self::Cgroups,
        Self::Systemd,
        Self::Journal,
        Self::Docker,
        Self::Kubernetes,
        Self::Audit,
    ];

    /// As labels and JSON have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kmsg => "kmsg",
            Self::Signals => "signals",
            Self::Processes => "processes",
            Self::Cgroups => "cgroups",
            Self::Systemd => "systemd",
            Self::Journal => "journal",
            Self::Docker => "docker",
            Self::Kubernetes => "kubernetes",
            Self::Audit => "audit",
        }
    }

    /// In a sentence.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Kmsg => "the kernel's log",
            Self::Signals => "the kernel's signal tracepoint",
            Self::Processes => "the kernel's process events",
            Self::Cgroups => "the memory cgroup's counters",
            Self::Systemd => "systemd",
            Self::Journal => "the journal",
            Self::Docker => "Docker",
            Self::Kubernetes => "Kubernetes",
            Self::Audit => "the audit log",
        }
    }
}

impl fmt::Display for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One statement of one witness.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Testimony {
    /// Who says it.
    pub witness: Witness,
    /// Whom it is about.
    pub about: Party,
    /// What it says.
    pub fact: Fact,
    /// What it was read from, to be cited: a file, a socket and the object, a tracepoint; and the
    /// words that stood there.
    pub evidence: Evidence,
}
