//! What one line says: the closed list of everything a report is made of.

use highwater_core::id::Pid;
use highwater_core::line::{LogLine, Origin};
use highwater_core::units::{Bytes, PageSize, Pages};

use crate::machine::Total;
use crate::report::{
    Constraint, Counter, FreeList, Hugepages, Kill, Node, Selected, Summary, Trigger, Writer, Zone,
};
use crate::table::Columns;
use crate::userspace::{CandidatePart, CgroupKill};
use crate::{ending, header, kill, machine, memcg, scan, summary, table, userspace};

/// What one line says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Said {
    /// A person pressed sysrq f.
    Sysrq,
    /// `NAME invoked oom-killer: …`.
    Trigger(Trigger),
    /// `CPU: 1 PID: 2 Comm: x …`.
    Asker(header::Asker),
    /// `NAME cpuset=X mems_allowed=Y`.
    Cpuset { comm: String, cpuset: String, mems_allowed: String },
    /// `Task in A killed as a result of limit of B`.
    TaskIn { task: String, owner: String },
    /// `memory: usage …`.
    Counter(memcg::Which, Counter),
    /// `Memory cgroup stats for PATH:`, with what follows on the line.
    Stats { path: Option<String>, entries: Vec<(String, Bytes)> },
    /// `Mem-Info:`.
    MemInfo,
    /// `active_anon:1 inactive_anon:2 …`.
    Counts(Vec<(String, Pages)>),
    /// `Node 0 DMA free:…`.
    Zone(Zone),
    /// `lowmem_reserve[]: …`, of the zone above it.
    Reserve(Vec<Pages>),
    /// `Node 0 active_anon:…`.
    Node(Node),
    /// `Node 0 DMA: 1*4kB …`.
    FreeList(PageSize, FreeList),
    /// `Node 0 hugepages_total=…`.
    Hugepages(Hugepages),
    /// `Unreclaimable slab info:`.
    SlabHead,
    /// `Memory allocations:`.
    AllocationHead,
    /// `Free swap  = 0kB`.
    SwapFree(Bytes),
    /// `Total swap = 0kB`.
    SwapTotal(Bytes),
    /// `1 pages RAM` and its like.
    Total(Total, Pages),
    /// The table's header.
    Table(Columns),
    /// `oom-kill:…`.
    Summary(Box<Summarised>),
    /// `Kill process N (x) score S or sacrifice child`.
    Selected(Selected, Scope),
    /// `Killed process N (x) …`.
    Killed(Box<Kill>, Scope),
    /// The second half of a kill line that was wrapped.
    Sizes(Box<Kill>),
    /// `Tasks in P are going to be killed …`.
    Group(String),
    /// `oom_reaper: reaped process N …`.
    Reaped(Pid),
    /// `oom_reaper: unable to reap pid:N …`.
    ReaperFailed(Pid),
    /// How it ended without, or beyond, a kill.
    Ending(String),
    /// A kernel panic: an ending if something precedes it, else no concern of this room.
    Panic(String),
    /// `page allocation failure` and its like: the memory dump that follows is not an OOM report's.
    OtherDump,
    /// A killer that is no part of the kernel's OOM code killed a process.
    Program(Writer, Box<Kill>),
    /// One of them killed a cgroup.
    Cgroup(Box<CgroupKill>),
    /// `systemd` says that systemd-oomd killed a unit.
    OomdUnit { unit: String },
    /// `Considered N cgroups for killing, top candidates were:`.
    Candidates,
    /// A line of a candidate.
    Candidate(CandidatePart),
    /// What nohang says of its victim before it says that it kills.
    Victim(Box<Kill>),
    /// nohang kills the victim it told of.
    VictimKilled,
    /// The log says that something is missing, or is not as it should be.
    Notice(String),
    /// A line of the report that has nothing to keep but itself.
    Context,
}

/// The `oom-kill:` line with what goes elsewhere in the report.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Summarised {
    pub(crate) summary: Summary,
    pub(crate) constraint: Option<Constraint>,
    pub(crate) limit_owner: Option<String>,
    pub(crate) task_memcg: Option<String>,
}

/// What a kill line's prefix says of where memory was short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// `Memory cgroup out of memory: `.
    Memcg,
    /// `Out of memory: `.
    Machine,
    /// `No available memory in cpuset: ` (≤ 2.6.35).
    Cpuset,
    /// `No available memory (MPOL_BIND): ` (≤ 2.6.35).
    Mempolicy,
    /// No prefix: the line before said it, or nobody.
    Unsaid,
}

