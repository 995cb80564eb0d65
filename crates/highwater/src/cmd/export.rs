//! `highwater export`: series as `OpenMetrics` text.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use highwater_agent::clock;
use highwater_core::series::{Matcher, Series};
use highwater_core::text::escape;
use highwater_core::time::WallTime;
use highwater_core::units::Bytes;
use highwater_exchange::{OpenMetricsWriter, WriteError};
use highwater_store::{Reader, StoreError, Told};

use super::store::bar::Bar;
use super::store::place;
use super::{history, refusal};
use crate::args::{ExportSeriesArgs, Since};
use crate::view::store::grouped;

/// What series may take in memory while they are put together.
const BUDGET: Bytes = Bytes::from_mib(32);

/// Owner and group: what is recorded tells much about a machine.
const MODE: u32 = 0o640;

/// Exports series.
pub(crate) fn run(args: &ExportSeriesArgs) -> anyhow::Result<ExitCode> {
    let dir = place::dir(args.data_dir.as_deref())?;
    let reader = Reader::open(&dir).map_err(|error| refusal::of(&dir, error))?;
    let now = clock::now().wall;
    let moment = |typed: Option<Since>| typed.map(|typed| typed.moment(now));
    let from = moment(args.start).unwrap_or(WallTime::from_millis(i64::MIN));
    let to = moment(args.end).unwrap_or(WallTime::from_millis(i64::MAX));
    anyhow::ensure!(from <= to, "--start {from} is after --end {to}: nothing lies between them");
    let choices: Vec<Vec<Matcher>> = args.choices.iter().map(|choice| choice.0.clone()).collect();
    let task = Task { reader: &reader, choices: &choices, range: (from, to) };
    let samples = match &args.output {
        Some(file) => task.new_file(file)?,
        None => task.write(&mut BufWriter::new(io::stdout().lock()))?,
    };
    for caveat in history::left_out(&reader, &[]) {
        crate::complain(&anyhow::anyhow!(escape(caveat.as_bytes()).into_owned()));
    }
    anyhow::ensure!(
        samples > 0,
        "no series on record matches: see `highwater store info{}`",
        refusal::option(&dir)
    );
    Ok(ExitCode::SUCCESS)
}

/// What is to be written.
struct Task<'a> {
    reader: &'a Reader,
    choices: &'a [Vec<Matcher>],
    range: (WallTime, WallTime),
}

impl Task<'_> {
    /// Writes a new file; half a one does not stay.
    fn new_file(&self, file: &Path) -> anyhow::Result<u64> {
        let name = escape(file.as_os_str().as_encoded_bytes());
        let made = OpenOptions::new().write(true).create_new(true).mode(MODE).open(file);
        let made: File = match made {
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {
                anyhow::bail!("{name} exists, and nothing is overwritten: choose another name")
            }
            made => made.with_context(|| format!("cannot make {name}"))?,
        };
        let mut out = BufWriter::new(made);
        let written = self.write(&mut out);
        if !matches!(written, Ok(1..)) {
            // The error that is told is the first one.
            drop(fs::remove_file(file));
        }
        written
    }

    /// Writes all series; how many samples that are.
    fn write(&self, out: &mut dyn Write) -> anyhow::Result<u64> {
        let mut writer = OpenMetricsWriter::new(out);
        let (mut samples, mut bar) = (0_u64, Bar::new());
        let mut visit = |told: Told<'_>, series: &Series| -> Result<(), Stopped> {
            writer.series(&series.labels, told.kind, told.help)?;
            for point in &series.points {
                writer.sample(point.at, point.value)?;
            }
            samples = samples.saturating_add(u64::try_from(series.points.len()).unwrap_or(0));
            bar.at(&format!("writing, {} samples", grouped(samples)), 0, 0);
            Ok(())
        };
        let done = self.reader.each_series(self.choices, self.range, BUDGET, &mut visit);
        bar.end();
        match done {
            Ok(()) => writer.finish().map(|_| samples).map_err(told),
            Err(Stopped::Store(error)) => Err(error.into()),
            Err(Stopped::Write(error)) => Err(told(error)),
        }
    }
}

/// A pipe that was closed is known by its own error.
fn told(error: WriteError) -> anyhow::Error {
    match error {
        WriteError::Io(cause) => anyhow::Error::new(cause).context("cannot write the series"),
        other => other.into(),
    }
}

/// Why writing stopped.
enum Stopped {
    Store(StoreError),
    Write(WriteError),
}

impl From<StoreError> for Stopped {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<WriteError> for Stopped {
    fn from(error: WriteError) -> Self {
        Self::Write(error)
    }
}
