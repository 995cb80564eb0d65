//! What belongs to an episode.

use highwater_core::id::Pid;

use super::Episode;
use crate::memcg::Which;
use crate::report::{Kill, Writer};
use crate::said::Said;
use crate::userspace::CgroupKill;

/// A table of at least so many rows is taken to be whole: who is not in it was not looked at.
const WHOLE_TABLE: usize = 8;

impl Episode {
    /// Could this have been said in the same episode, after what was said before?
    pub(crate) fn fits(&self, said: &Said) -> bool {
        let report = &self.report;
        let open = report.kills.is_empty() && report.writer == Writer::Kernel;
        match said {
            Said::Sysrq | Said::Trigger(_) => self.is_blank(),
            Said::TaskIn { .. } => open && report.memcg.limit_owner.is_none(),
            Said::Counter(which, _) => open && self.counter_is_free(*which),
            Said::Stats { .. } | Said::Ending(_) => open,
            said if said.is_dump() => open,
            Said::Table(_) => open && report.tasks.rows.is_empty(),
            Said::Summary(said) => {
                report.summary.is_none() && (open || self.is_only_kill(said.summary.pid))
            }
            Said::Selected(said, _) => {
                report.selected.is_none() && (open || self.is_only_kill(said.pid))
            }
            Said::Killed(kill, _) => report.writer == Writer::Kernel && self.fits_kill(kill),
            Said::Group(_) => report.writer == Writer::Kernel && report.oom_group.is_none(),
            Said::Program(writer, kill) => report.writer == *writer && self.has_kill(kill.pid),
            Said::Cgroup(kill) => self.fits_cgroup(kill),
            Said::OomdUnit { .. } => report.writer == Writer::SystemdOomd,
            Said::Candidates => !self.oomd_named,
            // SIGTERM, then SIGKILL to the same process.
            Said::Victim(kill) => {
                report.kills.is_empty() || kill.pid.is_none() || self.has_kill(kill.pid)
            }
            Said::VictimKilled => self.told.as_ref().is_some_and(|kill| kill.pid.is_some()),
            _ => true,
        }
    }

    /// Is it this very episode that the line is about? The line names a victim, and what was said
    /// here named it, too.
    pub(crate) fn claims(&self, said: &Said) -> bool {
        if !self.report.kills.is_empty() {
            return matches!(said, Said::Reaped(pid) | Said::ReaperFailed(pid) if self.has_kill(Some(*pid)));
        }
        let pid = match said {
            Said::Summary(said) if self.report.summary.is_none() => said.summary.pid,
            Said::Selected(said, _) if self.report.selected.is_none() => said.pid,
            Said::Killed(kill, _) => kill.pid,
            _ => return false,
        };
        let Some(pid) = pid else { return false };
        let summary = self.report.summary.as_ref().and_then(|summary| summary.value.pid);
        let selected = self.report.selected.as_ref().and_then(|selected| selected.value.pid);
        match summary.or(selected) {
            Some(chosen) => chosen == pid,
            None => self.rows.contains_key(&pid),
        }
    }

    /// Can a line of the report still come?
    pub(crate) fn is_complete(&self) -> bool {
        let report = &self.report;
        report.writer != Writer::Kernel || !report.kills.is_empty() || !report.endings.is_empty()
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

    pub(super) fn has_kill(&self, pid: Option<Pid>) -> bool {
        pid.is_some_and(|pid| self.killed.contains_key(&pid))
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
        self.rows.len() >= WHOLE_TABLE && !pid.is_some_and(|pid| self.rows.contains_key(&pid))
    }

    fn fits_cgroup(&self, kill: &CgroupKill) -> bool {
        let task = self.report.memcg.task.as_ref();
        let path = &kill.cgroup.path;
        kill.writer == Writer::SystemdOomd
            && self.report.writer == Writer::SystemdOomd
            && !self.oomd_named
            && task.is_none_or(|task| task.value == *path || path.ends_with(&task.value))
    }

    /// Can this begin an episode?
    pub(crate) fn can_begin(said: &Said) -> bool {
        use crate::machine::Total;
        matches!(
            said,
            Said::Sysrq
                | Said::Trigger(_)
                | Said::TaskIn { .. }
                | Said::Counter(..)
                | Said::Stats { .. }
                | Said::MemInfo
                | Said::Zone(_)
                | Said::FreeList(..)
                | Said::SwapFree(_)
                | Said::SwapTotal(_)
                | Said::Total(Total::Ram | Total::Reserved, _)
                | Said::Table(_)
                | Said::Summary(_)
                | Said::Selected(..)
                | Said::Killed(..)
                | Said::Group(_)
                | Said::Ending(_)
                | Said::Program(..)
                | Said::Cgroup(_)
                | Said::OomdUnit { .. }
                | Said::Candidates
                | Said::Victim(_)
        )
    }
}