/// How well a line is known to begin where its text begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    /// The kernel's own transport: the text is the message, whole. What stands further in may be
    /// somebody's name or path and marks nothing.
    Whole,
    /// A text file: an envelope that is not known may precede the message, or a part of it be lost.
    Loose,
}

impl Hold {
    pub(crate) fn of(line: &LogLine<'_>) -> Self {
        if line.origin == Origin::Kernel { Self::Whole } else { Self::Loose }
    }
}

impl Said {
    /// Whose episode this is part of; `None` for what any may hold.
    pub(crate) fn writer(&self) -> Option<Writer> {
        Some(match self {
            Self::Program(writer, _) => *writer,
            Self::Cgroup(kill) => kill.writer,
            Self::OomdUnit { .. } | Self::Candidates | Self::Candidate(_) => Writer::SystemdOomd,
            Self::Victim(_) | Self::VictimKilled => Writer::Nohang,
            Self::Notice(_) | Self::Context => return None,
            _ => Writer::Kernel,
        })
    }

    /// Lines that decide where an episode begins: of these a repetition matters.
    pub(crate) fn is_mark(&self) -> bool {
        self.names_victim()
            || matches!(
                self,
                Self::Trigger(_)
                    | Self::TaskIn { .. }
                    | Self::Counter(..)
                    | Self::Stats { .. }
                    | Self::MemInfo
                    | Self::Table(_)
                    | Self::Program(..)
            )
    }

    /// Lines whose repetition is known even by a coarse stamp.
    pub(crate) fn names_victim(&self) -> bool {
        matches!(self, Self::Summary(_) | Self::Selected(..) | Self::Killed(..) | Self::Cgroup(_))
    }

    /// A part of the dump that failed allocations print, too.
    pub(crate) fn is_dump(&self) -> bool {
        matches!(
            self,
            Self::MemInfo
                | Self::Counts(_)
                | Self::Zone(_)
                | Self::Reserve(_)
                | Self::Node(_)
                | Self::FreeList(..)
                | Self::Hugepages(_)
                | Self::SwapFree(_)
                | Self::SwapTotal(_)
                | Self::Total(..)
                | Self::SlabHead
                | Self::AllocationHead
        )
    }

    /// So many facts are in it: of two readings of a damaged line the one with more is right.
    pub(crate) fn weight(&self) -> usize {
        let some = |flags: &[bool]| flags.iter().filter(|is| **is).count();
        match self {
            Self::Trigger(t) => some(&[
                t.gfp_mask.is_some(),
                t.order.is_some(),
                t.oom_score_adj.is_some(),
                t.comm.is_some(),
            ]),
            Self::Asker(a) => some(&[a.pid.is_some(), a.comm.is_some(), a.kernel.is_some()]),
            Self::Counter(_, c) => {
                some(&[c.usage.is_some(), c.limit.is_some(), c.failcnt.is_some()])
            }
            Self::Stats { entries, .. } => entries.len(),
            Self::Counts(counts) => counts.len(),
            Self::Zone(zone) => zone.amounts.len() + some(&[zone.all_unreclaimable.is_some()]),
            Self::Node(node) => node.amounts.len() + some(&[node.all_unreclaimable.is_some()]),
            Self::Reserve(pages) => pages.len(),
            Self::FreeList(_, list) => list.blocks.len() + some(&[list.free.is_some()]),
            Self::Summary(s) => some(&[
                s.constraint.is_some(),
                s.limit_owner.is_some(),
                s.task_memcg.is_some(),
                s.summary.task.is_some(),
                s.summary.pid.is_some(),
                s.summary.uid.is_some(),
                s.summary.cpuset.is_some(),
                s.summary.mems_allowed.is_some(),
            ]),
            Self::Selected(s, _) => some(&[s.comm.is_some(), s.score.is_some()]),
            Self::Killed(kill, _) | Self::Sizes(kill) | Self::Program(_, kill) => kill_weight(kill),
            _ => 0,
        }
    }

