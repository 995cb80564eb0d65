//! What was told of a growth before somebody died of it.

use std::collections::BTreeMap;
use std::time::Duration;

use highwater_core::event::{Finding, Grower, Grown, Happening};
use highwater_core::evidence::{Claim, Evidence};
use highwater_core::growth::Resource;
use highwater_core::owner::{Owner, is_container_id};
use highwater_core::time::{Span, WallTime};
use highwater_diagnose::finding::{grows, rate};
use highwater_store::{EventFilter, Reader};

/// So many events of growths are read, the newest.
const MOST_EVENTS: usize = 4_096;

/// What was told so long before a death, and not again, has no part in it: what goes on is told daily.
const LAPSED: Duration = Duration::from_hours(3 * 24);

/// So many of others are cited where the machine's memory was used up.
const OTHERS: usize = 2;

/// Containers without a name go by so many digits of their id.
const ID_DIGITS: usize = 12;

/// The growths that were told, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Foretold {
    told: Vec<(WallTime, Grown)>,
}

/// Who died, and of what.
#[derive(Debug, Default)]
pub(super) struct Died {
    /// The owners that it was of.
    pub(super) owners: Vec<Owner>,
    /// When.
    pub(super) at: Option<WallTime>,
    /// The memory of the whole machine was used up.
    pub(super) of_machine: bool,
    /// It died for want of memory.
    pub(super) for_memory: bool,
}

/// A growth that was on at a death.
#[derive(Clone, Copy)]
struct Standing<'f> {
    begun: WallTime,
    last: WallTime,
    finding: &'f Finding,
}

impl Foretold {
    /// Those on record. What cannot be read is left out: it is no more than a hint.
    pub(crate) fn on_record(reader: &Reader) -> Self {
        let filter = EventFilter {
            kind: Some("growth"),
            limit: Some(MOST_EVENTS),
            ..EventFilter::default()
        };
        let events = reader.events(&filter).unwrap_or_default();
        let told = events.into_iter().filter_map(|stored| match stored.event.what {
            Happening::Growth(grown) => Some((stored.event.wall, *grown)),
            _ => None,
        });
        Self { told: told.collect() }
    }

    /// What had been told of the growth that it died of.
    pub(super) fn of(&self, died: &Died) -> Vec<Claim> {
        let Some(at) = died.at else { return Vec::new() };
        let standing = self.standing(at);
        let own = standing
            .iter()
            .filter(|one| died.owners.iter().any(|owner| is_of(&one.finding.owner, owner)));
        let mut claims: Vec<Claim> = own.map(|one| claim(one, at, "It")).collect();
        if died.of_machine && claims.is_empty() {
            let others = standing.iter().filter(|one| {
                one.finding.limit.as_ref().is_some_and(|limit| limit.kind == "machine")
            });
            let name = |one: &Standing<'_>| one.finding.owner.name.clone();
            claims.extend(others.take(OTHERS).map(|one| claim(one, at, &name(one))));
        }
        claims
    }

    /// Those that were on at that moment, the one with the least time left first.
    fn standing(&self, at: WallTime) -> Vec<Standing<'_>> {
        let mut on: BTreeMap<((&str, &str), Resource), Standing<'_>> = BTreeMap::new();
        for (wall, grown) in self.told.iter().filter(|(wall, _)| *wall < at) {
            let finding = &grown.finding;
            let key = (finding.owner.key(), finding.resource);
            if grown.turn.is_end() {
                on.remove(&key);
                continue;
            }
            let begun = on.get(&key).map_or(*wall, |known| known.begun);
            on.insert(key, Standing { begun, last: *wall, finding });
        }
        let mut all: Vec<Standing<'_>> = on.into_values().collect();
        all.retain(|one| grows(one.finding) && at.since(one.last) <= LAPSED);
        all.sort_by_key(|one| one.finding.left.map_or(u64::MAX, |left| left.seconds));
        all
    }
}

fn claim(one: &Standing<'_>, at: WallTime, who: &str) -> Claim {
    let finding = one.finding;
    let speed = rate(finding).map(|rate| format!(" by {rate}")).unwrap_or_default();
    let since = finding.since.map(|since| format!(" since {since}")).unwrap_or_default();
    let before = Span(at.since(one.begun));
    let cause = match finding.cause.as_deref() {
        Some("leak") => "; its root cause was a true leak",
        Some("cache") => "; its root cause was a cache that builds up",
        Some("misconfiguration") => "; its root cause was a misconfiguration",
        Some("burst") => "; its root cause was a burst",
        _ => "",
    };
    let text = format!(
        "{who} had been growing in {}{speed}{since}; that was told {before} before this{cause}.",
        finding.resource
    );
    let evidence = |text: &String| Evidence {
        source: format!("growth as recorded at {}", one.last),
        line: None,
        text: text.clone(),
    };
    Claim { text, evidence: finding.claims.iter().take(1).map(evidence).collect() }
}

