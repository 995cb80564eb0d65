//! `earlyoom`, all versions.
//!
//! ```text
//! sending SIGTERM to process 7378 uid 1000 "tail": oom_score 156, VmRSS 4962 MiB     (≥ 1.4)
//! Killing process: membomb, pid: 13013, badness: 551, VmRSS: 5440 MiB                (2018)
//! Killing process 13013 membomb                                                      (2014 to 2017)
//! ```

use highwater_core::id::Pid;
use highwater_core::units::Bytes;

use crate::report::{Kill, Writer};
use crate::said::Said;
use crate::scan;

pub(super) fn read(line: &[u8]) -> Option<Said> {
    let line = without_stamp(line);
    let kill = sending(line)
        .or_else(|| killing(line))
        .or_else(|| with_signal(line))
        .or_else(|| killing_number(line))?;
    Some(Said::Program(Writer::Earlyoom, Box::new(kill)))
}

/// `sending SIGTERM to process 7378 uid 1000 "tail": oom_score 156, VmRSS 4962 MiB, cmdline "…"`;
/// older versions say `badness`, which is the same number of the kernel's.
fn sending(line: &[u8]) -> Option<Kill> {
    let rest = line.strip_prefix(b"sending SIG").or_else(|| line.strip_prefix(b"Sending SIG"))?;
    let (signal, rest) = scan::cut(rest, b" to process ")?;
    if !matches!(signal, b"TERM" | b"KILL") {
        return None;
    }
    let (pid, rest) = scan::small(rest)?;
    let rest = rest.strip_prefix(b" ")?;
    // A name may hold anything; the command line behind the sizes may repeat every word of it.
    let (name, rest) = scan::cut(rest, b"\": ").unwrap_or((rest, &[]));
    let (uid, comm) = match scan::cut(name, b"\"") {
        Some((uid, comm)) => (uid, Some(comm)),
        None => (name, None),
    };
    let score = scan::after(rest, b"oom_score ").or_else(|| scan::after(rest, b"badness "));
    Some(Kill {
        pid: Some(Pid::new(pid)),
        comm: comm.map(scan::owned),
        uid: scan::after(uid, b"uid ").and_then(scan::small).map(|(uid, _)| uid),
        oom_score: score.and_then(scan::signed).map(|(score, _)| score),
        rss: scan::after(rest, b"VmRSS ").and_then(mib),
        ..Kill::default()
    })
}

/// `Killing process: membomb, pid: 13013, badness: 551, VmRSS: 5440 MiB`.
fn killing(line: &[u8]) -> Option<Kill> {
    let rest = line.strip_prefix(b"Killing process: ")?;
    let (comm, rest) = scan::cut(rest, b", pid: ")?;
    let (pid, rest) = scan::small(rest)?;
    let rest = rest.strip_prefix(b",")?;
    Some(Kill {
        pid: Some(Pid::new(pid)),
        comm: Some(scan::owned(comm)),
        rss: scan::after(rest, b"VmRSS: ").and_then(mib),
        ..Kill::default()
    })
}

/// Some put a stamp of their own before it: `Jun 12 06:39:16: sending SIGTERM …`.
fn without_stamp(line: &[u8]) -> &[u8] {
    // What is left of a stamp whose front an envelope took.
    let line = line.strip_prefix(b": ").unwrap_or(line);
    let Some((stamp, rest)) = scan::cut(line, b": ") else { return line };
    let is_stamp = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b' ' | b':' | b'-' | b'.');
    let timed = stamp.last().is_some_and(u8::is_ascii_digit) && stamp.iter().all(is_stamp);
    if timed && stamp.contains(&b':') { rest } else { line }
}

