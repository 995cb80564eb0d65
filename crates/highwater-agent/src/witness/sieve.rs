//! Which testimonies are kept: what tells of a death that somebody caused always; the small change of
//! shells and scripts, and what anybody can make without end, only so much a minute.
//!
//! Pure: moments are handed in. What is dropped is counted by whoever asks.

use std::collections::HashMap;
use std::time::Duration;

use highwater_core::owner::Owner;
use highwater_core::testimony::{
    ContainerWord, Exit, Fact, Origin, Party, Reception, Sent, Signal, Status, Testimony, Witness,
};
use highwater_core::time::BootTime;

/// In which the others are counted.
const SPAN: Duration = Duration::from_mins(1);

/// How many of a kind are kept in [`SPAN`] by each thread that hears. Commands that end others are
/// few; of requests to end and of exits with an error a busy machine's scripts bring some a second.
const RAN: u32 = 120;
const POLITE: u32 = 120;
const EXITS: u32 = 120;

/// How often one program of one user may crash in [`SPAN`]: a loop of crashes is told by these.
const CRASHES: u32 = 60;

/// How many programs are told apart in that; the rest are one.
const PROGRAMS: usize = 64;

/// A process that lived so long is no command of a script: how it ends matters.
const GROWN_MS: u64 = 60_000;

/// What a testimony is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Worth {
    /// It tells of a death by another's hand, of a start or an end of an owner: always kept.
    Fatal,
    /// It may bear on one.
    Low(Kind),
    /// A process that ended as it should.
    None,
}

/// What is counted apart, so that a flood of one does not cost the others.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Ran,
    Polite,
    Exit,
    /// By a program of a user that brings its own end about.
    Crash(Option<u32>, Option<String>),
}

impl Kind {
    const fn most(&self) -> u32 {
        match self {
            Self::Ran => RAN,
            Self::Polite => POLITE,
            Self::Exit => EXITS,
            Self::Crash(..) => CRASHES,
        }
    }
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
    passed: HashMap<Kind, u32>,
}

impl Sieve {
    /// What becomes of it at `now`.
    pub(crate) fn judge(&mut self, testimony: &Testimony, now: BootTime) -> Fate {
        let kind = match worth(testimony) {
            Worth::Fatal => return Fate::Kept,
            Worth::None => return Fate::Idle,
            Worth::Low(kind) => kind,
        };
        if now.since(self.since) >= SPAN {
            self.since = now;
            self.passed.clear();
        }
        let is_room = self.passed.len() < PROGRAMS || self.passed.contains_key(&kind);
        let kind = if is_room { kind } else { Kind::Crash(None, None) };
        let most = kind.most();
        let passed = self.passed.entry(kind).or_default();
        *passed = passed.saturating_add(1);
        if *passed > most { Fate::Dropped } else { Fate::Kept }
    }
}

pub(crate) fn worth(testimony: &Testimony) -> Worth {
    let about = &testimony.about;
    match &testimony.fact {
        Fact::Exited(exit) => of_exit(*exit, about),
        Fact::Signalled(sent) => of_signal(sent, about),
        Fact::Ran => Worth::Low(Kind::Ran),
        Fact::Container(ContainerWord::Health { .. }) => Worth::Low(Kind::Exit),
        Fact::NoMemory { .. } if testimony.witness != Witness::Kmsg => Worth::Low(crash(about)),
        // A user's own units can be started and stopped without end by that user.
        Fact::Unit(_) if matches!(about.owner, Some(Owner::UserUnit { .. })) => {
            Worth::Low(Kind::Crash(about.owner.as_ref().and_then(Owner::uid), None))
        }
        _ => Worth::Fatal,
    }
}

fn crash(about: &Party) -> Kind {
    Kind::Crash(about.uid, about.comm.clone())
}

fn of_exit(exit: Exit, about: &Party) -> Worth {
    let matters = exit.is_first == Some(true);
    match exit.status {
        _ if matters => Worth::Fatal,
        Status::Code(0) => Worth::None,
        Status::Code(_) if exit.lived_ms.is_some_and(|lived| lived >= GROWN_MS) => Worth::Fatal,
        Status::Code(_) => Worth::Low(Kind::Exit),
        Status::Signal { signal, .. } if is_polite(signal) => Worth::Low(Kind::Polite),
        Status::Signal { signal: Signal::KILL, .. } => Worth::Fatal,
        Status::Signal { .. } => Worth::Low(crash(about)),
    }
}

fn of_signal(sent: &Sent, about: &Party) -> Worth {
    match (sent.reception, sent.origin) {
        (Reception::Ignored, _) => Worth::None,
        _ if sent.signal == Signal::KILL => Worth::Fatal,
        _ if is_polite(sent.signal) => Worth::Low(Kind::Polite),
        (_, Origin::Fault(_) | Origin::Thread) => Worth::Low(crash(about)),
        _ if sent.by.pid == about.pid => Worth::Low(crash(about)),
        _ => Worth::Fatal,
    }
}

/// A polite request to end, or what a shell does to its jobs.
fn is_polite(signal: Signal) -> bool {
    [Signal::HUP, Signal::INT, Signal::PIPE, Signal::ALRM, Signal::TERM].contains(&signal)
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
    fn a_loop_of_crashes_costs_neither_the_disk_nor_the_others() {
        let (mut sieve, now) = (Sieve::default(), BootTime::from_micros(1));
        let mut kept = |testimony: &Testimony| sieve.judge(testimony, now) == Fate::Kept;
        let crashed = killed(Signal::SEGV);
        assert_eq!((0..5_000).filter(|_| kept(&crashed)).count(), 60);
        let mut other = crashed.clone();
        other.about.comm = Some("other".to_owned());
        assert!(kept(&other) && kept(&killed(Signal::KILL)) && kept(&killed(Signal::TERM)));
        // Names without end are one.
        let named = |number: u32| {
            let mut testimony = crashed.clone();
            testimony.about.comm = Some(number.to_string());
            testimony
        };
        assert!((0..5_000).filter(|number| kept(&named(*number))).count() < 200);
    }

    #[test]
    fn who_ends_well_is_not_told() {
        assert_eq!(worth(&exit(Status::Code(0), false)), Worth::None);
        assert_eq!(worth(&killed(Signal::TERM)), Worth::Low(Kind::Polite));
        assert_eq!(worth(&killed(Signal::KILL)), Worth::Fatal);
        let grown = Exit { status: Status::Code(1), lived_ms: Some(GROWN_MS), is_first: None };
        assert_eq!(worth(&said(Fact::Exited(grown))), Worth::Fatal);
    }
}
