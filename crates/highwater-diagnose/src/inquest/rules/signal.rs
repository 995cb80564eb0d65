//! A signal that somebody sent, or the kernel on somebody's behalf.

use highwater_core::testimony::{AuditWord, Fact, Origin, Sent, Signal, Status, Witness};

use super::Finding;
use crate::death::Confidence;
use crate::inquest::Cause;
use crate::inquest::matter::{is_of_cgroup, is_of_namespace, is_of_tracer};
use crate::inquest::scene::Scene;
use crate::inquest::summary::whom;
use crate::inquest::timeline::Item;
use crate::inquest::ways::{Asked, Way};

/// A write to `cgroup.kill`.
pub(super) fn cgroup_kill<'t>(scene: &Scene<'_, 't>) -> Option<Finding<'t>> {
    let (item, sent) = scene.fatal.filter(|(_, sent)| is_of_cgroup(sent))?;
    Some(
        Finding::new(Cause::CgroupKill, Confidence::Certain)
            .says("The kernel killed it task by task on somebody's behalf, as it does with a whole cgroup.", [item])
            .by(Some(&sent.by)),
    )
}

/// Its parent ended, and the kernel sent what it had asked for.
pub(super) fn parent_death<'t>(scene: &Scene<'_, 't>) -> Option<Finding<'t>> {
    /// An exit is told that long before, at most: the witnesses' clocks are not quite the same.
    const BEFORE_US: u64 = 50_000;
    /// The kernel sends these signals some microseconds before it announces the exit; a process that
    /// kills its child and ends takes longer than this for its own end.
    const AFTER_US: u64 = 100;
    let (item, sent) = scene.hand(|_| true).filter(|(_, sent)| sent.origin == Origin::User)?;
    let by = sent.by.pid?;
    if scene.matter.who.parents.first().is_none_or(|parent| parent.pid != by) {
        return None;
    }
    let exit = scene.exit_of(by, item)?;
    // Only the kernel's own clock is fine enough.
    let (ended, killed) = (exit.boot?.micros(), item.boot?.micros());
    let least = killed.saturating_sub(BEFORE_US);
    if !(least..=killed.saturating_add(AFTER_US)).contains(&ended) {
        return None;
    }
    Some(
        Finding::new(Cause::ParentDeath, Confidence::Certain)
            .says("The signal came from its parent at the moment that this ended.", [item, exit])
            .by(Some(&sent.by)),
    )
}

/// Its processor time was used up.
pub(super) fn processor_time<'t>(scene: &Scene<'_, 't>) -> Option<Finding<'t>> {
    let warned = scene.sent().find(|(item, sent)| {
        sent.signal == Signal::XCPU && sent.origin == Origin::Kernel && scene.is_before_end(item)
    });
    // What is sent out of a timer's interrupt comes from nobody.
    let is_own = |sent: &Sent| {
        sent.origin == Origin::Kernel
            && sent.by.pid.map_or(warned.is_some(), |by| Some(by) == scene.matter.who.pid)
    };
    let killed = scene.fatal.filter(|(_, sent)| sent.signal == Signal::KILL && is_own(sent));
    let is_limit = scene.died_of(Signal::XCPU);
    if !is_limit && killed.is_none() {
        return None;
    }
    if is_limit && scene.fatal.is_some_and(|(_, sent)| sent.origin != Origin::Kernel) {
        return None;
    }
    let confidence = match (warned, is_limit) {
        (Some(_), _) => Confidence::Certain,
        (None, _) => Confidence::Likely,
    };
    let fatal = scene.fatal.map(|(item, _)| item);
    Some(
        Finding::new(Cause::RlimitCpu, confidence)
            .says(
                "The kernel warned it with SIGXCPU: its processor time was used up.",
                warned.map(|(item, _)| item),
            )
            .says("The kernel sent the signal while working for the process itself.", fatal)
            .says(
                "It ended by the signal of a limit on processor time.",
                scene.status.filter(|_| is_limit).map(|(_, item)| item),
            ),
    )
}

/// The first process of its pid namespace ended.
pub(super) fn namespace_end<'t>(scene: &Scene<'_, 't>) -> Option<Finding<'t>> {
    let pid = scene.matter.who.pid?;
    let (item, sent) = scene.fatal.filter(|(_, sent)| is_of_namespace(sent, pid))?;
    let exit = sent.by.pid.and_then(|by| scene.exit_of(by, item));
    // Who takes the last free memory kills for it, and lives on.
    let lives_on = exit.is_none() && scene.hears(Witness::Processes) == Some(true);
    let (cause, confidence) = match (exit.is_some(), lives_on) {
        (true, _) => (Cause::NamespaceEnd, Confidence::Certain),
        (false, true) => (Cause::KernelOom, Confidence::Possible),
        (false, false) => (Cause::NamespaceEnd, Confidence::Possible),
    };
    let sender = (cause == Cause::NamespaceEnd).then_some(&*sent.by);
    let alone = exit.is_none().then_some(item);
    Some(
        Finding::new(cause, confidence)
            .says("The kernel sent the signal while another process ended.", exit.map(|_| item))
            .says("That process ended at this moment.", exit)
            .says(
                "The kernel sent the signal while it worked for another process, as it does at the end of a pid namespace and where memory runs out.",
                alone,
            )
            .by(sender),
    )
}

