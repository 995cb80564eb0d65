//! Who could have been chosen: the task table, the likeliest victim first.

use highwater_core::id::Pid;
use highwater_core::units::{Bytes, PageSize, Pages};
use highwater_oom::badness::{Choice, Standing};
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

/// The task table by rank; those without one follow by size.
pub(super) fn rank(report: &OomReport, page: Option<PageSize>) -> Vec<RankedTask> {
    let choice = Choice::of(report, page);
    let mut rows: Vec<(&Task, &Standing)> =
        report.tasks.rows.iter().zip(&choice.standings).collect();
    rows.sort_by_key(|(row, standing)| {
        let size = std::cmp::Reverse(row.rss.map(Pages::get));
        (standing.rank.unwrap_or(usize::MAX), size)
    });
    rows.into_iter().map(|(row, standing)| ranked(report, row, standing, page)).collect()
}

fn ranked(
    report: &OomReport,
    row: &Task,
    standing: &Standing,
    page: Option<PageSize>,
) -> RankedTask {
    let kill = report.kills.iter().find(|kill| kill.pid == Some(row.pid));
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
