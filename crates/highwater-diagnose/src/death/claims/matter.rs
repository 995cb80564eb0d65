//! What memory was made of, and what that rules out.

use highwater_core::evidence::Claim;
use highwater_core::units::Bytes;

use super::claim;
use crate::death::makeup::{Kind, Makeup};
use crate::death::scene::Scene;
use crate::words;

/// The victim's memory is exactly an amount that people choose as a limit.
pub(super) fn round_limit(scene: &Scene<'_>) -> Option<Claim> {
    let (kill, (held, what)) = (scene.kill?, scene.held()?);
    let limit_is_known = scene.limit.as_ref().is_some_and(|told| told.value.at().is_some());
    if !scene.is_memcg() || limit_is_known {
        return None;
    }
    let exactly = words::round(held)?;
    let text = format!(
        "{} held {exactly} of {what}: a round number, as limits are and leaks are not, so the limit was most likely that; the log does not print it",
        scene.victim_name()
    );
    claim(text, vec![scene.cite.line(kill.line)])
}

/// Page cache is given back before anybody is killed, so what is left of it did not do this.
pub(super) fn not_the_cache(scene: &Scene<'_>) -> Option<Claim> {
    let makeup = domain_makeup(scene)?;
    let anon = makeup.part(Kind::Anon)?;
    let cache = makeup.part(Kind::PageCache).or_else(|| makeup.part(Kind::CacheAndShmem));
    let (amount, evidence) = match cache {
        Some(part) => (part.amount, part.evidence.clone()),
        None => (Bytes::ZERO, anon.evidence.clone()),
    };
    let share = anon.amount.permille_of(makeup.total)?;
    let most = if share.get() > 500 {
        format!("{share} of {} was anonymous memory", makeup.of)
    } else {
        return None;
    };
    let text = format!(
        "{most}; page cache was {amount}, and clean cache is given back first: files read, logs written and images on disk did not cause this"
    );
    let mut all = vec![anon.evidence.clone(), evidence];
    all.dedup();
    claim(text, all)
}

/// RSS is what a process has mapped, charged to whichever cgroup touched it first.
pub(super) fn beyond_limit(scene: &Scene<'_>) -> Option<Claim> {
    let limit = scene.limit.as_ref().filter(|_| scene.is_memcg())?.value.at()?;
    let row = scene.tasks().iter().find(|task| task.killed && task.rss > Some(limit))?;
    let text = format!(
        "{} had {} in RAM, more than the limit of {limit}: RSS includes file pages that are charged to other cgroups, and memory charged before it came here",
        row.comm, row.rss?
    );
    claim(text, vec![scene.cite.line(row.line)])
}

/// The make-up of what ran out; that of the victim alone says nothing about the rest.
pub(super) fn domain_makeup<'s>(scene: &'s Scene<'_>) -> Option<&'s Makeup> {
    let makeup = scene.makeup.as_ref()?;
    (makeup.of != scene.victim()).then_some(makeup)
}
