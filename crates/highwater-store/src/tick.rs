//! The tick blob: the numbers of one group of entities at one moment.
//!
//! Column by column, because neighbours in a column resemble each other and because a reader who
//! wants one column steps over the others by their length. Each blob stands alone.
//!
//! ```text
//! blob     version 1 │ zstd frame, with content size and checksum, of the body
//! body     count │ first id, gap to the next id, … │ section, section, …
//! section  metric id │ length │ form │ [bitmap, one bit an entity] │ value, value, …
//! form     bit 7: there is a bitmap   bit 6: millionths   bits 0–5: shift
//! value    0: +Inf   1: eight bytes of a float follow   n ≥ 2: zigzag integer n − 2
//! ```
//!
//! Numbers without a stated size are LEB128 varints. See `docs/formats/store.md`.

use std::fmt;
use std::io;

use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::{self, CParameter};

use crate::codec::number::{Bytes, Unit, length, put_varint, unzigzag, whole, zigzag};

/// The version in the first byte.
pub const VERSION: u8 = 1;

/// The most entities of one group in one tick: twice the default `pid_max` of a machine with few
/// processors, and enough for the largest hosts whose small processes are rolled up.
pub const MAX_ENTITIES: usize = 65_536;

/// The most a body may unpack to. [`MAX_ENTITIES`] with 64 columns of the longest values would be
/// 38 MiB; whatever claims more is damaged.
const MAX_BODY: u64 = 40 << 20;

/// Fast, and within a tenth of level 3 on these bodies.
const LEVEL: i32 = 1;

const WITH_BITMAP: u8 = 0x80;
const MILLIONTHS: u8 = 0x40;
const SHIFT: u8 = 0x3f;
const MILLIONTH: Unit = Unit::Decimal(6);

const CODE_INFINITE: u64 = 0;
const CODE_FLOAT: u64 = 1;
const CODE_FIRST: u64 = 2;

/// What is wrong with a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// There is nothing.
    #[error("empty blob")]
    Empty,
    /// The first byte names no version known here.
    #[error("blob of version {0}: read it with a newer highwater")]
    Version(u8),
    /// It does not unpack, or its checksum is wrong.
    #[error("blob does not unpack, or its checksum is wrong")]
    Packing,
    /// It claims to unpack to more than any tick.
    #[error("blob claims {0} bytes, more than any tick has")]
    Size(u64),
    /// The body ends early or contradicts itself.
    #[error("blob is cut short or contradicts itself")]
    Body,
    /// A byte of it is not what was written.
    #[error("checksum of the blob is wrong")]
    Checksum,
}

/// Writes blobs, one after the other, in the same buffers.
pub struct Writer {
    zstd: Compressor<'static>,
    body: Vec<u8>,
    section: Vec<u8>,
    bitmap: Vec<u8>,
    values: Vec<Option<f64>>,
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("body", &self.body.len()).finish_non_exhaustive()
    }
}

impl Writer {
    /// A writer with nothing begun.
    pub fn new() -> io::Result<Self> {
        let mut zstd = Compressor::new(LEVEL)?;
        zstd.set_parameter(CParameter::ChecksumFlag(true))?;
        let (body, section, bitmap, values) = (vec![], vec![], vec![], vec![]);
        Ok(Self { zstd, body, section, bitmap, values })
    }

    /// Begins a blob about these entities, whose ids must rise.
    pub fn begin(&mut self, ids: impl ExactSizeIterator<Item = u64>) {
        self.body.clear();
        put_varint(&mut self.body, length(ids.len()));
        let mut last = 0;
        for id in ids {
            debug_assert!(last < id || last == 0, "ids must rise");
            put_varint(&mut self.body, id.wrapping_sub(last));
            last = id;
        }
    }

