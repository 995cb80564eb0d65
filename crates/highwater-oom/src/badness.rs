//! Why this one: the kernel's choice, computed again from the task table.
//!
//! ```text
//! lines ─ Rule ───────┐
//! limits, RAM ─ total ┼─ standings: points, permille, rank ─ Choice: chosen, runner-up, outcome,
//! rows, page size ────┘        ▲                              what other adjustments would have done
//!                              └─ the printed score (≤ 5.0) proves it, or tells what is missing
//! ```
//!
//! `points = rss + page tables + swap + adj * (total / 1000)`, all in pages. The highest points
//! die; an adjustment of −1000 is exempt. What a log does not print is `None` or bounded here,
//! never a guess, and each input says how sure it is.
//!
//! A person with sysrq picks by the same rule; `oom_kill_allocating_task` asks no rule; before
//! 5.1 a child of the chosen one could die in its place; a cgroup with `memory.oom.group` dies
//! with the chosen one.

mod certainty;
mod other;
mod printed;
mod rule;
mod standing;
mod total;

use std::collections::BTreeSet;

use highwater_core::id::Pid;
use highwater_core::units::{Bytes, PageSize};

use crate::report::{Chosen, LineNumber, OomReport, Task};

pub use certainty::{Certainty, Judged};
pub use other::{Counterfactual, Question};
pub use printed::Printed;
pub use rule::{Bonus, Generation, Rule};
pub use standing::{Spared, Standing};
pub use total::Between;

use standing::Terms;

/// The kernel's choice, computed again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Which kernel generation's rule it was.
    pub rule: Rule,
    /// The size of a page.
    pub page: Judged<PageSize>,
    /// The pages that could be had in all, within bounds.
    pub total: Judged<Between>,
    /// How each task of the table stood, in the order of the table.
    pub standings: Vec<Standing>,
    /// Whom the kernel chose: not always the one that died.
    pub chosen: Option<Standing>,
    /// Who would have been next.
    pub runner_up: Option<Standing>,
    /// The score that the kernel printed for the chosen one.
    pub printed: Option<Printed>,
    /// How the chosen one came to be chosen.
    pub outcome: Outcome,
    /// How sure the outcome is.
    pub certainty: Certainty,
    /// What other adjustments would have changed.
    pub counterfactuals: Vec<Counterfactual>,
}

/// How the choice fits the reckoning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It ranks first.
    First,
    /// Another has exactly as many points.
    Tied,
    /// Another ranks first, but only if a bonus that no table shows did not count against it.
    WithinDoubt,
    /// It was the one that asked (`oom_kill_allocating_task`); no score was looked at.
    Allocating,
    /// The one that ranks first had been killed before, in this episode or in one shortly before.
    FirstWasDying(Pid),
    /// Another ranks first, and nothing in the log says why it was passed over: it may have been
    /// dying already, or have been reaped, or a fork in the making; no line shows that.
    Unexplained,
    /// Who was chosen is not in the table, or there is none.
    NotListed,
    /// The table does not show enough to rank it.
    NotRanked,
}

impl Outcome {
    /// Its name in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Tied => "tied",
            Self::WithinDoubt => "within-doubt",
            Self::Allocating => "allocating",
            Self::FirstWasDying(_) => "first-was-dying",
            Self::Unexplained => "unexplained",
            Self::NotListed => "not-listed",
            Self::NotRanked => "not-ranked",
        }
    }
}

impl Choice {
    /// Computes the choice of a report; `page` is the machine's page size, where something else
    /// than the log tells it.
    pub fn of(report: &OomReport, page: Option<PageSize>) -> Self {
        Self::after(report, page, &[])
    }

    /// The same, knowing who was killed in the episodes shortly before: one that is dying is not
    /// chosen again.
    pub fn after(report: &OomReport, page: Option<PageSize>, dying: &[Pid]) -> Self {
        let page = total::page_size(report, page);
        let mut sum = total::total(report, page.value);
        let no_swap = report.machine.swap_total.is_some_and(|told| told.value == Bytes::ZERO);
        let rule = Rule::of(report);
        let mut terms = Terms { rule, page: page.value, total: sum.value, no_swap, proved: None };
        let row = chosen_row(report);
        let mut standings = standing::all(report, &terms);
        let printed = row.and_then(|row| prove(report, row, &standings, &mut terms, &mut sum));
        if printed.is_some() {
            standings = standing::all(report, &terms);
        }
        let chosen = row.and_then(|row| at(&standings, row)).copied();
        let runner_up = chosen.and_then(|chosen| rival(report, &standings, &chosen));
        let mut choice = Self {
            rule,
            page,
            total: sum,
            standings,
            chosen,
            runner_up,
            printed,
            outcome: Outcome::NotListed,
            certainty: Certainty::Certain,
            counterfactuals: Vec::new(),
        };
        choice.outcome = choice.judge(report, dying);
        choice.certainty = choice.doubts(report);
        choice.counterfactuals = choice.others(report);
        choice
    }

