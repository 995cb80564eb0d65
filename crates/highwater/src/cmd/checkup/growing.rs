//! What grows: what the agent found, where that is fresh, else what is on record, judged now.

use std::collections::BTreeMap;
use std::time::Duration;

use highwater_agent::growth::standing;
use highwater_agent::notice::Status;
use highwater_core::event::{Finding, Grower};
use highwater_core::time::WallTime;
use highwater_diagnose::checkup::Growing;
use highwater_diagnose::finding::{aged, findings, grows};
use highwater_diagnose::growth::{Options, survey};
use highwater_store::Reader;

use crate::cmd::leaks;

/// What goes on is told once a day: what was not told for so long is over.
const TOLD: Duration = Duration::from_hours(3 * 24);

/// Whoever is no longer recorded does not grow now.
const FRESH: Duration = Duration::from_hours(1);

/// So many are told, the most urgent.
const MOST: usize = 20;

/// What grows; `None` where nobody can say.
pub(super) fn growing(reader: &Reader, now: WallTime) -> Option<Growing> {
    if reader.is_imported() {
        return None;
    }
    let status = reader.path().parent().and_then(Status::read);
    let told = status.filter(|status| {
        status.is_running && status.growth_until.is_some_and(|until| now <= until)
    });
    match told.and_then(|status| status.growth) {
        Some(judged) => by_agent(reader, judged, now),
        None => by_itself(reader, now),
    }
}

fn by_agent(reader: &Reader, judged: WallTime, now: WallTime) -> Option<Growing> {
    let told = standing(reader, now.before(TOLD)).ok()?;
    let now_left = told.iter().map(|(at, finding)| aged(finding, *at, now));
    let mut found: Vec<Finding> = now_left.filter(grows).collect();
    found.truncate(MOST);
    Some(Growing::new(judged, true, found))
}

fn by_itself(reader: &Reader, now: WallTime) -> Option<Growing> {
    let newest = reader.info().ok()?.newest?;
    if now.since(newest) > FRESH {
        return None;
    }
    let at = newest.min(now);
    let owners = leaks::owners(reader);
    let growth = survey(reader, at, Options { since: None, owners: Some(&owners) }).ok()?;
    Some(Growing::new(at, false, findings(&growth, MOST, &|_| false)))
}

/// The same without names: of each owner only the kind, and a number.
pub(super) fn nameless(mut growing: Growing) -> Growing {
    let mut known: BTreeMap<Grower, usize> = BTreeMap::new();
    for found in &mut growing.found {
        let next = known.len().saturating_add(1);
        let number = *known.entry(found.owner.clone()).or_insert(next);
        let name = format!("grower-{number}");
        found.owner = Grower { kind: found.owner.kind.clone(), id: name.clone(), name };
        // They name others.
        found.claims.clear();
    }
    growing
}

#[cfg(test)]
mod tests {
    use highwater_core::growth::{Resource, Verdict};

    use super::*;

    fn found(name: &str, resource: Resource) -> Finding {
        Finding {
            owner: Grower { kind: "unit".to_owned(), id: name.to_owned(), name: name.to_owned() },
            resource,
            verdict: Verdict::Leak,
            rate: None,
            confidence: 0.9,
            since: None,
            current: 1e9,
            limit: None,
            left: None,
            cause: None,
            claims: vec!["secret.service grows".to_owned()],
        }
    }

    #[test]
    fn without_names_an_owner_is_still_the_same_owner() {
        let all = [
            found("secret", Resource::Anon),
            found("other", Resource::Anon),
            found("secret", Resource::Fds),
        ];
        let growing = Growing::new(WallTime::from_millis(0), true, all.to_vec());
        let masked = nameless(growing);
        assert!(!format!("{masked:?}").contains("secret"));
        let names: Vec<_> = masked.found.iter().map(|one| one.owner.name.as_str()).collect();
        assert_eq!(names, ["grower-1", "grower-2", "grower-1"]);
    }
}
