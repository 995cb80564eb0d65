//! What kinds of descriptors processes hold open, from the links in `/proc/PID/fd`.
//!
//! Of a process with many only some links are read: the position in that folder is the descriptor's
//! number plus two (`proc_readfd_common` in `fs/proc/fd.c`), so that windows can be cut all over
//! the table, and a leak at its end is seen.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

use highwater_core::thing::names;
use rustix::fs::{RawDir, SeekFrom};

use super::part::Candidate;
use super::process::{Held, Missed, refusal};
use super::reading::{Sight, float, of_process};
use crate::parse::{number, text};

/// The most links that are read of one process when all are read; each costs about 1.5 µs.
const LINKS_MAX: usize = 256;

/// Of a larger one: how many windows, of some thirty links each.
const WINDOWS: u64 = 8;

/// What one window holds: entries of 24 to 32 bytes.
const WINDOW_BYTES: usize = 1024;

/// The most numbers that are listed where the kernel (before 6.2) does not tell the count.
const LISTED_MAX: usize = 16_384;

/// The longest link that is read; kinds show in its first bytes.
const LINK_BYTES: usize = 4096;

/// What a descriptor is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Socket,
    Pipe,
    File,
    /// Still holds its space on disk.
    DeletedFile,
    Memfd,
    Dmabuf,
    Device,
    Eventpoll,
    Eventfd,
    Timerfd,
    Signalfd,
    Inotify,
    IoUring,
    Pidfd,
    /// Another kind without a file: perf events, BPF, virtual machines.
    Anonymous,
    Other,
}

/// The names of files without an inode of their own (`anon_inode_getfd` in the kernel's sources).
const ANONYMOUS: [(&[u8], Kind); 7] = [
    (b"[eventpoll]", Kind::Eventpoll),
    (b"[eventfd]", Kind::Eventfd),
    (b"[timerfd]", Kind::Timerfd),
    (b"[signalfd]", Kind::Signalfd),
    (b"inotify", Kind::Inotify),
    (b"[io_uring]", Kind::IoUring),
    (b"[pidfd]", Kind::Pidfd),
];

/// What a link begins with, and the kind that tells.
const BEGINNINGS: [(&[u8], Kind); 9] = [
    (b"socket:[", Kind::Socket),
    (b"pipe:[", Kind::Pipe),
    (b"pidfd:[", Kind::Pidfd),
    (b"/memfd:", Kind::Memfd),
    (b"/dmabuf:", Kind::Dmabuf),
    // File systems in memory below /dev: files.
    (b"/dev/shm/", Kind::File),
    (b"/dev/mqueue/", Kind::File),
    (b"/dev/hugepages/", Kind::File),
    (b"/dev/", Kind::Device),
];

impl Kind {
    /// The kind that a link tells.
    fn of(link: &[u8]) -> Self {
        if let Some(name) = link.strip_prefix(b"anon_inode:") {
            let known = ANONYMOUS.iter().find(|(known, _)| *known == name);
            return known.map_or(Self::Anonymous, |(_, kind)| *kind);
        }
        let beginning = BEGINNINGS.iter().find(|(beginning, _)| link.starts_with(beginning));
        match beginning.map(|(_, kind)| *kind) {
            Some(Self::File) | None if link.first() == Some(&b'/') => {
                if link.ends_with(b" (deleted)") { Self::DeletedFile } else { Self::File }
            }
            Some(kind) => kind,
            None => Self::Other,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Socket => "socket",
            Self::Pipe => "pipe",
            Self::File => "file",
            Self::DeletedFile => "deleted_file",
            Self::Memfd => "memfd",
            Self::Dmabuf => "dmabuf",
            Self::Device => "device",
            Self::Eventpoll => "eventpoll",
            Self::Eventfd => "eventfd",
            Self::Timerfd => "timerfd",
            Self::Signalfd => "signalfd",
            Self::Inotify => "inotify",
            Self::IoUring => "io_uring",
            Self::Pidfd => "pidfd",
            Self::Anonymous => "anonymous",
            Self::Other => "other",
        }
    }
}

/// Tells the descriptors of each of them.
pub(super) fn read(sight: &mut Sight<'_>, candidates: &[Candidate]) {
    let mut refused = 0_u32;
    for candidate in candidates {
        match look(sight, candidate) {
            Ok(census) => census.note(sight, candidate),
            Err(Missed::Refused) => refused += 1,
            Err(Missed::Gone | Missed::Stuck) => {}
        }
    }
    if refused > 0 {
        sight.reading.blind(refusal("open files", refused.into(), candidates.len()));
    }
}

/// How many of each kind were seen, and of how many, if not all were looked at.
#[derive(Debug, Default, PartialEq, Eq)]
struct Census {
    kinds: BTreeMap<Kind, u64>,
    of: Option<u64>,
}

