//! Local times of day as moments.

use highwater_core::time::WallTime;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};

use crate::number;

/// Letters that stand for one offset only in the time zone database's present rules. `CST`, `IST`
/// and `PST` are not among them: two or three zones use each.
const LETTERS: [(&[u8], i8); 30] = [
    (b"UTC", 0),
    (b"GMT", 0),
    (b"Z", 0),
    (b"WET", 0),
    (b"WEST", 1),
    (b"BST", 1),
    (b"CET", 1),
    (b"CEST", 2),
    (b"EET", 2),
    (b"EEST", 3),
    (b"MSK", 3),
    (b"WAT", 1),
    (b"CAT", 2),
    (b"SAST", 2),
    (b"EAT", 3),
    (b"PKT", 5),
    (b"WIB", 7),
    (b"HKT", 8),
    (b"AWST", 8),
    (b"JST", 9),
    (b"KST", 9),
    (b"AEST", 10),
    (b"AEDT", 11),
    (b"EST", -5),
    (b"EDT", -4),
    (b"MST", -7),
    (b"MDT", -6),
    (b"PDT", -7),
    (b"AKST", -9),
    (b"HST", -10),
];

/// Turns local times into moments.
#[derive(Debug, Default)]
pub(crate) struct Zone {
    /// What the caller says: it counts.
    given: Option<TimeZone>,
    /// What the file says.
    said: Option<TimeZone>,
    /// The last moment told: an hour that comes twice, at the end of summer time, goes on.
    before: Option<WallTime>,
}

impl Zone {
    pub(crate) fn new(given: Option<TimeZone>) -> Self {
        Self { given, said: None, before: None }
    }

    /// Another machine's times begin, of which nothing is known yet.
    pub(crate) fn begin(&mut self) {
        (self.said, self.before) = (None, None);
    }

    /// Takes what the file says of its zone; `false` if nobody knows which that is.
    pub(crate) fn say(&mut self, letters: &[u8]) -> bool {
        self.said = of(letters);
        self.given.is_some() || self.said.is_some()
    }

    /// The moment of a date and a time of day in this zone; UTC if nothing is known.
    pub(crate) fn local(&mut self, date: &[u8], time: &[u8]) -> Option<WallTime> {
        let zone = self.given.clone().or_else(|| self.said.clone()).unwrap_or(TimeZone::UTC);
        let moments = zone.to_ambiguous_timestamp(civil(date, time)?);
        let earlier = WallTime::from(moments.earlier().ok()?);
        let later = WallTime::from(moments.later().ok()?);
        let at = if self.before.is_some_and(|before| before > earlier) { later } else { earlier };
        is_sensible(at).then_some(())?;
        self.before = Some(at);
        Some(at)
    }
}

/// The moment of a date and a time of day in UTC.
pub(crate) fn utc(date: &[u8], time: &[u8]) -> Option<WallTime> {
    let at = TimeZone::UTC.to_timestamp(civil(date, time)?).ok()?.into();
    is_sensible(at).then_some(at)
}

fn is_sensible(at: WallTime) -> bool {
    number::MILLIS.contains(&at.millis())
}

/// The zone with these letters, or with an offset for a name (`-03`, `+0530`).
fn of(letters: &[u8]) -> Option<TimeZone> {
    if let Some((_, hours)) = LETTERS.into_iter().find(|(known, _)| *known == letters) {
        return Some(Offset::constant(hours).to_time_zone());
    }
    let (sign, digits) = match letters {
        [b'+', digits @ ..] => (1, digits),
        [b'-', digits @ ..] => (-1, digits),
        _ => return None,
    };
    let hours = digits.get(..2).and_then(small)?;
    let minutes = if digits.len() == 2 { 0 } else { small(digits.get(2..4)?)? };
    let whole = matches!(digits.len(), 2 | 4) && minutes < 60;
    let seconds = (hours * 60 + minutes) * 60 * sign;
    Some(whole.then(|| Offset::from_seconds(seconds).ok())??.to_time_zone())
}

