//! Reports and witnesses joined: each death once, whoever tells of it.
//!
//! ```text
//! Episodes ─ OomKill ─┐                       ┌─ Death { subject, verdict }
//!                     ├─ inquire ─ verdicts ──┤
//! Testified ──────────┘                       └─ lives, stuck
//! ```
//!
//! Where nobody but the reports says anything there is nothing to join, and the few deaths that are
//! shown are judged one by one when they are: a log may tell of hundreds of thousands.

use std::borrow::Cow;
use std::time::Duration;

use highwater_core::event::Sight;
use highwater_core::time::{BootTime, WallTime};
use highwater_diagnose::counsel;
use highwater_diagnose::death::Window;
use highwater_diagnose::inquest::{Heard, Hearing, Inquest, OomKill, Verdict, inquire};

use super::episode::{Episode, Found, Subject};
use crate::cmd::mask::Masked;

/// All that was found, judged.
#[derive(Debug, Default)]
pub(crate) struct Judged<'a> {
    /// Oldest first.
    pub(crate) deaths: Vec<Death<'a>>,
    /// What the witnesses come to; empty where only reports speak.
    pub(crate) inquest: Inquest,
    /// From which it was made, to be masked and made again.
    pub(crate) kills: Vec<OomKill>,
}

/// One death: as a report tells it, as its witnesses do, or both.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Death<'a> {
    /// The report.
    pub(crate) subject: Option<Subject<'a>>,
    /// Where its verdict stands among those of the inquest.
    pub(crate) verdict: Option<usize>,
}

/// Judges what was found.
pub(crate) fn judged(found: &Found) -> Judged<'_> {
    let subjects: Vec<Subject<'_>> = found.episodes.iter().flat_map(Episode::subjects).collect();
    let heard = &found.testified.heard;
    if heard.is_empty() {
        let deaths = subjects.into_iter().map(|one| Death { subject: Some(one), verdict: None });
        return Judged { deaths: deaths.collect(), ..Judged::default() };
    }
    let kills: Vec<OomKill> =
        subjects.iter().enumerate().filter_map(|(key, subject)| kill(subject, key)).collect();
    let inquest = of(heard, &kills, &found.testified.sights);
    let mut verdicts: Vec<Option<usize>> = vec![None; subjects.len()];
    let mut deaths = Vec::new();
    for (at, verdict) in inquest.deaths.iter().enumerate() {
        match verdict.report.and_then(|key| verdicts.get_mut(key)) {
            Some(slot) if slot.is_none() => *slot = Some(at),
            Some(_) => {}
            None => deaths.push(Death { subject: None, verdict: Some(at) }),
        }
    }
    let reported = subjects.into_iter().zip(verdicts);
    deaths.splice(0..0, reported.map(|(one, verdict)| Death { subject: Some(one), verdict }));
    in_order(&mut deaths, &inquest);
    Judged { deaths, inquest, kills }
}

/// The inquest over these.
pub(crate) fn of(heard: &[Heard], kills: &[OomKill], sights: &[(WallTime, Sight)]) -> Inquest {
    inquire(&Hearing { heard, kills, sights })
}

/// The inquest over what was masked.
pub(crate) fn again(masked: &Masked) -> Inquest {
    match masked.heard.as_slice() {
        [] => Inquest::default(),
        heard => of(heard, &masked.kills, &masked.sights),
    }
}

/// The kill of a report as the inquest takes it.
pub(crate) fn kill(subject: &Subject<'_>, key: usize) -> Option<OomKill> {
    OomKill::of_case(&subject.case(Window::Minutes), key, subject.episode.boot_id)
}

/// By the clock that all have; what has none in common stays in the order it was told in.
pub(crate) fn in_order(deaths: &mut [Death<'_>], inquest: &Inquest) {
    let walls: Vec<Option<WallTime>> = deaths.iter().map(|death| death.wall(inquest)).collect();
    if walls.iter().all(Option::is_some) {
        deaths.sort_by_cached_key(|death| death.wall(inquest));
        return;
    }
    if deaths.iter().all(|death| death.boot(inquest).is_some()) {
        deaths.sort_by_cached_key(|death| death.boot(inquest));
    }
}

/// The death to explain: the newest; of one that only ended with its owner, the owner's own end.
pub(crate) fn foremost<'d, 'a>(
    deaths: &'d [Death<'a>],
    inquest: &Inquest,
) -> Option<&'d Death<'a>> {
    /// What ends with its owner is gone within this.
    const SPAN: Duration = Duration::from_secs(3);
    let newest = deaths.last()?;
    let bystander = newest.told(inquest).filter(|told| told.clues.is_owner_gone);
    let is_owners = |verdict: &Verdict| {
        bystander.is_some_and(|of| {
            let gap = of.wall.zip(verdict.wall).map(|(a, b)| a.since(b).max(b.since(a)));
            verdict.is_first == Some(true)
                && verdict.who.owner == of.who.owner
                && gap.is_some_and(|gap| gap <= SPAN)
        })
    };
    let own = deaths.iter().rev().find(|death| death.told(inquest).is_some_and(is_owners));
    own.or(Some(newest))
}

