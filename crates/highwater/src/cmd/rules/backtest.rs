//! `highwater rules backtest`: rules go through a history.
//!
//! ```text
//!  recording, import, server ─ happened ─► incidents ┐
//!            │                └ grown ─► what the recorder would have recorded of growth
//!            ▼                                       ▼
//!   rule files ─ alert::backtest::replay ─ warnings · audit::reasons ─ page, JSON
//! ```

mod asked;
mod grown;
mod happened;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use highwater_agent::clock;
use highwater_alert::RuleFile;
use highwater_alert::audit::{Reason, Scene, reasons};
use highwater_alert::backtest::{Course, Incident, Past, Period, Thinned, replay};
use highwater_core::series::SeriesSource;
use highwater_store::Reader;

pub(crate) use asked::{Unasked, asked};
pub(crate) use happened::downs;

use crate::args::{BacktestArgs, RulesArgs};
use crate::cmd::history::{self, History};
use crate::cmd::out;
use crate::cmd::query::remote::Server;
use crate::cmd::query::strange;
use crate::cmd::store::bar::Bar;
use crate::view::{self, Page};

/// Without `--start` this much is looked at, if there is so much.
const MOST: Duration = Duration::from_hours(30 * 24);

/// A server is asked to answer within this.
const PATIENCE: Duration = Duration::from_mins(2);

/// Where the history is.
enum Told {
    Recording(Box<Reader>),
    Server(Server),
}

/// What came of it.
pub(crate) struct Outcome<'r> {
    /// From when to when.
    pub(crate) period: Period,
    /// As a scraper would have seen it that looks so often.
    pub(crate) scrape: Option<Duration>,
    /// The alerting rules.
    pub(crate) courses: Vec<Course<'r>>,
    /// Why each did not fire; of those that did, nothing.
    pub(crate) reasons: Vec<Vec<Reason>>,
    /// What happened.
    pub(crate) incidents: Vec<Incident>,
    /// What else is to be known.
    pub(crate) notes: Vec<String>,
}

/// Runs the command.
pub(crate) fn run(args: &BacktestArgs, group: &RulesArgs) -> anyhow::Result<ExitCode> {
    let files = files(&args.rules)?;
    let (told, notes) = open(args, group.data_dir.as_deref())?;
    let period = period(args, &told)?;
    let outcome = outcome(&files, &told, (period, args.scrape), notes)?;
    if group.json {
        out::document(&view::backtest::document(&outcome))?;
    } else {
        out::page(&view::backtest::page(Page::of_terminal(), &outcome))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What is to be said of rules against what is on record, whatever happened there: of each rule, by
/// its place among all alerting rules, what is the matter with it.
pub(super) fn audit<'r>(files: &'r [RuleFile], data_dir: &Path) -> anyhow::Result<Outcome<'r>> {
    let args = BacktestArgs::default();
    let (told, notes) = open(&args, Some(data_dir))?;
    let period = period(&args, &told)?;
    let mut outcome = outcome(files, &told, (period, None), notes)?;
    for reasons in &mut outcome.reasons {
        reasons.retain(|reason| reason.why.is_fault());
    }
    Ok(outcome)
}

/// Reads rule files; of a directory, those in it.
pub(super) fn files(paths: &[PathBuf]) -> anyhow::Result<Vec<RuleFile>> {
    let mut files = Vec::new();
    let mut faults = Vec::new();
    for path in super::files::found(paths)? {
        match super::files::read(&path)? {
            Ok(file) => files.push(file),
            Err(found) => faults.extend(found),
        }
    }
    if faults.is_empty() {
        return Ok(files);
    }
    let said: Vec<String> = faults.iter().map(ToString::to_string).collect();
    bail!("the rules cannot be read:\n{}", said.join("\n"))
}

fn open(args: &BacktestArgs, dir: Option<&Path>) -> anyhow::Result<(Told, Vec<String>)> {
    if let Some(url) = &args.source {
        anyhow::ensure!(
            dir.is_none(),
            "either --source or --data-dir: rules go through one history"
        );
        let server = Server::new(url, args.token_file.as_deref(), PATIENCE)?;
        return Ok((Told::Server(server), Vec::new()));
    }
    let History { reader, remarks } = history::open(dir)?;
    match (reader, remarks.first()) {
        (Some(reader), _) => Ok((Told::Recording(Box::new(reader)), remarks)),
        (None, Some(remark)) => bail!("{remark}"),
        (None, None) => bail!(
            "there is no recording to go through: highwater agent starts one, highwater import takes \
             one in"
        ),
    }
}

fn period(args: &BacktestArgs, told: &Told) -> anyhow::Result<Period> {
    let now = clock::now().wall;
    let (oldest, newest) = match told {
        Told::Recording(reader) => {
            let info = reader.info()?;
            (info.oldest, info.newest.map_or(now, |newest| newest.min(now)))
        }
        Told::Server(_) => (None, now),
    };
    let to = args.end.map_or(newest, |end| end.moment(now));
    let earliest = oldest.map_or(to.before(MOST), |oldest| oldest.max(to.before(MOST)));
    let from = args.start.map_or(earliest, |start| start.moment(to));
    anyhow::ensure!(
        from < to,
        "nothing lies between {from} and {to}: name another --start or --end"
    );
    Ok(Period { from, to, step: args.step })
}

fn outcome<'r>(
    files: &'r [RuleFile],
    told: &Told,
    (period, scrape): (Period, Option<Duration>),
    mut notes: Vec<String>,
) -> anyhow::Result<Outcome<'r>> {
    let mut bar = Bar::new();
    let source: &dyn SeriesSource = match told {
        Told::Recording(reader) => reader.as_ref(),
        Told::Server(server) => server,
    };
    let recorded = matches!(told, Told::Recording(reader) if !reader.is_imported());
    let asks = files.iter().any(grown::is_asked);
    let grown = if recorded || !(asks || matches!(told, Told::Recording(_))) {
        grown::Grown::default()
    } else {
        grown::grown(source, period, &mut bar)?
    };
    let mut incidents = match told {
        Told::Recording(reader) if recorded => happened::recorded(reader, period)?,
        _ => happened::seen(source, period)?,
    };
    happened::join(&mut incidents, grown.incidents);
    notes.extend(grown.note);
    let thinned = scrape.map(|every| Thinned::new(source, every));
    let seen: &dyn SeriesSource = thinned.as_ref().map_or(source, |thinned| thinned);
    let mut past = Past::new(seen, grown.series);
    let courses = replay(files, &mut past, period, &mut |done, all| bar.at("replaying", done, all));
    if past.is_full() {
        notes.push("recording rules gave more than can be held: name a shorter time".to_owned());
    }
    let known = known(told);
    let meant = |name: &str| strange::meant(name, &known).map(str::to_owned);
    let scene = Scene { history: &past, period, incidents: &incidents, meant: &meant };
    let all = u64::try_from(courses.len()).unwrap_or(0);
    let reasons = courses
        .iter()
        .zip(1..)
        .map(|(course, done)| {
            bar.at("looking why not", done, all);
            reasons(course, scene)
        })
        .collect();
    bar.end();
    Ok(Outcome { period, scrape, courses, reasons, incidents, notes })
}

/// The names of the metrics that there are; of a server nobody asks for them.
fn known(told: &Told) -> Vec<String> {
    match told {
        Told::Recording(reader) => {
            let known = reader.known_metrics().unwrap_or_default();
            known.into_iter().map(|one| one.name).collect()
        }
        Told::Server(_) => Vec::new(),
    }
}
