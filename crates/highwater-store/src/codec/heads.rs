//! The heads of a sheet: which series it has, their extremes, and where the rest of them is.
//!
//! Column by column, so that what is alike stands together, and packed as a whole.

use std::cell::RefCell;
use std::io;
use std::ops::Range;

use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe;

use super::course::{Frame, Shape};
use super::few;
use super::gaps::{GapWriter, Gaps};
use super::number::{Bytes, Unit, length, put_varint, zigzag};
use super::{Aspect, Key, MAX_POINTS, MAX_SERIES};
use crate::tick::Damage;

/// The version in the first byte.
const VERSION: u8 = 1;

/// The most heads may unpack to. [`MAX_SERIES`] that all change and have a gap each would be 6 MiB;
/// whatever claims more is damaged.
const MAX_HEADS: u64 = 8 << 20;

/// What one series takes in the columns at least: bounds what a false count can claim.
const LEAST_OF_ONE: usize = 6;

/// The second byte: the columns follow as they are, or as a zstd frame.
const PLAIN: u8 = 0;
const PACKED: u8 = 1;

const LEVEL: i32 = 6;

thread_local! {
    /// Making one takes longer than unpacking heads with it.
    static UNPACKER: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// What a sheet says of its series.
#[derive(Clone, Debug)]
pub struct Heads {
    /// How many points each series has room for.
    pub points: usize,
    /// The series, by their keys.
    pub entries: Vec<Entry>,
    /// The blocks of the body.
    pub blocks: Vec<BlockPlace>,
    /// Beside each entry, how its samples are written.
    pub(super) courses: Vec<Course>,
    /// Beside each block, which entries are in it.
    pub(super) members: Vec<Range<usize>>,
    pub(super) gaps: Gaps,
}

/// One series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Entry {
    /// What it is of.
    pub key: Key,
    /// The block it is in, by number.
    pub block: u32,
    /// Its place in that block.
    pub place: u16,
    /// How many samples it has.
    pub samples: u32,
    /// The least of them, NaN apart; NaN if there is nothing else.
    pub min: f64,
    /// The greatest of them, NaN apart; NaN if there is nothing else.
    pub max: f64,
}

/// Where a block is in the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockPlace {
    /// Its first byte.
    pub offset: usize,
    /// How many bytes it has; none if all its series are constant.
    pub length: usize,
    /// The CRC-32 of these bytes.
    pub crc: u32,
}

/// What the integers of a series stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scale {
    /// Counts of a unit.
    Counts(Unit),
    /// The bits of floats.
    Bits,
}

/// How the samples of a series are written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Course {
    pub scale: Scale,
    pub shape: Shape,
    pub pattern: usize,
    pub frame: Frame,
}

const SCALE_DECIMAL: u8 = 64;
pub(super) const SCALE_BITS: u8 = 128;

impl Scale {
    fn code(self) -> u8 {
        let low = |number: u32| u8::try_from(number).unwrap_or(0);
        match self {
            Self::Counts(Unit::Shifted(shift)) => low(shift) & 0x3f,
            Self::Counts(Unit::Decimal(places)) => SCALE_DECIMAL | low(places),
            Self::Bits => SCALE_BITS,
        }
    }

    pub(super) fn of_code(code: u8) -> Option<Self> {
        match code {
            0..=52 => Some(Self::Counts(Unit::Shifted(code.into()))),
            SCALE_DECIMAL..=70 => Some(Self::Counts(Unit::Decimal((code - SCALE_DECIMAL).into()))),
            SCALE_BITS => Some(Self::Bits),
            _ => None,
        }
    }
}

/// What the writer knows of one series.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub key: Key,
    pub pattern: u64,
    pub scale: Scale,
    pub shape: Shape,
    pub least: i64,
    pub span: u64,
    pub min: f64,
    pub max: f64,
}

/// What the writer knows of one block.
#[derive(Clone, Copy, Debug)]
pub(super) struct BlockRow {
    pub series: usize,
    pub length: usize,
    pub crc: u32,
}

