//! Which series ever went beyond a bound, by the extremes that stand beside each block.
//!
//! Where a batch lies wholly in the range, the heads of its sheets decide and nothing is unpacked.
//! Where the range cuts through a batch, a block is unpacked only if its series can matter and its
//! extremes would change the answer.

use highwater_core::series::{Labels, Selection};

use crate::codec::{Aspect, Entry, is_absent};
use crate::error::StoreError;
use crate::reader::Reader;
use crate::select::cover::{Reach, Take};
use crate::select::fresh::Most;
use crate::select::gather::Gathered;
use crate::select::sealed::{Find, Sheets, find};
use crate::select::wanted::Wanted;
use crate::select::{MOST_POINTS, cover::Order};

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// Samples greater than this.
    Above(f64),
    /// Samples less than this.
    Below(f64),
}

impl Bound {
    fn is_passed(self, min: f64, max: f64) -> bool {
        match self {
            Self::Above(bound) => max > bound,
            Self::Below(bound) => min < bound,
        }
    }
}

/// A series that went beyond the bound.
#[derive(Clone, Debug, PartialEq)]
pub struct Extreme {
    /// Its labels.
    pub labels: Labels,
    /// Its least sample in the range.
    pub min: f64,
    /// Its greatest sample in the range.
    pub max: f64,
}

/// What is known of one series so far.
#[derive(Clone, Copy, Debug)]
struct Seen {
    min: f64,
    max: f64,
    /// Some block of it goes beyond the bound, though perhaps outside of the range.
    possible: bool,
}

impl Seen {
    const NOTHING: Self = Self { min: f64::NAN, max: f64::NAN, possible: false };

    /// What is not a number is no extreme.
    fn take(&mut self, min: f64, max: f64) {
        (self.min, self.max) = (self.min.min(min), self.max.max(max));
    }

    /// Whether samples between these would change anything.
    fn would_change(&self, min: f64, max: f64) -> bool {
        let less = min < self.min || (self.min.is_nan() && !min.is_nan());
        less || max > self.max || (self.max.is_nan() && !max.is_nan())
    }
}

impl Reader {
    /// The series that have a sample beyond the bound in the range, with their extremes there, in
    /// order of labels. Each sample counts, or where samples are gone the extremes of buckets;
    /// the selection's `step` and `ends` have no say.
    pub fn extremes(
        &self,
        selection: &Selection,
        bound: Bound,
    ) -> Result<Vec<Extreme>, StoreError> {
        let state = self.db.unchecked_transaction().map_err(self.failed())?;
        let (from, to) = (selection.from.millis(), selection.to.millis());
        let reaches = self.reaches(from, to).map_err(self.failed())?;
        let mut found = vec![];
        for (group, metrics) in self.by_group(&selection.matchers)? {
            let wanted = self.wanted_within(group, metrics, &selection.matchers, &reaches)?;
            if !wanted.is_empty() {
                found.extend(self.extremes_of(&wanted, &reaches, bound)?);
            }
        }
        drop(state);
        found.sort_by(|a: &Extreme, b| a.labels.cmp(&b.labels));
        Ok(found)
    }

    fn extremes_of(
        &self,
        wanted: &Wanted,
        reaches: &[Reach],
        bound: Bound,
    ) -> Result<Vec<Extreme>, StoreError> {
        let cover = self.cover(wanted.group, reaches, Order::FINEST).map_err(self.failed())?;
        let count = wanted.metrics.len().saturating_mul(wanted.labels.len());
        let (seen, sheets) = (vec![Seen::NOTHING; count], Sheets::new(self));
        let mut scan = Scan { reader: self, wanted, bound, seen, sheets };
        let mut cut = vec![];
        for take in &cover.takes {
            if !scan.by_heads(take)? {
                cut.push(take);
            }
        }
        let mut fresh = Gathered::new(wanted, None);
        for reach in &cover.fresh {
            self.read_fresh(reach, &mut fresh, Most(MOST_POINTS))?;
        }
        fresh.each(|metric, slot, value| {
            if let Some(seen) = scan.of(metric, slot) {
                seen.take(value, value);
                seen.possible |= bound.is_passed(value, value);
            }
        });
        for take in cut {
            scan.by_samples(take)?;
        }
        Ok(scan.found())
    }
}

/// A scan of one group.
struct Scan<'a> {
    reader: &'a Reader,
    wanted: &'a Wanted,
    bound: Bound,
    /// Of each series, metric after metric.
    seen: Vec<Seen>,
    sheets: Sheets<'a>,
}

