//! What is said of one process, from its first word to its end.
//!
//! Pids come round: a start time that differs separates two processes of one number, and so does
//! time once the first of them has ended.

use std::collections::HashMap;

use highwater_core::id::{Pid, StartTicks};
use highwater_core::owner::container_id_of_path;
use highwater_core::testimony::{
    AuditWord, Exit, Fact, Origin, Party, Reception, Sent, Signal, Status, UnitWord,
};
use highwater_core::time::BootId;

use super::timeline::{Item, apart};

/// So long after a process ended somebody may still tell of it: a daemon that is busy, a log that
/// is written by way of others. No pid comes round as soon where witnesses lack start times.
pub(super) const LATE_US: u64 = 5_000_000;

/// So long a process may live on after it was told to end: systemd waits a minute and a half,
/// people set ten minutes.
pub(super) const DYING_US: u64 = 660_000_000;

/// The last of the processes that make a container ready: it becomes the container's first.
const BECOMES_IT: &str = "runc:[2:INIT]";

/// A process, and what is said of its end.
#[derive(Clone, Debug)]
pub(super) struct Strand<'t> {
    pub(super) pid: Pid,
    pub(super) boot_id: Option<BootId>,
    pub(super) start: Option<StartTicks>,
    /// In order of time.
    pub(super) items: Vec<&'t Item<'t>>,
    /// What shows that it ended.
    pub(super) end: Option<&'t Item<'t>>,
    pub(super) owner: Option<usize>,
}

impl<'t> Strand<'t> {
    fn of(pid: Pid, item: &'t Item<'t>) -> Self {
        let mut strand = Self {
            pid,
            boot_id: item.boot_id,
            start: None,
            items: Vec::new(),
            end: None,
            owner: None,
        };
        strand.push(item);
        strand
    }

    fn push(&mut self, item: &'t Item<'t>) {
        self.start = self.start.or(item.start());
        self.owner = self.owner.or(item.owner);
        if self.end.is_none() && is_end(item) {
            self.end = Some(item);
        }
        self.items.push(item);
    }

    fn takes(&self, item: &Item<'_>) -> bool {
        if let (Some(one), Some(other)) = (self.start, item.start()) {
            return one == other;
        }
        let before = self.items.last().and_then(|last| last.at);
        match self.end {
            Some(end) => apart(end.at, item.at).is_none_or(|gap| gap <= LATE_US),
            None => apart(before, item.at).is_none_or(|gap| gap <= DYING_US),
        }
    }

    /// When it ended; of one whose end nobody saw, when it was last spoken of.
    pub(super) fn at(&self) -> Option<i64> {
        self.end.or(self.items.last().copied()).and_then(|item| item.at)
    }

    pub(super) fn exit(&self) -> Option<Exit> {
        self.items.iter().find_map(|item| match item.fact() {
            Some(Fact::Exited(exit)) => Some(*exit),
            _ => None,
        })
    }

    /// Whether it was started as the first of its owner, by the word of its end. What makes a
    /// container ready stands in its cgroup before it and is none of it; the last of those becomes
    /// the container's program, under a name that may be seen too early.
    pub(super) fn said_first(&self) -> Option<bool> {
        let said = self.exit().and_then(|exit| exit.is_first)?;
        match self.party().comm.as_deref() {
            Some(BECOMES_IT) => None,
            Some(comm) if comm == "runc" || comm.starts_with("runc:[") => Some(false),
            _ => Some(said),
        }
    }

