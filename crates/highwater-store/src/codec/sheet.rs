//! Writing sheets: series in, heads and body out.

use std::fmt;
use std::io;

use super::course::{Aim, CourseWriter, Frame, Shape};
use super::gaps::GapWriter;
use super::heads::{BlockRow, HeadsWriter, Row, Scale};
use super::number::{Unit, length, put_varint, whole};
use super::{ABSENT, Form, Key, MAX_POINTS, MAX_SERIES, is_absent};

/// The most series of a block of [`Form::Blocks`].
pub const BLOCK_SERIES: usize = 64;

/// The most series of a block of [`Form::Chunks`] or [`Form::Swift`], nearly all of them constant.
const CHUNK_SERIES: usize = 4096;

/// About what a series takes in the heads, for [`SheetWriter::size`].
const HEAD_BYTES: usize = 6;

/// The units that are tried, the coarsest first: pages, kibibytes, blocks of 4 (sectors and swap
/// are counted by the page, in kibibytes).
const SHIFTS: [u32; 3] = [12, 10, 2];

/// The fractions that are tried, the coarsest first: hundredths (clock ticks, percentages), parts
/// of ten thousand (percentages with two places), millionths (microseconds).
const PLACES: [u32; 3] = [2, 4, 6];

/// Writes sheets, one after the other, in the same buffers.
pub struct SheetWriter {
    form: Form,
    points: usize,
    heads: HeadsWriter,
    packed_heads: Vec<u8>,
    courses: CourseWriter,
    gaps: GapWriter,
    rows: Vec<Row>,
    blocks: Vec<BlockRow>,
    body: Vec<u8>,
    samples: u64,
    open: OpenBlock,
    present: Vec<f64>,
    numbers: Vec<i64>,
}

/// The block that is being written.
#[derive(Debug, Default)]
struct OpenBlock {
    series: usize,
    lengths: Vec<usize>,
    bytes: Vec<u8>,
}

/// A finished sheet, until the writer begins the next one.
#[derive(Clone, Copy, Debug)]
pub struct Finished<'a> {
    /// For [`Heads::parse`](super::Heads::parse).
    pub heads: &'a [u8],
    /// The blocks.
    pub body: &'a [u8],
    /// How many series there are.
    pub series: usize,
    /// How many samples they have together.
    pub samples: u64,
}

impl fmt::Debug for SheetWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SheetWriter").field("form", &self.form).finish_non_exhaustive()
    }
}

impl SheetWriter {
    /// A writer with nothing begun.
    pub fn new(form: Form) -> io::Result<Self> {
        Ok(Self {
            form,
            points: 0,
            heads: HeadsWriter::new()?,
            packed_heads: vec![],
            courses: CourseWriter::default(),
            gaps: GapWriter::default(),
            rows: vec![],
            blocks: vec![],
            body: vec![],
            samples: 0,
            open: OpenBlock::default(),
            present: vec![],
            numbers: vec![],
        })
    }

    /// Begins a sheet of series of so many points, at most [`MAX_POINTS`].
    pub fn begin(&mut self, points: usize) {
        self.points = points;
        self.gaps.clear();
        self.rows.clear();
        self.blocks.clear();
        self.body.clear();
        self.samples = 0;
        self.open = OpenBlock::default();
    }

    /// Adds a series: a value for each point, [`ABSENT`](super::ABSENT) where there is none. Keys
    /// must rise. A series without any sample is left out.
    pub fn push(&mut self, key: Key, values: &[f64]) -> io::Result<()> {
        self.check(key, values)?;
        self.present.clear();
        // Most series neither change nor have gaps: for them one look is enough.
        let first = values.first().copied().unwrap_or(ABSENT);
        let still =
            values.iter().fold(true, |same, value| same & (value.to_bits() == first.to_bits()));
        let pattern = if still && !is_absent(first) {
            self.present.extend_from_slice(values);
            0
        } else {
            let Some(pattern) = self.gaps.pattern(values, &mut self.present) else {
                return Ok(());
            };
            pattern
        };
        self.samples = self.samples.saturating_add(length(self.present.len()));
        let row = self.row(key, pattern, still);
        self.place(row);
        Ok(())
    }

    fn check(&self, key: Key, values: &[f64]) -> io::Result<()> {
        let refuse = |why: &str| Err(io::Error::new(io::ErrorKind::InvalidInput, why.to_owned()));
        if values.len() != self.points || self.points > MAX_POINTS {
            return refuse("a series has not as many points as the sheet, or too many");
        }
        if self.rows.last().is_some_and(|last| last.key >= key) {
            return refuse("the keys of a sheet's series do not rise");
        }
        if self.rows.len() >= MAX_SERIES {
            return refuse("too many series for one sheet: write several");
        }
        Ok(())
    }

