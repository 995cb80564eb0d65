//! Draws from distributions; the same in every run of a seed.

use std::f64::consts::TAU;

use crate::e2e::dice::Dice;

/// What a trace's parameters are drawn from.
#[derive(Clone, Debug)]
pub(super) struct Draw(Dice);

impl Draw {
    /// The draws of trace `number` under `seed`: none hangs on how many others there are.
    pub(super) fn of(seed: u64, number: usize) -> Self {
        let number = u64::try_from(number).unwrap_or(u64::MAX);
        let mut mixer = Dice::of(seed.wrapping_mul(0x2545_f491_4f6c_dd1d).wrapping_add(number));
        mixer.roll();
        Self(Dice::of(mixer.roll()))
    }

    /// From 0 to 1, the end excluded.
    pub(super) fn unit(&mut self) -> f64 {
        let high = u32::try_from(self.0.roll() >> 32).unwrap_or(u32::MAX);
        f64::from(high) / (f64::from(u32::MAX) + 1.0)
    }

    /// From `low` to `high`, evenly.
    pub(super) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// From `low` to `high`, each order of magnitude as likely as the next.
    pub(super) fn wide(&mut self, low: f64, high: f64) -> f64 {
        self.between(low.ln(), high.ln()).exp()
    }

    /// Of mean 0 and deviation 1 (Box and Muller, 1958).
    pub(super) fn normal(&mut self) -> f64 {
        let (radius, angle) = (1.0 - self.unit(), self.unit());
        (-2.0 * radius.ln()).sqrt() * (TAU * angle).cos()
    }

    /// True once in `1 / likelihood`.
    pub(super) fn chance(&mut self, likelihood: f64) -> bool {
        self.unit() < likelihood
    }

    /// A place in a list of `len`.
    pub(super) fn place(&mut self, len: usize) -> usize {
        let len = u64::try_from(len).unwrap_or(u64::MAX);
        usize::try_from(self.0.below(len)).unwrap_or(0)
    }

    /// One of these.
    pub(super) fn one_of<T: Copy + Default>(&mut self, all: &[T]) -> T {
        all.get(self.place(all.len())).copied().unwrap_or_default()
    }
}

/// A count as a number to compute with.
pub(super) fn real(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::from(u32::MAX), f64::from)
}

/// The whole part of a number, as a count; none below zero.
pub(super) fn whole(number: f64) -> usize {
    // A duration is the one way of the standard library from a float to an integer that refuses.
    let seconds = std::time::Duration::try_from_secs_f64(number.max(0.0)).unwrap_or_default();
    usize::try_from(seconds.as_secs()).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_stay_inside_and_have_their_moments() {
        let mut draw = Draw::of(1, 1);
        let all: Vec<f64> = (0..4000).map(|_| draw.normal()).collect();
        let mean = all.iter().sum::<f64>() / 4000.0;
        let spread = all.iter().map(|v| v * v).sum::<f64>() / 4000.0;
        assert!(mean.abs() < 0.06 && (spread - 1.0).abs() < 0.08, "{mean} {spread}");
        assert!((0..1000).all(|_| (2.0..3.0).contains(&draw.between(2.0, 3.0))));
        assert!((0..1000).all(|_| (0.1..100.0).contains(&draw.wide(0.1, 100.0))));
    }

    #[test]
    fn a_number_of_a_seed_has_its_own_draws() {
        let first = |seed, number| Draw::of(seed, number).unit().to_bits();
        assert_eq!(first(1, 5), first(1, 5));
        assert_ne!(first(1, 5), first(1, 6));
        assert_ne!(first(1, 5), first(2, 5));
    }

    #[test]
    fn whole_cuts_and_never_goes_below_zero() {
        assert_eq!([2.9, -1.0, f64::NAN].map(whole), [2, 0, 0]);
    }
}
