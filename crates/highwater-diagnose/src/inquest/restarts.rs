//! The lives of an owner one after the other: why each ended, how long it was down, whether that is a
//! storm, whether it comes round by the clock, and whether a program that polls could have seen it.
//!
//! ```text
//! Life ─┐                  ┌─ Chapter: one life, its end, its memory
//! Life ─┼─ by owner ─ Story┼─ Storm: too many ends in a window
//! Life ─┘                  ├─ Period: about every 5 h, at 98 % of the limit
//!                          └─ the chance to miss all of it
//! ```

mod chance;
mod memory;
mod period;
mod storm;
#[cfg(test)]
mod tests;
mod words;

use std::collections::BTreeMap;
use std::time::Duration;

use highwater_core::evidence::Claim;
use highwater_core::id::{CgroupPath, Pid};
use highwater_core::owner::Owner;
use highwater_core::series::SeriesSource;
use highwater_core::testimony::{Limits, Signal, Status};
use highwater_core::time::WallTime;
use highwater_core::units::Bytes;

use super::{Cause, Inquest, Life, LimitOwner, Verdict};
use crate::death::Confidence;

pub use chance::{SCRAPES, to_miss};
pub use memory::Memory;
pub use period::Period;
pub use storm::{FAST_ENDS, FAST_WINDOW, SLOW_ENDS, SLOW_WINDOW, Storm};
pub use words::percent;

/// What became of one owner.
#[derive(Clone, Debug, PartialEq)]
pub struct Story {
    /// Who.
    pub owner: Owner,
    /// Its lives, oldest first.
    pub chapters: Vec<Chapter>,
    /// Deaths of processes of it that were not its first: it lived on.
    pub children: usize,
    /// Too many unwanted ends in too short a time, oldest first.
    pub storms: Vec<Storm>,
    /// Unwanted ends that come round by the clock.
    pub period: Option<Period>,
    /// What its manager was told about restarts.
    pub brake: Brake,
    /// Its manager gave up on it after its last end.
    pub is_given_up: bool,
    /// What held it last, where its manager said so.
    pub limits: Option<Limits>,
    /// What follows from all this, most important first.
    pub claims: Vec<Claim>,
}

/// One life of an owner.
#[derive(Clone, Debug, PartialEq)]
pub struct Chapter {
    /// When it began; `None`: before anybody listened.
    pub started: Option<WallTime>,
    /// When it ended; `None`: it lives.
    pub ended: Option<WallTime>,
    /// Its first process.
    pub first: Option<Pid>,
    /// Its cgroup.
    pub cgroup: Option<CgroupPath>,
    /// How long it was down before this life, where the end before it is on record.
    pub down: Option<Duration>,
    /// How it ended; `None`: it lives, or nobody knows.
    pub end: Option<End>,
    /// What it held.
    pub memory: Memory,
}

/// How a life ended.
#[derive(Clone, Debug, PartialEq)]
pub struct End {
    /// What ended it.
    pub cause: Cause,
    /// How sure that is.
    pub confidence: Confidence,
    /// What its first process ended with.
    pub status: Option<Status>,
    /// The signal that ended it.
    pub signal: Option<Signal>,
    /// One sentence.
    pub summary: String,
    /// What it held then, by the kernel's report, where its own limit was reached.
    pub held: Option<Bytes>,
}

/// What keeps its manager from starting it again for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Brake {
    /// Its manager does not start it again, or nobody knows.
    Unknown,
    /// So many starts are allowed, and then it stays down.
    StartLimit,
    /// There is a limit, but the pause between two starts is so long that it is never reached.
    NeverReached,
    /// `Restart=always` and any number of starts.
    None,
}

impl Chapter {
    /// How long it lived; `None` where the beginning or the end is not known.
    pub fn uptime(&self) -> Option<Duration> {
        Some(self.ended?.since(self.started?))
    }

    /// It ended, and nobody wanted that.
    pub fn is_unwanted(&self) -> bool {
        self.ended.is_some() && self.end.as_ref().is_none_or(|end| !end.cause.is_wanted())
    }
}

impl Story {
    /// When it ended without anybody wanting that, oldest first.
    pub fn unwanted(&self) -> impl Iterator<Item = WallTime> {
        self.chapters.iter().filter(|one| one.is_unwanted()).filter_map(|one| one.ended)
    }

