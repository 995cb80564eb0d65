//! The one plain sentence.

use highwater_core::limit::Limit;
use highwater_core::units::Bytes;
use highwater_oom::report::Chosen;

use super::claims::program;
use super::makeup::Kind;
use super::reason::Reason;
use super::scene::Scene;
use super::{Cause, claims};
use crate::words;

/// What happened, in one sentence for somebody who was asleep a minute ago.
pub(super) fn of(scene: &Scene<'_>) -> String {
    if scene.kill.is_none() {
        return without_kill(scene);
    }
    let killer = match scene.verdict.0 {
        Cause::SystemdOomd => "systemd-oomd",
        Cause::Earlyoom => "earlyoom",
        Cause::Nohang => "nohang",
        Cause::Oomd => "oomd",
        Cause::Lowmemorykiller => "Android's low memory killer",
        _ => "The kernel",
    };
    format!("{killer} killed {}{}: {}.", victim(scene), company(scene), reason(scene))
}

/// systemd-oomd and oomd kill cgroups and name no process.
fn victim(scene: &Scene<'_>) -> String {
    let unnamed = scene.kill.is_some_and(|kill| kill.pid.is_none() && kill.comm.is_none());
    let place = scene.task_cgroup.as_ref().filter(|_| unnamed && scene.verdict.0.is_program());
    place.map_or_else(
        || scene.victim(),
        |told| format!("all processes of cgroup {}", words::place(&told.value)),
    )
}

/// Who died with it.
fn company(scene: &Scene<'_>) -> String {
    let others = scene.report.kills.len().saturating_sub(1);
    let with_group = scene.report.oom_group.is_some()
        || scene.kill.is_some_and(|k| k.chosen == Chosen::WithGroup);
    if others > 0 && with_group {
        format!(" with {} of its cgroup", words::count(others, "other task"))
    } else {
        String::new()
    }
}

fn reason(scene: &Scene<'_>) -> String {
    let what = match scene.verdict.0 {
        Cause::KernelOomMemcg => limit_reached(scene),
        Cause::KernelOomGlobal => machine(scene),
        Cause::KernelOomCpuset => {
            "the memory nodes that a cpuset allows ran out, not the machine".to_owned()
        }
        Cause::KernelOomMempolicy => {
            "the memory nodes of a NUMA policy ran out, not the machine".to_owned()
        }
        Cause::KernelOomSysrq => {
            "somebody asked for it through sysrq; memory need not have been short".to_owned()
        }
        Cause::SystemdOomd => of_oomd(scene),
        Cause::Earlyoom => match program::reason_given(scene) {
            Some(words) => format!("it said \u{201c}{words}\u{201d}"),
            None => "free memory fell below its threshold".to_owned(),
        },
        Cause::Nohang => match program::reason_given(scene) {
            Some(words) => format!("it said \u{201c}{words}\u{201d}"),
            None => "memory, swap or pressure passed its threshold".to_owned(),
        },
        Cause::Oomd => match &scene.task_cgroup {
            Some(place) => format!("its rules chose cgroup {}", words::place(&place.value)),
            None => "one of its rules fired".to_owned(),
        },
        Cause::Lowmemorykiller => {
            "it was the least important process when free memory fell below a threshold".to_owned()
        }
        Cause::Unknown => {
            return format!(
                "why is unknown, because the log has only the kill line{}",
                held(scene)
            );
        }
    };
    format!("{what}{}", held(scene))
}

/// systemd-oomd acts on two things, and its kill line says which.
fn of_oomd(scene: &Scene<'_>) -> String {
    let place = scene.task_cgroup.as_ref().map(|told| words::place(&told.value));
    let told = program::reason_given(scene).unwrap_or_default();
    match (place, told) {
        (_, told) if told.contains("swap used") && !told.contains("memory used") => {
            format!("swap was above its limit{}", limit_of_oomd(&told))
        }
        (_, told) if told.contains("swap used") => {
            format!("memory and swap were above its limit{}", limit_of_oomd(&told))
        }
        (Some(place), told) if told.contains("pressure") => {
            let named = scene.kill.is_some_and(|kill| kill.pid.is_some() || kill.comm.is_some());
            let it = if named { format!("cgroup {place}") } else { "it".to_owned() };
            format!("{it} was under pressure")
        }
        (Some(_), _) => "why its line does not say".to_owned(),
        (None, _) => "it judged that memory was running out".to_owned(),
    }
}

/// ` of 20.00 %`, from `… being more than 20.00%`.
fn limit_of_oomd(told: &str) -> String {
    let limit = told.rsplit_once("more than ").map(|(_, limit)| limit.trim_end_matches('%'));
    let number = limit.filter(|limit| limit.parse::<f64>().is_ok());
    number.map_or(String::new(), |limit| format!(" of {limit} %"))
}

