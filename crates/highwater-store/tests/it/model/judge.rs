//! Whether what a reader tells is what the plain model says.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use highwater_core::series::{Labels, Matcher, NAME, Point, Selection, SeriesSource, is_stale};
use highwater_core::time::{Stamp, WallTime};
use highwater_store::{EventFilter, Reader};

use super::memory::{From, Gone, Kept, Memory, Place, Shown};
use super::play::{same, told};
use crate::dice::Dice;

type Outcome = Result<(), String>;

/// The lengths of buckets.
const MINUTE: i64 = 60_000;
const TEN_MINUTES: i64 = 600_000;

/// All of time.
const ALWAYS: (i64, i64) = (0, i64::MAX / 4);

type Found = BTreeMap<Labels, Vec<(i64, f64)>>;

/// Compares everything.
pub(super) fn compare(reader: &Reader, memory: &Memory, now: Stamp, dice: &mut Dice) -> Outcome {
    events(reader, memory)?;
    let places = memory.places();
    let metrics: BTreeSet<&str> = memory.series.keys().map(|labels| labels.get(NAME)).collect();
    for metric in metrics {
        let asked = Asked { reader, memory, places: &places, metric };
        let all = asked.select(ALWAYS, None, false)?;
        asked.all(&all)?;
        asked.part(&all, now, dice)?;
        asked.coarse(now, dice)?;
        asked.ends(now)?;
    }
    Ok(())
}

fn events(reader: &Reader, memory: &Memory) -> Outcome {
    let stored = reader.events(&EventFilter::default()).map_err(told)?;
    let mut stored: Vec<_> = stored.into_iter().map(|stored| stored.event).collect();
    let mut wanted = memory.events.clone();
    let key = |event: &highwater_core::event::Event| (event.boot_id, event.key.clone());
    stored.sort_by_key(key);
    wanted.sort_by_key(key);
    same("events", stored, wanted)
}

/// One metric.
struct Asked<'a> {
    reader: &'a Reader,
    memory: &'a Memory,
    places: &'a [Place],
    metric: &'a str,
}

