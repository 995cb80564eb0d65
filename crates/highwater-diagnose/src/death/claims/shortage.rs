//! What ran out, and what did not.

use highwater_core::evidence::Claim;
use highwater_core::limit::Limit;
use highwater_core::units::Bytes;
use highwater_oom::report::{Cited, Constraint, Zone};

use super::claim;
use crate::death::Cause;
use crate::death::scene::Scene;
use crate::death::zones::{self, Shortage};
use crate::words;

/// The bound that was reached, in the kernel's own words.
pub(super) fn what_ran_out(scene: &Scene<'_>) -> Option<Claim> {
    let constraint = scene.report.constraint;
    let kill_line = scene.kill.map(|kill| kill.line);
    let mut evidence = scene.cite.lines(constraint.map(|told| told.line).or(kill_line));
    let text = match scene.verdict.0 {
        Cause::KernelOomMemcg => {
            evidence.extend(scene.limit_owner.as_ref().map(|told| told.evidence.clone()));
            evidence.extend(scene.limit.as_ref().map(|told| told.evidence.clone()));
            memcg_words(scene)
        }
        Cause::KernelOomGlobal => {
            let shortage = scene.shortage();
            if let Shortage::Zones { short, plenty } = &shortage {
                let zones = short.iter().chain([plenty]).map(|told| told.line);
                evidence.extend(scene.cite.lines(zones));
            }
            machine_words(&shortage)
        }
        Cause::KernelOomCpuset => nodes_words(scene, "the cpuset"),
        Cause::KernelOomMempolicy => nodes_words(scene, "the process's NUMA policy"),
        Cause::KernelOomSysrq => {
            evidence = scene.cite.lines(scene.report.trigger.as_ref().map(|told| told.line));
            "order −1 is a request by hand: f written to /proc/sysrq-trigger, or the key".to_owned()
        }
        Cause::SystemdOomd | Cause::Earlyoom | Cause::Nohang | Cause::Oomd => {
            evidence = scene.cite.lines(kill_line);
            "the kernel killed nothing: a program in user space decided this".to_owned()
        }
        Cause::Lowmemorykiller | Cause::Unknown => return None,
    };
    evidence.dedup();
    claim(text, evidence)
}

fn machine_words(shortage: &Shortage) -> String {
    let Shortage::Zones { short, plenty } = shortage else {
        return match shortage {
            Shortage::Pieces { .. } => "no cgroup's limit was involved".to_owned(),
            _ => "the machine as a whole ran out: no cgroup's limit was involved".to_owned(),
        };
    };
    let free =
        |zone: &Zone| format!("{} {}", zones::name(zone), zone.get("free").unwrap_or_default());
    let low: Vec<String> = short.iter().map(|told| free(&told.value)).collect();
    let high = if plenty.value.name == "HighMem" {
        "; a 32-bit kernel cannot keep its own objects in high memory"
    } else {
        ""
    };
    format!(
        "no cgroup's limit was involved, and the machine as a whole had not run out: free were {}, but {}{high}",
        low.join(", "),
        free(&plenty.value)
    )
}

fn memcg_words(scene: &Scene<'_>) -> String {
    let place = match &scene.limit_owner {
        Some(owner) => format!("cgroup {}", words::place(&owner.value)),
        None => "a memory cgroup that the log does not name".to_owned(),
    };
    let limit = scene.limit.as_ref().map(|told| told.value);
    let usage = scene.usage.as_ref().map(|told| told.value);
    let bound = match (limit, usage) {
        (Some(Limit::At(limit)), Some(usage)) => format!(": {usage} used of {limit}"),
        (Some(Limit::At(limit)), None) => format!(": {limit}"),
        _ => String::new(),
    };
    let above = match (&scene.limit_owner, &scene.task_cgroup) {
        (Some(owner), Some(task)) if owner.value != task.value && !task.value.is_empty() => {
            format!("; the victim ran in {} below it", words::place(&task.value))
        }
        _ => String::new(),
    };
    format!("the limit that was reached belongs to {place}{bound}{above}")
}

fn nodes_words(scene: &Scene<'_>, whose: &str) -> String {
    let nodes = scene.report.summary.as_ref().and_then(|told| told.value.mems_allowed.as_deref());
    match nodes {
        Some(nodes) => format!(
            "only memory node {nodes}, which {whose} allows, ran out; victims come from every process on it"
        ),
        None => format!("only the memory nodes that {whose} allows ran out"),
    }
}

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

