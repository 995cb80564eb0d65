//! Tables of the kernel that run full: file handles, connections, socket memory, cgroups, process
//! ids, swap areas. All in small files.

use highwater_core::series::Labels;
use highwater_core::text::escape;
use highwater_core::thing::{Metric, names};
use highwater_core::units::{PageSize, Pages};

use super::reading::{Sight, label, plain};
use crate::parse::swaps::{self, Swap, SwapKind};
use crate::parse::{number, text};

/// Files that hold one number.
const NUMBERS: [(&str, &Metric); 4] = [
    ("proc/sys/net/netfilter/nf_conntrack_count", &names::CONNTRACK),
    ("proc/sys/net/netfilter/nf_conntrack_max", &names::CONNTRACK_MAX),
    ("proc/sys/kernel/pid_max", &names::PID_MAX),
    ("proc/sys/kernel/threads-max", &names::THREADS_MAX),
];

/// Where cgroup v2 is mounted when it has the memory; beside v1 its cgroups hold none.
const CGROUP_STAT: &str = "sys/fs/cgroup/cgroup.stat";

/// Reads all of them.
pub(super) fn read(sight: &mut Sight<'_>, page_size: PageSize) {
    for (rel, metric) in NUMBERS {
        if let Some(count) = sight.parsed(rel, number::u64).flatten() {
            sight.reading.count(metric, &plain(), count);
        }
    }
    if let Some((used, most)) = sight.parsed("proc/sys/fs/file-nr", files).flatten() {
        sight.reading.count(&names::FILES_ALLOCATED, &plain(), used);
        sight.reading.count(&names::FILES_MAX, &plain(), most);
    }
    read_sockets(sight, page_size);
    if let Some(count) = sight.parsed("proc/cgroups", memory_cgroups).flatten() {
        sight.reading.count(&names::CGROUPS, &label("subsys_name", b"memory"), count);
    }
    if let Some(stat) = sight.parsed(CGROUP_STAT, cgroup_stat) {
        let counts = [(&names::CGROUPS_LIVE, stat.live), (&names::CGROUPS_DYING, stat.dying)];
        for (metric, count) in counts.into_iter().filter_map(|(m, count)| Some((m, count?))) {
            sight.reading.count(metric, &plain(), count);
        }
    }
    for swap in sight.parsed("proc/swaps", swaps::parse).unwrap_or_default() {
        note_swap(sight, &swap);
    }
}

/// Used handles and the most there may be, of `fs/file_table.c`: `577 0 2466170`.
fn files(text: &[u8]) -> Option<(u64, u64)> {
    let mut field = text::fields(text);
    Some((number::u64(field.next()?)?, number::u64(field.nth(1)?)?))
}

/// One number of `/proc/net/sockstat` (`net/ipv4/proc.c`), and what it is called.
struct SocketNumber {
    protocol: &'static [u8],
    key: &'static [u8],
    metric: &'static Metric,
    in_pages: bool,
}

const fn sockets(
    protocol: &'static [u8],
    key: &'static [u8],
    metric: &'static Metric,
) -> SocketNumber {
    SocketNumber { protocol, key, metric, in_pages: false }
}

const SOCKETS: [SocketNumber; 9] = [
    sockets(b"sockets:", b"used", &names::SOCKETS),
    sockets(b"TCP:", b"inuse", &names::TCP_INUSE),
    sockets(b"TCP:", b"orphan", &names::TCP_ORPHAN),
    sockets(b"TCP:", b"tw", &names::TCP_TW),
    sockets(b"TCP:", b"alloc", &names::TCP_ALLOC),
    SocketNumber { in_pages: true, ..sockets(b"TCP:", b"mem", &names::TCP_MEM) },
    sockets(b"UDP:", b"inuse", &names::UDP_INUSE),
    SocketNumber { in_pages: true, ..sockets(b"UDP:", b"mem", &names::UDP_MEM) },
    sockets(b"FRAG:", b"memory", &names::FRAG_MEM),
];

