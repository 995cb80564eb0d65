//! `highwater import`: series that another program recorded, into a data directory of their own.
//!
//! ```text
//! bytes ─ counted ─ decompressed ─ read ─ stored
//!         progress              oddities
//! ```

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::CommandFactory as _;
use clap::error::ErrorKind;
use highwater_agent::clock;
use highwater_agent::place::{Place, PlaceError};
use highwater_core::text::escape;
use highwater_exchange::{Format, Given, Item, Reader, Summary};
use highwater_log::decoded;
use highwater_store::{Import, SeriesId, StoreError};

use super::progress::Progress;
use super::store::bar::Bar;
use super::{logfile, out, refusal};
use crate::args::{Args, ImportArgs};
use crate::view::Page;
use crate::view::import::{self as view, Oddity, Read as OfFile, Told};
use crate::view::store::{DOCUMENT, Stretch, grouped};

/// So much is read at once.
const BLOCK_BYTES: usize = 256 * 1024;

/// So much of a file is looked at to tell its format.
const HEAD_BYTES: usize = 64 * 1024;

/// The most oddities that are told of one file.
const MOST_ODDITIES: usize = 20;

/// Imports files.
pub(crate) fn run(args: &ImportArgs) -> anyhow::Result<ExitCode> {
    let Some(dir) = args.data_dir.as_deref() else {
        let text = "name a directory for the imported series with --data-dir: they are kept apart \
                    from what an agent records";
        return Err(Args::command().error(ErrorKind::MissingRequiredArgument, text).into());
    };
    let began = clock::now();
    for file in &args.files {
        is_there(file)?;
    }
    let place = claim(dir)?;
    let mut import = Import::open(dir).map_err(|error| refusal::of(dir, error))?;
    let files = args.files.iter().map(|file| take(file, args, &mut import));
    let files: Vec<OfFile> = files.collect::<Result<_, StoreError>>()?;
    let path = escape(import.path().as_os_str().as_encoded_bytes()).into_owned();
    let mut bar = Bar::new();
    let imported = import.finish(&mut |at| bar.at("storing", at.done, at.all));
    bar.end();
    let imported = imported.context("windows that are whole stay; run it again to go on")?;
    drop(place);
    let told = Told {
        schema: DOCUMENT,
        path,
        series: imported.series,
        samples: imported.samples,
        new: imported.new,
        stretch: imported.range.map(|(from, to)| Stretch::new(from, to)),
        notes: notes(&imported),
        milliseconds: u64::try_from(clock::now().boot.since(began.boot).as_millis())
            .unwrap_or(u64::MAX),
        files,
    };
    show(args, &told, dir)?;
    let whole = told.files.iter().all(|file| file.fault.is_none());
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn show(args: &ImportArgs, told: &Told, dir: &Path) -> anyhow::Result<()> {
    if args.json {
        let mut text = serde_json::to_string_pretty(told)?;
        text.push('\n');
        return out::bytes(text.as_bytes());
    }
    out::page(&view::page(Page::of_terminal(), told, &refusal::quoted(dir)))
}

/// What is to be said of all files together.
fn notes(imported: &highwater_store::Imported) -> Vec<String> {
    let left_out = (imported.left_out > 0).then(|| {
        format!(
            "{} samples are of a time before 1970 or after 2199 and were left out: their \
             timestamps are of another unit",
            grouped(imported.left_out)
        )
    });
    let damaged = (imported.damaged > 0).then(|| {
        format!(
            "{} damaged rows or blocks were met in what was imported earlier, and what was in \
             there is lost: import it again",
            imported.damaged
        )
    });
    left_out.into_iter().chain(damaged).collect()
}

/// Before anything is made or locked.
fn is_there(file: &Path) -> anyhow::Result<()> {
    if file == Path::new("-") {
        return Ok(());
    }
    let source = logfile::name(file);
    let data = file.metadata().with_context(|| format!("cannot open {source}"))?;
    if data.is_dir() {
        bail!("{source} is a directory: name the files in it");
    }
    Ok(())
}

/// The directory, for as long as this takes.
fn claim(dir: &Path) -> anyhow::Result<Place> {
    Place::claim(dir).map_err(|error| match error {
        PlaceError::Taken { pid, .. } => {
            let pid = pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default();
            anyhow::anyhow!(
                "an agent or another import{pid} has {}: import into another --data-dir, such as a \
                 new directory",
                escape(dir.as_os_str().as_encoded_bytes())
            )
        }
        other => anyhow::Error::new(other),
    })
}

/// Reads one file into the store. That it cannot be read is part of the answer; that the store
/// cannot be written ends all.
fn take(path: &Path, args: &ImportArgs, import: &mut Import) -> Result<OfFile, StoreError> {
    let mut sink = Sink::new(path, import);
    let read = read(path, args, &mut sink);
    let Sink { mut of, refused, .. } = sink;
    if let Some(error) = refused {
        return Err(error);
    }
    match read {
        Ok(summary) => of.add(&summary),
        Err(error) => of.fault = Some(refusal::said(&error)),
    }
    Ok(of)
}

fn read(path: &Path, args: &ImportArgs, sink: &mut Sink<'_>) -> anyhow::Result<Summary> {
    if path == Path::new("-") {
        let progress = Progress::new(None);
        return stream(progress.of(io::stdin()), args, sink, &progress);
    }
    let file = File::open(path).context("cannot open it")?;
    let size = file.metadata().ok().filter(std::fs::Metadata::is_file).map(|data| data.len());
    let progress = Progress::new(size);
    stream(progress.of(file), args, sink, &progress)
}

fn stream<R: Read + Send + 'static>(
    input: R,
    args: &ImportArgs,
    sink: &mut Sink<'_>,
    progress: &Progress,
) -> anyhow::Result<Summary> {
    let done = pump(input, args, sink);
    progress.end();
    done
}

