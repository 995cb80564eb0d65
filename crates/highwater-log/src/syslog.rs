//! Syslog files and `journalctl`'s short forms: a time, perhaps a host, and who wrote.
//!
//! ```text
//! Apr 27 08:47:12 host kernel: text        févr. 03 19:57:08 host kernel: text
//! Sep 03 07:18:33 kernel: text             Sun 2026-04-26 08:47:12 UTC host kernel: text
//! 1777272432.123456 host kernel: text      (journalctl -o short-unix)
//! Jan  1 00:00:12 host kern.info kernel: text                          (busybox syslogd)
//! Thu Jan  1 00:00:12 2026 kern.info kernel: text                      (OpenWrt's logread)
//! ```

use highwater_core::time::WallTime;

use crate::envelope::is_kernel;
use crate::{dmesg, iso, scan};

/// How many words may stand before the time of day: weekday, month and day, or a date.
const DATE_WORDS: usize = 4;

/// A month or weekday in letters is no longer than this in any locale, in bytes.
const NAME_BYTES: usize = 24;

/// A tag is no longer than this: names of systemd units, which `with-unit` puts there, have up to
/// 255 letters.
const TAG_BYTES: usize = 256;

/// Digits of the seconds since 1970 that `short-unix` writes, from 2001 on.
const UNIX_DIGITS: std::ops::RangeInclusive<usize> = 10..=11;

/// Takes the time off the front: the moment where it is certain, and what follows.
pub(crate) fn time(line: &[u8]) -> Option<(Option<WallTime>, &[u8])> {
    if let Some(found) = iso::strip(line).or_else(|| unix(line)) {
        return Some(found);
    }
    let (mut rest, mut numbers) = (line, 0);
    if line.first().is_none_or(|b| b" \t[<".contains(b)) {
        return None;
    }
    for _ in 0..DATE_WORDS {
        if let Some((_, after)) = scan::clock(rest) {
            return (numbers > 0).then(|| (None, zone_name(after)));
        }
        let (word, after) = scan::word(rest)?;
        if iso::date(word).is_some_and(|(_, left)| left.is_empty()) {
            if let Some(found) = full(rest) {
                return Some(found);
            }
            numbers += 1;
        }
        numbers += usize::from(word.iter().any(u8::is_ascii_digit));
        if word.len() > NAME_BYTES || memchr::memchr2(b':', b'=', word).is_some() {
            return None;
        }
        rest = after;
    }
    None
}

/// `1777272432.123456 `: seconds since 1970, which no zone can change.
fn unix(line: &[u8]) -> Option<(Option<WallTime>, &[u8])> {
    let (whole, rest) = scan::number(line)?;
    if !UNIX_DIGITS.contains(&(line.len() - rest.len())) {
        return None;
    }
    let fraction = rest.strip_prefix(b".")?;
    let (us, rest) = scan::micros(fraction)?;
    if fraction.len() - rest.len() != 6 {
        return None;
    }
    let ms = whole.checked_mul(1000)?.checked_add(us / 1000)?;
    let wall = i64::try_from(ms).ok().map(WallTime::from_millis);
    Some((wall, rest.strip_prefix(b" ")?))
}

/// `2026-04-26 08:47:12 UTC …`: certain only if the zone is UTC.
fn full(rest: &[u8]) -> Option<(Option<WallTime>, &[u8])> {
    let (date, after) = scan::word(rest)?;
    let (_, after) = scan::clock(after)?;
    let clock = rest.get(date.len() + 1..rest.len().checked_sub(after.len())?)?;
    let utc = after.strip_prefix(b" UTC ");
    let stamp = [date, b"T", clock, b"Z"].concat();
    let wall = utc.and_then(|_| iso::strip(&stamp)).and_then(|(wall, _)| wall);
    Some((wall, utc.unwrap_or_else(|| any_zone(after))))
}

/// What follows the zone, where one always stands.
fn any_zone(after: &[u8]) -> &[u8] {
    let rest = scan::trim_start(after);
    let Some((zone, behind)) = scan::word(rest) else { return rest };
    let letters = zone.len() <= 5 && zone.iter().all(u8::is_ascii_uppercase);
    let number = zone.strip_prefix(b"+").or_else(|| zone.strip_prefix(b"-"));
    let numeric = number.and_then(scan::number).is_some_and(|(_, rest)| rest.is_empty());
    if letters || numeric { behind } else { rest }
}

/// What follows the blank after the time, and after the name of a zone or a year, if one stands
/// there.
fn zone_name(after: &[u8]) -> &[u8] {
    let rest = scan::trim_start(after);
    match scan::word(rest) {
        Some((zone, rest)) if is_zone(zone) => rest,
        _ => rest,
    }
}

