//! A growth as it is kept, told and compared: an item of a survey, without what only a page needs.

use std::time::Duration;

use highwater_core::event::{Finding, Grower, GrowthLimit, HourlyRate, TimeLeft};
use highwater_core::growth::Verdict;
use highwater_core::text::escape;
use highwater_core::time::{Span, WallTime};

use crate::growth::{Growth, Item, Unit};

/// So many sentences of an item are kept, the first: they are in order of weight.
const CLAIMS: usize = 4;

/// And so many characters of each: three lines of a terminal.
const CLAIM_CHARS: usize = 240;

/// A name that is told in a sentence is no longer than this.
const NAME_CHARS: usize = 60;

/// What is kept of an item; `None` of a share of something unknown, of which no limit can be told.
pub fn finding(item: &Item) -> Option<Finding> {
    if item.unit == Unit::Percent {
        return None;
    }
    let whose = &item.whose;
    let owner =
        Grower { kind: whose.kind.to_owned(), id: whose.id.clone(), name: whose.name.clone() };
    let seconds = |span: Duration| span.as_secs();
    let claims = item.grounds.iter().filter(|ground| ground.speaks_for).take(CLAIMS);
    Some(Finding {
        owner,
        resource: item.resource,
        verdict: item.verdict,
        rate: item.rate.map(|rate| HourlyRate {
            per_hour: short(rate.per_hour),
            low: short(rate.low),
            high: short(rate.high),
        }),
        confidence: short(item.confidence),
        since: item.since,
        current: short(item.current),
        limit: item.bound.as_ref().map(|bound| GrowthLimit {
            kind: bound.ceiling.name().to_owned(),
            at: short(bound.limit),
        }),
        left: item.left.map(|left| TimeLeft {
            seconds: seconds(left.likely),
            soonest: seconds(left.soonest),
            latest: left.latest.map(seconds),
        }),
        cause: item.cause.map(|cause| cause.name().to_owned()),
        claims: claims.map(|ground| cut(&ground.claim.text, CLAIM_CHARS)).collect(),
    })
}

/// What grows, the most urgent first and so many at most, and how those fare now that were told
/// before.
pub fn findings(growth: &Growth, most: usize, is_known: &dyn Fn(&Finding) -> bool) -> Vec<Finding> {
    let mut room = most;
    let mut all = Vec::new();
    for found in growth.items.iter().filter_map(finding) {
        let takes = grows(&found) && room > 0;
        if takes {
            room = room.saturating_sub(1);
        }
        if takes || is_known(&found) {
            all.push(found);
        }
    }
    all
}

/// Whether it grows, and not as a cache does.
pub fn grows(finding: &Finding) -> bool {
    let up = finding.rate.is_some_and(|rate| rate.per_hour > 0.0);
    up && matches!(finding.verdict, Verdict::Leak | Verdict::Growing)
}

/// In what its numbers are.
pub fn unit(finding: &Finding) -> Unit {
    if finding.resource.is_count() { Unit::Count } else { Unit::Bytes }
}

/// How fast it grows, for people.
pub fn rate(finding: &Finding) -> Option<String> {
    let rate = finding.rate?;
    Some(unit(finding).rate(rate.per_hour))
}

/// `web.service leaks anon: 123 MB/day, its limit is reached in 2 d`.
pub fn sentence(finding: &Finding) -> String {
    let what = match finding.verdict {
        Verdict::Leak => "leaks",
        Verdict::Growing => "grows in",
        _ => "does not grow in",
    };
    let name = cut(&finding.owner.name, NAME_CHARS);
    let rate = rate(finding).map(|rate| format!(": {rate}")).unwrap_or_default();
    let end = left(finding).map(|left| format!(", {left}")).unwrap_or_default();
    format!("{name} {what} {}{rate}{end}", finding.resource)
}

