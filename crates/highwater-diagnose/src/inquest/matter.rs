//! Which of all that is said is of one death: processes and lives of owners brought together.

use std::collections::{BTreeMap, HashMap};

use highwater_core::id::Pid;
use highwater_core::owner::Owner;
use highwater_core::testimony::{Fact, FaultKind, Origin, Party, Sent, Signal, Status, UnitWord};
use highwater_core::time::BootId;

use super::hands::is_manager;
use super::strand::{DYING_US, LATE_US, Strand, party};
use super::tenure::{Firsts, Tenure};
use super::timeline::{Item, Timeline, apart};

/// An owner's end is told so long after its first process ended, at most.
const EARLY_US: i64 = 10_000_000;

/// What ends many at once ends them within this.
const BURST_US: u64 = 2_000_000;

/// So many processes are looked at for one end: more end within seconds only where somebody makes
/// them for that.
const MOST: usize = 1_024;

/// A process that lived so long is no command of a script: how it ends matters.
const GROWN_MS: u64 = 60_000;

/// One death, and all that is said of it.
#[derive(Clone, Debug)]
pub(super) struct Matter<'t> {
    /// In order of time.
    pub(super) items: Vec<&'t Item<'t>>,
    pub(super) who: Party,
    pub(super) owner: Option<usize>,
    pub(super) is_first: Option<bool>,
    pub(super) end: Option<&'t Item<'t>>,
    pub(super) boot_id: Option<BootId>,
    /// How many others ended with it by the same hand.
    pub(super) company: usize,
    /// How many of these the kernel ended with the first process of their pid namespace.
    pub(super) of_namespace: usize,
    pub(super) tenure: Option<usize>,
}

impl Matter<'_> {
    pub(super) fn at(&self) -> Option<i64> {
        self.end.and_then(|end| end.at)
    }
}

/// Everything that may be joined.
struct Bench<'s, 't> {
    timeline: &'t Timeline<'t>,
    strands: &'s [Strand<'t>],
    tenures: &'s [Tenure<'t>],
    is_taken: Vec<bool>,
    by_pid: HashMap<(Option<BootId>, Pid), Vec<usize>>,
    /// In order of time.
    by_owner: HashMap<usize, Vec<(i64, usize)>>,
    /// Those that nobody knows the owner of, in order of time.
    homeless: Vec<(i64, usize)>,
    /// Those that a container runtime had only just made, in order of time.
    newborn: Vec<(i64, usize)>,
    firsts: &'s Firsts,
    /// Of those that another's end took with it, who may be asked for by their pid.
    carried: Vec<usize>,
}

/// Every death.
pub(super) struct Matters<'t> {
    pub(super) deaths: Vec<Matter<'t>>,
    /// Whoever ended with the first process of their pid namespace. No word that tells of somebody's
    /// death means one of these.
    pub(super) carried: Vec<Matter<'t>>,
}

pub(super) fn all<'t>(
    timeline: &'t Timeline<'t>,
    strands: &[Strand<'t>],
    tenures: &[Tenure<'t>],
    firsts: &Firsts,
) -> Matters<'t> {
    let mut bench = Bench::new(timeline, strands, tenures, firsts);
    let ended = || tenures.iter().enumerate().filter(|(_, tenure)| tenure.end().is_some());
    // What is known comes before what only fits.
    let mut firsts: Vec<(usize, Option<usize>)> =
        ended().map(|(place, tenure)| (place, bench.known(tenure))).collect();
    for (place, first) in &mut firsts {
        *first = first.or_else(|| tenures.get(*place).and_then(|tenure| bench.first(tenure)));
    }
    let mut deaths = Vec::new();
    for (place, first) in firsts {
        deaths.extend(bench.of_tenure(place, first));
    }
    deaths.extend(bench.bursts());
    for place in 0..strands.len() {
        deaths.extend(bench.alone(place));
    }
    let carried = bench.carried.iter().filter_map(|place| bench.carried(*place)).collect();
    Matters { deaths, carried }
}

