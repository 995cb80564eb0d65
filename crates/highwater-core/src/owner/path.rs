//! Whom a cgroup's path names.
//!
//! ```text
//! /system.slice/nginx.service                                    a unit
//! /user.slice/user-1000.slice/user@1000.service/app.slice/a.service   a unit of user 1000
//! /user.slice/user-1000.slice/session-3.scope                    a session
//! /docker/ID  …/docker-ID.scope  …/libpod-ID.scope  …/crio-ID.scope   a container
//! /kubepods/burstable/podUID/ID                                  a container, of a pod
//! …/kubepods-podUID.slice/cri-containerd-ID.scope                the same, by systemd
//! …/containerd.service/kubepods-podUID.slice:cri-containerd:ID   the same, of two minds
//! /lxc.payload.NAME  /lxc/NAME  …/machine-NAME.scope             a container with a name
//! ```
//!
//! Of containers in each other the innermost counts, and a unit inside a container is the
//! container's. Of units in each other the outermost counts: what a unit makes below itself, as a
//! systemd in a container or a user with a delegated cgroup does, carries names of its choice. Only
//! a user's own manager, `user@UID.service`, is looked into.
//!
//! Everything here borrows from the path and reads it a fixed number of times.

use std::borrow::Cow;

use crate::text::escape;

/// A container id as every runtime makes them.
const CONTAINER_ID_DIGITS: usize = 64;

/// The digits of a pod's uid: a UUID, without its dashes where the pod is from a file.
const POD_UID_DIGITS: usize = 32;

/// The most lines of a `/proc/PID/cgroup`: every controller there has been, each on its own, makes
/// half as many.
const MEMBERSHIPS: usize = 32;

/// What makes a cgroup of its own beside the container's, under a name made of the container's id:
/// conmon watches the container and is not in it.
const WATCHERS: [&str; 1] = ["conmon"];

/// What `machine.slice` puts before a machine's own name and a number that is new with every start.
const MACHINE_DRIVERS: [&str; 2] = ["qemu-", "lxc-"];

/// Whether this is the id of a container rather than its name.
pub fn is_container_id(id: &str) -> bool {
    id.len() == CONTAINER_ID_DIGITS && id.bytes().all(|b| b.is_ascii_hexdigit())
}

/// The id of the innermost container that the cgroup at `path` is in: 64 digits.
///
/// None of a container that is known by its name alone, as LXC's and systemd's are, even if it is
/// within one with an id.
pub fn container_id_of_path(path: &str) -> Option<&str> {
    match container(path)? {
        Container::Id(id) => Some(id),
        Container::Name(_) => None,
    }
}

/// The uid of the pod that the cgroup at `path` is in, with dashes, as Kubernetes writes it.
pub fn pod_uid_of_path(path: &str) -> Option<String> {
    inwards_out(path).find_map(pod_uid)
}

/// The user whose cgroups the one at `path` is among: a session's, or one of the user's own manager.
pub fn user_of_path(path: &str) -> Option<u32> {
    let mut users = path.split('/').filter_map(|part| {
        let slice = part.strip_prefix("user-").and_then(|rest| rest.strip_suffix(".slice"));
        slice.or_else(|| manager_of(part)).and_then(number)
    });
    users.next()
}

