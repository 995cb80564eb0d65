//! Reading small things out of a kernel line.

use highwater_core::text::escape;
use highwater_core::units::Bytes;

/// Amounts in kB from here on are not amounts: they are "unlimited" or a counter that went below
/// zero. 2^52 kB is 4 EiB; the kernel's sentinels are 2^53 and 2^54 kB less a page.
const SENTINEL_KIB: u64 = 1 << 52;

/// The decimal number at the front, and what follows it.
pub(crate) fn number(text: &[u8]) -> Option<(u64, &[u8])> {
    let len = text.iter().take_while(|b| b.is_ascii_digit()).count();
    let (digits, rest) = text.split_at_checked(len)?;
    Some((std::str::from_utf8(digits).ok()?.parse().ok()?, rest))
}

/// The number at the front, perhaps below zero, and what follows it.
pub(crate) fn signed(text: &[u8]) -> Option<(i64, &[u8])> {
    let (negative, digits) = match text.strip_prefix(b"-") {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let (value, rest) = number(digits)?;
    let value = i64::try_from(value).ok()?;
    Some((if negative { -value } else { value }, rest))
}

/// The whole of `text` as a number.
pub(crate) fn whole(text: &[u8]) -> Option<u64> {
    number(text).filter(|(_, rest)| rest.is_empty()).map(|(value, _)| value)
}

/// A number that fits the wanted type, and what follows it.
pub(crate) fn small<T: TryFrom<u64>>(text: &[u8]) -> Option<(T, &[u8])> {
    let (value, rest) = number(text)?;
    Some((T::try_from(value).ok()?, rest))
}

/// In a text up to this length a needle is looked for by a rare byte of it: to prepare a finder takes
/// longer than to look through a line.
const SHORT_BYTES: usize = 1024;

/// Where `needle` begins.
#[inline]
pub(crate) fn find(text: &[u8], needle: &[u8]) -> Option<usize> {
    if text.len() > SHORT_BYTES {
        return memchr::memmem::find(text, needle);
    }
    let (ahead, rarest) = rarest(needle)?;
    memchr::memchr_iter(rarest, text).find_map(|at| {
        let begin = at.checked_sub(ahead)?;
        text.get(begin..)?.starts_with(needle).then_some(begin)
    })
}

/// A byte of `needle` that a line has few of, and where it is: a sign, a capital or a digit before a
/// small letter, and any before a blank.
#[inline]
fn rarest(needle: &[u8]) -> Option<(usize, u8)> {
    let is_rare = |byte: &u8| !byte.is_ascii_lowercase() && *byte != b' ';
    let at = needle.iter().position(is_rare);
    let at = at.or_else(|| needle.iter().position(|byte| *byte != b' ')).unwrap_or(0);
    Some((at, *needle.get(at)?))
}

/// `needle` is in it.
pub(crate) fn has(text: &[u8], needle: &[u8]) -> bool {
    find(text, needle).is_some()
}

/// What follows the first `needle`.
pub(crate) fn after<'a>(text: &'a [u8], needle: &[u8]) -> Option<&'a [u8]> {
    cut(text, needle).map(|(_, after)| after)
}

/// What stands before and after the first `needle`.
pub(crate) fn cut<'a>(text: &'a [u8], needle: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = find(text, needle)?;
    Some((text.get(..at)?, text.get(at + needle.len()..)?))
}

/// What stands before and after the last `needle`.
pub(crate) fn cut_last<'a>(text: &'a [u8], needle: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = memchr::memmem::rfind(text, needle)?;
    Some((text.get(..at)?, text.get(at + needle.len()..)?))
}

