//! A part of a window in memory, and how it becomes batches: one or a few of samples, and as many of
//! buckets of ten minutes.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::ops::Range;

use rusqlite::Connection;

use super::grid::{Grid, grids};
use super::{ERA, parts_of};
use crate::batch::{Batch, State, Tier};
use crate::bucket::Buckets;
use crate::chunks::{Chunks, Layout};
use crate::codec::{ABSENT, Aspect, Key};
use crate::entity::Group;

/// The most samples of a part: 32 MiB. Only a single series is let grow to twice as many, to be cut
/// where a bucket ends.
const MOST_SAMPLES: usize = 2 << 20;

/// The most series of a part: those of a few samples are cut here.
const MOST_SERIES: usize = 128 * 1024;

/// The most moments of a batch, as in compacting.
const MOST_POINTS: usize = 100_000;

/// A bucket's length.
const BUCKET_MS: i64 = 600_000;

/// Series of a window, in order.
#[derive(Debug, Default)]
pub(super) struct Part {
    times: Vec<i64>,
    values: Vec<f64>,
    /// Which series, and which samples.
    series: Vec<(u64, Range<usize>)>,
}

impl Part {
    /// Whether samples of `series` from `at` on belong into the next part.
    pub(super) fn is_full(&self, series: u64, at: i64) -> bool {
        let goes_on = self.series.last().is_some_and(|(last, _)| *last == series);
        if !goes_on {
            return self.times.len() >= MOST_SAMPLES || self.series.len() >= MOST_SERIES;
        }
        let bucket = |at: i64| at.saturating_sub(1).div_euclid(BUCKET_MS);
        self.times.len() >= 2 * MOST_SAMPLES
            && self.times.last().is_some_and(|last| bucket(*last) != bucket(at))
    }

    pub(super) fn push(&mut self, series: u64, at: i64, value: f64) {
        let next = self.times.len();
        match self.series.last_mut() {
            Some((last, range)) if *last == series => range.end = next + 1,
            _ => self.series.push((series, next..next + 1)),
        }
        self.times.push(at);
        self.values.push(value);
    }

    /// Adds samples of one series that rise; nothing of them is looked at.
    pub(super) fn extend(&mut self, series: u64, times: &[i64], values: &[f64]) {
        let next = self.times.len();
        let end = next + times.len();
        match self.series.last_mut() {
            Some((last, range)) if *last == series => range.end = end,
            _ => self.series.push((series, next..end)),
        }
        self.times.extend_from_slice(times);
        self.values.extend_from_slice(values);
    }

    /// Whether so many more samples of a series fit without a look at each.
    pub(super) fn has_room(&self, series: u64, count: usize) -> bool {
        let goes_on = self.series.last().is_some_and(|(last, _)| *last == series);
        let room = if goes_on { 2 * MOST_SAMPLES } else { MOST_SAMPLES };
        (goes_on || self.series.len() < MOST_SERIES) && self.times.len() + count <= room
    }

    pub(super) fn clear(&mut self) {
        self.times.clear();
        self.values.clear();
        self.series.clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.times.len()
    }

    /// Writes the batches, not valid yet; their ids.
    pub(super) fn write(&self, db: &Connection, counters: &[u32]) -> rusqlite::Result<Vec<i64>> {
        let all = db.unchecked_transaction()?;
        let lists = self.lists();
        let slices: Vec<&[i64]> = lists.all.iter().map(|range| self.moments(range)).collect();
        let mut written = vec![];
        for grid in grids(&slices) {
            let members = self.members(&lists, &grid.lists);
            for moments in grid.moments.chunks(MOST_POINTS) {
                written.extend(self.samples(&all, &slices, (moments, &members))?);
            }
        }
        let buckets: Vec<Buckets> =
            slices.iter().map(|list| Buckets::of(list, Tier::TenMinutes.seconds())).collect();
        let ends: Vec<&[i64]> = buckets.iter().map(Buckets::ends).collect();
        for grid in grids(&ends) {
            let members = self.members(&lists, &grid.lists);
            written.extend(self.buckets(&all, &buckets, (&grid, &members), counters)?);
        }
        all.commit()?;
        Ok(written)
    }

    fn moments(&self, range: &Range<usize>) -> &[i64] {
        self.times.get(range.clone()).unwrap_or_default()
    }

    /// The lists of moments that there are, each once.
    fn lists(&self) -> Lists {
        let (hasher, mut known) = (RandomState::new(), HashMap::<u64, Vec<usize>>::new());
        let mut lists = Lists::default();
        for (_, range) in &self.series {
            let moments = self.moments(range);
            let is_same =
                |of: &usize| lists.all.get(*of).is_some_and(|other| self.moments(other) == moments);
            // Most series have the moments of the one before.
            let last = lists.of.last().copied().filter(is_same);
            let same = last.or_else(|| {
                let alike = known.entry(hasher.hash_one(moments)).or_default();
                let same = alike.iter().copied().find(is_same);
                if same.is_none() {
                    alike.push(lists.all.len());
                }
                same
            });
            lists.of.push(same.unwrap_or(lists.all.len()));
            if same.is_none() {
                lists.all.push(range.clone());
            }
        }
        lists
    }