    /// Adds a column: a value or none for each entity, in the order of the ids. A column without
    /// any value takes no room.
    pub fn column(&mut self, metric: u32, values: impl Iterator<Item = Option<f64>>) {
        self.values.clear();
        self.values.extend(values);
        let present = self.values.iter().flatten().count();
        if present == 0 {
            return;
        }
        let unit = unit_of(self.values.iter().flatten().copied());
        self.section.clear();
        if present == self.values.len() {
            self.section.push(form_of(unit));
        } else {
            self.section.push(form_of(unit) | WITH_BITMAP);
            self.put_bitmap();
        }
        for value in self.values.iter().flatten() {
            put_value(unit, &mut self.section, *value);
        }
        put_varint(&mut self.body, metric.into());
        put_varint(&mut self.body, length(self.section.len()));
        self.body.extend_from_slice(&self.section);
    }

    fn put_bitmap(&mut self) {
        self.bitmap.clear();
        for eight in self.values.chunks(8) {
            let bits = eight.iter().rev().fold(0, |bits, v| bits << 1 | u8::from(v.is_some()));
            self.bitmap.push(bits);
        }
        self.section.extend_from_slice(&self.bitmap);
    }

    /// Packs what was begun into `blob`, whose room is reused.
    pub fn finish(&mut self, blob: &mut Vec<u8>) -> io::Result<()> {
        blob.clear();
        blob.reserve(1 + zstd_safe::compress_bound(self.body.len()));
        blob.push(VERSION);
        let mut behind = io::Cursor::new(blob);
        behind.set_position(1);
        self.zstd.compress_to_buffer(self.body.as_slice(), &mut behind)?;
        Ok(())
    }
}

/// The unit that suits the values of a column.
fn unit_of(values: impl Iterator<Item = f64>) -> Unit {
    let mut bits = 0;
    for value in values {
        match whole(value) {
            Some(number) => bits |= number,
            None if MILLIONTH.count(value).is_some() => return MILLIONTH,
            None => {}
        }
    }
    Unit::Shifted(if bits == 0 { 0 } else { bits.trailing_zeros() })
}

/// The unit as the form byte holds it.
fn form_of(unit: Unit) -> u8 {
    match unit {
        Unit::Shifted(shift) => u8::try_from(shift).unwrap_or(0) & SHIFT,
        Unit::Decimal(_) => MILLIONTHS,
    }
}

fn unit_from(form: u8) -> Unit {
    if form & MILLIONTHS != 0 { MILLIONTH } else { Unit::Shifted((form & SHIFT).into()) }
}

fn put_value(unit: Unit, out: &mut Vec<u8>, value: f64) {
    match unit.count(value) {
        Some(number) => put_varint(out, zigzag(number).saturating_add(CODE_FIRST)),
        // By its bits, so that a NaN keeps its meaning.
        None if value == f64::INFINITY => put_varint(out, CODE_INFINITE),
        None => {
            put_varint(out, CODE_FLOAT);
            out.extend_from_slice(&value.to_bits().to_le_bytes());
        }
    }
}

fn take_value(unit: Unit, from: &mut Bytes<'_>) -> Option<f64> {
    match from.varint()? {
        CODE_INFINITE => Some(f64::INFINITY),
        CODE_FLOAT => from.float(),
        code => unit.value(unzigzag(code.saturating_sub(CODE_FIRST))),
    }
}

/// Unpacks blobs, one after the other, in the same buffers.
#[derive(Default)]
pub struct Unpacker {
    zstd: Decompressor<'static>,
    body: Vec<u8>,
}

impl fmt::Debug for Unpacker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unpacker").field("body", &self.body.len()).finish_non_exhaustive()
    }
}

