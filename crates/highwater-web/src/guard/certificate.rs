//! From when to when a certificate is good, read from its DER (RFC 5280, 4.1).
//!
//! ```text
//! Certificate ::= SEQUENCE { tbs SEQUENCE { [0] version, serial, algorithm, issuer,
//!                                           validity SEQUENCE { notBefore, notAfter }, … }, … }
//! ```

use highwater_core::time::WallTime;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// When a certificate begins and ceases to be good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Validity {
    pub(super) from: WallTime,
    pub(super) until: WallTime,
}

/// Reads it; `None` if the certificate has another form.
pub(super) fn validity(der: &[u8]) -> Option<Validity> {
    let (certificate, _) = tagged(der, SEQUENCE)?;
    let (tbs, _) = tagged(certificate, SEQUENCE)?;
    let rest = tagged(tbs, VERSION).map_or(tbs, |(_, rest)| rest);
    let (_, rest) = tagged(rest, INTEGER)?;
    let (_, rest) = tagged(rest, SEQUENCE)?;
    let (_, rest) = tagged(rest, SEQUENCE)?;
    let (validity, _) = tagged(rest, SEQUENCE)?;
    let (from, rest) = time(validity)?;
    let (until, _) = time(rest)?;
    Some(Validity { from, until })
}

/// The contents of the element that `bytes` begin with, if it has this tag, and what follows it.
fn tagged(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, contents, rest) = element(bytes)?;
    (found == tag).then_some((contents, rest))
}

/// Tag, contents, and what follows.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        // Lengths of up to four bytes: no certificate has more than 4 GiB.
        0x81..=0x84 => {
            let (length, rest) = rest.split_at_checked(usize::from(first & 0x0f))?;
            let length = length.iter().fold(0_u32, |sum, byte| sum << 8 | u32::from(*byte));
            (usize::try_from(length).ok()?, rest)
        }
        _ => return None,
    };
    let (contents, rest) = rest.split_at_checked(length)?;
    Some((*tag, contents, rest))
}

/// A time, and what follows. Both forms end in seconds and `Z`; a year of two digits is one from
/// 1950 to 2049.
fn time(bytes: &[u8]) -> Option<(WallTime, &[u8])> {
    let (tag, text, rest) = element(bytes)?;
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    if !text.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let (year, text) = match tag {
        UTC_TIME => {
            let (year, text) = text.split_at_checked(2)?;
            let year: i16 = year.parse().ok()?;
            (if year < 50 { year.checked_add(2000)? } else { year.checked_add(1900)? }, text)
        }
        GENERALIZED_TIME => {
            let (year, text) = text.split_at_checked(4)?;
            (year.parse().ok()?, text)
        }
        _ => return None,
    };
    let part = |at: usize| text.get(at..at.checked_add(2)?)?.parse::<i8>().ok();
    if text.len() != 10 {
        return None;
    }
    let moment = DateTime::new(year, part(0)?, part(2)?, part(4)?, part(6)?, part(8)?, 0).ok()?;
    let moment = TimeZone::UTC.to_timestamp(moment).ok()?;
    Some((WallTime::from_millis(moment.as_millisecond()), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element_of(tag: u8, contents: &[u8]) -> Vec<u8> {
        let length = u8::try_from(contents.len()).unwrap();
        let head: &[u8] = if length < 0x80 { &[tag, length] } else { &[tag, 0x81, length] };
        [head, contents].concat()
    }

    fn certificate(from: (u8, &str), until: (u8, &str)) -> Vec<u8> {
        let times = [from, until].map(|(tag, text)| element_of(tag, text.as_bytes())).concat();
        let name = element_of(SEQUENCE, &[7; 100]);
        let tbs = [
            element_of(VERSION, &element_of(INTEGER, &[2])),
            element_of(INTEGER, &[1; 16]),
            element_of(SEQUENCE, &[1, 2, 3]),
            name,
            element_of(SEQUENCE, &times),
        ];
        element_of(SEQUENCE, &element_of(SEQUENCE, &tbs.concat()))
    }

    #[test]
    fn both_forms_of_time_are_read() {
        let der = certificate((UTC_TIME, "240101000000Z"), (GENERALIZED_TIME, "20501231235959Z"));
        let read = validity(&der).unwrap();
        assert_eq!(read.from.to_string(), "2024-01-01T00:00:00.000Z");
        assert_eq!(read.until.to_string(), "2050-12-31T23:59:59.000Z");
        let old = certificate((UTC_TIME, "500101000000Z"), (UTC_TIME, "491231235959Z"));
        let read = validity(&old).unwrap();
        assert!(read.from.to_string().starts_with("1950-"));
        assert!(read.until.to_string().starts_with("2049-"));
    }

    #[test]
    fn what_is_no_certificate_has_no_times() {
        let whole = certificate((UTC_TIME, "240101000000Z"), (UTC_TIME, "250101000000Z"));
        for cut in 0..whole.len() {
            assert_eq!(validity(&whole[..cut]), None, "{cut}");
        }
        for wrong in ["241301000000Z", "240101000000", "2401010000é0Z", "24010100000Z", "Z"] {
            let der = certificate((UTC_TIME, wrong), (UTC_TIME, "250101000000Z"));
            assert_eq!(validity(&der), None, "{wrong}");
        }
        for at in 0..whole.len() {
            // Whatever a byte is, it is read or not, and ends.
            for byte in [0x00, 0x30, 0x7f, 0x80, 0x84, 0xff] {
                let mut damaged = whole.clone();
                damaged[at] = byte;
                let _either = validity(&damaged);
            }
        }
    }
}