/// `2026-11-21` and `12:41:40`.
fn civil(date: &[u8], time: &[u8]) -> Option<DateTime> {
    // Neither is cut off.
    (date.len() == 10 && time.len() == 8).then_some(())?;
    let mut days = date.splitn(3, |byte| *byte == b'-').map(small);
    let mut clock = time.splitn(3, |byte| *byte == b':').map(small);
    let year = i16::try_from(days.next()??).ok()?;
    let (month, day) = (days.next()??, days.next()??);
    let mut next = || i8::try_from(clock.next()??).ok();
    let (hour, minute, second) = (next()?, next()?, next()?);
    // A leap second is the one before it.
    let second = if second == 60 { 59 } else { second };
    let (month, day) = (i8::try_from(month).ok()?, i8::try_from(day).ok()?);
    DateTime::new(year, month, day, hour, minute, second, 0).ok()
}

/// A number of at most four digits.
fn small(text: &[u8]) -> Option<i32> {
    let fits = (1..=4).contains(&text.len()) && text.iter().all(u8::is_ascii_digit);
    fits.then(|| text.iter().fold(0, |sum, digit| sum * 10 + i32::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(zone: &mut Zone, date: &str, time: &str) -> Option<String> {
        zone.local(date.as_bytes(), time.as_bytes()).map(|at| at.to_string())
    }

    #[test]
    fn letters_and_offsets_are_zones_and_what_is_not_clear_is_none() {
        let mut zone = Zone::default();
        for (letters, want) in [
            ("UTC", "2026-07-01T12:00:00.000Z"),
            ("CEST", "2026-07-01T10:00:00.000Z"),
            ("-03", "2026-07-01T15:00:00.000Z"),
            ("+0530", "2026-07-01T06:30:00.000Z"),
        ] {
            assert!(zone.say(letters.as_bytes()), "{letters}");
            assert_eq!(at(&mut zone, "2026-07-01", "12:00:00").as_deref(), Some(want), "{letters}");
            zone.before = None;
        }
        for letters in ["CST", "IST", "", "+", "+5", "+99", "+0160", "+é"] {
            assert!(!zone.say(letters.as_bytes()), "{letters}");
        }
        assert_eq!(at(&mut zone, "2026-07-01", "12:00:00").unwrap(), "2026-07-01T12:00:00.000Z");
    }

    #[test]
    fn the_hour_that_comes_twice_goes_on() {
        let mut zone = Zone::new(Some(TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap()));
        assert!(zone.say(b"who knows"));
        let mut told = vec![];
        for time in ["01:30:00", "02:30:00", "02:30:00", "02:15:00", "03:00:00"] {
            told.push(at(&mut zone, "2026-10-25", time).unwrap());
        }
        let hours: Vec<_> = told.iter().map(|at| at.get(11..16).unwrap()).collect();
        assert_eq!(hours, ["23:30", "00:30", "00:30", "01:15", "02:00"]);
        // An hour that was skipped.
        assert_eq!(at(&mut zone, "2026-03-29", "02:30:00").unwrap(), "2026-03-29T01:30:00.000Z");
    }

    #[test]
    fn what_is_no_time_is_none() {
        for (date, time) in [
            ("2026-13-01", "12:00:00"),
            ("2026-02-30", "12:00:00"),
            ("2026-02-03", "12:00"),
            ("02/03/26", "12:00:00"),
            ("7677-02-03", "12:00:00"),
            ("2026-02-03", "12:00:00 PM"),
            ("", ""),
        ] {
            assert_eq!(utc(date.as_bytes(), time.as_bytes()), None, "{date} {time}");
        }
        let leap = utc(b"2016-12-31", b"23:59:60").unwrap();
        assert_eq!(leap.to_string(), "2016-12-31T23:59:59.000Z");
    }
}
