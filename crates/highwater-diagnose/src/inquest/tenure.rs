//! What managers say of an owner, life by life: from a start to an end.
//!
//! ```text
//! Start ── Before (asked, stopping, signals) ── End, hard or soft ── After ── Start …
//! ```
//!
//! A hard end is that of the first process; a soft one is what a manager says of the whole. A start
//! or an end that nobody saw is closed by the next word that cannot belong to the same life.

use std::collections::{BTreeMap, HashSet};

use highwater_core::id::{Pid, StartTicks};
use highwater_core::owner::{Owner, container_id_of_path};
use highwater_core::testimony::{ContainerWord, Fact, Job, PodWord, UnitWord};
use highwater_core::time::BootId;

use super::matter::{code, told};
use super::strand::{DYING_US, LATE_US, Strand};
use super::timeline::{Item, Owners, Timeline, apart};

/// Two witnesses of one start or end are apart by less.
const SAME_US: u64 = 10_000_000;

/// A container that is restarted is said to have been once it runs again.
const RESTARTED_US: u64 = 60_000_000;

/// One life of an owner.
#[derive(Clone, Debug, Default)]
pub(super) struct Tenure<'t> {
    pub(super) owner: usize,
    pub(super) boot_id: Option<BootId>,
    pub(super) started: Option<&'t Item<'t>>,
    pub(super) first: Option<Pid>,
    invocation: Option<&'t str>,
    /// The container's id: a name may be given to another container.
    container: Option<&'t str>,
    /// The end of its first process.
    pub(super) hard: Option<&'t Item<'t>>,
    /// The end of all of it.
    pub(super) soft: Option<&'t Item<'t>>,
    /// The strand of its first process, where its own end says that it was first.
    pub(super) strand: Option<usize>,
    /// In order of time; those of the strand are not among them.
    pub(super) items: Vec<&'t Item<'t>>,
}

impl<'t> Tenure<'t> {
    pub(super) fn end(&self) -> Option<&'t Item<'t>> {
        self.hard.or(self.soft)
    }

    pub(super) fn at(&self) -> Option<i64> {
        self.end().and_then(|end| end.at)
    }

    fn is_empty(&self) -> bool {
        self.started.is_none() && self.end().is_none()
    }
}

/// What a word is in a life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Start,
    Hard,
    Soft,
    /// An end of all that is not said to belong to a life: a killer's own word.
    Killed,
    Before,
    After,
    /// Of the life before: it was restarted.
    Restarted,
}

/// A word, or the end of a process that was the first of its owner.
#[derive(Clone, Copy, Debug)]
struct Step<'t> {
    item: &'t Item<'t>,
    part: Part,
    pid: Option<Pid>,
    invocation: Option<&'t str>,
    strand: Option<usize>,
    /// With what it ended, as a shell has it, and when it began: of the end of a process.
    code: Option<i32>,
    began: Option<i64>,
}

fn part(item: &Item<'_>) -> Option<Part> {
    match item.fact() {
        None => Some(Part::Killed).filter(|_| item.process().is_none()),
        Some(Fact::KilledBy { .. }) => Some(Part::Killed).filter(|_| item.process().is_none()),
        Some(Fact::Unit(word)) => of_unit(word),
        Some(Fact::Container(word)) => match word {
            ContainerWord::Started { .. } => Some(Part::Start),
            ContainerWord::Died { .. } => Some(Part::Hard),
            ContainerWord::Kill { .. } => Some(Part::Before),
            ContainerWord::Stopped | ContainerWord::Destroyed => Some(Part::After),
            ContainerWord::Restarted => Some(Part::Restarted),
            ContainerWord::Oom | ContainerWord::Health { .. } => None,
        },
        Some(Fact::Pod(word)) => match word {
            PodWord::Terminated { .. } => Some(Part::Hard),
            _ => Some(Part::Before),
        },
        _ => None,
    }
}

fn of_unit(word: &UnitWord) -> Option<Part> {
    Some(match word {
        UnitWord::Asked { job: Job::Start }
        | UnitWord::OutOfMemory
        | UnitWord::CoreDumped { .. } => return None,
        UnitWord::Started { .. } => Part::Start,
        UnitWord::MainExited { .. } => Part::Hard,
        UnitWord::Result { result, .. } if result == "start-limit-hit" => Part::After,
        UnitWord::Result { .. } | UnitWord::Stopped => Part::Soft,
        UnitWord::OomdKill { .. } => Part::Killed,
        UnitWord::RestartScheduled { .. } | UnitWord::StartLimitHit => Part::After,
        UnitWord::Asked { .. }
        | UnitWord::Stopping
        | UnitWord::Watchdog { .. }
        | UnitWord::TimedOut { .. }
        | UnitWord::Kills { .. } => Part::Before,
    })
}

