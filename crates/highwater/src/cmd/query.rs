//! `highwater query`: PromQL over the recording, an import, or a server.

pub(in crate::cmd) mod remote;
pub(in crate::cmd) mod strange;
mod table;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use highwater_agent::clock;
use highwater_core::text::escape;
use highwater_core::time::{Span, WallTime};
use highwater_promql::api::Data;
use highwater_promql::{Answer, Options, Query, Stop, Value, Watch};
use highwater_store::Reader;
use serde::Serialize;

use super::{history, out};
use crate::args::QueryArgs;
use crate::view::{self, Page};

/// A recording whose newest reading is older than this is asked as of that reading, and says so.
const LATE: Duration = Duration::from_mins(10);

/// Without `--step` a range has so many steps, as in promtool.
const STEPS: u64 = 250;

/// When it is asked.
#[derive(Clone, Copy, Debug)]
pub(in crate::cmd) enum When {
    At(WallTime),
    Range { start: WallTime, end: WallTime, step: Duration },
}

/// Runs the command.
pub(crate) fn run(args: &QueryArgs) -> anyhow::Result<ExitCode> {
    let now = clock::now().wall;
    if let Some(url) = &args.source {
        let server = remote::Server::new(url, args.token_file.as_deref(), args.timeout)?;
        let when = when(args, now, now)?;
        let answer = server.ask(&args.text, when)?;
        show(args, &answer, when)?;
        return Ok(ExitCode::SUCCESS);
    }
    let query = highwater_promql::parse(&args.text).map_err(|error| refused(&error))?;
    let history = history::open(args.data_dir.as_deref())?;
    let Some(reader) = &history.reader else {
        match history.remarks.first() {
            Some(remark) => bail!("{remark}"),
            None => bail!("there is no recording to ask: highwater agent starts one"),
        }
    };
    for remark in &history.remarks {
        remark_on(remark);
    }
    let newest = newest(reader, now)?;
    let late = args.at.is_none() && args.end.is_none() && now.since(newest) > LATE;
    if late {
        remark_on(&format!(
            "asked as of the newest reading, {newest}, {} ago",
            Span(now.since(newest))
        ));
    }
    let when = when(args, now, newest)?;
    let answer = ask(&query, reader, when, args.timeout)?;
    for caveat in history::left_out(reader, &history.remarks) {
        remark_on(&caveat);
    }
    for remark in strange::remarks(&query, &answer, reader) {
        remark_on(&remark);
    }
    show(args, &answer, when)?;
    Ok(ExitCode::SUCCESS)
}

/// The newest reading of a recording.
fn newest(reader: &Reader, now: WallTime) -> anyhow::Result<WallTime> {
    let newest = reader.info()?.newest;
    Ok(newest.map_or(now, |newest| newest.min(now)))
}

fn when(args: &QueryArgs, now: WallTime, newest: WallTime) -> anyhow::Result<When> {
    let Some(start) = args.start else {
        return Ok(When::At(args.at.map_or(newest, |typed| typed.moment(now))));
    };
    let start = start.moment(now);
    let end = args.end.map_or(newest, |typed| typed.moment(now));
    let until = if args.end.is_some() { "--end" } else { "the newest reading," };
    anyhow::ensure!(
        start <= end,
        "--start {start} is after {until} {end}: nothing lies between them"
    );
    if let Some(step) = args.step {
        return Ok(When::Range { start, end, step });
    }
    // Whole seconds: so points have times that people read. They are counted back from the end,
    // which is what is asked about most.
    let step = Duration::from_secs(end.since(start).as_secs().div_ceil(STEPS).max(1));
    let steps = u32::try_from(end.since(start).as_secs() / step.as_secs()).unwrap_or(u32::MAX);
    let start = end.before(step.saturating_mul(steps));
    Ok(When::Range { start, end, step })
}

fn ask(query: &Query, reader: &Reader, when: When, timeout: Duration) -> anyhow::Result<Answer> {
    let began = clock::now().boot;
    let watch =
        Watch::new(move || (clock::now().boot.since(began) >= timeout).then_some(Stop::Timeout));
    let options = Options { watch: Some(watch), ..Options::default() };
    let answer = match when {
        When::At(at) => highwater_promql::instant(query, reader, at, &options),
        When::Range { start, end, step } => {
            highwater_promql::range(query, reader, start, end, step, &options)
        }
    };
    answer.map_err(|error| refused(&error))
}

/// An error may repeat what was typed, or a label that a process chose.
fn refused(error: &highwater_promql::Error) -> anyhow::Error {
    let text = escape(error.text.as_bytes()).into_owned();
    anyhow::anyhow!("{text}").context("the query has no answer")
}

fn remark_on(remark: &str) {
    crate::complain(&anyhow::anyhow!(escape(remark.as_bytes()).into_owned()));
}

/// The answer of the API.
#[derive(Serialize)]
struct Document<'a> {
    status: &'static str,
    data: Data<'a>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    warnings: &'a [String],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    infos: &'a [String],
}

fn show(args: &QueryArgs, answer: &Answer, when: When) -> anyhow::Result<()> {
    if args.json {
        let Answer { value, warnings, infos } = answer;
        let document = Document { status: "success", data: Data(value), warnings, infos };
        return out::writing(|out| {
            serde_json::to_writer(&mut *out, &document)?;
            out.write_all(b"\n")
        });
    }
    for remark in answer.warnings.iter().chain(&answer.infos) {
        remark_on(remark);
    }
    if args.csv {
        return table::write(&answer.value).context("cannot write the table");
    }
    let page = Page::of_terminal();
    let text = match (&answer.value, when) {
        (Value::Matrix(series), When::Range { step, .. }) if args.plot => {
            view::query::plots(page, series, step)
        }
        (Value::Matrix(series), When::Range { .. }) => view::query::range(page, series),
        (value, _) => view::query::instant(value),
    };
    out::page(&text)
}
