//! Pods and events, as the Kubernetes API (`core/v1`) has them: the parts that tell of ends.

use jiff::Timestamp;
use serde::Deserialize;

/// What a runtime's id begins with: `containerd://`, `cri-o://`, `docker://`.
const SCHEME: &str = "://";

/// The most containers of one pod that are looked at.
const MOST_CONTAINERS: usize = 100;

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Pod {
    metadata: Metadata,
    spec: Spec,
    status: Status,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Metadata {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    deletion_timestamp: Option<String>,
    deletion_grace_period_seconds: Option<u64>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    containers: Option<Vec<Planned>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Planned {
    name: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    phase: Option<String>,
    reason: Option<String>,
    message: Option<String>,
    conditions: Option<Vec<Condition>>,
    container_statuses: Option<Vec<Container>>,
    init_container_statuses: Option<Vec<Container>>,
    ephemeral_container_statuses: Option<Vec<Container>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Condition {
    r#type: Option<String>,
    last_transition_time: Option<String>,
}

/// How one container of a pod stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Container {
    name: Option<String>,
    #[serde(rename = "containerID")]
    id: Option<String>,
    pub(super) restart_count: Option<u32>,
    pub(super) state: State,
    pub(super) last_state: State,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct State {
    pub(super) waiting: Option<Waiting>,
    pub(super) terminated: Option<Terminated>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Waiting {
    pub(super) reason: Option<String>,
    pub(super) message: Option<String>,
}

/// How a life of a container ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Terminated {
    pub(super) exit_code: Option<i32>,
    pub(super) signal: Option<u8>,
    pub(super) reason: Option<String>,
    pub(super) message: Option<String>,
    started_at: Option<String>,
    finished_at: Option<String>,
    #[serde(rename = "containerID")]
    container_id: Option<String>,
}

impl Pod {
    /// Namespace and name.
    pub(super) fn name(&self) -> Option<(&str, &str)> {
        let name = self.metadata.name.as_deref()?;
        Some((self.metadata.namespace.as_deref().unwrap_or("default"), name))
    }

    pub(super) fn uid(&self) -> Option<&str> {
        self.metadata.uid.as_deref()
    }

    /// All containers that were made: those that prepare, the pod's own, those for debugging.
    pub(super) fn statuses(&self) -> impl Iterator<Item = &Container> {
        let kinds = [
            &self.status.init_container_statuses,
            &self.status.container_statuses,
            &self.status.ephemeral_container_statuses,
        ];
        kinds.into_iter().flatten().flatten().take(MOST_CONTAINERS)
    }

    /// The names of the pod's own containers.
    pub(super) fn containers(&self) -> Vec<&str> {
        let made = self.status.container_statuses.iter().flatten().filter_map(Container::own_name);
        let planned = self.spec.containers.iter().flatten().filter_map(|one| one.name.as_deref());
        let mut names: Vec<&str> = made.chain(planned).take(2 * MOST_CONTAINERS).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Why it was evicted, and when.
    pub(super) fn eviction(&self) -> Option<(&str, Option<Timestamp>)> {
        let is_evicted = self.status.reason.as_deref() == Some("Evicted");
        let message = self.status.message.as_deref().filter(|_| is_evicted)?;
        Some((message, self.changed("DisruptionTarget").or_else(|| self.changed("Ready"))))
    }

    fn changed(&self, condition: &str) -> Option<Timestamp> {
        let mut conditions = self.status.conditions.iter().flatten();
        let found = conditions.find(|one| one.r#type.as_deref() == Some(condition))?;
        moment(found.last_transition_time.as_deref())
    }

    /// Until when it has to be gone, and how many seconds it was given for that.
    pub(super) fn deletion(&self) -> Option<(Timestamp, Option<u64>)> {
        let by = moment(self.metadata.deletion_timestamp.as_deref())?;
        Some((by, self.metadata.deletion_grace_period_seconds))
    }

    /// `Running`, `Failed`, …
    pub(super) fn phase(&self) -> &str {
        self.status.phase.as_deref().unwrap_or("unknown")
    }
}

impl Container {
    fn own_name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    pub(super) fn name(&self) -> &str {
        self.own_name().unwrap_or_default()
    }

    /// The ids of its lives that are known.
    pub(super) fn container_ids(&self) -> impl Iterator<Item = &str> {
        let ended = [&self.state, &self.last_state]
            .into_iter()
            .filter_map(|state| state.terminated.as_ref()?.id());
        bare(self.id.as_deref()).into_iter().chain(ended)
    }
}

impl Terminated {
    /// Of which life it is.
    pub(super) fn id(&self) -> Option<&str> {
        bare(self.container_id.as_deref())
    }

    pub(super) fn started(&self) -> Option<Timestamp> {
        moment(self.started_at.as_deref())
    }

    pub(super) fn finished(&self) -> Option<Timestamp> {
        moment(self.finished_at.as_deref())
    }
}

/// The id without the name of the runtime.
fn bare(id: Option<&str>) -> Option<&str> {
    let id = id?;
    let id = id.split_once(SCHEME).map_or(id, |(_, id)| id);
    let is_id =
        !id.is_empty() && id.len() <= 64 && id.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_id.then_some(id)
}

/// A moment; `0001-01-01T00:00:00Z` is Go's way of saying that there is none.
fn moment(text: Option<&str>) -> Option<Timestamp> {
    let moment: Timestamp = text?.parse().ok()?;
    (moment > Timestamp::UNIX_EPOCH).then_some(moment)
}

/// An event about a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Incident {
    involved_object: Involved,
    reason: Option<String>,
    message: Option<String>,
    source: Source,
    reporting_instance: Option<String>,
    first_timestamp: Option<String>,
    last_timestamp: Option<String>,
    event_time: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Involved {
    namespace: Option<String>,
    name: Option<String>,
    uid: Option<String>,
    field_path: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Source {
    host: Option<String>,
}

impl Incident {
    /// The node whose kubelet wrote it.
    pub(super) fn node(&self) -> Option<&str> {
        let filled = |text: &Option<String>| text.clone().is_some_and(|text| !text.is_empty());
        let both = [&self.source.host, &self.reporting_instance];
        both.into_iter().find(|text| filled(text))?.as_deref()
    }

    pub(super) fn pod_uid(&self) -> Option<&str> {
        self.involved_object.uid.as_deref()
    }

    /// Namespace and name of the pod.
    pub(super) fn pod(&self) -> Option<(&str, &str)> {
        let pod = &self.involved_object;
        Some((pod.namespace.as_deref().unwrap_or("default"), pod.name.as_deref()?))
    }

    /// The container, of `spec.containers{web}`.
    pub(super) fn container(&self) -> Option<&str> {
        let path = self.involved_object.field_path.as_deref()?;
        path.split_once('{')?.1.strip_suffix('}').filter(|name| !name.is_empty())
    }

    pub(super) fn reason(&self) -> &str {
        self.reason.as_deref().unwrap_or_default()
    }

    pub(super) fn message(&self) -> &str {
        self.message.as_deref().unwrap_or_default()
    }

    /// When it happened last.
    pub(super) fn at(&self) -> Option<Timestamp> {
        let all = [&self.last_timestamp, &self.event_time, &self.first_timestamp];
        all.into_iter().find_map(|text| moment(text.as_deref()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_bare() {
        assert_eq!(bare(Some("containerd://abc123")), Some("abc123"));
        assert_eq!(bare(Some("abc123")), Some("abc123"));
        for id in ["", "containerd://", "docker://../../x", "cri-o://zz"] {
            assert_eq!(bare(Some(id)), None);
        }
    }

    #[test]
    fn no_moment_is_none() {
        assert_eq!(moment(Some("0001-01-01T00:00:00Z")), None);
        assert_eq!(moment(Some("yesterday")), None);
        assert!(moment(Some("2026-11-21T09:26:37Z")).is_some());
        assert!(moment(Some("2026-11-21T09:26:37.123456Z")).is_some());
    }

    #[test]
    fn an_event_names_its_node_and_container() {
        let read = |text: &str| serde_json::from_str::<Incident>(text).unwrap();
        let event = read(
            r#"{"source":{"host":""},"reportingInstance":"node-1",
            "involvedObject":{"name":"shop","fieldPath":"spec.containers{web}"}}"#,
        );
        assert_eq!((event.node(), event.container()), (Some("node-1"), Some("web")));
        assert_eq!(event.pod(), Some(("default", "shop")));
        let bare = read(r#"{"involvedObject":{"fieldPath":"spec.containers{}"}}"#);
        assert_eq!((bare.node(), bare.container(), bare.pod()), (None, None, None));
    }
}
