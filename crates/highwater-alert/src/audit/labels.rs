//! Series that are not there, and sides that never match.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use highwater_core::series::{Labels, Matcher, NAME, Selection, Series, Want};
use highwater_core::time::WallTime;
use highwater_promql::{Asked, Join, Query};

use super::said::moment;
use super::{Reason, Scene, Why};
use crate::backtest::{Course, Period, during};

/// So many values of a label are told.
const MOST_VALUES: usize = 4;

/// The selectors that give nothing at any time.
pub(super) fn absent(course: &Course<'_>, scene: Scene<'_>) -> Vec<Reason> {
    let mut told = BTreeSet::new();
    let asked = course.rule.query.asked().into_iter();
    let asked = asked.filter(|asked| told.insert(asked.text.clone()));
    let asked = asked.filter(|asked| found(&asked.matchers, asked, scene).is_empty());
    asked.map(|asked| nothing(&asked, scene)).collect()
}

/// What is there is mostly there in the last hour as well.
const LAST: Duration = Duration::from_hours(1);

/// The whole time is looked through in so many steps.
const STEPS: u32 = 50;

/// The series that match in the last hour, or else at any time.
fn found(matchers: &[Matcher], asked: &Asked, scene: Scene<'_>) -> Vec<Series> {
    let period = scene.period;
    let first = period.from.before(asked.reach.unwrap_or_default());
    let select = |from: WallTime| {
        let step = Some(period.to.since(from) / STEPS);
        let matchers = matchers.to_vec();
        let selection = Selection { matchers, from, to: period.to, step, ends: false };
        scene.history.select(&selection).unwrap_or_default()
    };
    let last = select(period.to.before(LAST).max(first));
    if last.is_empty() { select(first) } else { last }
}

fn nothing(asked: &Asked, scene: Scene<'_>) -> Reason {
    let period = scene.period;
    let shown = format!(
        "no sample of {} from {} to {}",
        asked.text,
        moment(period.from),
        moment(period.to)
    );
    let text = format!("no series is {}{}", asked.text, instead(asked, scene));
    scene.reason(Why::NoSeries, text, vec![shown])
}

/// What there is in its place: the values that a label has, or another name.
fn instead(asked: &Asked, scene: Scene<'_>) -> String {
    let is_name = |matcher: &&Matcher| matcher.name == NAME;
    for (at, matcher) in asked.matchers.iter().enumerate() {
        let others = asked.matchers.iter().enumerate().filter(|(other, _)| *other != at);
        let others: Vec<Matcher> = others.map(|(_, matcher)| matcher.clone()).collect();
        if matcher.name == NAME || !others.iter().any(|matcher| matcher.name == NAME) {
            continue;
        }
        let series = found(&others, asked, scene);
        if !series.is_empty() {
            return format!(": its {} is {}", matcher.name, values(&series, &matcher.name));
        }
    }
    let Some(Want::Is(name)) = asked.matchers.iter().find(is_name).map(|matcher| &matcher.want)
    else {
        return String::new();
    };
    match (scene.meant)(name) {
        Some(meant) => format!("; did you mean {meant}?"),
        None => String::new(),
    }
}

/// The values that a label has.
fn values(series: &[Series], label: &str) -> String {
    let all: BTreeSet<&str> = series.iter().map(|one| one.labels.get(label)).collect();
    listed(&all)
}

fn listed(all: &BTreeSet<&str>) -> String {
    let quoted = |value: &&str| match *value {
        "" => "not there".to_owned(),
        value => highwater_core::text::quoted(value.as_bytes()),
    };
    let mut text: Vec<String> = all.iter().take(MOST_VALUES).map(quoted).collect();
    if all.len() > MOST_VALUES {
        text.push(format!("{} others", all.len() - MOST_VALUES));
    }
    text.join(", ")
}

/// The operators whose sides both have series, of which no two belong together.
pub(super) fn differ(course: &Course<'_>, scene: Scene<'_>) -> Option<Reason> {
    course.rule.query.joins().iter().find_map(|join| never(join, course, scene))
}

fn never(join: &Join, course: &Course<'_>, scene: Scene<'_>) -> Option<Reason> {
    let matters = |name: &str| join.on == join.labels.iter().any(|label| label == name);
    let keys = |side: &BTreeSet<Labels>| -> BTreeSet<Labels> {
        let of = |labels: &Labels| {
            Labels::new(labels.iter().filter(|(name, _)| *name != NAME && matters(name)))
        };
        side.iter().map(of).collect()
    };
    let (mut left, mut right) = (BTreeSet::new(), BTreeSet::new());
    let (mut left_keys, mut right_keys) = (BTreeSet::new(), BTreeSet::new());
    for part in scene.period.parts(course.step) {
        let part = (part, course.step);
        left.extend(labels(&join.left, scene, part)?);
        right.extend(labels(&join.right, scene, part)?);
        (left_keys, right_keys) = (keys(&left), keys(&right));
        // One that matches is enough, and mostly there is one at once.
        if left_keys.intersection(&right_keys).next().is_some() {
            return None;
        }
    }
    if left.is_empty() || right.is_empty() {
        return None;
    }
    let text = format!(
        "labels of {} and {} never match: {}",
        join.left,
        join.right,
        difference(&left_keys, &right_keys)
    );
    let example = |side: &BTreeSet<Labels>| side.first().map(ToString::to_string);
    let shown = [example(&left), example(&right)].into_iter().flatten().collect();
    Some(scene.reason(Why::LabelsDiffer, text, shown))
}

/// The labels that a side has during a part of the time; nothing if it cannot be evaluated.
fn labels(side: &Query, scene: Scene<'_>, part: (Period, Duration)) -> Option<BTreeSet<Labels>> {
    let series = during(side, scene.history, part).ok()?;
    Some(series.into_iter().map(|one| one.labels).collect())
}

/// Which labels keep two sides apart: those that only one has, those without a value in common, or
/// else all of them together.
fn difference(left: &BTreeSet<Labels>, right: &BTreeSet<Labels>) -> String {
    let [lefts, rights] = [left, right].map(by_name);
    let names: BTreeSet<&str> = lefts.keys().chain(rights.keys()).copied().collect();
    let none = BTreeSet::from([""]);
    let mut told = Vec::new();
    for name in names {
        let [one, other] = [&lefts, &rights].map(|side| side.get(name).unwrap_or(&none));
        if one.intersection(other).next().is_none() {
            told.push(format!("{name} is {} left and {} right", listed(one), listed(other)));
        }
    }
    if told.is_empty() { "no two have all of them alike".to_owned() } else { told.join("; ") }
}

fn by_name(side: &BTreeSet<Labels>) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut all: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, value) in side.iter().flat_map(Labels::iter) {
        all.entry(name).or_default().insert(value);
    }
    all
}
