//! One receiver's groups: what they were told, and when they are next looked at.
//!
//! A group is first told `group_wait` after its first alert, so that what breaks together arrives
//! together. Then it is looked at every `group_interval`, and told again when an alert joined or ended,
//! or when `repeat_interval` has gone by while something fires. An alert that ended before it was told
//! is not told. One that began [`FLAPS`] times within an hour flaps: its end is told when it has been
//! quiet for [`CALM`].

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use highwater_core::time::WallTime;
use serde::{Deserialize, Serialize};

use super::is_ahead;
use super::notice::Notice;
use super::report::{Report, written};

/// So often an alert begins within [`FLAP_WINDOW`] before it flaps.
const FLAPS: usize = 4;
/// How long a beginning counts.
const FLAP_WINDOW: Duration = Duration::from_hours(1);
/// How long an alert that flaps has to be quiet before its end is told.
const CALM: Duration = Duration::from_mins(15);
/// More groups than this are told as one: names of containers make groups, and anybody makes names.
const MOST_GROUPS: usize = 1_000;

/// What a receiver wants to be told, and how soon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Alerts that agree in these labels are told together; without any all are.
    pub group_by: Vec<String>,
    /// How long a new group waits for more alerts.
    pub group_wait: Duration,
    /// How often a group's news is told at most.
    pub group_interval: Duration,
    /// How often what still fires is told again.
    pub repeat_interval: Duration,
    /// Whether it is told that an alert has ended.
    pub send_resolved: bool,
    /// Only alerts whose label `severity` is one of these; without any all.
    pub severities: Vec<String>,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            group_by: vec!["alertname".to_owned()],
            group_wait: Duration::from_secs(30),
            group_interval: Duration::from_mins(5),
            repeat_interval: Duration::from_hours(4),
            send_resolved: true,
            severities: Vec::new(),
        }
    }
}

impl Terms {
    /// Whether the receiver is told of `report`.
    pub fn want(&self, report: &Report) -> bool {
        let severity = report.labels.get("severity");
        self.severities.is_empty() || severity.is_some_and(|it| self.severities.contains(it))
    }

    fn group(&self, report: &Report) -> BTreeMap<String, String> {
        let of = |name: &String| Some((name.clone(), report.labels.get(name)?.clone()));
        self.group_by.iter().filter_map(of).collect()
    }
}

/// One receiver's groups.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Desk {
    groups: BTreeMap<String, Group>,
}

impl Desk {
    /// What `receiver` is to be told at `now`, when these are all alerts that fire or ended lately. One
    /// that was told and is no longer among them has ended.
    pub fn round(
        &mut self,
        receiver: &str,
        terms: &Terms,
        reports: &[Report],
        now: WallTime,
    ) -> Vec<Notice> {
        let mut seen = self.sorted(terms, reports, now);
        let mut notices = Vec::new();
        for (key, group) in &mut self.groups {
            group.see(seen.remove(key).unwrap_or_default(), now);
            if group.sleeps && !group.firing.is_empty() {
                // The first alert after a pause waits for others, as that of a new group does.
                group.due = now.after(terms.group_wait);
            }
            let longest = terms.group_wait.max(terms.group_interval);
            if !is_ahead(group.due, longest, now)
                && let Some(alerts) = group.news(terms, now)
            {
                notices.push(Notice::new(receiver, group.labels.clone(), alerts, now));
            }
            group.sleeps = group.told.is_empty() && group.firing.is_empty();
        }
        self.groups.retain(|_, group| !group.is_over());
        notices
    }

    /// The reports by group and key. A group that is new and fires is set up.
    fn sorted<'r>(
        &mut self,
        terms: &Terms,
        reports: &'r [Report],
        now: WallTime,
    ) -> BTreeMap<String, BTreeMap<String, &'r Report>> {
        let mut seen: BTreeMap<String, BTreeMap<String, &Report>> = BTreeMap::new();
        for report in reports.iter().filter(|report| terms.want(report)) {
            let mut labels = terms.group(report);
            let mut key = written(&labels);
            if self.groups.len() >= MOST_GROUPS && !self.groups.contains_key(&key) {
                labels.clear();
                key = written(&labels);
            }
            if report.ends_at.is_none() {
                let due = now.after(terms.group_wait);
                self.groups.entry(key.clone()).or_insert_with(|| Group::new(labels, due));
            }
            seen.entry(key).or_default().insert(report.key(), report);
        }
        seen
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Group {
    labels: BTreeMap<String, String>,
    /// When it is next looked at.
    due: WallTime,
    /// When it was last told.
    told_at: Option<WallTime>,
    /// What fires as far as the receiver knows.
    told: BTreeMap<String, Report>,
    /// Of these, what has ended since.
    ended: BTreeMap<String, Report>,
    /// When each alert began lately.
    begins: BTreeMap<String, Vec<WallTime>>,
    /// Nothing fires, and the receiver knows that.
    sleeps: bool,
    /// What fires now: it comes anew with every round.
    #[serde(skip)]
    firing: BTreeMap<String, Report>,
}