/// `Killing process 'x' with signal 15, pid: 7, badness: 9, VmRSS: 1 MiB` (1.1),
/// `killing process 7 "x" with signal 15: badness 9, VmRSS 1 MiB` (1.2).
fn with_signal(line: &[u8]) -> Option<Kill> {
    let rest = line
        .strip_prefix(b"Killing process ")
        .or_else(|| line.strip_prefix(b"killing process "))?;
    let (who, rest) = scan::cut_last(rest, b" with signal ")?;
    let (signal, rest) = scan::number(rest)?;
    if !matches!(signal, 9 | 15) {
        return None;
    }
    let rss = scan::after(rest, b"VmRSS: ").or_else(|| scan::after(rest, b"VmRSS "));
    let score = scan::after(rest, b"badness: ").or_else(|| scan::after(rest, b"badness "));
    let (pid, comm) = if let Some((pid, comm)) = scan::small(who) {
        (pid, comm.strip_prefix(b" \"")?.strip_suffix(b"\"")?)
    } else {
        let (pid, behind) = scan::small(scan::after(rest, b"pid: ")?)?;
        behind.strip_prefix(b",")?;
        (pid, who.strip_prefix(b"'")?.strip_suffix(b"'")?)
    };
    Some(Kill {
        pid: Some(Pid::new(pid)),
        comm: Some(scan::owned(comm)),
        oom_score: score.and_then(scan::signed).map(|(score, _)| score),
        rss: rss.and_then(mib),
        ..Kill::default()
    })
}

/// `Killing process 13013 membomb` (2014 to 2017).
fn killing_number(line: &[u8]) -> Option<Kill> {
    let (pid, rest) = scan::small(line.strip_prefix(b"Killing process ")?)?;
    // systemd's `Killing process 7 (x) with signal SIGKILL.` is no death for memory.
    let comm = rest.strip_prefix(b" ").filter(|comm| !comm.starts_with(b"("))?;
    Some(Kill { pid: Some(Pid::new(pid)), comm: Some(scan::owned(comm)), ..Kill::default() })
}

/// `4962 MiB`.
fn mib(text: &[u8]) -> Option<Bytes> {
    let (count, rest) = scan::number(text)?;
    rest.starts_with(b" MiB").then_some(Bytes::from_mib(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_ages() {
        let new = sending(b"sending SIGTERM to process 7378 uid 1000 \"tail\": oom_score 156, VmRSS 4962 MiB, cmdline \"x\"").unwrap();
        assert_eq!(
            (new.pid, new.uid, new.oom_score),
            (Some(Pid::new(7378)), Some(1000), Some(156))
        );
        assert_eq!((new.comm.as_deref(), new.rss), (Some("tail"), Some(Bytes::from_mib(4962))));
        let middle =
            sending(b"sending SIGKILL to process 7 \"a\": badness 5, VmRSS 1 MiB").unwrap();
        assert_eq!((middle.uid, middle.oom_score), (None, Some(5)));
        let old =
            killing(b"Killing process: a, b, pid: 13013, badness: 551, VmRSS: 5440 MiB").unwrap();
        assert_eq!((old.pid, old.comm.as_deref()), (Some(Pid::new(13013)), Some("a, b")));
        assert!(killing_number(b"Killing process 7 (x) with signal SIGKILL.").is_none());
        for line in [
            &b"Killing process 'x' with signal 15, pid: 7, badness: 9, VmRSS: 1 MiB"[..],
            b"killing process 7 \"x\" with signal 9: badness 9, VmRSS 1 MiB",
            b"Jun 12 06:39:16: sending SIGTERM to process 7 uid 1001 \"x\": badness 9, VmRSS 1 MiB",
        ] {
            let Some(Said::Program(Writer::Earlyoom, kill)) = read(line) else {
                panic!("{line:?}")
            };
            assert_eq!((kill.pid, kill.comm.as_deref()), (Some(Pid::new(7)), Some("x")));
            assert_eq!((kill.oom_score, kill.rss), (Some(9), Some(Bytes::from_mib(1))));
        }
        assert!(sending(b"sending SIGHUP to process 7").is_none());
    }
}