/// `its limit of 1 GiB is reached in 2 d`.
pub fn left(finding: &Finding) -> Option<String> {
    let (left, limit) = (finding.left?, finding.limit.as_ref()?);
    let at = unit(finding).said(limit.at);
    let what = match limit.kind.as_str() {
        "own" => format!("its limit of {at} is reached"),
        "high" => format!("it is slowed down at {at}"),
        "above" => format!("the limit of {at} above it is reached"),
        "machine" => "the machine's memory is used up".to_owned(),
        "size" => "the file system is full".to_owned(),
        "swap" => "swap is used up".to_owned(),
        _ => format!("the limit of {at} is reached"),
    };
    Some(match left.seconds {
        0 => format!("{what} now"),
        seconds => format!("{what} in {}", Span(Duration::from_secs(seconds))),
    })
}

/// The same finding, so much later.
#[must_use]
pub fn aged(finding: &Finding, told: WallTime, now: WallTime) -> Finding {
    let gone = now.since(told).as_secs();
    Finding { left: finding.left.map(|left| left.after(gone)), ..finding.clone() }
}

/// Three digits after the point: what is kept is read back as it was.
fn short(value: f64) -> f64 {
    let short = (value * 1e3).round() / 1e3;
    if short.is_finite() { short } else { 0.0 }
}

fn cut(text: &str, most: usize) -> String {
    let text = escape(text.as_bytes());
    match text.char_indices().nth(most) {
        None => text.into_owned(),
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use highwater_core::growth::Resource;

    use super::*;

    fn leak(name: &str) -> Finding {
        Finding {
            owner: Grower { kind: "unit".to_owned(), id: name.to_owned(), name: name.to_owned() },
            resource: Resource::Anon,
            verdict: Verdict::Leak,
            rate: Some(HourlyRate { per_hour: 5e6, low: 4e6, high: 6e6 }),
            confidence: 0.9,
            since: None,
            current: 1e9,
            limit: Some(GrowthLimit { kind: "own".to_owned(), at: 1_073_741_824.0 }),
            left: Some(TimeLeft { seconds: 2 * 86_400, soonest: 86_400, latest: None }),
            cause: None,
            claims: Vec::new(),
        }
    }

    #[test]
    fn a_sentence_says_who_what_how_fast_and_how_long() {
        let mut found = leak("web.service");
        let said = sentence(&found);
        assert!(said.starts_with("web.service leaks anon: "), "{said}");
        assert!(said.ends_with("its limit of 1 GiB is reached in 2 d"), "{said}");
        found.resource = Resource::Fds;
        found.limit = Some(GrowthLimit { kind: "files".to_owned(), at: 1024.0 });
        found.rate = Some(HourlyRate { per_hour: 12.0, low: 11.0, high: 13.0 });
        let said = sentence(&found);
        assert_eq!(said, "web.service leaks fds: 12/h, the limit of 1024 is reached in 2 d");
        found.left = None;
        assert_eq!(sentence(&found), "web.service leaks fds: 12/h");
    }

    #[test]
    fn names_are_hostile() {
        let said = sentence(&leak(&format!("a\u{1b}[2J\n{}", "x".repeat(9000))));
        assert!(!said.contains('\u{1b}') && !said.contains('\n'), "{said}");
        assert!(said.chars().count() < 200);
    }

    #[test]
    fn numbers_are_read_back_as_they_were() {
        let text = serde_json::to_string(&leak("a")).unwrap();
        let read: Finding = serde_json::from_str(&text).unwrap();
        assert_eq!(read, leak("a"));
        assert!(short(f64::NAN).abs() < 1e-9 && (short(0.123_456) - 0.123).abs() < 1e-12);
    }

    #[test]
    fn time_left_runs_down_and_only_leaks_and_growth_grow() {
        let (told, now) = (WallTime::from_millis(0), WallTime::from_millis(86_400_000));
        assert_eq!(aged(&leak("a"), told, now).left.unwrap().seconds, 86_400);
        assert!(grows(&leak("a")));
        assert!(!grows(&Finding { verdict: Verdict::Cache, ..leak("a") }));
        assert!(!grows(&Finding { rate: None, ..leak("a") }));
    }
}
