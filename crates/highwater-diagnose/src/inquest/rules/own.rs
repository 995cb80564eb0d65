//! Its own doing: a fault, an abort, a refusal of memory, an exit.

use highwater_core::testimony::{
    AuditWord, Fact, Fault, FaultKind, Origin, Signal, Status, UnitWord,
};

use super::Finding;
use crate::death::Confidence;
use crate::inquest::Cause;
use crate::inquest::scene::Scene;
use crate::inquest::timeline::Item;

/// It was refused memory, and gave up.
pub(super) fn no_memory<'t>(scene: &Scene<'_, 't>) -> Option<Finding<'t>> {
    if !gave_up(scene) {
        return None;
    }
    let ended = scene.status.map(|(_, item)| item);
    if let Some((refusal, is_own)) = scene.refusal() {
        let confidence = if is_own { Confidence::Likely } else { Confidence::Possible };
        let whom = if is_own { "it" } else { "a process of its name" };
        return Some(
            Finding::new(Cause::NoMemory, confidence)
                .says(format!("The kernel refused {whom} memory: strict overcommit."), [refusal])
                .says("It ended by itself after that.", ended),
        );
    }
    let (_, exit) = scene.exit()?;
    let is_limited = exit.evidence().text.contains("RLIMIT_AS");
    is_limited.then(|| {
        Finding::new(Cause::RlimitAs, Confidence::Possible)
            .says("It ended by itself, and had a limit on its address space.", [exit])
    })
}

/// As a program ends that is out of memory: with an error, or by abort(3).
fn gave_up(scene: &Scene<'_, '_>) -> bool {
    match scene.status {
        Some((Status::Code(code), _)) => code != 0,
        Some((Status::Signal { signal, .. }, _)) => {
            signal == Signal::ABRT && scene.fatal.is_none_or(|fatal| is_own(scene, fatal.1))
        }
        None => false,
    }
}

fn is_own(scene: &Scene<'_, '_>, sent: &highwater_core::testimony::Sent) -> bool {
    let by_itself = sent.by.pid.is_none_or(|by| Some(by) == scene.matter.who.pid);
    matches!(sent.origin, Origin::Fault(_) | Origin::Thread)
        || (sent.origin == Origin::Kernel && sent.signal != Signal::KILL)
        || (by_itself && sent.signal != Signal::KILL)
}

/// A fault, by the kernel's line, the way of the signal, or the status alone.
pub(super) fn fault<'t>(scene: &Scene<'_, 't>) -> Option<Finding<'t>> {
    if scene.fatal.is_some_and(|(_, sent)| !is_own(scene, sent)) {
        return None;
    }
    let line = scene.items().find_map(|item| match item.fact() {
        Some(Fact::Faulted(fault)) => Some((item, fault)),
        _ => None,
    });
    let signal = scene.signal().filter(|_| !is_daemons_word(scene));
    let cause =
        signal.and_then(of_signal).or_else(|| line.map(|(_, fault)| of_kind(fault.kind)))?;
    let abend = scene
        .items()
        .find(|item| matches!(item.fact(), Some(Fact::Audit(AuditWord::Abend { .. }))));
    let core = scene.unit(|word| matches!(word, UnitWord::CoreDumped { .. }));
    let way = scene.fatal.map(|(item, _)| item);
    let is_certain = line.is_some() || way.is_some() || abend.is_some();
    let confidence = if is_certain { Confidence::Certain } else { Confidence::Likely };
    let mut finding = Finding::new(cause, confidence)
        .says("The kernel's log has the fault.", line.map(|(item, _)| item))
        .says("The signal was its own doing.", way)
        .says("The audit log has it as an abnormal end.", abend)
        .says("A core was saved.", core)
        .says("It ended by that signal.", scene.status.map(|(_, item)| item));
    finding.words = line.and_then(|(_, fault)| place(fault));
    Some(finding)
}

