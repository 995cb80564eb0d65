//! `highwater checkup`: one reading of this machine, judged.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use highwater_agent::clock;
use highwater_agent::notice::Status;
use highwater_core::frame::Frame;
use highwater_core::text::escape;
use highwater_core::time::WallTime;
use highwater_core::units::Bytes;
use highwater_diagnose::checkup::{
    Checkup, Ended, Lives, PastDeath, PastDeaths, Recorder, Severity, judge_lives,
};
use highwater_diagnose::death::NoHistory;
use highwater_diagnose::document::CheckupDocument;
use highwater_diagnose::inquest::restarts::{SLOW_WINDOW, stories};
use highwater_linux::facts::HostFacts;
use highwater_linux::root::Root;
use highwater_linux::sampler::{Sampler, SamplerConfig};
use highwater_store::Reader;

use super::{history, out, refusal, why};
use crate::args::{CheckupArgs, Since, WhyArgs};
use crate::complain;
use crate::view::{self, Page};

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

fn check(args: &CheckupArgs) -> anyhow::Result<Checkup> {
    let root = Root::live();
    let facts = HostFacts::read(&root);
    let mut sampler = Sampler::new(&root, facts, SamplerConfig::default())?;
    let mut frame = Frame::default();
    sampler.sample(clock::now(), &mut frame)?;
    let history = history::open(args.data_dir.as_deref())?;
    let (past, lives) = past(&history, &frame);
    let recorder = history.reader.as_ref().and_then(recorder);
    let mut checkup = judge_lives(&frame, &past, recorder, lives);
    if let Some(reader) = &history.reader {
        checkup.notes = history::left_out(reader, &[]);
    }
    if let Some(dir) = &args.data_dir {
        name_recording(&mut checkup, dir);
    }
    Ok(checkup)
}

/// The commands that are named must look where the check-up looked.
fn name_recording(checkup: &mut Checkup, dir: &Path) {
    let dir = refusal::quoted(dir);
    for finding in &mut checkup.urgent {
        let text = &mut finding.claim.text;
        let commands = [": highwater why", ": highwater agent", ": highwater restarts"];
        if commands.iter().any(|command| text.ends_with(command)) {
            text.extend([" --data-dir ", &dir]);
        }
    }
}

/// The deaths of this boot, and what the recording tells of ends and starts; a check-up does without,
/// if they cannot be had, unless they are to come from a recording that was named.
fn past(history: &history::History, frame: &Frame) -> (PastDeaths, Lives) {
    let mut past = PastDeaths::default();
    let mut lives = Lives::default();
    let up = Duration::from_micros(frame.stamp.boot.micros());
    past.gap = history.remarks.first().filter(|_| history.reader.is_none()).cloned();
    let since = Some(Since::Ago(up));
    let wanted = WhyArgs { since, ..WhyArgs::default() };
    match why::gather_all(history.reader.as_ref(), &wanted, HEARD) {
        Ok(found) => {
            lives = lived(&found, history.reader.as_ref(), frame.stamp.wall);
            past.gap = found.sight.blind.clone().or(past.gap);
            past.deaths = why::outlines(&found).map(|death| past_death(&death)).collect();
        }
        Err(error) => past.gap = Some(format!("{error:#}")),
    }
    let source = if history.reader.is_some() { "recorded events" } else { "/dev/kmsg" };
    (PastDeaths { source: source.to_owned(), ..past }, lives)
}

/// So many testimonies a check-up looks at, the newest: it has to be quick.
const HEARD: usize = 10_000;

/// What the recording tells of ends and starts. Deaths that a report tells of are counted already.
fn lived(found: &why::Found, reader: Option<&Reader>, now: WallTime) -> Lives {
    let all = why::judged(found);
    let unreported = all.deaths.iter().filter(|death| death.subject.is_none());
    let told = unreported.filter(|death| death.is_of_note(&all.inquest));
    let ended = told.filter_map(|death| {
        let verdict = death.told(&all.inquest)?;
        Some(Ended { wall: verdict.wall?, who: why::name(verdict), cause: verdict.cause })
    });
    Lives {
        deaths: ended.collect(),
        // Without its curves: nobody sees them here.
        stories: stories(&all.inquest, &NoHistory, now, SLOW_WINDOW),
        // Whoever hangs without an end on record hangs as the kernel says now, and no longer.
        stuck: all.inquest.stuck.clone(),
        sight: reader.and(found.testified.sights.last().map(|(_, sight)| sight.clone())),
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
