//! One descriptor for all that the kernel tells of cgroups.
//!
//! ```text
//! eventfd per cgroup (v1) ─┐
//! inotify ─────────────────┼─ epoll
//! timer ───────────────────┘
//! ```

use std::collections::HashMap;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use highwater_core::frame::CgroupVersion;
use highwater_core::id::CgroupPath;
use rustix::event::{EventfdFlags, Timespec, epoll, eventfd};
use rustix::fs::OFlags;
use rustix::fs::inotify::{self, ReadFlags, WatchFlags};
use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime,
};

use super::tree::{Tree, refused};
use crate::parse::membership;
use crate::witness::Absent;

/// How many descriptors are asked at once.
const READY: usize = 64;

/// How many notices are taken in one reading; the rest is there at the next.
const NOTICES: usize = 4096;

/// Room for notices of inotify: each has 16 bytes and a name.
const INOTIFY_BYTES: usize = 16 << 10;

/// What epoll calls the timer, inotify, and the first of the eventfds.
const TIMER: u64 = 0;
const INOTIFY: u64 = 1;
const FIRST: u64 = 2;

/// What was told.
#[derive(Debug)]
pub(super) enum Notice {
    /// The time that was asked for is over.
    Time,
    /// Notices were lost.
    Lost,
    /// v1: it ran out of memory, so often; or it was removed.
    Alarm(CgroupPath, u64),
    /// v2: its counters changed.
    Changed(CgroupPath),
    /// It was made.
    Made(CgroupPath),
    /// It was removed.
    Removed(CgroupPath),
}

/// How one cgroup is connected.
#[derive(Clone, Copy, Debug)]
pub(super) struct Port {
    /// v1: the name of its eventfd.
    bell: Option<u64>,
    watches: [Option<i32>; 2],
}

/// The descriptors.
#[derive(Debug)]
pub(super) struct Ports {
    epoll: OwnedFd,
    inotify: OwnedFd,
    timer: OwnedFd,
    bells: HashMap<u64, (CgroupPath, OwnedFd)>,
    watches: HashMap<i32, (CgroupPath, Watch)>,
    next: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Watch {
    Directory,
    Events,
}

impl Ports {
    /// Opens them, and tries whether the hierarchy lets itself be watched.
    pub(super) fn open(tree: &Tree) -> Result<Self, Absent> {
        let mut ports = Self::new().map_err(|errno| {
            Absent::new(format!("no descriptors to watch cgroups with: {}", io::Error::from(errno)))
        })?;
        if tree.version() == CgroupVersion::V1 {
            let bell = ports.bell(tree, "/").map_err(|errno| {
                refused(&tree.place("/", "cgroup.event_control"), &errno.into())
            })?;
            drop(bell);
        }
        Ok(ports)
    }

    fn new() -> rustix::io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let inotify =
            inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
        let timer = timerfd_create(
            TimerfdClockId::Monotonic,
            TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK,
        )?;
        for (fd, name) in [(&inotify, INOTIFY), (&timer, TIMER)] {
            epoll::add(&epoll, fd, epoll::EventData::new_u64(name), epoll::EventFlags::IN)?;
        }
        let (bells, watches) = (HashMap::new(), HashMap::new());
        Ok(Self { epoll, inotify, timer, bells, watches, next: FIRST })
    }

    /// Connects a cgroup; `None`: it is gone, does not account memory, or there is no room.
    pub(super) fn connect(&mut self, tree: &Tree, path: &CgroupPath) -> Option<Port> {
        let cgroup = path.as_str();
        let kinds = WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::DELETE_SELF
            | WatchFlags::ONLYDIR
            | WatchFlags::DONT_FOLLOW;
        let mut port = Port { bell: None, watches: [None, None] };
        let directory = inotify::add_watch(&self.inotify, tree.place(cgroup, ""), kinds).ok()?;
        self.watches.insert(directory, (path.clone(), Watch::Directory));
        port.watches = [Some(directory), None];
        match tree.version() {
            CgroupVersion::V1 => {
                let Ok((name, bell)) = self.bell(tree, cgroup) else {
                    self.disconnect(port);
                    return None;
                };
                self.bells.insert(name, (path.clone(), bell));
                port.bell = Some(name);
            }
            CgroupVersion::V2 => self.complete(tree, path, &mut port),
        }
        Some(port)
    }

    /// Watches what was not there when the cgroup was connected. The top has no `memory.events`, nor
    /// has one without the controller; what is made below is of interest all the same.
    pub(super) fn complete(&mut self, tree: &Tree, path: &CgroupPath, port: &mut Port) {
        if tree.version() == CgroupVersion::V1 || port.watches[1].is_some() {
            return;
        }
        let file = tree.place(path.as_str(), tree.file());
        if let Ok(events) = inotify::add_watch(&self.inotify, file, WatchFlags::MODIFY) {
            self.watches.insert(events, (path.clone(), Watch::Events));
            port.watches[1] = Some(events);
        }
    }

