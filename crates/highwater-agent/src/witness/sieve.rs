//! Which testimonies are kept: what tells of a death that somebody caused always; the small change of
//! shells and scripts, and what anybody can make without end, only so much a minute.
//!
//! Pure: moments are handed in. What is dropped is counted by whoever asks.

use std::collections::HashMap;
use std::time::Duration;

use highwater_core::owner::Owner;
use highwater_core::testimony::{
    ContainerWord, Exit, Fact, Party, Reception, Sent, Signal, Status, Testimony, Witness,
};
use highwater_core::time::BootTime;

/// In which the others are counted.
const SPAN: Duration = Duration::from_mins(1);

/// How many of a sort are kept in [`SPAN`] of each program of each user, by each thread that hears:
/// a loop is told by these, and does not cost the others theirs. Of requests to end both the signal
/// and the end count.
const RAN: u32 = 120;
const POLITE: u32 = 60;
const EXITS: u32 = 120;
const CRASHES: u32 = 60;
const AWAITED: u32 = 60;

/// What a user gets of each sort.
#[derive(Debug)]
struct Share {
    /// So many programs are told apart, since anybody can call his as he likes; the rest are one.
    programs: usize,
    /// So much is kept of all of them.
    most: u32,
}

/// Of somebody who logs in: some 1.5 MB a minute at the very worst, of a kilobyte each.
const PERSON: Share = Share { programs: 8, most: 300 };

/// Of an account of the system, and of what a daemon tells of containers: when a machine shuts down
/// its some hundred services are asked to end at once.
const SYSTEM: Share = Share { programs: 256, most: 1_200 };

/// Accounts of the system are below; whoever logs in cannot take their names.
const FIRST_PERSON: u32 = 1_000;

/// So many people are told apart in each sort, and the rest are one: somebody who may make user
/// namespaces has thousands of numbers.
const PEOPLE: usize = 16;

/// A process that lived so long is no command of a script: how it ends matters.
const GROWN_MS: u64 = 60_000;

/// What a testimony is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Worth {
    /// It tells of a death by another's hand, of a start or an end of an owner: always kept.
    Fatal,
    /// It may bear on one.
    Low(Sort, Program),
    /// A process that ended as it should.
    None,
}

/// What is counted apart, so that a flood of one does not cost the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Sort {
    /// A command that ends others.
    Ran,
    /// A request to end, or an end by one.
    Polite,
    /// An end with an error.
    Exit,
    /// A program brings its own end about, or is sent what has the same effect.
    Crash,
    /// The end of a process that had a hand in another's.
    Awaited,
}

/// A program of a user; of what has none, its owner.
pub(crate) type Program = (Option<u32>, Option<String>);

impl Sort {
    const fn most(self) -> u32 {
        match self {
            Self::Ran => RAN,
            Self::Polite => POLITE,
            Self::Exit => EXITS,
            Self::Crash => CRASHES,
            Self::Awaited => AWAITED,
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
    passed: HashMap<Sort, HashMap<Whose, Passed>>,
}

/// Whose programs share what a user gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Whose {
    /// An account of the system, or nobody's.
    System(Option<u32>),
    Person(u32),
    /// One of the people for whom there was no place.
    Others,
}

impl Whose {
    const fn of(uid: Option<u32>) -> Self {
        match uid {
            Some(uid) if uid >= FIRST_PERSON => Self::Person(uid),
            _ => Self::System(uid),
        }
    }

    const fn share(self) -> &'static Share {
        match self {
            Self::System(_) => &SYSTEM,
            Self::Person(_) | Self::Others => &PERSON,
        }
    }
}

/// What a user had of a sort.
#[derive(Debug, Default)]
struct Passed {
    programs: HashMap<Option<String>, u32>,
    all: u32,
}

impl Passed {
    /// Whether there is something left for this program.
    fn take(&mut self, program: Option<String>, most: u32, share: &Share) -> bool {
        let is_room = self.programs.len() < share.programs || self.programs.contains_key(&program);
        let passed = self.programs.entry(program.filter(|_| is_room)).or_default();
        if *passed >= most || self.all >= share.most {
            return false;
        }
        (*passed, self.all) = (passed.saturating_add(1), self.all.saturating_add(1));
        true
    }
}

impl Sieve {
    /// What becomes of it at `now`.
    pub(crate) fn judge(&mut self, testimony: &Testimony, now: BootTime) -> Fate {
        match worth(testimony) {
            Worth::Fatal => Fate::Kept,
            Worth::None => Fate::Idle,
            Worth::Low(sort, program) => self.count(sort, program, now),
        }
    }

