//! The lines that name a victim, in every wording.
//!
//! ```text
//! Out of Memory: Killed process 6672 (x).                                             ≤ 2.6.2x
//! Out of memory: Kill process 957 (x) score 524 or sacrifice child                    ≤ 5.0
//! Killed process 957 (x) total-vm:67472kB, anon-rss:14496kB, file-rss:516kB           ≤ 5.0
//! Killed process 957, UID 0, (x) total-vm:…                                           EL6
//! Killed process 957 (x), UID 0, total-vm:…                                           EL7
//! Memory cgroup out of memory: Killed process 957 (x) total-vm:…, UID:0 pgtables:…kB oom_score_adj:0
//! ```

use highwater_core::id::Pid;

use crate::report::{Kill, Selected};
use crate::said::{Said, Scope};
use crate::scan::{self, Amount};

pub(crate) fn read(line: &[u8], odd: &mut Vec<String>) -> Option<Said> {
    killed(line, odd)
        .or_else(|| selected(line))
        .or_else(|| sizes_alone(line, odd))
        .or_else(|| group(line))
        .or_else(|| reaper(line))
        .or_else(|| ending(line))
}

fn scope(prefix: &[u8]) -> Option<Scope> {
    let prefix = prefix.trim_ascii();
    if prefix.is_empty() {
        return Some(Scope::Unsaid);
    }
    let prefix = prefix.to_ascii_lowercase();
    if scan::has(&prefix, b"memory cgroup out of memory") {
        Some(Scope::Memcg)
    } else {
        scan::has(&prefix, b"out of memory").then_some(Scope::Machine)
    }
}

/// `PREFIX Killed process N (x) …`.
fn killed(line: &[u8], odd: &mut Vec<String>) -> Option<Said> {
    let (prefix, rest) = scan::cut(line, b"Killed process ")?;
    let scope = scope(prefix)?;
    let (pid, rest) = scan::small(rest)?;
    let mut kill = Kill { pid: Some(Pid::new(pid)), ..Kill::default() };
    let rest = match rest.strip_prefix(b", UID ").and_then(scan::small) {
        Some((uid, rest)) => {
            kill.uid = Some(uid);
            rest.strip_prefix(b",").unwrap_or(rest)
        }
        None => rest,
    };
    let (comm, rest) = name(rest.trim_ascii_start(), &[b") total-vm:", b") vsz:", b"), UID "]);
    kill.comm = comm.map(scan::owned);
    fields(&mut kill, rest, odd);
    Some(Said::Killed(Box::new(kill), scope))
}

/// `PREFIX Kill process N (x) score S or sacrifice child`.
fn selected(line: &[u8]) -> Option<Said> {
    let (prefix, rest) =
        scan::cut(line, b"Kill process ").or_else(|| scan::cut(line, b"kill process "))?;
    let scope = scope(prefix)?;
    let (pid, rest) = scan::small(rest)?;
    let (comm, rest) = name(rest.trim_ascii_start(), &[b") score "]);
    let points = scan::after(rest, b"score ").and_then(scan::signed).map(|(points, _)| points);
    let selected = Selected {
        pid: Some(Pid::new(pid)),
        comm: comm.map(scan::owned),
        score: points,
        allocating: scan::has(prefix, b"(oom_kill_allocating_task)"),
    };
    Some(Said::Selected(selected, scope))
}

/// `(x) rest`: a name may hold brackets and anything else, so the last place where one of `ends`
/// stands ends it, else the last bracket.
fn name<'a>(text: &'a [u8], ends: &[&[u8]]) -> (Option<&'a [u8]>, &'a [u8]) {
    let Some(inner) = text.strip_prefix(b"(") else { return (None, text) };
    let end = ends.iter().filter_map(|end| memchr::memmem::rfind(inner, end)).max();
    match end.or_else(|| memchr::memrchr(b')', inner)) {
        Some(at) => (inner.get(..at), inner.get(at + 1..).unwrap_or_default()),
        None => (Some(inner), &[]),
    }
}

