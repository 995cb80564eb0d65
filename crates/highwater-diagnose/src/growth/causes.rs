//! The four root causes of a growth: a true leak, a cache that builds up, a misconfiguration, a
//! burst. Each is weighed; what speaks against it is told as well.

use highwater_core::evidence::{Claim, Evidence};
use highwater_core::growth::{Resource, Verdict};

use super::bounds::Ceiling;
use super::draft::Draft;
use super::{Caveat, Unit};

/// A limit is below the working set if the first life's floor was at this share of it already.
const TIGHT: f64 = 0.9;

/// Limits add up to too much beyond this share of the machine.
const OVERCOMMITTED: f64 = 1.0;

/// Why something grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// It takes and never gives back.
    Leak,
    /// A cache or a buffer fills, and can be given back.
    Cache,
    /// No limit, one below what is needed, or limits that add up to more than there is.
    Misconfiguration,
    /// It was much for a while.
    Burst,
}

impl Cause {
    /// As JSON has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Leak => "leak",
            Self::Cache => "cache",
            Self::Misconfiguration => "misconfiguration",
            Self::Burst => "burst",
        }
    }

    /// In a sentence.
    pub const fn said(self) -> &'static str {
        match self {
            Self::Leak => "a true leak",
            Self::Cache => "a cache or buffer that builds up",
            Self::Misconfiguration => "a misconfiguration",
            Self::Burst => "a burst",
        }
    }
}

/// A root cause, weighed.
#[derive(Clone, Debug, PartialEq)]
pub struct Weighed {
    /// Which.
    pub cause: Cause,
    /// Whether it is one, alone or among others.
    pub holds: bool,
    /// What speaks for it.
    pub pro: Vec<Claim>,
    /// What speaks against it.
    pub contra: Vec<Claim>,
}

/// What of the machine bears on the causes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Around {
    /// The owner's own limit.
    pub(super) own: Option<f64>,
    /// All limits together, and what the machine has.
    pub(super) promised: f64,
    pub(super) total: Option<f64>,
}

/// Weighs the four for `draft`; none of what neither grew nor burst.
pub(super) fn weigh(draft: &Draft, around: Around) -> (Option<Cause>, Vec<Weighed>) {
    if matches!(draft.verdict, Verdict::Steady | Verdict::Cyclic) {
        return (None, Vec::new());
    }
    let all = vec![leak(draft), cache(draft), misconfiguration(draft, around), burst(draft)];
    let first = all.iter().find(|one| one.holds).map(|one| one.cause);
    (first, all)
}

fn claim(draft: &Draft, text: String) -> Claim {
    Claim { text, evidence: vec![draft.evidence.clone()] }
}

fn leak(draft: &Draft) -> Weighed {
    let holds = draft.verdict == Verdict::Leak;
    let rate = draft.unit.rate(draft.per_hour());
    let (mut pro, mut contra) = (Vec::new(), Vec::new());
    if draft.rises() && !draft.resource.is_reclaimable() {
        pro.push(claim(draft, format!("its floor rises by {rate} and does not come down again")));
    }
    let against = match draft.verdict {
        Verdict::Cache => Some("the kernel gives it back as soon as somebody needs memory"),
        Verdict::WarmUp => Some("it rises ever more slowly towards a level of its own"),
        Verdict::LevelShift => Some("it stepped to another level and stays there"),
        Verdict::Burst => Some("it was much for a while only"),
        Verdict::Growing if draft.explained.is_some() => Some("it is the sum of others' growth"),
        Verdict::Growing => Some("it is not sure, or not much, or its load explains it"),
        _ => None,
    };
    contra.extend(against.map(|text| claim(draft, text.to_owned())));
    Weighed { cause: Cause::Leak, holds, pro, contra }
}

