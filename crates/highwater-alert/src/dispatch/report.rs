//! What is said of one alert: what the rule says, and what the recorder adds.

use std::collections::BTreeMap;

use highwater_core::print::fnv1a;
use highwater_core::series::Labels;
use highwater_core::text::quoted;
use highwater_core::time::WallTime;
use highwater_core::units::Bytes;
use serde::{Deserialize, Serialize};

use crate::{Alert, State};

/// An alert that fires or has ended, with all that is said of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Its identity.
    pub labels: BTreeMap<String, String>,
    /// What people read.
    pub annotations: BTreeMap<String, String>,
    /// When it began to fire.
    pub starts_at: WallTime,
    /// When it ended.
    pub ends_at: Option<WallTime>,
    /// Where its expression can be looked at.
    pub generator_url: String,
    /// What the recorder knows of it.
    pub context: Context,
    /// It came and went too often to be told each time.
    #[serde(default)]
    pub flaps: bool,
}

/// What the recorder knows of an alert, beyond its rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Context {
    /// Whose memory it is about.
    pub owner: Option<String>,
    /// What is known of the cause, in a sentence.
    pub verdict: Option<String>,
    /// Where there is more to read.
    pub page: Option<String>,
    /// The largest processes, the largest first.
    pub processes: Vec<TopProcess>,
}

/// A process and what it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopProcess {
    /// Its name.
    pub name: String,
    /// Its number.
    pub pid: u32,
    /// How much memory it holds.
    pub bytes: u64,
}

impl Report {
    /// What is said of `alert`; nothing while it is pending.
    pub fn of(alert: &Alert, generator_url: String, context: Context) -> Option<Self> {
        let ends_at = match alert.state {
            State::Pending => return None,
            State::Firing => None,
            State::Inactive => Some(alert.resolved_at?),
        };
        Some(Self {
            labels: pairs(&alert.labels),
            annotations: pairs(&alert.annotations),
            starts_at: alert.fired_at?,
            ends_at,
            generator_url,
            context,
            flaps: false,
        })
    }

    /// The labels as one text: by it alerts are told apart.
    pub fn key(&self) -> String {
        written(&self.labels)
    }

    /// Its number as Prometheus and Alertmanager reckon it: 16 hexadecimal digits. It tells alerts
    /// apart for people's programs; anybody can make two labels with one number.
    pub fn fingerprint(&self) -> String {
        let mut bytes = Vec::new();
        for (name, value) in &self.labels {
            bytes.extend_from_slice(name.as_bytes());
            bytes.push(0xff);
            bytes.extend_from_slice(value.as_bytes());
            bytes.push(0xff);
        }
        format!("{:016x}", fnv1a(&bytes))
    }

    /// The annotations with what the recorder adds, for receivers that are programs. What the rule
    /// says under the same name stays.
    pub fn all_annotations(&self) -> BTreeMap<String, String> {
        let Context { owner, verdict, page, processes } = &self.context;
        let list: Vec<String> = processes.iter().map(TopProcess::to_string).collect();
        let list = (!list.is_empty()).then(|| list.join(", "));
        let own = [
            ("owner", owner.clone()),
            ("verdict", verdict.clone()),
            ("page", page.clone()),
            ("top_processes", list),
        ];
        let mut all = self.annotations.clone();
        for (name, text) in own {
            if let Some(text) = text {
                all.entry(name.to_owned()).or_insert(text);
            }
        }
        all
    }

    /// The rule's name.
    pub fn name(&self) -> &str {
        self.labels.get("alertname").map_or("alert", String::as_str)
    }
}

impl std::fmt::Display for TopProcess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (pid {}) {}", self.name, self.pid, Bytes::new(self.bytes))
    }
}

/// Labels as a selector writes them.
pub(super) fn written(labels: &BTreeMap<String, String>) -> String {
    let one = |(name, value): (&String, &String)| format!("{name}={}", quoted(value.as_bytes()));
    format!("{{{}}}", labels.iter().map(one).collect::<Vec<_>>().join(", "))
}

fn pairs(labels: &Labels) -> BTreeMap<String, String> {
    labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(state: State) -> Alert {
        Alert {
            labels: Labels::new([("alertname", "Full"), ("id", "/a \"b\"")]),
            annotations: Labels::new([("owner", "the rule's")]),
            state,
            value: 1.0,
            active_at: WallTime::from_millis(1),
            fired_at: Some(WallTime::from_millis(2)),
            resolved_at: (state == State::Inactive).then(|| WallTime::from_millis(3)),
            keep_firing_since: None,
        }
    }

    #[test]
    fn what_fires_or_ended_is_told_and_what_is_pending_is_not() {
        let of = |state| Report::of(&alert(state), String::new(), Context::default());
        assert_eq!(of(State::Pending), None);
        assert_eq!(of(State::Firing).unwrap().ends_at, None);
        let ended = of(State::Inactive).unwrap();
        assert_eq!((ended.starts_at.millis(), ended.ends_at.unwrap().millis()), (2, 3));
        assert_eq!(ended.key(), r#"{alertname="Full", id="/a \"b\""}"#);
    }

    #[test]
    fn the_recorder_adds_to_what_the_rule_says_and_does_not_replace_it() {
        let processes = vec![TopProcess { name: "node".to_owned(), pid: 7, bytes: 3 << 20 }];
        let context = Context { owner: Some("ours".to_owned()), processes, ..Context::default() };
        let report = Report::of(&alert(State::Firing), String::new(), context).unwrap();
        let all = report.all_annotations();
        assert_eq!(all["owner"], "the rule's");
        assert_eq!(all["top_processes"], "node (pid 7) 3 MiB");
        assert_eq!(all.get("verdict"), None);
    }
}