/// Who traced it ended, and had asked for this (`PTRACE_O_EXITKILL`).
pub(super) fn tracer_end<'t>(scene: &Scene<'_, 't>) -> Option<Finding<'t>> {
    let pid = scene.matter.who.pid?;
    let (item, sent) = scene.fatal.filter(|(_, sent)| is_of_tracer(sent, pid))?;
    let exit = sent.by.pid.and_then(|by| scene.exit_of(by, item));
    let confidence = if exit.is_some() { Confidence::Certain } else { Confidence::Likely };
    Some(
        Finding::new(Cause::Signal, confidence)
            .says(
                format!(
                    "The kernel sent the signal to it alone on behalf of {}, as it does when a tracer ends.",
                    whom(&sent.by)
                ),
                [item],
            )
            .says("That process ended at this moment.", exit)
            .by(Some(&sent.by)),
    )
}

/// It ended by itself because a signal told it to: a program that catches SIGTERM ends with a code.
pub(super) fn answered<'t>(scene: &Scene<'_, 't>) -> Option<Finding<'t>> {
    let asked = Asked::of(scene)?;
    let confidence = if asked.is_exact() { Confidence::Certain } else { Confidence::Likely };
    let (item, sent) = (asked.item, asked.sent);
    let code = asked.code;
    let finding = Finding::new(Cause::Signal, confidence);
    let text = if asked.is_exact() {
        format!("It ended with code {code}, which is 128 + {}.", sent.signal.0)
    } else {
        format!("It ended by itself with code {code} after that.")
    };
    Some(made(scene, finding, item, sent).says(text, scene.status.map(|(_, item)| item)))
}

/// Who sent the signal, or what made the kernel send it.
fn made<'t>(
    scene: &Scene<'_, 't>,
    finding: Finding<'t>,
    item: &'t Item<'t>,
    sent: &'t Sent,
) -> Finding<'t> {
    let Some(way) = Way::of(sent, scene.matter.who.pid) else {
        let text = format!("{} was sent by {}.", sent.signal, whom(&sent.by));
        return finding.says(text, [item]).by(Some(&sent.by));
    };
    let text = match way {
        Way::Terminal => "for its terminal",
        Way::Timer => "for a timer of its own that ran out",
        Way::FileSize => "because it wrote beyond its limit on file size",
        Way::Pipe => "because it wrote into a pipe that nobody reads",
    };
    let text = format!("The kernel sent it {} {text}.", sent.signal);
    Finding { way: Some(way), ..finding.says(text, [item]) }
}

/// Somebody sent it.
pub(super) fn sent<'t>(scene: &Scene<'_, 't>) -> Option<Finding<'t>> {
    if let Some((item, sent)) = scene.fatal {
        let is_seen = scene.status.is_some() || sent.signal == Signal::KILL;
        let confidence = if is_seen { Confidence::Certain } else { Confidence::Likely };
        return Some(
            made(scene, Finding::new(Cause::Signal, confidence), item, sent)
                .says("It ended by that signal.", scene.status.map(|(_, item)| item)),
        );
    }
    let signal = scene.signal();
    let (item, sender) = scene.items().rev().find_map(|item| audit(item, signal))?;
    Some(
        Finding::new(Cause::Signal, Confidence::Certain)
            .says("The audit log has the system call that sent it.", [item])
            .says("It ended by that signal.", scene.status.map(|(_, item)| item))
            .by(Some(sender)),
    )
}

/// It ended by a signal, and nobody saw who sent it.
pub(super) fn by_status<'t>(scene: &Scene<'_, 't>) -> Option<Finding<'t>> {
    let (status, item) = scene.status?;
    let Status::Signal { signal, .. } = status else { return None };
    // Of SIGKILL the cause may be want of memory; by the others in this list managers end what they
    // started, and only who waited for the process itself can have them from elsewhere.
    let is_possible = match signal {
        Signal::KILL => false,
        Signal::TERM | Signal::INT | Signal::HUP | Signal::QUIT => {
            scene.exit().is_some() && scene.tenure.is_none()
        }
        _ => true,
    };
    is_possible.then(|| {
        Finding::new(Cause::Signal, Confidence::Likely)
            .says(format!("It ended by {signal}; who sent it nobody says."), [item])
    })
}

fn audit<'t>(
    item: &'t Item<'t>,
    died_of: Option<Signal>,
) -> Option<(&'t Item<'t>, &'t highwater_core::testimony::Party)> {
    match item.fact() {
        Some(Fact::Audit(AuditWord::Kill { signal, by }))
            if died_of.is_none_or(|of| of == *signal) =>
        {
            Some((item, &**by))
        }
        _ => None,
    }
}