/// Whether this owner has a first process and lives: a slice or a mount has none.
fn lives(owner: &Owner) -> bool {
    match owner {
        Owner::Unit(unit) | Owner::UserUnit { unit, .. } | Owner::Session(unit) => {
            let kind = unit.rsplit_once('.').map(|(_, kind)| kind);
            matches!(kind, Some("service" | "scope"))
        }
        Owner::Container(_) | Owner::Pod { .. } => true,
        Owner::Machine | Owner::Cgroup(_) => false,
    }
}

impl<'t> Step<'t> {
    fn of(item: &'t Item<'t>) -> Option<Self> {
        let part = part(item)?;
        let about = item.about().and_then(|about| about.pid);
        let (pid, invocation) = match item.fact() {
            Some(Fact::Unit(
                UnitWord::Started { main, invocation, .. }
                | UnitWord::MainExited { main, invocation, .. },
            )) => (main.or(about), invocation.as_deref()),
            Some(Fact::Unit(UnitWord::Result { invocation, .. })) => (None, invocation.as_deref()),
            Some(Fact::Container(ContainerWord::Started { first, .. })) => (first.or(about), None),
            Some(Fact::Container(_)) => (about, None),
            _ => (None, None),
        };
        Some(Self { item, part, pid, invocation, strand: None, code: None, began: None })
    }

    /// The end of a process that was the first of its owner.
    fn of_strand(place: usize, strand: &Strand<'t>) -> Option<Self> {
        let item = strand.end?;
        let exit = strand.exit();
        let lived_us = exit.and_then(|exit| exit.lived_ms?.checked_mul(1_000));
        Some(Self {
            item,
            part: Part::Hard,
            pid: Some(strand.pid),
            invocation: None,
            strand: Some(place),
            code: exit.map(|exit| code(exit.status)),
            began: item.at.zip(lived_us).and_then(|(at, lived)| at.checked_sub_unsigned(lived)),
        })
    }

    fn container(&self) -> Option<&'t str> {
        let of_path = || container_id_of_path(self.item.cgroup()?.as_str());
        self.item.about().and_then(|about| about.container_id.as_deref()).or_else(of_path)
    }

    fn is_docker_end(&self) -> bool {
        is_docker_end(self.item)
    }
}

fn is_docker_end(item: &Item<'_>) -> bool {
    matches!(item.fact(), Some(Fact::Container(ContainerWord::Died { .. })))
}

/// The lives of one owner, while they are read.
struct Reading<'t> {
    done: Vec<Tenure<'t>>,
    now: Tenure<'t>,
    /// With what the process ended that stands for the first one of this life.
    code: Option<i32>,
    /// Strands that passed for a first process, and ended otherwise than their container did.
    disowned: Vec<usize>,
}

impl<'t> Reading<'t> {
    fn new(owner: usize) -> Self {
        let now = Tenure { owner, ..Tenure::default() };
        Self { done: Vec::new(), now, code: None, disowned: Vec::new() }
    }

    fn take(&mut self, step: &Step<'t>) {
        let can_join = match step.part {
            Part::Start => self.is_late_start(step) || self.is_same_start(step),
            Part::Hard => self.is_same_end(step),
            Part::Killed => !self.is_over_since(step, SAME_US),
            Part::Soft => {
                // A manager may say late what became of it, but it does not end twice.
                if self.now.end().is_some() && self.is_over_since(step, DYING_US) {
                    return;
                }
                self.is_of_this_life(step)
            }
            Part::Restarted => return self.restarted(step.item),
            Part::Before | Part::After => true,
        };
        if !can_join {
            self.next();
        } else if self.is_not_as_told(step) {
            self.disown();
        }
        self.learn(step);
    }

    /// Docker says what the container ended with: a process of it that ended otherwise just before,
    /// and that Docker does not call the first, only made it ready.
    fn is_not_as_told(&self, step: &Step<'_>) -> bool {
        let ended = told(&[step.item]).zip(self.code);
        let named = self.now.started.and_then(|start| Step::of(start)?.pid);
        step.is_docker_end()
            && self.now.strand.is_some()
            && named.is_none()
            && step.pid.is_none()
            && ended.is_some_and(|(told, seen)| told != seen)
    }

