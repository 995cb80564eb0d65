//! Courses of known fate.

use std::f64::consts::TAU;

use crate::e2e::dice::Dice;

/// What becomes of an owner's memory, descriptors and cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It stays where it is, but for noise.
    Flat,
    /// Garbage is collected: a sawtooth upon a floor that stays.
    Sawtooth,
    /// It goes up and down by day.
    Daily,
    /// It fills up in its first days.
    WarmUp,
    /// A new life every few days, all alike.
    Restarts,
    /// Its anonymous memory grows by 2 to 6 % of its limit a day.
    Leak,
    /// So do its descriptors.
    FdLeak,
}

/// The fate of owner `number`: of a hundred, most are flat.
pub(super) const fn fate(number: u32) -> Fate {
    match number % 100 {
        7 | 57 => Fate::Leak,
        // Only every third has descriptors on record.
        33 if number.is_multiple_of(3) => Fate::FdLeak,
        10..25 => Fate::Sawtooth,
        40..52 => Fate::Daily,
        60..64 => Fate::WarmUp,
        70..74 => Fate::Restarts,
        _ => Fate::Flat,
    }
}

/// One owner's courses.
#[derive(Debug)]
pub(super) struct Owner {
    fate: Fate,
    dice: Dice,
    /// Bytes that it has at rest.
    base: f64,
    /// How long a life lasts, in days, and a sawtooth, in hours.
    life: f64,
    tooth: f64,
    /// How much it grows a day, as a share of its base.
    growth: f64,
    phase: f64,
    /// What its noise remembers.
    drift: f64,
}

/// What an owner has at a moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) anon: f64,
    pub(super) cache: f64,
    pub(super) set: f64,
    pub(super) fds: f64,
    pub(super) threads: f64,
    /// When its present life began, in days after the first moment.
    pub(super) begun: f64,
}

const MIB: f64 = 1_048_576.0;
const PAGE: f64 = 4096.0;

impl Owner {
    pub(super) fn new(number: u32) -> Self {
        let mut dice = Dice::of(u64::from(number).wrapping_mul(0x2545_f491_4f6c_dd1d));
        dice.roll();
        let mut unit = || share(&mut dice);
        let base = (16.0 + 1000.0 * unit() * unit()) * MIB;
        let (life, tooth) = (2.0 + 4.0 * unit(), 1.0 + 11.0 * unit());
        let (growth, phase) = (0.02 + 0.04 * unit(), unit());
        Self { fate: fate(number), dice, base, life, tooth, growth, phase, drift: 0.0 }
    }

    /// Its limit: twice what it has at rest; every fourth owner has none.
    pub(super) fn limit(&self, number: u32) -> f64 {
        if number.is_multiple_of(4) { 0.0 } else { paged(self.base * 2.5) }
    }

    /// What it has so many days after the first moment; to be asked in the order of time.
    pub(super) fn sample(&mut self, day: f64) -> Sample {
        let noise = share(&mut self.dice) - 0.5;
        // Most noise remembers the last hour.
        self.drift = self.drift * 0.9 + noise;
        let wobble = self.base * 0.004 * self.drift;
        let begun = match self.fate {
            Fate::Restarts => (day / self.life).floor() * self.life,
            _ => -3.0,
        };
        let hour = day * 24.0;
        let tooth = ((hour + 24.0 * self.phase) / self.tooth).fract();
        let wave = 0.5 + 0.5 * ((day + self.phase) * TAU).sin();
        let more = match self.fate {
            Fate::Flat | Fate::FdLeak => 0.0,
            Fate::Sawtooth => 0.6 * tooth,
            Fate::Daily => 0.3 * wave,
            Fate::WarmUp => 0.8 * (1.0 - (-day / 1.5).exp()),
            Fate::Restarts => 0.2 * (1.0 - (-(day - begun) * 12.0).exp()),
            Fate::Leak => self.growth * day,
        };
        let anon = paged(self.base * (1.0 + more) + wobble.abs());
        let cache = paged(self.base * 0.5 + self.base * 0.05 * wave + wobble.abs() * 4.0);
        let leaked = if self.fate == Fate::FdLeak { 40.0 * day } else { 0.0 };
        let fds = (64.0 + 200.0 * self.phase + 6.0 * (self.drift.abs()) + leaked).floor();
        let threads = (8.0 + 24.0 * self.phase + 0.7 * self.drift.abs()).floor();
        Sample { anon, cache, set: anon + paged(cache * 0.4), fds, threads, begun }
    }
}

fn paged(bytes: f64) -> f64 {
    (bytes / PAGE).round() * PAGE
}

/// From 0 to 1.
fn share(dice: &mut Dice) -> f64 {
    let high = u32::try_from(dice.roll() >> 32).unwrap_or(u32::MAX);
    f64::from(high) / f64::from(u32::MAX)
}
