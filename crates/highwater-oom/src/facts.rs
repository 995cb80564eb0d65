//! What the log alone states of each death, in the shape of `--json` (docs/manual/json.md): times
//! RFC 3339 in UTC, sizes in bytes, null where unknown.

use highwater_core::id::Pid;
use highwater_core::limit::Limit;
use highwater_core::units::Bytes;
use serde::Serialize;

use crate::badness::{self, Standing};
use crate::cause::Cause;
use crate::report::{Constraint, Kill, OomReport, Task};

/// The facts of a log.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Facts {
    /// One entry for each killed process, in the order of the log.
    pub deaths: Vec<DeathFacts>,
}

/// The facts of one death.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DeathFacts {
    /// The wall clock at the kill line, RFC 3339.
    pub time: Option<String>,
    /// Seconds since boot at the kill line.
    pub boot_seconds: Option<f64>,
    /// What killed.
    pub cause: Cause,
    /// Who died.
    pub victim: VictimFacts,
    /// Who asked for memory.
    pub trigger: Option<TriggerFacts>,
    /// `none`, `memcg`, `cpuset`, `mempolicy`.
    pub constraint: Option<&'static str>,
    /// The memory cgroup.
    pub memcg: Option<MemcgFacts>,
    /// Who else died in the same episode.
    pub also_killed: Vec<Pid>,
    /// The task table.
    pub tasks: Vec<TaskFacts>,
    /// What looked damaged.
    pub oddities: Vec<String>,
}

/// Who died.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the names are the facts")]
pub struct VictimFacts {
    pub pid: Option<Pid>,
    pub comm: Option<String>,
    pub uid: Option<u32>,
    pub total_vm_bytes: Option<Bytes>,
    pub anon_rss_bytes: Option<Bytes>,
    pub file_rss_bytes: Option<Bytes>,
    pub shmem_rss_bytes: Option<Bytes>,
    /// Only where the log gives one undivided RSS.
    pub rss_bytes: Option<Bytes>,
    pub pgtables_bytes: Option<Bytes>,
    pub swap_bytes: Option<Bytes>,
    pub oom_score: Option<i64>,
    pub oom_score_adj: Option<i32>,
}

/// Who asked.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the names are the facts")]
pub struct TriggerFacts {
    pub pid: Option<Pid>,
    pub comm: Option<String>,
    pub order: Option<i32>,
    pub gfp_mask: Option<String>,
}

/// The memory cgroup.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct MemcgFacts {
    /// The cgroup whose limit was reached.
    pub limit_owner: Option<String>,
    /// The cgroup of the victim.
    pub task: Option<String>,
    /// What the limit's owner used.
    pub usage_bytes: Option<Bytes>,
    /// Its limit; null where there is none.
    pub limit_bytes: Option<Bytes>,
    /// Its swap (v2 only: v1 counts memory and swap together).
    pub swap_usage_bytes: Option<Bytes>,
    /// Its limit of swap.
    pub swap_limit_bytes: Option<Bytes>,
    /// How often the limit was hit.
    pub failcnt: Option<u64>,
}

/// One row of the table.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct TaskFacts {
    /// The process.
    pub pid: Pid,
    /// Its name.
    pub comm: String,
    /// In RAM; null where the log does not show how large a page is.
    pub rss_bytes: Option<Bytes>,
    /// Thousandths of the memory that could be had.
    pub badness: Option<i64>,
    /// 1 for the one to die first.
    pub rank: Option<usize>,
}

/// The facts of all reports of a log.
pub fn facts(reports: &[OomReport]) -> Facts {
    Facts { deaths: reports.iter().flat_map(of_report).collect() }
}

/// Each death with the report it stands in, in the order of the log.
pub fn deaths(reports: &[OomReport]) -> impl Iterator<Item = (&OomReport, &Kill)> {
    reports.iter().flat_map(|report| report.kills.iter().map(move |kill| (report, kill)))
}

fn of_report(report: &OomReport) -> impl Iterator<Item = DeathFacts> {
    let tasks = tasks(report);
    report.kills.iter().map(move |kill| of_kill(report, kill, tasks.clone()))
}

/// The facts of one death of `report`.
pub fn of_kill(report: &OomReport, kill: &Kill, tasks: Vec<TaskFacts>) -> DeathFacts {
    let others = report.kills.iter().filter_map(|other| other.pid);
    DeathFacts {
        time: kill.wall.map(|wall| wall.to_string()),
        boot_seconds: kill.boot.map(highwater_core::time::BootTime::seconds),
        cause: report.cause(),
        victim: victim(kill),
        trigger: report.trigger.as_ref().map(|trigger| TriggerFacts {
            pid: trigger.value.pid,
            comm: trigger.value.comm.clone(),
            order: trigger.value.order,
            gfp_mask: trigger.value.gfp_mask.clone(),
        }),
        constraint: report.constraint.map(|constraint| name(constraint.value)),
        memcg: memcg(report),
        also_killed: others.filter(|pid| Some(*pid) != kill.pid).collect(),
        tasks,
        oddities: report.oddities.iter().map(|odd| odd.what.clone()).collect(),
    }
}

fn victim(kill: &Kill) -> VictimFacts {
    VictimFacts {
        pid: kill.pid,
        comm: kill.comm.clone(),
        uid: kill.uid,
        total_vm_bytes: kill.total_vm,
        anon_rss_bytes: kill.anon_rss,
        file_rss_bytes: kill.file_rss,
        shmem_rss_bytes: kill.shmem_rss,
        rss_bytes: kill.rss,
        pgtables_bytes: kill.pgtables,
        swap_bytes: kill.swap,
        oom_score: kill.oom_score,
        oom_score_adj: kill.oom_score_adj,
    }
}

const fn name(constraint: Constraint) -> &'static str {
    match constraint {
        Constraint::None => "none",
        Constraint::Memcg => "memcg",
        Constraint::Cpuset => "cpuset",
        Constraint::Mempolicy => "mempolicy",
    }
}

fn memcg(report: &OomReport) -> Option<MemcgFacts> {
    let said = &report.memcg;
    let (memory, swap) = (said.memory.map(|c| c.value), said.swap.map(|c| c.value));
    let facts = MemcgFacts {
        limit_owner: said.limit_owner.as_ref().map(|owner| owner.value.clone()),
        task: said.task.as_ref().map(|task| task.value.clone()),
        usage_bytes: memory.and_then(|counter| counter.usage),
        limit_bytes: memory.and_then(|counter| counter.limit).and_then(Limit::at),
        swap_usage_bytes: swap.and_then(|counter| counter.usage),
        swap_limit_bytes: swap.and_then(|counter| counter.limit).and_then(Limit::at),
        failcnt: memory.and_then(|counter| counter.failcnt),
    };
    (facts != MemcgFacts::default()).then_some(facts)
}

/// The task table, in the order printed.
pub fn tasks(report: &OomReport) -> Vec<TaskFacts> {
    let standings = badness::standings(report);
    report.tasks.rows.iter().zip(standings).map(|(row, s)| task(report, row, s)).collect()
}

fn task(report: &OomReport, row: &Task, standing: Standing) -> TaskFacts {
    let size = report.machine.page_size.map(|size| size.value);
    TaskFacts {
        pid: row.pid,
        comm: row.comm.clone(),
        rss_bytes: row.rss.zip(size).map(|(pages, size)| pages.bytes(size)),
        badness: standing.permille,
        rank: standing.rank,
    }
}
