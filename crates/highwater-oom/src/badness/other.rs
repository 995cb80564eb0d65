//! Who would have died had one adjustment been another.

use std::cmp::Reverse;

use super::rule::Rule;
use super::standing::{EXEMPT, Spared, Standing, adjustment, floor};
use super::total::Between;

/// So many larger processes are asked about.
const LARGER: usize = 3;

/// What another adjustment would have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counterfactual {
    /// Which of the three questions.
    pub kind: Question,
    /// Whose adjustment.
    pub whose: Standing,
    /// Its adjustment as it was.
    pub from: i32,
    /// As it would have been.
    pub to: i32,
    /// Who would have died then; the same as `whose` if nothing would have changed for the victim.
    pub instead: Standing,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// The victim without its own adjustment.
    VictimAtZero,
    /// A larger process without the adjustment that spared it.
    LargerAtZero,
    /// The smallest change to the victim's adjustment that would have spared it.
    Saving,
}

impl Question {
    /// Its name in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::VictimAtZero => "victim-at-zero",
            Self::LargerAtZero => "larger-at-zero",
            Self::Saving => "saving",
        }
    }
}

/// All that can be said; nothing where it hangs on a total that is not known.
pub(super) fn of(
    all: &[Standing],
    chosen: &Standing,
    total: Option<Between>,
    rule: Rule,
) -> Vec<Counterfactual> {
    let bounds = total;
    let total = total.and_then(Between::exact);
    let Some(rival) = rival(all, chosen) else { return larger(all, chosen, None, total) };
    let mut answers = Vec::new();
    answers.extend(at_zero(chosen, &rival, total));
    answers.extend(larger(all, chosen, Some(&rival), total));
    // The less there was in all, the less an adjustment weighs: what is enough for the least, is
    // enough. That does not hold where the rival has one, too.
    let least = bounds.map(|bounds| bounds.least).filter(|_| rival.oom_score_adj == Some(0));
    answers.extend(saving(chosen, &rival, total.or(least), rule));
    answers
}

/// The best-ranked of the others.
pub(super) fn rival(all: &[Standing], chosen: &Standing) -> Option<Standing> {
    let others = all.iter().filter(|s| s.line != chosen.line && s.rank.is_some());
    others.min_by_key(|standing| standing.rank).copied()
}

fn at_zero(chosen: &Standing, rival: &Standing, total: Option<i64>) -> Option<Counterfactual> {
    let from = chosen.oom_score_adj.filter(|adj| *adj != 0)?;
    let own = chosen.own()?;
    // Without a known total this can be said only of a rival that has no adjustment either.
    let theirs = rival.points_at(rival.oom_score_adj?, total)?;
    let instead = if own >= theirs { *chosen } else { *rival };
    let kind = Question::VictimAtZero;
    Some(Counterfactual { kind, whose: *chosen, from, to: 0, instead })
}

/// Those that held more than the victim and were spared by their adjustment.
fn larger(
    all: &[Standing],
    chosen: &Standing,
    rival: Option<&Standing>,
    total: Option<i64>,
) -> Vec<Counterfactual> {
    let points = |s: &Standing| s.oom_score_adj.and_then(|adj| s.points_at(adj, total));
    let Some(bar) = points(chosen).max(rival.and_then(points)) else { return Vec::new() };
    let mut found: Vec<(i64, Counterfactual)> = all
        .iter()
        .filter(|s| s.line != chosen.line && s.spared != Some(Spared::Init))
        .filter_map(|s| {
            let from = s.oom_score_adj.filter(|adj| *adj < 0)?;
            let own = s.own().filter(|own| *own > bar)?;
            let kind = Question::LargerAtZero;
            Some((own, Counterfactual { kind, whose: *s, from, to: 0, instead: *s }))
        })
        .collect();
    found.sort_by_key(|(own, _)| Reverse(*own));
    found.into_iter().take(LARGER).map(|(_, counterfactual)| counterfactual).collect()
}

/// The highest adjustment with which the victim counts less than the next.
fn saving(
    chosen: &Standing,
    rival: &Standing,
    total: Option<i64>,
    rule: Rule,
) -> Option<Counterfactual> {
    // Only for one that did come first: any other was chosen for a reason not in the table.
    let from = chosen.oom_score_adj.filter(|_| chosen.rank == Some(1))?;
    let bar = floor(rival.points_at(rival.oom_score_adj?, total)?, rule);
    let step = total? / 1000;
    let short = bar.saturating_sub(1).saturating_sub(chosen.own()?);
    let to = short.checked_div_euclid(step).and_then(|to| i32::try_from(to).ok());
    let to = to.unwrap_or(EXEMPT).clamp(EXEMPT, 999);
    let lives = to == EXEMPT || {
        let points = chosen.own()?.saturating_add(adjustment(to, total)?);
        floor(points, rule) < bar
    };
    let to = if lives { to } else { EXEMPT };
    let kind = Question::Saving;
    (to < from).then_some(Counterfactual { kind, whose: *chosen, from, to, instead: *rival })
}
