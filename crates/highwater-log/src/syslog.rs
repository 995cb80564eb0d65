//! Syslog files and `journalctl`'s short forms: a time, perhaps a host, and who wrote.
//!
//! ```text
//! Apr 27 08:47:12 host kernel: text        févr. 03 19:57:08 host kernel: text
//! Sep 03 07:18:33 kernel: text             Sun 2026-04-26 08:47:12 UTC host kernel: text
//! 09-22 15:36:44.117 <4>[ 1304.482941] c2 text                                (Android)
//! ```

use highwater_core::time::WallTime;

use crate::{iso, scan};

/// How many words may stand before the time of day: weekday, month and day, or a date.
const DATE_WORDS: usize = 4;

/// A month or weekday in letters is no longer than this in any locale, in bytes.
const NAME_BYTES: usize = 24;

/// Takes the time off the front: the moment where it is certain, and what follows.
pub(crate) fn time(line: &[u8]) -> Option<(Option<WallTime>, &[u8])> {
    if let Some(found) = iso::strip(line) {
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

/// `2026-04-26 08:47:12 UTC …`: certain only if the zone is UTC.
fn full(rest: &[u8]) -> Option<(Option<WallTime>, &[u8])> {
    let (date, after) = scan::word(rest)?;
    let (_, after) = scan::clock(after)?;
    let clock = rest.get(date.len() + 1..rest.len().checked_sub(after.len())?)?;
    let utc = after.strip_prefix(b" UTC ");
    let stamp = [date, b"T", clock, b"Z"].concat();
    let wall = utc.and_then(|_| iso::strip(&stamp)).and_then(|(wall, _)| wall);
    Some((wall, utc.unwrap_or_else(|| zone_name(after))))
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

/// Takes host and writer off: `host kernel: text`, `kernel: text`, `systemd[1]: text`.
pub(crate) fn writer(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    let (first, _) = scan::first_word(rest);
    if let Some((ident, sure)) = ident(first)
        && sure
    {
        return Some((ident, message(rest, first.len())));
    }
    let behind = scan::trim_start(rest.get(first.len()..)?);
    let (second, _) = scan::first_word(behind);
    if first.ends_with(b":") || first.is_empty() {
        return None;
    }
    ident(second).map(|(ident, _)| (ident, message(behind, second.len())))
}

/// What follows a word and the one blank behind it.
fn message(text: &[u8], word: usize) -> &[u8] {
    let rest = text.get(word..).unwrap_or_default();
    rest.strip_prefix(b" ").unwrap_or(rest)
}

/// `kernel:`, `systemd[1]:`: the name, and whether it can be nothing but a writer.
fn ident(word: &[u8]) -> Option<(&[u8], bool)> {
    let name = word.strip_suffix(b":")?;
    if let Some(open) = name.strip_suffix(b"]")
        && let Some(at) = memchr::memrchr(b'[', open)
    {
        let (name, pid) = open.split_at_checked(at)?;
        let numbered = scan::number(pid.strip_prefix(b"[")?).is_some_and(|(_, r)| r.is_empty());
        return (numbered && is_name(name)).then_some((name, true));
    }
    is_name(name).then_some((name, name == b"kernel"))
}

fn is_name(name: &[u8]) -> bool {
    let fits = |b: &u8| b.is_ascii_alphanumeric() || b"_.@/()+-".contains(b);
    !name.is_empty() && name.len() <= 64 && name.iter().all(fits)
}

/// Takes off which processor printed, as Android's kernels say after their stamp: `c2 `.
pub(crate) fn android_cpu(text: &[u8]) -> &[u8] {
    let taken = text.strip_prefix(b"c").and_then(scan::number);
    taken.and_then(|(_, rest)| rest.strip_prefix(b" ")).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(line: &str) -> Option<(String, String)> {
        let (_, rest) = time(line.as_bytes())?;
        let (ident, text) = writer(rest)?;
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
}
