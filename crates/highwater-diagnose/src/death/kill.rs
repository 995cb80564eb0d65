//! A kill as the inquest takes it, out of a report or out of the record of a death.

use highwater_core::event::Death;
use highwater_core::id::CgroupPath;
use highwater_core::time::{BootId, WallTime};
use highwater_oom::OomReport;
use highwater_oom::report::Kill;

use super::scene::Scene;
use super::{Case, NoHistory};
use crate::inquest::OomKill;

impl OomKill {
    /// The kill of `case`, under the name `key`; `None` where nothing was killed.
    pub fn of_case(case: &Case<'_>, key: usize, boot_id: Option<BootId>) -> Option<Self> {
        let scene = Scene::outline(case, &NoHistory);
        let kill = scene.kill?;
        let path = |path: &String| CgroupPath::new(path.as_bytes());
        Some(Self {
            key,
            pid: kill.pid,
            comm: kill.comm.clone(),
            wall: scene.time,
            boot: scene.boot,
            boot_id,
            cause: scene.verdict.0,
            confidence: scene.verdict.1,
            cgroup: scene.task_cgroup.as_ref().map(|told| path(&told.value)),
            limited_by: scene.limit_owner.as_ref().map(|told| path(&told.value)),
            limit: scene.limit.as_ref().map(|told| told.value),
            usage: scene.usage.as_ref().map(|told| told.value),
            evidence: scene.cite.line(kill.line),
        })
    }
}

/// Reads the report of a recorded death anew, by today's reader, and which of its kills is meant.
/// One whose lines say nothing to this version keeps what the recorder noted of it.
pub fn reread(death: &Death, wall: WallTime) -> (OomReport, usize) {
    let number = |at: usize| {
        let seq = death.lines.get(at).and_then(|line| line.seq);
        seq.unwrap_or_else(|| u64::try_from(at).unwrap_or(0).saturating_add(1))
    };
    let lines = death.lines.iter().enumerate().map(|(at, line)| line.as_line(number(at)));
    let lines: Vec<_> = lines.collect();
    let wanted = number(death.kill_line);
    let is_it = |kill: &Kill| kill.line == wanted || kill.pid == Some(death.pid);
    let reports = highwater_oom::read(lines.into_iter());
    let mut report = reports
        .into_iter()
        .find(|report| report.kills.iter().any(is_it))
        .unwrap_or_else(|| unread(death, wanted));
    let kill = report.kills.iter().position(|kill| kill.line == wanted);
    let kill = kill.or_else(|| report.kills.iter().position(is_it)).unwrap_or(0);
    if let Some(kill) = report.kills.get_mut(kill) {
        kill.wall = kill.wall.or(Some(wall));
    }
    (report, kill)
}

fn unread(death: &Death, line: u64) -> OomReport {
    let kill = Kill {
        line,
        pid: Some(death.pid),
        comm: Some(death.comm.clone()),
        bare: true,
        ..Kill::default()
    };
    OomReport { kills: vec![kill], ..OomReport::default() }
}
