//! Moments and spans. Nothing here reads a clock: moments are handed in.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A moment of the wall clock: milliseconds since 1970-01-01 UTC, Prometheus's resolution.
///
/// `Display` writes RFC 3339 in UTC with milliseconds.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct WallTime(i64);

impl WallTime {
    /// `ms` milliseconds after the epoch.
    pub const fn from_millis(ms: i64) -> Self {
        Self(ms)
    }

    /// Milliseconds after the epoch.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// This moment moved back by `span`.
    #[must_use]
    pub fn before(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(duration_millis(span)))
    }

    /// This moment moved on by `span`.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(duration_millis(span)))
    }

    /// The span from `earlier` to this moment; zero if it is not earlier.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

fn duration_millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

impl From<Timestamp> for WallTime {
    fn from(moment: Timestamp) -> Self {
        Self(moment.as_millisecond())
    }
}

impl fmt::Display for WallTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Timestamp::from_millisecond(self.0) {
            Ok(moment) => f.pad(&format!("{moment:.3}")),
            Err(_) => f.pad("out of range"),
        }
    }
}

/// Time since boot, suspend included (`CLOCK_BOOTTIME`), in microseconds: the clock of kernel
/// messages, to within a suspend, and the one that never jumps.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct BootTime(u64);

impl BootTime {
    /// `us` microseconds after boot.
    pub const fn from_micros(us: u64) -> Self {
        Self(us)
    }

    /// Microseconds after boot.
    pub const fn micros(self) -> u64 {
        self.0
    }

    /// Seconds after boot, as kernel logs print them.
    #[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "exact for 285 years")]
    pub fn seconds(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// The span from `earlier` to this moment; zero if it is not earlier.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for BootTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000))
    }
}

/// One reading of both clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// What the wall clock said.
    pub wall: WallTime,
    /// What the boot clock said at the same moment.
    pub boot: BootTime,
}

impl Stamp {
    /// The wall time of another moment of this boot, reckoned from this reading.
    pub fn wall_at(self, boot: BootTime) -> WallTime {
        if boot > self.boot {
            self.wall.after(boot.since(self.boot))
        } else {
            self.wall.before(self.boot.since(boot))
        }
    }
}

/// Which boot of the machine: `/proc/sys/kernel/random/boot_id`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BootId(u128);

/// A boot id was not a UUID.
#[derive(Debug, thiserror::Error)]
#[error("boot id {0:?} is not 32 hexadecimal digits")]
pub struct BadBootId(String);

impl FromStr for BootId {
    type Err = BadBootId;

    fn from_str(text: &str) -> Result<Self, BadBootId> {
        let digits: String = text.trim().chars().filter(|c| *c != '-').collect();
        let id = (digits.len() == 32).then(|| u128::from_str_radix(&digits, 16).ok()).flatten();
        id.map(Self).ok_or_else(|| BadBootId(text.to_owned()))
    }
}

impl fmt::Display for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:032x}", self.0))
    }
}

impl fmt::Debug for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BootId({self})")
    }
}

/// A span as people say it, in at most two units: `250 ms`, `5 s`, `3 min 20 s`, `2 d 4 h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
        let seconds = self.0.as_secs();
        let text = match UNITS.iter().position(|(size, _)| seconds >= *size) {
            None => format!("{} ms", self.0.as_millis()),
            Some(at) => {
                let two = UNITS.iter().skip(at).take(2).scan(seconds, |left, (size, unit)| {
                    let count = *left / size;
                    *left %= size;
                    Some(if count > 0 { format!("{count} {unit}") } else { String::new() })
                });
                two.filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
            }
        };
        f.pad(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_print_as_rfc_3339() {
        assert_eq!(
            WallTime::from_millis(1_714_207_632_123).to_string(),
            "2024-04-27T08:47:12.123Z"
        );
        assert_eq!(WallTime::from_millis(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(WallTime::from_millis(i64::MAX).to_string(), "out of range");
    }

    #[test]
    fn a_boot_moment_finds_its_wall_time_on_both_sides_of_a_reading() {
        let now =
            Stamp { wall: WallTime::from_millis(10_000), boot: BootTime::from_micros(5_000_000) };
        assert_eq!(now.wall_at(BootTime::from_micros(4_000_000)), WallTime::from_millis(9_000));
        assert_eq!(now.wall_at(BootTime::from_micros(5_250_000)), WallTime::from_millis(10_250));
    }

    #[test]
    fn boot_ids_come_with_and_without_dashes() {
        let id: BootId = "3b1f7a52-0c2e-4d68-9a1e-1f2e3d4c5b6a\n".parse().unwrap();
        assert_eq!(id.to_string(), "3b1f7a520c2e4d689a1e1f2e3d4c5b6a");
        assert!("nonsense".parse::<BootId>().is_err());
        assert!("é".repeat(16).parse::<BootId>().is_err());
    }

    #[test]
    fn spans_use_two_units() {
        let said = |ms| Span(Duration::from_millis(ms)).to_string();
        assert_eq!(said(250), "250 ms");
        assert_eq!(said(5_000), "5 s");
        assert_eq!(said(200_000), "3 min 20 s");
        assert_eq!(said(3_600_000), "1 h");
        assert_eq!(said(187_200_000), "2 d 4 h");
    }
}
