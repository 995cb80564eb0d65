//! `highwater why`: deaths from a log, or from the recording and the kernel's log, explained.

pub(crate) mod absence;

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use highwater_core::event::{Death, Happening};
use highwater_core::evidence::Claim;
use highwater_core::series::SeriesSource;
use highwater_core::time::{BootTime, WallTime};
use highwater_core::units::PageSize;
use highwater_diagnose::death::{Case, Diagnosis, NoHistory, RecordedDeath, Window, explain};
use highwater_diagnose::document::{DeathDocument, EpisodeDocument, WhyDocument};
use highwater_linux::facts::HostFacts;
use highwater_linux::root::Root;
use highwater_oom::OomReport;
use highwater_oom::report::Kill;
use highwater_store::{EventFilter, Reader, StoredEvent};

use super::{history, kernel, logfile, target};
use crate::args::{Since, WhyArgs};
use crate::view::{self, Page};
use absence::Sight;

/// So many deaths of a recording are looked at, the newest: an answer for a person. Each carries
/// its log lines, some 20 kB.
const LOOKED_AT: usize = 1000;

/// So many deaths of one log are explained in full; of more, the newest, below a table of all.
const IN_FULL: usize = 3;

/// Episodes, the deaths in them, and what to say beside them.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) episodes: Vec<Episode>,
    pub(crate) remarks: Vec<String>,
    pub(crate) sight: Sight,
}

/// One episode and where it was read.
#[derive(Debug)]
pub(crate) struct Episode {
    report: OomReport,
    source: String,
    page_size: Option<PageSize>,
    /// The one death that the record is about.
    recorded: Option<Recorded>,
}

#[derive(Debug)]
struct Recorded {
    death: Death,
    wall: WallTime,
    boot: Option<BootTime>,
    kill: usize,
}

/// One thing to explain: an episode, and which of its deaths.
#[derive(Clone, Copy, Debug)]
struct Subject<'a> {
    episode: &'a Episode,
    kill: Option<usize>,
}

impl Subject<'_> {
    fn explain(&self, history: &dyn SeriesSource, look_back: Window) -> Diagnosis {
        let recorded = self.episode.recorded.as_ref();
        let recorded = recorded.map(|kept| RecordedDeath {
            death: &kept.death,
            wall: kept.wall,
            boot: kept.boot,
        });
        let case = Case {
            report: &self.episode.report,
            kill: self.kill,
            source: &self.episode.source,
            recorded,
            page_size: self.episode.page_size,
            look_back,
        };
        explain(&case, history)
    }
}

impl Episode {
    fn subjects(&self) -> Vec<Subject<'_>> {
        let one = |kill| Subject { episode: self, kill };
        match (&self.recorded, self.report.kills.len()) {
            (Some(recorded), _) => vec![one(Some(recorded.kill))],
            (None, 0) => vec![one(None)],
            (None, count) => (0..count).map(|at| one(Some(at))).collect(),
        }
    }
}

/// Runs the command.
pub(crate) fn run(args: &WhyArgs) -> anyhow::Result<ExitCode> {
    let log = args.file.clone().or_else(|| args.target.as_deref().and_then(target::as_log));
    let name = args.target.as_deref().filter(|_| log.is_none() || args.file.is_some());
    match log {
        Some(path) => from_log(args, &path, name.filter(|name| *name != "-")),
        None => from_record(args, name),
    }
}

fn from_log(args: &WhyArgs, path: &Path, name: Option<&str>) -> anyhow::Result<ExitCode> {
    let mut log = logfile::read(path)?;
    if log.is_binary {
        log.reports.retain(is_report);
    }
    let mut notes = log.hints.claims(&log.source);
    let episode =
        |report| Episode { report, source: log.source.clone(), page_size: None, recorded: None };
    let found =
        Found { episodes: log.reports.into_iter().map(episode).collect(), ..Found::default() };
    let Choice { subjects, also } = chosen(&found, args, name);
    let answer = match (found.episodes.is_empty(), newest_before(&found, args), name) {
        (true, ..) => view::why::empty_log(&log.source, log.lines, log.is_binary),
        (_, Some((since, last)), None) => {
            format!(
                "Nothing was killed since {since}; the newest death in {} was {last}.",
                log.source
            )
        }
        (_, _, Some(name)) => view::why::nobody_in_log(name, &log.source),
        _ => format!("{} tells of no death in that time.", log.source),
    };
    if args.json {
        if subjects.is_empty() {
            notes.insert(0, Claim { text: answer, evidence: Vec::new() });
        }
        notes.extend(also.map(|text| Claim { text, evidence: Vec::new() }));
        return print_json(&subjects, &NoHistory, notes);
    }
    let page = Page::of_terminal();
    print(&match (subjects.is_empty(), found.episodes.is_empty()) {
        (true, true) => view::why::nothing_in_log(page, &answer, &notes),
        (true, false) => view::why::statement(page, &[answer]),
        (false, _) => {
            view::why::remarks(page, also.as_slice()) + &explained(page, &subjects, &NoHistory)
        }
    })
}

