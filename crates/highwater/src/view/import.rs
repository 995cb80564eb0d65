//! What was imported, file by file.

use highwater_exchange::{Format, Stamps, Summary};
use serde::Serialize;

use super::paint::{BOLD, DIM, Page, YELLOW, put};
use super::store::{Stretch, grouped};

/// The most oddities of a file that a page shows; a document has more.
const SHOWN: usize = 5;

/// What was imported.
#[derive(Debug, Serialize)]
pub(crate) struct Told {
    /// The version of the document.
    pub(crate) schema: u32,
    /// The file that it is in.
    pub(crate) path: String,
    /// What was read.
    pub(crate) files: Vec<Read>,
    /// Series of all files, each once.
    pub(crate) series: u64,
    /// Samples of all files.
    pub(crate) samples: u64,
    /// Those that were not there before.
    pub(crate) new: u64,
    /// The oldest and the newest moment in them.
    pub(crate) stretch: Option<Stretch>,
    /// How long it took.
    pub(crate) milliseconds: u64,
    /// What is to be said besides.
    pub(crate) notes: Vec<String>,
}

/// One file.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Read {
    /// Its name.
    pub(crate) file: String,
    /// What it was read as; `None` if that could not be told.
    pub(crate) format: Option<&'static str>,
    /// Its size, unpacked.
    pub(crate) bytes: u64,
    /// Its lines.
    pub(crate) lines: u64,
    /// Its series.
    pub(crate) series: u64,
    /// Its samples.
    pub(crate) samples: u64,
    /// Those without a timestamp, which were left out.
    pub(crate) untimed: u64,
    /// In which unit its timestamps were, where that is not one for all.
    pub(crate) stamps: Option<&'static str>,
    /// How many things in it could not be read, or only by an assumption.
    pub(crate) odd: u64,
    /// The first of those.
    pub(crate) oddities: Vec<Oddity>,
    /// Why it was not read, or not to its end.
    pub(crate) fault: Option<String>,
}

/// What could not be read, or was read by an assumption.
#[derive(Debug, Serialize)]
pub(crate) struct Oddity {
    /// On which line, from 1.
    pub(crate) line: u64,
    /// What.
    pub(crate) what: String,
}

impl Read {
    /// Takes in what the reader counted.
    pub(crate) fn add(&mut self, summary: &Summary) {
        self.bytes = summary.bytes;
        self.lines = summary.lines;
        self.series = summary.series;
        self.samples = summary.samples;
        self.untimed = summary.untimed;
        self.odd = summary.oddities;
        self.stamps = summary.stamps.map(|stamps| match stamps {
            Stamps::Seconds => "seconds",
            Stamps::Milliseconds => "milliseconds",
            Stamps::Both => "both",
        });
    }
}

/// A format's name.
pub(crate) const fn name(format: Format) -> &'static str {
    match format {
        Format::OpenMetrics => "openmetrics",
        Format::Sadf => "sadf",
        Format::Vmstat => "vmstat",
    }
}

/// The page; `dir` is the data directory as a word of a command.
pub(crate) fn page(page: Page, told: &Told, dir: &str) -> String {
    let known = told.samples.saturating_sub(told.new);
    let known = match known {
        0 => String::new(),
        all if all == told.samples => ", all of which were there before".to_owned(),
        some => format!(", {} of which were there before", grouped(some)),
    };
    let head = format!(
        "Imported {} samples of {} series{known}.",
        grouped(told.samples),
        grouped(told.series)
    );
    let mut out = page.item("", &head, BOLD);
    if let Some(Stretch { from, to }) = told.stretch {
        let text =
            format!("They are of {} to {} (UTC), in {}", from.second(), to.second(), told.path);
        out += &page.item("", &text, anstyle::Style::new());
    }
    for file in &told.files {
        out += &of_file(page, file);
    }
    out += &told.notes.iter().map(|note| page.item("! ", note, YELLOW)).collect::<String>();
    if told.samples > 0 {
        out += &page.head("Ask it", "");
        // Never wrapped: it is there to be copied.
        for command in ["leaks", "store info"] {
            put(
                &mut out,
                &format!(
                    "  {}\n",
                    Page::paint(DIM, &format!("highwater {command} --data-dir {dir}"))
                ),
            );
        }
    }
    out
}

fn of_file(page: Page, file: &Read) -> String {
    let counts = file.format.map(|format| {
        let (series, samples) = (grouped(file.series), grouped(file.samples));
        format!("{format}, {series} series, {samples} samples")
    });
    let mut out = String::new();
    if let Some(counts) = counts {
        out += &page.item("  ", &format!("{}: {counts}", file.file), anstyle::Style::new());
    }
    if let Some(fault) = &file.fault {
        let kept = if file.format.is_some() { "; what came before it is imported" } else { "" };
        out += &page.item("! ", &format!("{}: {fault}{kept}", file.file), YELLOW);
    }
    if file.untimed > 0 {
        let text = format!(
            "{}: {} samples without a timestamp were left out: say with --at when they were taken",
            file.file,
            grouped(file.untimed)
        );
        out += &page.item("! ", &text, YELLOW);
    }
    for Oddity { line, what } in file.oddities.iter().take(SHOWN) {
        out += &page.item("! ", &format!("{}:{line}: {what}", file.file), YELLOW);
    }
    let shown = u64::try_from(file.oddities.len().min(SHOWN)).unwrap_or(0);
    let more = file.odd.saturating_sub(shown);
    if more > 0 {
        let text = format!("{}: {} more of that kind", file.file, grouped(more));
        out += &page.item("! ", &text, YELLOW);
    }
    out
}
