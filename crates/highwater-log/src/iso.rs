//! `2026-04-27T08:47:12.123456+02:00 `: the one stamp that gives date, year and zone.
//!
//! Written by `journalctl -o short-iso`, rsyslog's RFC 3339 template and `dmesg --time-format iso`.

use highwater_core::time::WallTime;

use crate::scan;

/// A stamp, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp<'a> {
    /// The moment, if the stamp has a zone.
    pub(crate) wall: Option<WallTime>,
    /// A comma stands before the fraction, as `dmesg` writes it.
    pub(crate) is_comma: bool,
    /// How many digits the fraction has.
    pub(crate) fraction: usize,
    /// What stands right behind it.
    pub(crate) rest: &'a [u8],
}

/// Takes the stamp off: the moment, if it has a zone, and what follows the blank behind it.
pub(crate) fn strip(line: &[u8]) -> Option<(Option<WallTime>, &[u8])> {
    let Stamp { wall, rest, .. } = stamp(line)?;
    let text = rest.strip_prefix(b" ").or(rest.is_empty().then_some(rest))?;
    Some((wall, text))
}

/// The stamp at the front.
pub(crate) fn stamp(line: &[u8]) -> Option<Stamp<'_>> {
    let (days, rest) = date(line)?;
    let rest = rest.strip_prefix(b"T").or_else(|| rest.strip_prefix(b" "))?;
    let (day_us, after) = scan::clock(rest)?;
    // `08:47:12` takes eight bytes, the fraction what is left.
    let fraction = rest.get(8..rest.len() - after.len()).unwrap_or_default();
    let zone = offset(after);
    let rest = zone.map_or(after, |(_, rest)| rest);
    let wall = zone.and_then(|(offset_s, _)| {
        let us = i64::try_from(day_us).ok()?;
        Some(WallTime::from_millis(days * 86_400_000 + us / 1000 - offset_s * 1000))
    });
    let is_comma = fraction.starts_with(b",");
    Some(Stamp { wall, is_comma, fraction: fraction.len().saturating_sub(1), rest })
}

/// `2026-04-27` as days after 1970-01-01, and what follows.
pub(crate) fn date(text: &[u8]) -> Option<(i64, &[u8])> {
    let (year, rest) = scan::digits(text, 4)?;
    let (month, rest) = scan::digits(rest.strip_prefix(b"-")?, 2)?;
    let (day, rest) = scan::digits(rest.strip_prefix(b"-")?, 2)?;
    let real =
        (1970..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    real.then(|| Some((days(year, month, day)?, rest)))?
}

/// Days from 1970-01-01 in the Gregorian calendar: years begin in March, so that the leap day is
/// the last of a year.
fn days(year: u64, month: u64, day: u64) -> Option<i64> {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year / 4 - year / 100 + year / 400;
    let count = year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1;
    i64::try_from(count).ok().map(|count| count - 719_468)
}

/// `Z`, `+02:00` or `+0200` in seconds east, and what follows.
fn offset(text: &[u8]) -> Option<(i64, &[u8])> {
    let (sign, rest) = match text.split_first()? {
        (b'Z', rest) => return Some((0, rest)),
        (b'+', rest) => (1, rest),
        (b'-', rest) => (-1, rest),
        _ => return None,
    };
    let (hours, rest) = scan::digits(rest, 2)?;
    let (minutes, rest) = scan::digits(rest.strip_prefix(b":").unwrap_or(rest), 2)?;
    let seconds = i64::try_from(hours * 3600 + minutes * 60).ok()?;
    Some((sign * seconds, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The moment; `-` where there is a stamp without one, nothing where there is no stamp.
    fn shown(line: &[u8]) -> String {
        let moment = strip(line).map(|(wall, _)| wall.map_or("-".to_owned(), |w| w.to_string()));
        moment.unwrap_or_default()
    }

    #[test]
    fn a_zone_makes_a_moment() {
        assert_eq!(shown(b"2026-04-27T08:47:12.123456+02:00 x"), "2026-04-27T06:47:12.123Z");
        assert_eq!(shown(b"2026-04-27T08:47:12,123456+0200 x"), "2026-04-27T06:47:12.123Z");
        assert_eq!(shown(b"2026-04-27T06:47:12.123Z x"), "2026-04-27T06:47:12.123Z");
        assert_eq!(shown(b"2024-02-29T23:59:59-0100"), "2024-03-01T00:59:59.000Z");
    }

    #[test]
    fn without_a_zone_the_moment_is_unknown() {
        assert_eq!(shown(b"2026-04-27T08:47:12 host kernel: x"), "-");
        assert_eq!(shown(b"2026-04-27 08:47:12 host"), "-");
    }

    #[test]
    fn other_text_is_left_alone() {
        for line in [&b"2026-13-27T08:47:12Z"[..], b"hello", b"", b"2026-04-27", b"2026-04-27T08"] {
            assert_eq!(strip(line), None);
        }
    }
}
