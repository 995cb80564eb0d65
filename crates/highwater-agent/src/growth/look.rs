//! One look: what the child does, and what it answers.

use std::collections::BTreeMap;
use std::fs;

use highwater_core::event::{Finding, Grower, Grown, Happening};
use highwater_core::growth::Resource;
use highwater_core::owner::Owner;
use highwater_core::time::WallTime;
use highwater_diagnose::finding::findings;
use highwater_diagnose::growth::{Options, survey};
use highwater_store::{EventFilter, Reader};
use rustix::process::{
    Resource as Bound, Rlimit, Signal, nice, set_parent_process_death_signal, setrlimit,
};
use serde::{Deserialize, Serialize};

use super::child::MOST_CPU;
use crate::clock;

/// So many growths are shown and told, the most urgent: more than that is one story with many names,
/// and each is two series.
pub(super) const MOST: usize = 64;

/// So many events of growths are read, the newest: each that is on is told once a day.
const MOST_EVENTS: usize = 4_096;

/// What a look may allocate: it counts with the agent, which its unit gives 192 MiB before it is slowed.
const MOST_DATA: u64 = 128 << 20;

/// A growth is told by whose it is and of what.
pub(super) type Key = (String, String, Resource);

/// The key of a finding.
pub(super) fn key(finding: &Finding) -> Key {
    let (kind, own) = Grower::key(&finding.owner);
    (kind.to_owned(), own.to_owned(), finding.resource)
}

/// What a look found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Look {
    /// As of when, which is the newest reading.
    pub at: WallTime,
    /// The processor time that it cost, in microseconds.
    pub cpu_us: u64,
    /// How many courses were judged.
    pub courses: u64,
    /// What was told before and is not over, and when that was last told.
    pub told: Vec<(WallTime, Finding)>,
    /// What grows, the most urgent first, and what was told before, as it is now.
    pub found: Vec<Finding>,
}

/// Judges what `reader` has at `now`. What was told is read back as far as `told_since`.
pub fn look(
    reader: &Reader,
    now: WallTime,
    told_since: WallTime,
    owners: &BTreeMap<String, Owner>,
) -> Result<Look, Box<dyn std::error::Error + Send + Sync>> {
    let told = standing(reader, told_since)?;
    let newest = reader.info()?.newest;
    let at = newest.unwrap_or(now).min(now);
    let options = Options { since: None, owners: Some(owners) };
    let growth = survey(reader, at, options)?;
    let is_known = |found: &Finding| {
        let sought = key(found);
        told.iter().any(|(_, known)| key(known) == sought)
    };
    Ok(Look {
        at,
        courses: u64::try_from(growth.items.len()).unwrap_or(u64::MAX),
        found: findings(&growth, MOST, &is_known),
        told,
        cpu_us: u64::try_from(clock::cpu().as_micros()).unwrap_or(u64::MAX),
    })
}

/// The growths that are on, by what is recorded of them from `since` on; each with the moment at
/// which it was last told.
pub fn standing(
    reader: &Reader,
    since: WallTime,
) -> Result<Vec<(WallTime, Finding)>, highwater_store::StoreError> {
    let filter = EventFilter {
        since: Some(since),
        kind: Some("growth"),
        limit: Some(MOST_EVENTS),
        ..EventFilter::default()
    };
    let mut on: BTreeMap<Key, (WallTime, Finding)> = BTreeMap::new();
    for stored in reader.events(&filter)? {
        let Happening::Growth(grown) = stored.event.what else { continue };
        let Grown { turn, finding } = *grown;
        if turn.is_end() {
            on.remove(&key(&finding));
        } else {
            on.insert(key(&finding), (stored.event.wall, finding));
        }
    }
    Ok(on.into_values().collect())
}

/// Makes this process give way to every other in processor time. It ends rather than take more than a
/// look can need. What is refused is done without.
pub fn be_modest() {
    const LEAST_URGENT: i32 = 19;
    // Neither spared, as the agent is, nor given up before whoever took the memory: it is small.
    const LIKE_ANY_OTHER: &str = "0";
    let _no_nicer = nice(LEAST_URGENT);
    let _as_it_was = fs::write("/proc/self/oom_score_adj", LIKE_ANY_OTHER);
    let most = |amount: u64| Rlimit { current: Some(amount), maximum: Some(amount) };
    let _unbounded = setrlimit(Bound::Data, most(MOST_DATA));
    let _unbounded = setrlimit(Bound::Cpu, most(MOST_CPU.as_secs()));
    // An agent that is killed leaves nobody behind.
    let _outlives = set_parent_process_death_signal(Some(Signal::KILL));
    let _named_after_the_file = rustix::thread::set_name(c"highwater-look");
}
