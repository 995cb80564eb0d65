//! The times that the series of a batch share: milliseconds that rise strictly.
//!
//! Readings come at a steady pace, each a little early or late, so a time is told by how far it is
//! from where the pace alone would have it.

use std::ops::Range;

use super::MAX_POINTS;
use super::course::{self, Aim, CourseWriter, Frame, Shape};
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
        let chosen = CourseWriter::default().put(&late, frame, Aim::Both, out);
        if let Some(byte) = out.get_mut(shape) {
            *byte = chosen.code();
        }
    }
    let crc = crc32fast::hash(out.get(start..).unwrap_or_default());
    out.extend_from_slice(&crc.to_le_bytes());
}

/// Some of the times of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Excerpt {
    /// How many there are in all.
    pub count: usize,
    /// How many stand before the first of these.
    pub before: usize,
    /// Those.
    pub times: Vec<i64>,
}

impl Excerpt {
    /// Those with some places, counted from the first of all; `None` if any is left out.
    pub fn at(&self, places: &Range<usize>) -> Option<&[i64]> {
        let start = places.start.checked_sub(self.before)?;
        self.times.get(start..places.end.checked_sub(self.before)?)
    }
}

/// Reads times, at most `most` of them. Total over any bytes, bounded in memory.
pub fn decode(bytes: &[u8], most: usize) -> Result<Vec<i64>, Damage> {
    of_body(checked(bytes)?, most)
}

/// Reads those times that are between two moments, and more of them where that is no work.
pub fn decode_within(bytes: &[u8], most: usize, (from, to): (i64, i64)) -> Result<Excerpt, Damage> {
    let body = checked(bytes)?;
    let (first, pace, shape, frame) = read_frame(&mut Bytes(body)).ok_or(Damage::Body)?;
    let even = || {
        let (first, count) = (first.checked_add(frame.least)?, i64::try_from(frame.count).ok()?);
        // All of them can be had as numbers.
        first.checked_add(pace.checked_mul(count)?)?;
        let passed = |moment: i64| moment.saturating_sub(first).checked_div(pace);
        let before = if from <= first { 0 } else { passed(from)?.min(count) };
        let until = if to < first { 0 } else { passed(to)?.saturating_add(1).min(count) };
        let times = (before..until).map(|at| first + at * pace).collect();
        Some(Excerpt { count: frame.count, before: usize::try_from(before).ok()?, times })
    };
    if shape == Shape::Constant && pace > 0 && frame.count <= most.min(MAX_POINTS) {
        return even().ok_or(Damage::Body);
    }
    let times = of_body(body, most)?;
    Ok(Excerpt { count: times.len(), before: 0, times })
}

/// What stands between the version and the checksum.
fn checked(bytes: &[u8]) -> Result<&[u8], Damage> {
    let version = *bytes.first().ok_or(Damage::Empty)?;
    if version != VERSION {
        return Err(Damage::Version(version));
    }
    let (told, crc) = bytes.split_last_chunk::<4>().ok_or(Damage::Body)?;
    if crc32fast::hash(told) != u32::from_le_bytes(*crc) {
        return Err(Damage::Checksum);
    }
    Ok(told.get(1..).unwrap_or_default())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_has_what_was_asked_for() {
        let even: Vec<i64> = (0..5000).map(|n| 1_000_037 + n * 60_000).collect();
        let uneven: Vec<i64> = even.iter().map(|at| at + at % 7).collect();
        for times in [even, uneven] {
            let mut bytes = vec![];
            encode(&times, &mut bytes);
            let (first, last) = (times[0], times[4999]);
            for (from, to) in [
                (i64::MIN, i64::MAX),
                (first, first),
                (first + 1, first + 60_000),
                (last - 60_001, last + 1),
                (last + 1, i64::MAX),
                (i64::MIN, first - 1),
                (last, first),
            ] {
                let found = decode_within(&bytes, MAX_POINTS, (from, to)).unwrap();
                assert_eq!(found.count, 5000);
                let within = times.iter().enumerate().filter(|(_, at)| (from..=to).contains(*at));
                for (place, at) in within {
                    assert_eq!(found.times[place - found.before], *at, "{from} to {to}");
                }
                for (at, place) in found.times.iter().zip(found.before..) {
                    assert_eq!(*at, times[place]);
                }
            }
            assert!(decode_within(&bytes, 4999, (first, last)).is_err());
        }
    }
}
