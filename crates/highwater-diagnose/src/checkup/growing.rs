//! What grows, as a check-up tells it.

use std::time::Duration;

use highwater_core::event::Finding as Growth;
use highwater_core::evidence::{Claim, Evidence};
use highwater_core::growth::Verdict;
use highwater_core::time::WallTime;

use super::{Finding, Severity, Subject, Values};
use crate::finding::sentence;

/// With less time left than this somebody has to act now, …
const NOW: Duration = Duration::from_hours(2);

/// … than this, today, whether it is a leak or follows its load, …
const TODAY: Duration = Duration::from_hours(24);

/// … and of a leak that has longer than this it is enough to know.
const THIS_MONTH: Duration = Duration::from_hours(30 * 24);

/// So many of them are points of their own; the others are in the line about all.
const POINTS: usize = 2;

/// What grows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Growing {
    /// As of when it was judged.
    pub judged: Option<WallTime>,
    /// Whether the agent did it while it recorded, rather than the check-up itself.
    pub by_agent: bool,
    /// What was found, the most urgent first.
    pub found: Vec<Growth>,
}

impl Growing {
    /// What wants attention: accusations, and what leaves little time.
    pub fn new(judged: WallTime, by_agent: bool, mut found: Vec<Growth>) -> Self {
        found.retain(|one| one.verdict == Verdict::Leak || has_less(one, TODAY));
        let left = |one: &Growth| one.left.map_or(u64::MAX, |left| left.seconds);
        found.sort_by(|a, b| {
            let is_leak = |one: &Growth| one.verdict == Verdict::Leak;
            severity(b)
                .cmp(&severity(a))
                .then(is_leak(b).cmp(&is_leak(a)))
                .then(left(a).cmp(&left(b)))
        });
        Self { judged: Some(judged), by_agent, found }
    }

    pub(super) fn findings(&self) -> impl Iterator<Item = Finding> {
        let at = self.judged.map(|at| at.to_string()).unwrap_or_default();
        self.found.iter().take(POINTS).map(move |one| {
            let text = format!("{}: highwater leaks {}", sentence(one), one.owner.name);
            let stands_on = |text: &String| Evidence {
                source: format!("growth as judged at {at}"),
                line: None,
                text: text.clone(),
            };
            let evidence = one.claims.iter().map(stands_on).collect();
            let values = Values {
                seconds: one.left.map(|left| left.seconds),
                names: vec![one.resource.to_string()],
                ..Values::default()
            };
            Finding {
                severity: severity(one),
                subject: Subject::Growth,
                values: values.about(&one.owner.name),
                claim: Claim { text, evidence },
            }
        })
    }
}

fn has_less(one: &Growth, span: Duration) -> bool {
    one.left.is_some_and(|left| left.seconds <= span.as_secs())
}

fn severity(one: &Growth) -> Severity {
    let is_leak = one.verdict == Verdict::Leak;
    match one {
        _ if has_less(one, NOW) => Severity::Critical,
        _ if has_less(one, TODAY) || (is_leak && has_less(one, THIS_MONTH)) => Severity::Warning,
        _ => Severity::Ok,
    }
}

#[cfg(test)]
mod tests {
    use highwater_core::event::{Grower, TimeLeft};
    use highwater_core::growth::Resource;

    use super::*;

    fn one(name: &str, verdict: Verdict, hours: Option<u64>) -> Growth {
        Growth {
            owner: Grower { kind: "unit".to_owned(), id: name.to_owned(), name: name.to_owned() },
            resource: Resource::Anon,
            verdict,
            rate: None,
            confidence: 0.9,
            since: None,
            current: 1e9,
            limit: None,
            left: hours.map(|hours| TimeLeft { seconds: hours * 3600, soonest: 0, latest: None }),
            cause: None,
            claims: vec!["it grows".to_owned()],
        }
    }

    #[test]
    fn the_nearest_is_first_and_what_has_time_is_no_warning() {
        let at = WallTime::from_millis(0);
        let found = vec![
            one("slow", Verdict::Leak, None),
            one("week", Verdict::Leak, Some(100)),
            one("calm", Verdict::Growing, Some(100)),
            one("load", Verdict::Growing, Some(20)),
            one("soon", Verdict::Leak, Some(1)),
        ];
        let growing = Growing::new(at, true, found);
        let names: Vec<_> = growing.found.iter().map(|one| one.owner.name.as_str()).collect();
        assert_eq!(names, ["soon", "week", "load", "slow"]);
        let severities: Vec<_> = growing.found.iter().map(severity).collect();
        let worst = [Severity::Critical, Severity::Warning, Severity::Warning, Severity::Ok];
        assert_eq!(severities, worst);
        let points: Vec<_> = growing.findings().collect();
        assert_eq!(points.len(), POINTS);
        assert!(points[0].claim.text.ends_with(": highwater leaks soon"));
        assert_eq!(points[0].claim.evidence[0].text, "it grows");
    }
}
