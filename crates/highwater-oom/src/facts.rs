//! What the log alone states of each death, in the shape of `--json` (docs/manual/json.md): times
//! RFC 3339 in UTC, sizes in bytes, null where unknown.

use std::collections::HashMap;

use highwater_core::id::Pid;
use highwater_core::limit::Limit;
use highwater_core::units::Bytes;
use serde::Serialize;

use crate::badness::{Between, Certainty, Choice, Counterfactual, Standing};
use crate::cause::Cause;
use crate::report::{Constraint, Kill, OomReport, Task};

/// The facts of a log.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Facts {
    /// One entry for each killed process, in the order of the log.
    pub deaths: Vec<DeathFacts>,
}

/// The facts of one death.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DeathFacts {
    /// The wall clock at the kill line, RFC 3339.
    pub time: Option<String>,
    /// Seconds since boot at the kill line.
    pub boot_seconds: Option<f64>,
    /// What killed.
    pub cause: Cause,
    /// Who died.
    pub victim: VictimFacts,
    /// Who asked for memory.
    pub trigger: Option<TriggerFacts>,
    /// `none`, `memcg`, `cpuset`, `mempolicy`.
    pub constraint: Option<&'static str>,
    /// The memory cgroup.
    pub memcg: Option<MemcgFacts>,
    /// Who else died in the same episode; for a [`Turn::Further`] death the first of them.
    pub also_killed: Vec<Pid>,
    /// The task table; for a [`Turn::Further`] death its head and its own row.
    pub tasks: Vec<TaskFacts>,
    /// Why the kernel chose whom it chose; null where the log has no task table.
    pub choice: Option<ChoiceFacts>,
    /// What looked damaged.
    pub oddities: Vec<String>,
}

/// Who died.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the names are the facts")]
pub struct VictimFacts {
    pub pid: Option<Pid>,
    pub comm: Option<String>,
    pub uid: Option<u32>,
    pub total_vm_bytes: Option<Bytes>,
    pub anon_rss_bytes: Option<Bytes>,
    pub file_rss_bytes: Option<Bytes>,
    pub shmem_rss_bytes: Option<Bytes>,
    /// Only where the log gives one undivided RSS.
    pub rss_bytes: Option<Bytes>,
    pub pgtables_bytes: Option<Bytes>,
    pub swap_bytes: Option<Bytes>,
    pub oom_score: Option<i64>,
    pub oom_score_adj: Option<i32>,
}

/// Who asked.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the names are the facts")]
pub struct TriggerFacts {
    pub pid: Option<Pid>,
    pub comm: Option<String>,
    pub order: Option<i32>,
    pub gfp_mask: Option<String>,
}

/// The memory cgroup.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct MemcgFacts {
    /// The cgroup whose limit was reached.
    pub limit_owner: Option<String>,
    /// The cgroup of the victim.
    pub task: Option<String>,
    /// What the limit's owner used.
    pub usage_bytes: Option<Bytes>,
    /// Its limit; null where there is none.
    pub limit_bytes: Option<Bytes>,
    /// Its swap (v2 only: v1 counts memory and swap together).
    pub swap_usage_bytes: Option<Bytes>,
    /// Its limit of swap.
    pub swap_limit_bytes: Option<Bytes>,
    /// How often the limit was hit.
    pub failcnt: Option<u64>,
}

/// One row of the table.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct TaskFacts {
    /// The process.
    pub pid: Pid,
    /// Its name.
    pub comm: String,
    /// In RAM; null where the log does not show how large a page is.
    pub rss_bytes: Option<Bytes>,
    /// Thousandths of the memory that could be had.
    pub badness: Option<i64>,
    /// 1 for the one to die first.
    pub rank: Option<usize>,
}

