//! Why this one: the kernel's choice, computed again from the task table.
//!
//! `points = rss + page tables + swap + adj * total / 1000`, all in pages, where `total` is the
//! memory that could be had: the cgroup's limit and its share of swap, or RAM and swap
//! (`oom_badness`, `mem_cgroup_get_max` in `mm/oom_kill.c` and `mm/memcontrol.c`, ≥ 4.17). The highest
//! points die; an adjustment of −1000 is spared. Kernels before 4.17 took 3 % off for
//! `CAP_SYS_ADMIN`, which no table shows; their ranks can be off by that.
//!
//! What a log does not print is `None` here, never a guess.

use highwater_core::id::Pid;
use highwater_core::limit::Limit;
use highwater_core::units::{PageSize, Pages};

use crate::report::{Constraint, Counter, LineNumber, OomReport, Task};

/// `OOM_SCORE_ADJ_MIN`: never to be chosen.
const SPARED: i32 = -1000;

/// How one task of the table stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The task.
    pub pid: Pid,
    /// Its row.
    pub line: LineNumber,
    /// Pages it would have given back, and what its adjustment adds.
    pub points: Option<i64>,
    /// The points as thousandths of what could be had, as kernels ≤ 5.0 print them (`score 919`).
    pub permille: Option<i64>,
    /// 1 for the one to die first; `None` if it was spared, or if some points are unknown.
    pub rank: Option<usize>,
}

/// How each task of the table stood, in the order of the table.
pub fn standings(report: &OomReport) -> Vec<Standing> {
    let (page, total) = (page_size(report), total(report));
    let mut standings: Vec<_> = report
        .tasks
        .rows
        .iter()
        .map(|row| {
            let points = if is_spared(row) { None } else { points(row, page, total) };
            let permille = points
                .zip(total.and_then(|total| i64::try_from(total.get()).ok()))
                .and_then(|(points, total)| points.saturating_mul(1000).checked_div(total));
            Standing { pid: row.pid, line: row.line, points, permille, rank: None }
        })
        .collect();
    let known = report
        .tasks
        .rows
        .iter()
        .zip(&standings)
        .all(|(row, s)| is_spared(row) || s.points.is_some());
    if known {
        rank(&mut standings);
    }
    standings
}

/// Equal points: the one the kernel sees first stays, so the earlier row is the one to die.
fn rank(standings: &mut [Standing]) {
    let mut order: Vec<&mut Standing> =
        standings.iter_mut().filter(|standing| standing.points.is_some()).collect();
    order.sort_by_key(|standing| std::cmp::Reverse(standing.points));
    for (at, standing) in order.into_iter().enumerate() {
        standing.rank = Some(at + 1);
    }
}

fn is_spared(row: &Task) -> bool {
    row.oom_score_adj == Some(SPARED)
}

/// The points of one task.
fn points(row: &Task, page: Option<PageSize>, total: Option<Pages>) -> Option<i64> {
    let tables = match (row.pgtables, row.nr_ptes) {
        (Some(bytes), _) => bytes.get().checked_div(page?.get())?,
        (None, Some(count)) => count.get(),
        (None, None) => return None,
    };
    let own = row.rss?.get().checked_add(tables)?.checked_add(row.swapents?.get())?;
    let adjustment = match row.oom_score_adj? {
        0 => 0,
        adj => i64::from(adj).checked_mul(i64::try_from(total?.get() / 1000).ok()?)?,
    };
    i64::try_from(own).ok()?.checked_add(adjustment)
}

/// The size of a page, where the log shows it, else that of most machines unless the kernel's name
/// says that this is none of them.
pub fn page_size(report: &OomReport) -> Option<PageSize> {
    const OTHERS: [&str; 6] = ["sparc", "ppc64", "ia64", "alpha", "64k", "16k"];
    if let Some(size) = report.machine.page_size {
        return Some(size.value);
    }
    let kernel = report.kernel.as_ref().map(|kernel| kernel.value.to_ascii_lowercase());
    let other = kernel.is_some_and(|name| OTHERS.iter().any(|other| name.contains(other)));
    (!other).then_some(PageSize::KIB4)
}

/// The pages that could be had in all; `None` where the log does not print a part of it.
pub fn total(report: &OomReport) -> Option<Pages> {
    match report.constraint?.value {
        Constraint::Memcg => memcg_total(report),
        Constraint::None => {
            let size = page_size(report)?.get();
            let machine = &report.machine;
            let ram = machine.ram?.value.get().checked_sub(machine.reserved?.value.get())?;
            let swap = machine.swap_total?.value.get().checked_div(size)?;
            Some(Pages::new(ram.checked_add(swap)?))
        }
        // The pages of some nodes only: not printed.
        Constraint::Cpuset | Constraint::Mempolicy => None,
    }
}

/// The limit and the share of swap: in v2 the swap limit, in v1 what the limit of both leaves,
/// either at most the swap there is. Certain only if one of them is nothing.
fn memcg_total(report: &OomReport) -> Option<Pages> {
    let limit = |counter: Option<Counter>| counter.and_then(|c| c.limit);
    let cited = &report.memcg;
    let memory = limit(cited.memory.map(|c| c.value))?.at()?;
    let (memsw, swap) = (limit(cited.memsw.map(|c| c.value)), limit(cited.swap.map(|c| c.value)));
    let none = |limit: Option<Limit>| limit.and_then(Limit::at).is_some_and(|at| at.get() == 0);
    let machine_has_none = report.machine.swap_total.is_some_and(|swap| swap.value.get() == 0);
    let both_alike = memsw.and_then(Limit::at) == Some(memory);
    let certain = none(swap) || both_alike || machine_has_none;
    let size = page_size(report)?.get();
    certain.then(|| memory.get().checked_div(size).map(Pages::new))?
}
