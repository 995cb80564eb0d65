//! `systemd-oomd`, and `systemd` about it.
//!
//! ```text
//! Considered 50 cgroups for killing, top candidates were:
//!         Path: /system.slice/a.service
//!                 Memory Pressure Limit: 0.00%
//!                 Pressure: Avg10: 85.87, Avg60: 73.87, Avg300: 50.24, Total: 6min 30s
//!                 Current Memory Usage: 43.3G
//!                 Pgscan: 4711
//! Killed /user.slice/…/a.scope due to memory pressure for /user.slice being 64.02% > 50.00% for > 20s …
//! Killed /… due to memory used (…) / total (…) and swap used (…) / total (…) being more than 90.00%
//! Marked /… for killing due to …                                                     (≥ 258)
//! user@1000.service: systemd-oomd killed 12 process(es) in this unit.
//! ```

use super::{CandidatePart, CgroupKill};
use crate::report::{Candidate, Writer};
use crate::said::Said;
use crate::{holders, scan};

pub(super) fn read(line: &[u8]) -> Option<Said> {
    killed(line).or_else(|| unit(line)).or_else(|| considered(line)).or_else(|| candidate(line))
}

/// `Killed /cgroup due to memory pressure for …`, `… due to memory used (…)`, `… due to swap …`;
/// later `Marked /cgroup for killing due to …`.
fn killed(line: &[u8]) -> Option<Said> {
    let (cgroup, why) = match line.strip_prefix(b"Killed ") {
        Some(rest) => scan::cut(rest, b" due to ")?,
        None => scan::cut(line.strip_prefix(b"Marked ")?, b" for killing due to ")?,
    };
    let known = why.starts_with(b"memory ") || why.starts_with(b"swap ");
    if !cgroup.starts_with(b"/") || !known {
        return None;
    }
    let being = scan::cut_last(why, b" being ");
    let pressure = being.and_then(|(_, numbers)| percent(numbers));
    let limit = pressure.and_then(|(_, rest)| percent(rest.strip_prefix(b"% > ")?));
    let watched = why.strip_prefix(b"memory pressure for ");
    let watched = watched.and_then(|rest| scan::cut_last(rest, b" being ")).map(|(path, _)| path);
    Some(Said::Cgroup(Box::new(CgroupKill {
        writer: Writer::SystemdOomd,
        cgroup: Candidate {
            path: scan::owned(cgroup),
            pressure_avg10: limit.and(pressure).map(|(value, _)| value),
            pressure_limit: limit.map(|(value, _)| value),
            ..Candidate::default()
        },
        watched: watched.map(scan::owned),
    })))
}

/// `UNIT: systemd-oomd killed N process(es) in this unit.`
fn unit(line: &[u8]) -> Option<Said> {
    let (unit, rest) = scan::cut(line, b": systemd-oomd killed ")?;
    // A unit's name has no blanks: what stands before one is an envelope that is not known.
    let unit = scan::words(unit).last()?;
    let (count, rest) = scan::number(rest)?;
    let killed = count > 0 && rest.starts_with(b" process");
    killed.then(|| Said::OomdUnit { unit: scan::owned(unit) })
}

fn considered(line: &[u8]) -> Option<Said> {
    let (_, rest) = scan::number(line.strip_prefix(b"Considered ")?)?;
    rest.starts_with(b" cgroups for killing").then_some(Said::Candidates)
}

fn candidate(line: &[u8]) -> Option<Said> {
    if let Some(path) = line.strip_prefix(b"Path: ").filter(|path| path.starts_with(b"/")) {
        return Some(Said::Candidate(CandidatePart::Path(scan::owned(path))));
    }
    let (name, value) = scan::cut(line, b": ")?;
    let amount = || holders::rounded(value).map(|(bytes, _)| bytes);
    let more = match name {
        b"Memory Pressure Limit" => {
            Candidate { pressure_limit: percent(value).map(|(v, _)| v), ..Candidate::default() }
        }
        b"Pressure" => Candidate {
            pressure_avg10: scan::after(value, b"Avg10: ").and_then(percent).map(|(v, _)| v),
            ..Candidate::default()
        },
        b"Current Memory Usage" => Candidate { usage: amount(), ..Candidate::default() },
        b"Swap Usage" => Candidate { swap: amount(), ..Candidate::default() },
        b"Pgscan" => Candidate { pgscan: scan::whole(value), ..Candidate::default() },
        b"Memory Pressure Duration" | b"Memory Min" | b"Memory Low" | b"Last Pgscan" => {
            Candidate::default()
        }
        _ => return None,
    };
    Some(Said::Candidate(CandidatePart::More(more)))
}

/// `64.02`, in hundredths, and what follows it.
fn percent(text: &[u8]) -> Option<(u32, &[u8])> {
    let (whole, rest) = scan::small::<u32>(text)?;
    let (cents, rest) = match rest.strip_prefix(b".").and_then(scan::small::<u32>) {
        Some((cents, after)) if cents < 100 => (cents, after),
        _ => (0, rest),
    };
    Some((whole.checked_mul(100)?.checked_add(cents)?, rest))
}

#[cfg(test)]
mod tests {
    use highwater_core::units::Bytes;

    use super::*;

    fn cgroup(line: &[u8]) -> CgroupKill {
        let Some(Said::Cgroup(kill)) = read(line) else { panic!("{line:?}") };
        *kill
    }

    #[test]
    fn kills_name_cgroup_pressure_and_limit() {
        for line in [
            &b"Killed /u/a.scope due to memory pressure for /u being 64.02% > 50.00% for > 20s with reclaim activity"[..],
            b"Marked /u/a.scope for killing due to memory pressure for /u being 64.02% > 50.00% for > 20s with reclaim activity",
        ] {
            let kill = cgroup(line);
            assert_eq!((kill.cgroup.path.as_str(), kill.watched.as_deref()), ("/u/a.scope", Some("/u")));
            assert_eq!(kill.cgroup.pressure_avg10, Some(6402));
            assert_eq!(kill.cgroup.pressure_limit, Some(5000));
        }
        let swap = cgroup(b"Killed /u due to memory used (9) / total (10) and swap used (9) / total (10) being more than 90.00%");
        assert_eq!((swap.cgroup.pressure_limit, swap.watched), (None, None));
        assert_eq!(read(b"Killed process 7 (x) due to memory"), None);
    }

    #[test]
    fn units_and_candidates() {
        let unit = read(b"user@1000.service: systemd-oomd killed 12 process(es) in this unit.");
        assert_eq!(unit, Some(Said::OomdUnit { unit: "user@1000.service".into() }));
        let said = read(b"Considered 50 cgroups for killing, top candidates were:");
        assert_eq!(said, Some(Said::Candidates));
        let more = |line| match read(line) {
            Some(Said::Candidate(CandidatePart::More(more))) => more,
            other => panic!("{other:?}"),
        };
        assert_eq!(more(b"Pressure: Avg10: 85.87 Avg60: 73.87").pressure_avg10, Some(8587));
        assert_eq!(more(b"Memory Pressure Limit: 0.00%").pressure_limit, Some(0));
        assert_eq!(more(b"Current Memory Usage: 1.5G").usage, Some(Bytes::from_mib(1536)));
        assert_eq!(more(b"Swap Usage: 2G").swap, Some(Bytes::from_mib(2048)));
        assert_eq!(more(b"Pgscan: 5").pgscan, Some(5));
        assert_eq!(read(b"Path: relative"), None);
    }
}
