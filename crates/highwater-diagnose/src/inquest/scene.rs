//! One death as a rule looks at it: what is said of it, and what else went on.

use std::collections::HashMap;

use highwater_core::event::Sight;
use highwater_core::evidence::{Claim, Evidence};
use highwater_core::id::Pid;
use highwater_core::owner::Owner;
use highwater_core::testimony::{
    AuditWord, ContainerWord, Exit, Fact, Job, Limits, Origin, Party, PodWord, Sent, Signal,
    Status, UnitWord, Witness,
};
use highwater_core::time::{BootId, WallTime};
use highwater_core::units::Bytes;

use super::Hearing;
use super::hands::{is_runtime, is_systemd};
use super::matter::Matter;
use super::strand::{DYING_US, ending, is_memory, sent};
use super::tenure::Tenure;
use super::timeline::{Item, Timeline, apart};

/// The most places that one claim cites.
const CITED: usize = 4;

/// A command that ends others does so within this; stopping may take as long as it is allowed to.
const COMMAND_US: i64 = 5_000_000;

/// Everything that is of no one death alone.
pub(super) struct Court<'t> {
    pub(super) timeline: &'t Timeline<'t>,
    sights: Vec<&'t (WallTime, Sight)>,
    /// When processes ended.
    exits: HashMap<(Option<BootId>, Pid), Vec<&'t Item<'t>>>,
    /// Commands that can end others, in order of time.
    ran: Vec<&'t Item<'t>>,
    /// Refusals of memory by the name of who asked: the kernel names the thread, not the process.
    refusals: HashMap<&'t str, Vec<&'t Item<'t>>>,
    /// All of them, in order of time.
    refused: Vec<&'t Item<'t>>,
    /// Whose they were that asked in vain, where anybody says so: the kernel does not.
    askers: HashMap<(Option<BootId>, Pid), Option<usize>>,
    /// Deaths for memory, by owner.
    memory: HashMap<usize, Vec<(i64, Brief<'t>)>>,
    /// When owners ended, each in order of time.
    ends: HashMap<usize, Vec<i64>>,
    /// Ends of processes by signals, by owner and in order of time.
    killed: HashMap<usize, Vec<(&'t Item<'t>, Signal)>>,
}

/// The death of a child, as its owner's sees it.
#[derive(Clone, Debug)]
pub(super) struct Brief<'t> {
    pub(super) who: Party,
    pub(super) item: &'t Item<'t>,
}

