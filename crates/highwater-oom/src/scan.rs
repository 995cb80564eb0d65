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

/// Where `needle` begins.
pub(crate) fn find(text: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(text, needle)
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
    fn numbers_may_be_below_zero() {
        assert_eq!(signed(b"-17 x"), Some((-17, &b" x"[..])));
        assert_eq!(signed(b"-"), None);
    }
}
