//! Kernel memory that nobody counts by kind: version 1 of cgroups tells only all of it.
//!
//! Of what kind it is shows on the machine: the kind that became more there meanwhile, by about as
//! much. Who grows fastest chooses first, and what it explains of a kind is taken from what is left to
//! be explained by others.

use std::collections::BTreeSet;

use highwater_core::growth::Resource;
use highwater_core::series::{Keep, SourceError};
use highwater_detect::Reason;

use super::bounds::Bounds;
use super::draft::{Bench, Draft, Subject};
use super::history::History;
use super::owners::{Key, key};
use super::strand::{Strand, of_metric};

/// All kernel memory of a cgroup: slabs, stacks, page tables.
const KERNEL: &str = "container_memory_kernel_usage";

/// What it may be. Stacks and page tables are its smaller part, and show in threads and in memory.
const KINDS: [Resource; 2] = [Resource::SlabReclaimable, Resource::SlabUnreclaimable];

/// An owner's growth that is less than this share of the machine's does not show there.
const LEAST: f64 = 0.25;

/// A part is no larger than the whole, but for what others gave back meanwhile.
const MOST: f64 = 1.7;

const HOUR_S: f64 = 3600.0;

/// A kind of the machine's memory that became more, and how much of that nobody explains yet.
struct Rise {
    resource: Resource,
    host: Option<String>,
    whole: f64,
    left: f64,
}

/// Adds the kernel memory of owners that grows, as what it most likely is.
pub(super) fn tell_apart(
    history: History<'_>,
    bench: &Bench<'_>,
    bounds: &Bounds,
    drafts: &mut Vec<Draft>,
) -> Result<(), SourceError> {
    let mut rises: Vec<Rise> = drafts.iter().filter_map(|draft| rise(draft, bench)).collect();
    if rises.is_empty() {
        return Ok(());
    }
    let counted: BTreeSet<Key> = (drafts.iter())
        .filter(|draft| !draft.whose.is_machine() && KINDS.contains(&draft.resource))
        .map(|draft| key(&draft.whose))
        .collect();
    let mut grown: Vec<(Strand, f64)> = Vec::new();
    let is_whole = |key: &Key| !counted.contains(key);
    let asked = (Keep::Extremes, &bounds.hosts);
    history.each_owner(&[KERNEL], asked, &is_whole, &mut |mut series| {
        let Some(strand) = of_metric(&mut series, KERNEL, &bounds.hosts) else { return };
        let subject = Subject::of(Resource::SlabUnreclaimable);
        let judged = bench.judge(strand.clone(), subject, &[]).filter(Draft::rises);
        grown.extend(judged.map(|judged| (strand, judged.per_hour())));
    })?;
    grown.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    for (strand, per_hour) in grown {
        let Some(found) = likest(&mut rises, &strand, per_hour) else { continue };
        found.left -= per_hour;
        drafts.extend(named(strand, found.resource, bench, bounds));
    }
    Ok(())
}

/// Others take and give back beside it, so a rise need not be beyond doubt to be the one.
fn rise(draft: &Draft, bench: &Bench<'_>) -> Option<Rise> {
    let is_one = draft.whose.is_machine() && KINDS.contains(&draft.resource);
    let hours = bench.at.since(draft.first.at).as_secs_f64() / HOUR_S;
    let gained = (draft.judgement.current - draft.first.value) / hours.max(f64::MIN_POSITIVE);
    let per_hour = if draft.rises() { draft.per_hour() } else { gained };
    (is_one && per_hour > 0.0).then(|| Rise {
        resource: draft.resource,
        host: draft.whose.host.clone(),
        whole: per_hour,
        left: per_hour,
    })
}

/// The kind whose rise is nearest to this one.
fn likest<'r>(rises: &'r mut [Rise], strand: &Strand, per_hour: f64) -> Option<&'r mut Rise> {
    let distance = |rise: &Rise| (per_hour / rise.left).ln().abs();
    let fits = |rise: &&mut Rise| {
        rise.host == strand.whose.host
            && per_hour >= rise.whole * LEAST
            && per_hour <= rise.left * MOST
    };
    rises.iter_mut().filter(fits).min_by(|a, b| distance(a).total_cmp(&distance(b)))
}

fn named(strand: Strand, resource: Resource, bench: &Bench<'_>, bounds: &Bounds) -> Option<Draft> {
    let current = strand.points.last()?.value;
    let bound = match resource {
        Resource::SlabReclaimable => None,
        _ => bounds.of_memory(&strand.whose, current, 0.0),
    };
    let mut draft = bench.judge(strand, Subject::of(resource).within(bound), &[])?;
    draft.judgement.reasons.push(Reason {
        speaks_for: true,
        text: format!(
            "its kernel memory is on record as a whole only; that it is {resource} shows in the \
             machine's, which became more by about as much"
        ),
        values: Vec::new(),
    });
    Some(draft)
}

#[cfg(test)]
mod tests {
    use super::super::whose::Whose;
    use super::*;

    fn rise(resource: Resource, per_hour: f64) -> Rise {
        Rise { resource, host: None, whole: per_hour, left: per_hour }
    }

    #[test]
    fn the_nearest_rise_of_the_machine_is_it_and_a_small_one_is_none() {
        let strand = Strand {
            whose: Whose::plain("cgroup", "/a", "/a"),
            labels: highwater_core::series::Labels::default(),
            points: Vec::new(),
            begins: Vec::new(),
        };
        let mut rises =
            [rise(Resource::SlabReclaimable, 7000.0), rise(Resource::SlabUnreclaimable, 3600.0)];
        let mut of = |per_hour| likest(&mut rises, &strand, per_hour).map(|rise| rise.resource);
        assert_eq!(of(3100.0), Some(Resource::SlabUnreclaimable));
        assert_eq!(of(7200.0), Some(Resource::SlabReclaimable));
        assert_eq!(of(20.0), None);
        assert_eq!(of(90_000.0), None);
    }
}