impl<'t> Court<'t> {
    pub(super) fn new(
        hearing: &Hearing<'t>,
        timeline: &'t Timeline<'t>,
        matters: &[Matter<'t>],
    ) -> Self {
        let mut sights: Vec<_> = hearing.sights.iter().collect();
        sights.sort_by_key(|(from, _)| *from);
        let mut court = Self {
            timeline,
            sights,
            exits: HashMap::new(),
            ran: Vec::new(),
            refusals: HashMap::new(),
            refused: Vec::new(),
            askers: HashMap::new(),
            memory: HashMap::new(),
            ends: HashMap::new(),
            killed: HashMap::new(),
        };
        for item in &timeline.items {
            match (item.fact(), item.about().and_then(|about| about.pid)) {
                (Some(Fact::Ran), _) => court.ran.push(item),
                (Some(Fact::Exited(exit)), Some(pid)) => {
                    court.exits.entry((item.boot_id, pid)).or_default().push(item);
                    if let (Some(owner), Status::Signal { signal, .. }) = (item.owner, exit.status)
                    {
                        court.killed.entry(owner).or_default().push((item, signal));
                    }
                }
                (Some(Fact::NoMemory { .. }), _) => {
                    court.refused.push(item);
                    let comm = item.about().and_then(|about| about.comm.as_deref());
                    court.refusals.entry(comm.unwrap_or_default()).or_default().push(item);
                }
                _ => {}
            }
        }
        court.know_ends(matters);
        court.know_askers();
        court.know_children(matters);
        court
    }

    /// Who of an owner was killed for memory, and when the owner itself ended.
    fn know_children(&mut self, matters: &[Matter<'t>]) {
        for matter in matters {
            let (Some(owner), Some(at)) = (matter.owner, matter.at()) else { continue };
            if matter.is_first == Some(true) {
                self.ends.entry(owner).or_default().push(at);
                continue;
            }
            let word = matter.items.iter().find(|item| is_memory(item) || is_oom_word(item));
            if let Some(item) = word {
                let brief = Brief { who: matter.who.clone(), item };
                self.memory.entry(owner).or_default().push((at, brief));
            }
        }
        for ends in self.ends.values_mut() {
            ends.sort_unstable();
        }
        for deaths in self.memory.values_mut() {
            deaths.sort_by_key(|(at, brief)| (*at, brief.who.pid));
        }
    }

    /// Of a first process whose own end nobody saw, its manager tells.
    fn know_ends(&mut self, matters: &[Matter<'t>]) {
        for matter in matters.iter().filter(|matter| matter.tenure.is_some()) {
            if let (Some(pid), Some(end)) = (matter.who.pid, matter.end) {
                self.exits.entry((matter.boot_id, pid)).or_insert_with(|| vec![end]);
            }
        }
    }

    fn know_askers(&mut self) {
        let asker = |item: &Item<'_>| Some((item.boot_id, item.about()?.pid?));
        self.askers = self.refused.iter().filter_map(|item| Some((asker(item)?, None))).collect();
        if self.askers.is_empty() {
            return;
        }
        for item in &self.timeline.items {
            let known = asker(item).and_then(|asker| self.askers.get_mut(&asker));
            if let Some(owner) = known {
                *owner = owner.or(item.owner);
            }
        }
    }

    /// Who was heard at this moment; of what was before anybody listened, the first sight.
    pub(super) fn sight(&self, wall: Option<WallTime>) -> Option<&'t Sight> {
        let after = match wall {
            Some(wall) => self.sights.partition_point(|(from, _)| *from <= wall),
            None => self.sights.len(),
        };
        let place = after.saturating_sub(1);
        self.sights.get(place).map(|(_, sight)| sight)
    }
}

fn is_oom_word(item: &Item<'_>) -> bool {
    matches!(item.fact(), Some(Fact::Oom(_) | Fact::Unit(UnitWord::OutOfMemory)))
        || matches!(item.fact(), Some(Fact::Container(ContainerWord::Oom)))
}

/// The first of `items` from `from` on, by bisection.
fn from<'s, 't>(items: &'s [&'t Item<'t>], from: i64) -> &'s [&'t Item<'t>] {
    let begin = items.partition_point(|item| item.at < Some(from));
    items.get(begin..).unwrap_or_default()
}

/// One death.
pub(super) struct Scene<'s, 't> {
    pub(super) court: &'s Court<'t>,
    pub(super) matter: &'s Matter<'t>,
    pub(super) tenure: Option<&'s Tenure<'t>>,
    pub(super) at: Option<i64>,
    /// With what it ended, and who says so.
    pub(super) status: Option<(Status, &'t Item<'t>)>,
    /// The signal that ended it.
    pub(super) fatal: Option<(&'t Item<'t>, &'t Sent)>,
}

impl<'s, 't> Scene<'s, 't> {
    pub(super) fn of(
        court: &'s Court<'t>,
        matter: &'s Matter<'t>,
        tenure: Option<&'s Tenure<'t>>,
    ) -> Self {
        let at = matter.at();
        let status = status(&matter.items);
        let fatal = fatal(&matter.items, at, status.map(|(status, _)| status));
        Self { court, matter, tenure, at, status, fatal }
    }

    pub(super) fn items(&self) -> impl DoubleEndedIterator<Item = &'t Item<'t>> + '_ {
        self.matter.items.iter().copied()
    }

    pub(super) fn owner(&self) -> Option<&Owner> {
        self.matter.owner.and_then(|owner| self.court.timeline.owners.get(owner))
    }

    /// The first word of a unit's manager that is one of these.
    pub(super) fn unit(&self, is_it: impl Fn(&UnitWord) -> bool) -> Option<&'t Item<'t>> {
        self.items().find(|item| item.unit().is_some_and(&is_it))
    }

    /// systemd's verdict, if it is this.
    pub(super) fn result(&self, wanted: &str) -> Option<&'t Item<'t>> {
        self.unit(|word| matches!(word, UnitWord::Result { result, .. } if result == wanted))
    }

    pub(super) fn container(&self, is_it: impl Fn(&ContainerWord) -> bool) -> Option<&'t Item<'t>> {
        self.items().find(|item| matches!(item.fact(), Some(Fact::Container(word)) if is_it(word)))
    }

    pub(super) fn pod(&self, is_it: impl Fn(&PodWord) -> bool) -> Option<&'t Item<'t>> {
        self.items().find(|item| matches!(item.fact(), Some(Fact::Pod(word)) if is_it(word)))
    }

    /// A job of this kind, asked for while it lived and not long before.
    pub(super) fn asked(&self, wanted: Job) -> Option<&'t Item<'t>> {
        let is_it = |item: &&Item<'_>| matches!(item.unit(), Some(UnitWord::Asked { job }) if *job == wanted);
        self.items().find(|item| is_it(item) && self.is_before_end(item))
    }

    /// A word that came before the end, and not so long before that it cannot have to do with it.
    pub(super) fn is_before_end(&self, item: &Item<'_>) -> bool {
        /// Two witnesses' clocks, and the way a message takes.
        const SLACK_US: i64 = 2_000_000;
        match (item.at, self.at) {
            (Some(word), Some(end)) => {
                word <= end.saturating_add(SLACK_US) && word.abs_diff(end) <= DYING_US
            }
            _ => true,
        }
    }

    pub(super) fn exit(&self) -> Option<(Exit, &'t Item<'t>)> {
        self.items().find_map(|item| match item.fact() {
            Some(Fact::Exited(exit)) => Some((*exit, item)),
            _ => None,
        })
    }

    /// The signal it died of, whoever says so.
    pub(super) fn signal(&self) -> Option<Signal> {
        match self.status {
            Some((Status::Signal { signal, .. }, _)) => Some(signal),
            Some((Status::Code(_), _)) | None => self.fatal.map(|(_, sent)| sent.signal),
        }
    }

    pub(super) fn died_of(&self, signal: Signal) -> bool {
        self.signal() == Some(signal)
    }

    /// The code it ended with, of itself or as a daemon says.
    pub(super) fn code(&self) -> Option<u8> {
        match self.status {
            Some((Status::Code(code), _)) => Some(code),
            _ => None,
        }
    }

    /// Signals that reached it, oldest first.
    pub(super) fn sent(&self) -> impl DoubleEndedIterator<Item = (&'t Item<'t>, &'t Sent)> {
        sent(&self.matter.items)
    }

    /// The request to end that came before the end, if it is not the signal that ended it.
    pub(super) fn request(
        &self,
        is_by: impl Fn(&Party) -> bool,
    ) -> Option<(&'t Item<'t>, &'t Sent)> {
        let is_polite = |sent: &Sent| {
            matches!(sent.signal, Signal::TERM | Signal::INT | Signal::HUP | Signal::QUIT)
        };
        self.sent()
            .find(|(item, sent)| is_polite(sent) && is_by(&sent.by) && self.is_before_end(item))
    }

    /// The hand that ended it: the sender of the fatal signal, else of a request it answered.
    pub(super) fn hand(&self, is_by: impl Fn(&Party) -> bool) -> Option<(&'t Item<'t>, &'t Sent)> {
        match self.fatal {
            Some((item, sent)) => is_by(&sent.by).then_some((item, sent)),
            None => self.request(is_by),
        }
    }

    /// The signal that ended it came from elsewhere than those.
    pub(super) fn is_by_other(&self, is_by: impl Fn(&Party) -> bool) -> bool {
        self.fatal.is_some_and(|(_, sent)| !is_by(&sent.by))
    }

    pub(super) fn is_runtime(&self, by: &Party) -> bool {
        is_runtime(by, &self.matter.who)
    }

    pub(super) fn hand_is_systemd(&self) -> Option<(&'t Item<'t>, &'t Sent)> {
        self.hand(is_systemd)
    }

    /// A command that names the owner and could have led to this; the last before the end.
    pub(super) fn command(&self, program: &str, verbs: &[&str]) -> Option<&'t Item<'t>> {
        let at = self.at?;
        let asked = self.items().find(|item| self.is_before_end(item) && is_request(item));
        let begin = asked.and_then(|item| item.at).unwrap_or(at).min(at).saturating_sub(COMMAND_US);
        let span = from(&self.court.ran, begin).iter().take(WINDOW);
        let span = span.take_while(|item| item.at <= Some(at.saturating_add(COMMAND_US / 5)));
        let names = self.names();
        span.filter(|item| {
            let command = item.about().and_then(|about| about.command.as_deref());
            command.is_some_and(|command| is_command(command, program, verbs, &names))
        })
        .last()
        .copied()
    }

    /// What a person may have called the owner.
    fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        match self.owner() {
            Some(Owner::Unit(unit) | Owner::UserUnit { unit, .. } | Owner::Session(unit)) => {
                names.push(unit.clone());
                names.extend(unit.strip_suffix(".service").map(str::to_owned));
            }
            Some(Owner::Container(name) | Owner::Pod { container: name, .. }) => {
                names.push(name.clone());
            }
            _ => {}
        }
        names.extend(self.matter.who.container_id.clone());
        names
    }

    /// When the parent that sent a signal ended, if it did.
    pub(super) fn exit_of(&self, pid: Pid, near: &Item<'_>) -> Option<&'t Item<'t>> {
        let exits = self.court.exits.get(&(near.boot_id, pid))?;
        let gap = |item: &&&Item<'_>| apart(item.at, near.at).unwrap_or(u64::MAX);
        exits.iter().min_by_key(gap).copied().filter(|item| gap(&item) <= 1_000_000)
    }

    /// The refusals of memory that came before the end: its own, else of a namesake that may be a
    /// thread of it or one of its owner.
    pub(super) fn refusal(&self) -> Option<(&'t Item<'t>, bool)> {
        /// A program that is refused memory and does not give up at once may live long.
        const SPAN_US: i64 = 10_000_000;
        let own = self.items().filter(|item| matches!(item.fact(), Some(Fact::NoMemory { .. })));
        let own = best(&own.collect::<Vec<_>>());
        let is_near = |item: &&Item<'_>| {
            apart(item.at, self.at).is_none_or(|gap| gap <= SPAN_US.unsigned_abs())
        };
        if let Some(own) = own {
            return is_near(&own).then_some((own, true));
        }
        let at = self.at?;
        let near = |refusals: &[&'t Item<'t>]| -> Vec<&'t Item<'t>> {
            let span = from(refusals, at.saturating_sub(SPAN_US)).iter().take(WINDOW);
            let span = span.take_while(|item| item.at <= Some(at.saturating_add(SPAN_US / 10)));
            span.copied().filter(|item| self.may_have_asked(item)).collect()
        };
        let who = &self.matter.who;
        if let Some(comm) = who.comm.as_deref() {
            return Some((best(&near(self.court.refusals.get(comm)?))?, false));
        }
        // An owner of which no process is known: whoever of it was refused, if it was but one.
        let all = near(&self.court.refused);
        let is_one = all.windows(2).all(|two| match two {
            [one, other] => one.process() == other.process(),
            _ => true,
        });
        let last = best(&all).filter(|_| who.pid.is_none() && is_one)?;
        Some((last, false))
    }

    /// Whether who asked in vain is of the same owner; where nobody knows whose it is, whether it
    /// can be a thread of this very process: those have later numbers, and no end of their own.
    fn may_have_asked(&self, refusal: &Item<'_>) -> bool {
        let Some(asker) = refusal.about().and_then(|about| about.pid) else { return false };
        let asker = (refusal.boot_id, asker);
        let owner = self.court.askers.get(&asker).copied().flatten();
        match (owner, self.matter.who.pid) {
            (Some(owner), None) => self.matter.owner == Some(owner),
            (Some(owner), Some(_)) if self.matter.owner != Some(owner) => false,
            (_, Some(pid)) => asker.1 > pid && !self.court.exits.contains_key(&asker),
            (None, None) => false,
        }
    }

    /// A process of the same owner that was killed for memory just before.
    pub(super) fn child(&self) -> Option<&'s Brief<'t>> {
        /// A shell ends as soon as what it ran is gone; a manager's jobs take a little.
        const SPAN_US: i64 = 10_000_000;
        self.killed_within(SPAN_US).map(|(brief, _)| brief)
    }

    /// The last process of the same owner that was killed for memory in the minutes before, and how
    /// long before that was, in µs; below 0 where it was seen a little after.
    pub(super) fn killed_before(&self) -> Option<(&'s Brief<'t>, i64)> {
        /// What a daemon says of want of memory stays said for the rest of that life.
        const SPAN_US: i64 = 600_000_000;
        self.killed_within(SPAN_US)
    }

    fn killed_within(&self, span_us: i64) -> Option<(&'s Brief<'t>, i64)> {
        /// Counters are read a little after the kill.
        const LATE_US: i64 = 500_000;
        let at = self.at?;
        let deaths = self.court.memory.get(&self.matter.owner?)?;
        let end = deaths.partition_point(|(when, _)| *when <= at.saturating_add(LATE_US));
        let near = deaths.get(..end)?.iter().rev().take(WINDOW);
        let mut near = near.take_while(|(when, _)| *when >= at.saturating_sub(span_us));
        near.find(|(_, brief)| brief.who.pid.is_none() || brief.who.pid != self.matter.who.pid)
            .map(|(when, brief)| (brief, at.saturating_sub(*when)))
    }

    /// The process of the same owner that ended by this signal just before, rather one that it
    /// is known to have started; of a first process any.
    pub(super) fn ended_before(&self, signal: Signal) -> Option<&'t Item<'t>> {
        /// A shell ends as soon as it has waited for what it ran.
        const SPAN_US: i64 = 2_000_000;
        let (at, pid) = (self.at?, self.matter.who.pid);
        let killed = self.court.killed.get(&self.matter.owner?)?;
        let end = killed.partition_point(|(item, _)| item.at <= Some(at));
        let near = killed.get(..end)?.iter().rev().take(WINDOW);
        let near = near.take_while(|(item, _)| item.at >= Some(at.saturating_sub(SPAN_US)));
        let near: Vec<&'t Item<'t>> = near
            .filter(|(item, of)| {
                *of == signal && item.about().is_some_and(|about| about.pid != pid)
            })
            .map(|(item, _)| *item)
            .collect();
        let is_first = self.matter.is_first == Some(true);
        let child = near.iter().find(|item| item.about().is_some_and(|it| self.is_child(it)));
        child.or_else(|| near.first().filter(|_| is_first)).copied()
    }

    /// Whether this process is among those that started `other`.
    pub(super) fn is_child(&self, other: &Party) -> bool {
        let pid = self.matter.who.pid;
        pid.is_some() && other.parents.iter().any(|one| Some(one.pid) == pid)
    }

    /// Whether the owner ended at the same moment, though this was not its first process.
    pub(super) fn is_owner_gone(&self) -> bool {
        /// The rest of a namespace goes within this, and a manager clears up within it.
        const SPAN_US: i64 = 2_000_000;
        let ends = || self.court.ends.get(&self.matter.owner?);
        let (Some(at), Some(ends), Some(false)) = (self.at, ends(), self.matter.is_first) else {
            return false;
        };
        let after = ends.partition_point(|end| *end < at.saturating_sub(SPAN_US / 2));
        ends.get(after).is_some_and(|end| *end <= at.saturating_add(SPAN_US))
    }

    /// What says that it ran under a limit on its address space, and that limit.
    pub(super) fn address_limit(&self) -> Option<(&'t Item<'t>, Option<Bytes>)> {
        let (_, exit) = self.exit()?;
        let (_, limit) = exit.evidence().text.split_once("RLIMIT_AS=")?;
        let limit = limit.split_whitespace().next().and_then(|limit| limit.parse().ok());
        Some((exit, limit.map(Bytes::new)))
    }

    /// Whether this witness was heard then; `None`: nobody knows.
    pub(super) fn hears(&self, witness: Witness) -> Option<bool> {
        self.sight().and_then(|sight| sight.hears(witness))
    }

    pub(super) fn sight(&self) -> Option<&'t Sight> {
        self.court.sight(self.matter.end.and_then(|end| end.wall))
    }

