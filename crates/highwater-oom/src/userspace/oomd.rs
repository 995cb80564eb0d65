//! `oomd` (Meta's): one record in the kernel's log for each killed cgroup, written by the program.
//!
//! ```text
//! oomd kill: 62.58 61.11 30.32 system.slice/a.service 3105910784 ruleset:[x] detectorgroup:[y] killer:z v2
//! └ the pressure over 10 s, 60 s, 300 s        └ its memory in bytes
//! ```

use highwater_core::units::Bytes;

use super::CgroupKill;
use crate::report::{Candidate, Writer};
use crate::said::Said;
use crate::scan;

/// Reads a record; the envelope may have taken `oomd kill` for the writer's name.
pub(super) fn read(text: &[u8], ident: Option<&[u8]>) -> Option<Said> {
    let line = text.trim_ascii();
    let rest = match line.strip_prefix(b"oomd kill: ") {
        Some(rest) => rest,
        None if ident == Some(b"oomd kill") => line,
        None => return None,
    };
    let (rest, rule) = scan::cut_last(rest, b" ruleset:[")?;
    if scan::has(rule, b"killer:(dry)") {
        return None;
    }
    let (pressure, rest) = hundredths(rest)?;
    let (_, rest) = hundredths(rest)?;
    let (_, rest) = hundredths(rest)?;
    let at = rest.iter().rposition(|b| *b == b' ')?;
    let (path, usage) = (rest.get(..at)?, scan::whole(rest.get(at + 1..)?)?);
    (!path.is_empty()).then(|| {
        let cgroup = Candidate {
            path: scan::owned(path),
            usage: Some(Bytes::new(usage)),
            pressure_avg10: Some(pressure),
            ..Candidate::default()
        };
        Said::Cgroup(Box::new(CgroupKill { writer: Writer::Oomd, cgroup, watched: None }))
    })
}

/// `62.58 `, in hundredths.
fn hundredths(text: &[u8]) -> Option<(u32, &[u8])> {
    let (whole, rest) = scan::small::<u32>(text)?;
    let (cents, rest) = scan::small::<u32>(rest.strip_prefix(b".")?)?;
    let value = whole.checked_mul(100)?.checked_add(cents)?;
    Some((value, rest.strip_prefix(b" ")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_names_the_cgroup() {
        let line = b"oomd kill: 62.58 61.11 30.32 a.slice/b c 3105910784 ruleset:[r] detectorgroup:[d] killer:kill_by_pressure v2";
        let Some(Said::Cgroup(kill)) = read(line, None) else { panic!() };
        assert_eq!(
            (kill.cgroup.path.as_str(), kill.cgroup.pressure_avg10),
            ("a.slice/b c", Some(6258))
        );
        assert_eq!(kill.cgroup.usage, Some(Bytes::new(3_105_910_784)));
        let bare = line.strip_prefix(b"oomd kill: ").unwrap();
        assert!(read(bare, Some(b"oomd kill")).is_some() && read(bare, None).is_none());
    }

    #[test]
    fn a_dry_run_kills_nobody() {
        let line = b"oomd kill: 1.00 1.00 1.00 /a 5 ruleset:[r] detectorgroup:[d] killer:(dry)k v2";
        assert_eq!(read(line, None), None);
        assert_eq!(read(b"oomd kill: x", None), None);
    }
}
