//! Names taken out of reports, so that they can be shared.
//!
//! ```text
//! report ─ its lines ─ masked ─ read again ─ report without names
//! ```
//!
//! Only lines are masked, and everything else is read out of them anew: there is one place where a
//! name can be forgotten, and that one keeps only words it knows. What is no number and no word of
//! the kernel's becomes `proc-1`, `cgroup-2`, `unit-3.service`, `word-4`; the same name always the
//! same mask, whoever says it: all names that stand in a place of their own are met before any text
//! is masked.

mod command;
mod lines;
mod places;
mod testimony;
mod words;

use std::collections::HashMap;

use highwater_core::event::Sight;
use highwater_core::evidence::Evidence;
use highwater_core::frame::Frame;
use highwater_core::id::{Comm, Pid};
use highwater_core::line::{LogLine, Origin};
use highwater_core::owner::Owner;
use highwater_core::time::WallTime;
use highwater_diagnose::inquest::{Heard, OomKill};
use highwater_oom::OomReport;
use highwater_oom::report::{Kill, LineNumber, Trust};

use super::why::{AlsoTold, Death, Episode, Subject};
use super::{kernel, logfile};

/// In so many digits a container's mask is told from others.
const CONTAINER_DIGITS: usize = 12;

/// What a mask stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Process,
    Cgroup,
    Unit,
    /// A container's id.
    Container,
    /// A container's name.
    Named,
    /// A pod's id.
    Pod,
    /// A pod's name.
    PodName,
    Namespace,
    File,
    Word,
    Address,
    Hardware,
    Log,
}

impl Kind {
    /// The mask of the `count`th name.
    fn mask(self, count: usize) -> String {
        let name = match self {
            Self::Process => "proc",
            Self::Cgroup => "cgroup",
            Self::Unit => "unit",
            Self::Named => "container",
            Self::PodName => "pod",
            Self::Namespace => "namespace",
            Self::File => "file",
            Self::Word => "word",
            Self::Address => "address",
            Self::Hardware => "hardware",
            Self::Log => "log",
            // Of the length that runtimes give them; people see the first twelve digits.
            Self::Container => return format!("{count:012x}{:052x}", 0),
            Self::Pod => return format!("{count:08x}-0000-0000-0000-{:012x}", 0),
        };
        format!("{name}-{count}")
    }
}

/// The masks given so far. One name has one mask, of the kind it was first met as.
#[derive(Debug, Default)]
struct Masks {
    known: HashMap<String, (Kind, String)>,
    counts: HashMap<Kind, usize>,
}

impl Masks {
    /// The mask of `name`.
    fn of(&mut self, kind: Kind, name: &str) -> String {
        if name.is_empty() {
            return String::new();
        }
        if let Some((_, mask)) = self.known.get(name) {
            return mask.clone();
        }
        let count = self.counts.entry(kind).or_default();
        *count += 1;
        let mask = kind.mask(*count);
        self.known.insert(name.to_owned(), (kind, mask.clone()));
        mask
    }

    /// The mask of `name`, if it has one.
    fn known(&self, name: &str) -> Option<&str> {
        self.known.get(name).map(|(_, mask)| mask.as_str())
    }

    /// The mask of the container whose id begins with `digits`, if there is one; shorter than it is,
    /// but not so short that it might be another's.
    fn container(&self, digits: &str) -> Option<&str> {
        let is_it = |name: &&String| name.len() > digits.len() && name.starts_with(digits);
        let mut all = self.ids().filter(|(name, _)| is_it(name));
        let (_, mask) = all.next()?;
        mask.get(..digits.len().max(CONTAINER_DIGITS)).filter(|_| all.next().is_none())
    }

    fn ids(&self) -> impl Iterator<Item = (&String, &String)> {
        let ids = self.known.iter().filter(|(_, (kind, _))| *kind == Kind::Container);
        ids.map(|(name, (_, mask))| (name, mask))
    }

    /// A process's name.
    fn process(&mut self, comm: &str) -> String {
        if words::is_system_process(comm) { comm.to_owned() } else { self.of(Kind::Process, comm) }
    }

    /// What a log is called.
    fn source(&mut self, name: &str) -> String {
        match name {
            logfile::STANDARD_INPUT | kernel::SOURCE => name.to_owned(),
            _ => self.of(Kind::Log, name),
        }
    }
}

