//! Who is who: processes, users, cgroups, and the names they carry.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::text;

/// A process id. Reused by the kernel: only a [`ProcKey`] names one process for good.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Pid(u32);

impl Pid {
    /// The process `number`.
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// When a process started, in clock ticks after boot: field 22 of `/proc/PID/stat`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct StartTicks(u64);

impl StartTicks {
    /// `ticks` clock ticks after boot.
    pub const fn new(ticks: u64) -> Self {
        Self(ticks)
    }

    /// Clock ticks after boot.
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// One process for good: its pid and when it started.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct ProcKey {
    /// The process id.
    pub pid: Pid,
    /// When it started.
    pub start: StartTicks,
}

/// The most bytes a [`Comm`] keeps. User processes have at most 15 (`TASK_COMM_LEN`), kernel
/// workers up to 63 (`fs/proc/array.c`); their heads tell enough.
const COMM_BYTES: usize = 32;

/// A process's short name: at most 32 raw bytes, held inline so that a sample needs no memory.
///
/// Whoever starts a process chooses these bytes. `Display` escapes them.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Comm {
    bytes: [u8; COMM_BYTES],
    len: u8,
}

impl Comm {
    /// The name's first 32 bytes.
    pub fn new(name: &[u8]) -> Self {
        let mut comm = Self::default();
        for (to, from) in comm.bytes.iter_mut().zip(name) {
            *to = *from;
            comm.len += 1;
        }
        comm
    }

    /// The raw bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

impl fmt::Display for Comm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&text::escape(self.as_bytes()))
    }
}

impl fmt::Debug for Comm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Comm({self})")
    }
}

/// A cgroup's path inside its hierarchy, `/` first, as `/proc/PID/cgroup` and the kernel's
/// messages give it; bytes that are not printable are escaped. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CgroupPath(Arc<str>);

impl CgroupPath {
    /// The cgroup at `path`.
    pub fn new(path: &[u8]) -> Self {
        Self(text::escape(path).as_ref().into())
    }

    /// The path.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The cgroup above; the root has none.
    pub fn parent(&self) -> Option<&str> {
        let (above, _) = self.0.rsplit_once('/')?;
        match (above, &*self.0) {
            (_, "/") => None,
            ("", _) => Some("/"),
            _ => Some(above),
        }
    }
}

impl Borrow<str> for CgroupPath {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CgroupPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for CgroupPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CgroupPath({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comm_keeps_its_bytes_and_shows_them_escaped() {
        let comm = Comm::new(b"evil\x1b[2J)");
        assert_eq!(comm.as_bytes(), b"evil\x1b[2J)");
        assert_eq!(comm.to_string(), r"evil\x1b[2J)");
        assert_eq!(Comm::new(&[b'a'; 99]).as_bytes().len(), COMM_BYTES);
    }

    #[test]
    fn parents_end_at_the_root() {
        let path = CgroupPath::new(b"/a/b");
        assert_eq!(path.parent(), Some("/a"));
        assert_eq!(CgroupPath::new(b"/a").parent(), Some("/"));
        assert_eq!(CgroupPath::new(b"/").parent(), None);
    }
}
