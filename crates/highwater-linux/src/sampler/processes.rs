//! Who runs, and how much memory each has.

use std::fmt::Write as _;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use highwater_core::frame::{CgroupVersion, ProcSample, SlowReadings};
use highwater_core::id::{CgroupPath, Pid, ProcKey, StartTicks};
use highwater_core::time::{BootTime, Stamp};
use highwater_core::units::{Bytes, PageSize};
use rustix::fs::{AtFlags, Mode, OFlags, RawDir, SeekFrom, openat, seek, statat};
use rustix::io::{Errno, Result};

use super::kept::{Budget, Kept, is_gone, read_once};
use crate::facts::HostFacts;
use crate::parse::{limits, membership, number, stat, statm, status};
use crate::root::Root;

/// Room for one `getdents64` call: about 1,000 entries.
const LISTING_BYTES: usize = 32 * 1024;

/// A process this young may still be on its way into its cgroup: services and containers are
/// forked first and moved then, within a second or so. Its membership is read at every tick.
const SETTLING: Duration = Duration::from_secs(15);

/// Every so many slow readings, what hardly ever changes is read too: limits and adjustments.
const RARE: u64 = 10;

/// How many processes count as the machine's largest, in a close-up of the machine.
const LARGEST: usize = 16;

/// Where in the rhythm of slow readings a tick stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    pub(super) stamp: Stamp,
    pub(super) tick: u64,
    pub(super) slow: u64,
}

impl Turn {
    /// Whether what is numbered `offset` has its slow reading now. Spreads them over the ticks.
    pub(super) fn is_slow(self, offset: u64) -> bool {
        self.tick.wrapping_add(offset).is_multiple_of(self.slow)
    }

    fn is_rare(self, offset: u64) -> bool {
        self.tick.wrapping_add(offset).is_multiple_of(self.slow.saturating_mul(RARE))
    }
}

/// How many there are of what, after a whole tick.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Census {
    pub(super) processes: u64,
    pub(super) threads: u64,
    pub(super) zombies: u64,
    pub(super) refused: usize,
}

/// One process that is followed.
#[derive(Debug)]
pub(super) struct Tracked {
    pid: Pid,
    /// Of the process that everything here is known of: another one may get its pid.
    start: Option<StartTicks>,
    stat: Kept,
    statm: Kept,
    cgroup: Option<CgroupPath>,
    slow: SlowReadings,
    refused: bool,
    first_seen: Option<BootTime>,
    resident: Bytes,
    /// Processor time used.
    cpu_us: u64,
    /// Memory and processor time when `status` was read last.
    at_status: Option<(Bytes, u64)>,
    large: bool,
    state: u8,
    threads: u32,
    kernel: bool,
}

impl Tracked {
    fn new(pid: Pid) -> Self {
        Self {
            pid,
            start: None,
            stat: Kept::default(),
            statm: Kept::default(),
            cgroup: None,
            slow: SlowReadings::default(),
            refused: false,
            first_seen: None,
            resident: Bytes::ZERO,
            cpu_us: 0,
            at_status: None,
            large: false,
            state: b'?',
            threads: 0,
            kernel: false,
        }
    }

    pub(super) fn cgroup(&self) -> Option<&CgroupPath> {
        self.cgroup.as_ref()
    }

    pub(super) fn is_large(&self) -> bool {
        self.large
    }

    fn close(&mut self, budget: &mut Budget) {
        self.stat.close(budget);
        self.statm.close(budget);
    }

    /// Another process got this pid: everything known is of the dead one.
    fn forget(&mut self, budget: &mut Budget) {
        self.close(budget);
        *self = Self::new(self.pid);
    }
}

/// All processes, in order of pid.
#[derive(Debug)]
pub(super) struct Processes {
    proc: OwnedFd,
    listing: Vec<u8>,
    pids: Vec<Pid>,
    tracked: Vec<Tracked>,
    sizes: Vec<Bytes>,
    path: String,
    page_size: PageSize,
    ticks_per_second: u64,
    memory: CgroupVersion,
    memory_root: Vec<u8>,
}