impl Asked<'_> {
    fn select(
        &self,
        (from, to): (i64, i64),
        step: Option<i64>,
        ends: bool,
    ) -> Result<Found, String> {
        let selection = Selection {
            matchers: vec![Matcher::is(NAME, self.metric)],
            from: WallTime::from_millis(from),
            to: WallTime::from_millis(to),
            step: step.map(|ms| Duration::from_millis(ms.unsigned_abs())),
            ends,
        };
        let found = self.reader.select(&selection).map_err(told)?;
        let count = found.len();
        let plain = |point: &Point| (point.at.millis(), point.value);
        let found: Found = found
            .into_iter()
            .map(|series| (series.labels, series.points.iter().map(plain).collect()))
            .collect();
        same("series of different labels", found.len(), count)?;
        for (labels, points) in &found {
            let rising = points.is_sorted_by(|a, b| a.0 < b.0);
            let inside = points.iter().all(|(at, _)| (from..=to).contains(at));
            if !rising || !inside || points.is_empty() {
                return Err(format!("{labels} is not in order, or empty, or not in range"));
            }
        }
        Ok(found)
    }

    fn series(&self) -> impl Iterator<Item = (&Labels, &Kept, Vec<Shown>)> {
        let of_metric = self.memory.series.iter().filter(|(l, _)| l.get(NAME) == self.metric);
        of_metric.map(|(labels, kept)| (labels, kept, self.memory.shown(kept, self.places)))
    }

    /// Every sample that has to be there is, and what is there has been sampled.
    fn all(&self, found: &Found) -> Outcome {
        let known: BTreeSet<&Labels> = self.series().map(|(labels, ..)| labels).collect();
        if let Some(strange) = found.keys().find(|labels| !known.contains(labels)) {
            return Err(format!("{strange} was never recorded"));
        }
        for (labels, kept, shown) in self.series() {
            let empty = vec![];
            let points = found.get(labels).unwrap_or(&empty);
            let judged =
                Judged { kept, shown: &shown, places: self.places, gone: self.memory.gone };
            let judged = judged.finest(points).and_then(|()| judged.covered(points));
            judged.map_err(|what| format!("{labels}, all: {what}"))?;
        }
        Ok(())
    }

    /// A part of time tells that part; steps shorter than a bucket take the last of each.
    fn part(&self, all: &Found, now: Stamp, dice: &mut Dice) -> Outcome {
        let now = now.wall.millis();
        let from = now - dice.between(0, 40 * 86_400_000);
        let to = from + dice.between(0, 3 * 86_400_000);
        let step = dice.permille(500).then(|| dice.between(1, 59_999));
        let part = self.select((from, to), step, false)?;
        for (labels, kept, _) in self.series() {
            let whole = all.get(labels).map(Vec::as_slice).unwrap_or_default();
            let mut wanted: Vec<(i64, f64)> =
                whole.iter().copied().filter(|(at, _)| (from..=to).contains(at)).collect();
            if let Some(step) = step {
                let of = |at: i64| (at - from - 1).div_euclid(step);
                wanted.reverse();
                wanted.dedup_by_key(|(at, _)| of(*at));
                wanted.reverse();
            }
            let got = part.get(labels).map(Vec::as_slice).unwrap_or_default();
            let agree = got.len() == wanted.len()
                && got.iter().zip(&wanted).all(|(got, wanted)| {
                    // A counter of buckets begins anew where the question begins.
                    got.0 == wanted.0 && (kept.counter || got.1.to_bits() == wanted.1.to_bits())
                });
            if !agree {
                let what = format!("{labels} from {from} to {to} by {step:?}");
                return Err(format!("{what}: {} instead of {}", some(got), some(&wanted)));
            }
        }
        Ok(())
    }

    /// Steps of minutes and more may take buckets: each point is one of them or a sample.
    fn coarse(&self, now: Stamp, dice: &mut Dice) -> Outcome {
        let now = now.wall.millis();
        let from = now - dice.between(0, 40 * 86_400_000);
        let to = now + TEN_MINUTES;
        let step = if dice.permille(500) { MINUTE } else { dice.between(TEN_MINUTES, 7_200_000) };
        let found = self.select((from, to), Some(step), false)?;
        for (labels, kept, shown) in self.series() {
            let Some(points) = found.get(labels) else { continue };
            let judged =
                Judged { kept, shown: &shown, places: self.places, gone: self.memory.gone };
            judged
                .possible(points)
                .map_err(|what| format!("{labels} from {from} by {step}: {what}"))?;
        }
        Ok(())
    }

    /// Where a series ends there is a mark, and only there.
    fn ends(&self, now: Stamp) -> Outcome {
        let from = now.wall.millis() - 86_400_000;
        let to = ALWAYS.1;
        let gone = self.memory.gone.raw;
        let recent = |shown: &Shown| shown.at >= from;
        if self
            .series()
            .any(|(_, _, all)| all.iter().filter(|s| recent(s)).any(|s| s.recorded < gone))
        {
            // Some of it may be buckets.
            return Ok(());
        }
        let found = self.select((from, to), None, true)?;
        let readings = self.memory.readings(self.places);
        for (labels, kept, shown) in self.series() {
            if kept.group == "thing" {
                continue;
            }
            let alive: Vec<i64> =
                shown.iter().filter(|s| s.visible && recent(s)).map(|s| s.at).collect();
            let marks = alive.iter().enumerate().filter_map(|(place, at)| {
                let next = readings.get(readings.partition_point(|reading| reading <= at))?;
                alive.get(place + 1).is_none_or(|alive| next < alive).then_some(*next)
            });
            let points = found.get(labels).map(Vec::as_slice).unwrap_or_default();
            let (stale, plain): (Vec<_>, Vec<_>) = points.iter().partition(|(_, v)| is_stale(*v));
            let what = |what: &str| format!("{labels}, {what} since {from}");
            same(&what("samples"), plain.iter().map(|(at, _)| *at).collect(), alive.clone())?;
            same(
                &what("ends"),
                stale.iter().map(|(at, _)| *at).collect(),
                marks.collect::<Vec<_>>(),
            )?;
        }
        Ok(())
    }
}

/// One series and what is told of it.
struct Judged<'a> {
    kept: &'a Kept,
    shown: &'a [Shown],
    places: &'a [Place],
    gone: Gone,
}