fn is_zone(word: &[u8]) -> bool {
    let name =
        matches!(word, b"UTC" | b"GMT" | b"CET" | b"CEST" | b"EST" | b"EDT" | b"PST" | b"PDT");
    name || (word.len() == 4
        && scan::digits(word, 4).is_some_and(|(y, _)| (1990..2200).contains(&y)))
}

/// Who wrote, and what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Writer<'a> {
    pub(crate) ident: &'a [u8],
    /// The facility, where its name stands before the writer's.
    pub(crate) facility: Option<u32>,
    /// The host, if one stands there.
    pub(crate) host: Option<&'a [u8]>,
    /// It can be nothing but a writer: the kernel, or a name with a number.
    pub(crate) is_certain: bool,
    pub(crate) text: &'a [u8],
}

/// Takes host and writer off: `host kernel: text`, `kernel: text`, `systemd[1]: text`,
/// `host kern.info kernel: text`.
pub(crate) fn writer(rest: &[u8]) -> Option<Writer<'_>> {
    let (first, _) = scan::first_word(rest);
    if let Some(found) = tag(rest, None).filter(|writer| writer.is_certain) {
        return Some(found);
    }
    if let Some(facility) = selector(first) {
        return selected(rest, first, None, facility);
    }
    if first.is_empty() {
        return None;
    }
    if first.ends_with(b":") {
        return tag(rest, None).filter(|writer| imitates(writer.text));
    }
    let behind = scan::trim_start(rest.get(first.len()..)?);
    let (second, _) = scan::first_word(behind);
    match selector(second) {
        Some(facility) => selected(behind, second, Some(first), facility),
        None => tag(behind, Some(first)),
    }
}

/// `kern.info kernel: text`; the tag may be missing.
fn selected<'a>(
    text: &'a [u8],
    selector: &[u8],
    host: Option<&'a [u8]>,
    facility: u32,
) -> Option<Writer<'a>> {
    let behind = scan::trim_start(text.get(selector.len()..)?);
    let found = tag(behind, host).map(|writer| Writer { facility: Some(facility), ..writer });
    let ident: &[u8] = if facility == 0 { b"kernel" } else { b"user" };
    let text = behind.strip_prefix(b": ").unwrap_or(behind);
    let untagged = Writer { ident, facility: Some(facility), host, is_certain: true, text };
    found.or(Some(untagged))
}

/// `kern.info`: the facility.
fn selector(word: &[u8]) -> Option<u32> {
    let (facility, level) = word.split_at_checked(memchr::memchr(b'.', word)?)?;
    let facility = dmesg::facility(facility)?;
    dmesg::is_level(level.strip_prefix(b".")?).then_some(facility)
}

/// A writer whose name has blanks, which any program can give itself: `host Web Content[12]: x`,
/// `host two words: [   12.0] x`. Only sought behind a time, where else no name was found.
pub(crate) fn roundabout(rest: &[u8]) -> Option<Writer<'_>> {
    let window = rest.get(..rest.len().min(TAG_BYTES))?;
    for mark in memchr::memmem::find_iter(window, b": ") {
        let name = rest.get(..mark)?;
        let text = rest.get(mark + 2..)?;
        let numbered = unnumbered(name);
        if numbered.is_some() || imitates(text) {
            let name = numbered.unwrap_or(name);
            // The host stands first, if there is more than one word.
            let ident = scan::word(name).map(|(_, tag)| tag).filter(|tag| !tag.is_empty());
            let ident = ident.unwrap_or(name);
            return Some(Writer { ident, facility: None, host: None, is_certain: true, text });
        }
    }
    None
}

/// What a program writes that wants to be taken for the kernel: a stamp, or the kernel's tag. The
/// kernel puts nothing before those but what is taken off already.
fn imitates(text: &[u8]) -> bool {
    text.starts_with(b"kernel: ") || dmesg::strip(text).is_some()
}

/// What follows a word and the one blank behind it.
fn message(text: &[u8], word: usize) -> &[u8] {
    let rest = text.get(word..).unwrap_or_default();
    rest.strip_prefix(b" ").unwrap_or(rest)
}

/// `kernel:`, `systemd[1]:` at the front.
fn tag<'a>(text: &'a [u8], host: Option<&'a [u8]>) -> Option<Writer<'a>> {
    let (word, _) = scan::first_word(text);
    let name = word.strip_suffix(b":")?;
    let numbered = unnumbered(name);
    let ident = numbered.unwrap_or(name);
    let is_certain = numbered.is_some() || is_kernel(ident);
    let text = message(text, word.len());
    is_name(ident).then_some(Writer { ident, facility: None, host, is_certain, text })
}

/// `systemd[1]` without the number, if there is one.
fn unnumbered(name: &[u8]) -> Option<&[u8]> {
    let open = name.strip_suffix(b"]")?;
    let (name, pid) = open.split_at_checked(memchr::memrchr(b'[', open)?)?;
    let (_, rest) = scan::number(pid.strip_prefix(b"[")?)?;
    (rest.is_empty() && !name.is_empty()).then_some(name)
}

