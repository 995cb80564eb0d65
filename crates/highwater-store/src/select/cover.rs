//! Which batches answer a selection: of each stretch of time, one tier.
//!
//! ```text
//! raw      ·················■■■■■■■■■■  fresh ticks end here
//! minute   ······■■■■■■■■■■■■■■■■■■■    the present day is not yet in tiers
//! ten min  ■■■■■■■■■■■■■■■■■■■■■■■■
//!
//! every sample:   ten min │ minute │ raw
//! one an hour:    ten min                  │ raw
//! ```
//!
//! A bucket is taken only if nothing of it is told by a better tier, so that no sample counts
//! twice and a counter does not seem to fall.

use std::collections::{BTreeMap, HashMap};

use rusqlite::{Row, ToSql};

use crate::batch::{BATCH_COLUMNS, Batch, State, Tier};
use crate::entity::{Group, Scope};
use crate::era::{self, Window};
use crate::reader::Reader;

/// Raw readings that are no further apart than this belong together: what stands in a coarser
/// tier between them is the same. The slowest survey is one in ten minutes.
const RAW_JOINT_MS: i64 = 20 * 60 * 1000;

/// The longest bucket.
const LONGEST_MS: i64 = 600_000;

/// Lists of moments that take more bytes than this are read again when they are wanted: where each
/// owner is scraped at moments of its own there are thousands of them.
const LONG_TIMES: usize = 512;

/// First and last of a stretch of moments.
pub(crate) type Span = (i64, i64);

/// A stretch of one era, by its own clock, that is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reach {
    pub(crate) era: i64,
    /// Recorded moment + shift = moment shown.
    pub(crate) shift: i64,
    /// As recorded.
    pub(crate) span: Span,
    /// The last moment of the era that is shown, whatever was asked for. A bucket that ends later,
    /// as its last one does, is shown there.
    pub(crate) till: i64,
}

/// A batch and those of its moments that are to be read.
#[derive(Debug)]
pub(crate) struct Take {
    pub(crate) batch: Batch,
    pub(crate) shift: i64,
    /// As recorded, in order.
    pub(crate) spans: Vec<Span>,
    /// What is later is shown here.
    pub(crate) till: i64,
}

/// What is to be read of a group.
#[derive(Debug, Default)]
pub(crate) struct Cover {
    /// In the order of time.
    pub(crate) takes: Vec<Take>,
    /// Of ticks that are not sealed.
    pub(crate) fresh: Vec<Reach>,
}

/// In which order tiers are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Order([Tier; 3]);

impl Order {
    /// Every sample there is.
    pub(crate) const FINEST: Self = Self([Tier::Raw, Tier::Minute, Tier::TenMinutes]);

    /// One sample each `step_ms` is enough.
    pub(crate) fn of_step(step_ms: Option<i64>) -> Self {
        match step_ms {
            Some(600_000..) => Self([Tier::TenMinutes, Tier::Minute, Tier::Raw]),
            Some(60_000..) => Self([Tier::Minute, Tier::Raw, Tier::TenMinutes]),
            _ => Self::FINEST,
        }
    }
}

impl Reader {
    /// What of each era is shown between two moments, in the order of time.
    pub(crate) fn reaches(&self, from: i64, to: i64) -> rusqlite::Result<Vec<Reach>> {
        let mut reaches = vec![];
        for Window { era, shift_ms, spans } in self.windows()? {
            for (first, last) in spans {
                let till = last.saturating_sub(shift_ms);
                let (first, last) = (first.max(from), last.min(to));
                if first <= last {
                    let span = (first.saturating_sub(shift_ms), last.saturating_sub(shift_ms));
                    reaches.push(Reach { era, shift: shift_ms, span, till });
                }
            }
        }
        reaches.sort_by_key(|reach| reach.span.0.saturating_add(reach.shift));
        Ok(reaches)
    }

    /// The windows of the eras; those whose row is damaged are shown where they were recorded.
    fn windows(&self) -> rusqlite::Result<Vec<Window>> {
        let eras = self.eras()?;
        let mut windows = era::windows(&eras.known);
        if !eras.damaged {
            return Ok(windows);
        }
        let mut spans: BTreeMap<i64, Span> = BTreeMap::new();
        let mut note = |era, (first, last): Span| {
            let span = spans.entry(era).or_insert((first, last));
            *span = (span.0.min(first), span.1.max(last));
        };
        eras.fresh.iter().for_each(|fresh| note(fresh.era, fresh.span));
        for group in Group::ALL {
            let batches = self.all_batches(group)?;
            batches.iter().for_each(|batch| note(batch.era, (batch.first_ms, batch.last_ms)));
        }
        spans.retain(|era, _| !windows.iter().any(|window| window.era == *era));
        for (era, span) in spans {
            let what = || format!("era {era}: its samples stand where its clock put them");
            self.damaged.borrow_mut().note("eras", era, 0, what);
            windows.push(Window { era, shift_ms: 0, spans: vec![span] });
        }
        Ok(windows)
    }

