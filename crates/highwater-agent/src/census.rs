//! What only all processes together tell: the sum of each owner, and whose children they are.
//!
//! A steady tick allocates nothing: owners keep their place from tick to tick, and the sums are
//! lent to the frame and taken back when it is written.

use std::collections::HashMap;
use std::mem;

use highwater_core::frame::{Frame, ProcSample, Scope};
use highwater_core::id::{CgroupPath, Pid};
use highwater_core::sum::{OwnerSample, OwnerSum};
use highwater_owners::Directory;

/// So many paths more than owners are remembered before all are looked up anew: paths below an
/// owner that stays may come and go for ever.
const SPARE_PATHS: usize = 4096;

/// The owners and parents of the last tick.
#[derive(Debug, Default)]
pub(crate) struct Census {
    /// Each owner once; lent to the frame between [`Census::take`] and [`Census::take_back`].
    owners: Vec<OwnerSample>,
    /// Where the owner of a cgroup stands among them.
    places: HashMap<CgroupPath, usize>,
    /// Where those stand whose cgroup is not known.
    unknown: Option<usize>,
    /// Where each owner stands after some have gone.
    moved: Vec<Option<usize>>,
    parents: HashMap<Pid, Offspring>,
    /// Of which generation the names of containers are.
    names: u64,
}

/// The children of one process.
#[derive(Clone, Copy, Debug, Default)]
struct Offspring {
    all: u32,
    zombies: u32,
}

impl Census {
    /// Fills in the owners and children of a whole frame. A close-up sees only some processes, and
    /// gets neither.
    pub(crate) fn take(&mut self, frame: &mut Frame, directory: &Directory) {
        frame.owners.clear();
        if frame.scope != Scope::Whole {
            return;
        }
        let names = directory.generation();
        if names != self.names {
            // A container's name was learnt: whoever was known by its id may be called otherwise.
            self.names = names;
            self.owners.clear();
            self.places.clear();
            self.unknown = None;
        }
        for owner in &mut self.owners {
            owner.sum = OwnerSum::default();
        }
        for process in &frame.processes {
            let at = self.place(counted_in(process, &frame.processes), directory);
            if let Some(owner) = self.owners.get_mut(at) {
                owner.sum = owner.sum.plus(OwnerSum::of(process));
            }
        }
        self.forget_gone();
        self.count_children(&mut frame.processes);
        mem::swap(&mut frame.owners, &mut self.owners);
    }

    /// Takes the sums back that a frame was lent.
    pub(crate) fn take_back(&mut self, frame: &mut Frame) {
        if frame.scope == Scope::Whole {
            mem::swap(&mut frame.owners, &mut self.owners);
        }
    }

    /// Where the owner of the cgroup at `path` stands; a new one gets a place.
    fn place(&mut self, path: Option<&CgroupPath>, directory: &Directory) -> usize {
        let known = match path {
            Some(path) => self.places.get(path).copied(),
            None => self.unknown,
        };
        if let Some(at) = known {
            return at;
        }
        let owner = path.map(|path| directory.owner_of(path.as_str()));
        let at = self.owners.iter().position(|sample| sample.owner == owner).unwrap_or_else(|| {
            self.owners.push(OwnerSample { owner, sum: OwnerSum::default() });
            self.owners.len().saturating_sub(1)
        });
        match path {
            Some(path) => {
                self.places.insert(path.clone(), at);
            }
            None => self.unknown = Some(at),
        }
        at
    }

    /// Lets go of owners that have no process left.
    fn forget_gone(&mut self) {
        if self.places.len() > self.owners.len().saturating_add(SPARE_PATHS) {
            self.places.clear();
        }
        if self.owners.iter().all(|owner| owner.sum.processes > 0) {
            return;
        }
        let mut next = 0;
        self.moved.clear();
        self.moved.extend(self.owners.iter().map(|owner| {
            let stays = owner.sum.processes > 0;
            let at = stays.then_some(next);
            next += usize::from(stays);
            at
        }));
        self.owners.retain(|owner| owner.sum.processes > 0);
        let moved = &self.moved;
        let new_place = |at: usize| moved.get(at).copied().flatten();
        self.unknown = self.unknown.and_then(new_place);
        self.places.retain(|_, at| match new_place(*at) {
            Some(new) => {
                *at = new;
                true
            }
            None => false,
        });
    }

    fn count_children(&mut self, processes: &mut [ProcSample]) {
        self.parents.clear();
        for process in processes.iter() {
            let offspring = self.parents.entry(process.parent).or_default();
            offspring.all = offspring.all.saturating_add(1);
            let dead = u32::from(process.state == b'Z');
            offspring.zombies = offspring.zombies.saturating_add(dead);
        }
        for process in processes {
            let found = self.parents.get(&process.key.pid).copied().unwrap_or_default();
            process.children = Some(found.all);
            process.zombie_children = Some(found.zombies);
        }
    }
}

/// The cgroup that a process counts in: its own. Version 1 shows whoever has ended at the top of each
/// hierarchy (`proc_cgroup_show` in `kernel/cgroup/cgroup.c`), so one that is not reaped counts where
/// its parent is, whose task that is. `all` are in the order of their pids.
fn counted_in<'f>(process: &'f ProcSample, all: &'f [ProcSample]) -> Option<&'f CgroupPath> {
    let own = process.cgroup.as_ref();
    if process.state != b'Z' || own.is_none_or(|path| path.as_str() != "/") {
        return own;
    }
    let parent = all.binary_search_by_key(&process.parent, |other| other.key.pid).ok();
    parent.and_then(|at| all.get(at)).map_or(own, |parent| parent.cgroup.as_ref())
}

