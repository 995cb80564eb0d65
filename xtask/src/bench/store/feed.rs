//! Frames as text for other stores: a line for each number, so that all of them get the same.

use std::collections::HashMap;
use std::fmt::Write;

use highwater_core::frame::{Frame, MachineSample};
use highwater_core::metric::{self, Column};
use highwater_core::owner::Owner;
use highwater_core::series::Labels;
use highwater_core::sum::OwnerSample;
use highwater_store::Facts;

/// Writes lines. It remembers labels as text, because they cost more to make than the rest.
pub(super) struct Feed {
    machine: Vec<Column<MachineSample>>,
    labels: HashMap<Facts, String>,
    times: Times,
}

/// How times are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Times {
    /// Milliseconds: the text format of Prometheus.
    Millis,
    /// Seconds: `OpenMetrics`.
    Seconds,
}

impl Feed {
    pub(super) fn new(times: Times) -> Self {
        Self { machine: metric::machine(), labels: HashMap::new(), times }
    }

    /// Adds the lines of a frame to `out`.
    pub(super) fn lines(&mut self, frame: &Frame, out: &mut String) {
        let ms = frame.stamp.wall.millis();
        let time = match self.times {
            Times::Millis => ms.to_string(),
            Times::Seconds => format!("{}.{:03}", ms.div_euclid(1000), ms.rem_euclid(1000)),
        };
        if let Some(machine) = &frame.machine {
            put(out, &self.machine, machine, "", &time);
        }
        for zone in &frame.zones {
            put(out, metric::ZONE, zone, self.known(Facts::of_zone(zone)), &time);
        }
        for cgroup in &frame.cgroups {
            let labels = self.known(Facts::of_cgroup(&cgroup.path));
            put(out, metric::CGROUP, &cgroup.memory, labels, &time);
        }
        for process in &frame.processes {
            put(out, metric::PROCESS, process, self.known(Facts::of_process(process)), &time);
        }
        for owner in &frame.owners {
            put(out, metric::OWNER, &owner.sum, &owner_labels(owner), &time);
        }
    }

    fn known(&mut self, facts: Facts) -> &str {
        self.labels.entry(facts).or_insert_with_key(|facts| braced(&facts.labels()))
    }
}

/// The groups of a frame, in the order of [`numbers`].
pub(super) const GROUPS: [&str; 5] = ["machine", "zone", "cgroup", "process", "owner"];

/// How many numbers each group of a frame has.
pub(super) fn numbers(frame: &Frame, machine: &[Column<MachineSample>]) -> [u64; 5] {
    fn of<'a, S: 'a>(columns: &[Column<S>], samples: impl Iterator<Item = &'a S>) -> u64 {
        let each = |s: &S| columns.iter().filter(|column| column.value(s).is_some()).count();
        u64::try_from(samples.map(each).sum::<usize>()).unwrap_or(0)
    }
    [
        of(machine, frame.machine.iter()),
        of(metric::ZONE, frame.zones.iter()),
        of(metric::CGROUP, frame.cgroups.iter().map(|cgroup| &cgroup.memory)),
        of(metric::PROCESS, frame.processes.iter()),
        of(metric::OWNER, frame.owners.iter().map(|owner| &owner.sum)),
    ]
}

fn owner_labels(owner: &OwnerSample) -> String {
    let owner = owner.owner.as_ref();
    let uid = owner.and_then(Owner::uid).map(|uid| uid.to_string());
    braced(&Labels::new([
        ("kind", owner.map_or("unknown", |owner| owner.kind()).to_owned()),
        ("id", owner.map(|owner| owner.id().to_owned()).unwrap_or_default()),
        ("uid", uid.unwrap_or_default()),
    ]))
}

/// Labels as the text formats write them.
fn braced(labels: &Labels) -> String {
    let mut text = String::from("{");
    for (at, (name, value)) in labels.iter().enumerate() {
        let comma = if at > 0 { "," } else { "" };
        let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        // Writing into a string does not fail.
        let _written = write!(text, "{comma}{name}=\"{value}\"");
    }
    text.push('}');
    text
}

fn put<S>(out: &mut String, columns: &[Column<S>], sample: &S, labels: &str, time: &str) {
    for column in columns {
        let Some(value) = column.value(sample) else { continue };
        out.push_str(column.name);
        out.push_str(labels);
        let _written = if value == f64::INFINITY {
            writeln!(out, " +Inf {time}")
        } else {
            writeln!(out, " {value} {time}")
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use highwater_core::frame::ZoneSample;
    use highwater_core::id::Comm;
    use highwater_core::time::WallTime;
    use highwater_core::units::Bytes;

    #[test]
    fn a_line_is_a_name_labels_a_number_and_a_time() {
        let (zone, free) = (Comm::new(b"DMA"), Bytes::new(4096));
        let zone = ZoneSample { zone, free, ..ZoneSample::default() };
        let mut frame = Frame { zones: vec![zone], ..Frame::default() };
        frame.stamp.wall = WallTime::from_millis(1_005);
        let mut said = String::new();
        Feed::new(Times::Seconds).lines(&frame, &mut said);
        let first = said.lines().next().unwrap();
        assert_eq!(first, r#"highwater_zone_free_bytes{node="0",zone="DMA"} 4096 1.005"#);
        assert_eq!(said.lines().count(), 5);
        assert_eq!(numbers(&frame, &metric::machine()), [0, 5, 0, 0, 0]);
    }
}
