//! One episode as it grows: where each fact goes. What belongs to it is decided in [`fit`], its
//! victims are kept in [`victim`], rows and other lines that mean something only here are read in
//! [`inner`].

mod fit;
mod inner;
mod victim;

use std::collections::HashMap;

use highwater_core::id::Pid;
use highwater_core::line::{LogLine, Origin};
use highwater_core::text::escape;
use highwater_core::time::{BootTime, WallTime};

use crate::header::Asker;
use crate::machine::Total;
use crate::memcg::Which;
use crate::report::{
    Cited, Constraint, LineNumber, MemcgStats, Oddity, OomReport, ReportLine, Selected, Trigger,
    Trust, Writer, Zone,
};
use crate::said::{Said, Scope, Summarised};
use crate::table::Columns;

/// The most task rows that are kept: the default of `kernel.pid_max`.
const TASKS: usize = 32_768;

/// The most lines that are kept for citing: a full table and everything around it.
const LINES: usize = TASKS + 2048;

/// The most text that is kept for citing: twice what a full table takes.
const TEXT_BYTES: usize = 8 << 20;

/// The longest line that is kept for citing.
const LINE_BYTES: usize = 4096;

/// The most oddities worth telling.
const ODDITIES: usize = 100;

/// The most entries in any other list of a report: zones of the largest machine, counters, caches.
const ENTRIES: usize = 4096;

/// The longest silence inside one episode, in µs: a serial console takes seconds for a large table.
const GAP_US: u64 = 30_000_000;

/// Stamps inside an episode may run back so far, in µs: processors print side by side. More than
/// that is another boot.
const BACK_US: u64 = 5_000_000;

/// An episode in progress.
#[derive(Debug, Default)]
pub(crate) struct Episode {
    pub(crate) report: OomReport,
    columns: Option<Columns>,
    /// Where each process stands in the table, and among the kills.
    rows: HashMap<Pid, usize>,
    killed: HashMap<Pid, usize>,
    /// Rows whose header is lost, until the end of the table.
    headless: Vec<(LineNumber, Vec<u8>)>,
    block: Block,
    other_dump: OtherDump,
    wrapped: bool,
    /// systemd-oomd itself has named the cgroup.
    oomd_named: bool,
    /// What nohang said of its victim.
    told: Option<crate::report::Kill>,
    text_bytes: usize,
    boot: Option<BootTime>,
    wall: Option<WallTime>,
}

/// The block whose rows are being read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Block {
    #[default]
    None,
    Stats,
    Slabs,
    Allocations,
}

/// Somebody else's memory dump amid the episode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum OtherDump {
    #[default]
    None,
    /// The episode has had its own: what comes now is not.
    Surely,
    /// The next dump may be this episode's or not: if there are two, the first is not.
    Perhaps,
}

impl Episode {
    /// Is `line` too far from the last line to belong to the same episode?
    pub(crate) fn is_far(&self, line: &LogLine<'_>) -> bool {
        if let (Some(last), Some(now)) = (self.boot, line.boot) {
            let (last, now) = (last.micros(), now.micros());
            return now > last.saturating_add(GAP_US) || last > now.saturating_add(BACK_US);
        }
        match (self.wall, line.wall) {
            (Some(last), Some(now)) => {
                let gap = now.millis().abs_diff(last.millis());
                gap > GAP_US / 1000
            }
            _ => false,
        }
    }

    /// The columns of the table, once its header was read.
    pub(crate) fn columns(&self) -> Option<&Columns> {
        self.columns.as_ref()
    }