impl Unpacker {
    /// Unpacks `blob`; total over any bytes, bounded in memory.
    pub fn unpack(&mut self, blob: &[u8]) -> Result<Tick<'_>, Damage> {
        let (version, frame) = blob.split_first().ok_or(Damage::Empty)?;
        if *version != VERSION {
            return Err(Damage::Version(*version));
        }
        let size = zstd_safe::get_frame_content_size(frame).map_err(|_| Damage::Packing)?;
        let size = size.ok_or(Damage::Packing)?;
        if size > MAX_BODY {
            return Err(Damage::Size(size));
        }
        self.body.clear();
        self.body.reserve(usize::try_from(size).map_err(|_| Damage::Size(size))?);
        let unpacked = self.zstd.decompress_to_buffer(frame, &mut self.body);
        unpacked.map_err(|_| Damage::Packing)?;
        Tick::of_body(&self.body)
    }
}

/// An unpacked blob.
#[derive(Clone, Debug)]
pub struct Tick<'a> {
    ids: Vec<u64>,
    sections: Bytes<'a>,
}

impl<'a> Tick<'a> {
    /// Reads an unpacked body; total over any bytes.
    pub fn of_body(body: &'a [u8]) -> Result<Self, Damage> {
        Self::read(body).ok_or(Damage::Body)
    }

    fn read(body: &'a [u8]) -> Option<Self> {
        let mut from = Bytes(body);
        let count = usize::try_from(from.varint()?).ok()?;
        // Each id takes a byte at least, so a claim of more is false, and memory is bounded.
        if count > from.0.len() {
            return None;
        }
        let mut ids = Vec::with_capacity(count);
        let mut id = 0_u64;
        for _ in 0..count {
            let gap = from.varint()?;
            if gap == 0 && !ids.is_empty() {
                return None;
            }
            id = id.checked_add(gap)?;
            ids.push(id);
        }
        Some(Self { ids, sections: from })
    }

    /// The entities, by rising id.
    pub fn ids(&self) -> &[u64] {
        &self.ids
    }

    /// The columns in the order they were written. After damage it ends with the error.
    pub fn columns(&self) -> impl Iterator<Item = Result<Column<'a>, Damage>> {
        let (mut rest, count) = (self.sections, self.ids.len());
        std::iter::from_fn(move || {
            (!rest.0.is_empty()).then(|| {
                let column = Column::read(&mut rest, count);
                if column.is_none() {
                    rest = Bytes(&[]);
                }
                column.ok_or(Damage::Body)
            })
        })
    }
}

/// One column of a tick.
#[derive(Clone, Copy, Debug)]
pub struct Column<'a> {
    /// The metric's id.
    pub metric: u32,
    unit: Unit,
    count: usize,
    bitmap: Option<&'a [u8]>,
    values: Bytes<'a>,
}

impl<'a> Column<'a> {
    fn read(from: &mut Bytes<'a>, count: usize) -> Option<Self> {
        let metric = u32::try_from(from.varint()?).ok()?;
        let length = usize::try_from(from.varint()?).ok()?;
        let mut values = Bytes(from.take(length)?);
        let form = *values.take(1)?.first()?;
        let bitmap = match form & WITH_BITMAP {
            0 => None,
            _ => Some(values.take(count.div_ceil(8))?),
        };
        Some(Self { metric, unit: unit_from(form), count, bitmap, values })
    }

