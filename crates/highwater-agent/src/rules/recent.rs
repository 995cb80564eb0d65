//! The newest samples of the metrics that rules ask for, held from round to round.
//!
//! ```text
//!   store ──what is new──► held: of each series the samples of a few minutes ──► rule, rule, rule, …
//!     └──────────────────── long ranges, the past, what has no name ──────────► rule
//! ```
//!
//! Rules look at the same few minutes again and again. A reading of those for each of them would cost
//! ten times as much as the rules themselves: so each round reads what is new since the last one, of
//! all metrics at once. What is asked for besides is read from the store, each time anew.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use highwater_core::series::{
    Labels, Looks, Matcher, NAME, Pattern, Point, Selection, Series, SeriesSource, SourceError,
    Want, is_stale,
};
use highwater_core::time::WallTime;

/// A series is looked for this far back, as PromQL does.
const LOOKBACK: Duration = Duration::from_mins(5);

/// Longer ranges are not held: of five seconds' readings this is 120 samples a series.
const MOST_RANGE: Duration = Duration::from_mins(10);

/// The most samples held: 5 MB. What does not fit is read from the store.
const MOST_POINTS: usize = 300_000;

/// So long after it was taken a reading may still be on its way into the store.
const LATE: Duration = Duration::from_secs(2);

/// A metric whose newest sample is older than this is read as rarely as a survey comes round.
const SLOW: Duration = Duration::from_secs(20);

/// What rules ask: what is held, and the store for everything else.
pub(super) struct Asked<'a> {
    pub(super) recent: &'a Recent,
    pub(super) store: &'a dyn SeriesSource,
}

impl SeriesSource for Asked<'_> {
    fn select(&self, selection: &Selection) -> Result<Vec<Series>, SourceError> {
        self.store.select(selection)
    }

    fn select_looks(
        &self,
        selection: &Selection,
        looks: &Looks,
    ) -> Result<Vec<Series>, SourceError> {
        match self.recent.answer(selection, looks) {
            Some(series) => Ok(series),
            None => self.store.select_looks(selection, looks),
        }
    }

    fn name(&self) -> &str {
        self.store.name()
    }
}

/// What is held of each metric.
#[derive(Debug, Default)]
pub(super) struct Recent {
    metrics: RefCell<BTreeMap<String, Held>>,
    /// Up to when.
    until: Cell<Option<WallTime>>,
}

/// What is held of one metric.
#[derive(Debug, Default)]
struct Held {
    /// So far back rules look at every sample; `None`: at the newest alone.
    range: Option<Duration>,
    /// So far back they will from the next round on.
    wanted: Option<Duration>,
    /// From when on it is complete; `None`: nothing was read yet.
    since: Option<WallTime>,
    /// In the order of labels.
    series: Vec<Series>,
}

impl Recent {
    /// Holds these metrics, and none but these.
    pub(super) fn want<'a>(&mut self, names: impl Iterator<Item = &'a str>) {
        let names: BTreeSet<&str> = names.collect();
        let metrics = self.metrics.get_mut();
        metrics.retain(|name, _| names.contains(name.as_str()));
        for name in names {
            metrics.entry(name.to_owned()).or_default();
        }
    }

    /// Forgets what was read: another file has taken the place of the one that it came from.
    pub(super) fn forget(&mut self) {
        self.metrics.get_mut().values_mut().for_each(|held| {
            (held.since, held.series) = (None, vec![]);
        });
        self.until.set(None);
    }

    /// Reads what is new up to `now`.
    pub(super) fn refresh(
        &mut self,
        source: &dyn SeriesSource,
        now: WallTime,
    ) -> Result<(), SourceError> {
        if self.until.get().is_some_and(|until| now < until) {
            // The clock was set back.
            self.forget();
        }
        let seen = self.until.get().map_or(now, |until| until.before(LATE));
        let mut plans: BTreeMap<WallTime, Vec<String>> = BTreeMap::new();
        for (name, held) in self.metrics.get_mut() {
            held.widen();
            plans.entry(held.from(now, seen)).or_default().push(name.clone());
        }
        for (from, names) in coarse(plans, now) {
            self.read(source, &names, (from, now))?;
        }
        self.until.set(Some(now));
        self.bound();
        Ok(())
    }

    fn read(
        &mut self,
        source: &dyn SeriesSource,
        names: &[String],
        (from, to): (WallTime, WallTime),
    ) -> Result<(), SourceError> {
        let Some(wanted) = named(names) else { return Ok(()) };
        let selection = Selection { matchers: vec![wanted], from, to, step: None, ends: true };
        let mut fresh: HashMap<String, Vec<Series>> = HashMap::new();
        for series in source.select(&selection)? {
            fresh.entry(series.labels.get(NAME).to_owned()).or_default().push(series);
        }
        let metrics = self.metrics.get_mut();
        for name in names {
            if let Some(held) = metrics.get_mut(name) {
                held.since.get_or_insert(from);
                held.add(fresh.remove(name).unwrap_or_default());
                held.drop_before(to);
            }
        }
        Ok(())
    }

    /// Where too much is held, the ranges of the largest metrics go: they are read from the store.
    fn bound(&mut self) {
        let metrics = self.metrics.get_mut();
        let mut all: usize = metrics.values().map(Held::points).sum();
        while all > MOST_POINTS {
            let Some(largest) = metrics.values_mut().max_by_key(|held| held.points()) else {
                return;
            };
            all = all.saturating_sub(largest.points());
            *largest = Held::default();
        }
    }

    /// The series that match, if all that is looked at is held.
    fn answer(&self, selection: &Selection, looks: &Looks) -> Option<Vec<Series>> {
        let until = self.until.get()?;
        let name = selection.matchers.iter().find_map(|matcher| match &matcher.want {
            Want::Is(name) if matcher.name == NAME => Some(name),
            _ => None,
        })?;
        let mut metrics = self.metrics.borrow_mut();
        let held = metrics.get_mut(name)?;
        // Of a single moment this is all that is looked at; it has its end but not its beginning.
        let is_present = looks.step == Duration::MAX && selection.to >= until;
        if !is_present || looks.range > MOST_RANGE {
            return None;
        }
        if !looks.newest && held.range.is_none_or(|range| range < looks.range) {
            held.wanted = held.wanted.max(Some(looks.range));
            return None;
        }
        (held.since? <= selection.from || looks.newest)
            .then(|| held.within(selection, looks.newest))
    }
}

