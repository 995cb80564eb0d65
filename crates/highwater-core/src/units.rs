//! Amounts of memory. Numbers from the kernel become these at the border, and people's units only
//! in `Display`.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An amount of memory in bytes.
///
/// `Display` writes it in binary units as people read them: `900 MiB`, `1 GiB`, `1.21 GiB`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Bytes(u64);

impl Bytes {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// `count` bytes.
    pub const fn new(count: u64) -> Self {
        Self(count)
    }

    /// `count` kibibytes, the unit that the kernel writes as `kB`. Saturates.
    pub const fn from_kib(count: u64) -> Self {
        Self(count.saturating_mul(1024))
    }

    /// `count` mebibytes. Saturates.
    pub const fn from_mib(count: u64) -> Self {
        Self(count.saturating_mul(1024 * 1024))
    }

    /// The count of bytes.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The count of bytes for arithmetic on series, which are floats; exact below 8 PiB.
    #[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "series are floats")]
    pub const fn as_f64(self) -> f64 {
        self.0 as f64
    }

    /// The nearest whole count of bytes of a series' value; negative and NaN become zero.
    #[expect(
        clippy::as_conversions,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a float cast saturates, which is what is wanted here"
    )]
    pub fn from_f64(value: f64) -> Self {
        Self(value.round() as u64)
    }

    /// The sum, or the largest amount there is.
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference, or nothing.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// This amount as thousandths of `whole`; `None` of nothing. Rounds down.
    pub fn permille_of(self, whole: Self) -> Option<Permille> {
        let share = u128::from(self.0).saturating_mul(1000).checked_div(u128::from(whole.0))?;
        Some(Permille(u32::try_from(share).unwrap_or(u32::MAX)))
    }
}

impl std::iter::Sum for Bytes {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Self::saturating_add)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(u64, &str); 5] = [
            (1 << 50, "PiB"),
            (1 << 40, "TiB"),
            (1 << 30, "GiB"),
            (1 << 20, "MiB"),
            (1 << 10, "KiB"),
        ];
        let text = match UNITS.iter().find(|(size, _)| self.0 >= *size) {
            None => format!("{} B", self.0),
            Some((size, unit)) => format!("{} {unit}", three_figures(self.0, *size)),
        };
        f.pad(&text)
    }
}

/// `amount / size` with three figures and no trailing zeros: `900`, `1`, `1.21`, `41.3`.
fn three_figures(amount: u64, size: u64) -> String {
    let whole = Bytes(amount).as_f64() / Bytes(size).as_f64();
    let text = match whole {
        _ if whole >= 99.95 => format!("{whole:.0}"),
        _ if whole >= 9.995 => format!("{whole:.1}"),
        _ => format!("{whole:.2}"),
    };
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// A count of memory pages; how large a page is, the machine decides.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Pages(u64);

impl Pages {
    /// `count` pages.
    pub const fn new(count: u64) -> Self {
        Self(count)
    }

    /// The count of pages.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// What the pages take on a machine with pages of this size. Saturates.
    pub const fn bytes(self, page_size: PageSize) -> Bytes {
        Bytes(self.0.saturating_mul(page_size.0))
    }
}

/// The size of one page in bytes: a fact of the machine, passed in, never assumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageSize(u64);

impl PageSize {
    /// 4096 bytes: `x86_64`, and most arm64 kernels.
    pub const KIB4: Self = Self(4096);

    /// Pages of `bytes` bytes; `None` unless a power of two, as pages are.
    pub const fn new(bytes: u64) -> Option<Self> {
        if bytes.is_power_of_two() { Some(Self(bytes)) } else { None }
    }

    /// The size in bytes.
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// Thousandths, the kernel's own unit for out-of-memory scores. `Display` writes per cent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Permille(u32);

impl Permille {
    /// `thousandths` thousandths.
    pub const fn new(thousandths: u32) -> Self {
        Self(thousandths)
    }

    /// The count of thousandths.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Permille {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, tenth) = (self.0 / 10, self.0 % 10);
        let text = if whole >= 10 { format!("{whole} %") } else { format!("{whole}.{tenth} %") };
        f.pad(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_read_as_people_write_them() {
        let shown = |count| Bytes::new(count).to_string();
        assert_eq!(shown(0), "0 B");
        assert_eq!(shown(1023), "1023 B");
        assert_eq!(shown(1024), "1 KiB");
        assert_eq!(shown(900 << 20), "900 MiB");
        assert_eq!(shown(1 << 30), "1 GiB");
        assert_eq!(shown(1_298_000_000), "1.21 GiB");
        assert_eq!(shown(44_350_000_000), "41.3 GiB");
        assert_eq!(shown(u64::MAX), "16384 PiB");
    }

    #[test]
    fn a_share_of_nothing_is_unknown() {
        assert_eq!(Bytes::new(5).permille_of(Bytes::ZERO), None);
        assert_eq!(
            Bytes::new(u64::MAX).permille_of(Bytes::new(u64::MAX)),
            Some(Permille::new(1000))
        );
        assert_eq!(Permille::new(905).to_string(), "90 %");
        assert_eq!(Permille::new(47).to_string(), "4.7 %");
    }

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(Bytes::from_kib(u64::MAX).get(), u64::MAX);
        assert_eq!(Bytes::from_f64(-3.0), Bytes::ZERO);
        assert_eq!(Bytes::from_f64(f64::NAN), Bytes::ZERO);
        assert_eq!(PageSize::new(4097), None);
    }
}