/// Programs hold the kernel's words too: in what does not look like text, only what names somebody
/// counts.
fn is_report(report: &OomReport) -> bool {
    let asker = report.trigger.as_ref().and_then(|told| told.value.comm.as_deref());
    !report.kills.is_empty() || asker.is_some_and(|comm| !comm.is_empty())
}

/// The time that was asked for, and the newest death before it.
fn newest_before(found: &Found, args: &WhyArgs) -> Option<(WallTime, String)> {
    let since = moment(args.since?, highwater_agent::clock::now().wall);
    let older = briefs(found).filter(|death| death.time.is_some_and(|time| time < since));
    let last = older.max_by_key(|death| death.time)?;
    Some((since, named(&last)))
}

/// `node (pid 7) at 2026-…`.
fn named(death: &Diagnosis) -> String {
    let victim = death.victim.as_ref();
    let name = victim.and_then(|kill| kill.comm.as_deref()).unwrap_or("an unnamed process");
    let pid = victim.and_then(|kill| kill.pid).map_or(String::new(), |pid| format!(" (pid {pid})"));
    let at = death.time.map_or(String::new(), |time| format!(" at {time}"));
    format!("{name}{pid}{at}")
}

fn from_record(args: &WhyArgs, name: Option<&str>) -> anyhow::Result<ExitCode> {
    let history = history::open(args.data_dir.as_deref())?;
    let mut found = gather(history.reader.as_ref(), args)?;
    found.sight.unreadable = history.reader.is_none() && !history.remarks.is_empty();
    found.remarks.splice(0..0, history.remarks);
    let Choice { mut subjects, also } = chosen(&found, args, name);
    subjects.retain(|subject| subject.kill.is_some() || name.is_some());
    let absent = if subjects.is_empty() { absent(&found, name)? } else { Vec::new() };
    let mut remarks = found.remarks.clone();
    if !subjects.is_empty() {
        let only = |why: &String| format!("only deaths on record are shown: {why}");
        remarks.extend(found.sight.blind.as_ref().map(only));
    }
    remarks.extend(also);
    let source: &dyn SeriesSource = match &history.reader {
        Some(reader) => reader,
        None => &NoHistory,
    };
    if args.json {
        let notes = remarks.into_iter().chain(absent);
        let notes = notes.map(|text| Claim { text, evidence: Vec::new() }).collect();
        print_json(&subjects, source, notes)?;
    } else {
        let page = Page::of_terminal();
        let mut text = view::why::remarks(page, &remarks);
        text += &match subjects.last() {
            None => view::why::statement(page, &absent),
            Some(newest) => {
                let table = table(page, &subjects);
                table + &view::death::page(page, &newest.explain(source, Window::Week))
            }
        };
        print(&text)?;
    }
    let saw_nothing = found.sight.blind.is_some() && history.reader.is_none();
    Ok(if saw_nothing { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// What to say where nobody was found; an error, if a file was meant that is not there.
fn absent(found: &Found, name: Option<&str>) -> anyhow::Result<Vec<String>> {
    let Some(name) = name else { return Ok(found.sight.of_nothing()) };
    target::no_such_log(name)?;
    let mut said = view::why::nobody(name);
    if let Some((since, _)) = &found.sight.since {
        said.push(format!("Only deaths since {since} were looked at."));
    }
    let blind = found.sight.blind.as_ref();
    said.extend(blind.map(|why| format!("Whether it was killed is unknown, because {why}.")));
    Ok(said)
}

/// All deaths that the recording and the kernel's log still know, oldest first.
pub(crate) fn gather(reader: Option<&Reader>, args: &WhyArgs) -> anyhow::Result<Found> {
    let now = highwater_agent::clock::now();
    let facts = HostFacts::read(&Root::live());
    let mut found = Found::default();
    let filter = EventFilter {
        since: args.since.map(|since| moment(since, now.wall)),
        kind: Some("death"),
        limit: Some(LOOKED_AT),
        ..EventFilter::default()
    };
    let events = reader.map(|reader| reader.events(&filter)).transpose()?.unwrap_or_default();
    if events.len() == LOOKED_AT {
        found
            .remarks
            .push(format!("only the newest {LOOKED_AT} deaths were looked at; --since narrows"));
    }
    let known = |kill: &Kill| {
        let key = format!("kmsg:{}", kill.line);
        events
            .iter()
            .any(|stored| stored.event.key == key && Some(stored.event.boot_id) == facts.boot_id)
    };
    let mut fresh = Vec::new();
    // An explicit directory may be another machine's: its story is told without this kernel's.
    if args.data_dir.is_none() {
        match kernel::read(&Root::live(), now) {
            Ok(log) => fresh = log.reports,
            Err(error) => found.sight.blind = Some(absence::reason(&error)),
        }
        found.sight.kills_since_boot = absence::kills_since_boot(&Root::live());
    }
    found.sight.recorded = reader.is_some();
    fresh.retain(|report| !report.kills.iter().any(known));
    let page_size = Some(facts.page_size);
    found.episodes.extend(events.into_iter().map(|stored| from_event(stored, page_size)));
    found.episodes.extend(fresh.into_iter().map(|report| Episode {
        report,
        source: kernel::SOURCE.to_owned(),
        page_size,
        recorded: None,
    }));
    if let Some(since) = args.since {
        let since = moment(since, now.wall);
        let last = newest_before(&found, args).map(|(_, last)| last);
        let last = match last {
            Some(last) => Some(last),
            None => reader.map(|reader| newest_on_record(reader, page_size)).transpose()?.flatten(),
        };
        let last = last.map(|last| format!("the newest death on record was {last}"));
        found.sight.since = Some((since, last));
    }
    Ok(found)
}

/// The newest death on record, whenever it was.
fn newest_on_record(reader: &Reader, page: Option<PageSize>) -> anyhow::Result<Option<String>> {
    let filter = EventFilter { kind: Some("death"), limit: Some(1), ..EventFilter::default() };
    let newest = reader.events(&filter)?.pop().map(|stored| from_event(stored, page));
    let found = Found { episodes: newest.into_iter().collect(), ..Found::default() };
    Ok(briefs(&found).last().map(|death| named(&death)))
}

/// The report is read anew out of the recorded lines, by today's reader.
fn from_event(stored: StoredEvent, page_size: Option<PageSize>) -> Episode {
    let event = stored.event;
    let Happening::Death(death) = event.what else {
        return Episode {
            report: OomReport::default(),
            source: kernel::SOURCE.to_owned(),
            page_size,
            recorded: None,
        };
    };
    let number = |at: usize| {
        let seq = death.lines.get(at).and_then(|line| line.seq);
        seq.unwrap_or_else(|| u64::try_from(at).unwrap_or(0).saturating_add(1))
    };
    let lines = death.lines.iter().enumerate().map(|(at, line)| line.as_line(number(at)));
    let lines: Vec<_> = lines.collect();
    let wanted = number(death.kill_line);
    let is_it = |kill: &Kill| kill.line == wanted || kill.pid == Some(death.pid);
    let reports = highwater_oom::read(lines.into_iter());
    let mut report = reports
        .into_iter()
        .find(|report| report.kills.iter().any(is_it))
        .unwrap_or_else(|| unread(&death, wanted));
    let kill = report.kills.iter().position(|kill| kill.line == wanted);
    let kill = kill.or_else(|| report.kills.iter().position(is_it)).unwrap_or(0);
    if let Some(kill) = report.kills.get_mut(kill) {
        kill.wall = kill.wall.or(Some(event.wall));
    }
    let recorded = Recorded { death, wall: event.wall, boot: event.boot, kill };
    Episode { report, source: kernel::SOURCE.to_owned(), page_size, recorded: Some(recorded) }
}

/// A death whose lines say nothing to this version: what the recorder noted of it remains.
fn unread(death: &Death, line: u64) -> OomReport {
    let kill = Kill {
        line,
        pid: Some(death.pid),
        comm: Some(death.comm.clone()),
        bare: true,
        ..Kill::default()
    };
    OomReport { kills: vec![kill], ..OomReport::default() }
}

pub(crate) fn moment(since: Since, now: WallTime) -> WallTime {
    match since {
        Since::Ago(length) => now.before(length),
        Since::At(moment) => WallTime::from(moment),
    }
}

/// The deaths that are wanted. A name that is wholly somebody's means only those.
fn chosen<'a>(found: &'a Found, args: &WhyArgs, name: Option<&str>) -> Choice<'a> {
    let now = highwater_agent::clock::now();
    let since = args.since.map(|since| moment(since, now.wall));
    let mut subjects: Vec<Subject<'_>> =
        found.episodes.iter().flat_map(Episode::subjects).collect();
    if let Some(since) = since {
        // A death without a time of day may be any.
        subjects.retain(|subject| brief(subject).time.is_none_or(|time| time >= since));
    }
    let Some(name) = name else { return Choice { subjects, also: None } };
    let id = target::container_called(name).or_else(|| target::cgroup_at(name));
    let name = id.as_deref().unwrap_or(name);
    let scored: Vec<_> = subjects
        .into_iter()
        .filter_map(|subject| Some((target::matches(name, &brief(&subject))?, subject)))
        .collect();
    let best = scored.iter().map(|(how, _)| *how).max();
    let (wanted, others): (Vec<_>, Vec<_>) =
        scored.into_iter().partition(|(how, _)| Some(*how) == best);
    let others: Vec<_> = others.into_iter().map(|(_, subject)| brief(&subject)).collect();
    let subjects = wanted.into_iter().map(|(_, subject)| subject).collect();
    Choice { subjects, also: target::also_like(&others) }
}

/// The deaths that are wanted.
struct Choice<'a> {
    subjects: Vec<Subject<'a>>,
    /// Names that are like the one that was asked for, of other deaths.
    also: Option<String>,
}