impl Held {
    /// Where more is looked at than is held, all of it is read anew.
    fn widen(&mut self) {
        if self.wanted > self.range {
            *self = Self { range: self.wanted, wanted: self.wanted, ..Self::default() };
        }
    }

    /// From when on it is to be read; nothing that was there before `seen` is new.
    fn from(&self, now: WallTime, seen: WallTime) -> WallTime {
        let reach = self.range.unwrap_or_default().max(LOOKBACK);
        let earliest = now.before(reach);
        if self.since.is_none() {
            return earliest;
        }
        // With the newest sample of each that goes on, so that its end is seen.
        let newest = self.series.iter().filter_map(|series| series.points.last());
        let live = newest.filter(|last| !is_stale(last.value)).map(|last| last.at);
        live.min().unwrap_or(seen).min(seen).max(now.before(LOOKBACK))
    }

    fn points(&self) -> usize {
        self.series.iter().map(|series| series.points.len()).sum()
    }

    /// Adds what is newer; both are in the order of labels.
    fn add(&mut self, fresh: Vec<Series>) {
        let mut old = std::mem::take(&mut self.series).into_iter().peekable();
        for mut new in fresh {
            while let Some(before) = old.next_if(|before| before.labels < new.labels) {
                self.series.push(before);
            }
            match old.next_if(|same| same.labels == new.labels) {
                Some(mut same) => {
                    let last = same.points.last().map(|point| point.at);
                    same.points.extend(new.points.drain(..).filter(|point| Some(point.at) > last));
                    self.series.push(same);
                }
                None => self.series.push(new),
            }
        }
        self.series.extend(old);
    }

    /// Drops what nobody will look at any more.
    fn drop_before(&mut self, now: WallTime) {
        let earliest = now.before(self.range.unwrap_or_default().max(LOOKBACK));
        let is_newest_enough = self.range.is_none();
        self.series.retain_mut(|series| {
            let points = &mut series.points;
            let spent = if is_newest_enough { points.len().saturating_sub(1) } else { 0 };
            let old = points.iter().take_while(|point| point.at <= earliest).count();
            points.drain(..spent.max(old));
            points.first().is_some_and(|first| points.len() > 1 || !is_stale(first.value))
        });
        if let Some(since) = &mut self.since {
            *since = (*since).max(earliest);
        }
    }

    /// What of it is asked for.
    fn within(&self, selection: &Selection, newest: bool) -> Vec<Series> {
        let conditions: Vec<&Matcher> =
            selection.matchers.iter().filter(|matcher| matcher.name != NAME).collect();
        let accepted = |labels: &Labels| conditions.iter().all(|one| one.accepts(labels));
        let inside = |point: &&Point| point.at >= selection.from && point.at <= selection.to;
        let mut found = vec![];
        for series in self.series.iter().filter(|series| accepted(&series.labels)) {
            let points: Vec<Point> = if newest {
                series.points.iter().rev().find(inside).copied().into_iter().collect()
            } else {
                series.points.iter().filter(inside).copied().collect()
            };
            if !points.is_empty() {
                found.push(Series { labels: series.labels.clone(), points });
            }
        }
        found
    }
}

