//! Large files below the directories of logs, and how fast they grow.
//!
//! The walk follows no link, leaves no file system, and is bounded in depth and entries. What
//! counts is the space a file takes: a `lastlog` with a hole of 200 GB is a small file.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use highwater_core::thing::names;
use highwater_core::time::BootTime;
use highwater_core::units::Bytes;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};

use super::disks;
use super::mounts::{self, Mount};
use super::reading::{Sight, label};

/// The most entries of one directory of logs that are looked at; each costs about 2 µs. Beyond
/// them the directory is told as not wholly seen.
const ENTRIES_MAX: usize = 20_000;

/// How deep the walk goes: pods' logs are four folders deep, journals two.
const DEPTH_MAX: usize = 10;

/// The most large files of one directory of logs that are told, the largest ones.
const FILES_TOLD_MAX: usize = 64;

/// What was seen last, to tell how fast files grow.
#[derive(Debug, Default)]
pub(super) struct Logs {
    known: BTreeMap<Vec<u8>, Known>,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    inode: u64,
    size: Bytes,
    at: BootTime,
}

impl Logs {
    /// Walks below `dirs` and tells the files of at least `least`.
    pub(super) fn read(
        &mut self,
        sight: &mut Sight<'_>,
        dirs: &[PathBuf],
        least: Bytes,
        now: BootTime,
    ) {
        let mounts = sight.parsed(disks::OWN, mounts::parse).unwrap_or_default();
        let before = std::mem::take(&mut self.known);
        for dir in dirs {
            let Some(real) = disks::safe_path(sight, &mounts, dir) else { continue };
            let Some(mut walk) = Walk::start(sight, &mounts, &real, least) else { continue };
            walk.files.sort_by_key(|file| std::cmp::Reverse(file.size));
            walk.files.truncate(FILES_TOLD_MAX);
            let labels = label("path", real.as_os_str().as_bytes());
            sight.reading.amount(&names::LOG_DIR, &labels, walk.total);
            sight.reading.note(&names::LOG_DIR_WHOLE, &labels, if walk.cut { 0.0 } else { 1.0 });
            for file in walk.files {
                // One directory may lie below another.
                if let Entry::Vacant(place) = self.known.entry(file.path) {
                    let known = Known { inode: file.inode, size: file.size, at: now };
                    note(sight, place.key(), &known, before.get(place.key()));
                    place.insert(known);
                }
            }
        }
    }
}

fn note(sight: &mut Sight<'_>, path: &[u8], now: &Known, before: Option<&Known>) {
    let labels = label("path", path);
    sight.reading.amount(&names::LOG_FILE, &labels, now.size);
    // After a rotation the name is another file's.
    let Some(before) = before.filter(|before| before.inode == now.inode) else { return };
    let seconds = now.at.since(before.at).as_secs_f64();
    if seconds > 0.0 {
        let grown = now.size.as_f64() - before.size.as_f64();
        sight.reading.note(&names::LOG_FILE_GROWTH, &labels, grown / seconds);
    }
}

/// A large file.
#[derive(Debug)]
struct Large {
    path: Vec<u8>,
    inode: u64,
    size: Bytes,
}

/// One walk below one directory.
#[derive(Debug)]
struct Walk<'a> {
    /// Places where something else is mounted: not even asked what they are.
    mounted: BTreeSet<&'a [u8]>,
    device: u64,
    least: Bytes,
    left: usize,
    cut: bool,
    total: Bytes,
    files: Vec<Large>,
}

impl<'a> Walk<'a> {
    /// `None` if the directory is not there, or is refused, which is told.
    fn start(sight: &mut Sight<'_>, mounts: &'a [Mount], dir: &Path, least: Bytes) -> Option<Self> {
        let opened = sight.root.open(dir).map_err(|error| (error.kind(), error));
        let opened = match opened {
            Ok(opened) => opened,
            Err((std::io::ErrorKind::NotFound, _)) => return None,
            Err((_, error)) => {
                let path = label("path", dir.as_os_str().as_bytes());
                sight.reading.blind(super::reading::refusal(path.get("path"), &error));
                return None;
            }
        };
        let mut walk = Self {
            mounted: mounts.iter().map(|mount| &*mount.point).collect(),
            device: rustix::fs::fstat(&opened).ok()?.st_dev,
            least,
            left: ENTRIES_MAX,
            cut: false,
            total: Bytes::ZERO,
            files: Vec::new(),
        };
        let path = dir.as_os_str().as_bytes();
        walk.enter(&opened, path.strip_suffix(b"/").unwrap_or(path), DEPTH_MAX);
        Some(walk)
    }