fn read_sockets(sight: &mut Sight<'_>, page_size: PageSize) {
    let bytes = |pages: u64| Pages::new(pages).bytes(page_size).get();
    let found = sight.parsed("proc/net/sockstat", sockstat).unwrap_or_default();
    for (number, count) in found {
        let count = if number.in_pages { bytes(count) } else { count };
        sight.reading.count(number.metric, &plain(), count);
    }
    let limits = [
        ("proc/sys/net/ipv4/tcp_mem", &names::TCP_MEM_LIMIT),
        ("proc/sys/net/ipv4/udp_mem", &names::UDP_MEM_LIMIT),
    ];
    for (rel, metric) in limits {
        if let Some(pages) = sight.parsed(rel, last_of_three).flatten() {
            sight.reading.count(metric, &plain(), bytes(pages));
        }
    }
}

/// `TCP: inuse 1 orphan 0 tw 0 alloc 1 mem 0`: the numbers that have a name, each once.
fn sockstat(text: &[u8]) -> Vec<(&'static SocketNumber, u64)> {
    let known = |number: &'static SocketNumber| {
        let line = text::lines(text).find(|line| line.starts_with(number.protocol))?;
        let mut field = text::fields(line).skip(1);
        while let Some(key) = field.next() {
            let value = field.next()?;
            if key == number.key {
                return Some((number, number::u64(value)?));
            }
        }
        None
    };
    SOCKETS.iter().filter_map(known).collect()
}

/// `tcp_mem` and `udp_mem`: low, pressure and high in pages.
fn last_of_three(text: &[u8]) -> Option<u64> {
    let numbers = text::fields(text).take(4).map(number::u64).collect::<Option<Vec<_>>>()?;
    match *numbers {
        [_, _, high] => Some(high),
        _ => None,
    }
}

/// `memory 4 10 1` of `/proc/cgroups` (`kernel/cgroup/cgroup-v1.c`): the third is the count.
fn memory_cgroups(text: &[u8]) -> Option<u64> {
    let line = text::lines(text).find(|line| line.starts_with(b"memory\t"))?;
    number::u64(text::fields(line).nth(2)?)
}

/// What `cgroup.stat` of the root says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct CgroupStat {
    live: Option<u64>,
    dying: Option<u64>,
}

/// Since 6.12 the kernel counts the dying by controller, and those that hold memory are meant;
/// before that, all.
fn cgroup_stat(text: &[u8]) -> CgroupStat {
    let get = |wanted: &[u8]| text::counters(text).find(|(key, _)| *key == wanted);
    let count = |wanted: &[u8]| get(wanted).map(|(_, count)| count);
    CgroupStat {
        live: count(b"nr_descendants"),
        dying: count(b"nr_dying_subsys_memory").or_else(|| count(b"nr_dying_descendants")),
    }
}

