//! How full file systems are: those that live in memory, and those that hold the store and the
//! logs.
//!
//! Only file systems that answer at once are asked (see [`mounts`]).

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use highwater_core::series::Labels;
use highwater_core::text::escape;
use highwater_core::thing::names;
use highwater_core::units::Bytes;
use rustix::fs::StatFs;

use super::mounts::{self, Mount};
use super::part::SurveyConfig;
use super::reading::Sight;

/// The most file systems in memory that are asked: a host with many pods has thousands.
const ASKED_MAX: usize = 1024;

/// The most that are told, the fullest first.
const TOLD_MAX: usize = 64;

/// The mounts as the first process sees them: the recorder's own view may be a sandbox.
const FIRST: (&str, &str) = ("proc/1/mountinfo", "proc/1/root");

/// The mounts as this process sees them.
pub(super) const OWN: &str = "proc/self/mountinfo";

/// File systems in memory.
const IN_MEMORY: [&[u8]; 4] = [b"tmpfs", b"devtmpfs", b"ramfs", b"hugetlbfs"];

/// Reads all of them.
pub(super) fn read(sight: &mut Sight<'_>, config: &SurveyConfig) {
    let own = sight.parsed(OWN, mounts::parse).unwrap_or_default();
    let first = match sight.root.path(FIRST.1).read_dir() {
        Ok(_) => sight.parsed(FIRST.0, mounts::parse),
        Err(_) => None,
    };
    match first {
        Some(first) => read_in_memory(sight, &first, Path::new(FIRST.1)),
        None => read_in_memory(sight, &own, Path::new("")),
    }
    let dirs = std::iter::once(&config.data_dir).chain(&config.log_dirs);
    let mut told = BTreeSet::new();
    for dir in dirs {
        if let Some(mount) = below(sight, &own, dir) {
            // Those in memory are told already.
            if !in_memory(mount) && told.insert(mount.device.clone()) {
                read_disk(sight, mount);
            }
        }
    }
}

/// Tells the fullest file systems in memory, each once however often it is mounted.
fn read_in_memory(sight: &mut Sight<'_>, mounts: &[Mount], view: &Path) {
    let mut seen = BTreeSet::new();
    let wanted = mounts.iter().filter(|mount| in_memory(mount));
    let at_once = wanted.filter(|mount| mounts::answers_at_once(mounts, mount.path()));
    let mut found = Vec::new();
    let mut silent = Vec::new();
    for mount in at_once.take(ASKED_MAX) {
        let inside = mount.path().strip_prefix("/").unwrap_or(mount.path());
        let path = sight.root.path(view.join(inside));
        if !is_seen(&path, mount) || !seen.insert(&mount.device) {
            continue;
        }
        match rustix::fs::statfs(&path).map(|stat| Space::of(&stat)) {
            Ok(Some(space)) => found.push((mount, space)),
            Ok(None) => silent.push(mount),
            Err(_) => {}
        }
    }
    found.sort_by_key(|(_, space)| std::cmp::Reverse(space.size.saturating_sub(space.free)));
    for (mount, space) in found.into_iter().take(TOLD_MAX) {
        space.note(sight, mount);
    }
    // Reserved huge pages are told by their pools.
    silent.retain(|mount| mount.kind != b"hugetlbfs");
    if let Some(one) = silent.first() {
        let (count, point) = (silent.len(), escape(&one.point));
        sight.reading.blind(format!(
            "{count} file systems in memory do not tell their size, {point} among them"
        ));
    }
}

fn in_memory(mount: &Mount) -> bool {
    IN_MEMORY.contains(&&*mount.kind)
}

/// Whether this mount is the one that shows at its place: another may be mounted over it.
fn is_seen(path: &Path, mount: &Mount) -> bool {
    rustix::fs::stat(path).is_ok_and(|stat| {
        let (major, minor) = (rustix::fs::major(stat.st_dev), rustix::fs::minor(stat.st_dev));
        mount.device == format!("{major}:{minor}").as_bytes()
    })
}

/// The mount that has `dir`, whatever links lead there.
fn below<'a>(sight: &mut Sight<'_>, mounts: &'a [Mount], dir: &Path) -> Option<&'a Mount> {
    let real = safe_path(sight, mounts, dir)?;
    mounts::covering(mounts, &real)
}

/// Where `dir` really is. `None` if it is not there, or lies where asking may not end, which is
/// told.
pub(super) fn safe_path(sight: &mut Sight<'_>, mounts: &[Mount], dir: &Path) -> Option<PathBuf> {
    let at_once = |path: &Path| mounts::answers_at_once(mounts, path);
    let real = if at_once(dir) { Some(real_path(sight.root, dir)?) } else { None };
    let real = real.filter(|real| at_once(real));
    if real.is_none() {
        let path = escape(dir.as_os_str().as_bytes()).into_owned();
        sight.reading.blind(format!("{path} is on a file system that may not answer"));
    }
    real
}

/// Where `dir` is without links, as a path in the tree. `None` if it is not there.
fn real_path(root: &crate::root::Root, dir: &Path) -> Option<PathBuf> {
    let real = std::fs::canonicalize(root.path(dir)).ok()?;
    let top = std::fs::canonicalize(root.path("")).ok()?;
    Some(Path::new("/").join(real.strip_prefix(top).ok()?))
}

