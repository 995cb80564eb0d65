//! Those who kill before the kernel has to, by their own lines.

use highwater_core::evidence::Evidence;
use highwater_core::id::CgroupPath;
use highwater_core::line::{JournalFields, LogLine};
use highwater_core::owner::Owner;
use highwater_core::testimony::{Fact, Party, Testimony, Witness};
use highwater_oom::OomReport;
use highwater_oom::report::{Kill, Writer};
use highwater_owners::{cited, journal};

/// Their names, as the journal has them.
const NAMES: [&str; 4] = ["earlyoom", "systemd-oomd", "oomd", "oomd_bin"];

/// Their units. Only the superuser makes units of the system.
const UNITS: [&str; 5] = [
    "earlyoom.service",
    "systemd-oomd.service",
    "oomd.service",
    "nohang.service",
    "nohang-desktop.service",
];

/// Whom the line says a program killed.
pub(super) fn testimonies(entry: &LogLine<'_>) -> Vec<Testimony> {
    if !entry.journal.is_some_and(is_killer) || !highwater_oom::is_relevant(entry.text) {
        return Vec::new();
    }
    let reports = highwater_oom::read(vec![*entry].into_iter());
    let killed = highwater_oom::deaths(&reports);
    killed.filter_map(|(report, kill)| testimony(entry, report, kill)).collect()
}

/// Any program may write such words, and call itself what it likes: what counts is a unit of the
/// system, or the superuser's word.
fn is_killer(fields: &JournalFields) -> bool {
    let has = |name, values: &[&str]| fields.get(name).is_some_and(|value| values.contains(&value));
    has("_SYSTEMD_UNIT", &UNITS) || has("_COMM", &NAMES) && has("_UID", &["0"])
}

fn testimony(entry: &LogLine<'_>, report: &OomReport, kill: &Kill) -> Option<Testimony> {
    let cgroup = report.candidates.first().filter(|_| kill.pid.is_none());
    let cgroup = cgroup.map(|cited| cited.value.path.as_str());
    let about = Party {
        pid: kill.pid,
        comm: kill.comm.clone(),
        uid: kill.uid,
        cgroup: cgroup.map(|path| CgroupPath::new(path.as_bytes())),
        owner: cgroup.map(Owner::of_path),
        ..Party::default()
    };
    let fact = Fact::KilledBy { program: name(report.writer)?.to_owned() };
    let (source, text) = (journal::SOURCE.to_owned(), cited(entry.text));
    let evidence = Evidence { source, line: None, text };
    Some(Testimony { witness: Witness::Journal, about, fact, evidence })
}

const fn name(writer: Writer) -> Option<&'static str> {
    Some(match writer {
        Writer::Earlyoom => "earlyoom",
        Writer::SystemdOomd => "systemd-oomd",
        Writer::Nohang => "nohang",
        Writer::Oomd => "oomd",
        Writer::Kernel | Writer::Lowmemorykiller => return None,
    })
}
