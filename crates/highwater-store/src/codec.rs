//! The sheet: many series over the same times, packed; and the times themselves.
//!
//! Pure: bytes in, numbers out, and back. It knows no database, no clock and no metric.
//!
//! ```text
//! SheetWriter ─ push(Key, values) … ─ finish ─┬─ heads: who, how many, extremes, where ─ Heads
//!                                             └─ body: block, block, …                 ─ BlockReader
//! ```
//!
//! The heads are enough to say which series are there and what their extremes are; of the body only
//! the blocks of the series that are wanted need to be read. A series that never changes is wholly
//! in the heads. The bytes are drawn in `docs/formats/sheet.md`.

mod block;
mod coin;
mod course;
mod few;
mod gaps;
mod heads;
pub(crate) mod number;
mod pages;
mod sheet;
#[cfg(test)]
mod tests;
pub mod times;

pub use block::BlockReader;
pub use heads::{BlockPlace, Entry, Heads};
pub use sheet::{BLOCK_SERIES, Finished, SheetWriter};

pub use crate::tick::Damage;

/// No sample here: a NaN whose bits nothing else uses. Compare with [`is_absent`].
pub const ABSENT: f64 = f64::from_bits(0x7ff8_6162_7365_6e74);

/// The most points of a sheet: a day at one reading a second, and half as much again.
pub const MAX_POINTS: usize = 131_072;

/// The most series of a sheet: 4,096 entities of 64 metrics. Whoever has more writes several sheets.
pub const MAX_SERIES: usize = 262_144;

/// Whether this is [`ABSENT`], by its bits.
pub fn is_absent(value: f64) -> bool {
    value.to_bits() == ABSENT.to_bits()
}

/// What of a series' samples these numbers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Aspect {
    /// The samples themselves.
    Raw = 0,
    /// The least of a bucket.
    Min = 1,
    /// The greatest of a bucket.
    Max = 2,
    /// The last of a bucket.
    Last = 3,
    /// The sum of a bucket.
    Sum = 4,
    /// How many samples a bucket has.
    Count = 5,
    /// What resets of a counter within a bucket took away.
    Lost = 6,
}

impl Aspect {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 7] =
        [Self::Raw, Self::Min, Self::Max, Self::Last, Self::Sum, Self::Count, Self::Lost];

    /// The number that is written.
    pub fn code(self) -> u8 {
        match self {
            Self::Raw => 0,
            Self::Min => 1,
            Self::Max => 2,
            Self::Last => 3,
            Self::Sum => 4,
            Self::Count => 5,
            Self::Lost => 6,
        }
    }

    /// The aspect of this number.
    pub fn of_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }
}

/// What a series of a sheet is of. Series stand in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The metric's id.
    pub metric: u32,
    /// The entity's id.
    pub entity: u64,
    /// What of it.
    pub aspect: Aspect,
}

/// How series share blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Up to [`BLOCK_SERIES`] series a block: short stretches, read by time.
    Blocks,
    /// One changing series a block, with those that never change beside it: long stretches, read
    /// by series.
    Chunks,
    /// The same, without what is slow to read: of many series at once.
    Swift,
}
