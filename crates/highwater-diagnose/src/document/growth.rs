//! What grows.

use std::time::Duration;

use highwater_core::evidence::{Claim, Evidence};
use highwater_core::growth::{Resource, Verdict};
use highwater_core::units::Bytes;
use serde::Serialize;

use super::{SCHEMA, time};
use crate::growth::{Bound, Ground, Growth, Item, Weighed, Whose};

/// The answer of `leaks`.
#[derive(Clone, Debug, Serialize)]
pub struct GrowthDocument {
    schema: u32,
    at: String,
    since: String,
    items: Vec<ItemDocument>,
    notes: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
struct ItemDocument {
    owner: OwnerDocument,
    resource: Resource,
    kind: Resource,
    unit: &'static str,
    verdict: Verdict,
    root_cause: Option<&'static str>,
    rate_bytes_per_hour: Option<f64>,
    rate_low: Option<f64>,
    rate_high: Option<f64>,
    confidence: f64,
    since: Option<String>,
    current_bytes: Option<u64>,
    limit_bytes: Option<u64>,
    limit: Option<LimitDocument>,
    seconds_to_limit: Option<u64>,
    seconds_low: Option<u64>,
    seconds_high: Option<u64>,
    claims: Vec<GroundDocument>,
    root_causes: Vec<CauseDocument>,
}

#[derive(Clone, Debug, Serialize)]
struct OwnerDocument {
    kind: &'static str,
    id: String,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<String>,
}

/// What is reached first: the limit as it is set, and what the value may be until then.
#[derive(Clone, Debug, Serialize)]
struct LimitDocument {
    kind: &'static str,
    bytes: u64,
    level_bytes: u64,
    evidence: Evidence,
}

#[derive(Clone, Debug, Serialize)]
struct GroundDocument {
    speaks: &'static str,
    #[serde(flatten)]
    claim: Claim,
}

#[derive(Clone, Debug, Serialize)]
struct CauseDocument {
    cause: &'static str,
    holds: bool,
    #[serde(rename = "for")]
    pro: Vec<Claim>,
    against: Vec<Claim>,
}

impl From<Growth> for GrowthDocument {
    fn from(growth: Growth) -> Self {
        Self {
            schema: SCHEMA,
            at: growth.at.to_string(),
            since: growth.from.to_string(),
            items: growth.items.into_iter().map(item).collect(),
            notes: growth.notes,
        }
    }
}

fn item(item: Item) -> ItemDocument {
    let seconds = |span: Duration| span.as_secs();
    let limit = item.limit().map(whole);
    ItemDocument {
        owner: owner(&item.whose),
        resource: item.resource,
        kind: item.resource,
        unit: item.unit.name(),
        verdict: item.verdict,
        root_cause: item.cause.map(crate::growth::Cause::name),
        rate_bytes_per_hour: item.rate.map(|rate| rate.per_hour),
        rate_low: item.rate.map(|rate| rate.low),
        rate_high: item.rate.map(|rate| rate.high),
        confidence: item.confidence,
        since: time(item.since),
        current_bytes: Some(whole(item.current)),
        limit_bytes: limit,
        limit: item.bound.map(bound),
        seconds_to_limit: item.left.map(|left| seconds(left.likely)),
        seconds_low: item.left.map(|left| seconds(left.soonest)),
        seconds_high: item.left.and_then(|left| left.latest).map(seconds),
        claims: item.grounds.into_iter().map(ground).collect(),
        root_causes: item.causes.into_iter().map(cause).collect(),
    }
}

/// A number of whole bytes or things.
fn whole(value: f64) -> u64 {
    Bytes::from_f64(value).get()
}

fn owner(whose: &Whose) -> OwnerDocument {
    OwnerDocument {
        kind: whose.kind,
        id: whose.id.clone(),
        name: whose.name.clone(),
        host: whose.host.clone(),
    }
}

fn bound(bound: Bound) -> LimitDocument {
    LimitDocument {
        kind: bound.ceiling.name(),
        bytes: whole(bound.limit),
        level_bytes: whole(bound.level),
        evidence: bound.evidence,
    }
}

fn ground(ground: Ground) -> GroundDocument {
    GroundDocument {
        speaks: if ground.speaks_for { "for" } else { "against" },
        claim: ground.claim,
    }
}

fn cause(weighed: Weighed) -> CauseDocument {
    CauseDocument {
        cause: weighed.cause.name(),
        holds: weighed.holds,
        pro: weighed.pro,
        against: weighed.contra,
    }
}
