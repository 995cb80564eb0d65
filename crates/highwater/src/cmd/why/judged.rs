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

use highwater_core::event::Sight;
use highwater_core::time::{BootTime, WallTime};
use highwater_diagnose::counsel;
use highwater_diagnose::death::Window;
use highwater_diagnose::inquest::{Heard, Hearing, Inquest, OomKill, Verdict, inquire};

use super::episode::{Episode, Found, Subject};

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

/// The kill of a report as the inquest takes it.
pub(crate) fn kill(subject: &Subject<'_>, key: usize) -> Option<OomKill> {
    OomKill::of_case(&subject.case(Window::Minutes), key, subject.episode.boot_id)
}

/// By the clock that all have; what has none in common stays in the order it was told in.
fn in_order(deaths: &mut [Death<'_>], inquest: &Inquest) {
    let walls: Vec<Option<WallTime>> = deaths.iter().map(|death| death.wall(inquest)).collect();
    if walls.iter().all(Option::is_some) {
        deaths.sort_by_cached_key(|death| death.wall(inquest));
        return;
    }
    if deaths.iter().all(|death| death.boot(inquest).is_some()) {
        deaths.sort_by_cached_key(|death| death.boot(inquest));
    }
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
