//! Deaths of any machine: those that its logs tell of.

use std::fs::Metadata;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use highwater_core::evidence::Claim;
use highwater_core::text::escape;
use highwater_core::time::WallTime;
use highwater_diagnose::inquest::Heard;
use highwater_oom::OomReport;

use super::answer::{Answer, newest_before};
use super::choice::{Everyday, chosen};
use super::episode::Found;
use super::judged::judged;
use super::merge::{Told, merged};
use super::testified::{Holds, Testified};
use crate::args::WhyArgs;
use crate::cmd::logfile::{self, Log, Looks};
use crate::cmd::progress::Progress;
use crate::complain;
use crate::view::{self, Page};

/// So many deaths of logs are explained in full; of more, the newest, below a table of all.
const IN_FULL: usize = 3;

/// Paths are names, too.
const UNNAMED_FAULT: &str = "a log could not be read, or not to its end";

/// So many logs are named in a sentence.
const NAMED: usize = 3;

/// What was read.
#[derive(Debug, Default)]
struct Read {
    logs: Vec<Log>,
    /// What could not be read, or not to its end, and why.
    faults: Vec<String>,
    /// What was left out.
    remarks: Vec<String>,
}

/// Explains the deaths in the logs at `paths`, all or those of `name`.
pub(crate) fn explained(
    args: &WhyArgs,
    paths: &[PathBuf],
    name: Option<&str>,
) -> anyhow::Result<ExitCode> {
    let Read { mut logs, mut faults, mut remarks } = read(paths)?;
    if let Some(told) = meant(args, &logs, name)? {
        return Ok(told);
    }
    let program = program(args, &logs, name);
    let is_whole = faults.is_empty();
    let about = About::of(&logs, args.anonymize);
    let mut notes: Vec<Claim> = Vec::new();
    if args.anonymize {
        faults = faults.iter().map(|_| UNNAMED_FAULT.to_owned()).collect();
        remarks.clear();
    } else {
        notes.extend(logs.iter_mut().flat_map(|log| std::mem::take(&mut log.hints)));
    }
    let testified = testified(&mut logs);
    let told = logs.into_iter().map(|log| Told { source: log.source, reports: log.reports });
    let episodes = merged(told.collect(), &testified.heard);
    let found = Found { episodes, testified, ..Found::default() };
    let mut all = judged(&found);
    let mut choice = chosen(&all, args, name);
    let also = choice.remark.take();
    let everyday = choice.everyday;
    let hangs = std::mem::take(&mut choice.hangs);
    let deaths = std::mem::take(&mut choice.deaths);
    drop(choice);
    let is_empty = found.episodes.is_empty() && deaths.is_empty();
    let is_nobody = name.is_some() && deaths.is_empty() && hangs.is_empty();
    let absent = match name {
        Some(_) if found.episodes.is_empty() && !all.deaths.is_empty() => {
            unnamed(&about, args, name)
        }
        None if found.episodes.is_empty() && everyday != Everyday::default() => {
            about.everyday(everyday)
        }
        _ => absent(&found, &about, args, name),
    };
    let absent = match program.filter(|_| !args.anonymize) {
        // Whoever typed it may have meant the death.
        Some(typed) => format!("No death of {} is on record; {absent}", escape(typed.as_bytes())),
        None => absent,
    };
    let is_bare = is_empty && everyday == Everyday::default() && about.looks != Looks::Entries;
    let empty_page = (is_bare && (name.is_none() || all.deaths.is_empty()))
        .then(|| view::why::nothing_in_log(Page::of_terminal(), &absent, &notes));
    if !deaths.is_empty() && found.episodes.is_empty() {
        // What the hints guess at, the witnesses know.
        notes.clear();
    }
    let answer = Answer {
        in_full: IN_FULL,
        remarks: faults.into_iter().chain(remarks).chain(also).collect(),
        notes,
        absent: vec![absent],
        empty_page,
        deaths,
        everyday,
        inquest: std::mem::take(&mut all.inquest),
        hangs,
        kills: std::mem::take(&mut all.kills),
        testified: Some(&found.testified),
        ..Answer::default()
    };
    answer.give(args)?;
    Ok(if is_whole && !is_nobody { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A program's file is called as its process was: where the one log that was named is no log, and
/// somebody of that name died, that death was meant.
fn meant(args: &WhyArgs, logs: &[Log], name: Option<&str>) -> anyhow::Result<Option<ExitCode>> {
    let (Some(typed), [log]) = (program(args, logs, name), logs) else { return Ok(None) };
    let file = format!("there is a file {} here, too: it is no log", log.source);
    super::record::beside(args, typed, file)
}

/// What was typed, if it is the name of a file here that is no log.
fn program<'a>(args: &'a WhyArgs, logs: &[Log], name: Option<&str>) -> Option<&'a str> {
    let ([typed], [log], None) = (args.target.as_slice(), logs, name) else { return None };
    let is_log = log.looks != Looks::Binary || !log.reports.is_empty() || !log.heard.is_empty();
    (!is_log && typed != "-" && !typed.contains('/')).then_some(typed)
}

/// What the logs tell of ends and starts, oldest first where all have a date.
fn testified(logs: &mut [Log]) -> Testified {
    let holds = logs.iter().fold(Holds::default(), |all, log| all.or(log.holds));
    let heard = logs.iter_mut().flat_map(|log| std::mem::take(&mut log.heard));
    let mut heard: Vec<Heard> = heard.collect();
    if heard.iter().all(|heard| heard.wall.is_some()) {
        heard.sort_by_key(|heard| heard.wall);
    }
    let sights = vec![(WallTime::from_millis(i64::MIN), holds.sight())];
    Testified { heard, sights, ..Testified::default() }
}

/// There are deaths, and none of that name.
fn unnamed(about: &About, args: &WhyArgs, name: Option<&str>) -> String {
    match name.filter(|_| !args.anonymize) {
        Some(name) => {
            format!("{} of deaths, but none of {}.", about.tell(), escape(name.as_bytes()))
        }
        None => format!("{} of deaths, but of none of that name.", about.tell()),
    }
}

/// What to say where nobody was found.
fn absent(found: &Found, about: &About, args: &WhyArgs, name: Option<&str>) -> String {
    match (found.episodes.is_empty(), newest_before(found, args), name) {
        (true, ..) => about.nothing(),
        (_, Some((since, _)), None) if args.anonymize => {
            format!("Nothing was killed since {since}.")
        }
        (_, Some((since, last)), None) => {
            let names = &about.names;
            format!("Nothing was killed since {since}; the newest death in {names} was {last}.")
        }
        (_, _, Some(_)) if args.anonymize => {
            format!("{} of deaths, but of none of that name.", about.tell())
        }
        (_, _, Some(name)) if about.count == 1 => view::why::nobody_in_log(name, &about.names),
        (_, _, Some(name)) => {
            let name = escape(name.as_bytes());
            format!("{} of deaths, but none of {name}.", about.tell())
        }
        _ => format!("{} of no death in that time.", about.tell()),
    }
}

/// Reads what can be read. An error if that is nothing.
fn read(paths: &[PathBuf]) -> anyhow::Result<Read> {
    let progress = Progress::new(total(paths));
    let mut read = Read::default();
    let mut last = None;
    for path in paths {
        match logfile::read(path, &progress) {
            Ok(log) => read.take(log),
            Err(error) => {
                read.faults.push(format!("{error:#}"));
                last = Some(error);
            }
        }
    }
    progress.end();
    match last {
        Some(error) if paths.len() == 1 => return Err(error),
        Some(_) if read.logs.is_empty() => bail!("no log can be read: {}", read.faults.join("; ")),
        _ => {}
    }
    for fault in &read.faults {
        complain(&anyhow::anyhow!(fault.clone()));
    }
    Ok(read)
}

/// The bytes of all files; `None` if one is a pipe.
fn total(paths: &[PathBuf]) -> Option<u64> {
    let size = |path: &PathBuf| Some(path.metadata().ok().filter(Metadata::is_file)?.len());
    paths.iter().map(size).sum()
}

impl Read {
    fn take(&mut self, mut log: Log) {
        if matches!(log.looks, Looks::Binary | Looks::Journal) {
            log.reports.retain(is_report);
        }
        if let Some(fault) = &log.fault {
            self.faults.push(format!(
                "{} breaks off after line {}: {fault}; what stands before is explained",
                log.source, log.lines
            ));
        }
        if log.forgotten > 0 {
            let count = log.forgotten;
            self.remarks.push(format!(
                "the oldest {count} ends and starts of {} were left out",
                log.source
            ));
        }
        self.logs.push(log);
    }
}

/// Programs hold the kernel's words too: in what does not look like text, only what names somebody
/// counts.
fn is_report(report: &OomReport) -> bool {
    let asker = report.trigger.as_ref().and_then(|told| told.value.comm.as_deref());
    !report.kills.is_empty() || asker.is_some_and(|comm| !comm.is_empty())
}

/// What the logs are, in words.
#[derive(Debug)]
struct About {
    /// `a.log and b.log`, `7 logs`.
    names: String,
    count: usize,
    lines: u64,
    looks: Looks,
}

impl About {
    fn of(logs: &[Log], is_masked: bool) -> Self {
        let names: Vec<&str> = logs.iter().map(|log| log.source.as_str()).collect();
        let names = match names.as_slice() {
            [_] if is_masked => "the log".to_owned(),
            [one] => (*one).to_owned(),
            [first @ .., last] if names.len() <= NAMED && !is_masked => {
                format!("{} and {last}", first.join(", "))
            }
            _ => format!("{} logs", names.len()),
        };
        Self {
            names,
            count: logs.len(),
            lines: logs.iter().map(|log| log.lines).fold(0, u64::saturating_add),
            looks: logs
                .first()
                .filter(|_| logs.len() == 1)
                .map(|log| log.looks)
                .unwrap_or_default(),
        }
    }

    fn tell(&self) -> String {
        format!("{} {}", self.names, if self.count == 1 { "tells" } else { "tell" })
    }

    /// There are ends, and none that somebody should be told of unasked.
    fn everyday(&self, everyday: Everyday) -> String {
        let ends = everyday.ends().unwrap_or_default();
        format!("No unwanted death in {}; {ends}: --all", self.names)
    }

    /// There is no report.
    fn nothing(&self) -> String {
        if self.looks == Looks::Journal {
            let file = escape(self.names.as_bytes());
            return format!(
                "{file} is a file of systemd's journal, which journalctl reads: journalctl --file {file} -k -o short-iso-precise | highwater why -"
            );
        }
        if self.looks == Looks::Entries {
            return format!("No death in {} ({} lines read).", self.names, self.lines);
        }
        let lines = usize::try_from(self.lines).unwrap_or(usize::MAX);
        view::why::empty_log(&self.names, lines, self.looks == Looks::Binary)
    }
}
