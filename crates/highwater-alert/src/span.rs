//! Durations as Prometheus writes them: `1h30m`, `15s`, `0`.

use std::time::Duration;

/// The units in the order in which they may follow one another, and their milliseconds.
const UNITS: [(&str, u64); 7] = [
    ("y", 31_536_000_000),
    ("w", 604_800_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// A text that is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no duration: write 30s, 5m or 1h30m, the larger units first")]
pub struct BadSpan(String);

/// Reads a duration.
pub fn read(text: &str) -> Result<Duration, BadSpan> {
    let bad = || BadSpan(text.to_owned());
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut units = UNITS.iter();
    let mut rest = text;
    let mut total = 0_u64;
    while !rest.is_empty() {
        let (digits, after) = split_while(rest, |c| c.is_ascii_digit());
        let (unit, after) = split_while(after, |c| c.is_ascii_alphabetic());
        let (_, ms) = units.find(|(name, _)| *name == unit).ok_or_else(bad)?;
        let count: u64 = digits.parse().map_err(|_| bad())?;
        total = count.checked_mul(*ms).and_then(|ms| total.checked_add(ms)).ok_or_else(bad)?;
        rest = after;
    }
    let bounded =
        !text.is_empty() && i64::try_from(total).is_ok_and(|ms| ms < i64::MAX / 1_000_000);
    bounded.then(|| Duration::from_millis(total)).ok_or_else(bad)
}

/// Writes a duration as Prometheus does: `1h30m`, `0s`.
pub fn written(span: Duration) -> String {
    let mut left = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    let mut out = String::new();
    for (unit, ms) in UNITS {
        // Years, weeks and days are written only where nothing else would be.
        if left < ms || (["y", "w", "d"].contains(&unit) && !left.is_multiple_of(ms)) {
            continue;
        }
        out.push_str(&(left / ms).to_string());
        out.push_str(unit);
        left %= ms;
    }
    if out.is_empty() { "0s".to_owned() } else { out }
}

fn split_while(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text.find(|c| !belongs(c)).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written() {
        for (text, ms) in [("0", 0), ("1h30m", 5_400_000), ("1d", 86_400_000), ("1s5ms", 1_005)] {
            assert_eq!(read(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in ["", "5", "-5m", "1m1h", "5 m", "1.5h", "m", "999999999999y", "5min"] {
            assert!(read(text).is_err(), "{text}");
        }
        for text in ["0s", "1h30m", "1d", "36h", "1s5ms", "2w"] {
            let span = read(text).unwrap();
            assert_eq!(read(&written(span)), Ok(span));
        }
        assert_eq!(written(Duration::from_mins(90)), "1h30m");
        assert_eq!(written(Duration::from_hours(36)), "36h");
    }
}
