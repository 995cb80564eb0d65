//! Which series stand over which moments: those that share most of theirs share a batch.
//!
//! A batch has one list of moments for all its series. Series of one scrape have the same moments, but
//! for gaps; those of different scrapes have none in common. So lists of moments are laid together as
//! long as what is gained, one list in place of two, is more than the gaps cost.

use std::collections::HashMap;

/// A list goes to a grid of up to so many times its own moments: beyond that its gaps take longer to
/// write and to read than its samples.
const STRETCH: usize = 8;

/// So many moments of a list are looked up to find its grid.
const PROBES: usize = 32;

/// So many moments are looked at one by one; of more, only every eighth is: their table would take
/// more room than the samples.
const CLOSELY: usize = 512 * 1024;
const THIN: usize = 8;

/// Grids with fewer moments than this are laid together whatever they share, up to this many: a
/// batch takes some hundred bytes for itself.
const CRUMBS: usize = 512;
const POOL: usize = 8 * CRUMBS;

/// Moments, and which lists stand over them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Grid {
    /// They rise.
    pub(super) moments: Vec<i64>,
    /// Places of the lists, rising.
    pub(super) lists: Vec<usize>,
}

/// Grids for lists of rising moments: each list is on one of them.
pub(super) fn grids(lists: &[&[i64]]) -> Vec<Grid> {
    let mut by_size: Vec<(u32, usize)> =
        lists.iter().enumerate().map(|(at, list)| (size_class(list.len()), at)).collect();
    by_size.sort_by_key(|(class, at)| (std::cmp::Reverse(*class), *at));
    let mut drafts: Vec<Draft> = vec![];
    for of_class in by_size.chunk_by(|a, b| a.0 == b.0) {
        let points = of_class.iter().filter_map(|(_, at)| lists.get(*at)).map(|list| list.len());
        let mut board = Board::of(points.sum());
        for (_, at) in of_class {
            if let Some(list) = lists.get(*at) {
                board.place(*at, list);
            }
        }
        drafts.extend(board.drafts);
    }
    pooled(drafts).into_iter().map(|draft| draft.drawn(lists)).collect()
}

/// Lists of one class differ in length by less than [`STRETCH`].
fn size_class(length: usize) -> u32 {
    length.max(1).ilog2() / STRETCH.ilog2()
}

/// A grid of which the lists are known.
#[derive(Debug, Default)]
struct Draft {
    lists: Vec<usize>,
    /// About how many moments it has.
    points: usize,
}

/// Grids of one class, and which moments are whose.
#[derive(Debug)]
struct Board {
    drafts: Vec<Draft>,
    owners: HashMap<i64, usize>,
    /// Of so many moments one is looked at.
    thin: usize,
}

impl Board {
    /// For lists of so many moments together.
    fn of(points: usize) -> Self {
        let thin = if points > CLOSELY { THIN } else { 1 };
        Self { drafts: vec![], owners: HashMap::new(), thin }
    }

    fn place(&mut self, at: usize, list: &[i64]) {
        let seen: Vec<i64> = list.iter().copied().filter(|moment| self.is_seen(*moment)).collect();
        let missing = |of: usize| {
            let missing = seen.iter().filter(|moment| self.owners.get(*moment) != Some(&of));
            missing.count().saturating_mul(self.thin).min(list.len())
        };
        let found = self.usual_owner(&seen).map(|of| (of, missing(of)));
        let fits = found.filter(|(of, missing)| {
            let points = self.drafts.get(*of).map_or(0, |draft| draft.points);
            let shared = list.len().saturating_sub(*missing);
            shared.saturating_mul(2) >= list.len()
                && points.saturating_add(*missing) <= list.len().saturating_mul(STRETCH)
        });
        let (of, missing) = fits.unwrap_or((self.drafts.len(), list.len()));
        if of == self.drafts.len() {
            self.drafts.push(Draft::default());
        }
        if let Some(draft) = self.drafts.get_mut(of) {
            draft.lists.push(at);
            draft.points = draft.points.saturating_add(missing);
        }
        if missing > 0 {
            self.owners.extend(seen.into_iter().map(|moment| (moment, of)));
        }
    }

    /// Whether a moment is among those that are looked at, by bits that paces do not share.
    fn is_seen(&self, moment: i64) -> bool {
        let mixed = moment.cast_unsigned().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        usize::try_from(mixed).is_ok_and(|mixed| mixed.is_multiple_of(self.thin))
    }