    /// Works out what the heads say of the series in `present`, and its integers.
    fn row(&mut self, key: Key, pattern: u64, still: bool) -> Row {
        let first = self.present.first().copied().unwrap_or(0.0);
        let same = still || self.present.iter().all(|value| value.to_bits() == first.to_bits());
        let scale = self.scale(same);
        let shape = if same { Shape::Constant } else { Shape::Still };
        let frame = self.count(scale, same);
        let (min, max) = match (scale, same) {
            (Scale::Bits, false) => extremes(&self.present),
            _ => (first, first),
        };
        Row { key, pattern, scale, shape, least: frame.least, span: frame.span, min, max }
    }

    /// What suits the values in `present`.
    fn scale(&self, same: bool) -> Scale {
        let before = self.rows.last().map(|row| row.scale);
        let mut bits = 0;
        for value in &self.present {
            match whole(*value) {
                Some(number) => bits |= number,
                None => return self.fraction(),
            }
            if same {
                break;
            }
        }
        match before {
            Some(Scale::Counts(unit)) if bits == 0 => Scale::Counts(unit),
            _ => Scale::Counts(Unit::Shifted(shift_of(bits, same))),
        }
    }

    fn fraction(&self) -> Scale {
        let suits = |unit: &Unit| self.present.iter().all(|value| unit.count(*value).is_some());
        let unit = PLACES.into_iter().map(Unit::Decimal).find(suits);
        unit.map_or(Scale::Bits, Scale::Counts)
    }

    /// Fills `numbers` with the integers of `present`.
    fn count(&mut self, scale: Scale, same: bool) -> Frame {
        self.numbers.clear();
        let values = self.present.iter().take(if same { 1 } else { usize::MAX });
        match scale {
            Scale::Counts(unit) => {
                self.numbers.extend(values.map(|value| unit.count(*value).unwrap_or(0)));
                Frame::of(&self.numbers)
            }
            Scale::Bits => {
                self.numbers.extend(values.map(|value| value.to_bits().cast_signed()));
                let least = if same { self.numbers.first().copied().unwrap_or(0) } else { 0 };
                Frame { count: self.numbers.len(), least, span: u64::MAX }
            }
        }
    }

    fn place(&mut self, mut row: Row) {
        let varies = row.shape != Shape::Constant;
        let full = match self.form {
            Form::Blocks => self.open.series >= BLOCK_SERIES,
            Form::Chunks | Form::Swift => {
                self.open.series >= CHUNK_SERIES || (varies && !self.open.lengths.is_empty())
            }
        };
        if full {
            self.close();
        }
        if varies {
            let frame = Frame { count: self.numbers.len(), least: row.least, span: row.span };
            let before = self.open.bytes.len();
            let aim = match self.form {
                Form::Blocks => Aim::Size,
                Form::Chunks => Aim::Both,
                Form::Swift => Aim::Speed,
            };
            row.shape = self.courses.put(&self.numbers, frame, aim, &mut self.open.bytes);
            self.open.lengths.push(self.open.bytes.len().saturating_sub(before));
        }
        self.open.series += 1;
        self.rows.push(row);
    }

    /// Ends the open block: how long its series are, the last one apart, then they themselves.
    fn close(&mut self) {
        if self.open.series == 0 {
            return;
        }
        let start = self.body.len();
        if let Some((_, lengths)) = self.open.lengths.split_last() {
            for one in lengths {
                put_varint(&mut self.body, length(*one));
            }
        }
        self.body.extend_from_slice(&self.open.bytes);
        let bytes = self.body.get(start..).unwrap_or_default();
        let (length, crc) = (bytes.len(), crc32fast::hash(bytes));
        self.blocks.push(BlockRow { series: self.open.series, length, crc });
        self.open.series = 0;
        self.open.lengths.clear();
        self.open.bytes.clear();
    }

    /// About how many bytes the sheet has so far.
    pub fn size(&self) -> usize {
        self.body.len() + self.open.bytes.len() + self.rows.len() * HEAD_BYTES
    }

    /// Ends the sheet.
    pub fn finish(&mut self) -> io::Result<Finished<'_>> {
        self.close();
        let tables = (self.rows.as_slice(), self.blocks.as_slice());
        self.heads.put(self.points, tables, &self.gaps, &mut self.packed_heads)?;
        Ok(Finished {
            heads: &self.packed_heads,
            body: &self.body,
            series: self.rows.len(),
            samples: self.samples,
        })
    }
}

/// The coarsest unit of whole numbers with these bits. A single number's low zeros say little, so
/// a series that never changes is not given a unit of its own for two of them.
fn shift_of(bits: i64, same: bool) -> u32 {
    let zeros = if bits == 0 { 0 } else { bits.trailing_zeros() };
    let fits = |shift: &u32| *shift <= zeros && !(same && *shift < 10);
    SHIFTS.into_iter().find(fits).unwrap_or(0)
}

/// The least and the greatest, NaN apart.
fn extremes(values: &[f64]) -> (f64, f64) {
    let told = values.iter().filter(|value| !value.is_nan());
    told.fold((f64::NAN, f64::NAN), |(min, max), value| (min.min(*value), max.max(*value)))
}