    /// The standing of the one that would have died first.
    pub fn first(&self) -> Option<&Standing> {
        self.standings.iter().find(|standing| standing.rank == Some(1))
    }

    /// How sure the scores are; the order is often surer than they.
    pub fn score_certainty(&self) -> Certainty {
        self.certainty.clone().and(&self.total.certainty).and(&self.page.certainty)
    }

    fn judge(&self, report: &OomReport, dying: &[Pid]) -> Outcome {
        let asked = report.kills.iter().any(|kill| kill.chosen == Chosen::AsAllocator)
            || report.selected.as_ref().is_some_and(|told| told.value.allocating);
        let Some(chosen) = &self.chosen else {
            return if asked { Outcome::Allocating } else { Outcome::NotListed };
        };
        if chosen.rank == Some(1) {
            return Outcome::First;
        }
        if asked {
            return Outcome::Allocating;
        }
        let Some(first) = self.first() else { return Outcome::NotRanked };
        if chosen.points.is_some() && chosen.points == first.points {
            return Outcome::Tied;
        }
        let within = first.bounds.zip(chosen.bounds).is_some_and(|(first, chosen)| {
            first.least <= chosen.end() && self.rule.bonus != Bonus::None
        });
        // Each that ranks above the chosen one must have been dying, not only the first.
        let above = |s: &&Standing| s.rank.is_some_and(|rank| Some(rank) < chosen.rank);
        let mut ahead = self.standings.iter().filter(above);
        let killed = killed_before(report, chosen.pid, dying);
        match chosen.rank {
            None => Outcome::NotRanked,
            Some(_) if ahead.all(|s| killed.contains(&s.pid)) => Outcome::FirstWasDying(first.pid),
            Some(_) if within => Outcome::WithinDoubt,
            Some(_) => Outcome::Unexplained,
        }
    }

    /// What the order hangs on.
    fn doubts(&self, report: &OomReport) -> Certainty {
        if let Some(missing) = self.missing(report) {
            return Certainty::unknown(missing);
        }
        let mut sure = Certainty::Certain;
        if report_counts_bytes(report) && !self.is_first_on_any_page() {
            sure = sure.and(&self.page.certainty);
        }
        // A rank that is given although the total is not known does not hang on it.
        let weighed = self.total.value.is_some_and(|total| total.exact().is_some());
        let mut live = self.standings.iter().filter(|s| s.spared.is_none());
        if weighed && live.any(|s| s.oom_score_adj != Some(0)) {
            sure = sure.and(&self.total.certainty);
        }
        if self.bonus_matters() {
            sure = sure.and(&Certainty::likely(
                "kernels before 4.17 took 3 % off processes with CAP_SYS_ADMIN, which no table shows",
            ));
        }
        let agrees = self.printed.and_then(|printed| printed.agrees);
        if agrees == Some(false) {
            sure = sure.and(&Certainty::likely("the score that the kernel printed is another"));
        }
        if self.rule.signed.is_none() && self.first().and_then(|s| s.points).is_some_and(|p| p < 1)
        {
            sure = sure.and(&Certainty::likely(
                "before 5.9 all negative scores counted alike, and no line tells which kernel this is",
            ));
        }
        sure
    }

    /// Page tables are printed in bytes, all else in pages. Whoever comes first without them as
    /// well as with them at 4 KiB, comes first with every page in between and beyond.
    fn is_first_on_any_page(&self) -> bool {
        let bare = |s: &Standing| {
            s.own_at_least()
                .saturating_sub(s.tables.map_or(0, |tables| total::signed(tables.get())))
        };
        self.chosen.is_some_and(|chosen| {
            chosen.rank == Some(1)
                && self
                    .standings
                    .iter()
                    .filter(|s| s.spared.is_none() && s.line != chosen.line)
                    .all(|other| {
                        let liked = other.oom_score_adj <= chosen.oom_score_adj;
                        liked && bare(other) < bare(&chosen)
                    })
        })
    }