    /// How often it was started again after an end that nobody wanted.
    pub fn restarts(&self) -> usize {
        self.downs().count()
    }

    /// How often it was started again, whoever wanted that.
    pub fn starts_again(&self) -> usize {
        let again = |pair: &&[Chapter]| matches!(pair, [before, _] if before.ended.is_some());
        self.chapters.windows(2).filter(again).count()
    }

    /// How long it was down after each end that nobody wanted, where it was started again.
    pub fn downs(&self) -> impl Iterator<Item = Duration> {
        self.chapters.windows(2).filter_map(|pair| match pair {
            [before, after] if before.is_unwanted() => after.down,
            _ => None,
        })
    }

    /// The chance that a program that looks every `interval` saw none of the times that it was
    /// down; `None` if there was none.
    pub fn miss_chance(&self, interval: Duration) -> Option<f64> {
        let downs: Vec<Duration> = self.downs().collect();
        (!downs.is_empty()).then(|| to_miss(&downs, interval))
    }
}

/// The story of each unit and container that began or ended within what is on record up to `now`,
/// the stormiest first. `window` is in how long [`SLOW_ENDS`] ends are a storm.
pub fn stories(
    inquest: &Inquest,
    history: &dyn SeriesSource,
    now: WallTime,
    window: Duration,
) -> Vec<Story> {
    let mut all: Vec<Story> = by_owner(inquest)
        .into_iter()
        .map(|(owner, lives)| story(owner, &lives, inquest, history, now, window))
        .collect();
    all.sort_by_key(|story| {
        let worst = story.storms.iter().map(|storm| storm.ends).max().unwrap_or(0);
        std::cmp::Reverse((worst, story.unwanted().count(), story.chapters.len()))
    });
    all
}

/// The story of one owner; `None` if nothing of its life is known.
pub fn story_of(
    owner: &Owner,
    inquest: &Inquest,
    history: &dyn SeriesSource,
    now: WallTime,
    window: Duration,
) -> Option<Story> {
    let lives = by_owner(inquest).remove(owner)?;
    Some(story(owner.clone(), &lives, inquest, history, now, window))
}

/// Lives by owner, oldest first. An owner that died, and of whose life nobody told, lived all the
/// same.
fn by_owner(inquest: &Inquest) -> BTreeMap<Owner, Vec<Life>> {
    let mut owners: BTreeMap<Owner, Vec<Life>> = BTreeMap::new();
    for life in &inquest.lives {
        owners.entry(life.owner.clone()).or_default().push(life.clone());
    }
    let told: Vec<usize> = inquest.lives.iter().filter_map(|life| life.death).collect();
    for (at, death) in inquest.deaths.iter().enumerate() {
        let Some(owner) = death.who.owner.as_ref().filter(|owner| has_lives(owner)) else {
            continue;
        };
        let ended = owners.get(owner).is_some_and(|lives| ends_with(lives, death));
        if death.is_first == Some(true) && !told.contains(&at) && !ended {
            owners.entry(owner.clone()).or_default().push(untold(owner, death, at));
        }
    }
    for lives in owners.values_mut() {
        lives.sort_by_key(|life| (life.ended.or(life.started), life.started));
        // Who lives now comes last, whenever he began.
        lives.sort_by_key(|life| life.ended.is_none());
    }
    owners
}

const fn has_lives(owner: &Owner) -> bool {
    matches!(
        owner,
        Owner::Unit(_) | Owner::UserUnit { .. } | Owner::Container(_) | Owner::Pod { .. }
    )
}

/// Whether one of `lives` ended when this death was.
fn ends_with(lives: &[Life], death: &Verdict) -> bool {
    /// A manager notices an end within this.
    const SAME: Duration = Duration::from_secs(5);
    let near = |ended: WallTime, wall: WallTime| ended.since(wall).max(wall.since(ended)) <= SAME;
    lives.iter().any(|life| life.ended.zip(death.wall).is_some_and(|(ended, at)| near(ended, at)))
}

