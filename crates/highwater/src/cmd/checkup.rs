//! `highwater checkup`: one reading of this machine, judged.

mod growing;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use highwater_agent::clock;
use highwater_agent::notice::Status;
use highwater_core::event::Sight;
use highwater_core::frame::Frame;
use highwater_core::text::escape;
use highwater_core::units::Bytes;
use highwater_diagnose::checkup::{
    Checkup, Ended, Lives, PastDeath, PastDeaths, Recorder, Severity, judge_lives,
};
use highwater_diagnose::counsel;
use highwater_diagnose::death::NoHistory;
use highwater_diagnose::document::CheckupDocument;
use highwater_diagnose::inquest::Inquest;
use highwater_diagnose::inquest::restarts::{SLOW_WINDOW, stories};
use highwater_linux::facts::HostFacts;
use highwater_linux::root::Root;
use highwater_linux::sampler::{Sampler, SamplerConfig};
use highwater_store::Reader;

use super::{history, mask, out, refusal, why};
use crate::args::{CheckupArgs, Since, WhyArgs};
use crate::complain;
use crate::view::{self, Page};
use growing::growing;

/// Runs the command. The exit code is that of a monitoring plugin; what goes wrong is `unknown`.
pub(crate) fn run(args: &CheckupArgs) -> anyhow::Result<ExitCode> {
    match check(args) {
        Ok(checkup) => {
            show(args, &checkup)?;
            Ok(code(checkup.severity))
        }
        Err(error) => {
            complain(&error);
            Ok(code(Severity::Unknown))
        }
    }
}

fn code(severity: Severity) -> ExitCode {
    ExitCode::from(match severity {
        Severity::Ok => 0,
        Severity::Warning => 1,
        Severity::Critical => 2,
        Severity::Unknown => 3,
    })
}

pub(crate) fn check(args: &CheckupArgs) -> anyhow::Result<Checkup> {
    let root = Root::live();
    let facts = HostFacts::read(&root);
    let mut sampler = Sampler::new(&root, facts, SamplerConfig::default())?;
    let mut frame = Frame::default();
    sampler.sample(clock::now(), &mut frame)?;
    let history = history::open(args.data_dir.as_deref())?;
    let recorder = history.reader.as_ref().and_then(recorder);
    // What is damaged is found by reading: it is asked for after that.
    let left_out = || -> Vec<String> {
        history.reader.iter().flat_map(|reader| history::left_out(reader, &[])).collect()
    };
    let grows = history.reader.as_ref().and_then(|reader| growing(reader, frame.stamp.wall));
    if args.anonymize {
        let (past, lives) = nameless(&history, &mut frame);
        let mut checkup = judge_lives(&frame, &past, recorder.map(placeless), lives);
        if let Some(grows) = grows {
            checkup = checkup.with(growing::nameless(grows));
        }
        let said = left_out();
        let notes = said.iter().filter_map(|said| refusal::nameless(said));
        checkup.notes = notes.map(str::to_owned).collect();
        return Ok(checkup);
    }
    let (past, lives) = past(&history, &frame);
    let mut checkup = judge_lives(&frame, &past, recorder, lives);
    if let Some(grows) = grows {
        checkup = checkup.with(grows);
    }
    checkup.notes = left_out();
    if let Some(dir) = &args.data_dir {
        name_recording(&mut checkup, dir);
    }
    Ok(checkup)
}

/// The reading and what is on record without names, each name under one mask in both.
fn nameless(history: &history::History, frame: &mut Frame) -> (PastDeaths, Lives) {
    let found = found(history, frame);
    let nothing = why::Found::default();
    let told = found.as_ref().unwrap_or(&nothing);
    let all = why::judged(told);
    let subjects: Vec<why::Subject<'_>> =
        told.episodes.iter().flat_map(why::Episode::subjects).collect();
    let testified = &told.testified;
    let mut masked = mask::masked(&subjects, &testified.heard, &all.kills, &testified.sights);
    masked.reading(frame);
    let inquest = why::again(&masked);
    let lives = lives(&inquest, masked.sights.last().map(|(_, sight)| sight), history, frame);
    let gap =
        found.as_ref().map_or_else(|_| Some(UNREAD.to_owned()), |told| told.sight.blind.clone());
    let deaths = masked.subjects().map(|subject| past_death(&subject.outline())).collect();
    (PastDeaths { source: source(history).to_owned(), deaths, gap }, lives)
}

