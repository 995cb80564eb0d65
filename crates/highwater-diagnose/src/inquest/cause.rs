//! What ends processes, in one word each.

use serde::{Deserialize, Serialize};

/// What ended a process or a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
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
    /// The kernel killed for memory; for want of what is not known.
    KernelOom,
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
    /// systemd's watchdog: it did not report in time.
    Watchdog,
    /// It did not stop in time, and systemd killed it.
    StopTimeout,
    /// It did not start in time.
    StartTimeout,
    /// It ran as long as it may (`RuntimeMaxSec`).
    RuntimeMax,
    /// systemd was asked to stop it.
    SystemdStop,
    /// systemd was asked to restart it.
    SystemdRestart,
    /// systemd was asked to send it a signal (`systemctl kill`).
    SystemdKill,
    /// The daemon was asked to stop the container.
    DockerStop,
    /// The daemon was asked to stop the container, which ignored that, and killed it.
    DockerStopTimeout,
    /// The daemon was asked to send it a signal.
    DockerKill,
    /// The daemon was asked to restart the container.
    DockerRestart,
    /// The daemon was asked to remove the container by force.
    DockerRemove,
    /// The kubelet: a liveness or startup probe failed.
    KubeletProbe,
    /// The kubelet: the node was short of something.
    KubeletEviction,
    /// The kubelet: the pod was deleted.
    KubeletDelete,
    /// Somebody sent it a signal: a person or a program.
    Signal,
    /// Its parent ended, and it had asked to end then (`PR_SET_PDEATHSIG`).
    ParentDeath,
    /// The first process of its pid namespace ended.
    NamespaceEnd,
    /// Somebody wrote to `cgroup.kill`.
    CgroupKill,
    /// It used up its processor time.
    RlimitCpu,
    /// It was refused memory by its own limit on addresses.
    RlimitAs,
    /// It was refused memory by the machine: strict overcommit.
    NoMemory,
    /// A segmentation fault.
    Segfault,
    /// A bus error.
    BusError,
    /// It called abort(3).
    Abort,
    /// An illegal instruction.
    IllegalInstruction,
    /// A division by zero or the like.
    Arithmetic,
    /// A breakpoint or assertion trap.
    Trap,
    /// A system call that seccomp forbids.
    Seccomp,
    /// It ended by itself, and not well.
    ExitCode,
    /// It ended by itself, and well.
    CleanExit,
    /// Nobody says.
    Unknown,
}

impl Cause {
    /// Every cause.
    pub const ALL: [Self; 43] = [
        Self::KernelOomGlobal,
        Self::KernelOomMemcg,
        Self::KernelOomCpuset,
        Self::KernelOomMempolicy,
        Self::KernelOomSysrq,
        Self::KernelOom,
        Self::SystemdOomd,
        Self::Earlyoom,
        Self::Nohang,
        Self::Oomd,
        Self::Lowmemorykiller,
        Self::Watchdog,
        Self::StopTimeout,
        Self::StartTimeout,
        Self::RuntimeMax,
        Self::SystemdStop,
        Self::SystemdRestart,
        Self::SystemdKill,
        Self::DockerStop,
        Self::DockerStopTimeout,
        Self::DockerKill,
        Self::DockerRestart,
        Self::DockerRemove,
        Self::KubeletProbe,
        Self::KubeletEviction,
        Self::KubeletDelete,
        Self::Signal,
        Self::ParentDeath,
        Self::NamespaceEnd,
        Self::CgroupKill,
        Self::RlimitCpu,
        Self::RlimitAs,
        Self::NoMemory,
        Self::Segfault,
        Self::BusError,
        Self::Abort,
        Self::IllegalInstruction,
        Self::Arithmetic,
        Self::Trap,
        Self::Seccomp,
        Self::ExitCode,
        Self::CleanExit,
        Self::Unknown,
    ];