impl Judged<'_> {
    /// Every sample that is kept stands there as it was.
    fn finest(&self, points: &[(i64, f64)]) -> Outcome {
        self.possible(points)?;
        let there: BTreeMap<i64, f64> = points.iter().copied().collect();
        let corrected = self.is_corrected(points);
        for sample in self.shown.iter().filter(|s| s.visible && s.recorded >= self.gone.raw) {
            let Some(value) = there.get(&sample.at) else {
                return Err(format!("{} is missing among {}", told_of(sample), some(points)));
            };
            if !corrected && value.to_bits() != sample.value.to_bits() {
                return Err(format!("{value} instead of {}", told_of(sample)));
            }
        }
        Ok(())
    }

    /// Each point is a sample, or a bucket's.
    fn possible(&self, points: &[(i64, f64)]) -> Outcome {
        let samples: BTreeMap<i64, f64> =
            self.shown.iter().filter(|s| s.visible).map(|s| (s.at, s.value)).collect();
        let buckets = self.buckets();
        let corrected = self.is_corrected(points);
        for (at, value) in points {
            let sample = samples.get(at).copied();
            let mut of_buckets = buckets.get(at).into_iter().flatten();
            let is = |wanted: f64| corrected || wanted.to_bits() == value.to_bits();
            if !sample.is_some_and(is) && !of_buckets.any(|last| is(*last)) {
                let bucket = buckets.get(at);
                return Err(format!(
                    "({at}, {value}) is no sample ({sample:?}) and no bucket's last ({bucket:?})"
                ));
            }
        }
        if corrected { never_falls(points) } else { Ok(()) }
    }

    /// Whether what resets took away was added: a counter of which buckets are told.
    fn is_corrected(&self, points: &[(i64, f64)]) -> bool {
        let samples: BTreeMap<i64, f64> = self.shown.iter().map(|s| (s.at, s.value)).collect();
        let plain = |(at, value): &(i64, f64)| {
            samples.get(at).is_some_and(|sample| sample.to_bits() == value.to_bits())
        };
        self.kept.counter && !points.iter().all(plain)
    }

    /// The last values of all buckets that may be told, by the moments under which they are shown.
    fn buckets(&self) -> BTreeMap<i64, Vec<f64>> {
        let mut buckets: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
        for length in [MINUTE, TEN_MINUTES] {
            let regular = self.shown.iter().filter(|sample| sample.from != From::CloseUp);
            let mut last: BTreeMap<(usize, i64), &Shown> = BTreeMap::new();
            for sample in regular {
                last.insert((sample.era, end_of(sample.recorded, length)), sample);
            }
            for ((era, end), sample) in last {
                let place = &self.places[era];
                let shown = end + place.shift;
                let stops = place.ends().filter(|stop| (shown - length + 1..shown).contains(stop));
                for at in stops.chain([shown]) {
                    buckets.entry(at).or_default().push(sample.value);
                }
            }
        }
        buckets
    }

    /// Of what is too old to be kept as it was, there is a point in each bucket.
    fn covered(&self, points: &[(i64, f64)]) -> Outcome {
        let lengths = match self.kept.group {
            "process" => [(MINUTE, self.gone.minute), (MINUTE, self.gone.minute)],
            _ => [(MINUTE, self.gone.minute), (TEN_MINUTES, self.gone.ten_minutes)],
        };
        let regular = self.shown.iter().filter(|s| s.visible && s.from != From::CloseUp);
        // Where samples end and buckets begin, close-ups of one seal may outlive the whole readings
        // between them.
        let end_of_raw = self.gone.raw.saturating_sub(TEN_MINUTES);
        for sample in regular.filter(|sample| sample.recorded < end_of_raw) {
            let Some((length, _)) = lengths.iter().find(|(_, gone)| sample.recorded >= *gone)
            else {
                continue;
            };
            let place = &self.places[sample.era];
            let end = end_of(sample.recorded, *length) + place.shift;
            // What other boots tell instead may hide the bucket's end.
            let hidden =
                place.covers.iter().any(|(first, last)| *first <= end && sample.at <= *last);
            let from = points.partition_point(|(at, _)| *at <= end - length);
            let there = points.get(from).is_some_and(|(at, _)| *at <= end);
            if !there && !hidden {
                let near = &points[from.saturating_sub(3)..(from + 3).min(points.len())];
                let gone = self.gone;
                return Err(format!(
                    "nothing tells of {} up to {end}, near it {near:?}; {gone:?}",
                    told_of(sample)
                ));
            }
        }
        Ok(())
    }
}

/// A counter of buckets has what resets took away added.
fn never_falls(points: &[(i64, f64)]) -> Outcome {
    match points.windows(2).find(|pair| pair[1].1 < pair[0].1) {
        Some(pair) => Err(format!("a counter falls: {pair:?}")),
        None => Ok(()),
    }
}

fn end_of(ms: i64, length: i64) -> i64 {
    (ms - 1).div_euclid(length) * length + length
}

fn told_of(sample: &Shown) -> String {
    let Shown { at, recorded, era, from, value, .. } = sample;
    format!("{value} of {at} (recorded {recorded} in era {era}, {from:?})")
}

/// So many points, and the last few of them.
fn some(points: &[(i64, f64)]) -> String {
    format!("{} points up to {:?}", points.len(), &points[points.len().saturating_sub(4)..])
}
