//! Whose memory it is, as far as a cgroup's path tells.
//!
//! This reads paths only. Names that need asking somebody (a container's name, a pod's) come from
//! the rooms that may ask.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a cgroup belongs to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Owner {
    /// The whole machine.
    Machine,
    /// A systemd unit: `nginx.service`.
    Unit(String),
    /// A unit of a user's own systemd: `gateway.service` of user 1000.
    UserUnit {
        /// The unit.
        unit: String,
        /// Whose.
        uid: u32,
    },
    /// A login session: `session-123.scope`.
    Session(String),
    /// A container, by its name; by its 64-digit id where nobody told the name.
    Container(String),
    /// A container of a Kubernetes pod.
    Pod {
        /// The pod's namespace.
        namespace: String,
        /// The pod.
        pod: String,
        /// The container in it.
        container: String,
    },
    /// Any other cgroup, by its path.
    Cgroup(String),
}

/// A container id as every runtime makes them.
const CONTAINER_ID_DIGITS: usize = 64;

impl Owner {
    /// The owner of the cgroup at `path`: the innermost part that has a name people know.
    pub fn of_path(path: &str) -> Self {
        if path == "/" {
            return Self::Machine;
        }
        let parts = || path.rsplit('/').filter(|part| !part.is_empty());
        if let Some(id) = parts().find_map(container_id) {
            return Self::Container(id.to_owned());
        }
        match parts().find(|part| is_unit(part)) {
            None => Self::Cgroup(path.to_owned()),
            Some(unit) if unit.starts_with("session-") => Self::Session(unit.to_owned()),
            Some(unit) => match user_of(path, unit) {
                Some(uid) => Self::UserUnit { unit: unit.to_owned(), uid },
                None => Self::Unit(unit.to_owned()),
            },
        }
    }

    /// What kind of owner it is, in one word, as the label `kind` has it.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Machine => "machine",
            Self::Unit(_) => "unit",
            Self::UserUnit { .. } => "user-unit",
            Self::Session(_) => "session",
            Self::Container(_) => "container",
            Self::Pod { .. } => "pod",
            Self::Cgroup(_) => "cgroup",
        }
    }

    /// Its name, as the label `id` has it; the user of a user's unit is another label.
    pub fn id(&self) -> &str {
        match self {
            Self::Machine => "/",
            Self::Unit(name) | Self::Session(name) | Self::Container(name) | Self::Cgroup(name) => {
                name
            }
            Self::UserUnit { unit, .. } => unit,
            Self::Pod { pod, .. } => pod,
        }
    }

    /// The user whose unit it is.
    pub const fn uid(&self) -> Option<u32> {
        match self {
            Self::UserUnit { uid, .. } => Some(*uid),
            _ => None,
        }
    }

    /// The systemd unit, if it is one.
    pub fn unit(&self) -> Option<&str> {
        match self {
            Self::Unit(unit) | Self::UserUnit { unit, .. } | Self::Session(unit) => Some(unit),
            _ => None,
        }
    }

    /// The container's name, or its id, if it is one.
    pub fn container(&self) -> Option<&str> {
        match self {
            Self::Container(name) | Self::Pod { container: name, .. } => Some(name),
            _ => None,
        }
    }
}

/// The 64 digits of `/docker/ID`, `docker-ID.scope`, `cri-containerd-ID.scope`, `libpod-ID`, ….
fn container_id(part: &str) -> Option<&str> {
    let stem = part.strip_suffix(".scope").unwrap_or(part);
    let id = stem.rsplit_once('-').map_or(stem, |(_, id)| id);
    is_container_id(id).then_some(id)
}

/// Whether this is the id of a container rather than its name.
pub fn is_container_id(id: &str) -> bool {
    id.len() == CONTAINER_ID_DIGITS && id.bytes().all(|b| b.is_ascii_hexdigit())
}

fn is_unit(part: &str) -> bool {
    [".service", ".scope", ".socket", ".mount", ".swap"].iter().any(|end| part.ends_with(end))
}

/// The user whose manager runs `unit`: it stands below `user@UID.service`.
fn user_of(path: &str, unit: &str) -> Option<u32> {
    let manager = path.split('/').find(|part| part.starts_with("user@"))?;
    let uid = manager.strip_prefix("user@")?.strip_suffix(".service")?.parse().ok()?;
    (unit != manager).then_some(uid)
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Machine => f.pad("the machine"),
            Self::Unit(unit) | Self::Session(unit) => f.pad(unit),
            Self::UserUnit { unit, uid } => f.pad(&format!("{unit} of user {uid}")),
            Self::Container(id) if is_container_id(id) => {
                f.pad(&format!("container {}", id.get(..12).unwrap_or(id)))
            }
            Self::Container(name) => f.pad(&format!("container {name}")),
            Self::Pod { namespace, pod, container } => {
                f.pad(&format!("container {container} of pod {namespace}/{pod}"))
            }
            Self::Cgroup(path) => f.pad(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_their_owner() {
        let id = "34186d9bd07706222bd427bb647ceed81e8e108eb653ff73c7137099fca1cab6";
        let of = |path: &str| Owner::of_path(path).to_string();
        assert_eq!(of("/"), "the machine");
        assert_eq!(of("/system.slice/nginx.service"), "nginx.service");
        assert_eq!(of("/user.slice/user-0.slice/session-123.scope"), "session-123.scope");
        assert_eq!(of(&format!("/docker/{id}")), "container 34186d9bd077");
        assert_eq!(of(&format!("/system.slice/docker-{id}.scope/init")), "container 34186d9bd077");
        assert_eq!(of("/leaktest/a"), "/leaktest/a");
        assert_eq!(
            of("/user.slice/user-1000.slice/user@1000.service/app.slice/gateway.service"),
            "gateway.service of user 1000"
        );
        assert_eq!(of("/user.slice/user-1000.slice/user@1000.service"), "user@1000.service");
    }
}
