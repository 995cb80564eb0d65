//! The one plain sentence.

mod signal;

use highwater_core::limit::Limit;
use highwater_core::owner::Owner;
use highwater_core::testimony::{Party, Sent, Signal, Status};

use super::Cause;
use super::matter::is_of_namespace;
use super::rules::Finding;
use super::scene::Scene;
use crate::words;

/// `web.service was killed by kill (pid 812), run by bash in session-4.scope (login user 1000):
/// SIGKILL.`
pub(super) fn of(scene: &Scene<'_, '_>, finding: &Finding<'_>) -> String {
    format!("{} {}{}.", name(scene), what(scene, finding), company(scene))
}

/// Under the name that people know: the owner, if it is the owner's end; else the process and whose
/// it was.
fn name(scene: &Scene<'_, '_>) -> String {
    let who = &scene.matter.who;
    let owner = scene.owner().map(owner_name);
    let process = || words::process(who.comm.as_deref(), who.pid);
    match (owner, scene.matter.is_first) {
        (Some(owner), Some(true)) if has_end(scene) => sentence(&owner),
        (Some(owner), _) if who.pid.is_none() && who.comm.is_none() => {
            format!("A process of {owner}")
        }
        (Some(owner), Some(false)) if !is_gone(scene) => {
            format!("{} of {owner}, which lives on,", sentence_name(&process()))
        }
        (Some(owner), _) => format!("{} of {owner}", sentence_name(&process())),
        (None, _) => sentence_name(&process()),
    }
}

/// Nobody can say that its owner lives on: it ended at the same moment, or the process that its own
/// namespace hung on did.
fn is_gone(scene: &Scene<'_, '_>) -> bool {
    let carried = |sent: &Sent| scene.matter.who.pid.is_some_and(|pid| is_of_namespace(sent, pid));
    scene.is_owner_gone() || scene.fatal.is_some_and(|(_, sent)| carried(sent))
}

fn has_end(scene: &Scene<'_, '_>) -> bool {
    !matches!(scene.owner(), Some(Owner::Session(_) | Owner::Cgroup(_)) | None)
}

fn owner_name(owner: &Owner) -> String {
    match owner {
        Owner::Cgroup(path) => format!("cgroup {}", words::place(path)),
        Owner::Container(_) | Owner::Pod { .. } => owner.to_string(),
        _ => words::place(&owner.to_string()),
    }
}

/// A name that begins with a word of the language begins the sentence; one of a unit stays.
fn sentence(owner: &str) -> String {
    owner
        .strip_prefix("container ")
        .map_or_else(|| owner.to_owned(), |rest| format!("Container {rest}"))
}

fn sentence_name(process: &str) -> String {
    match process {
        "a process it does not name" => "A process that nobody names".to_owned(),
        named => named
            .strip_prefix("process ")
            .map_or_else(|| named.to_owned(), |pid| format!("Process {pid}")),
    }
}

fn what(scene: &Scene<'_, '_>, finding: &Finding<'_>) -> String {
    match finding.cause {
        cause if cause.is_memory() => for_memory(scene, finding),
        Cause::Watchdog
        | Cause::StopTimeout
        | Cause::StartTimeout
        | Cause::RuntimeMax
        | Cause::SystemdStop
        | Cause::SystemdRestart
        | Cause::SystemdKill => by_systemd(scene, finding),
        Cause::DockerStop
        | Cause::DockerStopTimeout
        | Cause::DockerKill
        | Cause::DockerRestart
        | Cause::DockerRemove => by_docker(scene, finding),
        Cause::KubeletProbe | Cause::KubeletEviction | Cause::KubeletDelete => by_kubelet(finding),
        _ => plainly(scene, finding),
    }
}

