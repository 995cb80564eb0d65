//! How the free memory is cut up, and who has huge pages: buddyinfo, the hugetlb pools, and what
//! transparent huge pages do.

use highwater_core::id::Comm;
use highwater_core::series::Labels;
use highwater_core::text::escape;
use highwater_core::thing::{Metric, names};
use highwater_core::units::Bytes;

use super::reading::{Sight, float, label, plain};
use crate::parse::{number, text};

/// The most lines of buddyinfo that are taken: four zones on each of 64 nodes.
const ZONES_MAX: usize = 256;

/// The most orders of a zone: the kernel has 11, and 14 with 64 KiB pages on some machines.
const ORDERS_MAX: usize = 20;

/// The most sizes of huge pages; arm64 has four, powerpc seven, transparent ones a dozen.
const SIZES_MAX: usize = 24;

const HUGETLB: &str = "sys/kernel/mm/hugepages";
const THP: &str = "sys/kernel/mm/transparent_hugepage";

/// The files of a hugetlb pool, all in pages of its size.
const POOL: [(&str, &Metric); 4] = [
    ("nr_hugepages", &names::HUGETLB_POOL),
    ("free_hugepages", &names::HUGETLB_FREE),
    ("resv_hugepages", &names::HUGETLB_RESERVED),
    ("surplus_hugepages", &names::HUGETLB_SURPLUS),
];

/// Reads all of them.
pub(super) fn read(sight: &mut Sight<'_>) {
    for zone in sight.parsed("proc/buddyinfo", buddyinfo).unwrap_or_default() {
        for (order, blocks) in zone.free.iter().enumerate() {
            let labels = Labels::new([
                ("node", zone.node.to_string()),
                ("zone", zone.zone.to_string()),
                ("size", order.to_string()),
            ]);
            sight.reading.count(&names::BUDDY_BLOCKS, &labels, *blocks);
        }
    }
    read_pools(sight);
    read_transparent(sight);
}

/// One zone's free blocks by order.
#[derive(Clone, Debug, PartialEq, Eq)]
struct FreeBlocks {
    node: u32,
    zone: Comm,
    free: Vec<u64>,
}

/// `Node 0, zone   Normal  10385  18234 …` (`frag_show_print` in `mm/vmstat.c`).
fn buddyinfo(text: &[u8]) -> Vec<FreeBlocks> {
    text::lines(text).filter_map(free_blocks).take(ZONES_MAX).collect()
}

fn free_blocks(line: &[u8]) -> Option<FreeBlocks> {
    let mut field = text::fields(line.strip_prefix(b"Node")?);
    let node = number::u32(field.next()?.strip_suffix(b",")?)?;
    let zone = field.next().filter(|word| *word == b"zone").and_then(|_| field.next())?;
    let free = field.take(ORDERS_MAX).map(number::u64).collect::<Option<Vec<_>>>()?;
    Some(FreeBlocks { node, zone: Comm::new(zone), free })
}

/// The folders named `hugepages-…kB`, and the size each stands for; smallest first.
fn sizes(sight: &Sight<'_>, rel: &str) -> Vec<(Bytes, String)> {
    let Ok(entries) = std::fs::read_dir(sight.root.path(rel)) else { return Vec::new() };
    let names =
        entries.take(SIZES_MAX).filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut sizes: Vec<_> = names.filter_map(|name| Some((page_size(&name)?, name))).collect();
    sizes.sort();
    sizes
}

/// `hugepages-2048kB`.
fn page_size(name: &str) -> Option<Bytes> {
    number::kib(name.strip_prefix("hugepages-")?.as_bytes())
}

fn read_pools(sight: &mut Sight<'_>) {
    for (size, name) in sizes(sight, HUGETLB) {
        let labels = label("page_size", name.trim_start_matches("hugepages-").as_bytes());
        for (file, metric) in POOL {
            let pages = sight.parsed(&format!("{HUGETLB}/{name}/{file}"), number::u64).flatten();
            if let Some(pages) = pages {
                let amount = Bytes::new(pages.saturating_mul(size.get()));
                sight.reading.amount(metric, &labels, amount);
            }
        }
    }
}