/// The second line of a kill line that somebody wrapped: `total-vm:1kB, anon-rss:1kB`.
fn sizes_alone(line: &[u8], odd: &mut Vec<String>) -> Option<Said> {
    line.starts_with(b"total-vm:").then(|| {
        let mut kill = Kill::default();
        fields(&mut kill, line, odd);
        Said::Sizes(Box::new(kill))
    })
}

/// Each `name:value` behind the victim's name.
fn fields(kill: &mut Kill, text: &[u8], odd: &mut Vec<String>) {
    let mut tokens = text.split(|b| *b == b',' || b.is_ascii_whitespace());
    while let Some(token) = tokens.next() {
        if token == b"UID" {
            kill.uid = tokens.next().and_then(scan::small).map(|(uid, _)| uid).or(kill.uid);
        } else if let Some((key, value)) = scan::cut(token, b":") {
            field(kill, key, value, odd);
        }
    }
}

fn field(kill: &mut Kill, key: &[u8], value: &[u8], odd: &mut Vec<String>) {
    match key {
        b"UID" => kill.uid = scan::small(value).map(|(uid, _)| uid),
        b"oom_score_adj" => {
            kill.oom_score_adj = scan::signed(value).and_then(|(adj, _)| i32::try_from(adj).ok());
        }
        _ => size(kill, key, value, odd),
    }
}

fn size(kill: &mut Kill, key: &[u8], value: &[u8], odd: &mut Vec<String>) {
    let (place, real) = match key {
        b"total-vm" | b"vsz" => (&mut kill.total_vm, true),
        b"anon-rss" => (&mut kill.anon_rss, true),
        b"file-rss" => (&mut kill.file_rss, true),
        b"shmem-rss" => (&mut kill.shmem_rss, true),
        b"pgtables" => (&mut kill.pgtables, true),
        b"RSS" | b"rss" => (&mut kill.rss, false),
        b"anon" => (&mut kill.anon_rss, false),
        b"file" => (&mut kill.file_rss, false),
        b"shmem" => (&mut kill.shmem_rss, false),
        _ => return odd.push(format!("the kill line has an unknown field: {}", shown(key, value))),
    };
    let Some((amount, rest)) = scan::kib(value) else {
        return odd.push(format!("the kill line's field cannot be read: {}", shown(key, value)));
    };
    match amount {
        Amount::Bytes(bytes) => *place = Some(bytes),
        Amount::Sentinel => {
            odd.push(format!("the kill line's {} is impossible", shown(key, value)));
        }
    }
    if !real {
        odd.push(format!(
            "the kill line's field has no name a kernel prints: {}",
            shown(key, value)
        ));
    } else if scan::has(value, b"KB") || !rest.is_empty() && rest != b"." {
        odd.push(format!(
            "the kill line's field is not as a kernel prints it: {}",
            shown(key, value)
        ));
    }
}

fn shown(key: &[u8], value: &[u8]) -> String {
    format!("{}:{}", scan::owned(key), scan::owned(value))
}

/// `Tasks in P are going to be killed due to memory.oom.group set`.
fn group(line: &[u8]) -> Option<Said> {
    let rest = scan::after(line, b"Tasks in ")?;
    let (path, _) = scan::cut_last(rest, b" are going to be killed")?;
    Some(Said::Group(scan::owned(path)))
}

/// `oom_reaper: reaped process N (x), …`, `oom_reaper: unable to reap pid:N (x)`.
fn reaper(line: &[u8]) -> Option<Said> {
    let rest = scan::after(line, b"oom_reaper: ")?;
    let pid = |rest: &[u8]| scan::small(rest).map(|(pid, _)| Pid::new(pid));
    if let Some(rest) = rest.strip_prefix(b"reaped process ") {
        return pid(rest).map(Said::Reaped);
    }
    pid(rest.strip_prefix(b"unable to reap pid:")?).map(Said::ReaperFailed)
}

