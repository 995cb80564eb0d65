//! `bench store reads`: how quickly a month of history is read.
//!
//! Warm: in one process, over and over, the median. Cold: in a new process, which opens the file,
//! none of whose pages is in the cache.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail};
use highwater_core::metric;
use highwater_core::series::{Matcher, NAME, Selection, SeriesSource, Want};
use highwater_core::time::{BootId, WallTime};
use highwater_core::units::Bytes;
use highwater_store::{Bound, FILE_NAME, Keep, Reader, SCHEMA_VERSION, Store, StoreError};
use rustix::fs::{Advice, fadvise};

use super::cost;
use super::figures::{met, per, print_levels};
use super::months::BOOT;
use super::pages;
use super::synth::{Beat, Machine};
use crate::clock;
use crate::repo;

/// What one question may hold in memory.
const BUDGET: Bytes = Bytes::from_mib(64);

/// How often each question is asked.
const WARM: usize = 11;
const COLD: usize = 5;

const DAY_MS: i64 = 24 * 3_600_000;

/// From a round number on, 2025-01-01.
const FIRST_MS: i64 = 1_735_689_600_000;
const BEAT: Beat = Beat { first_ms: FIRST_MS, every_ms: 15_000 };

/// How it is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Days of history.
    #[arg(long, default_value_t = 30)]
    days: u32,
    /// Series.
    #[arg(long, default_value_t = 2000)]
    series: u64,
    /// Make the history anew.
    #[arg(long)]
    again: bool,
}

/// One question in a new process.
#[derive(Debug, clap::Args)]
pub(crate) struct Once {
    dir: PathBuf,
    question: usize,
    days: u32,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    /// All samples of one series.
    OneSeries,
    /// The same, by the hour.
    OneSeriesByTheHour,
    /// The last value of each.
    Latest,
    /// Which ever were above something that few are above.
    Extremes,
    /// The last hour of each.
    LastHour,
}

impl Question {
    const ALL: [Self; 5] =
        [Self::OneSeries, Self::OneSeriesByTheHour, Self::Latest, Self::Extremes, Self::LastHour];

    const fn name(self) -> &'static str {
        match self {
            Self::OneSeries => "one series, every sample",
            Self::OneSeriesByTheHour => "one series, by the hour",
            Self::Latest => "the last value of all series",
            Self::Extremes => "which series ever exceeded X",
            Self::LastHour => "the last hour of all series",
        }
    }

    /// The promises in milliseconds, beside what was measured, warm and cold.
    fn goals(self, warm: f64, cold: f64) -> Vec<(f64, f64, &'static str)> {
        match self {
            Self::OneSeries => vec![(10.0, warm, "warm"), (50.0, cold, "cold")],
            Self::Latest => vec![(5.0, warm, "warm")],
            Self::Extremes => vec![(100.0, warm, "warm")],
            Self::OneSeriesByTheHour | Self::LastHour => vec![],
        }
    }

    /// Asks, and counts what came.
    fn ask(self, reader: &Reader, days: u32) -> anyhow::Result<usize> {
        let to_ms = FIRST_MS + DAY_MS * i64::from(days);
        let (from, to) = (WallTime::from_millis(FIRST_MS), WallTime::from_millis(to_ms));
        let one = vec![
            Matcher::is(NAME, "container_memory_rss"),
            Matcher::is("id", "/system.slice/bench-7.service"),
        ];
        // What every series meets: without any condition a whole history is not read at once.
        let named = Matcher { name: NAME.to_owned(), want: Want::IsNot(String::new()) };
        let all = Selection { matchers: vec![named], from, to, step: None, ends: false };
        let points = |selection: &Selection| -> anyhow::Result<usize> {
            Ok(reader.select(selection)?.iter().map(|series| series.points.len()).sum())
        };
        match self {
            Self::OneSeries => points(&Selection { matchers: one, ..all }),
            Self::OneSeriesByTheHour => {
                let step = Some(Duration::from_hours(1));
                points(&Selection { matchers: one, step, ..all })
            }
            Self::Latest => Ok(reader.latest(&[], None)?.len()),
            Self::Extremes => {
                let bound = Bound::Above(Bytes::from_mib(1100).as_f64());
                match reader.extremes(&all, bound) {
                    Err(StoreError::Unbounded) => metric_by_metric(reader, &all, bound),
                    found => Ok(found?.len()),
                }
            }
            Self::LastHour => {
                let last = Selection { from: to.before(Duration::from_hours(1)), ..all };
                let mut points = 0;
                for series in reader.stream(&last, BUDGET)? {
                    points += series?.points.len();
                }
                Ok(points)
            }
        }
    }
}

/// For a reader that wants a metric named in each question.
fn metric_by_metric(reader: &Reader, all: &Selection, bound: Bound) -> anyhow::Result<usize> {
    let machine = metric::machine();
    let names = (machine.iter().map(|column| column.name))
        .chain(metric::CGROUP.iter().map(|column| column.name))
        .chain(metric::PROCESS.iter().map(|column| column.name));
    let mut found = 0;
    for name in names {
        let matchers = vec![Matcher::is(NAME, name)];
        found += reader.extremes(&Selection { matchers, ..all.clone() }, bound)?.len();
    }
    Ok(found)
}