/// Where one holder alone took most of the machine, that is half of the answer.
fn machine(scene: &Scene<'_>) -> String {
    let shortage = scene.shortage().words();
    match claims::dominant(scene) {
        Some(Reason::KernelMemory) => format!("{shortage}, most of it held by the kernel itself"),
        Some(Reason::SharedMemory) => {
            format!("{shortage}, most of it held by tmpfs and shared memory")
        }
        Some(Reason::HugePagePool) => {
            format!("{shortage}, most of it kept in a pool of huge pages that nobody used")
        }
        _ => shortage,
    }
}

fn limit_reached(scene: &Scene<'_>) -> String {
    let place = match &scene.limit_owner {
        Some(owner) => format!("cgroup {}", words::place(&owner.value)),
        None => "its memory cgroup".to_owned(),
    };
    match scene.limit.as_ref().map(|told| told.value) {
        Some(Limit::At(limit)) => format!("{place} reached its {limit} limit"),
        _ => format!("{place} reached its limit"),
    }
}

/// What the victim held: most of the answer to "was it its own fault".
fn held(scene: &Scene<'_>) -> String {
    if let Some(shared) = mostly_shared(scene) {
        return shared;
    }
    let Some((amount, what)) = scene.held() else { return String::new() };
    let name = scene.victim_name();
    let limit = scene.limit.as_ref().and_then(|told| told.value.at()).filter(|_| scene.is_memcg());
    if let Some(swap) = scene.swapped() {
        return format!(", and {name} held {amount} in RAM and {swap} in swap");
    }
    // Memory that was charged before the process came here, or elsewhere, is no part of it.
    match limit.filter(|limit| amount <= *limit) {
        Some(limit) if is_all(amount, limit) => {
            format!(", and practically all of it was {name}'s own {what}")
        }
        Some(_) => format!(", and {amount} of it was {name}'s own {what}"),
        None => format!(", and {name} held {amount} of {what}"),
    }
}

/// Of a cgroup that is full of files in memory, what the victim held is the smaller part.
fn mostly_shared(scene: &Scene<'_>) -> Option<String> {
    const MOST_PERMILLE: u32 = 500;
    let makeup = scene.makeup.as_ref().filter(|_| scene.is_memcg())?;
    let own = scene.held().map(|(held, what)| (held, what, scene.victim_name()));
    let shared = makeup.amount(Kind::Shmem);
    let share = shared.permille_of(makeup.total).filter(|share| share.get() >= MOST_PERMILLE)?;
    if scene.makeup_is_of_victim() || own.as_ref().is_some_and(|(held, ..)| *held >= shared) {
        return None;
    }
    let own =
        own.map_or(String::new(), |(held, what, name)| format!("; {held} was {name}'s own {what}"));
    Some(format!(", and {share} of it was shared memory or tmpfs ({shared}){own}"))
}

/// A dump of the machine's memory, and nothing else.
fn is_dump(scene: &Scene<'_>) -> bool {
    let asker = scene.report.trigger.as_ref().and_then(|told| told.value.comm.as_deref());
    scene.report.endings.is_empty() && asker.is_none_or(str::is_empty)
}

/// So near the limit, two amounts beside each other would only puzzle.
fn is_all(amount: Bytes, limit: Bytes) -> bool {
    const ALL_PERMILLE: u32 = 980;
    amount.permille_of(limit).is_some_and(|share| share.get() >= ALL_PERMILLE)
}

fn without_kill(scene: &Scene<'_>) -> String {
    if let Some(first) = scene.report.candidates.first() {
        return format!(
            "systemd-oomd looked for a cgroup to kill, and {} came first; this list alone does not say whether it killed.",
            words::place(&first.value.path)
        );
    }
    let place = match (scene.verdict.0, &scene.limit_owner) {
        (Cause::KernelOomMemcg, None) => {
            "a memory cgroup that the log does not name reached its limit".to_owned()
        }
        (Cause::KernelOomMemcg, _) => limit_reached(scene),
        (_, Some(owner)) => format!("cgroup {} ran out of memory", words::place(&owner.value)),
        (Cause::KernelOomGlobal, None) => machine(scene),
        (Cause::Unknown, None) if is_dump(scene) => {
            return "This log shows a memory report of the kernel; why it was printed is unknown, because no line says that memory ran out or that anything was killed.".to_owned();
        }
        _ => "memory ran out".to_owned(),
    };
    let mut sentence = place;
    if let Some(first) = sentence.get_mut(0..1) {
        first.make_ascii_uppercase();
    }
    match scene.report.endings.first() {
        Some(ending) if ending.value.contains("no killable") => {
            format!("{sentence}, and the kernel found no process that it may kill.")
        }
        Some(ending) => {
            format!("{sentence}; it ended with \u{201c}{}\u{201d}.", ending.value.trim())
        }
        None if sentence.contains(", but ") => {
            format!("{sentence}; no line says that anything was killed.")
        }
        None => format!("{sentence}, but no line says that anything was killed."),
    }
}
