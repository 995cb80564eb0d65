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
use crate::said::{self, Hold, Said, Scope};
use crate::scan::{self, Amount};

pub(crate) fn read(line: &[u8], hold: Hold, odd: &mut Vec<String>) -> Option<Said> {
    killed(line, hold, odd)
        .or_else(|| selected(line, hold))
        .or_else(|| beancounter(line))
        .or_else(|| page_fault(line))
        .or_else(|| sizes_alone(line, odd))
        .or_else(|| reaper(line, hold))
}

/// What a kernel prints before it names a victim, in lower case, and what it says of where.
const PREFIXES: [(&[u8], Scope); 4] = [
    (b"memory cgroup out of memory", Scope::Memcg),
    (b"out of memory", Scope::Machine),
    (b"no available memory (mpol_bind)", Scope::Mempolicy),
    (b"no available memory in cpuset", Scope::Cpuset),
];

/// Without any of these the line is somebody's words about a kill. Where the kernel vouches for the
/// line there is nothing else before the name; elsewhere an envelope that is not known may precede,
/// and the front may be cut off.
fn scope(prefix: &[u8], hold: Hold) -> Option<Scope> {
    let front = prefix;
    let prefix = prefix.trim_ascii().to_ascii_lowercase();
    let prefix = prefix.strip_suffix(b":").unwrap_or(&prefix).trim_ascii_end();
    let prefix = prefix.strip_suffix(b"(oom_kill_allocating_task)").unwrap_or(prefix);
    let prefix = prefix.trim_ascii_end();
    if prefix.is_empty() || (hold == Hold::Loose && is_printer(prefix)) {
        return Some(Scope::Unsaid);
    }
    // A colon alone is what is left where an envelope was damaged: whose it was is not known.
    let envelope = |words: &[u8]| {
        let before = prefix.strip_suffix(words);
        before.is_some_and(|before| {
            before.trim_ascii() != b":"
                && scan::is_envelope(before)
                && (before.is_empty() || !said::begins_path(front))
        })
    };
    let said = PREFIXES.iter().find(|(words, _)| match hold {
        Hold::Whole => prefix == *words,
        Hold::Loose => envelope(words),
    });
    let cut = || {
        let (whole, _) = PREFIXES.first()?;
        let cut = hold == Hold::Loose && whole.ends_with(prefix) && prefix.ends_with(b"memory");
        cut.then_some(Scope::Unsaid)
    };
    said.map(|(_, scope)| *scope).or_else(cut)
}

/// `c3   1234`: the processor and the task that printed, as some Android kernels have it.
fn is_printer(prefix: &[u8]) -> bool {
    scan::words(prefix).all(|word| scan::whole(word.strip_prefix(b"c").unwrap_or(word)).is_some())
}