impl Processes {
    pub(super) fn open(root: &Root, facts: &HostFacts) -> io::Result<Self> {
        Ok(Self {
            proc: root.open("proc")?,
            listing: Vec::with_capacity(LISTING_BYTES),
            pids: Vec::new(),
            tracked: Vec::new(),
            sizes: Vec::new(),
            path: String::new(),
            page_size: facts.page_size,
            ticks_per_second: facts.ticks_per_second.max(1),
            memory: CgroupVersion::V2,
            memory_root: Vec::new(),
        })
    }

    /// Which hierarchy a membership is looked up in, and which of its cgroups is the top that its
    /// mount shows.
    pub(super) fn follow(&mut self, memory: CgroupVersion, root: Vec<u8>) {
        (self.memory, self.memory_root) = (memory, root);
    }

    /// Lists `/proc` once: who left is forgotten, who came is followed from now on.
    pub(super) fn reconcile(&mut self, budget: &mut Budget) -> Result<()> {
        list(self.proc.as_fd(), &mut self.listing, &mut self.pids)?;
        let pids = &self.pids;
        self.tracked.retain_mut(|process| {
            let stays = pids.binary_search(&process.pid).is_ok();
            if !stays {
                process.close(budget);
            }
            stays
        });
        for at in 0..self.pids.len() {
            if let Some(pid) = self.pids.get(at).copied() {
                self.adopt(pid);
            }
        }
        Ok(())
    }

    /// Follows `pid` if it is not followed yet.
    pub(super) fn adopt(&mut self, pid: Pid) {
        if let Err(at) = self.tracked.binary_search_by_key(&pid, |process| process.pid) {
            self.tracked.insert(at, Tracked::new(pid));
        }
    }

    /// Reads every process into `samples`.
    pub(super) fn read_all(
        &mut self,
        turn: Turn,
        budget: &mut Budget,
        buffer: &mut Vec<u8>,
        samples: &mut Vec<ProcSample>,
    ) -> Census {
        self.read_some(turn, |_| true, budget, buffer, samples);
        self.mark_largest();
        let mut census = Census::default();
        for process in &self.tracked {
            census.processes += 1;
            census.threads += u64::from(process.threads);
            census.zombies += u64::from(process.state == b'Z');
            census.refused += usize::from(process.refused);
        }
        census
    }

    /// Reads the processes that are `wanted` into `samples`.
    pub(super) fn read_some(
        &mut self,
        turn: Turn,
        wanted: impl Fn(&Tracked) -> bool,
        budget: &mut Budget,
        buffer: &mut Vec<u8>,
        samples: &mut Vec<ProcSample>,
    ) {
        let reader = Reader {
            proc: self.proc.as_fd(),
            page_size: self.page_size,
            us_per_tick: 1_000_000 / self.ticks_per_second,
            memory: self.memory,
            memory_root: &self.memory_root,
            turn,
        };
        for process in &mut self.tracked {
            if process.first_seen.is_none() || wanted(process) {
                samples.extend(reader.sample(process, &mut self.path, budget, buffer));
            }
        }
    }

    fn mark_largest(&mut self) {
        self.sizes.clear();
        self.sizes.extend(self.tracked.iter().map(|process| process.resident));
        let Some(nth) = self.sizes.len().checked_sub(LARGEST) else {
            self.tracked.iter_mut().for_each(|process| process.large = !process.kernel);
            return;
        };
        let (_, least, _) = self.sizes.select_nth_unstable(nth);
        for process in &mut self.tracked {
            process.large = process.resident >= *least && process.resident > Bytes::ZERO;
        }
    }
}

