//! What can be said.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Party;
use crate::id::Pid;
use crate::time::WallTime;
use crate::units::Bytes;

/// What a witness says of a [`Party`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "kebab-case")]
pub enum Fact {
    /// It ran a command that can end others: `kill`, `systemctl stop`, `docker rm -f`, …; the
    /// party is who ran it.
    Ran,
    /// The process ended.
    Exited(Exit),
    /// A signal was made for it.
    Signalled(Sent),
    /// Of running out of memory.
    Oom(OomWord),
    /// The processor or the kernel stopped it.
    Faulted(Fault),
    /// The kernel refused it memory, and killed nothing.
    NoMemory {
        /// How much it asked for.
        bytes: Option<Bytes>,
    },
    /// Of a systemd unit.
    Unit(UnitWord),
    /// Of a container.
    Container(ContainerWord),
    /// Of a pod's container.
    Pod(PodWord),
    /// Of the audit log.
    Audit(AuditWord),
    /// A program in user space says that it killed this one: `earlyoom`, `nohang`, `oomd`,
    /// `systemd-oomd`.
    KilledBy {
        /// The program.
        program: String,
    },
}

/// The number of a signal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Signal(pub u8);

impl Signal {
    /// Hang-up.
    pub const HUP: Self = Self(1);
    /// Ctrl-C.
    pub const INT: Self = Self(2);
    /// Quit with a core.
    pub const QUIT: Self = Self(3);
    /// Illegal instruction.
    pub const ILL: Self = Self(4);
    /// Trap.
    pub const TRAP: Self = Self(5);
    /// abort(3).
    pub const ABRT: Self = Self(6);
    /// Bus error.
    pub const BUS: Self = Self(7);
    /// Arithmetic.
    pub const FPE: Self = Self(8);
    /// The one that cannot be caught.
    pub const KILL: Self = Self(9);
    /// Memory that is not there.
    pub const SEGV: Self = Self(11);
    /// A pipe nobody reads.
    pub const PIPE: Self = Self(13);
    /// A timer.
    pub const ALRM: Self = Self(14);
    /// The polite one.
    pub const TERM: Self = Self(15);
    /// Processor time is used up (`RLIMIT_CPU`).
    pub const XCPU: Self = Self(24);
    /// A file is too large (`RLIMIT_FSIZE`).
    pub const XFSZ: Self = Self(25);
    /// A system call that seccomp forbids.
    pub const SYS: Self = Self(31);

    /// Whether it is one that programs send each other at any rate, since they catch it: that one was
    /// sent says nothing as long as nobody died of it.
    ///
    /// SIGUSR1, SIGUSR2, SIGPIPE, SIGALRM, SIGSTKFLT, SIGVTALRM, SIGPROF, SIGIO, SIGPWR, and the
    /// real-time signals (signal(7), numbers as on x86 and ARM). The kernel is asked only for those sent by
    /// kill(2) or sigqueue(3), and for the SIGALRM of timers.
    pub const fn is_everyday(self) -> bool {
        matches!(self.0, 10 | 12 | 13 | 14 | 16 | 26 | 27 | 29 | 30 | 34..=64)
    }