impl Group {
    fn new(labels: BTreeMap<String, String>, due: WallTime) -> Self {
        Self {
            labels,
            due,
            told_at: None,
            told: BTreeMap::new(),
            ended: BTreeMap::new(),
            begins: BTreeMap::new(),
            sleeps: false,
            firing: BTreeMap::new(),
        }
    }

    /// Takes in how its alerts stand now.
    fn see(&mut self, reports: BTreeMap<String, &Report>, now: WallTime) {
        self.firing.clear();
        let (firing, over): (BTreeMap<_, _>, BTreeMap<_, _>) =
            reports.into_iter().partition(|(_, report)| report.ends_at.is_none());
        for (key, report) in firing {
            let begins = self.begins.entry(key.clone()).or_default();
            if begins.last() != Some(&report.starts_at) {
                begins.push(report.starts_at);
            }
            self.ended.remove(&key);
            self.firing.insert(key, report.clone());
        }
        for (key, told) in &self.told {
            if self.firing.contains_key(key) || self.ended.contains_key(key) {
                continue;
            }
            let ended = match over.get(key) {
                Some(report) => (*report).clone(),
                None => Report { ends_at: Some(now), ..told.clone() },
            };
            self.ended.insert(key.clone(), ended);
        }
        self.forget(now.before(FLAP_WINDOW));
    }

    /// Beginnings before `then` no longer count.
    fn forget(&mut self, then: WallTime) {
        for begins in self.begins.values_mut() {
            begins.retain(|at| *at >= then);
            // Only so many are counted.
            begins.drain(..begins.len().saturating_sub(FLAPS));
        }
        let held = |key: &String| self.firing.contains_key(key) || self.ended.contains_key(key);
        let kept: BTreeSet<String> = self.begins.keys().filter(|key| held(key)).cloned().collect();
        self.begins.retain(|key, begins| !begins.is_empty() || kept.contains(key));
    }

    fn flaps(&self, key: &str) -> bool {
        self.begins.get(key).is_some_and(|begins| begins.len() >= FLAPS)
    }

    /// What is to be told now, if anything, taken as told.
    fn news(&mut self, terms: &Terms, now: WallTime) -> Option<Vec<Report>> {
        self.due = now.after(terms.group_interval);
        let over = self.over(now);
        let joined = self.firing.keys().any(|key| !self.told.contains_key(key));
        let ended = terms.send_resolved && !over.is_empty();
        let fires = !self.firing.is_empty();
        let again = self.told_at.is_none_or(|at| now.since(at) >= terms.repeat_interval) && fires;
        for key in over.keys() {
            self.told.remove(key);
            self.ended.remove(key);
        }
        if !(joined || ended || again) {
            return None;
        }
        self.told.extend(self.firing.clone());
        self.told_at = Some(now);
        let marked =
            |(key, report): (&String, &Report)| Report { flaps: self.flaps(key), ..report.clone() };
        let mut alerts: Vec<Report> = self.told.iter().map(marked).collect();
        if terms.send_resolved {
            alerts.extend(over.iter().map(marked));
        }
        Some(alerts)
    }

    /// What has ended and may be told so.
    fn over(&self, now: WallTime) -> BTreeMap<String, Report> {
        let calm = |key: &str, report: &Report| {
            !self.flaps(key) || report.ends_at.is_some_and(|at| now.since(at) >= CALM)
        };
        let over = self.ended.iter().filter(|(key, report)| calm(key, report));
        over.map(|(key, report)| (key.clone(), report.clone())).collect()
    }

    fn is_over(&self) -> bool {
        self.told.is_empty() && self.firing.is_empty() && self.begins.is_empty()
    }
}
