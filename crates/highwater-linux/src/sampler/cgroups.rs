//! The tree of memory cgroups.
//!
//! Which files there are, and how each is read, is a table per version; everything else is the
//! same for v1 and v2.

use std::collections::BTreeMap;
use std::io;
use std::ops::Bound;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use highwater_core::frame::{CgroupMemory, CgroupSample, CgroupVersion};
use highwater_core::id::{CgroupPath, Pid};
use highwater_core::text::escape;
use highwater_core::units::{Bytes, PageSize, Permille};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, openat, statat};
use rustix::io::Errno;

use super::heat::{Heat, Nearness, share_held};
use super::kept::{Budget, Kept, read_once};
use super::processes::Turn;
use crate::parse::mountinfo::Hierarchies;
use crate::parse::{membership, number, pressure, v1, v2};
use crate::root::Root;

/// How deep the tree is followed. Kubernetes in Docker in systemd comes to about ten.
const DEPTH: usize = 32;

/// How many cgroups are followed at most. Kubelet allows 250 pods on a node, with a few each; a
/// machine that leaks cgroups must not take the recorder with it.
const MOST: usize = 10_000;

/// Room for the entries of one cgroup directory at a time.
const LISTING_BYTES: usize = 4 * 1024;

/// How many hot cgroups are looked at in one close-up.
const MOST_HOT: usize = 16;

/// How many cgroups are asked for their processes in one close-up: the hot ones and those below,
/// each hot one its share. A pod has a handful, a user's session a hundred; all of a large machine
/// would take too long.
const MOST_ASKED: usize = 512;

/// A file of a cgroup: its name, and what its bytes say.
struct Source {
    file: &'static str,
    apply: fn(&[u8], &mut CgroupMemory, PageSize),
}

const fn source(file: &'static str, apply: fn(&[u8], &mut CgroupMemory, PageSize)) -> Source {
    Source { file, apply }
}

fn bytes(text: &[u8]) -> Option<Bytes> {
    number::u64(text).map(Bytes::new)
}

/// How many files of a cgroup are read every tick, and so kept open, at most.
const FAST: usize = 6;

/// The files of the memory controller.
struct Table {
    /// Read every tick: at most [`FAST`].
    fast: &'static [Source],
    /// Read at the slow cadence.
    slow: &'static [Source],
}

/// `memory.stat` has the swap, too.
const V1: Table = Table {
    fast: &[
        source("memory.usage_in_bytes", |text, m, _| m.usage = bytes(text)),
        source("memory.limit_in_bytes", |text, m, page| m.limit = number::v1_limit(text, page)),
        source("memory.stat", |text, m, _| v1::stat(text, m)),
        source("memory.failcnt", |text, m, _| m.limit_hits = number::u64(text)),
        source("memory.oom_control", |text, m, _| v1::oom_control(text, m)),
    ],
    slow: &[
        source("memory.max_usage_in_bytes", |text, m, _| m.peak = bytes(text)),
        source("memory.memsw.usage_in_bytes", |text, m, _| m.memsw_usage = bytes(text)),
        source("memory.memsw.limit_in_bytes", |text, m, page| {
            m.memsw_limit = number::v1_limit(text, page);
        }),
        source("memory.kmem.usage_in_bytes", |text, m, _| m.kernel = bytes(text)),
    ],
};

const V2: Table = Table {
    fast: &[
        source("memory.current", |text, m, _| m.usage = bytes(text)),
        source("memory.max", |text, m, _| m.limit = number::v2_limit(text)),
        source("memory.stat", |text, m, _| v2::stat(text, m)),
        source("memory.events", |text, m, _| v2::events(text, m)),
        source("memory.pressure", |text, m, _| m.pressure = Some(pressure::parse(text))),
        source("memory.swap.current", |text, m, _| m.swap = bytes(text)),
    ],
    slow: &[
        source("memory.peak", |text, m, _| m.peak = bytes(text)),
        source("memory.high", |text, m, _| m.high = number::v2_limit(text)),
        source("memory.low", |text, m, _| m.low = number::v2_limit(text)),
        source("memory.min", |text, m, _| m.min = number::v2_limit(text)),
        source("memory.swap.max", |text, m, _| m.swap_limit = number::v2_limit(text)),
        source("memory.oom.group", |text, m, _| {
            m.oom_group = number::u64(text).map(|on| on != 0);
        }),
    ],
};

const _: () = assert!(V1.fast.len() <= FAST && V2.fast.len() <= FAST, "there is room to keep each");

/// The pids controller, which may be mounted elsewhere, and its files.
const PIDS: &[Source] = &[
    source("pids.current", |text, m, _| m.pids = number::u64(text)),
    source("pids.max", |text, m, _| m.pids_limit = number::count_limit(text)),
];

