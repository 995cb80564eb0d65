//! `/proc/PID/cgroup` (`kernel/cgroup/cgroup.c`): `4:memory:/docker/3f…`, `0::/system.slice/x`.

use std::borrow::Cow;

use highwater_core::frame::CgroupVersion;
use highwater_core::text::escape;

use super::text;

/// The path of the process in the hierarchy that accounts memory: for v1 of the line whose
/// controllers include `memory`, for v2 of the line `0::`.
///
/// The kernel appends ` (deleted)` for a process that outlived its cgroup; that is taken off.
/// Seen from inside a cgroup namespace, a path outside it begins with `/..`.
pub fn memory_path(text: &[u8], version: CgroupVersion) -> Option<&[u8]> {
    let path = text::lines(text).find_map(|line| {
        let mut parts = line.splitn(3, |byte| *byte == b':');
        let (hierarchy, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        let ours = match version {
            CgroupVersion::V1 => {
                controllers.split(|byte| *byte == b',').any(|one| one == b"memory")
            }
            CgroupVersion::V2 => hierarchy == b"0" && controllers.is_empty(),
        };
        (ours && path.starts_with(b"/")).then_some(path)
    })?;
    Some(path.strip_suffix(b" (deleted)").unwrap_or(path))
}

/// The cgroup at `path` as a mount shows it whose top is the cgroup `root` (field 4 of
/// `mountinfo`): `/docker/3f/a` below `/docker/3f` is `/a`. `None` if the mount does not show it.
pub fn below<'p>(path: &'p [u8], root: &[u8]) -> Option<&'p [u8]> {
    // No cgroup can be named `..`: that is the kernel's way to say outside of the namespace.
    if path.split(|byte| *byte == b'/').any(|name| name == b"..") {
        return None;
    }
    match path.strip_prefix(root.strip_suffix(b"/").unwrap_or(root))? {
        b"" => Some(b"/"),
        rest => rest.starts_with(b"/").then_some(rest),
    }
}

/// The cgroup at `path`, or the nearest one above whose path needs no escaping. A process in a
/// cgroup with a misleading name is so seen as part of the one above, as its memory is.
pub fn plain(path: &[u8]) -> &[u8] {
    let names = path.split(|byte| *byte == b'/');
    let plain = names.take_while(|name| is_plain(name)).map(|name| name.len() + 1).sum::<usize>();
    path.get(..plain.saturating_sub(1)).filter(|path| !path.is_empty()).unwrap_or(b"/")
}

/// Whether the name of a cgroup is the same when escaped, so that what is shown can be opened.
pub fn is_plain(name: &[u8]) -> bool {
    matches!(escape(name), Cow::Borrowed(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &[u8] = b"9:name=systemd:/\n4:cpuset,memory:/a:b/c (deleted)\n0::/unified\n";

    #[test]
    fn each_version_has_its_line() {
        assert_eq!(memory_path(HYBRID, CgroupVersion::V1), Some(&b"/a:b/c"[..]));
        assert_eq!(memory_path(HYBRID, CgroupVersion::V2), Some(&b"/unified"[..]));
    }

    #[test]
    fn another_controllers_line_is_not_taken() {
        assert_eq!(memory_path(b"4:memory2:/a\n5:name=memory:/b\n", CgroupVersion::V1), None);
        assert_eq!(memory_path(b"10::/a\n0:x:/b\n", CgroupVersion::V2), None);
    }

    #[test]
    fn a_path_is_told_as_its_mount_shows_it() {
        for root in [&b"/"[..], b""] {
            assert_eq!(below(b"/", root), Some(&b"/"[..]));
            assert_eq!(below(b"/a/b", root), Some(&b"/a/b"[..]));
            assert_eq!(below(b"/../a", root), None);
        }
        assert_eq!(below(b"/docker/3f", b"/docker/3f"), Some(&b"/"[..]));
        assert_eq!(below(b"/docker/3f/a..b", b"/docker/3f"), Some(&b"/a..b"[..]));
        for outside in [&b"/docker/3f9"[..], b"/docker", b"/", b"/docker/3f/../x", b"/docker/3f/.."]
        {
            assert_eq!(below(outside, b"/docker/3f"), None);
        }
    }

    #[test]
    fn a_name_that_needs_escaping_is_part_of_the_one_above() {
        for path in [&b"/"[..], b"/a", br"/system-a\x2db.slice/c"] {
            assert_eq!(plain(path), path);
        }
        assert_eq!(plain(b"/a/b/c\td/e"), b"/a/b");
        assert_eq!(plain("/a\u{200b}/e".as_bytes()), b"/");
        assert_eq!(plain(b"/a/\xff"), b"/a");
    }

    #[test]
    fn garbage_is_none() {
        for text in
            [&b""[..], b"\n", b"0::\n", b"0::relative\n", b"0::/cut", b"4:memory\n", b"\xff"]
        {
            assert_eq!(memory_path(text, CgroupVersion::V1), None, "{text:?}");
            assert_eq!(memory_path(text, CgroupVersion::V2), None, "{text:?}");
        }
    }
}
