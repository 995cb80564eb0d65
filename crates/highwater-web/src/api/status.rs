//! What answers here, and how much there is.

use std::collections::{BTreeMap, BTreeSet};

use highwater_core::series::{Labels, NAME};
use highwater_core::time::WallTime;
use highwater_promql::Watch;

use super::answered::Answered;
use super::failure::Failure;
use super::form::Form;
use super::names::each;
use super::{Api, json, moment};

/// The version of Prometheus whose language and interface this is: clients choose by it what they
/// ask. What answers is named beside it.
const VERSION: &str = "3.5.0";

/// How many of each list are told if nothing else is asked for, and at most, as in Prometheus.
const LISTED: usize = 10;
const MOST_LISTED: usize = 10_000;

/// The most different labels that are counted: each takes some hundred bytes meanwhile.
const MOST_COUNTED: usize = 200_000;

/// `status/buildinfo`.
pub(super) fn build() -> Answered {
    let own = env!("CARGO_PKG_VERSION");
    Answered::json(format!(
        r#"{{"version":"{VERSION}","revision":"highwater-{own}","branch":"","buildUser":"","buildDate":"","goVersion":"","application":"highwater","applicationVersion":"{own}"}}"#
    ))
}

/// `status/tsdb`: of everything on record.
pub(super) fn tsdb(api: &Api, form: &Form, watch: &Watch) -> Result<Answered, Failure> {
    let limit = match form.get("limit") {
        "" => LISTED,
        text => match text.parse::<usize>() {
            Ok(limit) if limit > MOST_LISTED => {
                return Err(Failure::bad(format!("limit must not exceed {MOST_LISTED}")));
            }
            Ok(limit) if limit > 0 => limit,
            _ => return Err(Failure::bad("limit must be a positive number")),
        },
    };
    let mut census = Census::default();
    let (figures, mut warnings) = api.read(|reading| {
        each(reading, &[], (moment::MIN, moment::MAX), watch, &mut |labels| census.take(labels))?;
        Ok(reading.figures()?)
    })?;
    warnings.extend(census.is_cut.then(|| "not all labels were counted: too many".to_owned()));
    let millis = |at: Option<WallTime>| at.map_or(0, WallTime::millis);
    let mut out = format!(
        r#"{{"headStats":{{"numSeries":{},"numLabelPairs":{},"chunkCount":{},"minTime":{},"maxTime":{}}}"#,
        census.series,
        census.pairs.len(),
        figures.chunks,
        millis(figures.oldest),
        millis(figures.newest),
    )
    .into_bytes();
    census.write(&mut out, limit);
    out.push(b'}');
    Ok(Answered { warnings, ..Answered::json(out) })
}

/// Series, counted by their labels.
#[derive(Debug, Default)]
struct Census {
    series: u64,
    metrics: BTreeMap<String, u64>,
    pairs: BTreeMap<(String, String), u64>,
    is_cut: bool,
}

impl Census {
    fn take(&mut self, labels: &Labels) {
        self.series = self.series.saturating_add(1);
        bump(&mut self.metrics, labels.get(NAME).to_owned());
        for (name, value) in labels.iter() {
            if self.pairs.len() >= MOST_COUNTED {
                self.is_cut = true;
                break;
            }
            bump(&mut self.pairs, (name.to_owned(), value.to_owned()));
        }
    }

    /// The four lists, the largest first.
    fn write(&self, out: &mut Vec<u8>, limit: usize) {
        let mut values: BTreeMap<&str, u64> = BTreeMap::new();
        let mut bytes: BTreeMap<&str, u64> = BTreeMap::new();
        for (name, value) in self.pairs.keys() {
            bump(&mut values, name.as_str());
            let length = u64::try_from(value.len()).unwrap_or(u64::MAX);
            let sum = bytes.entry(name).or_default();
            *sum = sum.saturating_add(length);
        }
        let metrics = self.metrics.iter().map(|(name, count)| (name.clone(), *count));
        list(out, "seriesCountByMetricName", metrics, limit);
        let owned = |(name, count): (&str, u64)| (name.to_owned(), count);
        list(out, "labelValueCountByLabelName", values.into_iter().map(owned), limit);
        list(out, "memoryInBytesByLabelName", bytes.into_iter().map(owned), limit);
        let pairs =
            self.pairs.iter().map(|((name, value), count)| (format!("{name}={value}"), *count));
        list(out, "seriesCountByLabelValuePair", pairs, limit);
    }
}

fn bump<K: Ord>(counts: &mut BTreeMap<K, u64>, key: K) {
    let count = counts.entry(key).or_default();
    *count = count.saturating_add(1);
}

/// The largest of some counts, largest first, those of one size by name.
fn list(out: &mut Vec<u8>, name: &str, counts: impl Iterator<Item = (String, u64)>, limit: usize) {
    let mut largest: BTreeSet<(std::cmp::Reverse<u64>, String)> = BTreeSet::new();
    for (text, count) in counts {
        largest.insert((std::cmp::Reverse(count), text));
        if largest.len() > limit {
            largest.pop_last();
        }
    }
    out.push(b',');
    json::text(out, name);
    out.push(b':');
    json::list(out, largest, |out, (std::cmp::Reverse(count), text)| {
        out.extend_from_slice(br#"{"name":"#);
        json::text(out, &text);
        out.extend_from_slice(format!(r#","value":{count}}}"#).as_bytes());
    });
}