/// Those that are to be read from nearly the same moment on are read at once.
fn coarse(plans: BTreeMap<WallTime, Vec<String>>, now: WallTime) -> Vec<(WallTime, Vec<String>)> {
    let mut joined: [Option<(WallTime, Vec<String>)>; 3] = [None, None, None];
    for (from, names) in plans {
        let age = now.since(from);
        let [fast, slower, whole] = &mut joined;
        let slot = match age {
            age if age <= SLOW => fast,
            age if age < LOOKBACK => slower,
            _ => whole,
        };
        // They come in the order of time: the first is the earliest.
        slot.get_or_insert((from, vec![])).1.extend(names);
    }
    joined.into_iter().flatten().collect()
}

/// The condition that a metric is one of these.
fn named(names: &[String]) -> Option<Matcher> {
    let alternatives: Vec<String> = names.iter().map(|name| name.replace('.', "[.]")).collect();
    let pattern = Pattern::new(&alternatives.join("|")).ok()?;
    Some(Matcher { name: NAME.to_owned(), want: Want::Matches(pattern) })
}

#[cfg(test)]
mod tests {
    use highwater_core::series::STALE;

    use super::*;

    /// A store of made series, which counts how often it is asked.
    struct Made {
        series: Vec<Series>,
        asked: Cell<usize>,
    }

    impl SeriesSource for Made {
        fn select(&self, selection: &Selection) -> Result<Vec<Series>, SourceError> {
            self.asked.set(self.asked.get() + 1);
            let mut found = vec![];
            for series in &self.series {
                let all = selection.matchers.iter().all(|one| one.accepts(&series.labels));
                let inside = |at: WallTime| at >= selection.from && at <= selection.to;
                let points = series.points.iter().filter(|point| all && inside(point.at));
                let points: Vec<Point> = points.copied().collect();
                if !points.is_empty() {
                    found.push(Series { labels: series.labels.clone(), points });
                }
            }
            Ok(found)
        }

        fn name(&self) -> &'static str {
            "made"
        }
    }

    fn at(seconds: i64) -> WallTime {
        WallTime::from_millis(1_000_000_000_000 + seconds * 1000)
    }

    /// One goes on; one ends after 400 s.
    fn made() -> Made {
        let point = |s: i64, value: f64| Point { at: at(s), value };
        let goes_on = (0..2000).step_by(5).map(|s| point(s, f64::from(i32::try_from(s).unwrap())));
        let mut ends: Vec<Point> = (0..400).step_by(5).map(|s| point(s, 1.0)).collect();
        ends.push(point(400, STALE));
        let labels = |id: &str| Labels::new([(NAME, "used"), ("id", id)]);
        let series = vec![
            Series { labels: labels("/ends"), points: ends },
            Series { labels: labels("/goes-on"), points: goes_on.collect() },
        ];
        Made { series, asked: Cell::new(0) }
    }

    fn value(recent: &Recent, store: &Made, expr: &str, seconds: i64) -> String {
        let query = highwater_promql::parse(expr).unwrap();
        let asked = Asked { recent, store };
        let options = highwater_promql::Options::default();
        let answer = highwater_promql::instant(&query, &asked, at(seconds), &options).unwrap();
        format!("{:?}", answer.value)
    }

    #[test]
    fn what_is_held_answers_as_the_store_does() {
        let (store, mut recent) = (made(), Recent::default());
        recent.want(["used"].into_iter());
        let exprs = [
            "used",
            "used{id=~\".*on\"}",
            "sum_over_time(used[2m])",
            "count_over_time(used[10m])",
            "used offset 1m",
            "avg_over_time(used[30m])",
            "max_over_time(used[4m:30s])",
        ];
        for seconds in (300..1500).step_by(15) {
            recent.refresh(&store, at(seconds)).unwrap();
            for expr in exprs {
                let held = value(&recent, &store, expr, seconds);
                let plain = value(&Recent::default(), &store, expr, seconds);
                assert_eq!(held, plain, "{expr} at {seconds}");
            }
        }
    }

    #[test]
    fn the_store_is_asked_once_a_round_for_all_rules() {
        let (store, mut recent) = (made(), Recent::default());
        recent.want(["used", "other"].into_iter());
        for seconds in [600, 615, 630] {
            recent.refresh(&store, at(seconds)).unwrap();
            for _ in 0..50 {
                value(&recent, &store, "used", seconds);
                value(&recent, &store, "rate(used[5m])", seconds);
            }
        }
        // Each refresh reads what is new; a range is read by itself until it is held.
        assert!(store.asked.get() < 60, "{}", store.asked.get());
        let before = store.asked.get();
        value(&recent, &store, "rate(used[5m]) + used", 630);
        assert_eq!(store.asked.get(), before);
    }

    #[test]
    fn a_clock_that_is_set_back_begins_anew() {
        let (store, mut recent) = (made(), Recent::default());
        recent.want(["used"].into_iter());
        recent.refresh(&store, at(900)).unwrap();
        recent.refresh(&store, at(300)).unwrap();
        assert_eq!(
            value(&recent, &store, "used", 300),
            value(&Recent::default(), &store, "used", 300)
        );
    }
}