/// Why something cannot be read names files.
const UNREAD: &str = "the recording cannot be read";

/// The recorder without the directory it records into, which its own words name, too.
fn placeless(recorder: Recorder) -> Recorder {
    let trouble = recorder.trouble.map(|_| "it cannot store; why names files".to_owned());
    Recorder { place: "the recording".to_owned(), trouble, ..recorder }
}

/// The commands that are named must look where the check-up looked.
fn name_recording(checkup: &mut Checkup, dir: &Path) {
    let dir = refusal::quoted(dir);
    for finding in &mut checkup.urgent {
        let text = &mut finding.claim.text;
        let commands = [": highwater why", ": highwater agent", ": highwater restarts"];
        let names_an_owner = text.contains(": highwater leaks ");
        if names_an_owner || commands.iter().any(|command| text.ends_with(command)) {
            text.extend([" --data-dir ", &dir]);
        }
    }
}

/// The deaths of this boot, and what the recording tells of ends and starts; a check-up does without,
/// if they cannot be had, unless they are to come from a recording that was named.
fn past(history: &history::History, frame: &Frame) -> (PastDeaths, Lives) {
    let mut past = PastDeaths::default();
    let mut told = Lives::default();
    past.gap = history.remarks.first().filter(|_| history.reader.is_none()).cloned();
    match found(history, frame) {
        Ok(found) => {
            let sight = found.testified.sights.last().map(|(_, sight)| sight);
            told = lives(&why::judged(&found).inquest, sight, history, frame);
            past.gap = found.sight.blind.clone().or(past.gap);
            past.deaths = why::outlines(&found).map(|death| past_death(&death)).collect();
        }
        Err(error) => past.gap = Some(format!("{error:#}")),
    }
    (PastDeaths { source: source(history).to_owned(), ..past }, told)
}

fn source(history: &history::History) -> &'static str {
    if history.reader.is_some() { "recorded events" } else { "/dev/kmsg" }
}

/// All of this boot.
fn found(history: &history::History, frame: &Frame) -> anyhow::Result<why::Found> {
    let up = Duration::from_micros(frame.stamp.boot.micros());
    let wanted = WhyArgs { since: Some(Since::Ago(up)), ..WhyArgs::default() };
    why::gather_all(history.reader.as_ref(), &wanted, HEARD)
}

/// So many testimonies a check-up looks at, the newest: it has to be quick.
const HEARD: usize = 10_000;

/// What the recording tells of ends and starts. Deaths that a report tells of are counted already.
fn lives(
    inquest: &Inquest,
    sight: Option<&Sight>,
    history: &history::History,
    frame: &Frame,
) -> Lives {
    let unreported = inquest.deaths.iter().filter(|verdict| verdict.report.is_none());
    let told = unreported.filter(|verdict| counsel::is_of_note(verdict));
    let ended = told.filter_map(|verdict| {
        Some(Ended { wall: verdict.wall?, who: why::name(verdict), cause: verdict.cause })
    });
    Lives {
        deaths: ended.collect(),
        // Without its curves: nobody sees them here.
        stories: stories(inquest, &NoHistory, frame.stamp.wall, SLOW_WINDOW),
        // Whoever hangs without an end on record hangs as the kernel says now, and no longer.
        stuck: inquest.stuck.clone(),
        sight: sight.filter(|_| history.reader.is_some()).cloned(),
    }
}