    /// Takes what a line said. Returns whether a death is new.
    pub(crate) fn take(&mut self, said: Said, line: &LogLine<'_>, text: &[u8]) -> bool {
        if self.is_others(&said) {
            return false;
        }
        self.trust(&said, line);
        self.keep(line, text);
        self.follow(&said);
        let wrapped = std::mem::take(&mut self.wrapped);
        let number = line.number;
        match said {
            Said::Sysrq => self.report.sysrq = Some(number),
            Said::Trigger(trigger) => self.report.trigger = Some(cite(trigger, number)),
            Said::Asker(asker) => self.take_asker(asker, number),
            Said::Cpuset { comm, cpuset, mems_allowed } => {
                self.take_cpuset(&comm, cpuset, mems_allowed);
            }
            Said::Summary(summarised) => self.take_summary(*summarised, number),
            Said::Selected(selected, scope) => self.take_selected(selected, scope, number),
            Said::Sizes(sizes) if wrapped => self.take_sizes(&sizes),
            Said::Group(path) => self.report.oom_group = Some(cite(path, number)),
            Said::Reaped(pid) => self.with_kill(pid, |kill| kill.reaped = Some(number)),
            Said::ReaperFailed(pid) => {
                self.with_kill(pid, |kill| kill.reaper_failed = Some(number));
            }
            Said::Ending(text) | Said::Panic(text) => {
                let endings = &mut self.report.endings;
                push(endings, cite(text, number));
            }
            Said::Notice(what) => self.odd(number, what),
            other if other.is_dump() => self.take_machine(other, number),
            other => return self.take_death(other, line),
        }
        false
    }

    /// A line that names or may name a death.
    fn take_death(&mut self, said: Said, line: &LogLine<'_>) -> bool {
        match said {
            Said::Killed(kill, scope) => self.take_kill(*kill, scope, line),
            Said::Program(writer, kill) => self.take_program(*kill, writer, line),
            Said::Cgroup(kill) => self.take_cgroup(*kill, line),
            Said::OomdUnit { unit } => self.take_unit(unit, line),
            Said::Victim(kill) => self.take_told(*kill),
            Said::VictimKilled => self.take_told_kill(line),
            other => {
                self.take_memcg(other, line.number);
                false
            }
        }
    }

    /// A dump that belongs to a failed allocation of somebody else.
    fn is_others(&mut self, said: &Said) -> bool {
        match said {
            Said::OtherDump => {
                let own = self.report.machine.line.is_some();
                self.other_dump = if own { OtherDump::Surely } else { OtherDump::Perhaps };
                true
            }
            said if said.is_dump() => {
                if self.other_dump == OtherDump::Perhaps
                    && *said == Said::MemInfo
                    && self.report.machine.line.is_some()
                {
                    self.other_dump = OtherDump::None;
                    self.report.machine = crate::report::Machine::default();
                }
                self.other_dump == OtherDump::Surely
            }
            _ => false,
        }
    }

    /// What the line means for those that follow.
    fn follow(&mut self, said: &Said) {
        self.block = match said {
            Said::Stats { .. } => Block::Stats,
            Said::SlabHead => Block::Slabs,
            Said::AllocationHead => Block::Allocations,
            _ => Block::None,
        };
        if matches!(said, Said::Table(_) | Said::Summary(_) | Said::Selected(..) | Said::Killed(..))
        {
            self.other_dump = OtherDump::None;
            self.take_headless();
        }
    }

    /// What is known of the machine.
    fn take_machine(&mut self, said: Said, number: LineNumber) {
        let machine = &mut self.report.machine;
        match said {
            Said::MemInfo => machine.line = Some(number),
            Said::Counts(counts) => counts.into_iter().for_each(|c| push(&mut machine.pages, c)),
            Said::Zone(zone) => push(&mut machine.zones, cite(zone, number)),
            Said::Reserve(pages) => {
                if let Some(Cited { value: Zone { lowmem_reserve, .. }, .. }) =
                    machine.zones.last_mut()
                    && lowmem_reserve.is_empty()
                {
                    *lowmem_reserve = pages;
                }
            }
            Said::Node(node) => push(&mut machine.nodes, cite(node, number)),
            Said::FreeList(size, zone) => {
                machine.page_size.get_or_insert(cite(size, number));
                push(&mut machine.free_lists, cite(zone, number));
            }
            Said::Hugepages(pool) => push(&mut machine.hugepages, cite(pool, number)),
            Said::SwapFree(amount) => machine.swap_free = Some(cite(amount, number)),
            Said::SwapTotal(amount) => machine.swap_total = Some(cite(amount, number)),
            Said::Total(which, count) => {
                let place = match which {
                    Total::Ram => &mut machine.ram,
                    Total::Reserved => &mut machine.reserved,
                    Total::Highmem => &mut machine.highmem,
                    Total::Cma => &mut machine.cma,
                    Total::Hwpoisoned => &mut machine.hwpoisoned,
                    Total::Pagecache => &mut machine.pagecache,
                    Total::SwapCache => &mut machine.swap_cache,
                };
                *place = Some(cite(count, number));
            }
            _ => {}
        }
    }