    fn missing(&self, report: &OomReport) -> Option<&'static str> {
        if report.tasks.rows.is_empty() {
            return Some("the task table");
        }
        match self.rule.generation {
            Generation::Exponential => Some(
                "what kernels up to 2.6.35 made scores of (children, CPU time, run time, nice values)",
            ),
            _ if self.chosen.is_none() && report.kills.is_empty() => {
                Some("a line that says who was chosen")
            }
            _ if self.chosen.is_none() => Some("the row of the one that was chosen"),
            _ if self.chosen.is_some_and(|s| s.rank.is_some()) => None,
            Generation::ResidentOnly => Some("page tables and swap of each task"),
            _ if self.standings.iter().any(|s| s.spared.is_none() && s.own().is_none()) => {
                Some("page tables or swap of some tasks")
            }
            _ => Some("how much could be had in all, which decides what an adjustment weighs"),
        }
    }

    /// Whether a bonus could have changed who comes first.
    fn bonus_matters(&self) -> bool {
        if self.rule.bonus == Bonus::None {
            return false;
        }
        let Some(chosen) = &self.chosen else { return false };
        let Some(bounds) = chosen.bounds else { return false };
        let others = self.standings.iter().filter(|s| s.line != chosen.line);
        others.filter_map(|s| s.bounds).any(|other| {
            let could = other.least <= bounds.end() && bounds.least <= other.end();
            could && other.end() > bounds.least
        })
    }

    fn others(&self, report: &OomReport) -> Vec<Counterfactual> {
        let by_score = self.outcome != Outcome::Allocating && report.oom_group.is_none();
        let Some(chosen) = self.chosen.filter(|_| by_score) else { return Vec::new() };
        other::of(&self.standings, &chosen, self.total.value, self.rule)
    }
}

fn report_counts_bytes(report: &OomReport) -> bool {
    report.tasks.rows.iter().any(|row| row.pgtables.is_some())
}

/// The row of the one that the kernel chose: by its own words, else the first that died.
fn chosen_row(report: &OomReport) -> Option<&Task> {
    let selected = report.selected.as_ref().and_then(|told| told.value.pid);
    let summary = report.summary.as_ref().and_then(|told| told.value.pid);
    let first = report.kills.first();
    let pid = selected.or(summary).or_else(|| first?.pid);
    let of_pid = |pid: Pid| report.tasks.rows.iter().find(|row| row.pid == pid);
    pid.and_then(of_pid).or_else(|| {
        // A thread may have been named, of whose process the kill line knows the row.
        let line = first.filter(|kill| kill.pid == pid)?.task_row?;
        report.tasks.rows.iter().find(|row| row.line == line)
    })
}

fn at<'a>(standings: &'a [Standing], row: &Task) -> Option<&'a Standing> {
    standings.iter().find(|standing| standing.line == row.line)
}

/// Takes from the printed score what it proves.
fn prove(
    report: &OomReport,
    row: &Task,
    standings: &[Standing],
    terms: &mut Terms,
    sum: &mut Judged<Between>,
) -> Option<Printed> {
    let (score, line) = score(report, row)?;
    let lesson = printed::learn(at(standings, row)?, row.uid, score, terms);
    terms.proved = lesson.proof.map(|proof| (row.line, proof));
    if let Some(narrower) = lesson.total.filter(|narrower| sum.value != Some(*narrower)) {
        terms.total = Some(narrower);
        let certainty = Certainty::likely("it is worked out of the score that the kernel printed");
        let mut lines = std::mem::take(&mut sum.lines);
        lines.push(line);
        *sum = Judged::with(narrower, certainty, lines);
    } else if lesson.agrees == Some(true) {
        sum.certainty = Certainty::Certain;
    }
    Some(Printed { score, line, agrees: lesson.agrees })
}

/// The score printed for the task of `row`.
fn score(report: &OomReport, row: &Task) -> Option<(i64, LineNumber)> {
    let selected = report.selected.as_ref().filter(|told| told.value.pid == Some(row.pid));
    let selected = selected.and_then(|told| Some((told.value.score?, told.line)));
    selected.or_else(|| {
        let kill = report.kills.iter().find(|kill| kill.pid == Some(row.pid))?;
        Some((kill.oom_score?, kill.line))
    })
}

/// The next in line: where a whole cgroup died, the next outside of it.
fn rival(report: &OomReport, standings: &[Standing], chosen: &Standing) -> Option<Standing> {
    if report.oom_group.is_none() {
        return other::rival(standings, chosen);
    }
    let killed: BTreeSet<_> = report.kills.iter().filter_map(|kill| kill.pid).collect();
    let rest: Vec<_> = standings.iter().filter(|s| !killed.contains(&s.pid)).copied().collect();
    other::rival(&rest, chosen)
}

/// Who was killed before `chosen`: in this episode, or shortly before it.
fn killed_before(report: &OomReport, chosen: Pid, dying: &[Pid]) -> BTreeSet<Pid> {
    let before = report.kills.iter().take_while(|kill| kill.pid != Some(chosen));
    before.filter_map(|kill| kill.pid).chain(dying.iter().copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_known_of_nothing() {
        let choice = Choice::of(&OomReport::default(), None);
        assert_eq!((choice.outcome, choice.chosen), (Outcome::NotListed, None));
        assert_eq!(choice.certainty, Certainty::unknown("the task table"));
        assert_eq!(choice.score_certainty().as_str(), "unknown");
    }
}
