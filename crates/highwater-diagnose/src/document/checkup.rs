//! A check-up.

use highwater_core::event::Grower;
use highwater_core::evidence::Claim;
use highwater_core::frame::Stall;
use highwater_core::growth::{Resource, Verdict};
use highwater_core::testimony::Witness;
use highwater_core::time::WallTime;
use highwater_core::units::Bytes;
use serde::Serialize;

use super::inquest::StuckDocument;
use super::{SCHEMA, bytes, limit, time};
use crate::checkup::{
    Checkup, Finding, Growing, Holder, Lives, PastDeath, ProcessUse, Recorder, Severity, Subject,
    Values,
};
use crate::finding::unit;
use crate::growth::Ceiling;
use crate::inquest::restarts::Story;

/// The answer of `checkup`.
#[derive(Clone, Debug, Serialize)]
pub struct CheckupDocument {
    schema: u32,
    time: String,
    up_seconds: f64,
    severity: Severity,
    urgent: Vec<FindingDocument>,
    memory: Memory,
    pressure: Pressure,
    owners: Vec<HolderDocument>,
    processes: Vec<ProcessDocument>,
    process_count: usize,
    kills_since_boot: Option<u64>,
    deaths: Vec<PastDeathDocument>,
    deaths_gap: Option<String>,
    ends: EndsDocument,
    growth: Option<GrowingDocument>,
    unlimited: Vec<String>,
    recorder: Option<RecorderDocument>,
    notes: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
struct FindingDocument {
    severity: Severity,
    subject: Subject,
    values: Values,
    #[serde(flatten)]
    claim: Claim,
}

#[derive(Clone, Debug, Serialize)]
#[expect(clippy::struct_field_names, reason = "the names are the document's")]
struct Memory {
    total_bytes: Option<u64>,
    available_bytes: Option<u64>,
    free_bytes: Option<u64>,
    anon_bytes: Option<u64>,
    cache_bytes: Option<u64>,
    shmem_bytes: Option<u64>,
    kernel_bytes: Option<u64>,
    low_watermark_bytes: Option<u64>,
    min_watermark_bytes: Option<u64>,
    swap_total_bytes: Option<u64>,
    swap_free_bytes: Option<u64>,
}

#[derive(Clone, Debug, Serialize)]
struct Pressure {
    some: Option<StallDocument>,
    full: Option<StallDocument>,
}

#[derive(Clone, Debug, Serialize)]
struct RecorderDocument {
    place: String,
    running: Option<bool>,
    used_bytes: u64,
    budget_bytes: Option<u64>,
    newest: Option<String>,
    raw_from: Option<String>,
    minutes_from: Option<String>,
    ten_minutes_from: Option<String>,
    trouble: Option<String>,
    waiting_readings: u64,
    slowed: Vec<String>,
    memory_tight: bool,
}

#[derive(Clone, Debug, Serialize)]
struct StallDocument {
    avg10_percent: f64,
    avg60_percent: f64,
    avg300_percent: f64,
    total_us: u64,
}

#[derive(Clone, Debug, Serialize)]
struct HolderDocument {
    owner: String,
    cgroup: String,
    usage_bytes: Option<u64>,
    anon_bytes: u64,
    working_set_bytes: Option<u64>,
    limit_bytes: Option<u64>,
    limited_by: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
struct ProcessDocument {
    pid: u32,
    comm: String,
    anon_bytes: u64,
    resident_bytes: u64,
    swap_bytes: Option<u64>,
    owner: Option<String>,
}

/// What the recording tells of ends and starts.
#[derive(Clone, Debug, Serialize)]
struct EndsDocument {
    unwanted_last_day: usize,
    by_cause: Vec<CountDocument>,
    storms: Vec<String>,
    given_up: Vec<String>,
    stuck: Vec<StuckDocument>,
    unheard: Vec<UnheardDocument>,
}

#[derive(Clone, Debug, Serialize)]
struct CountDocument {
    cause: &'static str,
    count: usize,
}

#[derive(Clone, Debug, Serialize)]
struct UnheardDocument {
    witness: Witness,
    why: String,
}

/// What grows: the fields are those of `leaks`.
#[derive(Clone, Debug, Serialize)]
struct GrowingDocument {
    at: Option<String>,
    by: &'static str,
    items: Vec<GrowthItemDocument>,
}

#[derive(Clone, Debug, Serialize)]
struct GrowthItemDocument {
    owner: Grower,
    resource: Resource,
    unit: &'static str,
    verdict: Verdict,
    root_cause: Option<String>,
    rate_bytes_per_hour: Option<f64>,
    rate_low: Option<f64>,
    rate_high: Option<f64>,
    confidence: f64,
    since: Option<String>,
    current_bytes: u64,
    limit_bytes: Option<u64>,
    seconds_to_limit: Option<u64>,
    seconds_low: Option<u64>,
    seconds_high: Option<u64>,
    claims: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
struct PastDeathDocument {
    time: Option<String>,
    victim: String,
    limit_owner: Option<String>,
}

impl From<&Checkup> for CheckupDocument {
    fn from(checkup: &Checkup) -> Self {
        let pressure = checkup.pressure.unwrap_or_default();
        Self {
            schema: SCHEMA,
            time: checkup.at.to_string(),
            up_seconds: checkup.up.seconds(),
            severity: checkup.severity,
            urgent: checkup.urgent.iter().map(finding).collect(),
            memory: memory(checkup),
            pressure: Pressure { some: pressure.some.map(stall), full: pressure.full.map(stall) },
            owners: checkup.owners.iter().map(holder).collect(),
            processes: checkup.processes.iter().map(process).collect(),
            process_count: checkup.process_count,
            kills_since_boot: checkup.kills_since_boot,
            deaths: checkup.deaths.iter().map(past_death).collect(),
            deaths_gap: checkup.deaths_gap.clone(),
            ends: ends(&checkup.lives, checkup.at),
            growth: checkup.growing.as_ref().map(growing),
            unlimited: checkup.unlimited.iter().map(|holder| holder.owner.clone()).collect(),
            recorder: checkup.recorder.as_ref().map(recorder),
            notes: checkup.notes.clone(),
        }
    }
}

fn ends(lives: &Lives, now: WallTime) -> EndsDocument {
    let counts = lives.by_cause(now).into_iter();
    let named = |is: fn(&Story) -> bool| {
        let stories = lives.stories.iter().filter(|story| is(story));
        stories.map(|story| story.owner.to_string()).collect()
    };
    let sight = lives.sight.iter().flat_map(|sight| &sight.witnesses);
    EndsDocument {
        unwanted_last_day: lives.of_last_day(now).len(),
        by_cause: counts
            .map(|(cause, count)| CountDocument { cause: cause.as_str(), count })
            .collect(),
        storms: named(|story| !story.storms.is_empty()),
        given_up: named(|story| story.is_given_up),
        stuck: lives.stuck.iter().map(StuckDocument::new).collect(),
        unheard: sight
            .filter_map(|one| {
                Some(UnheardDocument { witness: one.witness, why: one.absent.clone()? })
            })
            .collect(),
    }
}

fn finding(finding: &Finding) -> FindingDocument {
    FindingDocument {
        severity: finding.severity,
        subject: finding.subject,
        values: finding.values.clone(),
        claim: finding.claim.clone(),
    }
}

fn growing(growing: &Growing) -> GrowingDocument {
    GrowingDocument {
        at: time(growing.judged),
        by: if growing.by_agent { "agent" } else { "checkup" },
        items: growing.found.iter().map(growth_item).collect(),
    }
}

fn growth_item(found: &highwater_core::event::Finding) -> GrowthItemDocument {
    let whole = |value: f64| Bytes::from_f64(value).get();
    // As `leaks` has it: where only the machine's memory ends it, no limit is set.
    let limit = found.limit.as_ref().filter(|limit| limit.kind != Ceiling::Machine.name());
    GrowthItemDocument {
        owner: found.owner.clone(),
        resource: found.resource,
        unit: unit(found).name(),
        verdict: found.verdict,
        root_cause: found.cause.clone(),
        rate_bytes_per_hour: found.rate.map(|rate| rate.per_hour),
        rate_low: found.rate.map(|rate| rate.low),
        rate_high: found.rate.map(|rate| rate.high),
        confidence: found.confidence,
        since: time(found.since),
        current_bytes: whole(found.current),
        limit_bytes: limit.map(|limit| whole(limit.at)),
        seconds_to_limit: found.left.map(|left| left.seconds),
        seconds_low: found.left.map(|left| left.soonest),
        seconds_high: found.left.and_then(|left| left.latest),
        claims: found.claims.clone(),
    }
}

fn memory(checkup: &Checkup) -> Memory {
    let memory = &checkup.memory;
    Memory {
        total_bytes: bytes(memory.total),
        available_bytes: bytes(memory.available),
        free_bytes: bytes(memory.free),
        anon_bytes: bytes(memory.anon),
        cache_bytes: bytes(memory.cache),
        shmem_bytes: bytes(memory.shmem),
        kernel_bytes: bytes(memory.kernel),
        low_watermark_bytes: bytes(memory.low),
        min_watermark_bytes: bytes(memory.min),
        swap_total_bytes: bytes(memory.swap_total),
        swap_free_bytes: bytes(memory.swap_free),
    }
}

fn recorder(recorder: &Recorder) -> RecorderDocument {
    RecorderDocument {
        place: recorder.place.clone(),
        running: recorder.is_running,
        used_bytes: recorder.used.get(),
        budget_bytes: bytes(recorder.budget),
        newest: time(recorder.newest),
        raw_from: time(recorder.raw_from),
        minutes_from: time(recorder.minutes_from),
        ten_minutes_from: time(recorder.ten_minutes_from),
        trouble: recorder.trouble.clone(),
        waiting_readings: recorder.backlog,
        slowed: recorder.slowed.clone(),
        memory_tight: recorder.is_tight,
    }
}

fn stall(stall: Stall) -> StallDocument {
    StallDocument {
        avg10_percent: stall.avg10,
        avg60_percent: stall.avg60,
        avg300_percent: stall.avg300,
        total_us: stall.total_us,
    }
}

fn holder(holder: &Holder) -> HolderDocument {
    HolderDocument {
        owner: holder.owner.clone(),
        cgroup: holder.path.clone(),
        usage_bytes: bytes(holder.usage),
        anon_bytes: holder.anon.get(),
        working_set_bytes: bytes(holder.working_set),
        limit_bytes: limit(holder.limit),
        limited_by: holder.limited_by.clone(),
    }
}

fn process(process: &ProcessUse) -> ProcessDocument {
    ProcessDocument {
        pid: process.pid.get(),
        comm: process.comm.clone(),
        anon_bytes: process.anon.get(),
        resident_bytes: process.resident.get(),
        swap_bytes: bytes(process.swap),
        owner: process.owner.clone(),
    }
}

fn past_death(death: &PastDeath) -> PastDeathDocument {
    PastDeathDocument {
        time: time(death.wall),
        victim: death.victim.clone(),
        limit_owner: death.limit_owner.clone(),
    }
}