/// `PREFIX Killed process N (x) …`.
fn killed(line: &[u8], hold: Hold, odd: &mut Vec<String>) -> Option<Said> {
    let (prefix, rest) = scan::cut(line, b"Killed process ")?;
    let scope = scope(prefix, hold)?;
    let (pid, rest) = number(rest)?;
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

/// A pid with the name or a comma behind it: at the end of a line that was cut, digits may be
/// missing.
fn number(text: &[u8]) -> Option<(u32, &[u8])> {
    let is_ended = |rest: &[u8]| matches!(rest.trim_ascii_start().first(), Some(b',' | b'('));
    scan::small(text).filter(|(_, rest)| is_ended(rest))
}

/// `PREFIX Kill process N (x) score S or sacrifice child`; up to 2.6.35 `kill process`.
fn selected(line: &[u8], hold: Hold) -> Option<Said> {
    let (prefix, rest) =
        scan::cut(line, b"Kill process ").or_else(|| scan::cut(line, b"kill process "))?;
    let scope = scope(prefix, hold)?;
    let (pid, rest) = number(rest)?;
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

/// `Out of memory in UB 101: OOM killed process 7 (x) score 0 vm:8kB, rss:4kB, swap:0kB` (`OpenVZ`).
fn beancounter(line: &[u8]) -> Option<Said> {
    let rest = line.strip_prefix(b"Out of memory in UB ")?;
    let (_, rest) = scan::cut(rest, b": OOM killed process ")?;
    let (pid, rest) = number(rest)?;
    let (comm, rest) = name(rest.trim_ascii_start(), &[b") score ", b") vm:"]);
    let amount = |key| scan::after(rest, key).and_then(scan::kib).and_then(|(a, _)| a.known());
    let kill = Kill {
        pid: Some(Pid::new(pid)),
        comm: comm.map(scan::owned),
        oom_score: scan::after(rest, b"score ").and_then(scan::signed).map(|(score, _)| score),
        total_vm: amount(b" vm:"),
        rss: amount(b" rss:"),
        swap: amount(b" swap:"),
        ..Kill::default()
    };
    Some(Said::Killed(Box::new(kill), Scope::Memcg))
}

/// `VM: killing process x(7)`: a page fault found no memory (up to 2.6.3x); older without the pid.
fn page_fault(line: &[u8]) -> Option<Said> {
    let rest = line.strip_prefix(b"VM: killing process ")?;
    let pid = scan::cut_last(rest, b"(").and_then(|(comm, rest)| {
        let (pid, rest) = scan::small(rest)?;
        (rest == b")").then_some((comm, Pid::new(pid)))
    });
    let (comm, pid) = pid.map_or((rest, None), |(comm, pid)| (comm, Some(pid)));
    let kill = Kill { pid, comm: Some(scan::owned(comm)), ..Kill::default() };
    (!comm.is_empty()).then(|| Said::Killed(Box::new(kill), Scope::Machine))
}

/// `(x) rest`: a name may hold brackets and anything else. Of the places where one of `ends` stands
/// the last ends it, as far as a name can reach; if none does, the first, and without any the last
/// bracket.
fn name<'a>(text: &'a [u8], ends: &[&[u8]]) -> (Option<&'a [u8]>, &'a [u8]) {
    let Some(inner) = text.strip_prefix(b"(") else { return (None, text) };
    let reach = inner.get(..NAME_REACH).unwrap_or(inner);
    let far = ends.iter().filter_map(|end| {
        let text = inner.get(..reach.len().saturating_add(end.len())).unwrap_or(inner);
        memchr::memmem::rfind(text, end).filter(|at| is_name(inner.get(..*at)))
    });
    let end = far.max().or_else(|| ends.iter().filter_map(|end| scan::find(inner, end)).min());
    match end.or_else(|| memchr::memrchr(b')', inner)) {
        Some(at) => (inner.get(..at), inner.get(at + 1..).unwrap_or_default()),
        None => (Some(inner), &[]),
    }
}

/// The longest a name gets when each of its 15 bytes is written as `\x0a`.
const NAME_REACH: usize = 60;

/// A name has 15 bytes at most, more only where some are written out.
fn is_name(text: Option<&[u8]>) -> bool {
    let text = text.unwrap_or_default();
    text.len() < 16 || memchr::memchr3(b'\\', b'#', b'^', text).is_some()
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
            // A line that was wrapped behind the colon has a blank there.
            let behind = if value.is_empty() { tokens.next() } else { Some(value) };
            if let Some(value) = behind {
                field(kill, key, value, odd);
            }
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
pub(crate) fn group(line: &[u8], hold: Hold) -> Option<Said> {
    let rest = match hold {
        Hold::Whole => line.strip_prefix(b"Tasks in ")?,
        Hold::Loose => {
            let (prefix, rest) = scan::cut(line, b"Tasks in ")?;
            (scan::is_envelope(prefix) && !said::begins_path(prefix)).then_some(rest)?
        }
    };
    let (path, _) = scan::cut_last(rest, b" are going to be killed")?;
    Some(Said::Group(scan::owned(path)))
}

/// `oom_reaper: reaped process N (x), …`, `oom_reaper: unable to reap pid:N (x)`; the first 4.6
/// candidates wrote `reaped process :N`.
fn reaper(line: &[u8], hold: Hold) -> Option<Said> {
    let rest = match hold {
        Hold::Whole => line.strip_prefix(b"oom_reaper: ")?,
        Hold::Loose => {
            let (prefix, rest) = scan::cut(line, b"oom_reaper: ")?;
            (!said::begins_path(prefix)).then_some(rest)?
        }
    };
    let pid = |rest: &[u8]| scan::small(rest).map(|(pid, _)| Pid::new(pid));
    if let Some(rest) = rest.strip_prefix(b"reaped process ") {
        return pid(rest.strip_prefix(b":").unwrap_or(rest)).map(Said::Reaped);
    }
    pid(rest.strip_prefix(b"unable to reap pid:")?).map(Said::ReaperFailed)
}

#[cfg(test)]
mod tests {
    use highwater_core::units::Bytes;

    use super::*;

    fn kill(line: &str) -> (Kill, Scope, Vec<String>) {
        let mut odd = Vec::new();
        let Some(Said::Killed(kill, scope)) = read(line.as_bytes(), Hold::Loose, &mut odd) else {
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
    fn where_memory_was_short_stands_before_the_name() {
        for (line, want) in [
            ("Out of memory (oom_kill_allocating_task): Killed process 7 (x)", Scope::Machine),
            ("[pod] Memory cgroup out of memory: Killed process 7 (x)", Scope::Memcg),
            ("memory: Killed process 7 (x) total-vm:8kB", Scope::Unsaid),
            (
                "Out of memory in UB 5: OOM killed process 7 (x) score 0 vm:8kB, rss:4kB, swap:1kB",
                Scope::Memcg,
            ),
            ("VM: killing process x(7)", Scope::Machine),
        ] {
            let (kill, scope, odd) = kill(line);
            assert_eq!((kill.pid, scope), (Some(Pid::new(7)), want), "{line}");
            assert!(kill.comm.as_deref() == Some("x") && odd.is_empty(), "{line}: {odd:?}");
        }
        let line = b"No available memory in cpuset: kill process 7 (x) score 9 or a child";
        let said = read(line, Hold::Whole, &mut Vec::new());
        assert!(matches!(
            said,
            Some(Said::Selected(Selected { score: Some(9), .. }, Scope::Cpuset))
        ));
    }

    #[test]
    fn a_name_reaches_no_further_than_a_name_can() {
        let two = "Killed process 7 (x) total-vm:8kB, anon-rss:4kB (y) total-vm:9kB";
        assert_eq!(kill(two).0.comm.as_deref(), Some("x"));
        let (newline, ..) =
            kill("Out of memory: Killed process 7 (a\nKilled process) total-vm:8kB");
        assert_eq!(newline.comm.as_deref(), Some("a\\nKilled process"));
        let (uid, ..) = kill("Killed process 7 (a), UID 0) total-vm:8kB, UID:5");
        assert_eq!((uid.comm.as_deref(), uid.uid), (Some("a), UID 0"), Some(5)));
    }

    #[test]
    fn what_the_kernel_vouches_for_has_no_prefix_of_its_own() {
        let line = b"Tasks in /a Out of memory: Killed process 1 (x) are going to be killed due to memory.oom.group set";
        for hold in [Hold::Whole, Hold::Loose] {
            assert!(matches!(group(line, hold), Some(Said::Group(_))));
        }
        let line = b"drv: Out of memory: Killed process 7 (x)";
        assert_eq!(read(line, Hold::Whole, &mut Vec::new()), None);
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
            assert_eq!(read(line.as_bytes(), Hold::Loose, &mut odd), None, "{line}");
        }
    }
}