fn read_transparent(sight: &mut Sight<'_>) {
    let mode = sight.parsed(&format!("{THP}/enabled"), chosen).flatten();
    if let Some(mode) = mode {
        sight.reading.note(&names::THP_MODE, &Labels::new([("mode", mode)]), 1.0);
    }
    let collapsed = sight.parsed(&format!("{THP}/khugepaged/pages_collapsed"), number::u64);
    if let Some(pages) = collapsed.flatten() {
        sight.reading.count(&names::THP_COLLAPSED, &plain(), pages);
    }
    let mut partial = None;
    for (size, name) in sizes(sight, THP) {
        let file = format!("{THP}/{name}/stats/nr_anon_partially_mapped");
        if let Some(pages) = sight.parsed(&file, number::u64).flatten() {
            let bytes = pages.saturating_mul(size.get());
            partial = Some(bytes.saturating_add(partial.unwrap_or(0)));
        }
    }
    if let Some(bytes) = partial {
        sight.reading.note(&names::THP_PARTIAL, &plain(), float(bytes));
    }
}

/// The word in brackets: `always [madvise] never`.
fn chosen(text: &[u8]) -> Option<String> {
    let word = text::fields(text).find_map(|word| word.strip_prefix(b"[")?.strip_suffix(b"]"))?;
    Some(escape(word).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::Root;
    use crate::survey::reading::Reading;

    fn seen(root: &Root) -> Reading {
        let (mut buffer, mut reading) = (Vec::new(), Reading::default());
        read(&mut Sight { root, buffer: &mut buffer, reading: &mut reading });
        reading
    }

    #[test]
    fn blocks_are_told_by_node_zone_and_order() {
        let text =
            b"Node 0, zone      DMA      0      1      3 \nNode 1, zone   Normal  10385  7\n";
        let zones = buddyinfo(text);
        assert_eq!((zones[0].node, &zones[0].free[..]), (0, &[0, 1, 3][..]));
        assert_eq!(
            (zones[1].zone.as_bytes(), &zones[1].free[..]),
            (&b"Normal"[..], &[10385, 7][..])
        );
    }

    #[test]
    fn garbage_is_no_zone() {
        for text in [
            &b""[..],
            b"Node 0, zone Normal 1 2",
            b"Node x, zone Normal 1\n",
            b"Node 0 zone Normal 1\n",
            b"Node 0, zone Normal 1 x 2\n",
            b"Page block order: 9\n",
            b"\xff\xff\n",
        ] {
            assert_eq!(buddyinfo(text), [], "{text:?}");
        }
        let many = b"Node 0, zone Normal 1 2\n".repeat(9999);
        assert_eq!(buddyinfo(&many).len(), ZONES_MAX);
        let long = [&b"Node 0, zone Normal"[..], &b" 1".repeat(999), b"\n"].concat();
        assert_eq!(buddyinfo(&long)[0].free.len(), ORDERS_MAX);
    }

    #[test]
    fn the_word_in_brackets_is_the_mode() {
        assert_eq!(chosen(b"always [madvise] never\n").as_deref(), Some("madvise"));
        assert_eq!(chosen(b"always madvise\n"), None);
        assert_eq!(chosen(b"[a\x1bb]\n").as_deref(), Some(r"a\x1bb"));
    }

    #[test]
    fn pools_are_told_in_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let pool = dir.path().join(HUGETLB).join("hugepages-2048kB");
        std::fs::create_dir_all(&pool).unwrap();
        for (file, pages) in POOL.iter().map(|(file, _)| file).zip(["10", "7", "x", "1"]) {
            std::fs::write(pool.join(file), format!("{pages}\n")).unwrap();
        }
        std::fs::create_dir_all(dir.path().join(HUGETLB).join("hugepages-xkB")).unwrap();
        let things = seen(&Root::at(dir.path())).things;
        let said: Vec<_> = things.iter().map(|t| (t.metric.name, t.value)).collect();
        let mib = |count: u32| f64::from(count) * 1_048_576.0;
        assert_eq!(
            said,
            [
                ("highwater_hugetlb_pool_bytes", mib(20)),
                ("highwater_hugetlb_free_bytes", mib(14)),
                ("highwater_hugetlb_surplus_bytes", mib(2)),
            ]
        );
        assert_eq!(things[0].labels.get("page_size"), "2048kB");
    }

    #[test]
    fn this_machine_has_free_blocks_that_are_its_free_memory() {
        let reading = seen(&Root::live());
        let blocks = reading.things.iter().filter(|thing| thing.metric == &names::BUDDY_BLOCKS);
        let pages: f64 = blocks
            .map(|thing| thing.value * 2_f64.powi(thing.labels.get("size").parse().unwrap()))
            .sum();
        let free = pages * 4096.0;
        let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap();
        let line = meminfo.lines().find(|line| line.starts_with("MemFree:")).unwrap();
        let told = line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() * 1024.0;
        assert!((free / told - 1.0).abs() < 0.5, "{free} in blocks, {told} free");
        assert_eq!(reading.blind, Vec::<String>::new());
    }
}
