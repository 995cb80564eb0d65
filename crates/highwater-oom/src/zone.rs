//! Nodes, zones and their free lists.
//!
//! ```text
//! Node 0 active_anon:4kB inactive_anon:8kB … shmem_thp: 0kB … all_unreclaimable? no        ≥ 4.8
//! Node 0 DMA32 free:63304kB boost:0kB min:13760kB low:17200kB … managed:1946116kB …
//! lowmem_reserve[]: 0 1946 1946 0                                  (protections[]: before 2.6.10)
//! Node 0 Normal: 550*4kB (UM) 250*8kB (UE) … = 63624kB
//! ```

use highwater_core::units::{Bytes, PageSize, Pages};

use crate::report::{Blocks, FreeList, Node, Zone};
use crate::said::Said;
use crate::scan;

/// The most zones a kernel has, with room: what follows in a damaged line is left out.
const ZONES: usize = 16;

/// The most amounts or sizes of one line that are kept: a kernel prints about 30.
const FIELDS: usize = 256;

pub(crate) fn read(line: &[u8]) -> Option<Said> {
    zone(line).or_else(|| node(line)).or_else(|| reserve(line)).or_else(|| free_list(line))
}

/// `[Node 0 ]DMA32 free:63304kB boost:0kB min:13760kB low:17200kB …`.
fn zone(line: &[u8]) -> Option<Said> {
    let (head, _) = scan::cut(line, b" free:")?;
    let (node, name) = place(head)?;
    let fields = line.get(head.len()..).unwrap_or_default();
    let (amounts, all_unreclaimable) = fields_of(fields);
    let watermarks = amounts.iter().any(|(name, _)| name == "min");
    watermarks.then(|| {
        Said::Zone(Zone {
            node,
            name: scan::owned(name),
            amounts,
            all_unreclaimable,
            ..Zone::default()
        })
    })
}

/// `Node 0 active_anon:4kB …`.
fn node(line: &[u8]) -> Option<Said> {
    let (node, rest) = scan::small(line.strip_prefix(b"Node ")?)?;
    let rest = rest.strip_prefix(b" ")?;
    let (amounts, all_unreclaimable) = fields_of(rest);
    let is_node = rest.starts_with(b"active_anon:") && !amounts.is_empty();
    is_node.then_some(Said::Node(Node { node, amounts, all_unreclaimable }))
}

/// `min:13760kB low:17200kB shmem_thp: 0kB all_unreclaimable? no`. Counts of pages and events
/// (`pages_scanned:96`) are left out.
fn fields_of(text: &[u8]) -> (Vec<(String, Bytes)>, Option<bool>) {
    let (mut amounts, mut all_unreclaimable) = (Vec::new(), None);
    let mut words = scan::words(text).peekable();
    while amounts.len() < FIELDS
        && let Some(word) = words.next()
    {
        if word == b"all_unreclaimable?" {
            all_unreclaimable = words.next().map(|answer| answer == b"yes");
        } else if let Some(name) = word.strip_suffix(b":") {
            // Some kernels have a blank between name and amount.
            let amount =
                words.peek().and_then(|value| scan::kib(value)).and_then(|(a, _)| a.known());
            amounts.extend(amount.map(|amount| (scan::owned(name), amount)));
        } else {
            amounts.extend(amount(word));
        }
    }
    (amounts, all_unreclaimable)
}

/// `min:13760kB`.
fn amount(word: &[u8]) -> Option<(String, Bytes)> {
    let (name, value) = scan::cut(word, b":")?;
    Some((scan::owned(name), scan::kib(value)?.0.known()?))
}

/// `lowmem_reserve[]: 0 1946 1946 0`; it belongs to the zone above it.
fn reserve(line: &[u8]) -> Option<Said> {
    let rest =
        line.strip_prefix(b"lowmem_reserve[]:").or_else(|| line.strip_prefix(b"protections[]:"))?;
    let pages = scan::words(rest).map_while(scan::whole).take(ZONES).map(Pages::new);
    Some(Said::Reserve(pages.collect()))
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
    let rest = rest.trim_ascii_start();
    let (_, sizes) = scan::number(rest)?;
    let (size, _) = scan::kib(sizes.strip_prefix(b"*")?)?;
    let size = PageSize::new(size.known()?.get())?;
    let free = scan::after(rest, b"= ").and_then(scan::kib).and_then(|(sum, _)| sum.known());
    let blocks = blocks(rest);
    Some(Said::FreeList(size, FreeList { node, name: scan::owned(name), blocks, free }))
}

/// `550*4kB (UM) 250*8kB (UE)`.
fn blocks(text: &[u8]) -> Vec<Blocks> {
    let mut blocks: Vec<Blocks> = Vec::new();
    // Behind each size stand the letters of its lists.
    for word in scan::words(text).take(2 * FIELDS) {
        if let Some((count, size)) = block(word) {
            blocks.push(Blocks { size, count, types: String::new() });
        } else if let (Some(last), Some(types)) = (blocks.last_mut(), types(word)) {
            last.types = scan::owned(types);
        } else {
            break;
        }
    }
    blocks
}

/// `550*4kB`.
fn block(word: &[u8]) -> Option<(u64, Bytes)> {
    let (count, rest) = scan::number(word)?;
    Some((count, scan::kib(rest.strip_prefix(b"*")?)?.0.known()?))
}

