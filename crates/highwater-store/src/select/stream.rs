//! A selection of any size, piece by piece, in bounded memory.
//!
//! Time is cut into stretches of a day at most, each within one era, and the series of a group
//! into parts, so that what is read at once fits the budget. Each part is read out of the
//! database in a transaction of its own, so that the recorder's log does not grow meanwhile.

use std::collections::VecDeque;

use highwater_core::series::{Selection, Series};
use highwater_core::units::Bytes;
use rusqlite::Row;

use super::Way;
use super::carry::Carry;
use super::cover::Reach;
use super::finish::Ends;
use super::wanted::Metric;
use crate::entity::Group;
use crate::error::StoreError;
use crate::reader::Reader;

/// The longest stretch read at once: what one chunk holds, which is unpacked as a whole.
const STRETCH_MS: i64 = 24 * 60 * 60 * 1000;

/// The most entities of one part, so that their labels fit any budget: some 2 MiB.
const MOST_ENTITIES: usize = 4096;

/// What a sample takes in memory while it is put together: itself, twice over when close-ups are
/// merged in.
const POINT_BYTES: usize = 32;

/// A selection, piece by piece: see [`Reader::stream`].
#[derive(Debug)]
pub struct Stream<'a> {
    reader: &'a Reader,
    selection: Selection,
    most: usize,
    stretches: VecDeque<Reach>,
    /// Parts of the present stretch that are to be read, the next one last.
    parts: Vec<Part>,
    ready: VecDeque<Series>,
    carry: Carry,
    present: Option<Reach>,
    /// When the group of the present parts was read as a whole: one without any entity has none.
    readings: Vec<i64>,
}

/// Some metrics of a group, and its entities from one on.
#[derive(Clone, Debug)]
struct Part {
    group: Group,
    metrics: Vec<Metric>,
    first: u64,
    /// How many entities at once; not yet known for the first part.
    entities: Option<usize>,
    last: bool,
}

impl Reader {
    /// The series that match, in pieces: those of one series come oldest first, and apart from
    /// that in no order. Without conditions it is everything. About `budget` is held in memory,
    /// whatever is selected; if it is less than a day of one series takes, that much.
    ///
    /// What is recorded or compacted meanwhile may or may not be among it.
    pub fn stream(&self, selection: &Selection, budget: Bytes) -> Result<Stream<'_>, StoreError> {
        let (from, to) = (selection.from.millis(), selection.to.millis());
        let reaches = self.reaches(from, to).map_err(self.failed())?;
        let (from, to) = self.recorded().map_err(self.failed())?;
        let stretches = reaches.into_iter().flat_map(|reach| cut(reach, (from, to))).collect();
        let most = usize::try_from(budget.get()).unwrap_or(usize::MAX) / POINT_BYTES;
        let (parts, ready, carry, readings) = Default::default();
        let (selection, present) = (selection.clone(), None);
        Ok(Stream {
            reader: self,
            selection,
            most,
            stretches,
            parts,
            ready,
            carry,
            present,
            readings,
        })
    }

    /// First and last moment on record, by whatever clock.
    fn recorded(&self) -> rusqlite::Result<(i64, i64)> {
        let (mut first, mut last) = (i64::MAX, i64::MIN);
        let mut note = |span: (i64, i64)| (first, last) = (first.min(span.0), last.max(span.1));
        self.eras()?.fresh.iter().for_each(|fresh| note(fresh.span));
        for group in Group::ALL {
            let batches = self.all_batches(group)?;
            batches.iter().for_each(|batch| note((batch.first_ms, batch.last_ms)));
        }
        Ok((first, last))
    }
}

/// A stretch cut into days, as far as there is anything on record.
fn cut(reach: Reach, (from, to): (i64, i64)) -> impl Iterator<Item = Reach> {
    let (first, last) = (reach.span.0.max(from), reach.span.1.min(to));
    // As a day's buckets do, a stretch has its end but not its beginning.
    let day = |at: i64| at.saturating_sub(1).div_euclid(STRETCH_MS);
    (day(first)..=day(last)).filter_map(move |number| {
        let begin = number.saturating_mul(STRETCH_MS).saturating_add(1).max(first);
        let end = number.saturating_add(1).saturating_mul(STRETCH_MS).min(last);
        // A bucket that ends after its era counts to the era's last stretch.
        let end = if end == last { reach.span.1 } else { end };
        (first <= last && begin <= end).then_some(Reach { span: (begin, end), ..reach })
    })
}

