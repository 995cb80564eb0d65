//! Who holds memory: owners out of cgroups, and processes.

use std::collections::HashMap;

use highwater_core::frame::{CgroupSample, Frame};
use highwater_core::id::Pid;
use highwater_core::limit::Limit;
use highwater_core::owner::Owner;
use highwater_core::units::Bytes;

/// An owner of memory: a unit, a session, a container, or a cgroup that is none of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// In words: `nginx.service`, `container 34186d9bd077`.
    pub owner: String,
    /// Its cgroup.
    pub path: String,
    /// All that is charged to it.
    pub usage: Option<Bytes>,
    /// What it cannot give back without swap: anonymous memory, or its working set where that is
    /// not known.
    pub anon: Bytes,
    /// What it would still have if all cache that is idle were dropped.
    pub working_set: Option<Bytes>,
    /// The tightest limit on the way up, its own included; `None` if none could be read.
    pub limit: Option<Limit>,
    /// The cgroup that has that limit.
    pub limited_by: Option<String>,
}

/// A process and what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessUse {
    /// Which.
    pub pid: Pid,
    /// Its name, escaped.
    pub comm: String,
    /// Anonymous memory in RAM.
    pub anon: Bytes,
    /// All its memory in RAM.
    pub resident: Bytes,
    /// In swap.
    pub swap: Option<Bytes>,
    /// Whose it is.
    pub owner: Option<String>,
}

/// All owners, the largest first.
pub(super) fn owners(frame: &Frame) -> Vec<Holder> {
    let by_path: HashMap<&str, &CgroupSample> =
        frame.cgroups.iter().map(|cgroup| (cgroup.path.as_str(), cgroup)).collect();
    let mut holders: Vec<Holder> = (frame.cgroups.iter())
        .filter(|cgroup| stands_for_owner(cgroup, &frame.cgroups))
        .map(|cgroup| holder(cgroup, &by_path))
        .collect();
    holders.sort_by_key(|holder| std::cmp::Reverse(holder.anon));
    holders
}

/// Sizes include what is below, so an owner is counted once, at its topmost cgroup; a cgroup
/// without a known owner counts if nothing is below it.
fn stands_for_owner(cgroup: &CgroupSample, all: &[CgroupSample]) -> bool {
    let path = cgroup.path.as_str();
    match Owner::of_path(path) {
        Owner::Machine => false,
        Owner::Cgroup(_) => {
            let below =
                |other: &str| other.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'));
            cgroup.path.as_str().strip_suffix(".slice").is_none()
                && !all.iter().any(|other| below(other.path.as_str()))
        }
        owner => cgroup.path.parent().is_none_or(|parent| Owner::of_path(parent) != owner),
    }
}

fn holder(cgroup: &CgroupSample, by_path: &HashMap<&str, &CgroupSample>) -> Holder {
    let memory = &cgroup.memory;
    let working_set = memory.working_set();
    let (limit, limited_by) = tightest(cgroup, by_path);
    Holder {
        owner: Owner::of_path(cgroup.path.as_str()).to_string(),
        path: cgroup.path.as_str().to_owned(),
        usage: memory.usage,
        anon: memory.anon.or(working_set).or(memory.usage).unwrap_or_default(),
        working_set,
        limit,
        limited_by,
    }
}

fn tightest(
    cgroup: &CgroupSample,
    by_path: &HashMap<&str, &CgroupSample>,
) -> (Option<Limit>, Option<String>) {
    let mut found: (Option<Limit>, Option<String>) = (None, None);
    let mut at = Some(cgroup);
    while let Some(here) = at {
        match (here.memory.limit, found.0) {
            (Some(Limit::At(own)), Some(Limit::At(best))) if own >= best => {}
            (Some(Limit::At(own)), _) => {
                found = (Some(Limit::At(own)), Some(here.path.as_str().to_owned()));
            }
            (Some(Limit::Unlimited), None) => found.0 = Some(Limit::Unlimited),
            _ => {}
        }
        at = here.path.parent().and_then(|parent| by_path.get(parent)).copied();
    }
    found
}

/// The `most` largest processes by anonymous memory.
pub(super) fn processes(frame: &Frame, most: usize) -> Vec<ProcessUse> {
    let mut all: Vec<_> = frame.processes.iter().collect();
    all.sort_by_key(|process| std::cmp::Reverse(process.resident_anon()));
    all.into_iter()
        .take(most)
        .map(|process| ProcessUse {
            pid: process.key.pid,
            comm: process.comm.to_string(),
            anon: process.resident_anon(),
            resident: process.resident,
            swap: process.slow.swap,
            owner: process.cgroup.as_ref().map(|path| Owner::of_path(path.as_str()).to_string()),
        })
        .collect()
}
