//! What died lately, by its cause; what is started again and again; who hangs; and who would have
//! known more.

use std::time::Duration;

use highwater_core::event::Sight;
use highwater_core::evidence::{Claim, Evidence};
use highwater_core::frame::Frame;
use highwater_core::time::{Span, WallTime};

use super::points::under_oom;
use super::recorder::ago;
use super::{Finding, Severity, Subject, Values};
use crate::inquest::restarts::{Brake, Story};
use crate::inquest::{Cause, Stuck};
use crate::words;

/// A death younger than this still wants an answer.
const RECENT: Duration = Duration::from_hours(24);

/// A storm that ended longer ago than this is over.
const STORM_IS_ON: Duration = Duration::from_hours(1);

/// So many causes, owners, witnesses are named in one line.
const NAMED: usize = 3;

/// What the recording tells of ends and starts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lives {
    /// Unwanted deaths that no report of the kernel tells of, oldest first.
    pub deaths: Vec<Ended>,
    /// The stories of units and containers.
    pub stories: Vec<Story>,
    /// Who hangs for want of memory, or did.
    pub stuck: Vec<Stuck>,
    /// Who is listening.
    pub sight: Option<Sight>,
}

/// An unwanted death.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// When.
    pub wall: WallTime,
    /// Whose, or who.
    pub who: String,
    /// What of.
    pub cause: Cause,
}

impl Lives {
    /// What is to be said about them, beside what `frame` shows by itself.
    pub(super) fn findings(&self, frame: &Frame) -> Vec<Finding> {
        let now = frame.stamp.wall;
        let seen = |stuck: &&Stuck| {
            let path = stuck.who.cgroup.as_ref();
            path.is_some_and(|path| under_oom(frame).any(|one| one.path == *path))
        };
        let unseen = self.stuck.iter().filter(|stuck| !seen(stuck));
        let mut found: Vec<Finding> = unseen.filter_map(|one| hangs(one, now)).collect();
        found.extend(self.storms(now));
        found.extend(self.given_up());
        found.extend(self.recent(now));
        found.extend(self.endless(now));
        found.extend(self.unheard());
        found
    }

    /// The unwanted deaths of the last day that no report tells of.
    pub fn of_last_day(&self, now: WallTime) -> Vec<&Ended> {
        let since = now.before(RECENT);
        self.deaths.iter().filter(|death| death.wall >= since).collect()
    }

    /// `2 segfault, 1 watchdog`, the most frequent first.
    pub fn by_cause(&self, now: WallTime) -> Vec<(Cause, usize)> {
        let mut counts: Vec<(Cause, usize)> = Vec::new();
        for death in self.of_last_day(now) {
            match counts.iter_mut().find(|(known, _)| *known == death.cause) {
                Some((_, count)) => *count += 1,
                None => counts.push((death.cause, 1)),
            }
        }
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        counts
    }

    fn recent(&self, now: WallTime) -> Option<Finding> {
        let recent = self.of_last_day(now);
        let last = recent.last()?;
        let counts = self.by_cause(now);
        let told = counts
            .iter()
            .take(NAMED)
            .map(|(cause, count)| format!("{count} × {cause}", cause = cause.as_str()));
        let others: Vec<usize> = counts.iter().skip(NAMED).map(|(_, count)| *count).collect();
        let more = match others.as_slice() {
            [] => String::new(),
            [ends] => format!(", {ends} of another cause"),
            many => format!(", {} of {} other causes", many.iter().sum::<usize>(), many.len()),
        };
        let text = format!(
            "{} in the last 24 h ({}{more}); the last was {}, {}: highwater why",
            words::count(recent.len(), "unwanted end"),
            told.collect::<Vec<_>>().join(", "),
            last.who,
            ago(now.since(last.wall)),
        );
        let seconds = Some(now.since(last.wall).as_secs());
        let values = Values { seconds, ..Values::count(recent.len()).about(&last.who) };
        let evidence = vec![cited(format!("{} at {}", last.who, last.wall))];
        Some(finding((Severity::Warning, Subject::Ends, values), text, evidence))
    }

    fn storms(&self, now: WallTime) -> Option<Finding> {
        let is_on = |story: &&Story| {
            story.storms.last().is_some_and(|storm| now.since(storm.to) <= STORM_IS_ON)
        };
        let stormy: Vec<&Story> = self.stories.iter().filter(is_on).collect();
        let first = stormy.first()?;
        let storm = first.storms.last()?;
        let more = match stormy.len() {
            1 => String::new(),
            2 => ", and 1 more is, too".to_owned(),
            all => format!(", and {} more are, too", all - 1),
        };
        let text = format!(
            "{} is in a restart storm: {} ends in {}{more}: highwater restarts",
            first.owner,
            storm.ends,
            Span(storm.to.since(storm.from)),
        );
        let cited = cited(format!("{} ends from {} to {}", storm.ends, storm.from, storm.to));
        let values = Values {
            count: u64::try_from(storm.ends).ok(),
            seconds: Some(storm.to.since(storm.from).as_secs()),
            ..named(stormy.iter().map(|story| story.owner.to_string()).collect())
        };
        Some(finding((Severity::Warning, Subject::RestartStorm, values), text, vec![cited]))
    }