impl Iterator for Stream<'_> {
    type Item = Result<Series, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(series) = self.ready.pop_front() {
                return Some(Ok(series));
            }
            let read = match (self.parts.pop(), self.present) {
                (Some(part), Some(reach)) => self.read(part, reach),
                _ => match self.stretches.pop_front() {
                    None => return None,
                    Some(reach) => self.begin(reach),
                },
            };
            if let Err(error) = read {
                // What would follow rests on what could not be read.
                self.stretches.clear();
                self.parts.clear();
                return Some(Err(error));
            }
        }
    }
}

impl Stream<'_> {
    /// Begins a stretch: which groups and metrics it may have.
    fn begin(&mut self, reach: Reach) -> Result<(), StoreError> {
        self.present = Some(reach);
        self.carry.next_stretch();
        for (group, metrics) in self.reader.by_group(&self.selection.matchers)?.into_iter().rev() {
            let points = self.reader.points(group, reach)?.max(1);
            let series = (self.most / points).max(1);
            let at_once = series.min(metrics.len()).max(1);
            let entities = Some((series / at_once).clamp(1, MOST_ENTITIES));
            let count = metrics.chunks(at_once).count();
            let parts = metrics.chunks(at_once).enumerate().rev().map(|(at, metrics)| Part {
                group,
                metrics: metrics.to_vec(),
                first: 0,
                entities,
                last: at + 1 == count,
            });
            self.parts.extend(parts);
        }
        Ok(())
    }

    fn read(&mut self, part: Part, reach: Reach) -> Result<(), StoreError> {
        let reader = self.reader;
        let state = reader.db.unchecked_transaction().map_err(reader.failed())?;
        let most = part.entities.unwrap_or(1);
        let (matchers, metrics) = (&self.selection.matchers, part.metrics.clone());
        let wanted = reader.wanted(part.group, metrics, matchers, reach.span, (part.first, most));
        let wanted = wanted.map_err(reader.failed())?;
        let next = wanted.entities.last().map(|(id, _)| id.saturating_add(1));
        let goes_on = wanted.entities.len() >= most;
        let way = Way::of(&self.selection, usize::MAX);
        let gathered = reader.gather(&wanted, &[reach], way)?;
        drop(state);
        if gathered.readings.len() > self.readings.len() {
            self.readings.clone_from(&gathered.readings);
        }
        self.ready.extend(gathered.series_of(way.ends, &mut self.carry));
        match next.filter(|_| goes_on) {
            Some(first) => self.parts.push(Part { first, ..part }),
            None if part.last => {
                let mut readings = std::mem::take(&mut self.readings);
                if way.ends == Ends::Marked {
                    readings.sort_unstable();
                    self.ready.extend(self.carry.mark_the_missing(part.group, &readings));
                }
            }
            None => {}
        }
        Ok(())
    }
}

impl Reader {
    /// At most so many points has a series of a group in a stretch.
    fn points(&self, group: Group, reach: Reach) -> Result<usize, StoreError> {
        let batches = self.batches(group, reach.span).map_err(self.failed())?;
        let of_era = batches.iter().filter(|batch| batch.era == reach.era);
        let sealed = of_era.map(|batch| usize::try_from(batch.points).unwrap_or(0));
        let within = |at: i64| (reach.span.0..=reach.span.1).contains(&at);
        let take = |row: &Row<'_>| Ok(within(row.get(1)?).then_some(()));
        let fresh = self.rows("ticks", ("tick", "id, at_ms"), ("1", &[]), take);
        let fresh = fresh.map_err(self.failed())?.len();
        Ok(sealed.fold(fresh, usize::saturating_add))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_are_days_of_what_is_recorded() {
        let reach = Reach { era: 1, shift: 5, span: (i64::MIN, i64::MAX), till: i64::MAX };
        let day = STRETCH_MS;
        let spans = |recorded| cut(reach, recorded).map(|part| part.span).collect::<Vec<_>>();
        assert_eq!(
            spans((100, day + 100)),
            [(100, day), (day + 1, i64::MAX)],
            "the last one is open, for buckets that end later"
        );
        assert_eq!(spans((0, -1)), []);
        assert_eq!(super::super::cover::hull(&[reach]), Some((i64::MIN, i64::MAX)));
    }
}