/// The ends without, or beyond, a kill.
fn ending(line: &[u8]) -> Option<Said> {
    if line.starts_with(b"Kernel panic") {
        let oom = scan::has(line, b"panic_on_oom") || scan::has(line, b"deadlocked on memory");
        let text = scan::owned(line);
        return Some(if oom { Said::Ending(text) } else { Said::Panic(text) });
    }
    let is = |needle: &[u8]| scan::has(line, needle);
    let known = is(b"no killable processes")
        || is(b"System is deadlocked on memory")
        || (is(b"panic_on_oom is ") && is(b"ut of memory"));
    known.then(|| Said::Ending(scan::owned(line)))
}

#[cfg(test)]
mod tests {
    use highwater_core::units::Bytes;

    use super::*;

    fn kill(line: &str) -> (Kill, Scope, Vec<String>) {
        let mut odd = Vec::new();
        let Some(Said::Killed(kill, scope)) = read(line.as_bytes(), &mut odd) else {
            panic!("{line}")
        };
        (*kill, scope, odd)
    }

    #[test]
    fn every_wording_names_the_same_victim() {
        for line in [
            "Out of Memory: Killed process 7 (x).",
            "Killed process 7 (x)",
            "Killed process 7 (x) vsz:8kB, anon-rss:4kB, file-rss:0kB",
            "Killed process 7, UID 5, (x) total-vm:8kB, anon-rss:4kB, file-rss:0kB",
            "Killed process 7 (x), UID 5, total-vm:8kB, anon-rss:4kB, file-rss:0kB, shmem-rss:0kB",
            "Memory cgroup out of memory: Killed process 7 (x) total-vm:8kB, anon-rss:4kB, \
             file-rss:0kB, shmem-rss:0kB, UID:5 pgtables:40kB oom_score_adj:-9",
        ] {
            let (kill, _, odd) = kill(line);
            assert_eq!((kill.pid, kill.comm.as_deref()), (Some(Pid::new(7)), Some("x")), "{line}");
            assert!(kill.total_vm.is_none_or(|vm| vm == Bytes::from_kib(8)), "{line}");
            assert!(kill.uid.is_none_or(|uid| uid == 5) && odd.is_empty(), "{line}: {odd:?}");
        }
        let (last, scope, _) = kill(
            "Memory cgroup out of memory: Killed process 7 (x) total-vm:8kB, UID:5 pgtables:40kB oom_score_adj:-9",
        );
        assert_eq!((last.uid, last.oom_score_adj, scope), (Some(5), Some(-9), Scope::Memcg));
        assert_eq!(last.pgtables, Some(Bytes::from_kib(40)));
    }

    #[test]
    fn a_name_cannot_forge_sizes() {
        let (kill, ..) =
            kill("Out of memory: Killed process 7 (x) total-vm:1kB) total-vm:8kB, anon-rss:4kB");
        assert_eq!(kill.comm.as_deref(), Some("x) total-vm:1kB"));
        assert_eq!(kill.total_vm, Some(Bytes::from_kib(8)));
    }

    #[test]
    fn damaged_fields_are_read_and_named() {
        let (kill, _, odd) = kill(
            "Memory cgroup out of memory: Killed process 7 (x) total-vm:2KB, RSS:3KB, shmem:0KB, anon-rss:18446744073709551612kB",
        );
        assert_eq!((kill.total_vm, kill.rss), (Some(Bytes::from_kib(2)), Some(Bytes::from_kib(3))));
        assert_eq!((kill.shmem_rss, kill.anon_rss), (Some(Bytes::ZERO), None));
        assert_eq!(odd.len(), 4, "{odd:?}");
    }

    #[test]
    fn text_about_kills_is_not_a_kill() {
        let mut odd = Vec::new();
        for line in ["my app says: Killed process 7 (x)", "Killed process x", "Killed process ", ""]
        {
            assert_eq!(read(line.as_bytes(), &mut odd), None, "{line}");
        }
    }
}
