//! When nobody listened: from the last that an agent recorded to the start of the next.
//!
//! An agent that is killed cannot say that it ends. What it recorded last does: a reading of the
//! machine's memory, or what only a witness who is there can tell. If the machine was started since,
//! what it kept in memory is gone, too.

use std::time::Duration;

use highwater_core::event::Happening;
use highwater_core::series::{Matcher, NAME, Selection, SeriesSource};
use highwater_core::testimony::Witness;
use highwater_core::time::{BootId, WallTime};
use highwater_diagnose::inquest::{Heard, Pause};
use highwater_store::{EventFilter, Reader};

/// Starts and ends of the agent that are looked at, the newest.
const MOST_EVENTS: usize = 1_000;

/// So many pauses are told apart, the newest: each costs a reading of the store or a few.
const MOST: usize = 64;

/// In every reading of the whole machine.
const ALWAYS: &str = "node_memory_MemAvailable_bytes";

/// So far back the last reading before a start is looked for, step by step, and how fine.
const LOOKS: [(Duration, Option<Duration>); 3] = [
    (Duration::from_mins(2), None),
    (Duration::from_hours(6), Some(Duration::from_mins(1))),
    (Duration::from_hours(24 * 14), Some(Duration::from_hours(1))),
];

/// The beginning or the end of an agent.
#[derive(Clone, Copy, Debug)]
struct Turn {
    at: WallTime,
    is_start: bool,
    boot_id: BootId,
    /// When that boot began.
    booted: Option<WallTime>,
}

/// The pauses on record, oldest first, that what was `heard` may fall into.
pub(super) fn on_record(reader: &Reader, heard: &[Heard]) -> anyhow::Result<Vec<Pause>> {
    let filter =
        EventFilter { kind: Some("recorder"), limit: Some(MOST_EVENTS), ..EventFilter::default() };
    let turns: Vec<Turn> = reader
        .events(&filter)?
        .into_iter()
        .filter_map(|stored| {
            let is_start = match stored.event.what {
                Happening::Recorder { what, .. } if what == "started" => true,
                Happening::Recorder { what, .. } if what == "stopped" => false,
                _ => return None,
            };
            let (at, boot) = (stored.event.wall, stored.event.boot);
            let booted = boot.map(|boot| at.before(Duration::from_micros(boot.micros())));
            Some(Turn { at, is_start, boot_id: stored.event.boot_id, booted })
        })
        .collect();
    Ok(between(&turns, heard, |start| last_reading(reader, start)))
}

/// That nobody listened for a while since then, the last time first; `None` if somebody always did.
pub(super) fn told(pauses: &[Pause], since: Option<WallTime>) -> Option<String> {
    let mut gaps: Vec<(WallTime, WallTime)> = Vec::new();
    for pause in pauses {
        let Some(from) = pause.from else { continue };
        match gaps.last_mut() {
            // In its middle the machine was started.
            Some((_, to)) if *to == from => *to = pause.to,
            // What was before anybody listened at all, up to the boot, is no gap; nor is its rest.
            _ if pauses.iter().any(|one| one.from.is_none() && one.to == from) => {}
            _ => gaps.push((from, pause.to)),
        }
    }
    gaps.retain(|(_, to)| since.is_none_or(|since| *to > since));
    let (from, to) = gaps.pop()?;
    let others = match gaps.len() {
        0 => String::new(),
        1 => ", nor once before".to_owned(),
        count => format!(", nor {count} times before"),
    };
    Some(format!(
        "Nobody listened from {from} to {to}{others}: an end in that time may not be on record."
    ))
}

/// The pauses between the turns, seeing when the last reading before a start was.
fn between(
    turns: &[Turn],
    heard: &[Heard],
    last_reading: impl Fn(WallTime) -> Option<WallTime>,
) -> Vec<Pause> {
    let starts = turns.iter().enumerate().filter(|(_, turn)| turn.is_start);
    let mut pauses: Vec<Pause> = Vec::new();
    for (place, start) in starts.rev().take(MOST) {
        let before = place.checked_sub(1).and_then(|place| turns.get(place));
        let from = match before {
            Some(turn) if !turn.is_start => Some(turn.at),
            _ => last_sign(heard, start.at)
                .max(last_reading(start.at))
                .max(before.map(|turn| turn.at)),
        };
        // Nothing tells in which boot the last reading of an unknown agent was.
        if before.is_some_and(|turn| turn.boot_id == start.boot_id) {
            let is_traced = is_traced(heard, from, start);
            pauses.push(Pause { from, to: start.at, is_traced, is_lost: false });
        } else {
            let mut parts: Vec<Pause> = Pause::over_boot(from, start.booted, start.at).collect();
            parts.reverse();
            pauses.append(&mut parts);
        }
    }
    pauses.reverse();
    pauses
}

