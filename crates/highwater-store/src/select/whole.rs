//! Series one after the other, each as a whole: metric by metric, in order of labels.
//!
//! Some series at a time are put together, as many as fit the budget.

use std::collections::HashMap;
use std::sync::Arc;

use highwater_core::metric::MetricKind;
use highwater_core::series::{Labels, Matcher, NAME, Series};
use highwater_core::time::WallTime;
use highwater_core::units::Bytes;

use super::Way;
use super::carry::Carry;
use super::cover::{Order, Reach, hull};
use super::finish::Ends;
use super::fresh::Most;
use super::wanted::{Metric, Wanted};
use crate::entity::Group;
use crate::error::StoreError;
use crate::reader::Reader;

/// What a sample takes in memory while series are put together.
const POINT_BYTES: usize = 32;

/// The series that are read at first, before it is known how long they are.
const FIRST: usize = 16;

/// The most series read at once.
const MOST_SERIES: usize = 4096;

/// What is told of a metric beside each of its series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told<'a> {
    /// Gauge or counter.
    pub kind: MetricKind,
    /// One line of help.
    pub help: &'a str,
}

impl Reader {
    /// Visits the series that meet all conditions of one of the `choices`, or all series if there is
    /// no choice; each as a whole, by rising name of its metric and then in order of labels. Marks of
    /// ends are given only where they were imported. About `budget` is held in memory, and one series
    /// at least.
    pub fn each_series<E: From<StoreError>>(
        &self,
        choices: &[Vec<Matcher>],
        (from, to): (WallTime, WallTime),
        budget: Bytes,
        visit: &mut dyn FnMut(Told<'_>, &Series) -> Result<(), E>,
    ) -> Result<(), E> {
        let reaches = self.reaches(from.millis(), to.millis()).map_err(self.failed())?;
        let mut metrics = self.metrics(&[]).map_err(self.failed())?;
        metrics.sort_by(|(_, a), (_, b)| a.name.cmp(&b.name));
        let most = usize::try_from(budget.get()).unwrap_or(usize::MAX) / POINT_BYTES;
        let (mut of_groups, mut at_once) = (HashMap::new(), FIRST);
        for (group, metric) in &metrics {
            if !choices.is_empty() && !choices.iter().any(|choice| names(choice, &metric.name)) {
                continue;
            }
            if !of_groups.contains_key(group) {
                of_groups.insert(*group, self.labels_of_group(*group, &reaches)?);
            }
            let Some(all) = of_groups.get(group) else { continue };
            let chosen = all.chosen(choices, &metric.name);
            let mut rest = chosen.as_slice();
            while !rest.is_empty() {
                let (now, later) = rest.split_at_checked(at_once).unwrap_or((rest, &[]));
                let wanted = all.wanted(*group, metric, now);
                let series = self.whole(&wanted, &reaches)?;
                let told = Told { kind: kind_of(metric), help: &metric.help };
                series.iter().try_for_each(|series| visit(told, series))?;
                let points: usize = series.iter().map(|series| series.points.len()).sum();
                let each = (points / now.len().max(1)).max(1);
                // Those that follow may be longer; not by much, as a rule.
                at_once = (most / 2 / each).clamp(1, (at_once * 4).min(MOST_SERIES));
                rest = later;
            }
        }
        Ok(())
    }

    /// Some series over all stretches, in order of labels.
    fn whole(&self, wanted: &Wanted, reaches: &[Reach]) -> Result<Vec<Series>, StoreError> {
        let state = self.db.unchecked_transaction().map_err(self.failed())?;
        let (order, ends, most) = (Order::FINEST, Ends::Stored, Most(usize::MAX));
        let gathered =
            self.gather(wanted, reaches, Way { order, steps: None, glances: None, ends, most })?;
        drop(state);
        Ok(gathered.series_of(ends, &mut Carry::nothing()))
    }

    /// What a group's series are about, in order of labels.
    fn labels_of_group(&self, group: Group, reaches: &[Reach]) -> Result<OfGroup, StoreError> {
        let nobody = Metric { id: 0, name: String::new(), counter: false, help: String::new() };
        let span = hull(reaches).unwrap_or((i64::MAX, i64::MIN));
        let all = self.wanted(group, vec![nobody], &[], span, (0, usize::MAX));
        let all = all.map_err(self.failed())?;
        let mut entities: Vec<Vec<u64>> = vec![vec![]; all.labels.len()];
        for (id, slot) in all.entities {
            if let Some(of_slot) = entities.get_mut(slot) {
                of_slot.push(id);
            }
        }
        let mut sorted: Vec<(Arc<Labels>, Vec<u64>)> =
            all.labels.into_iter().zip(entities).collect();
        sorted.sort();
        Ok(OfGroup(sorted))
    }
}

/// Labels in order, and whose they are.
struct OfGroup(Vec<(Arc<Labels>, Vec<u64>)>);

impl OfGroup {
    /// The places of those that are chosen together with a metric.
    fn chosen(&self, choices: &[Vec<Matcher>], name: &str) -> Vec<usize> {
        let passes = |labels: &Labels| {
            let mut labels = labels.clone();
            labels.set(NAME, name);
            let all = |choice: &Vec<Matcher>| choice.iter().all(|one| one.accepts(&labels));
            choices.is_empty() || choices.iter().any(all)
        };
        let places = self.0.iter().enumerate().filter(|(_, (labels, _))| passes(labels));
        places.map(|(place, _)| place).collect()
    }

    fn wanted(&self, group: Group, metric: &Metric, places: &[usize]) -> Wanted {
        let (mut labels, mut entities) = (vec![], vec![]);
        for (of, ids) in places.iter().filter_map(|place| self.0.get(*place)) {
            entities.extend(ids.iter().map(|id| (*id, labels.len())));
            labels.push(Arc::clone(of));
        }
        entities.sort_unstable();
        Wanted { group, metrics: vec![metric.clone()], entities, labels }
    }
}

/// Whether a metric of this name can meet the conditions.
fn names(choice: &[Matcher], name: &str) -> bool {
    let labels = Labels::new([(NAME, name)]);
    choice.iter().filter(|matcher| matcher.name == NAME).all(|matcher| matcher.accepts(&labels))
}

fn kind_of(metric: &Metric) -> MetricKind {
    if metric.counter { MetricKind::Counter } else { MetricKind::Gauge }
}
