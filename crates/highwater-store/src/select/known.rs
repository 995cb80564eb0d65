//! Which series there are, without reading their samples: of sealed batches the heads of sheets say
//! it, of what is not sealed yet the ticks.

use std::collections::HashSet;
use std::time::Duration;

use highwater_core::metric::MetricKind;
use highwater_core::series::{Labels, Matcher};
use highwater_core::time::WallTime;

use super::cover::{Order, Reach};
use super::fresh::Most;
use super::gather::Gathered;
use super::sealed::find;
use super::steps::Steps;
use super::wanted::Wanted;
use crate::error::StoreError;
use crate::reader::Reader;

/// One sample of each fresh series is enough: longer than anything is fresh.
const FRESH: Duration = Duration::from_hours(10_000);

/// A metric of the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownMetric {
    /// Its name.
    pub name: String,
    /// Gauge or counter.
    pub kind: MetricKind,
    /// One line of help.
    pub help: String,
}

impl Reader {
    /// The metrics, by name, each once.
    pub fn known_metrics(&self) -> Result<Vec<KnownMetric>, StoreError> {
        let metrics = self.metrics(&[]).map_err(self.failed())?;
        let known = metrics.into_iter().map(|(_, metric)| {
            let kind = if metric.counter { MetricKind::Counter } else { MetricKind::Gauge };
            KnownMetric { name: metric.name, kind, help: metric.help }
        });
        let mut known: Vec<KnownMetric> = known.collect();
        known.sort_by(|a, b| a.name.cmp(&b.name));
        known.dedup_by(|later, first| later.name == first.name);
        Ok(known)
    }

    /// Gives the labels of the series that meet all `matchers` and have samples between two moments,
    /// or close to that: what is sealed together counts together. Each comes once, in no order,
    /// until `give` has enough.
    pub fn each_known(
        &self,
        matchers: &[Matcher],
        (from, to): (WallTime, WallTime),
        give: &mut dyn FnMut(&Labels) -> bool,
    ) -> Result<(), StoreError> {
        // Everything is read out of one state of the database.
        let _state = self.db.unchecked_transaction().map_err(self.failed())?;
        let reaches = self.reaches(from.millis(), to.millis()).map_err(self.failed())?;
        for (group, metrics) in self.by_group(matchers)? {
            let wanted = self.wanted_within(group, metrics, matchers, &reaches)?;
            for (metric, slot) in self.places_known(&wanted, &reaches)? {
                if !give(&wanted.labels_of(metric, slot)) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The series of a group that are there: places of metrics and of labels.
    fn places_known(
        &self,
        wanted: &Wanted,
        reaches: &[Reach],
    ) -> Result<HashSet<(usize, usize)>, StoreError> {
        let mut known = HashSet::new();
        if wanted.is_empty() {
            return Ok(known);
        }
        let cover = self.cover(wanted.group, reaches, Order::FINEST).map_err(self.failed())?;
        for take in &cover.takes {
            self.each_sheet(take.batch.id, wanted, |sheet| {
                find(&sheet.heads, wanted, &mut |_, metric, slot| {
                    known.insert((metric, slot));
                });
                Ok(())
            })?;
        }
        for reach in &cover.fresh {
            let mut fresh = Gathered::new(wanted, Some(Steps::new(reach.span.0, FRESH)));
            fresh.asks_readings = false;
            self.read_fresh(reach, &mut fresh, Most(usize::MAX))?;
            fresh.each(|metric, slot, _| {
                known.insert((metric, slot));
            });
        }
        Ok(known)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use highwater_core::series::NAME;

    use super::*;
    use crate::import::Import;

    fn known(reader: &Reader, matchers: &[Matcher], span: (i64, i64)) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let span = (WallTime::from_millis(span.0), WallTime::from_millis(span.1));
        let mut give = |labels: &Labels| {
            assert!(found.insert(labels.to_string()), "{labels} twice");
            true
        };
        reader.each_known(matchers, span, &mut give).unwrap();
        found
    }

    #[test]
    fn what_is_there_is_named_and_nothing_else() {
        const DAY: i64 = 86_400_000;
        let dir = tempfile::tempdir().unwrap();
        let mut import = Import::open(dir.path()).unwrap();
        for (name, job, day) in [("a", "x", 1), ("a", "y", 2), ("b", "x", 2), ("a", "x", 2)] {
            let labels = Labels::new([(NAME, name), ("job", job)]);
            let series = import.series(&labels, MetricKind::Gauge, "help").unwrap();
            for minute in 0..600 {
                let at = WallTime::from_millis(20_000 * DAY + day * DAY + minute * 60_000 + 1);
                import.push(series, at, 1.0).unwrap();
            }
        }
        import.finish(&mut |_| {}).unwrap();
        let reader = Reader::open(dir.path()).unwrap();
        let all = [r#"a{job="x"}"#, r#"a{job="y"}"#, r#"b{job="x"}"#].map(str::to_owned);
        let ever = (i64::MIN, i64::MAX);
        assert_eq!(known(&reader, &[], ever), BTreeSet::from(all.clone()));
        let day = |day: i64| (20_000 * DAY + day * DAY, 20_000 * DAY + (day + 1) * DAY - DAY / 6);
        // What is sealed together counts together, but `y` is not known before its first sample.
        let first = known(&reader, &[], day(1));
        assert!(first.contains(&all[0]) && !first.contains(&all[1]), "{first:?}");
        assert_eq!(known(&reader, &[], day(2)), BTreeSet::from(all.clone()));
        assert_eq!(known(&reader, &[], day(5)), BTreeSet::new());
        let some = known(&reader, &[Matcher::is("job", "x"), Matcher::is(NAME, "a")], ever);
        assert_eq!(some, BTreeSet::from([all[0].clone()]));
        assert_eq!(known(&reader, &[Matcher::is("job", "z")], ever), BTreeSet::new());
        let mut count = 0;
        let enough = &mut |_: &Labels| {
            count += 1;
            false
        };
        let ever = (WallTime::from_millis(ever.0), WallTime::from_millis(ever.1));
        reader.each_known(&[], ever, enough).unwrap();
        assert_eq!(count, 1);
        let metrics = reader.known_metrics().unwrap();
        assert_eq!(metrics.iter().map(|of| of.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!((metrics[0].kind, metrics[0].help.as_str()), (MetricKind::Gauge, "help"));
    }
}
