//! What a report says of the memory cgroup, v1 and v2.

use highwater_core::limit::Limit;
use highwater_core::units::Bytes;

use crate::report::Counter;
use crate::said::{self, Hold, Said};
use crate::scan::{self, Amount};

/// `hierarchical_memsw_limit` and its like print 2^63 less a page where there is no limit.
const UNLIMITED: u64 = 1 << 62;

/// The most counters of one line that are kept: a kernel prints about 70.
const ENTRIES: usize = 256;

/// Which counter a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    Memory,
    Memsw,
    Swap,
    Kmem,
}

pub(crate) fn read(line: &[u8], hold: Hold, odd: &mut Vec<String>) -> Option<Said> {
    task_in(line).or_else(|| stats(line)).or_else(|| counter(line, hold, odd))
}

/// `Task in A killed as a result of limit of B` (v1, ≤ 4.20).
fn task_in(line: &[u8]) -> Option<Said> {
    let rest = line.strip_prefix(b"Task in ")?;
    let (task, owner) = scan::cut_last(rest, b" killed as a result of limit of ")?;
    Some(Said::TaskIn { task: scan::owned(task), owner: scan::owned(owner) })
}

/// `memory: usage 980kB, limit 980kB, failcnt 4152239`.
fn counter(line: &[u8], hold: Hold, odd: &mut Vec<String>) -> Option<Said> {
    let (name, rest) = scan::cut(line, b": usage ")?;
    let name = match hold {
        Hold::Whole => name,
        Hold::Loose => behind_envelope(name)?,
    };
    let which = match name {
        b"memory" => Which::Memory,
        b"memory+swap" => Which::Memsw,
        b"swap" => Which::Swap,
        b"kmem" => Which::Kmem,
        _ => return None,
    };
    if !is_usage(rest) {
        return None;
    }
    let usage = scan::kib(rest).map(|(amount, _)| amount);
    if usage == Some(Amount::Sentinel) {
        odd.push(format!("the usage of {} went below zero and is left out", scan::owned(name)));
    }
    let limit = scan::after(rest, b"limit ").and_then(scan::kib).map(|(amount, _)| match amount {
        Amount::Bytes(bytes) => Limit::At(bytes),
        Amount::Sentinel => Limit::Unlimited,
    });
    let failcnt = scan::after(rest, b"failcnt ").and_then(scan::number).map(|(count, _)| count);
    Some(Said::Counter(which, Counter { usage: usage.and_then(Amount::known), limit, failcnt }))
}

/// The last word, unless what stands before is the front of a line with somebody's name or path.
fn behind_envelope(text: &[u8]) -> Option<&[u8]> {
    let at = memchr::memrchr(b' ', text).map_or(0, |at| at + 1);
    let (front, name) = text.split_at_checked(at)?;
    // `(XEN) ` is an envelope; a bracket that is open has a name in it.
    let is_open = memchr::memrchr(b'(', front) > memchr::memrchr(b')', front);
    let is_name = is_open || scan::has(front, b"process");
    (!is_name && (front.is_empty() || !said::begins_path(front))).then_some(name)
}

/// `980kB, limit …`, or as much of it as a cut line has. A name of 15 bytes reaches to the amount,
/// and what follows a name is something else.
fn is_usage(text: &[u8]) -> bool {
    let Some((_, rest)) = scan::number(text) else { return text.is_empty() };
    let unit = rest.strip_prefix(b" ").unwrap_or(rest);
    let behind = [&b"kB"[..], b"KB", b"kb"].iter().find_map(|word| unit.strip_prefix(*word));
    match behind {
        Some(behind) => {
            behind.is_empty() || behind.starts_with(b",") || behind.starts_with(b" limit")
        }
        None => unit.is_empty() || unit == b"k" || unit == b"K",
    }
}

/// `Memory cgroup stats for /x: cache:0KB rss:980KB …` (v1) or with nothing behind it (v2).
fn stats(line: &[u8]) -> Option<Said> {
    let rest = line.strip_prefix(b"Memory cgroup stats")?;
    let rest = rest.strip_prefix(b" for ").unwrap_or(rest);
    let (path, rest) = match scan::cut_last(rest, b": ") {
        Some((path, rest)) => (path, rest),
        None => (rest.strip_suffix(b":").unwrap_or(rest), &b""[..]),
    };
    let path = Some(scan::owned(path)).filter(|path| !path.is_empty());
    Some(Said::Stats {
        path,
        entries: scan::words(rest).filter_map(v1_entry).take(ENTRIES).collect(),
    })
}