/// The paths of a `/proc/PID/cgroup` that say whose the process is, and how much each counts where
/// they name the owner as well: memory's the most, then cgroup v2's, then systemd's own.
pub(super) fn memberships(text: &[u8]) -> impl Iterator<Item = (Cow<'_, str>, u8)> {
    text.split(|byte| *byte == b'\n').take(MEMBERSHIPS).filter_map(|line| {
        let mut parts = line.splitn(3, |byte| *byte == b':');
        let (hierarchy, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        let preference = if controllers.split(|byte| *byte == b',').any(|one| one == b"memory") {
            2
        } else if hierarchy == b"0" && controllers.is_empty() {
            1
        } else if controllers == b"name=systemd" {
            0
        } else {
            return None;
        };
        let path = path.strip_suffix(b" (deleted)").unwrap_or(path);
        path.starts_with(b"/").then(|| (escape(path), preference))
    })
}

/// A container in a path.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Container<'p> {
    Id(&'p str),
    Name(Cow<'p, str>),
}

/// The innermost container.
pub(super) fn container(path: &str) -> Option<Container<'_>> {
    let mut above = inwards_out(path).skip(1);
    inwards_out(path).find_map(|part| {
        let parent = above.next().unwrap_or_default();
        container_id(part).map(Container::Id).or_else(|| named_container(part, parent))
    })
}

/// A unit in a path.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unit<'p> {
    System(&'p str),
    Session(&'p str),
    User { unit: &'p str, uid: u32 },
}

/// The outermost unit, below a user's manager if there is one.
pub(super) fn unit(path: &str) -> Option<Unit<'_>> {
    let mut units = path.split('/').filter(|part| is_unit(part));
    let unit = units.next()?;
    if let Some(uid) = manager_of(unit).and_then(number) {
        let own = units.next().map(|unit| Unit::User { unit: unescaped(unit), uid });
        return Some(own.unwrap_or(Unit::System(unit)));
    }
    let is_session = unit.starts_with("session-") && unit.strip_suffix(".scope").is_some();
    Some(if is_session { Unit::Session(unit) } else { Unit::System(unescaped(unit)) })
}

fn inwards_out(path: &str) -> impl Iterator<Item = &str> {
    path.rsplit('/').filter(|part| !part.is_empty())
}

/// The digits of `docker-ID.scope`, `cri-containerd-ID.scope`, `libpod-ID`, `SLICE:cri-containerd:ID`
/// or `ID`.
fn container_id(part: &str) -> Option<&str> {
    let stem = part.strip_suffix(".scope").unwrap_or(part);
    let (maker, id) = stem.rsplit_once(['-', ':']).unwrap_or(("", stem));
    let is_watcher = WATCHERS.iter().any(|watcher| maker.ends_with(watcher));
    (is_container_id(id) && !is_watcher).then_some(id)
}

/// The name in `lxc.payload.NAME`, `machine-NAME.scope`, or in a `NAME` below `lxc` or `lxc.payload`.
fn named_container<'p>(part: &'p str, parent: &str) -> Option<Container<'p>> {
    let name = if let Some(name) = part.strip_prefix("lxc.payload.") {
        Cow::Borrowed(name)
    } else if matches!(parent, "lxc" | "lxc.payload") {
        Cow::Borrowed(part)
    } else {
        machine(part.strip_prefix("machine-")?.strip_suffix(".scope")?)
    };
    (!name.is_empty()).then_some(Container::Name(name))
}

/// A machine's name, from what stands for it in the name of a unit: `qemu\x2d3\x2dweb` is `web`.
fn machine(escaped: &str) -> Cow<'_, str> {
    let name = unescaped_hex(escaped);
    let own = MACHINE_DRIVERS.iter().find_map(|driver| {
        let (start, own) = name.strip_prefix(driver)?.split_once('-')?;
        (number(start).is_some() && !own.is_empty()).then(|| own.to_owned())
    });
    own.map_or(name, Cow::Owned)
}

/// Undoes systemd's `\x2d`; what would not be printable stays as it is.
fn unescaped_hex(text: &str) -> Cow<'_, str> {
    let mut pieces = text.split(r"\x");
    let first = pieces.next().unwrap_or_default();
    if first.len() == text.len() {
        return Cow::Borrowed(text);
    }
    let mut bytes = first.as_bytes().to_vec();
    for piece in pieces {
        let byte = piece.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        if let Some(byte) = byte.filter(u8::is_ascii_graphic) {
            bytes.push(byte);
            bytes.extend(piece.bytes().skip(2));
        } else {
            bytes.extend(br"\x");
            bytes.extend(piece.bytes());
        }
    }
    Cow::Owned(escape(&bytes).into_owned())
}

/// The uid in `podUID` or `kubepods-burstable-podUID.slice`, with or without more behind a colon.
fn pod_uid(part: &str) -> Option<String> {
    let part = part.split(':').next()?;
    let slice = part.strip_suffix(".slice").and_then(|stem| Some(stem.rsplit_once("-pod")?.1));
    let uid = slice.or_else(|| part.strip_prefix("pod"))?;
    let digits = uid.bytes().filter(u8::is_ascii_hexdigit).count();
    let is_uid = digits == POD_UID_DIGITS
        && uid.bytes().all(|b| b.is_ascii_hexdigit() || matches!(b, b'-' | b'_'));
    is_uid.then(|| uid.replace('_', "-"))
}

