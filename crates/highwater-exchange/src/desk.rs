//! Where all readers hand out what they found: series get their numbers here, oddities their
//! bounds.

use highwater_core::metric::MetricKind;
use highwater_core::series::{Labels, STALE};
use highwater_core::text;
use highwater_core::time::WallTime;

use crate::{Item, Stamps, Summary, TooMuch};

/// Series that one reader keeps apart: 5,000 containers with 200 series each. What is kept of a
/// series besides its name is some 100 bytes.
pub(crate) const MAX_SERIES: usize = 1_000_000;

/// How often one sort of oddity is told: enough to see what is wrong, few enough to read.
const MAX_TOLD: u64 = 5;

/// How much of a file an oddity cites, in bytes before escaping.
const MAX_CITED: usize = 80;

/// Who is told.
pub(crate) type Sink<'a> = &'a mut dyn FnMut(Item<'_>);

/// One sort of oddity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Odd {
    LongLine,
    NoSample,
    BadLabels,
    ManyLabels,
    BadValue,
    BadStamp,
    Untimed,
    NotUtf8,
    ManyFamilies,
    AfterEof,
    NoEof,
    CutOff,
    NoColumns,
    BadRow,
    NoZone,
    ManyFigures,
    ManySubjects,
    Broken,
    TooDeep,
    LongText,
    Unfinished,
    SmallMemory,
}

impl Odd {
    const fn text(self) -> &'static str {
        match self {
            Self::LongLine => "a line of more than 256 KiB is left out",
            Self::NoSample => "neither a sample nor a comment, left out",
            Self::BadLabels => "labels that cannot be read, left out",
            Self::ManyLabels => "a sample with more than 128 labels is left out",
            Self::BadValue => "a sample without a readable value is left out",
            Self::BadStamp => "a timestamp that cannot be read, the sample is left out",
            Self::Untimed => "samples without a timestamp are left out",
            Self::NotUtf8 => "names that are not UTF-8 are taken with escapes",
            Self::ManyFamilies => {
                "more than 100,000 families: type and help of the rest are not kept"
            }
            Self::AfterEof => "there is more after # EOF; it is read",
            Self::NoEof => "no # EOF at the end: the file may be cut off",
            Self::CutOff => "the last line has no end and is left out: it may be cut off",
            Self::NoColumns => "numbers before any line that names the columns, left out",
            Self::BadRow => "a line that does not fit the columns is left out",
            Self::NoZone => "a time zone that is not clear from its letters is taken as UTC",
            Self::ManyFigures => "more than 16,384 numbers at one moment: the rest is left out",
            Self::ManySubjects => "more than 4,096 file systems: the rest is left out",
            Self::Broken => "bytes that JSON does not have here are skipped",
            Self::TooDeep => "JSON of more than 32 levels: what is deeper is left out",
            Self::LongText => "a text of more than 4 KiB is cut",
            Self::Unfinished => "the file ends in the middle of a record, which is left out",
            Self::SmallMemory => {
                "less than 48 MiB in all if the numbers are KiB: perhaps vmstat was given -S m or M"
            }
        }
    }

    /// How often it is told.
    const fn bound(self) -> u64 {
        match self {
            Self::Untimed | Self::NoZone | Self::SmallMemory | Self::NotUtf8 => 1,
            _ => MAX_TOLD,
        }
    }
}

/// The numbers so far.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    pub(crate) summary: Summary,
    told: Vec<(Odd, u64)>,
}

impl Desk {
    /// Tells an oddity, unless enough of its sort are told, and counts it.
    pub(crate) fn odd(&mut self, sink: Sink<'_>, line: u64, odd: Odd, cited: &[u8]) {
        self.summary.oddities = self.summary.oddities.saturating_add(1);
        if self.told(odd) > odd.bound() {
            return;
        }
        if cited.is_empty() {
            sink(Item::Oddity { line, what: odd.text() });
        } else {
            let what = format!("{}: {}", odd.text(), cite(cited));
            sink(Item::Oddity { line, what: &what });
        }
    }

    /// How often `odd` came up, this time included.
    fn told(&mut self, odd: Odd) -> u64 {
        if let Some((_, count)) = self.told.iter_mut().find(|(sort, _)| *sort == odd) {
            *count += 1;
            return *count;
        }
        self.told.push((odd, 1));
        1
    }

    /// Gives a new series its number.
    pub(crate) fn series(
        &mut self,
        sink: Sink<'_>,
        line: u64,
        (labels, kind, help): (&Labels, MetricKind, &str),
    ) -> Result<u32, TooMuch> {
        let too_many = TooMuch::Series { line, limit: MAX_SERIES };
        let id = u32::try_from(self.summary.series).map_err(|_| too_many)?;
        if usize::try_from(id).map_err(|_| too_many)? >= MAX_SERIES {
            return Err(too_many);
        }
        self.summary.series += 1;
        sink(Item::Series { id, labels, kind, help });
        Ok(id)
    }

    /// Gives a sample.
    pub(crate) fn sample(&mut self, sink: Sink<'_>, id: u32, at: WallTime, value: f64) {
        self.summary.samples += 1;
        let value = if value.is_nan() { STALE } else { value };
        sink(Item::Sample { id, at, value });
    }

    /// Counts a sample without a timestamp, and tells of the first.
    pub(crate) fn untimed(&mut self, sink: Sink<'_>, line: u64) {
        self.summary.untimed += 1;
        self.odd(sink, line, Odd::Untimed, b"");
    }

    /// Notes in which unit a timestamp was taken.
    pub(crate) fn stamp(&mut self, stamp: Stamps) {
        match self.summary.stamps {
            None => self.summary.stamps = Some(stamp),
            Some(before) if before != stamp => self.summary.stamps = Some(Stamps::Both),
            Some(_) => {}
        }
    }
}

/// The beginning of `bytes`, fit to print.
fn cite(bytes: &[u8]) -> String {
    match bytes.get(..MAX_CITED) {
        Some(head) if bytes.len() > MAX_CITED => format!("{}…", text::escape(head)),
        _ => text::escape(bytes).into_owned(),
    }
}