/// What the v2 side of a hybrid machine has of a cgroup whose memory v1 controls.
const HYBRID: &[Source] =
    &[source("memory.pressure", |text, m, _| m.pressure = Some(pressure::parse(text)))];

/// One cgroup that is followed.
#[derive(Debug)]
struct Tracked {
    path: CgroupPath,
    /// Below the mount, without a slash in front: `a/b`, with a slash at the end unless empty.
    prefix: String,
    kept: [Kept; FAST],
    memory: CgroupMemory,
    heat: Heat,
    /// Its slow files were read at least once.
    met: bool,
    /// Spreads the slow readings over the ticks.
    offset: u64,
}

impl Tracked {
    fn close(&mut self, budget: &mut Budget) {
        self.kept.iter_mut().for_each(|kept| kept.close(budget));
    }

    /// It was removed; another of its path may be made any time, and starts from nothing.
    fn forget(&mut self, budget: &mut Budget) {
        self.close(budget);
        (self.memory, self.heat, self.met) = (CgroupMemory::default(), Heat::default(), false);
    }
}

/// A cgroup that is watched closely.
#[derive(Debug)]
struct Hot {
    path: CgroupPath,
    /// How near its limit it was at the last whole tick.
    share: Permille,
}

/// All memory cgroups of the machine.
#[derive(Debug)]
pub(super) struct Cgroups {
    version: CgroupVersion,
    mount: OwnedFd,
    pids: Option<OwnedFd>,
    unified: Option<OwnedFd>,
    tracked: BTreeMap<CgroupPath, Tracked>,
    hot: Vec<Hot>,
    page_size: PageSize,
    path: String,
    walked: String,
}

impl Cgroups {
    pub(super) fn open(
        root: &Root,
        hierarchies: &Hierarchies,
        page_size: PageSize,
    ) -> io::Result<Self> {
        let Some((version, mount)) = &hierarchies.memory else {
            let why = "no mounted cgroup hierarchy has the memory controller";
            return Err(io::Error::new(io::ErrorKind::NotFound, why));
        };
        let opened = root.open(mount)?;
        let unified = match version {
            CgroupVersion::V1 => hierarchies.unified.as_ref(),
            CgroupVersion::V2 => {
                expect_controller(opened.as_fd(), mount)?;
                None
            }
        };
        Ok(Self {
            version: *version,
            mount: opened,
            pids: hierarchies.pids.as_ref().and_then(|(_, path)| root.open(path).ok()),
            unified: unified.and_then(|path| root.open(path).ok()),
            tracked: BTreeMap::new(),
            hot: Vec::with_capacity(MOST_HOT),
            page_size,
            path: String::new(),
            walked: String::new(),
        })
    }

    pub(super) fn version(&self) -> CgroupVersion {
        self.version
    }

    pub(super) fn is_hot(&self) -> bool {
        !self.hot.is_empty()
    }

    pub(super) fn hot(&self) -> impl Iterator<Item = &CgroupPath> {
        self.hot.iter().map(|hot| &hot.path)
    }

    /// Whether `path` is one of the hot cgroups or below one.
    pub(super) fn covers_hot(&self, path: &CgroupPath) -> bool {
        self.hot().any(|hot| is_within(path.as_str(), hot.as_str()))
    }

    /// Finds cgroups that nothing runs in, too: walks the whole tree.
    pub(super) fn walk(&mut self) {
        let mut path = std::mem::take(&mut self.walked);
        path.clear();
        path.push('/');
        if let Ok(dir) = open_dir(self.mount.as_fd(), ".") {
            self.walk_below(&dir, &mut path, DEPTH);
        }
        self.walked = path;
    }

    fn walk_below(&mut self, dir: &OwnedFd, path: &mut String, depth: usize) {
        if depth == 0 || !self.follow(path) {
            return;
        }
        let mut room = [const { std::mem::MaybeUninit::uninit() }; LISTING_BYTES];
        let mut entries = RawDir::new(dir, &mut room);
        while let Some(Ok(entry)) = entries.next() {
            let name = entry.file_name().to_bytes();
            if entry.file_type() != FileType::Directory || matches!(name, b"." | b"..") {
                continue;
            }
            // A name that is shown escaped could not be opened again by what is shown, and would
            // be taken for new at every walk: such a cgroup is seen as part of its parent, whose
            // numbers hold it, too.
            if !membership::is_plain(name) {
                continue;
            }
            let (Ok(name), length) = (std::str::from_utf8(name), path.len()) else { continue };
            let Ok(below) = open_dir(dir.as_fd(), name) else { continue };
            if length > 1 {
                path.push('/');
            }
            path.push_str(name);
            self.walk_below(&below, path, depth - 1);
            path.truncate(length);
        }
    }

