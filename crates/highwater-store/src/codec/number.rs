//! How numbers become bytes: varints, zigzag integers, and floats that are whole numbers of a unit.
//!
//! Everything that is recorded is a float, and nearly all of it is a count: of bytes, of pages, of
//! microseconds. As integers of their unit they are small, exact and alike.

/// Integers up to here are exact in a float.
pub(crate) const EXACT: i64 = 1 << 53;

/// The powers of ten by which fractions are counted: a millionth is the finest that the kernel tells.
const TENS: [f64; 7] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6];

/// How the integers of a series are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// In multiples of 2^shift, shift ≤ 63: sizes are pages, so their low bits are zero.
    Shifted(u32),
    /// In fractions of 10^−places, places ≤ 6: seconds come from counts of microseconds or ticks.
    Decimal(u32),
}

impl Unit {
    /// The integer that is `value` in this unit, if there is one that gives back exactly it.
    pub(crate) fn count(self, value: f64) -> Option<i64> {
        match self {
            Self::Shifted(shift) => {
                let number = whole(value)?;
                let count = number.checked_shr(shift)?;
                (count.checked_shl(shift)? == number).then_some(count)
            }
            Self::Decimal(places) => {
                let tens = tens(places)?;
                let number = whole((value * tens).round())?;
                let back = exact(number)? / tens;
                (back.to_bits() == value.to_bits()).then_some(number)
            }
        }
    }

    /// The value of `count` in this unit, if that is exact.
    pub(crate) fn value(self, count: i64) -> Option<f64> {
        match self {
            Self::Shifted(shift) => exact(count.checked_mul(1_i64.checked_shl(shift)?)?),
            Self::Decimal(places) => Some(exact(count)? / tens(places)?),
        }
    }

    /// The values of many counts at once. Counts that a writer would not have written give some
    /// float or other.
    #[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "counts are ≤ 2^53")]
    pub(crate) fn values(self, counts: &[i64], out: &mut Vec<f64>) {
        match self {
            Self::Shifted(shift) => {
                let scale = exact(1_i64.checked_shl(shift).unwrap_or(0)).unwrap_or(1.0);
                out.extend(counts.iter().map(|count| *count as f64 * scale));
            }
            Self::Decimal(places) => {
                let tens = tens(places).unwrap_or(1.0);
                out.extend(counts.iter().map(|count| *count as f64 / tens));
            }
        }
    }
}

fn tens(places: u32) -> Option<f64> {
    TENS.get(usize::try_from(places).ok()?).copied()
}

/// The integer that `value` is, if it is one that a float holds exactly. Minus zero is not.
#[expect(clippy::as_conversions, clippy::cast_possible_truncation, reason = "range is checked")]
pub(crate) fn whole(value: f64) -> Option<i64> {
    let number = value as i64;
    let plain = exact(number)?.to_bits() == value.to_bits();
    plain.then_some(number)
}

/// An integer as a float, if that is exact.
#[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "range is checked")]
pub(crate) fn exact(number: i64) -> Option<f64> {
    (number.unsigned_abs() <= EXACT.unsigned_abs()).then_some(number as f64)
}

/// 0, −1, 1, −2, … as 0, 1, 2, 3, …
pub(crate) fn zigzag(number: i64) -> u64 {
    (number.cast_unsigned() << 1) ^ (number >> 63).cast_unsigned()
}

/// The inverse of [`zigzag`].
pub(crate) fn unzigzag(code: u64) -> i64 {
    (code >> 1).cast_signed() ^ -(code & 1).cast_signed()
}

/// A count as it is written.
pub(crate) fn length(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// Appends an unsigned LEB128 integer.
pub(crate) fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    loop {
        let low = number.to_le_bytes()[0] & 0x7f;
        number >>= 7;
        if number == 0 {
            return out.push(low);
        }
        out.push(low | 0x80);
    }
}

/// What is left to read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl<'a> Bytes<'a> {
    /// The next `count` bytes.
    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// The next byte.
    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    /// The next unsigned LEB128 integer; one of more than 64 bits is none.
    pub(crate) fn varint(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return None;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    /// Passes over so many varints. Of each the last byte alone is below 128, so that no more bytes
    /// than varints are left to pass are ever too many.
    pub(crate) fn skip(&mut self, mut count: usize) -> Option<()> {
        while count > 0 {
            let ends = self.take(count)?.iter().map(|byte| usize::from(*byte < 0x80));
            count = count.saturating_sub(ends.sum());
        }
        Some(())
    }

    /// The next varint as a count of something in memory.
    pub(crate) fn count(&mut self) -> Option<usize> {
        usize::try_from(self.varint()?).ok()
    }

    /// The next zigzag integer.
    pub(crate) fn signed(&mut self) -> Option<i64> {
        self.varint().map(unzigzag)
    }

    /// The next eight bytes as a float, bit for bit.
    pub(crate) fn float(&mut self) -> Option<f64> {
        let bytes: [u8; 8] = self.take(8)?.try_into().ok()?;
        Some(f64::from_bits(u64::from_le_bytes(bytes)))
    }

    /// The next four bytes as a checksum.
    pub(crate) fn crc(&mut self) -> Option<u32> {
        let bytes: [u8; 4] = self.take(4)?.try_into().ok()?;
        Some(u32::from_le_bytes(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn units_give_back_what_they_take() {
        assert_eq!(Unit::Shifted(12).count(12288.0), Some(3));
        assert_eq!(Unit::Shifted(12).count(12289.0), None);
        assert_eq!(Unit::Decimal(2).count(0.07), Some(7));
        assert_eq!(Unit::Decimal(2).count(0.071), None);
        assert_eq!(Unit::Decimal(6).count(-0.0), None);
        assert_eq!(Unit::Shifted(0).count(f64::INFINITY), None);
        assert_eq!(Unit::Shifted(0).count(f64::NAN), None);
        assert_eq!(Unit::Shifted(63).value(1), None);
        assert_eq!(Unit::Decimal(7).value(1), None);
    }

    proptest! {
        #[test]
        fn signed_numbers_come_back(number: i64) {
            prop_assert_eq!(unzigzag(zigzag(number)), number);
            let mut bytes = vec![];
            put_varint(&mut bytes, zigzag(number));
            let mut from = Bytes(&bytes);
            prop_assert_eq!(from.signed(), Some(number));
            prop_assert!(from.0.is_empty());
        }

        #[test]
        fn many_values_are_the_single_ones(number in -EXACT..=EXACT, places in 0..7_u32) {
            let mut out = vec![];
            let unit = Unit::Decimal(places);
            unit.values(&[number], &mut out);
            prop_assert_eq!(unit.value(number).unwrap().to_bits(), out[0].to_bits());
            // Beyond the digits of a float it may be another number or none, but never another value.
            let again = unit.count(out[0]);
            prop_assert!(again == Some(number) || number.abs() > 1 << 50);
            prop_assert!(again.is_none_or(|count| unit.value(count) == Some(out[0])));
        }
    }
}
