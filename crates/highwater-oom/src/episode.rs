//! One episode as it grows: what belongs to it, and where each fact goes.

use std::collections::HashSet;

use highwater_core::id::Pid;
use highwater_core::line::LogLine;
use highwater_core::text::escape;
use highwater_core::time::{BootTime, WallTime};
use highwater_core::units::PageSize;

use crate::header::Asker;
use crate::memcg::{self, Which};
use crate::report::{
    Chosen, Cited, Constraint, Kill, LineNumber, MemcgStats, Oddity, OomReport, ReportLine,
    Selected, Summary, Task, Trigger, Writer,
};
use crate::said::{Said, Scope, Summarised};
use crate::table::{self, Columns};

/// The most task rows that are kept: the default of `kernel.pid_max`.
const TASKS: usize = 32_768;

/// The most lines that are kept for citing: a full table and everything around it.
const LINES: usize = TASKS + 2048;

/// The longest line that is kept for citing.
const LINE_BYTES: usize = 4096;

/// The most oddities worth telling.
const ODDITIES: usize = 100;

/// The most deaths in one episode: a group kill of everything there is.
const KILLS: usize = TASKS;

/// A table of at least so many rows is taken to be whole: who is not in it was not looked at.
const WHOLE_TABLE: usize = 8;

/// The longest silence inside one episode, in µs: a serial console takes seconds for a large table.
const GAP_US: u64 = 30_000_000;

/// Stamps inside an episode may run back so far, in µs: processors print side by side. More than
/// that is another boot.
const BACK_US: u64 = 5_000_000;

/// An episode in progress.
#[derive(Debug, Default)]
pub(crate) struct Episode {
    pub(crate) report: OomReport,
    /// So many lines in a row had nothing to do with it.
    pub(crate) foreign: u32,
    columns: Option<Columns>,
    rows_seen: HashSet<Pid>,
    in_stats: bool,
    wrapped: bool,
    /// systemd-oomd itself has named the cgroup.
    oomd_named: bool,
    boot: Option<BootTime>,
    wall: Option<WallTime>,
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

    /// Could this have been said in the same episode, after what was said before?
    pub(crate) fn fits(&self, said: &Said) -> bool {
        let report = &self.report;
        let open = report.kills.is_empty() && report.writer == Writer::Kernel;
        match said {
            Said::Sysrq | Said::Trigger(_) => self.is_blank(),
            Said::TaskIn { .. } => open && report.memcg.limit_owner.is_none(),
            Said::Counter(which, _) => open && self.counter_is_free(*which),
            Said::Stats { .. }
            | Said::MemInfo
            | Said::Counts(_)
            | Said::Zone(_)
            | Said::FreeList(..)
            | Said::SwapFree(_)
            | Said::SwapTotal(_)
            | Said::Ram(_)
            | Said::Reserved(_)
            | Said::Ending(_)
            | Said::AllocationFailure => open,
            Said::Table(_) => open && report.tasks.rows.is_empty(),
            Said::Summary(said) => {
                report.summary.is_none() && (open || self.is_only_kill(said.summary.pid))
            }
            Said::Selected(said, _) => {
                report.selected.is_none() && (open || self.is_only_kill(said.pid))
            }
            Said::Killed(kill, _) => report.writer == Writer::Kernel && self.fits_kill(kill),
            Said::Group(_) => report.writer == Writer::Kernel && report.oom_group.is_none(),
            Said::Earlyoom(kill) => report.writer == Writer::Earlyoom && self.has_kill(kill.pid),
            Said::Oomd { cgroup } => self.fits_oomd(cgroup),
            Said::OomdUnit { .. } => report.writer == Writer::SystemdOomd,
            _ => true,
        }
    }

    /// Nothing was said but that a person asked.
    fn is_blank(&self) -> bool {
        let report = &self.report;
        let memcg = &report.memcg;
        report.trigger.is_none()
            && report.summary.is_none()
            && report.selected.is_none()
            && report.kills.is_empty()
            && report.endings.is_empty()
            && report.machine.line.is_none()
            && report.machine.zones.is_empty()
            && report.tasks.line.is_none()
            && memcg.limit_owner.is_none()
            && memcg.memory.is_none()
            && memcg.stats.is_empty()
    }

    fn counter_is_free(&self, which: Which) -> bool {
        let memcg = &self.report.memcg;
        match which {
            Which::Memory => memcg.memory.is_none(),
            Which::Memsw => memcg.memsw.is_none(),
            Which::Swap => memcg.swap.is_none(),
            Which::Kmem => memcg.kmem.is_none(),
        }
    }

    fn has_kill(&self, pid: Option<Pid>) -> bool {
        pid.is_some() && self.report.kills.iter().any(|kill| kill.pid == pid)
    }

