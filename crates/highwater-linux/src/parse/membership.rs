//! `/proc/PID/cgroup` (`kernel/cgroup/cgroup.c`): `4:memory:/docker/3f…`, `0::/system.slice/x`.

use highwater_core::frame::CgroupVersion;

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
    fn garbage_is_none() {
        for text in
            [&b""[..], b"\n", b"0::\n", b"0::relative\n", b"0::/cut", b"4:memory\n", b"\xff"]
        {
            assert_eq!(memory_path(text, CgroupVersion::V1), None, "{text:?}");
            assert_eq!(memory_path(text, CgroupVersion::V2), None, "{text:?}");
        }
    }
}
