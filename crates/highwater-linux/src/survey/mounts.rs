//! Which file systems are mounted where, and which of them answer at once.
//!
//! `parse::mountinfo` finds the cgroup hierarchies; this reads the fields it leaves out:
//!
//! ```text
//! 35 31 0:32 / /run/lock rw,nosuid shared:9 - tmpfs tmpfs rw,size=5120k
//! id parent dev root mount-point options optional… - type source super-options
//! ```

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::parse::text;

/// The most mounts that are taken: a host with thousands of pods stays below.
const MOUNTS_MAX: usize = 20_000;

/// File systems whose answers come from this machine. Asking others (NFS, CIFS, FUSE, autofs) may
/// wait for another machine or a hung program, without end.
const LOCAL: &[&[u8]] = &[
    b"bcachefs",
    b"bpf",
    b"btrfs",
    b"cgroup",
    b"cgroup2",
    b"configfs",
    b"debugfs",
    b"devpts",
    b"devtmpfs",
    b"efivarfs",
    b"erofs",
    b"exfat",
    b"ext2",
    b"ext3",
    b"ext4",
    b"f2fs",
    b"hugetlbfs",
    b"iso9660",
    b"jfs",
    b"mqueue",
    b"nilfs2",
    b"ntfs3",
    b"overlay",
    b"proc",
    b"pstore",
    b"ramfs",
    b"reiserfs",
    b"rootfs",
    b"securityfs",
    b"squashfs",
    b"sysfs",
    b"tmpfs",
    b"tracefs",
    b"udf",
    b"vfat",
    b"xfs",
    b"zfs",
];

/// One mount; all of it raw bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mount {
    /// `0:32`: mounts of one file system have one.
    pub(super) device: Vec<u8>,
    /// Where.
    pub(super) point: Vec<u8>,
    /// `tmpfs`, `ext4`, ….
    pub(super) kind: Vec<u8>,
    /// `/dev/vda1`, or any word of whoever mounted it.
    pub(super) source: Vec<u8>,
    /// It cannot be written.
    pub(super) read_only: bool,
}

impl Mount {
    /// Where.
    pub(super) fn path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.point))
    }

    /// Whether it answers at once.
    pub(super) fn is_local(&self) -> bool {
        LOCAL.contains(&&*self.kind)
    }
}

/// The mounts in the kernel's order; a line that is not one is left out.
pub(super) fn parse(text: &[u8]) -> Vec<Mount> {
    text::lines(text).filter_map(mount).take(MOUNTS_MAX).collect()
}

fn mount(line: &[u8]) -> Option<Mount> {
    let mut field = line.split(|byte| *byte == b' ');
    let device = field.nth(2)?.to_vec();
    let point = text::unescape_octal(field.nth(1)?);
    let options = field.next()?;
    field.find(|tag| *tag == b"-")?;
    let kind = field.next()?.to_vec();
    let source = text::unescape_octal(field.next()?);
    let read_only = [options, field.next()?].into_iter().any(is_read_only);
    Some(Mount { device, point, kind, source, read_only })
}

fn is_read_only(options: &[u8]) -> bool {
    options.split(|byte| *byte == b',').any(|option| option == b"ro")
}

/// The mount that has `path`: of those on the way to it, the deepest, and of these the last.
pub(super) fn covering<'a>(mounts: &'a [Mount], path: &Path) -> Option<&'a Mount> {
    let way = on_the_way(mounts, path);
    way.max_by_key(|mount| mount.path().components().count())
}

/// Whether nothing on the way to `path` can keep the asker waiting.
pub(super) fn answers_at_once(mounts: &[Mount], path: &Path) -> bool {
    on_the_way(mounts, path).all(Mount::is_local)
}

fn on_the_way<'a>(mounts: &'a [Mount], path: &Path) -> impl Iterator<Item = &'a Mount> {
    mounts.iter().filter(move |mount| path.starts_with(mount.path()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] = b"\
        21 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n\
        22 21 0:20 / /dev/shm rw shared:3 master:1 - tmpfs shm rw,size=64k\n\
        23 21 0:44 / /mnt/far rw - nfs4 server:/x rw\n\
        24 23 0:45 / /mnt/far/near\\040by ro - tmpfs none rw\n\
        25 21 254:1 /sub /srv rw - xfs /dev/vdb ro\n";

    #[test]
    fn a_mount_has_its_device_place_kind_and_source() {
        let mounts = parse(TEXT);
        assert_eq!(mounts.len(), 5);
        assert_eq!(
            mounts[1],
            Mount {
                device: b"0:20".to_vec(),
                point: b"/dev/shm".to_vec(),
                kind: b"tmpfs".to_vec(),
                source: b"shm".to_vec(),
                read_only: false,
            }
        );
        assert_eq!(mounts[3].path(), Path::new("/mnt/far/near by"));
        let read_only: Vec<_> = mounts.iter().map(|mount| mount.read_only).collect();
        assert_eq!(read_only, [false, false, false, true, true]);
    }

    #[test]
    fn a_path_is_on_the_deepest_mount_above_it() {
        let mounts = parse(TEXT);
        let source = |path: &str| covering(&mounts, Path::new(path)).map(|mount| &mount.source[..]);
        assert_eq!(source("/var/log"), Some(&b"/dev/vda"[..]));
        assert_eq!(source("/srv/x/y"), Some(&b"/dev/vdb"[..]));
        assert_eq!(source("/srvx"), Some(&b"/dev/vda"[..]));
        assert_eq!(source("relative"), None);
        let over = [TEXT, b"26 25 0:50 / /srv rw - tmpfs over rw\n"].concat();
        let mounts = parse(&over);
        assert_eq!(covering(&mounts, Path::new("/srv")).unwrap().source, b"over", "the last one");
    }

    #[test]
    fn what_lies_behind_another_machine_may_wait_for_it() {
        let mounts = parse(TEXT);
        let at_once = |path: &str| answers_at_once(&mounts, Path::new(path));
        assert!(at_once("/dev/shm") && at_once("/mnt"));
        assert!(!at_once("/mnt/far") && !at_once("/mnt/far/near by"));
    }

    #[test]
    fn garbage_is_no_mount() {
        for text in [
            &b""[..],
            b"\n",
            b"1 2 0:5 / / rw - tmpfs tmpfs\n",
            b"1 2 0:5 / / rw tmpfs tmpfs rw\n",
            b"1 2 0:5 / / rw - tmpfs tmpfs rw",
            b"\xff\xfe\n",
        ] {
            assert_eq!(parse(text), [], "{text:?}");
        }
    }
}
