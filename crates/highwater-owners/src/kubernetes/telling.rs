//! From what Kubernetes says to testimony.

use highwater_core::evidence::Evidence;
use highwater_core::owner::Owner;
use highwater_core::testimony::{Fact, Party, PodWord, Signal, Testimony, Witness};
use highwater_core::time::WallTime;
use jiff::{SignedDuration, Timestamp};

use super::pods::{Container, Incident, Pod, Terminated};
use crate::told::{Told, cited, cut};

/// The longest name that the API allows has 253 characters.
const NAME_CHARS: usize = 253;

/// All that a pod's state tells of ends.
pub(super) fn of_pod(pod: &Pod, source: &str) -> Vec<Told> {
    let Some(whose) = Whose::of_pod(pod, source) else { return Vec::new() };
    let mut all = Vec::new();
    for container in pod.statuses() {
        // The older of the two first.
        let states = [("lastState", &container.last_state), ("state", &container.state)];
        for (field, state) in states {
            if let Some(end) = &state.terminated {
                all.push(terminated(&whose, container, field, end));
            }
        }
    }
    if let Some((message, at)) = pod.eviction() {
        let fact = PodWord::Evicted { message: cited(message.as_bytes()) };
        let words = format!("{} Evicted: {message}", pod.phase());
        all.extend(whose.each(pod, at, "evicted", &fact, &words));
    }
    if let Some((by, grace)) = pod.deletion() {
        // The API gives the moment by which it has to be gone.
        let span = SignedDuration::from_secs(grace.and_then(|s| s.try_into().ok()).unwrap_or(0));
        let asked = by.checked_sub(span).unwrap_or(by);
        let fact = PodWord::Deleting { grace };
        let grace = grace.map(|grace| format!(" deletionGracePeriodSeconds={grace}"));
        let words = format!("deletionTimestamp={by}{}", grace.unwrap_or_default());
        all.extend(whose.each(pod, Some(asked), "deleting", &fact, &words));
    }
    all
}

/// What an event tells.
pub(super) fn of_incident(incident: &Incident) -> Option<Told> {
    let (namespace, pod) = incident.pod()?;
    let whose = Whose {
        uid: incident.pod_uid().unwrap_or(pod),
        namespace,
        pod,
        source: "API server /api/v1/events",
    };
    let message = cited(incident.message().as_bytes());
    let word = match incident.reason() {
        "Killing" => PodWord::Killing { message },
        "Evicted" => PodWord::Evicted { message },
        _ => return None,
    };
    let container = incident.container().unwrap_or_default();
    let words = format!("{}: {}", incident.reason(), incident.message());
    let moment = moment(&incident.reason().to_ascii_lowercase(), incident.at(), &words);
    Some(whose.told(whose.party(container, None), incident.at(), &moment, word, &words))
}

fn terminated(whose: &Whose<'_>, container: &Container, field: &str, end: &Terminated) -> Told {
    let wall = |at: Option<Timestamp>| at.map(WallTime::from);
    let reason = end.reason.as_deref().map(|reason| cut(reason.as_bytes(), NAME_CHARS));
    let word = PodWord::Terminated {
        code: end.exit_code,
        signal: end.signal.filter(|signal| *signal > 0).map(Signal),
        started: wall(end.started()),
        finished: wall(end.finished()),
        restarts: container.restart_count,
        reason,
    };
    let mut words = format!("{field}.terminated");
    let mut add = |key: &str, value: Option<String>| {
        words.extend(value.map(|value| format!(" {key}={value}")));
    };
    add("reason", end.reason.clone());
    add("exitCode", end.exit_code.map(|code| code.to_string()));
    add("restartCount", container.restart_count.map(|count| count.to_string()));
    add("message", end.message.clone().filter(|message| !message.is_empty()));
    if let Some(waiting) = &container.state.waiting {
        add("state.waiting.reason", waiting.reason.clone());
        add("state.waiting.message", waiting.message.clone());
    }
    // What has no moment is told apart by its life: the rest of the words changes.
    let life = || match end.id() {
        Some(id) => format!("life-{id}"),
        None => format!("life-{}", hash(&format!("{:?} {:?}", end.reason, end.message))),
    };
    let moment = end.finished().map_or_else(life, |at| at.as_millisecond().to_string());
    let about = whose.party(container.name(), end.id());
    whose.told(about, end.finished(), &moment, word, &words)
}

/// The pod that is told of, and who tells.
struct Whose<'a> {
    uid: &'a str,
    namespace: &'a str,
    pod: &'a str,
    source: &'a str,
}

impl<'a> Whose<'a> {
    fn of_pod(pod: &'a Pod, source: &'a str) -> Option<Self> {
        let (namespace, name) = pod.name()?;
        Some(Self { uid: pod.uid().unwrap_or(name), namespace, pod: name, source })
    }

    /// Of each of the pod's own containers the same.
    fn each(
        &self,
        pod: &Pod,
        at: Option<Timestamp>,
        what: &str,
        word: &PodWord,
        words: &str,
    ) -> Vec<Told> {
        let moment = moment(what, at, words);
        let of = |name| self.told(self.party(name, None), at, &moment, word.clone(), words);
        pod.containers().into_iter().map(of).collect()
    }

    fn party(&self, container: &str, id: Option<&str>) -> Party {
        let plain = |text: &str| cut(text.as_bytes(), NAME_CHARS);
        let owner = Owner::Pod {
            namespace: plain(self.namespace),
            pod: plain(self.pod),
            container: plain(container),
        };
        Party { container_id: id.map(str::to_owned), ..Party::of_owner(owner) }
    }

    fn told(
        &self,
        about: Party,
        at: Option<Timestamp>,
        moment: &str,
        word: PodWord,
        words: &str,
    ) -> Told {
        let container = about.owner.as_ref().and_then(Owner::container).unwrap_or_default();
        let key = format!("kube:{}:{container}:{moment}", cut(self.uid.as_bytes(), NAME_CHARS));
        let evidence =
            Evidence { source: self.source.to_owned(), line: None, text: cited(words.as_bytes()) };
        let fact = Fact::Pod(word);
        let testimony = Testimony { witness: Witness::Kubernetes, about, fact, evidence };
        Told { wall: at.map(WallTime::from), boot: None, key, testimony }
    }
}

/// What tells this from another of its kind.
fn moment(what: &str, at: Option<Timestamp>, words: &str) -> String {
    let at = at.map_or_else(|| hash(words), |at| at.as_millisecond().to_string());
    format!("{what}-{at}")
}

/// Tells words apart that have no moment (FNV-1a): keys are kept, so it must not change.
fn hash(words: &str) -> String {
    let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    format!("{:016x}", words.bytes().fold(0xcbf2_9ce4_8422_2325, mix))
}