fn cache(draft: &Draft) -> Weighed {
    let holds = draft.verdict == Verdict::Cache;
    let (mut pro, mut contra) = (Vec::new(), Vec::new());
    match draft.resource {
        Resource::Cache => pro.push(claim(
            draft,
            "page cache grows into memory that nobody uses, and is dropped before anybody is killed"
                .to_owned(),
        )),
        Resource::SlabReclaimable => pro.push(claim(
            draft,
            "it is the kernel's cache of directory entries and inodes, which it shrinks under pressure"
                .to_owned(),
        )),
        Resource::Anon if matches!(draft.caveat, Some(Caveat::Usage | Caveat::WorkingSet)) => {
            pro.push(claim(draft, "page cache is counted in the only value on record".to_owned()));
        }
        Resource::Anon => contra.push(claim(
            draft,
            "anonymous memory has no file behind it: without swap the kernel cannot take it back"
                .to_owned(),
        )),
        Resource::Shmem => contra.push(claim(
            draft,
            "it is counted as cache, but files on tmpfs and shared memory cannot be dropped: only \
             removing them, or swap, gives the memory back"
                .to_owned(),
        )),
        Resource::Log | Resource::Images | Resource::Disk => contra.push(claim(
            draft,
            "it takes room on a disk; the page cache of it is given back and is no lack of memory"
                .to_owned(),
        )),
        _ => contra.push(claim(draft, format!("{} are no cache", draft.resource))),
    }
    Weighed { cause: Cause::Cache, holds, pro, contra }
}

fn misconfiguration(draft: &Draft, around: Around) -> Weighed {
    let (mut pro, mut contra) = (Vec::new(), Vec::new());
    let is_memory = draft.unit == Unit::Bytes && !is_on_disk(draft);
    let unlimited = is_memory
        && !draft.whose.is_machine()
        && draft.bound.as_ref().is_none_or(|bound| bound.ceiling == Ceiling::Machine)
        && around.own.is_none()
        && is_owner(draft)
        && draft.rises();
    if unlimited {
        pro.push(claim(
            draft,
            "no limit is set on it or above it: it may take all there is".into(),
        ));
    }
    if let (Some(limit), true) = (around.own, is_memory) {
        let share = draft.first.value / limit;
        let text = format!(
            "its limit is {}, and it had {} at the beginning",
            draft.unit.said(limit),
            draft.unit.said(draft.first.value)
        );
        match share {
            share if share >= TIGHT => {
                pro.push(claim(draft, format!("{text}: the limit is below what it needs")));
            }
            _ => contra.push(claim(draft, text)),
        }
    }
    if let Some(total) = around.total
        && is_memory
        && around.promised > total * OVERCOMMITTED
    {
        let text = format!(
            "the limits of all owners add up to {}, the machine has {}",
            draft.unit.said(around.promised),
            draft.unit.said(total)
        );
        pro.push(Claim { text, evidence: vec![sum_of_limits(draft)] });
    }
    let holds = !pro.is_empty() && draft.verdict != Verdict::Cache;
    Weighed { cause: Cause::Misconfiguration, holds, pro, contra }
}

fn sum_of_limits(draft: &Draft) -> Evidence {
    let text = "sum of container_spec_memory_limit_bytes".to_owned();
    Evidence { source: draft.evidence.source.clone(), line: None, text }
}

fn is_owner(draft: &Draft) -> bool {
    !matches!(draft.whose.kind, "filesystem" | "log" | "docker")
}

pub(super) fn is_on_disk(draft: &Draft) -> bool {
    matches!(draft.resource, Resource::Log | Resource::Images | Resource::Disk)
}

fn burst(draft: &Draft) -> Weighed {
    let holds = draft.verdict == Verdict::Burst;
    let (mut pro, mut contra) = (Vec::new(), Vec::new());
    if holds {
        pro.push(claim(draft, "it rose steeply and for a short time".to_owned()));
    } else if let Some(since) = draft.judgement.since.filter(|_| draft.rises()) {
        contra.push(claim(
            draft,
            format!("it has been growing since {}", super::claims::minute(since)),
        ));
    }
    Weighed { cause: Cause::Burst, holds, pro, contra }
}
