//! Where the agent keeps its data, and that only one agent does.

use std::fs::{File, Metadata, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use highwater_linux::root::Root;

use crate::notice::{LOCK_FILE, Notice};

/// The data directory of the whole machine's recorder.
pub const SYSTEM_DIR: &str = "/var/lib/highwater";

/// The data directory was not to be had.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// It could not be made or opened.
    #[error("cannot use data directory {dir}: {cause}; choose another with --data-dir")]
    Unusable {
        /// Which.
        dir: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// There is something else.
    #[error("data directory {dir} is not a directory; choose another with --data-dir")]
    NotADirectory {
        /// Which.
        dir: PathBuf,
    },
    /// Another agent has it, or somebody compacts it.
    #[error(
        "{dir} is in use by another `highwater agent` or a `highwater store compact`{}; stop it, \
         or choose another --data-dir",
        pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
    )]
    Taken {
        /// Which.
        dir: PathBuf,
        /// The process that has it, as far as the kernel tells.
        pid: Option<u32>,
    },
    /// Nobody said where, and there is no home to put it in.
    #[error(
        "no place for data: neither XDG_STATE_HOME nor HOME is set; choose one with --data-dir"
    )]
    Homeless,
}

/// Where data goes unless somebody says otherwise: `/var/lib/highwater` for root, else
/// `$XDG_STATE_HOME/highwater`, else `~/.local/state/highwater`.
pub fn default_dir() -> Result<PathBuf, PlaceError> {
    if rustix::process::geteuid().is_root() {
        return Ok(PathBuf::from(SYSTEM_DIR));
    }
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|dir| dir.is_absolute());
    let state = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")));
    Ok(state.ok_or(PlaceError::Homeless)?.join("highwater"))
}

/// What has to be added to a command so that it reads the recording in `dir`: nothing, if it would
/// look there anyway.
pub fn option_for(dir: &Path) -> String {
    match default_dir() {
        Ok(usual) if usual == dir => String::new(),
        _ => format!(" --data-dir {}", dir.display()),
    }
}

/// A data directory that this process has to itself, until it is dropped or dies.
#[derive(Debug)]
pub struct Place {
    dir: PathBuf,
    lock: File,
    /// There was no lock file before.
    is_new: bool,
}

impl Place {
    /// Makes `dir` if need be, readable by its owner and group only, and locks it.
    pub fn claim(dir: &Path) -> Result<Self, PlaceError> {
        let unusable = |cause: io::Error| match cause.kind() {
            io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => {
                PlaceError::NotADirectory { dir: dir.to_owned() }
            }
            _ => PlaceError::Unusable { dir: dir.to_owned(), cause },
        };
        make_private(dir).map_err(unusable)?;
        let path = dir.join(LOCK_FILE);
        let mut options = File::options();
        options.read(true).write(true);
        let made = options.clone().create_new(true).open(&path);
        let is_new = made.is_ok();
        let lock = made.or_else(|_| options.create(true).truncate(false).open(&path));
        let lock = lock.map_err(unusable)?;
        let taken = || PlaceError::Taken { dir: dir.to_owned(), pid: holder(dir) };
        match lock.try_lock() {
            // Who had it may have taken the file away with it; then the lock is worth nothing.
            Ok(()) if !is_at(&lock, &path) => Err(taken()),
            Ok(()) => Ok(Self { dir: dir.to_owned(), lock, is_new }),
            Err(TryLockError::WouldBlock) => Err(taken()),
            Err(TryLockError::Error(cause)) => Err(unusable(cause)),
        }
    }

    /// Gives the directory up as it was found: without a lock file, if there was none.
    pub(crate) fn abandon(self) {
        if self.is_new {
            let _stays_there = std::fs::remove_file(self.dir.join(LOCK_FILE));
        }
    }

