//! What killed, in one word.

use serde::{Deserialize, Serialize};

use crate::report::{Constraint, OomReport, Writer};

/// What killed a process for memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The machine was out of memory.
    KernelOomGlobal,
    /// A memory cgroup's limit.
    KernelOomMemcg,
    /// The memory nodes of a cpuset.
    KernelOomCpuset,
    /// The memory nodes of a NUMA policy.
    KernelOomMempolicy,
    /// A person pressed sysrq f.
    KernelOomSysrq,
    /// `systemd-oomd`.
    SystemdOomd,
    /// `earlyoom`.
    Earlyoom,
    /// `nohang`.
    Nohang,
    /// `oomd` (Meta's).
    Oomd,
    /// Android's `lowmemorykiller` or `lmkd`.
    Lowmemorykiller,
    /// The log does not say.
    Unknown,
}

impl Cause {
    /// Its name in JSON and on the screen: `kernel-oom-memcg`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::KernelOomGlobal => "kernel-oom-global",
            Self::KernelOomMemcg => "kernel-oom-memcg",
            Self::KernelOomCpuset => "kernel-oom-cpuset",
            Self::KernelOomMempolicy => "kernel-oom-mempolicy",
            Self::KernelOomSysrq => "kernel-oom-sysrq",
            Self::SystemdOomd => "systemd-oomd",
            Self::Earlyoom => "earlyoom",
            Self::Nohang => "nohang",
            Self::Oomd => "oomd",
            Self::Lowmemorykiller => "lowmemorykiller",
            Self::Unknown => "unknown",
        }
    }
}

impl Cause {
    /// A program in user space decided it; the kernel killed nothing by itself.
    pub const fn is_program(self) -> bool {
        matches!(self, Self::SystemdOomd | Self::Earlyoom | Self::Nohang | Self::Oomd)
    }
}

impl OomReport {
    /// What killed in this episode.
    pub fn cause(&self) -> Cause {
        let by_hand = self.trigger.as_ref().is_some_and(|trigger| trigger.value.order == Some(-1));
        match (self.writer, self.constraint.map(|constraint| constraint.value)) {
            (Writer::Earlyoom, _) => Cause::Earlyoom,
            (Writer::SystemdOomd, _) => Cause::SystemdOomd,
            (Writer::Nohang, _) => Cause::Nohang,
            (Writer::Oomd, _) => Cause::Oomd,
            (Writer::Lowmemorykiller, _) => Cause::Lowmemorykiller,
            (Writer::Kernel, _) if by_hand || self.sysrq.is_some() => Cause::KernelOomSysrq,
            (Writer::Kernel, Some(Constraint::Memcg)) => Cause::KernelOomMemcg,
            (Writer::Kernel, Some(Constraint::Cpuset)) => Cause::KernelOomCpuset,
            (Writer::Kernel, Some(Constraint::Mempolicy)) => Cause::KernelOomMempolicy,
            (Writer::Kernel, Some(Constraint::None)) => Cause::KernelOomGlobal,
            (Writer::Kernel, None) => Cause::Unknown,
        }
    }
}
