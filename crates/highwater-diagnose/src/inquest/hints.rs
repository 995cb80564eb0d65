//! Words that say that memory ran out, and not whom it cost: counters of cgroups, systemd's and
//! Docker's notices.
//!
//! A kill is counted in the victim's cgroup and in every one above it, and systemd prints its notice
//! for every slice on the way. So the deepest word finds its death first, or is one by itself; those
//! above find that death and add nothing but, it may be, whose limit it was.

use std::cmp::Reverse;
use std::collections::HashMap;

use highwater_core::owner::Owner;
use highwater_core::testimony::{ContainerWord, Fact, OomWord, Party, Signal, Status, UnitWord};

use super::matter::Matter;
use super::strand::{is_memory, sent};
use super::timeline::{Item, Timeline, apart};

/// Counters are read, and notices written, so much later than the kill, or a little before its line.
const NEAR_US: i64 = 10_000_000;

/// So many deaths one word may be cited for: a burst of more is told by its reports.
const MOST: usize = 16;

/// So many deaths are looked at for one word.
const WINDOW: usize = 64;

/// Gives every hint to the death it tells of.
pub(super) fn attach<'t>(timeline: &'t Timeline<'t>, matters: &mut Vec<Matter<'t>>) {
    let mut hints: Vec<&Item<'t>> = timeline.items.iter().filter(|item| is_hint(item)).collect();
    hints.sort_by_key(|item| (Reverse(depth(timeline, item)), item.at));
    let mut index = Index::default();
    for (place, matter) in matters.iter().enumerate() {
        index.add(timeline, place, matter);
    }
    index.sort();
    for hint in hints {
        let found = index.find(timeline, hint, matters);
        for place in &found {
            if let Some(matter) = matters.get_mut(*place) {
                matter.items.push(hint);
                index.proven(timeline, *place, matter, hint);
            }
        }
        if found.is_empty() && stands_alone(timeline, hint) {
            let matter = of_hint(timeline, hint);
            index.add(timeline, matters.len(), &matter);
            index.proven(timeline, matters.len(), &matter, hint);
            matters.push(matter);
        }
    }
    for matter in matters.iter_mut() {
        matter.items.sort_by_key(|item| item.at);
    }
}

fn is_hint(item: &Item<'_>) -> bool {
    matches!(
        item.fact(),
        Some(
            Fact::Oom(OomWord::Counted { .. })
                | Fact::Unit(UnitWord::OutOfMemory)
                | Fact::Container(ContainerWord::Oom)
        )
    )
}

/// The deepest cgroup first; what names an owner and no cgroup before all of them, slices last.
fn depth(timeline: &Timeline<'_>, item: &Item<'_>) -> usize {
    let owner = item.owner.and_then(|owner| timeline.owners.get(owner));
    match (item.cgroup(), owner) {
        (Some(path), _) => path.as_str().split('/').count(),
        (None, Some(owner)) if is_above_others(owner) => 0,
        (None, _) => usize::MAX,
    }
}

/// A slice, or the manager of a user: others' processes are counted in it.
fn is_above_others(owner: &Owner) -> bool {
    let unit = owner.unit().unwrap_or_default();
    is_slice(unit) || unit.starts_with("user@")
}

fn is_slice(unit: &str) -> bool {
    unit.strip_suffix(".slice").is_some()
}

/// Whether a word that no death was found for is one: somebody was killed in there.
fn stands_alone(timeline: &Timeline<'_>, item: &Item<'_>) -> bool {
    match item.fact() {
        Some(Fact::Oom(OomWord::Counted { kills, .. })) => *kills > 0,
        // That a limit was reached kills nobody where the killer is switched off.
        Some(Fact::Container(ContainerWord::Oom)) => false,
        _ => item
            .owner
            .and_then(|owner| timeline.owners.get(owner))
            .is_some_and(|owner| !is_above_others(owner)),
    }
}

fn of_hint<'t>(timeline: &'t Timeline<'t>, hint: &'t Item<'t>) -> Matter<'t> {
    let mut who = Party { pid: None, start: None, comm: None, ..hint.party() };
    who.owner = hint.owner.and_then(|owner| timeline.owners.get(owner)).cloned();
    Matter {
        items: vec![hint],
        who,
        owner: hint.owner,
        is_first: Some(false),
        end: Some(hint),
        boot_id: hint.boot_id,
        company: 0,
        of_namespace: 0,
        tenure: None,
    }
}

/// Deaths by where they happened.
#[derive(Default)]
struct Index {
    by_owner: HashMap<usize, Vec<(i64, usize)>>,
    /// Those that memory is known to have cost, by their cgroup and every one above.
    by_path: HashMap<String, Vec<(i64, usize)>>,
}

impl Index {
    fn add(&mut self, timeline: &Timeline<'_>, place: usize, matter: &Matter<'_>) {
        let Some(at) = matter.at() else { return };
        if let Some(owner) = matter.owner {
            self.by_owner.entry(owner).or_default().push((at, place));
        }
        if matter.items.iter().any(|item| is_memory(item)) {
            self.add_paths(timeline, at, place, matter);
        }
    }