fn pump<R: Read + Send + 'static>(
    input: R,
    args: &ImportArgs,
    sink: &mut Sink<'_>,
) -> anyhow::Result<Summary> {
    let mut input = decoded(input).context("cannot read it")?;
    let mut block = Vec::with_capacity(BLOCK_BYTES);
    fill(&mut input, HEAD_BYTES, &mut block)?;
    let Some(format) = args.format.or_else(|| Format::of(&block)) else {
        bail!(unknown(&block));
    };
    sink.of.format = Some(view::name(format));
    let mut reader = Reader::with(format, given(args));
    while !block.is_empty() {
        reader.push(&block, &mut |item| sink.take(&item))?;
        if sink.refused.is_some() {
            break;
        }
        fill(&mut input, BLOCK_BYTES, &mut block)?;
    }
    Ok(reader.finish(&mut |item| sink.take(&item))?)
}

/// Reads up to `most` bytes in place of what is in `block`.
fn fill(input: &mut impl Read, most: usize, block: &mut Vec<u8>) -> anyhow::Result<()> {
    block.clear();
    let most = u64::try_from(most).unwrap_or(u64::MAX);
    input.by_ref().take(most).read_to_end(block).context("cannot read it to its end")?;
    Ok(())
}

fn unknown(head: &[u8]) -> String {
    if head.is_empty() {
        return "it is empty".to_owned();
    }
    "it begins like none of OpenMetrics or Prometheus text, `sadf -j` and `vmstat -t`; if it is one of \
     them, say which with --format"
        .to_owned()
}

fn given(args: &ImportArgs) -> Given {
    Given {
        at: args.at.map(|at| at.moment(clock::now().wall)),
        zone: args.zone.clone(),
        unit: args.unit,
        instance: args.instance.clone(),
    }
}

/// Where what is read goes.
struct Sink<'a> {
    import: &'a mut Import,
    /// The store's numbers of the file's series.
    ids: Vec<SeriesId>,
    of: OfFile,
    refused: Option<StoreError>,
}

impl<'a> Sink<'a> {
    fn new(path: &Path, import: &'a mut Import) -> Self {
        let of = OfFile { file: logfile::name(path), ..OfFile::default() };
        Self { import, ids: vec![], of, refused: None }
    }

    fn take(&mut self, item: &Item<'_>) {
        if self.refused.is_some() {
            return;
        }
        if let Err(error) = self.try_take(item) {
            self.refused = Some(error);
        }
    }

    fn try_take(&mut self, item: &Item<'_>) -> Result<(), StoreError> {
        match *item {
            Item::Series { labels, kind, help, .. } => {
                // Their ids count from 0 without a gap.
                self.ids.push(self.import.series(labels, kind, help)?);
                Ok(())
            }
            Item::Sample { id, at, value } => {
                let series = usize::try_from(id).ok().and_then(|id| self.ids.get(id)).copied();
                series.map_or(Ok(()), |series| self.import.push(series, at, value))
            }
            Item::Oddity { line, what } => {
                if self.of.oddities.len() < MOST_ODDITIES {
                    self.of.oddities.push(Oddity { line, what: what.to_owned() });
                }
                Ok(())
            }
        }
    }
}
