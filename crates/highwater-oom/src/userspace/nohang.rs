//! `nohang`: what it says of its victim, then that it sends a signal.
//!
//! ```text
//! Process with highest badness (found in 12ms):
//!   PID: 7, Name: x, badness: 900
//! Victim status (found in 1ms):
//!   PID:       7, name: x, state: S, EUID: 1000, SID: 5 (bash), lifetime: 10s
//!   badness:   900, oom_score:  900, oom_score_adj:  0
//!   Vm, MiB:   Size: 900, RSS: 800 (Anon: 790, File: 10, Shmem: 0), Swap: 5
//! Implementing a corrective action:
//!   Sending SIGTERM to the victim
//! ```

use highwater_core::id::Pid;
use highwater_core::units::Bytes;

use crate::report::Kill;
use crate::said::Said;
use crate::scan;

pub(super) fn read(line: &[u8]) -> Option<Said> {
    let line = line.strip_prefix(b"Implementing a corrective action:").unwrap_or(line).trim_ascii();
    if is_sending(line) {
        return Some(Said::VictimKilled);
    }
    let is_head = line.starts_with(b"Process with highest badness")
        || line.starts_with(b"Victim status (found")
        || scan::has(line, b"process with highest badness");
    if is_head {
        return Some(Said::Victim(Box::default()));
    }
    let kill = who(line).or_else(|| scores(line)).or_else(|| sizes(line))?;
    Some(Said::Victim(Box::new(kill)))
}

/// `Sending SIGTERM to the victim`.
fn is_sending(line: &[u8]) -> bool {
    let Some(rest) = line.strip_prefix(b"Sending SIG") else { return false };
    let rest = rest.strip_prefix(b"TERM").or_else(|| rest.strip_prefix(b"KILL"));
    rest.is_some_and(|rest| rest.starts_with(b" to the victim"))
}

/// `PID:       7, name: x, state: S, EUID: 1000, …`.
fn who(line: &[u8]) -> Option<Kill> {
    let rest = line.strip_prefix(b"PID:")?.trim_ascii_start();
    let (pid, rest) = scan::small(rest)?;
    let rest = rest.strip_prefix(b", name: ").or_else(|| rest.strip_prefix(b", Name: "))?;
    let ends: [&[u8]; 2] = [b", state: ", b", badness: "];
    let (comm, rest) = ends.iter().find_map(|end| scan::cut_last(rest, end)).unwrap_or((rest, b""));
    let uid = scan::after(rest, b"EUID: ").and_then(scan::small).map(|(uid, _)| uid);
    Some(Kill { pid: Some(Pid::new(pid)), comm: Some(scan::owned(comm)), uid, ..Kill::default() })
}

/// `badness:   900, oom_score:  900, oom_score_adj:  0`.
fn scores(line: &[u8]) -> Option<Kill> {
    let rest = line.strip_prefix(b"badness:")?;
    let number = |key| {
        let value = scan::after(rest, key)?.trim_ascii_start();
        scan::signed(value).map(|(value, _)| value)
    };
    let adjustment = number(b"oom_score_adj:").and_then(|value| i32::try_from(value).ok());
    let oom_score = Some(number(b"oom_score:")?);
    Some(Kill { oom_score, oom_score_adj: adjustment, ..Kill::default() })
}

/// `Vm, MiB:   Size: 900, RSS: 800 (Anon: 790, File: 10, Shmem: 0), Swap: 5`.
fn sizes(line: &[u8]) -> Option<Kill> {
    let rest = line.strip_prefix(b"Vm, MiB:")?;
    let mib = |key| scan::after(rest, key).and_then(scan::number).map(|(n, _)| Bytes::from_mib(n));
    Some(Kill {
        total_vm: mib(b"Size: "),
        rss: mib(b" RSS: "),
        anon_rss: mib(b"Anon: "),
        file_rss: mib(b"File: "),
        shmem_rss: mib(b"Shmem: "),
        swap: mib(b"Swap: "),
        ..Kill::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn victim(line: &[u8]) -> Kill {
        let Some(Said::Victim(kill)) = read(line) else { panic!("{line:?}") };
        *kill
    }

    #[test]
    fn the_victim_is_told_in_pieces() {
        let who = victim(
            b"PID:       7, name: a, state: b, state: S, EUID: 1000, SID: 5 (bash), lifetime: 10s",
        );
        assert_eq!((who.pid, who.comm.as_deref()), (Some(Pid::new(7)), Some("a, state: b")));
        assert_eq!(who.uid, Some(1000));
        assert_eq!(victim(b"PID: 7, Name: x, badness: 900").comm.as_deref(), Some("x"));
        let scores = victim(b"badness:   900, oom_score:  901, oom_score_adj:  -5");
        assert_eq!((scores.oom_score, scores.oom_score_adj), (Some(901), Some(-5)));
        let sizes =
            victim(b"Vm, MiB:   Size: 900, RSS: 800 (Anon: 790, File: 10, Shmem: 0), Swap: 5");
        assert_eq!((sizes.rss, sizes.swap), (Some(Bytes::from_mib(800)), Some(Bytes::from_mib(5))));
        assert_eq!(sizes.anon_rss, Some(Bytes::from_mib(790)));
    }

    #[test]
    fn it_kills_when_it_says_so() {
        assert_eq!(read(b"Sending SIGTERM to the victim"), Some(Said::VictimKilled));
        let one_line = b"Implementing a corrective action: Sending SIGKILL to the victim; total response time: 5ms";
        assert_eq!(read(one_line), Some(Said::VictimKilled));
        assert_eq!(read(b"[ OK ] Sending SIGTERM to x: 1"), None, "a count, not a kill");
        assert_eq!(read(b"PID: x"), None);
    }
}