    pub(super) fn limits(&self) -> Option<&'t Limits> {
        self.tenure.and_then(|tenure| tenure.started).and_then(limits)
    }
}

/// The last refusal of which the kernel speaks; else of which the program itself does.
fn best<'t>(refusals: &[&'t Item<'t>]) -> Option<&'t Item<'t>> {
    let kernels = refusals.iter().rfind(|item| item.witness() == Witness::Kmsg);
    kernels.or(refusals.last()).copied()
}

/// So many commands or refusals are looked at for one death.
const WINDOW: usize = 256;

/// What a start says of limits.
pub(super) fn limits<'t>(item: &'t Item<'t>) -> Option<&'t Limits> {
    match item.fact() {
        Some(
            Fact::Unit(UnitWord::Started { limits, .. })
            | Fact::Container(ContainerWord::Started { limits, .. }),
        ) => Some(limits),
        _ => None,
    }
}

fn is_request(item: &Item<'_>) -> bool {
    matches!(
        item.fact(),
        Some(
            Fact::Unit(UnitWord::Asked { .. } | UnitWord::Stopping)
                | Fact::Container(ContainerWord::Kill { .. })
                | Fact::Signalled(_)
        )
    )
}

/// `systemctl --user stop web` is the command `stop` of `systemctl` for `web`; an id may be cut.
fn is_command(command: &str, program: &str, verbs: &[&str], names: &[String]) -> bool {
    /// Docker takes any beginning of an id that is clear; people type some four digits at least.
    const LEAST_DIGITS: usize = 4;
    let mut words = command.split_whitespace();
    let is_program = |word: &str| word.rsplit('/').next() == Some(program);
    // The program may be run by another one: sudo, env, an interpreter.
    if !words.by_ref().take(4).any(is_program) || !words.by_ref().any(|word| verbs.contains(&word))
    {
        return false;
    }
    words.any(|word| {
        names.iter().any(|name| {
            let is_part_of_id = word.len() >= LEAST_DIGITS
                && name.len() == 64
                && word.bytes().all(|digit| digit.is_ascii_hexdigit())
                && name.starts_with(word);
            name == word || is_part_of_id
        })
    })
}

