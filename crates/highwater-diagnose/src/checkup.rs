//! How a machine fares now: one reading of it, judged.

mod growing;
mod holders;
mod lives;
mod points;
mod recorder;
mod subject;

use highwater_core::evidence::Claim;
use highwater_core::frame::{Frame, Pressure};
use highwater_core::limit::Limit;
use highwater_core::time::{BootTime, WallTime};
use highwater_core::units::Bytes;
use serde::Serialize;

pub use growing::Growing;
pub use holders::{Holder, ProcessUse};
pub use lives::{Ended, Lives};
pub use recorder::Recorder;
pub use subject::{Subject, Values};

/// How bad it is. The order is that of the answer: the worst point decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Nothing to do.
    Ok,
    /// What must be known to judge is not.
    Unknown,
    /// Look at it today.
    Warning,
    /// Look at it now.
    Critical,
}

impl Severity {
    /// As JSON has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Unknown => "unknown",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// One thing worth knowing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad.
    pub severity: Severity,
    /// What it is about.
    pub subject: Subject,
    /// The values in it.
    pub values: Values,
    /// What, and what it stands on.
    pub claim: Claim,
}

/// A death that is on record, as far as a check-up cares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastDeath {
    /// When, if known.
    pub wall: Option<WallTime>,
    /// Who; escaped.
    pub victim: String,
    /// Which cgroup's limit it was, if it was one.
    pub limit_owner: Option<String>,
}

/// What is known of deaths beside the kernel's own count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PastDeaths {
    /// Those since boot, oldest first.
    pub deaths: Vec<PastDeath>,
    /// Where they come from: `/dev/kmsg`, a data directory.
    pub source: String,
    /// Why there may be more.
    pub gap: Option<String>,
}

/// Memory as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// All that the kernel manages.
    pub total: Option<Bytes>,
    /// What new programs can have without swapping.
    pub available: Option<Bytes>,
    /// What nobody uses.
    pub free: Option<Bytes>,
    /// Anonymous memory of processes.
    pub anon: Option<Bytes>,
    /// Page cache and buffers, without shared memory.
    pub cache: Option<Bytes>,
    /// Shared memory and tmpfs.
    pub shmem: Option<Bytes>,
    /// Slab, page tables and kernel stacks.
    pub kernel: Option<Bytes>,
    /// The sum of the zones' low watermarks: below it, background reclaim starts.
    pub low: Option<Bytes>,
    /// The sum of the zones' min watermarks: below it, allocations fail or kill.
    pub min: Option<Bytes>,
    /// Swap space.
    pub swap_total: Option<Bytes>,
    /// Swap not used.
    pub swap_free: Option<Bytes>,
}

/// A check-up.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkup {
    /// When.
    pub at: WallTime,
    /// How long the machine has been up.
    pub up: BootTime,
    /// The worst of the findings.
    pub severity: Severity,
    /// The most urgent findings, at most [`MOST_URGENT`].
    pub urgent: Vec<Finding>,
    /// Memory as a whole.
    pub memory: Memory,
    /// Stall for want of memory.
    pub pressure: Option<Pressure>,
    /// Who holds memory, by owner, the largest first.
    pub owners: Vec<Holder>,
    /// Who holds memory, by process, the largest first.
    pub processes: Vec<ProcessUse>,
    /// How many processes there are.
    pub process_count: usize,
    /// How often the kernel killed for memory since boot, by its own count.
    pub kills_since_boot: Option<u64>,
    /// Those that are known by name.
    pub deaths: Vec<PastDeath>,
    /// Why there may be more than those.
    pub deaths_gap: Option<String>,
    /// What the recording tells of ends and starts.
    pub lives: Lives,
    /// What grows, where it could be judged.
    pub growing: Option<Growing>,
    /// Owners without any memory limit that hold a large share.
    pub unlimited: Vec<Holder>,
    /// The recorder, where there is a recording.
    pub recorder: Option<Recorder>,
    /// What was left out of the answer, and why; escaped.
    pub notes: Vec<String>,
}