    /// The grid that has most of some moments of a list.
    fn usual_owner(&self, list: &[i64]) -> Option<usize> {
        let every = (list.len() / PROBES).max(1);
        let probes = list.iter().step_by(every);
        let mut owners: Vec<usize> =
            probes.filter_map(|moment| self.owners.get(moment).copied()).collect();
        owners.sort_unstable();
        let runs = owners.chunk_by(|a, b| a == b);
        runs.max_by_key(|run| run.len()).and_then(|run| run.first().copied())
    }
}

/// Small grids laid together.
fn pooled(drafts: Vec<Draft>) -> Vec<Draft> {
    let (mut all, mut pool): (Vec<Draft>, Draft) = (vec![], Draft::default());
    for draft in drafts {
        if draft.points >= CRUMBS {
            all.push(draft);
            continue;
        }
        if pool.points.saturating_add(draft.points) > POOL {
            all.push(std::mem::take(&mut pool));
        }
        pool.points = pool.points.saturating_add(draft.points);
        pool.lists.extend(draft.lists);
    }
    if !pool.lists.is_empty() {
        all.push(pool);
    }
    all
}

impl Draft {
    fn drawn(mut self, all: &[&[i64]]) -> Grid {
        self.lists.sort_unstable();
        let mut moments: Vec<i64> = Vec::with_capacity(self.points);
        for at in &self.lists {
            let list = all.get(*at).copied().unwrap_or_default();
            if moments != list {
                moments = union(&moments, list);
            }
        }
        Grid { moments, lists: self.lists }
    }
}

/// The moments of two lists that rise.
fn union(a: &[i64], b: &[i64]) -> Vec<i64> {
    let mut all = Vec::with_capacity(a.len().max(b.len()));
    let (mut a, mut b) = (a.iter().copied().peekable(), b.iter().copied().peekable());
    while let Some(next) = a.peek().into_iter().chain(b.peek()).min().copied() {
        a.next_if_eq(&next);
        b.next_if_eq(&next);
        all.push(next);
    }
    all
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn every(step: i64, from: i64, count: i64) -> Vec<i64> {
        (0..count).map(|n| from + n * step).collect()
    }

    #[test]
    fn gaps_do_not_part_what_belongs_together() {
        let whole = every(60, 0, 1440);
        let gaps: Vec<i64> = whole.iter().copied().filter(|at| at % 420 != 0).collect();
        let other = every(60, 7, 1440);
        let grids = grids(&[&gaps, &other, &whole]);
        assert_eq!(grids.len(), 2);
        assert_eq!((&grids[0].lists, &grids[0].moments), (&vec![0, 2], &whole));
        assert_eq!((&grids[1].lists, &grids[1].moments), (&vec![1], &other));
    }

    #[test]
    fn short_lives_share_batches_but_not_with_long_ones() {
        let long = every(60, 0, 10_000);
        let lives: Vec<Vec<i64>> = (0..1000).map(|n| every(60, n * 600, 10)).collect();
        let mut lists: Vec<&[i64]> = lives.iter().map(Vec::as_slice).collect();
        lists.push(&long);
        let grids = grids(&lists);
        assert_eq!(grids[0].lists, [1000]);
        assert!(grids.len() < 6, "{}", grids.len());
        assert!(grids[1..].iter().all(|grid| grid.moments.len() <= POOL));
    }

    proptest! {
        #[test]
        fn each_list_is_on_one_grid_that_has_its_moments(
            lists in prop::collection::vec(prop::collection::btree_set(0..400_i64, 1..60), 1..30),
        ) {
            let lists: Vec<Vec<i64>> =
                lists.into_iter().map(|list| list.into_iter().collect()).collect();
            let slices: Vec<&[i64]> = lists.iter().map(Vec::as_slice).collect();
            let grids = grids(&slices);
            let mut found: Vec<usize> = grids.iter().flat_map(|g| g.lists.clone()).collect();
            found.sort_unstable();
            prop_assert_eq!(found, (0..lists.len()).collect::<Vec<_>>());
            for grid in &grids {
                prop_assert!(grid.moments.is_sorted_by(|a, b| a < b));
                for list in &grid.lists {
                    let has = |at| grid.moments.binary_search(at).is_ok();
                    prop_assert!(lists[*list].iter().all(has));
                }
            }
        }
    }
}
