//! Processes summed up by who owns them, so that the number of series does not follow the number
//! of processes.

use std::collections::HashMap;

use highwater_core::frame::ProcSample;
use highwater_core::id::CgroupPath;
use highwater_core::metric::{Column, MetricKind, Read};
use highwater_core::owner::Owner;
use highwater_core::units::Bytes;

use crate::exposition::LabelText;

/// How many owners are told apart, those with most anonymous memory first; the others are one,
/// `kind="other"`. A machine with more units than this has its memory in far fewer.
pub(crate) const MAX_OWNERS: usize = 100;

/// What the processes of one owner have together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnerSum {
    /// Processes, zombies among them.
    pub processes: u64,
    /// Processes that died and were not reaped.
    pub zombies: u64,
    /// Threads.
    pub threads: u64,
    /// Anonymous memory in RAM: belongs to one process each, so that the sum counts nothing twice
    /// but what a fork still shares.
    pub resident_anon: Bytes,
    /// Memory in swap; `None` until it was read of one of them.
    pub swap: Option<Bytes>,
    /// Open file descriptors; `None` until they were read of one of them.
    pub open_fds: Option<u64>,
}

impl OwnerSum {
    fn of(process: &ProcSample) -> Self {
        Self {
            processes: 1,
            zombies: u64::from(process.state == b'Z'),
            threads: process.threads.into(),
            resident_anon: process.resident_anon(),
            swap: process.slow.swap,
            open_fds: process.slow.open_fds,
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            processes: self.processes.saturating_add(other.processes),
            zombies: self.zombies.saturating_add(other.zombies),
            threads: self.threads.saturating_add(other.threads),
            resident_anon: self.resident_anon.saturating_add(other.resident_anon),
            swap: known(self.swap, other.swap, Bytes::saturating_add),
            open_fds: known(self.open_fds, other.open_fds, u64::saturating_add),
        }
    }
}

/// The sum of what is known.
fn known<T: Copy>(a: Option<T>, b: Option<T>, plus: fn(T, T) -> T) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(plus(a, b)),
        (a, b) => a.or(b),
    }
}

const fn gauge(
    name: &'static str,
    help: &'static str,
    read: fn(&OwnerSum) -> Option<f64>,
) -> Column<OwnerSum> {
    Column { name, help, kind: MetricKind::Gauge, read: Read::By(read) }
}

/// A count as a sample's value.
fn float(count: u64) -> f64 {
    Bytes::new(count).as_f64()
}

/// The columns of an owner.
pub const OWNER: &[Column<OwnerSum>] = &[
    gauge("highwater_owner_processes", "Processes of the owner, zombies among them.", |o| {
        Some(float(o.processes))
    }),
    gauge(
        "highwater_owner_zombies",
        "Processes of the owner that died and were not reaped.",
        |o| Some(float(o.zombies)),
    ),
    gauge("highwater_owner_threads", "Threads of the owner's processes.", |o| {
        Some(float(o.threads))
    }),
    gauge(
        "highwater_owner_resident_anon_bytes",
        "Anonymous memory in RAM of the owner's processes.",
        |o| Some(o.resident_anon.as_f64()),
    ),
    gauge("highwater_owner_swap_bytes", "Memory of the owner's processes in swap.", |o| {
        o.swap.map(Bytes::as_f64)
    }),
    gauge(
        "highwater_owner_open_fds",
        "Open file descriptors of the owner's processes, as far as they may be counted.",
        |o| o.open_fds.map(float),
    ),
];

/// The sums of the [`MAX_OWNERS`] largest owners, largest first, then that of all others.
pub(crate) fn sums(processes: &[ProcSample]) -> Vec<(LabelText, OwnerSum)> {
    let mut all: Vec<_> = by_owner(processes).into_iter().collect();
    all.sort_by(|(a_labels, a), (b_labels, b)| {
        b.resident_anon.cmp(&a.resident_anon).then_with(|| a_labels.cmp(b_labels))
    });
    let rest = all.split_off(all.len().min(MAX_OWNERS));
    if let Some(other) = rest.into_iter().map(|(_, sum)| sum).reduce(OwnerSum::plus) {
        all.push((LabelText::new([("kind", "other")]), other));
    }
    all
}