/// Reports, and what witnesses said, without names.
#[derive(Debug, Default)]
pub(crate) struct Masked {
    /// The episodes, and in each only the deaths that were wanted.
    episodes: Vec<Episode>,
    /// What was said, in the same order.
    pub(crate) heard: Vec<Heard>,
    /// The kills of all reports, in the same order.
    pub(crate) kills: Vec<OomKill>,
    /// Who listened from when on.
    pub(crate) sights: Vec<(WallTime, Sight)>,
    masks: Masks,
}

/// `subjects`, and all that was heard, without names; one name has one mask in all of them.
pub(crate) fn masked(
    subjects: &[Subject<'_>],
    heard: &[Heard],
    kills: &[OomKill],
    sights: &[(WallTime, Sight)],
) -> Masked {
    let mut masks = Masks::default();
    for heard in heard {
        testimony::meet(&mut masks, &heard.testimony);
    }
    let episodes = episodes(&mut masks, subjects);
    let heard = heard.iter().map(|heard| testimony::heard(&mut masks, heard)).collect();
    let kills = kills.iter().map(|kill| testimony::kill(&mut masks, kill)).collect();
    let sights = sights.iter().map(|(at, sight)| (*at, testimony::sight(&mut masks, sight)));
    let sights = sights.collect();
    Masked { episodes, heard, kills, sights, masks }
}

impl Masked {
    /// Whose it is, by the mask.
    pub(crate) fn owner(&mut self, owner: &Owner) -> Owner {
        testimony::owner(&mut self.masks, owner)
    }

    /// Takes the names out of a reading of this machine.
    pub(crate) fn reading(&mut self, frame: &mut Frame) {
        for process in &mut frame.processes {
            let comm = self.masks.process(&process.comm.to_string());
            process.comm = Comm::new(comm.as_bytes());
            let path = process.cgroup.as_ref();
            process.cgroup = path.map(|path| testimony::cgroup(&mut self.masks, path));
        }
        for cgroup in &mut frame.cgroups {
            cgroup.path = testimony::cgroup(&mut self.masks, &cgroup.path);
        }
    }

    /// The reports, each with those of its deaths that were wanted.
    pub(crate) fn subjects(&self) -> impl Iterator<Item = Subject<'_>> {
        self.episodes.iter().flat_map(Episode::subjects)
    }

    /// `deaths` with their masked reports. One whose report reads as several without its names is
    /// several, and the first of them keeps the verdict.
    pub(crate) fn pair<'m>(&'m self, deaths: &[Death<'_>]) -> Vec<Death<'m>> {
        let mut verdicts: HashMap<(LineNumber, Option<Pid>), Vec<Option<usize>>> = HashMap::new();
        for death in deaths.iter().rev() {
            let known = death.killed().and_then(killed).map(named);
            if let Some(name) = known {
                verdicts.entry(name).or_default().push(death.verdict);
            }
        }
        let reported = self.subjects().map(|subject| {
            let name = killed(&subject).map(named);
            let verdict = name.and_then(|name| verdicts.get_mut(&name)?.pop()?);
            Death { subject: Some(subject), verdict }
        });
        let told = deaths.iter().filter(|death| death.subject.is_none());
        let told = told.map(|death| Death { subject: None, verdict: death.verdict });
        reported.chain(told).collect()
    }
}

fn killed<'a>(subject: &Subject<'a>) -> Option<&'a Kill> {
    subject.episode.report.kills.get(subject.kill?)
}

fn named(kill: &Kill) -> (LineNumber, Option<Pid>) {
    (kill.line, kill.pid)
}

