//! Whether an answer is the expected one.

use anyhow::{bail, ensure};
use highwater_core::series::{Labels, Point, Series, is_stale};
use highwater_promql::Value;

use super::case::{Expected, Notes, Steps, Wanted, only};
use highwater_promql::notation::{Line, Sample};

/// How far a value may be off, as in the original.
const EPSILON: f64 = 1e-6;

/// Whether two values are the same to within [`EPSILON`].
pub(crate) fn almost(a: f64, b: f64) -> bool {
    almost_within(a, b, EPSILON)
}

/// Whether two values are the same to within a share of their size. Marks of an end are like each other
/// alone, other NaNs are all alike.
pub(crate) fn almost_within(a: f64, b: f64, epsilon: f64) -> bool {
    if is_stale(a) || is_stale(b) {
        return is_stale(a) && is_stale(b);
    }
    if a.is_nan() && b.is_nan() || a.total_cmp(&b).is_eq() {
        return true;
    }
    let apart = (a - b).abs();
    let size = a.abs() + b.abs();
    if apart.is_nan() || (a.is_infinite() || b.is_infinite()) {
        return apart == 0.0;
    }
    if a == 0.0 || b == 0.0 || size < f64::MIN_POSITIVE {
        return apart < epsilon * f64::MIN_POSITIVE;
    }
    apart / size.min(f64::MAX) < epsilon
}

/// Judges what an instant query gave.
pub(crate) fn instant(expected: &Expected, got: &Value) -> anyhow::Result<()> {
    match (expected, got) {
        (Expected { text: Some(wanted), .. }, Value::Text { value, .. }) => {
            ensure!(wanted == value, "      wanted {wanted:?}\n      got    {value:?}");
        }
        (Expected { number: Some(wanted), .. }, Value::Scalar(point)) => {
            let is_same = almost(*wanted, point.value);
            ensure!(is_same, "      wanted {wanted}\n      got    {}", point.value);
        }
        (Expected { steps: Some(steps), lines, .. }, Value::Matrix(series)) => {
            return range(lines, *steps, series);
        }
        (Expected { text: None, number: None, steps: None, .. }, Value::Vector(points)) => {
            return vector(expected, points);
        }
        (_, other) => bail!("      an answer of another kind:\n{}", shown(other)),
    }
    Ok(())
}

fn vector(expected: &Expected, got: &[(Labels, Point)]) -> anyhow::Result<()> {
    let is_same = vector_is(expected, got)?;
    ensure!(
        is_same,
        "      wanted{}:\n{}      got:\n{}",
        if expected.is_ordered { ", in this order" } else { "" },
        lines_shown(&expected.lines),
        vector_shown(got)
    );
    Ok(())
}

fn vector_is(expected: &Expected, got: &[(Labels, Point)]) -> anyhow::Result<bool> {
    let mut is_same = got.len() == expected.lines.len();
    for (at, line) in expected.lines.iter().enumerate() {
        let mut found = got.iter().enumerate().filter(|(_, (labels, _))| *labels == line.labels);
        let is_here = match (found.next(), found.next(), only(line)?) {
            (Some((place, (_, point))), None, Sample::Float(wanted)) => {
                almost(wanted, point.value) && (!expected.is_ordered || place == at)
            }
            _ => false,
        };
        is_same &= is_here;
    }
    Ok(is_same)
}

/// Judges what a range query gave.
pub(crate) fn range(expected: &[Line], steps: Steps, got: &[Series]) -> anyhow::Result<()> {
    in_order(got)?;
    let mut is_same = got.len() == expected.len();
    for line in expected {
        let found = got.iter().find(|series| series.labels == line.labels);
        is_same &= match found {
            Some(series) => points_are(&line.samples, steps, &series.points)?,
            None => false,
        };
    }
    let wanted = lines_shown(expected);
    ensure!(is_same, "      wanted:\n{wanted}      got:\n{}", matrix_shown(got));
    Ok(())
}

