//! The score that kernels ≤ 5.0 print: it proves a reckoning, or tells what the report leaves out.
//!
//! A score of 943 for 318804 pages says that there were 337 717 to 338 074 to be had, or, if the
//! task had the bonus of `CAP_SYS_ADMIN`, 327 585 to 327 932: what fits with the limits remains.

use super::rule::{Bonus, Generation};
use super::standing::{Proof, Standing, Terms, adjustment, share, thousandths};
use super::total::{BOUNDLESS, Between};
use crate::report::LineNumber;

/// A score as the kernel printed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Printed {
    /// Thousandths of what could be had.
    pub score: i64,
    /// The line.
    pub line: LineNumber,
    /// Whether the reckoning gives the same; `None` if it cannot be reckoned without it.
    pub agrees: Option<bool>,
}

/// What the score proves.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lesson {
    pub(super) agrees: Option<bool>,
    pub(super) proof: Option<Proof>,
    /// The totals that fit.
    pub(super) total: Option<Between>,
}

/// What a score of `score` proves of the task that it was printed for.
pub(super) fn learn(standing: &Standing, uid: Option<u32>, score: i64, terms: &Terms) -> Lesson {
    use Generation::{Bonus as WithBonus, BonusPossible, Plain};
    let (Some(own), Some(adj)) = (standing.own(), standing.oom_score_adj) else {
        return Lesson::default();
    };
    if !matches!(terms.rule.generation, WithBonus | BonusPossible | Plain) {
        return Lesson::default();
    }
    let known = terms.total.unwrap_or(Between { least: 1, most: None });
    let exact = standing.permille.is_some();
    let fits: Vec<(Bonus, Between)> = ways(terms.rule.bonus, uid)
        .iter()
        .filter_map(|way| Some((*way, fitting(*way, own, adj, score, known)?)))
        .collect();
    let without = fits.iter().any(|(way, _)| *way == Bonus::None);
    let with = fits.iter().find(|(way, _)| *way != Bonus::None);
    let proof = match (without, with) {
        (true, None) => Some(Proof::NoBonus),
        (false, Some((way, total))) => Some(Proof::Bonus(taken_off(*way, own, total.least))),
        _ => None,
    };
    Lesson {
        agrees: (exact || fits.is_empty()).then_some(!fits.is_empty()),
        proof,
        total: fits.into_iter().map(|(_, total)| total).reduce(hull),
    }
}

/// What may have been taken off.
const fn ways(bonus: Bonus, uid: Option<u32>) -> &'static [Bonus] {
    match bonus {
        _ if !matches!(uid, Some(0)) => &[Bonus::None],
        Bonus::None => &[Bonus::None],
        Bonus::OfPoints => &[Bonus::None, Bonus::OfPoints],
        Bonus::OfTotal => &[Bonus::None, Bonus::OfTotal],
        Bonus::Either => &[Bonus::None, Bonus::OfPoints, Bonus::OfTotal],
    }
}

fn taken_off(way: Bonus, own: i64, total: i64) -> i64 {
    match way {
        Bonus::OfPoints => share(own),
        Bonus::OfTotal => (total / 1000).saturating_mul(30),
        Bonus::None | Bonus::Either => 0,
    }
}

/// The totals within `known` that give the score.
fn fitting(way: Bonus, own: i64, adj: i32, score: i64, known: Between) -> Option<Between> {
    let at = |total: i64| {
        let points = own.saturating_sub(taken_off(way, own, total));
        let points = points.saturating_add(adjustment(adj, Some(total)).unwrap_or(0));
        thousandths(points.max(1), total)
    };
    if let Some(total) = known.exact() {
        return (at(total) == score).then_some(known);
    }
    let left = own.saturating_sub(if way == Bonus::OfPoints { share(own) } else { 0 });
    let adj = i64::from(adj) - if way == Bonus::OfTotal { 30 } else { 0 };
    // The adjustment is rounded in itself, so it may be off by one.
    let slack = i64::from(adj != 0);
    let of_own = score.saturating_sub(adj);
    let least = thousandths(left, of_own.saturating_add(1 + slack)).saturating_add(1);
    let most = of_own.saturating_sub(slack);
    let most = (most > 0).then(|| thousandths(left, most)).filter(|most| *most < BOUNDLESS);
    Between { least: least.max(1), most }.overlap(known)
}

/// From the least to the most of both.
fn hull(one: Between, two: Between) -> Between {
    let most = one.most.zip(two.most).map(|(one, two)| one.max(two));
    Between { least: one.least.min(two.least), most }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_tells_the_total_within_bounds() {
        let any = Between { least: 1, most: None };
        let told = fitting(Bonus::None, 318_804, 0, 943, any).unwrap();
        assert_eq!((told.least, told.most), (337_717, Some(338_074)));
        for total in [told.least, told.end()] {
            assert_eq!(thousandths(318_804, total), 943);
        }
        assert_ne!(thousandths(318_804, told.least - 1), 943);
        assert_ne!(thousandths(318_804, told.end() + 1), 943);
        let with = fitting(Bonus::OfPoints, 318_804, 0, 943, any).unwrap();
        assert_eq!((with.least, with.most), (327_585, Some(327_932)));
    }

    #[test]
    fn a_score_of_nothing_bounds_nothing_above() {
        let any = Between { least: 1, most: None };
        let told = fitting(Bonus::None, 500, 0, 0, any).unwrap();
        assert_eq!((told.least, told.most), (500_001, None));
    }

    #[test]
    fn only_uid_0_may_have_had_the_bonus() {
        assert_eq!(ways(Bonus::Either, Some(1000)), [Bonus::None]);
        assert_eq!(ways(Bonus::Either, None), [Bonus::None]);
        assert_eq!(ways(Bonus::Either, Some(0)).len(), 3);
    }
}
