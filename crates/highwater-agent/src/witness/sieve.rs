//! Which testimonies are kept: what tells of a death always, the small change of shells and scripts
//! only so much a minute.
//!
//! Pure: moments are handed in. What is dropped is counted by whoever asks.

use std::time::Duration;

use highwater_core::testimony::{
    ContainerWord, Exit, Fact, Origin, Reception, Sent, Signal, Status, Testimony,
};
use highwater_core::time::BootTime;

/// So many testimonies of low value are kept in [`SPAN`] by each thread that hears: at two a second
/// they are a megabyte an hour, and more than a busy machine's scripts bring.
const MOST: u32 = 120;

/// See [`MOST`].
const SPAN: Duration = Duration::from_mins(1);

/// A process that lived so long is no command of a script: how it ends matters.
const GROWN_MS: u64 = 60_000;

/// What a testimony is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Worth {
    /// It tells of a death, a start or an end of an owner: always kept.
    Fatal,
    /// It may bear on one.
    Low,
    /// A process that ended as it should.
    None,
}

/// What becomes of a testimony.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Kept,
    /// It was of low value, and there were too many.
    Dropped,
    /// It says nothing that anybody would ask for.
    Idle,
}

/// Lets through what matters.
#[derive(Debug, Default)]
pub(crate) struct Sieve {
    since: BootTime,
    passed: u32,
}

impl Sieve {
    /// What becomes of it at `now`.
    pub(crate) fn judge(&mut self, testimony: &Testimony, now: BootTime) -> Fate {
        match worth(testimony) {
            Worth::Fatal => Fate::Kept,
            Worth::None => Fate::Idle,
            Worth::Low => {
                if now.since(self.since) >= SPAN {
                    *self = Self { since: now, passed: 0 };
                }
                self.passed = self.passed.saturating_add(1);
                if self.passed > MOST { Fate::Dropped } else { Fate::Kept }
            }
        }
    }
}

pub(crate) fn worth(testimony: &Testimony) -> Worth {
    match &testimony.fact {
        Fact::Exited(exit) => of_exit(*exit),
        Fact::Signalled(sent) => of_signal(sent),
        Fact::Ran | Fact::Container(ContainerWord::Health { .. }) => Worth::Low,
        _ => Worth::Fatal,
    }
}

fn of_exit(exit: Exit) -> Worth {
    let matters = exit.is_first == Some(true);
    match exit.status {
        _ if matters => Worth::Fatal,
        Status::Code(0) => Worth::None,
        Status::Code(_) if exit.lived_ms.is_some_and(|lived| lived >= GROWN_MS) => Worth::Fatal,
        Status::Signal { signal, .. } if is_violent(signal) => Worth::Fatal,
        _ => Worth::Low,
    }
}

fn of_signal(sent: &Sent) -> Worth {
    match (sent.reception, sent.origin) {
        (Reception::Ignored, _) => Worth::None,
        (_, Origin::Fault(_)) => Worth::Fatal,
        _ if is_violent(sent.signal) => Worth::Fatal,
        _ => Worth::Low,
    }
}

/// A polite request to end, or what a shell does to its jobs, is none.
fn is_violent(signal: Signal) -> bool {
    const POLITE: [Signal; 5] =
        [Signal::HUP, Signal::INT, Signal::PIPE, Signal::ALRM, Signal::TERM];
    !POLITE.contains(&signal)
}

#[cfg(test)]
mod tests {
    use highwater_core::evidence::Evidence;
    use highwater_core::testimony::{Party, Witness};

    use super::*;

    fn said(fact: Fact) -> Testimony {
        let evidence = Evidence { source: String::new(), line: None, text: String::new() };
        Testimony { witness: Witness::Processes, about: Party::default(), fact, evidence }
    }

    fn exit(status: Status, is_first: bool) -> Testimony {
        let is_first = Some(is_first);
        said(Fact::Exited(Exit { status, lived_ms: Some(50), is_first }))
    }

    fn killed(signal: Signal) -> Testimony {
        exit(Status::Signal { signal, core: false }, false)
    }

    #[test]
    fn deaths_pass_whatever_the_flood() {
        let mut sieve = Sieve::default();
        let now = BootTime::from_micros(1);
        let fates: Vec<Fate> =
            (0..500).map(|_| sieve.judge(&exit(Status::Code(1), false), now)).collect();
        assert_eq!(fates.iter().filter(|fate| **fate == Fate::Kept).count(), 120);
        assert_eq!(sieve.judge(&exit(Status::Code(1), false), now), Fate::Dropped);
        assert_eq!(sieve.judge(&killed(Signal::KILL), now), Fate::Kept);
        assert_eq!(sieve.judge(&exit(Status::Code(0), true), now), Fate::Kept);
        let later = BootTime::from_micros(60_000_001);
        assert_eq!(sieve.judge(&exit(Status::Code(1), false), later), Fate::Kept);
    }

    #[test]
    fn who_ends_well_is_not_told() {
        assert_eq!(worth(&exit(Status::Code(0), false)), Worth::None);
        assert_eq!(worth(&killed(Signal::TERM)), Worth::Low);
        assert_eq!(worth(&killed(Signal::SEGV)), Worth::Fatal);
        let grown = Exit { status: Status::Code(1), lived_ms: Some(GROWN_MS), is_first: None };
        assert_eq!(worth(&said(Fact::Exited(grown))), Worth::Fatal);
    }
}
