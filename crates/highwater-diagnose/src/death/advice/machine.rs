//! What to do when the machine ran out.

use highwater_core::owner::{Owner, is_container_id};
use highwater_core::units::Bytes;
use highwater_oom::report::Chosen;

use super::{Advice, is_manageable, mebibytes};
use crate::death::claims;
use crate::death::ranking::RankedTask;
use crate::death::scene::Scene;
use crate::death::zones::Shortage;
use crate::words;

pub(super) fn advice(scene: &Scene<'_>) -> Vec<Advice> {
    let mut advice = Vec::new();
    let asked = scene.report.selected.as_ref().is_some_and(|told| told.value.allocating);
    if asked || scene.kill.is_some_and(|kill| kill.chosen == Chosen::AsAllocator) {
        advice.push(Advice::new(
            "let the kernel choose by size again: now whoever happens to ask is killed",
            Some("sysctl -w vm.oom_kill_allocating_task=0".to_owned()),
        ));
    }
    match scene.shortage() {
        Shortage::Zones { plenty, .. } if plenty.name == "HighMem" => advice.push(Advice::new(
            "run a 64-bit kernel, which has no low memory to run out of; until then, see what takes it",
            Some("sort -rnk3 /proc/slabinfo | head; grep Low /proc/meminfo".to_owned()),
        )),
        Shortage::Zones { .. } => advice.push(Advice::new(
            "see how full each zone is, and who is bound to the short one",
            Some("numactl --hardware; cat /proc/buddyinfo".to_owned()),
        )),
        Shortage::Pieces { .. } => advice.push(Advice::new(
            "see how memory is split up; larger reserves keep larger pieces",
            Some("cat /proc/buddyinfo; sysctl vm.min_free_kbytes".to_owned()),
        )),
        // A limit on whoever died does not make the kernel, tmpfs or a pool give anything back.
        Shortage::Whole if claims::dominant(scene).is_some() => {}
        Shortage::Whole | Shortage::Unclear { .. } => match is_blameless(scene) {
            Some(true) => advice.extend(look_elsewhere(scene)),
            Some(false) => advice.push(limit_victim(scene)),
            None => {}
        },
    }
    if scene.report.machine.swap_total.is_some_and(|told| told.value == Bytes::ZERO) {
        advice.push(Advice::new(
            "without swap, idle memory has nowhere to go; a swap file buys time to react",
            None,
        ));
    }
    advice
}

/// Held next to nothing, or died for another: a limit on it would change nothing. `None` where
/// nothing tells whether what it held was little.
fn is_blameless(scene: &Scene<'_>) -> Option<bool> {
    /// So little may be all of a small machine, and is nothing on a large one.
    const LITTLE: Bytes = Bytes::from_mib(16);
    let Some(kill) = scene.kill else { return Some(true) };
    if died_for_another(scene) {
        return Some(true);
    }
    let Some((held, _)) = scene.held() else { return Some(false) };
    let held = held.saturating_add(kill.swap.unwrap_or_default());
    match is_sliver(scene, held) {
        None if held < LITTLE => None,
        sliver => Some(sliver.unwrap_or(false)),
    }
}

fn died_for_another(scene: &Scene<'_>) -> bool {
    scene.kill.is_some_and(|kill| matches!(kill.chosen, Chosen::AsChild | Chosen::AsAllocator))
}

/// Whether it is a small part of what could be had: of the machine and of what the others held.
fn is_sliver(scene: &Scene<'_>, held: Bytes) -> Option<bool> {
    /// Less than this share of the machine did not fill it.
    const OF_MACHINE: u64 = 20;
    /// Who held more than this share of what all programs held was the one to look at, however much
    /// of the machine the kernel has.
    const OF_TASKS: u64 = 4;
    let below = |all: Bytes, share: u64| held.get().saturating_mul(share) < all.get();
    let tasks: Bytes = scene.tasks().iter().map(RankedTask::held).sum();
    let others = scene.tasks().iter().any(|task| !task.killed);
    let of_tasks = (others && tasks > Bytes::ZERO).then_some(tasks);
    match (scene.ram(), of_tasks) {
        (Some(ram), Some(tasks)) => Some(below(ram, OF_MACHINE) && below(tasks, OF_TASKS)),
        (Some(ram), None) => Some(below(ram, OF_MACHINE)),
        (None, Some(tasks)) => Some(below(tasks, OF_MACHINE)),
        (None, None) => None,
    }
}

fn look_elsewhere(scene: &Scene<'_>) -> Option<Advice> {
    scene.kill?;
    let alive = |task: &&RankedTask| !task.killed;
    let largest = scene.tasks().iter().filter(alive).max_by_key(|task| task.rss);
    let own = scene.held().map(|(held, _)| held);
    let larger = largest.and_then(|task| Some((task, task.rss?)));
    let larger = larger.filter(|(_, rss)| own.is_none_or(|own| *rss > own));
    let name = scene.victim_name();
    let which = if died_for_another(scene) { "died for another" } else { "held next to nothing" };
    let text = match larger {
        Some((task, rss)) => format!(
            "look elsewhere than at {name}, which {which}: {} held {rss}",
            words::process(Some(&task.comm), Some(task.pid))
        ),
        None => format!("look elsewhere than at {name}, which {which}"),
    };
    Some(Advice::new(text, Some("highwater checkup".to_owned())))
}

fn limit_victim(scene: &Scene<'_>) -> Advice {
    let most = cap(scene).map(mebibytes);
    let task = scene.task_cgroup.as_ref().map(|told| Owner::of_path(&told.value));
    match task {
        Some(Owner::Unit(unit)) if is_manageable(&unit) => Advice::new(
            format!("give {unit} a limit of its own, so that it cannot take the machine with it"),
            most.map(|mib| format!("systemctl set-property {unit} MemoryMax={mib}M")),
        ),
        Some(Owner::Container(id)) if is_container_id(&id) => Advice::new(
            "give the container a limit, so that it cannot take the machine with it",
            most.map(|mib| {
                format!("docker update --memory {mib}m {}", id.get(..12).unwrap_or(&id))
            }),
        ),
        _ => Advice::new(
            match scene.held() {
                Some((held, _)) => format!(
                    "start {} under a limit below the {held} it held, so that it cannot take the machine with it",
                    scene.victim_name()
                ),
                None => format!("start {} under a limit", scene.victim_name()),
            },
            most.map(|mib| format!("systemd-run --scope -p MemoryMax={mib}M -- COMMAND")),
        ),
    }
}

/// A limit that would have held: below what the victim had, and well below the machine.
fn cap(scene: &Scene<'_>) -> Option<Bytes> {
    let (held, _) = scene.held()?;
    let below = Bytes::new(held.get() / 10 * 9);
    let most = scene.ram().map(|ram| Bytes::new(ram.get() / 4 * 3));
    Some(most.map_or(below, |most| below.min(most)))
}
