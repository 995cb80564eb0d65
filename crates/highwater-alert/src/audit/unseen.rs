//! What is over before a scraper looks.

use std::time::Duration;

use highwater_core::series::{Point, Selection};
use highwater_core::time::Span;

use super::masked::{MOST, downs, meant_for};
use super::reached::Reached;
use super::said::{figure, moment};
use super::{Reason, Scene, Why};
use crate::backtest::{Course, Incident};

/// What happened is looked at from so long before on to see how often anybody scrapes.
const BEFORE: Duration = Duration::from_hours(1);

/// The restarts that are too short for a rule that asks whether something is up.
pub(super) fn unseen(course: &Course<'_>, scene: Scene<'_>, all: &[Reached]) -> Vec<Reason> {
    let asks = all.iter().any(|one| one.is_of_life() && !one.is_met);
    let downs = downs(scene).filter(|_| asks);
    downs.filter_map(|incident| missed(incident, course, scene)).take(MOST).collect()
}

fn missed(incident: &Incident, course: &Course<'_>, scene: Scene<'_>) -> Option<Reason> {
    let lengths: Vec<Duration> = incident.moments.iter().filter_map(|moment| moment.down).collect();
    let (shortest, longest) = (*lengths.iter().min()?, *lengths.iter().max()?);
    let interval = scraped(incident, course, scene)?;
    if shortest >= interval && longest >= course.hold() {
        return None;
    }
    let seen = |down: &Duration| (down.as_secs_f64() / interval.as_secs_f64()).min(1.0);
    let one = 1.0 - lengths.iter().map(|down| 1.0 - seen(down)).product::<f64>();
    let text = format!(
        "looked at every {}, a downtime of {} is seen with a chance of {}, at least one of {} with {}{}",
        Span(interval),
        between(shortest, longest),
        chances(seen(&shortest), seen(&longest)),
        lengths.len(),
        percent(one),
        in_a_row(course.hold(), interval, longest),
    );
    let times = incident.moments.iter().filter_map(|moment| Some((moment.at, moment.down?)));
    let shown =
        times.map(|(at, down)| format!("down for {} at most from {} on", Span(down), moment(at)));
    Some(scene.reason(Why::Unseen, text, shown.collect()))
}

/// How often what a rule asks for was read at that time: the median.
fn scraped(incident: &Incident, course: &Course<'_>, scene: Scene<'_>) -> Option<Duration> {
    let asked = meant_for(course, incident).into_iter();
    let intervals = asked.filter_map(|asked| {
        let selection = Selection {
            matchers: asked.matchers,
            from: incident.first()?.before(BEFORE),
            to: incident.last()?,
            step: None,
            ends: false,
        };
        let series = scene.history.select(&selection).ok()?;
        series.iter().filter_map(|one| usual(&one.points)).max()
    });
    intervals.max()
}

fn usual(points: &[Point]) -> Option<Duration> {
    let gaps = points.windows(2).filter_map(|pair| match pair {
        [before, after] => Some(after.at.since(before.at)),
        _ => None,
    });
    let mut gaps: Vec<Duration> = gaps.collect();
    gaps.sort_unstable();
    gaps.get(gaps.len() / 2).copied()
}

/// That a `for` needs several looks in a row, where so short a downtime cannot give them.
fn in_a_row(hold: Duration, interval: Duration, longest: Duration) -> String {
    if hold.is_zero() || longest >= hold {
        return String::new();
    }
    let needed = hold.as_millis().div_ceil(interval.as_millis().max(1)).saturating_add(1);
    format!(
        "; and for {} asks for {needed} looks in a row that find it down, which {} never gives",
        Span(hold),
        Span(longest)
    )
}

fn between(low: Duration, high: Duration) -> String {
    if low == high { Span(low).to_string() } else { format!("{} to {}", Span(low), Span(high)) }
}

fn chances(low: f64, high: f64) -> String {
    let [low, high] = [percent(low), percent(high)];
    if low == high { low } else { format!("{} to {high}", low.trim_end_matches(" %")) }
}

fn percent(chance: f64) -> String {
    format!("{} %", figure((chance * 100.0).round()))
}
