//! What is sent to one receiver about one group.

use std::collections::BTreeMap;

use highwater_core::print::fnv1a;
use highwater_core::time::WallTime;
use serde::{Deserialize, Serialize};

use super::report::{Report, written};

/// So many alerts are in a notice; of more their number is told. Nobody reads five hundred.
const MOST_ALERTS: usize = 500;

/// A notice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// The same for the same notice however often it is sent: by it a receiver can tell a repetition.
    pub id: String,
    /// To whom.
    pub receiver: String,
    /// The labels that the group's alerts have in common by its definition.
    pub group: BTreeMap<String, String>,
    /// When it was made.
    pub at: WallTime,
    /// Its alerts: those that fire first.
    pub alerts: Vec<Report>,
    /// So many more there are.
    pub left_out: usize,
    /// Nothing happened: somebody tries whether it arrives.
    pub test: bool,
}

impl Notice {
    /// A notice of `alerts` to `receiver`.
    pub fn new(
        receiver: &str,
        group: BTreeMap<String, String>,
        alerts: Vec<Report>,
        at: WallTime,
    ) -> Self {
        let print = fnv1a(format!("{receiver}\n{}\n{}", written(&group), at.millis()).as_bytes());
        let id = format!("{print:016x}");
        let notice =
            Self { id, receiver: receiver.to_owned(), group, at, alerts, left_out: 0, test: false };
        notice.bounded()
    }

    /// The group's name among all, as Alertmanager writes it.
    pub fn group_key(&self) -> String {
        format!("{{}}:{}", written(&self.group))
    }

    /// How many of its alerts fire.
    pub fn firing(&self) -> usize {
        self.alerts.iter().filter(|alert| alert.ends_at.is_none()).count()
    }

    /// This notice, which never arrived, and a `newer` one of the same group as one: the newest state
    /// of each alert, and the end of those that the newer one no longer knows.
    #[must_use]
    pub(super) fn merged(self, newer: Self) -> Self {
        let began: BTreeMap<String, WallTime> =
            self.alerts.iter().map(|alert| (alert.key(), alert.starts_at)).collect();
        let ended = self.alerts.into_iter().filter(|alert| alert.ends_at.is_some());
        let mut alerts: BTreeMap<String, Report> =
            ended.map(|alert| (alert.key(), alert)).collect();
        for mut alert in newer.alerts {
            let key = alert.key();
            if let (Some(_), Some(began)) = (alert.ends_at, began.get(&key)) {
                alert.starts_at = alert.starts_at.min(*began);
            }
            alerts.insert(key, alert);
        }
        Self { alerts: alerts.into_values().collect(), ..newer }.bounded()
    }

    fn bounded(mut self) -> Self {
        self.alerts.sort_by_key(|alert| alert.ends_at.is_some());
        let more = self.alerts.len().saturating_sub(MOST_ALERTS);
        self.alerts.truncate(MOST_ALERTS);
        self.left_out = self.left_out.saturating_add(more);
        self
    }
}
