//! Killed for memory: by the kernel or by a program.

use highwater_core::testimony::{
    ContainerWord, Fact, OomWord, Origin, Party, PodWord, Signal, Status, UnitWord, Witness,
};

use super::Finding;
use crate::death::Confidence;
use crate::inquest::hands::{is_systemd, killer, killer_of};
use crate::inquest::matter::is_of_cgroup;
use crate::inquest::scene::Scene;
use crate::inquest::timeline::Item;
use crate::inquest::{Cause, OomKill};
use crate::words;

/// The kernel's own word: its report, or its choice of this process.
pub(super) fn kernel<'t>(scene: &Scene<'_, 't>) -> Option<Finding<'t>> {
    let report = report(scene, |kill| !kill.cause.is_program());
    let marked = scene.items().find(|item| matches!(item.fact(), Some(Fact::Oom(OomWord::Marked))));
    let counted = counted(scene);
    let finding = match (report, marked) {
        (Some((item, kill)), _) => of_report(item, kill),
        (None, Some(marked)) => of_mark(scene, marked),
        (None, None) => return None,
    };
    let finding = finding
        .says("The tracepoint of the OOM killer names it.", marked.filter(|_| report.is_some()))
        .says(format!("The counter of kills of its cgroup rose: {}.", rise(counted)), counted)
        .by(None);
    let sent = scene.fatal.filter(|(_, sent)| sent.origin == Origin::Kernel);
    Some(finding.says("The kernel itself sent the signal.", sent.map(|(item, _)| item)))
}

fn report<'t>(
    scene: &Scene<'_, 't>,
    is_it: impl Fn(&OomKill) -> bool,
) -> Option<(&'t Item<'t>, &'t OomKill)> {
    scene.items().find_map(|item| item.kill().filter(|kill| is_it(kill)).map(|kill| (item, kill)))
}

fn of_report<'t>(item: &'t Item<'t>, kill: &OomKill) -> Finding<'t> {
    let cause = Cause::from(kill.cause);
    // The report may not say for want of what; that the kernel killed it does say.
    let confidence = if cause == Cause::KernelOom { Confidence::Certain } else { kill.confidence };
    let mut finding = Finding::new(cause, confidence)
        .says("The kernel's log names it as killed for want of memory.", [item]);
    finding.report = Some(kill.key);
    finding.limited(Some(kill))
}

/// Which limit it was the counters may tell: `oom` rises where the limit was reached.
fn of_mark<'t>(scene: &Scene<'_, 't>, marked: &'t Item<'t>) -> Finding<'t> {
    let limited = limited(scene);
    let cause = if limited.is_some() { Cause::KernelOomMemcg } else { Cause::KernelOom };
    let mut finding = Finding::new(cause, Confidence::Certain)
        .says("The kernel's OOM killer chose it.", [marked])
        .says("The cgroup whose limit was reached counted it.", limited);
    finding.limited_by = limited.and_then(Item::cgroup).cloned();
    finding
}

/// The counter that rose, the nearest to the process first.
fn counted<'t>(scene: &Scene<'_, 't>) -> Option<&'t Item<'t>> {
    let kills = |item: &&Item<'_>| matches!(item.fact(), Some(Fact::Oom(OomWord::Counted { kills, .. })) if *kills > 0);
    scene.items().filter(kills).max_by_key(|item| depth(item))
}

fn limited<'t>(scene: &Scene<'_, 't>) -> Option<&'t Item<'t>> {
    let ooms = |item: &&Item<'_>| matches!(item.fact(), Some(Fact::Oom(OomWord::Counted { oom, .. })) if *oom > 0);
    scene.items().filter(ooms).max_by_key(|item| depth(item))
}

fn depth(item: &Item<'_>) -> usize {
    item.cgroup().map_or(0, |path| path.as_str().split('/').count())
}

fn rise(item: Option<&Item<'_>>) -> String {
    match item.and_then(Item::fact) {
        Some(Fact::Oom(OomWord::Counted { kills, .. })) => {
            format!("by {}", words::count(usize::try_from(*kills).unwrap_or(usize::MAX), "kill"))
        }
        _ => String::new(),
    }
}

/// A program in user space that kills for memory: its own word, or its hand.
pub(super) fn program<'t>(scene: &Scene<'_, 't>) -> Option<Finding<'t>> {
    let of_hand = |by: &Party| killer_of(by, &scene.matter.who);
    let hand = scene.hand(|by| of_hand(by).is_some());
    let report = report(scene, |kill| kill.cause.is_program());
    let word = scene.items().find_map(|item| match item.fact()? {
        Fact::KilledBy { program } => Some((item, killer(program)?)),
        Fact::Unit(UnitWord::OomdKill { .. }) => Some((item, Cause::SystemdOomd)),
        _ => None,
    });
    let (cause, said) = match (report, word) {
        (Some((item, kill)), _) => (kill.cause.into(), Some(item)),
        (None, Some((item, cause))) => (cause, Some(item)),
        (None, None) => (hand.and_then(|(_, sent)| of_hand(&sent.by))?, None),
    };
    // Somebody else's hand, and no more than a word for a whole cgroup: it died of that hand.
    let is_other = scene.is_by_other(|by| of_hand(by).is_some());
    if is_other && report.is_none_or(|(_, kill)| kill.pid.is_none()) && !by_memory_cgroup(scene) {
        return None;
    }
    let is_certain = said.is_some();
    let confidence = if is_certain { Confidence::Certain } else { Confidence::Likely };
    let name = cause.as_str();
    let mut finding = Finding::new(cause, confidence)
        .says(format!("{name} says that it killed it."), said)
        .says(format!("{name} sent the signal."), hand.map(|(item, _)| item))
        .says("systemd's verdict is oom-kill.", scene.result("oom-kill"))
        .by(hand.map(|(_, sent)| &*sent.by));
    finding.report = report.map(|(_, kill)| kill.key);
    Some(finding.limited(report.map(|(_, kill)| kill)))
}