impl Census {
    fn note(&self, sight: &mut Sight<'_>, candidate: &Candidate) {
        let labels = of_process(candidate);
        let seen: u64 = self.kinds.values().sum();
        let sampled = self.of.filter(|all| *all > seen);
        let share = sampled.map_or(1.0, |all| float(seen) / float(all));
        sight.reading.note(&names::PROCESS_FDS_READ, &labels, share);
        for (kind, count) in &self.kinds {
            let mut labels = labels.clone();
            labels.set("kind", kind.name());
            sight.reading.note(&names::PROCESS_FDS, &labels, (float(*count) / share).round());
        }
    }
}

fn look(sight: &mut Sight<'_>, candidate: &Candidate) -> Result<Census, Missed> {
    let held = Held::open(sight.root, candidate.key, sight.buffer)?;
    let folder = held.folder("fd")?;
    let first = listed(&folder, 0, LINKS_MAX + 1);
    let (numbers, of) = if first.len() <= LINKS_MAX {
        (first, None)
    } else {
        held.read("status", sight.buffer)?;
        let table = table_size(sight.buffer).unwrap_or(0);
        let windows = (0..WINDOWS).map(|at| table.saturating_mul(at) / WINDOWS);
        let numbers = windows.flat_map(|from| window(&folder, from)).collect();
        (numbers, Some(count(&folder)))
    };
    let mut census = Census { of, ..Census::default() };
    for number in numbers {
        // One that was closed meanwhile is none.
        if let Some(kind) = kind(&folder, number) {
            *census.kinds.entry(kind).or_default() += 1;
        }
    }
    Ok(census)
}

fn kind(folder: &OwnedFd, number: u64) -> Option<Kind> {
    let mut room = [MaybeUninit::<u8>::uninit(); LINK_BYTES];
    let (link, _) = rustix::fs::readlinkat_raw(folder, number.to_string(), &mut room).ok()?;
    Some(Kind::of(link))
}

/// `FDSize` of `/proc/PID/status`: one more than the largest number there may be.
fn table_size(status: &[u8]) -> Option<u64> {
    text::keyed(status).find(|(key, _)| *key == b"FDSize").and_then(|(_, size)| number::u64(size))
}

/// How many there are: since 6.2 the folder's size, before that they have to be listed.
fn count(folder: &OwnedFd) -> u64 {
    let size = rustix::fs::fstat(folder).ok().and_then(|stat| u64::try_from(stat.st_size).ok());
    size.filter(|size| *size > 0)
        .unwrap_or_else(|| u64::try_from(listed(folder, 0, LISTED_MAX).len()).unwrap_or(u64::MAX))
}

/// The open numbers from `from` on, at most `most`.
fn listed(folder: &OwnedFd, from: u64, most: usize) -> BTreeSet<u64> {
    let mut numbers = BTreeSet::new();
    let mut from = from;
    while numbers.len() < most {
        let more = window(folder, from);
        let Some(last) = more.last() else { break };
        from = last.saturating_add(1);
        numbers.extend(more);
    }
    while numbers.len() > most {
        numbers.pop_last();
    }
    numbers
}

