//! What happened, and who warned of it.

use std::time::Duration;

use highwater_core::series::Labels;
use highwater_core::time::WallTime;

use super::{Course, Life};

/// An alert that ended so shortly before something happened warned of it all the same.
const SHORTLY: Duration = Duration::from_hours(1);

/// Something that somebody should have been warned of.
#[derive(Clone, Debug, PartialEq)]
pub struct Incident {
    /// What it was.
    pub sort: Sort,
    /// Whom it happened to, as people call it.
    pub owner: String,
    /// Its labels in series, by which alerts are told to be about it.
    pub labels: Labels,
    /// When; several within a short time are one incident.
    pub moments: Vec<Moment>,
    /// What is to be said of it, and what shows that.
    pub note: String,
}

/// What an incident was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sort {
    /// It ended.
    Death,
    /// It ended and was started again.
    Restart,
    /// It grew without end.
    Growth,
}

/// One moment of an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// When it happened; of growth, when its limit was reached.
    pub at: WallTime,
    /// How long it was down then, at most.
    pub down: Option<Duration>,
}

/// That an alert fired for an incident.
#[derive(Clone, Copy, Debug)]
pub struct Warning<'c> {
    /// The rule.
    pub course: &'c Course<'c>,
    /// The alert.
    pub life: &'c Life,
    /// So long before.
    pub lead: Option<Duration>,
    /// So long after the first moment, but before the last, if not before.
    pub late: Option<Duration>,
}

impl Sort {
    /// As JSON has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Death => "death",
            Self::Restart => "restart",
            Self::Growth => "growth",
        }
    }
}

impl Incident {
    /// When it began.
    pub fn first(&self) -> Option<WallTime> {
        self.moments.first().map(|moment| moment.at)
    }

    /// When it was over.
    pub fn last(&self) -> Option<WallTime> {
        self.moments.last().map(|moment| moment.at)
    }
}

/// The labels that say on which machine somebody is, and those that say who it is there.
const WHERE: [&str; 2] = ["instance", "host"];
const WHO: [&str; 5] = ["name", "id", "unit", "container", "pod"];

/// Whether an alert with these labels may be about somebody with those: no label that both have
/// differs, and it means nobody else. An address is the same on every port.
pub fn is_about(alert: &Labels, whom: &Labels) -> bool {
    let same = |label: &&str| {
        let [one, other] = [alert, whom].map(|labels| named(labels, label));
        one.is_empty() || other.is_empty() || host(one) == host(other)
    };
    WHERE.iter().chain(&WHO).all(same) && is_meant(alert, whom)
}

/// Whether two who both say who they are mean the same: by a label that both have, or because the
/// name of one stands in that of the other, as a unit's in its path. Who says nothing may be anybody.
fn is_meant(alert: &Labels, whom: &Labels) -> bool {
    let [alert, whom] = [alert, whom].map(|labels| WHO.map(|label| named(labels, label)));
    let says = |name: &&&str| !name.is_empty();
    let is_silent =
        alert.iter().all(|name| name.is_empty()) || whom.iter().all(|name| name.is_empty());
    let is_shared = alert.iter().zip(&whom).any(|(one, other)| says(&one) && says(&other));
    let is_within = |one: &str| {
        whom.iter().filter(says).any(|other| one.contains(other) || other.contains(one))
    };
    is_silent || is_shared || alert.iter().filter(says).any(|one| is_within(one))
}

/// The label by which the series of a cgroup name an owner of this kind. The sums and judgements of
/// owners name all of them by `kind` and `id`.
pub fn label_of(kind: &str) -> Option<&'static str> {
    match kind {
        "unit" | "user-unit" | "session" => Some("unit"),
        "container" => Some("container"),
        "pod" => Some("pod"),
        "cgroup" | "machine" => Some("id"),
        _ => None,
    }
}

/// What a label says, where an owner is named by kind and id as if it were named by its own label.
fn named<'l>(labels: &'l Labels, label: &str) -> &'l str {
    match label_of(labels.get("kind")) {
        Some(own) if own == label => labels.get("id"),
        Some(_) if label == "id" => "",
        _ => labels.get(label),
    }
}

fn host(address: &str) -> &str {
    match address.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => address,
    }
}

/// Of each rule the alert that warned of an incident first, the earliest warning first.
pub fn warnings<'c>(incident: &Incident, courses: &'c [Course<'c>]) -> Vec<Warning<'c>> {
    let (Some(first), Some(last)) = (incident.first(), incident.last()) else { return Vec::new() };
    let warning = |course: &'c Course<'c>| {
        let about = course.fired().filter(|life| is_about(&life.labels, &incident.labels));
        let counts = |life: &&Life| {
            let end = life.ended.unwrap_or(WallTime::from_millis(i64::MAX));
            life.fired.is_some_and(|fired| fired <= last) && end.after(SHORTLY) >= first
        };
        let life = about.filter(counts).min_by_key(|life| life.fired)?;
        let fired = life.fired?;
        let lead = (fired <= first).then(|| first.since(fired));
        let late = (fired > first).then(|| fired.since(first));
        Some(Warning { course, life, lead, late })
    };
    let mut found: Vec<Warning<'c>> = courses.iter().filter_map(warning).collect();
    found.sort_by_key(|warning| warning.life.fired);
    found
}
