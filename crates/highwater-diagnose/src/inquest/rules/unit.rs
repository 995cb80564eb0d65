//! Ended by systemd: a watchdog, a step that took too long, a stop, a restart, a signal.

use highwater_core::testimony::{Job, Signal, Status, UnitWord, Witness};
use highwater_core::time::Span;

use super::Finding;
use crate::death::Confidence;
use crate::inquest::Cause;
use crate::inquest::hands::is_systemd;
use crate::inquest::matter::is_of_cgroup;
use crate::inquest::scene::Scene;
use crate::inquest::timeline::{Item, apart};
use std::time::Duration;

pub(super) fn watchdog<'t>(scene: &Scene<'_, 't>) -> Option<Finding<'t>> {
    let word = scene.unit(|word| matches!(word, UnitWord::Watchdog { .. }));
    let result = scene.result("watchdog");
    if word.is_none() && result.is_none() {
        return None;
    }
    let hand = scene.hand_is_systemd();
    let is_certain = (word.is_some() && result.is_some()) || hand.is_some();
    let confidence = if is_certain { Confidence::Certain } else { Confidence::Likely };
    let limit = word.and_then(|item| match item.unit() {
        Some(UnitWord::Watchdog { limit_ms }) => *limit_ms,
        _ => None,
    });
    let limit = limit.or_else(|| scene.limits()?.watchdog_ms);
    let mut finding = Finding::new(Cause::Watchdog, confidence)
        .says("systemd's watchdog heard nothing of it in time.", word)
        .says("systemd's verdict is watchdog.", result)
        .says("systemd says that it kills it.", sends(scene))
        .says("systemd sent the signal.", hand.map(|(item, _)| item))
        .by(hand.map(|(_, sent)| &*sent.by));
    finding.words = limit.map(span);
    Some(finding)
}

/// systemd says that it sends a signal, which it does where something did not end by itself.
fn sends<'t>(scene: &Scene<'_, 't>) -> Option<&'t Item<'t>> {
    let word = scene.unit(|word| matches!(word, UnitWord::Kills { .. }));
    word.filter(|item| scene.is_before_end(item))
}

fn span(ms: u64) -> String {
    Span(Duration::from_millis(ms)).to_string()
}

/// A step that took too long.
pub(super) fn overdue<'t>(scene: &Scene<'_, 't>) -> Option<Finding<'t>> {
    let step = scene.unit(|word| matches!(word, UnitWord::TimedOut { .. }));
    let step = step.filter(|item| scene.is_before_end(item));
    let result = scene.result("timeout");
    let pair = term_then_kill(scene);
    if scene.is_by_other(is_systemd) && !by_cgroup(scene) {
        return None;
    }
    let of_step = step.and_then(|item| match item.unit() {
        Some(UnitWord::TimedOut { step }) => Some(of_step(step)),
        _ => None,
    });
    let is_told = step.is_some() || result.is_some();
    let cause = match (of_step, pair) {
        (Some(cause), _) => cause,
        (None, Some((term, kill))) if is_told || waited(scene, term, kill) => Cause::StopTimeout,
        (None, _) if result.is_none() => return None,
        (None, _) if is_stopping(scene) => Cause::StopTimeout,
        (None, _) if runs(scene) => Cause::RuntimeMax,
        (None, _) => Cause::StartTimeout,
    };
    let hand = scene.hand_is_systemd();
    let sends = sends(scene);
    let words = [step.is_some(), result.is_some(), hand.is_some() || sends.is_some()];
    let confidence = match words.into_iter().filter(|heard| *heard).count() {
        0 => Confidence::Possible,
        1 => Confidence::Likely,
        _ => Confidence::Certain,
    };
    let (term, kill) = pair.unzip();
    let mut finding = Finding::new(cause, confidence)
        .says("systemd says that a step took too long.", step)
        .says("systemd's verdict is timeout.", result)
        .says("systemd says that it kills it.", sends)
        .says("systemd asked it to end with SIGTERM.", term)
        .says("systemd killed it with SIGKILL.", kill)
        .by(hand.map(|(_, sent)| &*sent.by));
    finding.words = term
        .zip(kill)
        .and_then(|(term, kill)| apart(term.at, kill.at))
        .map(|gap| Span(Duration::from_micros(gap)).to_string());
    Some(finding)
}

fn of_step(step: &str) -> Cause {
    match step {
        step if step.contains("stop") || step.contains("final") => Cause::StopTimeout,
        step if step.contains("run") => Cause::RuntimeMax,
        step if step.contains("watchdog") => Cause::Watchdog,
        _ => Cause::StartTimeout,
    }
}

fn by_cgroup(scene: &Scene<'_, '_>) -> bool {
    scene.fatal.is_some_and(|(_, sent)| is_of_cgroup(sent))
}

/// The two signals of a stop that is not heeded.
fn term_then_kill<'t>(scene: &Scene<'_, 't>) -> Option<(&'t Item<'t>, &'t Item<'t>)> {
    let of = |signal: Signal| {
        scene.sent().find(|(item, sent)| {
            sent.signal == signal && is_systemd(&sent.by) && scene.is_before_end(item)
        })
    };
    let (term, kill) = (of(Signal::TERM)?.0, of(Signal::KILL)?.0);
    (term.at < kill.at && scene.died_of(Signal::KILL)).then_some((term, kill))
}

