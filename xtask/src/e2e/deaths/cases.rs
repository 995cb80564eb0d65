//! The cases: what is done in each, hence what the verdict must be.

/// Where a case is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// An emulated machine: Debian 12, systemd 252, kernel 6.1, cgroup v2.
    Vm,
    /// This machine, and a dockerd of its own: cgroup v1 for memory.
    Here,
}

impl Place {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Vm => "vm",
            Self::Here => "here",
        }
    }
}

/// One way to die.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) place: Place,
    /// What `why` must say.
    pub(super) cause: &'static str,
    /// Who sent the signal: the names of which one must be told; empty where nobody did.
    pub(super) senders: &'static [&'static str],
    /// The signal that ended it; zero: none did.
    pub(super) signal: u64,
    /// Whose limit it was.
    pub(super) limit_of: Option<&'static str>,
    /// What happened is not a death: the processes hang.
    pub(super) is_stuck: bool,
    /// Nobody can be sure of it: a program that is refused memory ends as it likes.
    pub(super) is_guess: bool,
}

/// It was asked by a signal, and ended by itself: either may be told.
pub(super) const ASKED: u64 = u64::MAX;
const KILL: u64 = 9;
const TERM: u64 = 15;
const ABRT: u64 = 6;
const SEGV: u64 = 11;

const fn case(place: Place, name: &'static str, cause: &'static str, signal: u64) -> Case {
    Case {
        name,
        place,
        cause,
        senders: &[],
        signal,
        limit_of: None,
        is_stuck: false,
        is_guess: false,
    }
}

const fn vm(name: &'static str, cause: &'static str, signal: u64) -> Case {
    case(Place::Vm, name, cause, signal)
}

const fn here(name: &'static str, cause: &'static str, signal: u64) -> Case {
    case(Place::Here, name, cause, signal)
}

impl Case {
    const fn by(self, senders: &'static [&'static str]) -> Self {
        Self { senders, ..self }
    }

    const fn limit(self, limit_of: &'static str) -> Self {
        Self { limit_of: Some(limit_of), ..self }
    }

    const fn guessed(self) -> Self {
        Self { is_guess: true, ..self }
    }

    const fn hangs(self) -> Self {
        Self { is_stuck: true, ..self }
    }
}

/// All of them, in the order in which they are played.
pub(super) const CASES: &[Case] = &[
    here("docker-oom", "kernel-oom-memcg", KILL).limit("own"),
    here("docker-oom-child", "kernel-oom-memcg", KILL).limit("own"),
    here("docker-stop-ignored", "docker-stop-timeout", KILL),
    here("docker-stop", "docker-stop", ASKED),
    here("docker-kill", "docker-kill", KILL),
    here("docker-rm", "docker-remove", KILL),
    here("docker-restart", "docker-restart", ASKED),
    here("docker-policy", "exit-code", 0),
    here("docker-hang", "stuck", 0).hangs(),
    here("docker-kill-shell", "signal", KILL).by(&["bash"]),
    here("docker-segfault", "segfault", SEGV),
    here("docker-abort", "abort", ABRT),
    here("docker-exit-3", "exit-code", 0),
    here("kill-shell", "signal", KILL).by(&["bash"]),
    here("kill-program", "signal", KILL).by(&["kill"]),
    here("oom-cgroup", "kernel-oom-memcg", KILL).limit("own"),
    here("oom-ancestor", "kernel-oom-memcg", KILL).limit("ancestor"),
    here("cgroup-kill", "cgroup-kill", KILL).by(&["bash"]),
    // Played here alone: what tells it from a parent that kills and then ends is a tenth of a
    // millisecond, and an emulated machine takes longer for everything.
    here("parent-death", "parent-death", KILL).by(&["family"]),
    here("namespace", "namespace-end", KILL),
    here("rlimit-cpu", "rlimit-cpu", KILL),
    here("overcommit", "no-memory", 0),
    vm("oom-unit", "kernel-oom-memcg", KILL).limit("own"),
    vm("oom-user-unit", "kernel-oom-memcg", KILL).limit("own"),
    vm("oom-ancestor", "kernel-oom-memcg", KILL).limit("ancestor"),
    vm("oom-global", "kernel-oom-global", KILL).limit("machine"),
    vm("oom-policy-kill", "kernel-oom-memcg", KILL).limit("own"),
    vm("oom-group", "kernel-oom-memcg", KILL).limit("own"),
    vm("oom-child", "kernel-oom-memcg", KILL).limit("own"),
    vm("watchdog", "watchdog", ABRT).by(&["systemd"]),
    vm("stop-timeout", "stop-timeout", KILL).by(&["systemd"]),
    vm("start-timeout", "start-timeout", TERM).by(&["systemd"]),
    vm("runtime-max", "runtime-max", TERM).by(&["systemd"]),
    vm("systemctl-kill", "systemd-kill", KILL).by(&["systemctl", "systemd"]),
    vm("systemctl-stop", "systemd-stop", TERM).by(&["systemctl", "systemd"]),
    vm("systemctl-restart", "systemd-restart", TERM).by(&["systemctl", "systemd"]),
    vm("kill-shell", "signal", KILL).by(&["bash"]),
    vm("kill-program", "signal", KILL).by(&["kill"]),
    vm("term-program", "signal", TERM).by(&["kill"]),
    vm("segfault", "segfault", SEGV),
    vm("abort", "abort", ABRT),
    vm("exit-1", "exit-code", 0),
    vm("rlimit-cpu", "rlimit-cpu", KILL),
    vm("rlimit-as", "rlimit-as", 0).guessed(),
    vm("overcommit", "no-memory", 0),
    vm("cgroup-kill", "cgroup-kill", KILL).by(&["bash"]),
    vm("restart-loop", "kernel-oom-memcg", KILL).limit("own"),
    vm("earlyoom", "earlyoom", TERM).by(&["earlyoom"]),
    vm("oom-swap", "kernel-oom-memcg", KILL).limit("own"),
    vm("oomd-pressure", "systemd-oomd", KILL).by(&["systemd-oomd"]),
    vm("oomd-swap", "systemd-oomd", KILL).by(&["systemd-oomd"]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_case_has_a_scene() {
        for case in CASES {
            let scenes = match case.place {
                Place::Vm => include_str!("../guest/deaths-vm.sh"),
                Place::Here => include_str!("here.sh"),
            };
            assert!(scenes.contains(&format!("\nscene-{}() {{", case.name)), "{}", case.name);
        }
    }

    #[test]
    fn there_are_enough() {
        assert!(CASES.len() >= 26);
    }
}