    /// Looks at what is in `dir`, whose path is `path`, at most `depth` folders deep.
    fn enter(&mut self, dir: &OwnedFd, path: &[u8], depth: usize) {
        let Ok(entries) = Dir::read_from(dir) else {
            self.cut = true;
            return;
        };
        for entry in entries {
            let Ok(entry) = entry else {
                self.cut = true;
                return;
            };
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            if self.left == 0 {
                self.cut = true;
                return;
            }
            self.left -= 1;
            self.look(dir, &[path, b"/", name].concat(), name, entry.file_type(), depth);
        }
    }

    fn look(&mut self, dir: &OwnedFd, path: &[u8], name: &[u8], kind: FileType, depth: usize) {
        if self.mounted.contains(path) {
            return;
        }
        match kind {
            FileType::Directory => self.descend(dir, path, name, depth),
            FileType::RegularFile | FileType::Unknown => {
                let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
                let Ok(stat) = rustix::fs::statat(dir, name, flags) else { return };
                match FileType::from_raw_mode(stat.st_mode) {
                    FileType::RegularFile => self.weigh(path, &stat),
                    FileType::Directory => self.descend(dir, path, name, depth),
                    _ => {}
                }
            }
            _ => {}
        }
    }

    fn weigh(&mut self, path: &[u8], stat: &rustix::fs::Stat) {
        let size = Bytes::new(u64::try_from(stat.st_size).unwrap_or(0));
        let blocks = u64::try_from(stat.st_blocks).unwrap_or(0);
        let size = size.min(Bytes::new(blocks.saturating_mul(512)));
        self.total = self.total.saturating_add(size);
        if size >= self.least {
            self.files.push(Large { path: path.to_vec(), inode: stat.st_ino, size });
        }
    }