    /// A container runtime had made it a moment before, and it was not seen in its container yet.
    pub(super) fn is_newborn(&self) -> bool {
        const RUNTIMES: [&str; 4] = ["runc", "crun", "youki", "conmon"];
        /// Whoever lives longer is seen where it is.
        const LIVED_MS: u64 = 2_000;
        let lived_ms = self.exit().and_then(|exit| exit.lived_ms);
        if lived_ms.is_none_or(|lived| lived > LIVED_MS) {
            return false;
        }
        let is_runtime = |comm: &str| RUNTIMES.contains(&comm) || comm.starts_with("runc:[");
        let who = self.party();
        let is_inside = who.container_id.is_some()
            || who.cgroup.is_some_and(|path| container_id_of_path(path.as_str()).is_some());
        !is_inside
            && who.parents.first().is_some_and(|parent| is_runtime(&parent.comm))
            && who.comm.is_none_or(|comm| comm == BECOMES_IT || !is_runtime(&comm))
    }

    /// The signals that were sent to it and not thrown away.
    pub(super) fn signals(&self) -> impl DoubleEndedIterator<Item = (&'t Item<'t>, &'t Sent)> {
        sent(&self.items)
    }

    /// The signal that ended it, as far as that is known, and its way.
    pub(super) fn fatal(&self) -> Option<(&'t Item<'t>, &'t Sent)> {
        let died_of = match self.exit().map(|exit| exit.status) {
            Some(Status::Signal { signal, .. }) => Some(signal),
            _ => None,
        };
        ending(self.signals(), died_of.unwrap_or(Signal::KILL))
    }

    /// A killer for memory says that it chose this process.
    pub(super) fn is_memory(&self) -> bool {
        self.items.iter().any(|item| is_memory(item))
    }

    /// Who it is, all that is known.
    pub(super) fn party(&self) -> Party {
        party(&self.items, Some(self.pid))
    }
}

/// Somebody's own word that this was killed for memory.
pub(super) fn is_memory(item: &Item<'_>) -> bool {
    item.kill().is_some()
        || matches!(
            item.fact(),
            Some(Fact::KilledBy { .. } | Fact::Oom(highwater_core::testimony::OomWord::Marked))
        )
}

/// The signals among `items` that reached whom they were sent to.
pub(super) fn sent<'t>(
    items: &[&'t Item<'t>],
) -> impl DoubleEndedIterator<Item = (&'t Item<'t>, &'t Sent)> {
    items.iter().filter_map(|item| match item.fact() {
        Some(Fact::Signalled(sent)) if sent.reception != Reception::Ignored => Some((*item, sent)),
        _ => None,
    })
}

