//! Names taken out of reports, so that they can be shared.
//!
//! ```text
//! report ─ its lines ─ masked ─ read again ─ report without names
//! ```
//!
//! Only lines are masked, and everything else is read out of them anew: there is one place where a
//! name can be forgotten, and that one keeps only words it knows. What is no number and no word of
//! the kernel's becomes `proc-1`, `cgroup-2`, `unit-3.service`, `word-4`; the same name always the
//! same mask.

mod lines;
mod places;
mod testimony;
mod words;

use std::collections::HashMap;

use highwater_core::evidence::Evidence;
use highwater_core::id::Pid;
use highwater_core::line::{LogLine, Origin};
use highwater_core::time::WallTime;
use highwater_diagnose::inquest::{Heard, OomKill};
use highwater_oom::OomReport;
use highwater_oom::report::{Kill, LineNumber, Trust};

use super::why::{AlsoTold, Death, Episode, Subject};
use super::{kernel, logfile};

/// What a mask stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Process,
    Cgroup,
    Unit,
    Container,
    Pod,
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

/// The masks given so far.
#[derive(Debug, Default)]
struct Masks {
    known: HashMap<(Kind, String), String>,
    counts: HashMap<Kind, usize>,
}

impl Masks {
    /// The mask of `name`.
    fn of(&mut self, kind: Kind, name: &str) -> String {
        let count = self.counts.entry(kind).or_default();
        let mask = self.known.entry((kind, name.to_owned())).or_insert_with(|| {
            *count += 1;
            kind.mask(*count)
        });
        mask.clone()
    }

    /// The mask of `name`, if it has one.
    fn known(&self, kind: Kind, name: &str) -> Option<&str> {
        self.known.get(&(kind, name.to_owned())).map(String::as_str)
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
}

/// `subjects`, and all that was heard, without names; one name has one mask in all of them.
pub(crate) fn masked(subjects: &[Subject<'_>], heard: &[Heard], kills: &[OomKill]) -> Masked {
    let mut masks = Masks::default();
    let episodes = episodes(&mut masks, subjects);
    let heard = heard.iter().map(|heard| testimony::heard(&mut masks, heard)).collect();
    let kills = kills.iter().map(|kill| testimony::kill(&mut masks, kill)).collect();
    Masked { episodes, heard, kills }
}

impl Masked {
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
        let subjects = self.episodes.iter().flat_map(Episode::subjects);
        let reported = subjects.map(|subject| {
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
