//! Who could have been chosen: the task table, the likeliest victim first.

use std::collections::HashMap;

use highwater_core::id::Pid;
use highwater_core::units::{Bytes, PageSize, Pages};
use highwater_oom::badness::{Choice, Standing};
use highwater_oom::report::{Kill, LineNumber, OomReport, Task};

use super::makeup;

/// A row of the task table with its score.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RankedTask {
    /// The process.
    pub pid: Pid,
    /// Its name, escaped.
    pub comm: String,
    /// In RAM.
    pub rss: Option<Bytes>,
    /// Its page tables, where the kernel's score counts them.
    pub page_tables: Option<Bytes>,
    /// In swap.
    pub swap: Option<Bytes>,
    /// The adjustment.
    pub oom_score_adj: Option<i32>,
    /// What the adjustment counts as, in bytes, on top of what it held; `None` where that cannot be
    /// known, or where it is exempt.
    pub adjustment_bytes: Option<i64>,
    /// It could not be chosen, whatever it held.
    pub exempt: bool,
    /// The kernel's score in permille of what there was; `None` where it cannot be known.
    pub badness: Option<i64>,
    /// 1 is the first to be chosen; `None` for those that cannot be, or where it cannot be known.
    pub rank: Option<usize>,
    /// It was killed in this episode.
    pub killed: bool,
    /// The line of its row.
    pub line: LineNumber,
}

impl RankedTask {
    /// All that it held: RAM, page tables and swap, as far as they are known.
    pub fn held(&self) -> Bytes {
        let parts = [self.rss, self.page_tables, self.swap];
        parts.into_iter().flatten().fold(Bytes::ZERO, Bytes::saturating_add)
    }
}

/// The kernel's choice and its table. It is the same for all deaths of an episode, and reckoned
/// once for all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranking {
    /// The choice.
    pub choice: Choice,
    /// The task table by rank; those without one follow by size.
    pub tasks: Vec<RankedTask>,
    /// The size of a page, where the log or somebody else tells it.
    pub page_size: Option<PageSize>,
    /// Where in `tasks` a process is, and where the row of a line.
    by_pid: HashMap<Pid, usize>,
    by_line: HashMap<LineNumber, usize>,
    /// Where in the standings a line is.
    standings: HashMap<LineNumber, usize>,
    /// The one that held the most, among the standings.
    largest: Option<usize>,
}

impl Ranking {
    /// Ranks the table of `report`. `page_size` is the machine's, where something else than the
    /// log tells it; `dying` are those who were killed shortly before.
    pub fn of(report: &OomReport, page_size: Option<PageSize>, dying: &[Pid]) -> Self {
        let page_size = report.machine.page_size.map(|told| told.value).or(page_size);
        let page_size = page_size.or_else(|| makeup::page_size(&report.machine));
        let choice = Choice::after(report, page_size, dying);
        let tasks = rank(report, &choice, page_size);
        let tasks_at = || tasks.iter().enumerate().rev();
        let standings_at = || choice.standings.iter().enumerate().rev();
        Self {
            page_size,
            by_pid: tasks_at().map(|(at, task)| (task.pid, at)).collect(),
            by_line: tasks_at().map(|(at, task)| (task.line, at)).collect(),
            standings: standings_at().map(|(at, standing)| (standing.line, at)).collect(),
            largest: standings_at()
                .max_by_key(|(_, standing)| standing.own_at_least())
                .map(|(at, _)| at),
            choice,
            tasks,
        }
    }

    /// Where in `tasks` the process `pid` is: the first of its rows.
    pub fn place(&self, pid: Pid) -> Option<usize> {
        self.by_pid.get(&pid).copied()
    }

    /// The row of the process `pid`.
    pub(super) fn task(&self, pid: Option<Pid>) -> Option<&RankedTask> {
        self.tasks.get(self.place(pid?)?)
    }

    /// The row at `line`.
    pub(super) fn task_at(&self, line: LineNumber) -> Option<&RankedTask> {
        self.tasks.get(*self.by_line.get(&line)?)
    }

    /// The standing of the row at `line`.
    pub(super) fn standing_at(&self, line: LineNumber) -> Option<&Standing> {
        self.choice.standings.get(*self.standings.get(&line)?)
    }

    /// The row of the one that held the most.
    pub(super) fn largest(&self) -> Option<&RankedTask> {
        self.task_at(self.choice.standings.get(self.largest?)?.line)
    }
}

fn rank(report: &OomReport, choice: &Choice, page: Option<PageSize>) -> Vec<RankedTask> {
    let killed = report.kills.iter().rev().filter_map(|kill| Some((kill.pid?, kill)));
    let killed: HashMap<Pid, &Kill> = killed.collect();
    let mut rows: Vec<(&Task, &Standing)> =
        report.tasks.rows.iter().zip(&choice.standings).collect();
    rows.sort_by_key(|(row, standing)| {
        let size = std::cmp::Reverse(row.rss.map(Pages::get));
        (standing.rank.unwrap_or(usize::MAX), size)
    });
    let kill = |row: &Task| killed.get(&row.pid).copied();
    rows.into_iter().map(|(row, standing)| ranked(row, kill(row), standing, page)).collect()
}

fn ranked(
    row: &Task,
    kill: Option<&Kill>,
    standing: &Standing,
    page: Option<PageSize>,
) -> RankedTask {
    let bytes = |pages: Option<Pages>| page.and_then(|page| Some(pages?.bytes(page)));
    let exempt = standing.spared.is_some();
    RankedTask {
        pid: row.pid,
        comm: row.comm.clone(),
        rss: bytes(row.rss),
        page_tables: row.pgtables.or_else(|| bytes(standing.tables)),
        swap: bytes(row.swapents),
        oom_score_adj: row.oom_score_adj,
        adjustment_bytes: standing.adjustment.filter(|_| !exempt).and_then(|pages| {
            let size = i64::try_from(page?.get()).ok()?;
            Some(pages.saturating_mul(size))
        }),
        exempt,
        // The score that the kernel itself printed stands above any reckoning.
        badness: kill.and_then(|kill| kill.oom_score).or(standing.permille),
        rank: standing.rank,
        killed: kill.is_some(),
        line: row.line,
    }
}