/// All deaths found, without any series looked at.
pub(crate) fn briefs(found: &Found) -> impl Iterator<Item = Diagnosis> {
    let subjects = found.episodes.iter().flat_map(Episode::subjects);
    subjects.filter(|subject| subject.kill.is_some()).map(|subject| brief(&subject))
}

/// Explained without looking at any series: enough for a table, a filter.
fn brief(subject: &Subject<'_>) -> Diagnosis {
    subject.explain(&NoHistory, Window::Minutes)
}

/// A few are explained in full; of many, the newest below a table.
fn explained(page: Page, subjects: &[Subject<'_>], history: &dyn SeriesSource) -> String {
    let full =
        |subject: &Subject<'_>| view::death::page(page, &subject.explain(history, Window::Week));
    if subjects.len() <= IN_FULL {
        return subjects.iter().map(full).collect::<Vec<_>>().join(&page.rule());
    }
    table(page, subjects) + &subjects.last().map(full).unwrap_or_default()
}

fn table(page: Page, subjects: &[Subject<'_>]) -> String {
    if subjects.len() < 2 {
        return String::new();
    }
    let rows: Vec<Diagnosis> = subjects.iter().rev().take(view::why::ROWS).map(brief).collect();
    view::why::table(page, &rows, subjects.len())
}

fn print_json(
    subjects: &[Subject<'_>],
    history: &dyn SeriesSource,
    notes: Vec<Claim>,
) -> anyhow::Result<ExitCode> {
    let mut document = WhyDocument::new(notes);
    for subject in subjects {
        let diagnosis = subject.explain(history, Window::Minutes);
        let report = &subject.episode.report;
        match subject.kill {
            Some(_) => document.deaths.push(DeathDocument::new(&diagnosis, report)),
            None => document.episodes.push(EpisodeDocument::new(&diagnosis, report)),
        }
    }
    let mut text = serde_json::to_string_pretty(&document)?;
    text.push('\n');
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// Prints, with colours only where they are seen.
fn print(text: &str) -> anyhow::Result<ExitCode> {
    let mut out = anstream::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}
