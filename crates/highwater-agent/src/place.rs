//! Where the agent keeps its data, and that only one agent does.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

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
    /// Another agent has it.
    #[error("another highwater agent records into {dir}; stop it, or choose another --data-dir")]
    Taken {
        /// Which.
        dir: PathBuf,
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
        let lock = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(dir.join(LOCK_FILE))
            .map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { dir: dir.to_owned(), lock }),
            Err(TryLockError::WouldBlock) => Err(PlaceError::Taken { dir: dir.to_owned() }),
            Err(TryLockError::Error(cause)) => Err(unusable(cause)),
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
        assert!(matches!(Place::claim(first.dir()), Err(PlaceError::Taken { .. })));
        let dir = first.dir().to_owned();
        drop(first);
        Place::claim(&dir).unwrap();
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
