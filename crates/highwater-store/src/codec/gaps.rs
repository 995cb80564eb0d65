//! Where series have samples and where they have none: the patterns that the series of a sheet share.
//!
//! A process that began and ended leaves one gap at each end in all its series, so a pattern is
//! written once and named by its number. Pattern 0 has no gap and is not written.

use std::collections::HashMap;
use std::ops::Range;

use super::is_absent;
use super::number::{Bytes, length, put_varint};

/// Collects patterns while a sheet is written.
#[derive(Debug, Default)]
pub(crate) struct GapWriter {
    known: HashMap<Vec<u8>, u64>,
    written: Vec<u8>,
    one: Vec<u8>,
    stretches: Vec<Range<usize>>,
}

impl GapWriter {
    /// Forgets all patterns.
    pub(crate) fn clear(&mut self) {
        self.known.clear();
        self.written.clear();
    }

    /// The number of the pattern of these values, which are put into `present` without the gaps:
    /// `None` if there is none at all.
    pub(crate) fn pattern(&mut self, values: &[f64], present: &mut Vec<f64>) -> Option<u64> {
        self.stretches.clear();
        let mut at = 0;
        for stretch in values.chunk_by(|a, b| is_absent(*a) == is_absent(*b)) {
            if !stretch.first().copied().is_none_or(is_absent) {
                present.extend_from_slice(stretch);
                self.stretches.push(at..at + stretch.len());
            }
            at += stretch.len();
        }
        match self.stretches.as_slice() {
            [] => None,
            [whole] if whole.len() == values.len() => Some(0),
            _ => Some(self.number()),
        }
    }

    fn number(&mut self) -> u64 {
        self.one.clear();
        put_varint(&mut self.one, length(self.stretches.len()));
        let mut at = 0;
        for stretch in &self.stretches {
            put_varint(&mut self.one, length(stretch.start - at));
            put_varint(&mut self.one, length(stretch.len()));
            at = stretch.end;
        }
        if let Some(number) = self.known.get(&self.one) {
            return *number;
        }
        let number = length(self.known.len()).saturating_add(1);
        self.known.insert(self.one.clone(), number);
        self.written.extend_from_slice(&self.one);
        number
    }

    /// Appends all patterns.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        put_varint(out, length(self.known.len()));
        out.extend_from_slice(&self.written);
    }
}

/// The patterns of a sheet that is read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gaps {
    /// All stretches with samples, of all patterns.
    stretches: Vec<Range<usize>>,
    /// Which of them are of which pattern, and how many samples that has.
    patterns: Vec<(Range<usize>, usize)>,
}

impl Gaps {
    /// Reads the patterns of `series` over this many points. Memory is bounded by the bytes.
    pub(crate) fn read(from: &mut Bytes<'_>, points: usize, series: usize) -> Option<Self> {
        let whole = 0..points;
        let mut gaps = Self { stretches: vec![whole], patterns: vec![(0..1, points)] };
        let patterns = from.count()?;
        if patterns > series {
            return None;
        }
        for _ in 0..patterns {
            let first = gaps.stretches.len();
            let (mut at, mut samples) = (0_usize, 0);
            for _ in 0..from.count()? {
                let gap = from.count()?;
                let stretch = from.count()?;
                let joins = gap == 0 && at > 0;
                let start = at.checked_add(gap)?;
                at = start.checked_add(stretch)?;
                if joins || stretch == 0 || at > points {
                    return None;
                }
                samples += stretch;
                gaps.stretches.push(start..at);
            }
            gaps.patterns.push((first..gaps.stretches.len(), samples));
        }
        Some(gaps)
    }

    /// How many samples a pattern has.
    pub(crate) fn samples(&self, pattern: usize) -> Option<usize> {
        self.patterns.get(pattern).map(|(_, samples)| *samples)
    }

    /// Which of the samples of a pattern stand at points that are `within`.
    pub(crate) fn samples_within(&self, pattern: usize, within: &Range<usize>) -> Range<usize> {
        let before = |point: usize| {
            let stretches = self.stretches(pattern).iter();
            let stretches = stretches.take_while(|stretch| stretch.start < point);
            stretches.map(|stretch| stretch.end.min(point) - stretch.start).sum()
        };
        before(within.start)..before(within.end)
    }

    /// The stretches with samples.
    pub(crate) fn stretches(&self, pattern: usize) -> &[Range<usize>] {
        let which = self.patterns.get(pattern).map(|(which, _)| which.clone());
        which.and_then(|which| self.stretches.get(which)).unwrap_or_default()
    }
}
