//! Whose a growth is that shows in several places: the machine's sums are those of its owners, a
//! file system's those of its files.

use std::collections::{BTreeMap, BTreeSet};

use highwater_core::growth::{Resource, Verdict};
use highwater_detect::Reason;

use super::Caveat;
use super::draft::Draft;
use super::owners::{Key, key};
use super::places::{Place, place_of};

/// Parts that grow by this share of the whole explain it.
const EXPLAINED: f64 = 0.5;

/// Twins grow alike if their rates are within this factor of each other.
const ALIKE: f64 = 2.0;

/// So many more twins are named.
const NAMED: usize = 4;

/// What agreement of twins takes away of the doubt.
const TWIN_DOUBT: f64 = 0.7;

/// Names the part that explains each sum that grows, and accuses the sum no longer.
pub(super) fn explain(drafts: &mut [Draft], places: &[Place]) {
    let mut found: Vec<(usize, String)> = Vec::new();
    let is_sum = |draft: &Draft| matches!(draft.whose.kind, "machine" | "filesystem");
    let wholes = drafts.iter().enumerate().filter(|(_, draft)| is_sum(draft) && draft.rises());
    for (at, whole) in wholes {
        let parts = drafts.iter().enumerate().filter(|(other, part)| {
            *other != at
                && part.rises()
                && part.host() == whole.host()
                && is_part(part, whole, places)
        });
        let mut parts: Vec<&Draft> = parts.map(|(_, part)| part).collect();
        parts.sort_by(|a, b| b.per_hour().total_cmp(&a.per_hour()));
        // What shows in several places (a log, its file system, its writer's cgroup) is one growth:
        // the parts of the largest family count.
        let mut sums: BTreeMap<(&str, Resource), f64> = BTreeMap::new();
        for part in &parts {
            *sums.entry((part.whose.kind, part.resource)).or_default() += part.per_hour();
        }
        let owners: f64 =
            sums.iter().filter(|((kind, _), _)| is_owner(kind)).map(|(_, sum)| sum).sum();
        let most = sums.values().fold(owners, |most, sum| most.max(*sum));
        if most >= whole.per_hour() * EXPLAINED
            && let Some(largest) = parts.first()
        {
            found.push((at, format!("{} of {}", largest.resource, largest.whose)));
        }
    }
    for (at, whose) in found {
        let Some(draft) = drafts.get_mut(at) else { continue };
        draft.explained = Some(whose);
        if draft.verdict == Verdict::Leak {
            draft.verdict = Verdict::Growing;
        }
    }
}

fn is_owner(kind: &str) -> bool {
    !matches!(kind, "machine" | "filesystem" | "log" | "docker")
}

/// Whether `part` is counted in `whole`.
fn is_part(part: &Draft, whole: &Draft, places: &[Place]) -> bool {
    let kind = part.whose.kind;
    if whole.whose.is_machine() {
        let is_tmpfs = kind == "filesystem" || (kind == "log" && in_memory(part, places));
        return match whole.resource {
            Resource::Anon
                if whole.caveat == Some(Caveat::Used) || whole.caveat == Some(Caveat::Share) =>
            {
                part.unit == super::Unit::Bytes
                    && whole.unit == super::Unit::Bytes
                    && ((is_owner(kind) && is_held(part.resource))
                        || (kind == "machine"
                            && is_held(part.resource)
                            && part.resource != Resource::Anon))
            }
            Resource::Shmem if part.resource == Resource::Shmem || kind == "log" => {
                is_owner(kind) || is_tmpfs
            }
            resource => is_owner(kind) && part.resource == resource,
        };
    }
    if whole.whose.kind == "filesystem" {
        let on_it = |path: &str| {
            place_of(path, whole.host(), places)
                .is_some_and(|place| place.point == whole.labels.get("mountpoint"))
        };
        return match kind {
            "log" => on_it(part.labels.get("path")),
            "docker" => on_it("/var/lib/docker"),
            _ => false,
        };
    }
    false
}

/// Kinds of memory that are not available to others while somebody has them.
fn is_held(resource: Resource) -> bool {
    !resource.is_reclaimable() && !resource.is_count() && resource != Resource::Swap
}

/// What is counted and at least doubles while the same owner's memory leaks.
const DOUBLES: f64 = 2.0;

