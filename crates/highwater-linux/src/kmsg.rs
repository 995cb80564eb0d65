//! `/dev/kmsg`: the kernel's messages as it keeps them, one record per read.
//!
//! The device begins with the oldest message that is still there. What a record says is not for
//! this module: it hands out the bytes (`6,339,5140900,-;NET: Registered …`, see
//! `Documentation/ABI/testing/dev-kmsg`).

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::root::Root;

/// Room for one record. The kernel composes a record in 8 KiB at most (`CONSOLE_EXT_LOG_MAX`,
/// later `PRINTK_MESSAGE_MAX`) and skips one that does not fit the reader's buffer, so this is
/// twice as much.
const RECORD_BYTES_MAX: usize = 16 << 10;

/// The open device.
#[derive(Debug)]
pub struct Kmsg {
    device: OwnedFd,
    record: Vec<u8>,
}

/// What reading once brought.
#[derive(Debug, PartialEq, Eq)]
pub enum Next<'a> {
    /// One record.
    Record(&'a [u8]),
    /// Records were overwritten before they could be read; the next one is the oldest there is.
    Overrun,
    /// Nothing more for now: wait for the descriptor to become readable.
    Empty,
}

/// Why kernel messages cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum KmsgError {
    /// EPERM or EACCES.
    #[error(
        "{path:?}: not permitted: with kernel.dmesg_restrict=1 it takes root or CAP_SYSLOG to read kernel messages"
    )]
    Forbidden {
        /// The device.
        path: PathBuf,
    },
    /// ENOENT, ENXIO, ENODEV.
    #[error("{path:?}: not there: this system or container has no kernel message device")]
    Missing {
        /// The device.
        path: PathBuf,
    },
    /// Anything else, when it was opened.
    #[error("cannot open {path:?}")]
    Open {
        /// The device.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// Anything but an overrun, when it was read.
    #[error("cannot read kernel messages")]
    Read(#[source] io::Error),
}

impl Kmsg {
    /// Opens `dev/kmsg` at the oldest message. Reading never blocks.
    pub fn open(root: &Root) -> Result<Self, KmsgError> {
        let path = root.path("dev/kmsg");
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        match rustix::fs::open(&path, flags, Mode::empty()) {
            Ok(device) => Ok(Self::new(device)),
            Err(errno) => Err(refusal(errno, path)),
        }
    }

    fn new(device: OwnedFd) -> Self {
        Self { device, record: Vec::with_capacity(RECORD_BYTES_MAX) }
    }

    /// Reads the next record.
    ///
    /// A read that the kernel forbids is an error here and not on opening: with `dmesg_restrict`
    /// some kernels check only then.
    #[expect(clippy::should_implement_trait, reason = "a record lends the buffer it stands in")]
    pub fn next(&mut self) -> Result<Next<'_>, KmsgError> {
        self.record.clear();
        let read = loop {
            let spare = rustix::buffer::spare_capacity(&mut self.record);
            match rustix::io::read(&self.device, spare) {
                Err(Errno::INTR) => {}
                done => break done,
            }
        };
        outcome(read, &self.record)
    }
}

/// For `poll`: readable when there is a record or an overrun to report.
impl AsFd for Kmsg {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.device.as_fd()
    }
}

fn outcome(read: Result<usize, Errno>, record: &[u8]) -> Result<Next<'_>, KmsgError> {
    match read {
        Ok(0) | Err(Errno::AGAIN) => Ok(Next::Empty),
        Ok(_) => Ok(Next::Record(record)),
        Err(Errno::PIPE) => Ok(Next::Overrun),
        Err(errno @ (Errno::PERM | Errno::ACCESS)) => Err(refusal(errno, "/dev/kmsg".into())),
        Err(errno) => Err(KmsgError::Read(errno.into())),
    }
}

fn refusal(errno: Errno, path: PathBuf) -> KmsgError {
    match errno {
        Errno::PERM | Errno::ACCESS => KmsgError::Forbidden { path },
        Errno::NOENT | Errno::NXIO | Errno::NODEV => KmsgError::Missing { path },
        _ => KmsgError::Open { path, source: errno.into() },
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use super::*;

    /// A socket that keeps messages apart, as the device does.
    fn device() -> (UnixDatagram, Kmsg) {
        let (kernel, reader) = UnixDatagram::pair().unwrap();
        reader.set_nonblocking(true).unwrap();
        (kernel, Kmsg::new(reader.into()))
    }

    #[test]
    fn each_read_is_one_record() {
        let (kernel, mut kmsg) = device();
        assert_eq!(kmsg.next().unwrap(), Next::Empty);
        let long = vec![b'x'; RECORD_BYTES_MAX];
        for record in [&b"6,1,2,-;one\n"[..], &long, b"6,2,3,-;\xff\n"] {
            kernel.send(record).unwrap();
        }
        assert_eq!(kmsg.next().unwrap(), Next::Record(b"6,1,2,-;one\n"));
        assert_eq!(kmsg.next().unwrap(), Next::Record(&long));
        assert_eq!(kmsg.next().unwrap(), Next::Record(b"6,2,3,-;\xff\n"));
        assert_eq!(kmsg.next().unwrap(), Next::Empty);
        assert_eq!(kmsg.record.capacity(), RECORD_BYTES_MAX, "the room never grows");
    }

    #[test]
    fn an_overrun_is_not_an_error() {
        assert_eq!(outcome(Err(Errno::PIPE), b"").unwrap(), Next::Overrun);
        assert!(matches!(outcome(Err(Errno::IO), b""), Err(KmsgError::Read(_))));
    }

    #[test]
    fn a_refusal_names_what_is_missing() {
        let said = |errno| refusal(errno, "/dev/kmsg".into()).to_string();
        assert!(
            said(Errno::PERM).contains("CAP_SYSLOG")
                && said(Errno::PERM).contains("dmesg_restrict")
        );
        assert!(said(Errno::NOENT).contains("no kernel message device"));
        assert!(outcome(Err(Errno::PERM), b"").unwrap_err().to_string().contains("CAP_SYSLOG"));
        let missing = Kmsg::open(&Root::at("/nonexistent"));
        assert!(matches!(missing, Err(KmsgError::Missing { .. })));
    }
}
