//! Who runs, and how much memory each has.
//!
//! Most processes sleep most of the time, so each is asked first, with the cheapest file there is,
//! whether it has run since it was read last:
//!
//! ```text
//!   schedstat the same, one thread, and it slept ──► it has not run: `stat` says what it said
//!        and its cgroup uses the same to the byte ─► and so does `statm`
//! ```
//!
//! Memory of a process that does not run can change all the same: it is reclaimed, collapsed into
//! huge pages, written to by a debugger. All of these move the usage of its cgroup, by which it is
//! noticed; what is too small for that, or belongs to files of others, is seen on the slow turn.
//! `schedstat` is of the first thread only, so that a process with more is always read in full.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use highwater_core::frame::{CgroupVersion, ProcSample, SlowReadings};
use highwater_core::id::{CgroupPath, Pid, ProcKey};
use highwater_core::time::{BootTime, Stamp};
use highwater_core::units::{Bytes, PageSize};
use rustix::fs::{AtFlags, statat};
use rustix::io::{Errno, Result};

use super::cgroups::{Cgroups, Slot};
use super::kept::{Budget, Kept, is_gone, read_once};
use super::listing::{count_fds, file, list};
use crate::facts::HostFacts;
use crate::parse::schedstat::{self, Schedstat};
use crate::parse::stat::{self, Stat};
use crate::parse::{limits, membership, number, statm, status};
use crate::root::Root;

/// Room for one `getdents64` call: about 1,000 entries.
const LISTING_BYTES: usize = 32 * 1024;

/// A process this young may still be on its way into its cgroup: services and containers are
/// forked first and moved then, within a second or so. Its membership is read at every tick.
const SETTLING: Duration = Duration::from_secs(15);

/// Every so many slow readings, what hardly ever changes is read too: limits and adjustments.
const RARE: u64 = 10;

/// Room for those who left between two ticks: a busy shell's worth.
const LEAVERS: usize = 256;

/// After so many readings without having run, a process's files are closed, all but `schedstat`:
/// each takes a page of the kernel's memory while it is open. One that runs now and then keeps them.
const DROWSY: u8 = 3;

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

    /// Whether it is one of the slow readings at which also that is read which hardly ever changes.
    pub(super) fn is_rare(self, offset: u64) -> bool {
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
    schedstat: Kept,
    stat: Kept,
    statm: Kept,
    /// As read last. Everything here is known of the process that it names: another one may get
    /// its pid.
    known: Option<Stat>,
    /// What its first thread had run just before `known` was read; `None` where nothing tells.
    ran: Option<Schedstat>,
    /// For how many readings it has not run, as far as that matters.
    rested: u8,
    cgroup: Option<CgroupPath>,
    slot: Option<Slot>,
    /// What its cgroup used just before its memory was read.
    beside: Option<Bytes>,
    slow: SlowReadings,
    refused: bool,
    first_seen: Option<BootTime>,
    resident: Bytes,
    shared: Bytes,
    /// Memory and processor time when `status` was read last.
    at_status: Option<(Bytes, u64)>,
    /// What it had run when its descriptors were counted last.
    at_count: Option<Schedstat>,
    large: bool,
}

impl Tracked {
    fn new(pid: Pid) -> Self {
        Self {
            pid,
            schedstat: Kept::default(),
            stat: Kept::default(),
            statm: Kept::default(),
            known: None,
            ran: None,
            rested: 0,
            cgroup: None,
            slot: None,
            beside: None,
            slow: SlowReadings::default(),
            refused: false,
            first_seen: None,
            resident: Bytes::ZERO,
            shared: Bytes::ZERO,
            at_status: None,
            at_count: None,
            large: false,
        }
    }

    fn is_kernel_thread(&self) -> bool {
        self.known.is_some_and(|stat| stat.is_kernel_thread())
    }

