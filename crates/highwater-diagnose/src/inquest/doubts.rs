//! What is said that cannot be true beside the verdict, what it was not, and who would have known
//! more.

use std::time::Duration;

use highwater_core::evidence::{Claim, Evidence};
use highwater_core::owner::Owner;
use highwater_core::testimony::{ContainerWord, Fact, PodWord, Signal, Status, UnitWord, Witness};
use highwater_core::time::Span;

use super::Cause;
use super::rules::Finding;
use super::scene::{Brief, Scene, claim};
use super::timeline::Item;
use crate::death::Confidence;

/// What is said against the verdict, or misleads beside it.
pub(super) fn contradictions(scene: &Scene<'_, '_>, finding: &Finding<'_>) -> Vec<Claim> {
    let mut found = Vec::new();
    let mut add = |text: &str, item: Option<&Item<'_>>| {
        found.extend(item.map(|item| claim(text.to_owned(), [item])));
    };
    let is_memory = finding.cause.is_memory();
    let is_kernel = is_memory && !is_program(finding.cause);
    add(
        "Docker says OOMKilled=false, though it was killed for memory; the flag is set only if Docker's own watcher saw it.",
        died(scene, Some(false)).filter(|_| is_memory),
    );
    add(&oom_of_child(scene), says_oom_wrongly(scene, finding));
    let oom_result = scene.result("oom-kill");
    add(
        "systemd says oom-kill of the unit, though only a child of it was killed for memory.",
        oom_result.filter(|_| finding.other.is_some() && is_memory),
    );
    add(
        "systemd says oom-kill, though it did not end for want of memory.",
        oom_result.filter(|_| !is_memory),
    );
    add(
        "systemd says only signal; it does not know that this was for memory.",
        scene.result("signal").filter(|_| is_memory),
    );
    add(
        "systemd says exit-code or success, though the kernel killed it for memory.",
        scene
            .result("exit-code")
            .or_else(|| scene.result("success"))
            .filter(|_| is_kernel && finding.other.is_none()),
    );
    of_status(scene, finding, &mut add);
    of_kubelet(scene, finding, &mut add);
    found
}

/// Docker's word that it was killed for memory, where it was not.
pub(super) fn says_oom_wrongly<'t>(
    scene: &Scene<'_, 't>,
    finding: &Finding<'_>,
) -> Option<&'t Item<'t>> {
    died(scene, Some(true)).filter(|_| !finding.cause.is_memory())
}

/// Whom Docker's word means.
fn oom_of_child(scene: &Scene<'_, '_>) -> String {
    match scene.killed_before() {
        Some((brief, gap_us)) => format!(
            "Docker says OOMKilled=true; that is about {} of it, which was killed for memory {}, and not about this end.",
            named(brief),
            ago(gap_us)
        ),
        None => "Docker says OOMKilled=true, though it was not killed for memory; a child of it may have been.".to_owned(),
    }
}

/// `crasher (pid 18838)`, or `a process` where only a counter tells of it.
fn named(brief: &Brief<'_>) -> String {
    match (&brief.who.comm, brief.who.pid) {
        (None, None) => "a process".to_owned(),
        (comm, pid) => crate::words::process(comm.as_deref(), pid),
    }
}

/// `3 s before`; of what was seen no earlier, and yet counts, nobody knows the order.
fn ago(gap_us: i64) -> String {
    match u64::try_from(gap_us) {
        Ok(gap_us) if gap_us > 0 => format!("{} before", Span(Duration::from_micros(gap_us))),
        _ => "at the same moment".to_owned(),
    }
}

fn is_program(cause: Cause) -> bool {
    matches!(
        cause,
        Cause::SystemdOomd | Cause::Earlyoom | Cause::Nohang | Cause::Oomd | Cause::Lowmemorykiller
    )
}

fn died<'t>(scene: &Scene<'_, 't>, wanted: Option<bool>) -> Option<&'t Item<'t>> {
    scene.container(|word| matches!(word, ContainerWord::Died { oom, .. } if *oom == wanted))
}

