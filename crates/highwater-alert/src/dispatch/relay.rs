//! What an Alertmanager is told: each alert again every minute, by Prometheus's own rules.
//!
//! It groups, repeats and silences by itself, and forgets what it is no longer told. So nothing waits
//! for it in an outbox: what fires is told anew, and of what it accepted as firing the end is told until
//! it has accepted that, too.

use std::collections::BTreeMap;
use std::time::Duration;

use highwater_core::time::WallTime;
use serde::{Deserialize, Serialize};

use super::report::Report;
use super::{Delivery, is_ahead, pause};

/// How often an alert is told again.
const RESEND: Duration = Duration::from_mins(1);
/// How long an end is told again.
const RESOLVED: Duration = Duration::from_mins(15);
/// An end that was never accepted is told for a day: the Alertmanager forgot the alert long ago.
const LONGEST_OWED: Duration = Duration::from_hours(24);
/// So many alerts go into one request.
const MOST_AT_ONCE: usize = 256;
/// It is asked at least this often: an alert may not go out in between.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// What one Alertmanager knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relay {
    /// What it accepted as firing; of these, the end of what has ended.
    known: BTreeMap<String, Report>,
    /// What it is to be told at present.
    #[serde(skip)]
    now: BTreeMap<String, Report>,
    /// When it accepted what last, and whether that was the end.
    #[serde(skip)]
    accepted: BTreeMap<String, (WallTime, bool)>,
    /// What is on its way.
    #[serde(skip)]
    out: Vec<Report>,
    #[serde(skip)]
    failures: u32,
    #[serde(skip)]
    not_before: WallTime,
}

impl Relay {
    /// Takes in all alerts that fire or ended lately. One that it knows and that is no longer among
    /// them has ended.
    pub fn round(&mut self, reports: &[Report], now: WallTime) {
        self.now = reports.iter().map(|report| (report.key(), report.clone())).collect();
        self.known
            .retain(|_, report| report.ends_at.is_none_or(|ended| now.since(ended) < LONGEST_OWED));
        for (key, known) in &mut self.known {
            if let Some(report) = self.now.get(key) {
                *known = report.clone();
            } else {
                known.ends_at = known.ends_at.or(Some(now));
                self.now.insert(key.clone(), known.clone());
            }
        }
        self.accepted.retain(|key, _| self.now.contains_key(key));
    }

    /// What is to be told now, as one request; until [`Relay::settle`] there is no other. What fires is
    /// said to end when it has not been told again for four minutes.
    pub fn next(&mut self, now: WallTime) -> &[Report] {
        if !self.out.is_empty() || is_ahead(self.not_before, LONGEST_WAIT, now) {
            return &[];
        }
        let until = now.after(RESEND.saturating_mul(4));
        let due = self.now.iter().filter(|(key, report)| self.is_due(key, report, now));
        let told = |(_, report): (_, &Report)| Report {
            ends_at: report.ends_at.or(Some(until)),
            ..report.clone()
        };
        self.out = due.take(MOST_AT_ONCE).map(told).collect();
        &self.out
    }

    fn is_due(&self, key: &str, report: &Report, now: WallTime) -> bool {
        let ended = report.ends_at.is_some();
        match self.accepted.get(key) {
            None => !ended || self.known.contains_key(key) || !past(report, RESOLVED, now),
            Some((_, was_end)) if *was_end != ended => true,
            Some((at, _)) => {
                !is_ahead(at.after(RESEND), RESEND, now) && !past(report, RESOLVED, now)
            }
        }
    }

    /// How what was on its way fared. Whether the Alertmanager knows of an alert or an end that it did
    /// not know of: then this is to be stored.
    pub fn settle(&mut self, went: Delivery, now: WallTime) -> bool {
        let out = std::mem::take(&mut self.out);
        if let Delivery::Later(asked) = went {
            self.failures = self.failures.saturating_add(1);
            self.not_before = now.after(pause(self.failures, asked, "relay").min(LONGEST_WAIT));
            return false;
        }
        self.failures = 0;
        let mut changed = false;
        for report in out {
            let key = report.key();
            let ended = report.ends_at.is_some_and(|at| at <= now);
            self.accepted.insert(key.clone(), (now, ended));
            if ended {
                changed |= self.known.remove(&key).is_some();
            } else if let Some(current) = self.now.get(&key) {
                changed |= self.known.insert(key, current.clone()).is_none();
            }
        }
        changed
    }
}

/// Whether `report` ended longer ago than `span`.
fn past(report: &Report, span: Duration, now: WallTime) -> bool {
    report.ends_at.is_some_and(|at| now.since(at) > span)
}
