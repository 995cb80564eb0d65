//! Reading blocks: the series that are wanted out of one.

use std::fmt;
use std::ops::Range;

use super::ABSENT;
use super::course::{self, Frame, Shape};
use super::heads::{Course, Heads, Scale};
use super::number::Bytes;
use crate::tick::Damage;

/// Reads blocks, one after the other, in the same buffers.
#[derive(Default)]
pub struct BlockReader {
    numbers: Vec<i64>,
    present: Vec<f64>,
    values: Vec<f64>,
    places: Vec<Range<usize>>,
}

impl fmt::Debug for BlockReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockReader").finish_non_exhaustive()
    }
}

impl BlockReader {
    /// A reader with empty buffers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the series in the `wanted` places of a block, in that order, out of the block's
    /// `bytes`, once their checksum is found right. `out` gets the place and a value for each
    /// point of the sheet, [`ABSENT`] where there is none. A place that the block does not have is
    /// damage. Total over any heads and bytes.
    pub fn decode(
        &mut self,
        heads: &Heads,
        block: u32,
        bytes: &[u8],
        wanted: &[u16],
        out: &mut dyn FnMut(u16, &[f64]),
    ) -> Result<(), Damage> {
        self.decode_within(heads, (block, bytes), wanted, &(0..heads.points), out)
    }

    /// The same, of those points only that are `within`: `out` gets a value for each of them.
    pub fn decode_within(
        &mut self,
        heads: &Heads,
        (block, bytes): (u32, &[u8]),
        wanted: &[u16],
        within: &Range<usize>,
        out: &mut dyn FnMut(u16, &[f64]),
    ) -> Result<(), Damage> {
        let number = usize::try_from(block).unwrap_or(usize::MAX);
        let place = heads.blocks.get(number).ok_or(Damage::Body)?;
        if bytes.len() != place.length || crc32fast::hash(bytes) != place.crc {
            return Err(Damage::Checksum);
        }
        let members = heads.members.get(number).cloned().ok_or(Damage::Body)?;
        let courses = heads.courses.get(members).ok_or(Damage::Body)?;
        self.find(courses, bytes).ok_or(Damage::Body)?;
        for place in wanted {
            let at = usize::from(*place);
            let course = courses.get(at).ok_or(Damage::Body)?;
            let range = self.places.get(at).cloned().ok_or(Damage::Body)?;
            let bytes = bytes.get(range).ok_or(Damage::Body)?;
            self.series(heads, course, bytes, within)?;
            out(*place, &self.values);
        }
        Ok(())
    }

    /// Fills `places` with where in the block the bytes of each series are.
    fn find(&mut self, courses: &[Course], bytes: &[u8]) -> Option<()> {
        self.places.clear();
        let vary = courses.iter().filter(|course| course.shape != Shape::Constant).count();
        let mut from = Bytes(bytes);
        let mut lengths = Vec::with_capacity(vary);
        for _ in 1..vary {
            lengths.push(from.count()?);
        }
        let mut start = bytes.len() - from.0.len();
        let mut lengths = lengths.into_iter();
        for course in courses {
            let end = match course.shape {
                Shape::Constant => start,
                _ => lengths.next().map_or(Some(bytes.len()), |one| start.checked_add(one))?,
            };
            self.places.push(start..end);
            start = end;
        }
        Some(())
    }

    fn series(
        &mut self,
        heads: &Heads,
        course: &Course,
        bytes: &[u8],
        within: &Range<usize>,
    ) -> Result<(), Damage> {
        let Course { scale, shape, pattern, frame } = *course;
        let samples = heads.gaps.samples_within(pattern, within);
        self.present.clear();
        if shape == Shape::Constant {
            self.present.resize(samples.len(), constant(scale, frame));
        } else {
            let read = course::take_within(bytes, shape, frame, &samples, &mut self.numbers)?;
            let from = samples.start.saturating_sub(read.start);
            let wanted = self.numbers.get(from..from.saturating_add(samples.len()));
            let wanted = wanted.ok_or(Damage::Body)?;
            match scale {
                Scale::Counts(unit) => unit.values(wanted, &mut self.present),
                Scale::Bits => {
                    let bits = wanted.iter().map(|bits| bits.cast_unsigned());
                    self.present.extend(bits.map(f64::from_bits));
                }
            }
        }
        if pattern == 0 {
            std::mem::swap(&mut self.present, &mut self.values);
            return Ok(());
        }
        self.spread(heads, pattern, within).ok_or(Damage::Body)
    }

    /// Puts the samples in `present` where the pattern has them.
    fn spread(&mut self, heads: &Heads, pattern: usize, within: &Range<usize>) -> Option<()> {
        self.values.clear();
        let mut rest = self.present.as_slice();
        for stretch in heads.gaps.stretches(pattern) {
            let (start, end) = (stretch.start.max(within.start), stretch.end.min(within.end));
            if start >= end {
                continue;
            }
            self.values.resize(start - within.start, ABSENT);
            let (here, behind) = rest.split_at_checked(end - start)?;
            self.values.extend_from_slice(here);
            rest = behind;
        }
        self.values.resize(within.len(), ABSENT);
        Some(())
    }
}

fn constant(scale: Scale, frame: Frame) -> f64 {
    match scale {
        Scale::Counts(unit) => unit.value(frame.least).unwrap_or(f64::NAN),
        Scale::Bits => f64::from_bits(frame.least.cast_unsigned()),
    }
}