/// With what it ended: those who wait for it know better than those who are told.
fn status<'t>(items: &[&'t Item<'t>]) -> Option<(Status, &'t Item<'t>)> {
    let told = items.iter().filter_map(|item| {
        let rank = |status: Option<Status>, rank: u8| Some((rank, status?));
        let code =
            |code: Option<i32>| code.and_then(|code| u8::try_from(code).ok()).map(Status::Code);
        let signal = |signal: Signal| Status::Signal { signal, core: false };
        let (rank, status) = match item.fact()? {
            Fact::Exited(exit) => rank(Some(exit.status), 0),
            Fact::Unit(UnitWord::MainExited { status, .. }) => rank(*status, 1),
            Fact::Unit(UnitWord::CoreDumped { signal, .. }) => {
                rank(signal.map(|signal| Status::Signal { signal, core: true }), 2)
            }
            Fact::Audit(AuditWord::Abend { signal: of }) => rank(Some(signal(*of)), 3),
            Fact::Pod(PodWord::Terminated { signal: Some(of), .. }) if of.0 > 0 => {
                rank(Some(signal(*of)), 4)
            }
            Fact::Container(ContainerWord::Died { code: of, .. }) => rank(code(*of), 5),
            Fact::Pod(PodWord::Terminated { code: of, .. }) => rank(code(*of), 6),
            _ => None,
        }?;
        Some((rank, status, *item))
    });
    told.min_by_key(|(rank, ..)| *rank).map(|(_, status, item)| (status, item))
}

