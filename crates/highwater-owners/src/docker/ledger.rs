//! The containers that are known, and which of their starts and ends no event has told.

use std::collections::HashMap;

use highwater_core::id::Pid;

use super::event::{Action, Event};
use super::standing::{Listed, Standing};
use super::telling;
use crate::told::Told;

/// The most containers that are known by more than their name: a node runs some hundreds.
pub(super) const MOST: usize = 2_048;

/// The event of a start or an end follows the moment that `inspect` gives by milliseconds; on a
/// machine that swaps, by seconds. Before it comes it never does, but clocks are read apart.
const AFTER_NS: u64 = 10_000_000_000;
const BEFORE_NS: u64 = 100_000_000;

/// What is known of each container.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    known: HashMap<String, Known>,
    /// When the last start and the last end happened that an event told.
    told: HashMap<String, Moments>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Moments {
    start: Option<u64>,
    end: Option<u64>,
}

#[derive(Debug)]
struct Known {
    standing: Standing,
    start_is_told: bool,
    end_is_told: bool,
}

impl Ledger {
    /// The container as it was inspected. What was told of the same life before stays told.
    pub(super) fn note(&mut self, standing: Standing) {
        let before = self.known.get(&standing.whom.id);
        if before.is_none() && self.known.len() >= MOST {
            return;
        }
        let same = |told: fn(&Known) -> bool, moment: fn(&Standing) -> Option<u64>| {
            before.is_some_and(|old| told(old) && moment(&old.standing) == moment(&standing))
        };
        let id = standing.whom.id.clone();
        let told = self.told.get(&id).copied().unwrap_or_default();
        let start_is_told = same(|old| old.start_is_told, |standing| standing.started)
            || follows(told.start, standing.started);
        let end_is_told = same(|old| old.end_is_told, |standing| standing.finished)
            || follows(told.end, standing.finished);
        self.known.insert(id, Known { standing, start_is_told, end_is_told });
    }

    /// The container as it was inspected last.
    pub(super) fn standing(&self, id: &str) -> Option<&Standing> {
        self.known.get(id).map(|known| &known.standing)
    }

    /// Whether it stands as it was inspected last, and has for longer than between two lists.
    pub(super) fn is_as_listed(&self, listed: &Listed) -> bool {
        let standing = self.standing(&listed.whom.id);
        let runs = standing.map(|standing| standing.first.is_some());
        listed.is_lasting && runs.is_some() && runs == listed.runs
    }

    /// The first process of the life that an event at `ns` is about.
    pub(super) fn first(&self, id: &str, ns: u64) -> Option<Pid> {
        let standing = self.standing(id)?;
        let is_of_this_life = standing.started? <= ns.saturating_add(BEFORE_NS);
        standing.first.filter(|_| is_of_this_life)
    }

    /// Takes note of what an event tells; after this its process is no more.
    pub(super) fn hear(&mut self, event: &Event) {
        if event.action == Action::Destroyed {
            self.known.remove(&event.whom.id);
            self.told.remove(&event.whom.id);
            return;
        }
        self.hear_moment(event);
        let follows = |moment| follows(Some(event.ns), moment);
        let Some(known) = self.known.get_mut(&event.whom.id) else { return };
        match event.action {
            Action::Started => known.start_is_told |= follows(known.standing.started),
            Action::Died { .. } => known.end_is_told |= follows(known.standing.finished),
            _ => {}
        }
    }

    /// A start or an end may be told before the container is inspected.
    fn hear_moment(&mut self, event: &Event) {
        if self.told.len() >= MOST && !self.told.contains_key(&event.whom.id) {
            return;
        }
        match event.action {
            Action::Started => self.moments(event).start = Some(event.ns),
            Action::Died { .. } => self.moments(event).end = Some(event.ns),
            _ => {}
        }
    }

    fn moments(&mut self, event: &Event) -> &mut Moments {
        self.told.entry(event.whom.id.clone()).or_default()
    }

