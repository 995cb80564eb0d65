//! An answer of PromQL: samples as Prometheus's own tool lists them, ranges as curves.

use std::time::Duration;

use anstyle::Style;
use highwater_core::series::{Labels, Point, Series};
use highwater_core::text::escape;
use highwater_core::time::WallTime;
use highwater_promql::Value;
use highwater_promql::api::number;

use super::paint::{BLUE, BOLD, DIM, Page, put};
use super::{draw, plot, wrap};

/// So many series are drawn; more are only counted.
const DRAWN: usize = 12;

/// The width of a curve in a line.
const CURVE: usize = 24;

/// The width of a figure in a line.
const FIGURE: usize = 12;

/// One moment.
pub(crate) fn instant(value: &Value) -> String {
    match value {
        Value::Scalar(point) => sample("scalar", point),
        Value::Text { value, .. } => format!("{}\n", escape(value.as_bytes())),
        Value::Vector(all) if all.is_empty() => nothing(),
        Value::Vector(all) => {
            all.iter().map(|(labels, point)| sample(&name(labels), point)).collect()
        }
        Value::Matrix(all) if all.is_empty() => nothing(),
        Value::Matrix(all) => all.iter().map(listed).collect(),
    }
}

/// A range: a line for each series.
pub(crate) fn range(page: Page, all: &[Series]) -> String {
    if all.is_empty() {
        return nothing();
    }
    let titles = ["first", "lowest", "highest", "last"].map(|title| wrap::right(title, FIGURE));
    let mut out = format!("{}\n", Page::paint(DIM, &titles.join(" ")));
    for series in all {
        put(&mut out, &page.item("", &name(&series.labels), BOLD));
        let mut figures = figures(&series.points).map(|value| wrap::right(&short(value), FIGURE));
        // A curve stands beside its figures where there is room.
        let room = page.width.saturating_sub((FIGURE + 1) * figures.len()).min(CURVE);
        let curve =
            if room < CURVE / 2 { String::new() } else { draw::sparkline(&series.points, room) };
        if let Some(last) = figures.last_mut() {
            *last = Page::paint(Style::new().bold(), last);
        }
        put(&mut out, &format!("{} {}\n", figures.join(" "), Page::paint(BLUE, &curve)));
    }
    out
}

/// A range: a curve for each series, all over the same times.
pub(crate) fn plots(page: Page, all: &[Series], step: Duration) -> String {
    let drawn = all.get(..all.len().min(DRAWN)).unwrap_or_default();
    let Some(whole) = plot::Frame::around(drawn.iter().flat_map(|series| &series.points)) else {
        return nothing();
    };
    let mut out = String::new();
    for series in drawn {
        put(&mut out, &page.item("", &name(&series.labels), BOLD));
        let Some(own) = plot::Frame::around(&series.points) else {
            put(&mut out, &page.aside("no value that could be drawn"));
            continue;
        };
        let frame = plot::Frame { times: whole.times, ..own };
        // A step that is missing is a gap.
        let gap = step.saturating_add(step / 2);
        put(&mut out, &plot::framed(page, &series.points, (frame, gap), &short));
    }
    if let Some(more) = all.len().checked_sub(DRAWN).filter(|more| *more > 0) {
        put(
            &mut out,
            &page.aside(&format!("and {more} more series: ask for fewer, or take --csv")),
        );
    }
    out
}

fn nothing() -> String {
    format!("{}\n", Page::paint(DIM, "no series matches, or none had a sample then"))
}

fn sample(name: &str, point: &Point) -> String {
    let at = Page::paint(DIM, &format!("@ {}", point.at));
    format!("{name} {} {at}\n", Page::paint(BOLD, &number(point.value)))
}

fn listed(series: &Series) -> String {
    let mut out = format!("{}\n", Page::paint(BOLD, &name(&series.labels)));
    for point in &series.points {
        let Point { at, value } = point;
        put(&mut out, &format!("  {} {}\n", moment(*at), number(*value)));
    }
    out
}

fn moment(at: WallTime) -> String {
    Page::paint(DIM, &at.to_string())
}

fn name(labels: &Labels) -> String {
    let text = labels.to_string();
    if text.is_empty() { "{}".to_owned() } else { escape(text.as_bytes()).into_owned() }
}

/// The first, the lowest, the highest and the last.
fn figures(points: &[Point]) -> [f64; 4] {
    let values = || points.iter().map(|point| point.value);
    let first = values().next().unwrap_or(f64::NAN);
    let last = values().next_back().unwrap_or(f64::NAN);
    [first, values().fold(f64::NAN, f64::min), values().fold(f64::NAN, f64::max), last]
}

/// A value in few digits.
fn short(value: f64) -> String {
    let exact = number(value);
    if exact.len() < FIGURE {
        return exact;
    }
    let whole = value.abs() >= 1e4 && value.abs() < 1e11;
    if whole { format!("{value:.0}") } else { format!("{value:.4e}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(values: &[f64]) -> Series {
        let at = |at: usize| WallTime::from_millis(i64::try_from(at).unwrap() * 60_000);
        let points = values.iter().enumerate();
        let points = points.map(|(n, value)| Point { at: at(n), value: *value }).collect();
        Series { labels: Labels::new([("__name__", "up"), ("job", "\x1b[31m")]), points }
    }

    #[test]
    fn a_sample_is_listed_with_its_moment_and_steers_no_terminal() {
        let one = series(&[1.5]);
        let text = instant(&Value::Vector(vec![(one.labels, one.points[0])]));
        let plain = anstream::adapter::strip_str(&text).to_string();
        assert_eq!(plain, "up{job=\"\\x1b[31m\"} 1.5 @ 1970-01-01T00:00:00.000Z\n");
    }

    #[test]
    fn a_range_has_its_extremes_and_a_curve() {
        let text = range(Page { width: 80 }, &[series(&[1.0, 4.0, 123_456_789.123, 2.0])]);
        let plain = anstream::adapter::strip_str(&text).to_string();
        let line = plain.lines().last().unwrap();
        assert!(line.contains("123456789") && line.contains('█'), "{plain}");
        assert_eq!(figures(&[]).len(), 4);
    }

    #[test]
    fn nothing_is_told_as_nothing() {
        let page = Page { width: 60 };
        for text in
            [instant(&Value::Vector(vec![])), range(page, &[]), plots(page, &[], Duration::ZERO)]
        {
            assert!(text.contains("no series"), "{text}");
        }
    }

    #[test]
    fn every_curve_has_the_same_times() {
        let page = Page { width: 80 };
        let text =
            plots(page, &[series(&[1.0, 2.0]), series(&[1.0, 2.0, 3.0])], Duration::from_mins(1));
        let plain = anstream::adapter::strip_str(&text).to_string();
        assert_eq!(plain.matches("1970-01-01 00:02 UTC").count(), 2, "{plain}");
    }
}