/// Why a machine with so many gigabytes ran out: zones below their watermarks, or a request for
/// one large piece.
pub(super) fn why_global(scene: &Scene<'_>) -> Option<Claim> {
    if !matches!(scene.report.constraint?.value, Constraint::None)
        || scene.verdict.0 != Cause::KernelOomGlobal
    {
        return None;
    }
    let zones = &scene.report.machine.zones;
    let is_short = |told: &&Cited<Zone>| zones::is_short(&told.value);
    let short: Vec<&Cited<Zone>> = zones.iter().filter(is_short).collect();
    if let Shortage::Pieces { order } = scene.shortage() {
        let lines = zones.iter().map(|told| told.line);
        let text = format!(
            "every zone had free memory above its min watermark, but the request was for 2^{order} pages in one piece: memory was fragmented, not used up"
        );
        let trigger = scene.report.trigger.as_ref().map(|told| told.line);
        return claim(text, scene.cite.lines(trigger.into_iter().chain(lines)));
    }
    let names: Vec<String> = short.iter().map(|told| zone_words(&told.value)).collect();
    let text = format!(
        "free memory was at or near the watermark that is kept for emergencies: {}",
        names.join("; ")
    );
    claim(text, scene.cite.lines(short.iter().map(|told| told.line)))
}

fn zone_words(zone: &Zone) -> String {
    let amount = |name| zone.get(name).map_or("unknown".to_owned(), |amount| amount.to_string());
    format!("{} {} free, min {}", zones::name(zone), amount("free"), amount("min"))
}

/// How an episode without a death, or beyond one, ended.
pub(super) fn ending(scene: &Scene<'_>) -> Option<Claim> {
    let last = scene.report.endings.first()?;
    let text = if last.value.contains("no killable") {
        "every process in reach was exempt, dying already, or there was none: the kernel goes on trying, and tasks hang".to_owned()
    } else {
        format!("it ended with \u{201c}{}\u{201d}", last.value.trim())
    };
    claim(text, scene.cite.lines(scene.report.endings.iter().map(|told| told.line).take(3)))
}

/// Whether swap could have helped.
pub(super) fn swap(scene: &Scene<'_>) -> Option<Claim> {
    if scene.is_memcg() {
        return memcg_swap(scene);
    }
    let (total, free) = (scene.report.machine.swap_total?, scene.report.machine.swap_free?);
    let text = match (total.value, free.value) {
        (Bytes::ZERO, _) => "the machine has no swap: anonymous memory could go nowhere".to_owned(),
        (total, free) if free.permille_of(total)?.get() < PLENTY_PERMILLE => {
            format!("swap was full as well: {free} free of {total}")
        }
        (total, free) => format!("swap was not full: {free} free of {total}"),
    };
    claim(text, scene.cite.lines([free.line, total.line]))
}

fn memcg_swap(scene: &Scene<'_>) -> Option<Claim> {
    let memcg = &scene.report.memcg;
    if let Some(both) = memcg.memsw {
        let (usage, limit) = (both.value.usage?, both.value.limit?.at()?);
        let memory_limit = scene.limit.as_ref().and_then(|told| told.value.at())?;
        let text = match limit.saturating_sub(memory_limit) {
            Bytes::ZERO => {
                format!("it may not swap: memory and swap together are limited to the same {limit}")
            }
            _ if usage >= limit => {
                format!("its limit of memory and swap together, {limit}, was reached as well")
            }
            _ => return None,
        };
        return claim(text, vec![scene.cite.line(both.line)]);
    }
    let swap = memcg.swap?;
    let text = match (swap.value.limit?, swap.value.usage?) {
        (Limit::At(Bytes::ZERO), _) => "it may not swap: its swap limit is 0".to_owned(),
        (Limit::At(limit), usage) if usage >= limit => {
            format!("its swap, {limit}, was full as well")
        }
        (limit, Bytes::ZERO) => {
            format!(
                "it may swap ({limit}) but used none: the machine has no swap, or swappiness is 0"
            )
        }
        (limit, usage) => format!("it used {usage} of swap, limit {limit}"),
    };
    claim(text, vec![scene.cite.line(swap.line)])
}

/// The limit did not come as a surprise.
pub(super) fn how_often(scene: &Scene<'_>) -> Option<Claim> {
    /// Every charge that has to wait counts, so that a single climb makes some hundreds.
    const OFTEN: u64 = 1000;
    let memory = scene.report.memcg.memory.filter(|_| scene.is_memcg())?;
    let count = memory.value.failcnt.filter(|count| *count >= OFTEN)?;
    let text = format!(
        "usage had bumped into this limit {count} times: the cgroup lived at its limit, reclaiming"
    );
    claim(text, vec![scene.cite.line(memory.line)])
}