/// Whether both are the same, in the words that `leaks` has for owners.
pub(super) fn is_of(grower: &Grower, owner: &Owner) -> bool {
    let (kind, own) = grower.key();
    if kind != owner.kind() {
        return false;
    }
    match owner {
        Owner::Container(id) if is_container_id(id) => {
            grower.id == *id || grower.id.ends_with(id.as_str()) || id.get(..ID_DIGITS) == Some(own)
        }
        Owner::UserUnit { unit, uid } => own == format!("{unit} of user {uid}"),
        Owner::Pod { namespace, pod, container } => own == format!("{namespace}/{pod}/{container}"),
        _ => own == owner.id(),
    }
}

#[cfg(test)]
mod tests {
    use highwater_core::event::{GrowthLimit, HourlyRate, TimeLeft, Turn};
    use highwater_core::growth::Verdict;

    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    fn t0() -> WallTime {
        WallTime::from_millis(1_714_176_000_000)
    }

    fn grown(turn: Turn, name: &str, limit: &str) -> Grown {
        let finding = Finding {
            owner: Grower { kind: "unit".to_owned(), id: name.to_owned(), name: name.to_owned() },
            resource: Resource::Anon,
            verdict: Verdict::Leak,
            rate: Some(HourlyRate { per_hour: 5_125_000.0, low: 5e6, high: 6e6 }),
            confidence: 0.9,
            since: Some(t0()),
            current: 5e8,
            limit: Some(GrowthLimit { kind: limit.to_owned(), at: 1e9 }),
            left: Some(TimeLeft { seconds: 9, soonest: 1, latest: None }),
            cause: Some("leak".to_owned()),
            claims: vec!["it grows".to_owned()],
        };
        Grown { turn, finding }
    }

    fn died(name: &str, hours: u32, of_machine: bool) -> Died {
        let owners = vec![Owner::Unit(name.to_owned())];
        Died { owners, at: Some(t0().after(HOUR * hours)), of_machine, for_memory: true }
    }

    fn texts(foretold: &Foretold, died: &Died) -> Vec<String> {
        foretold.of(died).into_iter().map(|claim| claim.text).collect()
    }

    #[test]
    fn what_was_told_before_is_cited_and_what_was_told_later_or_ended_is_not() {
        let told = vec![
            (t0().after(HOUR), grown(Turn::Begun, "a.service", "own")),
            (t0().after(HOUR * 25), grown(Turn::GoesOn, "a.service", "own")),
            (t0().after(HOUR * 26), grown(Turn::Begun, "b.service", "own")),
            (t0().after(HOUR * 27), grown(Turn::Mended, "b.service", "own")),
        ];
        let foretold = Foretold { told };
        assert_eq!(
            texts(&foretold, &died("a.service", 49, false)),
            ["It had been growing in anon by 4.89 MiB/h since 2024-04-27T00:00:00.000Z; that was \
              told 2 d before this; its root cause was a true leak."]
        );
        assert_eq!(texts(&foretold, &died("a.service", 1, false)), [""; 0]);
        assert_eq!(texts(&foretold, &died("b.service", 49, false)), [""; 0]);
        assert_eq!(texts(&foretold, &died("a.service", 25 + 73, false)), [""; 0], "it lapsed");
        assert_eq!(texts(&foretold, &Died::default()), [""; 0]);
    }

    #[test]
    fn where_the_machine_was_full_whoever_filled_it_is_cited() {
        let told = vec![
            (t0().after(HOUR), grown(Turn::Begun, "filler.service", "machine")),
            (t0().after(HOUR), grown(Turn::Begun, "other.service", "own")),
        ];
        let foretold = Foretold { told };
        let texts = texts(&foretold, &died("gateway.service", 20, true));
        assert_eq!(texts.len(), 1);
        assert!(texts[0].starts_with("filler.service had been growing in anon"), "{texts:?}");
        assert_eq!(foretold.of(&died("gateway.service", 20, false)), []);
    }

    #[test]
    fn a_container_is_the_same_by_its_id_and_by_its_name() {
        let id = "34186d9bd07706222bd427bb647ceed81e8e108eb653ff73c7137099fca1cab6";
        let grower = |id: &str, name: &str| Grower {
            kind: "container".to_owned(),
            id: id.to_owned(),
            name: name.to_owned(),
        };
        let by_id = Owner::Container(id.to_owned());
        assert!(is_of(&grower(id, "34186d9bd077"), &by_id));
        assert!(is_of(&grower(&format!("/docker/{id}"), "shop"), &by_id));
        assert!(is_of(&grower("x", "shop"), &Owner::Container("shop".to_owned())));
        assert!(!is_of(&grower("x", "shop"), &Owner::Unit("shop".to_owned())));
    }
}
