//! Samples in and out: `OpenMetrics` text, `sadf -j`, `vmstat -t`.
//!
//! Readers take bytes piece by piece and give series and samples; what cannot be read is told with
//! its line, and the rest is read on. Files are opened, unpacked and stored by others.

mod desk;
mod figure;
mod lines;
mod number;
mod openmetrics;
mod reader;
mod sadf;
mod vmstat;
mod writer;
mod zone;

use highwater_core::metric::MetricKind;
use highwater_core::series::Labels;
use highwater_core::time::WallTime;
use jiff::tz::TimeZone;

pub use crate::reader::Reader;
pub use crate::writer::{OpenMetricsWriter, WriteError};

/// How many lines a format may need to show itself: some files begin with comments.
const MAX_LINES_OF_HEAD: usize = 100;

/// What a file is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// `OpenMetrics` text, and Prometheus's text format 0.0.4: which of the two is told by each
    /// timestamp.
    OpenMetrics,
    /// `sadf -j`, of any version and any selection of statistics.
    Sadf,
    /// `vmstat -t`, wide or not.
    Vmstat,
}

impl Format {
    /// What a file that begins with `head` is written in; a few kilobytes are plenty.
    pub fn of(head: &[u8]) -> Option<Self> {
        let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
        let first = head.trim_ascii_start();
        let is_sadf = first.strip_prefix(b"{").map(<[u8]>::trim_ascii_start);
        if is_sadf.is_some_and(|inner| inner.starts_with(b"\"sysstat\"")) {
            return Some(Self::Sadf);
        }
        first.split(|byte| *byte == b'\n').take(MAX_LINES_OF_HEAD).find_map(|line| {
            let line = line.trim_ascii();
            if vmstat::is_header(line) {
                Some(Self::Vmstat)
            } else {
                openmetrics::is_of(line).then_some(Self::OpenMetrics)
            }
        })
    }
}

/// What the caller knows and a file does not say.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// When samples without a timestamp were taken. Without it they are left out and told.
    pub at: Option<WallTime>,
    /// The zone of local times (`vmstat -t`, `sadf -t`); it goes before what a file says of
    /// itself. Without it: what the file says if that is clear, else UTC, and told.
    pub zone: Option<TimeZone>,
    /// What `vmstat -S` was given, which its output does not say. Without it: `K`, its default.
    pub unit: Option<VmstatUnit>,
    /// The label `instance` of series of a file that does not name its machine (`vmstat`).
    pub instance: Option<String>,
}

/// The argument of `vmstat -S`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VmstatUnit {
    /// `k`: 1,000 bytes.
    Kilo,
    /// `K`: 1,024 bytes, the default.
    #[default]
    Kibi,
    /// `m`: 1,000,000 bytes.
    Mega,
    /// `M`: 1,048,576 bytes.
    Mebi,
}

/// What a reader gives.
#[derive(Debug)]
pub enum Item<'a> {
    /// A series that was not seen before. Ids count from 0 without a gap; one series spelled in
    /// two ways (labels in another order) has two ids.
    Series {
        /// Its number in the samples that follow.
        id: u32,
        /// Its name and labels.
        labels: &'a Labels,
        /// Gauge or counter.
        kind: MetricKind,
        /// One line of help; empty if there is none.
        help: &'a str,
    },
    /// One sample of a series that was given before, in the order of the file.
    Sample {
        /// Which series.
        id: u32,
        /// When.
        at: WallTime,
        /// What. No number (`NaN`) is [`STALE`](highwater_core::series::STALE): the series has no
        /// value then.
        value: f64,
    },
    /// What could not be read, or was read only by an assumption. The first few of each sort are
    /// given; all are counted in the [`Summary`].
    Oddity {
        /// The line of the file, from 1.
        line: u64,
        /// A lower-case fragment; what it cites of the file is escaped and cut.
        what: &'a str,
    },
}

/// What was read in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Bytes pushed.
    pub bytes: u64,
    /// Lines begun.
    pub lines: u64,
    /// Series given.
    pub series: u64,
    /// Samples given.
    pub samples: u64,
    /// Samples left out for want of a timestamp.
    pub untimed: u64,
    /// Oddities, those that were not told among them.
    pub oddities: u64,
    /// In which unit the timestamps of `OpenMetrics` or Prometheus text were taken.
    pub stamps: Option<Stamps>,
}

/// In which unit the timestamps of a text were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stamps {
    /// Seconds, as `OpenMetrics` has it.
    Seconds,
    /// Milliseconds, as Prometheus's text format has it.
    Milliseconds,
    /// Some so, some so.
    Both,
}

/// A file holds more than a reader takes; what was given before stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooMuch {
    /// More series than are kept apart.
    #[error("line {line}: more than {limit} series: split the input by metric or by label")]
    Series {
        /// Where the first one too many stands.
        line: u64,
        /// How many there may be.
        limit: usize,
    },
    /// Names and labels of more bytes than are kept.
    #[error("line {line}: names and labels of more than {limit} bytes: split the input by metric")]
    Names {
        /// Where the first byte too many stands.
        line: u64,
        /// How many there may be.
        limit: usize,
    },
}