fn is_name(name: &[u8]) -> bool {
    let fits = |b: &u8| b.is_ascii_alphanumeric() || b"_.@/()+-\\~#,".contains(b);
    !name.is_empty() && name.len() <= TAG_BYTES && name.iter().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(line: &str) -> Option<(String, String)> {
        let (_, rest) = time(line.as_bytes())?;
        let Writer { ident, text, .. } = writer(rest)?;
        let own = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
        Some((own(ident), own(text)))
    }

    #[test]
    fn dates_of_any_language_come_off() {
        for date in [
            "Apr 27 08:47:12",
            "Apr  7 08:47:12.123456",
            "févr. 03 19:57:08",
            "3月 03 19:57:08",
            "Sun 2026-04-26 08:47:12 UTC",
            "Sun 2026-04-26 08:47:12 CEST",
            "2026-04-26T08:47:12+0200",
            "Apr 27 2026 08:47:12",
            "Sun 2026-04-26 08:47:12 +03",
            "Sun 2026-04-26 08:47:12 EEST",
            "1777272432.123456",
            "Thu Jan  1 00:00:12 2026",
            "2026/04/27 08:47:12",
        ] {
            let line = format!("{date} host kernel: hello there");
            assert_eq!(both(&line), Some(("kernel".into(), "hello there".into())), "{line}");
        }
    }

    #[test]
    fn the_host_may_be_missing_and_the_writer_numbered() {
        assert_eq!(both("Sep 03 07:18:33 kernel: x"), Some(("kernel".into(), "x".into())));
        assert_eq!(
            both("May 07 14:29:23 systemd-oomd[1852]:     Path: /x"),
            Some(("systemd-oomd".into(), "    Path: /x".into()))
        );
        assert_eq!(both("May 07 14:29:23 host systemd: x"), Some(("systemd".into(), "x".into())));
    }

    #[test]
    fn only_utc_gives_a_moment_among_named_zones() {
        let wall = |line: &[u8]| time(line).and_then(|(wall, _)| wall).map(|w| w.to_string());
        assert_eq!(
            wall(b"Sun 2026-04-26 08:47:12 UTC host kernel: x").as_deref(),
            Some("2026-04-26T08:47:12.000Z")
        );
        assert_eq!(wall(b"Sun 2026-04-26 08:47:12 CEST host kernel: x"), None);
        assert_eq!(wall(b"Apr 27 08:47:12 host kernel: x"), None);
    }

    #[test]
    fn messages_are_not_dates() {
        for line in
            ["memory: usage 980kB, limit 980kB", "Mem-Info:", "", " x 1 08:47:12", "08:47:12"]
        {
            assert_eq!(time(line.as_bytes()), None, "{line}");
        }
        assert_eq!(writer(b"memory: usage 980kB"), None);
        assert_eq!(writer(b"Out of memory: Killed process 1 (x)"), None);
    }

    #[test]
    fn busybox_names_the_facility() {
        let told = |line: &[u8]| writer(line).map(|w| (w.ident.to_vec(), w.facility, w.text.len()));
        assert_eq!(told(b"host kern.info kernel: x"), Some((b"kernel".to_vec(), Some(0), 1)));
        assert_eq!(told(b"kern.err kernel: x"), Some((b"kernel".to_vec(), Some(0), 1)));
        assert_eq!(told(b"host user.notice app: x"), Some((b"app".to_vec(), Some(1), 1)));
        assert_eq!(told(b"host daemon.warn : x"), Some((b"user".to_vec(), Some(3), 1)));
    }

    #[test]
    fn a_program_that_imitates_the_kernel_is_named_whatever_it_calls_itself() {
        let ident = |line| writer(line).or_else(|| roundabout(line)).map(|w| w.ident.to_vec());
        assert_eq!(ident(b"app: [    1.5] x"), Some(b"app".to_vec()));
        assert_eq!(ident(b"host a b: [    1.5] x"), Some(b"a b".to_vec()));
        assert_eq!(ident(b"host Web Content[12]: x"), Some(b"Web Content".to_vec()));
        assert_eq!(ident(b"host a:b: kernel: x"), Some(b"a:b".to_vec()));
        assert_eq!(ident(b"Node 0 DMA: 1*4kB"), None);
    }

    #[test]
    fn seconds_since_1970_are_a_moment() {
        let wall = |line: &[u8]| time(line).and_then(|(wall, _)| wall).map(|w| w.to_string());
        assert_eq!(wall(b"1777272432.123456 x").as_deref(), Some("2026-04-27T06:47:12.123Z"));
        assert_eq!(time(b"12.123456 x"), None);
        assert_eq!(time(b"1777272432.5 x"), None);
    }
}
