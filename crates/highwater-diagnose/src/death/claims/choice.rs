//! Why this process and not another.

use highwater_core::evidence::{Claim, Evidence};
use highwater_core::units::{Bytes, Pages};
use highwater_oom::badness::{Choice, Counterfactual, Generation, Outcome, Question, Standing};
use highwater_oom::report::{Chosen, LineNumber};

use super::claim;
use crate::death::Cause;
use crate::death::ranking::{RankedTask, Ranking};
use crate::death::scene::Scene;
use crate::words;

/// Whether the victim came first, how far the next was behind, and if it did not, why it was
/// chosen all the same.
pub(super) fn why_this_one(scene: &Scene<'_>) -> Option<Claim> {
    let kill = scene.kill?;
    let seen = Seen::of(scene)?;
    let by_score = matches!(kill.chosen, Chosen::ByScore);
    let Some(victim) = seen.ranking.task(kill.pid) else {
        return seen.without_a_row(kill.chosen);
    };
    let largest = seen.ranking.largest()?;
    let (text, mut lines) = match kill.chosen {
        Chosen::AsChild => seen.as_child(),
        Chosen::AsAllocator => seen.as_allocator(victim),
        Chosen::WithGroup if victim.rank != Some(1) => (
            "it died with its cgroup (memory.oom.group); another process of it was chosen"
                .to_owned(),
            Vec::new(),
        ),
        _ if seen.held(victim) == seen.held(largest) => seen.largest_died(victim),
        _ => seen.smaller_died(victim, largest),
    };
    lines.splice(0..0, [victim.line, largest.line]);
    if by_score && seen.choice.chosen.is_some_and(|chosen| chosen.pid == victim.pid) {
        lines.extend(seen.choice.printed.map(|printed| printed.line));
    }
    claim(text, scene.cite.lines(lines))
}

/// Who would have died with another adjustment.
pub(super) fn what_if(scene: &Scene<'_>) -> Option<Claim> {
    let kill = scene.kill?;
    let seen = Seen::of(scene)?;
    // Of the one that the kernel chose; a bystander's fate hung on nothing of its own.
    seen.choice.chosen.filter(|chosen| Some(chosen.pid) == kill.pid)?;
    let told = &seen.choice.counterfactuals;
    let text: Vec<_> = told.iter().filter_map(|other| seen.counterfactual(other)).collect();
    let lines = told.iter().flat_map(|other| [other.whose.line, other.instead.line]);
    let lines: Vec<_> = lines.chain(seen.choice.total.lines.iter().copied()).collect();
    if text.is_empty() {
        return None;
    }
    claim(text.join("; "), seen.cite(lines))
}

/// What the ranking hangs on that the log does not show.
pub(super) fn how_sure(scene: &Scene<'_>) -> Option<Claim> {
    scene.kill?;
    let seen = Seen::of(scene)?;
    let reasons = seen.choice.certainty.reasons();
    if seen.ranking.tasks.is_empty() || reasons.is_empty() {
        return None;
    }
    let (reasons, kernels) = (reasons.join("; "), seen.choice.rule.generation.kernels());
    let text = match seen.choice.rule.generation {
        Generation::Exponential => format!(
            "why this one and not another cannot be reckoned: the log does not show {reasons}"
        ),
        _ if seen.choice.certainty.as_str() == "unknown" => format!(
            "who ranks first cannot be reckoned for certain (kernels {kernels}): the log does not show {reasons}"
        ),
        _ => format!("the ranking is likely, not certain: {reasons}"),
    };
    Some(Claim { text, evidence: Vec::new() })
}

/// The scene, and the choice in it.
struct Seen<'a> {
    scene: &'a Scene<'a>,
    ranking: &'a Ranking,
    choice: &'a Choice,
}

impl<'a> Seen<'a> {
    fn of(scene: &'a Scene<'a>) -> Option<Self> {
        let ranking = scene.ranking.as_deref()?;
        Some(Self { scene, ranking, choice: &ranking.choice })
    }

    /// Each line once, in the order given.
    fn cite(&self, lines: Vec<LineNumber>) -> Vec<Evidence> {
        let mut once: Vec<LineNumber> = Vec::new();
        for line in lines {
            if !once.contains(&line) {
                once.push(line);
            }
        }
        self.scene.cite.lines(once)
    }

    fn standing(&self, task: &RankedTask) -> Option<&Standing> {
        self.ranking.standing_at(task.line)
    }

    fn task(&self, standing: &Standing) -> Option<&RankedTask> {
        self.ranking.task_at(standing.line)
    }

    /// What the log shows that a task held, in pages.
    fn held(&self, task: &RankedTask) -> i64 {
        self.standing(task).map_or(0, Standing::own_at_least)
    }

    fn name(&self, standing: &Standing) -> String {
        let comm = self.task(standing).map(|task| task.comm.as_str());
        words::process(comm, Some(standing.pid))
    }