    /// The series of some lists by metric and entity: which list, and which samples.
    fn members(&self, lists: &Lists, some: &[usize]) -> Vec<Member> {
        let all = self.series.iter().zip(&lists.of);
        let within = all.filter(|(_, list)| some.binary_search(list).is_ok());
        let mut members: Vec<Member> = within
            .map(|((series, range), list)| {
                let (entity, metric) = parts_of(*series);
                Member { metric, entity, list: *list, range: range.clone() }
            })
            .collect();
        members.sort_unstable_by_key(|member| (member.metric, member.entity));
        members
    }

    fn samples(
        &self,
        db: &Connection,
        lists: &[&[i64]],
        (moments, members): (&[i64], &[Member]),
    ) -> rusqlite::Result<Option<i64>> {
        let mut chunks = begin(db, Tier::Raw, moments)?;
        let mut cells = vec![ABSENT; moments.len()];
        for Member { metric, entity, list, range } in members {
            let times = lists.get(*list).copied().unwrap_or_default();
            let values = self.values.get(range.clone()).unwrap_or_default();
            let key = Key { metric: *metric, entity: *entity, aspect: Aspect::Raw };
            if times == moments {
                chunks.push(db, key, values)?;
            } else {
                lay(times, values, moments, &mut cells);
                chunks.push(db, key, &cells)?;
            }
        }
        finish(db, &mut chunks)
    }

    fn buckets(
        &self,
        db: &Connection,
        buckets: &[Buckets],
        (grid, members): (&Grid, &[Member]),
        counters: &[u32],
    ) -> rusqlite::Result<Option<i64>> {
        let mut chunks = begin(db, Tier::TenMinutes, &grid.moments)?;
        let mut cells = vec![ABSENT; grid.moments.len()];
        for Member { metric, entity, list, range } in members {
            let Some(buckets) = buckets.get(*list) else { continue };
            let values = self.values.get(range.clone()).unwrap_or_default();
            let counter = counters.binary_search(metric).is_ok();
            for (aspect, values) in buckets.columns(counter, values, &[]) {
                let key = Key { metric: *metric, entity: *entity, aspect };
                lay(buckets.ends(), &values, &grid.moments, &mut cells);
                chunks.push(db, key, &cells)?;
            }
        }
        finish(db, &mut chunks)
    }
}

/// Lists of moments, and which one each series has.
#[derive(Debug, Default)]
struct Lists {
    all: Vec<Range<usize>>,
    of: Vec<usize>,
}

/// A series on its way into a batch.
#[derive(Debug)]
struct Member {
    metric: u32,
    entity: u64,
    list: usize,
    range: Range<usize>,
}

/// Lays samples into the places of a grid; what is not on it is left out.
fn lay(times: &[i64], values: &[f64], moments: &[i64], cells: &mut [f64]) {
    cells.fill(ABSENT);
    let first = times.partition_point(|at| moments.first().is_none_or(|first| at < first));
    let mut samples = times.iter().zip(values).skip(first).peekable();
    let from = times.get(first).map_or(moments.len(), |at| moments.partition_point(|m| m < at));
    for (moment, cell) in moments.iter().zip(cells).skip(from) {
        if let Some((_, value)) = samples.next_if(|(at, _)| *at == moment) {
            *cell = *value;
        } else if samples.peek().is_none() {
            break;
        }
    }
}

fn begin(db: &Connection, tier: Tier, moments: &[i64]) -> rusqlite::Result<Chunks> {
    Chunks::begin(db, tier, Group::Thing, ERA, moments, Layout::Swift)
}

/// Puts the batch as it will count, but not read yet; one without samples is none.
fn finish(db: &Connection, chunks: &mut Chunks) -> rusqlite::Result<Option<i64>> {
    let batch = chunks.finish(db)?;
    if batch.state != State::Valid {
        batch.put(db)?;
        return Ok(None);
    }
    let id = batch.id;
    Batch { state: State::Made, ..batch }.put(db)?;
    Ok(Some(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_ends_between_series_or_where_a_bucket_does() {
        let mut part = Part::default();
        assert!(!part.is_full(7, 1), "an empty one takes anything");
        part.extend(7, &vec![1; MOST_SAMPLES], &vec![0.0; MOST_SAMPLES]);
        assert!(part.is_full(8, 1) && !part.has_room(8, 1));
        assert!(!part.is_full(7, BUCKET_MS + 1), "a series is not cut without need");
        part.extend(7, &vec![5; MOST_SAMPLES], &vec![0.0; MOST_SAMPLES]);
        assert!(!part.is_full(7, BUCKET_MS), "the same bucket");
        assert!(part.is_full(7, BUCKET_MS + 1) && !part.has_room(7, 1));
    }

    #[test]
    fn samples_are_laid_where_their_moments_are() {
        let mut cells = [0.0; 4];
        lay(&[1, 3, 9], &[1.0, 3.0, 9.0], &[2, 3, 4, 9], &mut cells);
        assert_eq!(cells.map(f64::to_bits), [ABSENT, 3.0, ABSENT, 9.0].map(f64::to_bits));
        lay(&[20], &[1.0], &[2, 3, 4, 9], &mut cells);
        assert_eq!(cells.map(f64::to_bits), [ABSENT; 4].map(f64::to_bits));
    }
}
