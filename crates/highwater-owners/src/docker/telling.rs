//! From what the daemon says to testimony.

use highwater_core::evidence::Evidence;
use highwater_core::id::Pid;
use highwater_core::testimony::{ContainerWord, Fact, Party, Testimony, Witness};
use highwater_core::time::WallTime;

use super::event::{Action, Event, Named};
use super::standing::Standing;
use crate::told::{Told, cited};

const NANOS_PER_MILLI: u64 = 1_000_000;

/// The word that marks a key of something that no event told.
const SEEN: &str = "seen-";

/// Nanoseconds since 1970 as the wall clock has them.
pub(super) fn wall(ns: u64) -> WallTime {
    WallTime::from_millis(i64::try_from(ns / NANOS_PER_MILLI).unwrap_or(i64::MAX))
}

/// When the event of this key happened, in nanoseconds since 1970: from there on a listener goes
/// on. `None`: it is no event's key.
pub fn moment(key: &str) -> Option<u64> {
    key.strip_prefix("docker:")?.split(':').next()?.parse().ok()
}

/// What an event tells. `standing` is the container as it was inspected soon after it, `first`
/// the first process of the life that the event is about. Of what is no matter of life and death
/// nothing is told.
pub(super) fn of_event(
    event: &Event,
    standing: Option<&Standing>,
    first: Option<Pid>,
    socket: &str,
) -> Option<Told> {
    let after_start = standing.filter(|standing| standing.began_at(event.ns));
    let after_end = standing.filter(|standing| standing.ended_at(event.ns));
    let word = match &event.action {
        Action::Created | Action::Renamed => return None,
        Action::Started => ContainerWord::Started {
            first: after_start.and_then(|standing| standing.first),
            restarts: after_start.and_then(|standing| standing.restarts),
            limits: Box::new(standing.map(|standing| standing.limits.clone()).unwrap_or_default()),
        },
        Action::Died { code } => ContainerWord::Died {
            code: code.or_else(|| after_end?.code),
            oom: after_end.and_then(|standing| standing.oom),
        },
        Action::Kill { signal } => ContainerWord::Kill { signal: *signal },
        Action::Oom => ContainerWord::Oom,
        Action::Stopped => ContainerWord::Stopped,
        Action::Restarted => ContainerWord::Restarted,
        Action::Destroyed => ContainerWord::Destroyed,
        Action::Health { status } => ContainerWord::Health { status: status.clone() },
    };
    let inspected = match event.action {
        Action::Started => after_start,
        Action::Died { .. } => after_end,
        _ => None,
    };
    let words = match inspected {
        Some(standing) => format!("{}; inspect: {}", event.words, standing.words),
        None => event.words.clone(),
    };
    let about = party(&event.whom, first.or_else(|| after_start.and_then(|now| now.first)));
    let key = format!("docker:{}:{}:{}", event.ns, event.whom.short(), event.action.word());
    Some(told(
        key,
        event.ns,
        about,
        word,
        Evidence { source: format!("{socket} /events"), line: None, text: cited(words.as_bytes()) },
    ))
}

/// That it was started at `ns`, as `inspect` has it, where no event told.
pub(super) fn seen_started(standing: &Standing, ns: u64, socket: &str) -> Told {
    let word = ContainerWord::Started {
        first: standing.first,
        restarts: standing.restarts,
        limits: Box::new(standing.limits.clone()),
    };
    seen(standing, ns, "start", word, socket)
}

/// That it ended at `ns`, as `inspect` has it, where no event told.
pub(super) fn seen_ended(standing: &Standing, ns: u64, socket: &str) -> Told {
    let word = ContainerWord::Died {
        code: standing.code,
        oom: standing.oom.filter(|_| standing.first.is_none()),
    };
    seen(standing, ns, "die", word, socket)
}

fn seen(standing: &Standing, ns: u64, what: &str, word: ContainerWord, socket: &str) -> Told {
    let is_start = matches!(word, ContainerWord::Started { .. });
    let about = party(&standing.whom, standing.first.filter(|_| is_start));
    let field = if is_start { "StartedAt" } else { "FinishedAt" };
    let words = format!("inspect: {field}={} {}", wall(ns), standing.words);
    told(
        format!("docker:{SEEN}{ns}:{}:{what}", standing.whom.short()),
        ns,
        about,
        word,
        Evidence {
            source: format!("{socket} /containers/{}/json", standing.whom.short()),
            line: None,
            text: cited(words.as_bytes()),
        },
    )
}