    fn descend(&mut self, dir: &OwnedFd, path: &[u8], name: &[u8], depth: usize) {
        let Some(depth) = depth.checked_sub(1) else {
            self.cut = true;
            return;
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let Ok(inner) = rustix::fs::openat(dir, name, flags, Mode::empty()) else {
            self.cut = true;
            return;
        };
        let same = rustix::fs::fstat(inner.as_fd()).is_ok_and(|stat| stat.st_dev == self.device);
        if same {
            self.enter(&inner, path, depth);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::Root;
    use crate::survey::reading::Reading;
    use highwater_core::thing::Metric;
    use std::fs;

    fn seen(logs: &mut Logs, dirs: &[&Path], least: u64, seconds: u64) -> Reading {
        let (root, mut buffer, mut reading) = (Root::live(), Vec::new(), Reading::default());
        let mut sight = Sight { root: &root, buffer: &mut buffer, reading: &mut reading };
        let dirs: Vec<_> = dirs.iter().map(|dir| dir.to_path_buf()).collect();
        let now = BootTime::from_micros(seconds * 1_000_000);
        logs.read(&mut sight, &dirs, Bytes::new(least), now);
        reading
    }

    fn told(reading: &Reading, name: &str) -> Vec<(String, f64)> {
        let things = reading.things.iter().filter(|thing| thing.metric.name == name);
        let file = |path: &str| path.rsplit('/').next().unwrap().to_owned();
        things.map(|thing| (file(thing.labels.get("path")), thing.value)).collect()
    }

    fn value(reading: &Reading, metric: &Metric) -> Option<f64> {
        let mut things = reading.things.iter();
        things.find(|thing| thing.metric == metric).map(|thing| thing.value)
    }

    fn folder() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = fs::canonicalize(dir.path()).unwrap();
        (dir, path)
    }

    #[test]
    fn large_files_are_told_with_their_growth() {
        let (_keep, dir) = folder();
        fs::create_dir_all(dir.join("app/deep")).unwrap();
        fs::write(dir.join("app/deep/big.log"), vec![b'x'; 40_960]).unwrap();
        fs::write(dir.join("small.log"), vec![b'x'; 4096]).unwrap();
        let mut logs = Logs::default();
        let first = seen(&mut logs, &[&dir], 20_000, 100);
        assert_eq!(told(&first, "highwater_log_file_bytes"), [("big.log".into(), 40_960.0)]);
        assert_eq!(told(&first, "highwater_log_file_growth_bytes_per_second"), []);
        assert_eq!(value(&first, &names::LOG_DIR), Some(45_056.0));
        assert_eq!(value(&first, &names::LOG_DIR_WHOLE), Some(1.0));
        fs::write(dir.join("app/deep/big.log"), vec![b'x'; 81_920]).unwrap();
        let second = seen(&mut logs, &[&dir], 20_000, 110);
        let growth = told(&second, "highwater_log_file_growth_bytes_per_second");
        assert_eq!(growth, [("big.log".into(), 4096.0)]);
    }

    #[test]
    fn a_rotated_name_has_no_growth_and_a_hole_no_size() {
        let (_keep, dir) = folder();
        let log = dir.join("a.log");
        fs::write(&log, vec![b'x'; 40_960]).unwrap();
        fs::File::create(dir.join("lastlog")).unwrap().set_len(1 << 40).unwrap();
        let mut logs = Logs::default();
        assert_eq!(told(&seen(&mut logs, &[&dir], 1, 1), "highwater_log_file_bytes").len(), 1);
        fs::rename(&log, dir.join("a.log.1")).unwrap();
        fs::write(&log, vec![b'x'; 4096]).unwrap();
        let second = seen(&mut logs, &[&dir], 1, 2);
        assert_eq!(told(&second, "highwater_log_file_bytes").len(), 2);
        assert_eq!(told(&second, "highwater_log_file_growth_bytes_per_second"), []);
    }

    #[test]
    fn links_are_not_followed_but_the_directory_may_be_one() {
        let (_keep, dir) = folder();
        let (_other, other) = folder();
        fs::write(other.join("else.log"), vec![b'x'; 8192]).unwrap();
        std::os::unix::fs::symlink(&other, dir.join("link")).unwrap();
        std::os::unix::fs::symlink(other.join("else.log"), dir.join("link.log")).unwrap();
        let name = "highwater_log_file_bytes";
        assert_eq!(told(&seen(&mut Logs::default(), &[&dir], 1, 1), name), []);
        let through = seen(&mut Logs::default(), &[&dir.join("link")], 1, 1);
        assert_eq!(told(&through, name), [("else.log".into(), 8192.0)]);
        let twice = seen(&mut Logs::default(), &[&other, &dir.join("link")], 1, 1);
        assert_eq!(told(&twice, name).len(), 1, "one file is told once");
    }

    #[test]
    fn names_are_escaped_and_depth_is_bounded() {
        use std::os::unix::ffi::OsStrExt as _;
        let (_keep, dir) = folder();
        let evil = std::ffi::OsStr::from_bytes(b"a\x1b[31m\xff.log");
        fs::write(dir.join(evil), vec![b'x'; 8192]).unwrap();
        let mut deep = dir.clone();
        for _ in 0..=DEPTH_MAX {
            deep.push("d");
        }
        fs::create_dir_all(&deep).unwrap();
        fs::write(deep.join("deep.log"), vec![b'x'; 8192]).unwrap();
        let reading = seen(&mut Logs::default(), &[&dir], 1, 1);
        let files = told(&reading, "highwater_log_file_bytes");
        assert_eq!(files, [(r"a\x1b[31m\xff.log".into(), 8192.0)]);
        assert_eq!(value(&reading, &names::LOG_DIR_WHOLE), Some(0.0));
    }

    #[test]
    fn a_directory_that_is_not_there_is_nothing() {
        let reading = seen(&mut Logs::default(), &[Path::new("/nonexistent/log")], 1, 1);
        assert_eq!((reading.things.len(), reading.blind.len()), (0, 0));
        let file = tempfile::NamedTempFile::new().unwrap();
        let reading = seen(&mut Logs::default(), &[file.path()], 1, 1);
        assert_eq!(value(&reading, &names::LOG_DIR_WHOLE), Some(0.0), "a file is no directory");
    }
}
