//! The kernel's own log of this boot, as it still has it.

use highwater_core::line::LogLine;
use highwater_core::time::Stamp;
use highwater_linux::kmsg::{Kmsg, KmsgError, Next};
use highwater_linux::root::Root;
use highwater_oom::{OomReport, Reading};

/// What it is called where it is cited.
pub(crate) const SOURCE: &str = "/dev/kmsg";

/// The reports that are still in the kernel's log.
#[derive(Debug, Default)]
pub(crate) struct KernelLog {
    /// The reports.
    pub(crate) reports: Vec<OomReport>,
}

/// Reads the kernel's log; `now` turns its stamps into wall times.
pub(crate) fn read(root: &Root, now: Stamp) -> Result<KernelLog, KmsgError> {
    let mut kmsg = Kmsg::open(root)?;
    let mut reading = Reading::default();
    let mut scratch = Vec::new();
    loop {
        let bytes = match kmsg.next()? {
            Next::Empty => break,
            Next::Overrun => continue,
            Next::Record(bytes) => bytes,
        };
        if let Some(record) = highwater_log::kmsg::record(bytes, &mut scratch) {
            let line = record.as_line();
            // A line end in it belongs to the message, or to somebody's name: the reader knows.
            reading.push(&LogLine { wall: line.boot.map(|boot| now.wall_at(boot)), ..line });
        }
    }
    Ok(KernelLog { reports: reading.finish() })
}
