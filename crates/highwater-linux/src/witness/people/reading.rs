//! What `/proc/PID` says of a process at one moment, with one open per file and buffers that are
//! reused.

use std::os::fd::{AsFd, OwnedFd};

use highwater_core::id::Pid;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::parse::{number, stat, text};
use crate::root::{Root, read_record};
use crate::witness::Rlimits;

/// How much of a process is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    Whole,
    /// What no child has of its parent: neither login, limits nor cgroups.
    Own,
}

/// Reads processes, one after the other.
#[derive(Debug)]
pub(super) struct Reading {
    /// `/proc`, from which the path to a process is short.
    proc: Option<OwnedFd>,
    /// How much was read.
    pub(super) extent: Extent,
    pub(super) stat: Option<stat::Stat>,
    pub(super) uid: Option<u32>,
    pub(super) login_uid: Option<u32>,
    pub(super) limits: Rlimits,
    /// With its NULs; empty of a kernel thread, and of one that has ended.
    pub(super) command: Vec<u8>,
    /// The file as it stands.
    pub(super) cgroup: Vec<u8>,
    buffer: Vec<u8>,
}

/// How much of a command line is read: what is kept, and a little so that a cut shows.
const COMMAND_BYTES: usize = 512;

/// `PF_EXITING` of `include/linux/sched.h`.
const EXITING: u32 = 0x4;

/// Who it is when no user has logged in.
const NOBODY_LOGGED_IN: u32 = u32::MAX;

impl Reading {
    pub(super) fn new(root: &Root) -> Self {
        Self {
            proc: directory(None, &root.path("proc")).ok(),
            extent: Extent::Whole,
            stat: None,
            uid: None,
            login_uid: None,
            limits: Rlimits::default(),
            command: Vec::new(),
            cgroup: Vec::new(),
            buffer: Vec::new(),
        }
    }

    /// Reads it. `false`: there is no such process any more.
    pub(super) fn read(&mut self, pid: Pid, extent: Extent) -> bool {
        (self.stat, self.extent) = (None, extent);
        let Some(dir) = self.open(pid) else { return false };
        // The directory belongs to the effective user, also of a process that keeps the rest of
        // its files for root.
        self.uid = rustix::fs::fstat(&dir).ok().map(|stat| stat.st_uid);
        self.read_command(&dir);
        if extent == Extent::Whole {
            self.read_inherited(&dir);
        }
        // Last: if it is not ending here, it was not when the others were read.
        self.stat = fill(&dir, "stat", &mut self.buffer).and_then(stat::parse);
        self.stat.is_some()
    }

    /// What a child has of its parent.
    fn read_inherited(&mut self, dir: &OwnedFd) {
        if fill(dir, "cgroup", &mut self.cgroup).is_none() {
            self.cgroup.clear();
        }
        let login = fill(dir, "loginuid", &mut self.buffer).and_then(number::u32);
        self.login_uid = login.filter(|uid| *uid != NOBODY_LOGGED_IN);
        self.limits = fill(dir, "limits", &mut self.buffer).map(Rlimits::parse).unwrap_or_default();
    }

    /// It ends, or has: from the first step of that on v1 shows it at the top of each hierarchy
    /// (`proc_cgroup_show` in `kernel/cgroup/cgroup.c`), though it is no zombie before it has given
    /// back its memory.
    pub(super) fn is_ending(&self) -> bool {
        self.stat.is_some_and(|stat| matches!(stat.state, b'Z' | b'X') || stat.flags & EXITING != 0)
    }

    /// The command line stands in the process's own memory and may be megabytes long: only its
    /// beginning is read.
    fn read_command(&mut self, dir: &OwnedFd) {
        self.command.clear();
        self.command.reserve_exact(COMMAND_BYTES);
        if let Ok(file) = open_file(dir, "cmdline") {
            let room = rustix::buffer::spare_capacity(&mut self.command);
            let _none_if_it_ended = rustix::io::pread(file, room, 0);
        }
    }

    /// Which process a thread belongs to: `Tgid` in its `status`.
    pub(super) fn process_of(&mut self, thread: Pid) -> Option<Pid> {
        let dir = self.open(thread)?;
        let status = fill(&dir, "status", &mut self.buffer)?;
        let (_, process) = text::keyed(status).find(|(key, _)| *key == b"Tgid")?;
        number::u32(process).map(Pid::new)
    }

    /// Who is there now.
    pub(super) fn everybody(&self) -> Vec<Pid> {
        let Some(proc) = &self.proc else { return Vec::new() };
        let Ok(dir) = rustix::fs::Dir::read_from(proc) else { return Vec::new() };
        let pids = dir.filter_map(|entry| number::u32(entry.ok()?.file_name().to_bytes()));
        pids.map(Pid::new).collect()
    }

    fn open(&self, pid: Pid) -> Option<OwnedFd> {
        directory(Some(self.proc.as_ref()?), pid.to_string().as_ref()).ok()
    }
}

fn directory(above: Option<&OwnedFd>, path: &std::path::Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let above = above.map_or(rustix::fs::CWD, AsFd::as_fd);
    rustix::fs::openat(above, path, flags, Mode::empty())
}

fn fill<'b>(dir: &OwnedFd, name: &str, buffer: &'b mut Vec<u8>) -> Option<&'b [u8]> {
    read_record(open_file(dir, name).ok()?, buffer).ok()
}

fn open_file(dir: &OwnedFd, name: &str) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(dir, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
}
