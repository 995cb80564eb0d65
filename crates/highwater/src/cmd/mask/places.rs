//! Paths of cgroups and files without their names. What a container runtime or systemd calls by the
//! same name everywhere stays, so that the owner's kind can still be told.

use super::{Kind, Masks};

/// The same on every machine.
const WELL_KNOWN: &[&str] = &[
    "-.slice",
    "app.slice",
    "background.slice",
    "besteffort",
    "burstable",
    "containerd.service",
    "crio.service",
    "cri-containerd",
    "crio",
    "docker",
    "docker.service",
    "dracut",
    "guaranteed",
    "init",
    "init.scope",
    "kubelet",
    "kubelet.service",
    "kubelet.slice",
    "kubepods",
    "kubepods-besteffort.slice",
    "kubepods-burstable.slice",
    "kubepods.slice",
    "libpod_parent",
    "lxc",
    "lxc.payload",
    "machine",
    "machine.slice",
    "null",
    "podman",
    "session.slice",
    "system",
    "system.slice",
    "systemd",
    "systemd-journald.service",
    "systemd-logind.service",
    "systemd-oomd.service",
    "systemd-udevd.service",
    "user",
    "user.slice",
];

/// What stands before a container's or a pod's id.
const ID_HEADS: &[&str] = &[
    "",
    "cri-containerd-",
    "crio-",
    "crio-conmon-",
    "docker-",
    "kubepods-besteffort-pod",
    "kubepods-burstable-pod",
    "kubepods-pod",
    "libpod-",
    "libpod-conmon-",
    "nerdctl-",
    "pod",
];

const UNIT_ENDINGS: &[&str] =
    &[".service", ".scope", ".slice", ".socket", ".mount", ".swap", ".target", ".timer"];

/// A container's id.
const ID_DIGITS: usize = 64;

/// A static pod's, which is a hash.
const HASH_DIGITS: usize = 32;

/// The lengths of a UUID's parts.
const UUID_PARTS: [usize; 5] = [8, 4, 4, 4, 12];

/// `path` without names; parts that are not known become cgroups, or what `kind` says.
pub(super) fn masked(masks: &mut Masks, path: &str, kind: Kind) -> String {
    let parts = path.split('/').map(|part| {
        let pieces = part.split(':').map(|piece| component(masks, piece, kind));
        pieces.collect::<Vec<_>>().join(":")
    });
    parts.collect::<Vec<_>>().join("/")
}

/// Does it end as the name of a systemd unit?
pub(super) fn is_unit(name: &str) -> bool {
    stem(name).is_some()
}

fn stem(name: &str) -> Option<(&str, &'static str)> {
    UNIT_ENDINGS.iter().find_map(|end| Some((name.strip_suffix(end)?, *end)))
}

fn component(masks: &mut Masks, name: &str, kind: Kind) -> String {
    let is_number = name.bytes().all(|b| b.is_ascii_digit()) && name.len() < ID_DIGITS / 2;
    if is_number || matches!(name, "." | "..") || WELL_KNOWN.contains(&name) || is_login(name) {
        return name.to_owned();
    }
    let (bare, ending) = stem(name).unwrap_or((name, ""));
    if let Some(masked) = with_id(masks, bare) {
        return masked + ending;
    }
    if !ending.is_empty() {
        return masks.of(Kind::Unit, bare) + ending;
    }
    masks.of(kind, name)
}

/// `user-1000.slice`, `user@1000.service`, `session-12.scope`, `session-c3.scope`: numbers only.
fn is_login(name: &str) -> bool {
    let forms = [("user-", ".slice"), ("user@", ".service"), ("session-", ".scope")];
    forms.iter().any(|(head, end)| {
        let middle = name.strip_prefix(head).and_then(|rest| rest.strip_suffix(end));
        middle.is_some_and(|middle| {
            let digits = middle.strip_prefix('c').unwrap_or(middle);
            !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
        })
    })
}

/// `docker-ID`, `podUUID`, `ID`.
fn with_id(masks: &mut Masks, name: &str) -> Option<String> {
    for head in ID_HEADS {
        let Some(id) = name.strip_prefix(head) else { continue };
        let is_hex = id.bytes().all(|b| b.is_ascii_hexdigit());
        if is_hex && id.len() == ID_DIGITS {
            return Some(format!("{head}{}", masks.of(Kind::Container, id)));
        }
        let plain = id.replace('_', "-");
        if is_uuid(&plain) || (is_hex && id.len() == HASH_DIGITS) {
            let mask = masks.of(Kind::Pod, &plain);
            let mask = if id.contains('_') { mask.replace('-', "_") } else { mask };
            return Some(format!("{head}{mask}"));
        }
    }
    None
}

pub(super) fn is_uuid(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    parts.len() == UUID_PARTS.len()
        && parts.iter().zip(UUID_PARTS).all(|(part, length)| {
            part.len() == length && part.bytes().all(|b| b.is_ascii_hexdigit())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_everybody_has_stays_and_names_go() {
        let mut masks = Masks::default();
        let mut of = |path: &str| masked(&mut masks, path, Kind::Cgroup);
        assert_eq!(of("/system.slice/orders.service"), "/system.slice/unit-1.service");
        assert_eq!(
            of("/system.slice/orders.service/worker"),
            "/system.slice/unit-1.service/cgroup-1"
        );
        assert_eq!(
            of("/user.slice/user-1000.slice/session-4.scope"),
            "/user.slice/user-1000.slice/session-4.scope"
        );
        assert_eq!(of("/"), "/");
        let id = "34186d9bd07706222bd427bb647ceed81e8e108eb653ff73c7137099fca1cab6";
        let docker = of(&format!("/system.slice/docker-{id}.scope"));
        assert!(docker.starts_with("/system.slice/docker-000000000001"), "{docker}");
        assert_eq!(docker.len(), format!("/system.slice/docker-{id}.scope").len());
        let pod =
            "/kubepods.slice/kubepods-burstable-pod0f1e2d3c_0011_2233_4455_66778899aabb.slice";
        let pod = of(&format!("{pod}/cri-containerd-{id}.scope"));
        assert!(
            pod.contains(
                "-pod00000001_0000_0000_0000_000000000000.slice/cri-containerd-000000000001"
            ),
            "{pod}"
        );
        assert_eq!(of("/lxc/shop-db"), "/lxc/cgroup-2");
        assert_eq!(of("/user@acme.service/../x y"), "/unit-2.service/../cgroup-3");
    }
}