#[cfg(test)]
mod tests {
    use highwater_core::owner::Owner;

    use super::*;
    use crate::fixture::process;
    use highwater_core::units::Bytes;

    fn whole(processes: Vec<ProcSample>) -> Frame {
        Frame { processes, ..Frame::default() }
    }

    fn at(pid: u32, path: Option<&str>, anon_mib: u64) -> ProcSample {
        let cgroup = path.map(|path| CgroupPath::new(path.as_bytes()));
        ProcSample { cgroup, ..process(pid, anon_mib) }
    }

    #[test]
    fn processes_of_one_owner_are_one_sum_whatever_cgroup_below_it_they_are_in() {
        let mut zombie = at(1, Some("/system.slice/web.service/workers"), 0);
        zombie.state = b'Z';
        let mut counted = at(2, Some("/system.slice/web.service"), 3);
        counted.slow.open_fds = Some(7);
        let mut frame = whole(vec![zombie, at(3, None, 1), counted]);
        Census::default().take(&mut frame, &Directory::default());
        let expected = OwnerSum {
            processes: 2,
            zombies: 1,
            threads: 2,
            resident_anon: Bytes::from_mib(3),
            swap: None,
            open_fds: Some(7),
        };
        let web = Owner::Unit("web.service".to_owned());
        assert_eq!(frame.owners[0], OwnerSample { owner: Some(web), sum: expected });
        assert_eq!((frame.owners.len(), &frame.owners[1].owner), (2, &None));
    }

    #[test]
    fn who_is_not_reaped_counts_with_its_parent_where_its_own_cgroup_is_hidden() {
        let zombie = |pid: u32, parent: u32| ProcSample {
            state: b'Z',
            parent: Pid::new(parent),
            ..at(pid, Some("/"), 0)
        };
        let parent = at(2, Some("/system.slice/web.service"), 3);
        let mut frame = whole(vec![parent, zombie(3, 2), zombie(4, 2), zombie(5, 77)]);
        Census::default().take(&mut frame, &Directory::default());
        let counts: Vec<_> =
            frame.owners.iter().map(|owner| (owner.sum.processes, owner.sum.zombies)).collect();
        assert_eq!(counts, [(3, 2), (1, 1)]);
        assert_eq!(frame.owners[0].owner, Some(Owner::Unit("web.service".to_owned())));
    }

    #[test]
    fn the_same_unit_of_two_users_is_two_owners() {
        let path =
            |uid| format!("/user.slice/user-{uid}.slice/user@{uid}.service/app.slice/a.service");
        let mut frame = whole(vec![at(1, Some(&path(1000)), 1), at(2, Some(&path(1001)), 1)]);
        Census::default().take(&mut frame, &Directory::default());
        assert_eq!(frame.owners.len(), 2);
    }

    #[test]
    fn owners_that_are_gone_leave_and_the_others_keep_their_own_sums() {
        let mut census = Census::default();
        let all = ["/a", "/b", "/c", "/b/below"];
        let mut pid = 0;
        for alive in [&all[..], &["/c", "/b/below"], &["/b", "/d"], &[], &["/c", "/a"]] {
            let mut frame = whole(
                alive
                    .iter()
                    .map(|path| {
                        pid += 1;
                        at(pid, Some(path), u64::from(path.as_bytes()[1]))
                    })
                    .chain([at(9_999, None, 1)])
                    .collect(),
            );
            census.take(&mut frame, &Directory::default());
            assert_eq!(frame.owners.len(), alive.len() + 1, "{:?}", frame.owners);
            for owner in &frame.owners {
                let wanted = match &owner.owner {
                    Some(owner) => u64::from(owner.id().as_bytes()[1]),
                    None => 1,
                };
                assert_eq!(owner.sum.resident_anon, Bytes::from_mib(wanted), "{owner:?}");
            }
            census.take_back(&mut frame);
            assert!(frame.owners.is_empty());
        }
    }

    #[test]
    fn children_are_counted_for_their_parents_and_the_dead_among_them_apart() {
        let mut dead = process(12, 0);
        (dead.parent, dead.state) = (Pid::new(10), b'Z');
        let child = ProcSample { parent: Pid::new(10), ..process(11, 1) };
        let mut frame = whole(vec![process(10, 1), child, dead]);
        Census::default().take(&mut frame, &Directory::default());
        let counts: Vec<_> =
            frame.processes.iter().map(|p| (p.children, p.zombie_children)).collect();
        assert_eq!(counts[0], (Some(2), Some(1)));
        assert_eq!(counts[1], (Some(0), Some(0)));
    }

    #[test]
    fn a_close_up_gets_no_sums_since_it_sees_only_some() {
        let mut census = Census::default();
        let mut frame = whole(vec![process(1, 1)]);
        census.take(&mut frame, &Directory::default());
        census.take_back(&mut frame);
        let mut close = Frame { scope: Scope::CloseUp, ..whole(vec![process(1, 1)]) };
        census.take(&mut close, &Directory::default());
        assert!(close.owners.is_empty());
        assert_eq!(close.processes[0].children, None);
        census.take_back(&mut close);
        census.take(&mut frame, &Directory::default());
        assert_eq!(frame.owners.len(), 1);
    }

    #[test]
    fn paths_below_an_owner_that_come_and_go_are_not_remembered_for_ever() {
        let mut census = Census::default();
        for n in 0..2 * SPARE_PATHS + 10 {
            let path = format!("/system.slice/a.service/{n}");
            let mut frame = whole(vec![at(1, Some(&path), 1)]);
            census.take(&mut frame, &Directory::default());
            census.take_back(&mut frame);
        }
        assert!(census.places.len() <= SPARE_PATHS + 2, "{}", census.places.len());
    }
}
