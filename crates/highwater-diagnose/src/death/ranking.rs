//! Who could have been chosen: the task table, the likeliest victim first.

use highwater_core::id::Pid;
use highwater_core::units::{Bytes, PageSize, Pages};
use highwater_oom::badness::{self, Standing};
use highwater_oom::report::{LineNumber, OomReport, Task};

/// A row of the task table with its score.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RankedTask {
    /// The process.
    pub pid: Pid,
    /// Its name, escaped.
    pub comm: String,
    /// In RAM.
    pub rss: Option<Bytes>,
    /// In swap.
    pub swap: Option<Bytes>,
    /// The adjustment.
    pub oom_score_adj: Option<i32>,
    /// The kernel's score in permille of what there was; `None` where it cannot be known.
    pub badness: Option<i64>,
    /// 1 is the first to be chosen; `None` for those that cannot be, or where it cannot be known.
    pub rank: Option<usize>,
    /// It was killed in this episode.
    pub killed: bool,
    /// The line of its row.
    pub line: LineNumber,
}

/// The task table by rank; those without one follow by size.
pub(super) fn rank(report: &OomReport, page: Option<PageSize>) -> Vec<RankedTask> {
    let mut rows: Vec<(&Task, Standing)> =
        report.tasks.rows.iter().zip(badness::standings(report)).collect();
    rows.sort_by_key(|(row, standing)| {
        let size = std::cmp::Reverse(row.rss.map(Pages::get));
        (standing.rank.unwrap_or(usize::MAX), size)
    });
    rows.into_iter().map(|(row, standing)| ranked(report, row, standing, page)).collect()
}

fn ranked(
    report: &OomReport,
    row: &Task,
    standing: Standing,
    page: Option<PageSize>,
) -> RankedTask {
    let kill = report.kills.iter().find(|kill| kill.pid == Some(row.pid));
    RankedTask {
        pid: row.pid,
        comm: row.comm.clone(),
        rss: page.and_then(|page| Some(row.rss?.bytes(page))),
        swap: page.and_then(|page| Some(row.swapents?.bytes(page))),
        oom_score_adj: row.oom_score_adj,
        // The score that the kernel itself printed stands above any reckoning.
        badness: kill.and_then(|kill| kill.oom_score).or(standing.permille),
        rank: standing.rank,
        killed: kill.is_some(),
        line: row.line,
    }
}