/// systemd-oomd's kill may be carried out by the kernel or by systemd.
fn by_memory_cgroup(scene: &Scene<'_, '_>) -> bool {
    scene.fatal.is_some_and(|(_, sent)| is_systemd(&sent.by) || is_of_cgroup(sent))
}

/// A unit that its manager stops because one of its processes was killed for memory
/// (`OOMPolicy=stop`, `kill`).
pub(super) fn unit_of_child<'t>(scene: &Scene<'_, 't>) -> Option<Finding<'t>> {
    let result = scene.result("oom-kill")?;
    let child = scene.child()?;
    if scene.is_by_other(is_systemd) && !by_kernel(scene) {
        return None;
    }
    let hand = scene.hand_is_systemd();
    let confidence = if hand.is_some() { Confidence::Certain } else { Confidence::Likely };
    let cause = child.item.kill().map_or(Cause::KernelOom, |kill| kill.cause.into());
    let mut finding = Finding::new(cause, confidence)
        .says(format!("{} of it was killed for memory before.", child.who), [child.item])
        .says("systemd's verdict is oom-kill.", [result])
        .says("systemd sent the signal.", hand.map(|(item, _)| item))
        .by(hand.map(|(_, sent)| &*sent.by));
    finding.other = Some(child.who.clone());
    Some(finding.limited(child.item.kill()))
}

fn by_kernel(scene: &Scene<'_, '_>) -> bool {
    scene.fatal.is_some_and(|(_, sent)| sent.origin == Origin::Kernel)
}

/// Somebody who was told says that memory ran out: counters, systemd, Docker, the kubelet.
pub(super) fn kernel_by_word<'t>(scene: &Scene<'_, 't>) -> Option<Finding<'t>> {
    let is_kernel = by_kernel(scene);
    if scene.fatal.is_some() && !is_kernel {
        return None;
    }
    let counted = counted(scene);
    let unit = scene.unit(|word| matches!(word, UnitWord::OutOfMemory));
    let result = scene.result("oom-kill");
    let event = scene.container(|word| matches!(word, ContainerWord::Oom));
    let flag = scene.container(|word| matches!(word, ContainerWord::Died { oom: Some(true), .. }));
    // Once a child of it was killed Docker says so of the container as well, whatever it ends of.
    let is_of_child = scene.killed_before().is_some() && denied(scene);
    let flag = flag.filter(|_| !is_of_child);
    let pod = scene.pod(|word| {
        matches!(word, PodWord::Terminated { reason: Some(reason), .. } if reason == "OOMKilled")
    });
    let first = counted.or(unit).or(result).or(event).or(flag).or(pod)?;
    let is_main = scene.matter.is_first == Some(true);
    let ended = scene.status.map(|(status, _)| status);
    let is_killed = match ended {
        None => true,
        Some(Status::Signal { signal, .. }) => signal == Signal::KILL,
        Some(Status::Code(code)) => code == 137,
    };
    // It lived on, or ended by itself: a child of it may have been killed, but not this one.
    if is_main && !is_killed && result.is_none() {
        return None;
    }
    let limited = limited(scene).or(event);
    let cause = if limited.is_some() { Cause::KernelOomMemcg } else { Cause::KernelOom };
    let only_pod = first.witness() == Witness::Kubernetes;
    let confidence = match (counted.is_some() && is_kernel, only_pod && denied(scene)) {
        (true, _) => Confidence::Certain,
        (false, true) => Confidence::Possible,
        (false, false) => Confidence::Likely,
    };
    let mut finding = Finding::new(cause, confidence)
        .says(format!("The counter of kills of its cgroup rose: {}.", rise(counted)), counted)
        .says("systemd says that one of its processes was killed by the OOM killer.", unit)
        .says("systemd's verdict is oom-kill.", result)
        .says("Docker saw its memory cgroup run out.", event)
        .says("Docker says OOMKilled=true.", flag)
        .says("The kubelet says OOMKilled.", pod);
    finding.limited_by = limited.and_then(Item::cgroup).cloned();
    Some(finding)
}

/// The kernel's own words were listened to, and there were none.
fn denied(scene: &Scene<'_, '_>) -> bool {
    scene.hears(Witness::Kmsg) == Some(true) || scene.hears(Witness::Cgroups) == Some(true)
}

/// The first process of an owner passes on how its child ended: a shell ends with 128 + 9.
pub(super) fn child<'t>(scene: &Scene<'_, 't>) -> Option<Finding<'t>> {
    /// 128 + SIGKILL.
    const PASSED_ON: u8 = 137;
    let (_, told) = scene.status.filter(|(status, _)| *status == Status::Code(PASSED_ON))?;
    let child = scene.child()?;
    let cause = child.item.kill().map_or(Cause::KernelOom, |kill| kill.cause.into());
    let mut finding = Finding::new(cause, Confidence::Likely)
        .says(format!("{} of it was killed for memory just before.", child.who), [child.item])
        .says(
            format!("It ended by itself with code {PASSED_ON}, as a shell does whose command was killed."),
            [told],
        );
    finding.other = Some(child.who.clone());
    Some(finding.limited(child.item.kill()))
}
