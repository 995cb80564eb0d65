//! An answer, theirs or ours, in one form, and how two of them differ.

use anyhow::{Context, bail};
use highwater_core::series::{Labels, Point, Series};
use highwater_core::time::WallTime;
use highwater_promql::Value;
use serde_json::Value as Json;

use crate::asked::is_near;

/// An answer.
#[derive(Clone, Debug)]
pub(super) enum Given {
    Error {
        kind: String,
        text: String,
    },
    Text(String),
    Number(Point),
    /// Series with one sample each.
    Vector(Vec<Series>),
    Matrix(Vec<Series>),
}

impl Given {
    pub(super) fn of_value(value: Value) -> Self {
        match value {
            Value::Scalar(point) => Self::Number(point),
            Value::Text { value, .. } => Self::Text(value),
            Value::Vector(all) => Self::Vector(
                all.into_iter()
                    .map(|(labels, point)| Series { labels, points: vec![point] })
                    .collect(),
            ),
            Value::Matrix(series) => Self::Matrix(series),
        }
    }

    /// Reads the answer of the API.
    pub(super) fn of_json(json: &Json) -> anyhow::Result<Self> {
        if let Some(kind) = json.get("errorType").and_then(Json::as_str) {
            let text = json.get("error").and_then(Json::as_str).unwrap_or_default();
            return Ok(Self::Error { kind: kind.to_owned(), text: text.to_owned() });
        }
        let result = json.pointer("/data/result").context("no result")?;
        let kind = json.pointer("/data/resultType").and_then(Json::as_str);
        Ok(match kind.context("no type of result")? {
            "string" => {
                let text = result.get(1).and_then(Json::as_str).context("no text")?;
                Self::Text(text.to_owned())
            }
            "scalar" => Self::Number(point(result)?),
            "vector" => Self::Vector(all(result, |one| {
                Ok(vec![point(one.get("value").context("no value")?)?])
            })?),
            "matrix" => Self::Matrix(all(result, |one| {
                let values = one.get("values").and_then(Json::as_array).context("no values")?;
                values.iter().map(point).collect()
            })?),
            other => bail!("a result of type {other}"),
        })
    }

    /// How this differs from theirs, if it does.
    pub(super) fn differs_from(&self, theirs: &Self, is_ordered: bool) -> Option<String> {
        match (self, theirs) {
            (Self::Error { kind, .. }, Self::Error { kind: other, .. }) if kind == other => None,
            (Self::Text(ours), Self::Text(theirs)) if ours == theirs => None,
            (Self::Number(ours), Self::Number(theirs)) => {
                let is_same = ours.at == theirs.at && is_near(ours.value, theirs.value);
                (!is_same).then(|| format!("theirs {theirs:?}, ours {ours:?}"))
            }
            (Self::Vector(ours), Self::Vector(theirs)) if !is_ordered => {
                let (mut ours, mut theirs) = (ours.clone(), theirs.clone());
                ours.sort_by(|a, b| a.labels.cmp(&b.labels));
                theirs.sort_by(|a, b| a.labels.cmp(&b.labels));
                series_differ(&ours, &theirs)
            }
            (Self::Vector(ours), Self::Vector(theirs))
            | (Self::Matrix(ours), Self::Matrix(theirs)) => series_differ(ours, theirs),
            _ => Some(format!("theirs {}, ours {}", theirs.shown(), self.shown())),
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::Error { kind, text } => format!("the error {kind}: {text}"),
            Self::Text(text) => format!("the text {text:?}"),
            Self::Number(point) => format!("the number {}", point.value),
            Self::Vector(series) => format!("a vector of {}", series.len()),
            Self::Matrix(series) => format!("a matrix of {}", series.len()),
        }
    }
}

fn series_differ(ours: &[Series], theirs: &[Series]) -> Option<String> {
    let names = |series: &[Series]| {
        let names = series.iter().map(|one| one.labels.to_string()).take(4);
        names.collect::<Vec<_>>().join(" ")
    };
    let has_same = |(a, b): (&Series, &Series)| a.labels == b.labels;
    if ours.len() != theirs.len() || !ours.iter().zip(theirs).all(has_same) {
        let (their, our) = (theirs.len(), ours.len());
        let (them, us) = (names(theirs), names(ours));
        return Some(format!("theirs {their} series: {them} …\n      ours   {our} series: {us} …"));
    }
    ours.iter().zip(theirs).find_map(|(ours, theirs)| points_differ(ours, theirs))
}

