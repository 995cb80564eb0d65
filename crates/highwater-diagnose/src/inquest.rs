//! Who died, who killed whom, and why: the witnesses of one death joined into one verdict.
//!
//! ```text
//! Heard (testimonies) ─┐              ┌─ Verdict: cause, confidence, claims, contradictions,
//! OomKill (reports)    ├─ inquire ────┤           what was ruled out, who would have known
//! Sight (who listened) ┘              ├─ Life: one start to one end of an owner
//!                                     └─ Stuck: out of memory, and nothing may be killed
//! ```
//!
//! Pure. Testimonies are of one death if they name one process (pid and start time), or one cgroup or
//! owner within a few seconds.

mod cause;
mod clues;
mod doubts;
mod hands;
mod hints;
mod lives;
mod matter;
mod pause;
pub mod restarts;
mod rules;
mod scene;
mod strand;
mod summary;
mod tenure;
mod timeline;
mod ways;

use std::time::Duration;

use highwater_core::event::Sight;
use highwater_core::evidence::Claim;
use highwater_core::id::{CgroupPath, Pid};
use highwater_core::limit::Limit;
use highwater_core::owner::Owner;
use highwater_core::testimony::{Limits, Party, Signal, Status, Testimony, Witness};
use highwater_core::time::{BootId, BootTime, WallTime};
use highwater_core::units::Bytes;

pub use cause::Cause;
pub use clues::{Clues, Core};
pub use pause::{Pause, with_pauses};
pub use ways::Way;

use crate::death::Confidence;
use matter::{Matter, Matters};
use rules::Finding;
use scene::{Court, Scene};
use timeline::{Item, Timeline};

/// A testimony, and when it was given.
#[derive(Clone, Debug, PartialEq)]
pub struct Heard {
    /// By the wall clock; `None` where a log has no date.
    pub wall: Option<WallTime>,
    /// By the boot clock.
    pub boot: Option<BootTime>,
    /// In which boot.
    pub boot_id: Option<BootId>,
    /// What was said.
    pub testimony: Testimony,
}

/// A kill that a report of the OOM killer, or of a program that kills for memory, tells of.
#[derive(Clone, Debug, PartialEq)]
pub struct OomKill {
    /// By which the caller knows the report again.
    pub key: usize,
    /// Whom.
    pub pid: Option<Pid>,
    /// Its name, escaped.
    pub comm: Option<String>,
    /// When.
    pub wall: Option<WallTime>,
    /// When, after boot.
    pub boot: Option<BootTime>,
    /// In which boot.
    pub boot_id: Option<BootId>,
    /// What the report says.
    pub cause: highwater_oom::Cause,
    /// How sure that is.
    pub confidence: Confidence,
    /// The victim's memory cgroup.
    pub cgroup: Option<CgroupPath>,
    /// The cgroup whose limit was reached.
    pub limited_by: Option<CgroupPath>,
    /// That limit.
    pub limit: Option<Limit>,
    /// What it used.
    pub usage: Option<Bytes>,
    /// The kill line, to be cited.
    pub evidence: highwater_core::evidence::Evidence,
}

/// What there is to judge by.
#[derive(Clone, Copy, Debug)]
pub struct Hearing<'a> {
    /// In any order.
    pub heard: &'a [Heard],
    /// In any order.
    pub kills: &'a [OomKill],
    /// Who listened from when on, oldest first: offline, what the log can hold.
    pub sights: &'a [(WallTime, Sight)],
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inquest {
    /// Oldest first. The death of a child whose owner lives on is one too.
    pub deaths: Vec<Verdict>,
    /// Oldest first: of units and containers.
    pub lives: Vec<Life>,
    /// Out of memory, and nothing may be killed.
    pub stuck: Vec<Stuck>,
}

