//! `highwater rules backtest`: rules go through a history.
//!
//! ```text
//!  recording, import, server ─ happened ─► incidents ┐
//!            │                └ grown ─► what the recorder would have recorded of growth
//!            ▼                                       ▼
//!   rule files ─ alert::backtest::Replay ─ warnings · audit::Doubt ─ page, JSON
//!                        hands: as many readers as cores
//! ```

mod asked;
mod grown;
mod hands;
mod happened;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use highwater_agent::clock;
use highwater_alert::RuleFile;
use highwater_alert::audit::{Doubt, Reason, Scene};
use highwater_alert::backtest::{
    Course, Incident, Past, Period, Replay, Results, Shelf, Shelved, Thinned,
};
use highwater_core::series::SeriesSource;
use highwater_store::Reader;

pub(crate) use asked::{Unasked, asked};
use hands::Hands;
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

impl Told {
    fn source(&self) -> &dyn SeriesSource {
        match self {
            Self::Recording(reader) => reader.as_ref(),
            Self::Server(server) => server,
        }
    }
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
    let mut hands = hands(told);
    let recorded = matches!(told, Told::Recording(reader) if !reader.is_imported());
    let asks = files.iter().any(grown::is_asked);
    let grown = if recorded || !(asks || matches!(told, Told::Recording(_))) {
        grown::Grown::default()
    } else {
        grown::grown(&mut hands, told.source(), period, &mut bar)?
    };
    let mut incidents = match told {
        Told::Recording(reader) if recorded => happened::recorded(reader, period)?,
        _ => happened::seen(told.source(), period)?,
    };
    happened::join(&mut incidents, grown.incidents);
    notes.extend(grown.note);
    let seen = Seen { scrape, grown: Results::of(grown.series), shelf: Shelf::default() };
    let mut replay = Replay::new(files, period);
    replayed(&mut replay, &mut hands, &seen, &mut bar);
    if replay.is_full() {
        notes.push("the rules gave more than can be held: name a shorter time".to_owned());
    }
    let courses = replay.courses();
    let known = known(told);
    let meant = |name: &str| strange::meant(name, &known).map(str::to_owned);
    let inquiry = Inquiry { period, incidents: &incidents, meant: &meant, seen: &seen };
    let reasons = inquiry.reasons(&courses, &mut hands, &mut bar);
    bar.end();
    Ok(Outcome { period, scrape, courses, reasons, incidents, notes })
}

/// Who reads: a recording can be read by several at the same time, a server is asked by one.
fn hands(told: &Told) -> Hands<'_> {
    match told {
        Told::Recording(reader) => Hands::new(reader.as_ref(), reader.path().parent()),
        Told::Server(server) => Hands::new(server, None),
    }
}

/// How rules see a history.
struct Seen {
    scrape: Option<Duration>,
    /// What stands beside it.
    grown: Results,
    shelf: Shelf,
}

impl Seen {
    /// Calls `look` with what rules see of a source.
    fn of<T>(&self, source: &dyn SeriesSource, look: impl FnOnce(&dyn SeriesSource) -> T) -> T {
        let thinned = self.scrape.map(|every| Thinned::new(source, every));
        let read: &dyn SeriesSource = thinned.as_ref().map_or(source, |thinned| thinned);
        let shelved = Shelved::new(read, &self.shelf);
        look(&Past::new(&shelved, &self.grown))
    }
}

/// Has all rules go through the time, the earliest first.
fn replayed(replay: &mut Replay<'_>, hands: &mut Hands<'_>, seen: &Seen, bar: &mut Bar) {
    let parts = replay.strands().iter().map(|strand| strand.progress().1);
    let all: usize = parts.sum();
    let strands = replay.strands().iter_mut();
    let waiting = strands.filter_map(|strand| Some((strand.next()?, strand)));
    hands.advance(
        waiting.collect(),
        &|source, strand| {
            seen.of(source, |history| strand.go_on(history));
            strand.next()
        },
        &mut |done| bar.at("replaying", done, wide(all)),
    );
}

/// What is needed to tell why a rule did not fire.
struct Inquiry<'a> {
    period: Period,
    incidents: &'a [Incident],
    meant: &'a (dyn Fn(&str) -> Option<String> + Sync),
    seen: &'a Seen,
}

impl Inquiry<'_> {
    fn scene<'s>(&'s self, history: &'s dyn SeriesSource) -> Scene<'s> {
        let Self { period, incidents, meant, .. } = *self;
        Scene { history, period, incidents, meant }
    }

    /// Of each rule why it did not fire; of those that did, nothing.
    fn reasons(
        &self,
        courses: &[Course<'_>],
        hands: &mut Hands<'_>,
        bar: &mut Bar,
    ) -> Vec<Vec<Reason>> {
        let all = courses.len();
        let doubt = |source: &dyn SeriesSource, course| {
            self.seen.of(source, |history| Doubt::new(course, self.scene(history)))
        };
        let mut doubts = hands.each(courses.iter().collect(), &doubt, &mut |_| {});
        let parts: usize = doubts.iter().map(Doubt::parts).sum();
        let waiting = doubts.iter_mut().filter_map(|doubt| Some((doubt.next()?, doubt)));
        hands.advance(
            waiting.collect(),
            &|source, doubt| {
                self.seen.of(source, |history| doubt.go_on(history));
                doubt.next()
            },
            &mut |done| bar.at("looking why not", done, wide(parts + all)),
        );
        let said = |source: &dyn SeriesSource, doubt: Doubt<'_>| {
            self.seen.of(source, |history| doubt.reasons(self.scene(history)))
        };
        let told = &mut |done| bar.at("looking why not", wide(parts) + done, wide(parts + all));
        hands.each(doubts, &said, told)
    }
}

fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
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