fn for_memory(scene: &Scene<'_, '_>, finding: &Finding<'_>) -> String {
    let limit = limit(scene, finding);
    if let Some(child) = &finding.other {
        let child = words::process(child.comm.as_deref(), child.pid);
        let how = match scene.status.map(|(status, _)| status) {
            Some(Status::Code(code)) => format!("ended with code {code}"),
            _ => "was stopped by systemd".to_owned(),
        };
        return format!("{how} because {child} of it had been killed for memory{limit}");
    }
    let reason = match finding.cause {
        Cause::KernelOomGlobal => ": the machine ran out of memory".to_owned(),
        Cause::KernelOomCpuset => ": the memory nodes that a cpuset allows ran out".to_owned(),
        Cause::KernelOomMempolicy => ": the memory nodes of a NUMA policy ran out".to_owned(),
        Cause::KernelOomSysrq => ": somebody asked for it through sysrq".to_owned(),
        Cause::KernelOom if limit.is_empty() => {
            " for want of memory; whose limit it was nobody says".to_owned()
        }
        _ => limit,
    };
    let killer = match finding.cause {
        Cause::SystemdOomd => "systemd-oomd",
        Cause::Earlyoom => "earlyoom",
        Cause::Nohang => "nohang",
        Cause::Oomd => "oomd",
        Cause::Lowmemorykiller => "Android's low memory killer",
        _ => "the kernel's OOM killer",
    };
    format!("was killed by {killer}{reason}")
}

/// `: cgroup /a reached its 64 MiB limit, which is above its own`.
fn limit(scene: &Scene<'_, '_>, finding: &Finding<'_>) -> String {
    let Some(place) = &finding.limited_by else {
        return match finding.cause {
            Cause::KernelOomMemcg => ": a memory cgroup reached its limit".to_owned(),
            _ => String::new(),
        };
    };
    let amount = match finding.limit {
        Some(Limit::At(amount)) => format!("its {amount} limit"),
        _ => "its limit".to_owned(),
    };
    let above = match super::limit_owner(finding, scene.matter.who.cgroup.as_ref()) {
        Some(super::LimitOwner::Ancestor) => ", above its own",
        _ => "",
    };
    format!(": cgroup {} reached {amount}{above}", words::place(place.as_str()))
}

fn by_systemd(scene: &Scene<'_, '_>, finding: &Finding<'_>) -> String {
    let told = finding.words.as_deref();
    let signal = signal(scene);
    match finding.cause {
        Cause::Watchdog => {
            let limit = told.map_or(String::new(), |limit| format!(" within {limit}"));
            format!("was killed by systemd's watchdog: it did not report{limit}")
        }
        Cause::StopTimeout => {
            let gap = told.map_or(String::new(), |gap| format!(" for {gap}"));
            format!("was told to stop, did not{gap}, and was killed by systemd")
        }
        Cause::StartTimeout => "did not start in time, and was ended by systemd".to_owned(),
        Cause::RuntimeMax => "ran as long as it may, and was ended by systemd".to_owned(),
        Cause::SystemdKill => {
            format!("was killed by systemd, which was not stopping it{}{signal}", run(finding))
        }
        Cause::SystemdRestart => format!("was restarted by systemd{}", run(finding)),
        _ => format!("was stopped by systemd{}", run(finding)),
    }
}

fn by_docker(scene: &Scene<'_, '_>, finding: &Finding<'_>) -> String {
    let run = run(finding);
    match finding.cause {
        Cause::DockerStopTimeout => {
            let gap = finding.words.as_ref().map_or(String::new(), |gap| format!(" for {gap}"));
            format!("was told to stop, did not{gap}, and was killed by Docker{run}")
        }
        Cause::DockerRestart => format!("was restarted by Docker{run}"),
        Cause::DockerRemove => format!("was removed by force by Docker{run}"),
        Cause::DockerStop => format!("was stopped by Docker{run}"),
        _ => format!("was killed by Docker{run}{}", signal(scene)),
    }
}

/// `, as docker kill, run by bash, asked`.
fn run(finding: &Finding<'_>) -> String {
    let Some(item) = finding.command else { return String::new() };
    let who = item.party();
    format!(", as {who}{}, asked", run_by(&who))
}

