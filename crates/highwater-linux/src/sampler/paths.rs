//! Places below a mount of cgroups.

use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Mode, OFlags, openat, statat};

/// Whether the directory `name` has none below it: a directory has a link from above, one from
/// itself and one from each below (`kernfs_refresh_inode` keeps to it). File systems that do not
/// count say 1.
pub(super) fn is_leaf(dir: BorrowedFd<'_>, name: &str) -> bool {
    statat(dir, name, AtFlags::empty()).is_ok_and(|found| found.st_nlink == 2)
}

/// Whether the cgroup at `prefix` is gone from its mount.
pub(super) fn is_removed(mount: BorrowedFd<'_>, prefix: &str) -> bool {
    !prefix.is_empty() && statat(mount, prefix, AtFlags::empty()).is_err()
}

/// Opens a directory below another.
pub(super) fn open_dir(dir: BorrowedFd<'_>, path: &str) -> rustix::io::Result<OwnedFd> {
    openat(dir, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// `prefix` and `file`, written into `path`.
pub(super) fn join<'p>(path: &'p mut String, prefix: &str, file: &str) -> &'p str {
    path.clear();
    path.push_str(prefix);
    path.push_str(file);
    path
}
