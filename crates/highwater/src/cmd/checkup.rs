//! `highwater checkup`: one reading of this machine, judged.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use highwater_agent::clock;
use highwater_core::frame::Frame;
use highwater_diagnose::checkup::{Checkup, PastDeath, PastDeaths, Severity, judge};
use highwater_diagnose::document::CheckupDocument;
use highwater_linux::facts::HostFacts;
use highwater_linux::root::Root;
use highwater_linux::sampler::{Sampler, SamplerConfig};

use super::{history, why};
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
    Ok(judge(&frame, &past_deaths(args, &frame)?))
}

/// The deaths of this boot; a check-up does without, if they cannot be had, unless they are to come
/// from a recording that was named.
fn past_deaths(args: &CheckupArgs, frame: &Frame) -> anyhow::Result<PastDeaths> {
    let mut past = PastDeaths::default();
    let up = Duration::from_micros(frame.stamp.boot.micros());
    let history = history::open(args.data_dir.as_deref())?;
    past.gap = history.remarks.first().filter(|_| history.reader.is_none()).cloned();
    let since = Some(Since::Ago(up));
    let wanted = WhyArgs { target: None, file: None, since, json: false, data_dir: None };
    match why::gather(history.reader.as_ref(), &wanted) {
        Ok(found) => {
            past.gap = found.sight.blind.clone().or(past.gap);
            past.deaths = why::briefs(&found).map(|death| past_death(&death)).collect();
        }
        Err(error) => past.gap = Some(format!("{error:#}")),
    }
    let source = if history.reader.is_some() { "recorded events" } else { "/dev/kmsg" };
    Ok(PastDeaths { source: source.to_owned(), ..past })
}

fn past_death(death: &highwater_diagnose::death::Diagnosis) -> PastDeath {
    let victim = death.victim.as_ref();
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
        std::io::stdout().write_all(text.as_bytes())?;
        return Ok(());
    }
    let mut out = anstream::stdout().lock();
    out.write_all(view::checkup::page(Page::of_terminal(), checkup).as_bytes())?;
    out.flush()?;
    Ok(())
}
