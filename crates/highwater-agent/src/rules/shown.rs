//! What is shown of the rules: groups with their states for whoever asks, and counts.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use highwater_alert::{Alert, Group, GroupState, State};
use highwater_core::series::Labels;
use highwater_core::thing::{Metric, Thing};
use highwater_core::units::Bytes;

use super::groups::Groups;

static ALERTS: Metric =
    Metric::gauge("highwater_alerts", "Alerts by how they stand (label `state`: pending, firing).");
static RULES: Metric = Metric::gauge("highwater_rules", "Rules that are evaluated.");
static FAILING: Metric =
    Metric::gauge("highwater_rules_failing", "Rules whose last evaluation failed.");
static FAULTS: Metric = Metric::gauge(
    "highwater_rules_faults",
    "What is wrong with files of rules, so that they were not taken; the log tells what.",
);
static MISSED: Metric = Metric::counter(
    "highwater_rules_missed_total",
    "Evaluations of groups that were left out, because those before took too long.",
);

/// The metrics of rules.
pub(crate) static METRICS: [&Metric; 5] = [&ALERTS, &RULES, &FAILING, &FAULTS, &MISSED];

/// What is shown of a group.
#[derive(Clone, Debug)]
pub struct GroupShown {
    /// The file that it stands in.
    pub file: String,
    /// Its rules.
    pub group: Arc<Group>,
    /// How they stand.
    pub state: GroupState,
    /// How often it is evaluated.
    pub interval: Duration,
    /// How long the last evaluation took.
    pub lasted: Duration,
}

/// What is shown of all rules.
#[derive(Clone, Debug, Default)]
pub struct RulesShown {
    /// The groups, in the order of their files.
    pub groups: Vec<GroupShown>,
    /// What is wrong with files, so that they were not taken.
    pub faults: Vec<String>,
    missed: u64,
    post: Vec<Thing>,
}

/// What others look at.
#[derive(Debug, Default)]
pub(crate) struct Shown {
    latest: Mutex<Arc<RulesShown>>,
    /// How often an alert came, went or changed its state.
    changes: AtomicU64,
}

impl Shown {
    /// The rules as they stand.
    pub(crate) fn latest(&self) -> Arc<RulesShown> {
        Arc::clone(&self.lock())
    }

    pub(super) fn show(&self, groups: &Groups) {
        let shown = groups.all().iter().map(|running| GroupShown {
            file: running.chapter.file.clone(),
            group: Arc::clone(&running.chapter.group),
            state: running.state.clone(),
            interval: running.chapter.interval,
            lasted: running.lasted,
        });
        let shown: Vec<GroupShown> = shown.collect();
        let mut latest = self.lock();
        let latest = Arc::make_mut(&mut latest);
        if !alike(&latest.groups, &shown) {
            self.changes.fetch_add(1, Ordering::Relaxed);
        }
        (latest.groups, latest.missed) = (shown, groups.missed());
    }

    /// How often an alert came, went or changed its state.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    pub(super) fn set_faults(&self, faults: Vec<String>) {
        Arc::make_mut(&mut self.lock()).faults = faults;
    }

    pub(super) fn set_post(&self, post: Vec<Thing>) {
        if self.lock().post != post {
            Arc::make_mut(&mut self.lock()).post = post;
        }
    }

    /// All of it as numbers.
    pub(crate) fn add_things(&self, things: &mut Vec<Thing>) {
        let latest = self.latest();
        let rules = || latest.groups.iter().flat_map(|group| &group.state.rules);
        let alerts = || rules().flat_map(|rule| &rule.alerts);
        let bare = Labels::default;
        for state in [State::Pending, State::Firing] {
            let count = alerts().filter(|alert| alert.state == state).count();
            let labels = Labels::new([("state", state.word())]);
            things.push(Thing { metric: &ALERTS, labels, value: number(count) });
        }
        let failing = rules().filter(|rule| rule.error.is_some()).count();
        let missed = Bytes::new(latest.missed).as_f64();
        things.extend([
            Thing { metric: &RULES, labels: bare(), value: number(rules().count()) },
            Thing { metric: &FAILING, labels: bare(), value: number(failing) },
            Thing { metric: &FAULTS, labels: bare(), value: number(latest.faults.len()) },
            Thing { metric: &MISSED, labels: bare(), value: missed },
        ]);
        things.extend(latest.post.iter().cloned());
    }

    fn lock(&self) -> MutexGuard<'_, Arc<RulesShown>> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the same alerts stand as they stood; their values change with every round.
fn alike(before: &[GroupShown], now: &[GroupShown]) -> bool {
    let before = before.iter().map(|group| &group.state);
    standing(before).eq(standing(now.iter().map(|group| &group.state)))
}

fn standing<'a>(
    groups: impl Iterator<Item = &'a GroupState>,
) -> impl Iterator<Item = (&'a Labels, State)> {
    let alerts = groups.flat_map(|group| &group.rules).flat_map(|rule| &rule.alerts);
    alerts.map(|alert: &Alert| (&alert.labels, alert.state))
}

fn number(count: usize) -> f64 {
    Bytes::new(u64::try_from(count).unwrap_or(u64::MAX)).as_f64()
}

#[cfg(test)]
mod tests {
    use highwater_alert::RuleState;
    use highwater_core::time::WallTime;

    use super::*;

    fn group(state: State, value: f64) -> GroupState {
        let labels = Labels::new([("alertname", "Full")]);
        let alert = Alert {
            labels,
            annotations: Labels::default(),
            state,
            value,
            active_at: WallTime::from_millis(1),
            fired_at: None,
            resolved_at: None,
            keep_firing_since: None,
        };
        let mut rule = RuleState::default();
        rule.alerts.push(alert);
        let mut group = GroupState::default();
        group.rules.push(rule);
        group
    }

    #[test]
    fn an_alert_stands_as_it_stood_whatever_its_value() {
        let same = |a: &GroupState, b: &GroupState| {
            standing([a].into_iter()).eq(standing([b].into_iter()))
        };
        let firing = group(State::Firing, 1.0);
        assert!(same(&firing, &group(State::Firing, 2.0)));
        assert!(!same(&firing, &group(State::Inactive, 1.0)));
        assert!(!same(&firing, &GroupState::default()));
    }
}