fn of_status(
    scene: &Scene<'_, '_>,
    finding: &Finding<'_>,
    add: &mut dyn FnMut(&str, Option<&Item<'_>>),
) {
    let killed = scene.unit(|word| {
        let kill = Status::Signal { signal: Signal::KILL, core: false };
        matches!(word, UnitWord::MainExited { status: Some(status), .. } if *status == kill)
    });
    let is_told = finding.cause != Cause::Signal && scene.fatal.is_none();
    add(
        "systemd's status=9/KILL says nothing of the sender: kill -9, a stop that times out and the OOM killer look the same.",
        killed.filter(|_| is_told),
    );
    let exit = scene.exit().map(|(exit, item)| (exit.status, item));
    let by_itself = exit.filter(|(status, _)| *status == Status::Code(137));
    add(
        "It ended by itself with code 137: no SIGKILL ended this process, whatever the code suggests.",
        by_itself.map(|(_, item)| item),
    );
    let clean = scene.items().find(|item| {
        matches!(item.fact(), Some(Fact::Container(ContainerWord::Died { code: Some(0), .. })))
    });
    add(
        "Docker says exit code 0, though one of its processes was killed for memory.",
        clean.filter(|_| finding.cause.is_memory() || scene.child().is_some()),
    );
}

fn of_kubelet(
    scene: &Scene<'_, '_>,
    finding: &Finding<'_>,
    add: &mut dyn FnMut(&str, Option<&Item<'_>>),
) {
    let word = scene.pod(|word| {
        matches!(word, PodWord::Terminated { reason: Some(reason), .. } if reason == "OOMKilled")
    });
    let is_alone = !scene.items().any(|item| {
        item.kill().is_some()
            || matches!(item.fact(), Some(Fact::Oom(_) | Fact::Unit(UnitWord::OutOfMemory)))
    });
    let denied = scene.hears(Witness::Kmsg) == Some(true)
        || scene.hears(Witness::Cgroups) == Some(true)
        || !finding.cause.is_memory();
    add(
        "The kubelet says OOMKilled, though nothing shows a kill by the kernel but the exit code 137.",
        word.filter(|_| is_alone && denied),
    );
    let other = scene.pod(|word| {
        matches!(word, PodWord::Terminated { reason: Some(reason), .. } if reason != "OOMKilled")
    });
    add(
        "The kubelet does not say OOMKilled, though it was killed for memory.",
        other.filter(|_| finding.cause.is_memory()),
    );
}

/// What it was not, and what shows that. Only what somebody would think of first, and only where the
/// cause is not certain.
pub(super) fn ruled_out(scene: &Scene<'_, '_>, finding: &Finding<'_>) -> Vec<Claim> {
    let mut found = Vec::new();
    let is_sure = finding.confidence == Confidence::Certain;
    if is_sure || finding.cause.is_memory() || finding.cause == Cause::CleanExit {
        return found;
    }
    found.extend(no_oom_kill(scene));
    if finding.confidence == Confidence::Unknown {
        let mut add = |witness: Witness, text: &str| {
            if scene.hears(witness) == Some(true) {
                let evidence = vec![listened(scene, witness)];
                found.push(Claim { text: text.to_owned(), evidence });
            }
        };
        if is_unit(scene) {
            add(Witness::Systemd, "No stop by systemd: it had no job for it.");
        }
        if is_known_to_docker(scene) {
            add(Witness::Docker, "No stop or kill by Docker: it told of none.");
        }
    }
    found
}

/// That it was not killed for memory, by all who would have told.
fn no_oom_kill(scene: &Scene<'_, '_>) -> Option<Claim> {
    let is_counted = scene.items().any(|item| matches!(item.fact(), Some(Fact::Oom(_))));
    let is_kill = scene.signal().is_none_or(|signal| signal == Signal::KILL)
        && scene.code().is_none_or(|code| code == 137);
    if is_counted || !is_kill {
        return None;
    }
    let rose = scene.killed_before();
    // Whether this very cgroup is among those nobody says, and a kill of the machine's is not
    // counted in cgroups of version 1.
    let counter = match rose {
        Some(_) => "no counter that is watched rose in the second of this death",
        None => "no counter that is watched rose",
    };
    let said = [
        (Witness::Kmsg, "the kernel's log has no report of one"),
        (Witness::Signals, "the OOM killer's tracepoint did not name it"),
        (Witness::Cgroups, counter),
    ];
    let is_heard = |witness: Witness| {
        scene.hears(witness) == Some(true) && (witness != Witness::Signals || scene.fatal.is_some())
    };
    let said: Vec<_> = said.into_iter().filter(|(witness, _)| is_heard(*witness)).collect();
    let mut evidence: Vec<Evidence> =
        said.iter().map(|(witness, _)| listened(scene, *witness)).collect();
    let words: Vec<&str> = said.iter().map(|(_, words)| *words).collect();
    let mut text = match words.as_slice() {
        [] => return None,
        [only] => format!("No OOM kill: {only}"),
        [all @ .., last] => format!("No OOM kill: {}, and {last}", all.join(", ")),
    };
    if let Some((brief, gap_us)) = rose {
        let (who, ago) = (named(brief), ago(gap_us));
        text = format!("{text}; {who} of it was killed for memory {ago}");
        evidence.push(brief.item.evidence().clone());
    }
    Some(Claim { text: text + ".", evidence })
}

fn is_unit(scene: &Scene<'_, '_>) -> bool {
    // Only the system's manager is among those who are said to be heard; not a user's.
    scene.owner().is_some_and(|owner| owner.unit().is_some())
        && !matches!(scene.owner(), Some(Owner::UserUnit { .. }))
}

/// Docker and Podman count as one witness: only who spoke of this container would have told.
fn is_known_to_docker(scene: &Scene<'_, '_>) -> bool {
    let started = scene.tenure.and_then(|tenure| tenure.started);
    matches!(scene.owner(), Some(Owner::Container(_)))
        && scene.items().chain(started).any(|item| item.witness() == Witness::Docker)
}

fn listened(scene: &Scene<'_, '_>, witness: Witness) -> Evidence {
    let at = scene.matter.end.and_then(|end| end.wall);
    let when = at.map_or(String::new(), |at| format!(" at {at}"));
    Evidence {
        source: "who was listened to".to_owned(),
        line: None,
        text: format!("{} was heard{when}, and said nothing of the kind", witness.words()),
    }
}

/// Who would have known more, and was not heard or did not know. Of what is certain nobody is missed,
/// but for who asked for it, and why a program gave up.
pub(super) fn missing(scene: &Scene<'_, '_>, finding: &Finding<'_>) -> Vec<(Witness, String)> {
    let mut found: Vec<(Witness, String)> = asker(scene, finding).into_iter().collect();
    let known = found.len();
    for one in absent(scene, wanted(scene, finding)) {
        if !found.iter().take(known).any(|(witness, _)| *witness == one.0) {
            found.push(one);
        }
    }
    found.extend(sender(scene, finding));
    found
}

fn wanted(scene: &Scene<'_, '_>, finding: &Finding<'_>) -> Vec<Witness> {
    let mut wanted = Vec::new();
    if finding.confidence == Confidence::Certain {
        // What a program was refused before it gave up, these would know.
        if finding.cause == Cause::ExitCode && scene.exit().is_none() {
            wanted.extend([Witness::Processes, Witness::Kmsg]);
        }
        return wanted;
    }
    let is_signal = scene.signal().is_some() || scene.code().is_none_or(|code| code > 128);
    if is_signal && scene.fatal.is_none() {
        wanted.push(Witness::Signals);
    }
    if scene.exit().is_none() {
        wanted.push(Witness::Processes);
    }
    let may_be_memory = finding.cause.is_memory() || finding.cause == Cause::Unknown;
    if may_be_memory && is_signal {
        wanted.extend([Witness::Kmsg, Witness::Cgroups]);
    }
    match scene.owner() {
        Some(Owner::Pod { .. }) => wanted.push(Witness::Kubernetes),
        Some(Owner::Container(_)) => wanted.push(Witness::Docker),
        Some(Owner::Unit(_) | Owner::UserUnit { .. }) => {
            wanted.extend([Witness::Systemd, Witness::Journal]);
        }
        _ => {}
    }
    wanted
}

/// Who asked Docker for it is seen where commands are; why it was not seen.
fn asker(scene: &Scene<'_, '_>, finding: &Finding<'_>) -> Option<(Witness, String)> {
    let is_docker = matches!(
        finding.cause,
        Cause::DockerStop
            | Cause::DockerStopTimeout
            | Cause::DockerKill
            | Cause::DockerRestart
            | Cause::DockerRemove
    );
    if !is_docker || finding.command.is_some() {
        return None;
    }
    let why = match absence(scene, Witness::Processes) {
        Some((_, why)) => why,
        None => "no command that names it was seen in the seconds before; it may have come through Docker's socket, or have been gone before its words were read".to_owned(),
    };
    Some((Witness::Processes, format!("who asked Docker is unknown: {why}")))
}

/// Why there is no sender though the kernel was asked for signals.
fn sender(scene: &Scene<'_, '_>, finding: &Finding<'_>) -> Option<(Witness, String)> {
    let is_unsent =
        finding.cause == Cause::Signal && finding.sender.is_none() && finding.way.is_none();
    if !is_unsent || scene.hears(Witness::Signals) != Some(true) {
        return None;
    }
    let signal = scene.signal()?;
    let why = if signal.is_everyday() {
        "of its kind the agent asks the kernel only for those sent by kill(2) or sigqueue(3), those of broken pipes, and SIGALRM of timers"
    } else {
        "the kernel was listened to, and told of none"
    };
    Some((Witness::Signals, format!("who sent {signal} is unknown: {why}")))
}

fn absent(scene: &Scene<'_, '_>, mut wanted: Vec<Witness>) -> Vec<(Witness, String)> {
    wanted.retain(|witness| !scene.items().any(|item| item.witness() == *witness));
    wanted.into_iter().filter_map(|witness| absence(scene, witness)).collect()
}

fn absence(scene: &Scene<'_, '_>, witness: Witness) -> Option<(Witness, String)> {
    let of_sight = scene
        .sight()
        .and_then(|sight| sight.witnesses.iter().find(|presence| presence.witness == witness));
    match of_sight {
        Some(presence) => presence.absent.clone().map(|why| (witness, why)),
        None => Some((witness, "was not listened to then, as far as is known".to_owned())),
    }
}