    /// What is to be read of a group.
    pub(crate) fn cover(
        &self,
        group: Group,
        reaches: &[Reach],
        order: Order,
    ) -> rusqlite::Result<Cover> {
        let (mut cover, eras) = (Cover::default(), self.eras()?);
        let Some(all) = hull(reaches) else { return Ok(cover) };
        let batches = self.batches(group, all)?;
        for reach in reaches {
            let fresh = eras.span_of(reach.era);
            cover.add(reach, order, &batches, fresh);
        }
        cover.takes.sort_by_key(|take| {
            (take.batch.first_ms.saturating_add(take.shift), take.batch.scope, take.batch.id)
        });
        Ok(cover)
    }

    /// The valid batches of a group that have to do with a stretch of time. What reaches out of it
    /// by a bucket's length counts, too.
    pub(crate) fn batches(&self, group: Group, (from, to): Span) -> rusqlite::Result<Vec<Batch>> {
        let (from, to) = (from.saturating_sub(LONGEST_MS), to.saturating_add(LONGEST_MS));
        let all = self.all_batches(group)?;
        let asked = |batch: &&Batch| batch.first_ms <= to && batch.last_ms >= from;
        Ok(all.iter().filter(asked).cloned().collect())
    }

    /// Reads the valid batches of a group. Each row's checksum is looked at before its moments are
    /// believed. Those that are long are left out: see [`Reader::long_times`].
    pub(crate) fn read_batches(&self, group: Group) -> rusqlite::Result<Vec<Batch>> {
        let take = |row: &Row<'_>| {
            let Some(mut batch) = Batch::of_row(row)? else {
                self.note_row("batches", row.get(0)?, &"its checksum is wrong");
                return Ok(None);
            };
            let asked = batch.group == group && batch.state == State::Valid;
            if batch.times.len() > LONG_TIMES {
                batch.times = vec![];
            }
            Ok(asked.then_some(batch))
        };
        let values: &[&dyn ToSql] = &[&group.name()];
        self.rows("batches", ("batch", BATCH_COLUMNS), ("grp = ?1", values), take)
    }

    /// The moments of a batch that were left out.
    pub(crate) fn long_times(&self, batch: i64) -> rusqlite::Result<Vec<u8>> {
        let mut select = self.db.prepare_cached("SELECT times FROM batch WHERE id = ?1")?;
        select.query_row([batch], |row| row.get(0))
    }

    /// How many bytes the moments of each batch take.
    pub(crate) fn times_lengths(&self) -> rusqlite::Result<HashMap<i64, u64>> {
        let take = |row: &Row<'_>| {
            let length: i64 = row.get(1)?;
            Ok(Some((row.get(0)?, u64::try_from(length).unwrap_or(0))))
        };
        let all = self.rows("batches", ("batch", "id, length(times)"), ("1", &[]), take)?;
        Ok(all.into_iter().collect())
    }
}

/// First and last moment of all stretches, as recorded.
pub(crate) fn hull(reaches: &[Reach]) -> Option<Span> {
    reaches.iter().map(|reach| reach.span).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
}

/// What the buckets of a batch tell of; of samples, the moments themselves.
fn told(batch: &Batch) -> Span {
    (batch.first_ms.saturating_sub(bucket_ms(batch.tier)), batch.last_ms)
}

/// How far a bucket of a tier reaches back from the moment it is kept under, its end.
fn bucket_ms(tier: Tier) -> i64 {
    tier.seconds().saturating_mul(1000).saturating_sub(1).max(0)
}

impl Cover {
    /// Adds what answers for one stretch.
    fn add(&mut self, reach: &Reach, order: Order, batches: &[Batch], fresh: Option<Span>) {
        let (from, to) = reach.span;
        // A bucket that begins before the stretch is told as a whole if its moment is within.
        let mut open = vec![(from.saturating_sub(LONGEST_MS), to.saturating_add(LONGEST_MS))];
        for tier in order.0 {
            let of_tier = batches.iter().filter(|b| b.era == reach.era && b.tier == tier);
            let mut spans_told: Vec<Span> = vec![];
            for batch in of_tier {
                // A close-up tells of some only, and may be there longer than the rest.
                spans_told.extend((batch.scope != Scope::CloseUp).then(|| told(batch)));
                let spans = moments(&open, tier, (batch.first_ms, batch.last_ms), reach);
                if !spans.is_empty() {
                    let Reach { shift, till, .. } = *reach;
                    self.takes.push(Take { batch: batch.clone(), shift, spans, till });
                }
            }
            if let (Tier::Raw, Some(fresh)) = (tier, fresh) {
                spans_told.push(fresh);
                let spans = moments(&open, tier, fresh, reach);
                self.fresh.extend(spans.into_iter().map(|span| Reach { span, ..*reach }));
            }
            let joint = match tier {
                Tier::Raw => RAW_JOINT_MS,
                _ => tier.seconds().saturating_mul(2000),
            };
            for hole in joined(spans_told, joint) {
                open = open.iter().flat_map(|span| without(*span, hole)).collect();
            }
        }
    }
}