/// Some open numbers from `from` on: what one small read gives; none at the end.
fn window(folder: &OwnedFd, from: u64) -> BTreeSet<u64> {
    let mut numbers = BTreeSet::new();
    if rustix::fs::seek(folder, SeekFrom::Start(from.saturating_add(2))).is_err() {
        return numbers;
    }
    let mut room = [MaybeUninit::<u8>::uninit(); WINDOW_BYTES];
    let mut entries = RawDir::new(folder.as_fd(), &mut room);
    while let Some(Ok(entry)) = entries.next() {
        numbers.extend(number::u64(entry.file_name().to_bytes()).filter(|number| *number >= from));
        if entries.is_buffer_empty() {
            break;
        }
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::Root;
    use crate::survey::process::tests::key_of;
    use crate::survey::reading::Reading;
    use highwater_core::id::{Comm, ProcKey};
    use highwater_core::units::Bytes;

    fn seen(root: &Root, key: ProcKey) -> Reading {
        let (mut buffer, mut reading) = (Vec::new(), Reading::default());
        let candidate =
            Candidate { key, comm: Comm::new(b"x"), cgroup: None, resident: Bytes::ZERO };
        let mut sight = Sight { root, buffer: &mut buffer, reading: &mut reading };
        read(&mut sight, &[candidate]);
        reading
    }

    fn told(reading: &Reading) -> BTreeMap<String, u64> {
        let kinds = reading.things.iter().filter(|thing| thing.metric == &names::PROCESS_FDS);
        let count = |value: f64| Bytes::from_f64(value).get();
        kinds.map(|thing| (thing.labels.get("kind").to_owned(), count(thing.value))).collect()
    }

    #[test]
    fn a_link_tells_the_kind() {
        let cases: [(&[u8], &str); 18] = [
            (b"socket:[123]", "socket"),
            (b"pipe:[9]", "pipe"),
            (b"/var/log/a b", "file"),
            (b"/tmp/x (deleted)", "deleted_file"),
            (b"/dev/shm/x (deleted)", "deleted_file"),
            (b"/dev/shm/x", "file"),
            (b"/memfd:a (deleted)", "memfd"),
            (b"/dmabuf:", "dmabuf"),
            (b"/dev/null", "device"),
            (b"/dev/zero (deleted)", "device"),
            (b"anon_inode:[eventpoll]", "eventpoll"),
            (b"anon_inode:inotify", "inotify"),
            (b"anon_inode:[io_uring]", "io_uring"),
            (b"anon_inode:[perf_event]", "anonymous"),
            (b"pidfd:[4]", "pidfd"),
            (b"mnt:[4026531840]", "other"),
            (b"", "other"),
            (b"\xff\xfe", "other"),
        ];
        for (link, kind) in cases {
            assert_eq!(Kind::of(link).name(), kind, "{link:?}");
        }
    }

    #[test]
    fn the_table_has_its_size_in_the_status() {
        assert_eq!(table_size(b"Name:\tx\nFDSize:\t256\nGroups:\t\n"), Some(256));
        for garbage in [&b""[..], b"FDSize:\tx\n", b"FDSize 256\n", b"FDSize:\t256"] {
            assert_eq!(table_size(garbage), None);
        }
    }

    #[test]
    fn a_process_that_is_gone_or_garbled_tells_nothing() {
        let mut key = key_of(std::process::id());
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join(format!("proc/{}", key.pid))).unwrap();
        assert_eq!(told(&seen(&Root::at(dir.path()), key)), BTreeMap::new());
        key.pid = highwater_core::id::Pid::new(u32::MAX);
        assert_eq!(told(&seen(&Root::live(), key)), BTreeMap::new());
    }

    /// This process opens what no other test does.
    #[test]
    fn a_process_with_known_descriptors_has_them() {
        use rustix::event::{EventfdFlags, epoll, eventfd};
        use rustix::fs::{MemfdFlags, inotify, memfd_create};
        use rustix::time::{TimerfdClockId, TimerfdFlags, timerfd_create};
        let timer = || timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC).unwrap();
        let memory = || memfd_create("x", MemfdFlags::CLOEXEC).unwrap();
        let _events: Vec<_> = (0..5).map(|_| eventfd(0, EventfdFlags::CLOEXEC).unwrap()).collect();
        let _polls = [0; 2].map(|_| epoll::create(epoll::CreateFlags::CLOEXEC).unwrap());
        let _memories = [0; 3].map(|_| memory());
        let _timers = [0; 4].map(|_| timer());
        let _watch = inotify::init(inotify::CreateFlags::CLOEXEC).unwrap();
        let reading = seen(&Root::live(), key_of(std::process::id()));
        let told = told(&reading);
        let kinds = ["eventfd", "eventpoll", "memfd", "timerfd", "inotify"];
        assert_eq!(kinds.map(|kind| told[kind]), [5, 2, 3, 4, 1], "{told:?}");
        let read = reading.things.iter().find(|t| t.metric == &names::PROCESS_FDS_READ).unwrap();
        assert_eq!(Some(read.value), Some(1.0));
    }

    /// The first 600 are files, the last 1,400 pipes: read are few of either, and told are both.
    #[test]
    fn of_many_descriptors_a_sample_tells_how_many_there_are_of_each_kind() {
        let path = tempfile::NamedTempFile::new().unwrap();
        let script = "ulimit -n 4096
            for i in {1..600}; do exec {fd}<\"$0\"; done
            for i in {1..1400}; do exec {fd}<&0; done
            echo; read";
        let mut child = std::process::Command::new("bash")
            .args(["-c", script])
            .arg(path.path())
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut byte = [0];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut byte).unwrap();
        let reading = seen(&Root::live(), key_of(child.id()));
        child.kill().unwrap();
        child.wait().unwrap();
        let read = reading.things.iter().find(|t| t.metric == &names::PROCESS_FDS_READ).unwrap();
        assert!(read.value > 0.05 && read.value < 0.3, "{}", read.value);
        let told = told(&reading);
        assert!(told["file"].abs_diff(600) < 250, "{told:?}");
        assert!(told["pipe"].abs_diff(1402) < 250, "{told:?}");
    }
}
