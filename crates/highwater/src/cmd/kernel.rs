//! The kernel's own log of this boot, as it still has it.

use highwater_core::evidence::Evidence;
use highwater_core::line::LogLine;
use highwater_core::testimony::{Testimony, Witness};
use highwater_core::time::{BootId, Stamp};
use highwater_diagnose::inquest::Heard;
use highwater_linux::kmsg::{Kmsg, KmsgError, Next};
use highwater_linux::root::Root;
use highwater_linux::witness::fault;
use highwater_oom::{OomReport, Reading};

/// What it is called where it is cited.
pub(crate) const SOURCE: &str = "/dev/kmsg";

/// The reports that are still in the kernel's log.
#[derive(Debug, Default)]
pub(crate) struct KernelLog {
    /// The reports.
    pub(crate) reports: Vec<OomReport>,
    /// What else it says of ends, each with the key that the agent records it under.
    pub(crate) heard: Vec<(String, Heard)>,
}

/// So many testimonies of the kernel's log are kept: its buffer holds some ten thousand lines.
const MOST_HEARD: usize = 10_000;

/// Reads the kernel's log; `now` turns its stamps into wall times.
pub(crate) fn read(
    root: &Root,
    now: Stamp,
    boot_id: Option<BootId>,
) -> Result<KernelLog, KmsgError> {
    let mut kmsg = Kmsg::open(root)?;
    let mut reading = Reading::default();
    let mut scratch = Vec::new();
    let mut heard = Vec::new();
    loop {
        let bytes = match kmsg.next()? {
            Next::Empty => break,
            Next::Overrun => continue,
            Next::Record(bytes) => bytes,
        };
        if let Some(record) = highwater_log::kmsg::record(bytes, &mut scratch) {
            let line = record.as_line();
            // A line end in it belongs to the message, or to somebody's name: the reader knows.
            let line = LogLine { wall: line.boot.map(|boot| now.wall_at(boot)), ..line };
            reading.push(&line);
            if heard.len() < MOST_HEARD {
                heard.extend(keyed(&line, boot_id));
            }
        }
    }
    Ok(KernelLog { reports: reading.finish(), heard })
}

/// What a line of the kernel's says of a process that it stopped.
pub(crate) fn testimony(line: &LogLine<'_>, source: &str) -> Option<Testimony> {
    let (about, fact) = fault::of_line(line)?;
    let text = highwater_owners::cited(line.text);
    let evidence = Evidence { source: source.to_owned(), line: Some(line.number), text };
    Some(Testimony { witness: Witness::Kmsg, about, fact, evidence })
}

fn keyed(line: &LogLine<'_>, boot_id: Option<BootId>) -> Option<(String, Heard)> {
    let testimony = testimony(line, SOURCE)?;
    let heard = Heard { wall: line.wall, boot: line.boot, boot_id, testimony };
    Some((format!("kmsg:{}", line.seq?), heard))
}
