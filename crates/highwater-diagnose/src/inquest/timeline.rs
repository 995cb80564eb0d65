//! Everything that was said, on one line of time, and by whom it is owned.
//!
//! Witnesses date by different clocks: the kernel by the boot clock, Docker by the wall clock, the
//! recorder by both. Whatever has both ties the two clocks together; what cannot be dated beside the
//! rest stands before it all, and is joined by the process's number alone.

use std::cmp::Ordering;
use std::collections::HashMap;

use highwater_core::evidence::Evidence;
use highwater_core::id::{CgroupPath, Pid, StartTicks};
use highwater_core::owner::{Owner, container_id_of_path, is_container_id};
use highwater_core::testimony::{Fact, OomWord, Party, Testimony, UnitWord, Witness};
use highwater_core::time::{BootId, BootTime, WallTime};

use super::{Heard, Hearing, OomKill};

/// What was said, either way.
#[derive(Clone, Copy, Debug)]
pub(super) enum Said<'a> {
    Heard(&'a Testimony),
    Kill(&'a OomKill),
}

/// One statement in its place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item<'a> {
    /// Microseconds on the common line of time.
    pub(super) at: Option<i64>,
    pub(super) wall: Option<WallTime>,
    pub(super) boot: Option<BootTime>,
    pub(super) boot_id: Option<BootId>,
    /// Whose: the place in [`Timeline::owners`].
    pub(super) owner: Option<usize>,
    /// Not everybody can have written this.
    pub(super) is_vouched: bool,
    pub(super) said: Said<'a>,
}

impl<'a> Item<'a> {
    pub(super) fn fact(&self) -> Option<&'a Fact> {
        match self.said {
            Said::Heard(testimony) => Some(&testimony.fact),
            Said::Kill(_) => None,
        }
    }

    pub(super) fn kill(&self) -> Option<&'a OomKill> {
        match self.said {
            Said::Kill(kill) => Some(kill),
            Said::Heard(_) => None,
        }
    }

    pub(super) fn unit(&self) -> Option<&'a UnitWord> {
        match self.fact() {
            Some(Fact::Unit(word)) => Some(word),
            _ => None,
        }
    }

    pub(super) fn about(&self) -> Option<&'a Party> {
        match self.said {
            Said::Heard(testimony) => Some(&testimony.about),
            Said::Kill(_) => None,
        }
    }

    pub(super) fn witness(&self) -> Witness {
        match self.said {
            Said::Heard(testimony) => testimony.witness,
            Said::Kill(kill) if kill.cause.is_program() => Witness::Journal,
            Said::Kill(_) => Witness::Kmsg,
        }
    }

    pub(super) fn evidence(&self) -> &'a Evidence {
        match self.said {
            Said::Heard(testimony) => &testimony.evidence,
            Said::Kill(kill) => &kill.evidence,
        }
    }

    pub(super) fn cgroup(&self) -> Option<&'a CgroupPath> {
        match self.said {
            Said::Heard(testimony) => testimony.about.cgroup.as_ref(),
            Said::Kill(kill) => kill.cgroup.as_ref(),
        }
    }

    /// The process whose end this tells of; `None` of what is said of an owner.
    pub(super) fn process(&self) -> Option<Pid> {
        match self.said {
            Said::Kill(kill) => kill.pid,
            Said::Heard(testimony) => match &testimony.fact {
                Fact::Unit(UnitWord::CoreDumped { pid, .. }) => pid.or(testimony.about.pid),
                Fact::Exited(_)
                | Fact::Signalled(_)
                | Fact::Oom(OomWord::Marked)
                | Fact::Faulted(_)
                | Fact::NoMemory { .. }
                | Fact::KilledBy { .. }
                | Fact::Audit(_) => testimony.about.pid,
                _ => None,
            },
        }
    }

    pub(super) fn start(&self) -> Option<StartTicks> {
        self.about().and_then(|about| about.start)
    }

    /// Who it is about, as far as this says.
    pub(super) fn party(&self) -> Party {
        match self.said {
            Said::Heard(testimony) => testimony.about.clone(),
            Said::Kill(kill) => Party {
                pid: kill.pid,
                comm: kill.comm.clone(),
                cgroup: kill.cgroup.clone(),
                ..Party::default()
            },
        }
    }
}