    /// Logs may run backwards, or be sorted by whole seconds: the line that chose the victim then
    /// follows its death.
    fn is_only_kill(&self, pid: Option<Pid>) -> bool {
        let report = &self.report;
        report.writer == Writer::Kernel && report.kills.len() == 1 && self.has_kill(pid)
    }

    /// A kill belongs to the report that names its victim. The kernel leaves reports out when they
    /// come thick and fast, but never a kill: one that fits nothing stands alone.
    fn fits_kill(&self, kill: &Kill) -> bool {
        let report = &self.report;
        if self.has_kill(kill.pid) {
            return true;
        }
        if !report.kills.is_empty() {
            return report.oom_group.is_some() && !self.is_missing_in_table(kill.pid);
        }
        if let Some(summary) = &report.summary {
            let (summary, named) = (&summary.value, &kill.comm);
            return match (summary.pid, &summary.task) {
                (Some(pid), _) => kill.pid == Some(pid),
                (None, Some(task)) => named.as_ref().is_none_or(|comm| comm == task),
                (None, None) => true,
            };
        }
        report.selected.is_some()
            || report.oom_group.is_some()
            || !self.is_missing_in_table(kill.pid)
    }

    fn is_missing_in_table(&self, pid: Option<Pid>) -> bool {
        let rows = &self.report.tasks.rows;
        rows.len() >= WHOLE_TABLE && !rows.iter().any(|row| Some(row.pid) == pid)
    }

    fn fits_oomd(&self, cgroup: &str) -> bool {
        let task = self.report.memcg.task.as_ref();
        self.report.writer == Writer::SystemdOomd
            && !self.oomd_named
            && task.is_none_or(|task| task.value == cgroup || cgroup.ends_with(&task.value))
    }

    /// Can this begin an episode?
    pub(crate) fn can_begin(said: &Said) -> bool {
        !matches!(
            said,
            Said::Asker(_)
                | Said::Context
                | Said::Reaped(_)
                | Said::ReaperFailed(_)
                | Said::Sizes(_)
                | Said::Panic(_)
                | Said::AllocationFailure
                | Said::Counts(_)
        )
    }

    /// A row of the table or an entry of the statistics: lines that mean something only here.
    pub(crate) fn take_inner(&mut self, line: &LogLine<'_>, text: &[u8]) -> bool {
        let taken = match &self.columns {
            Some(columns) if table::is_row(text.trim_ascii_start()) => {
                let row = table::row(columns, text.trim_ascii(), line.number);
                self.take_row(row, line.number);
                true
            }
            _ => self.in_stats && self.take_entry(text),
        };
        if taken {
            self.keep(line, text);
        }
        taken
    }

    fn take_row(&mut self, row: Option<Task>, number: LineNumber) {
        let Some(row) = row else {
            return self.odd(number, "a row of the task table is cut or damaged".to_owned());
        };
        if self.report.tasks.rows.len() >= TASKS {
            let all_told = self.report.oddities.last().is_some_and(|odd| odd.what.contains("rows"));
            if !all_told {
                self.odd(number, format!("the task table has more than {TASKS} rows"));
            }
        } else if self.rows_seen.insert(row.pid) {
            self.report.tasks.rows.push(row);
        }
    }

    fn take_entry(&mut self, text: &[u8]) -> bool {
        let Some((name, amount)) = memcg::v2_entry(text) else { return false };
        if let (Some(stats), Some(amount)) = (self.report.memcg.stats.last_mut(), amount) {
            stats.entries.push((name, amount));
        }
        true
    }

    /// Takes what a line said. Returns whether a death is new.
    pub(crate) fn take(&mut self, said: Said, line: &LogLine<'_>, text: &[u8]) -> bool {
        self.keep(line, text);
        self.in_stats = matches!(said, Said::Stats { .. });
        let wrapped = std::mem::take(&mut self.wrapped);
        let number = line.number;
        match said {
            Said::Sysrq => self.report.sysrq = Some(number),
            Said::Trigger(trigger) => self.report.trigger = Some(cite(trigger, number)),
            Said::Asker(asker) => self.take_asker(asker, number),
            Said::Summary(summarised) => self.take_summary(*summarised, number),
            Said::Selected(selected, scope) => self.take_selected(selected, scope, number),
            Said::Killed(kill, scope) => return self.take_kill(*kill, scope, line),
            Said::Sizes(sizes) if wrapped => self.take_sizes(&sizes),
            Said::Group(path) => self.report.oom_group = Some(cite(path, number)),
            Said::Reaped(pid) => self.with_kill(pid, |kill| kill.reaped = Some(number)),
            Said::ReaperFailed(pid) => {
                self.with_kill(pid, |kill| kill.reaper_failed = Some(number));
            }
            Said::Ending(text) | Said::Panic(text) => self.report.endings.push(cite(text, number)),
            Said::Earlyoom(kill) => return self.take_program(*kill, Writer::Earlyoom, line),
            Said::Oomd { cgroup } => {
                self.oomd_named = true;
                return self.take_oomd(cgroup, line);
            }
            Said::OomdUnit { unit } => return self.take_oomd(unit, line),
            other => self.take_memory(other, number),
        }
        false
    }

