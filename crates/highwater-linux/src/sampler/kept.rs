//! Files that are kept open between ticks, and how many may be.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, openat};
use rustix::io::{Errno, Result};

use crate::root::{read_fd, read_record};

/// The room that most kernel files fit in: `memory.stat` takes 2 KiB, `vmstat` 5, and `zoneinfo`
/// of a large machine 60. It grows once where more is needed.
pub(super) const BUFFER_BYTES: usize = 64 * 1024;

/// How many descriptors are kept, and how many may be.
#[derive(Debug)]
pub(super) struct Budget {
    kept: usize,
    most: usize,
}

impl Budget {
    pub(super) fn new(most: usize) -> Self {
        Self { kept: 0, most }
    }

    pub(super) fn kept(&self) -> u64 {
        u64::try_from(self.kept).unwrap_or(u64::MAX)
    }

    fn take(&mut self) -> bool {
        let free = self.kept < self.most;
        self.kept += usize::from(free);
        free
    }
}

/// A file below some directory, kept open while the budget allows.
#[derive(Debug, Default)]
pub(super) struct Kept(Option<OwnedFd>);

impl Kept {
    /// The file's bytes as of now. The first reading opens `dir`/`path`, which need not be made up
    /// for the others.
    ///
    /// For files that the kernel writes as one record; see [`read_record`].
    pub(super) fn read<'b, 'p>(
        &mut self,
        dir: BorrowedFd<'_>,
        path: impl FnOnce() -> &'p str,
        budget: &mut Budget,
        buffer: &'b mut Vec<u8>,
    ) -> Result<&'b [u8]> {
        self.open(dir, path, budget)?.read(buffer, |fd, buffer| read_record(fd, buffer).map(|_| ()))
    }

    /// As [`Kept::read`], for files that come in pieces.
    pub(super) fn read_pieces<'b, 'p>(
        &mut self,
        dir: BorrowedFd<'_>,
        path: impl FnOnce() -> &'p str,
        budget: &mut Budget,
        buffer: &'b mut Vec<u8>,
    ) -> Result<&'b [u8]> {
        self.open(dir, path, budget)?.read(buffer, |fd, buffer| read_fd(fd, buffer).map(|_| ()))
    }

    fn open<'p>(
        &mut self,
        dir: BorrowedFd<'_>,
        path: impl FnOnce() -> &'p str,
        budget: &mut Budget,
    ) -> Result<Open<'_>> {
        if self.0.is_none() {
            let fd = open(dir, path())?;
            if !budget.take() {
                return Ok(Open::Once(fd));
            }
            self.0 = Some(fd);
        }
        self.0.as_ref().map(|fd| Open::Kept(fd.as_fd())).ok_or(Errno::BADF)
    }

    /// Closes the file and gives its place back.
    pub(super) fn close(&mut self, budget: &mut Budget) {
        if self.0.take().is_some() {
            budget.kept -= 1;
        }
    }
}

/// A file that is open for one reading at least.
enum Open<'a> {
    Kept(BorrowedFd<'a>),
    Once(OwnedFd),
}

impl Open<'_> {
    fn read<'b>(
        &self,
        buffer: &'b mut Vec<u8>,
        read: impl FnOnce(BorrowedFd<'_>, &mut Vec<u8>) -> std::io::Result<()>,
    ) -> Result<&'b [u8]> {
        let fd = match self {
            Self::Kept(fd) => *fd,
            Self::Once(fd) => fd.as_fd(),
        };
        read(fd, buffer).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        Ok(buffer)
    }
}

/// Opens, reads and closes a file that the kernel writes as one record; see [`read_record`].
pub(super) fn read_once<'b>(
    dir: BorrowedFd<'_>,
    path: &str,
    buffer: &'b mut Vec<u8>,
) -> Result<&'b [u8]> {
    Open::Once(open(dir, path)?).read(buffer, |fd, buffer| read_record(fd, buffer).map(|_| ()))
}

/// As [`read_once`], for files that come in pieces.
pub(super) fn read_pieces_once<'b>(
    dir: BorrowedFd<'_>,
    path: &str,
    buffer: &'b mut Vec<u8>,
) -> Result<&'b [u8]> {
    Open::Once(open(dir, path)?).read(buffer, |fd, buffer| read_fd(fd, buffer).map(|_| ()))
}

fn open(dir: BorrowedFd<'_>, path: &str) -> Result<OwnedFd> {
    openat(dir, path, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK, Mode::empty())
}

/// What an error of a kept file means for the thing it belongs to.
pub(super) fn is_gone(error: Errno) -> bool {
    // ESRCH: the process behind the descriptor died; ENODEV: the cgroup was removed.
    matches!(error, Errno::SRCH | Errno::NOENT | Errno::NODEV)
}