/// How many findings a tired reader gets.
pub const MOST_URGENT: usize = 3;

/// How many owners and processes are kept: more than a screen shows, for JSON.
const KEPT: usize = 20;

/// Judges one reading of the machine.
pub fn judge(frame: &Frame, past: &PastDeaths) -> Checkup {
    judge_recorded(frame, past, None)
}

/// Judges one reading of a machine, and the recorder that runs on it.
pub fn judge_recorded(frame: &Frame, past: &PastDeaths, recorder: Option<Recorder>) -> Checkup {
    judge_lives(frame, past, recorder, Lives::default())
}

/// Judges one reading of a machine, the recorder that runs on it, and what it told of ends and
/// starts.
pub fn judge_lives(
    frame: &Frame,
    past: &PastDeaths,
    recorder: Option<Recorder>,
    lives: Lives,
) -> Checkup {
    let memory = memory(frame);
    let mut owners = holders::owners(frame);
    let mut findings = points::of(frame, &memory, &owners, past, &lives.stuck);
    findings.extend(lives.findings(frame));
    findings.extend(recorder.iter().flat_map(|recorder| recorder.findings(frame.stamp.wall)));
    // Stable: among equals the order of the questions, which is that of urgency, stays.
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    let severity = findings.first().map_or(Severity::Ok, |finding| finding.severity);
    findings.truncate(MOST_URGENT);
    let unlimited = owners.iter().filter(|holder| is_unlimited(holder, &memory)).cloned().collect();
    owners.truncate(KEPT);
    let machine = frame.machine;
    Checkup {
        at: frame.stamp.wall,
        up: frame.stamp.boot,
        severity,
        urgent: findings,
        memory,
        pressure: machine.and_then(|machine| machine.memory_pressure),
        owners,
        processes: holders::processes(frame, KEPT),
        process_count: frame.processes.len(),
        kills_since_boot: machine.and_then(|machine| machine.vm.oom_kill),
        deaths: past.deaths.clone(),
        deaths_gap: past.gap.clone(),
        lives,
        growing: None,
        unlimited,
        recorder,
        notes: Vec::new(),
    }
}

impl Checkup {
    /// The same, with what grows among its points.
    #[must_use]
    pub fn with(mut self, growing: Growing) -> Self {
        self.urgent.extend(growing.findings());
        self.urgent.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        self.severity = self.urgent.first().map_or(Severity::Ok, |finding| finding.severity);
        self.urgent.truncate(MOST_URGENT);
        self.growing = Some(growing);
        self
    }
}

/// An owner that holds this share of all memory ought to have a limit.
const UNLIMITED_SHARE_PERMILLE: u32 = 100;

fn is_unlimited(holder: &Holder, memory: &Memory) -> bool {
    let share = memory.total.and_then(|total| holder.anon.permille_of(total));
    holder.limit == Some(Limit::Unlimited)
        && share.is_some_and(|share| share.get() >= UNLIMITED_SHARE_PERMILLE)
}

fn memory(frame: &Frame) -> Memory {
    let Some(machine) = &frame.machine else { return Memory::default() };
    let mem = &machine.mem;
    let shmem = mem.shmem.unwrap_or_default();
    let cache = mem.cached.map(|cached| cached.saturating_sub(shmem));
    let zones = (!frame.zones.is_empty()).then_some(&frame.zones);
    Memory {
        total: mem.mem_total,
        available: mem.mem_available,
        free: mem.mem_free,
        anon: mem.anon_pages,
        cache: cache.map(|cache| cache.saturating_add(mem.buffers.unwrap_or_default())),
        shmem: mem.shmem,
        kernel: mem.slab.map(|slab| {
            let rest = [mem.page_tables, mem.kernel_stack].into_iter().flatten().sum();
            slab.saturating_add(rest)
        }),
        low: zones.map(|zones| zones.iter().map(|zone| zone.low).sum()),
        min: zones.map(|zones| zones.iter().map(|zone| zone.min).sum()),
        swap_total: mem.swap_total,
        swap_free: mem.swap_free,
    }
}