/// Makes the history, if it is not there, and asks.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let dir = history(options)?;
    let reader = Reader::open(&dir)?;
    let info = reader.info()?;
    print_levels(&info);
    let samples =
        info.levels.iter().filter(|level| level.tier == 0).filter_map(|l| l.samples).sum();
    println!("{samples} samples, {:.3} bytes each in all", per(info.database_bytes, samples));
    println!(
        "{:30} {:>10} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "median and most, ms", "results", "processor", "warm", "most", "cold", "most"
    );
    let mut missed = 0;
    for (number, question) in Question::ALL.into_iter().enumerate() {
        let Warm { found, took, spent } = Warm::of(&reader, question, options.days)?;
        let cold = cold(&dir, number, options.days)?;
        let [(warm, warm_most), (spent, _), (cold, cold_most)] = [took, spent, cold].map(middle);
        println!(
            "{:30} {found:>10} {spent:>9.2} {warm:>9.2} {warm_most:>9.2} {cold:>9.2} {cold_most:>9.2}",
            question.name()
        );
        for (goal, is, when) in question.goals(warm, cold) {
            println!("  the goal of {goal} ms {when} is {}", met(is <= goal));
            missed += usize::from(is > goal);
        }
    }
    if missed > 0 {
        bail!("{missed} goals were missed");
    }
    Ok(())
}

/// The directory with the history.
fn history(options: &Options) -> anyhow::Result<PathBuf> {
    let name = format!("reads-{SCHEMA_VERSION}-{}x{}", options.days, options.series);
    let dir = repo::target().join("bench-store").join(name);
    if !dir.exists() || options.again {
        record(&dir, options.days, options.series, BEAT)?;
    }
    Ok(dir)
}

/// A history of so many days and series, in the place of what was there.
pub(in crate::bench) fn record(
    dir: &Path,
    days: u32,
    series: u64,
    beat: Beat,
) -> anyhow::Result<()> {
    let desk = super::Desk::new("reads")?;
    let begun = clock::now();
    build(desk.path(), days, Machine::new(series, beat), beat)?;
    println!("made in {:.0} s", begun.elapsed().as_secs_f64());
    pages::check(desk.path())?;
    if dir.exists() {
        fs::remove_dir_all(dir)?;
    }
    fs::create_dir_all(dir)?;
    let making = dir.join("making");
    fs::copy(desk.path().join(FILE_NAME), &making)?;
    File::open(&making)?.sync_all()?;
    fs::rename(making, dir.join(FILE_NAME))?;
    Ok(())
}

fn build(dir: &Path, days: u32, mut machine: Machine, beat: Beat) -> anyhow::Result<()> {
    let boot: BootId = BOOT.parse()?;
    let long = Duration::from_hours(24 * u64::from(days + 1));
    let keep =
        Keep { raw: long, minute: long, budget: Bytes::from_mib(1 << 20), ..Keep::default() };
    let mut store = Store::open(dir)?;
    let readings = i64::from(days) * (DAY_MS / beat.every_ms);
    for at in 0..readings {
        machine.step(at);
        store.append(&machine.frame, boot)?;
        while store.maintain(machine.frame.stamp, &keep)?.more {}
    }
    Ok(())
}

/// A question asked over and over.
struct Warm {
    found: usize,
    /// Milliseconds.
    took: Vec<f64>,
    /// Of processor time: what it would take on a machine that does nothing else.
    spent: Vec<f64>,
}

impl Warm {
    fn of(reader: &Reader, question: Question, days: u32) -> anyhow::Result<Self> {
        // Once for the caches.
        let found = question.ask(reader, days)?;
        let (mut took, mut spent) = (Vec::new(), Vec::new());
        for _ in 0..WARM {
            let (begun, before) = (clock::now(), cost::processor());
            let again = question.ask(reader, days)?;
            took.push(millis(begun.elapsed()));
            spent.push(millis(cost::processor().saturating_sub(before)));
            if again != found {
                bail!("{}: {found} results, then {again}", question.name());
            }
        }
        Ok(Self { found, took, spent })
    }
}

fn millis(span: Duration) -> f64 {
    span.as_secs_f64() * 1000.0
}

fn cold(dir: &Path, question: usize, days: u32) -> anyhow::Result<Vec<f64>> {
    let mut took = Vec::new();
    for _ in 0..COLD {
        for file in fs::read_dir(dir)? {
            // Clean pages that nobody maps leave the cache.
            let file = File::open(file?.path())?;
            fadvise(&file, 0, None, Advice::DontNeed)?;
        }
        let program = std::env::current_exe()?;
        let mut once = Command::new(program);
        once.args(["bench", "store", "reads-once"]).arg(dir);
        once.arg(question.to_string()).arg(days.to_string());
        let said = String::from_utf8(repo::succeed(&mut once)?)?;
        took.push(said.trim().parse().context("a new process said something else")?);
    }
    Ok(took)
}

impl Once {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let question = Question::ALL.get(self.question).context("there is no such question")?;
        let begun = clock::now();
        let reader = Reader::open(&self.dir)?;
        question.ask(&reader, self.days)?;
        println!("{}", millis(begun.elapsed()));
        Ok(())
    }
}

/// Median and greatest.
fn middle(mut took: Vec<f64>) -> (f64, f64) {
    took.sort_by(f64::total_cmp);
    let of = |at: usize| took.get(at).copied().unwrap_or(f64::NAN);
    (of(took.len() / 2), of(took.len().saturating_sub(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_is_neither_the_fastest_nor_the_slowest() {
        let (median, most) = middle(vec![9.0, 1.0, 3.0]);
        assert_eq!((median.to_bits(), most.to_bits()), (3_f64.to_bits(), 9_f64.to_bits()));
    }
}