    /// The same of the end of one that had a hand in another's, which is of use however it ended.
    pub(crate) fn judge_awaited(&mut self, testimony: &Testimony, now: BootTime) -> Fate {
        match worth(testimony) {
            Worth::Fatal => Fate::Kept,
            _ => self.count(Sort::Awaited, program(&testimony.about), now),
        }
    }

    fn count(&mut self, sort: Sort, (uid, program): Program, now: BootTime) -> Fate {
        if now.since(self.since) >= SPAN {
            self.since = now;
            self.passed.clear();
        }
        let all = self.passed.entry(sort).or_default();
        let is_person = |whose: &&Whose| !matches!(whose, Whose::System(_));
        let is_known = |whose: &Whose| {
            all.contains_key(whose) || all.keys().filter(is_person).count() < PEOPLE
        };
        let whose = match Whose::of(uid) {
            Whose::Person(uid) if !is_known(&Whose::Person(uid)) => Whose::Others,
            whose => whose,
        };
        let passed = all.entry(whose).or_default();
        let is_kept = passed.take(program, sort.most(), whose.share());
        if is_kept { Fate::Kept } else { Fate::Dropped }
    }
}

pub(crate) fn worth(testimony: &Testimony) -> Worth {
    let about = &testimony.about;
    match &testimony.fact {
        Fact::Exited(exit) => of_exit(*exit, about),
        Fact::Signalled(sent) => of_signal(sent, about),
        Fact::Ran => low(Sort::Ran, about),
        Fact::Container(ContainerWord::Health { .. }) => low(Sort::Exit, about),
        Fact::NoMemory { .. } if testimony.witness != Witness::Kmsg => low(Sort::Crash, about),
        // A user's own units can be started and stopped without end by that user.
        Fact::Unit(_) if matches!(about.owner, Some(Owner::UserUnit { .. })) => {
            Worth::Low(Sort::Crash, (about.owner.as_ref().and_then(Owner::uid), None))
        }
        _ => Worth::Fatal,
    }
}

fn low(sort: Sort, about: &Party) -> Worth {
    Worth::Low(sort, program(about))
}

fn program(about: &Party) -> Program {
    let owner = || about.owner.as_ref().map(|owner| owner.id().to_owned());
    (about.uid, about.comm.clone().or_else(owner))
}

fn of_exit(exit: Exit, about: &Party) -> Worth {
    let matters = exit.is_first == Some(true);
    match exit.status {
        _ if matters => Worth::Fatal,
        Status::Code(0) => Worth::None,
        Status::Code(_) if exit.lived_ms.is_some_and(|lived| lived >= GROWN_MS) => Worth::Fatal,
        Status::Code(_) => low(Sort::Exit, about),
        Status::Signal { signal, .. } if is_polite(signal) => low(Sort::Polite, about),
        Status::Signal { signal: Signal::KILL, .. } => Worth::Fatal,
        Status::Signal { .. } => low(Sort::Crash, about),
    }
}

fn of_signal(sent: &Sent, about: &Party) -> Worth {
    match sent.reception {
        Reception::Ignored => Worth::None,
        _ if sent.signal == Signal::KILL => Worth::Fatal,
        _ if is_polite(sent.signal) => low(Sort::Polite, about),
        _ => low(Sort::Crash, about),
    }
}

/// A polite request to end, or what a shell does to its jobs.
fn is_polite(signal: Signal) -> bool {
    [Signal::HUP, Signal::INT, Signal::PIPE, Signal::ALRM, Signal::TERM].contains(&signal)
}

