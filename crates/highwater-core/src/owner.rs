//! Whose memory it is, as far as a cgroup's path tells.
//!
//! This reads paths only. Names that need asking somebody (a container's name, a pod's) come from
//! the rooms that may ask.

mod path;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use path::{container_id_of_path, is_container_id, pod_uid_of_path, user_of_path};

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

impl Owner {
    /// The owner of the cgroup at `path`: the innermost container, else the outermost unit, the
    /// user's own where it is below that user's manager.
    pub fn of_path(path: &str) -> Self {
        if path == "/" {
            return Self::Machine;
        }
        match path::container(path) {
            Some(path::Container::Id(id)) => return Self::Container(id.to_owned()),
            Some(path::Container::Name(name)) => return Self::Container(name.into_owned()),
            None => {}
        }
        match path::unit(path) {
            None => Self::Cgroup(path.to_owned()),
            Some(path::Unit::Session(unit)) => Self::Session(unit.to_owned()),
            Some(path::Unit::System(unit)) => Self::Unit(unit.to_owned()),
            Some(path::Unit::User { unit, uid }) => Self::UserUnit { unit: unit.to_owned(), uid },
        }
    }

    /// The owner of a process, by what its `/proc/PID/cgroup` says: it has a path in every
    /// hierarchy, and the one that names its owner best counts. On a hybrid machine the memory
    /// hierarchy knows nothing of the units of users, and where systemd is not, that of systemd
    /// knows nothing at all. Of two that are as good, memory's counts.
    ///
    /// `named` gives the owner of a path: [`Owner::of_path`], or what knows more names.
    pub fn of_process(membership: &[u8], named: impl Fn(&str) -> Self) -> Option<Self> {
        let mut best: Option<(u8, Self)> = None;
        for (path, preference) in path::memberships(membership) {
            let owner = named(&path);
            let rank = owner.rank().saturating_mul(4).saturating_add(preference);
            if best.as_ref().is_none_or(|(most, _)| *most < rank) {
                best = Some((rank, owner));
            }
        }
        best.map(|(_, owner)| owner)
    }

    /// How much a name tells.
    const fn rank(&self) -> u8 {
        match self {
            Self::Machine => 0,
            Self::Cgroup(_) => 1,
            Self::Unit(_) | Self::Session(_) => 2,
            Self::UserUnit { .. } => 3,
            Self::Container(_) => 4,
            Self::Pod { .. } => 5,
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
        assert_eq!(of("/lxc/101/ns"), "container 101");
        assert_eq!(of(&format!("/docker/{id}/system.slice/a.service")), "container 34186d9bd077");
        assert_eq!(of(&format!("/x/crio-conmon-{id}.scope")), format!("crio-conmon-{id}.scope"));
    }

    #[test]
    fn of_all_its_cgroups_a_process_is_of_the_one_with_the_best_name() {
        let of = |text: &str| {
            Owner::of_process(text.as_bytes(), Owner::of_path).map(|owner| owner.to_string())
        };
        let hybrid = "9:name=systemd:/user.slice/user-7.slice/user@7.service/app.slice/a.service\n\
            4:memory:/user.slice/user-7.slice/user@7.service\n0::/\n";
        assert_eq!(of(hybrid).as_deref(), Some("a.service of user 7"));
        let memory = "9:name=systemd:/a.service\n4:cpu,memory:/b.service\n0::/c.service\n";
        assert_eq!(of(memory).as_deref(), Some("b.service"));
        assert_eq!(of("4:memory:/plain\n0::/\n").as_deref(), Some("/plain"));
        assert_eq!(of("0::/system.slice/web.service\n").as_deref(), Some("web.service"));
        assert_eq!(of("0::/a.service (deleted)\n").as_deref(), Some("a.service"));
        assert_eq!(of("0::/\n").as_deref(), Some("the machine"));
        assert_eq!(of("7:cpu:/a.service\n"), None, "that says nothing of memory, nor of units");
        assert_eq!(of("garbage\n::\n0::\n0::x\n"), None);
    }

    proptest::proptest! {
        #[test]
        fn any_path_has_one_owner_and_the_same_every_time(path in ".{0,300}") {
            let owner = Owner::of_path(&path);
            proptest::prop_assert_eq!(&owner, &Owner::of_path(&path));
            proptest::prop_assert!(owner.id().len() <= path.len().max(1));
            container_id_of_path(&path);
            pod_uid_of_path(&path);
            user_of_path(&path);
        }

        /// What is below an owner's cgroup is that owner's, whatever it is called, unless it is a
        /// container.
        #[test]
        fn what_is_inside_an_owner_cannot_take_another_name(
            owner in proptest::sample::select(vec![
                "/system.slice/nginx.service",
                "/user.slice/user-7.slice/session-3.scope",
                "/user.slice/user-7.slice/user@7.service/app.slice/a.service",
                "/docker/34186d9bd07706222bd427bb647ceed81e8e108eb653ff73c7137099fca1cab6",
                "/lxc.payload.web",
            ]),
            below in proptest::collection::vec(
                proptest::sample::select(vec![
                    "x", "system.slice", "b.service", "user@0.service", "session-1.scope", "init.scope",
                    "user-0.slice", r"\x2e\x2e", "…", " ", "a:b", "conmon-1",
                ]),
                0..5,
            ),
        ) {
            let path = format!("{owner}/{}", below.join("/"));
            proptest::prop_assert_eq!(Owner::of_path(&path), Owner::of_path(owner));
        }
    }
}
