//! Moments, spans and counts, as the API writes them.

use std::time::Duration;

use highwater_core::time::WallTime;

use super::failure::Failure;
use super::form::Form;

/// How Prometheus writes the first moment that it knows, and which it is.
const FIRST: (&str, i64) = ("-292273086-05-16T16:47:06Z", -9_223_309_901_257_974_000);
/// The last one.
const LAST: (&str, i64) = ("292277025-08-18T07:12:54.999999999Z", 9_223_309_901_257_974_999);
/// The longest span in seconds: so many nanoseconds have 63 bits.
const LONGEST_S: f64 = 9_223_372_036.0;

/// The first moment there is.
pub(super) const MIN: WallTime = WallTime::from_millis(FIRST.1);
/// The last moment there is.
pub(super) const MAX: WallTime = WallTime::from_millis(LAST.1);

/// The moment that a parameter tells; `or` if it is not there.
pub(crate) fn moment(form: &Form, name: &str, or: WallTime) -> Result<WallTime, Failure> {
    let text = form.get(name);
    if text.is_empty() {
        return Ok(or);
    }
    let wrong = || {
        let why = format!("Invalid time value for '{name}': {}", no_moment(text));
        Failure::of_parameter(name, &why)
    };
    read_moment(text).ok_or_else(wrong)
}

/// A moment that has to be told.
pub(super) fn needed(form: &Form, name: &str) -> Result<WallTime, Failure> {
    let text = form.get(name);
    read_moment(text).ok_or_else(|| Failure::of_parameter(name, &no_moment(text)))
}

fn no_moment(text: &str) -> String {
    format!("cannot parse {text:?} to a valid timestamp")
}

/// Seconds since 1970 with their fraction, or a date with a time and a zone.
fn read_moment(text: &str) -> Option<WallTime> {
    if let Ok(seconds) = text.parse::<f64>() {
        return millis(seconds).map(WallTime::from_millis);
    }
    if let Some((_, ms)) = [FIRST, LAST].into_iter().find(|(own, _)| *own == text) {
        return Some(WallTime::from_millis(ms));
    }
    let is_rfc = text.as_bytes().get(10) == Some(&b'T')
        && (text.ends_with('Z') || text.get(19..).is_some_and(|zone| zone.contains(['+', '-'])));
    let moment: Option<jiff::Timestamp> = text.parse().ok().filter(|_| is_rfc);
    moment.map(WallTime::from)
}

/// Seconds as milliseconds: of the fraction the nearest.
fn millis(seconds: f64) -> Option<i64> {
    /// Beyond this thousandths have more than 63 bits.
    const MOST_S: f64 = 9.0e15;
    if !(-MOST_S..=MOST_S).contains(&seconds) {
        return None;
    }
    let (whole, part) = (seconds.trunc(), (seconds.fract() * 1000.0).round());
    Some(integer(whole).saturating_mul(1000).saturating_add(integer(part)))
}

#[expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    reason = "a whole number within the bounds that the caller looked at"
)]
fn integer(whole: f64) -> i64 {
    whole as i64
}

/// The span that a parameter tells, in milliseconds; it may be negative.
pub(crate) fn span(form: &Form, name: &str) -> Result<i64, Failure> {
    read_span(form.get(name)).map_err(|why| Failure::of_parameter(name, &why))
}

/// Seconds, or `1h30m` as in PromQL.
pub(super) fn read_span(text: &str) -> Result<i64, String> {
    if let Ok(seconds) = text.parse::<f64>() {
        return match seconds {
            s if s.is_nan() => Err(format!("cannot parse {text:?} to a valid duration")),
            s if s.abs() > LONGEST_S => {
                Err(format!("cannot parse {text:?} to a valid duration. It overflows int64"))
            }
            s => Ok(integer((s * 1000.0).trunc())),
        };
    }
    let read = highwater_alert::span::read(text).ok();
    let ms = read.and_then(|span| i64::try_from(span.as_millis()).ok());
    ms.ok_or_else(|| format!("cannot parse {text:?} to a valid duration"))
}

/// How long the question may take, if it says so.
pub(super) fn timeout(form: &Form) -> Result<Option<Duration>, Failure> {
    if form.get("timeout").is_empty() {
        return Ok(None);
    }
    let ms = u64::try_from(span(form, "timeout")?).unwrap_or(0);
    Ok(Some(Duration::from_millis(ms)))
}

/// How many are wanted at most; 0 and nothing mean all.
pub(super) fn limit(form: &Form) -> Result<Option<usize>, Failure> {
    let text = form.get("limit");
    if text.is_empty() {
        return Ok(None);
    }
    let count: i64 = text.parse().map_err(|_| {
        Failure::of_parameter("limit", &format!("cannot parse {text:?} to a valid limit"))
    })?;
    match usize::try_from(count) {
        Ok(0) => Ok(None),
        Ok(count) => Ok(Some(count)),
        Err(_) => Err(Failure::of_parameter("limit", "limit must be non-negative")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Option<i64> {
        read_moment(text).map(WallTime::millis)
    }

    #[test]
    fn moments_are_seconds_or_dates() {
        for (text, ms) in [
            ("4", 4_000),
            ("0", 0),
            ("-1.5", -1_500),
            ("1714207632.123", 1_714_207_632_123),
            ("1714207632.1239", 1_714_207_632_124),
            ("1.714207632e9", 1_714_207_632_000),
            ("2015-07-01T20:10:51.781Z", 1_435_781_451_781),
            ("2015-07-01T20:10:51+02:00", 1_435_774_251_000),
            (FIRST.0, FIRST.1),
            (LAST.0, LAST.1),
        ] {
            assert_eq!(at(text), Some(ms), "{text}");
        }
        for wrong in
            ["now", "NaN", "inf", "-Inf", "1e300", "2015-07-01", "2015-07-01 20:10:51Z", "1 "]
        {
            assert_eq!(at(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn spans_are_seconds_or_units() {
        for (text, ms) in [
            ("15", 15_000),
            ("0.5", 500),
            ("-3", -3_000),
            ("1h30m", 5_400_000),
            ("1y", 31_536_000_000),
            ("10ms", 10),
            ("1d12h", 129_600_000),
        ] {
            assert_eq!(read_span(text), Ok(ms), "{text}");
        }
        for wrong in
            ["", "5m1h", "1h1h", "5", "m", "1x", "-5m", "1.5h", "NaN", "1e300", "99999999y", "1h "]
        {
            assert!(wrong == "5" || read_span(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn limits_are_counts() {
        let of = |text: &str| limit(&Form::read(&format!("limit={text}"), b"").unwrap());
        assert_eq!((of(""), of("0"), of("7")), (Ok(None), Ok(None), Ok(Some(7))));
        assert!(of("-1").is_err() && of("many").is_err() && of("1.5").is_err());
    }
}