#[cfg(test)]
mod tests {
    use highwater_core::evidence::Evidence;
    use highwater_core::id::Pid;
    use highwater_core::testimony::{Origin, Party, Witness};

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
        // Beyond so many, names without end are one.
        let named = |number: u32| {
            let mut testimony = crashed.clone();
            testimony.about.comm = Some(number.to_string());
            testimony
        };
        assert!((0..5_000).filter(|number| kept(&named(*number))).count() < 300);
    }

    #[test]
    fn a_script_that_ends_its_children_does_not_hide_another_s_end() {
        let (mut sieve, now) = (Sieve::default(), BootTime::from_micros(1));
        let mut kept = |comm: &str, status| {
            let mut testimony = exit(status, false);
            testimony.about.comm = Some(comm.to_owned());
            sieve.judge(&testimony, now) == Fate::Kept
        };
        let terminated = Status::Signal { signal: Signal::TERM, core: false };
        assert_eq!((0..5_000).filter(|_| kept("sleep", terminated)).count(), 60);
        assert_eq!((0..5_000).filter(|_| kept("grep", Status::Code(1))).count(), 120);
        assert!(kept("server", terminated) && kept("migrate", Status::Code(1)));
        // Many programs that fail leave room for those that are ended.
        assert!((0..5_000).filter(|n| kept(&n.to_string(), Status::Code(2))).count() < 400);
        assert!(kept("server", terminated));
    }

    fn of(uid: u32, comm: &str, mut testimony: Testimony) -> Testimony {
        testimony.about.uid = Some(uid);
        testimony.about.comm = Some(comm.to_owned());
        testimony
    }

    #[test]
    fn what_a_user_makes_costs_the_others_nothing() {
        let (mut sieve, now) = (Sieve::default(), BootTime::from_micros(1));
        let mut kept = |testimony: &Testimony| sieve.judge(testimony, now) == Fate::Kept;
        let floods = |uid: u32| {
            let forged = move |number: u32| of(uid, &number.to_string(), killed(Signal::TERM));
            (0..64 * 200).map(move |number| forged(number % 64))
        };
        assert_eq!(floods(1_000).filter(&mut kept).count(), 300);
        // With all of the numbers that a user namespace gives, too.
        let thousands = (100_000..101_000).flat_map(|uid| floods(uid).take(60));
        assert_eq!(thousands.filter(&mut kept).count(), 15 * 60 + 300);
        assert!(kept(&of(0, "server", killed(Signal::TERM))));
        // A machine that shuts down.
        let asked = |number: u32| of(0, &format!("service-{number}"), killed(Signal::TERM));
        assert_eq!((0..300).filter(|number| kept(&asked(*number))).count(), 300);
    }

    #[test]
    fn one_user_s_programs_are_bounded_together() {
        let (mut sieve, now) = (Sieve::default(), BootTime::from_micros(1));
        let mut kept =
            |comm: &str| sieve.judge(&of(1_000, comm, killed(Signal::TERM)), now) == Fate::Kept;
        assert_eq!((0..100).filter(|_| kept("loop")).count(), 60);
        assert!(kept("other"));
        // Beyond eight all are one.
        assert_eq!((0..100).filter(|number| kept(&number.to_string())).count(), 6 + 60);
    }

    #[test]
    fn signals_of_others_and_awaited_ends_are_bounded() {
        let (mut sieve, now) = (Sieve::default(), BootTime::from_micros(1));
        for signal in [Signal::SEGV, Signal::QUIT, Signal::ABRT, Signal(10)] {
            let by = Box::new(Party { pid: Some(Pid::new(7)), ..Party::default() });
            let sent = Sent {
                signal,
                by,
                origin: Origin::User,
                to_process: true,
                reception: Reception::Delivered,
            };
            let sent = of(1_000, &signal.to_string(), said(Fact::Signalled(sent)));
            let kept = |_: &u32| sieve.judge(&sent, now) == Fate::Kept;
            assert_eq!((0..500).filter(kept).count(), 60, "{signal}");
        }
        let ended = of(1_000, "sh", exit(Status::Code(1), false));
        let kept = |_: &u32| sieve.judge_awaited(&ended, now) == Fate::Kept;
        assert_eq!((0..500).filter(kept).count(), 60);
        let well = of(1_000, "make", exit(Status::Code(0), false));
        assert_eq!(sieve.judge(&well, now), Fate::Idle);
        assert_eq!(sieve.judge_awaited(&well, now), Fate::Kept);
        let killed = of(1_000, "sh", killed(Signal::KILL));
        assert_eq!(sieve.judge_awaited(&killed, now), Fate::Kept);
        let other = sieve.judge(&of(1_000, "sh", exit(Status::Code(1), false)), now);
        assert_eq!(other, Fate::Kept, "what is awaited is a sort of its own");
    }

    #[test]
    fn who_ends_well_is_not_told() {
        assert_eq!(worth(&exit(Status::Code(0), false)), Worth::None);
        assert_eq!(worth(&killed(Signal::TERM)), Worth::Low(Sort::Polite, (None, None)));
        assert_eq!(worth(&killed(Signal::KILL)), Worth::Fatal);
        let grown = Exit { status: Status::Code(1), lived_ms: Some(GROWN_MS), is_first: None };
        assert_eq!(worth(&said(Fact::Exited(grown))), Worth::Fatal);
    }
}
