//! Any server that speaks the Prometheus API.

mod history;

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use highwater_core::series::{Labels, Point, Series};
use highwater_core::text::escape;
use highwater_core::time::WallTime;
use highwater_promql::{Answer, Value};
use serde::Deserialize;

use super::When;

/// The most that is read of an answer: 11,000 points of some hundreds of series are less.
const MOST: u64 = 256 << 20;

/// The most that is read of a token.
const MOST_OF_TOKEN: u64 = 64 << 10;

/// How much is repeated of an answer that cannot be read.
const REPEATED: usize = 200;

/// A server.
pub(in crate::cmd) struct Server {
    agent: ureq::Agent,
    url: String,
    token: Option<String>,
}

impl Server {
    /// The server at `url`.
    pub(in crate::cmd) fn new(
        url: &str,
        token: Option<&Path>,
        timeout: Duration,
    ) -> anyhow::Result<Self> {
        let known = ["http://", "https://"].iter().any(|scheme| url.starts_with(scheme));
        ensure!(known, "--source {} is no address: http://127.0.0.1:9090", shown(url));
        let settings =
            ureq::Agent::config_builder().timeout_global(Some(timeout)).http_status_as_error(false);
        let url = url.trim_end_matches('/').to_owned();
        let token = token.map(read_token).transpose()?;
        Ok(Self { agent: settings.build().new_agent(), url, token })
    }

    /// What it answers.
    pub(super) fn ask(&self, text: &str, when: When) -> anyhow::Result<Answer> {
        let (path, times) = match when {
            When::At(at) => ("query", vec![("time", seconds(at))]),
            When::Range { start, end, step } => (
                "query_range",
                vec![
                    ("start", seconds(start)),
                    ("end", seconds(end)),
                    ("step", step.as_secs_f64().to_string()),
                ],
            ),
        };
        let form = std::iter::once(("query", text.to_owned())).chain(times);
        let mut request = self.agent.post(format!("{}/api/v1/{path}", self.url));
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let server = shown(&self.url);
        let answer =
            request.send_form(form).with_context(|| format!("{server} does not answer"))?;
        let status = answer.status();
        let mut body = Vec::new();
        let mut rest = answer.into_body().into_reader().take(MOST.saturating_add(1));
        rest.read_to_end(&mut body).with_context(|| format!("{server} broke off"))?;
        let size = u64::try_from(body.len()).unwrap_or(u64::MAX);
        ensure!(size <= MOST, "{server} answers more than 256 MiB: ask for less");
        match serde_json::from_slice::<Document>(&body) {
            Ok(document) => document.answer().with_context(|| server),
            Err(error) if status.is_success() => {
                Err(error).with_context(|| format!("{server} answers what is no Prometheus answer"))
            }
            Err(_) => {
                let beginning = body.get(..body.len().min(REPEATED)).unwrap_or_default();
                bail!("{server} answers {status}: {}", escape(beginning))
            }
        }
    }
}

fn read_token(file: &Path) -> anyhow::Result<String> {
    let name = escape(file.as_os_str().as_encoded_bytes()).into_owned();
    let opened = std::fs::File::open(file).with_context(|| format!("cannot read {name}"))?;
    let mut text = String::new();
    let read = opened.take(MOST_OF_TOKEN).read_to_string(&mut text);
    read.with_context(|| format!("cannot read {name}"))?;
    Ok(text.trim().to_owned())
}

fn shown(text: &str) -> String {
    escape(text.as_bytes()).into_owned()
}

/// Seconds since 1970 with their thousandths.
fn seconds(at: WallTime) -> String {
    let millis = at.millis();
    let sign = if millis < 0 { "-" } else { "" };
    let millis = millis.unsigned_abs();
    format!("{sign}{}.{:03}", millis / 1000, millis % 1000)
}

/// An answer of the API.
#[derive(Deserialize)]
struct Document {
    status: String,
    data: Option<Data>,
    error: Option<String>,
    #[serde(default)]
    warnings: Vec<String>,
    #[serde(default)]
    infos: Vec<String>,
}

#[derive(Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
enum Data {
    Scalar(Sample),
    String((f64, String)),
    Vector(Vec<One>),
    Matrix(Vec<Many>),
}

#[derive(Deserialize)]
struct One {
    metric: BTreeMap<String, String>,
    /// None of a native histogram.
    value: Option<Sample>,
}

#[derive(Deserialize)]
struct Many {
    metric: BTreeMap<String, String>,
    #[serde(default)]
    values: Vec<Sample>,
}

/// A time and a value; values that no number of JSON is come as text.
#[derive(Deserialize)]
struct Sample(f64, String);

