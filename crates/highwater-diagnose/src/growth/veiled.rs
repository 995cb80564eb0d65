//! Shared memory that hides in the cache: where nobody counts it by owner, as with cAdvisor.
//!
//! Files on tmpfs and shared memory are counted as cache, but cannot be dropped. What gives them
//! away: they stay in the working set, and the machine's own count of shared memory rises with them,
//! or what is available on it falls.

use std::collections::BTreeMap;

use highwater_core::growth::{Resource, Verdict};
use highwater_core::series::{Keep, SourceError};

use super::bounds::Bounds;
use super::draft::{Bench, Draft, Subject};
use super::history::{History, together};
use super::owners::{Key, key};
use super::strand::{Strand, of_metric};

const CACHE: &str = "container_memory_cache";
const SET: &str = "container_memory_working_set_bytes";
const RSS: &str = "container_memory_rss";

/// The machine's count rises alike if it rises at least by this share of the owner's.
const ALIKE: f64 = 0.5;

/// Adds what is hidden in the caches that grow.
pub(super) fn unveil(
    history: History<'_>,
    bench: &Bench<'_>,
    bounds: &Bounds,
    drafts: &mut Vec<Draft>,
) -> Result<(), SourceError> {
    let suspects: BTreeMap<Key, usize> = (drafts.iter().enumerate())
        .filter(|(_, draft)| is_suspect(draft, drafts))
        .map(|(at, draft)| (key(&draft.whose), at))
        .collect();
    if suspects.is_empty() {
        return Ok(());
    }
    let mut found = Vec::new();
    let is_suspected = |key: &Key| suspects.contains_key(key);
    history.each_owner(
        &[CACHE, SET, RSS],
        (Keep::Last, &bounds.hosts),
        &is_suspected,
        &mut |mut series| {
            let [cache, set, rss] =
                [CACHE, SET, RSS].map(|metric| of_metric(&mut series, metric, &bounds.hosts));
            let Some(cache) = cache else { return };
            let Some(at) = suspects.get(&key(&cache.whose)) else { return };
            let Some(draft) = drafts.get(*at) else { return };
            let kept = kept(&cache, set.as_ref(), rss.as_ref());
            let kept = Strand { begins: draft.begins.clone(), ..kept };
            let current = kept.points.last().map_or(0.0, |point| point.value);
            let anon = rss.as_ref().and_then(|anon| anon.points.last());
            let beside = anon.map_or(0.0, |point| point.value);
            let bound = bounds.of_memory(&kept.whose, current, beside);
            let subject = Subject::of(Resource::Shmem).within(bound);
            let judged = bench.judge(kept, subject, &[]);
            found.extend(
                judged.filter(|judged| is_shown(judged, drafts)).map(|judged| (*at, judged)),
            );
        },
    )?;
    found.sort_by_key(|(at, _)| *at);
    for (at, judged) in found {
        // What was hidden in it is all that grew of it.
        if let Some(cache) = drafts.get_mut(at).filter(|cache| grows_as_much(&judged, cache)) {
            cache.verdict = Verdict::Steady;
        }
        drafts.push(judged);
    }
    Ok(())
}

/// What of a cache may be shared memory: what is in the working set and not anonymous; all of it
/// where that is not on record.
fn kept(cache: &Strand, set: Option<&Strand>, anon: Option<&Strand>) -> Strand {
    let Some(set) = set else { return cache.clone() };
    let mut kept = set.clone();
    if let Some(anon) = anon {
        kept.points = together(&kept.points, &anon.points, |set, anon| (set - anon).max(0.0));
    }
    kept.points = together(&kept.points, &cache.points, f64::min);
    kept
}

/// An owner's cache that grows, while nobody counts its shared memory.
fn is_suspect(draft: &Draft, drafts: &[Draft]) -> bool {
    let is_counted = || {
        let own = key(&draft.whose);
        let of_it = |other: &Draft| other.resource == Resource::Shmem && key(&other.whose) == own;
        drafts.iter().any(of_it)
    };
    draft.resource == Resource::Cache && !draft.whose.is_machine() && draft.rises() && !is_counted()
}

/// Whether the machine shows that it is no cache.
fn is_shown(judged: &Draft, drafts: &[Draft]) -> bool {
    let on_machine =
        |other: &&Draft| other.whose.is_machine() && other.whose.host == judged.whose.host;
    let rises_alike =
        |other: &Draft| other.rises() && other.per_hour() >= judged.per_hour() * ALIKE;
    let of = |resource: Resource| {
        drafts.iter().filter(on_machine).find(move |other| other.resource == resource)
    };
    judged.rises()
        && match of(Resource::Shmem) {
            Some(shared) => rises_alike(shared),
            // All that is not available rises alike, and nobody's anonymous memory explains it.
            None => of(Resource::Anon)
                .is_some_and(|used| used.caveat == Some(super::Caveat::Used) && rises_alike(used)),
        }
}

fn grows_as_much(hidden: &Draft, cache: &Draft) -> bool {
    hidden.per_hour() >= cache.per_hour() * (1.0 - ALIKE / 2.0)
}