    fn disown(&mut self) {
        self.disowned.extend(self.now.strand.take());
        (self.now.hard, self.now.first, self.code) = (None, None, None);
    }

    fn learn(&mut self, step: &Step<'t>) {
        let now = &mut self.now;
        now.boot_id = now.boot_id.or(step.item.boot_id);
        now.first = now.first.or(step.pid);
        now.invocation = now.invocation.or(step.invocation);
        now.container = now.container.or(step.container());
        if now.strand.is_none() && step.strand.is_some() {
            now.strand = step.strand;
            self.code = step.code;
        }
        match step.part {
            Part::Start => now.started = now.started.or(Some(step.item)),
            Part::Hard => now.hard = now.hard.or(Some(step.item)),
            Part::Soft | Part::Killed => now.soft = now.soft.or(Some(step.item)),
            Part::Before | Part::After | Part::Restarted => {}
        }
        if step.strand.is_none() {
            now.items.push(step.item);
        }
    }

    /// Begins another life. What was said after the old one was over may be the beginning of the end
    /// of the new one.
    fn next(&mut self) {
        let owner = self.now.owner;
        let fresh = Tenure { owner, ..Tenure::default() };
        let mut old = std::mem::replace(&mut self.now, fresh);
        self.code = None;
        if let Some(over) = old.at() {
            let is_later = |item: &&Item<'_>| {
                part(item) == Some(Part::Before)
                    && item.at.is_some_and(|at| at > over.saturating_add_unsigned(LATE_US))
            };
            let (later, own) = old.items.into_iter().partition(is_later);
            self.now.items = later;
            old.items = own;
        }
        if !old.is_empty() {
            self.done.push(old);
        }
    }

    fn is_of_this_life(&self, step: &Step<'_>) -> bool {
        let pids = self.now.first.zip(step.pid).is_none_or(|(one, other)| one == other);
        let lives =
            self.now.invocation.zip(step.invocation).is_none_or(|(one, other)| one == other);
        let containers =
            self.now.container.zip(step.container()).is_none_or(|(one, other)| one == other);
        pids && lives && containers
    }

    /// Docker says that a container runs once it has looked at it: what does little has ended by
    /// then. Docker tells of an end before it tells of the next start, so an end that it has not
    /// told of is not one of a life before.
    fn is_late_start(&self, step: &Step<'_>) -> bool {
        let is_over = |item: &&Item<'_>| matches!(part(item), Some(Part::Hard | Part::After));
        matches!(step.item.fact(), Some(Fact::Container(_)))
            && self.now.started.is_none()
            && self.now.strand.is_some()
            && !self.now.items.iter().any(is_over)
            && self.is_of_this_life(step)
            && !self.is_over_since(step, SAME_US)
    }

    fn is_over_since(&self, step: &Step<'_>, span_us: u64) -> bool {
        let end = self.now.end();
        end.is_some_and(|end| apart(end.at, step.item.at).is_some_and(|gap| gap > span_us))
    }

    fn is_same_start(&self, step: &Step<'_>) -> bool {
        let now = &self.now;
        if now.started.is_none() && now.end().is_none() {
            return true;
        }
        let same_life = now.invocation.is_some() && now.invocation == step.invocation;
        let same_pid = now.first.is_some() && now.first == step.pid;
        let last = now.end().or(now.started);
        let is_near =
            last.is_none_or(|last| apart(last.at, step.item.at).is_none_or(|gap| gap <= SAME_US));
        if now.end().is_some() {
            return now.started.is_none_or(|started| started.witness() != step.item.witness())
                && is_near
                && (same_life || same_pid);
        }
        self.is_of_this_life(step) && (same_life || is_near)
    }

    fn is_same_end(&self, step: &Step<'_>) -> bool {
        if !self.is_of_this_life(step) {
            return false;
        }
        let told = |item: &&Item<'_>| {
            part(item) == Some(Part::Hard) && item.witness() == step.item.witness()
        };
        if self.is_of_next_life(step) {
            return false;
        }
        let is_told = self.now.hard.is_some()
            && step.strand.is_none()
            && self.now.items.iter().any(told)
            && (self.now.invocation.is_none() || step.invocation.is_none());
        !is_told && !self.is_over_since(step, SAME_US)
    }

    /// A process that ended otherwise than Docker said of this life, or began after that.
    fn is_of_next_life(&self, step: &Step<'_>) -> bool {
        let Some(end) = self.now.items.iter().find(|item| is_docker_end(item)) else {
            return false;
        };
        let differs = told(&[end]).zip(step.code).is_some_and(|(told, seen)| told != seen);
        let began_later = step.began.is_some() && step.began > end.at;
        self.now.first.is_none() && (differs || began_later)
    }

    fn restarted(&mut self, item: &'t Item<'t>) {
        let ended = self.now.end().is_some();
        let last = if ended { Some(&mut self.now) } else { self.done.last_mut() };
        let Some(last) = last else { return };
        if apart(last.at(), item.at).is_none_or(|gap| gap <= RESTARTED_US) {
            last.items.push(item);
        }
    }

    fn finish(mut self) -> (Vec<Tenure<'t>>, Vec<usize>) {
        self.next();
        (self.done, self.disowned)
    }
}

