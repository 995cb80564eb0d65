//! A binary arithmetic coder with odds that learn: a likely bit costs next to nothing.
//!
//! Coding and decoding are one and the same walk: [`Coin::toss`] writes the bit it is given, or
//! gives the bit that was written. After R. N. Williams and M. Mahoney's carryless coders: an
//! interval of 64 bits is cut in proportion to the odds, and its leading bytes are put out as soon
//! as they are settled. What lies beyond the end of the bytes is taken for zeros, so the last ones
//! can be left away.

/// How likely a bit is to be set, in 65,536ths, and how much has been learnt.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Odds {
    chance: u16,
    seen: u8,
}

/// How far the odds move towards the n-th bit, in 4,096ths of the way. Quick at first, steady in
/// the end.
const PACE: [u32; 12] = [1_625, 1_125, 875, 687, 562, 481, 418, 368, 331, 293, 262, 225];

impl Odds {
    /// Odds of `chance` in 65,536, which `seen` bits taught already.
    pub(crate) const fn new(chance: u16, seen: u8) -> Self {
        Self { chance, seen }
    }

    fn learn(&mut self, bit: bool) {
        let pace = PACE.get(usize::from(self.seen)).or(PACE.last()).copied().unwrap_or(0);
        self.seen = self.seen.saturating_add(1);
        let chance = u32::from(self.chance);
        let moved = if bit {
            chance + (((65_536 - chance) * pace) >> 12)
        } else {
            chance - ((chance * pace) >> 12)
        };
        self.chance = u16::try_from(moved.clamp(64, 65_472)).unwrap_or(u16::MAX);
    }
}

/// One side of the coder.
pub(crate) trait Coin {
    /// Codes a bit by its odds, which learn from it.
    fn toss(&mut self, odds: &mut Odds, bit: bool) -> bool;

    /// Codes a bit that is as likely as not.
    fn even(&mut self, bit: bool) -> bool;

    /// Codes the low `count` bits of a number, each as likely as not.
    fn plain(&mut self, number: u64, count: u32) -> u64 {
        (0..count).rev().fold(0, |sum, at| sum << 1 | u64::from(self.even(number >> at & 1 == 1)))
    }
}

/// The side that writes.
#[derive(Debug)]
pub(crate) struct Minter<'a> {
    low: u64,
    high: u64,
    out: &'a mut Vec<u8>,
}

impl<'a> Minter<'a> {
    /// Appends to `out`.
    pub(crate) fn new(out: &'a mut Vec<u8>) -> Self {
        Self { low: 0, high: u64::MAX, out }
    }

    fn cut(&mut self, middle: u64, bit: bool) -> bool {
        if bit {
            self.high = middle;
        } else {
            self.low = middle.wrapping_add(1);
        }
        while top(self.low) == top(self.high) {
            self.out.push(top(self.low));
            self.low <<= 8;
            self.high = self.high << 8 | 0xff;
        }
        bit
    }

    /// Puts out the shortest end that tells the interval, given that zeros follow.
    pub(crate) fn finish(self) {
        for kept in 0..=8_u32 {
            // The least number of the interval that has only its first `kept` bytes.
            let rest = u64::MAX.checked_shr(8 * kept).unwrap_or(0);
            let Some(number) = self.low.checked_add(rest) else { continue };
            let number = number & !rest;
            if number <= self.high {
                let count = usize::try_from(kept).unwrap_or(8);
                self.out.extend(number.to_be_bytes().into_iter().take(count));
                return;
            }
        }
    }
}

impl Coin for Minter<'_> {
    fn toss(&mut self, odds: &mut Odds, bit: bool) -> bool {
        let middle = middle(self.low, self.high, odds.chance);
        odds.learn(bit);
        self.cut(middle, bit)
    }

    fn even(&mut self, bit: bool) -> bool {
        let middle = middle(self.low, self.high, 0x8000);
        self.cut(middle, bit)
    }
}

/// The side that reads. Any bytes are readable; those that nobody wrote give some bits or other.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    low: u64,
    high: u64,
    code: u64,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads what a [`Minter`] wrote.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        let mut reader = Self { low: 0, high: u64::MAX, code: 0, rest: bytes };
        for _ in 0..8 {
            reader.code = reader.code << 8 | reader.next();
        }
        reader
    }

    fn next(&mut self) -> u64 {
        let Some((byte, rest)) = self.rest.split_first() else { return 0 };
        self.rest = rest;
        u64::from(*byte)
    }

    fn cut(&mut self, middle: u64) -> bool {
        let bit = self.code <= middle;
        if bit {
            self.high = middle;
        } else {
            self.low = middle.wrapping_add(1);
        }
        self.shift();
        bit
    }

    /// The same of a bit that nobody can foresee, a processor no more than others: without a branch.
    fn cut_evenly(&mut self, middle: u64) -> bool {
        let bit = self.code <= middle;
        let lower = u64::from(bit).wrapping_neg();
        self.high = (middle & lower) | (self.high & !lower);
        self.low = (self.low & lower) | (middle.wrapping_add(1) & !lower);
        self.shift();
        bit
    }

    fn shift(&mut self) {
        while top(self.low) == top(self.high) {
            self.low <<= 8;
            self.high = self.high << 8 | 0xff;
            self.code = self.code << 8 | self.next();
        }
    }
}

impl Coin for Reader<'_> {
    fn toss(&mut self, odds: &mut Odds, _: bool) -> bool {
        let bit = self.cut(middle(self.low, self.high, odds.chance));
        odds.learn(bit);
        bit
    }

    fn even(&mut self, _: bool) -> bool {
        self.cut_evenly(middle(self.low, self.high, 0x8000))
    }
}

/// Where the interval is cut: the lower part is for a bit that is set.
fn middle(low: u64, high: u64, chance: u16) -> u64 {
    low.wrapping_add((high.wrapping_sub(low) >> 16).wrapping_mul(chance.into()))
}

fn top(number: u64) -> u8 {
    number.to_be_bytes()[0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn walk(coin: &mut impl Coin, bits: &[(bool, u8)]) -> Vec<bool> {
        let mut odds = [Odds::new(0x8000, 0), Odds::new(65_000, 3), Odds::new(300, 9)];
        let toss = |(bit, kind): &(bool, u8)| match odds.get_mut(usize::from(*kind)) {
            Some(odds) => coin.toss(odds, *bit),
            None => coin.even(*bit),
        };
        bits.iter().map(toss).collect()
    }

    #[test]
    fn what_is_expected_costs_little() {
        let mut out = vec![];
        let mut coin = Minter::new(&mut out);
        let mut odds = Odds::new(0x8000, 0);
        for _ in 0..10_000 {
            coin.toss(&mut odds, false);
        }
        coin.finish();
        assert!(out.len() < 20, "{} bytes", out.len());
    }

    proptest! {
        #[test]
        fn bits_come_back(bits in proptest::collection::vec((any::<bool>(), 0..4_u8), 0..2000)) {
            let mut out = vec![];
            let mut coin = Minter::new(&mut out);
            walk(&mut coin, &bits);
            coin.finish();
            let back = walk(&mut Reader::new(&out), &bits.iter().map(|b| (false, b.1)).collect::<Vec<_>>());
            prop_assert_eq!(back, bits.iter().map(|b| b.0).collect::<Vec<_>>());
        }

        #[test]
        fn garbage_gives_bits(bytes: Vec<u8>) {
            let kinds: Vec<_> = (0..500_u32).map(|n| (false, u8::try_from(n % 4).unwrap())).collect();
            prop_assert_eq!(walk(&mut Reader::new(&bytes), &kinds).len(), 500);
        }
    }
}