/// One death.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// Who died: the process where one is known, or the owner as a whole.
    pub who: Party,
    /// Whether it was the first process of its owner; `Some(false)`: the owner lives on.
    pub is_first: Option<bool>,
    /// When.
    pub wall: Option<WallTime>,
    /// When, after boot.
    pub boot: Option<BootTime>,
    /// In which boot.
    pub boot_id: Option<BootId>,
    /// What ended it.
    pub cause: Cause,
    /// How sure that is.
    pub confidence: Confidence,
    /// What it ended with, where somebody saw it.
    pub status: Option<Status>,
    /// The signal that ended it.
    pub signal: Option<Signal>,
    /// Who sent that, as far as it can be named.
    pub sender: Option<Party>,
    /// Whose limit was reached: the cgroup.
    pub limited_by: Option<CgroupPath>,
    /// Whose that cgroup is: the victim's own, one above it, the machine.
    pub limit_owner: Option<LimitOwner>,
    /// The report of the OOM killer that tells of it: [`OomKill::key`].
    pub report: Option<usize>,
    /// How long it had lived.
    pub lived: Option<Duration>,
    /// One plain sentence, ended with a full stop.
    pub summary: String,
    /// What the cause stands on.
    pub claims: Vec<Claim>,
    /// What is said that cannot be true beside it: `Docker says OOMKilled=false, …`.
    pub contradictions: Vec<Claim>,
    /// What it was not, and what shows that.
    pub ruled_out: Vec<Claim>,
    /// Who would have known more, and was not heard: `signals: needs root and tracefs`.
    pub missing: Vec<(Witness, String)>,
    /// Who was heard.
    pub witnesses: Vec<Witness>,
    /// What is known beside it, by which advice goes.
    pub clues: Clues,
}

/// Whose limit was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LimitOwner {
    /// The victim's own cgroup.
    Own,
    /// A cgroup above it.
    Ancestor,
    /// The machine.
    Machine,
}

/// One start to one end of an owner.
#[derive(Clone, Debug, PartialEq)]
pub struct Life {
    /// Whose.
    pub owner: Owner,
    /// Its cgroup.
    pub cgroup: Option<CgroupPath>,
    /// When it began; `None`: before anybody listened.
    pub started: Option<WallTime>,
    /// When it ended; `None`: it lives.
    pub ended: Option<WallTime>,
    /// Its first process.
    pub first: Option<Pid>,
    /// Why it ended: the place in [`Inquest::deaths`].
    pub death: Option<usize>,
    /// What held it, where its manager said so.
    pub limits: Option<Limits>,
    /// Its manager gave up on it after this end: too many starts.
    pub is_given_up: bool,
}

/// Out of memory, and nothing may be killed: cgroup v1 with `oom_kill_disable`.
#[derive(Clone, Debug, PartialEq)]
pub struct Stuck {
    /// The cgroup and whose it is.
    pub who: Party,
    /// Since when.
    pub since: Option<WallTime>,
    /// Until when; `None`: it still is.
    pub until: Option<WallTime>,
    /// What shows it.
    pub claim: Claim,
}

/// Judges what was heard. The same for the same words in whatever order they come; of `n` of them it
/// takes `n log n`.
pub fn inquire(hearing: &Hearing<'_>) -> Inquest {
    inquire_since(hearing, None)
}

/// The same, but of deaths before `since` none is put into words: they are joined all the same, so
/// that what came later finds its place.
pub fn inquire_since(hearing: &Hearing<'_>, since: Option<WallTime>) -> Inquest {
    let timeline = Timeline::of(hearing);
    let strands = strand::all(&timeline.items);
    let (tenures, firsts) = tenure::all(&timeline, &strands);
    let Matters { deaths: mut matters, carried } =
        matter::all(&timeline, &strands, &tenures, &firsts);
    matters.sort_by_key(order);
    hints::attach(&timeline, &mut matters);
    matters.extend(carried);
    matters.sort_by_key(order);
    let court = Court::new(hearing, &timeline, &matters);
    let mut deaths: Vec<Verdict> = Vec::new();
    let mut places: Vec<Option<usize>> = Vec::new();
    for matter in &matters {
        let end = matter.end.and_then(|end| end.wall);
        let is_old = end.zip(since).is_some_and(|(end, since)| end < since);
        places.push((!is_old).then_some(deaths.len()));
        if !is_old {
            let tenure = matter.tenure.and_then(|place| tenures.get(place));
            deaths.push(verdict(&Scene::of(&court, matter, tenure)));
        }
    }
    let lives = lives::all(&timeline, &strands, &tenures, &matters, &places);
    Inquest { deaths, lives, stuck: lives::stuck(&timeline) }
}

