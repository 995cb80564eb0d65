//! What one part of the survey saw, and what it could not see.

use std::io;

use highwater_core::id::ProcKey;
use highwater_core::owner::Owner;
use highwater_core::series::Labels;
use highwater_core::text::escape;
use highwater_core::thing::{Metric, Thing};
use highwater_core::units::Bytes;

use super::part::Candidate;
use crate::root::Root;

/// The most things of one part. What is listed is bounded by each part; this bounds a mistake.
const THINGS_MAX: usize = 4096;

/// The most reasons of one part: more of them are one reason, told often.
const REASONS_MAX: usize = 8;

/// What a reading fills.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// The numbers.
    pub(super) things: Vec<Thing>,
    /// What could not be read, and why.
    pub(super) blind: Vec<String>,
}

impl Reading {
    /// Notes one number. Labels from the machine are escaped by the caller.
    pub(super) fn note(&mut self, metric: &'static Metric, labels: &Labels, value: f64) {
        if self.things.len() < THINGS_MAX {
            self.things.push(Thing { metric, labels: labels.clone(), value });
        }
    }

    /// As [`Reading::note`], for a count.
    pub(super) fn count(&mut self, metric: &'static Metric, labels: &Labels, count: u64) {
        self.note(metric, labels, float(count));
    }

    /// As [`Reading::note`], for an amount.
    pub(super) fn amount(&mut self, metric: &'static Metric, labels: &Labels, amount: Bytes) {
        self.note(metric, labels, amount.as_f64());
    }

    /// Says what could not be read.
    pub(super) fn blind(&mut self, why: String) {
        if self.blind.len() < REASONS_MAX && !self.blind.contains(&why) {
            self.blind.push(why);
        }
    }

    /// Empties it for the next reading.
    pub(super) fn clear(&mut self) {
        self.things.clear();
        self.blind.clear();
    }
}

/// A tree, a buffer for its files, and where what is seen goes.
#[derive(Debug)]
pub(super) struct Sight<'a> {
    pub(super) root: &'a Root,
    pub(super) buffer: &'a mut Vec<u8>,
    pub(super) reading: &'a mut Reading,
}

impl Sight<'_> {
    /// What `parse` makes of the file; `None` if it is not there. A refusal is told.
    pub(super) fn parsed<T>(&mut self, rel: &str, parse: impl FnOnce(&[u8]) -> T) -> Option<T> {
        match self.root.read(rel, self.buffer) {
            Ok(()) => Some(parse(self.buffer)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                self.reading.blind(refusal(rel, &error));
                None
            }
        }
    }
}

/// A refusal as a lower-case fragment with the way out where there is one.
pub(super) fn refusal(path: &str, error: &io::Error) -> String {
    let path = format!("/{}", path.trim_start_matches('/'));
    match error.kind() {
        io::ErrorKind::PermissionDenied => format!("{path} is for root only"),
        _ => format!("{path} cannot be read: {error}"),
    }
}

/// A count as a series' value; exact below 2^53.
pub(super) fn float(count: u64) -> f64 {
    Bytes::new(count).as_f64()
}

/// No labels at all.
pub(super) fn plain() -> Labels {
    Labels::default()
}

/// One label, its value escaped.
pub(super) fn label(name: &str, value: &[u8]) -> Labels {
    Labels::new([(name, escape(value))])
}

/// The labels of a process, the same that its series in the store have.
pub(super) fn of_process(candidate: &Candidate) -> Labels {
    let ProcKey { pid, start } = candidate.key;
    let id = candidate.cgroup.as_ref();
    let owner = id.map(|path| Owner::of_path(path.as_str()));
    Labels::new([
        ("pid", pid.to_string()),
        ("start", start.get().to_string()),
        ("comm", candidate.comm.to_string()),
        ("id", id.map(ToString::to_string).unwrap_or_default()),
        ("unit", owner.as_ref().and_then(Owner::unit).unwrap_or_default().to_owned()),
        ("container", owner.as_ref().and_then(Owner::container).unwrap_or_default().to_owned()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use highwater_core::id::{CgroupPath, Comm, Pid, StartTicks};
    use highwater_core::thing::names;

    #[test]
    fn a_reading_is_bounded_and_tells_each_reason_once() {
        let mut reading = Reading::default();
        for count in 0..10_000 {
            reading.count(&names::SOCKETS, &plain(), count);
            reading.blind(format!("reason {}", count % 100));
        }
        assert_eq!((reading.things.len(), reading.blind.len()), (THINGS_MAX, REASONS_MAX));
        reading.clear();
        assert!(reading.things.is_empty() && reading.blind.is_empty());
    }

    #[test]
    fn what_is_missing_is_quiet_and_what_is_refused_is_told() {
        let (mut buffer, mut reading) = (Vec::new(), Reading::default());
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("dir")).unwrap();
        let root = Root::at(dir.path());
        let mut sight = Sight { root: &root, buffer: &mut buffer, reading: &mut reading };
        assert_eq!(sight.parsed("none", <[u8]>::len), None);
        assert!(sight.reading.blind.is_empty());
        assert_eq!(sight.parsed("dir", <[u8]>::len), None);
        assert!(reading.blind[0].starts_with("/dir cannot be read: "), "{:?}", reading.blind);
        let denied = io::Error::from(io::ErrorKind::PermissionDenied);
        assert_eq!(refusal("proc/slabinfo", &denied), "/proc/slabinfo is for root only");
    }

    #[test]
    fn a_process_has_the_labels_of_its_series() {
        let candidate = Candidate {
            key: ProcKey { pid: Pid::new(7), start: StartTicks::new(99) },
            comm: Comm::new(b"a\x1bb"),
            cgroup: Some(CgroupPath::new(b"/system.slice/cron.service")),
            resident: Bytes::ZERO,
        };
        let labels = of_process(&candidate).to_string();
        assert_eq!(
            labels,
            r#"{comm="a\\x1bb",id="/system.slice/cron.service",pid="7",start="99",unit="cron.service"}"#
        );
        assert_eq!(of_process(&Candidate { cgroup: None, ..candidate }).get("unit"), "");
    }
}
