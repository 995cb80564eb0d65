//! What to do after a death that no report of the kernel explains: by its cause, in a command where
//! the owner's name can stand in one.

use std::time::Duration;

use highwater_core::owner::{Owner, is_container_id};
use highwater_core::testimony::{Signal, Witness};
use highwater_core::time::WallTime;

use crate::death::Advice;
use crate::inquest::{Cause, Core, Verdict, Way};

/// So many digits of a container's id are typed.
const ID_DIGITS: usize = 12;

/// What to do next, most important first.
pub fn advice(verdict: &Verdict) -> Vec<Advice> {
    let mut all: Vec<Advice> = of_child(verdict).into_iter().collect();
    all.extend(for_cause(verdict));
    // What only leads up to a command says nothing without it.
    all.retain(|one| one.command.is_some() || !one.text.ends_with(':'));
    all.extend(unheard(verdict));
    all
}

/// Another end is at the bottom of this one.
fn of_child(verdict: &Verdict) -> Option<Advice> {
    let pid = verdict.clues.child.as_ref()?.pid?;
    Some(to("How that process of it ended:", Some(format!("highwater why {pid}"))))
}

/// Whether somebody who asks for nobody by name should be told of it: not of what was wanted, not of
/// every command that fails in a script, and not of what a person at a shell ends by hand.
pub fn is_of_note(verdict: &Verdict) -> bool {
    if verdict.cause.is_wanted() {
        return false;
    }
    let is_first = verdict.is_first == Some(true);
    let has_lives = verdict.who.owner.as_ref().is_some_and(|owner| {
        !matches!(owner, Owner::Machine | Owner::Session(_) | Owner::Cgroup(_))
    });
    match verdict.cause {
        Cause::ExitCode => is_first,
        // Of these the end of the first process of their namespace tells.
        Cause::NamespaceEnd => verdict.is_first != Some(false),
        Cause::Signal | Cause::Unknown if is_first && has_lives => true,
        Cause::Signal if is_by_own_parent(verdict) => false,
        Cause::Signal | Cause::Unknown => {
            !verdict.signal.is_some_and(is_polite) || (has_lives && is_sent(verdict))
        }
        _ => true,
    }
}

/// Whoever started it ended it, and lives where it lived: a program and its children.
fn is_by_own_parent(verdict: &Verdict) -> bool {
    let Some(sender) = &verdict.sender else { return false };
    let is_parent = verdict.who.parents.iter().any(|parent| Some(parent.pid) == sender.pid);
    let owners = sender.owner.as_ref().zip(verdict.who.owner.as_ref());
    let cgroups = sender.cgroup.as_ref().zip(verdict.who.cgroup.as_ref());
    let is_in_one = cgroups.is_some_and(|(one, other)| one == other);
    is_parent && (is_in_one || owners.is_none_or(|(one, other)| one == other))
}

/// Somebody else is known to have sent the signal.
fn is_sent(verdict: &Verdict) -> bool {
    verdict.sender.as_ref().is_some_and(|sender| sender.pid != verdict.who.pid)
}

/// A request to end, the end of a terminal, a pipe or a while, or a word between programs.
const fn is_polite(signal: Signal) -> bool {
    /// SIGUSR1 and SIGUSR2, as most machines count them.
    const USR1: Signal = Signal(10);
    const USR2: Signal = Signal(12);
    matches!(
        signal,
        Signal::INT
            | Signal::TERM
            | Signal::HUP
            | Signal::QUIT
            | Signal::PIPE
            | Signal::ALRM
            | USR1
            | USR2
    )
}

fn to(text: &str, command: Option<String>) -> Advice {
    Advice { text: text.to_owned(), command }
}

fn for_cause(verdict: &Verdict) -> Vec<Advice> {
    let names = Names::of(verdict);
    let of_manager = by_manager(verdict, &names);
    if !of_manager.is_empty() {
        return of_manager;
    }
    let of_runtime = by_runtime(verdict, &names);
    if !of_runtime.is_empty() {
        return of_runtime;
    }
    by_itself(verdict, &names)
}