fn by_kubelet(finding: &Finding<'_>) -> String {
    let words = finding.words.as_ref();
    let words = words.map_or(String::new(), |words| format!(": \u{201c}{}\u{201d}", cut(words)));
    match finding.cause {
        Cause::KubeletProbe => format!("was ended by the kubelet after a probe failed{words}"),
        Cause::KubeletEviction => format!("was evicted by the kubelet{words}"),
        _ => format!("was ended by the kubelet because its pod was to go{words}"),
    }
}

/// Somebody's message as it fits in a sentence.
fn cut(words: &str) -> String {
    const MOST: usize = 120;
    let words = words.trim().trim_end_matches('.');
    if words.chars().count() <= MOST {
        return words.to_owned();
    }
    words.chars().take(MOST).chain(['…']).collect()
}

fn plainly(scene: &Scene<'_, '_>, finding: &Finding<'_>) -> String {
    let signal = signal(scene);
    let by = |party: &Party| format!("{party}{}", run_near(party, &scene.matter.who));
    let sender = || finding.sender.as_ref().map_or_else(|| "somebody".to_owned(), by);
    let place = finding.words.as_ref().map_or(String::new(), |place| format!(" {place}"));
    match finding.cause {
        Cause::Signal => signal::of(scene, finding),
        Cause::CgroupKill => {
            format!("was killed with all of its cgroup by {}, which wrote to cgroup.kill", sender())
        }
        Cause::ParentDeath => {
            format!("was ended with its parent, {}, as it had asked the kernel{signal}", sender())
        }
        Cause::NamespaceEnd => namespace_end(scene, finding),
        Cause::RlimitCpu => {
            format!("used up its processor time, and was killed by the kernel{signal}")
        }
        Cause::RlimitAs => {
            format!("{}; it may have reached its own limit{} on address space", ended(scene), addresses(scene))
        }
        Cause::NoMemory => format!("was refused memory by the kernel, and {}", ended(scene)),
        Cause::Segfault => format!("touched memory that it may not{place}{signal}"),
        Cause::BusError => format!("touched memory that is not there{place}{signal}"),
        Cause::Abort => format!("aborted itself{signal}"),
        Cause::IllegalInstruction => {
            format!("ran an instruction that the processor does not know{place}{signal}")
        }
        Cause::Arithmetic => format!("made an arithmetic error{place}{signal}"),
        Cause::Trap => format!("ran into a trap{place}{signal}"),
        Cause::Seccomp => format!("made a system call that seccomp forbids{place}{signal}"),
        Cause::CleanExit if scene.status.is_none() => {
            "ended in a way that systemd calls success; whether by itself or by a signal such as SIGTERM is unknown".to_owned()
        }
        Cause::CleanExit => "ended by itself, and well".to_owned(),
        Cause::ExitCode if finding.other.is_some() => passed_on(scene, finding),
        Cause::ExitCode => format!("{} by itself{}", ended(scene), address_limit(scene)),
        _ => unknown(scene),
    }
}

/// `; it had a limit of 100 GiB on its address space (whether it was reached is unknown)`.
fn address_limit(scene: &Scene<'_, '_>) -> String {
    if scene.address_limit().is_none() {
        return String::new();
    }
    let limit = addresses(scene);
    format!("; it had a limit{limit} on its address space (whether it was reached is unknown)")
}

/// ` of 100 GiB`, of its addresses.
fn addresses(scene: &Scene<'_, '_>) -> String {
    let limit = scene.address_limit().and_then(|(_, limit)| limit);
    limit.map_or_else(String::new, |limit| format!(" of {limit}"))
}

/// What ended, and took this one along.
fn namespace_end(scene: &Scene<'_, '_>, finding: &Finding<'_>) -> String {
    let sender = finding.sender.as_ref();
    let head = sender.map_or_else(|| "a process".to_owned(), ToString::to_string);
    let is_its = sender.is_some_and(|sender| is_of_one_place(sender, &scene.matter.who));
    match scene.owner().filter(|owner| is_its && owner.container().is_some()) {
        Some(_) => format!(
            "was killed by the kernel with its container, whose first process, {head}, ended"
        ),
        None => format!(
            "was killed by the kernel when {head}, the first process of its pid namespace, ended"
        ),
    }
}

