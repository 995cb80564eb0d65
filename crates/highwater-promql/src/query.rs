//! A query that was read, and how it is asked.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use highwater_core::series::{Matcher, NAME, Point, Series, SeriesSource};
use highwater_core::time::WallTime;

use crate::answer::{Answer, Value, ValueType};
use crate::error::Error;
use crate::eval::evaluate;
use crate::lower;
use crate::options::Options;
use crate::plan::{Kind, Node, Selector, When};

/// A query in its own form: `Display` writes it canonically, as `format_query` gives it.
#[derive(Clone, Debug)]
pub struct Query {
    pub(crate) text: Arc<str>,
    pub(crate) plan: Node,
}

impl Query {
    pub(crate) fn read(text: &str) -> Result<Self, Error> {
        Ok(Self { plan: lower::read(text)?, text: text.into() })
    }

    /// What it gives at one moment.
    pub const fn result_type(&self) -> ValueType {
        self.plan.gives
    }

    /// The names of the functions it calls, in order of the text, repeats included.
    pub fn calls(&self) -> Vec<&str> {
        let mut calls = Vec::new();
        self.plan.calls(&mut calls);
        calls
    }

    /// The conditions of a selector that stands alone, without `offset` and `@`.
    pub(crate) fn into_matchers(self) -> Result<Vec<Matcher>, Error> {
        let Kind::Select(Selector { name, matchers, when: When { at: None, offset: 0 } }) =
            self.plan.kind
        else {
            return Err(Error::bad("1:1: parse error: this is no selector of series"));
        };
        let name = name.map(|name| Matcher::is(NAME, &name));
        Ok(name.into_iter().chain(matchers).collect())
    }

    /// The names of the metrics it asks for by name, in order of the text, repeats included.
    pub fn metrics(&self) -> Vec<&str> {
        let mut metrics = Vec::new();
        self.plan.metrics(&mut metrics);
        metrics
    }

    /// The same with `@ at` set on every selector and subquery that has none; what stands inside
    /// a subquery with its own `@` stays.
    #[must_use]
    pub fn pinned(&self, at: WallTime) -> Self {
        let mut pinned = self.clone();
        pinned.plan.pin(at.millis());
        pinned
    }

    pub(crate) fn at(
        &self,
        source: &dyn SeriesSource,
        at: WallTime,
        options: &Options,
    ) -> Result<Answer, Error> {
        let (plan, moment) = ((&self.plan, &*self.text), at.millis());
        let mut answer = evaluate(plan, source, (moment, moment, 1), options)?;
        answer.value = match (self.plan.gives, answer.value) {
            (ValueType::Scalar, Value::Matrix(series)) => Value::Scalar(only(series, at)),
            (ValueType::Vector, Value::Matrix(series)) => {
                let first = |series: Series| Some((series.labels, *series.points.first()?));
                Value::Vector(series.into_iter().filter_map(first).collect())
            }
            (_, value) => value,
        };
        Ok(answer)
    }

    pub(crate) fn over(
        &self,
        source: &dyn SeriesSource,
        (start, end, step): (WallTime, WallTime, Duration),
        options: &Options,
    ) -> Result<Answer, Error> {
        let gives = self.plan.gives;
        if !matches!(gives, ValueType::Scalar | ValueType::Vector) {
            let text = format!(
                "invalid expression type \"{gives}\" for range query, must be Scalar or instant \
                 Vector"
            );
            return Err(Error::bad(text));
        }
        let step = i64::try_from(step.as_millis()).unwrap_or(i64::MAX);
        if step <= 0 {
            return Err(Error::bad(
                "zero or negative query resolution step widths are not accepted. Try a positive \
                 integer",
            ));
        }
        let Some(span) = end.millis().checked_sub(start.millis()).filter(|span| *span >= 0) else {
            return Err(Error::bad("end timestamp must not be before start time"));
        };
        if usize::try_from(span / step).unwrap_or(usize::MAX) > options.max_points {
            let text = format!(
                "exceeded maximum resolution of {} points per timeseries. Try decreasing the \
                 query resolution (?step=XX)",
                thousands(options.max_points)
            );
            return Err(Error::bad(text));
        }
        let range = (start.millis(), end.millis(), step);
        let mut answer = evaluate((&self.plan, &*self.text), source, range, options)?;
        if let Value::Matrix(series) = &mut answer.value {
            series.sort_by(|a, b| a.labels.cmp(&b.labels));
        }
        Ok(answer)
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.plan.fmt(f)
    }
}

/// The only point of a scalar.
fn only(series: Vec<Series>, at: WallTime) -> Point {
    let first = series.into_iter().next().and_then(|series| series.points.first().copied());
    first.unwrap_or(Point { at, value: f64::NAN })
}

/// A number with a comma between thousands, as Prometheus writes its limit.
fn thousands(count: usize) -> String {
    let digits = count.to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && digits.len().saturating_sub(place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
