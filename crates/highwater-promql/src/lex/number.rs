//! Numbers and durations, as Go and Prometheus write them.

use super::What;

/// The units of a duration in the order in which they must stand, in milliseconds.
const UNITS: &[(&str, i64)] = &[
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// The number that a word is: infinity and not-a-number are written so.
pub(super) fn named(word: &str) -> Option<What> {
    let value = match word.to_ascii_lowercase().as_str() {
        "inf" => f64::INFINITY,
        "nan" => f64::NAN,
        _ => return None,
    };
    Some(What::Number(value))
}

/// The number or duration that `rest` begins with, and how long it is.
pub(super) fn read(rest: &str) -> Result<(What, usize), String> {
    let bytes = rest.as_bytes();
    let hex = rest.starts_with("0x") || rest.starts_with("0X");
    let mut len: usize = if hex { 2 } else { 0 };
    while let Some(byte) = bytes.get(len) {
        let before = len.checked_sub(1).and_then(|at| bytes.get(at));
        let sign = !hex && b"+-".contains(byte) && before.is_some_and(|b| b"eE".contains(b));
        if !(byte.is_ascii_alphanumeric() || b"._".contains(byte) || sign) {
            break;
        }
        len = len.saturating_add(1);
    }
    let word = rest.get(..len).unwrap_or_default();
    let bad = || format!("bad number or duration syntax: {word:?}");
    let what = number(word).map(What::Number).or_else(|| duration(word).map(What::Span));
    what.map(|what| (what, len)).ok_or_else(bad)
}

/// A number as Go reads it: `0x1f`, `017`, `1_000`, `1.5e3`.
fn number(word: &str) -> Option<f64> {
    if word.ends_with('_') || word.contains("__") {
        return None;
    }
    let plain = word.replace('_', "");
    let digits = |from: usize, radix: u32| {
        let text = plain.get(from..).unwrap_or_default();
        let all: Option<Vec<u32>> = text.chars().map(|c| c.to_digit(radix)).collect();
        let all = all.filter(|digits| !digits.is_empty())?;
        Some(all.iter().fold(0.0, |sum, digit| sum * f64::from(radix) + f64::from(*digit)))
    };
    if plain.starts_with("0x") || plain.starts_with("0X") {
        return digits(2, 16);
    }
    let octal = (plain.len() > 1 && plain.starts_with('0')).then(|| digits(1, 8)).flatten();
    let decimal = || {
        let fits = plain.chars().all(|c| c.is_ascii_digit() || ".eE+-".contains(c));
        plain.parse().ok().filter(|_| fits)
    };
    octal.or_else(decimal)
}

/// A duration: every unit at most once, larger ones first.
fn duration(word: &str) -> Option<i64> {
    let mut rest = word;
    let mut units = UNITS.iter();
    let mut sum: i64 = 0;
    while !rest.is_empty() {
        let len = rest.find(|c: char| !c.is_ascii_digit())?;
        let count: i64 = rest.get(..len)?.parse().ok()?;
        rest = rest.get(len..)?;
        let unit_len = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let unit = rest.get(..unit_len)?;
        let (_, size) = units.find(|(name, _)| *name == unit)?;
        sum = sum.checked_add(count.checked_mul(*size)?)?;
        rest = rest.get(unit_len..)?;
    }
    Some(sum)
}

/// A duration as Prometheus writes it.
pub(crate) fn span_text(ms: i64) -> String {
    let mut text = String::new();
    let mut left = ms.unsigned_abs();
    for (name, size) in UNITS {
        let size = size.unsigned_abs();
        let count = left / size;
        // Years and weeks only where nothing is left over: 90d is easier to read than 12w6d.
        let whole = left.is_multiple_of(size) || !["y", "w"].contains(name);
        if count > 0 && whole {
            text.extend([count.to_string().as_str(), name]);
            left %= size;
        }
    }
    let sign = if ms < 0 { "-" } else { "" };
    if text.is_empty() { "0s".to_owned() } else { format!("{sign}{text}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_go() {
        for (text, value) in [
            ("0x1f", 31.0),
            ("017", 15.0),
            ("089", 89.0),
            ("1_000", 1000.0),
            (".5", 0.5),
            ("2.", 2.0),
            ("12.34e-6", 12.34e-6),
            ("1e400", f64::INFINITY),
        ] {
            assert_eq!(read(text), Ok((What::Number(value), text.len())), "{text}");
        }
        assert_eq!(read("1e3+4"), Ok((What::Number(1000.0), 3)));
        for wrong in ["1.2.3", "0xg", "1__0", "5q", "1h1d", "1m1m", "99999999999999999999y"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn durations_are_read_and_written() {
        for (text, ms) in [("5m", 300_000), ("1h30m", 5_400_000), ("1d", 86_400_000), ("7ms", 7)] {
            assert_eq!(read(text), Ok((What::Span(ms), text.len())));
            assert_eq!(span_text(ms), text);
        }
        assert_eq!(span_text(90 * 86_400_000), "90d");
        assert_eq!(span_text(14 * 86_400_000), "2w");
        assert_eq!(span_text(-300_000), "-5m");
    }
}
