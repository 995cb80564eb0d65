//! PSI triggers: the kernel wakes a thread when tasks were stalled for memory for long enough
//! within a window (`kernel/sched/psi.c`, `Documentation/accounting/psi.rst`).

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::root::Root;

/// How much stall wakes: `stall` within `window`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Threshold {
    /// How long at least one task (`some`) was stalled.
    pub stall: Duration,
    /// Within how long; the kernel takes 500 ms to 10 s. Without `CAP_SYS_RESOURCE` it has to be a
    /// multiple of 2 s, and the kernel 6.5 or later.
    pub window: Duration,
}

impl Threshold {
    /// 150 ms in 2 s: 7.5 %, which a machine that has enough memory does not reach; and a window
    /// that needs no privilege.
    pub const EARLY: Self =
        Self { stall: Duration::from_millis(150), window: Duration::from_secs(2) };

    /// As it is written into the file, in microseconds, with the NUL that ends it.
    fn command(self) -> String {
        format!("some {} {}\0", self.stall.as_micros(), self.window.as_micros())
    }
}

/// A registered trigger; dropped, it is no more.
#[derive(Debug)]
pub struct Trigger {
    file: OwnedFd,
}

/// Why there is no trigger.
#[derive(Debug, thiserror::Error)]
pub enum TriggerError {
    /// ENOENT, EOPNOTSUPP: the kernel has no PSI, or it is off.
    #[error(
        "{path:?}: no pressure information here: the kernel needs CONFIG_PSI and, where it is off by default, psi=1 on its command line"
    )]
    Unsupported {
        /// The pressure file.
        path: PathBuf,
    },
    /// EACCES, EPERM, EROFS: not permitted.
    #[error(
        "{path:?}: not permitted to set a trigger: before Linux 6.5, or with a window that is no multiple of 2 s, it takes root or CAP_SYS_RESOURCE; a cgroup's file takes write permission"
    )]
    Forbidden {
        /// The pressure file.
        path: PathBuf,
    },
    /// EINVAL: the kernel does not take this threshold from us.
    #[error(
        "{path:?}: the kernel refused the trigger {command:?}: the window is 500 ms to 10 s, and a multiple of 2 s without CAP_SYS_RESOURCE"
    )]
    Refused {
        /// The pressure file.
        path: PathBuf,
        /// What was written into it.
        command: String,
    },
    /// Anything else.
    #[error("cannot set a pressure trigger at {path:?}")]
    Io {
        /// The pressure file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

impl Trigger {
    /// Sets a trigger on `rel`: `proc/pressure/memory`, or `memory.pressure` of a v2 cgroup.
    pub fn register(
        root: &Root,
        rel: impl AsRef<Path>,
        threshold: Threshold,
    ) -> Result<Self, TriggerError> {
        let path = root.path(rel);
        let command = threshold.command();
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let set = rustix::fs::open(&path, flags, Mode::empty()).and_then(|file| {
            rustix::io::write(&file, command.as_bytes())?;
            Ok(Self { file })
        });
        set.map_err(|errno| refusal(errno, path, command))
    }

    /// For `poll`: `PRI` when the threshold was crossed, at most once a window; `ERR` when the
    /// cgroup is gone.
    pub fn poll_fd(&self) -> PollFd<'_> {
        PollFd::new(&self.file, PollFlags::PRI)
    }
}

impl AsFd for Trigger {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

fn refusal(errno: Errno, path: PathBuf, command: String) -> TriggerError {
    match errno {
        Errno::NOENT | Errno::OPNOTSUPP => TriggerError::Unsupported { path },
        Errno::ACCESS | Errno::PERM | Errno::ROFS => TriggerError::Forbidden { path },
        Errno::INVAL => TriggerError::Refused { path, command },
        _ => TriggerError::Io { path, source: errno.into() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_is_written_in_microseconds() {
        assert_eq!(Threshold::EARLY.command(), "some 150000 2000000\0");
    }

    #[test]
    fn the_trigger_is_written_into_the_file() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("memory.pressure"), "").unwrap();
        let root = Root::at(dir.path());
        let trigger = Trigger::register(&root, "memory.pressure", Threshold::EARLY).unwrap();
        let written = std::fs::read(dir.path().join("memory.pressure")).unwrap();
        assert_eq!(written, b"some 150000 2000000\0");
        assert_eq!(trigger.poll_fd().revents(), PollFlags::empty());
    }

    #[test]
    fn each_refusal_names_the_way_out() {
        let said = |errno| refusal(errno, "/p".into(), "c".into()).to_string();
        assert!(
            said(Errno::NOENT).contains("CONFIG_PSI") && said(Errno::OPNOTSUPP).contains("psi=1")
        );
        assert!(said(Errno::ACCESS).contains("CAP_SYS_RESOURCE"));
        assert!(said(Errno::INVAL).contains("multiple of 2 s"));
        assert!(said(Errno::IO).contains("/p"));
        let missing = Trigger::register(&Root::at("/nonexistent"), "x", Threshold::EARLY);
        assert!(matches!(missing, Err(TriggerError::Unsupported { .. })));
    }
}
