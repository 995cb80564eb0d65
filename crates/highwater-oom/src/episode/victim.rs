//! The deaths of an episode.

use highwater_core::id::Pid;
use highwater_core::line::LogLine;
use highwater_core::units::PageSize;

use super::{Episode, TASKS, cite, push};
use crate::report::{Candidate, Chosen, Cited, Kill, LineNumber, Selected, Summary, Task, Writer};
use crate::said::Scope;
use crate::userspace::CgroupKill;

/// The most deaths in one episode: a group kill of everything there is.
const KILLS: usize = TASKS;

impl Episode {
    pub(super) fn take_kill(&mut self, mut kill: Kill, scope: Scope, line: &LogLine<'_>) -> bool {
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
        self.push_kill(kill);
        true
    }

    fn push_kill(&mut self, kill: Kill) {
        if let Some(pid) = kill.pid {
            self.killed.insert(pid, self.report.kills.len());
        }
        self.report.kills.push(kill);
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

    fn row(&self, pid: Option<Pid>) -> Option<&Task> {
        self.report.tasks.rows.get(*self.rows.get(&pid?)?)
    }

    /// What other lines say of the victim.
    fn complete(&mut self, kill: &mut Kill) {
        let report = &self.report;
        let summary = report.summary.as_ref().map(|s| &s.value).filter(|s| s.pid == kill.pid);
        let selected = report.selected.as_ref().map(|s| &s.value).filter(|s| s.pid == kill.pid);
        let row = self.row(kill.pid);
        kill.oom_score = kill.oom_score.or_else(|| selected?.score);
        kill.uid = kill.uid.or_else(|| summary?.uid).or_else(|| row?.uid);
        kill.oom_score_adj = kill.oom_score_adj.or_else(|| row?.oom_score_adj);
        kill.task_row = row.map(|row| row.line);
        let swapents = row.and_then(|row| row.swapents);
        let size = row.and_then(|row| Some(cite(page_size(kill, row)?, row.line)));
        let known = &mut self.report.machine.page_size;
        *known = known.or(size);
        let in_swap = swapents.zip(*known).map(|(pages, size)| pages.bytes(size.value));
        kill.swap = kill.swap.or(in_swap);
    }

    /// The sizes from the second line of a wrapped kill line.
    pub(super) fn take_sizes(&mut self, sizes: &Kill) {
        let Some(kill) = self.report.kills.last_mut() else { return };
        kill.add(sizes);
    }

    pub(super) fn with_kill(&mut self, pid: Pid, change: impl FnOnce(&mut Kill)) {
        if let Some(kill) = self.killed.get(&pid).and_then(|at| self.report.kills.get_mut(*at)) {
            change(kill);
        }
    }

    pub(super) fn take_program(&mut self, kill: Kill, writer: Writer, line: &LogLine<'_>) -> bool {
        self.report.writer = writer;
        // SIGTERM, then SIGKILL to the same process: one death.
        !self.has_kill(kill.pid) && self.add(kill, line)
    }

    /// What nohang says of the victim, piece by piece.
    pub(super) fn take_told(&mut self, kill: Kill) -> bool {
        self.report.writer = Writer::Nohang;
        let told = self.told.get_or_insert_default();
        if kill.pid.is_some() && told.pid.is_some() && kill.pid != told.pid {
            *told = kill;
        } else {
            told.pid = told.pid.or(kill.pid);
            told.comm = told.comm.take().or_else(|| kill.comm.clone());
            told.add(&kill);
        }
        false
    }

    /// nohang kills the victim it told of.
    pub(super) fn take_told_kill(&mut self, line: &LogLine<'_>) -> bool {
        let told = self.told.take().filter(|kill| kill.pid.is_some());
        told.is_some_and(|kill| !self.has_kill(kill.pid) && self.add(kill, line))
    }

    /// systemd-oomd and oomd name the cgroup that they killed.
    pub(super) fn take_cgroup(&mut self, kill: CgroupKill, line: &LogLine<'_>) -> bool {
        self.oomd_named = true;
        let CgroupKill { writer, cgroup, watched: _ } = kill;
        let path = cgroup.path.clone();
        self.note_killed(cgroup, line.number);
        self.take_unit_of(writer, path, line)
    }

    /// The killed cgroup is a candidate, too; what the kill line adds to it goes there.
    fn note_killed(&mut self, cgroup: Candidate, number: LineNumber) {
        let candidates = &mut self.report.candidates;
        match candidates.iter_mut().find(|candidate| candidate.value.path == cgroup.path) {
            Some(known) => known.value.add(&cgroup),
            None => push(candidates, cite(cgroup, number)),
        }
    }

    /// systemd, before or after, names each unit on the way up.
    pub(super) fn take_unit(&mut self, unit: String, line: &LogLine<'_>) -> bool {
        self.take_unit_of(Writer::SystemdOomd, unit, line)
    }

    fn take_unit_of(&mut self, writer: Writer, cgroup: String, line: &LogLine<'_>) -> bool {
        self.report.writer = writer;
        let task = &mut self.report.memcg.task;
        if task.as_ref().is_none_or(|task| cgroup.ends_with(&task.value)) {
            *task = Some(cite(cgroup, line.number));
        }
        self.report.kills.is_empty() && self.add(Kill::default(), line)
    }

    /// Where the kill line is missing, the line that chose the victim stands for it.
    pub(super) fn infer(&mut self) {
        if !self.report.kills.is_empty() {
            return;
        }
        let Some((mut kill, number)) = self.inferred() else { return };
        self.complete(&mut kill);
        let at = self.report.lines.iter().find(|line| line.number == number);
        kill.line = number;
        kill.boot = at.and_then(|line| line.boot);
        kill.wall = at.and_then(|line| line.wall);
        self.push_kill(kill);
        let what = "the kill line is missing: the victim is the one that was chosen";
        self.odd(number, what.to_owned());
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

impl Kill {
    /// Adds what is not known yet.
    fn add(&mut self, more: &Self) {
        self.total_vm = self.total_vm.or(more.total_vm);
        self.anon_rss = self.anon_rss.or(more.anon_rss);
        self.file_rss = self.file_rss.or(more.file_rss);
        self.shmem_rss = self.shmem_rss.or(more.shmem_rss);
        self.rss = self.rss.or(more.rss);
        self.pgtables = self.pgtables.or(more.pgtables);
        self.swap = self.swap.or(more.swap);
        self.uid = self.uid.or(more.uid);
        self.oom_score = self.oom_score.or(more.oom_score);
        self.oom_score_adj = self.oom_score_adj.or(more.oom_score_adj);
    }
}

/// The size of a page, from a victim whose address space is printed in kB and in pages.
fn page_size(kill: &Kill, row: &Task) -> Option<PageSize> {
    let (bytes, pages) = (kill.total_vm?.get(), row.total_vm?.get());
    let exact = bytes.checked_rem(pages)? == 0;
    let size = exact.then(|| bytes.checked_div(pages))??;
    PageSize::new(size).filter(|_| (4096..=65_536).contains(&size))
}
