//! Series in memory, and questions about them in one line.

use std::time::Duration;

use highwater_core::series::{
    Labels, NAME, Point, STALE, Selection, Series, SeriesSource, SourceError,
};
use highwater_core::time::WallTime;
use highwater_promql::{Answer, Error, Options, Value, instant, parse, range};

pub(crate) struct Memory(Vec<Series>);

impl SeriesSource for Memory {
    fn select(&self, selection: &Selection) -> Result<Vec<Series>, SourceError> {
        let wanted =
            |series: &&Series| selection.matchers.iter().all(|m| m.accepts(&series.labels));
        let inside = |point: &&Point| selection.from <= point.at && point.at <= selection.to;
        let cut = |series: &Series| Series {
            labels: series.labels.clone(),
            points: series.points.iter().filter(inside).copied().collect(),
        };
        Ok(self.0.iter().filter(wanted).map(cut).collect())
    }

    fn name(&self) -> &'static str {
        "memory"
    }
}

impl Memory {
    /// One series per line, a sample every ten seconds from `begin` on: `up{job="a"} 1 2 _ stale`.
    pub(crate) fn from(begin: i64, lines: &[&str]) -> Self {
        let series = lines.iter().map(|line| {
            let (name, values) = line.split_once(' ').unwrap();
            let sample = |(place, word): (usize, &str)| {
                let value = match word {
                    "_" => return None,
                    "stale" => STALE,
                    number => number.parse().unwrap(),
                };
                let at = (begin + 10 * i64::try_from(place).unwrap()) * 1000;
                Some(Point { at: WallTime::from_millis(at), value })
            };
            let points = values.split(' ').enumerate().filter_map(sample).collect();
            Series { labels: labels(name), points }
        });
        Self(series.collect())
    }

    pub(crate) fn ask(&self, query: &str, at: i64) -> Result<Answer, Error> {
        self.ask_with(query, at, &Options::default())
    }

    pub(crate) fn ask_with(
        &self,
        query: &str,
        at: i64,
        options: &Options,
    ) -> Result<Answer, Error> {
        instant(&parse(query)?, self, WallTime::from_millis(at * 1000), options)
    }

    /// The answer as text, one series per line.
    pub(crate) fn at(&self, query: &str, at: i64) -> String {
        self.ask(query, at)
            .map_or_else(|error| format!("error: {error}"), |answer| shown(&answer.value))
    }

    pub(crate) fn over(&self, query: &str, (from, to, step): (i64, i64, u64)) -> String {
        let (from, to) = (WallTime::from_millis(from * 1000), WallTime::from_millis(to * 1000));
        let step = Duration::from_secs(step);
        let answer =
            parse(query).and_then(|query| range(&query, self, from, to, step, &Options::default()));
        answer.map_or_else(|error| format!("error: {error}"), |answer| shown(&answer.value))
    }
}

fn labels(text: &str) -> Labels {
    let (name, rest) = text.split_once('{').unwrap_or((text, ""));
    let pairs = rest.trim_end_matches('}').split(',').filter_map(|pair| pair.split_once('='));
    let pairs = pairs.map(|(name, value)| (name, value.trim_matches('"')));
    Labels::new([(NAME, name)].into_iter().chain(pairs))
}

fn shown(value: &Value) -> String {
    let point = |point: &Point| format!("{}@{}", point.value, point.at.millis() / 1000);
    let lines: Vec<String> = match value {
        Value::Scalar(scalar) => vec![point(scalar)],
        Value::Text { value, .. } => vec![value.clone()],
        Value::Vector(vector) => {
            vector.iter().map(|(labels, p)| format!("{labels} {}", p.value)).collect()
        }
        Value::Matrix(matrix) => {
            let points =
                |series: &Series| series.points.iter().map(point).collect::<Vec<_>>().join(" ");
            matrix.iter().map(|series| format!("{} {}", series.labels, points(series))).collect()
        }
    };
    lines.join("\n")
}
