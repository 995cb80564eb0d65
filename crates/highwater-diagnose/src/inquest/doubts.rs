//! What is said that cannot be true beside the verdict, what it was not, and who would have known
//! more.

use highwater_core::evidence::{Claim, Evidence};
use highwater_core::owner::Owner;
use highwater_core::testimony::{ContainerWord, Fact, PodWord, Signal, Status, UnitWord, Witness};

use super::Cause;
use super::rules::Finding;
use super::scene::{Scene, claim};
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
    add(
        "Docker says OOMKilled=true, though it was not killed for memory; a child of it may have been.",
        died(scene, Some(true)).filter(|_| !is_memory),
    );
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

/// What it was not, and what shows that. Only what somebody would think of first.
pub(super) fn ruled_out(scene: &Scene<'_, '_>, finding: &Finding<'_>) -> Vec<Claim> {
    let mut found = Vec::new();
    let is_clean = matches!(finding.cause, Cause::CleanExit);
    if finding.cause.is_memory() || is_clean {
        return found;
    }
    let mut add = |witness: Witness, text: &str| {
        if scene.hears(witness) == Some(true) {
            found.push(Claim { text: text.to_owned(), evidence: vec![listened(scene, witness)] });
        }
    };
    let is_counted = scene.items().any(|item| matches!(item.fact(), Some(Fact::Oom(_))));
    let may_be_killed = scene.signal().is_none_or(|signal| signal == Signal::KILL);
    if !is_counted && may_be_killed && scene.code().is_none_or(|code| code == 137) {
        // Whether this very cgroup is among those nobody says, and a kill of the machine's is not
        // counted in cgroups of version 1.
        add(Witness::Cgroups, "No OOM kill at its limit: no counter that is watched rose.");
        add(Witness::Kmsg, "No OOM kill: the kernel's log has no report of one.");
        if scene.fatal.is_some() {
            add(Witness::Signals, "No OOM kill: the OOM killer's tracepoint did not name it.");
        }
    }
    if finding.confidence == Confidence::Unknown {
        if is_unit(scene) {
            add(Witness::Systemd, "No stop by systemd: it had no job for it.");
        }
        if is_known_to_docker(scene) {
            add(Witness::Docker, "No stop or kill by Docker: it told of none.");
        }
    }
    found
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

/// Who would have known more, and was not heard. Of what is certain nobody is missed, but for why a
/// program gave up.
pub(super) fn missing(scene: &Scene<'_, '_>, finding: &Finding<'_>) -> Vec<(Witness, String)> {
    let mut wanted = Vec::new();
    if finding.confidence == Confidence::Certain {
        // What a program was refused before it gave up, these would know.
        if finding.cause != Cause::ExitCode || scene.exit().is_some() {
            return Vec::new();
        }
        wanted.extend([Witness::Processes, Witness::Kmsg]);
        return absent(scene, wanted);
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
    absent(scene, wanted)
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
