//! What grows, as numbers: shown by the page and recorded with every survey.

use std::sync::{Mutex, MutexGuard, PoisonError};

use highwater_core::event::Finding;
use highwater_core::series::Labels;
use highwater_core::thing::{Metric, Thing};
use highwater_core::units::Bytes;
use highwater_diagnose::finding::grows;

use super::look::{Look, MOST};

static RATE: Metric = Metric::gauge(
    "highwater_growth_bytes_per_hour",
    "How fast the floor of the owner's memory of this kind (label `resource`) grows; what is most urgent, 64 of them at most.",
);
static COUNT_RATE: Metric = Metric::gauge(
    "highwater_growth_per_hour",
    "The same of what is counted: fds, threads, children.",
);
static LEFT: Metric = Metric::gauge(
    "highwater_seconds_to_limit",
    "How long until the growth reaches the first limit in its way, if it goes on like this.",
);
static STANDING: Metric =
    Metric::gauge("highwater_growth_findings", "Growths that were told and are not over.");

/// The metrics of what grows.
pub(crate) static METRICS: [&Metric; 4] = [&RATE, &COUNT_RATE, &LEFT, &STANDING];

/// What is shown of it.
#[derive(Debug, Default)]
pub(crate) struct Shown {
    latest: Mutex<Latest>,
}

#[derive(Debug, Default)]
struct Latest {
    found: Vec<Finding>,
    /// How many are on; `None` before the first look.
    standing: Option<usize>,
}

impl Shown {
    /// Shows what a look found.
    pub(super) fn show(&self, look: &Look) {
        let growing = look.found.iter().filter(|found| grows(found)).take(MOST);
        self.lock().found = growing.cloned().collect();
    }

    /// So many are on.
    pub(super) fn count(&self, standing: usize) {
        self.lock().standing = Some(standing);
    }

    /// Nothing is known now.
    pub(super) fn clear(&self) {
        *self.lock() = Latest::default();
    }

    /// What grows, the most urgent first.
    pub(crate) fn found(&self) -> Vec<Finding> {
        self.lock().found.clone()
    }

    /// All of it as numbers.
    pub(crate) fn add_things(&self, things: &mut Vec<Thing>) {
        let latest = self.lock();
        for found in &latest.found {
            things.extend(numbers(found));
        }
        if let Some(standing) = latest.standing {
            let value = Bytes::new(u64::try_from(standing).unwrap_or(u64::MAX)).as_f64();
            things.push(Thing { metric: &STANDING, labels: Labels::default(), value });
        }
    }

    fn lock(&self) -> MutexGuard<'_, Latest> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A finding as it is recorded: its rate, and the time that is left, where they are known.
pub fn numbers(found: &Finding) -> Vec<Thing> {
    let labels = labels(found);
    let rate = if found.resource.is_count() { &COUNT_RATE } else { &RATE };
    let speed = found.rate.map(|growth| (rate, growth.per_hour));
    let left = found.left.map(|left| (&LEFT, Bytes::new(left.seconds).as_f64()));
    let told = [speed, left].into_iter().flatten();
    told.map(|(metric, value)| Thing { metric, labels: labels.clone(), value }).collect()
}

/// Whose, by the labels that other series of owners have; the name only where it is not the id.
fn labels(found: &Finding) -> Labels {
    let owner = &found.owner;
    let name = if owner.name == owner.id { "" } else { owner.name.as_str() };
    Labels::new([
        ("kind", owner.kind.as_str()),
        ("id", owner.id.as_str()),
        ("name", name),
        ("resource", found.resource.name()),
        ("verdict", found.verdict.name()),
    ])
}

#[cfg(test)]
mod tests {
    use highwater_core::growth::{Resource, Verdict};

    use super::super::ledger::tests::leak;
    use super::*;

    #[test]
    fn what_grows_is_shown_in_its_unit_and_no_more_than_there_is_room_for() {
        let shown = Shown::default();
        let mut things = Vec::new();
        shown.add_things(&mut things);
        assert_eq!(things, []);
        let mut fds = leak("b.service");
        (fds.resource, fds.left) = (Resource::Fds, None);
        let calm = Finding { verdict: Verdict::Steady, ..leak("c.service") };
        let many = (0..2 * MOST).map(|n| leak(&format!("d{n}.service")));
        let found = [leak("a.service"), fds, calm].into_iter().chain(many).collect();
        shown.show(&Look { found, ..Look::default() });
        shown.count(2);
        shown.add_things(&mut things);
        let texts: Vec<_> =
            things.iter().map(|t| format!("{}{}", t.metric.name, t.labels)).collect();
        let of_a = r#"{id="a.service",kind="unit",resource="anon",verdict="leak"}"#;
        assert_eq!(texts[0], format!("highwater_growth_bytes_per_hour{of_a}"));
        assert_eq!(texts[1], format!("highwater_seconds_to_limit{of_a}"));
        let of_b = r#"{id="b.service",kind="unit",resource="fds",verdict="leak"}"#;
        assert_eq!(texts[2], format!("highwater_growth_per_hour{of_b}"));
        assert_eq!(things.len(), 2 * MOST);
        assert_eq!(texts.last().unwrap(), "highwater_growth_findings");
        shown.clear();
        things.clear();
        shown.add_things(&mut things);
        assert_eq!(things, []);
    }
}
