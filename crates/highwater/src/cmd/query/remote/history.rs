//! A server's series as a history: every sample of a selector, asked for a day at a time.

use std::collections::BTreeMap;
use std::time::Duration;

use highwater_core::series::{
    Labels, Matcher, Selection, Series, SeriesSource, SourceError, Want, written_label,
};
use highwater_core::text::quoted;
use highwater_core::time::WallTime;
use highwater_promql::Value;

use super::{Server, When};

/// So much is asked for at once.
const DAY: Duration = Duration::from_hours(24);

impl SeriesSource for Server {
    /// Ends of series are not marked: the API does not tell them.
    fn select(&self, selection: &Selection) -> Result<Vec<Series>, SourceError> {
        let mut all: BTreeMap<Labels, Series> = BTreeMap::new();
        let mut from = selection.from;
        while from <= selection.to {
            let to = from.after(DAY).min(selection.to);
            for series in self.samples(&selection.matchers, (from, to))? {
                let slot = all.entry(series.labels.clone());
                let slot = slot.or_insert_with(|| Series { points: Vec::new(), ..series.clone() });
                slot.points.extend(series.points);
            }
            from = to.after(Duration::from_millis(1));
        }
        Ok(all.into_values().collect())
    }

    fn name(&self) -> &str {
        &self.url
    }
}

impl Server {
    /// The samples of a stretch, both its ends included.
    fn samples(
        &self,
        matchers: &[Matcher],
        (from, to): (WallTime, WallTime),
    ) -> Result<Vec<Series>, SourceError> {
        // Servers before Prometheus 3 give what is at the beginning of a range as well.
        let range = to.since(from).as_millis().saturating_add(1);
        let text = format!("{}[{range}ms]", selector(matchers));
        let failed = |error: anyhow::Error| SourceError {
            what: format!("{} has no answer for {text}: {error:#}", self.url),
            cause: None,
        };
        let answer = self.ask(&text, When::At(to)).map_err(failed)?;
        let Value::Matrix(mut series) = answer.value else { return Ok(Vec::new()) };
        for one in &mut series {
            one.points.retain(|point| point.at >= from);
        }
        series.retain(|one| !one.points.is_empty());
        Ok(series)
    }
}

/// `{__name__="a",b=~"c"}`
fn selector(matchers: &[Matcher]) -> String {
    let one = |matcher: &Matcher| {
        let (op, value) = match &matcher.want {
            Want::Is(value) => ("=", value.as_str()),
            Want::IsNot(value) => ("!=", value.as_str()),
            Want::Matches(pattern) => ("=~", pattern.text()),
            Want::MatchesNot(pattern) => ("!~", pattern.text()),
        };
        format!("{}{op}{}", written_label(&matcher.name), quoted(value.as_bytes()))
    };
    format!("{{{}}}", matchers.iter().map(one).collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use highwater_core::series::{NAME, Pattern};

    use super::*;

    #[test]
    fn conditions_are_written_as_a_selector() {
        let want = Want::MatchesNot(Pattern::new("a|\"").unwrap());
        let all = [Matcher::is(NAME, "up"), Matcher { name: "job".to_owned(), want }];
        assert_eq!(selector(&all), r#"{__name__="up",job!~"a|\""}"#);
        assert!(highwater_promql::selector(&selector(&all)).is_ok());
    }
}