    /// Follows the cgroup at `path` and those above it. Called with every process's cgroup, so
    /// that a new one is seen with its first process. Its path is a plain one: see
    /// [`membership::plain`].
    pub(super) fn adopt(&mut self, path: &CgroupPath) {
        if self.tracked.contains_key(path) {
            return;
        }
        let mut above = path.as_str();
        while self.follow(above) {
            match above.rsplit_once('/') {
                Some(("", _)) | None => break,
                Some((parent, _)) => above = parent,
            }
        }
    }

    /// Whether the cgroup at `path` is followed, from now on if need be.
    fn follow(&mut self, path: &str) -> bool {
        if self.tracked.contains_key(path) {
            return true;
        }
        if self.tracked.len() >= MOST {
            return false;
        }
        let below = path.trim_start_matches('/');
        let prefix = if below.is_empty() { String::new() } else { format!("{below}/") };
        let offset = u64::try_from(self.tracked.len()).unwrap_or(0);
        let path = CgroupPath::new(path.as_bytes());
        let tracked = Tracked {
            path: path.clone(),
            prefix,
            kept: Default::default(),
            memory: CgroupMemory::default(),
            heat: Heat::default(),
            met: false,
            offset,
        };
        // What is followed stays: replaced, it would take its open files along.
        self.tracked.entry(path).or_insert(tracked);
        true
    }

    /// Reads every cgroup into `samples`; those that are gone are forgotten.
    pub(super) fn read_all(
        &mut self,
        turn: Turn,
        nearness: &Nearness,
        budget: &mut Budget,
        buffer: &mut Vec<u8>,
        samples: &mut Vec<CgroupSample>,
    ) {
        self.hot.clear();
        let mut files = Files {
            version: self.version,
            mount: self.mount.as_fd(),
            page_size: self.page_size,
            pids: self.pids.as_ref().map(AsFd::as_fd),
            unified: self.unified.as_ref().map(AsFd::as_fd),
            path: &mut self.path,
            budget,
            buffer,
        };
        let hot = &mut self.hot;
        self.tracked.retain(|_, cgroup| {
            if !files.read(cgroup, turn) {
                cgroup.close(files.budget);
                return false;
            }
            if cgroup.heat.judge(&cgroup.memory, turn.stamp.boot, nearness) {
                heat_up(hot, cgroup);
            }
            samples.extend(sample(cgroup, files.version));
            true
        });
    }

    /// Reads the hot cgroups into `samples`; those that are calm again are hot no longer.
    pub(super) fn read_hot(
        &mut self,
        turn: Turn,
        nearness: &Nearness,
        budget: &mut Budget,
        buffer: &mut Vec<u8>,
        samples: &mut Vec<CgroupSample>,
    ) {
        let mut files = Files {
            version: self.version,
            mount: self.mount.as_fd(),
            page_size: self.page_size,
            pids: self.pids.as_ref().map(AsFd::as_fd),
            unified: self.unified.as_ref().map(AsFd::as_fd),
            path: &mut self.path,
            budget,
            buffer,
        };
        let tracked = &mut self.tracked;
        self.hot.retain(|hot| {
            let Some(cgroup) = tracked.get_mut(&hot.path) else { return false };
            if !files.read(cgroup, turn) {
                return false;
            }
            samples.extend(sample(cgroup, files.version));
            cgroup.heat.judge(&cgroup.memory, turn.stamp.boot, nearness)
        });
    }

    /// The processes that the hot cgroups hold now, and the cgroups below them: on v2 a cgroup that
    /// has others below holds none itself.
    pub(super) fn newcomers(&mut self, buffer: &mut Vec<u8>, mut meet: impl FnMut(Pid)) {
        let (mount, path, above) = (self.mount.as_fd(), &mut self.path, &mut self.walked);
        let most = MOST_ASKED / self.hot.len().max(1);
        for hot in &self.hot {
            join(above, hot.path.as_str().trim_end_matches('/'), "/");
            let from = (Bound::Included(above.as_str()), Bound::Unbounded);
            let below = self.tracked.range::<str, _>(from).map(|(_, cgroup)| cgroup);
            let below = below.take_while(|cgroup| cgroup.path.as_str().starts_with(&*above));
            for cgroup in self.tracked.get(&hot.path).into_iter().chain(below).take(most) {
                let name = join(path, &cgroup.prefix, "cgroup.procs");
                if let Ok(text) = read_once(mount, name, buffer) {
                    pids(text).for_each(&mut meet);
                }
            }
        }
    }
}