    /// Pages as an amount.
    fn amount(&self, pages: i64) -> Option<Bytes> {
        Some(Pages::new(u64::try_from(pages).ok()?).bytes(self.choice.page.value?))
    }

    /// A child of the chosen one, or one of many, need not be in the table.
    fn without_a_row(&self, chosen: Chosen) -> Option<Claim> {
        let (text, lines) = match chosen {
            Chosen::AsChild => self.as_child(),
            _ => return None,
        };
        claim(text, self.cite(lines))
    }

    fn as_child(&self) -> (String, Vec<LineNumber>) {
        let parent = self.scene.report.selected.as_ref();
        let (who, line) = match (parent, self.choice.chosen) {
            (Some(told), _) if told.value.pid.is_some() || told.value.comm.is_some() => {
                let name = words::process(told.value.comm.as_deref(), told.value.pid);
                let score = told.value.score.map_or(String::new(), |s| format!(", score {s}"));
                (format!("{name}{score}"), Some(told.line))
            }
            (_, Some(chosen)) => (self.name(&chosen), Some(chosen.line)),
            _ => ("a process the log does not name".to_owned(), None),
        };
        let text = format!(
            "it was not chosen itself: it died as a child of the process with the highest score, as kernels before 5.1 do: {who}"
        );
        (text, line.into_iter().collect())
    }

    fn as_allocator(&self, victim: &RankedTask) -> (String, Vec<LineNumber>) {
        let first = self.choice.first().filter(|first| first.line != victim.line);
        let by_score = first.map_or(String::new(), |first| {
            format!("; by score it would have been {}", self.name(first))
        });
        let text = format!(
            "it died because it was the one that asked (vm.oom_kill_allocating_task), whatever the others held{by_score}"
        );
        (text, first.map(|first| first.line).into_iter().collect())
    }

    fn largest_died(&self, victim: &RankedTask) -> (String, Vec<LineNumber>) {
        let (name, of) = (&victim.comm, self.ranking.tasks.len());
        let score = score(victim);
        let adj = victim.oom_score_adj.filter(|adj| *adj != 0);
        let also = adj.map_or(String::new(), |adj| format!(", oom_score_adj {}", signed(adj)));
        if of == 1 {
            return (format!("{name} was the only process in reach{score}{also}"), Vec::new());
        }
        let of = words::count(of, "process");
        let (next, line) = self.next(victim).unwrap_or_default();
        let passed = match self.choice.outcome {
            Outcome::First | Outcome::Allocating => String::new(),
            _ => self.passed_over(),
        };
        let by_hand = match self.scene.verdict.0 {
            Cause::KernelOomSysrq => "; a kill by hand goes by the same scores",
            _ => "",
        };
        (format!("{name} was the largest of {of} listed{score}{also}{next}{passed}{by_hand}"), line)
    }

    /// Who came next, and how far behind.
    fn next(&self, victim: &RankedTask) -> Option<(String, Vec<LineNumber>)> {
        let next =
            self.choice.runner_up.filter(|next| next.rank.is_some() && next.rank > victim.rank)?;
        let victim = self.standing(victim)?;
        let task = self.task(&next)?;
        let adj = task.oom_score_adj.filter(|adj| *adj != 0);
        let adj = adj.map_or(String::new(), |adj| format!(", oom_score_adj {}", signed(adj)));
        let score = score(task) + &adj;
        let behind = victim.points.zip(next.points).map(|(one, two)| one.saturating_sub(two));
        let margin = behind.and_then(|behind| self.amount(behind));
        let margin = margin.map_or(String::new(), |margin| format!(", {margin} behind"));
        Some((format!("; next was {}{score}{margin}", self.name(&next)), vec![next.line]))
    }

    fn smaller_died(&self, victim: &RankedTask, largest: &RankedTask) -> (String, Vec<LineNumber>) {
        let name = &victim.comm;
        let adj = victim.oom_score_adj.filter(|adj| *adj != 0);
        let because = match (largest.oom_score_adj, adj) {
            _ if largest.exempt => match largest.oom_score_adj {
                Some(-1000) => "it is exempt (oom_score_adj −1000)".to_owned(),
                _ => "it is exempt".to_owned(),
            },
            (Some(theirs), _) if theirs < 0 => format!("its oom_score_adj is {}", signed(theirs)),
            (_, Some(own)) if own > 0 => format!("{name} had oom_score_adj {own}"),
            _ => "why is unknown, because the table shows no adjustment that explains it (it may have been dying already)".to_owned(),
        };
        let other = words::process(Some(&largest.comm), Some(largest.pid));
        let sizes = self.sizes(victim, largest);
        let rank =
            victim.rank.map_or(String::new(), |rank| format!("; {name} ranks {rank} by score"));
        let (next, line) = self.next(victim).unwrap_or_default();
        let passed = match victim.comm.as_str() {
            "swapoff" => "; a process that runs swapoff goes first".to_owned(),
            _ => self.passed_over(),
        };
        let score = score(victim);
        (
            format!(
                "the largest process was not killed: {other} was larger{sizes}, but {because}{rank}{score}{passed}{next}"
            ),
            line,
        )
    }

