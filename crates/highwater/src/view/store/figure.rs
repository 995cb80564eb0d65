//! Counts and spans as they stand in a table.

use std::time::Duration;

use highwater_core::time::Span;
use highwater_core::units::Bytes;

/// A count in full up to 999,999, and with three figures from there on: `1.23 M`.
pub(super) fn count(count: u64) -> String {
    const UNITS: [(u64, &str); 3] =
        [(1_000_000_000_000, "T"), (1_000_000_000, "G"), (1_000_000, "M")];
    let Some((size, unit)) = UNITS.iter().find(|(size, _)| count >= *size) else {
        return grouped(count);
    };
    let hundredths = u128::from(count) * 100 / u128::from(*size);
    let (whole, rest) = (hundredths / 100, hundredths % 100);
    match whole {
        0..10 => format!("{whole}.{rest:02} {unit}"),
        10..100 => format!("{whole}.{} {unit}", rest / 10),
        _ => format!("{whole} {unit}"),
    }
}

/// `1,234,567`.
pub(crate) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 row`, `12,345 rows`.
pub(super) fn counted(count: u64, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        _ if what.ends_with('y') => {
            format!("{} {}ies", grouped(count), what.trim_end_matches('y'))
        }
        _ => format!("{} {what}s", grouped(count)),
    }
}

/// `3 s ago`, `just now`.
pub(crate) fn ago(age: Duration) -> String {
    match age.as_secs() {
        0 => "just now".to_owned(),
        seconds => format!("{} ago", Span(Duration::from_secs(seconds))),
    }
}

/// What a sample takes: `0.58`; a dash where there is none.
pub(super) fn per_sample(bytes: Bytes, samples: u64) -> String {
    if samples == 0 {
        return "–".to_owned();
    }
    let each = bytes.as_f64() / Bytes::new(samples).as_f64();
    if each < 100.0 { format!("{each:.2}") } else { format!("{each:.0}") }
}

/// A span in one unit where the second would say little: `30 d`, `9 h 40 min`.
pub(super) fn span(length: Duration) -> String {
    let text = Span(length).to_string();
    let mut words = text.split(' ');
    match (words.next(), words.next()) {
        (Some(number), Some(unit)) if number.len() > 1 => format!("{number} {unit}"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_keep_three_figures() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999_999), "999,999");
        assert_eq!(count(1_234_567), "1.23 M");
        assert_eq!(count(10_050_000), "10.0 M");
        assert_eq!(count(999_999_999), "999 M");
        assert_eq!(count(u64::MAX), "18446744 T");
        assert_eq!(counted(1, "row"), "1 row");
        assert_eq!(counted(12_345, "row"), "12,345 rows");
        assert_eq!(counted(2, "entry"), "2 entries");
    }

    #[test]
    fn nothing_is_not_divided_by() {
        assert_eq!(per_sample(Bytes::new(58), 100), "0.58");
        assert_eq!(per_sample(Bytes::new(58), 0), "–");
        assert_eq!(per_sample(Bytes::new(1 << 20), 1), "1048576");
    }

    #[test]
    fn long_spans_have_one_unit() {
        assert_eq!(span(Duration::from_hours(30 * 24 + 4)), "30 d");
        assert_eq!(span(Duration::from_mins(580)), "9 h 40 min");
        assert_eq!(span(Duration::ZERO), "0 ms");
    }
}
