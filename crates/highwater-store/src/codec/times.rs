//! The times that the series of a batch share: milliseconds that rise strictly.
//!
//! Readings come at a steady pace, each a little early or late, so a time is told by how far it is
//! from where the pace alone would have it.

use super::MAX_POINTS;
use super::course::{self, CourseWriter, Frame, Shape};
use super::number::{Bytes, length, put_varint, zigzag};
use crate::tick::Damage;

/// The version in the first byte.
const VERSION: u8 = 1;

/// Appends times, which must rise strictly.
pub fn encode(times: &[i64], out: &mut Vec<u8>) {
    debug_assert!(times.is_sorted_by(|a, b| a < b), "times rise strictly");
    let start = out.len();
    let pace = usual_pace(times);
    let first = times.first().copied().unwrap_or(0);
    let late: Vec<i64> =
        times.iter().zip(paces(first, pace)).map(|(t, p)| t.wrapping_sub(p)).collect();
    let frame = Frame::of(&late);
    out.push(VERSION);
    put_varint(out, length(times.len()));
    for number in [first, pace, frame.least] {
        put_varint(out, zigzag(number));
    }
    put_varint(out, frame.span);
    let shape = out.len();
    out.push(Shape::Constant.code());
    if frame.span > 0 {
        let chosen = CourseWriter::default().put(&late, frame, true, out);
        if let Some(byte) = out.get_mut(shape) {
            *byte = chosen.code();
        }
    }
    let crc = crc32fast::hash(out.get(start..).unwrap_or_default());
    out.extend_from_slice(&crc.to_le_bytes());
}

/// Reads times, at most `most` of them. Total over any bytes, bounded in memory.
pub fn decode(bytes: &[u8], most: usize) -> Result<Vec<i64>, Damage> {
    let version = *bytes.first().ok_or(Damage::Empty)?;
    if version != VERSION {
        return Err(Damage::Version(version));
    }
    let (told, crc) = bytes.split_last_chunk::<4>().ok_or(Damage::Body)?;
    if crc32fast::hash(told) != u32::from_le_bytes(*crc) {
        return Err(Damage::Checksum);
    }
    of_body(told.get(1..).unwrap_or_default(), most)
}

/// Reads times behind the version and without the checksum; total over any bytes.
pub fn of_body(body: &[u8], most: usize) -> Result<Vec<i64>, Damage> {
    let mut from = Bytes(body);
    let (first, pace, shape, frame) = read_frame(&mut from).ok_or(Damage::Body)?;
    if frame.count > most.min(MAX_POINTS) {
        return Err(Damage::Size(length(frame.count)));
    }
    let mut times = vec![];
    course::take(from.0, shape, frame, &mut times)?;
    for (time, due) in times.iter_mut().zip(paces(first, pace)) {
        *time = time.wrapping_add(due);
    }
    if times.is_sorted_by(|a, b| a < b) { Ok(times) } else { Err(Damage::Body) }
}

fn read_frame(from: &mut Bytes<'_>) -> Option<(i64, i64, Shape, Frame)> {
    let count = from.count()?;
    let (first, pace, least) = (from.signed()?, from.signed()?, from.signed()?);
    let span = from.varint()?;
    let shape = Shape::of_code(from.byte()?)?;
    Some((first, pace, shape, Frame { count, least, span }))
}

/// The middle one of the steps: a few gaps do not move it.
fn usual_pace(times: &[i64]) -> i64 {
    let step = |two: &[i64]| two.last().zip(two.first()).map(|(b, a)| b.wrapping_sub(*a));
    let mut steps: Vec<i64> = times.windows(2).filter_map(step).collect();
    let middle = steps.len() / 2;
    if steps.is_empty() {
        return 0;
    }
    *steps.select_nth_unstable(middle).1
}

/// When readings are due.
fn paces(first: i64, pace: i64) -> impl Iterator<Item = i64> {
    std::iter::successors(Some(first), move |due| Some(due.wrapping_add(pace)))
}
