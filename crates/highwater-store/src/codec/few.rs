//! The heads of a few metrics out of a sheet of many: what is said of the others is passed over.

use std::ops::Range;

use super::course::{Frame, Shape};
use super::gaps::Gaps;
use super::heads::{
    Counts, Course, Entry, Heads, SCALE_BITS, Scale, read_blocks, read_counts, read_least,
    read_metrics, read_spans,
};
use super::number::Bytes;
use super::{Aspect, Key};

/// The series of one metric, by their places in the columns.
struct Part {
    metric: u32,
    series: Range<usize>,
    wanted: bool,
}

/// Reads columns; of the series only those whose metric is wanted.
pub(super) fn read(mut from: Bytes<'_>, wanted: &dyn Fn(u32) -> bool) -> Option<Heads> {
    let from = &mut from;
    let Counts { points, series: count, blocks } = read_counts(from)?;
    let gaps = Gaps::read(from, points, count)?;
    let parts = read_parts(from, count, wanted)?;
    let keys = read_keys(from, count, &parts)?;
    let mut patterns = Vec::with_capacity(keys.len());
    for part in &parts {
        if part.wanted {
            for _ in part.series.clone() {
                patterns.push(from.count()?);
            }
        } else {
            from.skip(part.series.len())?;
        }
    }
    let (scales, shapes) = (from.take(count)?, from.take(count)?);
    let places = || parts.iter().filter(|part| part.wanted).flat_map(|part| part.series.clone());
    let mut told = Vec::with_capacity(keys.len());
    for (at, pattern) in places().zip(patterns) {
        let (scale, shape) = (Scale::of_code(*scales.get(at)?)?, Shape::of_code(*shapes.get(at)?)?);
        let samples = gaps.samples(pattern).filter(|samples| *samples > 0)?;
        told.push(Course { scale, shape, pattern, frame: Frame { count: samples, ..NO_FRAME } });
    }
    let extremes = read_extremes(from, &parts, (scales, shapes), &mut told)?;
    let (blocks, mut members) = read_blocks(from, blocks, count)?;
    if !from.0.is_empty() {
        return None;
    }
    let (mut entries, mut courses) = (Vec::with_capacity(keys.len()), vec![]);
    let mut rest = places().zip(keys).zip(told).zip(extremes).peekable();
    for (block, members) in members.iter_mut().enumerate() {
        let (all, start) = (members.clone(), courses.len());
        while let Some((((at, key), course), (min, max))) =
            rest.next_if(|(((at, _), _), _)| *at < all.end)
        {
            if courses.len() == start {
                courses.extend(rough(shapes.get(all.clone())?)?);
            }
            let place = at.checked_sub(all.start)?;
            *courses.get_mut(start.checked_add(place)?)? = course;
            entries.push(Entry {
                key,
                block: u32::try_from(block).ok()?,
                place: u16::try_from(place).ok()?,
                samples: u32::try_from(course.frame.count).ok()?,
                min,
                max,
            });
        }
        *members = start..courses.len();
    }
    Some(Heads { points, entries, blocks, courses, members, gaps })
}

fn read_parts(
    from: &mut Bytes<'_>,
    count: usize,
    wanted: &dyn Fn(u32) -> bool,
) -> Option<Vec<Part>> {
    let mut start = 0;
    let part = |(metric, series): (u32, usize)| {
        let series = start..start + series;
        start = series.end;
        Part { metric, series, wanted: wanted(metric) }
    };
    Some(read_metrics(from, count)?.into_iter().map(part).collect())
}

fn read_keys(from: &mut Bytes<'_>, count: usize, parts: &[Part]) -> Option<Vec<Key>> {
    let aspects = from.take(count)?;
    let (mut keys, mut first) = (vec![], 0_u64);
    for part in parts {
        first = first.wrapping_add(from.signed()?.cast_unsigned());
        if !part.wanted {
            from.skip(part.series.len().checked_sub(1)?)?;
            continue;
        }
        let mut entity = first;
        for (at, aspect) in aspects.get(part.series.clone())?.iter().enumerate() {
            if at > 0 {
                entity = entity.wrapping_add(from.signed()?.cast_unsigned());
            }
            keys.push(Key { metric: part.metric, entity, aspect: Aspect::of_code(*aspect)? });
        }
    }
    keys.is_sorted_by(|a, b| a < b).then_some(keys)
}

const NO_FRAME: Frame = Frame { count: 0, least: 0, span: 0 };

/// Courses of which only the shape is known: enough to find what stands behind them in a block.
fn rough(shapes: &[u8]) -> Option<Vec<Course>> {
    let rough = |shape: &u8| {
        let shape = Shape::of_code(*shape)?;
        Some(Course { scale: Scale::Bits, shape, pattern: 0, frame: NO_FRAME })
    };
    shapes.iter().map(rough).collect()
}