/// The span between two moments; `None` if one is not known.
pub(super) fn apart(one: Option<i64>, other: Option<i64>) -> Option<u64> {
    Some(one?.abs_diff(other?))
}

/// All of it, in order.
#[derive(Debug)]
pub(super) struct Timeline<'a> {
    pub(super) items: Vec<Item<'a>>,
    pub(super) owners: Owners,
}

impl<'a> Timeline<'a> {
    pub(super) fn of(hearing: &Hearing<'a>) -> Self {
        let clocks = Clocks::of(hearing);
        let mut owners = Owners::of(hearing);
        let mut items: Vec<Item<'a>> = Vec::new();
        for heard in hearing.heard {
            let boot_id = clocks.boot_id(heard.boot_id);
            let said = Said::Heard(&heard.testimony);
            let owner = owners.of_party(&heard.testimony.about);
            let at = clocks.at(heard.wall, heard.boot, heard.boot_id);
            let wall = heard.wall.or_else(|| clocks.wall(heard.boot, boot_id));
            let boot = heard.boot;
            let is_vouched = is_vouched(heard);
            items.push(Item { at, wall, boot, boot_id, owner, is_vouched, said });
        }
        for kill in hearing.kills {
            let boot_id = clocks.boot_id(kill.boot_id);
            let party = Party { cgroup: kill.cgroup.clone(), ..Party::default() };
            let owner = owners.of_party(&party);
            let at = clocks.at(kill.wall, kill.boot, kill.boot_id);
            let wall = kill.wall.or_else(|| clocks.wall(kill.boot, boot_id));
            let (boot, said) = (kill.boot, Said::Kill(kill));
            items.push(Item { at, wall, boot, boot_id, owner, is_vouched: true, said });
        }
        items.sort_by(order);
        items.dedup_by(|one, other| is_same(one, other));
        Self { items, owners }
    }
}

/// Whether it is known who wrote it. Of the lines of logs only the journal knows, and only its
/// entries name their boot: a file of text has nothing but a name that anybody can choose.
fn is_vouched(heard: &Heard) -> bool {
    /// What is cited of a line of which only the name before the words is known.
    const TEXT: &str = "log";
    let Testimony { witness, evidence, .. } = &heard.testimony;
    *witness != Witness::Journal || (evidence.source != TEXT && heard.boot_id.is_some())
}

/// By time; at one moment by what is said, so that the order in which it came does not matter.
fn order(one: &Item<'_>, other: &Item<'_>) -> Ordering {
    let time = |item: &Item<'_>| (item.at, item.boot, item.boot_id, item.witness());
    time(one).cmp(&time(other)).then_with(|| match (one.said, other.said) {
        (Said::Heard(_), Said::Kill(_)) => Ordering::Less,
        (Said::Kill(_), Said::Heard(_)) => Ordering::Greater,
        (Said::Kill(one), Said::Kill(other)) => {
            (one.pid, one.key).cmp(&(other.pid, other.key)).then_with(|| spelled(one, other))
        }
        (Said::Heard(one), Said::Heard(other)) => {
            let plain = |said: &Testimony| (said.about.pid, said.about.start);
            plain(one)
                .cmp(&plain(other))
                .then_with(|| one.about.owner.cmp(&other.about.owner))
                .then_with(|| one.about.cgroup.cmp(&other.about.cgroup))
                .then_with(|| one.evidence.text.cmp(&other.evidence.text))
                .then_with(|| spelled(one, other))
        }
    })
}

/// The last resort: nothing else tells the two apart.
fn spelled<T: std::fmt::Debug>(one: &T, other: &T) -> Ordering {
    format!("{one:?}").cmp(&format!("{other:?}"))
}

