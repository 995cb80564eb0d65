//! Android: the kernel's `lowmemorykiller` driver (to 4.11), then the program `lmkd`.
//!
//! ```text
//! send sigkill to 123 (x), adj 8, size 4000                                          (≤ 3.4)
//! lowmemorykiller: Killing 'x' (123), adj 606, to free 40112kB on behalf of 'y' (9) because …
//! Kill 'x' (123), uid 10023, oom_adj 900 to free 40112kB; reason: …                  (lmkd)
//! ```

use highwater_core::id::Pid;

use crate::report::{Kill, Writer};
use crate::said::Said;
use crate::scan;

/// The driver's lines; some kernels print the driver's name first. Its message has line ends.
pub(super) fn in_kernel(line: &[u8]) -> Option<Said> {
    let heads: [&[u8]; 2] = [b"lowmemorykiller: ", b"lowmem_shrink "];
    let line = heads.iter().find_map(|head| line.strip_prefix(*head)).unwrap_or(line);
    driver(line).or_else(|| sigkill(line)).map(said)
}

/// `lmkd`'s lines.
pub(super) fn program(line: &[u8]) -> Option<Said> {
    daemon(line).or_else(|| driver(line)).map(said)
}

fn said(kill: Kill) -> Said {
    Said::Program(Writer::Lowmemorykiller, Box::new(kill))
}

/// `Killing 'x' (123), adj 606, to free 40112kB on behalf of …`.
fn driver(line: &[u8]) -> Option<Kill> {
    let rest = line.strip_prefix(b"Killing '")?;
    // The asker's name comes further on: the first place that a victim's name can end counts.
    let (comm, rest) = scan::cut(rest, b"' (")?;
    let (pid, rest) = scan::small(rest)?;
    let rest = rest.strip_prefix(b"), adj ")?;
    Some(Kill {
        pid: Some(Pid::new(pid)),
        comm: Some(scan::owned(comm)),
        oom_score_adj: scan::signed(rest).and_then(|(adj, _)| i32::try_from(adj).ok()),
        rss: scan::after(rest, b"to free ").and_then(scan::kib).and_then(|(size, _)| size.known()),
        ..Kill::default()
    })
}

/// `send sigkill to 123 (x), adj 8, size 4000`: adj is the old scale, size in pages.
fn sigkill(line: &[u8]) -> Option<Kill> {
    let (pid, rest) = scan::small(line.strip_prefix(b"send sigkill to ")?)?;
    let (comm, _) = scan::cut_last(rest.strip_prefix(b" (")?, b"), adj ")
        .or_else(|| scan::cut_last(rest.strip_prefix(b" (")?, b"), oom_adj "))?;
    Some(Kill { pid: Some(Pid::new(pid)), comm: Some(scan::owned(comm)), ..Kill::default() })
}

/// `Kill 'x' (123), uid 10023, oom_adj 900 to free 40112kB; reason: …`; older with `score_adj`.
fn daemon(line: &[u8]) -> Option<Kill> {
    let (comm, rest) = scan::cut(line.strip_prefix(b"Kill '")?, b"' (")?;
    let (pid, rest) = scan::small(rest)?;
    let rest = rest.strip_prefix(b"), uid ")?;
    let (uid, rest) = scan::small(rest)?;
    let adjustment = scan::after(rest, b"adj ").and_then(scan::signed);
    Some(Kill {
        pid: Some(Pid::new(pid)),
        comm: Some(scan::owned(comm)),
        uid: Some(uid),
        oom_score_adj: adjustment.and_then(|(adj, _)| i32::try_from(adj).ok()),
        rss: scan::after(rest, b"to free ").and_then(scan::kib).and_then(|(size, _)| size.known()),
        ..Kill::default()
    })
}

#[cfg(test)]
mod tests {
    use highwater_core::units::Bytes;

    use super::*;

    #[test]
    fn the_driver_of_all_ages() {
        let line = b"lowmemorykiller: Killing 'x' (123), adj 606,\n   to free 40112kB on behalf of 'y' (9) because\n   cache 1kB is below limit 2kB";
        let Some(Said::Program(Writer::Lowmemorykiller, kill)) = in_kernel(line) else { panic!() };
        assert_eq!((kill.pid, kill.comm.as_deref()), (Some(Pid::new(123)), Some("x")));
        assert_eq!((kill.oom_score_adj, kill.rss), (Some(606), Some(Bytes::from_kib(40112))));
        let old = in_kernel(b"send sigkill to 123 (x), adj 8, size 4000");
        assert!(matches!(old, Some(Said::Program(_, kill)) if kill.pid == Some(Pid::new(123))));
        assert_eq!(in_kernel(b"Killing 'x"), None);
    }

    #[test]
    fn the_daemon() {
        let kill = daemon(
            b"Kill 'com.x.y' (123), uid 10023, oom_adj 900 to free 40112kB; reason: low watermark",
        )
        .unwrap();
        assert_eq!((kill.uid, kill.oom_score_adj), (Some(10023), Some(900)));
        assert_eq!(kill.rss, Some(Bytes::from_kib(40112)));
    }
}
