//! Numbers that look random and can be had again: a failure names its seed.

use std::time::Duration;

/// A generator (Sebastiano Vigna's splitmix64, in the public domain).
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    /// The numbers of this seed.
    pub(crate) const fn of(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub(crate) const fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`; 0 if there is none.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.roll().checked_rem(end).unwrap_or(0)
    }

    /// A span from `least` to `most`.
    pub(crate) fn span(&mut self, least: Duration, most: Duration) -> Duration {
        let width = most.saturating_sub(least).as_millis();
        let width = u64::try_from(width).unwrap_or(u64::MAX).saturating_add(1);
        least.saturating_add(Duration::from_millis(self.below(width)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_its_numbers_and_spans_stay_inside() {
        let (mut one, mut same) = (Dice::of(7), Dice::of(7));
        assert!((0..100).all(|_| one.roll() == same.roll()));
        let (least, most) = (Duration::from_millis(3), Duration::from_millis(5));
        let all: std::collections::BTreeSet<_> = (0..100).map(|_| one.span(least, most)).collect();
        assert_eq!(all, [3, 4, 5].map(Duration::from_millis).into());
        assert_eq!(one.below(0), 0);
    }
}