fn points_differ(ours: &Series, theirs: &Series) -> Option<String> {
    let is_same = |a: &Point, b: &Point| a.at == b.at && is_near(a.value, b.value);
    let pairs = ours.points.iter().zip(&theirs.points);
    let first = pairs.clone().find(|(a, b)| !is_same(a, b));
    let wrong = pairs.filter(|(a, b)| !is_same(a, b)).count();
    let labels = &ours.labels;
    if let Some((ours, theirs)) = first {
        let at = theirs.at.millis();
        return Some(format!(
            "{labels} at {at}: theirs {}, ours {} at {}; {wrong} points differ",
            theirs.value,
            ours.value,
            ours.at.millis() - at
        ));
    }
    let (our, their) = (ours.points.len(), theirs.points.len());
    (our != their).then(|| format!("{labels}: theirs {their} points, ours {our}"))
}

fn all(
    result: &Json,
    points: impl Fn(&Json) -> anyhow::Result<Vec<Point>>,
) -> anyhow::Result<Vec<Series>> {
    let result = result.as_array().context("no array of series")?;
    let series = result.iter().map(|one| {
        let metric = one.get("metric").and_then(Json::as_object).context("no labels")?;
        let labels = metric.iter().map(|(name, value)| (name, value.as_str().unwrap_or_default()));
        let labels = Labels::new(labels.map(|(name, value)| (name.as_str(), value)));
        Ok(Series { labels, points: points(one)? })
    });
    series.collect()
}

/// `[seconds, "value"]`.
fn point(pair: &Json) -> anyhow::Result<Point> {
    let seconds = pair.get(0).context("no time")?.to_string();
    let (whole, part) = seconds.split_once('.').unwrap_or((&seconds, ""));
    let at_ms = format!("{whole}{part:0<3}").parse()?;
    let value = pair.get(1).and_then(Json::as_str).context("no value")?;
    let value = value.parse::<f64>().with_context(|| value.to_owned())?;
    Ok(Point { at: WallTime::from_millis(at_ms), value })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(values: &[(&str, &str)]) -> Given {
        let result = values.iter().map(
            |(name, value)| serde_json::json!({"metric": {"a": name}, "value": [7.25, value]}),
        );
        let result = result.collect::<Vec<_>>();
        let data = serde_json::json!({"resultType": "vector", "result": result});
        Given::of_json(&serde_json::json!({"status": "success", "data": data})).unwrap()
    }

    #[test]
    fn order_counts_where_it_is_defined() {
        let (one, other) = (vector(&[("x", "1"), ("y", "2")]), vector(&[("y", "2"), ("x", "1")]));
        assert_eq!(one.differs_from(&other, false), None);
        assert!(one.differs_from(&other, true).is_some());
        assert!(one.differs_from(&vector(&[("x", "1")]), false).is_some());
        assert!(one.differs_from(&vector(&[("x", "1"), ("z", "2")]), false).is_some());
    }

    #[test]
    fn values_differ_by_a_share_of_their_size() {
        let one = vector(&[("x", "1000000000")]);
        assert_eq!(one.differs_from(&vector(&[("x", "1000000001")]), true), None);
        assert!(one.differs_from(&vector(&[("x", "1000000002")]), true).is_some());
        assert!(
            !is_near(0.0, 1e-300) && !is_near(f64::INFINITY, f64::MAX) && !is_near(1.0, f64::NAN)
        );
        assert!(is_near(f64::NAN, -f64::NAN) && is_near(0.0, -0.0));
        assert!(!is_near(f64::INFINITY, f64::NEG_INFINITY));
    }

    #[test]
    fn errors_differ_by_their_kind() {
        let error = |kind: &str| {
            Given::of_json(&serde_json::json!({"errorType": kind, "error": "why"})).unwrap()
        };
        assert_eq!(error("execution").differs_from(&error("execution"), false), None);
        assert!(error("execution").differs_from(&error("bad_data"), false).is_some());
        assert!(vector(&[]).differs_from(&error("bad_data"), false).is_some());
    }
}