/// By owner.
type Steps<'t> = BTreeMap<usize, Vec<Step<'t>>>;

/// Every life of every owner, each owner's in order of time.
pub(super) fn all<'t>(
    timeline: &'t Timeline<'t>,
    strands: &[Strand<'t>],
) -> (Vec<Tenure<'t>>, Firsts) {
    let mut steps: Steps<'t> = BTreeMap::new();
    let owners = &timeline.owners;
    for item in &timeline.items {
        let Some(owner) = item.owner.filter(|owner| has_life(owners, *owner)) else { continue };
        if let Some(step) = Step::of(item) {
            of_owner(&mut steps, owner).push(step);
        }
    }
    let mut firsts = Firsts::of(&steps);
    for (place, strand) in strands.iter().enumerate() {
        let Some(owner) = strand.owner.filter(|owner| has_life(owners, *owner)) else { continue };
        if firsts.is_first(owner, strand) == Some(true) {
            of_owner(&mut steps, owner).extend(Step::of_strand(place, strand));
        }
    }
    let mut tenures = Vec::new();
    for (owner, mut steps) in steps {
        steps.sort_by_key(|step| step.item.at);
        let mut reading = Reading::new(owner);
        for step in &steps {
            reading.take(step);
        }
        let (read, disowned) = reading.finish();
        tenures.extend(read);
        firsts.disowned.extend(disowned.iter().filter_map(|place| strands.get(*place)).map(life));
    }
    (tenures, firsts)
}

fn has_life(owners: &Owners, owner: usize) -> bool {
    owners.get(owner).is_some_and(lives)
}

fn of_owner<'s, 't>(steps: &'s mut Steps<'t>, owner: usize) -> &'s mut Vec<Step<'t>> {
    steps.entry(owner).or_default()
}

/// The processes that managers call the first of their owner.
#[derive(Debug, Default)]
pub(super) struct Firsts {
    named: HashSet<(usize, Option<BootId>, Pid)>,
    owners: HashSet<usize>,
    /// Those that ended otherwise than their container did.
    disowned: HashSet<LifeOfPid>,
}

/// What tells one process from all others.
type LifeOfPid = (Option<BootId>, Pid, Option<StartTicks>);

fn life(strand: &Strand<'_>) -> LifeOfPid {
    (strand.boot_id, strand.pid, strand.start)
}

impl Firsts {
    fn of(steps: &Steps<'_>) -> Self {
        let mut firsts = Self::default();
        for (owner, steps) in steps {
            for step in steps {
                let Some(pid) = step.pid else { continue };
                firsts.named.insert((*owner, step.item.boot_id, pid));
                firsts.owners.insert(*owner);
            }
        }
        firsts
    }

    /// Whether a process was the first of its owner: by its manager's word, which knows it from one
    /// that only prepares a start or that somebody put in beside it; else by how it was started.
    pub(super) fn is_first(&self, owner: usize, strand: &Strand<'_>) -> Option<bool> {
        if self.disowned.contains(&life(strand)) {
            return Some(false);
        }
        if self.named.contains(&(owner, strand.boot_id, strand.pid)) {
            return Some(true);
        }
        let said = strand.said_first();
        if self.owners.contains(&owner) { said.map(|_| false) } else { said }
    }
}

/// Whether the manager gave up on it after this life.
pub(super) fn is_given_up(tenure: &Tenure<'_>) -> bool {
    tenure.items.iter().any(|item| match item.unit() {
        Some(UnitWord::StartLimitHit) => true,
        Some(UnitWord::Result { result, .. }) => result == "start-limit-hit",
        _ => false,
    })
}
