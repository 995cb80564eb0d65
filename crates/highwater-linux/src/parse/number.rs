//! Numbers and limits as the kernel writes them.

use highwater_core::limit::Limit;
use highwater_core::units::{Bytes, PageSize};

/// A whole number with space around it. `None` for anything else, also for one that is too large.
pub fn u64(text: &[u8]) -> Option<u64> {
    digits(text.trim_ascii())
}

/// As [`u64()`], with a minus sign allowed.
pub fn i64(text: &[u8]) -> Option<i64> {
    let text = text.trim_ascii();
    match text.strip_prefix(b"-") {
        Some(magnitude) => 0_i64.checked_sub_unsigned(digits(magnitude)?),
        None => digits(text)?.try_into().ok(),
    }
}

/// As [`u64()`], for what is a `u32` in the kernel.
pub fn u32(text: &[u8]) -> Option<u32> {
    u64(text)?.try_into().ok()
}

/// An amount that the kernel writes as `1234 kB`. The unit has to be there.
pub fn kib(text: &[u8]) -> Option<Bytes> {
    u64(text.trim_ascii().strip_suffix(b"kB")?).map(Bytes::from_kib)
}

/// A limit of cgroup v2 in bytes, such as `memory.max`: a number or `max`.
pub fn v2_limit(text: &[u8]) -> Option<Limit> {
    limit(text, b"max", Bytes::new)
}

/// A limit of things that are counted, such as `pids.max`: a number or `max`.
pub fn count_limit(text: &[u8]) -> Option<Limit<u64>> {
    limit(text, b"max", |count| count)
}

/// A limit of cgroup v1, such as `memory.limit_in_bytes`.
///
/// Where there is no limit the kernel writes the largest number of pages it can count, in bytes
/// (`PAGE_COUNTER_MAX` in `include/linux/page_counter.h`): on 64 bits `i64::MAX` rounded down to
/// pages, before 3.19 `i64::MAX` itself; on 32 bits `i32::MAX` pages. No machine can have half of
/// the former (4 EiB), so all from there on is unlimited, whatever the page size of the kernel
/// that wrote it; of the latter only the very number is.
pub fn v1_limit(text: &[u8], page_size: PageSize) -> Option<Limit> {
    const NOBODY_HAS: u64 = 1 << 62;
    const PAGES_MAX_32: u64 = (1 << 31) - 1;
    let bytes = u64(text)?;
    let sentinel = bytes >= NOBODY_HAS || Some(bytes) == PAGES_MAX_32.checked_mul(page_size.get());
    Some(if sentinel { Limit::Unlimited } else { Limit::At(Bytes::new(bytes)) })
}

/// A number, or the word that stands for no limit.
pub(super) fn limit<T>(text: &[u8], unlimited: &[u8], unit: fn(u64) -> T) -> Option<Limit<T>> {
    match text.trim_ascii() {
        word if word == unlimited => Some(Limit::Unlimited),
        number => digits(number).map(|number| Limit::At(unit(number))),
    }
}

fn digits(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u64, |sum, digit| match digit {
        b'0'..=b'9' => sum.checked_mul(10)?.checked_add(u64::from(digit - b'0')),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_digits_and_nothing_else() {
        assert_eq!(u64(b" 42\n"), Some(42));
        assert_eq!(u64(b"18446744073709551615"), Some(u64::MAX));
        for bad in [&b""[..], b" ", b"-1", b"+1", b"1 2", b"0x1", b"18446744073709551616", b"\xff"]
        {
            assert_eq!(u64(bad), None, "{bad:?}");
        }
        assert_eq!(u32(b"4294967296"), None);
    }

    #[test]
    fn signed_numbers_reach_both_ends() {
        assert_eq!(i64(b"-999\n"), Some(-999));
        assert_eq!(i64(b"-9223372036854775808"), Some(i64::MIN));
        assert_eq!(i64(b"9223372036854775808"), None);
        assert_eq!(i64(b"--1"), None);
        assert_eq!(i64(b"-"), None);
    }

    #[test]
    fn an_amount_needs_its_unit() {
        assert_eq!(kib(b"   12 kB"), Some(Bytes::new(12 * 1024)));
        assert_eq!(kib(b"12"), None);
        assert_eq!(kib(b"kB"), None);
    }

    #[test]
    fn the_word_max_is_no_limit() {
        assert_eq!(v2_limit(b"max\n"), Some(Limit::Unlimited));
        assert_eq!(v2_limit(b"67108864\n"), Some(Limit::At(Bytes::from_mib(64))));
        assert_eq!(v2_limit(b"0\n"), Some(Limit::At(Bytes::ZERO)));
        assert_eq!(v2_limit(b"maximum"), None);
        assert_eq!(count_limit(b"28909\n"), Some(Limit::At(28909)));
        assert_eq!(count_limit(b"max"), Some(Limit::Unlimited));
        assert_eq!(count_limit(b""), None);
    }

    #[test]
    fn the_sentinels_of_v1_are_no_limit() {
        let pages_64k = PageSize::new(65536).unwrap();
        let unlimited = [
            &b"9223372036854771712\n"[..], // 4 KiB pages
            b"9223372036854710272",        // 64 KiB pages
            b"9223372036854775807",        // before 3.19
            b"18446744073709551615",
        ];
        for text in unlimited {
            assert_eq!(v1_limit(text, PageSize::KIB4), Some(Limit::Unlimited));
            assert_eq!(v1_limit(text, pages_64k), Some(Limit::Unlimited));
        }
        assert_eq!(v1_limit(b"8796093018112", PageSize::KIB4), Some(Limit::Unlimited));
        assert!(v1_limit(b"8796093018112", pages_64k).unwrap().at().is_some());
        let limit = Limit::At(Bytes::from_mib(64));
        assert_eq!(v1_limit(b"67108864\n", PageSize::KIB4), Some(limit));
        assert_eq!(v1_limit(b"-1", PageSize::KIB4), None);
    }
}