/// What reading one process takes.
struct Reader<'a> {
    proc: BorrowedFd<'a>,
    page_size: PageSize,
    us_per_tick: u64,
    memory: CgroupVersion,
    memory_root: &'a [u8],
    turn: Turn,
}

impl Reader<'_> {
    /// The sample of one process; `None` if it is a kernel thread, or gone.
    fn sample(
        &self,
        process: &mut Tracked,
        path: &mut String,
        budget: &mut Budget,
        buffer: &mut Vec<u8>,
    ) -> Option<ProcSample> {
        // On its slow turn a kernel thread's slot is looked at: another may have got the pid.
        if process.kernel && !self.turn.is_slow(u64::from(process.pid.get())) {
            return None;
        }
        match self.try_sample(process, path, budget, buffer) {
            // What is known is of a process that died; the pid may have a new owner by now.
            Err(error) if is_gone(error) && process.first_seen.is_some() => {
                process.forget(budget);
                self.try_sample(process, path, budget, buffer).ok()?
            }
            other => other.ok()?,
        }
    }

    fn try_sample(
        &self,
        process: &mut Tracked,
        path: &mut String,
        budget: &mut Budget,
        buffer: &mut Vec<u8>,
    ) -> Result<Option<ProcSample>> {
        let bytes =
            process.stat.read(self.proc, file(path, process.pid, "stat"), budget, buffer)?;
        let stat = stat::parse(bytes).ok_or(Errno::SRCH)?;
        // A helper that the kernel starts is a kernel thread until it runs its program.
        let turned = process.kernel && !stat.is_kernel_thread();
        if turned || process.start.is_some_and(|known| known != stat.start) {
            return Err(Errno::SRCH);
        }
        process.start = Some(stat.start);
        process.threads = stat.threads;
        process.state = stat.state;
        if stat.is_kernel_thread() {
            process.kernel = true;
            process.first_seen = Some(self.turn.stamp.boot);
            process.close(budget);
            return Ok(None);
        }
        let name = file(path, process.pid, "statm");
        let statm = statm::parse(process.statm.read(self.proc, name, budget, buffer)?);
        let shared = statm.map_or(Bytes::ZERO, |statm| statm.shared.bytes(self.page_size));
        process.resident = statm.map_or(stat.resident, |s| s.resident).bytes(self.page_size);
        process.cpu_us =
            (stat.user_ticks.saturating_add(stat.system_ticks)).saturating_mul(self.us_per_tick);
        self.renew(process, path, buffer);
        Ok(Some(ProcSample {
            key: ProcKey { pid: process.pid, start: stat.start },
            comm: stat.comm,
            cgroup: process.cgroup.clone(),
            parent: stat.parent,
            state: stat.state,
            threads: stat.threads,
            cpu_us: process.cpu_us,
            major_faults: stat.major_faults,
            virtual_size: stat.virtual_size,
            resident: process.resident,
            resident_shared: shared,
            children: None,
            zombie_children: None,
            slow: process.slow,
        }))
    }

    /// Renews what is read more rarely, where its turn has come.
    fn renew(&self, process: &mut Tracked, path: &mut String, buffer: &mut Vec<u8>) {
        let now = self.turn.stamp.boot;
        let first = process.first_seen.is_none();
        let since = *process.first_seen.get_or_insert(now);
        let due = first || self.turn.is_slow(u64::from(process.pid.get()));
        if due || (self.turn.slow != u64::MAX && now.since(since) < SETTLING) {
            self.renew_membership(process, path, buffer);
        }
        if due {
            self.renew_readings(process, path, buffer);
        }
        if first || self.turn.is_rare(u64::from(process.pid.get())) {
            self.renew_settings(process, path, buffer);
        }
    }

    fn renew_membership(&self, process: &mut Tracked, path: &mut String, buffer: &mut Vec<u8>) {
        let Ok(bytes) = read_once(self.proc, file(path, process.pid, "cgroup"), buffer) else {
            return;
        };
        let Some(path) = membership::memory_path(bytes, self.memory) else { return };
        let Some(found) = membership::below(path, self.memory_root).map(membership::plain) else {
            process.cgroup = None;
            return;
        };
        if process.cgroup.as_ref().is_none_or(|known| known.as_str().as_bytes() != found) {
            process.cgroup = Some(CgroupPath::new(found));
        }
    }

    fn renew_readings(&self, process: &mut Tracked, path: &mut String, buffer: &mut Vec<u8>) {
        let pid = process.pid;
        // One that has not run and holds what it held has the same peak and score: the costliest
        // reading is saved for the sleepers, which are most. In its rare turn it is read anyway.
        let now = Some((process.resident, process.cpu_us));
        if process.at_status != now || self.turn.is_rare(u64::from(pid.get())) {
            process.at_status = now;
            self.renew_status(process, path, buffer);
        }
        let fds = count_fds(self.proc, file(path, pid, "fd"), buffer);
        process.refused = matches!(fds, Err(Errno::ACCESS | Errno::PERM));
        process.slow.open_fds = fds.ok();
    }

    fn renew_status(&self, process: &mut Tracked, path: &mut String, buffer: &mut Vec<u8>) {
        let (pid, slow) = (process.pid, &mut process.slow);
        if let Ok(bytes) = read_once(self.proc, file(path, pid, "status"), buffer) {
            let status = status::parse(bytes);
            (slow.uid, slow.peak_resident) = (status.uid, status.peak_resident);
            (slow.swap, slow.page_tables) = (status.swap, status.page_tables);
        }
        let score = read_once(self.proc, file(path, pid, "oom_score"), buffer);
        slow.oom_score = score.ok().and_then(number::i64);
    }

    fn renew_settings(&self, process: &mut Tracked, path: &mut String, buffer: &mut Vec<u8>) {
        let (pid, slow) = (process.pid, &mut process.slow);
        let adjustment = read_once(self.proc, file(path, pid, "oom_score_adj"), buffer);
        slow.oom_score_adj = adjustment.ok().and_then(number::i64);
        if let Ok(bytes) = read_once(self.proc, file(path, pid, "limits"), buffer) {
            slow.max_fds = limits::max_open_files(bytes);
        }
    }
}