    /// The value of each entity, in the order of the ids. After damage it ends with the error.
    pub fn values(self) -> impl Iterator<Item = Result<Option<f64>, Damage>> + 'a {
        let (mut rest, mut at, mut intact) = (self.values, 0, true);
        std::iter::from_fn(move || {
            if at == self.count || !intact {
                return None;
            }
            let present = self.has(at);
            at += 1;
            if !present {
                return Some(Ok(None));
            }
            let value = take_value(self.unit, &mut rest);
            intact = value.is_some();
            Some(value.map(Some).ok_or(Damage::Body))
        })
    }

    fn has(&self, at: usize) -> bool {
        self.bitmap
            .is_none_or(|bits| bits.get(at / 8).is_some_and(|byte| byte >> (at % 8) & 1 == 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The blob of one column about entities 1, 2, ….
    fn blob_of(values: &[Option<f64>]) -> Vec<u8> {
        let (mut writer, mut blob) = (Writer::new().unwrap(), vec![]);
        let ids: Vec<u64> = (1..).take(values.len()).collect();
        writer.begin(ids.iter().copied());
        writer.column(7, values.iter().copied());
        writer.finish(&mut blob).unwrap();
        blob
    }

    fn body_of(values: &[Option<f64>]) -> Vec<u8> {
        let mut unpacker = Unpacker::default();
        unpacker.unpack(&blob_of(values)).unwrap();
        unpacker.body
    }

    fn back(values: &[Option<f64>]) -> Vec<Option<u64>> {
        let mut unpacker = Unpacker::default();
        let blob = blob_of(values);
        let tick = unpacker.unpack(&blob).unwrap();
        let column = tick.columns().next().unwrap().unwrap();
        column.values().map(|v| v.unwrap().map(f64::to_bits)).collect()
    }

    #[test]
    fn awkward_values_come_back_bit_for_bit() {
        let nan = f64::from_bits(0x7ff0_0000_0000_0002);
        let awkward = [0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, nan, f64::NAN, 0.1, 1.5e300]
            .into_iter()
            .chain([9_007_199_254_740_992.0, -9_007_199_254_740_992.0, 9_007_199_254_740_994.0])
            .chain([f64::MIN_POSITIVE, 1e-6, -17.0, 4096.0, 123_456.789_012])
            .map(Some)
            .chain([None])
            .collect::<Vec<_>>();
        let bits: Vec<_> = awkward.iter().map(|v| v.map(f64::to_bits)).collect();
        assert_eq!(back(&awkward), bits);
        for one in &awkward[..awkward.len() - 1] {
            assert_eq!(back(&[*one, None]), [one.map(f64::to_bits), None]);
        }
    }

    #[test]
    fn pages_lose_their_zeros_and_seconds_their_point() {
        let pages = body_of(&[Some(4096.0), Some(12288.0)]);
        assert_eq!(pages, [2, 1, 1, 7, 3, 12, 4, 8]);
        let seconds = body_of(&[Some(0.000_003), None, Some(1.0)]);
        assert_eq!(seconds, [3, 1, 1, 1, 7, 6, 0xc0, 0b101, 8, 0x82, 0x89, 0x7a]);
        let unlimited = body_of(&[Some(f64::INFINITY)]);
        assert_eq!(unlimited, [1, 1, 7, 2, 0, 0]);
    }

    #[test]
    fn a_column_of_nothing_takes_no_room() {
        assert_eq!(body_of(&[None, None]), [2, 1, 1]);
        assert_eq!(body_of(&[]), [0]);
    }

    #[test]
    fn damage_has_a_name() {
        let blob = blob_of(&[Some(1.0)]);
        let wrong = |blob: &[u8]| Unpacker::default().unpack(blob).unwrap_err();
        assert_eq!(wrong(&[]), Damage::Empty);
        assert_eq!(wrong(&[9, 1, 2]), Damage::Version(9));
        assert_eq!(wrong(&blob[..blob.len() - 1]), Damage::Packing);
        let huge = [1, 0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 1, 0, 0, 0];
        assert_eq!(wrong(&huge), Damage::Size(1 << 32));
    }

    #[test]
    fn bodies_that_contradict_themselves_are_refused() {
        assert!(Tick::read(&[200, 1, 1]).is_none(), "more entities than bytes");
        assert!(Tick::read(&[2, 1, 0]).is_none(), "an id twice");
        let cut = Tick::read(&[1, 1, 7, 9, 0, 2]).unwrap();
        assert_eq!(cut.columns().map(Result::err).collect::<Vec<_>>(), [Some(Damage::Body)]);
        let no_value = Tick::read(&[1, 1, 7, 1, 0]).unwrap();
        let column = no_value.columns().next().unwrap().unwrap();
        assert_eq!(column.values().collect::<Vec<_>>(), [Err(Damage::Body)]);
    }
}
