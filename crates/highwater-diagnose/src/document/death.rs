//! One death: the facts of the log, and what the record and the verdict add.

use highwater_core::evidence::{Claim, Evidence};
use highwater_core::limit::Limit;
use highwater_core::units::Bytes;
use highwater_oom::facts::{self, DeathFacts, MemcgFacts, TaskFacts, Turn};
use highwater_oom::report::{Kill, OomReport, Trust};
use serde::Serialize;

use super::inquest::InquestDocument;
use super::opening::opening;
use super::time;
use crate::death::{
    Confidence, Diagnosis, Ground, Kind, Makeup, Part, RankedTask, Reason, Recorded, Role,
    ZoneState,
};
use crate::inquest;

/// One killed process.
#[derive(Clone, Debug, Serialize)]
pub struct DeathDocument {
    #[serde(flatten)]
    facts: DeathFacts,
    #[serde(flatten)]
    verdict: Verdict,
    #[serde(flatten)]
    inquest: Option<InquestDocument>,
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
    trust: &'static str,
    reasons: Vec<ReasonDocument>,
    zones: Vec<ZoneDocument>,
    makeup: Option<MakeupDocument>,
    recorded: RecordedDocument,
    summary: String,
    claims: Vec<Claim>,
    advice: Vec<String>,
}

/// Why it came to this.
#[derive(Clone, Debug, Serialize)]
struct ReasonDocument {
    reason: Reason,
    role: Role,
    confidence: Confidence,
    text: String,
    evidence: Vec<Evidence>,
}

/// A zone as the request found it.
#[derive(Clone, Debug, Serialize)]
struct ZoneDocument {
    node: Option<u32>,
    name: String,
    free_bytes: Option<Bytes>,
    min_bytes: Option<Bytes>,
    low_bytes: Option<Bytes>,
    high_bytes: Option<Bytes>,
    managed_bytes: Option<Bytes>,
    reserve_bytes: Option<Bytes>,
    reachable: bool,
    short: Option<bool>,
    fitting_bytes: Option<Bytes>,
    largest_piece_bytes: Option<Bytes>,
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
pub(super) struct RecordedDocument {
    points: usize,
    from: Option<String>,
    to: Option<String>,
    growth_bytes_per_second: Option<f64>,
}

impl DeathDocument {
    /// The document of `diagnosis`, which explains a death of `report`: one that is the first of
    /// that episode in the answer, or a further one.
    pub fn new(diagnosis: &Diagnosis, report: &OomReport, turn: Turn) -> Self {
        let facts = facts_of(diagnosis, report, turn);
        Self { facts, verdict: Verdict::of(diagnosis), inquest: None }
    }

    /// With what its witnesses say.
    #[must_use]
    pub fn with(mut self, verdict: &inquest::Verdict) -> Self {
        self.verdict.summary = opening(&self.verdict.summary, verdict);
        self.inquest = Some(InquestDocument::of(verdict));
        self
    }
}

impl EpisodeDocument {
    /// The document of `diagnosis`, which explains `report`, in which nothing was killed.
    pub fn new(diagnosis: &Diagnosis, report: &OomReport) -> Self {
        Self { facts: facts_of(diagnosis, report, Turn::First), verdict: Verdict::of(diagnosis) }
    }
}

/// What the log states, completed by what was on record.
fn facts_of(diagnosis: &Diagnosis, report: &OomReport, turn: Turn) -> DeathFacts {
    let nobody = Kill::default();
    let kill = diagnosis.victim.as_ref().unwrap_or(&nobody);
    let ranking = &diagnosis.ranking;
    let own = kill.pid.and_then(|pid| ranking.place(pid));
    let tasks = turn.rows(&ranking.tasks, own).map(task).collect();
    let mut told = facts::of_kill(report, kill, tasks, &ranking.choice, turn);
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
            trust: trust(diagnosis.trust),
            reasons: diagnosis.grounds.iter().map(reason).collect(),
            zones: diagnosis.zones.iter().map(zone).collect(),
            makeup: diagnosis.makeup.as_ref().map(makeup),
            recorded: RecordedDocument::of(diagnosis.recorded),
            summary: diagnosis.summary.clone(),
            claims: diagnosis.claims.clone(),
            advice: diagnosis.advice.iter().map(ToString::to_string).collect(),
        }
    }
}

const fn trust(trust: Trust) -> &'static str {
    match trust {
        Trust::Kernel => "kernel",
        Trust::AsPasted => "as-pasted",
    }
}

fn reason(ground: &Ground) -> ReasonDocument {
    ReasonDocument {
        reason: ground.reason,
        role: ground.role,
        confidence: ground.confidence,
        text: ground.claim.text.clone(),
        evidence: ground.claim.evidence.clone(),
    }
}

fn zone(state: &ZoneState) -> ZoneDocument {
    ZoneDocument {
        node: state.node,
        name: state.name.clone(),
        free_bytes: state.free,
        min_bytes: state.min,
        low_bytes: state.low,
        high_bytes: state.high,
        managed_bytes: state.managed,
        reserve_bytes: state.reserve,
        reachable: state.reachable,
        short: state.short,
        fitting_bytes: state.fitting,
        largest_piece_bytes: state.largest,
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

impl RecordedDocument {
    pub(super) fn of(recorded: Option<Recorded>) -> Self {
        Self {
            points: recorded.map_or(0, |recorded| recorded.points),
            from: time(recorded.map(|recorded| recorded.from)),
            to: time(recorded.map(|recorded| recorded.to)),
            growth_bytes_per_second: recorded.and_then(|recorded| recorded.bytes_per_second),
        }
    }
}
