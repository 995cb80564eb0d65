//! What did not run out, what had nowhere to go, and how it ended.

use highwater_core::evidence::Claim;
use highwater_core::limit::Limit;
use highwater_core::units::Bytes;
use highwater_oom::report::LineNumber;

use super::{Said, claim, said};
use crate::death::reason::Reason;
use crate::death::scene::Scene;
use crate::death::zones::{self, Shortage, ZoneState};
use crate::death::{Cause, Confidence};
use crate::words;

/// A kill line that names no cgroup, joined with what the recorder had seen.
pub(super) fn joined_from_record(scene: &Scene<'_>) -> Option<Claim> {
    let kill = scene.kill?;
    if scene.recorded.is_none() || !kill.bare {
        return None;
    }
    if let Some(owner) = scene.limit_owner.as_ref().filter(|told| told.evidence.line.is_none()) {
        let text = format!(
            "the kernel printed only the kill line (it limits how much it prints), so the cgroup comes from the recording: {}",
            words::place(&owner.value)
        );
        return claim(text, vec![scene.cite.line(kill.line), owner.evidence.clone()]);
    }
    let suspects = &scene.suspects;
    if suspects.is_empty() {
        return None;
    }
    let names: Vec<_> = suspects.iter().take(3).map(|told| words::place(&told.value)).collect();
    let text = format!(
        "which cgroup is unknown, because the process was never sampled; kill counters rose in {}",
        names.join(", ")
    );
    let counters = suspects.iter().take(3).map(|told| told.evidence.clone());
    claim(text, [scene.cite.line(kill.line)].into_iter().chain(counters).collect())
}

/// Free memory beyond this share of the machine is not a machine that has run out.
const PLENTY_PERMILLE: u32 = 50;

/// A cgroup's limit is not the machine running out; where that is on record, it is said.
pub(super) fn machine_had_memory(scene: &Scene<'_>) -> Option<Claim> {
    if !scene.is_memcg() {
        return None;
    }
    if let Some(available) = &scene.available {
        let text = format!(
            "the machine itself had memory left: {} available shortly before",
            available.value
        );
        return claim(text, vec![available.evidence.clone()]);
    }
    let machine = &scene.report.machine;
    let (page, line) = (scene.page_size?, machine.line?);
    let free = machine.pages("free")?.bytes(page);
    let ram = machine.ram?.value.bytes(page);
    if free.permille_of(ram)?.get() < PLENTY_PERMILLE {
        return None;
    }
    claim(format!("the machine itself had {free} free of {ram}"), vec![scene.cite.line(line)])
}

/// Why a machine with so many gigabytes ran out: its zones against their watermarks.
pub(super) fn why_global(scene: &Scene<'_>) -> Option<Claim> {
    if scene.verdict.0 != Cause::KernelOomGlobal {
        return None;
    }
    let states = zones::states(scene.report, scene.page_size);
    let short: Vec<&ZoneState> =
        states.iter().filter(|state| state.reachable && state.is_near_mark()).collect();
    // The first 16 MiB say nothing that the others do not.
    let alone = short.len() == 1;
    let short: Vec<_> = short.into_iter().filter(|state| state.name != "DMA" || alone).collect();
    let names: Vec<String> = short.iter().map(|state| zone_words(state)).collect();
    let text = format!(
        "free memory was at or near the watermark that is kept for emergencies: {}",
        names.join("; ")
    );
    claim(text, scene.cite.lines(short.iter().map(|state| state.line)))
}

fn zone_words(state: &ZoneState) -> String {
    let amount =
        |amount: Option<Bytes>| amount.map_or("unknown".to_owned(), |amount| amount.to_string());
    let reserve = state.reserve.filter(|kept| *kept > Bytes::ZERO);
    let reserve = reserve.map_or(String::new(), |kept| format!(" and {kept} kept back for others"));
    format!(
        "{} {} free, min {}{reserve}",
        zones::name(state),
        amount(state.free),
        amount(state.min)
    )
}

