//! One step of one rule: the vector that its expression gave becomes samples and alerts.

use std::time::Duration;

use highwater_core::series::{Labels, NAME, STALE};
use highwater_core::time::WallTime;

use super::{Made, Recorded, RuleState};
use crate::alert::{Alert, State, for_state};
use crate::rule::{Kind, Rule};

/// An alert that ended is told again for this long (Prometheus: `resolvedRetention`).
const RESOLVED: Duration = Duration::from_mins(15);

/// Expands a template for a series with these labels and this value.
pub type Expand<'a> = dyn FnMut(&str, &Labels, f64) -> String + 'a;

impl RuleState {
    /// Takes the vector that the rule's expression gave at a moment, whose samples are recorded so
    /// far before it (`query_offset`). What is recorded comes back, ends included.
    ///
    /// # Errors
    /// Two series that are the same after the rule's labels are set; more than `limit` of them,
    /// unless it is zero.
    pub fn advance(
        &mut self,
        rule: &Rule,
        limit: usize,
        vector: Vec<(Labels, f64)>,
        (at, offset): (WallTime, Duration),
        expand: &mut Expand<'_>,
    ) -> Result<Vec<Recorded>, String> {
        let recorded_at = at.before(offset);
        let made = match &rule.kind {
            Kind::Record(name) => record(name, rule, limit, vector)?,
            Kind::Alert { name, hold, keep, annotations } => {
                let mut matching = Made::new();
                for (labels, value) in vector {
                    let alert = alert(name, rule, annotations, (labels, value), at, expand);
                    if matching.insert(alert.labels.clone(), alert).is_some() {
                        return Err(twice("alert"));
                    }
                }
                self.step(matching, (*hold, *keep), limit, at)?;
                self.samples()
            }
        };
        let ended = self.series.iter().filter(|labels| !made.contains_key(labels));
        let ended =
            ended.map(|labels| Recorded { labels: labels.clone(), at: recorded_at, value: STALE });
        let mut recorded: Vec<Recorded> = ended.collect();
        self.series = made.keys().cloned().collect();
        let fresh = made.into_iter();
        recorded.extend(fresh.map(|(labels, value)| Recorded { labels, at: recorded_at, value }));
        Ok(recorded)
    }

    /// Moves the alerts on: `matching` are those whose series are there.
    fn step(
        &mut self,
        mut matching: Made<Alert>,
        (hold, keep): (Duration, Duration),
        limit: usize,
        at: WallTime,
    ) -> Result<(), String> {
        let mut active = 0_usize;
        let mut next = Made::new();
        for mut alert in std::mem::take(&mut self.alerts) {
            if alert.state == State::Inactive && matching.contains_key(&alert.labels) {
                // It comes again: a new one.
                continue;
            }
            match matching.remove(&alert.labels) {
                Some(now) => renew(&mut alert, now, hold, at),
                None if !linger(&mut alert, keep, at) => continue,
                None => {}
            }
            active = active.saturating_add(usize::from(alert.state != State::Inactive));
            next.insert(alert.labels.clone(), alert);
        }
        for (labels, mut alert) in matching {
            ripen(&mut alert, hold, at);
            active = active.saturating_add(1);
            next.insert(labels, alert);
        }
        if limit > 0 && active > limit {
            // As in Prometheus, nothing is left of the alerts.
            return Err(format!("exceeded limit of {limit} with {active} alerts"));
        }
        self.alerts = next.into_values().collect();
        Ok(())
    }

    /// `ALERTS` and `ALERTS_FOR_STATE` of the alerts as they stand.
    fn samples(&self) -> Made<f64> {
        let mut made = Made::new();
        for alert in self.alerts.iter().filter(|alert| alert.state != State::Inactive) {
            let mut labels = alert.labels.clone();
            labels.set(NAME, "ALERTS_FOR_STATE");
            made.insert(labels.clone(), for_state(alert.active_at));
            labels.set(NAME, "ALERTS");
            labels.set("alertstate", alert.state.word());
            made.insert(labels, 1.0);
        }
        made
    }
}

fn record(
    name: &str,
    rule: &Rule,
    limit: usize,
    vector: Vec<(Labels, f64)>,
) -> Result<Made<f64>, String> {
    let mut made = Made::new();
    for (mut labels, value) in vector {
        labels.set(NAME, name);
        for (label, text) in &rule.labels {
            labels.set(label, text.as_str());
        }
        if made.insert(labels, value).is_some() {
            return Err(twice("rule"));
        }
    }
    if limit > 0 && made.len() > limit {
        return Err(format!("exceeded limit of {limit} with {} series", made.len()));
    }
    Ok(made)
}

fn twice(of: &str) -> String {
    format!("vector contains metrics with the same labelset after applying {of} labels")
}

/// A new alert for one series.
fn alert(
    name: &str,
    rule: &Rule,
    annotations: &[(String, String)],
    (series, value): (Labels, f64),
    at: WallTime,
    expand: &mut Expand<'_>,
) -> Alert {
    let mut labels = series.clone();
    labels.set(NAME, "");
    for (label, text) in &rule.labels {
        labels.set(label, expand(text, &series, value));
    }
    labels.set("alertname", name);
    let texts = annotations.iter().map(|(label, text)| (label, expand(text, &series, value)));
    Alert {
        labels,
        annotations: Labels::new(texts.collect::<Vec<_>>()),
        state: State::Pending,
        value,
        active_at: at,
        fired_at: None,
        resolved_at: None,
        keep_firing_since: None,
    }
}

/// An alert that still matches.
fn renew(alert: &mut Alert, now: Alert, hold: Duration, at: WallTime) {
    alert.value = now.value;
    alert.annotations = now.annotations;
    alert.keep_firing_since = None;
    if alert.state == State::Firing && at.since(alert.active_at) < hold {
        // The rule was changed to wait longer.
        alert.state = State::Pending;
        alert.fired_at = None;
    }
    ripen(alert, hold, at);
}

/// A pending alert that has matched for long enough fires.
fn ripen(alert: &mut Alert, hold: Duration, at: WallTime) {
    if alert.state == State::Pending && at.since(alert.active_at) >= hold {
        alert.state = State::Firing;
        alert.fired_at = Some(at);
    }
}

/// An alert that does not match any more; whether it stays in memory.
fn linger(alert: &mut Alert, keep: Duration, at: WallTime) -> bool {
    match alert.state {
        State::Pending => false,
        State::Inactive => alert.resolved_at.is_some_and(|ended| at.since(ended) <= RESOLVED),
        State::Firing => {
            let since = *alert.keep_firing_since.get_or_insert(at);
            if keep.is_zero() || at.since(since) >= keep {
                alert.state = State::Inactive;
                alert.resolved_at = Some(at);
            }
            true
        }
    }
}