    /// Its name in JSON, in labels and on the screen.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::KernelOomGlobal => "kernel-oom-global",
            Self::KernelOomMemcg => "kernel-oom-memcg",
            Self::KernelOomCpuset => "kernel-oom-cpuset",
            Self::KernelOomMempolicy => "kernel-oom-mempolicy",
            Self::KernelOomSysrq => "kernel-oom-sysrq",
            Self::KernelOom => "kernel-oom",
            Self::SystemdOomd => "systemd-oomd",
            Self::Earlyoom => "earlyoom",
            Self::Nohang => "nohang",
            Self::Oomd => "oomd",
            Self::Lowmemorykiller => "lowmemorykiller",
            Self::Watchdog => "watchdog",
            Self::StopTimeout => "stop-timeout",
            Self::StartTimeout => "start-timeout",
            Self::RuntimeMax => "runtime-max",
            Self::SystemdStop => "systemd-stop",
            Self::SystemdRestart => "systemd-restart",
            Self::SystemdKill => "systemd-kill",
            Self::DockerStop => "docker-stop",
            Self::DockerStopTimeout => "docker-stop-timeout",
            Self::DockerKill => "docker-kill",
            Self::DockerRestart => "docker-restart",
            Self::DockerRemove => "docker-remove",
            Self::KubeletProbe => "kubelet-probe",
            Self::KubeletEviction => "kubelet-eviction",
            Self::KubeletDelete => "kubelet-delete",
            Self::Signal => "signal",
            Self::ParentDeath => "parent-death",
            Self::NamespaceEnd => "namespace-end",
            Self::CgroupKill => "cgroup-kill",
            Self::RlimitCpu => "rlimit-cpu",
            Self::RlimitAs => "rlimit-as",
            Self::NoMemory => "no-memory",
            Self::Segfault => "segfault",
            Self::BusError => "bus-error",
            Self::Abort => "abort",
            Self::IllegalInstruction => "illegal-instruction",
            Self::Arithmetic => "arithmetic",
            Self::Trap => "trap",
            Self::Seccomp => "seccomp",
            Self::ExitCode => "exit-code",
            Self::CleanExit => "clean-exit",
            Self::Unknown => "unknown",
        }
    }

    /// Killed for want of memory, by whomever.
    pub const fn is_memory(self) -> bool {
        matches!(
            self,
            Self::KernelOomGlobal
                | Self::KernelOomMemcg
                | Self::KernelOomCpuset
                | Self::KernelOomMempolicy
                | Self::KernelOomSysrq
                | Self::KernelOom
                | Self::SystemdOomd
                | Self::Earlyoom
                | Self::Nohang
                | Self::Oomd
                | Self::Lowmemorykiller
        )
    }

    /// It is as somebody wanted it: no failure.
    pub const fn is_wanted(self) -> bool {
        matches!(
            self,
            Self::SystemdStop
                | Self::SystemdRestart
                | Self::DockerStop
                | Self::DockerRestart
                | Self::DockerRemove
                | Self::KubeletDelete
                | Self::CleanExit
        )
    }
}

impl From<highwater_oom::Cause> for Cause {
    fn from(cause: highwater_oom::Cause) -> Self {
        use highwater_oom::Cause as Oom;
        match cause {
            Oom::KernelOomGlobal => Self::KernelOomGlobal,
            Oom::KernelOomMemcg => Self::KernelOomMemcg,
            Oom::KernelOomCpuset => Self::KernelOomCpuset,
            Oom::KernelOomMempolicy => Self::KernelOomMempolicy,
            Oom::KernelOomSysrq => Self::KernelOomSysrq,
            Oom::SystemdOomd => Self::SystemdOomd,
            Oom::Earlyoom => Self::Earlyoom,
            Oom::Nohang => Self::Nohang,
            Oom::Oomd => Self::Oomd,
            Oom::Lowmemorykiller => Self::Lowmemorykiller,
            Oom::Unknown => Self::KernelOom,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The page and the manual name each cause; what is missing in the table is missing there, too.
    #[test]
    fn the_table_of_the_manual_has_every_cause_once_and_nothing_else() {
        let manual = include_str!("../../../../docs/manual/json.md");
        let (_, after) = manual.split_once("\n### Causes\n").unwrap();
        let rows = after.lines().skip_while(|line| !line.starts_with("|---"));
        let rows = rows.skip(1).take_while(|line| line.starts_with('|'));
        let cells = rows.filter_map(|row| row.split('|').nth(1));
        let mut told: Vec<&str> =
            cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
        let mut all: Vec<&str> = Cause::ALL.iter().map(|cause| cause.as_str()).collect();
        told.sort_unstable();
        all.sort_unstable();
        assert_eq!(told, all);
    }
}