impl<'s, 't> Bench<'s, 't> {
    fn new(
        timeline: &'t Timeline<'t>,
        strands: &'s [Strand<'t>],
        tenures: &'s [Tenure<'t>],
        firsts: &'s Firsts,
    ) -> Self {
        let mut by_pid: HashMap<_, Vec<usize>> = HashMap::new();
        let mut by_owner: HashMap<usize, Vec<(i64, usize)>> = HashMap::new();
        for (place, strand) in strands.iter().enumerate() {
            by_pid.entry((strand.boot_id, strand.pid)).or_default().push(place);
            if let (Some(owner), Some(at), Some(_)) = (strand.owner, strand.at(), strand.end) {
                by_owner.entry(owner).or_default().push((at, place));
            }
        }
        for places in by_owner.values_mut() {
            places.sort_unstable();
        }
        let homeless = |(place, strand): (usize, &Strand<'_>)| {
            let at = strand.at().filter(|_| strand.owner.is_none() && strand.end.is_some())?;
            Some((at, place))
        };
        let mut homeless: Vec<_> = strands.iter().enumerate().filter_map(homeless).collect();
        homeless.sort_unstable();
        let newborn = |(place, strand): (usize, &Strand<'_>)| {
            Some((strand.at().filter(|_| strand.is_newborn())?, place))
        };
        let mut newborn: Vec<_> = strands.iter().enumerate().filter_map(newborn).collect();
        newborn.sort_unstable();
        let is_taken = vec![false; strands.len()];
        let carried = Vec::new();
        Self {
            timeline,
            strands,
            tenures,
            is_taken,
            by_pid,
            by_owner,
            homeless,
            newborn,
            firsts,
            carried,
        }
    }

    fn is_free(&self, place: usize) -> bool {
        self.is_taken.get(place).is_some_and(|taken| !taken)
    }

    fn take(&mut self, place: usize) {
        if let Some(taken) = self.is_taken.get_mut(place) {
            *taken = true;
        }
    }

    /// The strand whose own end says that it was the first process of this life.
    fn known(&mut self, tenure: &Tenure<'t>) -> Option<usize> {
        let found = tenure.strand.filter(|place| self.is_free(*place))?;
        self.take(found);
        Some(found)
    }

    /// The strand of the first process of a life that ended.
    fn first(&mut self, tenure: &Tenure<'t>) -> Option<usize> {
        let found = self
            .first_by_pid(tenure)
            .or_else(|| self.first_by_owner(tenure))
            .or_else(|| self.first_by_moment(tenure))
            .or_else(|| self.first_by_birth(tenure))?;
        self.take(found);
        Some(found)
    }

    fn first_by_pid(&self, tenure: &Tenure<'t>) -> Option<usize> {
        let (pid, at) = (tenure.first?, tenure.at());
        let places = self.by_pid.get(&(tenure.boot_id, pid))?;
        let gap = |place: &usize| {
            let strand = self.strands.get(*place)?;
            let gap = apart(strand.at(), at).unwrap_or(0);
            let room = if strand.end.is_some() { EARLY_US.unsigned_abs() } else { DYING_US };
            (gap <= room).then_some((gap, *place))
        };
        let places = places.iter().filter(|place| self.is_free(**place));
        places.filter_map(gap).min().map(|(_, place)| place)
    }

    /// Where nobody says which process was the first: one that ended at the same time, and as the
    /// owner is said to have.
    fn first_by_owner(&self, tenure: &Tenure<'t>) -> Option<usize> {
        let at = tenure.at()?;
        let near =
            self.near(tenure.owner, at.saturating_sub(EARLY_US), at.saturating_add(EARLY_US));
        let told = told(&tenure.items);
        let fit = |place: &usize| {
            let strand = self.strands.get(*place)?;
            let other = tenure.first.is_some_and(|first| first != strand.pid);
            let (exit, said) = (strand.exit(), strand.said_first());
            if other || said == Some(false) {
                return None;
            }
            let seen = match exit.map(|exit| exit.status) {
                Some(status) => Some(code(status)),
                None => strand.fatal().map(|(_, sent)| 128 + i32::from(sent.signal.0)),
            };
            let differs = told.zip(seen).map(|(told, seen)| told != seen);
            if differs == Some(true) && exit.is_some() {
                return None;
            }
            let is_quiet = exit.is_some() && !strand.is_memory() && strand.fatal().is_none();
            let is_said = said == Some(true);
            if is_quiet && differs != Some(false) && !is_said {
                return None;
            }
            let gap = apart(strand.at(), Some(at)).unwrap_or(u64::MAX);
            Some((differs.unwrap_or(true), is_quiet, gap, strand.pid, *place))
        };
        near.filter_map(|place| fit(&place)).min().map(|fit| fit.4)
    }

    /// Where a log names processes here and units there, and never one beside the other: the only
    /// one that ended at that moment, and as its unit is said to have.
    fn first_by_moment(&self, tenure: &Tenure<'t>) -> Option<usize> {
        /// A manager hears of an end within milliseconds.
        const TOGETHER_US: i64 = 1_000_000;
        let (at, told) = (tenure.at()?, told(&tenure.items)?);
        if tenure.first.is_some() {
            return None;
        }
        let begin = self.homeless.partition_point(|(end, _)| *end < at.saturating_sub(TOGETHER_US));
        let near = self.homeless.iter().skip(begin).take(MOST);
        let near = near.take_while(|(end, _)| *end <= at.saturating_add(TOGETHER_US / 4));
        let fits = |place: &usize| {
            let strand = self.strands.get(*place).filter(|_| self.is_free(*place));
            strand.is_some_and(|strand| ended_as(strand, told))
        };
        let mut found = near.map(|(_, place)| *place).filter(fits);
        found.next().filter(|_| found.next().is_none())
    }

    /// Where a container's first process was gone before it could be seen in the container's cgroup,
    /// and nobody says its pid: the one that its runtime had just made, and that ended as Docker says,
    /// last before Docker said so. What makes a container ready ends with 0, as many do.
    fn first_by_birth(&self, tenure: &Tenure<'t>) -> Option<usize> {
        /// Docker hears of an end within milliseconds; busy, within this.
        const BEFORE_US: i64 = 2_000_000;
        /// Two clocks.
        const AFTER_US: i64 = 50_000;
        let is_container =
            matches!(self.timeline.owners.get(tenure.owner), Some(Owner::Container(_)));
        if !is_container || tenure.first.is_some() {
            return None;
        }
        let at = tenure.at()?;
        let told = told(&tenure.items).filter(|code| *code != 0)?;
        let end = self.newborn.partition_point(|(end, _)| *end <= at.saturating_add(AFTER_US));
        let near = self.newborn.get(..end)?.iter().rev().take(MOST);
        let mut near = near.take_while(|(end, _)| *end >= at.saturating_sub(BEFORE_US));
        let fits = |place: usize| {
            let strand = self.strands.get(place).filter(|_| self.is_free(place));
            strand.and_then(Strand::exit).is_some_and(|exit| code(exit.status) == told)
        };
        near.find(|(_, place)| fits(*place)).map(|(_, place)| *place)
    }

    /// The free strands of an owner that ended in a span, no more than [`MOST`] of them.
    fn near(&self, owner: usize, from: i64, to: i64) -> impl Iterator<Item = usize> + '_ {
        let places = self.by_owner.get(&owner).map(Vec::as_slice).unwrap_or_default();
        let begin = places.partition_point(|(at, _)| *at < from);
        let span = places.iter().skip(begin).take(MOST).take_while(move |(at, _)| *at <= to);
        span.map(|(_, place)| *place).filter(|place| self.is_free(*place))
    }

    fn of_tenure(&mut self, place: usize, first: Option<usize>) -> Option<Matter<'t>> {
        let tenures = self.tenures;
        let tenure = tenures.get(place)?;
        let strand = first.and_then(|first| self.strands.get(first));
        let mut items = tenure.items.clone();
        let (mut company, before) = (0, self.carried.len());
        if let Some(strand) = strand {
            items.extend(&strand.items);
        }
        for child in self.children(tenure, strand) {
            self.take(child);
            let is_killed = self.strands.get(child).is_some_and(is_killed);
            company += usize::from(is_killed);
            self.carry(child);
        }
        items.sort_by_key(|item| item.at);
        let end = strand.and_then(|strand| strand.end).or_else(|| tenure.end());
        let pid = strand.map(|strand| strand.pid).or(tenure.first);
        let mut who = party(&items, pid);
        who.owner = self.timeline.owners.get(tenure.owner).cloned();
        if strand.is_some_and(Strand::is_newborn) {
            // It was seen where its runtime lives.
            who.cgroup = None;
        }
        Some(Matter {
            items,
            who,
            owner: Some(tenure.owner),
            is_first: Some(true),
            end,
            boot_id: tenure.boot_id,
            company,
            of_namespace: self.carried.len().saturating_sub(before),
            tenure: Some(place),
        })
    }

    /// Those that the end of their owner took with it.
    fn children(&self, tenure: &Tenure<'t>, first: Option<&Strand<'t>>) -> Vec<usize> {
        let Some(end) = first.and_then(Strand::at).or(tenure.at()) else { return Vec::new() };
        let began = tenure.items.iter().find_map(|item| {
            let is_stop = matches!(
                item.unit(),
                Some(UnitWord::Asked { .. } | UnitWord::Stopping | UnitWord::TimedOut { .. })
            );
            item.at.filter(|at| is_stop && apart(Some(*at), Some(end)) <= Some(DYING_US))
        });
        let from = began.unwrap_or(end).min(end).saturating_sub_unsigned(BURST_US);
        let hand = first.and_then(Strand::fatal).and_then(|(_, sent)| sent.by.pid);
        let pid = first.map(|first| first.pid).or(tenure.first);
        // What does not heed the stop is killed when its time is up, long after the first process.
        let last = tenure.items.last().and_then(|item| item.at).unwrap_or(end);
        let until = end.max(last.min(end.saturating_add_unsigned(DYING_US)));
        let near = self.near(tenure.owner, from, until.saturating_add_unsigned(LATE_US));
        let is_child = |place: &usize| {
            self.strands.get(*place).is_some_and(|strand| ends_with(strand, hand, pid))
        };
        near.filter(is_child).collect()
    }

    /// Many that ended at once by one write or one exit, whose owner's end nobody tells of.
    fn bursts(&mut self) -> Vec<Matter<'t>> {
        type Key = (bool, Option<Pid>, Option<usize>, Option<BootId>);
        let mut groups: BTreeMap<Key, Vec<(i64, usize)>> = BTreeMap::new();
        for (place, strand) in self.strands.iter().enumerate() {
            let Some((_, sent)) = strand.fatal().filter(|_| self.is_free(place)) else { continue };
            let of_cgroup = is_of_cgroup(sent);
            if strand.is_memory() || !(of_cgroup || is_of_namespace(sent, strand.pid)) {
                continue;
            }
            let key = (of_cgroup, sent.by.pid, strand.owner, strand.boot_id);
            let at = strand.at().unwrap_or(i64::MIN);
            groups.entry(key).or_default().push((at, place));
        }
        let mut matters = Vec::new();
        for mut group in groups.into_values() {
            group.sort_unstable();
            let near =
                |one: &(i64, usize), other: &(i64, usize)| one.0.abs_diff(other.0) <= BURST_US;
            for burst in group.chunk_by(near) {
                matters.extend(self.burst(burst));
            }
        }
        matters
    }

    fn burst(&mut self, burst: &[(i64, usize)]) -> Option<Matter<'t>> {
        let is_first =
            |place: usize| self.strands.get(place).and_then(Strand::said_first) == Some(true);
        let head = burst.iter().find(|(_, place)| is_first(*place)).or(burst.first())?.1;
        let before = self.carried.len();
        for (_, place) in burst {
            self.take(*place);
            if *place != head {
                self.carry(*place);
            }
        }
        let company = burst.len().saturating_sub(1);
        let of_namespace = self.carried.len().saturating_sub(before);
        Some(Matter { company, of_namespace, ..self.of_strand(head)? })
    }

    /// Remembers one that ended with the first process of its pid namespace.
    fn carry(&mut self, place: usize) {
        let strand = self.strands.get(place);
        let fatal = strand.and_then(|strand| Some((strand.pid, strand.fatal()?.1)));
        if fatal.is_some_and(|(pid, sent)| is_of_namespace(sent, pid)) {
            self.carried.push(place);
        }
    }

    /// Its own death; it was the first process of nothing.
    fn carried(&self, place: usize) -> Option<Matter<'t>> {
        Some(Matter { is_first: Some(false), ..self.of_strand(place)? })
    }

    /// A process by itself, if its end is a death.
    fn alone(&mut self, place: usize) -> Option<Matter<'t>> {
        let strand = self.strands.get(place).filter(|_| self.is_free(place))?;
        let is_first = self.is_first(strand);
        let owner = strand.owner.and_then(|owner| self.timeline.owners.get(owner));
        if !is_death(strand, is_first, owner) {
            return None;
        }
        self.take(place);
        self.of_strand(place)
    }

    fn of_strand(&self, place: usize) -> Option<Matter<'t>> {
        let strand = self.strands.get(place)?;
        let owner = strand.owner;
        let mut who = strand.party();
        who.owner = owner.and_then(|owner| self.timeline.owners.get(owner)).cloned();
        Some(Matter {
            items: strand.items.clone(),
            who,
            owner,
            is_first: self.is_first(strand),
            end: strand.end.or(strand.items.last().copied()),
            boot_id: strand.boot_id,
            company: 0,
            of_namespace: 0,
            tenure: None,
        })
    }

    /// By its own end; else its owner lives on with another first process.
    fn is_first(&self, strand: &Strand<'_>) -> Option<bool> {
        let said = match strand.owner {
            Some(owner) => self.firsts.is_first(owner, strand),
            None => strand.said_first(),
        };
        if said.is_some() {
            return said;
        }
        let at = strand.at()?;
        // Lives stand in order of owner and time.
        let key = |tenure: &Tenure<'_>| {
            (tenure.owner, tenure.started.or(tenure.end()).and_then(|item| item.at))
        };
        let after = self
            .tenures
            .partition_point(|tenure| key(tenure) <= (strand.owner.unwrap_or(0), Some(at)));
        let tenure = self.tenures.get(after.checked_sub(1)?)?;
        let is_of_it = Some(tenure.owner) == strand.owner
            && tenure.first.is_some()
            && tenure.at().is_none_or(|end| end >= at.saturating_sub(EARLY_US));
        is_of_it.then(|| tenure.first == Some(strand.pid))
    }
}

