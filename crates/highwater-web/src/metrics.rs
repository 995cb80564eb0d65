//! `/metrics`: the newest frame as families of samples.

use highwater_core::frame::{CgroupMemory, CgroupSample, Frame, ProcSample, ZoneSample};
use highwater_core::id::CgroupPath;
use highwater_core::metric::{CGROUP, Column, OWNER, PROCESS, ZONE, machine};
use highwater_core::owner::Owner;
use highwater_core::thing::{Metric, Thing};
use highwater_core::units::Bytes;

use crate::exposition::{Families, Format, Kind, LabelText};
use crate::owners::largest_owners;
use crate::readings::Readings;

/// How many cgroups are told, those with the highest usage: 500 are 1.5 MiB of text, a tenth of
/// what the whole recorder may use.
const MAX_CGROUPS: usize = 500;
/// How many processes are told where every process is asked for, the largest; the same reason.
const MAX_PROCESSES: usize = 500;

/// How far `/metrics` goes into detail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Detail {
    /// Processes only as sums by owner.
    #[default]
    Owners,
    /// Also every process: many series, and new ones with every restart.
    Processes,
}

/// A metric that is not read out of a sample.
#[derive(Debug)]
pub struct Fixed {
    /// The metric's name.
    pub name: &'static str,
    /// One line of help.
    pub help: &'static str,
    /// What it is.
    pub kind: Kind,
}

const BUILD: Fixed = Fixed {
    name: "highwater_build_info",
    help: "Always 1; the version is a label.",
    kind: Kind::Info,
};
const SAMPLED: Fixed = Fixed {
    name: "highwater_last_sample_timestamp_seconds",
    help: "When the sample that is shown here was taken, in seconds since 1970.",
    kind: Kind::Gauge,
};
const OMITTED_CGROUPS: Fixed = Fixed {
    name: "highwater_omitted_cgroups",
    help: "Cgroups left out here because there are too many; those with the lowest usage.",
    kind: Kind::Gauge,
};
const OMITTED_PROCESSES: Fixed = Fixed {
    name: "highwater_omitted_processes",
    help: "Processes left out here because there are too many; the smallest.",
    kind: Kind::Gauge,
};

/// The metrics that are not read out of a sample.
pub const FIXED: &[Fixed] = &[BUILD, SAMPLED, OMITTED_CGROUPS, OMITTED_PROCESSES];

/// The text of `/metrics`; `capacity` is how long it is expected to be.
pub fn metrics(readings: &dyn Readings, detail: Detail, format: Format, capacity: usize) -> String {
    let mut families = Families::new(format, capacity);
    let version = LabelText::new([("version", env!("CARGO_PKG_VERSION"))]);
    fixed(&mut families, &BUILD, &version, 1.0);
    things(&mut families, readings.things());
    readings.frame(&mut |frame| write_frame(&mut families, frame, detail));
    families.finish()
}

fn fixed(families: &mut Families, metric: &Fixed, labels: &LabelText, value: f64) {
    families.family(metric.name, metric.help, metric.kind).sample(labels, value);
}

/// Numbers that carry their names with them; those of one name are brought together, as the formats
/// want them. Of two with the same name and labels one is left out, or the page would be invalid.
fn things(families: &mut Families, mut things: Vec<Thing>) {
    things.sort_by(|a, b| (a.metric.name, &a.labels).cmp(&(b.metric.name, &b.labels)));
    things.dedup_by(|b, a| (a.metric.name, &a.labels) == (b.metric.name, &b.labels));
    for same in things.chunk_by(|a, b| a.metric.name == b.metric.name) {
        let Some(Metric { name, help, kind }) = same.first().map(|thing| thing.metric) else {
            continue;
        };
        let mut family = families.family(name, help, Kind::of(name, *kind));
        for thing in same {
            family.sample(&LabelText::new(thing.labels.iter()), thing.value);
        }
    }
}

