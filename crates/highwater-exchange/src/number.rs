//! Numbers as texts write them, read without allocation.

use highwater_core::time::WallTime;

use crate::Stamps;

/// Powers of ten that a double holds exactly, as many as [`EXACT_DIGITS`] needs.
const TENS: [f64; 16] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

/// Integers of so many digits are below 2^53: a quotient of one of them and a power of ten of at
/// most 22 is rounded once, so it is the nearest double (Clinger 1990, "How to read floating point
/// numbers accurately").
const EXACT_DIGITS: usize = 15;

/// Timestamps from here on are milliseconds: in milliseconds this is the year 1973, in seconds the
/// year 5138.
const FIRST_MILLIS: i64 = 100_000_000_000;

/// The years 0 to 5138 in milliseconds: what can be written in either unit.
pub(crate) const MILLIS: std::ops::RangeInclusive<i64> = -62_167_219_200_000..=99_999_999_999_999;

/// A decimal number without an exponent: `digits × 10^-places`.
struct Decimal {
    negative: bool,
    digits: u64,
    count: usize,
    places: usize,
}

/// Reads `text` as a plain decimal number of at most 18 digits.
fn decimal(text: &[u8]) -> Option<Decimal> {
    let (negative, text) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    if text.len() > 19 {
        return None;
    }
    let (mut digits, mut count, mut point) = (0_u64, 0, None);
    for byte in text {
        match byte {
            b'0'..=b'9' => {
                digits = digits * 10 + u64::from(byte - b'0');
                count += 1;
            }
            b'.' if point.is_none() => point = Some(count),
            _ => return None,
        }
    }
    (1..=18).contains(&count).then_some(())?;
    Some(Decimal { negative, digits, count, places: point.map_or(0, |before| count - before) })
}

/// A value: decimal, with an exponent, `+Inf`, `-Inf` or `NaN`.
pub(crate) fn value(text: &[u8]) -> Option<f64> {
    match decimal(text) {
        Some(number) if number.count <= EXACT_DIGITS => {
            let magnitude = float(number.digits) / TENS.get(number.places)?;
            Some(if number.negative { -magnitude } else { magnitude })
        }
        _ => std::str::from_utf8(text).ok()?.parse().ok(),
    }
}

#[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "below 2^53: exact")]
fn float(digits: u64) -> f64 {
    digits as f64
}

/// A timestamp, and whether it was seconds or milliseconds: no sensible moment is both.
pub(crate) fn stamp(text: &[u8]) -> Option<(WallTime, Stamps)> {
    let (ms, stamps) = match decimal(text) {
        Some(number) => millis(&number)?,
        None => from_float(std::str::from_utf8(text).ok()?.parse().ok()?)?,
    };
    MILLIS.contains(&ms).then_some((WallTime::from_millis(ms), stamps))
}

/// Rounds a half up in magnitude.
fn millis(number: &Decimal) -> Option<(i64, Stamps)> {
    let digits = i64::try_from(number.digits).ok()?;
    let signed = |ms: i64| if number.negative { -ms } else { ms };
    let scale = 10_i64.checked_pow(u32::try_from(number.places).ok()?)?;
    let (whole, part) = (digits / scale, digits % scale);
    if whole >= FIRST_MILLIS {
        return Some((signed(whole), Stamps::Milliseconds));
    }
    let part = i128::from(part) * 1000 + i128::from(scale / 2);
    let ms = i64::try_from(part / i128::from(scale)).ok()?;
    Some((signed(whole * 1000 + ms), Stamps::Seconds))
}

#[expect(clippy::as_conversions, clippy::cast_possible_truncation, reason = "within the years")]
fn from_float(stamp: f64) -> Option<(i64, Stamps)> {
    let seconds = stamp.abs() < 1e11;
    let ms = if seconds { stamp * 1000.0 } else { stamp };
    let stamps = if seconds { Stamps::Seconds } else { Stamps::Milliseconds };
    (ms.abs() < 1e15).then(|| (ms.round() as i64, stamps))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_are_read_in_all_their_forms() {
        for (text, want) in [
            ("0", 0.0),
            ("-17", -17.0),
            ("+1.5", 1.5),
            (".5", 0.5),
            ("5.", 5.0),
            ("1e3", 1000.0),
            ("1.7976931348623157E+308", f64::MAX),
            ("123456789012345678", 123_456_789_012_345_680.0),
            ("0.1", 0.1),
            ("999999999999999", 999_999_999_999_999.0),
            ("+Inf", f64::INFINITY),
            ("-inf", f64::NEG_INFINITY),
        ] {
            assert_eq!(value(text.as_bytes()), Some(want), "{text}");
        }
        assert!(value(b"NaN").unwrap().is_nan());
        assert!(value(b"-0").unwrap().is_sign_negative());
        for text in ["", "-", ".", "1_0", "0x10", "1.2.3", "12a", "\u{661}", "1 "] {
            assert_eq!(value(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(value(b"\xff"), None);
    }

    #[test]
    fn a_timestamp_tells_its_unit_by_its_size() {
        let read = |text: &str| stamp(text.as_bytes()).map(|(at, unit)| (at.millis(), unit));
        let seconds = |ms| Some((ms, Stamps::Seconds));
        assert_eq!(read("1714207632"), seconds(1_714_207_632_000));
        assert_eq!(read("1714207632.123"), seconds(1_714_207_632_123));
        assert_eq!(read("1714207632.1239999"), seconds(1_714_207_632_124));
        assert_eq!(read("1714207632.99999999"), seconds(1_714_207_633_000));
        assert_eq!(read("1714207632.123456789012"), seconds(1_714_207_632_123));
        assert_eq!(read("1.714207632e9"), seconds(1_714_207_632_000));
        assert_eq!(read("0"), seconds(0));
        assert_eq!(read("-1.5"), seconds(-1500));
        assert_eq!(read("1714207632123"), Some((1_714_207_632_123, Stamps::Milliseconds)));
        for text in ["", "now", "NaN", "Inf", "1e300", "999999999999999999", "-99999999999999"] {
            assert_eq!(read(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn every_double_is_read_as_it_was_written(bits in any::<u64>()) {
            let number = f64::from_bits(bits);
            prop_assume!(!number.is_nan());
            let again = value(format!("{number:?}").as_bytes()).unwrap();
            prop_assert_eq!(again.to_bits(), number.to_bits());
        }

        #[test]
        fn short_decimals_are_read_as_the_library_reads_them(
            text in "[-+]?[0-9]{1,9}(\\.[0-9]{0,9})?"
        ) {
            let want: f64 = text.parse().unwrap();
            prop_assert_eq!(value(text.as_bytes()).unwrap().to_bits(), want.to_bits());
        }

        #[test]
        fn milliseconds_come_back(ms in MILLIS) {
            let (sign, all) = (if ms < 0 { "-" } else { "" }, ms.unsigned_abs());
            let text = format!("{sign}{}.{:03}", all / 1000, all % 1000);
            let got = stamp(text.as_bytes()).unwrap();
            prop_assert_eq!(got.0.millis(), ms);
        }
    }
}