/// systemd did it.
fn by_manager(verdict: &Verdict, names: &Names) -> Vec<Advice> {
    match verdict.cause {
        Cause::Watchdog => vec![
            to("It hung, or was too busy to report: see what it did last.", names.log()),
            to(
                "See how long it may be silent; give it more only if it is slow, not if it hangs.",
                names.show("WatchdogUSec,TimeoutAbortUSec"),
            ),
            core(verdict, names),
        ],
        Cause::StopTimeout => vec![
            to(
                "It did not end within its time after SIGTERM, and was killed: what it had not \
                 written is lost. See what it did last.",
                names.log(),
            ),
            to("Have it end sooner, or give it longer.", names.edit("TimeoutStopSec=")),
        ],
        Cause::StartTimeout => vec![
            to("It was not ready within its time: see where it got stuck.", names.log()),
            to("A service of Type=notify must say READY=1.", names.show("Type,TimeoutStartUSec")),
        ],
        Cause::RuntimeMax => vec![to(
            "It ran as long as RuntimeMaxSec allows: that is set on purpose.",
            names.show("RuntimeMaxUSec"),
        )],
        Cause::SystemdKill | Cause::SystemdStop | Cause::SystemdRestart => vec![to(
            "Somebody or something asked systemd for it: see what else happened then.",
            around(verdict),
        )],
        _ => Vec::new(),
    }
}

/// Docker or the kubelet did it.
fn by_runtime(verdict: &Verdict, names: &Names) -> Vec<Advice> {
    match verdict.cause {
        Cause::DockerStopTimeout => vec![to(
            "It does not heed SIGTERM, often because a shell is its first process and does not \
             pass it on: start it with exec or --init, or give it longer.",
            names.container("docker stop --timeout 30"),
        )],
        Cause::DockerStop | Cause::DockerKill | Cause::DockerRestart | Cause::DockerRemove => {
            match verdict.clues.asker {
                Some(_) => vec![to("Docker did what it was asked: ask whoever ran that.", None)],
                None => vec![to(
                    "Somebody asked Docker for it: see what was asked around then.",
                    events(verdict, names),
                )],
            }
        }
        Cause::KubeletProbe => vec![to(
            "It did not answer its probe: see whether it hung or is only slow to start \
             (startupProbe, timeoutSeconds).",
            names.pod(),
        )],
        Cause::KubeletEviction => vec![to(
            "The node was short: give the pod a request it can live with, so that others go first.",
            names.pod(),
        )],
        Cause::KubeletDelete => {
            vec![to("The pod was deleted: its deployment's history says by whom.", names.pod())]
        }
        _ => Vec::new(),
    }
}

/// What Docker did around the death, as long as it remembers.
fn events(verdict: &Verdict, names: &Names) -> Option<String> {
    let (name, (from, to)) = (names.container.as_ref()?, span(verdict)?);
    Some(format!("docker events --since {from} --until {to} --filter container={name}"))
}

/// The kernel, another process, or itself did it.
fn by_itself(verdict: &Verdict, names: &Names) -> Vec<Advice> {
    match verdict.cause {
        cause if cause.is_memory() => vec![
            to(
                "Look at what the kernel printed, if its log still has it.",
                Some(format!("{} | highwater why -", kernel_log(verdict, ""))),
            ),
            to("See how its memory grew, life by life.", names.restarts()),
        ],
        Cause::Signal => by_signal(verdict, names),
        Cause::ParentDeath => {
            vec![to("It asked to die with its parent: look for why the parent ended.", None)]
        }
        Cause::NamespaceEnd => vec![to(
            "The first process of its container ended and took all others along: look for why \
             that one ended.",
            names.why(),
        )],
        Cause::CgroupKill => vec![to(
            "Somebody wrote to cgroup.kill, as container runtimes do when they clear up.",
            around(verdict),
        )],
        Cause::RlimitCpu => vec![to(
            "It used up the processor time it may have (ulimit -t, LimitCPU=).",
            names.show("LimitCPU"),
        )],
        Cause::RlimitAs => vec![to(
            "It may have no more addresses (ulimit -v, LimitAS=): allocations fail, though memory \
             is free.",
            names.show("LimitAS"),
        )],
        Cause::NoMemory => vec![to(
            "The machine promises no more memory than it has (strict overcommit): allocations \
             fail, though memory may be free. Add swap, or raise the ratio.",
            Some(
                "sysctl vm.overcommit_memory vm.overcommit_ratio; grep Commit /proc/meminfo"
                    .to_owned(),
            ),
        )],
        Cause::Segfault
        | Cause::BusError
        | Cause::Abort
        | Cause::IllegalInstruction
        | Cause::Arithmetic
        | Cause::Trap => by_fault(verdict, names),
        Cause::Seccomp => vec![to(
            "It made a system call that its sandbox forbids: which one stands in the audit log.",
            Some(kernel_log(verdict, "type=1326|SECCOMP")),
        )],
        Cause::ExitCode if verdict.clues.child.is_some() => {
            vec![to("See how often that happens.", names.restarts())]
        }
        Cause::ExitCode => vec![
            to("It ended by itself: why stands in what it wrote last.", names.log()),
            to("See how often that happens.", names.restarts()),
        ],
        Cause::Unknown => vec![to("See what it wrote last.", names.log())],
        _ => Vec::new(),
    }
}

