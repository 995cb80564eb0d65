//! A change over a span that is too short for what goes on.

use std::time::Duration;

use highwater_core::series::{Labels, Point};
use highwater_core::time::Span;
use highwater_promql::{Condition, Trend};

use super::said::{figure, moment, of, value};
use super::{Reason, Scene, Why};
use crate::backtest::{Course, Period, over};

/// What goes on is looked at in so many steps.
const STEPS: u32 = 500;

/// A course is long enough to tell how it goes on if it is so many spans long.
const LEAST_SPANS: u32 = 6;

const DAY: Duration = Duration::from_hours(24);

/// The conditions on a change whose bound is far beyond what goes on all the time.
pub(super) fn short(course: &Course<'_>, scene: Scene<'_>) -> Vec<Reason> {
    let all = course.rule.query.conditions();
    let trends = all.iter().filter_map(|condition| Some((condition, condition.left.trend()?)));
    trends.filter_map(|(condition, trend)| beyond(condition, &trend, scene)).collect()
}

/// A series, and how it changes in a second.
struct Slope {
    labels: Labels,
    per_second: f64,
    first: Point,
    last: Point,
}

fn beyond(condition: &Condition, trend: &Trend, scene: Scene<'_>) -> Option<Reason> {
    let bound = condition.bound?;
    let slope = steepest(trend, scene, bound)?;
    let change = slope.per_second * trend.span.as_secs_f64();
    if condition.op.holds(change, bound) || change * bound <= 0.0 {
        return None;
    }
    let said = |amount: f64| value(amount.abs(), &condition.left);
    let a_day = bound / trend.span.as_secs_f64() * DAY.as_secs_f64();
    let text = format!(
        "{} is too short for what goes on: {} {} by {} a day, which is {} in {}; the bound of {} is \
         {} a day",
        Span(trend.span),
        trend.of,
        if slope.per_second < 0.0 { "falls" } else { "rises" },
        said(slope.per_second * DAY.as_secs_f64()),
        said(change),
        Span(trend.span),
        said(bound),
        said(a_day),
    );
    let shown = format!(
        "{}: {} at {}, {} at {}",
        of(&slope.labels).trim_start_matches(" of "),
        figure(slope.first.value),
        moment(slope.first.at),
        figure(slope.last.value),
        moment(slope.last.at),
    );
    Some(scene.reason(Why::ShortTrend, text, vec![shown]))
}

/// The series that goes the way of the bound fastest.
fn steepest(trend: &Trend, scene: Scene<'_>, bound: f64) -> Option<Slope> {
    let Period { from, to, .. } = scene.period;
    let step = (to.since(from) / STEPS).max(Duration::from_secs(1));
    let mut slopes: Vec<Slope> = Vec::new();
    let period = Period { step: Some(step), ..scene.period };
    let evaluated = over(&trend.of, scene.history, (period, step), &mut |series| {
        slopes.extend(series.into_iter().filter_map(|one| slope(one.labels, &one.points)));
    });
    evaluated.ok()?;
    let far_enough = |slope: &Slope| {
        slope.last.at.since(slope.first.at) >= trend.span.saturating_mul(LEAST_SPANS)
    };
    let goes = |slope: &Slope| slope.per_second * bound.signum();
    slopes.into_iter().filter(far_enough).max_by(|a, b| goes(a).total_cmp(&goes(b)))
}

/// The line through the points with the least squares.
fn slope(labels: Labels, points: &[Point]) -> Option<Slope> {
    let (first, last) = (*points.first()?, *points.last()?);
    let seconds = |point: &Point| point.at.since(first.at).as_secs_f64();
    let (mut count, mut x_sum, mut y_sum) = (0.0, 0.0, 0.0);
    for point in points {
        count += 1.0;
        x_sum += seconds(point);
        y_sum += point.value;
    }
    let (x_mean, y_mean) = (x_sum / count, y_sum / count);
    let (mut both, mut square) = (0.0, 0.0);
    for point in points {
        let x = seconds(point) - x_mean;
        both += x * (point.value - y_mean);
        square += x * x;
    }
    (square > 0.0).then(|| Slope { labels, per_second: both / square, first, last })
}