    /// Where this agent leaves word of itself.
    pub(crate) fn notice(&self) -> io::Result<Notice> {
        self.lock.try_clone().map(Notice::new)
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

/// Whether the open file is the one of this name.
fn is_at(file: &File, path: &Path) -> bool {
    let same =
        |one: Metadata, other: Metadata| (one.dev(), one.ino()) == (other.dev(), other.ino());
    let both = file.metadata().and_then(|one| Ok((one, std::fs::metadata(path)?)));
    both.is_ok_and(|(one, other)| same(one, other))
}

/// The process that has the directory `dir` to itself, by the kernel's list of locks; `None` if
/// none has, or it is in another pid namespace.
pub fn holder(dir: &Path) -> Option<u32> {
    let lock = std::fs::metadata(dir.join(LOCK_FILE)).ok()?;
    let mut list = Vec::new();
    Root::live().read("proc/locks", &mut list).ok()?;
    writer_of(&list, lock.dev(), lock.ino())
}

/// Who has a whole file locked for himself, by `/proc/locks`: `1: FLOCK ADVISORY WRITE 812
/// fe:01:131 0 EOF`, with the device in hexadecimal (Documentation/filesystems/proc.rst, 1.8; those
/// who wait stand behind `->`). A pid of another namespace is shown as 0.
fn writer_of(locks: &[u8], device: u64, inode: u64) -> Option<u32> {
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let file = format!("{major:02x}:{minor:02x}:{inode}");
    let mut lines = locks.split(|byte| *byte == b'\n');
    lines.find_map(|line| {
        let mut words = std::str::from_utf8(line).ok()?.split_ascii_whitespace().skip(1);
        let is_it = words.next()? == "FLOCK" && words.next().is_some() && words.next()? == "WRITE";
        let pid: u32 = words.next()?.parse().ok()?;
        (is_it && pid > 0 && words.next()? == file).then_some(pid)
    })
}

/// What is recorded names every process of every user, so it is not for everybody.
fn make_private(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o750).create(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_agent_per_directory() {
        let dir = tempfile::tempdir().unwrap();
        let first = Place::claim(&dir.path().join("deep/er")).unwrap();
        let taken = Place::claim(first.dir()).unwrap_err();
        assert!(matches!(taken, PlaceError::Taken { .. }));
        if let Some(pid) = holder(first.dir()) {
            assert_eq!(pid, std::process::id());
            assert!(taken.to_string().contains(&format!("(pid {pid})")), "{taken}");
        }
        let dir = first.dir().to_owned();
        drop(first);
        Place::claim(&dir).unwrap();
    }

    #[test]
    fn a_directory_that_is_given_up_is_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        Place::claim(dir.path()).unwrap().abandon();
        assert!(!dir.path().join(LOCK_FILE).exists());
        drop(Place::claim(dir.path()).unwrap());
        Place::claim(dir.path()).unwrap().abandon();
        assert!(dir.path().join(LOCK_FILE).exists(), "it was there before");
    }

    #[test]
    fn the_holder_is_found_among_all_locks_and_garbage_names_nobody() {
        let list = b"1: POSIX  ADVISORY  WRITE 700 fe:01:131 0 EOF\n\
            2: FLOCK  ADVISORY  READ 701 fe:01:131 0 EOF\n\
            3: -> FLOCK  ADVISORY  WRITE 703 fe:01:131 0 EOF\n\
            4: FLOCK  ADVISORY  WRITE 812 fe:01:131 0 EOF\n";
        assert_eq!(writer_of(list, 0xfe01, 131), Some(812));
        assert_eq!(writer_of(list, 0xfe01, 999), None);
        for list in [&b""[..], b"\n\n", b"1: FLOCK", b"\xff\xfe \x00", b"1: FLOCK A WRITE x y"] {
            assert_eq!(writer_of(list, 0xfe01, 131), None);
        }
    }

    #[test]
    fn a_file_in_the_way_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = Place::claim(file.path()).unwrap_err();
        assert!(
            matches!(&error, PlaceError::NotADirectory { dir } if dir == file.path()),
            "{error}"
        );
    }
}