    /// `SIGKILL`, as people write it (signal(7), numbers as on x86 and ARM). The real-time signals have
    /// none of their own.
    pub const fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            1 => "SIGHUP",
            2 => "SIGINT",
            3 => "SIGQUIT",
            4 => "SIGILL",
            5 => "SIGTRAP",
            6 => "SIGABRT",
            7 => "SIGBUS",
            8 => "SIGFPE",
            9 => "SIGKILL",
            10 => "SIGUSR1",
            11 => "SIGSEGV",
            12 => "SIGUSR2",
            13 => "SIGPIPE",
            14 => "SIGALRM",
            15 => "SIGTERM",
            16 => "SIGSTKFLT",
            17 => "SIGCHLD",
            18 => "SIGCONT",
            19 => "SIGSTOP",
            20 => "SIGTSTP",
            21 => "SIGTTIN",
            22 => "SIGTTOU",
            23 => "SIGURG",
            24 => "SIGXCPU",
            25 => "SIGXFSZ",
            26 => "SIGVTALRM",
            27 => "SIGPROF",
            28 => "SIGWINCH",
            29 => "SIGIO",
            30 => "SIGPWR",
            31 => "SIGSYS",
            _ => return None,
        })
    }

    /// The signal called `SIGKILL` or `KILL`.
    pub fn of_name(name: &str) -> Option<Self> {
        let name = name.strip_prefix("SIG").unwrap_or(name);
        (1..=31)
            .map(Self)
            .find(|signal| signal.name().and_then(|known| known.strip_prefix("SIG")) == Some(name))
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// The first real-time signal, as the C libraries count: they keep those before it.
        const REAL_TIME: u8 = 34;
        match (self.name(), self.0) {
            (Some(name), _) => f.pad(name),
            (None, REAL_TIME) => f.pad("SIGRTMIN"),
            (None, 35..=64) => f.pad(&format!("SIGRTMIN+{}", self.0.saturating_sub(REAL_TIME))),
            (None, number) => f.pad(&format!("signal {number}")),
        }
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// With what.
    pub status: Status,
    /// How long it had lived, in milliseconds.
    pub lived_ms: Option<u64>,
    /// It was the first process of its owner: a unit's main process, a container's init.
    pub is_first: Option<bool>,
}

/// What a process ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// It ended by itself with this code.
    Code(u8),
    /// A signal ended it.
    Signal {
        /// Which.
        signal: Signal,
        /// A core was written, or would have been if that was not switched off.
        core: bool,
    },
}

impl Status {
    /// What wait(2) gives.
    pub const fn of_wait(status: u32) -> Self {
        let [low, code, ..] = status.to_le_bytes();
        match low & 0x7f {
            0 => Self::Code(code),
            signal => Self::Signal { signal: Signal(signal), core: low & 0x80 != 0 },
        }
    }
}

/// A signal on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// Which.
    pub signal: Signal,
    /// What made it, by its code.
    pub origin: Origin,
    /// It went to the whole process; not so what the kernel sends to each task of a cgroup that is
    /// killed, nor what a thread sends to a thread.
    pub to_process: bool,
    /// What became of it.
    pub reception: Reception,
    /// Whose system call it was, or whom the kernel was working for.
    pub by: Box<Party>,
}

/// What made a signal: `si_code`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// kill(2), or the kernel on somebody's behalf (`SI_USER`).
    User,
    /// The kernel itself (`SI_KERNEL`).
    Kernel,
    /// tkill(2), as raise(3) and abort(3) do it (`SI_TKILL`).
    Thread,
    /// sigqueue(3) (`SI_QUEUE`).
    Queue,
    /// A timer.
    Timer,
    /// The processor: the code says what was wrong with the access.
    Fault(i32),
    /// Another code.
    Other(i32),
}

/// What became of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reception {
    /// It was delivered, or waits.
    Delivered,
    /// The process ignores it, or blocks it by its fate.
    Ignored,
    /// One of its kind waited already.
    Pending,
    /// It was lost for want of memory.
    Lost,
}

/// Of running out of memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "word", rename_all = "kebab-case")]
pub enum OomWord {
    /// The OOM killer chose this process.
    Marked,
    /// The counters of a cgroup rose by so much; carried on where the cgroup was made anew.
    Counted {
        /// Its limit was reached and nothing could be reclaimed.
        oom: u64,
        /// Processes killed in it or below.
        kills: u64,
        /// Times that all of it was killed as one.
        group_kills: u64,
        /// Its limit at that moment.
        limit: Option<Bytes>,
    },
    /// It is out of memory, and its killer is switched off (cgroup v1, `oom_kill_disable`): its
    /// processes hang.
    Stuck,
    /// It is no longer.
    Unstuck,
}

/// What stopped a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Of which kind.
    pub kind: FaultKind,
    /// The address it touched.
    pub address: Option<u64>,
    /// Where in the program it was.
    pub instruction: Option<u64>,
    /// The file that the instruction is of, escaped.
    pub object: Option<String>,
}