/// Of the signals that reached a process, in order of time, the one that ended it, if it ended by
/// `signal`. Of SIGKILL the first: nobody lives to see a second. Of those that may be caught the last.
pub(super) fn ending<'t>(
    mut signals: impl DoubleEndedIterator<Item = (&'t Item<'t>, &'t Sent)>,
    signal: Signal,
) -> Option<(&'t Item<'t>, &'t Sent)> {
    let is_it = |(_, sent): &(&'t Item<'t>, &'t Sent)| sent.signal == signal;
    if signal == Signal::KILL { signals.find(is_it) } else { signals.rfind(is_it) }
}

/// One party of all that is said; the earlier word counts.
pub(super) fn party(items: &[&Item<'_>], pid: Option<Pid>) -> Party {
    let mut party = Party { pid, ..Party::default() };
    // Whoever watched the process itself knows it best; an owner's word may name another one.
    for item in items {
        let about = item.party();
        if about.pid == pid {
            party.learn(&about);
        }
    }
    for item in items {
        let about = item.party();
        if about.pid != pid {
            party.learn(&Party { comm: None, command: None, start: None, ..about });
        }
    }
    party
}

/// Whether this shows that the process ended, or that nothing can keep it from ending.
fn is_end(item: &Item<'_>) -> bool {
    let Some(fact) = item.fact() else { return true };
    match fact {
        Fact::Signalled(sent) => {
            let is_kill = sent.signal == Signal::KILL && sent.reception != Reception::Ignored;
            let by_itself = item.process().is_some_and(|pid| sent.by.pid == Some(pid));
            is_kill || (sent.signal == Signal::ABRT && sent.origin == Origin::Thread && by_itself)
        }
        Fact::Audit(AuditWord::Kill { signal, .. }) => *signal == Signal::KILL,
        Fact::NoMemory { .. } => false,
        Fact::Unit(word) => matches!(word, UnitWord::CoreDumped { .. }),
        _ => true,
    }
}

/// Every process that something is said of, in the order of time of its first word.
pub(super) fn all<'t>(items: &'t [Item<'t>]) -> Vec<Strand<'t>> {
    let mut strands: Vec<Strand<'t>> = Vec::new();
    // The last few of each pid: words of two lives may be mixed where start times tell them apart.
    let mut open: HashMap<(Option<BootId>, Pid), Vec<usize>> = HashMap::new();
    for item in items {
        let Some(pid) = item.process() else { continue };
        let places = open.entry((item.boot_id, pid)).or_default();
        let known = places
            .iter()
            .rev()
            .take(LIVES)
            .find(|place| strands.get(**place).is_some_and(|strand| strand.takes(item)));
        if let Some(strand) = known.and_then(|place| strands.get_mut(*place)) {
            strand.push(item);
        } else {
            places.push(strands.len());
            strands.push(Strand::of(pid, item));
        }
    }
    join_threads(&mut strands);
    strands
}

/// The kernel's line of a fault names the thread; the process is the one that ended by such a signal
/// at that moment, of the same name if there is one.
fn join_threads(strands: &mut Vec<Strand<'_>>) {
    /// The line is written before the signal is delivered.
    const TOGETHER_US: u64 = 1_000_000;
    let ended = |strand: &Strand<'_>| match strand.exit().map(|exit| exit.status) {
        Some(Status::Signal { signal, .. }) => is_fault_signal(signal) && !has_fault(strand),
        _ => false,
    };
    let mut ends: Vec<(i64, usize)> = Vec::new();
    for (place, strand) in strands.iter().enumerate() {
        ends.extend(strand.at().filter(|_| ended(strand)).map(|at| (at, place)));
    }
    ends.sort_unstable();
    let mut is_joined = vec![false; strands.len()];
    for place in 0..strands.len() {
        let Some(thread) = strands.get(place).filter(|strand| is_line(strand)) else { continue };
        let (name, boot_id) = (thread.party().comm, thread.boot_id);
        let Some(at) = thread.at() else { continue };
        let begin = ends.partition_point(|(end, _)| *end < at.saturating_sub_unsigned(TOGETHER_US));
        let near = ends.iter().skip(begin).take(LINES);
        let near = near.take_while(|(end, _)| *end <= at.saturating_add_unsigned(TOGETHER_US));
        let fit = |(end, place): &(i64, usize)| {
            let strand = strands.get(*place).filter(|strand| strand.boot_id == boot_id)?;
            Some((has_fault(strand), strand.party().comm != name, end.abs_diff(at), *place))
        };
        let Some((false, .., process)) = near.filter_map(fit).min() else { continue };
        let items = thread.items.clone();
        if let (Some(process), Some(joined)) = (strands.get_mut(process), is_joined.get_mut(place))
        {
            process.items.extend(items);
            process.items.sort_by_key(|item| item.at);
            *joined = true;
        }
    }
    let mut joined = is_joined.into_iter();
    strands.retain(|_| joined.next() != Some(true));
}

/// So many ends are looked at for one line of a fault.
const LINES: usize = 64;

/// Nothing is known of it but the kernel's line.
fn is_line(strand: &Strand<'_>) -> bool {
    strand.items.iter().all(|item| matches!(item.fact(), Some(Fact::Faulted(_))))
}

fn has_fault(strand: &Strand<'_>) -> bool {
    strand.items.iter().any(|item| matches!(item.fact(), Some(Fact::Faulted(_))))
}

const fn is_fault_signal(signal: Signal) -> bool {
    matches!(
        signal,
        Signal::SEGV | Signal::BUS | Signal::ILL | Signal::FPE | Signal::TRAP | Signal::SYS
    )
}

/// So many lives of one pid may overlap in what is told of them.
const LIVES: usize = 4;