    /// An eventfd that the kernel counts up when the cgroup runs out of memory
    /// (`Documentation/admin-guide/cgroup-v1/memory.rst`, section 10).
    fn bell(&mut self, tree: &Tree, cgroup: &str) -> rustix::io::Result<(u64, OwnedFd)> {
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let control = tree.open(cgroup, tree.file(), OFlags::RDONLY)?;
        let register = tree.open(cgroup, "cgroup.event_control", OFlags::WRONLY)?;
        let line = format!("{} {}", bell.as_raw_fd(), control.as_raw_fd());
        rustix::io::write(&register, line.as_bytes())?;
        let name = self.next;
        epoll::add(&self.epoll, &bell, epoll::EventData::new_u64(name), epoll::EventFlags::IN)?;
        self.next = self.next.saturating_add(1);
        Ok((name, bell))
    }

    pub(super) fn disconnect(&mut self, port: Port) {
        for watch in port.watches.into_iter().flatten() {
            self.watches.remove(&watch);
            // One of a cgroup that is gone went with it.
            let _gone = inotify::remove_watch(&self.inotify, watch);
        }
        // Closing a bell takes it out of epoll, and off the cgroup.
        port.bell.and_then(|name| self.bells.remove(&name));
    }

    /// What was told since the last time.
    pub(super) fn notices(&mut self) -> io::Result<Vec<Notice>> {
        let mut notices = Vec::new();
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let mut ready = Vec::with_capacity(READY);
        let spare = rustix::buffer::spare_capacity(&mut ready);
        match epoll::wait(&self.epoll, spare, Some(&now)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        for event in ready {
            match event.data.u64() {
                TIMER => notices.extend(take(&self.timer).map(|_| Notice::Time)),
                INOTIFY => self.watched(&mut notices)?,
                name => notices.extend(self.alarm(name)),
            }
        }
        // An alarm is of the cgroup that is known by this path now, before another one is.
        notices.sort_by_key(|notice| !matches!(notice, Notice::Alarm(..)));
        Ok(notices)
    }

    fn alarm(&self, name: u64) -> Option<Notice> {
        let (path, bell) = self.bells.get(&name)?;
        Some(Notice::Alarm(path.clone(), take(bell)?))
    }

    fn watched(&mut self, notices: &mut Vec<Notice>) -> io::Result<()> {
        let mut room = [const { MaybeUninit::uninit() }; INOTIFY_BYTES];
        let mut events = inotify::Reader::new(&self.inotify, &mut room);
        while notices.len() < NOTICES {
            let event = match events.next() {
                Ok(event) => event,
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => continue,
                Err(errno) => return Err(errno.into()),
            };
            let (kinds, watch) = (event.events(), event.wd());
            if kinds.contains(ReadFlags::QUEUE_OVERFLOW) {
                notices.push(Notice::Lost);
                continue;
            }
            let Some((path, what)) = self.watches.get(&watch) else { continue };
            let name = event.file_name().and_then(|name| std::str::from_utf8(name.to_bytes()).ok());
            let name = name.filter(|name| membership::is_plain(name.as_bytes()));
            // A cgroup at its limit is told of again and again.
            let is_again = matches!(notices.last(), Some(Notice::Changed(last)) if last == path);
            let notice = notice(path, *what, kinds, name);
            notices.extend(notice.filter(|new| !is_again || !matches!(new, Notice::Changed(_))));
            if kinds.contains(ReadFlags::IGNORED) {
                self.watches.remove(&watch);
            }
        }
        Ok(())
    }

    /// Becomes readable after this span; without one, only by what is told.
    pub(super) fn wake_in(&mut self, span: Option<Duration>) {
        let span = span.unwrap_or_default();
        let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
        let value = Timespec {
            tv_sec: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: span.subsec_nanos().into(),
        };
        let time = Itimerspec { it_interval: zero, it_value: value };
        // A timer that exists takes any span below a second's worth of nanoseconds.
        let _set = timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &time);
    }
}

fn notice(path: &CgroupPath, what: Watch, kinds: ReadFlags, name: Option<&str>) -> Option<Notice> {
    let below = || {
        let name = name.filter(|_| kinds.contains(ReadFlags::ISDIR))?;
        let above = path.as_str().trim_end_matches('/');
        Some(CgroupPath::new(format!("{above}/{name}").as_bytes()))
    };
    match what {
        Watch::Events if kinds.contains(ReadFlags::MODIFY) => Some(Notice::Changed(path.clone())),
        Watch::Directory if kinds.contains(ReadFlags::CREATE) => below().map(Notice::Made),
        Watch::Directory if kinds.contains(ReadFlags::DELETE) => below().map(Notice::Removed),
        _ if kinds.intersects(ReadFlags::DELETE_SELF | ReadFlags::IGNORED) => {
            Some(Notice::Removed(path.clone()))
        }
        _ => None,
    }
}

/// The number in an eventfd or a timer, which is zero afterwards.
fn take(fd: impl AsFd) -> Option<u64> {
    let mut count = [0; 8];
    match rustix::io::read(fd, &mut count) {
        Ok(8) => Some(u64::from_ne_bytes(count)),
        _ => None,
    }
}

impl AsFd for Ports {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}