/// How an episode without a death, or beyond one, ended.
pub(super) fn ending(scene: &Scene<'_>) -> Option<Said> {
    let last = scene.report.endings.first()?;
    let evidence = scene.cite.lines(scene.report.endings.iter().map(|told| told.line).take(3));
    if last.value.contains("no killable") {
        let text = "every process in reach was exempt, dying already, or there was none: the kernel goes on trying, and tasks hang";
        return said(Reason::NothingToKill, Confidence::Certain, text.to_owned(), evidence);
    }
    let text = format!("it ended with \u{201c}{}\u{201d}", last.value.trim());
    claim(text, evidence).map(Said::from)
}

/// Whether swap could have helped.
pub(super) fn swap(scene: &Scene<'_>) -> Option<Said> {
    if scene.is_memcg() {
        return memcg_swap(scene);
    }
    let (total, free) = (scene.report.machine.swap_total?, scene.report.machine.swap_free?);
    let (reason, text) = match (total.value, free.value) {
        (Bytes::ZERO, _) => (
            Some(Reason::SwapAbsent),
            "the machine has no swap: anonymous memory could go nowhere".to_owned(),
        ),
        (total, free) if free.permille_of(total)?.get() < PLENTY_PERMILLE => {
            (Some(Reason::SwapExhausted), format!("swap was full as well: {free} free of {total}"))
        }
        (total, free) => (None, format!("swap was not full: {free} free of {total}")),
    };
    let claim = claim(text, scene.cite.lines([free.line, total.line]))?;
    let confidence = swap_part(scene);
    Some(Said { claim, reason: reason.and_then(|reason| Some((reason, confidence?))) })
}

/// What part swap had. More of it only moves the end of what grows without end; whether this did,
/// a report cannot tell. Where pieces or a zone were short it had hardly any, and none where
/// somebody decided to kill.
fn swap_part(scene: &Scene<'_>) -> Option<Confidence> {
    match scene.verdict.0 {
        Cause::KernelOomGlobal if matches!(scene.shortage(), Shortage::Whole) => {
            Some(Confidence::Likely)
        }
        Cause::KernelOomSysrq => None,
        cause if cause.is_program() => None,
        _ => Some(Confidence::Possible),
    }
}

fn memcg_swap(scene: &Scene<'_>) -> Option<Said> {
    let (reason, text, line) = memsw(scene).or_else(|| swap_alone(scene))?;
    let claim = claim(text, vec![scene.cite.line(line)])?;
    Some(Said { claim, reason: reason.map(|reason| (reason, Confidence::Possible)) })
}

type Words = (Option<Reason>, String, LineNumber);

/// v1 limits memory and swap together.
fn memsw(scene: &Scene<'_>) -> Option<Words> {
    let both = scene.report.memcg.memsw?;
    let (usage, limit) = (both.value.usage?, both.value.limit?.at()?);
    let memory_limit = scene.limit.as_ref().and_then(|told| told.value.at())?;
    let (reason, text) = match limit.saturating_sub(memory_limit) {
        Bytes::ZERO => (
            Reason::SwapAbsent,
            format!("it may not swap: memory and swap together are limited to the same {limit}"),
        ),
        _ if usage >= limit => (
            Reason::SwapExhausted,
            format!("its limit of memory and swap together, {limit}, was reached as well"),
        ),
        _ => return None,
    };
    Some((Some(reason), text, both.line))
}

fn swap_alone(scene: &Scene<'_>) -> Option<Words> {
    let swap = scene.report.memcg.swap.filter(|_| scene.report.memcg.memsw.is_none())?;
    let (reason, text) = match (swap.value.limit?, swap.value.usage?) {
        (Limit::At(Bytes::ZERO), _) => {
            (Some(Reason::SwapAbsent), "it may not swap: its swap limit is 0".to_owned())
        }
        (Limit::At(limit), usage) if usage >= limit => {
            (Some(Reason::SwapExhausted), format!("its swap, {limit}, was full as well"))
        }
        (limit, Bytes::ZERO) => {
            let text = format!(
                "it may swap ({limit}) but used none: the machine has no swap, or swappiness is 0"
            );
            (Some(Reason::SwapAbsent), text)
        }
        (limit, usage) => (None, format!("it used {usage} of swap, limit {limit}")),
    };
    Some((reason, text, swap.line))
}