fn by_signal(verdict: &Verdict, names: &Names) -> Vec<Advice> {
    if let Some(way) = verdict.clues.way {
        return by_way(way, names).into_iter().collect();
    }
    let around = around(verdict);
    match &verdict.sender {
        Some(sender) if sender.comm.is_some() => match around {
            Some(_) => vec![to("Ask whoever ran that; what else happened then:", around)],
            None => vec![to("Ask whoever ran that.", None)],
        },
        _ => vec![
            match around {
                Some(_) => to("Who sent it is not on record; what else happened then:", around),
                None => to("Who sent it is not on record.", None),
            },
            to("What it wrote last:", names.log()),
        ],
    }
}

/// Nobody sent the signal: there is nobody to ask.
fn by_way(way: Way, names: &Names) -> Option<Advice> {
    match way {
        Way::Terminal => None,
        Way::Timer => Some(to(
            "It set that timer itself, or whoever started it did: raise it, or have the program catch \
             its signal.",
            None,
        )),
        Way::FileSize => Some(to(
            "It may write no larger files (ulimit -f, LimitFSIZE=): raise the limit, or have it write \
             less.",
            names.show("LimitFSIZE"),
        )),
        Way::Pipe => {
            Some(to("Whoever read what it wrote ended first: look there if it should not.", None))
        }
    }
}

fn by_fault(verdict: &Verdict, names: &Names) -> Vec<Advice> {
    let mut all = Vec::new();
    if verdict.clues.is_address_limited {
        all.push(to(
            "It may have no more addresses than a limit allows (ulimit -v, LimitAS=): an allocation \
             that fails, and is not looked at, ends like this. Raise the limit first.",
            names.show("LimitAS"),
        ));
    }
    all.push(core(verdict, names));
    all.push(to("What it wrote last:", names.log()));
    all
}

/// Where its memory is to be looked at, or how it would be the next time.
fn core(verdict: &Verdict, names: &Names) -> Advice {
    const PATTERN: &str = "cat /proc/sys/kernel/core_pattern";
    let pid = verdict.who.pid;
    match (verdict.clues.core, pid, names.edit("LimitCORE=infinity")) {
        (Core::Kept, Some(pid), _) => to(
            "Where in the program it was stands in its core, which systemd-coredump has.",
            Some(format!("coredumpctl info {pid}")),
        ),
        (Core::Kept | Core::Written, ..) => to(
            "Where in the program it was stands in its core: the kernel's pattern says where that \
             is, or which program took it.",
            Some(PATTERN.to_owned()),
        ),
        (Core::None, _, Some(edit)) => to(
            "No core was written: its limit was 0, or the kernel's pattern led nowhere. To have one \
             the next time:",
            Some(edit),
        ),
        (Core::None, ..) if names.container.is_some() => to(
            "No core was written: its limit was 0, or the kernel's pattern led nowhere. To have one \
             the next time, run the container with the limit raised:",
            Some(format!("docker run --ulimit core=-1 ...; {PATTERN}")),
        ),
        (Core::None, ..) => to(
            "No core was written: its limit was 0, or the kernel's pattern led nowhere. To have one \
             the next time, start it after:",
            Some(format!("ulimit -c unlimited; {PATTERN}")),
        ),
        (Core::Unknown, ..) => to(
            "Where in the program it was stands in the core, if one was kept: where, the kernel's \
             pattern says.",
            Some(PATTERN.to_owned()),
        ),
    }
}

/// The kernel's log, or the lines of it that match.
fn kernel_log(verdict: &Verdict, pattern: &str) -> String {
    match (verdict.clues.has_journal, pattern) {
        (Some(false), "") => "dmesg".to_owned(),
        (Some(false), pattern) => format!("dmesg | grep -E '{pattern}'"),
        (_, "") => "journalctl -k -b".to_owned(),
        (_, pattern) => format!("journalctl -k -g '{pattern}'"),
    }
}

