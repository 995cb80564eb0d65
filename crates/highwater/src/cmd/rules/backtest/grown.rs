//! What the recorder would have recorded of growth, where it did not record: each hour is judged as of
//! that hour, from what was there until then.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use highwater_agent::growth::numbers;
use highwater_alert::RuleFile;
use highwater_alert::backtest::{Incident, Moment, Period, Sort};
use highwater_core::growth::Verdict;
use highwater_core::series::{Labels, NAME, Point, STALE, Series, SeriesSource, SourceError};
use highwater_core::thing::Thing;
use highwater_core::time::{Span, WallTime};
use highwater_diagnose::finding::{finding, grows, sentence};
use highwater_diagnose::growth::{Item, Options, survey};

use super::hands::Hands;
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
    hands: &mut Hands<'_>,
    source: &dyn SeriesSource,
    period: Period,
    bar: &mut Bar,
) -> anyhow::Result<Grown> {
    let every = every(source, period)?;
    let looks = std::iter::successors(Some(period.from.after(LEAST)), |at| Some(at.after(every)));
    let looks: Vec<WallTime> = looks.take_while(|at| *at <= period.to).collect();
    let all = u64::try_from(looks.len()).unwrap_or(u64::MAX);
    let look = |source: &dyn SeriesSource, at: WallTime| {
        let items = survey(source, at, Options::default()).map(|surveyed| surveyed.items);
        (at, items.map(|items| items.iter().map(|item| seen(item, at)).collect()))
    };
    let told = &mut |done| bar.at("judging growth", done, all);
    let looked: Vec<(WallTime, Result<Vec<Seen>, SourceError>)> = hands.each(looks, &look, told);
    let mut series: BTreeMap<Labels, Vec<Point>> = BTreeMap::new();
    let mut leaks: BTreeMap<(String, &str), Leak> = BTreeMap::new();
    for (at, all) in looked {
        for Seen { numbers, accused } in all? {
            take(numbers, (at, every), &mut series);
            if let Some(Accused { whose, resource, leak }) = accused {
                leaks.entry((whose, resource)).or_default().take(leak);
            }
        }
    }
    let series = series.into_iter().map(|(labels, points)| Series { labels, points });
    let incidents = leaks.into_iter().filter_map(|((owner, _), leak)| leak.incident(owner));
    let note = (every > EVERY)
        .then(|| format!("growth was judged every {}, as there is so much", Span(every)));
    Ok(Grown { series: series.collect(), incidents: incidents.collect(), note })
}

/// What is seen of one thing at one look.
struct Seen {
    /// As it is recorded.
    numbers: Vec<(Labels, f64)>,
    accused: Option<Accused>,
}

/// That something is called a leak.
struct Accused {
    whose: String,
    resource: &'static str,
    leak: Leak,
}

fn seen(item: &Item, at: WallTime) -> Seen {
    let found = finding(item);
    let host = item.whose.host.clone().unwrap_or_default();
    let named = |thing: Thing| {
        let mut labels = thing.labels;
        labels.set(NAME, thing.metric.name);
        labels.set("instance", host.as_str());
        (labels, thing.value)
    };
    let growing = found.iter().filter(|found| grows(found)).flat_map(numbers);
    let numbers = growing.map(named).collect();
    let accused = (item.verdict == Verdict::Leak).then(|| Accused {
        whose: owner(item),
        resource: item.resource.name(),
        leak: Leak::seen(item, at, found.as_ref().map(sentence).unwrap_or_default()),
    });
    Seen { numbers, accused }
}

/// Adds the samples of one finding until the next look, and then its end, which the next look takes
/// the place of if it finds the same.
fn take(
    numbers: Vec<(Labels, f64)>,
    (at, every): (WallTime, Duration),
    series: &mut BTreeMap<Labels, Vec<Point>>,
) {
    for (labels, value) in numbers {
        let points = series.entry(labels).or_default();
        points.pop_if(|last| last.at >= at);
        let end = at.after(every);
        let moments = std::iter::successors(Some(at), |moment| Some(moment.after(APART)));
        points.extend(moments.take_while(|at| *at < end).map(|at| Point { at, value }));
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
    fn seen(item: &Item, at: WallTime, said: String) -> Self {
        let whose = &item.whose;
        let label = if whose.kind == "container" { "name" } else { "id" };
        let host = whose.host.clone().unwrap_or_default();
        let labels = Labels::new([(label, whose.name.clone()), ("instance", host)]);
        let end = item.left.map(|left| at.after(left.likely));
        Self { looks: 1, first: at, labels, said, end }
    }

    /// The same at the next look.
    fn take(&mut self, next: Self) {
        let first = if self.looks == 0 { next.first } else { self.first };
        *self = Self { looks: self.looks + next.looks, first, ..next };
    }

    /// What is seen once may be a mistake.
    fn incident(self, owner: String) -> Option<Incident> {
        let at = self.end.filter(|_| self.looks > 1)?;
        let note = format!("{}; highwater leaks says so from {} on", self.said, self.first);
        let moments = vec![Moment { at, down: None }];
        Some(Incident { sort: Sort::Growth, owner, labels: self.labels, moments, note })
    }
}