    /// Starts and ends after `since` that no event told, the earliest first.
    pub(super) fn untold(&mut self, since: Option<u64>, socket: &str) -> Vec<Told> {
        let is_new = |ns: &u64| since.is_none_or(|since| *ns > since);
        let mut told = Vec::new();
        for Known { standing, start_is_told, end_is_told } in self.known.values_mut() {
            // A start whose end is known is an older life: only the end of that is told as one.
            let end = standing.finished.filter(is_new);
            if let Some(end) = end.filter(|_| !std::mem::replace(end_is_told, true)) {
                told.push(telling::seen_ended(standing, end, socket));
            }
            let start = standing.started.filter(is_new);
            if let Some(start) = start.filter(|_| !std::mem::replace(start_is_told, true)) {
                told.push(telling::seen_started(standing, start, socket));
            }
        }
        told.sort_by(|a, b| (a.wall, &a.key).cmp(&(b.wall, &b.key)));
        told
    }
}

/// Whether an event that happened at `told` is that of the start or end at `moment`.
fn follows(told: Option<u64>, moment: Option<u64>) -> bool {
    told.zip(moment).is_some_and(|(told, moment)| {
        let earliest = moment.saturating_sub(BEFORE_NS);
        (earliest..=moment.saturating_add(AFTER_NS)).contains(&told)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keeper() -> Standing {
        let body = include_bytes!("../../../../fixtures/docker/inspect-keeper.json");
        Standing::parse(body).unwrap()
    }

    fn hear(ledger: &mut Ledger, recorded: &[u8]) {
        let events = recorded.split(|byte| *byte == b'\n').filter_map(Event::parse);
        events.for_each(|event| ledger.hear(&event));
    }

    fn words(told: &[Told]) -> Vec<&str> {
        told.iter().filter_map(|told| told.key.rsplit(':').next()).collect()
    }

    #[test]
    fn an_end_that_nobody_heard_is_told_once() {
        let mut ledger = Ledger::default();
        ledger.note(keeper());
        // Up to the start, which the events of the daemon's new life have; the end they have not.
        let after = include_str!("../../../../fixtures/docker/events-after-restart.jsonl");
        hear(&mut ledger, after.lines().next().unwrap().as_bytes());
        assert_eq!(words(&ledger.untold(None, "docker.sock")), ["die"]);
        assert!(ledger.untold(None, "docker.sock").is_empty());
    }

    #[test]
    fn what_events_told_is_not_told_again() {
        let mut ledger = Ledger::default();
        ledger.note(keeper());
        hear(&mut ledger, include_bytes!("../../../../fixtures/docker/events.jsonl"));
        assert_eq!(words(&ledger.untold(None, "docker.sock")), ["start"]);
    }

    #[test]
    fn to_inspect_again_makes_nothing_untold() {
        let mut ledger = Ledger::default();
        ledger.note(keeper());
        hear(&mut ledger, include_bytes!("../../../../fixtures/docker/events.jsonl"));
        ledger.note(keeper());
        assert_eq!(words(&ledger.untold(None, "docker.sock")), ["start"]);
        ledger.note(Standing {
            finished: keeper().finished.map(|ns| ns + 2_000_000_000),
            ..keeper()
        });
        assert_eq!(words(&ledger.untold(None, "docker.sock")), ["die"], "that is another end");
    }

    #[test]
    fn what_events_told_before_it_was_inspected_is_not_told_again() {
        let mut ledger = Ledger::default();
        hear(&mut ledger, include_bytes!("../../../../fixtures/docker/events.jsonl"));
        ledger.note(keeper());
        assert_eq!(words(&ledger.untold(None, "docker.sock")), ["start"]);
    }

    #[test]
    fn what_lies_before_is_not_told() {
        let mut ledger = Ledger::default();
        let keeper = keeper();
        ledger.note(keeper.clone());
        assert!(ledger.untold(keeper.started, "docker.sock").is_empty());
        assert_eq!(words(&ledger.untold(keeper.finished, "docker.sock")), ["start"]);
    }

    #[test]
    fn the_first_process_is_that_of_the_life() {
        let mut ledger = Ledger::default();
        let keeper = keeper();
        ledger.note(keeper.clone());
        assert_eq!(ledger.first(&keeper.whom.id, keeper.started.unwrap()), keeper.first);
        assert_eq!(ledger.first(&keeper.whom.id, keeper.finished.unwrap()), None);
        assert_eq!(ledger.first("aa", u64::MAX), None);
    }

    #[test]
    fn the_ledger_does_not_grow_without_bound() {
        let mut ledger = Ledger::default();
        for number in 0..MOST + 100 {
            let mut one = keeper();
            one.whom.id = format!("{number:064x}");
            ledger.note(one);
        }
        assert_eq!(ledger.known.len(), MOST);
    }
}
