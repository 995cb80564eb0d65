//! Whose a series is, by its labels: the agent's, cAdvisor's, or those of a client library.

use std::fmt;

use highwater_core::owner::{Owner, is_container_id};
use highwater_core::series::Labels;
use highwater_core::text::escape;

/// The most characters of a name that are kept: longer ones are cgroup paths of some depth, and
/// nobody reads them to the end.
const MOST_NAME: usize = 256;

/// As Docker prints ids.
const ID_DIGITS: usize = 12;

/// Somebody or something that has memory, descriptors or files.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Whose {
    /// What it is in one word: `container`, `unit`, `machine`, `filesystem`, `log`, `job`, …
    pub kind: &'static str,
    /// What tells it apart from others of its kind; escaped.
    pub id: String,
    /// What people call it; escaped.
    pub name: String,
    /// The machine it is on, where series of several are together; escaped.
    pub host: Option<String>,
}

impl Whose {
    /// The machine itself.
    pub(super) fn machine() -> Self {
        Self::plain("machine", "/", "the machine")
    }

    pub(super) fn plain(kind: &'static str, id: &str, name: &str) -> Self {
        Self { kind, id: tidy(id), name: tidy(name), host: None }
    }

    /// The owner of a series that is about an owner, told by its labels; `None` of one process, and
    /// of labels that name nobody.
    pub(super) fn of(labels: &Labels) -> Option<Self> {
        if !labels.get("pid").is_empty() {
            return None;
        }
        let (name, id) = (labels.get("name"), labels.get("id"));
        // cAdvisor's name of a container stays from one life to the next; its id does not.
        if !name.is_empty() {
            return Some(Self::plain("container", if id.is_empty() { name } else { id }, name));
        }
        if let Some(whose) = Self::summed(labels) {
            return Some(whose);
        }
        if let Some(pod) = pod(labels) {
            return Some(pod);
        }
        if !id.is_empty() {
            return Some(Self::of_path(id));
        }
        let job = ["job", "service", "instance"].map(|label| labels.get(label));
        let job = job.into_iter().find(|text| !text.is_empty())?;
        Some(Self::plain("job", job, job))
    }

    /// The owner of the cgroup at `path`.
    pub(super) fn of_path(path: &str) -> Self {
        Self::of_owner(&Owner::of_path(path), path)
    }

    /// Of a sum that the agent made: its labels say the kind of owner.
    fn summed(labels: &Labels) -> Option<Self> {
        let id = labels.get("id");
        let owner = match labels.get("kind") {
            // The sum of the processes that are in no cgroup of their own, not of the machine.
            "machine" => return Some(Self::plain("cgroup", "/", "/")),
            "unit" => Owner::Unit(id.to_owned()),
            "user-unit" => {
                Owner::UserUnit { unit: id.to_owned(), uid: labels.get("uid").parse().ok()? }
            }
            "session" => Owner::Session(id.to_owned()),
            "container" => Owner::Container(id.to_owned()),
            "pod" => Owner::Pod {
                namespace: labels.get("namespace").to_owned(),
                pod: id.to_owned(),
                container: labels.get("container").to_owned(),
            },
            "cgroup" => Owner::Cgroup(id.to_owned()),
            "unknown" => return Some(Self::plain("unknown", "", "processes of unknown cgroups")),
            _ => return None,
        };
        Some(Self::of_owner(&owner, id))
    }

    /// `owner`, whose cgroup is at `path` if it has no better name.
    pub(super) fn of_owner(owner: &Owner, path: &str) -> Self {
        match owner {
            Owner::Machine => Self::machine(),
            // One key however deep in it the cgroup is.
            Owner::Container(id) if is_container_id(id) => {
                Self::plain("container", id, id.get(..ID_DIGITS).unwrap_or(id))
            }
            Owner::Container(name) => Self::plain("container", name, name),
            Owner::UserUnit { unit, uid } => {
                let whole = format!("{unit} of user {uid}");
                Self::plain("user-unit", &whole, &whole)
            }
            Owner::Pod { namespace, pod, container } => {
                let whole = format!("{namespace}/{pod}/{container}");
                Self::plain("pod", &whole, &whole)
            }
            Owner::Cgroup(_) => Self::plain("cgroup", path, path),
            other => Self::plain(other.kind(), other.id(), other.id()),
        }
    }

    /// What joins series of one owner: a container with a name goes by it, everybody else by the id.
    pub(super) fn key(&self) -> (&'static str, &str, &str) {
        let own = match self.kind {
            "container" => self.name.as_str(),
            _ => self.id.as_str(),
        };
        (self.kind, own, self.host.as_deref().unwrap_or_default())
    }