fn is_unit(part: &str) -> bool {
    const ENDS: [&str; 5] = [".service", ".scope", ".socket", ".mount", ".swap"];
    ENDS.iter().any(|end| part.strip_suffix(end).is_some_and(|stem| !stem.is_empty()))
}

/// systemd puts `_` before a unit whose name would be that of a file in its cgroup's directory.
fn unescaped(unit: &str) -> &str {
    unit.strip_prefix('_').filter(|unit| is_unit(unit)).unwrap_or(unit)
}

/// The user in `user@UID.service`.
fn manager_of(part: &str) -> Option<&str> {
    part.strip_prefix("user@")?.strip_suffix(".service")
}

/// Digits alone: `parse` would take a sign, too.
fn number(digits: &str) -> Option<u32> {
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "34186d9bd07706222bd427bb647ceed81e8e108eb653ff73c7137099fca1cab6";
    const INNER: &str = "0000000000000000000000000000000000000000000000000000000000000abc";

    #[test]
    fn every_runtime_names_its_containers() {
        for path in [
            format!("/docker/{ID}"),
            format!("/docker/{ID}/init"),
            format!("/system.slice/docker-{ID}.scope"),
            format!("/user.slice/user-1000.slice/user@1000.service/user.slice/docker-{ID}.scope"),
            format!("/machine.slice/libpod-{ID}.scope/container"),
            format!("/libpod_parent/libpod-{ID}"),
            format!("/libpod_parent/libpod-{ID}/ctr"),
            format!("/system.slice/crio-{ID}.scope"),
            format!("/default/{ID}"),
            format!("/k8s.io/{ID}"),
            format!("/system.slice/nerdctl-{ID}.scope"),
            format!("/kubepods/besteffort/podc4e3c1e2-5f0a-4f1e-9a57-0d3b2f3a5c11/{ID}"),
            format!(
                "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podc4e3c1e2_5f0a_4f1e_9a57_0d3b2f3a5c11.slice/cri-containerd-{ID}.scope"
            ),
            format!(
                "/system.slice/containerd.service/kubepods-burstable-podc4e3c1e2_5f0a_4f1e_9a57_0d3b2f3a5c11.slice:cri-containerd:{ID}"
            ),
        ] {
            assert_eq!(container_id_of_path(&path), Some(ID), "{path}");
        }
    }

    #[test]
    fn who_watches_a_container_is_not_in_it() {
        for path in [
            format!("/system.slice/crio-conmon-{ID}.scope"),
            format!("/machine.slice/libpod-conmon-{ID}.scope"),
            format!("/libpod_parent/conmon-{ID}"),
        ] {
            assert_eq!(container(&path), None, "{path}");
        }
        let unit = unit("/machine.slice/libpod-conmon-1.scope");
        assert_eq!(unit, Some(Unit::System("libpod-conmon-1.scope")));
    }

    #[test]
    fn the_innermost_container_counts() {
        for (path, id) in [
            (format!("/docker/{ID}/docker/{INNER}"), Some(INNER)),
            (
                format!("/system.slice/docker-{ID}.scope/system.slice/docker-{INNER}.scope"),
                Some(INNER),
            ),
            (format!("/docker/{ID}/kubelet/kubepods/pod1/{INNER}"), Some(INNER)),
            (format!("/docker/{ID}/system.slice/nginx.service"), Some(ID)),
            (format!("/lxc.payload.web/docker/{ID}"), Some(ID)),
            (format!("/docker/{ID}/lxc/web/x"), None),
        ] {
            assert_eq!(container_id_of_path(&path), id, "{path}");
        }
    }

    #[test]
    fn containers_with_names_of_their_own() {
        let name = |path: &str| match container(path) {
            Some(Container::Name(name)) => name.into_owned(),
            other => format!("{other:?}"),
        };
        assert_eq!(name("/lxc.payload.web/system.slice/nginx.service"), "web");
        assert_eq!(name("/lxc.payload.outer/lxc.payload.in.ner"), "in.ner");
        assert_eq!(name("/lxc/101/ns/init.scope"), "101");
        assert_eq!(name("/machine.slice/machine-debian.scope/payload/a.service"), "debian");
        assert_eq!(name(r"/machine.slice/machine-qemu\x2d3\x2dweb\x2d1.scope"), "web-1");
        assert_eq!(name(r"/machine.slice/machine-a\x1b\xzz\x2.scope"), r"a\x1b\xzz\x2");
        for path in [
            "/lxc",
            "/lxc/",
            "/lxc.payload.",
            "/lxc.monitor.web",
            "/machine-.scope",
            "/lxc.payload",
        ] {
            assert_eq!(container(path), None, "{path}");
        }
    }

    #[test]
    fn pods_have_uids() {
        let uid = "c4e3c1e2-5f0a-4f1e-9a57-0d3b2f3a5c11";
        let under = uid.replace('-', "_");
        for path in [
            format!("/kubepods/burstable/pod{uid}/{ID}"),
            format!("/kubepods/pod{uid}"),
            format!("/kubepods.slice/kubepods-pod{under}.slice/crio-{ID}.scope"),
            format!(
                "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable-pod{under}.slice"
            ),
            format!(
                "/system.slice/containerd.service/kubepods-burstable-pod{under}.slice:cri-containerd:{ID}"
            ),
        ] {
            assert_eq!(pod_uid_of_path(&path).as_deref(), Some(uid), "{path}");
        }
        let from_file = "/kubepods/burstable/pod0123456789abcdef0123456789abcdef/x";
        assert_eq!(pod_uid_of_path(from_file).as_deref(), Some("0123456789abcdef0123456789abcdef"));
        for path in ["/podman", "/kubepods/pod", "/machine.slice/podx.slice", "/pod-1", ""] {
            assert_eq!(pod_uid_of_path(path), None, "{path}");
        }
    }

    #[test]
    fn the_outermost_unit_counts() {
        let own = |unit, uid| Some(Unit::User { unit, uid });
        for (path, expected) in [
            ("/system.slice/nginx.service/worker", Some(Unit::System("nginx.service"))),
            (
                "/machine.slice/systemd-nspawn@deb.service/payload/system.slice/cron.service",
                Some(Unit::System("systemd-nspawn@deb.service")),
            ),
            (
                "/system.slice/ci.service/user@0.service/ssh.service",
                Some(Unit::System("ci.service")),
            ),
            (
                "/user.slice/user-7.slice/user@7.service/app.slice/a.service/user@0.service/b.service",
                own("a.service", 7),
            ),
            (
                "/user.slice/user-7.slice/user@7.service/app.slice/app-gnome-firefox-4711.scope",
                own("app-gnome-firefox-4711.scope", 7),
            ),
            (
                "/user.slice/user-7.slice/user@7.service/app.slice/app-at\\x2dspi@autostart.service",
                own("app-at\\x2dspi@autostart.service", 7),
            ),
            ("/user.slice/user-7.slice/user@7.service/init.scope", own("init.scope", 7)),
            (
                "/user.slice/user-7.slice/user@7.service/app.slice",
                Some(Unit::System("user@7.service")),
            ),
            (
                "/user.slice/user-7.slice/user@7.service/app.slice/run-u12.scope",
                own("run-u12.scope", 7),
            ),
            ("/user.slice/user-7.slice/session-c1.scope", Some(Unit::Session("session-c1.scope"))),
            (
                "/user.slice/user-7.slice/user@7.service/session.slice/session-migration.service",
                own("session-migration.service", 7),
            ),
            (
                "/system.slice/session-manager.service",
                Some(Unit::System("session-manager.service")),
            ),
            ("/system.slice/_memory.service", Some(Unit::System("memory.service"))),
            ("/system.slice/user@name.service/a.service", Some(Unit::System("user@name.service"))),
            ("/init.scope", Some(Unit::System("init.scope"))),
            ("/system.slice", None),
            ("/.service", None),
            ("/", None),
            ("", None),
        ] {
            assert_eq!(unit(path), expected, "{path}");
        }
    }

    #[test]
    fn whose_cgroups_they_are() {
        assert_eq!(user_of_path("/user.slice/user-1000.slice/session-3.scope"), Some(1000));
        assert_eq!(user_of_path("/user@33.service/app.slice"), Some(33));
        for path in ["/user.slice", "/user-x.slice", "/user-+1.slice", "/user-99999999999.slice"] {
            assert_eq!(user_of_path(path), None, "{path}");
        }
    }
}