/// Whether signals of the pause were read after it, which lay in the buffer of this boot.
fn is_traced(heard: &[Heard], from: Option<WallTime>, start: &Turn) -> bool {
    let is_within = |at: WallTime| from.is_none_or(|from| at >= from) && at < start.at;
    let is_of_boot = |one: &Heard| one.boot_id.is_none_or(|boot_id| boot_id == start.boot_id);
    let mut signals = heard.iter().filter(|one| one.testimony.witness == Witness::Signals);
    signals.any(|one| one.wall.is_some_and(is_within) && is_of_boot(one))
}

/// The last word before `start` of a witness whom nobody can hear afterwards.
fn last_sign(heard: &[Heard], start: WallTime) -> Option<WallTime> {
    let is_live = |one: &&Heard| {
        matches!(one.testimony.witness, Witness::Processes | Witness::Cgroups | Witness::Systemd)
    };
    heard.iter().filter(is_live).filter_map(|one| one.wall).filter(|at| *at < start).max()
}

fn last_reading(history: &dyn SeriesSource, start: WallTime) -> Option<WallTime> {
    LOOKS.iter().find_map(|(span, step)| {
        let selection = Selection {
            matchers: vec![Matcher::is(NAME, ALWAYS)],
            from: start.before(*span),
            to: start,
            step: *step,
            ends: false,
        };
        let found = history.select(&selection).unwrap_or_default();
        let points = found.into_iter().flat_map(|series| series.points);
        points.map(|point| point.at).filter(|at| *at < start).max()
    })
}

#[cfg(test)]
mod tests {
    use highwater_core::evidence::Evidence;
    use highwater_core::testimony::{Fact, Party, Testimony};

    use super::*;

    fn at(seconds: i64) -> WallTime {
        WallTime::from_millis(seconds * 1_000)
    }

    fn said(seconds: i64, witness: Witness) -> Heard {
        let evidence = Evidence { source: "x".to_owned(), line: None, text: "ran".to_owned() };
        let testimony = Testimony { witness, about: Party::default(), fact: Fact::Ran, evidence };
        Heard { wall: Some(at(seconds)), boot: None, boot_id: None, testimony }
    }

    fn boot(digit: char) -> BootId {
        digit.to_string().repeat(32).parse().unwrap()
    }

    fn turn(seconds: i64, is_start: bool) -> Turn {
        Turn { at: at(seconds), is_start, boot_id: boot('a'), booted: Some(at(3)) }
    }

    fn pause(from: Option<i64>, to: i64, is_traced: bool, is_lost: bool) -> Pause {
        Pause { from: from.map(at), to: at(to), is_traced, is_lost }
    }

    #[test]
    fn an_agent_that_was_killed_ends_with_what_it_recorded_last() {
        let turns = [turn(10, true), turn(50, false), turn(60, true), turn(100, true)];
        let reading = |start: WallTime| (start == at(100)).then_some(at(80));
        let heard = [said(83, Witness::Processes), said(90, Witness::Signals)];
        let pauses = between(&turns, &heard, reading);
        let first = [pause(None, 3, false, true), pause(Some(3), 10, false, false)];
        assert_eq!(pauses.get(..2), Some(&first[..]), "what was in memory before the boot is gone");
        let rest = [pause(Some(50), 60, false, false), pause(Some(83), 100, true, false)];
        assert_eq!(pauses.get(2..), Some(&rest[..]));
        // Without any sign of it, it is known to have begun.
        let pauses = between(&turns, &[], |_| None);
        assert_eq!(pauses.last(), Some(&pause(Some(60), 100, false, false)));
    }

    #[test]
    fn a_gap_is_told_once_and_the_last_first() {
        let first = [pause(None, 3, false, true), pause(Some(3), 10, false, false)];
        assert_eq!(told(&first, None), None, "before the first agent there was none to be missed");
        let restarted = [pause(Some(83), 95, false, true), pause(Some(95), 100, false, false)];
        let all = [&first[..], &[pause(Some(50), 60, false, false)], &restarted].concat();
        assert_eq!(
            told(&all, None).unwrap(),
            "Nobody listened from 1970-01-01T00:01:23.000Z to 1970-01-01T00:01:40.000Z, nor once before: an end in that time may not be on record."
        );
        assert!(!told(&all, Some(at(70))).unwrap().contains("before"));
        assert_eq!(told(&all, Some(at(100))), None);
    }

    #[test]
    fn a_pause_in_which_the_machine_was_started_is_two() {
        let after = Turn { boot_id: boot('b'), booted: Some(at(95)), ..turn(100, true) };
        // A signal was heard a moment after the last reading, live, and then the machine crashed.
        let heard = [said(83, Witness::Processes), said(84, Witness::Signals)];
        let reading = |start: WallTime| (start == at(100)).then_some(at(80));
        let pauses = between(&[turn(10, true), after], &heard, reading);
        let two = [pause(Some(83), 95, false, true), pause(Some(95), 100, false, false)];
        assert_eq!(pauses.get(2..), Some(&two[..]));
        // Ended in good order, and then shut down.
        let pauses = between(&[turn(10, true), turn(90, false), after], &[], |_| None);
        let two = [pause(Some(90), 95, false, true), pause(Some(95), 100, false, false)];
        assert_eq!(pauses.get(2..), Some(&two[..]));
    }
}
