//! One line of `/events`: what happened to a container, as the daemon says it.
//!
//! The form is that of the Docker Engine API, "Monitor events"; Podman's compatible socket writes
//! the same with a few other words.

use highwater_core::owner::Owner;
use highwater_core::testimony::Signal;
use serde_json::{Map, Value};

use crate::told::{cited, cut};

/// The longest name that is kept: names have 64 characters where people choose them.
const NAME_CHARS: usize = 128;

/// The digits of a container's id.
const ID_DIGITS: usize = 64;

/// The length of a task's id in the name of a swarm's container: `web.1.t6dnjpuvy6tq6tyrtt5w6nsp0`.
const TASK_DIGITS: usize = 25;

/// A container, as the daemon names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    /// The whole id.
    pub(super) id: String,
    /// Whose it is: the name that stays when it is made anew.
    pub(super) owner: Owner,
}

/// Something that happened to a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Event {
    /// When, in nanoseconds since 1970.
    pub(super) ns: u64,
    /// To which.
    pub(super) whom: Named,
    /// What.
    pub(super) action: Action,
    /// The daemon's word for it, with what it says of it, to be cited.
    pub(super) words: String,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Created,
    Started,
    Died { code: Option<i32> },
    Kill { signal: Option<Signal> },
    Oom,
    Stopped,
    Restarted,
    Destroyed,
    Renamed,
    Health { status: String },
}

impl Action {
    /// The word as keys have it.
    pub(super) const fn word(&self) -> &'static str {
        match self {
            Self::Created => "create",
            Self::Started => "start",
            Self::Died { .. } => "die",
            Self::Kill { .. } => "kill",
            Self::Oom => "oom",
            Self::Stopped => "stop",
            Self::Restarted => "restart",
            Self::Destroyed => "destroy",
            Self::Renamed => "rename",
            Self::Health { .. } => "health",
        }
    }

    fn of(word: &str, attributes: &Map<String, Value>) -> Option<Self> {
        let text = |key: &str| attributes.get(key).and_then(Value::as_str);
        let code = || text("exitCode").or_else(|| text("containerExitCode"))?.parse().ok();
        Some(match word {
            "create" => Self::Created,
            "start" => Self::Started,
            "die" | "died" => Self::Died { code: code() },
            "kill" => Self::Kill { signal: text("signal").and_then(signal) },
            "oom" => Self::Oom,
            "stop" => Self::Stopped,
            "restart" => Self::Restarted,
            "destroy" | "remove" => Self::Destroyed,
            "rename" => Self::Renamed,
            "health_status" => Self::Health { status: cut(text("health_status")?.as_bytes(), 32) },
            _ => {
                let status = word.strip_prefix("health_status:")?.trim();
                Self::Health { status: cut(status.as_bytes(), 32) }
            }
        })
    }
}

/// `9`, `KILL` or `SIGKILL`.
fn signal(text: &str) -> Option<Signal> {
    text.parse().ok().map(Signal).or_else(|| Signal::of_name(text))
}

impl Event {
    /// Reads one line; of another kind than is wanted here, or no event at all: `None`.
    pub(super) fn parse(line: &[u8]) -> Option<Self> {
        let event: Value = serde_json::from_slice(line).ok()?;
        let is_container = event.get("Type").and_then(Value::as_str) == Some("container");
        let actor = event.get("Actor").filter(|_| is_container)?;
        let none = Map::new();
        let attributes = actor.get("Attributes").and_then(Value::as_object).unwrap_or(&none);
        let word = event.get("Action").and_then(Value::as_str)?;
        let action = Action::of(word, attributes)?;
        let name = attributes.get("name").and_then(Value::as_str).unwrap_or_default();
        let whom = Named::of(actor.get("ID").and_then(Value::as_str)?, name, attributes)?;
        Some(Self { ns: moment(&event)?, whom, action, words: words(word, name, attributes) })
    }
}

/// When the event of this line happened, of whatever kind it is.
pub(super) fn moment_of(line: &[u8]) -> Option<u64> {
    moment(&serde_json::from_slice(line).ok()?)
}

fn moment(event: &Value) -> Option<u64> {
    let nanos = event.get("timeNano").and_then(Value::as_u64).filter(|ns| *ns > 0);
    nanos.or_else(|| event.get("time")?.as_u64()?.checked_mul(1_000_000_000))
}

/// `die web exitCode=137 image=nginx`: without the labels, which say nothing of a death.
fn words(word: &str, name: &str, attributes: &Map<String, Value>) -> String {
    let mut words = format!("{} {}", cut(word.as_bytes(), 64), cut(name.as_bytes(), NAME_CHARS));
    for key in ["exitCode", "containerExitCode", "signal", "oldName", "image", "execDuration"] {
        if let Some(value) = attributes.get(key).and_then(Value::as_str) {
            words.extend([" ", key, "=", cut(value.as_bytes(), NAME_CHARS).as_str()]);
        }
    }
    cited(words.as_bytes())
}