    fn sizes(&self, victim: &RankedTask, largest: &RankedTask) -> String {
        let sizes = self.amount(self.held(largest)).zip(self.amount(self.held(victim)));
        sizes.map_or(String::new(), |(most, own)| format!(" ({most} against {own})"))
    }

    /// Why those that rank higher did not die.
    fn passed_over(&self) -> String {
        let first = self.choice.first().map(|first| self.name(first)).unwrap_or_default();
        match self.choice.outcome {
            Outcome::FirstWasDying(_) => {
                format!("; {first}, who ranks first, had been killed just before")
            }
            Outcome::Tied => format!("; {first} had as many points"),
            Outcome::WithinDoubt => format!(
                "; {first} ranks first unless it had CAP_SYS_ADMIN, for which kernels before 4.17 took 3 % off"
            ),
            Outcome::Unexplained => format!(
                "; why {first}, who ranks first, was passed over no line shows (it may have been dying already, which the table does not tell)"
            ),
            _ => String::new(),
        }
    }

    fn counterfactual(&self, other: &Counterfactual) -> Option<String> {
        let whose = self.name(&other.whose);
        let were = format!(
            "if the oom_score_adj of {whose} were {} instead of {}",
            signed(other.to),
            signed(other.from)
        );
        let instead = self.name(&other.instead);
        match other.kind {
            Question::VictimAtZero if other.whose.line == other.instead.line => {
                Some(format!("{were}, it would have died all the same"))
            }
            Question::LargerAtZero => Some(format!("{were}, it would have died")),
            Question::Saving if is_sliver(other) => None,
            Question::VictimAtZero | Question::Saving => {
                Some(format!("{were}, {instead} would have died in its place"))
            }
        }
    }
}

/// To spare the victim for one that holds next to nothing helps nobody.
fn is_sliver(other: &Counterfactual) -> bool {
    /// Less than a twentieth.
    const SLIVER: i64 = 20;
    other.instead.own_at_least().saturating_mul(SLIVER) < other.whose.own_at_least()
}

fn score(task: &RankedTask) -> String {
    task.badness.map_or(String::new(), |score| format!(", score {score} ‰"))
}

/// With a minus that is one.
fn signed(adj: i32) -> String {
    if adj < 0 { format!("−{}", adj.unsigned_abs()) } else { adj.to_string() }
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
    let row = asking_row(scene, asker, trigger.value.pid);
    let asker = words::process(Some(asker), trigger.value.pid);
    let mut evidence = vec![scene.cite.line(trigger.line)];
    let text = match row.map(|row| (row, held_beside(scene, row))) {
        None => format!("{asker} asked for memory; what it held itself no line shows"),
        Some((_, (held, Some(died)))) if held.get().saturating_mul(SMALL) < died.get() => {
            format!("{asker} only happened to ask for memory at that moment; it is not to blame")
        }
        Some((row, (held, died))) => {
            evidence.push(scene.cite.line(row.line));
            let more = died.is_some_and(|died| held > died);
            let more = if more { ", more than the one that died" } else { "" };
            let itself = if held == Bytes::ZERO {
                String::new()
            } else {
                format!("; it held {held} itself{more}")
            };
            format!("{asker} asked for memory{itself}")
        }
    };
    claim(text, evidence)
}

/// An asker with less than this part of what the victim held did not fill the memory.
const SMALL: u64 = 10;

/// The row of whoever asked: by its pid, else the only one of its name.
fn asking_row<'s>(
    scene: &'s Scene<'_>,
    name: &str,
    pid: Option<highwater_core::id::Pid>,
) -> Option<&'s RankedTask> {
    if let Some(pid) = pid {
        return scene.tasks().iter().find(|task| task.pid == pid);
    }
    let mut named = scene.tasks().iter().filter(|task| task.comm == name);
    named.next().filter(|_| named.next().is_none())
}

/// What the asker held, and the victim.
fn held_beside(scene: &Scene<'_>, asker: &RankedTask) -> (Bytes, Option<Bytes>) {
    let pid = scene.kill.and_then(|kill| kill.pid);
    let victim = scene.tasks().iter().find(|task| Some(task.pid) == pid);
    let swap = scene.kill.and_then(|kill| kill.swap).unwrap_or_default();
    let of_kill = scene.held().map(|(held, _)| held.saturating_add(swap));
    (asker.held(), victim.map(RankedTask::held).or(of_kill))
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
