//! Runs merged: of each series its samples in order of time, each moment once.

use std::io;

use super::spool::Cursor;

/// Takes samples of one series: which, when and what.
pub(super) type Give<'g, E> = dyn FnMut(u64, &[i64], &[f64]) -> Result<(), E> + 'g;

/// Gives the samples of all runs by rising series and, within one, by rising time. Of several at
/// one moment that of the first run counts, and of one run its first.
pub(super) fn merge<E: From<io::Error>>(
    mut cursors: Vec<Cursor<'_>>,
    give: &mut Give<'_, E>,
) -> Result<(), E> {
    let mut first_step = Vec::with_capacity(cursors.len());
    for mut cursor in cursors.drain(..) {
        if cursor.advance()? {
            first_step.push(cursor);
        }
    }
    let mut live = first_step;
    while let Some(series) = live.iter().map(|cursor| cursor.group.series).min() {
        let mut of_series: Vec<Source<'_, '_>> = live
            .iter_mut()
            .filter(|cursor| cursor.group.series == series)
            .map(|cursor| Source { cursor, at: 0 })
            .collect();
        let mut last = None;
        loop {
            of_series.retain(|source| source.cursor.is_of(series));
            match of_series.as_mut_slice() {
                [] => break,
                [only] => only.whole(series, &mut last, give)?,
                several => one(several, series, &mut last, give)?,
            }
        }
        live.retain(|cursor| !cursor.group.times.is_empty());
    }
    Ok(())
}

/// A run that has samples of the present series.
struct Source<'c, 'f> {
    cursor: &'c mut Cursor<'f>,
    /// The next sample of its group.
    at: usize,
}

impl Cursor<'_> {
    fn is_of(&self, series: u64) -> bool {
        self.group.series == series && !self.group.times.is_empty()
    }
}

impl Source<'_, '_> {
    fn next_time(&self) -> Option<i64> {
        self.cursor.group.times.get(self.at).copied()
    }

    /// Goes on behind a group that was read.
    fn turn(&mut self) -> io::Result<()> {
        if self.at >= self.cursor.group.times.len() {
            self.at = 0;
            self.cursor.advance()?;
        }
        Ok(())
    }

    /// Gives the rest of the group, which no other run has a part in.
    fn whole<E: From<io::Error>>(
        &mut self,
        series: u64,
        last: &mut Option<i64>,
        give: &mut Give<'_, E>,
    ) -> Result<(), E> {
        let group = &mut self.cursor.group;
        let skip = group.times.partition_point(|at| last.is_some_and(|last| *at <= last));
        let from = skip.max(self.at);
        let times = group.times.get(from..).unwrap_or_default();
        let values = group.values.get(from..).unwrap_or_default();
        if times.is_sorted_by(|a, b| a < b) {
            give(series, times, values)?;
        } else {
            let mut before = None;
            let once = |(at, _): &(&i64, &f64)| before.replace(**at) != Some(**at);
            let (times, values): (Vec<i64>, Vec<f64>) =
                times.iter().zip(values).filter(once).unzip();
            give(series, &times, &values)?;
        }
        *last = group.times.last().copied().max(*last);
        self.at = group.times.len();
        Ok(self.turn()?)
    }
}

/// Gives what the runs have up to where the first of their groups ends.
fn one<E: From<io::Error>>(
    sources: &mut [Source<'_, '_>],
    series: u64,
    last: &mut Option<i64>,
    give: &mut Give<'_, E>,
) -> Result<(), E> {
    let ends = sources.iter().filter_map(|source| source.cursor.group.times.last());
    let Some(until) = ends.min().copied() else { return Ok(()) };
    let mut some: Vec<(i64, f64)> = vec![];
    for source in &mut *sources {
        while let Some(at) = source.next_time().filter(|at| *at <= until) {
            let value = source.cursor.group.values.get(source.at).copied();
            some.extend(value.filter(|_| last.is_none_or(|last| at > last)).map(|v| (at, v)));
            source.at += 1;
        }
        source.turn()?;
    }
    // Runs are in order of who counts, and sorting keeps that.
    some.sort_by_key(|(at, _)| *at);
    some.dedup_by_key(|(at, _)| *at);
    *last = Some(until).max(*last);
    let (times, values): (Vec<i64>, Vec<f64>) = some.into_iter().unzip();
    give(series, &times, &values)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::super::spool::{Age, Sample, Spool};
    use super::*;

    proptest! {
        /// Runs cut anywhere, moments that come several times, in one run and in others.
        #[test]
        fn each_moment_comes_once_from_who_was_first(
            runs in prop::collection::vec(prop::collection::vec((0..3_u64, 1..40_i64), 0..60), 1..6),
            known in 0..6_usize,
        ) {
            let dir = tempfile::tempdir().unwrap();
            let mut spool = Spool::new(dir.path());
            let mut count = 0.0;
            let mut by_age: Vec<(Age, Vec<Sample>)> = vec![];
            for (nth, run) in runs.into_iter().enumerate() {
                let age = if nth == known { Age::Known } else { Age::New };
                let samples = run.into_iter().map(|(series, at)| {
                    count += 1.0;
                    Sample { series, at, value: count }
                });
                by_age.push((age, samples.collect()));
            }
            for (age, samples) in &by_age {
                for sample in samples {
                    spool.push(*age, *sample).unwrap();
                }
                spool.turn(*age).unwrap();
            }
            by_age.sort_by_key(|(age, _)| *age);
            let mut model: BTreeMap<(u64, i64), f64> = BTreeMap::new();
            for sample in by_age.iter().flat_map(|(_, samples)| samples) {
                model.entry((sample.series, sample.at)).or_insert(sample.value);
            }
            let sorted = spool.sorted().unwrap();
            let mut found = vec![];
            merge::<io::Error>(sorted.cursors(0), &mut |series, times, values| {
                found.extend(times.iter().zip(values).map(|(at, value)| ((series, *at), *value)));
                Ok(())
            })
            .unwrap();
            prop_assert_eq!(found, model.into_iter().collect::<Vec<_>>());
        }
    }
}