/// The episodes of `subjects` without names, and in each only the deaths that were wanted.
fn episodes(masks: &mut Masks, subjects: &[Subject<'_>]) -> Vec<Episode> {
    let mut all: Vec<Episode> = Vec::new();
    let mut rest = subjects;
    while let Some((first, _)) = rest.split_first() {
        let count = rest.iter().take_while(|s| std::ptr::eq(s.episode, first.episode)).count();
        let (same, later) = rest.split_at_checked(count).unwrap_or((rest, &[]));
        let kills: Vec<Option<usize>> = same.iter().map(|subject| subject.kill).collect();
        all.extend(one_masked(masks, first.episode, &kills));
        rest = later;
    }
    all
}

/// One episode: several, if its lines without names read as several.
fn one_masked(masks: &mut Masks, episode: &Episode, wanted: &[Option<usize>]) -> Vec<Episode> {
    let report = &episode.report;
    let kills = wanted.iter().filter_map(|at| report.kills.get((*at)?));
    let kills = Olds::of(kills);
    let source = masks.source(&episode.source);
    let mut all = Vec::new();
    for masked in read_again(masks, episode) {
        let is_wanted = |kill: &Kill| kills.like(kill).is_some();
        let chosen: Vec<usize> = (0..masked.kills.len())
            .filter(|at| masked.kills.get(*at).is_some_and(is_wanted))
            .collect();
        if chosen.is_empty() && !kills.is_empty() {
            continue;
        }
        let also = also_told(masks, episode, &masked);
        all.push(Episode {
            kills: (!kills.is_empty()).then_some(chosen),
            report: masked,
            source: source.clone(),
            page_size: episode.page_size,
            recorded: None,
            also,
            dying: episode.dying.clone(),
            boot_id: episode.boot_id,
        });
    }
    all
}

/// The deaths of an episode before it was masked, by their lines: a group may have thousands.
#[derive(Debug)]
struct Olds<'a>(HashMap<LineNumber, Vec<&'a Kill>>);

impl<'a> Olds<'a> {
    fn of(kills: impl Iterator<Item = &'a Kill>) -> Self {
        let mut all: HashMap<LineNumber, Vec<&Kill>> = HashMap::new();
        for kill in kills {
            all.entry(kill.line).or_default().push(kill);
        }
        Self(all)
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The one that `new` was read from again.
    fn like(&self, new: &Kill) -> Option<&'a Kill> {
        self.0.get(&new.line)?.iter().copied().find(|old| is_same(old, new))
    }
}

fn is_same(old: &Kill, new: &Kill) -> bool {
    old.line == new.line && (old.pid == new.pid || old.pid.is_none())
}

/// The other places, each with the death that it belongs to now.
fn also_told(masks: &mut Masks, episode: &Episode, masked: &OomReport) -> Vec<AlsoTold> {
    let mut all = Vec::new();
    for also in &episode.also {
        let old = also.kill.and_then(|at| episode.report.kills.get(at));
        let kill = old.and_then(|old| masked.kills.iter().position(|new| is_same(old, new)));
        let place = Evidence {
            source: masks.source(&also.place.source),
            line: also.place.line,
            text: lines::masked(masks, &also.place.text, None),
        };
        all.push(AlsoTold { kill, place });
    }
    all
}

/// The report as its masked lines tell it.
fn read_again(masks: &mut Masks, episode: &Episode) -> Vec<OomReport> {
    let report = &episode.report;
    let rows = report.tasks.rows.iter().map(|row| (row.line, row.comm.as_str()));
    let rows: HashMap<LineNumber, &str> = rows.collect();
    let clocks = episode.clocks();
    lines::meet(masks, report);
    let told: Vec<(LineNumber, Option<WallTime>, String)> = report
        .lines
        .iter()
        .map(|line| {
            let text = lines::masked(masks, &line.text, rows.get(&line.number).copied());
            (line.number, clocks.wall_of(line), text)
        })
        .collect();
    let origin = if report.trust == Trust::Kernel { Origin::Kernel } else { Origin::Unsaid };
    let again = report.lines.iter().zip(&told).map(|(line, (number, wall, text))| LogLine {
        number: *number,
        text: text.as_bytes(),
        raw: text.as_bytes(),
        wall: *wall,
        boot: line.boot,
        seq: None,
        ident: None,
        continues: clocks.continues(line),
        origin,
        caller: None,
        journal: None,
    });
    let mut reports = highwater_oom::read(again.collect::<Vec<_>>().into_iter());
    let olds = Olds::of(report.kills.iter());
    for kill in reports.iter_mut().flat_map(|report| &mut report.kills) {
        let Some(old) = olds.like(kill) else { continue };
        // The reaper's line may stand outside of the episode.
        kill.reaped = kill.reaped.or(old.reaped);
        kill.reaper_failed = kill.reaper_failed.or(old.reaper_failed);
    }
    reports
}
