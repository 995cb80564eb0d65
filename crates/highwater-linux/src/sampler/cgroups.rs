//! The tree of memory cgroups.
//!
//! Which files there are, and how each is read, is a table per version; everything else is the
//! same for v1 and v2.
//!
//! Most cgroups rest most of the time. Usage is read of all of them at every tick, and where it has
//! not moved by a byte, and the limit is far and nobody waits for memory, the other files say what
//! they said: they are left alone until the next slow turn. What could be missed that long is less
//! than the kernel's own batch (64 pages per processor, `MEMCG_CHARGE_BATCH`), and exchanges that
//! come out even to the byte.

use std::collections::BTreeMap;
use std::io;
use std::ops::Bound;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use highwater_core::frame::{CgroupMemory, CgroupSample, CgroupVersion, Stall};
use highwater_core::id::{CgroupPath, Pid};
use highwater_core::text::escape;
use highwater_core::units::{Bytes, PageSize, Permille};
use rustix::fs::{FileType, RawDir};
use rustix::io::Errno;

use super::heat::{Heat, Nearness, share_held};
use super::kept::{Budget, Kept, read_once, read_pieces_once};
use super::paths::{is_leaf, is_removed, join, open_dir};
use super::processes::Turn;
use super::sources::{FAST, HYBRID, PIDS, Source, Table, V1, V2};
use crate::parse::mountinfo::Hierarchies;
use crate::parse::{membership, number};
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

/// After so many ticks of rest the files of a cgroup are closed, all but its probes: each takes a
/// page of the kernel's memory while it is open. One that moves now and then keeps them.
const DROWSY: u8 = 3;

/// Where a cgroup's usage stands among [`Cgroups::usages`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot(usize);

/// One cgroup that is followed.
#[derive(Debug)]
struct Tracked {
    path: CgroupPath,
    slot: Slot,
    /// Below the mount, without a slash in front: `a/b`, with a slash at the end unless empty.
    prefix: String,
    kept: [Kept; FAST],
    memory: CgroupMemory,
    heat: Heat,
    /// For how many ticks it has rested, as far as that matters.
    rested: u8,
    /// Its slow files were read at least once, and what it used then.
    met: bool,
    at_slow: Option<Bytes>,
    /// The files that it does not have, a bit each, so that they are not looked for at every turn.
    absent: u32,
    /// Spreads the slow readings over the ticks.
    offset: u64,
}

impl Tracked {
    fn close(&mut self, budget: &mut Budget) {
        self.kept.iter_mut().for_each(|kept| kept.close(budget));
    }

    /// Closes what is kept from place `first` on.
    fn close_behind(&mut self, first: usize, budget: &mut Budget) {
        self.kept.iter_mut().skip(first).for_each(|kept| kept.close(budget));
    }

    /// It was removed; another of its path may be made any time, and starts from nothing.
    fn forget(&mut self, budget: &mut Budget) {
        self.close(budget);
        (self.memory, self.heat, self.met) = (CgroupMemory::default(), Heat::default(), false);
        (self.rested, self.at_slow, self.absent) = (0, None, 0);
    }
}

/// A cgroup that is watched closely.
#[derive(Debug)]
struct Hot {
    path: CgroupPath,
    /// How near its limit it was at the last whole tick.
    share: Permille,
}

/// Where cgroups are.
#[derive(Debug)]
struct Place {
    version: CgroupVersion,
    mount: OwnedFd,
    pids: Option<OwnedFd>,
    unified: Option<OwnedFd>,
    page_size: PageSize,
}

/// What a reading takes that is not the cgroups' own.
#[derive(Debug)]
pub(super) struct Means<'a> {
    pub(super) nearness: &'a Nearness,
    pub(super) budget: &'a mut Budget,
    pub(super) buffer: &'a mut Vec<u8>,
}