/// Packs heads, one sheet's after the other, in the same buffers.
pub(super) struct HeadsWriter {
    zstd: Compressor<'static>,
    columns: Vec<u8>,
}

impl HeadsWriter {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { zstd: Compressor::new(LEVEL)?, columns: vec![] })
    }

    /// Writes the heads of these series and blocks.
    pub(super) fn put(
        &mut self,
        points: usize,
        (rows, blocks): (&[Row], &[BlockRow]),
        gaps: &GapWriter,
        out: &mut Vec<u8>,
    ) -> io::Result<()> {
        let columns = &mut self.columns;
        columns.clear();
        for count in [points, rows.len(), blocks.len()] {
            put_varint(columns, length(count));
        }
        gaps.put(columns);
        put_metrics(rows, columns);
        columns.extend(rows.iter().map(|row| row.key.aspect.code()));
        put_entities(rows, columns);
        for row in rows {
            put_varint(columns, row.pattern);
        }
        columns.extend(rows.iter().map(|row| row.scale.code()));
        columns.extend(rows.iter().map(|row| row.shape.code()));
        put_extremes(rows, columns);
        for block in blocks {
            put_varint(columns, length(block.series));
            put_varint(columns, length(block.length));
        }
        for block in blocks.iter().filter(|block| block.length > 0) {
            columns.extend_from_slice(&block.crc.to_le_bytes());
        }
        self.pack(out)
    }

    fn pack(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        out.clear();
        out.extend_from_slice(&[VERSION, PACKED]);
        out.reserve(zstd_safe::compress_bound(self.columns.len()));
        let mut behind = io::Cursor::new(&mut *out);
        behind.set_position(2);
        self.zstd.compress_to_buffer(self.columns.as_slice(), &mut behind)?;
        if out.len() >= self.columns.len() {
            out.clear();
            out.extend_from_slice(&[VERSION, PLAIN]);
            out.extend_from_slice(&self.columns);
        }
        let crc = crc32fast::hash(out);
        out.extend_from_slice(&crc.to_le_bytes());
        Ok(())
    }
}

/// Stretches of one metric: by how much its id is higher, and how many series it has.
fn put_metrics(rows: &[Row], columns: &mut Vec<u8>) {
    let mut last = 0;
    for of_one in rows.chunk_by(|a, b| a.key.metric == b.key.metric) {
        let metric = of_one.first().map_or(0, |row| row.key.metric);
        put_varint(columns, u64::from(metric.wrapping_sub(last)));
        put_varint(columns, length(of_one.len()));
        last = metric;
    }
}

/// Each entity by how much its id is higher than the one before; the first one of a metric by how
/// much it differs from the first one of the metric before.
fn put_entities(rows: &[Row], columns: &mut Vec<u8>) {
    let mut first = 0;
    for of_one in rows.chunk_by(|a, b| a.key.metric == b.key.metric) {
        let mut last = first;
        for (at, row) in of_one.iter().enumerate() {
            put_varint(columns, zigzag(row.key.entity.wrapping_sub(last).cast_signed()));
            last = row.key.entity;
            first = if at == 0 { last } else { first };
        }
    }
}

fn put_extremes(rows: &[Row], columns: &mut Vec<u8>) {
    for row in rows {
        match row.scale {
            Scale::Counts(_) => put_varint(columns, zigzag(row.least)),
            Scale::Bits => columns.extend_from_slice(&row.min.to_bits().to_le_bytes()),
        }
    }
    for row in rows.iter().filter(|row| row.shape != Shape::Constant) {
        match row.scale {
            Scale::Counts(_) => put_varint(columns, row.span),
            Scale::Bits => columns.extend_from_slice(&row.max.to_bits().to_le_bytes()),
        }
    }
}

impl Heads {
    /// Reads heads. Total over any bytes, bounded in memory.
    pub fn parse(bytes: &[u8]) -> Result<Self, Damage> {
        Self::unpacked(bytes, |columns| Self::read(Bytes(columns)))
    }