/// Accuses nobody of a working set that grows with the cache of its owner: it is cache in use.
pub(super) fn in_use(drafts: &mut [Draft]) {
    let caches: BTreeMap<Key, f64> = (drafts.iter())
        .filter(|draft| draft.resource == Resource::Cache && draft.rises())
        .map(|draft| (key(&draft.whose), draft.per_hour()))
        .collect();
    for draft in drafts.iter_mut().filter(|draft| draft.verdict == Verdict::Leak) {
        let cache = caches.get(&key(&draft.whose)).copied().unwrap_or(0.0);
        if draft.caveat == Some(Caveat::WorkingSet) && cache >= draft.per_hour() * EXPLAINED {
            draft.verdict = Verdict::Growing;
            draft.explained = Some(format!("cache of {}", draft.whose));
        }
    }
}

/// Accuses descriptors, threads and processes that grow with a leak of their owner's memory: each
/// is a sign of the other, and a life that ends for want of memory ends before they run out.
pub(super) fn companions(drafts: &mut [Draft]) {
    let leaking: BTreeSet<Key> = (drafts.iter())
        .filter(|draft| draft.verdict == Verdict::Leak && !draft.resource.is_count())
        .filter(|draft| !draft.whose.is_machine())
        .map(|draft| key(&draft.whose))
        .collect();
    for draft in drafts.iter_mut().filter(|draft| draft.verdict == Verdict::Growing) {
        let rate = draft.judgement.rate.map_or(0.0, |rate| rate.low);
        let reached = draft.judgement.lives.map_or(0.0, |lives| lives.level_at_end);
        let reached = reached.max(draft.judgement.current);
        let doubles = reached >= draft.first.value.max(1.0) * DOUBLES;
        if draft.resource.is_count()
            && rate > 0.0
            && doubles
            && leaking.contains(&key(&draft.whose))
        {
            draft.verdict = Verdict::Leak;
            draft.judgement.reasons.push(Reason {
                speaks_for: true,
                text: "memory of the same owner leaks at the same time".to_owned(),
                values: Vec::new(),
            });
        }
    }
}

/// Whether a log's file is on a file system that is memory.
pub(super) fn in_memory(log: &Draft, places: &[Place]) -> bool {
    let place = place_of(log.labels.get("path"), log.host(), places);
    place.is_some_and(|place| place.is_memory)
}

/// The replicas of one service that grow alike.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Twins {
    /// How many grow alike, itself among them, and how many there are.
    pub(super) alike: usize,
    pub(super) all: usize,
    /// Some of the others.
    pub(super) names: Vec<String>,
}

impl Twins {
    /// `confidence`, strengthened by twins that agree.
    pub(super) fn strengthen(&self, confidence: f64) -> f64 {
        let others = self.alike.saturating_sub(1).min(4);
        let doubt = (0..others).fold(1.0 - confidence, |doubt, _| doubt * TWIN_DOUBT);
        1.0 - doubt
    }
}

/// The twins of each draft.
pub(super) fn twins(drafts: &[Draft]) -> Vec<Twins> {
    let mut services: BTreeMap<(&str, &str, Resource), Vec<&Draft>> = BTreeMap::new();
    for draft in drafts.iter().filter(|draft| is_owner(draft.whose.kind)) {
        let key = (draft.whose.kind, draft.whose.service(), draft.resource);
        services.entry(key).or_default().push(draft);
    }
    let of = |draft: &Draft| {
        let key = (draft.whose.kind, draft.whose.service(), draft.resource);
        let all = services.get(&key).filter(|all| all.len() > 1 && draft.rises());
        let Some(all) = all else { return Twins::default() };
        let alike: Vec<&&Draft> = all.iter().filter(|twin| grow_alike(draft, twin)).collect();
        let others = alike.iter().filter(|twin| twin.whose != draft.whose);
        Twins {
            alike: alike.len(),
            all: all.len(),
            names: others.take(NAMED).map(|twin| twin.whose.to_string()).collect(),
        }
    };
    drafts.iter().map(of).collect()
}

fn grow_alike(a: &Draft, b: &Draft) -> bool {
    let (a, b) = (a.rises().then(|| a.per_hour()), b.rises().then(|| b.per_hour()));
    a.zip(b).is_some_and(|(a, b)| a <= b * ALIKE && b <= a * ALIKE)
}
