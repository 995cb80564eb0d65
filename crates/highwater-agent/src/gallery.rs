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

/// So many deaths are told apart of each kind of owner, by owner and cause. Further ones are counted as
/// those of no owner: a user may make units without end, and takes no place of the system's.
const MOST_TOLLS: usize = 1_000;

/// Of one kind of owner.
type Tolls = BTreeMap<(Cause, Option<Owner>), u64>;

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
    /// Cgroups for which there was no room.
    unwatched: AtomicU64,
    tolls: Mutex<BTreeMap<&'static str, Tolls>>,
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

    /// So many cgroups are not watched for want of room.
    pub(crate) fn unwatched(&self, count: usize) {
        self.unwatched.store(u64::try_from(count).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Someone died.
    pub(crate) fn toll(&self, cause: Cause, owner: Option<&Owner>) {
        let mut tolls = self.tolls.lock().unwrap_or_else(PoisonError::into_inner);
        let tolls = tolls.entry(owner.map_or("unknown", Owner::kind)).or_default();
        let key = (cause, owner.map(lasting));
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
        let mut all = Tolls::new();
        for (key, count) in tolls.values().flatten() {
            let sum = all.entry(key.clone()).or_default();
            *sum = sum.saturating_add(*count);
        }
        for ((cause, owner), count) in all {
            let value = Bytes::new(count).as_f64();
            things.push(Thing { metric: &DEATHS, labels: labels(cause, owner.as_ref()), value });
        }
        let value = Bytes::new(self.unwatched.load(Ordering::Relaxed)).as_f64();
        things.push(Thing { metric: &UNWATCHED, labels: Labels::default(), value });
    }
}

/// An owner under a name that its next life has, too: `systemd-run` and logins make a new one each
/// time.
fn lasting(owner: &Owner) -> Owner {
    let name = |unit: &str| {
        let folded = |(prefix, end, is_passing): &Passing| {
            let made = unit.strip_prefix(prefix)?.strip_suffix(end)?;
            is_passing(made).then(|| format!("{prefix}*{end}"))
        };
        PASSING.iter().find_map(folded)
    };
    match owner {
        Owner::Unit(unit) => name(unit).map(Owner::Unit),
        Owner::Session(unit) => name(unit).map(Owner::Session),
        Owner::UserUnit { unit, uid } => name(unit).map(|unit| Owner::UserUnit { unit, uid: *uid }),
        _ => None,
    }
    .unwrap_or_else(|| owner.clone())
}

/// How units are called that are made anew each time, and what stands in the middle.
type Passing = (&'static str, &'static str, fn(&str) -> bool);

const PASSING: [Passing; 3] = [
    ("run-", ".service", is_made_by_systemd_run),
    ("run-", ".scope", is_made_by_systemd_run),
    ("session-", ".scope", is_made_by_a_login),
];

/// `r` and a random number of 128 bits, `u` and the number on the bus, `p` and a process, or the
/// process alone; a `run-backup.service` is an administrator's own.
fn is_made_by_systemd_run(made: &str) -> bool {
    let is_random = |id: &str| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    match made.split_at_checked(1) {
        Some(("r", id)) => is_random(id),
        Some(("u", number)) => is_number(number),
        Some(("p", pid)) => {
            let (pid, id) = pid.split_once("-i").unwrap_or((pid, "0"));
            is_number(pid) && is_number(id)
        }
        _ => is_number(made),
    }
}

/// The kernel's number of the session, or logind's own, with a `c`.
fn is_made_by_a_login(made: &str) -> bool {
    is_number(made.strip_prefix('c').unwrap_or(made))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
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
static UNWATCHED: Metric = Metric::gauge(
    "highwater_agent_cgroups_unwatched",
    "Memory cgroups whose out-of-memory events are not heard: there are more than can be watched.",
);
static DEATHS: Metric = Metric::counter(
    "highwater_deaths_total",
    "Deaths since the agent began, by cause and owner. Labels are those of the owner's series, but \
     units that are made anew each time are one: `run-*.service`, `run-*.scope` of `systemd-run`, \
     `session-*.scope` of logins.",
);

/// The metrics of all this.
pub(crate) static METRICS: [&Metric; 5] = [&UP, &HEARD, &DROPPED, &UNWATCHED, &DEATHS];

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
            let unit = format!("x-{number}.service");
            gallery.toll(Cause::Segfault, Some(&Owner::UserUnit { unit, uid: 1000 }));
        }
        let mut things = Vec::new();
        gallery.add_things(&mut things);
        let deaths: Vec<_> =
            things.iter().filter(|thing| thing.metric.name == "highwater_deaths_total").collect();
        assert_eq!(deaths.len(), MOST_TOLLS + 1);
        let sum: f64 = deaths.iter().map(|thing| thing.value).sum();
        assert!((sum - 2000.0).abs() < 1e-9);
        // Others have places of their own, and what is made anew each time has one.
        for number in 0..2 * MOST_TOLLS {
            gallery.toll(Cause::Segfault, Some(&Owner::Unit(format!("run-u{number}.service"))));
            let session = format!("session-{number}.scope");
            gallery.toll(Cause::Segfault, Some(&Owner::Session(session)));
        }
        gallery.toll(Cause::Segfault, Some(&Owner::Unit("web.service".to_owned())));
        let mut things = Vec::new();
        gallery.add_things(&mut things);
        let of = |id: &str| {
            let labels = |thing: &&Thing| thing.labels.get("id") == id;
            things.iter().find(labels).map(|thing| thing.value)
        };
        assert_eq!(of("run-*.service"), Some(2000.0));
        assert_eq!((of("session-*.scope"), of("web.service")), (Some(2000.0), Some(1.0)));
    }

    #[test]
    fn only_what_is_made_anew_each_time_is_folded() {
        let lasting = |unit: &str| super::lasting(&Owner::Unit(unit.to_owned())).id().to_owned();
        let random = format!("run-r{}.scope", "0f".repeat(16));
        for unit in ["run-u12.scope", "run-p7-i42.scope", "run-p7.scope", "run-9.scope", &random] {
            assert_eq!(lasting(unit), "run-*.scope", "{unit}");
        }
        for unit in ["session-3.scope", "session-c1.scope"] {
            assert_eq!(lasting(unit), "session-*.scope");
        }
        let own = ["run-backup.service", "run-u.service", "run-rabbed.service", "run-p7-i.service"];
        for unit in own.into_iter().chain(["run-.service", "session-.scope", "session-x.scope"]) {
            assert_eq!(lasting(unit), unit);
        }
    }
}