/// How many descriptors a process has open. Since 6.2 the kernel tells it as the size of the `fd`
/// directory (commit f1f1f2569901); before, they have to be listed.
fn count_fds(proc: BorrowedFd<'_>, path: &str, buffer: &mut Vec<u8>) -> Result<u64> {
    let told = u64::try_from(statat(proc, path, AtFlags::empty())?.st_size).unwrap_or(0);
    if told > 0 {
        return Ok(told);
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = openat(proc, path, flags, Mode::empty())?;
    buffer.clear();
    let (mut entries, mut count) = (RawDir::new(dir, buffer.spare_capacity_mut()), 0_u64);
    while let Some(entry) = entries.next() {
        count += u64::from(number::u64(entry?.file_name().to_bytes()).is_some());
    }
    Ok(count)
}

/// The pids below `/proc`, in order.
fn list(proc: BorrowedFd<'_>, listing: &mut Vec<u8>, pids: &mut Vec<Pid>) -> Result<()> {
    pids.clear();
    seek(proc, SeekFrom::Start(0))?;
    let mut entries = RawDir::new(proc, listing.spare_capacity_mut());
    while let Some(entry) = entries.next() {
        let number = number::u64(entry?.file_name().to_bytes());
        pids.extend(number.and_then(|pid| u32::try_from(pid).ok()).map(Pid::new));
    }
    pids.sort_unstable();
    Ok(())
}

/// `PID/name`, written into `path`.
fn file<'p>(path: &'p mut String, pid: Pid, name: &str) -> &'p str {
    path.clear();
    // Writing to a String cannot fail.
    write!(path, "{pid}/{name}").unwrap_or_default();
    path
}
