//! Spans, sizes and shares as people write them: `1h30min`, `16 MiB`, `12.5%`.
//!
//! Each parser is total: it gives the amount or one short reason, for a sentence that already
//! names the key and the value.

use std::time::Duration;

use highwater_core::units::{Bytes, Permille};

/// Why a text is no amount.
type Reason = &'static str;

/// Units of spans in milliseconds. `m` is a minute, as systemd and Prometheus read it.
const SPANS: &[(&str, u64)] = &[
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("min", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
    ("w", 604_800_000),
];

/// Units of sizes in bytes. A bare letter is binary, as systemd and Docker read it; `MB` is what
/// the standard says it is.
const SIZES: &[(&str, u64)] = &[
    ("", 1),
    ("B", 1),
    ("K", 1 << 10),
    ("KiB", 1 << 10),
    ("kB", 1_000),
    ("KB", 1_000),
    ("M", 1 << 20),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("G", 1 << 30),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("T", 1 << 40),
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
];

/// A span: whole numbers, each with its unit, added up.
pub(super) fn span(text: &str) -> Result<Duration, Reason> {
    let mut rest = text.trim();
    let mut total_ms: u64 = 0;
    if rest.is_empty() {
        return Err("it is empty");
    }
    while !rest.is_empty() {
        let (count, after) = number(rest)?;
        let (unit, after) = word(after);
        let ms = match SPANS.iter().find(|(name, _)| *name == unit) {
            Some((_, ms)) => *ms,
            None if unit.is_empty() && count == 0 => 0,
            None if unit.is_empty() => return Err("it lacks a unit (ms, s, min, h, d, w)"),
            None => return Err("its unit is none of ms, s, min, h, d, w"),
        };
        let part = count.checked_mul(ms).ok_or(TOO_LARGE)?;
        total_ms = total_ms.checked_add(part).ok_or(TOO_LARGE)?;
        rest = after;
    }
    Ok(Duration::from_millis(total_ms))
}

/// A size: one whole number and its unit; bytes without one.
pub(super) fn size(text: &str) -> Result<Bytes, Reason> {
    let (count, after) = number(text.trim())?;
    let (unit, after) = word(after);
    let known = SIZES.iter().find(|(name, _)| *name == unit);
    match known {
        Some((_, bytes)) if after.is_empty() => {
            count.checked_mul(*bytes).map(Bytes::new).ok_or(TOO_LARGE)
        }
        _ => Err("its unit is none of B, KiB, MiB, GiB, TiB, kB, MB, GB, TB"),
    }
}

/// A share: per cent, with one decimal at most.
pub(super) fn share(text: &str) -> Result<Permille, Reason> {
    let Some(number) = text.trim().strip_suffix('%') else {
        return Err("it lacks a % sign");
    };
    let (whole, tenth) = number.trim().split_once('.').unwrap_or((number.trim(), "0"));
    match (digits(whole), digits(tenth)) {
        (Some(whole), Some(tenth)) if tenth < 10 && whole <= 100 && tenth + whole * 10 <= 1000 => {
            u32::try_from(whole * 10 + tenth).map(Permille::new).map_err(|_| TOO_LARGE)
        }
        _ => Err("it is no share from 0% to 100% with one decimal at most"),
    }
}

const TOO_LARGE: Reason = "it is too large to count";

/// The number that `text` begins with, and what comes after it and its blanks.
fn number(text: &str) -> Result<(u64, &str), Reason> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, after) = text.split_at(end);
    if number.is_empty() {
        return Err("it does not begin with a whole number");
    }
    if after.starts_with(['.', ',']) {
        return Err("it is not whole: take a smaller unit");
    }
    Ok((digits(number).ok_or(TOO_LARGE)?, after.trim_start()))
}

/// The letters that `text` begins with, and what comes after them and their blanks.
fn word(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| c.is_ascii_digit() || c.is_whitespace()).unwrap_or(text.len());
    let (word, after) = text.split_at(end);
    (word, after.trim_start())
}

