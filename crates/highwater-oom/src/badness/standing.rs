//! How each task of the table stood: what it would have given back, its points, its rank.

use highwater_core::id::Pid;
use highwater_core::units::{PageSize, Pages};

use super::rule::{Bonus, Generation, Rule};
use super::total::{Between, signed};
use crate::report::{LineNumber, OomReport, Task};

/// `OOM_SCORE_ADJ_MIN`: never to be chosen.
pub(super) const EXEMPT: i32 = -1000;
/// `OOM_DISABLE` of the old adjustment.
const EXEMPT_OLD: i32 = -17;

/// Why a task could not be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spared {
    /// Its adjustment is −1000 (the old one −17).
    Adjustment,
    /// The first process is never killed.
    Init,
}

/// How one task of the table stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The task.
    pub pid: Pid,
    /// Its row.
    pub line: LineNumber,
    /// Pages of it in RAM.
    pub rss: Option<Pages>,
    /// Pages of its page tables.
    pub tables: Option<Pages>,
    /// Pages of it in swap.
    pub swap: Option<Pages>,
    /// What its adjustment adds, in pages; `None` where it depends on a total that is not known.
    pub adjustment: Option<i64>,
    /// Its adjustment as printed.
    pub oom_score_adj: Option<i32>,
    /// Pages it would have given back, and what its adjustment adds: without a bonus that cannot
    /// be seen. `None` if it was spared, or if it cannot be told.
    pub points: Option<i64>,
    /// The points if all that is unknown were at its least and at its most.
    pub bounds: Option<Between>,
    /// The points as thousandths of what could be had, as kernels ≤ 5.0 print them (`score 919`).
    pub permille: Option<i64>,
    /// 1 for the one to die first; `None` if it was spared, or if it cannot be told.
    pub rank: Option<usize>,
    /// It could not be chosen.
    pub spared: Option<Spared>,
    /// Pages that the bonus of `CAP_SYS_ADMIN` took off, where the printed score proves it.
    pub bonus: i64,
}

impl Standing {
    /// What it would have given back, less a bonus that is proved, without its adjustment.
    pub fn own(&self) -> Option<i64> {
        let parts = [self.rss?, self.tables?, self.swap?];
        let sum = parts.iter().fold(0_i64, |sum, part| sum.saturating_add(signed(part.get())));
        Some(sum.saturating_sub(self.bonus))
    }

    /// What the log shows of it at least: pages in RAM, and page tables and swap where printed.
    pub fn own_at_least(&self) -> i64 {
        let parts = [self.rss, self.tables, self.swap];
        parts.iter().flatten().fold(0, |sum, part| sum.saturating_add(signed(part.get())))
    }

    /// Its points with another adjustment.
    pub(super) fn points_at(&self, adj: i32, total: Option<i64>) -> Option<i64> {
        Some(self.own()?.saturating_add(adjustment(adj, total)?))
    }
}

/// What the scores are made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    pub(super) rule: Rule,
    pub(super) page: Option<PageSize>,
    pub(super) total: Option<Between>,
    /// Whether the machine is known to have no swap at all.
    pub(super) no_swap: bool,
    /// What the printed score proves of the bonus of the task in this line.
    pub(super) proved: Option<(LineNumber, Proof)>,
}

/// What a printed score proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// It had no bonus.
    NoBonus,
    /// It had one, of so many pages.
    Bonus(i64),
}

/// How each task of the table stood, in the order of the table, ranked.
pub(super) fn all(report: &OomReport, terms: &Terms) -> Vec<Standing> {
    let mut standings: Vec<_> = report.tasks.rows.iter().map(|row| one(row, terms)).collect();
    rank(&mut standings, terms);
    standings
}