/// Of all the signals it got, the one that ended it.
fn fatal<'t>(
    items: &[&'t Item<'t>],
    at: Option<i64>,
    status: Option<Status>,
) -> Option<(&'t Item<'t>, &'t Sent)> {
    /// The moment of an exit is seen a little after its signal; never long before.
    const SLACK_US: i64 = 1_000_000;
    let is_in_time = |item: &Item<'_>| match (item.at, at) {
        (Some(word), Some(end)) => word <= end.saturating_add(SLACK_US),
        _ => true,
    };
    let mut signals = sent(items).filter(|(item, _)| is_in_time(item));
    match status {
        // Docker has 137 for whatever ended so; who waits for it has the signal.
        Some(Status::Code(137)) | None => {
            let all: Vec<_> = signals.collect();
            let kill = all.iter().find(|(_, sent)| sent.signal == Signal::KILL);
            let abort = |(_, sent): &&(&Item<'_>, &Sent)| {
                status.is_none() && sent.signal == Signal::ABRT && sent.origin == Origin::Thread
            };
            kill.or_else(|| all.iter().rfind(abort)).copied()
        }
        Some(Status::Code(code)) => {
            // A daemon's 143 is 128 + SIGTERM, if that was sent.
            let of = Signal(code.checked_sub(128)?);
            let is_daemon = items.iter().all(|item| !matches!(item.fact(), Some(Fact::Exited(_))));
            signals.rfind(|(_, sent)| is_daemon && sent.signal == of)
        }
        Some(Status::Signal { signal, .. }) => ending(signals, signal),
    }
}

/// A statement, and what it stands on.
pub(super) fn claim<'t>(text: String, items: impl IntoIterator<Item = &'t Item<'t>>) -> Claim {
    let mut evidence: Vec<Evidence> = Vec::new();
    for item in items.into_iter().take(CITED) {
        if !evidence.contains(item.evidence()) {
            evidence.push(item.evidence().clone());
        }
    }
    Claim { text, evidence }
}