/// Reads the extremes of the series that are wanted, whose courses these are.
fn read_extremes(
    from: &mut Bytes<'_>,
    parts: &[Part],
    (scales, shapes): (&[u8], &[u8]),
    courses: &mut [Course],
) -> Option<Vec<(f64, f64)>> {
    let mut extremes = Vec::with_capacity(courses.len());
    let mut rest = &mut *courses;
    for part in parts {
        let scales = scales.get(part.series.clone())?;
        if part.wanted {
            let (here, behind) = rest.split_at_mut_checked(part.series.len())?;
            read_least(from, here, &mut extremes)?;
            rest = behind;
        } else if scales.contains(&SCALE_BITS) {
            scales.iter().try_for_each(|scale| pass(from, *scale))?;
        } else {
            from.skip(scales.len())?;
        }
    }
    let (mut rest, mut told) = (courses, extremes.as_mut_slice());
    for part in parts {
        let (scales, shapes) = (scales.get(part.series.clone())?, shapes.get(part.series.clone())?);
        let changes = |shape: u8| shape != Shape::Constant.code();
        if part.wanted {
            let (here, behind) = rest.split_at_mut_checked(part.series.len())?;
            let (of_these, others) = told.split_at_mut_checked(part.series.len())?;
            read_spans(from, here, of_these)?;
            (rest, told) = (behind, others);
        } else if scales.contains(&SCALE_BITS) {
            let mut both = scales.iter().zip(shapes).filter(|(_, shape)| changes(**shape));
            both.try_for_each(|(scale, _)| pass(from, *scale))?;
        } else {
            from.skip(shapes.iter().filter(|shape| changes(**shape)).count())?;
        }
    }
    Some(extremes)
}

/// Passes over one number of this scale.
fn pass(from: &mut Bytes<'_>, scale: u8) -> Option<()> {
    if scale == SCALE_BITS { from.float().map(|_| ()) } else { from.varint().map(|_| ()) }
}

#[cfg(test)]
mod tests {
    use super::super::{ABSENT, BlockReader, Form, SheetWriter};
    use super::*;

    /// A sheet of many metrics, some of whose series have gaps, fractions or never change.
    fn sheet() -> (Vec<u8>, Vec<u8>) {
        let mut writer = SheetWriter::new(Form::Blocks).unwrap();
        writer.begin(20);
        for (metric, entity) in (1..30).flat_map(|metric| (1..12).map(move |one| (metric, one * 3)))
        {
            let kind = (u64::from(metric) + entity) % 5;
            let value = |at: u32| match kind {
                0 => 7.0,
                1 => f64::from(at * metric) / 3.0,
                2 if at % 7 == 2 => ABSENT,
                _ => f64::from(at * at + metric) * 4096.0,
            };
            let values: Vec<f64> = (0..20).map(value).collect();
            writer.push(Key { metric, entity, aspect: Aspect::Raw }, &values).unwrap();
        }
        let finished = writer.finish().unwrap();
        (finished.heads.to_vec(), finished.body.to_vec())
    }

    fn values(heads: &Heads, body: &[u8], entry: &Entry) -> Vec<u64> {
        let at = heads.blocks[usize::try_from(entry.block).unwrap()];
        let bytes = &body[at.offset..at.offset + at.length];
        let mut all = vec![];
        let mut out = |_, values: &[f64]| all.extend(values.iter().map(|value| value.to_bits()));
        BlockReader::new().decode(heads, entry.block, bytes, &[entry.place], &mut out).unwrap();
        all
    }

    #[test]
    fn a_few_metrics_are_told_as_all_are() {
        let (heads, body) = sheet();
        let all = Heads::parse(&heads).unwrap();
        for wanted in [&[][..], &[1], &[29], &[7, 8, 20], &[99]] {
            let few = Heads::parse_few(&heads, &|metric| wanted.contains(&metric)).unwrap();
            let of_all = all.entries.iter().filter(|entry| wanted.contains(&entry.key.metric));
            assert_eq!(few.entries, of_all.copied().collect::<Vec<_>>(), "{wanted:?}");
            assert_eq!(few.blocks, all.blocks);
            for entry in &few.entries {
                assert_eq!(values(&few, &body, entry), values(&all, &body, entry), "{entry:?}");
            }
        }
    }

    #[test]
    fn garbage_is_refused() {
        let (heads, _) = sheet();
        for at in 0..heads.len() {
            let mut hurt = heads.clone();
            hurt[at] ^= 4;
            assert!(Heads::parse_few(&hurt, &|metric| metric == 7).is_err(), "byte {at}");
            drop(read(Bytes(&hurt), &|metric| metric % 2 == 0));
        }
    }
}
