//! The machine's memory as a report prints it: the counts, the swap, the pages of RAM. What it
//! says of nodes and zones is read in [`zone`](crate::zone), who holds what in
//! [`holders`](crate::holders).

use highwater_core::units::{Bytes, Pages};

use crate::said::Said;
use crate::{holders, scan, zone};

/// Which count of pages a line gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Total {
    Ram,
    Reserved,
    Highmem,
    Cma,
    Hwpoisoned,
    Pagecache,
    SwapCache,
}

pub(crate) fn read(line: &[u8]) -> Option<Said> {
    if line.eq_ignore_ascii_case(b"Mem-Info:") {
        return Some(Said::MemInfo);
    }
    swap(line)
        .or_else(|| total(line))
        .or_else(|| zone::read(line))
        .or_else(|| holders::read(line))
        .or_else(|| counts(line))
}

/// `Free swap  = 84kB`, old `Free swap:        84kB`.
fn swap(line: &[u8]) -> Option<Said> {
    let amount = |rest: &[u8]| -> Option<Bytes> {
        let rest = rest.trim_ascii_start();
        let rest = rest.strip_prefix(b"=").or_else(|| rest.strip_prefix(b":"))?;
        scan::kib(rest.trim_ascii_start())?.0.known()
    };
    if let Some(rest) = line.strip_prefix(b"Free swap") {
        return amount(rest).map(Said::SwapFree);
    }
    amount(line.strip_prefix(b"Total swap")?).map(Said::SwapTotal)
}

/// `8379834 pages RAM`, `192987 pages reserved`.
fn total(line: &[u8]) -> Option<Said> {
    if let Some(count) = line.strip_suffix(b" total pagecache pages").and_then(scan::whole) {
        return Some(Said::Total(Total::Pagecache, Pages::new(count)));
    }
    let (count, rest) = scan::number(line)?;
    let which = match rest {
        b" pages RAM" | b" pages of RAM" => Total::Ram,
        b" pages reserved" | b" reserved pages" => Total::Reserved,
        b" pages HighMem/MovableOnly" | b" pages HighMem" | b" pages of HIGHMEM" => Total::Highmem,
        b" pages cma reserved" => Total::Cma,
        b" pages hwpoisoned" => Total::Hwpoisoned,
        b" pages in swap cache" | b" pages swap cached" => Total::SwapCache,
        _ => return None,
    };
    Some(Said::Total(which, Pages::new(count)))
}

/// `active_anon:1413442 inactive_anon:1509191 isolated_anon:0`: nothing but counts.
fn counts(line: &[u8]) -> Option<Said> {
    /// The most counts of one line that are kept: a kernel prints about 30.
    const COUNTS: usize = 256;
    let counts: Option<Vec<_>> = scan::words(line).take(COUNTS).map(count).collect();
    counts.filter(|counts| !counts.is_empty()).map(Said::Counts)
}

fn count(word: &[u8]) -> Option<(String, Pages)> {
    let (name, value) = scan::cut(word, b":")?;
    let is_name = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
    let named = name.first().is_some_and(u8::is_ascii_alphabetic) && name.iter().all(is_name);
    named.then(|| Some((scan::owned(name), Pages::new(scan::whole(value)?))))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_nothing_but_counts() {
        assert!(
            matches!(read(b"active_anon:1 inactive_anon:2"), Some(Said::Counts(c)) if c.len() == 2)
        );
        assert!(
            matches!(read(b"Active:1 inactive:2 dirty:0"), Some(Said::Counts(c)) if c.len() == 3)
        );
        assert_eq!(read(b"eth0: link up"), None);
        assert_eq!(read(b"free:1kB"), None);
        assert_eq!(read(b""), None);
    }

    #[test]
    fn swap_and_totals() {
        assert_eq!(read(b"Free swap  = 84kB"), Some(Said::SwapFree(Bytes::from_kib(84))));
        assert_eq!(read(b"Free swap:        84kB"), Some(Said::SwapFree(Bytes::from_kib(84))));
        assert_eq!(read(b"Total swap = 0kB"), Some(Said::SwapTotal(Bytes::ZERO)));
        let total = |line: &[u8]| match read(line) {
            Some(Said::Total(which, count)) => Some((which, count.get())),
            _ => None,
        };
        assert_eq!(total(b"4115400 pages RAM"), Some((Total::Ram, 4_115_400)));
        assert_eq!(total(b"131072 pages of RAM"), Some((Total::Ram, 131_072)));
        assert_eq!(total(b"7 reserved pages"), Some((Total::Reserved, 7)));
        assert_eq!(total(b"0 pages HighMem/MovableOnly"), Some((Total::Highmem, 0)));
        assert_eq!(total(b"7 pages cma reserved"), Some((Total::Cma, 7)));
        assert_eq!(total(b"7 pages hwpoisoned"), Some((Total::Hwpoisoned, 7)));
        assert_eq!(total(b"7 total pagecache pages"), Some((Total::Pagecache, 7)));
        assert_eq!(total(b"7 pages in swap cache"), Some((Total::SwapCache, 7)));
        assert_eq!(total(b"7 pages of a book"), None);
    }

    #[test]
    fn one_line_has_so_many_counts_at_most() {
        let line = "a:1 ".repeat(5000);
        assert!(matches!(read(line.as_bytes()), Some(Said::Counts(c)) if c.len() == 256));
    }
}
