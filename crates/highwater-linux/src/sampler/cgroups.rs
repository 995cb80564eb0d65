//! The tree of memory cgroups.
//!
//! Which files there are, and how each is read, is a table per version; everything else is the
//! same for v1 and v2.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use highwater_core::frame::{CgroupMemory, CgroupSample, CgroupVersion};
use highwater_core::id::{CgroupPath, Pid};
use highwater_core::units::{Bytes, PageSize};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, openat, statat};
use rustix::io::Errno;

use super::heat::{Heat, Nearness};
use super::kept::{Budget, Kept, read_once};
use super::processes::Turn;
use crate::parse::mountinfo::Hierarchies;
use crate::parse::{number, pressure, v1, v2};
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

/// A file of a cgroup: its name, and what its bytes say.
struct Source {
    file: &'static str,
    apply: fn(&[u8], &mut CgroupMemory),
}

const fn source(file: &'static str, apply: fn(&[u8], &mut CgroupMemory)) -> Source {
    Source { file, apply }
}

fn bytes(text: &[u8]) -> Option<Bytes> {
    number::u64(text).map(Bytes::new)
}

/// How many files are read every tick, and so kept open.
const FAST: usize = 5;

/// The first [`FAST`] are read every tick, the rest at the slow cadence.
const V1: &[Source] = &[
    source("memory.usage_in_bytes", |text, m| m.usage = bytes(text)),
    source("memory.limit_in_bytes", |text, m| m.limit = number::v1_limit(text, PageSize::KIB4)),
    source("memory.stat", v1::stat),
    source("memory.failcnt", |text, m| m.limit_hits = number::u64(text)),
    source("memory.oom_control", v1::oom_control),
    source("memory.max_usage_in_bytes", |text, m| m.peak = bytes(text)),
    source("memory.memsw.usage_in_bytes", |text, m| m.memsw_usage = bytes(text)),
    source("memory.memsw.limit_in_bytes", |text, m| {
        m.memsw_limit = number::v1_limit(text, PageSize::KIB4);
    }),
    source("memory.kmem.usage_in_bytes", |text, m| m.kernel = bytes(text)),
];

const V2: &[Source] = &[
    source("memory.current", |text, m| m.usage = bytes(text)),
    source("memory.max", |text, m| m.limit = number::v2_limit(text)),
    source("memory.stat", v2::stat),
    source("memory.events", v2::events),
    source("memory.pressure", |text, m| m.pressure = Some(pressure::parse(text))),
    source("memory.swap.current", |text, m| m.swap = bytes(text)),
    source("memory.peak", |text, m| m.peak = bytes(text)),
    source("memory.high", |text, m| m.high = number::v2_limit(text)),
    source("memory.low", |text, m| m.low = number::v2_limit(text)),
    source("memory.min", |text, m| m.min = number::v2_limit(text)),
    source("memory.swap.max", |text, m| m.swap_limit = number::v2_limit(text)),
    source("memory.oom.group", |text, m| m.oom_group = number::u64(text).map(|on| on != 0)),
];

/// The pids controller, which may be mounted elsewhere, and its files.
const PIDS: &[Source] = &[
    source("pids.current", |text, m| m.pids = number::u64(text)),
    source("pids.max", |text, m| m.pids_limit = number::count_limit(text)),
];

/// What the v2 side of a hybrid machine has of a cgroup whose memory v1 controls.
const HYBRID: &[Source] =
    &[source("memory.pressure", |text, m| m.pressure = Some(pressure::parse(text)))];

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
}

/// All memory cgroups of the machine.
#[derive(Debug)]
pub(super) struct Cgroups {
    version: CgroupVersion,
    mount: OwnedFd,
    pids: Option<OwnedFd>,
    unified: Option<OwnedFd>,
    tracked: BTreeMap<CgroupPath, Tracked>,
    hot: Vec<CgroupPath>,
    path: String,
    walked: String,
}

impl Cgroups {
    pub(super) fn open(root: &Root, hierarchies: &Hierarchies) -> io::Result<Self> {
        let Some((version, mount)) = &hierarchies.memory else {
            let why = "no mounted cgroup hierarchy has the memory controller";
            return Err(io::Error::new(io::ErrorKind::NotFound, why));
        };
        let open = |path: &PathBuf| root.open(path.to_string_lossy().trim_start_matches('/'));
        let unified = match version {
            CgroupVersion::V1 => hierarchies.unified.as_ref(),
            CgroupVersion::V2 => None,
        };
        let version = *version;
        Ok(Self {
            version,
            mount: open(mount)?,
            pids: hierarchies.pids.as_ref().and_then(|(_, path)| open(path).ok()),
            unified: unified.and_then(|path| open(path).ok()),
            tracked: BTreeMap::new(),
            hot: Vec::with_capacity(MOST_HOT),
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
        self.hot.iter()
    }

    /// Whether `path` is one of the hot cgroups or below one.
    pub(super) fn covers_hot(&self, path: &CgroupPath) -> bool {
        self.hot.iter().any(|hot| is_within(path.as_str(), hot.as_str()))
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
            // A name that is not UTF-8 could not be opened again by its escaped form: left out.
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
    /// that a new one is seen with its first process.
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
        self.tracked.insert(path, tracked);
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
            if cgroup.heat.judge(&cgroup.memory, turn.stamp.boot, nearness) && hot.len() < MOST_HOT
            {
                hot.push(cgroup.path.clone());
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
            pids: None,
            unified: None,
            path: &mut self.path,
            budget,
            buffer,
        };
        let tracked = &mut self.tracked;
        self.hot.retain(|path| {
            let Some(cgroup) = tracked.get_mut(path) else { return false };
            if !files.read(cgroup, turn) {
                return false;
            }
            samples.extend(sample(cgroup, files.version));
            cgroup.heat.judge(&cgroup.memory, turn.stamp.boot, nearness)
        });
    }

    /// The processes that the hot cgroups hold now.
    pub(super) fn newcomers(&mut self, buffer: &mut Vec<u8>, mut meet: impl FnMut(Pid)) {
        for path in &self.hot {
            let Some(cgroup) = self.tracked.get(path) else { continue };
            let name = join(&mut self.path, &cgroup.prefix, "cgroup.procs");
            let Ok(text) = read_once(self.mount.as_fd(), name, buffer) else { continue };
            for line in text.split(|byte| *byte == b'\n') {
                if let Some(pid) = number::u64(line).and_then(|pid| u32::try_from(pid).ok()) {
                    meet(Pid::new(pid));
                }
            }
        }
    }
}

/// What reading one cgroup takes.
struct Files<'a> {
    version: CgroupVersion,
    mount: BorrowedFd<'a>,
    pids: Option<BorrowedFd<'a>>,
    unified: Option<BorrowedFd<'a>>,
    path: &'a mut String,
    budget: &'a mut Budget,
    buffer: &'a mut Vec<u8>,
}

impl Files<'_> {
    /// Reads what is due; `false` if the cgroup is gone.
    fn read(&mut self, cgroup: &mut Tracked, turn: Turn) -> bool {
        let sources = match self.version {
            CgroupVersion::V1 => V1,
            CgroupVersion::V2 => V2,
        };
        let (fast, slow) = sources.split_at(FAST.min(sources.len()));
        for (source, kept) in fast.iter().zip(&mut cgroup.kept) {
            let name = join(self.path, &cgroup.prefix, source.file);
            match kept.read(self.mount, name, self.budget, self.buffer) {
                Ok(text) => (source.apply)(text, &mut cgroup.memory),
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
                (source.apply)(text, &mut cgroup.memory);
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
