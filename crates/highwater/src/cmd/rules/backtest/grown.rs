//! What the recorder would have recorded of growth, where it did not record: each hour is judged as of
//! that hour, from what was there until then.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use highwater_agent::growth::numbers;
use highwater_alert::RuleFile;
use highwater_alert::backtest::{Incident, Moment, Period, Sort};
use highwater_core::growth::Verdict;
use highwater_core::series::{Labels, NAME, Point, STALE, Series, SeriesSource};
use highwater_core::time::{Span, WallTime};
use highwater_diagnose::finding::{finding, grows, sentence};
use highwater_diagnose::growth::{Item, Options, survey};

use crate::cmd::store::bar::Bar;

/// How often it is judged: the agent does so every ten minutes, and what takes days needs no more than
/// this.
const EVERY: Duration = Duration::from_hours(1);

/// So many courses are judged in all: a look at a thousand takes a second.
const MOST_COURSES: usize = 10_000;

/// And so many looks there are.
const LOOKS: RangeInclusive<usize> = 8..=240;

/// A finding stands until the next look; its samples are so far apart that none is ever too old.
const APART: Duration = Duration::from_mins(4);

/// Before this much is on record nothing can be judged.
const LEAST: Duration = Duration::from_hours(1);

/// What was found.
#[derive(Default)]
pub(super) struct Grown {
    /// As the recorder records it.
    pub(super) series: Vec<Series>,
    /// What leaked.
    pub(super) incidents: Vec<Incident>,
    /// How often it was judged, where that is seldom.
    pub(super) note: Option<String>,
}

/// Whether a rule asks for what the recorder records of growth.
pub(super) fn is_asked(file: &RuleFile) -> bool {
    let rules = file.groups.iter().flat_map(|group| &group.rules);
    let mut metrics = rules.flat_map(|rule| rule.query.metrics());
    metrics.any(|name| name.starts_with("highwater_growth") || name == "highwater_seconds_to_limit")
}

/// How often a history is judged: the more courses it has, the less often.
fn every(source: &dyn SeriesSource, period: Period) -> anyhow::Result<Duration> {
    let courses = survey(source, period.to, Options::default())?.items.len();
    let looks = (MOST_COURSES / courses.max(1)).clamp(*LOOKS.start(), *LOOKS.end());
    let looks = u32::try_from(looks).unwrap_or(u32::MAX);
    Ok(EVERY.max(period.to.since(period.from) / looks))
}

/// Judges a history as it went on.
pub(super) fn grown(
    source: &dyn SeriesSource,
    period: Period,
    bar: &mut Bar,
) -> anyhow::Result<Grown> {
    let every = every(source, period)?;
    let mut at = period.from.after(LEAST);
    let mut series: BTreeMap<Labels, Vec<Point>> = BTreeMap::new();
    let mut leaks: BTreeMap<(String, String), Leak> = BTreeMap::new();
    let seconds = |from: WallTime, to: WallTime| to.since(from).as_secs();
    while at <= period.to {
        bar.at("judging growth", seconds(period.from, at), seconds(period.from, period.to));
        for item in survey(source, at, Options::default())?.items {
            take(&item, (at, every), &mut series);
            if item.verdict == Verdict::Leak {
                let key = (owner(&item), item.resource.name().to_owned());
                leaks.entry(key).or_default().take(&item, at);
            }
        }
        at = at.after(every);
    }
    let series = series.into_iter().map(|(labels, points)| Series { labels, points });
    let incidents = leaks.into_iter().filter_map(|((owner, _), leak)| leak.incident(owner));
    let note = (every > EVERY)
        .then(|| format!("growth was judged every {}, as there is so much", Span(every)));
    Ok(Grown { series: series.collect(), incidents: incidents.collect(), note })
}

/// Adds the samples of one finding until the next look, and then its end, which the next look takes
/// the place of if it finds the same.
fn take(item: &Item, (at, every): (WallTime, Duration), series: &mut BTreeMap<Labels, Vec<Point>>) {
    let Some(found) = finding(item).filter(grows) else { return };
    for thing in numbers(&found) {
        let mut labels = thing.labels;
        labels.set(NAME, thing.metric.name);
        labels.set("instance", item.whose.host.clone().unwrap_or_default());
        let points = series.entry(labels).or_default();
        points.pop_if(|last| last.at >= at);
        let mut moment = at;
        let end = at.after(every);
        while moment < end {
            points.push(Point { at: moment, value: thing.value });
            moment = moment.after(APART);
        }
        points.push(Point { at: end, value: STALE });
    }
}

fn owner(item: &Item) -> String {
    match &item.whose.host {
        Some(host) => format!("{} on {host}", item.whose.name),
        None => item.whose.name.clone(),
    }
}

/// A leak as it was judged again and again.
#[derive(Default)]
struct Leak {
    looks: usize,
    first: WallTime,
    labels: Labels,
    said: String,
    end: Option<WallTime>,
}

impl Leak {
    fn take(&mut self, item: &Item, at: WallTime) {
        if self.looks == 0 {
            self.first = at;
        }
        self.looks += 1;
        let whose = &item.whose;
        let label = if whose.kind == "container" { "name" } else { "id" };
        let host = whose.host.clone().unwrap_or_default();
        self.labels = Labels::new([(label, whose.name.clone()), ("instance", host)]);
        self.said = finding(item).map(|found| sentence(&found)).unwrap_or_default();
        self.end = item.left.map(|left| at.after(left.likely));
    }

    /// What is seen once may be a mistake.
    fn incident(self, owner: String) -> Option<Incident> {
        let at = self.end.filter(|_| self.looks > 1)?;
        let note = format!("{}; highwater leaks says so from {} on", self.said, self.first);
        let moments = vec![Moment { at, down: None }];
        Some(Incident { sort: Sort::Growth, owner, labels: self.labels, moments, note })
    }
}