/// What would have told more next time.
fn unheard(verdict: &Verdict) -> Option<Advice> {
    let doubtful = verdict.cause == Cause::Unknown
        || (verdict.cause == Cause::Signal
            && verdict.sender.as_ref().is_none_or(|who| who.comm.is_none()));
    let is_kernel = |witness: &Witness| matches!(witness, Witness::Signals | Witness::Processes);
    let is_deaf = verdict.clues.has_signals != Some(true);
    let blind = is_deaf && verdict.missing.iter().any(|(witness, _)| is_kernel(witness));
    (doubtful && blind).then(|| {
        to(
            "Record this machine as root, so that the next signal has a sender.",
            Some("highwater agent".to_owned()),
        )
    })
}

/// The journal around the death, where there is one.
fn around(verdict: &Verdict) -> Option<String> {
    if verdict.clues.has_journal == Some(false) {
        return None;
    }
    let (from, to) = span(verdict)?;
    let moment = |at: WallTime| {
        let text = at.to_string();
        text.get(..19).map(|text| text.replace('T', " ")).unwrap_or_default()
    };
    Some(format!("journalctl --since '{} UTC' --until '{} UTC'", moment(from), moment(to)))
}

/// From a little before the death to a little after it.
fn span(verdict: &Verdict) -> Option<(WallTime, WallTime)> {
    const BEFORE: Duration = Duration::from_secs(30);
    const AFTER: Duration = Duration::from_secs(10);
    let at = verdict.wall?;
    Some((at.before(BEFORE), at.after(AFTER)))
}

/// The owner as commands call it.
#[derive(Debug, Default)]
struct Names {
    unit: Option<String>,
    user: bool,
    container: Option<String>,
    pod: Option<(String, String, String)>,
    /// There is nothing to look into: no journal, or the container took its log with it.
    is_unlogged: bool,
}

impl Names {
    fn of(verdict: &Verdict) -> Self {
        let names = Self::of_owner(verdict);
        let is_unlogged = match names.unit {
            Some(_) => verdict.clues.has_journal == Some(false),
            None => verdict.clues.is_removed,
        };
        Self { is_unlogged, ..names }
    }

    fn of_owner(verdict: &Verdict) -> Self {
        let Some(owner) = &verdict.who.owner else { return Self::default() };
        let plain = |name: &String| is_plain(name).then(|| name.clone());
        match owner {
            Owner::Unit(unit) | Owner::Session(unit) => {
                Self { unit: plain(unit), ..Self::default() }
            }
            Owner::UserUnit { unit, .. } => {
                Self { unit: plain(unit), user: true, ..Self::default() }
            }
            Owner::Container(name) if is_container_id(name) => {
                Self { container: name.get(..ID_DIGITS).map(ToOwned::to_owned), ..Self::default() }
            }
            Owner::Container(name) => Self { container: plain(name), ..Self::default() },
            Owner::Pod { namespace, pod, container } => {
                let all = plain(namespace).zip(plain(pod)).zip(plain(container));
                let pod = all.map(|((namespace, pod), container)| (namespace, pod, container));
                Self { pod, ..Self::default() }
            }
            Owner::Machine | Owner::Cgroup(_) => Self::default(),
        }
    }

    fn log(&self) -> Option<String> {
        match (&self.unit, &self.container, &self.pod) {
            _ if self.is_unlogged => None,
            (Some(unit), ..) if self.user => Some(format!("journalctl --user-unit {unit} -n 50")),
            (Some(unit), ..) => Some(format!("journalctl -u {unit} -n 50")),
            (_, Some(name), _) => Some(format!("docker logs --tail 50 {name}")),
            (.., Some((namespace, pod, container))) => {
                Some(format!("kubectl logs --previous -n {namespace} {pod} -c {container}"))
            }
            _ => None,
        }
    }

    fn show(&self, properties: &str) -> Option<String> {
        let user = if self.user { "--user " } else { "" };
        self.unit.as_ref().map(|unit| format!("systemctl {user}show {unit} -p {properties}"))
    }

    fn edit(&self, what: &str) -> Option<String> {
        let user = if self.user { "--user " } else { "" };
        self.unit.as_ref().map(|unit| format!("systemctl {user}edit {unit}   # [Service] {what}"))
    }

    fn container(&self, command: &str) -> Option<String> {
        self.container.as_ref().map(|name| format!("{command} {name}"))
    }

    fn pod(&self) -> Option<String> {
        let (namespace, pod, _) = self.pod.as_ref()?;
        Some(format!("kubectl describe pod -n {namespace} {pod}"))
    }

    fn name(&self) -> Option<&str> {
        let pod = self.pod.as_ref().map(|(_, pod, _)| pod.as_str());
        self.unit.as_deref().or(self.container.as_deref()).or(pod)
    }