    fn given_up(&self) -> Option<Finding> {
        let names: Vec<String> = self
            .stories
            .iter()
            .filter(|story| story.is_given_up)
            .map(|story| story.owner.to_string())
            .collect();
        let first = names.first()?;
        let more = names.len() - 1;
        let others = if more > 0 { format!(" and {more} more") } else { String::new() };
        let text =
            format!("{first}{others}: down, and systemd gave up (start limit): highwater restarts");
        let cited = cited(names.join(", "));
        Some(finding((Severity::Warning, Subject::GivenUp, named(names)), text, vec![cited]))
    }

    fn endless(&self, now: WallTime) -> Option<Finding> {
        let since = now.before(RECENT);
        let is_endless = |story: &&Story| {
            matches!(story.brake, Brake::None | Brake::NeverReached)
                && story.restarts() > 0
                && story.unwanted().any(|at| at >= since)
        };
        let names: Vec<String> =
            self.stories.iter().filter(is_endless).map(|story| story.owner.to_string()).collect();
        if names.is_empty() {
            return None;
        }
        let more = names.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let told: Vec<&str> = names.iter().take(NAMED).map(String::as_str).collect();
        let text = format!(
            "restarted, and would be for ever (Restart=always without a StartLimit): {}{more}",
            told.join(", ")
        );
        let cited = cited(names.join(", "));
        Some(finding((Severity::Ok, Subject::Endless, named(names)), text, vec![cited]))
    }

    /// Worth knowing, and no reason to wake anybody: a machine without Docker has no Docker to hear.
    fn unheard(&self) -> Option<Finding> {
        let sight = self.sight.as_ref()?;
        let absent =
            sight.witnesses.iter().filter_map(|one| Some((one.witness, one.absent.as_ref()?)));
        let absent: Vec<_> = absent.collect();
        if absent.is_empty() {
            return None;
        }
        let names: Vec<&str> = absent.iter().map(|(witness, _)| witness.name()).collect();
        let text = format!("witnesses of deaths that are not heard: {}", names.join(", "));
        let evidence = absent.iter().map(|(witness, why)| cited(format!("{witness}: {why}")));
        let names = names.into_iter().map(str::to_owned).collect();
        let point = (Severity::Ok, Subject::Unheard, Values { names, ..Values::default() });
        Some(finding(point, text, evidence.collect()))
    }
}

fn hangs(stuck: &Stuck, now: WallTime) -> Option<Finding> {
    if stuck.until.is_some() {
        return None;
    }
    let since = stuck.since.map_or_else(String::new, |since| format!(" since {since}"));
    let text = format!(
        "{} is stuck under OOM{since}: nothing may be killed there (oom_kill_disable)",
        stuck.who,
    );
    let seconds = stuck.since.map(|since| now.since(since).as_secs());
    let values = Values { seconds, ..Values::default() }.about(&stuck.who.to_string());
    let point = (Severity::Critical, Subject::Hanging, values);
    Some(finding(point, text, stuck.claim.evidence.clone()))
}

fn cited(text: String) -> Evidence {
    Evidence { source: "recorded events".to_owned(), line: None, text }
}

/// The first of them, and all.
fn named(names: Vec<String>) -> Values {
    Values { owner: names.first().cloned(), names, ..Values::default() }
}

fn finding(
    (severity, subject, values): (Severity, Subject, Values),
    text: String,
    evidence: Vec<Evidence>,
) -> Finding {
    Finding { severity, subject, values, claim: Claim { text, evidence } }
}

#[cfg(test)]
mod tests {
    use highwater_core::event::Presence;
    use highwater_core::frame::{CgroupMemory, CgroupSample, CgroupVersion};
    use highwater_core::id::CgroupPath;
    use highwater_core::owner::Owner;
    use highwater_core::testimony::{Party, Witness};

    use super::*;
    use crate::inquest::restarts::Storm;

    const NOW: WallTime = WallTime::from_millis(1_714_000_000_000);