/// Kinds of [`Fault`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// A segmentation fault.
    Segfault,
    /// A general protection fault.
    GeneralProtection,
    /// An instruction that the processor does not know.
    InvalidOpcode,
    /// A division by zero or the like.
    DivideError,
    /// A bus error: an access to a file that became shorter, memory that failed.
    Bus,
    /// Another trap.
    Trap,
    /// A system call that seccomp forbids.
    Seccomp,
}

/// What holds a unit or a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Its hard limit: `MemoryMax`, `--memory`.
    pub memory: Option<Bytes>,
    /// Above this it is throttled: `MemoryHigh`.
    pub high: Option<Bytes>,
    /// Its restart policy: `always`, `on-failure`, `unless-stopped`, …
    pub restart: Option<String>,
    /// Between an end and the start after it, in milliseconds: `RestartSec`.
    pub restart_after_ms: Option<u64>,
    /// How many starts within how many milliseconds are allowed: `StartLimit…`; zero of them: any.
    pub start_limit: Option<(u64, u64)>,
    /// How long it may take to stop before it is killed, in milliseconds.
    pub stop_timeout_ms: Option<u64>,
    /// How often it has to report, in milliseconds: `WatchdogSec`.
    pub watchdog_ms: Option<u64>,
    /// Where its output goes: Docker's log driver.
    pub log_driver: Option<String>,
}

/// What systemd was told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Job {
    /// Start it.
    Start,
    /// Stop it.
    Stop,
    /// Stop it and start it again.
    Restart,
}

/// Of a systemd unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "word", rename_all = "kebab-case")]
pub enum UnitWord {
    /// A job was queued for it: somebody asked, or a dependency or a restart did.
    Asked {
        /// To do what.
        job: Job,
    },
    /// It runs.
    Started {
        /// Its first process.
        main: Option<Pid>,
        /// This life of it.
        invocation: Option<String>,
        /// How often systemd restarted it by itself so far.
        restarts: Option<u32>,
        /// What holds it.
        limits: Box<Limits>,
    },
    /// It is being stopped.
    Stopping,
    /// It was stopped as it was asked.
    Stopped,
    /// Its first process ended.
    MainExited {
        /// Which.
        main: Option<Pid>,
        /// With what.
        status: Option<Status>,
        /// This life of it.
        invocation: Option<String>,
    },
    /// It ended: systemd's own verdict, `success`, `signal`, `exit-code`, `oom-kill`, `watchdog`,
    /// `timeout`, `core-dump`, `start-limit-hit`, `resources`, …
    Result {
        /// The word.
        result: String,
        /// This life of it.
        invocation: Option<String>,
    },
    /// One of its processes was killed for memory.
    OutOfMemory,
    /// systemd-oomd killed it.
    OomdKill {
        /// How many processes.
        processes: Option<u64>,
    },
    /// It did not report in time.
    Watchdog {
        /// How long it had, in milliseconds.
        limit_ms: Option<u64>,
    },
    /// A step took too long: `stop-sigterm`, `start`, …
    TimedOut {
        /// The step.
        step: String,
    },
    /// systemd sends a signal to one of its processes.
    Kills {
        /// Which process.
        pid: Option<Pid>,
        /// Its name.
        comm: Option<String>,
        /// The signal.
        signal: Option<Signal>,
    },
    /// It will be started again.
    RestartScheduled {
        /// For the how many-th time.
        count: Option<u64>,
    },
    /// It will not be: too many starts in too short a time.
    StartLimitHit,
    /// A core was saved.
    CoreDumped {
        /// Of which process.
        pid: Option<Pid>,
        /// What ended it.
        signal: Option<Signal>,
    },
}

/// Of a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "word", rename_all = "kebab-case")]
pub enum ContainerWord {
    /// It runs.
    Started {
        /// Its first process, in the machine's own pid namespace.
        first: Option<Pid>,
        /// How often the daemon restarted it by itself so far.
        restarts: Option<u32>,
        /// What holds it.
        limits: Box<Limits>,
    },
    /// Its first process ended.
    Died {
        /// With what the daemon says it ended: 128 + n after signal n, or of itself.
        code: Option<i32>,
        /// The daemon says that it ran out of memory.
        oom: Option<bool>,
    },
    /// The daemon saw its memory cgroup run out.
    Oom,
    /// The daemon was told to send a signal, or sends one to stop it.
    Kill {
        /// Which.
        signal: Option<Signal>,
    },
    /// It was stopped as the daemon was told.
    Stopped,
    /// It was restarted as the daemon was told.
    Restarted,
    /// It was removed.
    Destroyed,
    /// Its health check says.
    Health {
        /// `healthy`, `unhealthy`.
        status: String,
    },
}

