//! What is on record of whoever died, where no report of the kernel tells of it.

use highwater_core::id::ProcKey;
use highwater_core::series::SeriesSource;
use highwater_core::testimony::Party;
use highwater_core::time::WallTime;

use super::growth::{self, Subject};
use super::{Growth, Recorded, Window, remembered};
use crate::words;

/// The curves of a process, and of its cgroup, up to `at`; and how well they are on record. Empty
/// where nobody knows which process it was.
pub fn memory_before(
    history: &dyn SeriesSource,
    who: &Party,
    at: WallTime,
    look_back: Window,
) -> (Vec<Growth>, Option<Recorded>) {
    let known = who.pid.and_then(|pid| remembered::whereabouts(history, pid, at));
    // A pid comes round again: whoever had it at another start is somebody else.
    let known = known.filter(|known| who.start.is_none_or(|start| start == known.key.start));
    let told = who.pid.zip(who.start).map(|(pid, start)| ProcKey { pid, start });
    let key = told.or(known.as_ref().map(|known| known.key));
    let path = who.cgroup.clone().or_else(|| known.and_then(|known| known.cgroup));
    let path =
        path.as_ref().map(highwater_core::id::CgroupPath::as_str).filter(|path| *path != "/");
    let subject = Subject {
        process: key.map(|key| (key, words::process(who.comm.as_deref(), who.pid))),
        cgroup: path.map(|path| (path, words::place(path))),
    };
    let curves = growth::curves(history, &subject, at, look_back);
    (curves.growth, curves.recorded)
}