fn by_owner(processes: &[ProcSample]) -> HashMap<LabelText, OwnerSum> {
    let mut by_path: HashMap<Option<&CgroupPath>, OwnerSum> = HashMap::new();
    for process in processes {
        let sum = by_path.entry(process.cgroup.as_ref()).or_default();
        *sum = sum.plus(OwnerSum::of(process));
    }
    let mut by_owner: HashMap<LabelText, OwnerSum> = HashMap::new();
    for (path, part) in by_path {
        let sum = by_owner.entry(labels(path)).or_default();
        *sum = sum.plus(part);
    }
    by_owner
}

/// `kind` and `id` of who owns the cgroup at `path`, and whose it is if it is a user's.
fn labels(path: Option<&CgroupPath>) -> LabelText {
    let Some(path) = path else {
        return LabelText::new([("kind", "unknown")]);
    };
    let (kind, id, uid) = match Owner::of_path(path.as_str()) {
        Owner::Machine => ("machine", "/".to_owned(), String::new()),
        Owner::Unit(unit) => ("unit", unit, String::new()),
        Owner::UserUnit { unit, uid } => ("user-unit", unit, uid.to_string()),
        Owner::Session(session) => ("session", session, String::new()),
        Owner::Container(id) => ("container", id, String::new()),
        Owner::Cgroup(path) => ("cgroup", path, String::new()),
    };
    LabelText::new([("kind", kind), ("id", &id), ("uid", &uid)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use highwater_core::frame::SlowReadings;
    use highwater_core::id::{Comm, Pid, ProcKey};

    fn process(path: Option<&str>, anon_mib: u64) -> ProcSample {
        ProcSample {
            key: ProcKey::default(),
            comm: Comm::new(b"x"),
            cgroup: path.map(|path| CgroupPath::new(path.as_bytes())),
            parent: Pid::new(1),
            state: b'S',
            threads: 2,
            cpu_us: 0,
            major_faults: 0,
            virtual_size: Bytes::ZERO,
            resident: Bytes::from_mib(anon_mib + 1),
            resident_shared: Bytes::from_mib(1),
            slow: SlowReadings::default(),
        }
    }

    #[test]
    fn processes_of_one_owner_are_one_sum_whatever_cgroup_below_it_they_are_in() {
        let mut zombie = process(Some("/system.slice/web.service/workers"), 0);
        zombie.state = b'Z';
        let mut counted = process(Some("/system.slice/web.service"), 3);
        counted.slow.open_fds = Some(7);
        let sums = sums(&[zombie, process(None, 1), counted]);
        let web = LabelText::new([("kind", "unit"), ("id", "web.service")]);
        let expected = OwnerSum {
            processes: 2,
            zombies: 1,
            threads: 4,
            resident_anon: Bytes::from_mib(3),
            swap: None,
            open_fds: Some(7),
        };
        assert_eq!(sums[0], (web, expected));
        assert_eq!(sums[1].0, LabelText::new([("kind", "unknown")]));
        assert_eq!(sums.len(), 2);
    }

    #[test]
    fn the_same_unit_of_two_users_is_two_owners() {
        let path =
            |uid| format!("/user.slice/user-{uid}.slice/user@{uid}.service/app.slice/a.service");
        assert_eq!(sums(&[process(Some(&path(1000)), 1), process(Some(&path(1001)), 1)]).len(), 2);
    }

    #[test]
    fn the_small_owners_become_one_and_nothing_is_lost() {
        let count = u64::try_from(MAX_OWNERS).unwrap() + 20;
        let many: Vec<_> =
            (0..count).map(|n| process(Some(&format!("/s/u{n}.service")), n)).collect();
        let sums = sums(&many);
        assert_eq!(sums.len(), MAX_OWNERS + 1);
        let other = &sums[MAX_OWNERS];
        assert_eq!(other.0, LabelText::new([("kind", "other")]));
        assert_eq!(other.1.processes, 20);
        assert_eq!(other.1.resident_anon, Bytes::from_mib((0..20).sum()));
        assert_eq!(sums.iter().map(|(_, sum)| sum.processes).sum::<u64>(), count);
    }
}
