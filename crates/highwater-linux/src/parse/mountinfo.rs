//! `/proc/PID/mountinfo` (`fs/proc_namespace.c`), for where the cgroup hierarchies are:
//!
//! ```text
//! 35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory
//! id parent dev root mount-point options optional… - type source super-options
//! ```

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use highwater_core::frame::CgroupVersion;

use super::text;

/// The most mounts that are taken: what the kernel allows a namespace (`fs.mount-max`).
const MOUNTS_MAX: usize = 100_000;

/// One mount; all of it raw bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Which directory of the file system is mounted.
    pub root: Vec<u8>,
    /// Where.
    pub mount_point: Vec<u8>,
    /// `cgroup`, `cgroup2`, `ext4`, ….
    pub fs_type: Vec<u8>,
    /// Options of the mount: `rw,relatime`.
    pub options: Vec<u8>,
    /// Options of the file system; of `cgroup`, its controllers: `rw,memory`.
    pub super_options: Vec<u8>,
}

impl Mount {
    fn has_controller(&self, name: &[u8]) -> bool {
        self.fs_type == b"cgroup"
            && self.super_options.split(|byte| *byte == b',').any(|one| one == name)
    }

    fn path(&self) -> PathBuf {
        PathBuf::from(OsString::from_vec(self.mount_point.clone()))
    }
}

/// The mounts in the kernel's order; a line that is not one is left out.
pub fn parse(text: &[u8]) -> Vec<Mount> {
    text::lines(text).filter_map(mount).take(MOUNTS_MAX).collect()
}

fn mount(line: &[u8]) -> Option<Mount> {
    let mut field = line.split(|byte| *byte == b' ');
    let root = text::unescape_octal(field.nth(3)?);
    let mount_point = text::unescape_octal(field.next()?);
    let options = field.next()?.to_vec();
    field.find(|tag| *tag == b"-")?;
    let fs_type = field.next()?.to_vec();
    let super_options = field.nth(1)?.to_vec();
    Some(Mount { root, mount_point, fs_type, options, super_options })
}

/// Where the cgroup hierarchies are that say something about memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hierarchies {
    /// The one that accounts memory.
    pub memory: Option<(CgroupVersion, PathBuf)>,
    /// Which cgroup that mount shows as its top: `/`, or `/docker/3f…` in a container without a
    /// cgroup namespace, where `/proc/PID/cgroup` gives paths that begin so. Raw bytes; empty
    /// without a mount.
    pub memory_root: Vec<u8>,
    /// The one that counts processes, if its mount has the same top.
    pub pids: Option<(CgroupVersion, PathBuf)>,
    /// The cgroup v2 hierarchy, if its mount has the same top; in a hybrid layout it has no memory
    /// controller, but it may have the pressure files.
    pub unified: Option<PathBuf>,
}

impl Hierarchies {
    /// Finds them: a controller is where v1 has it, else in v2, if that is mounted.
    pub fn find(mounts: &[Mount]) -> Self {
        let unified = best(mounts.iter().filter(|mount| mount.fs_type == b"cgroup2"));
        let controller = |name: &[u8]| {
            let v1 = best(mounts.iter().filter(|mount| mount.has_controller(name)));
            let v2 = unified.map(|mount| (CgroupVersion::V2, mount));
            v1.map(|mount| (CgroupVersion::V1, mount)).or(v2)
        };
        let (memory, pids) = (controller(b"memory"), controller(b"pids"));
        // Below another top the same path would be another cgroup.
        let alike = |mount: &Mount| memory.is_none_or(|(_, memory)| memory.root == mount.root);
        let place = |(version, mount): (CgroupVersion, &Mount)| (version, mount.path());
        Self {
            memory: memory.map(place),
            memory_root: memory.map(|(_, mount)| mount.root.clone()).unwrap_or_default(),
            pids: pids.filter(|(_, mount)| alike(mount)).map(place),
            unified: unified.filter(|mount| alike(mount)).map(Mount::path),
        }
    }
}

/// Of several mounts of one hierarchy the one that shows all of it, and of those the first: others
/// are bind mounts into containers.
fn best<'a>(mut mounts: impl Iterator<Item = &'a Mount>) -> Option<&'a Mount> {
    let first = mounts.next()?;
    let whole = |mount: &&Mount| mount.root == b"/";
    Some(if whole(&first) { first } else { mounts.find(whole).unwrap_or(first) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &[u8]) -> Hierarchies {
        Hierarchies::find(&parse(text))
    }

    const V1: &[u8] = b"\
        31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n\
        35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:9 master:2 - cgroup cgroup rw,memory\n\
        39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids\n\
        40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=memory\n";
    const UNIFIED: &[u8] = b"41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";

    #[test]
    fn v1_hybrid_and_v2_layouts() {
        let memory = Some((CgroupVersion::V1, "/sys/fs/cgroup/memory".into()));
        let pids = Some((CgroupVersion::V1, "/sys/fs/cgroup/pids".into()));
        let v1 = Hierarchies { memory, memory_root: b"/".to_vec(), pids, unified: None };
        assert_eq!(found(V1), v1);
        let unified = Some(PathBuf::from("/sys/fs/cgroup/unified"));
        assert_eq!(found(&[V1, UNIFIED].concat()), Hierarchies { unified, ..v1 });
        let v2 =
            found(b"30 23 0:26 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw,nsdelegate\n");
        let path = PathBuf::from("/sys/fs/cgroup");
        assert_eq!(v2.memory, Some((CgroupVersion::V2, path.clone())));
        assert_eq!((v2.pids, v2.unified), (v2.memory, Some(path)));
    }

    #[test]
    fn the_mount_that_shows_all_goes_first() {
        let text = b"1 0 0:5 /docker/a /c/memory rw - cgroup cgroup rw,cpuset,memory\n\
            2 0 0:5 / /host/memory rw - cgroup cgroup rw,cpuset,memory\n";
        assert_eq!(found(text).memory, Some((CgroupVersion::V1, "/host/memory".into())));
        assert_eq!(found(text).memory_root, b"/");
    }

    #[test]
    fn a_container_sees_its_own_part_of_each_hierarchy() {
        let text = b"1 0 0:5 /docker/a\\040b /c/memory rw - cgroup cgroup rw,memory\n\
            2 0 0:6 /docker/a\\040b /c/pids rw - cgroup cgroup rw,pids\n\
            3 0 0:7 / /c/unified rw - cgroup2 cgroup2 rw\n";
        let found = found(text);
        assert_eq!(found.memory_root, b"/docker/a b");
        assert_eq!(found.pids, Some((CgroupVersion::V1, "/c/pids".into())));
        assert_eq!(found.unified, None, "it has another top");
    }

    #[test]
    fn odd_mount_points_are_as_they_were() {
        let mounts = parse(b"1 0 0:5 /r\\134 /a\\040-\\040b\xff rw x:1 - tmpfs a\\040b rw\n");
        assert_eq!(mounts[0].mount_point, b"/a - b\xff");
        assert_eq!((&mounts[0].root[..], &mounts[0].super_options[..]), (&b"/r\\"[..], &b"rw"[..]));
    }

    #[test]
    fn garbage_is_no_mount() {
        for text in [
            &b""[..],
            b"\n",
            b"1 2 3 4 5 6\n",
            b"1 2 3 4 5 6 - x\n",
            b"\xff\xfe",
            b"1 0 0:5 / / rw - a b rw",
        ] {
            assert_eq!(parse(text), [], "{text:?}");
        }
        assert_eq!(found(b""), Hierarchies::default());
    }
}