    /// What is known of the memory cgroup, the header of the table, and candidates.
    fn take_memcg(&mut self, said: Said, number: LineNumber) {
        let OomReport { memcg, tasks, .. } = &mut self.report;
        match said {
            Said::TaskIn { task, owner } => {
                memcg.task = Some(cite(task, number));
                memcg.limit_owner = Some(cite(owner, number));
            }
            Said::Counter(which, counter) => {
                let place = match which {
                    Which::Memory => &mut memcg.memory,
                    Which::Memsw => &mut memcg.memsw,
                    Which::Swap => &mut memcg.swap,
                    Which::Kmem => &mut memcg.kmem,
                };
                *place = Some(cite(counter, number));
            }
            Said::Stats { path, entries } => {
                let stats = MemcgStats { path, line: number, entries, events: Vec::new() };
                push(&mut memcg.stats, stats);
            }
            Said::Table(columns) => {
                tasks.line = Some(number);
                self.columns = Some(columns);
            }
            Said::Candidates => self.report.candidates.clear(),
            Said::Candidate(part) => self.take_candidate(part, number),
            _ => {}
        }
    }

    /// The line below the trigger tells who that is; any other such line is somebody else's.
    fn take_asker(&mut self, asker: Asker, number: LineNumber) {
        let Some(Cited { value: trigger, .. }) = &mut self.report.trigger else { return };
        let Trigger { comm, pid, .. } = trigger;
        // s390 and arm print the kernel on a line of its own, without a name.
        let same = match (comm.as_ref(), asker.comm.as_ref()) {
            (Some(comm), Some(name)) => comm == name || is_end_of(comm, name),
            _ => true,
        };
        if !same || pid.is_some() || self.report.machine.line.is_some() {
            return;
        }
        *pid = asker.pid;
        if asker.comm.is_some() {
            comm.clone_from(&asker.comm);
        }
        if let Some(kernel) = asker.kernel {
            self.report.kernel.get_or_insert(cite(kernel, number));
        }
    }

    fn take_cpuset(&mut self, comm: &str, cpuset: String, mems_allowed: String) {
        let Some(Cited { value: trigger, .. }) = &mut self.report.trigger else { return };
        let same = trigger.comm.as_ref().is_none_or(|name| comm.ends_with(name.as_str()));
        if same && trigger.cpuset.is_none() {
            trigger.cpuset = Some(cpuset);
            trigger.mems_allowed = Some(mems_allowed);
        }
    }

    fn take_summary(&mut self, said: Summarised, number: LineNumber) {
        if let Some(kill) = self.report.kills.first_mut() {
            kill.uid = kill.uid.or(said.summary.uid);
            kill.bare = false;
        }
        let report = &mut self.report;
        report.summary = Some(cite(said.summary, number));
        if let Some(constraint) = said.constraint {
            report.constraint = Some(cite(constraint, number));
        }
        if let Some(owner) = said.limit_owner {
            report.memcg.limit_owner = Some(cite(owner, number));
        }
        if let Some(task) = said.task_memcg {
            report.memcg.task = Some(cite(task, number));
        }
    }

    fn take_selected(&mut self, selected: Selected, scope: Scope, number: LineNumber) {
        self.take_scope(scope, number);
        if let Some(kill) = self.report.kills.first_mut() {
            kill.oom_score = kill.oom_score.or(selected.score);
        }
        self.report.selected = Some(cite(selected, number));
    }