/// A code of 128 + n may be a shell's or a program's own.
fn is_daemons_word(scene: &Scene<'_, '_>) -> bool {
    matches!(scene.status, Some((Status::Code(_), _))) && scene.fatal.is_none()
}

/// The faults that signals stand for.
pub(super) const fn of_signal(signal: Signal) -> Option<Cause> {
    Some(match signal {
        Signal::SEGV => Cause::Segfault,
        Signal::BUS => Cause::BusError,
        Signal::ABRT => Cause::Abort,
        Signal::ILL => Cause::IllegalInstruction,
        Signal::FPE => Cause::Arithmetic,
        Signal::TRAP => Cause::Trap,
        Signal::SYS => Cause::Seccomp,
        _ => return None,
    })
}

const fn of_kind(kind: FaultKind) -> Cause {
    match kind {
        FaultKind::Segfault | FaultKind::GeneralProtection => Cause::Segfault,
        FaultKind::InvalidOpcode => Cause::IllegalInstruction,
        FaultKind::DivideError => Cause::Arithmetic,
        FaultKind::Bus => Cause::BusError,
        FaultKind::Trap => Cause::Trap,
        FaultKind::Seccomp => Cause::Seccomp,
    }
}

/// Where it was: `libc.so.6, at address 0x10`.
fn place(fault: &Fault) -> Option<String> {
    let address = fault.address.map(|address| format!("at address {address:#x}"));
    let object = fault.object.as_ref().map(|object| format!("in {object}"));
    let words: Vec<String> = [object, address].into_iter().flatten().collect();
    (!words.is_empty()).then(|| words.join(", "))
}

/// It ended by itself.
pub(super) fn exit<'t>(scene: &Scene<'_, 't>) -> Option<Finding<'t>> {
    /// From here on a code may stand for a signal: 128 + n.
    const SIGNALS: u8 = 129;
    let failed = || scene.result("exit-code");
    let well = || scene.result("success");
    let Some((status, item)) = scene.status else {
        return by_result(failed(), Cause::ExitCode)
            .or_else(|| by_result(well(), Cause::CleanExit));
    };
    let Status::Code(code) = status else { return None };
    let is_told = matches!(item.fact(), Some(Fact::Container(_) | Fact::Pod(_)));
    if is_told && code >= SIGNALS && !is_plain(scene, item) {
        return None;
    }
    let cause = if code == 0 { Cause::CleanExit } else { Cause::ExitCode };
    let mut finding = Finding::new(cause, Confidence::Certain)
        .says(format!("It ended by itself with code {code}."), [item])
        .says("systemd's verdict is exit-code.", failed());
    if let Some(child) = scene.child() {
        finding = finding
            .says(format!("{} of it was killed for memory before.", child.who), [child.item]);
    }
    Some(finding)
}

/// Who waited for it says that it was no signal.
fn is_plain(scene: &Scene<'_, '_>, item: &Item<'_>) -> bool {
    scene
        .exit()
        .is_some_and(|(exit, seen)| seen.at != item.at && matches!(exit.status, Status::Code(_)))
}

fn by_result<'t>(item: Option<&'t Item<'t>>, cause: Cause) -> Option<Finding<'t>> {
    let item = item?;
    Some(Finding::new(cause, Confidence::Likely).says("systemd's verdict says so.", [item]))
}

/// Nobody says.
pub(super) fn unknown<'t>(scene: &Scene<'_, 't>) -> Finding<'t> {
    let told = scene.status.map(|(status, item)| match status {
        Status::Signal { signal, .. } => {
            (format!("It ended by {signal}; who sent it nobody says."), item)
        }
        Status::Code(code) => {
            (format!("It ended with {code}, which may stand for a signal or be its own."), item)
        }
    });
    let finding = Finding::new(Cause::Unknown, Confidence::Unknown);
    match told {
        Some((text, item)) => finding.says(text, [item]),
        None => finding.says("It ended; how nobody says.", scene.matter.end),
    }
}