/// `passed on the end of its child crasher (pid 7): SIGSEGV`; of one that may be another's child
/// `ended with code 139 just after crasher (pid 7) of it did: SIGSEGV`.
fn passed_on(scene: &Scene<'_, '_>, finding: &Finding<'_>) -> String {
    let child = finding.other.as_ref().map_or_else(String::new, ToString::to_string);
    let signal = scene.code().and_then(|code| code.checked_sub(128)).map(Signal);
    let signal = signal.map_or_else(String::new, |signal| format!(": {signal}"));
    if finding.other.as_ref().is_some_and(|other| scene.is_child(other)) {
        format!("passed on the end of its child {child}{signal}")
    } else {
        format!("{} just after {child} of it did{signal}", ended(scene))
    }
}

fn is_own(scene: &Scene<'_, '_>, finding: &Finding<'_>) -> bool {
    let by = finding.sender.as_ref().and_then(|sender| sender.pid);
    by.is_some() && by == scene.matter.who.pid
}

fn unknown(scene: &Scene<'_, '_>) -> String {
    match (scene.signal(), scene.code()) {
        _ if scene.refusal().is_some() => format!(
            "got no memory, and {}; whether its own limit or the machine's refused it is unknown",
            ended(scene)
        ),
        (Some(signal), _) => format!("was killed by {signal}; who sent it is unknown"),
        (None, Some(code)) => format!("ended with {code}; whether that was a signal is unknown"),
        (None, None) => "ended; why is unknown".to_owned(),
    }
}

fn ended(scene: &Scene<'_, '_>) -> String {
    match scene.status.map(|(status, _)| status) {
        Some(Status::Code(code)) => format!("ended with code {code}"),
        Some(Status::Signal { signal, .. }) => format!("ended by {signal}"),
        None => "ended".to_owned(),
    }
}

fn signal(scene: &Scene<'_, '_>) -> String {
    scene.signal().map_or(String::new(), |signal| format!(": {signal}"))
}

/// `kill (pid 812), run by bash in session-4.scope (login user 1000)`.
pub(super) fn whom(party: &Party) -> String {
    format!("{party}{}", run_by(party))
}

/// `, run by bash in session-4.scope (login user 1000)`.
pub(super) fn run_by(party: &Party) -> String {
    run_in(party, place(party))
}

/// The same; where it is the place of `victim`, that has been said.
fn run_near(party: &Party, victim: &Party) -> String {
    run_in(party, place(party).filter(|_| !is_of_one_place(party, victim)))
}

fn is_of_one_place(one: &Party, other: &Party) -> bool {
    let owners = || place(one).zip(place(other));
    match one.cgroup.as_ref().zip(other.cgroup.as_ref()) {
        Some((one, other)) if one == other => true,
        _ => owners().is_some_and(|(one, other)| one == other),
    }
}

fn place(party: &Party) -> Option<Owner> {
    let owner =
        party.owner.clone().or_else(|| Some(Owner::of_path(party.cgroup.as_ref()?.as_str())));
    owner.filter(|owner| *owner != Owner::Machine)
}

fn run_in(party: &Party, place: Option<Owner>) -> String {
    // That a shell was started by a shell says nothing.
    let parent = party.parents.first().filter(|parent| Some(&parent.comm) != party.comm.as_ref());
    let parent = parent.map(|parent| format!(", run by {}", parent.comm));
    let place = place.map(|owner| format!(" in {}", owner_name(&owner)));
    let user = match (party.login_uid, party.uid) {
        (Some(user), _) => format!(" (login user {user})"),
        (None, Some(user)) if user > 0 => format!(" (user {user})"),
        _ => String::new(),
    };
    format!("{}{}{user}", parent.unwrap_or_default(), place.unwrap_or_default())
}

fn company(scene: &Scene<'_, '_>) -> String {
    match scene.matter.company {
        0 => String::new(),
        others => format!(", and {} with it", words::count(others, "other process")),
    }
}