fn order(matter: &Matter<'_>) -> (Option<i64>, Option<Pid>, Option<usize>) {
    (matter.at(), matter.who.pid, matter.owner)
}

fn verdict(scene: &Scene<'_, '_>) -> Verdict {
    let matter = scene.matter;
    let finding = rules::judge(scene);
    let mut witnesses: Vec<Witness> = scene.items().map(Item::witness).collect();
    witnesses.sort_unstable();
    witnesses.dedup();
    let mut claims = finding.claims.clone();
    claims.extend(company(scene));
    Verdict {
        who: matter.who.clone(),
        is_first: matter.is_first,
        wall: matter.end.and_then(|end| end.wall),
        boot: matter.end.and_then(|end| end.boot),
        boot_id: matter.boot_id,
        cause: finding.cause,
        confidence: finding.confidence,
        status: status(scene),
        signal: scene.signal().or_else(|| implied(scene, &finding)),
        sender: finding.sender.clone(),
        limited_by: finding.limited_by.clone(),
        limit_owner: limit_owner(&finding, matter.who.cgroup.as_ref()),
        report: finding.report,
        lived: lived(scene),
        summary: summary::of(scene, &finding),
        claims,
        contradictions: doubts::contradictions(scene, &finding),
        ruled_out: doubts::ruled_out(scene, &finding),
        missing: doubts::missing(scene, &finding),
        witnesses,
        clues: Clues::of(scene, &finding),
    }
}

/// Those that ended with it.
fn company(scene: &Scene<'_, '_>) -> Option<Claim> {
    let others = scene.matter.company;
    let how = match scene.matter.of_namespace {
        0 => ", by the same hand",
        carried if carried < others => "",
        _ if scene.owner().is_some_and(|owner| owner.container().is_some()) => {
            ": the kernel ends a container with its first process"
        }
        _ => ": the kernel ends a pid namespace with its first process",
    };
    let who = crate::words::count(others, "other process");
    let text = format!("{who} of it ended with it{how}.");
    (others > 0).then(|| scene::claim(text, scene.matter.end))
}

/// What a daemon calls 137 was SIGKILL, if that was sent.
fn status(scene: &Scene<'_, '_>) -> Option<Status> {
    match (scene.status.map(|(status, _)| status), scene.fatal) {
        (Some(Status::Code(_)), Some((_, sent))) => {
            Some(Status::Signal { signal: sent.signal, core: false })
        }
        (status, _) => status,
    }
}

/// Whoever kills for memory does it with SIGKILL, unless somebody saw another signal; who ends by itself
/// because a signal told it to ended by that.
fn implied(scene: &Scene<'_, '_>, finding: &Finding<'_>) -> Option<Signal> {
    if finding.cause == Cause::Signal {
        return ways::Asked::of(scene).map(|asked| asked.sent.signal);
    }
    (finding.report.is_some() && finding.other.is_none()).then_some(Signal::KILL)
}

fn lived(scene: &Scene<'_, '_>) -> Option<Duration> {
    let exit = scene.exit().and_then(|(exit, _)| exit.lived_ms).map(Duration::from_millis);
    exit.or_else(|| {
        let started = scene.tenure?.started?.at?;
        Some(Duration::from_micros(u64::try_from(scene.at?.checked_sub(started)?).ok()?))
    })
}

/// Whose limit it was: that of the machine, the victim's own, or one above.
fn limit_owner(finding: &Finding<'_>, cgroup: Option<&CgroupPath>) -> Option<LimitOwner> {
    if finding.cause == Cause::KernelOomGlobal {
        return Some(LimitOwner::Machine);
    }
    let (limited, own) = (finding.limited_by.as_ref()?.as_str(), cgroup?.as_str());
    let above = limited.strip_suffix('/').unwrap_or(limited);
    match own.strip_prefix(above) {
        Some("") => Some(LimitOwner::Own),
        Some(rest) if rest.starts_with('/') => Some(LimitOwner::Ancestor),
        _ => None,
    }
}
