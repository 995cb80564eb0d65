//! Who records into a directory: the process that holds its lock, found without touching it.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use highwater_agent::clock;
use highwater_agent::notice::Status;
use highwater_linux::facts::HostFacts;
use highwater_linux::root::Root;
use highwater_store::LastTick;

use crate::cmd::refusal;
use crate::view::store::Moment;
use crate::view::store::overview::{Recorder, State};

/// The lock of a data directory, as [`highwater_agent::place::Place`] takes it.
const LOCK: &str = "agent.lock";

/// An agent that stored nothing for three of its readings, and a minute, does not record.
const MISSED: u32 = 3;
const GRACE: Duration = Duration::from_mins(1);

/// Who records into `dir`, and what that agent says of itself in `status`; the newest reading is
/// `last`, and one is due every `every`.
pub(super) fn of(
    dir: &Path,
    status: Option<&Status>,
    last: Option<LastTick>,
    every: Duration,
) -> Recorder {
    let age = last.map(age);
    let pid = holder(dir);
    let status = status.cloned().unwrap_or_default();
    // The kernel does not show locks of another pid namespace, but it keeps them.
    let is_held = pid.is_some() || status.is_running;
    let cannot_store = status.trouble.is_some();
    let is_late = age.is_none_or(|age| age > every.saturating_mul(MISSED).saturating_add(GRACE));
    Recorder {
        state: match (is_held, is_late || cannot_store) {
            (false, _) => State::Stopped,
            (true, true) => State::Stalled,
            (true, false) => State::Recording,
        },
        pid,
        last_reading: last.map(|last| Moment(last.wall)),
        age_seconds: age.map(|age| age.as_secs()),
        trouble: status.trouble.filter(|_| is_held).map(|told| refusal::trouble(&told)),
        told: status.at.map(Moment),
        waiting: status.backlog,
        slowed: if is_held { status.slowed } else { vec![] },
    }
}

/// How old a reading is: by the boot clock, which is never set, as long as it is of this boot.
fn age(last: LastTick) -> Duration {
    let now = clock::now();
    let boot = HostFacts::read(&Root::live()).boot_id;
    if boot == Some(last.boot_id) { now.boot.since(last.boot) } else { now.wall.since(last.wall) }
}

/// The process that holds the lock, by the kernel's list of locks.
pub(super) fn holder(dir: &Path) -> Option<u32> {
    let lock = fs::metadata(dir.join(LOCK)).ok()?;
    let mut list = Vec::new();
    Root::live().read("proc/locks", &mut list).ok()?;
    writer_of(&list, lock.dev(), lock.ino())
}

/// Who has a whole file locked for himself, by `/proc/locks`: `1: FLOCK ADVISORY WRITE 812
/// fe:01:131 0 EOF`, with the device in hexadecimal (Documentation/filesystems/proc.rst, 1.8; those
/// who wait stand behind `->`). A pid of another namespace is shown as 0.
fn writer_of(locks: &[u8], device: u64, inode: u64) -> Option<u32> {
    let (major, minor) = numbers(device);
    let file = format!("{major:02x}:{minor:02x}:{inode}");
    let mut lines = locks.split(|byte| *byte == b'\n');
    lines.find_map(|line| {
        let mut words = std::str::from_utf8(line).ok()?.split_ascii_whitespace().skip(1);
        let is_it = words.next()? == "FLOCK" && words.next().is_some() && words.next()? == "WRITE";
        let pid: u32 = words.next()?.parse().ok()?;
        (is_it && pid > 0 && words.next()? == file).then_some(pid)
    })
}

/// The two halves of a device's number, as the C library packs them (`gnu_dev_makedev`).
const fn numbers(device: u64) -> (u64, u64) {
    let major = ((device >> 8) & 0xfff) | ((device >> 32) & 0xffff_f000);
    let minor = (device & 0xff) | ((device >> 12) & 0xffff_ff00);
    (major, minor)
}

#[cfg(test)]
mod tests {
    use highwater_agent::place::Place;

    use super::*;

    #[test]
    fn the_holder_is_found_among_all_locks() {
        let list = b"1: POSIX  ADVISORY  WRITE 700 fe:01:131 0 EOF\n\
            2: FLOCK  ADVISORY  READ 701 fe:01:131 0 EOF\n\
            3: FLOCK  ADVISORY  WRITE 702 fe:01:132 0 EOF\n\
            3: -> FLOCK  ADVISORY  WRITE 703 fe:01:131 0 EOF\n\
            4: FLOCK  ADVISORY  WRITE 812 fe:01:131 0 EOF\n";
        assert_eq!(writer_of(list, 0xfe01, 131), Some(812));
        assert_eq!(writer_of(list, 0xfe01, 999), None);
        assert_eq!(writer_of(b"5: FLOCK ADVISORY WRITE 0 fe:01:131 0 EOF", 0xfe01, 131), None);
    }

    #[test]
    fn garbage_names_nobody() {
        for list in [&b""[..], b"\n\n", b"1: FLOCK", b"\xff\xfe \x00", b"1: FLOCK A WRITE x y"] {
            assert_eq!(writer_of(list, 1, 1), None);
        }
    }

    #[test]
    fn large_device_numbers_are_taken_apart() {
        assert_eq!(numbers(0x0000_0000_0000_fe01), (0xfe, 1));
        assert_eq!(numbers(0x0000_1000_0010_0100), (0x1001, 0x100));
    }

    #[test]
    fn who_cannot_store_does_not_record() {
        let dir = tempfile::tempdir().unwrap();
        let now = clock::now();
        let boot_id = HostFacts::read(&Root::live()).boot_id.unwrap();
        let last = Some(LastTick { wall: now.wall, boot: now.boot, boot_id });
        let well = Status { is_running: true, at: Some(now.wall), ..Status::default() };
        assert_eq!(of(dir.path(), Some(&well), last, GRACE).state, State::Recording);
        let trouble = Some("disk is full: Error code 13: disk is full".to_owned());
        let ill = of(dir.path(), Some(&Status { trouble, ..well }), last, GRACE);
        assert_eq!((ill.state, ill.told), (State::Stalled, Some(Moment(now.wall))));
        assert!(!ill.trouble.unwrap().contains("Error code"));
    }

    #[test]
    fn a_directory_is_somebodys_as_long_as_he_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let of = || of(dir.path(), Status::read(dir.path()).as_ref(), None, GRACE);
        assert_eq!(of().state, State::Stopped);
        let place = Place::claim(dir.path()).unwrap();
        let held = of();
        assert_eq!(held.state, State::Stalled, "nothing was stored yet");
        assert!(held.pid.is_none_or(|pid| pid == std::process::id()), "{held:?}");
        drop(place);
        assert_eq!(of().state, State::Stopped);
    }
}
