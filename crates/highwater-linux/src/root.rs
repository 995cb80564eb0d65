//! Where the kernel's files are: at `/`, or in a fixture tree that has `proc/` and `sys/`.
//!
//! Files that are read again and again are kept open and read with `pread` into a buffer that is
//! reused: this saves the path walk, which costs more than the reading itself, and allocates
//! nothing once the buffer has grown to its size.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::buffer::spare_capacity;
use rustix::fs::{Mode, OFlags};

/// The most that is read of one file. The largest ones, `zoneinfo` of a machine with hundreds of
/// processors and `mountinfo` of a crowded container host, stay below 1 MiB; what is longer is cut,
/// and the parsers give a partial answer.
const FILE_BYTES_MAX: usize = 4 << 20;

/// The room that an empty buffer gets: one page holds all but a few files.
const FIRST_READ_BYTES: usize = 4096;

/// The tree whose `proc/`, `sys/` and `dev/` are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    dir: PathBuf,
}

impl Root {
    /// This machine.
    pub fn live() -> Self {
        Self::at("/")
    }

    /// The tree at `dir`.
    pub fn at(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// Where `rel` is. A leading `/` changes nothing: `proc/meminfo` and `/proc/meminfo` are the
    /// same file of this tree, so that mount points can be given as the kernel writes them.
    pub fn path(&self, rel: impl AsRef<Path>) -> PathBuf {
        let rel = rel.as_ref();
        self.dir.join(rel.strip_prefix("/").unwrap_or(rel))
    }

    /// Opens `rel` for reading.
    pub fn open(&self, rel: impl AsRef<Path>) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        Ok(rustix::fs::open(self.path(rel), flags, Mode::empty())?)
    }

    /// Reads `rel` into `buf`, whose old content goes; at most 4 MiB.
    pub fn read(&self, rel: impl AsRef<Path>, buf: &mut Vec<u8>) -> io::Result<()> {
        buf.clear();
        let file = self.open(rel)?;
        read_fd(file, buf)?;
        Ok(())
    }
}

/// Reads all of an open file from its start into `buf`, whose old content goes; at most 4 MiB.
///
/// Allocates only when `buf` has no room. On an error `buf` is empty or holds the beginning.
pub fn read_fd(fd: impl AsFd, buf: &mut Vec<u8>) -> io::Result<&[u8]> {
    buf.clear();
    while fill(fd.as_fd(), buf)? > 0 {}
    Ok(buf)
}

/// As [`read_fd`], for the files that the kernel writes as one record: it does without the second
/// read that finds the end, because a read that leaves room in the buffer has seen everything.
///
/// Right for `/proc/PID/*`, `meminfo`, `pressure/*` and cgroup files (`single_open` in the
/// kernel); wrong for `vmstat`, `zoneinfo`, `swaps` and `mountinfo`, which come in pieces.
pub fn read_record(fd: impl AsFd, buf: &mut Vec<u8>) -> io::Result<&[u8]> {
    buf.clear();
    while fill(fd.as_fd(), buf)? > 0 && buf.len() == buf.capacity() {}
    Ok(buf)
}

/// Reads once into the room that `buf` has; gives it room first if it has none. 0: the end.
fn fill(fd: impl AsFd, buf: &mut Vec<u8>) -> io::Result<usize> {
    if buf.len() >= FILE_BYTES_MAX {
        return Ok(0);
    }
    if buf.len() == buf.capacity() {
        buf.reserve(buf.len().max(FIRST_READ_BYTES));
    }
    let offset = u64::try_from(buf.len()).unwrap_or(u64::MAX);
    loop {
        match rustix::io::pread(&fd, spare_capacity(buf), offset) {
            Err(rustix::io::Errno::INTR) => {}
            done => return Ok(done?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leading_slash_stays_inside_the_tree() {
        let root = Root::at("/fixtures/x");
        assert_eq!(root.path("/proc/meminfo"), Path::new("/fixtures/x/proc/meminfo"));
        assert_eq!(root.path("proc/meminfo"), Path::new("/fixtures/x/proc/meminfo"));
        assert_eq!(Root::live().path("proc/stat"), Path::new("/proc/stat"));
    }

    #[test]
    fn a_file_larger_than_the_buffer_is_read_whole_and_the_room_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let content: Vec<u8> = (0..50_000_u32).flat_map(u32::to_le_bytes).collect();
        std::fs::write(dir.path().join("big"), &content).unwrap();
        let root = Root::at(dir.path());
        let mut buf = Vec::new();
        root.read("big", &mut buf).unwrap();
        assert_eq!(buf, content);
        let place = (buf.as_ptr(), buf.capacity());
        let fd = root.open("big").unwrap();
        assert_eq!(read_fd(&fd, &mut buf).unwrap(), content);
        assert_eq!(read_record(&fd, &mut buf).unwrap(), content);
        assert_eq!((buf.as_ptr(), buf.capacity()), place, "reading again allocates nothing");
    }

    #[test]
    fn an_endless_file_is_cut() {
        let mut buf = Vec::new();
        Root::live().read("dev/zero", &mut buf).unwrap();
        assert!(buf.len() >= FILE_BYTES_MAX && buf.len() <= 2 * FILE_BYTES_MAX);
    }

    #[test]
    fn a_missing_file_is_an_error_and_leaves_nothing_behind() {
        let mut buf = b"old".to_vec();
        let error = Root::at("/nonexistent").read("proc/meminfo", &mut buf).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(buf.is_empty());
    }

    #[test]
    fn files_that_come_in_pieces_are_whole() {
        let root = Root::live();
        let mut buf = Vec::new();
        root.read("proc/vmstat", &mut buf).unwrap();
        assert_eq!(buf.last(), Some(&b'\n'));
        let (read, all) = (buf.len(), std::fs::read("/proc/vmstat").unwrap().len());
        assert!(read.abs_diff(all) < 200, "{read} bytes of about {all}");
    }
}