fn note_swap(sight: &mut Sight<'_>, swap: &Swap) {
    let kind = match swap.kind {
        SwapKind::Partition => "partition",
        SwapKind::File => "file",
        SwapKind::Other => "other",
    };
    let labels = Labels::new([("device", &*escape(&swap.name)), ("type", kind)]);
    sight.reading.amount(&names::SWAP_SIZE, &labels, swap.size);
    sight.reading.amount(&names::SWAP_USED, &labels, swap.used);
    // The kernel's own are 16 bits wide.
    if let Ok(priority) = i16::try_from(swap.priority) {
        sight.reading.note(&names::SWAP_PRIORITY, &labels, priority.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::Root;
    use crate::survey::reading::Reading;

    /// The part over a tree of these files.
    fn seen(files: &[(&str, &[u8])]) -> (Vec<String>, Vec<String>) {
        let dir = tempfile::tempdir().unwrap();
        for (rel, content) in files {
            let path = dir.path().join(rel);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        let (root, mut buffer, mut reading) =
            (Root::at(dir.path()), Vec::new(), Reading::default());
        let mut sight = Sight { root: &root, buffer: &mut buffer, reading: &mut reading };
        read(&mut sight, PageSize::KIB4);
        let things = reading.things.iter();
        let said =
            things.map(|thing| format!("{}{} {}", thing.metric.name, thing.labels, thing.value));
        (said.collect(), reading.blind)
    }

    const SOCKSTAT: &[u8] = b"sockets: used 241\nTCP: inuse 11 orphan 2 tw 30 alloc 14 mem 5\n\
        UDP: inuse 3 mem 7\nUDPLITE: inuse 0\nRAW: inuse 0\nFRAG: inuse 0 memory 1234\n";

    #[test]
    fn every_table_is_told_in_its_unit() {
        let (said, blind) = seen(&[
            ("proc/sys/net/netfilter/nf_conntrack_count", b"17\n"),
            ("proc/sys/net/netfilter/nf_conntrack_max", b"262144\n"),
            ("proc/sys/kernel/pid_max", b"32768\n"),
            ("proc/sys/kernel/threads-max", b"192730\n"),
            ("proc/sys/fs/file-nr", b"577\t0\t2466170\n"),
            ("proc/net/sockstat", SOCKSTAT),
            ("proc/sys/net/ipv4/tcp_mem", b"287\t383\t574\n"),
            ("proc/sys/net/ipv4/udp_mem", b"10 20 30\n"),
            ("proc/cgroups", b"#subsys_name\thierarchy\tnum_cgroups\tenabled\nmemory\t4\t10\t1\n"),
            ("sys/fs/cgroup/cgroup.stat", b"nr_descendants 9\nnr_dying_descendants 4\n"),
            ("proc/swaps", b"Filename Type Size Used Priority\n/dev/sda2 partition 8 4 -2\n"),
        ]);
        assert_eq!(blind, Vec::<String>::new());
        assert_eq!(
            said,
            [
                "node_nf_conntrack_entries 17",
                "node_nf_conntrack_entries_limit 262144",
                "node_processes_max_processes 32768",
                "node_processes_max_threads 192730",
                "node_filefd_allocated 577",
                "node_filefd_maximum 2466170",
                "node_sockstat_sockets_used 241",
                "node_sockstat_TCP_inuse 11",
                "node_sockstat_TCP_orphan 2",
                "node_sockstat_TCP_tw 30",
                "node_sockstat_TCP_alloc 14",
                "node_sockstat_TCP_mem_bytes 20480",
                "node_sockstat_UDP_inuse 3",
                "node_sockstat_UDP_mem_bytes 28672",
                "node_sockstat_FRAG_memory 1234",
                "highwater_tcp_memory_limit_bytes 2351104",
                "highwater_udp_memory_limit_bytes 122880",
                r#"node_cgroups_cgroups{subsys_name="memory"} 10"#,
                "highwater_live_cgroups 9",
                "highwater_dying_cgroups 4",
                r#"node_swap_size_bytes{device="/dev/sda2",type="partition"} 8192"#,
                r#"node_swap_used_bytes{device="/dev/sda2",type="partition"} 4096"#,
                r#"node_swap_priority{device="/dev/sda2",type="partition"} -2"#,
            ]
        );
    }

    #[test]
    fn the_dying_that_hold_memory_are_meant_where_the_kernel_says_so() {
        let text = b"nr_descendants 9\nnr_dying_descendants 4\nnr_dying_subsys_memory 3\n";
        assert_eq!(cgroup_stat(text), CgroupStat { live: Some(9), dying: Some(3) });
        assert_eq!(cgroup_stat(b"nr_descendants\n"), CgroupStat::default());
    }

    #[test]
    fn nothing_and_garbage_tell_nothing() {
        assert_eq!(seen(&[]), (Vec::new(), Vec::new()));
        for garbage in [&b""[..], b"\n\n", b"\xff\xfe 1 2\n", b"TCP: mem", b"-1\n", b"1 x y\n"] {
            let files = [
                "proc/sys/fs/file-nr",
                "proc/net/sockstat",
                "proc/sys/net/ipv4/tcp_mem",
                "proc/cgroups",
                "sys/fs/cgroup/cgroup.stat",
                "proc/swaps",
                "proc/sys/kernel/pid_max",
            ];
            let files = files.map(|rel| (rel, garbage));
            assert_eq!(seen(&files), (Vec::new(), Vec::new()), "{garbage:?}");
        }
    }

    #[test]
    fn a_half_line_of_sockets_gives_what_is_whole() {
        let found = sockstat(b"TCP: inuse 11 orphan x tw\nsockets: used 3");
        let found: Vec<_> =
            found.iter().map(|(number, count)| (number.metric.name, *count)).collect();
        assert_eq!(found, [("node_sockstat_TCP_inuse", 11)]);
    }
}