fn party(whom: &Named, first: Option<Pid>) -> Party {
    Party { pid: first, container_id: Some(whom.id.clone()), ..Party::of_owner(whom.owner.clone()) }
}

fn told(key: String, ns: u64, about: Party, word: ContainerWord, evidence: Evidence) -> Told {
    let fact = Fact::Container(word);
    let testimony = Testimony { witness: Witness::Docker, about, fact, evidence };
    Told { wall: Some(wall(ns)), boot: None, key, testimony }
}

#[cfg(test)]
mod tests {
    use super::*;
    use highwater_core::testimony::Signal;

    fn events() -> Vec<Event> {
        let recorded = include_bytes!("../../../../fixtures/docker/events.jsonl");
        recorded.split(|byte| *byte == b'\n').filter_map(Event::parse).collect()
    }

    fn word(told: &Told) -> &ContainerWord {
        match &told.testimony.fact {
            Fact::Container(word) => word,
            other => panic!("{other:?}"),
        }
    }

    fn of(name: &str, standing: Option<&Standing>) -> Vec<Told> {
        let own = |event: &Event| event.whom.owner.id() == name;
        let events = events().into_iter().filter(own);
        events.filter_map(|event| of_event(&event, standing, None, "docker.sock")).collect()
    }

    #[test]
    fn a_stop_that_is_ignored_reads_as_two_kills_an_end_and_a_stop() {
        let told = of("stubborn", None);
        let words: Vec<&ContainerWord> = told.iter().skip(1).map(word).collect();
        assert_eq!(
            words,
            [
                &ContainerWord::Kill { signal: Some(Signal::TERM) },
                &ContainerWord::Kill { signal: Some(Signal::KILL) },
                &ContainerWord::Died { code: Some(137), oom: None },
                &ContainerWord::Stopped,
            ]
        );
        let die = told.get(3).unwrap();
        assert_eq!(die.key, "docker:1795253193341186369:c8f3dd0704cf:die");
        assert_eq!(moment(&die.key), Some(1_795_253_193_341_186_369));
        assert_eq!(die.wall, Some(WallTime::from_millis(1_795_253_193_341)));
        assert_eq!(die.testimony.evidence.source, "docker.sock /events");
        assert_eq!(die.testimony.evidence.text, "die stubborn exitCode=137 image=scenes");
        assert_eq!(die.testimony.about.container_id.as_ref().unwrap().len(), 64);
    }

    #[test]
    fn what_inspect_says_is_taken_only_of_the_same_life() {
        let hog = include_bytes!("../../../../fixtures/docker/inspect-oom.json");
        let hog = Standing::parse(hog).unwrap();
        let told = of("hog", Some(&hog));
        let started = word(told.first().unwrap());
        assert!(
            matches!(started, ContainerWord::Started { limits, .. } if limits.memory.is_some())
        );
        assert_eq!(word(told.get(1).unwrap()), &ContainerWord::Oom);
        let died = told.get(2).unwrap();
        assert_eq!(word(died), &ContainerWord::Died { code: Some(137), oom: Some(true) });
        assert!(died.testimony.evidence.text.contains("; inspect: OOMKilled=true ExitCode=137"));
        let other = Standing { finished: Some(1), ..hog };
        let died = of("hog", Some(&other)).remove(2);
        assert_eq!(word(&died), &ContainerWord::Died { code: Some(137), oom: None });
    }

    #[test]
    fn what_was_seen_is_no_event_and_moves_no_cursor() {
        let keeper = include_bytes!("../../../../fixtures/docker/inspect-keeper.json");
        let keeper = Standing::parse(keeper).unwrap();
        let start = seen_started(&keeper, keeper.started.unwrap(), "docker.sock");
        let end = seen_ended(&keeper, keeper.finished.unwrap(), "docker.sock");
        assert_eq!((moment(&start.key), moment(&end.key)), (None, None));
        assert!(start.testimony.about.pid.is_some() && end.testimony.about.pid.is_none());
        assert_eq!(word(&end), &ContainerWord::Died { code: None, oom: None });
        assert!(
            end.testimony.evidence.text.starts_with("inspect: FinishedAt=2026-11-21T09:27:00.016Z")
        );
    }

    #[test]
    fn other_keys_have_no_moment() {
        for key in ["", "docker:", "docker:x:y:die", "kmsg:7", "docker:-1:a:die"] {
            assert_eq!(moment(key), None);
        }
    }
}