    /// Reads the heads of those series whose metric is wanted, which is quicker if they are few.
    /// Total over any bytes, bounded in memory.
    pub fn parse_few(bytes: &[u8], wanted: &dyn Fn(u32) -> bool) -> Result<Self, Damage> {
        Self::unpacked(bytes, |columns| few::read(Bytes(columns), wanted))
    }

    fn unpacked(bytes: &[u8], read: impl FnOnce(&[u8]) -> Option<Self>) -> Result<Self, Damage> {
        let version = *bytes.first().ok_or(Damage::Empty)?;
        if version != VERSION {
            return Err(Damage::Version(version));
        }
        let (told, crc) = bytes.split_last_chunk::<4>().ok_or(Damage::Body)?;
        if crc32fast::hash(told) != u32::from_le_bytes(*crc) {
            return Err(Damage::Checksum);
        }
        let heads = match told {
            [_, PLAIN, columns @ ..] => read(columns),
            [_, PACKED, frame @ ..] => read(&unpack(frame)?),
            _ => return Err(Damage::Packing),
        };
        heads.ok_or(Damage::Body)
    }

    /// Reads heads that are unpacked and have no checksum; total over any bytes.
    pub fn of_columns(columns: &[u8]) -> Result<Self, Damage> {
        Self::read(Bytes(columns)).ok_or(Damage::Body)
    }

    fn read(mut from: Bytes<'_>) -> Option<Self> {
        let from = &mut from;
        let Counts { points, series: count, blocks } = read_counts(from)?;
        let gaps = Gaps::read(from, points, count)?;
        let keys = read_keys(from, count)?;
        let mut courses = read_courses(from, count, &gaps)?;
        let mut extremes = Vec::with_capacity(count);
        read_least(from, &mut courses, &mut extremes)?;
        read_spans(from, &mut courses, &mut extremes)?;
        let (blocks, members) = read_blocks(from, blocks, count)?;
        if !from.0.is_empty() {
            return None;
        }
        let mut entries = Vec::with_capacity(count);
        let mut rest = keys.iter().zip(&courses).zip(&extremes);
        for (block, members) in members.iter().enumerate() {
            for (place, ((key, course), (min, max))) in
                rest.by_ref().take(members.len()).enumerate()
            {
                entries.push(Entry {
                    key: *key,
                    block: u32::try_from(block).ok()?,
                    place: u16::try_from(place).ok()?,
                    samples: u32::try_from(course.frame.count).ok()?,
                    min: *min,
                    max: *max,
                });
            }
        }
        Some(Self { points, entries, blocks, courses, members, gaps })
    }
}

fn unpack(frame: &[u8]) -> Result<Vec<u8>, Damage> {
    let size = zstd_safe::get_frame_content_size(frame).map_err(|_| Damage::Packing)?;
    let size = size.ok_or(Damage::Packing)?;
    if size > MAX_HEADS {
        return Err(Damage::Size(size));
    }
    let room = usize::try_from(size).map_err(|_| Damage::Size(size))?;
    UNPACKER.with_borrow_mut(|kept| {
        let zstd = match kept {
            Some(zstd) => zstd,
            None => kept.insert(Decompressor::new().map_err(|_| Damage::Packing)?),
        };
        zstd.decompress(frame, room).map_err(|_| Damage::Packing)
    })
}

/// How many points, series and blocks a sheet has.
pub(super) struct Counts {
    pub points: usize,
    pub series: usize,
    pub blocks: usize,
}

pub(super) fn read_counts(from: &mut Bytes<'_>) -> Option<Counts> {
    let (points, series, blocks) = (from.count()?, from.count()?, from.count()?);
    let possible = series <= from.0.len() / LEAST_OF_ONE && blocks <= from.0.len() / 2;
    let possible = possible && points <= MAX_POINTS && series <= MAX_SERIES;
    possible.then_some(Counts { points, series, blocks })
}