fn is_same(one: &Item<'_>, other: &Item<'_>) -> bool {
    if one.at != other.at || one.boot_id != other.boot_id {
        return false;
    }
    match (one.said, other.said) {
        (Said::Heard(one), Said::Heard(other)) => one == other,
        (Said::Kill(one), Said::Kill(other)) => one == other,
        _ => false,
    }
}

/// How the clocks of one boot go together: moments known by both, as the boot clock has them, and how
/// far the wall clock was ahead of it then.
#[derive(Debug, Default)]
struct Ties {
    /// In the order of the boot clock.
    by_boot: Vec<(i64, i64)>,
    /// The same in the order of the wall clock: by that first.
    by_wall: Vec<(i64, i64)>,
    /// The newest that names its boot: a file of text may hold many boots, and names none.
    newest: Option<(i64, i64)>,
}

impl Ties {
    fn push(&mut self, wall: WallTime, boot: BootTime, is_named: bool) {
        let (wall, boot) = (wall.millis().saturating_mul(1000), micros(boot));
        let ahead = wall.saturating_sub(boot);
        self.by_boot.push((boot, ahead));
        self.by_wall.push((wall, ahead));
        self.newest = self.newest.max(is_named.then_some((boot, ahead)));
    }

    fn sort(&mut self) {
        self.by_boot.sort_unstable();
        self.by_wall.sort_unstable();
    }

    /// What the line of time is ahead of the boot clock, all through the boot: a wall clock that is
    /// set meanwhile must not tear apart what belongs together.
    fn offset(&self) -> Option<i64> {
        self.newest.map(|(_, ahead)| ahead)
    }
}

/// How far the wall clock was ahead at the tie that is the nearest.
fn nearest(ties: &[(i64, i64)], moment: i64) -> Option<i64> {
    let after = ties.partition_point(|(tie, _)| *tie < moment);
    let near = [after.checked_sub(1), Some(after)];
    let near = near.into_iter().flatten().filter_map(|place| ties.get(place));
    near.min_by_key(|(tie, _)| tie.abs_diff(moment)).map(|(_, ahead)| *ahead)
}

/// How the clocks go together.
#[derive(Debug)]
struct Clocks {
    ties: HashMap<Option<BootId>, Ties>,
    /// The only boot there is.
    only: Option<BootId>,
    has_wall: bool,
}

impl Clocks {
    fn of(hearing: &Hearing<'_>) -> Self {
        let heard = hearing.heard.iter().map(|heard| (heard.wall, heard.boot, heard.boot_id));
        let kills = hearing.kills.iter().map(|kill| (kill.wall, kill.boot, kill.boot_id));
        let moments: Vec<_> = heard.chain(kills).collect();
        let mut boots: Vec<BootId> = moments.iter().filter_map(|(.., boot)| *boot).collect();
        boots.sort_unstable();
        boots.dedup();
        let only = match *boots.as_slice() {
            [only] => Some(only),
            _ => None,
        };
        let mut ties: HashMap<Option<BootId>, Ties> = HashMap::new();
        for (wall, boot, boot_id) in &moments {
            if let (Some(wall), Some(boot)) = (wall, boot) {
                ties.entry(boot_id.or(only)).or_default().push(*wall, *boot, boot_id.is_some());
            }
        }
        for ties in ties.values_mut() {
            ties.sort();
        }
        let has_wall = moments.iter().any(|(wall, ..)| wall.is_some());
        Self { ties, only, has_wall }
    }

    fn boot_id(&self, boot_id: Option<BootId>) -> Option<BootId> {
        boot_id.or(self.only)
    }

    fn at(
        &self,
        wall: Option<WallTime>,
        boot: Option<BootTime>,
        boot_id: Option<BootId>,
    ) -> Option<i64> {
        if let Some(at) = boot_id.and_then(|boot_id| self.in_boot(wall, boot, boot_id)) {
            return Some(at);
        }
        if let Some(wall) = wall {
            return Some(wall.millis().saturating_mul(1000));
        }
        let boot = micros(boot?);
        if !self.has_wall {
            return Some(boot);
        }
        let ties = self.ties.get(&self.boot_id(boot_id))?;
        Some(boot.saturating_add(nearest(&ties.by_boot, boot)?))
    }

