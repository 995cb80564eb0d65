//! Ended by what runs containers: Docker, Podman, the kubelet.

use std::time::Duration;

use highwater_core::owner::Owner;
use highwater_core::testimony::{ContainerWord, Fact, PodWord, Signal, Status};
use highwater_core::time::Span;

use super::Finding;
use crate::death::Confidence;
use crate::inquest::Cause;
use crate::inquest::scene::Scene;
use crate::inquest::timeline::{Item, apart};

/// A daemon that was told to kill, and an end after that, are one if they are not further apart.
const PROMPT_US: u64 = 10_000_000;

/// The kubelet, with the reason it gives.
pub(super) fn kubelet<'t>(scene: &Scene<'_, 't>) -> Option<Finding<'t>> {
    let told = scene.items().rev().find_map(|item| {
        let (cause, words) = match item.fact()? {
            Fact::Pod(PodWord::Killing { message }) => (of_message(message), Some(message)),
            Fact::Pod(PodWord::Evicted { message }) => (Cause::KubeletEviction, Some(message)),
            Fact::Pod(PodWord::Deleting { .. }) => (Cause::KubeletDelete, None),
            _ => return None,
        };
        scene.is_before_end(item).then_some((item, cause, words))
    });
    let hand = scene.hand(|by| scene.is_runtime(by));
    if scene.is_by_other(|by| scene.is_runtime(by)) {
        return None;
    }
    let is_pod = matches!(scene.owner(), Some(Owner::Pod { .. }));
    let (cause, confidence) = match told {
        Some((_, cause, _)) if hand.is_some() => (cause, Confidence::Certain),
        Some((_, cause, _)) => (cause, Confidence::Likely),
        None if hand.is_some() && is_pod => (Cause::KubeletDelete, Confidence::Possible),
        None => return None,
    };
    let mut finding = Finding::new(cause, confidence)
        .says("The kubelet says that it ends it, and why.", told.map(|(item, ..)| item))
        .says("The container runtime sent the signal.", hand.map(|(item, _)| item))
        .by(hand.map(|(_, sent)| &*sent.by));
    finding.words = told.and_then(|(.., words)| words.cloned());
    Some(finding)
}

fn of_message(message: &str) -> Cause {
    let message = message.to_ascii_lowercase();
    if message.contains("probe") {
        Cause::KubeletProbe
    } else if message.contains("evict") || message.contains("low on resource") {
        Cause::KubeletEviction
    } else {
        Cause::KubeletDelete
    }
}

/// What the daemon says that it did before the end.
struct Told<'t> {
    /// The first signal it sent to end it.
    request: Option<(&'t Item<'t>, Signal)>,
    kill: Option<&'t Item<'t>>,
    stopped: Option<&'t Item<'t>>,
    restarted: Option<&'t Item<'t>>,
    destroyed: Option<&'t Item<'t>>,
}

impl<'t> Told<'t> {
    fn of(scene: &Scene<'_, 't>) -> Self {
        let word = |is_it: fn(&ContainerWord) -> bool| scene.container(is_it);
        let stopped = word(|word| matches!(word, ContainerWord::Stopped));
        let restarted = word(|word| matches!(word, ContainerWord::Restarted));
        let kills = scene.items().filter_map(|item| match item.fact() {
            Some(Fact::Container(ContainerWord::Kill { signal })) if scene.is_before_end(item) => {
                Some((item, signal.unwrap_or(Signal::KILL)))
            }
            _ => None,
        });
        let kills: Vec<_> = kills.collect();
        let is_prompt =
            |item: &Item<'_>| apart(item.at, scene.at).is_none_or(|gap| gap <= PROMPT_US);
        let kill = kills.iter().rfind(|(item, signal)| *signal == Signal::KILL && is_prompt(item));
        let ends = kill.is_some() || stopped.is_some() || restarted.is_some();
        let request = kills.iter().rfind(|(item, signal)| {
            *signal != Signal::KILL && (ends || (is_prompt(item) && fits(scene, *signal)))
        });
        Self {
            request: request.copied(),
            kill: kill.map(|(item, _)| *item),
            stopped,
            restarted,
            destroyed: word(|word| matches!(word, ContainerWord::Destroyed))
                .filter(|item| apart(item.at, scene.at).is_none_or(|gap| gap <= PROMPT_US)),
        }
    }
}