    /// May more of the message be missing at the end of the line?
    pub(crate) fn is_cut(&self, line: &[u8]) -> bool {
        match self {
            Self::Trigger(t) => t.oom_score_adj.is_none(),
            Self::Counter(_, c) => c.failcnt.is_none(),
            Self::Stats { entries, .. } => {
                !line.ends_with(b":") && !entries.iter().any(|(name, _)| name == "unevictable")
                    || (!entries.is_empty() && !line.ends_with(b"B"))
            }
            Self::Counts(_) => line.ends_with(b":"),
            Self::Zone(zone) => zone.all_unreclaimable.is_none() && zone.get("free_cma").is_none(),
            Self::Node(node) => node.all_unreclaimable.is_none(),
            Self::FreeList(_, list) => list.free.is_none(),
            Self::Summary(s) => s.summary.pid.is_none() || s.summary.uid.is_none(),
            Self::Selected(s, _) => s.score.is_none(),
            Self::Killed(kill, _) => kill.oom_score_adj.is_none(),
            Self::Asker(asker) => asker.kernel.is_none(),
            _ => false,
        }
    }
}

fn kill_weight(kill: &Kill) -> usize {
    [
        kill.comm.is_some(),
        kill.uid.is_some(),
        kill.total_vm.is_some(),
        kill.anon_rss.is_some(),
        kill.file_rss.is_some(),
        kill.shmem_rss.is_some(),
        kill.rss.is_some(),
        kill.pgtables.is_some(),
        kill.oom_score_adj.is_some(),
    ]
    .iter()
    .filter(|is| **is)
    .count()
}

/// Reads a line the kernel wrote; what looks damaged goes to `odd`.
pub(crate) fn kernel(text: &[u8], hold: Hold, odd: &mut Vec<String>) -> Option<Said> {
    let line = match hold {
        Hold::Whole => text.trim_ascii(),
        Hold::Loose => scan::unquoted(text.trim_ascii()),
    };
    // Whatever holds a path comes first: its path may hold the words of any other line.
    memcg::read(line, hold, odd)
        .or_else(|| kill::group(line, hold))
        .or_else(|| summary::read(line, hold, odd))
        .or_else(|| header::read(line, hold, odd))
        .or_else(|| kill::read(line, hold, odd))
        // A name may hold the words that an ending or a gap in the log is known by.
        .or_else(|| ending::read(line, hold))
        .or_else(|| table::header(line).map(Said::Table))
        .or_else(|| machine::read(line))
        .or_else(|| userspace::in_kernel(line))
        .or_else(|| is_context(line).then_some(Said::Context))
}

/// A path begins in it: what stands behind is the path's, whatever it looks like. Only behind what
/// can be an envelope: a path further in is that of one of many messages that lost their line ends.
pub(crate) fn begins_path(front: &[u8]) -> bool {
    /// The longest envelope, with a field or two of the message.
    const REACH_BYTES: usize = 200;
    const HEADS: [&[u8]; 5] =
        [b"Task in /", b"Tasks in /", b"Memory cgroup stats for /", b"_memcg=/", b" cpuset=/"];
    let front = front.get(..REACH_BYTES).unwrap_or(front);
    HEADS.iter().any(|head| scan::has(front, head))
}

/// Reads a line that a program wrote, or that does not say who did.
pub(crate) fn program(text: &[u8], ident: Option<&[u8]>) -> Option<Said> {
    userspace::read(text, ident)
}

/// Lines of a report that are cited at most.
fn is_context(line: &[u8]) -> bool {
    const HEADS: [&[u8]; 8] = [
        b"Hardware name:",
        b"Workqueue:",
        b"Call Trace:",
        b"Tasks state (",
        b"Swap cache",
        b"sysrq:",
        b"Free pages:",
        b"Purging GPU memory",
    ];
    const TAILS: [&[u8]; 9] = [
        b" pages shared",
        b" pages non-shared",
        b" pages dirty",
        b" pages writeback",
        b" pages mapped",
        b" pages slab",
        b" pages pagetables",
        b" per-cpu:",
        b" per-cpu: empty",
    ];
    HEADS.iter().any(|head| line.starts_with(head))
        || TAILS.iter().any(|tail| line.ends_with(tail))
        || is_per_cpu(line)
        || (line.starts_with(b"Node ") && scan::has(line, b"kB"))
}

/// `CPU    0: hi:  186, btch:  31 usd:   0`, `cpu 0 hot: low 2, high 6, batch 1`.
fn is_per_cpu(line: &[u8]) -> bool {
    let is = line.get(..4).is_some_and(|head| head.eq_ignore_ascii_case(b"cpu "));
    is && (scan::has(line, b"btch:") || scan::has(line, b"batch "))
}