    /// Whether `stat` still says what it said, where `ran` is what it has run until now.
    ///
    /// One that was running when it was read may have run on without being given a processor anew.
    fn has_slept(&self, ran: Option<Schedstat>) -> bool {
        ran.is_some()
            && ran == self.ran
            && self.known.is_some_and(|stat| stat.threads == 1 && stat.state != b'R')
    }

    pub(super) fn cgroup(&self) -> Option<&CgroupPath> {
        self.cgroup.as_ref()
    }

    pub(super) fn is_large(&self) -> bool {
        self.large
    }

    fn close(&mut self, budget: &mut Budget) {
        self.schedstat.close(budget);
        self.doze(budget);
    }

    /// Closes what is not read of one that sleeps.
    fn doze(&mut self, budget: &mut Budget) {
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
    /// Who left since the tick before: their children have another parent now.
    departed: Vec<Pid>,
    /// This kernel has no `schedstat`.
    blind: bool,
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
            departed: Vec::with_capacity(LEAVERS),
            blind: false,
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
        let mut present = self.pids.iter().peekable();
        let departed = &mut self.departed;
        departed.clear();
        // Both are in order of pid, so one pass finds who is in one only.
        self.tracked.retain_mut(|process| {
            while present.next_if(|pid| **pid < process.pid).is_some() {}
            let stays = present.next_if_eq(&&process.pid).is_some();
            if !stays {
                process.close(budget);
                departed.push(process.pid);
            }
            stays
        });
        if self.tracked.len() < self.pids.len() {
            self.meet();
        }
        Ok(())
    }

    /// Follows those of the listing that are not followed yet.
    fn meet(&mut self) {
        let known = self.tracked.len();
        let mut at = 0;
        for pid in &self.pids {
            if at < known && self.tracked.get(at).is_some_and(|process| process.pid == *pid) {
                at += 1;
            } else {
                self.tracked.push(Tracked::new(*pid));
            }
        }
        self.tracked.sort_unstable_by_key(|process| process.pid);
    }

    /// Follows `pid` if it is not followed yet.
    pub(super) fn adopt(&mut self, pid: Pid) {
        if let Err(at) = self.tracked.binary_search_by_key(&pid, |process| process.pid) {
            self.tracked.insert(at, Tracked::new(pid));
        }
    }

    /// Reads every process into `samples`. What `cgroups` use has to be read before.
    pub(super) fn read_all(
        &mut self,
        turn: Turn,
        cgroups: Option<&Cgroups>,
        budget: &mut Budget,
        buffer: &mut Vec<u8>,
        samples: &mut Vec<ProcSample>,
    ) -> Census {
        self.read_some(turn, cgroups, |_| true, budget, buffer, samples);
        self.mark_largest();
        let mut census = Census::default();
        for process in &self.tracked {
            let known = process.known;
            census.processes += 1;
            census.threads += u64::from(known.map_or(0, |stat| stat.threads));
            census.zombies += u64::from(known.is_some_and(|stat| stat.state == b'Z'));
            census.refused += usize::from(process.refused);
        }
        census
    }

    /// Reads the processes that are `wanted` into `samples`.
    pub(super) fn read_some(
        &mut self,
        turn: Turn,
        cgroups: Option<&Cgroups>,
        wanted: impl Fn(&Tracked) -> bool,
        budget: &mut Budget,
        buffer: &mut Vec<u8>,
        samples: &mut Vec<ProcSample>,
    ) {
        let mut reader = Reader {
            proc: self.proc.as_fd(),
            page_size: self.page_size,
            us_per_tick: 1_000_000 / self.ticks_per_second,
            memory: self.memory,
            memory_root: &self.memory_root,
            departed: &self.departed,
            blind: &mut self.blind,
            cgroups,
            turn,
        };
        for process in &mut self.tracked {
            if process.first_seen.is_none() || wanted(process) {
                samples.extend(reader.sample(process, &mut self.path, budget, buffer));
            }
        }
    }

    /// Has those whose membership was read since find their cgroup.
    pub(super) fn settle(&mut self, mut find: impl FnMut(&CgroupPath) -> Option<Slot>) {
        for process in self.tracked.iter_mut().filter(|process| process.slot.is_none()) {
            process.slot = process.cgroup.as_ref().and_then(&mut find);
        }
    }