fn read_disk(sight: &mut Sight<'_>, mount: &Mount) {
    match rustix::fs::statfs(sight.root.path(mount.path())) {
        Ok(stat) => {
            if let Some(space) = Space::of(&stat) {
                space.note(sight, mount);
            }
        }
        Err(error) => {
            let point = escape(&mount.point).into_owned();
            sight.reading.blind(super::reading::refusal(&point, &error.into()));
        }
    }
}

/// What `statfs` says.
struct Space {
    size: Bytes,
    free: Bytes,
    available: Bytes,
    files: u64,
    files_free: u64,
}

impl Space {
    /// `None` of one that does not count its blocks.
    fn of(stat: &StatFs) -> Option<Self> {
        let block = u64::try_from(stat.f_frsize).ok().filter(|size| *size > 0);
        let block = block.or_else(|| u64::try_from(stat.f_bsize).ok())?;
        let bytes = |blocks: u64| Bytes::new(blocks.saturating_mul(block));
        (stat.f_blocks > 0).then(|| Self {
            size: bytes(stat.f_blocks),
            free: bytes(stat.f_bfree),
            available: bytes(stat.f_bavail),
            files: stat.f_files,
            files_free: stat.f_ffree,
        })
    }

    fn note(&self, sight: &mut Sight<'_>, mount: &Mount) {
        let labels = Labels::new([
            ("device", escape(&mount.source)),
            ("fstype", escape(&mount.kind)),
            ("mountpoint", escape(&mount.point)),
        ]);
        sight.reading.amount(&names::FS_SIZE, &labels, self.size);
        sight.reading.amount(&names::FS_FREE, &labels, self.free);
        sight.reading.amount(&names::FS_AVAIL, &labels, self.available);
        sight.reading.count(&names::FS_FILES, &labels, self.files);
        sight.reading.count(&names::FS_FILES_FREE, &labels, self.files_free);
        let read_only = if mount.read_only { 1.0 } else { 0.0 };
        sight.reading.note(&names::FS_READONLY, &labels, read_only);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::Root;
    use crate::survey::reading::Reading;

    fn seen(root: &Root, config: &SurveyConfig) -> Reading {
        let (mut buffer, mut reading) = (Vec::new(), Reading::default());
        read(&mut Sight { root, buffer: &mut buffer, reading: &mut reading }, config);
        reading
    }

    fn value(reading: &Reading, name: &str, point: &str) -> Option<f64> {
        let mut things = reading.things.iter();
        let is = |thing: &&highwater_core::thing::Thing| {
            thing.metric.name == name && thing.labels.get("mountpoint") == point
        };
        things.find(is).map(|thing| thing.value)
    }

    /// Also when links lead to them, and each file system once.
    #[test]
    fn the_file_systems_of_store_and_logs_are_told_once() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/", dir.path().join("link")).unwrap();
        let data_dir = dir.path().join("link");
        let config =
            SurveyConfig { data_dir, log_dirs: vec!["/".into()], ..SurveyConfig::default() };
        let reading = seen(&Root::live(), &config);
        let sizes = reading.things.iter().filter(|thing| {
            thing.metric == &names::FS_SIZE && thing.labels.get("mountpoint") == "/"
        });
        assert_eq!(sizes.count(), 1);
        let stat = rustix::fs::statvfs("/").unwrap();
        let size = Bytes::new(stat.f_blocks * stat.f_frsize).as_f64();
        assert_eq!(value(&reading, "node_filesystem_size_bytes", "/"), Some(size));
        assert!(value(&reading, "node_filesystem_avail_bytes", "/") <= Some(size));
    }

    #[test]
    fn what_is_behind_another_machine_is_not_asked_and_that_is_told() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("proc/self")).unwrap();
        std::fs::create_dir_all(dir.path().join("far/store")).unwrap();
        let text = "1 0 0:1 / / rw - ext4 /dev/x rw\n2 1 0:2 / /far rw - nfs s:/ rw\n\
            3 2 0:3 / /far/mem rw - tmpfs t rw\n";
        std::fs::write(dir.path().join(OWN), text).unwrap();
        let config = SurveyConfig {
            data_dir: "/far/store".into(),
            log_dirs: vec!["/none".into()],
            ..SurveyConfig::default()
        };
        let reading = seen(&Root::at(dir.path()), &config);
        assert_eq!(reading.things, []);
        assert_eq!(reading.blind, ["/far/store is on a file system that may not answer"]);
    }

    /// A line may say tmpfs of a place where something else answers.
    #[test]
    fn what_is_mounted_over_is_not_mistaken_for_what_is_below() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("proc/self")).unwrap();
        std::fs::create_dir_all(dir.path().join("proc/1/root/place")).unwrap();
        let text = "1 0 0:1 / /proc rw - hugetlbfs x rw\n2 0 0:9 / /place rw - hugetlbfs t rw\n";
        std::fs::write(dir.path().join(OWN), text).unwrap();
        std::fs::write(dir.path().join(FIRST.0), text).unwrap();
        assert_eq!(seen(&Root::at(dir.path()), &SurveyConfig::default()).things, []);
    }

    #[test]
    fn nothing_and_garbage_tell_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::at(dir.path());
        assert_eq!(seen(&root, &SurveyConfig::default()).things, []);
        std::fs::create_dir_all(dir.path().join("proc/self")).unwrap();
        std::fs::write(dir.path().join(OWN), b"\xff\xfe 1 2\n\n1 2 3\n").unwrap();
        assert_eq!(seen(&root, &SurveyConfig::default()).things, []);
    }
}