/// Could this precede a message as its envelope? Quotes and comment marks mean that somebody quotes
/// a kernel line: in a program's source, in a question, in a rule that looks for one.
/// What stands in closed square brackets may be anything; a line end is the end of an envelope.
pub(crate) fn is_envelope(prefix: &[u8]) -> bool {
    let mut quoted_inside = None;
    for b in prefix {
        match (b, quoted_inside) {
            (b'[', _) => quoted_inside = quoted_inside.or(Some(false)),
            (b']', _) => quoted_inside = None,
            (b'"' | b'\'' | b'`' | b'#' | b'\\' | b'\n', None) => return false,
            (b'"' | b'\'' | b'`' | b'#' | b'\\' | b'\n', _) => quoted_inside = Some(true),
            _ => {}
        }
    }
    // A sentence has none of the signs that stand in every envelope.
    let sign = |b: &u8| b.is_ascii_digit() || matches!(b, b':' | b']' | b'|' | b'>' | b')');
    let is_sentence = prefix.len() > 2 && !prefix.iter().any(sign);
    quoted_inside != Some(true) && !is_sentence && !names_program(prefix)
}

/// `… app[5]:`: what follows is that program's.
fn names_program(prefix: &[u8]) -> bool {
    let prefix = prefix.trim_ascii_end();
    let Some(front) = prefix.strip_suffix(b"]:") else { return false };
    let digits = front.iter().rev().take_while(|b| b.is_ascii_digit()).count();
    digits > 0 && front.get(..front.len() - digits).is_some_and(|name| name.ends_with(b"["))
}

/// A line that stands between quotes as a whole, without them.
pub(crate) fn unquoted(line: &[u8]) -> &[u8] {
    let inside = line.strip_prefix(b"\"").and_then(|line| line.strip_suffix(b"\""));
    inside.filter(|inside| memchr::memchr(b'"', inside).is_none()).unwrap_or(line)
}

/// The words of a line.
pub(crate) fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
}

/// An amount as the kernel writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Amount {
    /// So much.
    Bytes(Bytes),
    /// More than there can be: a limit that is none, or a usage that went below zero.
    Sentinel,
}

impl Amount {
    pub(crate) fn known(self) -> Option<Bytes> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            Self::Sentinel => None,
        }
    }
}

/// `980kB`, `980KB`, `980 kB`: the amount, and what follows it.
pub(crate) fn kib(text: &[u8]) -> Option<(Amount, &[u8])> {
    let (count, rest) = number(text)?;
    let unit = rest.strip_prefix(b" ").unwrap_or(rest);
    let rest = [&b"kB"[..], b"KB", b"kb", b"K"].iter().find_map(|u| unit.strip_prefix(*u))?;
    let amount = match count {
        SENTINEL_KIB.. => Amount::Sentinel,
        _ => Amount::Bytes(Bytes::from_kib(count)),
    };
    Some((amount, rest))
}

/// The longest text of somebody else that is kept: a cgroup path may have 4096 bytes.
const TEXT_BYTES: usize = 4096;

/// Somebody else's text, escaped and of a bounded length.
pub(crate) fn owned(text: &[u8]) -> String {
    escape(text.get(..TEXT_BYTES).unwrap_or(text)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_a_unit_and_an_end() {
        assert_eq!(kib(b"980kB,"), Some((Amount::Bytes(Bytes::from_kib(980)), &b","[..])));
        assert_eq!(kib(b"18014398509481983kB"), Some((Amount::Sentinel, &b""[..])));
        assert_eq!(kib(b"18446744073709537436kB"), Some((Amount::Sentinel, &b""[..])));
        assert_eq!(kib(b"980"), None);
        assert_eq!(kib(b"kB"), None);
    }

    #[test]
    fn quotations_are_no_envelopes() {
        for prefix in
            [&b"vm-1 | console: [1.0]"[..], b"[COLOR=\"Red\"]", b"Apr 27 08:47:12 h kernel:"]
        {
            assert!(is_envelope(prefix), "{prefix:?}");
        }
        for prefix in [
            &b"There are "[..],
            b"xApr 27 08:47:12 h app[5]: ",
            b"# ",
            b"re.compile(\"",
            b"positive: ['kernel: ",
            b"x\n",
        ] {
            assert!(!is_envelope(prefix), "{prefix:?}");
        }
    }

    #[test]
    fn numbers_may_be_below_zero() {
        assert_eq!(signed(b"-17 x"), Some((-17, &b" x"[..])));
        assert_eq!(signed(b"-"), None);
    }
}
