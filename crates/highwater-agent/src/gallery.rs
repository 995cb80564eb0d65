//! Which witnesses are heard, how much they say, and what came of it: shown on the board.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use highwater_core::event::{Presence, Sight};
use highwater_core::owner::Owner;
use highwater_core::series::Labels;
use highwater_core::testimony::Witness;
use highwater_core::thing::{Metric, Thing};
use highwater_core::units::Bytes;
use highwater_diagnose::inquest::Cause;

/// So many kinds of deaths are told apart: owner and cause. Further ones are counted as those of
/// no owner.
const MOST_TOLLS: usize = 1_000;

/// What is known of the witnesses.
#[derive(Debug, Default)]
pub(crate) struct Gallery {
    sight: Mutex<BTreeMap<Witness, Option<String>>>,
    /// Someone came or went.
    changed: Condvar,
    /// How often that happened.
    changes: AtomicU64,
    heard: [AtomicU64; Witness::ALL.len()],
    dropped: [AtomicU64; Witness::ALL.len()],
    tolls: Mutex<BTreeMap<(Cause, Option<Owner>), u64>>,
}

impl Gallery {
    /// `witness` is heard, or is not, and why.
    pub(crate) fn set(&self, witness: Witness, absent: Option<String>) {
        let mut sight = self.sight.lock().unwrap_or_else(PoisonError::into_inner);
        if sight.get(&witness) == Some(&absent) {
            return;
        }
        sight.insert(witness, absent);
        self.changes.fetch_add(1, Ordering::Relaxed);
        self.changed.notify_all();
    }

    /// How often somebody came or went.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    /// Waits until all of `witnesses` were heard of, but not longer than this.
    pub(crate) fn wait(&self, witnesses: &[Witness], at_most: Duration) {
        let sight = self.sight.lock().unwrap_or_else(PoisonError::into_inner);
        let is_missing = |known: &mut BTreeMap<Witness, Option<String>>| {
            witnesses.iter().any(|witness| !known.contains_key(witness))
        };
        let _whoever_is_late = self.changed.wait_timeout_while(sight, at_most, is_missing);
    }

    /// Who is heard, and who is not.
    pub(crate) fn sight(&self) -> Sight {
        let sight = self.sight.lock().unwrap_or_else(PoisonError::into_inner);
        let presence = |(witness, absent): (&Witness, &Option<String>)| Presence {
            witness: *witness,
            absent: absent.clone(),
        };
        Sight { witnesses: sight.iter().map(presence).collect() }
    }

    pub(crate) fn heard(&self, witness: Witness) {
        bump(&self.heard, witness, 1);
    }

    pub(crate) fn dropped(&self, witness: Witness, count: u64) {
        bump(&self.dropped, witness, count);
    }

    /// Someone died.
    pub(crate) fn toll(&self, cause: Cause, owner: Option<&Owner>) {
        let mut tolls = self.tolls.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (cause, owner.cloned());
        let key =
            if tolls.len() < MOST_TOLLS || tolls.contains_key(&key) { key } else { (cause, None) };
        let count = tolls.entry(key).or_default();
        *count = count.saturating_add(1);
    }

    /// All of it as numbers.
    pub(crate) fn add_things(&self, things: &mut Vec<Thing>) {
        for presence in self.sight().witnesses {
            let labels = Labels::new([("witness", presence.witness.name())]);
            let value = if presence.absent.is_none() { 1.0 } else { 0.0 };
            things.push(Thing { metric: &UP, labels, value });
        }
        for (metric, counts) in [(&HEARD, &self.heard), (&DROPPED, &self.dropped)] {
            for (witness, count) in Witness::ALL.iter().zip(counts) {
                let labels = Labels::new([("witness", witness.name())]);
                let value = Bytes::new(count.load(Ordering::Relaxed)).as_f64();
                things.push(Thing { metric, labels, value });
            }
        }
        let tolls = self.tolls.lock().unwrap_or_else(PoisonError::into_inner);
        for ((cause, owner), count) in tolls.iter() {
            let value = Bytes::new(*count).as_f64();
            things.push(Thing { metric: &DEATHS, labels: labels(*cause, owner.as_ref()), value });
        }
    }
}

fn labels(cause: Cause, owner: Option<&Owner>) -> Labels {
    let mut all = vec![
        ("cause", cause.as_str().to_owned()),
        ("kind", owner.map_or("unknown", Owner::kind).to_owned()),
    ];
    if let Some(owner) = owner {
        all.push(("id", owner.id().to_owned()));
    }
    if let Some(uid) = owner.and_then(Owner::uid) {
        all.push(("uid", uid.to_string()));
    }
    if let Some(Owner::Pod { namespace, container, .. }) = owner {
        all.push(("namespace", namespace.clone()));
        all.push(("container", container.clone()));
    }
    Labels::new(all)
}

fn bump(counts: &[AtomicU64; Witness::ALL.len()], witness: Witness, by: u64) {
    let place = Witness::ALL.iter().position(|one| *one == witness);
    if let Some(count) = place.and_then(|at| counts.get(at)) {
        count.fetch_add(by, Ordering::Relaxed);
    }
}

static UP: Metric = Metric::gauge(
    "highwater_agent_witness_up",
    "1 while a witness of deaths (label `witness`) is heard.",
);
static HEARD: Metric =
    Metric::counter("highwater_agent_testimonies_total", "Testimonies that were kept, by witness.");
static DROPPED: Metric = Metric::counter(
    "highwater_agent_testimonies_dropped_total",
    "Testimonies of low value that were dropped because there were too many, and events that the \
     kernel dropped before they were read, by witness.",
);
static DEATHS: Metric = Metric::counter(
    "highwater_deaths_total",
    "Deaths since the agent began, by cause and owner (labels as those of the owner's series).",
);

/// The metrics of all this.
pub(crate) static METRICS: [&Metric; 4] = [&UP, &HEARD, &DROPPED, &DEATHS];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_heard_is_told_once() {
        let gallery = Gallery::default();
        gallery.set(Witness::Docker, Some("no socket".to_owned()));
        gallery.set(Witness::Docker, Some("no socket".to_owned()));
        assert_eq!(gallery.changes(), 1);
        assert_eq!(gallery.sight().hears(Witness::Docker), Some(false));
        gallery.set(Witness::Docker, None);
        assert_eq!((gallery.changes(), gallery.sight().hears(Witness::Docker)), (2, Some(true)));
        assert_eq!(gallery.sight().hears(Witness::Kmsg), None);
        // Both are known, so that this returns at once.
        gallery.set(Witness::Kmsg, None);
        gallery.wait(&[Witness::Kmsg, Witness::Docker], Duration::from_hours(1));
    }

    #[test]
    fn owners_without_end_are_counted_together() {
        let gallery = Gallery::default();
        for number in 0..2 * MOST_TOLLS {
            gallery.toll(Cause::Segfault, Some(&Owner::Unit(format!("run-{number}.service"))));
        }
        let mut things = Vec::new();
        gallery.add_things(&mut things);
        let deaths: Vec<_> =
            things.iter().filter(|thing| thing.metric.name == "highwater_deaths_total").collect();
        assert_eq!(deaths.len(), MOST_TOLLS + 1);
        let sum: f64 = deaths.iter().map(|thing| thing.value).sum();
        assert!((sum - 2000.0).abs() < 1e-9);
    }
}