/// Those moments of a batch whose buckets are open, within a stretch.
fn moments(open: &[Span], tier: Tier, batch: Span, reach: &Reach) -> Vec<Span> {
    let before = bucket_ms(tier);
    let (from, mut to) = reach.span;
    if to == reach.till {
        to = to.saturating_add(before);
    }
    let within = open.iter().map(|(first, last)| {
        (first.saturating_add(before).max(batch.0).max(from), (*last).min(batch.1).min(to))
    });
    within.filter(|(first, last)| first <= last).collect()
}

/// Spans in order, those that are no further apart than `joint` made one.
fn joined(mut spans: Vec<Span>, joint: i64) -> Vec<Span> {
    spans.sort_unstable();
    let mut all: Vec<Span> = vec![];
    for (first, last) in spans {
        match all.last_mut() {
            Some((_, end)) if first.saturating_sub(*end) <= joint => *end = last.max(*end),
            _ => all.push((first, last)),
        }
    }
    all
}

/// A span without what a hole takes.
fn without((first, last): Span, (from, to): Span) -> impl Iterator<Item = Span> {
    let before = (first, last.min(from.saturating_sub(1)));
    let after = (first.max(to.saturating_add(1)), last);
    [before, after].into_iter().filter(|(first, last)| first <= last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entity::Scope;

    const DAY: i64 = 86_400_000;

    fn batch(id: i64, seconds: i64, (first_ms, last_ms): Span) -> Batch {
        Batch {
            id,
            tier: Tier::of_seconds(seconds).unwrap(),
            level: 1,
            group: Group::Machine,
            scope: Scope::Whole,
            era: 1,
            first_ms,
            last_ms,
            points: 2,
            samples: 2,
            bytes: 9,
            state: State::Valid,
            times: vec![],
        }
    }

    /// Which batches are taken, and which of their moments.
    fn taken(order: Order, batches: &[Batch], fresh: Option<Span>, span: Span) -> Vec<(i64, Span)> {
        let mut cover = Cover::default();
        cover.add(&Reach { era: 1, shift: 0, span, till: i64::MAX }, order, batches, fresh);
        let takes = cover.takes.iter().flat_map(|t| t.spans.iter().map(|span| (t.batch.id, *span)));
        takes.chain(cover.fresh.iter().map(|reach| (0, reach.span))).collect()
    }

    #[test]
    fn raw_first_and_tiers_where_it_is_gone() {
        let all = [
            batch(1, 600, (600_000, 2 * DAY)),
            batch(2, 60, (DAY + 60_000, 2 * DAY)),
            batch(3, 0, (DAY * 3 / 2 + 5000, 2 * DAY - 5000)),
        ];
        let fresh = Some((2 * DAY, 2 * DAY + 9000));
        assert_eq!(
            taken(Order::FINEST, &all, fresh, (0, 3 * DAY)),
            [
                (3, (DAY * 3 / 2 + 5000, 2 * DAY - 5000)),
                (2, (DAY + 60_000, DAY * 3 / 2 + 4999)),
                (1, (600_000, DAY)),
                (0, (2 * DAY, 2 * DAY + 9000)),
            ]
        );
    }

    #[test]
    fn steps_take_tiers_and_raw_where_there_are_none_yet() {
        let all = [
            batch(1, 600, (600_000, 2 * DAY)),
            batch(2, 60, (60_000, 2 * DAY)),
            batch(3, 0, (0, 2 * DAY + 500_000)),
        ];
        let order = Order::of_step(Some(3_600_000));
        assert_eq!(
            taken(order, &all, None, (0, 3 * DAY)),
            [(1, (600_000, 2 * DAY)), (3, (0, 0)), (3, (2 * DAY + 1, 2 * DAY + 500_000))]
        );
        let order = Order::of_step(Some(60_000));
        assert_eq!(taken(order, &all, None, (DAY, DAY + 70_000)), [(2, (DAY, DAY + 70_000))]);
    }

    #[test]
    fn eras_do_not_mix() {
        let mut other = batch(1, 0, (0, DAY));
        other.era = 2;
        assert_eq!(taken(Order::FINEST, &[other], None, (0, DAY)), []);
    }
}
