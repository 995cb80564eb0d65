//! Who in the kernel holds memory: pools of huge pages, slab caches, places that allocate.
//!
//! ```text
//! Node 0 hugepages_total=4 hugepages_free=4 hugepages_surp=0 hugepages_size=2048kB
//! Unreclaimable slab info:
//! Name                      Used          Total
//! kmalloc-4k             24592KB        24592KB
//! Memory allocations (profiling is currently turned on):
//!     1.21 GiB   317211 mm/slub.c:2420 func:alloc_slab_page
//! ```

use highwater_core::units::Bytes;

use crate::report::{Allocation, Hugepages, Slab};
use crate::said::Said;
use crate::scan;

pub(crate) fn read(line: &[u8]) -> Option<Said> {
    if line == b"Unreclaimable slab info:" {
        return Some(Said::SlabHead);
    }
    if line.strip_prefix(b"Memory allocations").is_some_and(|rest| rest.ends_with(b":")) {
        return Some(Said::AllocationHead);
    }
    hugepages(line).map(Said::Hugepages)
}

/// `[Node 0 ]hugepages_total=0 hugepages_free=0 hugepages_surp=0 hugepages_size=2048kB`.
fn hugepages(line: &[u8]) -> Option<Hugepages> {
    let (head, rest) = scan::cut(line, b"hugepages_total=")?;
    let node = match head.strip_prefix(b"Node ") {
        Some(node) => Some(scan::small(node)?.0),
        None if head.is_empty() => None,
        None => return None,
    };
    let count = |name| scan::after(line, name).and_then(scan::number).map(|(count, _)| count);
    Some(Hugepages {
        node,
        total: scan::number(rest)?.0,
        free: count(b"hugepages_free=")?,
        surplus: count(b"hugepages_surp=")?,
        size: scan::kib(scan::after(line, b"hugepages_size=")?)?.0.known()?,
    })
}

/// `kmalloc-4k   24592KB   24592KB`; a name may hold blanks.
pub(crate) fn slab(line: &[u8]) -> Option<Slab> {
    let amount = |word: &[u8]| scan::kib(word).filter(|(_, rest)| rest.is_empty())?.0.known();
    let (rest, total) = last_word(line)?;
    let total = amount(total)?;
    let (name, used) = last_word(rest)?;
    let used = amount(used)?;
    (!name.is_empty()).then(|| Slab { name: scan::owned(name), used, total })
}

/// `Name                      Used          Total`.
pub(crate) fn is_slab_heading(line: &[u8]) -> bool {
    line.starts_with(b"Name") && line.ends_with(b"Total")
}

fn last_word(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let line = line.trim_ascii();
    let at = line.iter().rposition(u8::is_ascii_whitespace)?;
    Some((line.get(..at)?.trim_ascii(), line.get(at + 1..)?))
}

/// `1.21 GiB   317211 mm/slub.c:2420 [module] func:name`, also without the blank before the unit.
pub(crate) fn allocation(line: &[u8]) -> Option<Allocation> {
    let (held, rest) = rounded(line.trim_ascii())?;
    let (count, rest) = scan::number(rest.trim_ascii_start())?;
    let site = rest.strip_prefix(b" ")?.trim_ascii();
    scan::has(site, b"func:").then(|| Allocation { held, count, site: scan::owned(site) })
}

/// An amount as people read it, `1.21 GiB`, `43.3G`, `512 B`, and what follows it.
pub(crate) fn rounded(text: &[u8]) -> Option<(Bytes, &[u8])> {
    const UNITS: [&[u8]; 5] = [b"B", b"K", b"M", b"G", b"T"];
    let (whole, rest) = scan::number(text)?;
    let (thousandths, rest) = match rest.strip_prefix(b".").and_then(thousandths) {
        Some(found) => found,
        None => (0, rest),
    };
    let unit = rest.strip_prefix(b" ").unwrap_or(rest);
    let (power, rest) = UNITS
        .iter()
        .zip(0_u32..)
        .find_map(|(name, power)| Some((power, unit.strip_prefix(*name)?)))?;
    let rest = rest.strip_prefix(b"iB").or_else(|| rest.strip_prefix(b"B")).unwrap_or(rest);
    let one = 1024_u64.checked_pow(power)?;
    let bytes = whole.checked_mul(one)?.checked_add(thousandths.checked_mul(one)? / 1000)?;
    Some((Bytes::new(bytes), rest))
}

/// The digits behind a point, in thousandths.
fn thousandths(text: &[u8]) -> Option<(u64, &[u8])> {
    let len = text.iter().take_while(|b| b.is_ascii_digit()).count();
    let (digits, rest) = text.split_at_checked(len)?;
    let three = digits.iter().copied().chain(std::iter::repeat(b'0')).take(3);
    Some((three.fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pools_of_huge_pages() {
        let line =
            b"Node 1 hugepages_total=4 hugepages_free=3 hugepages_surp=1 hugepages_size=2048kB";
        let Some(Said::Hugepages(pool)) = read(line) else { panic!() };
        assert_eq!((pool.node, pool.total, pool.free, pool.surplus), (Some(1), 4, 3, 1));
        assert_eq!(pool.size, Bytes::from_mib(2));
        assert_eq!(read(b"hugepages_total=4"), None);
    }

    #[test]
    fn slabs() {
        let found = slab(b"kmalloc 4k   24592KB   24600KB").unwrap();
        assert_eq!((found.name.as_str(), found.used), ("kmalloc 4k", Bytes::from_kib(24592)));
        assert_eq!(found.total, Bytes::from_kib(24600));
        assert!(slab(b"24592KB 24592KB").is_none() && slab(b"usb 1-1: new").is_none());
        assert!(is_slab_heading(b"Name                      Used          Total"));
    }

    #[test]
    fn allocations_with_and_without_a_module() {
        let found = allocation(b"    1.50 GiB  12345 mm/slub.c:24 func:alloc_slab_page").unwrap();
        assert_eq!((found.held, found.count), (Bytes::from_mib(1536), 12345));
        assert_eq!(found.site, "mm/slub.c:24 func:alloc_slab_page");
        let found = allocation(b"512 B 1 a.c:1 [m] func:f").unwrap();
        assert_eq!((found.held.get(), found.site.as_str()), (512, "a.c:1 [m] func:f"));
        assert!(allocation(b"1.21GiB 12345 mm/foo.c:123 [mod] func:name").is_some());
        assert!(allocation(b"usb 1-1: new").is_none() && allocation(b"1 GiB x").is_none());
    }

    #[test]
    fn rounded_amounts() {
        assert_eq!(rounded(b"43.3G").unwrap().0.get(), 46_493_020_979);
        assert_eq!(rounded(b"0B").unwrap().0.get(), 0);
        assert_eq!(rounded(b"99999999999999999999G"), None);
        assert_eq!(rounded(b"99999999999999999G"), None);
        assert_eq!(rounded(b"5 apples"), None);
    }
}
