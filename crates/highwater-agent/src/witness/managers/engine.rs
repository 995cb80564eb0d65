//! How a daemon with Docker's interface is heard, and how far.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use highwater_owners::{Heard, docker};

use super::Daemon;
use crate::witness::resume;

const NANO: Duration = Duration::from_nanos(1);

/// How one daemon is heard.
#[derive(Debug)]
pub(super) struct State {
    pub(super) daemon: Daemon,
    standing: RefCell<Standing>,
    /// The newest event up to which nothing is left to be told, in ns.
    newest: Cell<Option<u64>>,
    /// The newest while the past is being told: of that, earlier ones may be still to come.
    ahead: Cell<Option<u64>>,
    is_caught: Cell<bool>,
    /// Up to where the recorder knows that it was heard.
    told: Cell<Option<u64>>,
}

/// Whether it is heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Unasked,
    Heard,
    Absent(String),
}

impl State {
    pub(super) fn new(daemon: Daemon) -> Self {
        let since = daemon.since;
        Self {
            daemon,
            standing: RefCell::new(Standing::Unasked),
            newest: Cell::new(since),
            ahead: Cell::new(None),
            is_caught: Cell::new(false),
            told: Cell::new(since),
        }
    }

    /// It is asked anew at `now_ns`: from where on.
    pub(super) fn begin(&self, now_ns: u64) -> Option<u64> {
        self.ahead.set(None);
        self.is_caught.set(false);
        self.newest.set(self.newest.get().map(|newest| resume::from(newest, now_ns, NANO)));
        self.newest.get()
    }

    /// Takes note of how far it was heard.
    pub(super) fn hear(&self, heard: &Heard) {
        match heard {
            Heard::Told(told) => {
                let moment = docker::moment(&told.key);
                let place = if self.is_caught.get() { &self.newest } else { &self.ahead };
                place.set(place.get().max(moment));
            }
            Heard::Caught => {
                self.is_caught.set(true);
                self.newest.set(self.newest.get().max(self.ahead.get()));
            }
            Heard::Here(_) | Heard::Missed(_) => {}
        }
    }

    /// What the recorder is to know, if it does not yet.
    pub(super) fn untold(&self) -> Option<u64> {
        self.newest.get().filter(|newest| Some(*newest) != self.told.get())
    }

    pub(super) fn keep(&self, told: u64) {
        self.told.set(Some(told));
    }

    pub(super) fn stand(&self, standing: Standing) {
        self.standing.replace(standing);
    }

    pub(super) fn standing(&self) -> Standing {
        self.standing.borrow().clone()
    }
}

/// How the witness stands, of daemons and whether each has a socket. One that is there and not heard
/// is a loss, whoever else is heard.
pub(super) fn presence(daemons: &[(Standing, bool)]) -> Standing {
    let is_open =
        |(standing, has_socket): &(Standing, bool)| *has_socket && *standing == Standing::Unasked;
    if daemons.iter().any(is_open) {
        return Standing::Unasked;
    }
    let is_absent = |standing: &Standing| matches!(standing, Standing::Absent(_));
    let all = || daemons.iter().map(|(standing, _)| standing);
    let mute = daemons.iter().find(|(standing, has_socket)| *has_socket && is_absent(standing));
    let heard = || all().find(|standing| **standing == Standing::Heard);
    let first = || all().find(|standing| is_absent(standing));
    let chosen = mute.map(|(standing, _)| standing).or_else(heard).or_else(first);
    chosen.cloned().unwrap_or(Standing::Unasked)
}

#[cfg(test)]
mod tests {
    use highwater_core::evidence::Evidence;
    use highwater_core::testimony::{ContainerWord, Fact, Party, Testimony, Witness};
    use highwater_owners::Told;

    use super::*;

    fn told(ns: u64) -> Heard {
        let evidence = Evidence { source: String::new(), line: None, text: String::new() };
        let fact = Fact::Container(ContainerWord::Stopped);
        let about = Party::default();
        let testimony = Testimony { witness: Witness::Docker, about, fact, evidence };
        let key = format!("docker:{ns}:aa:stop");
        Heard::Told(Box::new(Told { wall: None, boot: None, key, testimony }))
    }

    fn state(since: Option<u64>) -> State {
        State::new(Daemon { name: "docker", socket: "/nowhere".into(), since })
    }

    #[test]
    fn the_past_counts_as_heard_when_all_of_it_is_told() {
        let state = state(Some(10));
        assert_eq!((state.begin(1_000), state.untold()), (Some(10), None));
        state.hear(&told(20));
        assert_eq!(state.untold(), None, "there may be a hole before it");
        // The daemon goes in the middle of it.
        assert_eq!(state.begin(1_000), Some(10));
        state.hear(&told(30));
        state.hear(&Heard::Caught);
        assert_eq!(state.untold(), Some(30));
        state.keep(30);
        assert_eq!(state.untold(), None);
        state.hear(&told(40));
        assert_eq!(state.untold(), Some(40));
        assert_eq!(state.begin(35), Some(0), "the clock was set back");
    }

    #[test]
    fn a_daemon_that_is_there_and_mute_is_a_loss() {
        use Standing::{Absent, Heard, Unasked};
        let absent = |why: &str| Absent(why.to_owned());
        let of = |all: &[(Standing, bool)]| presence(all);
        assert_eq!(of(&[(Unasked, true), (Heard, true)]), Unasked);
        assert_eq!(of(&[(Unasked, false), (Heard, true)]), Heard);
        assert_eq!(of(&[(Heard, true), (absent("hung"), true)]), absent("hung"));
        assert_eq!(of(&[(absent("none"), false), (Heard, true)]), Heard);
        let neither = [(absent("none"), false), (absent("no other"), false)];
        assert_eq!(of(&neither), absent("none"));
        assert_eq!(of(&[]), Unasked);
    }
}