/// What little is known of it goes with this code.
fn ended_as(strand: &Strand<'_>, told: i32) -> bool {
    if strand.exit().is_some() {
        return false;
    }
    let of_fault = strand.items.iter().find_map(|item| match item.fact() {
        Some(Fact::Faulted(fault)) => Some(signal_of(fault.kind)),
        _ => None,
    });
    match of_fault {
        Some(signal) => told == 128 + i32::from(signal.0),
        None => strand.is_memory() && matches!(told, 137 | 143),
    }
}

const fn signal_of(kind: FaultKind) -> Signal {
    match kind {
        FaultKind::Segfault | FaultKind::GeneralProtection => Signal::SEGV,
        FaultKind::InvalidOpcode => Signal::ILL,
        FaultKind::DivideError => Signal::FPE,
        FaultKind::Bus => Signal::BUS,
        FaultKind::Trap => Signal::TRAP,
        FaultKind::Seccomp => Signal::SYS,
    }
}

/// A signal ended it.
fn is_killed(strand: &Strand<'_>) -> bool {
    let status = strand.exit().map(|exit| exit.status);
    status.map_or(strand.fatal().is_some(), |status| matches!(status, Status::Signal { .. }))
}

/// Whether its owner's end explains this one. `hand`: who ended the first process, `first`.
fn ends_with(strand: &Strand<'_>, hand: Option<Pid>, first: Option<Pid>) -> bool {
    if strand.is_memory() || is_fault(strand) {
        return false;
    }
    match strand.fatal() {
        Some((_, sent)) => {
            is_manager(&sent.by, &strand.party())
                || (hand.is_some() && sent.by.pid == hand)
                || (sent.by.pid.is_some() && sent.by.pid == first)
                || is_of_namespace(sent, strand.pid)
        }
        None => true,
    }
}