    fn add_paths(&mut self, timeline: &Timeline<'_>, at: i64, place: usize, matter: &Matter<'_>) {
        for path in above(timeline, matter) {
            let places = self.by_path.entry(path).or_default();
            let after = places.partition_point(|known| *known < (at, place));
            if places.get(after) != Some(&(at, place)) {
                places.insert(after, (at, place));
            }
        }
    }

    fn sort(&mut self) {
        for places in self.by_owner.values_mut() {
            places.sort_unstable();
        }
    }

    /// It is known now that memory cost this one.
    fn proven(
        &mut self,
        timeline: &Timeline<'_>,
        place: usize,
        matter: &Matter<'_>,
        hint: &Item<'_>,
    ) {
        let Some(at) = matter.at() else { return };
        if kills(hint) > 0 && !matter.items.iter().any(|item| is_memory(item)) {
            self.add_paths(timeline, at, place, matter);
        }
    }

    fn find(&self, timeline: &Timeline<'_>, hint: &Item<'_>, matters: &[Matter<'_>]) -> Vec<usize> {
        let Some(at) = hint.at else { return Vec::new() };
        let none: &[(i64, usize)] = &[];
        let path = hint.cgroup().map(|path| path.as_str().to_owned());
        let owner = hint.owner.and_then(|owner| timeline.owners.get(owner));
        let path = path
            .or_else(|| owner.filter(|owner| is_above_others(owner))?.unit().map(str::to_owned));
        let below = path.and_then(|path| self.by_path.get(&path)).map_or(none, Vec::as_slice);
        let own =
            hint.owner.and_then(|owner| self.by_owner.get(&owner)).map_or(none, Vec::as_slice);
        let most = usize::try_from(kills(hint)).unwrap_or(MOST).clamp(1, MOST);
        let mut found = nearest(below, at, most, |_| true);
        if found.is_empty() {
            found = nearest(own, at, most, |place| {
                matters
                    .get(place)
                    .is_some_and(|matter| matter.items.iter().any(|item| is_memory(item)))
            });
        }
        if found.is_empty() && kills(hint) > 0 {
            found = nearest(own, at, most, |place| matters.get(place).is_some_and(may_be_memory));
        }
        found
    }
}

/// How many kills a word tells of.
fn kills(hint: &Item<'_>) -> u64 {
    match hint.fact() {
        Some(Fact::Oom(OomWord::Counted { kills, .. })) => *kills,
        _ => 1,
    }
}

fn nearest(
    places: &[(i64, usize)],
    at: i64,
    most: usize,
    is_wanted: impl Fn(usize) -> bool,
) -> Vec<usize> {
    let begin = places.partition_point(|(when, _)| *when < at.saturating_sub(NEAR_US));
    let end = at.saturating_add(NEAR_US);
    let near = places.iter().skip(begin).take(WINDOW).take_while(|(when, _)| *when <= end);
    let mut near: Vec<_> = near
        .filter(|(_, place)| is_wanted(*place))
        .map(|(when, place)| (apart(Some(*when), Some(at)), *place))
        .collect();
    near.sort_unstable();
    near.into_iter().take(most).map(|(_, place)| place).collect()
}

/// Nothing speaks against it: no other hand sent the signal, and it did not end by itself.
fn may_be_memory(matter: &Matter<'_>) -> bool {
    let by_other = sent(&matter.items).any(|(_, sent)| {
        sent.signal == Signal::KILL && sent.origin != highwater_core::testimony::Origin::Kernel
    });
    let ended = matter.items.iter().find_map(|item| match item.fact()? {
        Fact::Exited(exit) => Some(exit.status),
        Fact::Unit(UnitWord::MainExited { status, .. }) => *status,
        Fact::Container(ContainerWord::Died { code: Some(code), .. }) => {
            u8::try_from(*code).ok().map(Status::Code)
        }
        _ => None,
    });
    let fits = match ended {
        None => true,
        Some(Status::Signal { signal, .. }) => signal == Signal::KILL,
        Some(Status::Code(code)) => code == 137,
    };
    let is_oom_result = matter.items.iter().any(
        |item| matches!(item.unit(), Some(UnitWord::Result { result, .. }) if result == "oom-kill"),
    );
    !by_other && (fits || is_oom_result)
}

/// The cgroup of a death and all above it; a user's unit is below that user's manager and slice.
fn above(timeline: &Timeline<'_>, matter: &Matter<'_>) -> Vec<String> {
    /// Deeper than any machine nests.
    const DEEP: usize = 32;
    let mut paths = Vec::new();
    let mut path = matter.who.cgroup.as_ref().map(highwater_core::id::CgroupPath::as_str);
    while let Some(now) = path.filter(|now| !now.is_empty() && paths.len() < DEEP) {
        paths.push(now.to_owned());
        if let Some(unit) = now.rsplit('/').next().filter(|unit| is_slice(unit)) {
            paths.push(unit.to_owned());
        }
        path = now.rsplit_once('/').map(|(above, _)| above);
    }
    if let Some(Owner::UserUnit { uid, .. }) =
        matter.owner.and_then(|owner| timeline.owners.get(owner))
    {
        paths.push(format!("user@{uid}.service"));
        paths.push(format!("user-{uid}.slice"));
    }
    paths
}
