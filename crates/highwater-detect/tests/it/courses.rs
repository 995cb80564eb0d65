//! A seeded generator of courses.

use highwater_core::series::Point;
use highwater_core::time::WallTime;

/// 2026-01-05, a Monday, 00:00 UTC.
pub(crate) const MONDAY: i64 = 1_767_571_200_000;
pub(crate) const MINUTE: i64 = 60_000;

/// Dice that fall alike for a seed (Steele, Lea & Flood's `SplitMix64`).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to 1.
    pub(crate) fn share(&mut self) -> f64 {
        f64::from(u32::try_from(self.next() >> 32).unwrap_or(0)) / 4_294_967_296.0
    }

    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.share()
    }

    /// A normal variable (Box & Muller).
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.share().max(1e-12).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.share()).cos()
    }
}

/// One value every `minutes` for `hours`, of the hour.
pub(crate) fn course(minutes: i64, hours: f64, mut value: impl FnMut(f64) -> f64) -> Vec<Point> {
    let mut points = Vec::new();
    for step in 0.. {
        let hour = f64::from(i32::try_from(step * minutes).unwrap_or(0)) / 60.0;
        if hour > hours {
            break;
        }
        points.push(Point {
            at: WallTime::from_millis(MONDAY + step * minutes * MINUTE),
            value: value(hour),
        });
    }
    points
}

/// The moment `hours` after the first.
pub(crate) fn hour(hours: i64) -> WallTime {
    WallTime::from_millis(MONDAY + hours * 60 * MINUTE)
}

/// A day's wave between 0 and 1, lowest at four in the morning.
pub(crate) fn day(hour: f64) -> f64 {
    0.5 - 0.5 * ((hour - 4.0) / 24.0 * std::f64::consts::TAU).cos()
}

/// A sawtooth between 0 and 1 of the period, in hours.
pub(crate) fn saw(hour: f64, period: f64) -> f64 {
    (hour / period).fract()
}