impl Document {
    fn answer(self) -> anyhow::Result<Answer> {
        let told = self.error.unwrap_or_else(|| format!("status {:?}, and no data", self.status));
        let Some(data) = self.data.filter(|_| self.status == "success") else {
            bail!("the query has no answer: {}", shown(&told))
        };
        let mut warnings = self.warnings;
        warnings.extend(data.left_out());
        let value = match data {
            Data::Scalar(sample) => Value::Scalar(sample.point()?),
            Data::String((at, value)) => Value::Text { at: moment(at), value },
            Data::Vector(all) => {
                let all = all.into_iter().filter_map(|one| Some((one.metric, one.value?)));
                let all = all.map(|(metric, value)| Ok((Labels::new(metric), value.point()?)));
                Value::Vector(all.collect::<anyhow::Result<_>>()?)
            }
            Data::Matrix(all) => {
                let all = all.into_iter().filter(|many| !many.values.is_empty()).map(Many::series);
                Value::Matrix(all.collect::<anyhow::Result<_>>()?)
            }
        };
        Ok(Answer { value, warnings, infos: self.infos })
    }
}

impl Data {
    /// What is said of series that have native histograms in place of numbers.
    fn left_out(&self) -> Option<String> {
        let count = match self {
            Self::Scalar(_) | Self::String(_) => 0,
            Self::Vector(all) => all.iter().filter(|one| one.value.is_none()).count(),
            Self::Matrix(all) => all.iter().filter(|many| many.values.is_empty()).count(),
        };
        (count > 0)
            .then(|| format!("series without a number (native histograms) are left out: {count}"))
    }
}

impl Many {
    fn series(self) -> anyhow::Result<Series> {
        let points = self.values.iter().map(Sample::point).collect::<anyhow::Result<_>>()?;
        Ok(Series { labels: Labels::new(self.metric), points })
    }
}

impl Sample {
    fn point(&self) -> anyhow::Result<Point> {
        let value = self.1.parse();
        let value = value.with_context(|| format!("{} is no value", shown(&self.1)))?;
        Ok(Point { at: moment(self.0), value })
    }
}

/// Seconds since 1970 as a moment; to the millisecond, which is what servers keep.
fn moment(seconds: f64) -> WallTime {
    let whole = Duration::try_from_secs_f64(seconds.abs()).unwrap_or_default();
    let whole = whole.saturating_add(Duration::from_micros(500));
    let millis = i64::try_from(whole.as_millis()).unwrap_or(i64::MAX);
    WallTime::from_millis(if seconds < 0.0 { millis.saturating_neg() } else { millis })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &str) -> anyhow::Result<Answer> {
        serde_json::from_str::<Document>(text)?.answer()
    }

    #[test]
    fn what_the_api_says_is_read() {
        let vector = answer(
            r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"a":"b"},"value":[4.05,"+Inf"]}]},"warnings":["w"]}"#,
        );
        let vector = vector.unwrap();
        let point = Point { at: WallTime::from_millis(4050), value: f64::INFINITY };
        assert_eq!(vector.value, Value::Vector(vec![(Labels::new([("a", "b")]), point)]));
        assert_eq!(vector.warnings, ["w"]);
        let scalar = r#"{"status":"success","data":{"resultType":"scalar","result":[1,"2"]}}"#;
        let point = Point { at: WallTime::from_millis(1000), value: 2.0 };
        assert_eq!(answer(scalar).unwrap().value, Value::Scalar(point));
    }

    #[test]
    fn native_histograms_are_left_out_and_spoken_of() {
        let two = answer(
            r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"histogram":[1,{"count":"3"}]},{"metric":{"a":"b"},"value":[1,"2"]}]}}"#,
        );
        let two = two.unwrap();
        assert!(matches!(&two.value, Value::Vector(all) if all.len() == 1));
        assert!(two.warnings[0].ends_with("left out: 1"), "{:?}", two.warnings);
    }

    #[test]
    fn what_it_refuses_is_told() {
        let error = answer(r#"{"status":"error","errorType":"bad_data","error":"no\u001b"}"#);
        assert!(error.unwrap_err().to_string().ends_with(r"no\x1b"));
        assert!(answer(r#"{"status":"success"}"#).is_err());
        assert!(answer("[]").is_err());
        let odd = r#"{"status":"success","data":{"resultType":"scalar","result":[1,"x"]}}"#;
        assert!(answer(odd).is_err());
    }

    #[test]
    fn moments_go_there_and_back() {
        for millis in [0, 4_000, 4_050, -1_500, 1_714_207_632_123] {
            let at = WallTime::from_millis(millis);
            assert_eq!(moment(seconds(at).parse().unwrap()), at);
        }
    }
}