    fn mark_largest(&mut self) {
        self.sizes.clear();
        self.sizes.extend(self.tracked.iter().map(|process| process.resident));
        let Some(nth) = self.sizes.len().checked_sub(LARGEST) else {
            self.tracked.iter_mut().for_each(|process| {
                process.large = !process.is_kernel_thread();
            });
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
    departed: &'a [Pid],
    blind: &'a mut bool,
    cgroups: Option<&'a Cgroups>,
    turn: Turn,
}

impl Reader<'_> {
    /// The sample of one process; `None` if it is a kernel thread, or gone.
    fn sample(
        &mut self,
        process: &mut Tracked,
        path: &mut String,
        budget: &mut Budget,
        buffer: &mut Vec<u8>,
    ) -> Option<ProcSample> {
        // On its slow turn a kernel thread's slot is looked at: another may have got the pid.
        if process.is_kernel_thread() && !self.turn.is_slow(u64::from(process.pid.get())) {
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
        &mut self,
        process: &mut Tracked,
        path: &mut String,
        budget: &mut Budget,
        buffer: &mut Vec<u8>,
    ) -> Result<Option<ProcSample>> {
        // Before all else: what it runs from here on shows at the next reading.
        let ran = self.ran(process, path, budget, buffer)?;
        let usage = process.slot.zip(self.cgroups).and_then(|(slot, all)| all.usage(slot));
        let number = u64::from(process.pid.get());
        let slept = process.has_slept(ran);
        process.rested = if slept { process.rested.saturating_add(1) } else { 0 };
        process.ran = ran;
        let stat = match process.known.filter(|_| slept) {
            Some(stat) if !self.turn.is_rare(number) && !self.is_orphan(stat) => stat,
            _ => self.read_stat(process, path, budget, buffer)?,
        };
        if stat.is_kernel_thread() {
            process.first_seen = Some(self.turn.stamp.boot);
            process.close(budget);
            return Ok(None);
        }
        let same = usage.is_some() && usage == process.beside;
        if !(slept && same) || self.turn.is_slow(number) {
            self.read_memory(process, stat, path, budget, buffer)?;
            process.beside = usage;
        }
        if process.rested >= DROWSY {
            process.doze(budget);
        }
        let cpu_us = self.cpu_us(stat);
        self.renew(process, cpu_us, path, buffer);
        Ok(Some(ProcSample {
            key: ProcKey { pid: process.pid, start: stat.start },
            comm: stat.comm,
            cgroup: process.cgroup.clone(),
            parent: stat.parent,
            state: stat.state,
            threads: stat.threads,
            cpu_us,
            major_faults: stat.major_faults,
            virtual_size: stat.virtual_size,
            resident: process.resident,
            resident_shared: process.shared,
            children: None,
            zombie_children: None,
            slow: process.slow,
        }))
    }

    /// What the process has run; `None` where that says nothing about all of it, or cannot be told.
    fn ran(
        &mut self,
        process: &mut Tracked,
        path: &mut String,
        budget: &mut Budget,
        buffer: &mut Vec<u8>,
    ) -> Result<Option<Schedstat>> {
        // It is not asked at the first reading: many do not live to see the second.
        if *self.blind || process.known.is_none_or(|stat| stat.threads != 1) {
            process.schedstat.close(budget);
            return Ok(None);
        }
        let pid = process.pid;
        match process.schedstat.read(self.proc, || file(path, pid, "schedstat"), budget, buffer) {
            Ok(bytes) => Ok(schedstat::parse(bytes)),
            Err(Errno::NOENT) => {
                // It may be the process that is gone; but then its `stat` is, too.
                *self.blind = statat(self.proc, file(path, pid, "stat"), AtFlags::empty()).is_ok();
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Whether its parent has died, so that it has another.
    fn is_orphan(&self, stat: Stat) -> bool {
        self.departed.binary_search(&stat.parent).is_ok()
    }

    fn read_stat(
        &self,
        process: &mut Tracked,
        path: &mut String,
        budget: &mut Budget,
        buffer: &mut Vec<u8>,
    ) -> Result<Stat> {
        let pid = process.pid;
        let bytes = process.stat.read(self.proc, || file(path, pid, "stat"), budget, buffer)?;
        let stat = stat::parse(bytes).ok_or(Errno::SRCH)?;
        // A helper that the kernel starts is a kernel thread until it runs its program.
        let turned = process.is_kernel_thread() && !stat.is_kernel_thread();
        if turned || process.known.is_some_and(|known| known.start != stat.start) {
            return Err(Errno::SRCH);
        }
        process.known = Some(stat);
        Ok(stat)
    }

    fn read_memory(
        &self,
        process: &mut Tracked,
        stat: Stat,
        path: &mut String,
        budget: &mut Budget,
        buffer: &mut Vec<u8>,
    ) -> Result<()> {
        let pid = process.pid;
        let statm = statm::parse(process.statm.read(
            self.proc,
            || file(path, pid, "statm"),
            budget,
            buffer,
        )?);
        let shared = statm.map_or(Bytes::ZERO, |statm| statm.shared.bytes(self.page_size));
        process.shared = shared;
        process.resident = statm.map_or(stat.resident, |s| s.resident).bytes(self.page_size);
        Ok(())
    }

    fn cpu_us(&self, stat: Stat) -> u64 {
        (stat.user_ticks.saturating_add(stat.system_ticks)).saturating_mul(self.us_per_tick)
    }

    /// Renews what is read more rarely, where its turn has come.
    fn renew(&self, process: &mut Tracked, cpu_us: u64, path: &mut String, buffer: &mut Vec<u8>) {
        let now = self.turn.stamp.boot;
        let first = process.first_seen.is_none();
        let since = *process.first_seen.get_or_insert(now);
        let due = first || self.turn.is_slow(u64::from(process.pid.get()));
        if due || (self.turn.slow != u64::MAX && now.since(since) < SETTLING) {
            self.renew_membership(process, path, buffer);
        }
        if due {
            self.renew_readings(process, cpu_us, path, buffer);
        }
        if first || self.turn.is_rare(u64::from(process.pid.get())) {
            self.renew_settings(process, path, buffer);
        }
    }

    fn renew_membership(&self, process: &mut Tracked, path: &mut String, buffer: &mut Vec<u8>) {
        let Ok(bytes) = read_once(self.proc, file(path, process.pid, "cgroup"), buffer) else {
            return;
        };
        // Where its usage stands is found anew each time: its cgroup may have been made again.
        process.slot = None;
        let Some(path) = membership::memory_path(bytes, self.memory) else { return };
        let Some(found) = membership::below(path, self.memory_root).map(membership::plain) else {
            process.cgroup = None;
            return;
        };
        if process.cgroup.as_ref().is_none_or(|known| known.as_str().as_bytes() != found) {
            process.cgroup = Some(CgroupPath::new(found));
        }
    }

    fn renew_readings(
        &self,
        process: &mut Tracked,
        cpu_us: u64,
        path: &mut String,
        buffer: &mut Vec<u8>,
    ) {
        let pid = process.pid;
        let rare = self.turn.is_rare(u64::from(pid.get()));
        // One that has not run and holds what it held has the same peak and score: the costliest
        // reading is saved for the sleepers, which are most. In its rare turn it is read anyway.
        let now = Some((process.resident, cpu_us));
        if process.at_status != now || rare {
            process.at_status = now;
            self.renew_status(process, path, buffer);
        }
        // Nobody opens files for another process.
        if process.at_count.is_none() || process.at_count != process.ran || rare {
            process.at_count = process.ran;
            let fds = count_fds(self.proc, file(path, pid, "fd"), buffer);
            process.refused = matches!(fds, Err(Errno::ACCESS | Errno::PERM));
            process.slow.open_fds = fds.ok();
        }
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