impl<'a> Death<'a> {
    /// What its witnesses come to, if any but a report spoke.
    pub(crate) fn told<'i>(&self, inquest: &'i Inquest) -> Option<&'i Verdict> {
        inquest.deaths.get(self.verdict?)
    }

    /// The verdict; of a report alone it is made here.
    pub(crate) fn verdict<'i>(
        &self,
        inquest: &'i Inquest,
        sights: &[(WallTime, Sight)],
    ) -> Option<Cow<'i, Verdict>> {
        if let Some(told) = self.told(inquest) {
            return Some(Cow::Borrowed(told));
        }
        let kill = kill(self.subject.as_ref()?, 0)?;
        let alone = of(&[], &[kill], sights);
        alone.deaths.into_iter().next().map(Cow::Owned)
    }

    /// When, by the wall clock.
    pub(crate) fn wall(&self, inquest: &Inquest) -> Option<WallTime> {
        match &self.subject {
            Some(subject) => subject.outline().time,
            None => self.told(inquest)?.wall,
        }
    }

    fn boot(&self, inquest: &Inquest) -> Option<BootTime> {
        match &self.subject {
            Some(subject) => subject.outline().boot,
            None => self.told(inquest)?.boot,
        }
    }

    /// The report, where something was killed in it.
    pub(crate) fn killed(&self) -> Option<&Subject<'a>> {
        self.subject.as_ref().filter(|subject| subject.kill.is_some())
    }

    /// Somebody died: not so in an episode in which nothing was killed.
    pub(crate) fn is_death(&self) -> bool {
        self.subject.is_none() || self.killed().is_some()
    }

    /// Whether somebody who asks for nobody by name should be told.
    pub(crate) fn is_of_note(&self, inquest: &Inquest) -> bool {
        self.subject.is_some() || self.told(inquest).is_some_and(counsel::is_of_note)
    }
}

/// `web.service`, `node (pid 7)`.
pub(crate) fn name(verdict: &Verdict) -> String {
    match (&verdict.who.owner, verdict.is_first) {
        (Some(owner), first) if first != Some(false) => owner.to_string(),
        _ => verdict.who.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use highwater_core::evidence::Evidence;
    use highwater_core::id::Pid;
    use highwater_core::owner::Owner;
    use highwater_core::testimony::{Exit, Fact, Party, Status, Testimony, Witness};

    use super::*;

    /// The first process of a container, and a child that ended later.
    fn ends(apart: Duration, is_owner_gone: bool) -> Inquest {
        let evidence = Evidence { source: "x".to_owned(), line: None, text: String::new() };
        let owner = Owner::Container("web".to_owned());
        let about = Party { pid: Some(Pid::new(7)), ..Party::of_owner(owner) };
        let fact =
            Fact::Exited(Exit { status: Status::Code(3), lived_ms: None, is_first: Some(true) });
        let testimony = Testimony { witness: Witness::Processes, about, fact, evidence };
        let wall = WallTime::from_millis(5_000);
        let heard = Heard { wall: Some(wall), boot: None, boot_id: None, testimony };
        let mut inquest = of(&[heard], &[], &[]);
        let mut child = inquest.deaths[0].clone();
        inquest.deaths[0].is_first = Some(true);
        child.who.pid = Some(Pid::new(8));
        child.is_first = Some(false);
        child.wall = Some(wall.after(apart));
        child.clues.is_owner_gone = is_owner_gone;
        inquest.deaths.push(child);
        inquest
    }

    #[test]
    fn who_only_ended_with_the_container_is_not_explained_in_its_place() {
        let explained = |apart_ms: u64, is_owner_gone: bool| {
            let inquest = ends(Duration::from_millis(apart_ms), is_owner_gone);
            let deaths = [0, 1].map(|at| Death { subject: None, verdict: Some(at) });
            let told = foremost(&deaths, &inquest).unwrap().told(&inquest).unwrap();
            told.who.pid.map(Pid::get)
        };
        assert_eq!(explained(2, true), Some(7));
        assert_eq!(explained(2, false), Some(8), "it ended by itself");
        assert_eq!(explained(60_000, true), Some(8), "with another life of its container");
        assert!(foremost(&[], &Inquest::default()).is_none());
    }
}