fn one(row: &Task, terms: &Terms) -> Standing {
    let total = terms.total.and_then(Between::exact);
    let mut standing = Standing {
        pid: row.pid,
        line: row.line,
        rss: row.rss,
        tables: tables(row, terms.page),
        swap: row.swapents.or_else(|| terms.no_swap.then_some(Pages::new(0))),
        adjustment: row.oom_score_adj.and_then(|adj| adjustment(adj, total)),
        oom_score_adj: row.oom_score_adj,
        points: None,
        bounds: None,
        permille: None,
        rank: None,
        spared: spared(row),
        bonus: match proof(row, terms) {
            Some(Proof::Bonus(pages)) => pages,
            _ => 0,
        },
    };
    if standing.spared.is_some() || terms.rule.generation == Generation::Exponential {
        return standing;
    }
    standing.points =
        standing.own().zip(standing.adjustment).map(|(own, adj)| own.saturating_add(adj));
    standing.bounds = Some(bounds(&standing, row, terms));
    standing.permille = permille(&standing, terms);
    standing
}

/// Exactly −1000 is exempt; everything above is only disliked.
fn spared(row: &Task) -> Option<Spared> {
    if row.pid.get() == 1 {
        return Some(Spared::Init);
    }
    let exempt = match row.oom_score_adj {
        Some(adj) => adj == EXEMPT,
        None => row.oom_adj == Some(EXEMPT_OLD),
    };
    exempt.then_some(Spared::Adjustment)
}

fn tables(row: &Task, page: Option<PageSize>) -> Option<Pages> {
    match (row.pgtables, row.nr_ptes) {
        (Some(bytes), _) => bytes.get().checked_div(page?.get()).map(Pages::new),
        (None, count) => count,
    }
}

/// `adj * (totalpages / 1000)`: the division first, as the kernel does it.
pub(super) fn adjustment(adj: i32, total: Option<i64>) -> Option<i64> {
    match adj {
        0 => Some(0),
        adj => Some(i64::from(adj).saturating_mul(total? / 1000)),
    }
}

/// The least and the most its points can be: by the total, by a bonus that may have been, by what
/// the table leaves out.
fn bounds(standing: &Standing, row: &Task, terms: &Terms) -> Between {
    let total = terms.total.unwrap_or(Between { least: 1, most: None });
    let adj = row.oom_score_adj.unwrap_or(0);
    let ends = [total.least, total.end()].map(|total| adjustment(adj, Some(total)).unwrap_or(0));
    let own = standing.own_at_least().saturating_sub(standing.bonus);
    let off = bonus(row, terms, own, total.least);
    let [one, two] = ends;
    let least = own.saturating_add(one.min(two)).saturating_sub(off);
    let open = standing.own().is_none() || (adj > 0 && total.most.is_none());
    let most = (!open).then(|| own.saturating_add(one.max(two)));
    Between { least, most }
}

fn proof(row: &Task, terms: &Terms) -> Option<Proof> {
    terms.proved.filter(|(line, _)| *line == row.line).map(|(_, proof)| proof)
}

/// What the bonus takes off at most, if the task has it: only uid 0 is taken to.
fn bonus(row: &Task, terms: &Terms, own: i64, total: i64) -> i64 {
    let (of_points, of_total) = (share(own), (total / 1000).saturating_mul(30));
    match terms.rule.bonus {
        _ if row.uid != Some(0) || proof(row, terms).is_some() => 0,
        Bonus::None => 0,
        Bonus::OfPoints => of_points,
        Bonus::OfTotal => of_total,
        Bonus::Either => of_points.max(of_total),
    }
}

/// 3 % of `points`, without overflow.
pub(super) fn share(points: i64) -> i64 {
    let (hundreds, rest) = (points / 100, points % 100);
    hundreds.saturating_mul(3).saturating_add(rest * 3 / 100)
}

/// The same at both ends of the total, or not known.
fn permille(standing: &Standing, terms: &Terms) -> Option<i64> {
    let total = terms.total?;
    let adj = standing.oom_score_adj?;
    let at = |total: i64| Some(thousandths(standing.points_at(adj, Some(total))?, total));
    at(total.least).filter(|least| total.most.is_some_and(|most| at(most) == Some(*least)))
}