fn is_fault(strand: &Strand<'_>) -> bool {
    let says = |item: &&Item<'_>| {
        matches!(
            item.fact(),
            Some(
                Fact::Faulted(_) | Fact::NoMemory { .. } | Fact::Unit(UnitWord::CoreDumped { .. })
            )
        )
    };
    let status = strand.exit().map(|exit| exit.status);
    let is_polite_end = match status {
        Some(Status::Signal { signal, .. }) => signal == Signal::KILL || is_polite(signal),
        Some(Status::Code(_)) | None => true,
    };
    !is_polite_end || strand.items.iter().any(says)
}

/// What a write to `cgroup.kill` sends: the kernel does it on somebody's behalf, task by task.
pub(super) fn is_of_cgroup(sent: &Sent) -> bool {
    sent.signal == Signal::KILL && sent.origin == Origin::User && !sent.to_process
}

/// What a dying init of a pid namespace sends to all in it; the OOM killer's looks the same.
pub(super) fn is_of_namespace(sent: &Sent, target: Pid) -> bool {
    sent.to_process && is_for_another(sent, target)
}

/// What the kernel sends to a traced task whose tracer ends.
pub(super) fn is_of_tracer(sent: &Sent, target: Pid) -> bool {
    !sent.to_process && is_for_another(sent, target)
}