    /// The name that its replicas share: without the number or the hash at its end.
    pub(super) fn service(&self) -> &str {
        let stem = |name: &'_ str| -> Option<usize> {
            let at = name.rfind(['-', '_', '.', '@'])?;
            let end = name.get(at + 1..)?.trim_end_matches(".service");
            let is_mark = !end.is_empty()
                && end.len() <= 10
                && end.bytes().all(|b| b.is_ascii_alphanumeric())
                && (end.bytes().any(|b| b.is_ascii_digit()));
            (at > 0 && is_mark).then_some(at)
        };
        let mut name = self.name.as_str();
        // A replica of a Kubernetes deployment has two marks, `api-7d9f8b6c5-x2x1z`.
        for _ in 0..2 {
            match stem(name).and_then(|at| name.get(..at)) {
                Some(shorter) => name = shorter,
                None => break,
            }
        }
        name
    }

    /// Whether it is the machine as a whole.
    pub fn is_machine(&self) -> bool {
        self.kind == "machine"
    }
}

impl fmt::Display for Whose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        let text = match self.kind {
            "container" => format!("container {name}"),
            "filesystem" => format!("the file system {name}"),
            _ => name.clone(),
        };
        match &self.host {
            Some(host) => f.pad(&format!("{text} on {host}")),
            None => f.pad(&text),
        }
    }
}

/// A container of a pod, as Kubernetes labels it. The agent writes a container's id there, and no pod.
fn pod(labels: &Labels) -> Option<Whose> {
    let (pod, container) = (labels.get("pod"), labels.get("container"));
    if pod.is_empty() || container.is_empty() {
        return None;
    }
    let (namespace, pod, container) =
        (labels.get("namespace").to_owned(), pod.to_owned(), container.to_owned());
    Some(Whose::of_owner(&Owner::Pod { namespace, pod, container }, ""))
}

/// `text` made harmless and not too long.
pub(super) fn tidy(text: &str) -> String {
    let text = escape(text.as_bytes());
    match text.char_indices().nth(MOST_NAME) {
        None => text.into_owned(),
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Whose {
        Whose::of(&Labels::new(pairs.iter().copied())).unwrap()
    }

    #[test]
    fn labels_of_every_maker_name_an_owner() {
        let id = "34186d9bd07706222bd427bb647ceed81e8e108eb653ff73c7137099fca1cab6";
        let docker = format!("/docker/{id}");
        let named = of(&[("name", "shop"), ("id", &docker)]);
        assert_eq!((named.kind, &*named.name, &*named.id), ("container", "shop", &*docker));
        let later = of(&[("name", "shop"), ("id", "/docker/other")]);
        assert_eq!(named.key(), later.key(), "its next life is the same owner");
        assert_eq!(of(&[("id", &docker)]).name, "34186d9bd077");
        assert_eq!(of(&[("id", "/system.slice/web.service")]).name, "web.service");
        assert_eq!(of(&[("id", "web.service"), ("kind", "unit")]), {
            of(&[("id", "/system.slice/web.service"), ("unit", "web.service")])
        });
        let pod = of(&[("namespace", "prod"), ("pod", "api-7"), ("container", "app")]);
        assert_eq!(pod.to_string(), "prod/api-7/app");
        assert!(of(&[("id", "/")]).is_machine());
        assert!(!of(&[("id", "/"), ("kind", "machine")]).is_machine(), "processes at the root");
        assert_eq!(of(&[("job", "node"), ("instance", "a:9100")]).kind, "job");
        assert_eq!(Whose::of(&Labels::new([("pid", "7"), ("id", "/a")])), None);
        assert_eq!(Whose::of(&Labels::default()), None);
    }

    #[test]
    fn names_are_hostile() {
        let evil = of(&[("name", "a\u{1b}[31m\nb")]);
        assert_eq!(evil.name, r"a\x1b[31m\nb");
        assert!(of(&[("name", &"x".repeat(10_000))]).name.chars().count() <= MOST_NAME + 1);
    }

    #[test]
    fn replicas_share_a_name() {
        let service = |name: &str| of(&[("name", name)]).service().to_owned();
        assert_eq!(service("shop-1"), "shop");
        assert_eq!(service("api-7d9f8b6c5-x2x1z"), "api");
        assert_eq!(service("web"), "web");
        assert_eq!(service("my-gateway"), "my-gateway");
        assert_eq!(service("-1"), "-1");
    }
}