/// The kernel's choice, computed again.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChoiceFacts {
    /// `exponential` (≤ 2.6.35), `resident-only` (2.6.36 to 3.5), `bonus` (3.6 to 4.14),
    /// `bonus-possible` (4.15 to 4.18), `plain` (≥ 4.17), `unknown`.
    pub rule: &'static str,
    /// The memory that could be had, of which scores are thousandths; null unless exactly known.
    pub total_bytes: Option<Bytes>,
    /// It was at least so much.
    pub total_at_least_bytes: Option<Bytes>,
    /// It was at most so much.
    pub total_at_most_bytes: Option<Bytes>,
    /// How the chosen one came to be chosen: `first`, `tied`, `within-doubt`, `allocating`,
    /// `first-was-dying`, `unexplained`, `not-listed`, `not-ranked`.
    pub outcome: &'static str,
    /// Of the outcome: `certain`, `likely`, `unknown`.
    pub certainty: &'static str,
    /// What the log would have to show for the outcome to be certain.
    pub missing: Vec<String>,
    /// Of the scores.
    pub score_certainty: &'static str,
    /// Whom the kernel chose; a child or a whole cgroup may have died for it.
    pub chosen: Option<CandidateFacts>,
    /// Who would have been next.
    pub runner_up: Option<CandidateFacts>,
    /// The score that the kernel printed for the chosen one.
    pub printed_score: Option<i64>,
    /// Whether the reckoning gives the same; null if it cannot be reckoned without it.
    pub printed_score_agrees: Option<bool>,
    /// What other adjustments would have changed.
    pub counterfactual: Vec<CounterfactualFacts>,
}

/// One that could have died.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CandidateFacts {
    /// The process.
    pub pid: Pid,
    /// Its name.
    pub comm: String,
    /// Thousandths of the memory that could be had; null where that is not exactly known.
    pub badness: Option<i64>,
}

/// With another adjustment, another had died.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CounterfactualFacts {
    /// `victim-at-zero`, `larger-at-zero`, `saving`.
    pub question: &'static str,
    /// Whose adjustment.
    pub pid: Pid,
    /// What it was.
    pub oom_score_adj: i32,
    /// What it would have been.
    pub oom_score_adj_instead: i32,
    /// Who would have died.
    pub dies: Pid,
}

/// So many killed before are remembered: what is dying is gone a few episodes later.
const DYING: usize = 64;

/// The facts of all reports of a log.
pub fn facts(reports: &[OomReport]) -> Facts {
    let mut deaths = Vec::new();
    let mut dying: Vec<Pid> = Vec::new();
    for report in reports {
        deaths.extend(of_report(report, &dying));
        dying.extend(report.kills.iter().filter_map(|kill| kill.pid));
        dying.drain(..dying.len().saturating_sub(DYING));
    }
    Facts { deaths }
}

/// Each death with the report it stands in, in the order of the log.
pub fn deaths(reports: &[OomReport]) -> impl Iterator<Item = (&OomReport, &Kill)> {
    reports.iter().flat_map(|report| report.kills.iter().map(move |kill| (report, kill)))
}

fn of_report(report: &OomReport, dying: &[Pid]) -> impl Iterator<Item = DeathFacts> {
    let choice = Choice::after(report, None, dying);
    let table = listed(report, &choice);
    let rows: HashMap<Pid, usize> =
        table.iter().enumerate().rev().map(|(at, task)| (task.pid, at)).collect();
    report.kills.iter().enumerate().map(move |(at, kill)| {
        let turn = if at == 0 { Turn::First } else { Turn::Further };
        let own = kill.pid.and_then(|pid| rows.get(&pid).copied());
        let tasks = turn.rows(&table, own).cloned().collect();
        of_kill(report, kill, tasks, &choice, turn)
    })
}

/// Whether a death is the first of its episode that is told of. A cgroup of thousands that dies as
/// a whole would make a table of thousands for each of thousands: only the first death has all of
/// it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It has the whole table, and all who died with it.
    First,
    /// It has the first [`AGAIN`] of both, and its own row.
    Further,
}

