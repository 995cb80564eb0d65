//! Processes summed up by who owns them, so that the number of series does not follow the number
//! of processes.

use std::collections::HashMap;

use highwater_core::frame::ProcSample;
use highwater_core::id::CgroupPath;
use highwater_core::owner::Owner;
use highwater_core::sum::OwnerSum;

use crate::exposition::LabelText;

/// How many owners are told apart, those with most anonymous memory first; the others are one,
/// `kind="other"`. A machine with more units than this has its memory in far fewer.
pub(crate) const MAX_OWNERS: usize = 100;

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
    let owner = Owner::of_path(path.as_str());
    let uid = owner.uid().map(|uid| uid.to_string()).unwrap_or_default();
    LabelText::new([("kind", owner.kind()), ("id", owner.id()), ("uid", &uid)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use highwater_core::frame::SlowReadings;
    use highwater_core::id::{Comm, Pid, ProcKey};
    use highwater_core::units::Bytes;

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
            children: None,
            zombie_children: None,
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