/// All memory cgroups of the machine.
#[derive(Debug)]
pub(super) struct Cgroups {
    place: Place,
    tracked: BTreeMap<CgroupPath, Tracked>,
    /// What each uses, by its slot: as of this reading, or unknown. Slots of the gone are free.
    usages: Vec<Option<Bytes>>,
    free: Vec<Slot>,
    /// Some are followed that were never read.
    fresh: bool,
    hot: Vec<Hot>,
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
        let place = Place {
            version: *version,
            mount: opened,
            pids: hierarchies.pids.as_ref().and_then(|(_, path)| root.open(path).ok()),
            unified: unified.and_then(|path| root.open(path).ok()),
            page_size,
        };
        Ok(Self {
            place,
            tracked: BTreeMap::new(),
            usages: Vec::new(),
            free: Vec::new(),
            fresh: false,
            hot: Vec::with_capacity(MOST_HOT),
            path: String::new(),
            walked: String::new(),
        })
    }

    pub(super) fn version(&self) -> CgroupVersion {
        self.place.version
    }

    /// What the cgroup in `slot` uses; `None` if this reading left it out.
    pub(super) fn usage(&self, slot: Slot) -> Option<Bytes> {
        self.usages.get(slot.0).copied().flatten()
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
        if let Ok(dir) = open_dir(self.place.mount.as_fd(), ".") {
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
            if length > 1 {
                path.push('/');
            }
            path.push_str(name);
            if is_leaf(dir.as_fd(), name) {
                self.follow(path);
            } else if let Ok(below) = open_dir(dir.as_fd(), name) {
                self.walk_below(&below, path, depth - 1);
            }
            path.truncate(length);
        }
    }

    /// Follows the cgroup at `path` and those above it, and says where its usage stands. Called
    /// with every process's cgroup, so that a new one is seen with its first process. Its path is a
    /// plain one: see [`membership::plain`].
    pub(super) fn adopt(&mut self, path: &CgroupPath) -> Option<Slot> {
        if let Some(known) = self.tracked.get(path) {
            return Some(known.slot);
        }
        let mut above = path.as_str();
        while self.follow(above) {
            match above.rsplit_once('/') {
                Some(("", _)) | None => break,
                Some((parent, _)) => above = parent,
            }
        }
        self.tracked.get(path).map(|new| new.slot)
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
        let slot = self.free.pop().unwrap_or(Slot(self.usages.len()));
        if slot.0 == self.usages.len() {
            self.usages.push(None);
        }
        let tracked = Tracked {
            path: path.clone(),
            slot,
            prefix,
            kept: Default::default(),
            memory: CgroupMemory::default(),
            heat: Heat::default(),
            rested: 0,
            met: false,
            at_slow: None,
            absent: 0,
            offset,
        };
        self.tracked.insert(path, tracked);
        self.fresh = true;
        true
    }

    /// Reads every cgroup into `samples`, in the order of their paths; those that are gone are
    /// forgotten.
    pub(super) fn read_all(
        &mut self,
        turn: Turn,
        means: Means<'_>,
        samples: &mut Vec<CgroupSample>,
    ) {
        self.hot.clear();
        self.usages.fill(None);
        self.fresh = false;
        let mut files = Files { place: &self.place, path: &mut self.path, means };
        let (hot, usages, free) = (&mut self.hot, &mut self.usages, &mut self.free);
        self.tracked.retain(|_, cgroup| {
            if !files.read(cgroup, turn) {
                cgroup.close(files.means.budget);
                free.push(cgroup.slot);
                return false;
            }
            files.judge(cgroup, turn, hot);
            publish(usages, cgroup);
            samples.extend(sample(cgroup, files.place.version));
            true
        });
    }

    /// Reads those that were adopted since, and puts them where they belong among `samples`.
    pub(super) fn read_fresh(
        &mut self,
        turn: Turn,
        means: Means<'_>,
        samples: &mut Vec<CgroupSample>,
    ) {
        if !std::mem::take(&mut self.fresh) {
            return;
        }
        let mut files = Files { place: &self.place, path: &mut self.path, means };
        for cgroup in self.tracked.values_mut().filter(|cgroup| !cgroup.met) {
            // One that is gone already is forgotten at the next tick.
            if files.read(cgroup, turn) {
                files.judge(cgroup, turn, &mut self.hot);
                let place = samples.partition_point(|sample| sample.path < cgroup.path);
                if let Some(sample) = sample(cgroup, files.place.version) {
                    samples.insert(place, sample);
                }
            }
        }
    }

    /// Reads the hot cgroups into `samples`; those that are calm again are hot no longer.
    pub(super) fn read_hot(
        &mut self,
        turn: Turn,
        means: Means<'_>,
        samples: &mut Vec<CgroupSample>,
    ) {
        self.usages.fill(None);
        let mut files = Files { place: &self.place, path: &mut self.path, means };
        let (tracked, usages) = (&mut self.tracked, &mut self.usages);
        self.hot.retain(|hot| {
            let Some(cgroup) = tracked.get_mut(&hot.path) else { return false };
            if !files.read(cgroup, turn) {
                return false;
            }
            publish(usages, cgroup);
            samples.extend(sample(cgroup, files.place.version));
            cgroup.heat.judge(&cgroup.memory, turn.stamp.boot, files.means.nearness)
        });
    }

    /// The processes that the hot cgroups hold now, and the cgroups below them: on v2 a cgroup that
    /// has others below holds none itself.
    pub(super) fn newcomers(&mut self, buffer: &mut Vec<u8>, mut meet: impl FnMut(Pid)) {
        let mount = self.place.mount.as_fd();
        let (path, above) = (&mut self.path, &mut self.walked);
        let most = MOST_ASKED / self.hot.len().max(1);
        for hot in &self.hot {
            join(above, hot.path.as_str().trim_end_matches('/'), "/");
            let from = (Bound::Included(above.as_str()), Bound::Unbounded);
            let below = self.tracked.range::<str, _>(from).map(|(_, cgroup)| cgroup);
            let below = below.take_while(|cgroup| cgroup.path.as_str().starts_with(&*above));
            for cgroup in self.tracked.get(&hot.path).into_iter().chain(below).take(most) {
                let name = join(path, &cgroup.prefix, "cgroup.procs");
                if let Ok(text) = read_pieces_once(mount, name, buffer) {
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

/// Shows what `cgroup` uses to those who want to know whether it rests.
fn publish(usages: &mut [Option<Bytes>], cgroup: &Tracked) {
    if let Some(usage) = usages.get_mut(cgroup.slot.0) {
        *usage = cgroup.memory.usage;
    }
}

/// What reading one cgroup takes.
struct Files<'a> {
    place: &'a Place,
    path: &'a mut String,
    means: Means<'a>,
}

/// The first bit in [`Tracked::absent`] of each table; [`Table::fast`] comes after the probes.
mod first {
    pub(super) const FAST: u32 = 0;
    pub(super) const SLOW: u32 = 8;
    pub(super) const PIDS: u32 = 16;
    pub(super) const HYBRID: u32 = 24;
    /// Those of the files that are looked for again at every slow turn.
    pub(super) const FAST_ONES: u32 = (1 << SLOW) - 1;
}

impl Files<'_> {
    /// Reads what is due; `false` if the cgroup is gone.
    fn read(&mut self, cgroup: &mut Tracked, turn: Turn) -> bool {
        if self.try_read(cgroup, turn) {
            return true;
        }
        // The descriptors were of a cgroup that was removed; a service that is started again is
        // in a new one of the same path.
        cgroup.forget(self.means.budget);
        !is_removed(self.place.mount.as_fd(), &cgroup.prefix) && self.try_read(cgroup, turn)
    }

    /// Adds it to the `hot` ones if it is near its limit.
    fn judge(&self, cgroup: &mut Tracked, turn: Turn, hot: &mut Vec<Hot>) {
        if cgroup.heat.judge(&cgroup.memory, turn.stamp.boot, self.means.nearness) {
            heat_up(hot, cgroup);
        }
    }

    fn try_read(&mut self, cgroup: &mut Tracked, turn: Turn) -> bool {
        let Table { probes, fast, slow } = match self.place.version {
            CgroupVersion::V1 => V1,
            CgroupVersion::V2 => V2,
        };
        let due = !cgroup.met || turn.is_slow(cgroup.offset);
        if due {
            cgroup.absent &= !first::FAST_ONES;
        }
        let before = (cgroup.memory.usage, cgroup.memory.swap);
        if !self.read_fast(probes, 0, cgroup) {
            return false;
        }
        let same = before == (cgroup.memory.usage, cgroup.memory.swap);
        let rests = same && cgroup.met && self.is_calm(cgroup);
        if (due || !rests) && !self.read_fast(fast, probes.len(), cgroup) {
            return false;
        }
        cgroup.rested = if rests { cgroup.rested.saturating_add(1) } else { 0 };
        if cgroup.rested >= DROWSY {
            cgroup.close_behind(probes.len(), self.means.budget);
        }
        if due {
            self.renew_slow(slow, cgroup, rests, turn);
        }
        true
    }

    /// Whether it is far from its limit, and nobody in it waits for memory. At the limit usage
    /// stands still while one kind of memory takes the place of another; and the averages of past
    /// pressure fall while nothing happens.
    fn is_calm(&self, cgroup: &Tracked) -> bool {
        let memory = &cgroup.memory;
        memory.usage.is_some()
            && !cgroup.heat.is_near(memory, self.means.nearness)
            && memory.under_oom != Some(true)
            && memory.pressure.is_none_or(|pressure| is_over(pressure.some))
    }

    /// Reads `sources`, whose files are kept from place `from` on; `false` if the cgroup is gone.
    fn read_fast(&mut self, sources: &[Source], from: usize, cgroup: &mut Tracked) -> bool {
        let mount = self.place.mount.as_fd();
        let kept = cgroup.kept.iter_mut().enumerate().skip(from);
        for (source, (nth, kept)) in sources.iter().zip(kept) {
            let bit = bit(first::FAST, nth);
            if cgroup.absent & bit != 0 {
                continue;
            }
            let (path, prefix) = (&mut *self.path, &cgroup.prefix);
            let name = source.file;
            match kept.read(
                mount,
                || join(path, prefix, name),
                self.means.budget,
                self.means.buffer,
            ) {
                Ok(text) => (source.apply)(text, &mut cgroup.memory, self.place.page_size),
                Err(Errno::NODEV) => return false,
                // A cgroup need not have every file; but one whose directory is gone is gone. Where
                // the first is there, so was the directory a moment ago.
                Err(Errno::NOENT) if nth == 0 && is_removed(mount, &cgroup.prefix) => return false,
                Err(Errno::NOENT) if from > 0 => cgroup.absent |= bit,
                Err(_) => {}
            }
        }
        true
    }

    /// Reads the slow files. Of a cgroup that rests and has used the same ever since, only in its
    /// rare turn: what is left to change there are settings.
    fn renew_slow(&mut self, slow: &[Source], cgroup: &mut Tracked, rests: bool, turn: Turn) {
        let rare = turn.is_rare(cgroup.offset);
        if rests && cgroup.met && cgroup.at_slow == cgroup.memory.usage && !rare {
            return;
        }
        if rare {
            cgroup.absent = 0;
        }
        cgroup.met = true;
        cgroup.at_slow = cgroup.memory.usage;
        let place = self.place;
        self.read_slow(place.mount.as_fd(), slow, first::SLOW, cgroup);
        if let Some(pids) = &place.pids {
            self.read_slow(pids.as_fd(), PIDS, first::PIDS, cgroup);
        }
        if let Some(unified) = &place.unified {
            self.read_slow(unified.as_fd(), HYBRID, first::HYBRID, cgroup);
        }
    }

    fn read_slow(
        &mut self,
        mount: BorrowedFd<'_>,
        sources: &[Source],
        from: u32,
        cgroup: &mut Tracked,
    ) {
        for (nth, source) in sources.iter().enumerate() {
            let bit = bit(from, nth);
            if cgroup.absent & bit != 0 {
                continue;
            }
            let name = join(self.path, &cgroup.prefix, source.file);
            match read_once(mount, name, self.means.buffer) {
                Ok(text) => (source.apply)(text, &mut cgroup.memory, self.place.page_size),
                Err(Errno::NOENT) => cgroup.absent |= bit,
                Err(_) => {}
            }
        }
    }
}

/// The bit of the `nth` file of a table; none of a file that no bit is left for.
fn bit(from: u32, nth: usize) -> u32 {
    u32::try_from(nth).ok().and_then(|nth| 1_u32.checked_shl(from.saturating_add(nth))).unwrap_or(0)
}

/// Whether the kernel's averages have come down to nothing.
fn is_over(stall: Option<Stall>) -> bool {
    stall.is_none_or(|stall| stall.avg10 <= 0.0 && stall.avg60 <= 0.0)
}

/// What is known of a cgroup; nothing if the memory controller is not switched on for it.
fn sample(cgroup: &Tracked, version: CgroupVersion) -> Option<CgroupSample> {
    let memory = cgroup.memory;
    let path = cgroup.path.clone();
    (memory.usage.or(memory.anon).is_some()).then_some(CgroupSample { path, version, memory })
}

/// Whether the cgroup at `path` is `above` or below it.
fn is_within(path: &str, above: &str) -> bool {
    above == "/"
        || path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