/// It ended as one does that gets this signal.
fn fits(scene: &Scene<'_, '_>, signal: Signal) -> bool {
    match scene.status.map(|(status, _)| status) {
        Some(Status::Signal { signal: of, .. }) => of == signal,
        Some(Status::Code(code)) => {
            i32::from(code) == 128 + i32::from(signal.0)
                || (matches!(signal, Signal::TERM | Signal::INT | Signal::QUIT) && code == 0)
        }
        None => true,
    }
}

/// The daemon, by its own word.
pub(super) fn daemon<'t>(scene: &Scene<'_, 't>) -> Option<Finding<'t>> {
    if scene.is_by_other(|by| scene.is_runtime(by)) {
        return None;
    }
    let told = Told::of(scene);
    let hand = scene.hand(|by| scene.is_runtime(by));
    let verb =
        |verbs: &[&str]| scene.command("docker", verbs).or_else(|| scene.command("podman", verbs));
    let (stop, restart) = (verb(&["stop"]), verb(&["restart"]));
    let (kill, remove) = (verb(&["kill"]), verb(&["rm", "remove"]));
    let is_told = told.request.is_some() || told.kill.is_some() || told.stopped.is_some();
    if !is_told && (hand.is_none() || !matches!(scene.owner(), Some(Owner::Container(_)))) {
        return None;
    }
    let is_killed = told.kill.is_some() || scene.died_of(Signal::KILL);
    let (cause, command) = if told.restarted.is_some() || restart.is_some() {
        (Cause::DockerRestart, restart)
    } else if waited(scene, &told) && is_killed {
        (Cause::DockerStopTimeout, stop)
    } else if told.stopped.is_some() || stop.is_some() {
        (Cause::DockerStop, stop)
    } else if kill.is_none() && (remove.is_some() || (told.destroyed.is_some() && is_killed)) {
        (Cause::DockerRemove, remove)
    } else if is_killed || told.request.is_some() || kill.is_some() {
        (Cause::DockerKill, kill)
    } else {
        (Cause::DockerStop, None)
    };
    let confidence = match (is_told, hand.is_some() || command.is_some()) {
        (true, true) => Confidence::Certain,
        (false, false) => Confidence::Possible,
        _ => Confidence::Likely,
    };
    let request = told.request.map(|(item, _)| item);
    let gap = request.zip(told.kill).and_then(|(request, kill)| apart(request.at, kill.at));
    let mut finding = Finding::new(cause, confidence)
        .says("Docker says that it sent it the signal to end.", request)
        .says("Docker says that it sent it SIGKILL.", told.kill)
        .says("Docker says that it was stopped as asked.", told.stopped)
        .says("Docker says that it was restarted as asked.", told.restarted)
        .says("Docker says that it was removed.", told.destroyed)
        .says("The container runtime sent the signal.", hand.map(|(item, _)| item))
        .by(hand.map(|(_, sent)| &*sent.by))
        .ran(command);
    finding.words = gap.map(|gap| Span(Duration::from_micros(gap)).to_string());
    Some(finding)
}

/// It was asked to end, and killed when it had not by then.
fn waited(scene: &Scene<'_, '_>, told: &Told<'_>) -> bool {
    /// `docker stop -t 1` waits no less.
    const LEAST_US: u64 = 900_000;
    let request = told.request.map(|(item, _)| item);
    let is_long = |one: &Item<'_>, other: &Item<'_>| {
        apart(one.at, other.at).is_some_and(|gap| gap >= LEAST_US)
    };
    if request.zip(told.kill).is_some_and(|(request, kill)| is_long(request, kill)) {
        return true;
    }
    let term = scene.request(|by| scene.is_runtime(by)).map(|(item, _)| item);
    let kill = scene.fatal.filter(|(_, sent)| sent.signal == Signal::KILL).map(|(item, _)| item);
    term.zip(kill).is_some_and(|(term, kill)| is_long(term, kill))
}