    /// Where memory was short, by the words of a kill line. The prefix tells a cgroup's limit even
    /// where the summary says that there was no constraint; "Out of memory" is said of cpusets too.
    fn take_scope(&mut self, scope: Scope, number: LineNumber) {
        let report = &mut self.report;
        let said = report.constraint.map(|constraint| constraint.value);
        let memcg = report.memcg.limit_owner.is_some() || report.memcg.memory.is_some();
        let constraint = match (scope, said) {
            (Scope::Memcg, Some(Constraint::None) | None) => Constraint::Memcg,
            (Scope::Machine, None) => Constraint::None,
            (Scope::Cpuset, None) => Constraint::Cpuset,
            (Scope::Mempolicy, None) => Constraint::Mempolicy,
            (Scope::Unsaid, None) if memcg => Constraint::Memcg,
            _ => return,
        };
        report.constraint = Some(cite(constraint, number));
    }

    /// Notes what looks odd on line `number`.
    pub(crate) fn odd(&mut self, number: LineNumber, what: String) {
        let oddities = &mut self.report.oddities;
        let told = oddities.last().is_some_and(|last| last.line == number && last.what == what);
        if oddities.len() < ODDITIES && !told {
            oddities.push(Oddity { line: number, what });
        }
    }

    /// The kernel vouches for an episode as long as it does for each line that marks it.
    fn trust(&mut self, said: &Said, line: &LogLine<'_>) {
        if self.report.lines.is_empty() {
            let kernel = line.origin == Origin::Kernel;
            self.report.trust = if kernel { Trust::Kernel } else { Trust::AsPasted };
        } else if line.origin != Origin::Kernel && *said != Said::Context {
            self.report.trust = Trust::AsPasted;
        }
    }

    /// Keeps the line for citing and as the newest moment of the episode.
    fn keep(&mut self, line: &LogLine<'_>, text: &[u8]) {
        self.boot = line.boot.or(self.boot);
        self.wall = line.wall.or(self.wall);
        if self.report.lines.len() >= LINES || self.text_bytes >= TEXT_BYTES {
            return;
        }
        let text = text.get(..LINE_BYTES).unwrap_or(text).trim_ascii_end();
        let text = escape(text).into_owned();
        self.text_bytes = self.text_bytes.saturating_add(text.len());
        let LogLine { number, boot, wall, .. } = *line;
        self.report.lines.push(ReportLine { number, boot, wall, text });
    }

    /// The finished report; `None` if nothing in it is worth telling. Where the kill line is
    /// missing, the line that chose the victim stands for it: it is printed just before.
    pub(crate) fn finish(mut self) -> Option<OomReport> {
        self.take_headless();
        self.infer();
        self.infer_constraint();
        // nohang tells of its victim whether or not it kills.
        let report = &self.report;
        let idle = report.writer == Writer::Nohang && report.kills.is_empty();
        (!idle).then_some(self.report)
    }
}

impl Episode {
    /// Where no line says it: a limit has an owner, and a report that shows the machine's memory and
    /// no cgroup's is the machine's.
    fn infer_constraint(&mut self) {
        let report = &mut self.report;
        if report.constraint.is_some() || report.writer != Writer::Kernel {
            return;
        }
        let memcg = &report.memcg;
        let trigger = report.trigger.as_ref().filter(|_| {
            !report.machine.pages.is_empty() && !report.kills.is_empty() && memcg.memory.is_none()
        });
        report.constraint = match (&memcg.limit_owner, trigger) {
            (Some(owner), _) => Some(cite(Constraint::Memcg, owner.line)),
            (None, Some(trigger)) => Some(cite(Constraint::None, trigger.line)),
            (None, None) => None,
        };
    }
}

/// Is `comm` what stands behind a line end in `name`? The trigger's line begins with the name: of
/// one with a line end only the rest is on it.
fn is_end_of(comm: &str, name: &str) -> bool {
    let front = name.strip_suffix(comm);
    front.is_some_and(|front| front.ends_with("\\n") || front.ends_with("\\x0a"))
}

/// Adds to a list that has an end.
fn push<T>(list: &mut Vec<T>, entry: T) {
    if list.len() < ENTRIES {
        list.push(entry);
    }
}

fn cite<T>(value: T, line: LineNumber) -> Cited<T> {
    Cited { value, line }
}