/// As long as it is allowed to take; where nobody says how long that is, longer than a person waits
/// between two commands.
fn waited(scene: &Scene<'_, '_>, term: &Item<'_>, kill: &Item<'_>) -> bool {
    const LEAST_MS: u64 = 500;
    const EXACT_MS: u64 = 300;
    let Some(gap) = apart(term.at, kill.at) else { return false };
    let allowed = scene.limits().and_then(|limits| limits.stop_timeout_ms);
    let least = allowed.map_or(LEAST_MS, |allowed| allowed.saturating_sub(EXACT_MS));
    gap / 1_000 >= least && (allowed.is_some() || is_stopping(scene))
}

fn is_stopping(scene: &Scene<'_, '_>) -> bool {
    let word = |word: &UnitWord| {
        matches!(word, UnitWord::Stopping | UnitWord::Asked { job: Job::Stop | Job::Restart })
    };
    scene.unit(word).is_some_and(|item| scene.is_before_end(item))
}

fn runs(scene: &Scene<'_, '_>) -> bool {
    scene.tenure.is_some_and(|tenure| tenure.started.is_some())
}

/// A stop, a restart or a signal that systemd was asked for.
pub(super) fn managed<'t>(scene: &Scene<'_, 't>) -> Option<Finding<'t>> {
    if scene.is_by_other(is_systemd) && !by_cgroup(scene) {
        return None;
    }
    let hand = scene.hand_is_systemd();
    let asked_restart = scene.asked(Job::Restart);
    let asked_stop = scene.asked(Job::Stop);
    let stopping = scene
        .unit(|word| matches!(word, UnitWord::Stopping))
        .filter(|item| scene.is_before_end(item));
    let stopped =
        scene.unit(|word| matches!(word, UnitWord::Stopped)).filter(|_| ended_well(scene));
    let kill = scene.command("systemctl", &["kill"]);
    let word = asked_restart.or(asked_stop).or(stopping);
    if word.is_none() && (hand.is_some() || kill.is_some()) {
        return Some(by_kill(scene, kill));
    }
    // A request that it did not end of: it had ended by itself, and its rest was stopped.
    let is_wanted = hand.is_some() || ended_as_asked(scene);
    let word = word.or(stopped).filter(|_| is_wanted)?;
    let restart = asked_restart.or_else(|| scene.command("systemctl", &["restart", "try-restart"]));
    let cause = if restart.is_some() { Cause::SystemdRestart } else { Cause::SystemdStop };
    let job = asked_restart.or(asked_stop);
    let command = scene
        .command("systemctl", &["stop", "restart", "try-restart", "isolate", "reload-or-restart"])
        .or_else(|| scene.command("service", &["stop", "restart"]));
    let confidence = match (hand.is_some(), job.is_some() || command.is_some()) {
        (true, _) => Confidence::Certain,
        (false, true) if scene.status.is_some() => Confidence::Certain,
        _ => Confidence::Likely,
    };
    let what = if restart.is_some() { "restart" } else { "stop" };
    Some(
        Finding::new(cause, confidence)
            .says(format!("systemd had a job to {what} it."), job)
            .says("systemd says that it stopped it.", job.is_none().then_some(word))
            .says("systemd sent the signal.", hand.map(|(item, _)| item))
            .by(hand.map(|(_, sent)| &*sent.by))
            .ran(command),
    )
}

/// systemd sent a signal and had no job: `systemctl kill`, or its D-Bus call.
fn by_kill<'t>(scene: &Scene<'_, 't>, command: Option<&'t Item<'t>>) -> Finding<'t> {
    let hand = scene.hand_is_systemd();
    let heard = scene.hears(Witness::Systemd) == Some(true)
        || scene.hears(Witness::Journal) == Some(true)
        || scene.tenure.is_some();
    let confidence = match (hand, command) {
        (Some(_), Some(_)) => Confidence::Certain,
        (Some(_), None) | (None, Some(_)) if heard => Confidence::Likely,
        _ => Confidence::Possible,
    };
    Finding::new(Cause::SystemdKill, confidence)
        .says("systemd sent the signal, and had no job to stop it.", hand.map(|(item, _)| item))
        .by(hand.map(|(_, sent)| &*sent.by))
        .ran(command)
}

/// It did not fail.
fn ended_well(scene: &Scene<'_, '_>) -> bool {
    let failed =
        scene.unit(|word| matches!(word, UnitWord::Result { result, .. } if result != "success"));
    failed.is_none() && ended_as_asked(scene)
}

/// As a process ends that is asked to with SIGTERM, or with the signal of its choice.
fn ended_as_asked(scene: &Scene<'_, '_>) -> bool {
    match scene.status.map(|(status, _)| status) {
        None | Some(Status::Code(_)) => true,
        Some(Status::Signal { signal, .. }) => {
            matches!(signal, Signal::TERM | Signal::INT | Signal::HUP | Signal::QUIT | Signal::KILL)
                && (signal != Signal::KILL
                    || scene.fatal.is_some_and(|(_, sent)| is_systemd(&sent.by)))
        }
    }
}