    fn story(owner: &str, storm: Option<Storm>) -> Story {
        Story {
            owner: Owner::Unit(owner.to_owned()),
            chapters: Vec::new(),
            children: 0,
            storms: storm.into_iter().collect(),
            period: None,
            brake: Brake::Unknown,
            is_given_up: false,
            limits: None,
            claims: Vec::new(),
        }
    }

    fn said(lives: &Lives) -> Vec<(Severity, String)> {
        seen(lives, &Frame::default())
    }

    fn seen(lives: &Lives, frame: &Frame) -> Vec<(Severity, String)> {
        let mut frame = frame.clone();
        frame.stamp.wall = NOW;
        lives.findings(&frame).into_iter().map(|one| (one.severity, one.claim.text)).collect()
    }

    #[test]
    fn nothing_known_says_nothing() {
        assert_eq!(said(&Lives::default()), []);
        let calm = Lives { stories: vec![story("web.service", None)], ..Lives::default() };
        assert_eq!(said(&calm), []);
    }

    #[test]
    fn deaths_of_the_last_day_are_counted_by_cause() {
        let ended = |hours, who: &str, cause| Ended {
            wall: NOW.before(Duration::from_hours(hours)),
            who: who.to_owned(),
            cause,
        };
        let deaths = vec![
            ended(30, "old.service", Cause::Abort),
            ended(20, "web.service", Cause::Segfault),
            ended(19, "web.service", Cause::Segfault),
            ended(2, "db.service", Cause::Watchdog),
        ];
        let lives = Lives { deaths: deaths.clone(), ..Lives::default() };
        let text = "3 unwanted ends in the last 24 h (2 × segfault, 1 × watchdog); the last was \
                    db.service, 2 h ago: highwater why";
        assert_eq!(said(&lives), [(Severity::Warning, text.to_owned())]);
        // What is not named is counted in ends, as the rest is.
        let more = [
            (&[Cause::ExitCode, Cause::Abort, Cause::Abort][..], "1 of another cause"),
            (&[Cause::ExitCode, Cause::Abort, Cause::Trap, Cause::Trap], "2 of 2 other causes"),
        ];
        for (causes, words) in more {
            let more = causes.iter().map(|cause| ended(1, "x.service", *cause));
            let deaths = deaths.iter().cloned().chain(more).collect();
            let said = said(&Lives { deaths, ..Lives::default() });
            let (_, text) = said.first().unwrap();
            assert!(text.contains(&format!(", {words}); the last")), "{text}");
        }
    }

    #[test]
    fn storms_pass() {
        let storm = |minutes| {
            let to = NOW.before(Duration::from_mins(minutes));
            Some(Storm { from: to.before(Duration::from_mins(52)), to, ends: 8 })
        };
        let on = Lives { stories: vec![story("web.service", storm(5))], ..Lives::default() };
        let text = "web.service is in a restart storm: 8 ends in 52 min: highwater restarts";
        assert_eq!(said(&on), [(Severity::Warning, text.to_owned())]);
        let over = Lives { stories: vec![story("web.service", storm(90))], ..Lives::default() };
        assert_eq!(said(&over), []);
    }

    #[test]
    fn who_hangs_is_critical_and_who_is_not_heard_is_told() {
        let stuck = Stuck {
            who: Party::of_owner(Owner::Cgroup("/batch".to_owned())),
            since: Some(NOW.before(Duration::from_mins(7))),
            until: None,
            claim: Claim { text: "stuck".to_owned(), evidence: Vec::new() },
        };
        let absent = Some("no /run/docker.sock".to_owned());
        let sight = Sight { witnesses: vec![Presence { witness: Witness::Docker, absent }] };
        let lives = Lives { stuck: vec![stuck.clone()], sight: Some(sight), ..Lives::default() };
        assert_eq!(
            said(&lives),
            [
                (Severity::Critical, "/batch is stuck under OOM since 2024-04-24T22:59:40.000Z: nothing may be killed there (oom_kill_disable)".to_owned()),
                (Severity::Ok, "witnesses of deaths that are not heard: docker".to_owned()),
            ]
        );
        let path = CgroupPath::new(b"/batch");
        let known = Party { cgroup: Some(path.clone()), ..stuck.who.clone() };
        let memory = CgroupMemory { under_oom: Some(true), ..CgroupMemory::default() };
        let cgroups = vec![CgroupSample { path, version: CgroupVersion::V1, memory }];
        let shown = Frame { cgroups, ..Frame::default() };
        let twice =
            Lives { stuck: vec![Stuck { who: known, ..stuck.clone() }], ..Lives::default() };
        assert_eq!(seen(&twice, &shown), [], "what the frame shows is said once");
        let over = Lives { stuck: vec![Stuck { until: Some(NOW), ..stuck }], ..Lives::default() };
        assert_eq!(said(&over), []);
    }
}