    /// The parts that say what memory was made of.
    fn take_memory(&mut self, said: Said, number: LineNumber) {
        let OomReport { memcg, machine, tasks, .. } = &mut self.report;
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
                memcg.stats.push(MemcgStats { path, line: number, entries, events: Vec::new() });
            }
            Said::MemInfo => machine.line = Some(number),
            Said::Counts(counts) => machine.pages.extend(counts),
            Said::Zone(zone) => machine.zones.push(cite(zone, number)),
            Said::FreeList(size, zone) => {
                machine.page_size.get_or_insert(cite(size, number));
                machine.free_lists.push(cite(zone, number));
            }
            Said::SwapFree(amount) => machine.swap_free = Some(cite(amount, number)),
            Said::SwapTotal(amount) => machine.swap_total = Some(cite(amount, number)),
            Said::Ram(count) => machine.ram = Some(cite(count, number)),
            Said::Reserved(count) => machine.reserved = Some(cite(count, number)),
            Said::Table(columns) => {
                tasks.line = Some(number);
                self.columns = Some(columns);
            }
            _ => {}
        }
    }

    /// The line below the trigger tells who that is; any other such line is somebody else's.
    fn take_asker(&mut self, asker: Asker, number: LineNumber) {
        let Some(Cited { value: trigger, .. }) = &mut self.report.trigger else { return };
        let Trigger { comm, pid, .. } = trigger;
        // s390 and arm print the kernel on a line of its own, without a name.
        let same = asker.comm.is_none() || comm.is_none() || *comm == asker.comm;
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
            (Scope::Unsaid, None) if memcg => Constraint::Memcg,
            _ => return,
        };
        report.constraint = Some(cite(constraint, number));
    }

    fn take_kill(&mut self, mut kill: Kill, scope: Scope, line: &LogLine<'_>) -> bool {
        self.take_scope(scope, line.number);
        if self.has_kill(kill.pid) || self.report.kills.len() >= KILLS {
            return false;
        }
        self.wrapped = kill.total_vm.is_none() && kill.anon_rss.is_none();
        kill.chosen = self.chosen(&kill);
        self.complete(&mut kill);
        self.add(kill, line)
    }

    fn add(&mut self, mut kill: Kill, line: &LogLine<'_>) -> bool {
        (kill.line, kill.boot, kill.wall) = (line.number, line.boot, line.wall);
        let report = &self.report;
        kill.bare = report.trigger.is_none()
            && report.summary.is_none()
            && report.tasks.line.is_none()
            && report.memcg.memory.is_none()
            && report.machine.line.is_none()
            && report.oom_group.is_none();
        self.report.kills.push(kill);
        true
    }

    fn chosen(&self, kill: &Kill) -> Chosen {
        if !self.report.kills.is_empty() {
            return Chosen::WithGroup;
        }
        match &self.report.selected {
            Some(Cited { value, .. }) if value.pid != kill.pid => Chosen::AsChild,
            Some(Cited { value, .. }) if value.allocating => Chosen::AsAllocator,
            _ => Chosen::ByScore,
        }
    }

    /// What other lines say of the victim.
    fn complete(&mut self, kill: &mut Kill) {
        let report = &self.report;
        let summary = report.summary.as_ref().map(|s| &s.value).filter(|s| s.pid == kill.pid);
        let selected = report.selected.as_ref().map(|s| &s.value).filter(|s| s.pid == kill.pid);
        let row = report.tasks.rows.iter().find(|row| Some(row.pid) == kill.pid);
        kill.oom_score = kill.oom_score.or_else(|| selected?.score);
        kill.uid = kill.uid.or_else(|| summary?.uid).or_else(|| row?.uid);
        kill.oom_score_adj = kill.oom_score_adj.or_else(|| row?.oom_score_adj);
        kill.task_row = row.map(|row| row.line);
        if self.report.machine.page_size.is_none()
            && let Some(row) = row
            && let Some(size) = page_size(kill, row)
        {
            let line = row.line;
            self.report.machine.page_size = Some(cite(size, line));
        }
        let size = self.report.machine.page_size.map(|size| size.value);
        let row = self.report.tasks.rows.iter().find(|row| Some(row.pid) == kill.pid);
        kill.swap =
            row.and_then(|row| row.swapents).zip(size).map(|(pages, size)| pages.bytes(size));
    }

    /// The sizes from the second line of a wrapped kill line.
    fn take_sizes(&mut self, sizes: &Kill) {
        let Some(kill) = self.report.kills.last_mut() else { return };
        kill.total_vm = kill.total_vm.or(sizes.total_vm);
        kill.anon_rss = kill.anon_rss.or(sizes.anon_rss);
        kill.file_rss = kill.file_rss.or(sizes.file_rss);
        kill.shmem_rss = kill.shmem_rss.or(sizes.shmem_rss);
        kill.pgtables = kill.pgtables.or(sizes.pgtables);
        kill.uid = kill.uid.or(sizes.uid);
        kill.oom_score_adj = kill.oom_score_adj.or(sizes.oom_score_adj);
    }

    fn with_kill(&mut self, pid: Pid, change: impl FnOnce(&mut Kill)) {
        if let Some(kill) = self.report.kills.iter_mut().find(|kill| kill.pid == Some(pid)) {
            change(kill);
        }
    }

    /// Is this a reaper's line about a death of this episode?
    pub(crate) fn knows(&self, pid: Pid) -> bool {
        self.has_kill(Some(pid))
    }

    fn take_program(&mut self, kill: Kill, writer: Writer, line: &LogLine<'_>) -> bool {
        self.report.writer = writer;
        // SIGTERM, then SIGKILL to the same process: one death.
        !self.has_kill(kill.pid) && self.add(kill, line)
    }

    /// systemd-oomd names the cgroup; systemd, before or after, each unit on the way up.
    fn take_oomd(&mut self, cgroup: String, line: &LogLine<'_>) -> bool {
        self.report.writer = Writer::SystemdOomd;
        let task = &mut self.report.memcg.task;
        if task.as_ref().is_none_or(|task| cgroup.ends_with(&task.value)) {
            *task = Some(cite(cgroup, line.number));
        }
        self.report.kills.is_empty() && self.add(Kill::default(), line)
    }

    /// Notes what looks odd on line `number`.
    pub(crate) fn odd(&mut self, number: LineNumber, what: String) {
        if self.report.oddities.len() < ODDITIES {
            self.report.oddities.push(Oddity { line: number, what });
        }
    }

    /// Keeps the line for citing and as the newest moment of the episode.
    fn keep(&mut self, line: &LogLine<'_>, text: &[u8]) {
        self.foreign = 0;
        self.boot = line.boot.or(self.boot);
        self.wall = line.wall.or(self.wall);
        if self.report.lines.len() < LINES {
            let text = text.get(..LINE_BYTES).unwrap_or(text).trim_ascii_end();
            self.report.lines.push(ReportLine {
                number: line.number,
                boot: line.boot,
                wall: line.wall,
                text: escape(text).into_owned(),
            });
        }
    }

    /// The finished report. Where the kill line is missing, the line that chose the victim stands
    /// for it: it is printed just before.
    pub(crate) fn finish(mut self) -> OomReport {
        if self.report.kills.is_empty()
            && let Some((kill, number)) = self.inferred()
        {
            let mut kill = kill;
            self.complete(&mut kill);
            let at = self.report.lines.iter().find(|line| line.number == number).cloned();
            kill.line = number;
            kill.boot = at.as_ref().and_then(|line| line.boot);
            kill.wall = at.and_then(|line| line.wall);
            self.report.kills.push(kill);
            self.odd(
                number,
                "the kill line is missing: the victim is the one that was chosen".to_owned(),
            );
        }
        if self.report.constraint.is_none() && self.report.memcg.limit_owner.is_some() {
            let number = self.report.memcg.limit_owner.as_ref().map_or(0, |owner| owner.line);
            self.report.constraint = Some(cite(Constraint::Memcg, number));
        }
        self.report
    }

    fn inferred(&self) -> Option<(Kill, LineNumber)> {
        let blank =
            |pid, comm: &Option<String>| Kill { pid, comm: comm.clone(), ..Kill::default() };
        if let Some(Cited { value: Summary { pid: Some(pid), task, .. }, line }) =
            &self.report.summary
        {
            return Some((blank(Some(*pid), task), *line));
        }
        let Cited { value: Selected { pid, comm, .. }, line } = self.report.selected.as_ref()?;
        pid.is_some().then(|| (blank(*pid, comm), *line))
    }
}

/// The size of a page, from a victim whose address space is printed in kB and in pages.
fn page_size(kill: &Kill, row: &Task) -> Option<PageSize> {
    let (bytes, pages) = (kill.total_vm?.get(), row.total_vm?.get());
    let exact = bytes.checked_rem(pages)? == 0;
    let size = exact.then(|| bytes.checked_div(pages))??;
    PageSize::new(size).filter(|_| (4096..=65_536).contains(&size))
}

fn cite<T>(value: T, line: LineNumber) -> Cited<T> {
    Cited { value, line }
}
