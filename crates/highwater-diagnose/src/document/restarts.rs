//! The lives of units and containers.

use std::time::Duration;

use highwater_core::evidence::Claim;
use highwater_core::time::WallTime;
use serde::Serialize;

use super::inquest::{OwnerDocument, StatusDocument};
use super::{SCHEMA, bytes, time};
use crate::death::Confidence;
use crate::inquest::restarts::{Brake, Chapter, End, Memory, Period, Storm, Story};

/// The answer of `restarts`.
#[derive(Clone, Debug, Serialize)]
pub struct RestartsDocument {
    schema: u32,
    since: Option<String>,
    until: String,
    window_seconds: f64,
    owners: Vec<StoryDocument>,
    notes: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
struct StoryDocument {
    owner: OwnerDocument,
    ends: usize,
    unwanted_ends: usize,
    restarts: usize,
    unwanted_restarts: usize,
    deaths_of_children: usize,
    given_up: bool,
    brake: Brake,
    restart_policy: Option<String>,
    storms: Vec<StormDocument>,
    period: Option<PeriodDocument>,
    miss_chances: Vec<MissDocument>,
    lives: Vec<LifeDocument>,
    claims: Vec<Claim>,
}

#[derive(Clone, Debug, Serialize)]
struct StormDocument {
    from: String,
    to: String,
    ends: usize,
}

#[derive(Clone, Debug, Serialize)]
struct PeriodDocument {
    every_seconds: f64,
    spread_seconds: f64,
    gaps: usize,
    share_of_limit_permille: Option<u32>,
    sawtooth: bool,
}

#[derive(Clone, Debug, Serialize)]
struct MissDocument {
    scrape_seconds: f64,
    chance: f64,
}

#[derive(Clone, Debug, Serialize)]
struct LifeDocument {
    started: Option<String>,
    ended: Option<String>,
    up_seconds: Option<f64>,
    down_seconds: Option<f64>,
    pid: Option<u32>,
    cgroup: Option<String>,
    cause: Option<&'static str>,
    confidence: Option<Confidence>,
    wanted: Option<bool>,
    status: Option<StatusDocument>,
    signal: Option<String>,
    summary: Option<String>,
    memory: MemoryDocument,
}

#[derive(Clone, Debug, Serialize)]
#[expect(clippy::struct_field_names, reason = "the names are the document's")]
struct MemoryDocument {
    start_bytes: Option<u64>,
    peak_bytes: Option<u64>,
    death_bytes: Option<u64>,
    limit_bytes: Option<u64>,
}

impl RestartsDocument {
    /// The stories of what happened from `since` until `until`.
    pub fn new(
        stories: &[Story],
        span: (Option<WallTime>, WallTime),
        window: Duration,
        scrapes: &[Duration],
        notes: Vec<String>,
    ) -> Self {
        Self {
            schema: SCHEMA,
            since: time(span.0),
            until: span.1.to_string(),
            window_seconds: window.as_secs_f64(),
            owners: stories.iter().map(|story| StoryDocument::of(story, scrapes)).collect(),
            notes,
        }
    }
}

impl StoryDocument {
    fn of(story: &Story, scrapes: &[Duration]) -> Self {
        let miss = |every: &Duration| {
            let chance = story.miss_chance(*every)?;
            Some(MissDocument { scrape_seconds: every.as_secs_f64(), chance })
        };
        Self {
            owner: OwnerDocument::of(&story.owner),
            ends: story.chapters.iter().filter(|one| one.ended.is_some()).count(),
            unwanted_ends: story.unwanted().count(),
            restarts: story.starts_again(),
            unwanted_restarts: story.restarts(),
            deaths_of_children: story.children,
            given_up: story.is_given_up,
            brake: story.brake,
            restart_policy: story.limits.as_ref().and_then(|limits| limits.restart.clone()),
            storms: story.storms.iter().map(StormDocument::of).collect(),
            period: story.period.as_ref().map(PeriodDocument::of),
            miss_chances: scrapes.iter().filter_map(miss).collect(),
            lives: story.chapters.iter().map(LifeDocument::of).collect(),
            claims: story.claims.clone(),
        }
    }
}

impl StormDocument {
    fn of(storm: &Storm) -> Self {
        Self { from: storm.from.to_string(), to: storm.to.to_string(), ends: storm.ends }
    }
}

impl PeriodDocument {
    fn of(period: &Period) -> Self {
        Self {
            every_seconds: period.every.as_secs_f64(),
            spread_seconds: period.spread.as_secs_f64(),
            gaps: period.gaps,
            share_of_limit_permille: period.height.map(highwater_core::units::Permille::get),
            sawtooth: period.is_sawtooth,
        }
    }
}

impl LifeDocument {
    fn of(one: &Chapter) -> Self {
        let end = one.end.as_ref();
        Self {
            started: time(one.started),
            ended: time(one.ended),
            up_seconds: one.uptime().as_ref().map(Duration::as_secs_f64),
            down_seconds: one.down.as_ref().map(Duration::as_secs_f64),
            pid: one.first.map(highwater_core::id::Pid::get),
            cgroup: one.cgroup.as_ref().map(ToString::to_string),
            cause: end.map(|end| end.cause.as_str()),
            confidence: end.map(|end| end.confidence),
            wanted: one.ended.map(|_| !one.is_unwanted()),
            status: end.and_then(|end: &End| end.status).map(StatusDocument::of),
            signal: end.and_then(|end| end.signal).map(|signal| signal.to_string()),
            summary: end.map(|end| end.summary.clone()),
            memory: MemoryDocument::of(&one.memory),
        }
    }
}

impl MemoryDocument {
    fn of(memory: &Memory) -> Self {
        Self {
            start_bytes: bytes(memory.at_start),
            peak_bytes: bytes(memory.peak),
            death_bytes: bytes(memory.at_end),
            limit_bytes: bytes(memory.limit),
        }
    }
}
