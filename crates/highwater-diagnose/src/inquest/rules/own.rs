//! Its own doing: a fault, an abort, a refusal of memory, an exit.

use highwater_core::testimony::{
    AuditWord, Fact, Fault, FaultKind, Origin, Sent, Signal, Status, UnitWord, Witness,
};
use highwater_core::units::Bytes;

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
    if let Some((refusal, _)) = scene.refusal().filter(|found| found.0.witness() != Witness::Kmsg) {
        // Were it the machine's memory, the kernel would have said so.
        let (cause, confidence, text) = match scene.hears(Witness::Kmsg) {
            Some(true) => (
                Cause::RlimitAs,
                Confidence::Possible,
                "It said itself that it got no memory, and the kernel does not.",
            ),
            _ => (
                Cause::Unknown,
                Confidence::Unknown,
                "It said itself that it got no memory: by a limit of its own, or by the machine's strict overcommit, of which the kernel's log would tell.",
            ),
        };
        return Some(
            Finding::new(cause, confidence)
                .says(text, [refusal])
                .says(
                    "It had a limit on its address space.",
                    scene.address_limit().map(|(item, _)| item),
                )
                .says("It ended by itself after that.", ended),
        );
    }
    if let Some((refusal, is_own)) = scene.refusal() {
        let confidence = if is_own { Confidence::Likely } else { Confidence::Possible };
        let whom = match (is_own, &scene.matter.who.comm) {
            (true, _) => "it",
            (false, Some(_)) => "a process of its name",
            (false, None) => "the only process of it that asked in vain at that time",
        };
        return Some(
            Finding::new(Cause::NoMemory, confidence)
                .says(format!("The kernel refused {whom} memory: strict overcommit."), [refusal])
                .says("It ended by itself after that.", ended),
        );
    }
    tight(scene)
}

/// It failed, and was allowed so few addresses that it may well have run out of them.
fn tight<'t>(scene: &Scene<'_, 't>) -> Option<Finding<'t>> {
    /// A limit that is set to end whoever takes too much is of this size; one that a login sets for all
    /// its programs is larger, and says nothing of those that fail.
    const TIGHT: Bytes = Bytes::new(1 << 30);
    let (exit, limit) = scene.address_limit()?;
    let is_tight = scene.matter.is_first == Some(true) && limit? <= TIGHT;
    is_tight.then(|| {
        Finding::new(Cause::RlimitAs, Confidence::Possible)
            .says("It failed, and had a tight limit on its address space; whether it was reached nobody says.", [exit])
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

/// The kernel's doing for what it did, or abort(3). What it sent itself with kill(2) or raise(3) is
/// a signal as from anybody, unless it passes on a fault that it had.
fn is_own(scene: &Scene<'_, '_>, sent: &Sent) -> bool {
    let by_itself = sent.by.pid.is_none_or(|by| Some(by) == scene.matter.who.pid);
    let is_passed_on =
        || scene.sent().any(|(_, other)| is_trap(other) && other.signal == sent.signal);
    is_trap(sent)
        || (by_itself && sent.origin == Origin::Thread && sent.signal == Signal::ABRT)
        || (by_itself && is_passed_on())
}

fn is_trap(sent: &Sent) -> bool {
    matches!(sent.origin, Origin::Fault(_))
        || (sent.origin == Origin::Kernel && sent.signal != Signal::KILL)
}

/// A fault, by the kernel's line, the way of the signal, or the status alone.
pub(super) fn fault<'t>(scene: &Scene<'_, 't>) -> Option<Finding<'t>> {
    let line = scene.items().find_map(|item| match item.fact() {
        Some(Fact::Faulted(fault)) => Some((item, fault)),
        _ => None,
    });
    if line.is_none() && scene.fatal.is_some_and(|(_, sent)| !is_own(scene, sent)) {
        return None;
    }
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
        .says(
            "It had a limit on its address space: what it is refused then it may touch all the same.",
            scene.address_limit().filter(|_| is_memory_fault(cause)).map(|(item, _)| item),
        )
        .says("It ended by that signal.", scene.status.map(|(_, item)| item));
    finding.words = line.and_then(|(_, fault)| place(fault));
    Some(finding)
}

/// What a program meets that does not look whether it got the memory it asked for, or that gives up when
/// it did not.
const fn is_memory_fault(cause: Cause) -> bool {
    matches!(cause, Cause::Segfault | Cause::BusError | Cause::Abort)
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

/// It passed on how its child ended, as a shell does: 128 + n.
pub(super) fn passed_on<'t>(scene: &Scene<'_, 't>) -> Option<Finding<'t>> {
    let (status, told) = scene.status?;
    let Status::Code(code) = status else { return None };
    let signal = Signal(code.checked_sub(128).filter(|of| *of > 0)?);
    let child = scene.ended_before(signal)?;
    // Of another process of the same owner nobody says that it was waited for.
    let is_certain = scene.exit().is_some() && scene.is_child(&child.party());
    let confidence = if is_certain { Confidence::Certain } else { Confidence::Likely };
    let mut finding = Finding::new(Cause::ExitCode, confidence)
        .says(format!("{} of it ended by {signal} just before.", child.party()), [child])
        .says(
            format!("It ended by itself with code {code}, as a shell does whose command ended so."),
            [told],
        );
    finding.other = Some(child.party());
    Some(finding)
}

/// It ended by itself.
pub(super) fn exit<'t>(scene: &Scene<'_, 't>) -> Option<Finding<'t>> {
    /// From here on a code may stand for a signal: 128 + n.
    const SIGNALS: u8 = 129;
    let failed = || scene.result("exit-code");
    let well = || scene.result("success");
    let Some((status, item)) = scene.status else {
        let words = "systemd's verdict is exit-code.";
        let failed = by_result(failed(), Cause::ExitCode, Confidence::Likely, words);
        // systemd takes SIGHUP, SIGINT, SIGTERM and SIGPIPE for a clean end as well.
        let words = "systemd calls it success: code 0, SIGHUP, SIGINT, SIGTERM or SIGPIPE.";
        let well = || by_result(well(), Cause::CleanExit, Confidence::Possible, words);
        return failed.or_else(well);
    };
    let Status::Code(code) = status else { return None };
    let is_told = matches!(item.fact(), Some(Fact::Container(_) | Fact::Pod(_)));
    if is_told && code >= SIGNALS && !is_plain(scene, item) {
        return None;
    }
    let cause = if code == 0 { Cause::CleanExit } else { Cause::ExitCode };
    let mut finding = Finding::new(cause, Confidence::Certain)
        .says(format!("It ended by itself with code {code}."), [item])
        .says("systemd's verdict is exit-code.", failed())
        .says(
            "It had a limit on its address space; whether it was reached nobody says.",
            scene.address_limit().filter(|_| code != 0).map(|(item, _)| item),
        );
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

fn by_result<'t>(
    item: Option<&'t Item<'t>>,
    cause: Cause,
    confidence: Confidence,
    words: &str,
) -> Option<Finding<'t>> {
    let item = item?;
    Some(Finding::new(cause, confidence).says(words, [item]))
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
