//! What one line says: the closed list of everything a report is made of.

use highwater_core::id::Pid;
use highwater_core::units::{Bytes, PageSize, Pages};

use crate::report::{Constraint, Counter, FreeList, Kill, Selected, Summary, Trigger, Zone};
use crate::table::Columns;
use crate::{header, kill, machine, memcg, scan, summary, table, userspace};

/// What one line says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Said {
    /// A person pressed sysrq f.
    Sysrq,
    /// `NAME invoked oom-killer: …`.
    Trigger(Trigger),
    /// `CPU: 1 PID: 2 Comm: x …`.
    Asker(header::Asker),
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
    /// `Node 0 DMA: 1*4kB …`.
    FreeList(PageSize, FreeList),
    /// `Free swap  = 0kB`.
    SwapFree(Bytes),
    /// `Total swap = 0kB`.
    SwapTotal(Bytes),
    /// `1 pages RAM`.
    Ram(Pages),
    /// `1 pages reserved`.
    Reserved(Pages),
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
    /// `page allocation failure`: the memory dump that follows is not an OOM report's.
    AllocationFailure,
    /// `earlyoom` killed.
    Earlyoom(Box<Kill>),
    /// `systemd-oomd` killed a cgroup.
    Oomd { cgroup: String },
    /// `systemd` says that systemd-oomd killed a unit.
    OomdUnit { unit: String },
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
    /// No prefix: the line before said it, or nobody.
    Unsaid,
}

/// Reads a line the kernel wrote; what looks damaged goes to `odd`.
pub(crate) fn kernel(text: &[u8], odd: &mut Vec<String>) -> Option<Said> {
    let line = text.trim_ascii();
    header::read(line, odd)
        .or_else(|| summary::read(line, odd))
        .or_else(|| kill::read(line, odd))
        .or_else(|| memcg::read(line, odd))
        .or_else(|| table::header(line).map(Said::Table))
        .or_else(|| machine::read(line))
        .or_else(|| is_context(line).then_some(Said::Context))
}

/// Reads a line that a program wrote, or that does not say who did.
pub(crate) fn program(text: &[u8]) -> Option<Said> {
    userspace::read(text.trim_ascii())
}

/// Lines of a report that are cited at most.
fn is_context(line: &[u8]) -> bool {
    const HEADS: [&[u8]; 9] = [
        b"Hardware name:",
        b"Workqueue:",
        b"Call Trace:",
        b"Tasks state (",
        b"lowmem_reserve[",
        b"Swap cache stats:",
        b"Unreclaimable slab info:",
        b"Memory allocations",
        b"sysrq:",
    ];
    const TAILS: [&[u8]; 6] = [
        b" pages HighMem/MovableOnly",
        b" pages in swap cache",
        b" total pagecache pages",
        b" pages cma reserved",
        b" pages hwpoisoned",
        b" pages shared",
    ];
    HEADS.iter().any(|head| line.starts_with(head))
        || TAILS.iter().any(|tail| line.ends_with(tail))
        || (line.starts_with(b"Node ") && scan::has(line, b"kB"))
        || scan::has(line, b" mems_allowed=")
        || is_slab_row(line)
}

/// `kmalloc-4k   24592KB   24592KB`.
fn is_slab_row(line: &[u8]) -> bool {
    let is_amount =
        |word: &[u8]| word.strip_suffix(b"KB").is_some_and(|n| scan::whole(n).is_some());
    let mut words = scan::words(line).skip(1);
    words.next().is_some_and(is_amount) && words.next().is_some_and(is_amount)
}
