//! One death: the facts of the log, and what the record and the verdict add.

use highwater_core::evidence::Claim;
use highwater_core::limit::Limit;
use highwater_core::units::Bytes;
use highwater_oom::facts::{self, DeathFacts, MemcgFacts, TaskFacts};
use highwater_oom::report::{Kill, OomReport};
use serde::Serialize;

use super::time;
use crate::death::{Confidence, Diagnosis, Kind, Makeup, Part, RankedTask, Recorded};

/// One killed process.
#[derive(Clone, Debug, Serialize)]
pub struct DeathDocument {
    #[serde(flatten)]
    facts: DeathFacts,
    #[serde(flatten)]
    verdict: Verdict,
}

/// An episode in which nothing was killed.
#[derive(Clone, Debug, Serialize)]
pub struct EpisodeDocument {
    #[serde(flatten)]
    facts: DeathFacts,
    #[serde(flatten)]
    verdict: Verdict,
}

#[derive(Clone, Debug, Serialize)]
struct Verdict {
    confidence: Confidence,
    makeup: Option<MakeupDocument>,
    recorded: RecordedDocument,
    summary: String,
    claims: Vec<Claim>,
    advice: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
struct MakeupDocument {
    of: String,
    total_bytes: Bytes,
    parts: Vec<PartDocument>,
    swap_bytes: Option<Bytes>,
}

#[derive(Clone, Debug, Serialize)]
struct PartDocument {
    kind: Kind,
    bytes: Bytes,
}

#[derive(Clone, Debug, Serialize)]
struct RecordedDocument {
    points: usize,
    from: Option<String>,
    to: Option<String>,
    growth_bytes_per_second: Option<f64>,
}

impl DeathDocument {
    /// The document of `diagnosis`, which explains a death of `report`.
    pub fn new(diagnosis: &Diagnosis, report: &OomReport) -> Self {
        Self { facts: facts_of(diagnosis, report), verdict: Verdict::of(diagnosis) }
    }
}

impl EpisodeDocument {
    /// The document of `diagnosis`, which explains `report`, in which nothing was killed.
    pub fn new(diagnosis: &Diagnosis, report: &OomReport) -> Self {
        Self { facts: facts_of(diagnosis, report), verdict: Verdict::of(diagnosis) }
    }
}

/// What the log states, completed by what was on record.
fn facts_of(diagnosis: &Diagnosis, report: &OomReport) -> DeathFacts {
    let nobody = Kill::default();
    let kill = diagnosis.victim.as_ref().unwrap_or(&nobody);
    let tasks = diagnosis.tasks.iter().map(task).collect();
    let mut told = facts::of_kill(report, kill, tasks);
    told.time = time(diagnosis.time);
    told.boot_seconds = diagnosis.boot.map(highwater_core::time::BootTime::seconds);
    told.cause = diagnosis.cause;
    let memcg = MemcgFacts {
        limit_owner: diagnosis.limit_owner.clone(),
        task: diagnosis.task_cgroup.clone(),
        usage_bytes: diagnosis.usage,
        limit_bytes: diagnosis.limit.and_then(Limit::at),
        ..told.memcg.clone().unwrap_or_default()
    };
    told.memcg = (memcg != MemcgFacts::default()).then_some(memcg);
    told.oddities.clone_from(&diagnosis.oddities);
    told
}

fn task(task: &RankedTask) -> TaskFacts {
    TaskFacts {
        pid: task.pid,
        comm: task.comm.clone(),
        rss_bytes: task.rss,
        badness: task.badness,
        rank: task.rank,
    }
}

impl Verdict {
    fn of(diagnosis: &Diagnosis) -> Self {
        Self {
            confidence: diagnosis.confidence,
            makeup: diagnosis.makeup.as_ref().map(makeup),
            recorded: recorded(diagnosis.recorded),
            summary: diagnosis.summary.clone(),
            claims: diagnosis.claims.clone(),
            advice: diagnosis.advice.iter().map(ToString::to_string).collect(),
        }
    }
}

fn makeup(makeup: &Makeup) -> MakeupDocument {
    let part = |part: &Part| PartDocument { kind: part.kind, bytes: part.amount };
    MakeupDocument {
        of: makeup.of.clone(),
        total_bytes: makeup.total,
        parts: makeup.parts.iter().map(part).collect(),
        swap_bytes: makeup.swap.as_ref().map(|part| part.amount),
    }
}

fn recorded(recorded: Option<Recorded>) -> RecordedDocument {
    RecordedDocument {
        points: recorded.map_or(0, |recorded| recorded.points),
        from: time(recorded.map(|recorded| recorded.from)),
        to: time(recorded.map(|recorded| recorded.to)),
        growth_bytes_per_second: recorded.and_then(|recorded| recorded.bytes_per_second),
    }
}