/// So many rows, and so many who died with it, does each further death of an episode have: more
/// than most cgroups have processes.
pub const AGAIN: usize = 32;

impl Turn {
    /// The rows of `table` that belong to a death whose own row is the one at `own`.
    pub fn rows<T>(self, table: &[T], own: Option<usize>) -> impl Iterator<Item = &T> {
        let own = own.filter(|own| *own >= self.most()).and_then(|own| table.get(own));
        table.iter().take(self.most()).chain(own)
    }

    const fn most(self) -> usize {
        match self {
            Self::First => usize::MAX,
            Self::Further => AGAIN,
        }
    }
}

/// The facts of one death of `report`, of whose table `tasks` are the rows that belong to it.
pub fn of_kill(
    report: &OomReport,
    kill: &Kill,
    tasks: Vec<TaskFacts>,
    choice: &Choice,
    turn: Turn,
) -> DeathFacts {
    let others = report.kills.iter().filter_map(|other| other.pid);
    DeathFacts {
        time: kill.wall.map(|wall| wall.to_string()),
        boot_seconds: kill.boot.map(highwater_core::time::BootTime::seconds),
        cause: report.cause(),
        victim: victim(kill),
        trigger: report.trigger.as_ref().map(|trigger| TriggerFacts {
            pid: trigger.value.pid,
            comm: trigger.value.comm.clone(),
            order: trigger.value.order,
            gfp_mask: trigger.value.gfp_mask.clone(),
        }),
        constraint: report.constraint.map(|constraint| name(constraint.value)),
        memcg: memcg(report),
        also_killed: others.filter(|pid| Some(*pid) != kill.pid).take(turn.most()).collect(),
        tasks,
        choice: of_choice(report, choice),
        oddities: report.oddities.iter().map(|odd| odd.what.clone()).collect(),
    }
}

fn victim(kill: &Kill) -> VictimFacts {
    VictimFacts {
        pid: kill.pid,
        comm: kill.comm.clone(),
        uid: kill.uid,
        total_vm_bytes: kill.total_vm,
        anon_rss_bytes: kill.anon_rss,
        file_rss_bytes: kill.file_rss,
        shmem_rss_bytes: kill.shmem_rss,
        rss_bytes: kill.rss,
        pgtables_bytes: kill.pgtables,
        swap_bytes: kill.swap,
        oom_score: kill.oom_score,
        oom_score_adj: kill.oom_score_adj,
    }
}

const fn name(constraint: Constraint) -> &'static str {
    match constraint {
        Constraint::None => "none",
        Constraint::Memcg => "memcg",
        Constraint::Cpuset => "cpuset",
        Constraint::Mempolicy => "mempolicy",
    }
}

fn memcg(report: &OomReport) -> Option<MemcgFacts> {
    let said = &report.memcg;
    let (memory, swap) = (said.memory.map(|c| c.value), said.swap.map(|c| c.value));
    let facts = MemcgFacts {
        limit_owner: said.limit_owner.as_ref().map(|owner| owner.value.clone()),
        task: said.task.as_ref().map(|task| task.value.clone()),
        usage_bytes: memory.and_then(|counter| counter.usage),
        limit_bytes: memory.and_then(|counter| counter.limit).and_then(Limit::at),
        swap_usage_bytes: swap.and_then(|counter| counter.usage),
        swap_limit_bytes: swap.and_then(|counter| counter.limit).and_then(Limit::at),
        failcnt: memory.and_then(|counter| counter.failcnt),
    };
    (facts != MemcgFacts::default()).then_some(facts)
}