/// The kernel killed it while it worked for another process.
fn is_for_another(sent: &Sent, target: Pid) -> bool {
    sent.signal == Signal::KILL
        && sent.origin == Origin::Kernel
        && sent.by.pid.is_some_and(|by| by != target)
}

/// A request to end that a program may refuse, or the end of a terminal or a pipe.
fn is_polite(signal: Signal) -> bool {
    matches!(signal, Signal::HUP | Signal::INT | Signal::PIPE | Signal::ALRM | Signal::TERM)
}

/// What a status looks like to a shell.
pub(super) fn code(status: Status) -> i32 {
    match status {
        Status::Code(code) => i32::from(code),
        Status::Signal { signal, .. } => 128 + i32::from(signal.0),
    }
}

/// With what an owner's manager says that it ended, as a shell has it.
pub(super) fn told(items: &[&Item<'_>]) -> Option<i32> {
    use highwater_core::testimony::{ContainerWord, PodWord};
    items.iter().find_map(|item| match item.fact()? {
        Fact::Unit(UnitWord::MainExited { status, .. }) => status.map(code),
        Fact::Container(ContainerWord::Died { code, .. })
        | Fact::Pod(PodWord::Terminated { code, .. }) => *code,
        _ => None,
    })
}

/// Whether the end of a process that nothing else tells of is a death: whatever did not end by
/// itself. A command that ends with 1 is none.
fn is_death(strand: &Strand<'_>, is_first: Option<bool>, owner: Option<&Owner>) -> bool {
    if strand.end.is_none() {
        return false;
    }
    // What it survived, and ended well after, is not what ended it.
    let is_clean = strand.exit().is_some_and(|exit| exit.status == Status::Code(0));
    if strand.is_memory() || (is_fault(strand) && !is_clean) {
        return true;
    }
    // A first process alone in a plain cgroup is one as any other.
    let has_manager = !matches!(owner, None | Some(Owner::Cgroup(_) | Owner::Session(_)));
    if is_first == Some(true) && has_manager {
        return true;
    }
    let is_first = is_first.filter(|_| has_manager);
    let Some(exit) = strand.exit() else { return true };
    match exit.status {
        Status::Code(0) => false,
        Status::Code(_) => {
            let is_plain = matches!(owner, None | Some(Owner::Cgroup(_)));
            let is_grown = exit.lived_ms.is_some_and(|lived| lived >= GROWN_MS);
            is_first.is_none() && (is_plain || is_grown)
        }
        // Also what its own parent sent: somebody may ask for it by its number.
        Status::Signal { .. } => true,
    }
}