/// Of a pod's container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "word", rename_all = "kebab-case")]
pub enum PodWord {
    /// It ended.
    Terminated {
        /// `OOMKilled`, `Error`, `Completed`, …
        reason: Option<String>,
        /// With what.
        code: Option<i32>,
        /// What ended it.
        signal: Option<Signal>,
        /// When it began.
        started: Option<WallTime>,
        /// When it ended.
        finished: Option<WallTime>,
        /// How often it was restarted so far.
        restarts: Option<u32>,
    },
    /// The kubelet kills it, and says why: `failed liveness probe, will be restarted`.
    Killing {
        /// Its words.
        message: String,
    },
    /// The pod was evicted.
    Evicted {
        /// Why: `The node was low on resource: memory. …`.
        message: String,
    },
    /// The pod is being deleted.
    Deleting {
        /// How long it has to end, in seconds.
        grace: Option<u64>,
    },
}

/// Of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "word", rename_all = "kebab-case")]
pub enum AuditWord {
    /// `ANOM_ABEND`: it ended by a signal that it brought on itself.
    Abend {
        /// Which.
        signal: Signal,
    },
    /// A kill(2) that a rule watches.
    Kill {
        /// The signal.
        signal: Signal,
        /// Who sent it.
        by: Box<Party>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_status_is_a_code_or_a_signal() {
        assert_eq!(Status::of_wait(0x0100), Status::Code(1));
        assert_eq!(Status::of_wait(9), Status::Signal { signal: Signal::KILL, core: false });
        assert_eq!(Status::of_wait(0x8b), Status::Signal { signal: Signal::SEGV, core: true });
    }

    #[test]
    fn signals_have_the_names_people_write() {
        assert_eq!(Signal::KILL.to_string(), "SIGKILL");
        assert_eq!(Signal(26).to_string(), "SIGVTALRM");
        assert_eq!(Signal(34).to_string(), "SIGRTMIN");
        assert_eq!(Signal(37).to_string(), "SIGRTMIN+3");
        assert_eq!(Signal(65).to_string(), "signal 65");
        assert_eq!(Signal::of_name("KILL"), Some(Signal::KILL));
        assert_eq!(Signal::of_name("SIGTERM"), Some(Signal::TERM));
        assert_eq!(Signal::of_name("nonsense"), None);
    }

    #[test]
    fn what_ends_a_process_by_design_is_not_of_every_day() {
        let fatal = [1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 15, 24, 25, 31];
        assert!(fatal.iter().all(|number| !Signal(*number).is_everyday()));
        for everyday in [10, 12, 13, 14, 16, 26, 27, 29, 30, 34, 64] {
            assert!(Signal(everyday).is_everyday(), "{everyday}");
        }
        assert!(![0, 17, 18, 19, 28, 32, 33, 65].map(Signal).into_iter().any(Signal::is_everyday));
    }

    #[test]
    fn a_fact_reads_back_as_it_was_written() {
        let facts = [
            Fact::Ran,
            Fact::Exited(Exit {
                status: Status::Signal { signal: Signal::KILL, core: false },
                lived_ms: Some(50),
                is_first: Some(true),
            }),
            Fact::Oom(OomWord::Counted { oom: 1, kills: 1, group_kills: 0, limit: None }),
            Fact::Unit(UnitWord::Result { result: "oom-kill".to_owned(), invocation: None }),
            Fact::Container(ContainerWord::Died { code: Some(137), oom: Some(false) }),
            Fact::Pod(PodWord::Killing { message: "failed liveness probe".to_owned() }),
            Fact::NoMemory { bytes: Some(Bytes::from_mib(8)) },
        ];
        for fact in facts {
            let written = serde_json::to_string(&fact).unwrap();
            assert_eq!(serde_json::from_str::<Fact>(&written).unwrap(), fact, "{written}");
        }
    }
}