impl Named {
    /// The container `id`, called `name`, with these labels.
    pub(super) fn of(id: &str, name: &str, labels: &Map<String, Value>) -> Option<Self> {
        let is_id = !id.is_empty() && id.len() <= ID_DIGITS;
        if !is_id || !id.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        let label = |key: &str| {
            let text = labels.get(key)?.as_str()?;
            (!text.is_empty()).then(|| cut(text.as_bytes(), NAME_CHARS))
        };
        let name = stable(name.trim_start_matches('/'));
        let plain = if name.is_empty() { id.to_owned() } else { cut(name.as_bytes(), NAME_CHARS) };
        let pod = || {
            Some(Owner::Pod {
                namespace: label("io.kubernetes.pod.namespace")?,
                pod: label("io.kubernetes.pod.name")?,
                container: label("io.kubernetes.container.name")?,
            })
        };
        Some(Self { id: id.to_owned(), owner: pod().unwrap_or(Owner::Container(plain)) })
    }

    /// The first twelve digits, as people see it.
    pub(super) fn short(&self) -> &str {
        self.id.get(..12).unwrap_or(&self.id)
    }
}

/// The part of a name that stays: a swarm gives each life of `web.1` another end.
fn stable(name: &str) -> &str {
    let is_task = |end: &str| {
        end.len() == TASK_DIGITS && end.bytes().all(|digit| digit.is_ascii_alphanumeric())
    };
    match name.rsplit_once('.') {
        Some((slot, task)) if slot.contains('.') && is_task(task) => slot,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORDED: &str = include_str!("../../../../fixtures/docker/events.jsonl");

    fn one(text: &str) -> Option<Event> {
        Event::parse(text.as_bytes())
    }

    fn of(action: &str, attributes: &str) -> Option<Event> {
        one(&format!(
            r#"{{"Type":"container","Action":"{action}","timeNano":7,
                "Actor":{{"ID":"c8f3dd0704cf","Attributes":{{{attributes}}}}}}}"#
        ))
    }

    #[test]
    fn each_recorded_line_is_an_event() {
        let events: Vec<Event> = RECORDED.lines().filter_map(one).collect();
        assert_eq!(events.len(), RECORDED.lines().count());
        let stop: Vec<&str> = events.iter().take(6).map(|event| event.words.as_str()).collect();
        assert_eq!(
            stop,
            [
                "create stubborn image=scenes",
                "start stubborn image=scenes",
                "kill stubborn signal=15 image=scenes",
                "kill stubborn signal=9 image=scenes",
                "die stubborn exitCode=137 image=scenes",
                "stop stubborn image=scenes",
            ]
        );
        let actions: Vec<&Action> = events.iter().map(|event| &event.action).collect();
        assert!(actions.contains(&&Action::Kill { signal: Some(Signal::TERM) }));
        assert!(actions.contains(&&Action::Died { code: Some(137) }));
        assert!(actions.contains(&&Action::Health { status: "unhealthy".to_owned() }));
        assert!(actions.contains(&&Action::Oom) && actions.contains(&&Action::Renamed));
    }

    #[test]
    fn other_daemons_have_other_words() {
        let died = of("died", r#""containerExitCode":"1","name":"web""#).unwrap();
        assert_eq!(died.action, Action::Died { code: Some(1) });
        let health = of("health_status", r#""health_status":"healthy","name":"web""#).unwrap();
        assert_eq!(health.action, Action::Health { status: "healthy".to_owned() });
        let kill = of("kill", r#""signal":"SIGKILL""#).unwrap();
        assert_eq!(kill.action, Action::Kill { signal: Some(Signal::KILL) });
        assert_eq!(kill.whom.owner, Owner::Container("c8f3dd0704cf".to_owned()));
    }

    #[test]
    fn a_name_is_the_one_that_stays() {
        let swarm = of("start", r#""name":"web.1.t6dnjpuvy6tq6tyrtt5w6nsp0""#).unwrap();
        assert_eq!(swarm.whom.owner, Owner::Container("web.1".to_owned()));
        let plain = of("start", r#""name":"a.b""#).unwrap();
        assert_eq!(plain.whom.owner, Owner::Container("a.b".to_owned()));
        let pod = r#""name":"k8s_web_shop_default_1_0","io.kubernetes.pod.namespace":"default",
            "io.kubernetes.pod.name":"shop","io.kubernetes.container.name":"web""#;
        let pod = of("die", pod).unwrap();
        assert_eq!(pod.whom.owner.to_string(), "container web of pod default/shop");
    }

    #[test]
    fn garbage_is_no_event() {
        let deep = "[".repeat(60_000);
        for line in ["", "{}", "null", "{\"Type\":1}", "\u{0}", "{\"Type\":\"container\"", &deep] {
            assert_eq!(one(line), None);
        }
        assert_eq!(of("exec_die", ""), None);
        assert_eq!(of("pause", ""), None);
        assert_eq!(one(r#"{"Type":"network","Action":"start","Actor":{"ID":"a"}}"#), None);
        let hostile = r#"{"Type":"container","Action":"die","time":1,"Actor":{"ID":"../x"}}"#;
        assert_eq!(one(hostile), None);
        for line in RECORDED.lines() {
            for end in 0..line.len() {
                assert_eq!(one(line.get(..end).unwrap_or_default()), None);
            }
        }
    }

    #[test]
    fn a_hostile_name_is_made_harmless() {
        let event = of("die", r#""name":"a\u001b[31m\nKilled process 1""#).unwrap();
        assert_eq!(event.whom.owner.id(), r"a\x1b[31m\nKilled process 1");
        assert!(!event.words.contains('\u{1b}'));
        let long = of("die", &format!(r#""name":"{}""#, "x".repeat(9_000))).unwrap();
        assert!(long.whom.owner.id().chars().count() <= NAME_CHARS + 1);
    }
}
