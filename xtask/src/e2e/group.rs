//! A memory cgroup of this machine with a limit, made for a test and removed with it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;

use crate::clock;

/// Where this machine's memory cgroups are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hierarchy {
    mount: PathBuf,
    /// What the mount's top is called by the kernel: `/` outside containers.
    top: String,
    version: Version,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    V1,
    V2,
}

impl Hierarchy {
    /// The v1 memory hierarchy, or the unified one if memory is controlled there.
    pub(crate) fn find() -> anyhow::Result<Option<Self>> {
        let mounts =
            fs::read_to_string("/proc/self/mountinfo").context("cannot read the mounts")?;
        let found = mounts.lines().filter_map(hierarchy);
        let (one, two): (Vec<_>, Vec<_>) = found.partition(|found| found.version == Version::V1);
        let mut two = two.into_iter().filter(|found| {
            let file = found.mount.join("cgroup.controllers");
            let controllers = fs::read_to_string(file).unwrap_or_default();
            controllers.split_whitespace().any(|name| name == "memory")
        });
        Ok(one.into_iter().next().or_else(|| two.next()))
    }

    /// Makes the cgroup `name` at the top, with `limit` bytes if any.
    pub(crate) fn make(
        &self,
        name: &(impl AsRef<Path> + ?Sized),
        limit: Option<u64>,
    ) -> io::Result<Group> {
        let (folder, name) = (self.mount.join(name), name.as_ref().display());
        if self.version == Version::V2 {
            fs::write(self.mount.join("cgroup.subtree_control"), "+memory")?;
        }
        fs::create_dir(&folder)?;
        let group = Group { path: format!("{}/{name}", self.top.trim_end_matches('/')), folder };
        if let Some(limit) = limit {
            group.limit(self.version, limit)?;
        }
        Ok(group)
    }
}

/// Reads one line of mountinfo (proc(5)): six fields and optional ones, a dash, the type and more.
fn hierarchy(line: &str) -> Option<Hierarchy> {
    let (own, kind) = line.split_once(" - ")?;
    let mut own = own.split(' ').skip(3);
    let (top, mount) = (own.next()?.to_owned(), PathBuf::from(own.next()?));
    let mut kind = kind.split(' ');
    let version = match (kind.next()?, kind.nth(1)?) {
        ("cgroup", options) if options.split(',').any(|option| option == "memory") => Version::V1,
        ("cgroup2", _) => Version::V2,
        _ => return None,
    };
    Some(Hierarchy { mount, top, version })
}

/// A cgroup of ours. Dropping it removes it; whoever lived in it must be gone by then.
#[derive(Debug)]
pub(crate) struct Group {
    folder: PathBuf,
    path: String,
}

impl Group {
    /// Its folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its name as the kernel prints it.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// What it uses.
    pub(crate) fn usage(&self) -> anyhow::Result<u64> {
        let one = fs::read_to_string(self.folder.join("memory.usage_in_bytes"));
        let used = one.or_else(|_| fs::read_to_string(self.folder.join("memory.current")));
        used?.trim().parse().context("the cgroup's usage is not a number")
    }

    /// Limits what it may have from now on, swap aside.
    pub(crate) fn limit_to(&self, bytes: u64) -> anyhow::Result<()> {
        let one = self.folder.join("memory.limit_in_bytes");
        let file = if one.exists() { one } else { self.folder.join("memory.max") };
        Ok(fs::write(file, bytes.to_string())?)
    }

    /// The limit counts swap too, so that swapping cannot put the death off.
    fn limit(&self, version: Version, bytes: u64) -> io::Result<()> {
        let bytes = bytes.to_string();
        let (memory, swap, most) = match version {
            Version::V1 => ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes", bytes.as_str()),
            Version::V2 => ("memory.max", "memory.swap.max", "0"),
        };
        fs::write(self.folder.join(memory), &bytes)?;
        // Absent where the kernel does not account swap.
        if self.folder.join(swap).exists() {
            fs::write(self.folder.join(swap), most)?;
        }
        Ok(())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // A killed process leaves its cgroup a moment after its parent heard of it.
        let (at_most, every) = (Duration::from_secs(5), Duration::from_millis(10));
        let removed = clock::poll(at_most, every, || Ok(fs::remove_dir(&self.folder).ok()));
        if !matches!(removed, Ok(Some(()))) {
            eprintln!("could not remove {}", self.folder.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_line_tells_where_memory_is_controlled() {
        let one = "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory";
        let found = hierarchy(one).unwrap();
        assert_eq!(found.version, Version::V1);
        assert_eq!(found.mount, Path::new("/sys/fs/cgroup/memory"));
        let two = "29 22 0:26 /ct /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw,nsdelegate";
        let found = hierarchy(two).unwrap();
        assert_eq!((found.version, found.top.as_str()), (Version::V2, "/ct"));
        assert_eq!(hierarchy("36 31 0:33 / /x rw - cgroup cgroup rw,devices"), None);
        assert_eq!(hierarchy("nothing of the kind"), None);
    }
}