/// `(UME)`.
fn types(word: &[u8]) -> Option<&[u8]> {
    let types = word.strip_prefix(b"(")?.strip_suffix(b")")?;
    types.iter().all(u8::is_ascii_uppercase).then_some(types)
}

/// Is it the front of a line that kernels of the 4.19 era print in pieces, a line to a piece?
pub(crate) fn is_torn(line: &[u8]) -> bool {
    let place = || scan::cut_last(line, b":").filter(|(_, rest)| rest.is_empty()).map(|(p, _)| p);
    let node = || line.strip_prefix(b"Node ").and_then(scan::whole).is_some();
    let head = || place().is_some_and(|p| p.starts_with(b"Node ") && self::place(p).is_some());
    let open_list =
        || matches!(free_list(line), Some(Said::FreeList(_, list)) if list.free.is_none());
    node() || head() || reserve(line).is_some() || open_list()
}

/// Is `next` a piece of the torn line `front`?
pub(crate) fn is_piece(front: &[u8], next: &[u8]) -> bool {
    let of_list = |word: &[u8]| block(word).is_some() || types(word).is_some();
    let sum = |text: &[u8]| text.strip_prefix(b"= ").and_then(scan::kib).is_some();
    if front.starts_with(b"lowmem_reserve") || front.starts_with(b"protections") {
        return scan::whole(next).is_some();
    }
    if front.strip_prefix(b"Node ").and_then(scan::whole).is_some() {
        let named = |head: &[u8]| place(head).is_some_and(|(node, _)| node.is_none());
        let list = next.strip_suffix(b":").or_else(|| scan::cut(next, b": ").map(|(head, _)| head));
        return list.is_some_and(named)
            || matches!(zone(next), Some(Said::Zone(zone)) if zone.node.is_none());
    }
    sum(next) || (!next.is_empty() && scan::words(next).all(of_list))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_with_and_without_a_node() {
        let Some(Said::Zone(zone)) =
            read(b"Node 0 DMA free:1kB boost:0kB min:2kB low:3kB high:4kB pages_scanned:9 all_unreclaimable? yes")
        else {
            panic!()
        };
        assert_eq!((zone.node, zone.name.as_str()), (Some(0), "DMA"));
        assert_eq!((zone.get("min"), zone.get("pages_scanned")), (Some(Bytes::from_kib(2)), None));
        assert_eq!(zone.all_unreclaimable, Some(true));
        assert!(matches!(
            read(b"HighMem free:1kB min:2kB"),
            Some(Said::Zone(Zone { node: None, .. }))
        ));
        assert_eq!(read(b"Node 0 hello:1kB"), None);
    }

    #[test]
    fn nodes_with_blanks_behind_some_names() {
        let line =
            b"Node 1 active_anon:1kB shmem:2kB shmem_thp: 3kB Balloon:0kB all_unreclaimable? no";
        let Some(Said::Node(node)) = read(line) else { panic!() };
        assert_eq!((node.node, node.get("shmem_thp")), (1, Some(Bytes::from_kib(3))));
        assert_eq!((node.get("Balloon"), node.all_unreclaimable), (Some(Bytes::ZERO), Some(false)));
    }

    #[test]
    fn reserves_are_pages() {
        let said = |line: &[u8]| match read(line) {
            Some(Said::Reserve(pages)) => pages.iter().map(|p| p.get()).collect(),
            _ => Vec::new(),
        };
        assert_eq!(said(b"lowmem_reserve[]: 0 1946 1946"), [0, 1946, 1946]);
        assert_eq!(said(b"protections[]: 0 0 0"), [0, 0, 0]);
        assert_eq!(said(b"lowmem_reserve: x"), Vec::<u64>::new());
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
    fn pieces_are_known() {
        assert!(is_torn(b"Node 0") && is_torn(b"Node 0 DMA:") && is_torn(b"Node 0 DMA: 1*4kB (U)"));
        assert!(!is_torn(b"Node 0 DMA: 1*4kB = 4kB") && !is_torn(b"Call Trace:"));
        assert!(is_piece(b"Node 0 DMA:", b"1*4kB") && is_piece(b"Node 0 DMA: 1*4kB", b"(UM)"));
        assert!(is_piece(b"Node 0 DMA: 1*4kB", b"= 4kB") && is_piece(b"Node 0", b"DMA:"));
        assert!(
            is_piece(b"Node 0", b"DMA free:1kB min:2kB") && is_piece(b"lowmem_reserve[]: 0", b"12")
        );
        assert!(!is_piece(b"Node 0 DMA:", b"hello") && !is_piece(b"Node 0", b"hello"));
    }

    #[test]
    fn one_line_has_so_many_amounts_at_most() {
        let zone = format!("Node 0 DMA free:1kB {}", "min:1kB ".repeat(5000));
        let Some(Said::Zone(zone)) = read(zone.as_bytes()) else { panic!() };
        assert_eq!(zone.amounts.len(), FIELDS);
        let list = format!("Node 0 DMA: {}= 4kB", "1*4kB (U) ".repeat(5000));
        let Some(Said::FreeList(_, list)) = read(list.as_bytes()) else { panic!() };
        assert_eq!((list.blocks.len(), list.free.is_some()), (FIELDS, true));
    }
}
