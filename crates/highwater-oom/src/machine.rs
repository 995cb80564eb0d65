//! The machine's memory as a report prints it.

use highwater_core::units::{Bytes, PageSize, Pages};

use crate::report::{Blocks, FreeList, Zone};
use crate::said::Said;
use crate::scan;

pub(crate) fn read(line: &[u8]) -> Option<Said> {
    if line.eq_ignore_ascii_case(b"Mem-Info:") {
        return Some(Said::MemInfo);
    }
    swap(line)
        .or_else(|| pages(line))
        .or_else(|| zone(line))
        .or_else(|| free_list(line))
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
fn pages(line: &[u8]) -> Option<Said> {
    let (count, rest) = scan::number(line)?;
    match rest {
        b" pages RAM" | b" pages of RAM" => Some(Said::Ram(Pages::new(count))),
        b" pages reserved" | b" reserved pages" => Some(Said::Reserved(Pages::new(count))),
        _ => None,
    }
}

/// `[Node 0 ]DMA32 free:63304kB boost:0kB min:13760kB low:17200kB …`.
fn zone(line: &[u8]) -> Option<Said> {
    let (head, _) = scan::cut(line, b" free:")?;
    let (node, name) = place(head)?;
    let fields = line.get(head.len()..).unwrap_or_default();
    let amounts: Vec<_> = scan::words(fields).filter_map(amount).collect();
    let watermarks = amounts.iter().any(|(name, _)| name == "min");
    watermarks
        .then(|| Said::Zone(Zone { node, name: scan::owned(name), amounts, ..Zone::default() }))
}

/// `min:13760kB`.
fn amount(word: &[u8]) -> Option<(String, Bytes)> {
    let (name, value) = scan::cut(word, b":")?;
    Some((scan::owned(name), scan::kib(value)?.0.known()?))
}

/// `Node 0 DMA32` or `DMA32`.
fn place(head: &[u8]) -> Option<(Option<u32>, &[u8])> {
    let (node, name) = match head.strip_prefix(b"Node ").and_then(scan::small) {
        Some((node, rest)) => (Some(node), rest.trim_ascii_start()),
        None => (None, head),
    };
    let is_name = !name.is_empty() && name.iter().all(u8::is_ascii_alphanumeric);
    is_name.then_some((node, name))
}

/// `Node 0 DMA32: 550*4kB (UM) 250*8kB (UE) … = 63624kB`: its first size is that of a page, and
/// its last is what the zone has free.
fn free_list(line: &[u8]) -> Option<Said> {
    let (head, rest) = scan::cut(line, b": ")?;
    let (node, name) = place(head)?;
    let (_, sizes) = scan::number(rest)?;
    let (size, _) = scan::kib(sizes.strip_prefix(b"*")?)?;
    let size = PageSize::new(size.known()?.get())?;
    let free = scan::after(rest, b" = ").and_then(scan::kib).and_then(|(sum, _)| sum.known());
    let blocks = blocks(rest);
    Some(Said::FreeList(size, FreeList { node, name: scan::owned(name), blocks, free }))
}

/// `550*4kB (UM) 250*8kB (UE)`.
fn blocks(text: &[u8]) -> Vec<Blocks> {
    let mut blocks: Vec<Blocks> = Vec::new();
    for word in scan::words(text) {
        if let Some((count, size)) = scan::number(word).and_then(|(count, rest)| {
            Some((count, scan::kib(rest.strip_prefix(b"*")?)?.0.known()?))
        }) {
            blocks.push(Blocks { size, count, types: String::new() });
        } else if let (Some(last), Some(types)) =
            (blocks.last_mut(), word.strip_prefix(b"(").and_then(|word| word.strip_suffix(b")")))
        {
            last.types = scan::owned(types);
        } else {
            break;
        }
    }
    blocks
}

/// `active_anon:1413442 inactive_anon:1509191 isolated_anon:0`: nothing but counts.
fn counts(line: &[u8]) -> Option<Said> {
    let counts: Option<Vec<_>> = scan::words(line).map(count).collect();
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
    fn zones_with_and_without_a_node() {
        let Some(Said::Zone(zone)) =
            read(b"Node 0 DMA free:1kB boost:0kB min:2kB low:3kB high:4kB x? no")
        else {
            panic!()
        };
        assert_eq!((zone.node, zone.name.as_str()), (Some(0), "DMA"));
        assert_eq!(zone.get("min"), Some(Bytes::from_kib(2)));
        assert!(matches!(
            read(b"HighMem free:1kB min:2kB"),
            Some(Said::Zone(Zone { node: None, .. }))
        ));
        assert_eq!(read(b"Node 0 active_anon:1kB"), None);
    }

    #[test]
    fn the_free_lists_tell_the_size_of_a_page() {
        let sparc = read(b"Node 0 Normal: 7*8kB (M) 1*16kB = 72kB");
        let Some(Said::FreeList(size, zone)) = sparc else { panic!() };
        assert_eq!((size, zone.name.as_str()), (PageSize::new(8192).unwrap(), "Normal"));
        assert_eq!((zone.free, zone.blocks.len()), (Some(Bytes::from_kib(72)), 2));
        assert_eq!(zone.blocks[0].types, "M");
        assert_eq!(read(b"Normal: x*8kB"), None);
    }

    #[test]
    fn counts_are_nothing_but_counts() {
        assert!(
            matches!(read(b"active_anon:1 inactive_anon:2"), Some(Said::Counts(c)) if c.len() == 2)
        );
        assert_eq!(read(b"eth0: link up"), None);
        assert_eq!(read(b"free:1kB"), None);
        assert_eq!(read(b""), None);
    }

    #[test]
    fn swap_and_ram() {
        assert_eq!(read(b"Free swap  = 84kB"), Some(Said::SwapFree(Bytes::from_kib(84))));
        assert_eq!(read(b"Total swap = 0kB"), Some(Said::SwapTotal(Bytes::ZERO)));
        assert_eq!(read(b"4115400 pages RAM"), Some(Said::Ram(Pages::new(4_115_400))));
    }
}