/// The choice, where there is a table to choose from.
pub fn of_choice(report: &OomReport, choice: &Choice) -> Option<ChoiceFacts> {
    report.tasks.rows.first()?;
    let bytes = |pages: i64| {
        let pages = u64::try_from(pages).ok()?;
        Some(highwater_core::units::Pages::new(pages).bytes(choice.page.value?))
    };
    let total = choice.total.value;
    let candidate = |standing: &Standing| CandidateFacts {
        pid: standing.pid,
        comm: comm(report, standing),
        badness: standing.permille,
    };
    let reasons = |certainty: &Certainty| certainty.reasons().to_vec();
    Some(ChoiceFacts {
        rule: choice.rule.generation.as_str(),
        total_bytes: total.and_then(Between::exact).and_then(bytes),
        total_at_least_bytes: total.and_then(|total| bytes(total.least)),
        total_at_most_bytes: total.and_then(|total| bytes(total.most?)),
        outcome: choice.outcome.as_str(),
        certainty: choice.certainty.as_str(),
        missing: reasons(&choice.certainty),
        score_certainty: choice.score_certainty().as_str(),
        chosen: choice.chosen.as_ref().map(candidate),
        runner_up: choice.runner_up.as_ref().map(candidate),
        printed_score: choice.printed.map(|printed| printed.score),
        printed_score_agrees: choice.printed.and_then(|printed| printed.agrees),
        counterfactual: choice.counterfactuals.iter().map(counterfactual).collect(),
    })
}

fn comm(report: &OomReport, standing: &Standing) -> String {
    let row = report.tasks.rows.iter().find(|row| row.line == standing.line);
    row.map(|row| row.comm.clone()).unwrap_or_default()
}

const fn counterfactual(told: &Counterfactual) -> CounterfactualFacts {
    CounterfactualFacts {
        question: told.kind.as_str(),
        pid: told.whose.pid,
        oom_score_adj: told.from,
        oom_score_adj_instead: told.to,
        dies: told.instead.pid,
    }
}

/// The task table, in the order printed.
fn listed(report: &OomReport, choice: &Choice) -> Vec<TaskFacts> {
    let rows = report.tasks.rows.iter();
    rows.zip(&choice.standings).map(|(row, standing)| task(report, row, standing)).collect()
}

fn task(report: &OomReport, row: &Task, standing: &Standing) -> TaskFacts {
    let size = report.machine.page_size.map(|size| size.value);
    TaskFacts {
        pid: row.pid,
        comm: row.comm.clone(),
        rss_bytes: row.rss.zip(size).map(|(pages, size)| pages.bytes(size)),
        badness: standing.permille,
        rank: standing.rank,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_further_death_has_the_head_of_the_table_and_its_own_row() {
        let table: Vec<usize> = (0..AGAIN + 9).collect();
        let rows = |turn: Turn, own| turn.rows(&table, own).copied().collect::<Vec<_>>();
        assert_eq!(rows(Turn::First, Some(AGAIN + 3)), table);
        let further = rows(Turn::Further, Some(AGAIN + 3));
        assert_eq!((further.len(), further.last()), (AGAIN + 1, Some(&(AGAIN + 3))));
        assert_eq!(rows(Turn::Further, Some(3)).len(), AGAIN, "its row is in the head");
        assert_eq!(rows(Turn::Further, None).len(), AGAIN);
    }

    #[test]
    fn the_deaths_of_a_large_group_do_not_each_have_all_of_it() {
        let kill = |pid: usize| {
            let kill = format!("Killed process {pid} (x) total-vm:8kB, anon-rss:4kB, file-rss:0kB");
            format!("[    5.000001] Memory cgroup out of memory: {kill}\n")
        };
        let group =
            "[    5.000001] Tasks in /a are going to be killed due to memory.oom.group set\n";
        let log: String = kill(1) + group + &(2..=AGAIN + 9).map(kill).collect::<String>();
        let reports = crate::read(highwater_log::Stream::new(log.as_bytes()));
        let deaths = facts(&reports).deaths;
        assert_eq!(deaths.len(), AGAIN + 9);
        let also: Vec<usize> = deaths.iter().map(|death| death.also_killed.len()).collect();
        assert_eq!((also[0], also[1]), (AGAIN + 8, AGAIN));
    }
}