/// Its owner's first process ended because it did, as a shell does: the owner did not live on.
fn is_passed_on(child: &Verdict, inquest: &Inquest) -> bool {
    /// A shell ends as soon as what it ran is gone; of a manager's jobs this is the most.
    const SOON: Duration = Duration::from_secs(10);
    let is_by = |death: &&Verdict| {
        death.is_first == Some(true)
            && death.who.owner == child.who.owner
            && death.clues.child.as_ref().is_some_and(|one| one.pid == child.who.pid)
    };
    let is_soon = |death: &Verdict| {
        child.wall.zip(death.wall).is_some_and(|(child, wall)| wall.since(child) <= SOON)
    };
    child.who.pid.is_some() && inquest.deaths.iter().filter(is_by).any(is_soon)
}

fn untold(owner: &Owner, death: &Verdict, at: usize) -> Life {
    let started = death.wall.zip(death.lived).map(|(wall, lived)| wall.before(lived));
    Life {
        owner: owner.clone(),
        cgroup: death.who.cgroup.clone(),
        started,
        ended: death.wall,
        first: death.who.pid,
        death: Some(at),
        limits: None,
        is_given_up: false,
    }
}

fn story(
    owner: Owner,
    lives: &[Life],
    inquest: &Inquest,
    history: &dyn SeriesSource,
    now: WallTime,
    window: Duration,
) -> Story {
    let limits = lives.iter().rev().find_map(|life| life.limits.clone());
    let mut chapters = chapters(lives, inquest);
    if chapters.iter().any(Chapter::is_unwanted) {
        let limit = limits.as_ref().and_then(|limits| limits.memory);
        memory::fill(&owner, &mut chapters, limit, history, now);
    }
    let is_child = |death: &&Verdict| {
        death.is_first == Some(false)
            && death.who.owner.as_ref() == Some(&owner)
            && death.cause != Cause::NamespaceEnd
            && !is_passed_on(death, inquest)
    };
    let mut story = Story {
        children: inquest.deaths.iter().filter(is_child).count(),
        brake: brake(&owner, limits.as_ref()),
        is_given_up: lives.iter().rev().find(|life| life.ended.is_some()).is_some_and(|life| {
            life.is_given_up && lives.last().is_some_and(|last| last.ended.is_some())
        }),
        owner,
        chapters,
        storms: Vec::new(),
        period: None,
        limits,
        claims: Vec::new(),
    };
    let ends: Vec<WallTime> = story.unwanted().collect();
    story.storms = storm::of(&ends, window);
    story.period = period::of(&story.chapters);
    story.claims = words::claims(&story, window, history.name());
    story
}

fn chapters(lives: &[Life], inquest: &Inquest) -> Vec<Chapter> {
    let mut before: Option<WallTime> = None;
    let mut all = Vec::new();
    for life in lives {
        let down = before.zip(life.started).map(|(ended, started)| started.since(ended));
        before = life.ended;
        let death = life.death.and_then(|at| inquest.deaths.get(at));
        all.push(Chapter {
            started: life.started,
            ended: life.ended,
            first: life.first,
            cgroup: life.cgroup.clone(),
            down,
            end: death.map(End::of),
            memory: Memory::default(),
        });
    }
    all
}

impl End {
    fn of(death: &Verdict) -> Self {
        Self {
            cause: death.cause,
            confidence: death.confidence,
            status: death.status,
            signal: death.signal,
            summary: death.summary.clone(),
            held: death.clues.usage.filter(|_| death.limit_owner == Some(LimitOwner::Own)),
        }
    }
}

/// systemd counts starts within an interval; Docker only waits longer each time, up to a minute.
fn brake(owner: &Owner, limits: Option<&Limits>) -> Brake {
    let Some(limits) = limits else { return Brake::Unknown };
    let policy = limits.restart.as_deref().unwrap_or("no");
    let is_unit = matches!(owner, Owner::Unit(_) | Owner::UserUnit { .. });
    match (policy, limits.start_limit) {
        ("always" | "unless-stopped", None) if !is_unit => Brake::None,
        ("always", Some((0, _) | (_, 0))) => Brake::None,
        (
            "always" | "on-failure" | "on-abnormal" | "on-abort" | "on-watchdog",
            Some((most, within)),
        ) if most > 0 && within > 0 => {
            let pause = limits.restart_after_ms.unwrap_or(0);
            if most.saturating_mul(pause) > within {
                Brake::NeverReached
            } else {
                Brake::StartLimit
            }
        }
        _ => Brake::Unknown,
    }
}