fn write_frame(families: &mut Families, frame: &Frame, detail: Detail) {
    let no_labels = LabelText::default();
    fixed(families, &SAMPLED, &no_labels, unix_seconds(frame));
    if let Some(sample) = &frame.machine {
        columns(families, &machine(), &[(no_labels.clone(), sample)]);
    }
    let zones: Vec<_> = frame.zones.iter().map(|zone| (zone_labels(zone), zone)).collect();
    columns(families, ZONE, &zones);
    let (cgroups, omitted) = largest_cgroups(&frame.cgroups);
    columns(families, CGROUP, &cgroups);
    fixed(families, &OMITTED_CGROUPS, &no_labels, omitted);
    let owners = largest_owners(&frame.owners);
    let owners: Vec<_> = owners.iter().map(|(labels, sum)| (labels.clone(), sum)).collect();
    columns(families, OWNER, &owners);
    if detail == Detail::Processes {
        let (processes, omitted) = largest_processes(&frame.processes);
        columns(families, PROCESS, &processes);
        fixed(families, &OMITTED_PROCESSES, &no_labels, omitted);
    }
}

/// One family per column, one sample per row that has the number.
fn columns<S>(families: &mut Families, columns: &[Column<S>], rows: &[(LabelText, &S)]) {
    for column in columns {
        let kind = Kind::of(column.name, column.kind);
        let mut family = families.family(column.name, column.help, kind);
        for (labels, sample) in rows {
            if let Some(value) = column.value(sample) {
                family.sample(labels, value);
            }
        }
    }
}

#[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "milliseconds fit a float")]
fn unix_seconds(frame: &Frame) -> f64 {
    frame.stamp.wall.millis() as f64 / 1e3
}

fn zone_labels(zone: &ZoneSample) -> LabelText {
    LabelText::new([
        ("node", zone.node.to_string().as_str()),
        ("zone", zone.zone.to_string().as_str()),
    ])
}

/// The cgroups to tell, in order of their paths, and how many are left out.
fn largest_cgroups(cgroups: &[CgroupSample]) -> (Vec<(LabelText, &CgroupMemory)>, f64) {
    let (mut kept, omitted) = largest(cgroups, MAX_CGROUPS, |cgroup| cgroup.memory.usage);
    kept.sort_by(|a, b| a.path.cmp(&b.path));
    // Two samples of one path would be one series twice, and the whole page invalid.
    kept.dedup_by(|later, first| later.path == first.path);
    (
        kept.into_iter().map(|cgroup| (place(&[], Some(&cgroup.path)), &cgroup.memory)).collect(),
        omitted,
    )
}

/// The processes to tell, in order of their ids, and how many are left out.
fn largest_processes(processes: &[ProcSample]) -> (Vec<(LabelText, &ProcSample)>, f64) {
    let (mut kept, omitted) = largest(processes, MAX_PROCESSES, |process| Some(process.resident));
    kept.sort_by_key(|process| process.key.pid);
    kept.dedup_by_key(|process| process.key.pid);
    let labelled = kept.into_iter().map(|process| {
        let (pid, comm) = (process.key.pid.to_string(), process.comm.to_string());
        (place(&[("pid", &pid), ("comm", &comm)], process.cgroup.as_ref()), process)
    });
    (labelled.collect(), omitted)
}

/// The `most` samples of the largest size, and how many others there are.
fn largest<S>(samples: &[S], most: usize, size: impl Fn(&S) -> Option<Bytes>) -> (Vec<&S>, f64) {
    let mut kept: Vec<&S> = samples.iter().collect();
    kept.sort_by_key(|sample| std::cmp::Reverse(size(sample)));
    kept.truncate(most);
    let omitted = u64::try_from(samples.len().saturating_sub(most)).unwrap_or(u64::MAX);
    (kept, Bytes::new(omitted).as_f64())
}

/// `labels`, then where that is: the cgroup's path and what the path tells of its owner.
fn place(labels: &[(&str, &str)], path: Option<&CgroupPath>) -> LabelText {
    let owner = path.map(|path| Owner::of_path(path.as_str()));
    let unit = owner.as_ref().and_then(Owner::unit).unwrap_or_default();
    let container = owner.as_ref().and_then(Owner::container).unwrap_or_default();
    let id = path.map_or("", CgroupPath::as_str);
    let place = [("id", id), ("unit", unit), ("container", container)];
    LabelText::new(labels.iter().copied().chain(place))
}