fn points_are(wanted: &[Sample], steps: Steps, got: &[Point]) -> anyhow::Result<bool> {
    let wanted = wanted.iter().enumerate().filter(|(_, s)| !matches!(s, Sample::Gap));
    let mut points = got.iter();
    for (at, sample) in wanted {
        let at = steps.at(at)?;
        match (sample, points.next()) {
            (Sample::Float(value), Some(p)) if p.at == at && almost(*value, p.value) => {}
            _ => return Ok(false),
        }
    }
    Ok(points.next().is_none())
}

/// A matrix stands in order of labels, each once.
pub(crate) fn in_order(series: &[Series]) -> anyhow::Result<()> {
    let is_sorted = series.is_sorted_by(|a, b| a.labels < b.labels);
    ensure!(is_sorted, "      not in order of labels:\n{}", matrix_shown(series));
    Ok(())
}

/// Judges the warnings of an answer, or its hints. Each wanted must be there, and each that is there
/// must be wanted. Where a query was `pinned`, texts are compared without their position.
pub(crate) fn notes(
    kind: &str,
    wanted: &Notes,
    got: &[String],
    pinned: bool,
) -> anyhow::Result<()> {
    let all = match wanted {
        Notes::Unchecked => return Ok(()),
        Notes::None => {
            ensure!(got.is_empty(), "      wanted no {kind}, got {got:?}");
            return Ok(());
        }
        Notes::Some(all) => all,
    };
    ensure!(!got.is_empty(), "      wanted a {kind}, got none");
    for wanted in all {
        let is_there = got.iter().any(|text| accepts(wanted, text, pinned));
        ensure!(is_there, "      wanted a {kind} {wanted}\n      got {got:?}");
    }
    for text in got {
        let is_wanted = all.iter().any(|wanted| accepts(wanted, text, pinned));
        ensure!(is_wanted, "      a {kind} that was not wanted: {text:?}");
    }
    Ok(())
}

fn accepts(wanted: &Wanted, text: &str, pinned: bool) -> bool {
    match wanted {
        Wanted::Text(wanted) if pinned => placeless(wanted) == placeless(text),
        _ => wanted.accepts(text),
    }
}

/// A message without ` (1:5)` at its end.
fn placeless(text: &str) -> &str {
    text.rsplit_once(" (").map_or(text, |(words, _)| words)
}

fn shown(value: &Value) -> String {
    match value {
        Value::Scalar(point) => format!("        the number {}\n", point.value),
        Value::Text { value, .. } => format!("        the text {value:?}\n"),
        Value::Vector(points) => vector_shown(points),
        Value::Matrix(series) => matrix_shown(series),
    }
}

fn lines_shown(lines: &[Line]) -> String {
    let shown = lines.iter().map(|line| {
        let samples = line.samples.iter().map(|sample| match sample {
            Sample::Gap => "_".to_owned(),
            Sample::Float(value) => value.to_string(),
            Sample::Histogram => "{{…}}".to_owned(),
        });
        row(&line.labels, &samples.collect::<Vec<_>>())
    });
    shown.collect::<Vec<_>>().concat()
}

fn vector_shown(points: &[(Labels, Point)]) -> String {
    let shown = points.iter().map(|(labels, point)| row(labels, &[point.value.to_string()]));
    shown.collect::<Vec<_>>().concat()
}

fn matrix_shown(series: &[Series]) -> String {
    let shown = series.iter().map(|one| {
        let points = one.points.iter().map(|p| format!("{}@{}", p.value, p.at.millis()));
        row(&one.labels, &points.collect::<Vec<_>>())
    });
    shown.collect::<Vec<_>>().concat()
}

fn row(labels: &Labels, values: &[String]) -> String {
    format!("        {} {}\n", braced(labels), values.join(" "))
}

fn braced(labels: &Labels) -> String {
    let text = labels.to_string();
    if text.is_empty() { "{}".to_owned() } else { text }
}