/// Of two numbers with no bound: the product needs more than 64 bits.
pub(super) fn thousandths(points: i64, total: i64) -> i64 {
    let of = i128::from(points) * 1000 / i128::from(total.max(1));
    i64::try_from(of).unwrap_or(if points < 0 { i64::MIN } else { i64::MAX })
}

/// Ranks as far as the order is the same whatever the total is. Points are straight lines over
/// the total, so two that stand alike at both ends stand alike between them.
fn rank(standings: &mut [Standing], terms: &Terms) {
    let live = standings.iter().filter(|standing| standing.spared.is_none());
    let known = live.clone().all(|s| s.own().is_some() && s.oom_score_adj.is_some());
    if !known || terms.rule.generation == Generation::Exponential {
        return;
    }
    let total = terms.total.unwrap_or(Between { least: 1, most: None });
    let low = order(standings, total.least, terms);
    let orders =
        if total.exact().is_some() { None } else { Some(order(standings, total.end(), terms)) };
    let agreed = match &orders {
        None => low.len(),
        Some(high) => low.iter().zip(high).take_while(|(one, two)| one == two).count(),
    };
    for (at, index) in low.into_iter().take(agreed).enumerate() {
        if let Some(standing) = standings.get_mut(index) {
            standing.rank = Some(at + 1);
        }
    }
}

/// The places of those that can be chosen in the table, the first to die first.
fn order(standings: &[Standing], total: i64, terms: &Terms) -> Vec<usize> {
    let mut live: Vec<(i64, usize)> = standings
        .iter()
        .enumerate()
        .filter(|(_, standing)| standing.spared.is_none())
        .filter_map(|(at, s)| Some((s.points_at(s.oom_score_adj?, Some(total))?, at)))
        .collect();
    live.sort_by_key(|(points, at)| {
        let tie = if terms.rule.later_of_equals { usize::MAX - at } else { *at };
        (std::cmp::Reverse(floor(*points, terms.rule)), tie)
    });
    live.into_iter().map(|(_, at)| at).collect()
}

/// Before 5.9 nothing that could be chosen counted less than 1.
pub(super) fn floor(points: i64, rule: Rule) -> i64 {
    if rule.signed == Some(false) { points.max(1) } else { points }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_per_cent_round_down_as_in_the_kernel() {
        for points in [0, 1, 33, 34, 99, 100, 101, 250_000, 318_804] {
            assert_eq!(share(points), points * 3 / 100, "{points}");
        }
        assert!(share(i64::MAX) > 0);
    }

    #[test]
    fn thousandths_neither_overflow_nor_divide_by_nothing() {
        assert_eq!(thousandths(398_810 + 788, 434_726), 919);
        assert_eq!((thousandths(i64::MAX, 1), thousandths(i64::MIN, 0)), (i64::MAX, i64::MIN));
    }

    #[test]
    fn an_adjustment_weighs_whole_thousandths_of_the_total() {
        assert_eq!(
            (adjustment(1, Some(1999)), adjustment(-999, Some(1999))),
            (Some(1), Some(-999))
        );
        assert_eq!((adjustment(0, None), adjustment(1, None)), (Some(0), None));
        assert_eq!(adjustment(i32::MAX, Some(i64::MAX)), Some(i64::MAX));
    }

    #[test]
    fn who_is_never_chosen() {
        let row = |pid, adj, old| Task {
            pid: Pid::new(pid),
            oom_score_adj: adj,
            oom_adj: old,
            ..Task::default()
        };
        assert_eq!(spared(&row(9, Some(-1000), None)), Some(Spared::Adjustment));
        assert_eq!(spared(&row(9, Some(-999), None)), None);
        assert_eq!(spared(&row(9, None, Some(-17))), Some(Spared::Adjustment));
        assert_eq!(spared(&row(9, Some(0), Some(-17))), None);
        assert_eq!(spared(&row(1, Some(0), None)), Some(Spared::Init));
    }
}