/// The metrics, and how many series each has.
pub(super) fn read_metrics(from: &mut Bytes<'_>, count: usize) -> Option<Vec<(u32, usize)>> {
    let mut runs: Vec<(u32, usize)> = vec![];
    let (mut metric, mut told) = (0_u32, 0_usize);
    while told < count {
        metric = metric.checked_add(u32::try_from(from.varint()?).ok()?)?;
        let series = from.count()?;
        told = told.checked_add(series)?;
        if series == 0 || told > count {
            return None;
        }
        runs.push((metric, series));
    }
    Some(runs)
}

fn read_keys(from: &mut Bytes<'_>, count: usize) -> Option<Vec<Key>> {
    let runs = read_metrics(from, count)?;
    let aspects = from.take(count)?;
    let mut aspects = aspects.iter();
    let mut keys = Vec::with_capacity(count);
    let mut first = 0_u64;
    for (metric, series) in runs {
        let mut entity = first;
        for at in 0..series {
            entity = entity.wrapping_add(from.signed()?.cast_unsigned());
            first = if at == 0 { entity } else { first };
            let aspect = Aspect::of_code(*aspects.next()?)?;
            keys.push(Key { metric, entity, aspect });
        }
    }
    keys.is_sorted_by(|a, b| a < b).then_some(keys)
}

fn read_courses(from: &mut Bytes<'_>, count: usize, gaps: &Gaps) -> Option<Vec<Course>> {
    let mut patterns = Vec::with_capacity(count);
    for _ in 0..count {
        patterns.push(from.count()?);
    }
    let (scales, shapes) = (from.take(count)?, from.take(count)?);
    let mut courses = Vec::with_capacity(count);
    for ((pattern, scale), shape) in patterns.into_iter().zip(scales).zip(shapes) {
        let samples = gaps.samples(pattern).filter(|samples| *samples > 0)?;
        let frame = Frame { count: samples, least: 0, span: 0 };
        let (scale, shape) = (Scale::of_code(*scale)?, Shape::of_code(*shape)?);
        courses.push(Course { scale, shape, pattern, frame });
    }
    Some(courses)
}

/// The least of each series.
pub(super) fn read_least(
    from: &mut Bytes<'_>,
    courses: &mut [Course],
    extremes: &mut Vec<(f64, f64)>,
) -> Option<()> {
    for course in courses.iter_mut() {
        let min = match course.scale {
            Scale::Counts(unit) => {
                course.frame.least = from.signed()?;
                unit.value(course.frame.least)?
            }
            Scale::Bits => from.float()?,
        };
        extremes.push((min, min));
    }
    Some(())
}

/// The greatest of each series that changes.
pub(super) fn read_spans(
    from: &mut Bytes<'_>,
    courses: &mut [Course],
    extremes: &mut [(f64, f64)],
) -> Option<()> {
    for (course, (min, max)) in courses.iter_mut().zip(extremes) {
        match (course.shape, course.scale) {
            (Shape::Constant, Scale::Bits) => course.frame.least = min.to_bits().cast_signed(),
            (Shape::Constant, _) => {}
            (_, Scale::Counts(unit)) => {
                course.frame.span = from.varint()?;
                let span = i64::try_from(course.frame.span).ok()?;
                *max = unit.value(course.frame.least.checked_add(span)?)?;
            }
            (_, Scale::Bits) => {
                course.frame.span = u64::MAX;
                *max = from.float()?;
            }
        }
    }
    Some(())
}

pub(super) type Blocks = (Vec<BlockPlace>, Vec<Range<usize>>);

pub(super) fn read_blocks(from: &mut Bytes<'_>, count: usize, series: usize) -> Option<Blocks> {
    let (mut blocks, mut members) = (Vec::with_capacity(count), Vec::with_capacity(count));
    let (mut offset, mut entry) = (0_usize, 0_usize);
    for _ in 0..count {
        let (series, length) = (from.count()?, from.count()?);
        blocks.push(BlockPlace { offset, length, crc: 0 });
        offset = offset.checked_add(length)?;
        let end = entry.checked_add(series)?;
        members.push(entry..end);
        entry = end;
    }
    for block in blocks.iter_mut().filter(|block| block.length > 0) {
        block.crc = from.crc()?;
    }
    (entry == series).then_some((blocks, members))
}
