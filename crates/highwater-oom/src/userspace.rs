//! The killers that are programs: `earlyoom` and `systemd-oomd`.
//!
//! ```text
//! sending SIGTERM to process 7378 uid 1000 "tail": oom_score 156, VmRSS 4962 MiB     (≥ 1.4)
//! Killing process: membomb, pid: 13013, badness: 551, VmRSS: 5440 MiB                (2018)
//! Killed /user.slice/…/app.scope due to memory pressure for /user.slice being 64.02% > …
//! user@1000.service: systemd-oomd killed 12 process(es) in this unit.
//! ```

use highwater_core::id::Pid;
use highwater_core::units::Bytes;

use crate::report::Kill;
use crate::said::Said;
use crate::scan;

pub(crate) fn read(line: &[u8]) -> Option<Said> {
    let kill = sending(line).or_else(|| killing(line)).or_else(|| killing_number(line));
    kill.map(|kill| Said::Earlyoom(Box::new(kill))).or_else(|| oomd(line)).or_else(|| unit(line))
}

/// `sending SIGTERM to process 7378 uid 1000 "tail": oom_score 156, VmRSS 4962 MiB, cmdline "…"`;
/// older versions say `badness`, which is the same number of the kernel's.
fn sending(line: &[u8]) -> Option<Kill> {
    let rest = line.strip_prefix(b"sending SIG")?;
    let rest = scan::after(rest, b" to process ")?;
    let (pid, rest) = scan::small(rest)?;
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
    Some(Kill {
        pid: Some(Pid::new(pid)),
        comm: Some(scan::owned(comm)),
        rss: scan::after(rest, b"VmRSS: ").and_then(mib),
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

/// `Killed /cgroup due to memory pressure for …`, `… due to memory used (…)`, `… due to swap …`.
fn oomd(line: &[u8]) -> Option<Said> {
    let rest = line.strip_prefix(b"Killed ")?;
    let (cgroup, why) = scan::cut(rest, b" due to ")?;
    let known = why.starts_with(b"memory ") || why.starts_with(b"swap ");
    (cgroup.starts_with(b"/") && known).then(|| Said::Oomd { cgroup: scan::owned(cgroup) })
}

/// `UNIT: systemd-oomd killed N process(es) in this unit.`
fn unit(line: &[u8]) -> Option<Said> {
    let (unit, rest) = scan::cut(line, b": systemd-oomd killed ")?;
    let (count, rest) = scan::number(rest)?;
    let killed = count > 0 && rest.starts_with(b" process");
    killed.then(|| Said::OomdUnit { unit: scan::owned(unit) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn earlyoom_of_all_ages() {
        let new = sending(b"sending SIGTERM to process 7378 uid 1000 \"tail\": oom_score 156, VmRSS 4962 MiB, cmdline \"x\"").unwrap();
        assert_eq!(
            (new.pid, new.uid, new.oom_score),
            (Some(Pid::new(7378)), Some(1000), Some(156))
        );
        assert_eq!((new.comm.as_deref(), new.rss), (Some("tail"), Some(Bytes::from_mib(4962))));
        let old =
            killing(b"Killing process: a, b, pid: 13013, badness: 551, VmRSS: 5440 MiB").unwrap();
        assert_eq!((old.pid, old.comm.as_deref()), (Some(Pid::new(13013)), Some("a, b")));
        assert!(killing_number(b"Killing process 7 (x) with signal SIGKILL.").is_none());
    }

    #[test]
    fn oomd_kills_cgroups() {
        let said = read(
            b"Killed /u/a.scope due to memory pressure for /u being 64.02% > 50.00% for > 20s",
        );
        assert_eq!(said, Some(Said::Oomd { cgroup: "/u/a.scope".into() }));
        assert_eq!(read(b"Considered 50 cgroups for killing, top candidates were:"), None);
        let unit = read(b"user@1000.service: systemd-oomd killed 12 process(es) in this unit.");
        assert_eq!(unit, Some(Said::OomdUnit { unit: "user@1000.service".into() }));
    }
}
