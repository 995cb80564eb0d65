//! The lives of owners, and what hangs under memory without an end.

use std::collections::BTreeMap;
use std::time::Duration;

use highwater_core::id::CgroupPath;
use highwater_core::testimony::{Fact, OomWord};
use highwater_core::time::WallTime;

use super::matter::Matter;
use super::scene::{claim, limits};
use super::strand::Strand;
use super::tenure::{Tenure, is_given_up};
use super::timeline::{Item, Timeline};
use super::{Life, Stuck};

/// Every life, oldest first. `deaths`: the place of each matter's verdict, if it was put into words.
pub(super) fn all<'t>(
    timeline: &Timeline<'t>,
    strands: &[Strand<'t>],
    tenures: &[Tenure<'t>],
    matters: &[Matter<'t>],
    deaths: &[Option<usize>],
) -> Vec<Life> {
    let of_tenure: BTreeMap<usize, (Option<usize>, &Matter<'t>)> = matters
        .iter()
        .zip(deaths)
        .filter_map(|(matter, death)| Some((matter.tenure?, (*death, matter))))
        .collect();
    let mut lives: Vec<Life> = Vec::new();
    for (place, tenure) in tenures.iter().enumerate() {
        let Some(owner) = timeline.owners.get(tenure.owner) else { continue };
        let death = of_tenure.get(&place);
        let first = death.and_then(|(_, matter)| matter.who.pid).or(tenure.first);
        let ended = tenure.end().and_then(|end| end.wall);
        let next = tenures.get(place.saturating_add(1));
        let next = next.filter(|next| next.owner == tenure.owner);
        let closed = || next.and_then(|next| next.started).and_then(|start| start.wall);
        let cgroup = tenure.items.iter().find_map(|item| item.cgroup());
        let of_process = || strands.get(tenure.strand?)?.party().cgroup;
        lives.push(Life {
            owner: owner.clone(),
            cgroup: cgroup.cloned().or_else(of_process),
            started: started(tenure).or_else(|| began(tenure, death)),
            ended: ended.or_else(closed),
            first,
            death: death.and_then(|(death, _)| *death),
            limits: tenure.started.and_then(limits).cloned(),
            is_given_up: is_given_up(tenure),
        });
    }
    lives.sort_by(|one, other| {
        let key = |life: &Life| (life.started.or(life.ended), life.ended, life.first);
        key(one).cmp(&key(other)).then_with(|| one.owner.cmp(&other.owner))
    });
    lives
}

/// When its manager says that it started; one that is told of after the end says nothing of that.
fn started(tenure: &Tenure<'_>) -> Option<WallTime> {
    let started = tenure.started?.wall?;
    let ended = tenure.end().and_then(|end| end.wall);
    ended.is_none_or(|ended| started <= ended).then_some(started)
}

/// When its first process began, where the end says how long that lived.
fn began(tenure: &Tenure<'_>, death: Option<&(Option<usize>, &Matter<'_>)>) -> Option<WallTime> {
    let exit = death?.1.items.iter().find_map(|item| match item.fact() {
        Some(Fact::Exited(exit)) => exit.lived_ms,
        _ => None,
    })?;
    Some(tenure.end()?.wall?.before(Duration::from_millis(exit)))
}

/// Every time that a cgroup was out of memory and nothing might be killed, oldest first.
pub(super) fn stuck(timeline: &Timeline<'_>) -> Vec<Stuck> {
    let mut open: BTreeMap<&CgroupPath, (usize, Stuck)> = BTreeMap::new();
    let mut all: Vec<(usize, Stuck)> = Vec::new();
    for (place, item) in timeline.items.iter().enumerate() {
        let Some(path) = item.cgroup() else { continue };
        match item.fact() {
            Some(Fact::Oom(OomWord::Stuck)) => {
                open.entry(path).or_insert_with(|| (place, begun(timeline, item)));
            }
            Some(Fact::Oom(OomWord::Unstuck)) => {
                if let Some((place, stuck)) = open.remove(path) {
                    all.push((place, Stuck { until: item.wall, ..stuck }));
                }
            }
            _ => {}
        }
    }
    all.extend(open.into_values());
    all.sort_by_key(|(place, _)| *place);
    all.into_iter().map(|(_, stuck)| stuck).collect()
}

fn begun<'t>(timeline: &Timeline<'t>, item: &Item<'t>) -> Stuck {
    let mut who = item.party();
    who.owner = timeline.owners.name(&who);
    let text = "It is out of memory, and its OOM killer is switched off: its processes hang until memory is freed or its limit is raised.";
    Stuck { who, since: item.wall, until: None, claim: claim(text.to_owned(), [item]) }
}