impl Scan<'_> {
    fn of(&mut self, metric: usize, slot: usize) -> Option<&mut Seen> {
        let at = metric.checked_mul(self.wanted.labels.len())?.checked_add(slot)?;
        self.seen.get_mut(at)
    }

    /// Takes in what the heads of a batch say; whether that is all, because all of the batch is
    /// in the range.
    fn by_heads(&mut self, take: &Take) -> Result<bool, StoreError> {
        let Some(ranges) = self.sheets.moments(take) else { return Ok(true) };
        let whole = 0..self.sheets.points();
        let all = ranges.contains(&whole);
        let (reader, wanted, bound) = (self.reader, self.wanted, self.bound);
        reader.each_sheet(take.batch.id, wanted, |sheet| {
            find(&sheet.heads, wanted, &mut |entry, metric, slot| {
                let Some((min, max)) = extremes_in(entry) else { return };
                if let Some(seen) = self.of(metric, slot) {
                    seen.possible |= bound.is_passed(min, max);
                    if all {
                        seen.take(min, max);
                    }
                }
            });
            Ok(())
        })?;
        Ok(all)
    }

    /// Takes in the samples of a batch of which a part is in the range, where they can matter.
    fn by_samples(&mut self, take: &Take) -> Result<(), StoreError> {
        let Some(ranges) = self.sheets.moments(take) else { return Ok(()) };
        let (reader, wanted) = (self.reader, self.wanted);
        reader.each_sheet(take.batch.id, wanted, |sheet| {
            let mut finds = vec![];
            find(&sheet.heads, wanted, &mut |entry, metric, slot| {
                let Some((min, max)) = extremes_in(entry) else { return };
                let matters = |seen: &mut Seen| seen.possible && seen.would_change(min, max);
                if self.of(metric, slot).is_some_and(matters) {
                    let Entry { block, place, key, .. } = *entry;
                    finds.push(Find { block, place, metric, slot, aspect: key.aspect });
                }
            });
            for of_block in finds.chunk_by(|a, b| a.block == b.block) {
                let mut read: Vec<(Find, f64, f64)> = vec![];
                let whole = 0..self.sheets.points();
                let mut rest = of_block.iter();
                self.sheets.read_block(&sheet, of_block, &whole, &mut |values| {
                    let Some(find) = rest.next() else { return };
                    let within = ranges.iter().filter_map(|range| values.get(range.clone()));
                    let within = within.flatten().copied().filter(|value| !is_absent(*value));
                    let (min, max) = within.fold((f64::NAN, f64::NAN), |(min, max), value| {
                        (value.min(min), value.max(max))
                    });
                    read.push((*find, min, max));
                });
                for (find, min, max) in read {
                    if let Some(seen) = self.of(find.metric, find.slot) {
                        match find.aspect {
                            Aspect::Min => seen.take(min, f64::NAN),
                            Aspect::Max => seen.take(f64::NAN, max),
                            _ => seen.take(min, max),
                        }
                    }
                }
            }
            Ok(())
        })
    }

    fn found(self) -> Vec<Extreme> {
        let slots = self.wanted.labels.len().max(1);
        let passed = self.seen.iter().enumerate();
        let passed = passed.filter(|(_, seen)| self.bound.is_passed(seen.min, seen.max));
        let extreme = |(at, seen): (usize, &Seen)| Extreme {
            labels: self.wanted.labels_of(at / slots, at % slots),
            min: seen.min,
            max: seen.max,
        };
        passed.map(extreme).collect()
    }
}

/// What an entry says of a series' extremes: NaN where it does not tell; `None` if it is of
/// something else.
fn extremes_in(entry: &Entry) -> Option<(f64, f64)> {
    match entry.key.aspect {
        Aspect::Min => Some((entry.min, f64::NAN)),
        Aspect::Max => Some((f64::NAN, entry.max)),
        // Of a counter there is nothing else in buckets; of a gauge the others tell more.
        Aspect::Raw | Aspect::Last => Some((entry.min, entry.max)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_number_is_no_extreme() {
        let mut seen = Seen::NOTHING;
        seen.take(f64::NAN, f64::NAN);
        assert!(!Bound::Above(0.0).is_passed(seen.min, seen.max));
        seen.take(3.0, f64::NAN);
        seen.take(f64::NAN, 7.0);
        assert_eq!((seen.min, seen.max), (3.0, 7.0));
        assert!(Bound::Above(6.0).is_passed(seen.min, seen.max));
        assert!(!Bound::Below(3.0).is_passed(seen.min, seen.max));
        assert!(seen.would_change(2.0, 5.0) && !seen.would_change(3.0, 7.0));
    }
}
