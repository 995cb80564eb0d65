//! Directories below `/proc`: who is there, and how many descriptors each has open.

use std::fmt::Write as _;
use std::os::fd::BorrowedFd;

use highwater_core::id::Pid;
use rustix::fs::{AtFlags, Mode, OFlags, RawDir, SeekFrom, openat, seek, statat};
use rustix::io::Result;

use crate::parse::number;

/// How many descriptors a process has open. Since 6.2 the kernel tells it as the size of the `fd`
/// directory (commit f1f1f2569901); before, they have to be listed.
pub(super) fn count_fds(proc: BorrowedFd<'_>, path: &str, buffer: &mut Vec<u8>) -> Result<u64> {
    let told = u64::try_from(statat(proc, path, AtFlags::empty())?.st_size).unwrap_or(0);
    if told > 0 {
        return Ok(told);
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = openat(proc, path, flags, Mode::empty())?;
    buffer.clear();
    let (mut entries, mut count) = (RawDir::new(dir, buffer.spare_capacity_mut()), 0_u64);
    while let Some(entry) = entries.next() {
        count += u64::from(number::u64(entry?.file_name().to_bytes()).is_some());
    }
    Ok(count)
}

/// The pids below `/proc`, in order.
pub(super) fn list(proc: BorrowedFd<'_>, listing: &mut Vec<u8>, pids: &mut Vec<Pid>) -> Result<()> {
    pids.clear();
    seek(proc, SeekFrom::Start(0))?;
    let mut entries = RawDir::new(proc, listing.spare_capacity_mut());
    while let Some(entry) = entries.next() {
        let number = number::u64(entry?.file_name().to_bytes());
        pids.extend(number.and_then(|pid| u32::try_from(pid).ok()).map(Pid::new));
    }
    pids.sort_unstable();
    Ok(())
}

/// `PID/name`, written into `path`.
pub(super) fn file<'p>(path: &'p mut String, pid: Pid, name: &str) -> &'p str {
    path.clear();
    // Writing to a String cannot fail.
    write!(path, "{pid}/{name}").unwrap_or_default();
    path
}