/// How the recorder is whose files these are; what cannot be read is left out.
fn recorder(reader: &Reader) -> Option<Recorder> {
    let info = reader.info().ok()?;
    let dir = info.path.parent()?;
    let status = Status::read(dir);
    let oldest = |tier: u32| {
        let of_tier = info.levels.iter().filter(|level| level.tier == tier);
        of_tier.map(|level| level.oldest).min()
    };
    let base = Recorder {
        place: escape(dir.as_os_str().as_encoded_bytes()).into_owned(),
        is_running: status.as_ref().map(|status| status.is_running),
        used: Bytes::new(info.database_bytes.saturating_add(info.wal_bytes)),
        newest: info.newest,
        raw_from: oldest(0),
        minutes_from: oldest(60),
        ten_minutes_from: oldest(600),
        ..Recorder::default()
    };
    let Some(status) = status else { return Some(base) };
    Some(Recorder {
        budget: status.budget.filter(|budget| *budget > Bytes::ZERO),
        trouble: status.trouble.map(|told| refusal::trouble(&told)),
        told: status.at,
        backlog: status.backlog,
        backlog_age: status.backlog_age,
        slowed: status.slowed,
        is_tight: status.is_tight,
        ..base
    })
}

fn past_death(death: &highwater_diagnose::death::Outline<'_>) -> PastDeath {
    let victim = death.victim;
    let name = victim.and_then(|kill| kill.comm.clone());
    let pid = victim.and_then(|kill| kill.pid).map(|pid| format!("pid {pid}"));
    PastDeath {
        wall: death.time,
        victim: match (name, pid) {
            (Some(name), Some(pid)) => format!("{name} ({pid})"),
            (name, pid) => name.or(pid).unwrap_or_else(|| "an unnamed process".to_owned()),
        },
        limit_owner: death.limit_owner.clone(),
    }
}

fn show(args: &CheckupArgs, checkup: &Checkup) -> anyhow::Result<()> {
    if args.json {
        let mut text = serde_json::to_string_pretty(&CheckupDocument::from(checkup))?;
        text.push('\n');
        return out::bytes(text.as_bytes());
    }
    out::page(&view::checkup::page(Page::of_terminal(), checkup))
}

#[cfg(test)]
mod tests {
    use highwater_core::time::WallTime;
    use highwater_diagnose::checkup::{judge, judge_recorded};

    use super::*;

    #[test]
    fn a_recorder_that_ended_is_started_where_it_was() {
        let recorder = Recorder {
            is_running: Some(false),
            newest: Some(WallTime::from_millis(0)),
            ..Recorder::default()
        };
        let mut frame = Frame::default();
        frame.stamp.wall = WallTime::from_millis(1_714_207_632_000);
        let mut checkup = judge_recorded(&frame, &PastDeaths::default(), Some(recorder));
        name_recording(&mut checkup, Path::new("/srv/x"));
        let end = ": highwater agent --data-dir /srv/x";
        assert!(checkup.urgent.iter().any(|finding| finding.claim.text.ends_with(end)));
    }

    #[test]
    fn the_command_names_the_recording_that_was_looked_at() {
        let wall = WallTime::from_millis(1_714_207_632_000);
        let death =
            PastDeath { wall: Some(wall), victim: "x (pid 7)".to_owned(), limit_owner: None };
        let mut frame = Frame::default();
        frame.stamp.wall = wall;
        frame.machine = Some(highwater_core::frame::MachineSample::default());
        let mut checkup =
            judge(&frame, &PastDeaths { deaths: vec![death], ..PastDeaths::default() });
        name_recording(&mut checkup, Path::new("/var/my data"));
        let said = |finding: &highwater_diagnose::checkup::Finding| {
            finding.claim.text.ends_with(": highwater why --data-dir '/var/my data'")
        };
        assert_eq!(
            checkup.urgent.iter().filter(|finding| said(finding)).count(),
            1,
            "{:?}",
            checkup.urgent
        );
    }
}