/// `text` as a number, if it is digits and nothing else.
fn digits(text: &str) -> Option<u64> {
    let all = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    all.then(|| text.parse().ok()).flatten()
}

/// The span as [`span`] reads it, in the largest unit that divides it.
pub(super) fn span_text(span: Duration) -> String {
    let ms = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    let units = [("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000), ("ms", 1)];
    match units.iter().find(|(_, unit)| ms >= *unit && ms.is_multiple_of(*unit)) {
        Some((name, unit)) => format!("{}{name}", ms / unit),
        None => "0s".to_owned(),
    }
}

/// The size as [`size`] reads it, in the largest binary unit that divides it.
pub(super) fn size_text(size: Bytes) -> String {
    let units = [("TiB", 1_u64 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match units.iter().find(|(_, unit)| size.get() >= *unit && size.get().is_multiple_of(*unit)) {
        Some((name, unit)) => format!("{}{name}", size.get() / unit),
        None => size.get().to_string(),
    }
}

/// The share as [`share`] reads it.
pub(super) fn share_text(share: Permille) -> String {
    match (share.get() / 10, share.get() % 10) {
        (whole, 0) => format!("{whole}%"),
        (whole, tenth) => format!("{whole}.{tenth}%"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_come_in_every_unit_and_add_up() {
        let ms = |text| span(text).map(|span| span.as_millis());
        assert_eq!(ms("250ms"), Ok(250));
        assert_eq!(ms(" 5 s "), Ok(5_000));
        assert_eq!(ms("10m"), ms("10min"));
        assert_eq!(ms("1h30min"), Ok(5_400_000));
        assert_eq!(ms("1d 12h"), Ok(129_600_000));
        assert_eq!(ms("2w"), ms("14d"));
        assert_eq!(ms("0"), Ok(0));
    }

    #[test]
    fn what_is_no_span_is_told_why() {
        for (text, reason) in [
            ("", "empty"),
            ("5", "lacks a unit"),
            ("5s 3", "lacks a unit"),
            ("5 sec", "none of ms"),
            ("5S", "none of ms"),
            ("-5s", "begin with"),
            ("1.5s", "smaller unit"),
            ("s", "begin with"),
            ("99999999999999999999s", "too large"),
            ("18446744073709551615w", "too large"),
            ("18446744073709551615ms 1ms", "too large"),
            ("5\u{b5}s", "none of ms"),
        ] {
            let error = span(text).expect_err(text);
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn sizes_are_binary_unless_they_say_otherwise() {
        let bytes = |text| size(text).map(Bytes::get);
        assert_eq!(bytes("16MiB"), Ok(16 << 20));
        assert_eq!(bytes("16 M"), Ok(16 << 20));
        assert_eq!(bytes("16MB"), Ok(16_000_000));
        assert_eq!(bytes("1048576"), Ok(1 << 20));
        assert_eq!(bytes("0"), Ok(0));
        for wrong in ["", "MiB", "1.5GiB", "16mib", "16MiB 3", "16 Mi B", "-1", "99999999T"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn shares_are_per_cent_with_one_decimal() {
        let permille = |text| share(text).map(Permille::get);
        assert_eq!(permille("10%"), Ok(100));
        assert_eq!(permille("12.5 %"), Ok(125));
        assert_eq!(permille("100%"), Ok(1000));
        for wrong in ["10", "%", "0.1", "100.1%", "12.55%", "-1%", "1e1%", "99999999999999999999%"]
        {
            assert!(share(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        for ms in [0, 1, 250, 1_000, 1_500, 60_000, 5_400_000, 604_800_000] {
            let duration = Duration::from_millis(ms);
            assert_eq!(span(&span_text(duration)), Ok(duration));
        }
        for count in [0, 1, 1023, 1024, 16 << 20, 3 << 40] {
            assert_eq!(size(&size_text(Bytes::new(count))), Ok(Bytes::new(count)));
        }
        for permille in [0, 5, 100, 125, 1000] {
            let permille = Permille::new(permille);
            assert_eq!(share(&share_text(permille)), Ok(permille));
        }
    }
}
