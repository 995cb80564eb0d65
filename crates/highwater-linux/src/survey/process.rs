//! One process, held so that a stranger that gets its pid is never taken for it.

use std::io;
use std::os::fd::OwnedFd;

use highwater_core::id::ProcKey;
use rustix::fs::{Mode, OFlags};

use crate::parse::stat;
use crate::root::{Root, read_fd};

/// The open folder `/proc/PID`. What is opened below it is of this process or of none: the kernel
/// answers ESRCH once it is dead.
#[derive(Debug)]
pub(super) struct Held {
    dir: OwnedFd,
    key: ProcKey,
}

/// Why a process was not looked into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Missed {
    /// It ended, or its pid is a stranger's now.
    Gone,
    /// It waits uninterruptibly: it may hold the lock of its mappings without end.
    Stuck,
    /// The kernel refused.
    Refused,
}

impl Held {
    /// Opens the process, if it is the one that is meant.
    pub(super) fn open(root: &Root, key: ProcKey, buffer: &mut Vec<u8>) -> Result<Self, Missed> {
        let path = root.path(format!("proc/{}", key.pid));
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = rustix::fs::open(path, flags, Mode::empty()).map_err(missed)?;
        let held = Self { dir, key };
        held.check(buffer)?;
        Ok(held)
    }

    /// Whether it is still there and the same.
    pub(super) fn check(&self, buffer: &mut Vec<u8>) -> Result<(), Missed> {
        self.read("stat", buffer)?;
        let stat = stat::parse(buffer).filter(|stat| stat.start == self.key.start);
        match stat.ok_or(Missed::Gone)?.state {
            b'Z' | b'X' => Err(Missed::Gone),
            b'D' => Err(Missed::Stuck),
            _ => Ok(()),
        }
    }

    /// Reads one of its files.
    pub(super) fn read(&self, name: &str, buffer: &mut Vec<u8>) -> Result<(), Missed> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.dir, name, flags, Mode::empty()).map_err(missed)?;
        read_fd(file, buffer).map(|_| ()).map_err(|error| refused(&error))
    }

    /// Opens one of its folders.
    pub(super) fn folder(&self, name: &str) -> Result<OwnedFd, Missed> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::openat(&self.dir, name, flags, Mode::empty()).map_err(missed)
    }
}

fn missed(error: rustix::io::Errno) -> Missed {
    refused(&error.into())
}

fn refused(error: &io::Error) -> Missed {
    match error.kind() {
        io::ErrorKind::PermissionDenied => Missed::Refused,
        _ => Missed::Gone,
    }
}

/// That the kernel refused `what` of some of the processes that were to be looked into. The others
/// may have been read, or have ended.
pub(super) fn refusal(what: &str, refused: u64, of: usize) -> String {
    let processes = if of == 1 { "process" } else { "processes" };
    format!("the {what} of {refused} of {of} {processes} are refused: ptrace rights are missing")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    #[test]
    fn a_refusal_counts_one_and_many_aright() {
        assert_eq!(
            refusal("mappings", 1, 24),
            "the mappings of 1 of 24 processes are refused: ptrace rights are missing"
        );
        assert_eq!(
            refusal("open files", 1, 1),
            "the open files of 1 of 1 process are refused: ptrace rights are missing"
        );
    }

    use highwater_core::id::{Pid, StartTicks};

    /// The key of a process that is there.
    pub(in crate::survey) fn key_of(pid: u32) -> ProcKey {
        let text = std::fs::read(format!("/proc/{pid}/stat")).unwrap();
        let stat = stat::parse(&text).unwrap();
        ProcKey { pid: stat.pid, start: stat.start }
    }

    /// A process of this machine that is there. One that has just begun may still wait for its
    /// program to be read from disk, and is held once it runs.
    fn held(key: ProcKey) -> Held {
        let open = || match Held::open(&Root::live(), key, &mut Vec::new()) {
            Err(Missed::Stuck) => None,
            held => Some(held.unwrap()),
        };
        std::iter::repeat_with(open)
            .take(1_000)
            .inspect(|_| std::thread::sleep(std::time::Duration::from_millis(10)))
            .flatten()
            .next()
            .expect("it runs within ten seconds")
    }

    #[test]
    fn a_process_is_the_one_of_its_start_or_gone() {
        let (root, mut buffer) = (Root::live(), Vec::new());
        let key = key_of(std::process::id());
        held(key);
        let stranger = ProcKey { start: StartTicks::new(key.start.get() + 1), ..key };
        assert_eq!(Held::open(&root, stranger, &mut buffer).unwrap_err(), Missed::Gone);
        let nobody = ProcKey { pid: Pid::new(u32::MAX), ..key };
        assert_eq!(Held::open(&root, nobody, &mut buffer).unwrap_err(), Missed::Gone);
    }

    #[test]
    fn a_process_that_ends_while_it_is_held_is_gone() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let mut buffer = Vec::new();
        let held = held(key_of(child.id()));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(held.check(&mut buffer), Err(Missed::Gone));
        assert_eq!(held.read("smaps_rollup", &mut buffer), Err(Missed::Gone));
    }

    #[test]
    fn a_garbled_process_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("proc/7")).unwrap();
        std::fs::write(dir.path().join("proc/7/stat"), b"7 (a\xff").unwrap();
        let key = ProcKey { pid: Pid::new(7), start: StartTicks::new(1) };
        let held = Held::open(&Root::at(dir.path()), key, &mut Vec::new());
        assert_eq!(held.unwrap_err(), Missed::Gone);
    }
}
