//! Why this process and not another.

use highwater_core::evidence::Claim;
use highwater_core::units::{Bytes, Pages};
use highwater_oom::report::Chosen;

use super::claim;
use crate::death::Cause;
use crate::death::ranking::RankedTask;
use crate::death::scene::Scene;
use crate::words;

/// Whether the victim was the largest, and if not, why it was chosen all the same.
pub(super) fn why_this_one(scene: &Scene<'_>) -> Option<Claim> {
    let kill = scene.kill?;
    let tasks = &scene.tasks;
    let victim = tasks.iter().find(|task| Some(task.pid) == kill.pid)?;
    let row_of = |line| scene.report.tasks.rows.iter().find(|row| row.line == line);
    let size = |task: &RankedTask| row_of(task.line).and_then(|row| row.rss).map(Pages::get);
    let largest = tasks.iter().max_by_key(|task| size(task))?;
    let text = match kill.chosen {
        Chosen::AsChild => "it was not chosen itself: it died as a child of the process with the highest score, as kernels before 5.1 do".to_owned(),
        Chosen::AsAllocator => "it died because it was the one that asked (vm.oom_kill_allocating_task), whatever the others held".to_owned(),
        Chosen::WithGroup if victim.rank != Some(1) => "it died with its cgroup (memory.oom.group); another process of it was chosen".to_owned(),
        _ => by_score(victim, largest, size(victim) == size(largest), tasks.len()),
    };
    claim(text, scene.cite.lines([victim.line, largest.line]))
}

fn by_score(victim: &RankedTask, largest: &RankedTask, is_largest: bool, of: usize) -> String {
    let name = &victim.comm;
    let score = victim.badness.map_or(String::new(), |score| format!(", score {score} ‰"));
    let adj = victim.oom_score_adj.filter(|adj| *adj != 0);
    if is_largest {
        let also = adj.map_or(String::new(), |adj| format!(", oom_score_adj {adj}"));
        if of == 1 {
            return format!("{name} was the only process in reach{score}{also}");
        }
        return format!(
            "{name} was the largest of {} listed{score}{also}",
            words::count(of, "process")
        );
    }
    let other = words::process(Some(&largest.comm), Some(largest.pid));
    let sizes = match (victim.rss, largest.rss) {
        (Some(own), Some(most)) => format!(" ({most} against {own})"),
        _ => String::new(),
    };
    let because = match (largest.oom_score_adj, adj) {
        (Some(-1000), _) => "it is exempt (oom_score_adj −1000)".to_owned(),
        (Some(theirs), _) if theirs < 0 => format!("its oom_score_adj is {theirs}"),
        (_, Some(own)) if own > 0 => format!("{name} had oom_score_adj {own}"),
        _ => "why is unknown, because the table shows no adjustment that explains it (it may have been dying already)".to_owned(),
    };
    let rank = victim.rank.map_or(String::new(), |rank| format!("; {name} ranks {rank} by score"));
    format!(
        "the largest process was not killed: {other} was larger{sizes}, but {because}{rank}{score}"
    )
}

/// `total_vm` frightens people and means nothing here.
pub(super) fn address_space(scene: &Scene<'_>) -> Option<Claim> {
    let kill = scene.kill?;
    let (space, (held, _)) = (kill.total_vm?, scene.held()?);
    let all = held.saturating_add(kill.swap.unwrap_or_default());
    if space < Bytes::from_mib(1024).max(all.saturating_add(all)) {
        return None;
    }
    let no_swap = scene.report.machine.swap_total.is_some_and(|told| told.value == Bytes::ZERO);
    let used = match kill.swap {
        Some(Bytes::ZERO) => format!("only {held} of it was memory"),
        Some(swap) => format!("only {held} of it was in RAM and {swap} in swap"),
        None if no_swap => format!("only {held} of it was memory"),
        None => format!("only {held} of it was in RAM (the log does not say how much in swap)"),
    };
    let text = format!("its address space (total-vm) of {space} is irrelevant: {used}");
    claim(text, vec![scene.cite.line(kill.line)])
}

/// Who happened to ask last is a bystander.
pub(super) fn asked_by_another(scene: &Scene<'_>) -> Option<Claim> {
    let trigger = scene.report.trigger.as_ref()?;
    let asker = trigger.value.comm.as_deref().filter(|comm| !comm.is_empty())?;
    let Some(kill) = scene.kill else {
        let asker = words::process(Some(asker), trigger.value.pid);
        return claim(format!("{asker} asked for memory"), vec![scene.cite.line(trigger.line)]);
    };
    let victim = kill.comm.as_deref()?;
    if asker == victim || scene.verdict.0 == Cause::KernelOomSysrq {
        return None;
    }
    let asker = words::process(Some(asker), trigger.value.pid);
    let text =
        format!("{asker} only happened to ask for memory at that moment; it is not to blame");
    claim(text, vec![scene.cite.line(trigger.line)])
}

/// Who else died in the same episode.
pub(super) fn with_others(scene: &Scene<'_>) -> Option<Claim> {
    let others = scene.report.kills.len().saturating_sub(1);
    scene.kill?;
    let text = match &scene.report.oom_group {
        Some(group) => format!(
            "the whole of cgroup {} was to die together (memory.oom.group): {} in this log",
            words::place(&group.value),
            words::count(scene.report.kills.len(), "death")
        ),
        None if others > 0 => {
            format!("{} died in the same episode", words::count(others, "other process"))
        }
        None => return None,
    };
    let lines: Vec<_> = match &scene.report.oom_group {
        Some(group) => vec![group.line],
        None => scene.report.kills.iter().take(3).map(|kill| kill.line).collect(),
    };
    claim(text, scene.cite.lines(lines))
}

/// Whether the victim's memory came back.
pub(super) fn reaper(scene: &Scene<'_>) -> Option<Claim> {
    let kill = scene.kill?;
    if let Some(line) = kill.reaper_failed {
        let text = "its memory could not be taken back at once (oom_reaper gave up), so more deaths may have followed".to_owned();
        return claim(text, vec![scene.cite.line(line)]);
    }
    let line = kill.reaped?;
    claim(
        "its memory was taken back at once by the oom_reaper".to_owned(),
        vec![scene.cite.line(line)],
    )
}