    /// Where the boot is named: by its own clock, which nobody sets.
    fn in_boot(
        &self,
        wall: Option<WallTime>,
        boot: Option<BootTime>,
        boot_id: BootId,
    ) -> Option<i64> {
        let ties = self.ties.get(&Some(boot_id))?;
        let offset = ties.offset()?;
        if let Some(boot) = boot {
            return Some(micros(boot).saturating_add(offset));
        }
        let wall = wall?.millis().saturating_mul(1000);
        let set = offset.saturating_sub(nearest(&ties.by_wall, wall)?);
        // Until the clock is set it goes with the boot clock, but for the milliseconds it is read in.
        let is_set = set.unsigned_abs() > STEP_US;
        Some(wall.saturating_add(if is_set { set } else { 0 }))
    }

    /// What the wall clock showed.
    fn wall(&self, boot: Option<BootTime>, boot_id: Option<BootId>) -> Option<WallTime> {
        let boot = micros(boot?);
        let ahead = nearest(&self.ties.get(&boot_id)?.by_boot, boot)?;
        Some(WallTime::from_millis(boot.saturating_add(ahead).div_euclid(1000)))
    }
}

/// Two readings of the clocks that differ by less say nothing of the wall clock.
const STEP_US: u64 = 5_000;

fn micros(boot: BootTime) -> i64 {
    i64::try_from(boot.micros()).unwrap_or(i64::MAX)
}

/// Every owner that is named, each under one name.
#[derive(Debug, Default)]
pub(super) struct Owners {
    names: Vec<Owner>,
    places: HashMap<Owner, usize>,
    /// What containers are called, by their id.
    aliases: HashMap<String, Owner>,
}

impl Owners {
    fn of(hearing: &Hearing<'_>) -> Self {
        let mut aliases: HashMap<String, Owner> = HashMap::new();
        for heard in hearing.heard {
            let about = &heard.testimony.about;
            let (Some(id), Some(owner)) = (&about.container_id, &about.owner) else { continue };
            if !names_container(owner) {
                continue;
            }
            // A pod says more than a container's name; of two names any will do, if always the same.
            match aliases.get_mut(id) {
                Some(known) if alias_order(owner) < alias_order(known) => *known = owner.clone(),
                Some(_) => {}
                None => {
                    aliases.insert(id.clone(), owner.clone());
                }
            }
        }
        Self { aliases, ..Self::default() }
    }

    pub(super) fn get(&self, place: usize) -> Option<&Owner> {
        self.names.get(place)
    }

    /// Whose it is: a container by the name that is known for its id. The machine owns nothing.
    pub(super) fn name(&self, party: &Party) -> Option<Owner> {
        let told = party.owner.as_ref();
        let of_owner = told.and_then(Owner::container).filter(|id| is_container_id(id));
        let of_path = || container_id_of_path(party.cgroup.as_ref()?.as_str());
        let id = party.container_id.as_deref().or(of_owner).or_else(of_path);
        if let Some(named) = id.and_then(|id| self.aliases.get(id)) {
            return Some(named.clone());
        }
        let path = || Some(Owner::of_path(party.cgroup.as_ref()?.as_str()));
        told.cloned().or_else(path).filter(|owner| *owner != Owner::Machine)
    }

    fn of_party(&mut self, party: &Party) -> Option<usize> {
        let owner = self.name(party)?;
        if let Some(place) = self.places.get(&owner) {
            return Some(*place);
        }
        let place = self.names.len();
        self.names.push(owner.clone());
        self.places.insert(owner, place);
        Some(place)
    }
}

fn names_container(owner: &Owner) -> bool {
    match owner {
        Owner::Container(name) => !is_container_id(name),
        Owner::Pod { .. } => true,
        _ => false,
    }
}

fn alias_order(owner: &Owner) -> (bool, &Owner) {
    (!matches!(owner, Owner::Pod { .. }), owner)
}
