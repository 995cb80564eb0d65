//! Where the memory cgroups are, and what their files say.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use highwater_core::frame::CgroupVersion;
use highwater_core::id::CgroupPath;
use highwater_core::limit::Limit;
use highwater_core::text::escape;
use highwater_core::units::{Bytes, PageSize};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir};

use super::Counters;
use crate::facts::HostFacts;
use crate::parse::mountinfo::{self, Hierarchies};
use crate::parse::{membership, number};
use crate::root::{Root, read_fd};
use crate::witness::Absent;

/// How deep the tree is followed. Kubernetes in Docker in systemd comes to about ten.
const DEPTH: usize = 32;

/// How many cgroups are looked at in one walk: a machine that leaks them must not take the recorder
/// with it.
const WALKED_MOST: usize = 10_000;

/// Room for the entries of one directory at a time.
const LISTING_BYTES: usize = 4 * 1024;

/// The hierarchy that accounts memory.
#[derive(Debug)]
pub(super) struct Tree {
    version: CgroupVersion,
    mount: OwnedFd,
    path: PathBuf,
    page_size: PageSize,
}

impl Tree {
    pub(super) fn find(root: &Root) -> Result<Self, Absent> {
        let mut mounts = Vec::new();
        root.read("proc/self/mountinfo", &mut mounts)
            .map_err(|error| Absent::new(format!("proc/self/mountinfo cannot be read: {error}")))?;
        let (version, path) = Hierarchies::find(&mountinfo::parse(&mounts))
            .memory
            .ok_or_else(|| Absent::new("no cgroup hierarchy is mounted that accounts memory"))?;
        let path = root.path(path);
        let mount = rustix::fs::open(&path, directory(), Mode::empty())
            .map_err(|errno| refused(&path, &errno.into()))?;
        let page_size = HostFacts::read(root).page_size;
        let tree = Self { version, mount, path, page_size };
        if version == CgroupVersion::V2 {
            tree.expect_controller()?;
        }
        Ok(tree)
    }

    fn expect_controller(&self) -> Result<(), Absent> {
        let controllers = self.text("/", "cgroup.controllers").unwrap_or_default();
        if controllers.split(u8::is_ascii_whitespace).any(|name| name == b"memory") {
            return Ok(());
        }
        let path = escape(self.path.as_os_str().as_bytes());
        Err(Absent::new(format!(
            "{path}/cgroup.controllers does not name the memory controller: it was switched off at \
             boot, or this container was not given it"
        )))
    }

    pub(super) const fn version(&self) -> CgroupVersion {
        self.version
    }

    /// The file that counts.
    pub(super) const fn file(&self) -> &'static str {
        match self.version {
            CgroupVersion::V1 => "memory.oom_control",
            CgroupVersion::V2 => "memory.events",
        }
    }

    /// Where the file `name` of the cgroup is; without a name, its directory.
    pub(super) fn place(&self, cgroup: &str, name: &str) -> PathBuf {
        self.path.join(relative(cgroup)).join(name)
    }

    /// Which cgroup it is that has this path now; `None`: there is none.
    pub(super) fn inode(&self, cgroup: &str) -> Option<u64> {
        let path = match relative(cgroup) {
            "" => ".",
            path => path,
        };
        let found = rustix::fs::statat(&self.mount, path, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        Some(found.st_ino)
    }

    /// What it has counted; `None`: it is gone, or does not account memory.
    pub(super) fn counters(&self, cgroup: &str) -> Option<Counters> {
        let text = self.text(cgroup, self.file())?;
        Some(match self.version {
            CgroupVersion::V1 => Counters::v1(&text),
            CgroupVersion::V2 => {
                let local = self.text(cgroup, "memory.events.local");
                Counters::v2(&text, local.as_deref())
            }
        })
    }

    /// Its limit, if it has one.
    pub(super) fn limit(&self, cgroup: &str) -> Option<Bytes> {
        let limit = match self.version {
            CgroupVersion::V1 => {
                number::v1_limit(&self.text(cgroup, "memory.limit_in_bytes")?, self.page_size)
            }
            CgroupVersion::V2 => number::v2_limit(&self.text(cgroup, "memory.max")?),
        };
        limit.and_then(Limit::at)
    }

    /// Opens a file of the cgroup.
    pub(super) fn open(
        &self,
        cgroup: &str,
        name: &str,
        how: OFlags,
    ) -> rustix::io::Result<OwnedFd> {
        let path = Path::new(relative(cgroup)).join(name);
        rustix::fs::openat(&self.mount, path, how | OFlags::CLOEXEC, Mode::empty())
    }

    fn text(&self, cgroup: &str, name: &str) -> Option<Vec<u8>> {
        let mut text = Vec::new();
        read_fd(self.open(cgroup, name, OFlags::RDONLY).ok()?, &mut text).ok()?;
        Some(text)
    }

    /// Gives the cgroup and all below it, those above first. One whose name would have to be escaped
    /// is seen as part of the one above.
    pub(super) fn walk(&self, cgroup: &str, each: &mut dyn FnMut(CgroupPath)) {
        let mut next = vec![(cgroup.to_owned(), 0)];
        let mut walked = 0_usize;
        while let Some((path, depth)) = next.pop() {
            if walked >= WALKED_MOST {
                return;
            }
            walked += 1;
            each(CgroupPath::new(path.as_bytes()));
            let dir = match relative(&path) {
                "" => ".",
                dir => dir,
            };
            let opened = rustix::fs::openat(&self.mount, dir, directory(), Mode::empty());
            let Some(dir) = opened.ok().filter(|_| depth < DEPTH) else { continue };
            below(dir.as_fd(), &mut |name| {
                if next.len() < WALKED_MOST {
                    next.push((format!("{}/{name}", path.trim_end_matches('/')), depth + 1));
                }
            });
        }
    }
}

/// The names of the directories in `dir`.
fn below(dir: BorrowedFd<'_>, each: &mut dyn FnMut(&str)) {
    let mut room = Vec::with_capacity(LISTING_BYTES);
    let mut entries = RawDir::new(dir, room.spare_capacity_mut());
    while let Some(Ok(entry)) = entries.next() {
        let name = entry.file_name().to_bytes();
        let is_below = entry.file_type() == FileType::Directory && name != b"." && name != b"..";
        if is_below
            && membership::is_plain(name)
            && let Ok(name) = std::str::from_utf8(name)
        {
            each(name);
        }
    }
}

fn relative(cgroup: &str) -> &str {
    cgroup.trim_start_matches('/')
}

fn directory() -> OFlags {
    OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC
}

/// Why a place of the hierarchy is of no use.
pub(super) fn refused(path: &Path, error: &io::Error) -> Absent {
    let path = escape(path.as_os_str().as_bytes());
    let way_out = match error.kind() {
        io::ErrorKind::PermissionDenied => ": needs root",
        io::ErrorKind::ReadOnlyFilesystem => {
            ": needs cgroups that are mounted writable (ProtectControlGroups=no, or a privileged container)"
        }
        _ => "",
    };
    Absent::new(format!("{path}: {error}{way_out}"))
}