    fn restarts(&self) -> Option<String> {
        self.name().map(|name| format!("highwater restarts {name}"))
    }

    fn why(&self) -> Option<String> {
        self.name().map(|name| format!("highwater why {name} --all"))
    }
}

/// It can stand in a command as it is.
fn is_plain(name: &str) -> bool {
    let is_safe = |c: char| c.is_ascii_alphanumeric() || "._-@:".contains(c);
    !name.is_empty() && !name.starts_with('-') && name.chars().all(is_safe)
}

#[cfg(test)]
mod tests {
    use highwater_core::id::Pid;
    use highwater_core::testimony::{Ancestor, Party};

    use super::*;
    use crate::death::Confidence;
    use crate::inquest::Clues;

    fn verdict(owner: Owner, cause: Cause) -> Verdict {
        Verdict {
            who: Party::of_owner(owner),
            is_first: Some(true),
            wall: None,
            boot: None,
            boot_id: None,
            cause,
            confidence: Confidence::Certain,
            status: None,
            signal: None,
            sender: None,
            limited_by: None,
            limit_owner: None,
            report: None,
            lived: None,
            summary: String::new(),
            claims: Vec::new(),
            contradictions: Vec::new(),
            ruled_out: Vec::new(),
            missing: vec![(Witness::Signals, "needs root".to_owned())],
            witnesses: Vec::new(),
            clues: Clues::default(),
        }
    }

    #[test]
    fn every_cause_that_nobody_wanted_has_advice() {
        for cause in Cause::ALL {
            let said = advice(&verdict(Owner::Unit("web.service".to_owned()), cause));
            let is_told = !said.is_empty() || cause == Cause::CleanExit;
            assert!(is_told, "{cause:?}");
            assert!(said.iter().all(|one| one.text.ends_with(['.', ':'])), "{said:?}");
        }
    }

    #[test]
    fn what_is_everyday_is_not_of_note() {
        let unit = || Owner::Unit("web.service".to_owned());
        assert!(is_of_note(&verdict(unit(), Cause::ExitCode)));
        let child = Verdict { is_first: Some(false), ..verdict(unit(), Cause::ExitCode) };
        assert!(!is_of_note(&child));
        assert!(!is_of_note(&verdict(unit(), Cause::SystemdStop)));
        let session = Owner::Session("session-4.scope".to_owned());
        let by_hand = |signal| Verdict {
            is_first: None,
            signal: Some(signal),
            ..verdict(session.clone(), Cause::Signal)
        };
        assert!(!is_of_note(&by_hand(Signal::INT)));
        assert!(is_of_note(&by_hand(Signal::KILL)));
        assert!(!is_of_note(&by_hand(Signal::ALRM)));
        let first = Verdict { signal: Some(Signal::TERM), ..verdict(unit(), Cause::Signal) };
        assert!(is_of_note(&first));
    }

    #[test]
    fn a_program_that_ends_its_own_children_is_not_of_note() {
        let place = Owner::Cgroup("/tests".to_owned());
        let parent = |pid| Party {
            pid: Some(Pid::new(pid)),
            comm: Some("runner".to_owned()),
            ..Party::of_owner(place.clone())
        };
        let mut child = verdict(place.clone(), Cause::Signal);
        child.signal = Some(Signal::KILL);
        child.who.parents = vec![Ancestor { pid: Pid::new(70), comm: "runner".to_owned() }];
        for (sender, is_told) in [(parent(70), false), (parent(71), true)] {
            child.sender = Some(sender);
            assert_eq!(is_of_note(&child), is_told);
        }
        let elsewhere = Owner::Session("session-4.scope".to_owned());
        child.sender = Some(Party { owner: Some(elsewhere), ..parent(70) });
        assert!(is_of_note(&child), "from without");
    }

    #[test]
    fn a_name_that_a_shell_would_read_otherwise_stands_in_no_command() {
        let name = "x; rm -rf $HOME".to_owned();
        for owner in [Owner::Unit(name.clone()), Owner::Container(name.clone())] {
            for cause in Cause::ALL {
                let said = advice(&verdict(owner.clone(), cause));
                let is_in =
                    |one: &Advice| one.command.as_ref().is_some_and(|c| c.contains("rm -rf"));
                assert!(!said.iter().any(is_in), "{said:?}");
            }
        }
        assert!(!is_plain("-u") && !is_plain("") && is_plain("getty@tty1.service"));
    }
}