/// `rss:980KB`.
fn v1_entry(word: &[u8]) -> Option<(String, Bytes)> {
    let (name, value) = scan::cut(word, b":")?;
    Some((scan::owned(name), scan::kib(value)?.0.known()?))
}

/// What stands behind a name in `memory.stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    Amount(Bytes),
    Events(u64),
    /// No limit.
    Nothing,
}

/// `anon 528056320`: the name, and bytes unless the number counts events.
pub(crate) fn v2_entry(line: &[u8]) -> Option<(String, Entry)> {
    let (name, value) = scan::cut(line.trim_ascii(), b" ")?;
    let is_name = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'_';
    if name.is_empty() || !name.iter().all(is_name) {
        return None;
    }
    let value = scan::whole(value)?;
    let entry = match value {
        _ if counts_events(name) => Entry::Events(value),
        UNLIMITED.. => Entry::Nothing,
        _ => Entry::Amount(Bytes::new(value)),
    };
    Some((scan::owned(name), entry))
}

/// Names in `memory.stat` whose number is a count (Documentation/admin-guide/cgroup-v2.rst).
fn counts_events(name: &[u8]) -> bool {
    const COUNTERS: [&[u8]; 9] = [
        b"pg",
        b"pswp",
        b"workingset_",
        b"thp_",
        b"numa_",
        b"zswpin",
        b"zswpout",
        b"zswpwb",
        b"swp",
    ];
    let name = name.strip_prefix(b"total_").unwrap_or(name);
    COUNTERS.iter().any(|counter| name.starts_with(counter)) && name != b"pgtables"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentinels_are_no_amounts() {
        let mut odd = Vec::new();
        let line = b"memory: usage 18446744073709537436kB, limit 9007199254740988kB, failcnt 44";
        let counter = Counter { usage: None, limit: Some(Limit::Unlimited), failcnt: Some(44) };
        assert_eq!(read(line, Hold::Whole, &mut odd), Some(Said::Counter(Which::Memory, counter)));
        assert_eq!(odd.len(), 1);
    }

    #[test]
    fn both_forms_of_statistics() {
        let mut odd = Vec::new();
        let v1 =
            read(b"Memory cgroup stats for /a b: cache:0KB rss:980KB odd", Hold::Whole, &mut odd);
        let entries = vec![("cache".into(), Bytes::ZERO), ("rss".into(), Bytes::from_kib(980))];
        assert_eq!(v1, Some(Said::Stats { path: Some("/a b".into()), entries }));
        let v2 = read(b"Memory cgroup stats for /x:", Hold::Whole, &mut odd);
        assert_eq!(v2, Some(Said::Stats { path: Some("/x".into()), entries: vec![] }));
        assert_eq!(v2_entry(b"   anon 5"), Some(("anon".into(), Entry::Amount(Bytes::new(5)))));
        assert_eq!(v2_entry(b"pgfault 5"), Some(("pgfault".into(), Entry::Events(5))));
        assert_eq!(v2_entry(b"total_pgpgin 5"), Some(("total_pgpgin".into(), Entry::Events(5))));
        let unlimited = v2_entry(b"hierarchical_memory_limit 9223372036854771712");
        assert_eq!(unlimited.unwrap().1, Entry::Nothing);
        assert_eq!(v2_entry(b"usb 1-1: new"), None);
    }

    #[test]
    fn v1_says_where_the_task_was_and_whose_limit_it_was() {
        let said = task_in(b"Task in /a killed as a result of limit of /b");
        assert_eq!(said, Some(Said::TaskIn { task: "/a".into(), owner: "/b".into() }));
    }

    #[test]
    fn one_line_has_so_many_entries_at_most() {
        let line = format!("Memory cgroup stats for /x: {}", "a:1KB ".repeat(5000));
        let Some(Said::Stats { entries, .. }) = stats(line.trim_ascii().as_bytes()) else {
            panic!()
        };
        assert_eq!(entries.len(), ENTRIES);
    }

    #[test]
    fn a_name_is_no_counter() {
        for line in [
            "Out of memory: Killed process 7 (a swap: usage 1",
            "swap: usage 1kB invoked oom-killer: order=0",
            "Task in /a memory: usage 1kB, limit 1kB, failcnt 1",
        ] {
            assert_eq!(counter(line.as_bytes(), Hold::Loose, &mut Vec::new()), None, "{line}");
        }
        let cut = b"vm-1 | console: memory: usage 980k";
        assert!(counter(cut, Hold::Loose, &mut Vec::new()).is_some());
    }
}