/// Requires that the cgroups of the v2 `mount` at `path` account memory.
fn expect_controller(mount: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let path = escape(path.as_os_str().as_bytes());
    let mut buffer = Vec::new();
    let controllers = read_once(mount, "cgroup.controllers", &mut buffer).map_err(|error| {
        let error = io::Error::from(error);
        io::Error::new(error.kind(), format!("{path}/cgroup.controllers cannot be read: {error}"))
    })?;
    if controllers.split(u8::is_ascii_whitespace).any(|name| name == b"memory") {
        return Ok(());
    }
    let why = format!(
        "{path}/cgroup.controllers does not name the memory controller: it was switched off at \
         boot (cgroup_disable=memory), or this container was not given it"
    );
    Err(io::Error::new(io::ErrorKind::NotFound, why))
}

/// Adds `cgroup`; of too many, those nearest to their limit stay.
fn heat_up(hot: &mut Vec<Hot>, cgroup: &Tracked) {
    let new = || Hot { path: cgroup.path.clone(), share: share_held(&cgroup.memory) };
    if hot.len() < MOST_HOT {
        hot.push(new());
    } else if let Some(least) = hot.iter_mut().min_by_key(|hot| hot.share)
        && least.share < share_held(&cgroup.memory)
    {
        *least = new();
    }
}

/// The processes that a `cgroup.procs` lists.
fn pids(text: &[u8]) -> impl Iterator<Item = Pid> {
    let numbers = text.split(|byte| *byte == b'\n').filter_map(number::u64);
    numbers.filter_map(|pid| u32::try_from(pid).ok()).map(Pid::new)
}

/// What reading one cgroup takes.
struct Files<'a> {
    version: CgroupVersion,
    mount: BorrowedFd<'a>,
    page_size: PageSize,
    pids: Option<BorrowedFd<'a>>,
    unified: Option<BorrowedFd<'a>>,
    path: &'a mut String,
    budget: &'a mut Budget,
    buffer: &'a mut Vec<u8>,
}

impl Files<'_> {
    /// Reads what is due; `false` if the cgroup is gone.
    fn read(&mut self, cgroup: &mut Tracked, turn: Turn) -> bool {
        if self.try_read(cgroup, turn) {
            return true;
        }
        // The descriptors were of a cgroup that was removed; a service that is started again is
        // in a new one of the same path.
        cgroup.forget(self.budget);
        !is_removed(self.mount, &cgroup.prefix) && self.try_read(cgroup, turn)
    }

    fn try_read(&mut self, cgroup: &mut Tracked, turn: Turn) -> bool {
        let Table { fast, slow } = match self.version {
            CgroupVersion::V1 => V1,
            CgroupVersion::V2 => V2,
        };
        for (source, kept) in fast.iter().zip(&mut cgroup.kept) {
            let name = join(self.path, &cgroup.prefix, source.file);
            match kept.read(self.mount, name, self.budget, self.buffer) {
                Ok(text) => (source.apply)(text, &mut cgroup.memory, self.page_size),
                Err(Errno::NODEV) => return false,
                // A cgroup need not have every file; but one whose directory is gone is gone.
                Err(Errno::NOENT) if is_removed(self.mount, &cgroup.prefix) => return false,
                Err(_) => {}
            }
        }
        if !cgroup.met || turn.is_slow(cgroup.offset) {
            cgroup.met = true;
            self.read_slow(self.mount, slow, cgroup);
            if let Some(pids) = self.pids {
                self.read_slow(pids, PIDS, cgroup);
            }
            if let Some(unified) = self.unified {
                self.read_slow(unified, HYBRID, cgroup);
            }
        }
        true
    }

    fn read_slow(&mut self, mount: BorrowedFd<'_>, sources: &[Source], cgroup: &mut Tracked) {
        for source in sources {
            let name = join(self.path, &cgroup.prefix, source.file);
            if let Ok(text) = read_once(mount, name, self.buffer) {
                (source.apply)(text, &mut cgroup.memory, self.page_size);
            }
        }
    }
}

fn is_removed(mount: BorrowedFd<'_>, prefix: &str) -> bool {
    !prefix.is_empty() && statat(mount, prefix, AtFlags::empty()).is_err()
}

/// What is known of a cgroup; nothing if the memory controller is not switched on for it.
fn sample(cgroup: &Tracked, version: CgroupVersion) -> Option<CgroupSample> {
    let memory = cgroup.memory;
    let path = cgroup.path.clone();
    (memory.usage.or(memory.anon).is_some()).then_some(CgroupSample { path, version, memory })
}

fn open_dir(dir: BorrowedFd<'_>, path: &str) -> rustix::io::Result<OwnedFd> {
    openat(dir, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// `prefix` and `file`, written into `path`.
fn join<'p>(path: &'p mut String, prefix: &str, file: &str) -> &'p str {
    path.clear();
    path.push_str(prefix);
    path.push_str(file);
    path
}

/// Whether the cgroup at `path` is `above` or below it.
fn is_within(path: &str, above: &str) -> bool {
    above == "/"
        || path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
