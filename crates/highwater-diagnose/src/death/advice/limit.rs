//! Raising a limit that was reached.

use highwater_core::frame::CgroupVersion;
use highwater_core::owner::{Owner, is_container_id};
use highwater_core::units::Bytes;

use super::{is_plain, mebibytes, quoted};

/// Whose limit is to be raised.
pub(super) struct Target<'a> {
    pub(super) path: &'a str,
    /// The limit that was reached.
    pub(super) limit: Option<Bytes>,
    /// The swap that it is allowed beside; `None` if that is unlimited or unknown.
    pub(super) swap: Option<Bytes>,
    pub(super) version: Option<CgroupVersion>,
}

impl Target<'_> {
    /// The command that raises the limit; none if the limit or a sane name is unknown.
    pub(super) fn raise(&self) -> Option<String> {
        let more = half_more(self.limit?);
        let mib = mebibytes(more);
        match Owner::of_path(self.path) {
            _ if self.path.contains("kubepods") => None,
            // One that has a name by its path is LXC's or systemd's, which docker does not know.
            Owner::Container(id) if is_container_id(&id) => {
                // What Docker is not told of swap it leaves as it is.
                let swap = self.swap.map_or(String::new(), |swap| {
                    format!(" --memory-swap {}m", mib.saturating_add(mebibytes(swap)))
                });
                let id = id.get(..12).unwrap_or(&id);
                Some(format!("docker update --memory {mib}m{swap} {id}"))
            }
            Owner::Unit(unit) | Owner::Session(unit) if is_manageable(&unit) => {
                Some(format!("systemctl set-property {unit} MemoryMax={mib}M"))
            }
            Owner::UserUnit { unit, .. } if is_manageable(&unit) => {
                Some(format!("systemctl --user set-property {unit} MemoryMax={mib}M"))
            }
            Owner::Cgroup(path) => match path.rsplit('/').next() {
                Some(slice) if slice.strip_suffix(".slice").is_some() => is_manageable(slice)
                    .then(|| format!("systemctl set-property {slice} MemoryMax={mib}M")),
                _ => self.write(&path, more),
            },
            _ => None,
        }
    }

    /// Only where the report shows which kind of cgroup it is.
    fn write(&self, path: &str, more: Bytes) -> Option<String> {
        let file = match self.version? {
            CgroupVersion::V1 => format!("/sys/fs/cgroup/memory{path}/memory.limit_in_bytes"),
            CgroupVersion::V2 => format!("/sys/fs/cgroup{path}/memory.max"),
        };
        Some(format!("echo {} > {}", more.get(), quoted(&file)))
    }
}

/// A unit whose limit may be set without taking the machine's own manager, or everybody who is
/// logged in, along.
pub(super) fn is_manageable(unit: &str) -> bool {
    is_plain(unit) && !["init.scope", "-.slice", "user.slice", "system.slice"].contains(&unit)
}

fn half_more(limit: Bytes) -> Bytes {
    limit.saturating_add(Bytes::new(limit.get() / 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raise(path: &str, swap: Option<Bytes>) -> Option<String> {
        let version = Some(CgroupVersion::V2);
        Target { path, limit: Some(Bytes::from_mib(20)), swap, version }.raise()
    }

    #[test]
    fn docker_keeps_its_swap() {
        let id = "34186d9bd07706222bd427bb647ceed81e8e108eb653ff73c7137099fca1cab6";
        let docker = |swap| raise(&format!("/docker/{id}"), swap).unwrap();
        let twenty = Some(Bytes::from_mib(20));
        assert_eq!(docker(twenty), "docker update --memory 30m --memory-swap 50m 34186d9bd077");
        let none = Some(Bytes::ZERO);
        assert_eq!(docker(none), "docker update --memory 30m --memory-swap 30m 34186d9bd077");
        assert_eq!(docker(None), "docker update --memory 30m 34186d9bd077");
    }

    #[test]
    fn nobody_limits_the_manager_or_all_users() {
        for path in ["/init.scope", "/user.slice", "/-.slice", "/system.slice"] {
            assert_eq!(raise(path, None), None, "{path}");
        }
        let slice = raise("/user.slice/user-7.slice", None).unwrap();
        assert_eq!(slice, "systemctl set-property user-7.slice MemoryMax=30M");
    }
}
