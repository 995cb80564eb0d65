//! The kernel's own witnesses, on one thread: who signals whom, who ran what and how it ended, which
//! cgroup ran out of memory. They share a table of who is who.

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use highwater_core::evidence::Evidence;
use highwater_core::id::{Pid, StartTicks};
use highwater_core::testimony::{
    Exit, Fact, OomWord, Origin, Party, Reception, Sent, Signal, Status, Testimony, Witness,
};
use highwater_core::time::{BootTime, Stamp};
use highwater_linux::root::Root;
use highwater_linux::witness::cgroups::Spoke;
use highwater_linux::witness::{
    Absent, CgroupEvents, Connector, People, ProcEvent, Signalled, Strays, Traced, Tracing,
};
use highwater_owners::{Told, cited};
use rustix::event::{PollFd, PollFlags, poll};

use super::everyday::{Arrow, Everyday, is_same, is_younger};
use super::flood::{Flood, later};
use super::outlet::Outlet;
use crate::board::Board;
use crate::clock;
use crate::config::Witnesses;
use crate::log;
use crate::watcher::timespec;

/// How often the counters of all cgroups are looked at, for what the kernel tells nobody.
const RESCAN_EVERY: Duration = Duration::from_mins(1);

/// What is heard within this long is written in one go: a death has several witnesses, and the disk
/// is asked to keep each write for good.
const TOGETHER: Duration = Duration::from_millis(30);

/// So many of those that ended well are remembered for a moment …
const DEPARTED: usize = 256;

/// … of this length, in which a parent that ends and the signal that its child gets for it are heard.
const AWAITED: Duration = Duration::from_secs(1);

/// The first process of a pid namespace ends only when all that it kills have, on a slow disk a while
/// later.
const AWAITED_LAST: Duration = Duration::from_mins(1);

/// So many that may end are waited for: a busy machine's shells and supervisors. Who is waited for the
/// least longer goes first.
const MOST_AWAITED: usize = 256;

/// The boot clock and the one without suspend are read one after the other: apart by so much more,
/// the machine has slept. A shorter sleep there is not.
const SLEPT: Duration = Duration::from_millis(100);

/// The source that a tracepoint's words are cited from.
const SIGNAL_POINT: &str = "tracefs signal:signal_generate";
const VICTIM_POINT: &str = "tracefs oom:mark_victim";
const CONNECTOR: &str = "proc connector";

/// The thread.
pub(crate) struct Signals {
    doors: Doors,
    outlet: Outlet,
    /// Readable when the agent stops.
    stop: OwnedFd,
}

/// Where the three are to be had, and which are asked for.
struct Doors {
    root: Root,
    /// What the tracing instance is called: by its data directory, so that two agents have two.
    instance: String,
    signals: bool,
    processes: bool,
    cgroups: bool,
}

/// Those that could be had.
#[derive(Default)]
struct Ears {
    tracing: Option<Tracing>,
    connector: Option<Connector>,
    cgroups: Option<CgroupEvents>,
}

impl Signals {
    pub(crate) fn new(
        root: &Root,
        wanted: &Witnesses,
        instance: String,
        outlet: Outlet,
        stop: OwnedFd,
    ) -> Self {
        let Witnesses { signals, processes, cgroups, .. } = *wanted;
        let doors = Doors { root: root.clone(), instance, signals, processes, cgroups };
        Self { doors, outlet, stop }
    }

    /// Listens until told to stop.
    pub(crate) fn run(self) {
        let Self { doors, outlet, stop } = self;
        let mut ears = Ears::default();
        doors.open(&mut ears, outlet.board());
        let mut notes = Notes::new(&doors.root, outlet);
        let mut strays = Strays::default();
        let mut scanned = clock::now().boot;
        let mut flushed = scanned;
        doors.sweep(&mut strays, scanned);
        loop {
            let wait = if notes.outlet.is_empty() { RESCAN_EVERY } else { TOGETHER };
            let woken = ears.wait(&stop, wait);
            let (now, goes_on) = (clock::now(), woken.goes_on);
            ears.hear(&mut notes, now, woken);
            if now.boot.since(scanned) >= RESCAN_EVERY {
                scanned = now.boot;
                doors.open(&mut ears, notes.outlet.board());
                doors.sweep(&mut strays, scanned);
                ears.rescan(&mut notes, now);
            }
            let is_time = !goes_on || now.boot.since(flushed) >= TOGETHER;
            if is_time && !notes.outlet.is_empty() {
                flushed = now.boot;
                notes.outlet.flush(None);
            }
            if !goes_on {
                break;
            }
        }
    }
}

impl Doors {
    /// Opens what is wanted and not open: tracefs may be mounted later, and the agent before this one
    /// may still be ending.
    fn open(&self, ears: &mut Ears, board: &Board) {
        if self.signals && ears.tracing.is_none() {
            let opened = Tracing::open(&self.root, &self.instance);
            ears.tracing = present(board, Witness::Signals, opened);
        }
        if self.processes && ears.connector.is_none() {
            ears.connector = present(board, Witness::Processes, Connector::open());
        }
        if self.cgroups && ears.cgroups.is_none() {
            let opened = CgroupEvents::open(&self.root);
            ears.cgroups = present(board, Witness::Cgroups, opened);
            ears.tell_room(board);
        }
    }

    /// Removes what agents left in the kernel that will not come back.
    fn sweep(&self, strays: &mut Strays, now: BootTime) {
        if !self.signals {
            return;
        }
        for name in strays.sweep(&self.root, &self.instance, now) {
            log::say(&format!(
                "removed the tracing instance {name}: the agent that made it has not read it for a day"
            ));
        }
    }
}

/// What ended a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Woken {
    /// The agent does not stop.
    goes_on: bool,
    has_cgroups: bool,
    has_signals: bool,
}

/// How long the machine slept since its start, by two clocks that are read one after the other.
#[derive(Clone, Copy, Debug, Default)]
struct Asleep(Option<Duration>);

impl Asleep {
    /// `boot` was read after `awake`, so that what lies between them is too much, at times by much.
    fn learn(&mut self, awake: BootTime, boot: BootTime) -> Duration {
        let between = boot.since(awake);
        let known = self.0.filter(|known| *known <= between && between <= *known + SLEPT);
        *self.0.insert(known.unwrap_or(between))
    }
}

/// What is lacking of a witness that has not room for all cgroups.
fn partly(watched: usize, left_out: usize) -> Option<String> {
    let all = watched.saturating_add(left_out);
    (left_out > 0).then(|| {
        format!("watches {watched} of {all} cgroups only: there are too many to watch each")
    })
}

/// Shows on the board whether the witness is there.
fn present<T>(board: &Board, witness: Witness, opened: Result<T, Absent>) -> Option<T> {
    match opened {
        Ok(one) => {
            board.gallery().set(witness, None);
            Some(one)
        }
        Err(absent) => {
            board.gallery().set(witness, Some(absent.why));
            None
        }
    }
}

impl Ears {
    /// Waits until there is something to hear, for so long, or for the end.
    fn wait(&self, stop: &OwnedFd, at_most: Duration) -> Woken {
        // In the place of who is not there the end is waited for once more.
        let fds = [
            Some(stop.as_fd()),
            self.cgroups.as_ref().map(AsFd::as_fd),
            self.tracing.as_ref().map(AsFd::as_fd),
            self.connector.as_ref().map(AsFd::as_fd),
        ];
        let mut fds = fds
            .map(|fd| PollFd::from_borrowed_fd(fd.unwrap_or_else(|| stop.as_fd()), PollFlags::IN));
        let _interrupted = poll(&mut fds, Some(&timespec(at_most)));
        let [stop, has_cgroups, has_signals, _] = fds.map(|fd| !fd.revents().is_empty());
        Woken { goes_on: !stop, has_cgroups, has_signals }
    }

    /// Shows whether all cgroups are watched.
    fn tell_room(&self, board: &Board) {
        if let Some(cgroups) = &self.cgroups {
            let left_out = cgroups.left_out();
            board.gallery().unwatched(left_out);
            board.gallery().set(Witness::Cgroups, partly(cgroups.len(), left_out));
        }
    }

    /// Signals are fetched first and looked at last: who sent one was born before it, so that the
    /// process events that are read in between tell who that is.
    fn hear(&mut self, notes: &mut Notes, now: Stamp, woken: Woken) {
        let awake = clock::awake();
        let asleep = notes.asleep.learn(awake, clock::now().boot);
        notes.hears_ends = self.connector.is_some();
        if let Some(tracing) = &mut self.tracing
            && (woken.has_signals || !tracing.is_drained())
            && let Err(error) = tracing.fetch()
        {
            lose(&mut self.tracing, Witness::Signals, &error, notes.outlet.board());
        }
        if let Some(connector) = &mut self.connector {
            let each = &mut |event| notes.happened(event, now);
            if let Err(error) = connector.read(asleep, each) {
                lose(&mut self.connector, Witness::Processes, &error, notes.outlet.board());
            }
        }
        if let Some(tracing) = &mut self.tracing {
            let each = &mut |traced: &Traced<'_>, words: &[u8]| notes.traced(traced, words, now);
            tracing.read(each);
            notes.stem(tracing, now);
        }
        notes.hit(now);
        if let Some(cgroups) = &mut self.cgroups
            && woken.has_cgroups
            && let Err(error) = cgroups.read(&mut |spoke| notes.counted(spoke, now))
        {
            lose(&mut self.cgroups, Witness::Cgroups, &error, notes.outlet.board());
        }
    }

    /// For what the kernel tells nobody.
    fn rescan(&mut self, notes: &mut Notes, now: Stamp) {
        if let Some(cgroups) = &mut self.cgroups {
            cgroups.rescan(&mut |spoke| notes.counted(spoke, now));
        }
        self.tell_room(notes.outlet.board());
    }
}

/// What is heard, and by whom it can be told apart.
struct Notes {
    people: People,
    outlet: Outlet,
    /// Those that ended well a moment ago.
    departed: VecDeque<(BootTime, Pid, Exit)>,
    /// Those whose end is of interest, whatever it is, and until when: parents whose children got a
    /// signal from them.
    awaited: BTreeMap<Pid, BootTime>,
    everyday: Everyday,
    flood: Flood,
    /// Without the ends of processes, nobody knows which of the signals of every day were fatal.
    hears_ends: bool,
    asleep: Asleep,
    /// When it was last recorded that something was lost of a witness.
    lost_at: BTreeMap<Witness, BootTime>,
    /// Tells words of one cgroup apart that are read in one turn.
    number: u64,
}

impl Notes {
    fn new(root: &Root, outlet: Outlet) -> Self {
        let directory = Arc::clone(outlet.directory());
        let people = People::new(root, Box::new(move |path| directory.owner_of(path)));
        Self {
            people,
            outlet,
            departed: VecDeque::new(),
            awaited: BTreeMap::new(),
            everyday: Everyday::default(),
            flood: Flood::default(),
            hears_ends: false,
            asleep: Asleep::default(),
            lost_at: BTreeMap::new(),
            number: 0,
        }
    }

    fn counted(&mut self, spoke: Spoke, now: Stamp) {
        let word = match spoke.word {
            OomWord::Marked | OomWord::Counted { .. } => "counted",
            OomWord::Stuck => "stuck",
            OomWord::Unstuck => "unstuck",
        };
        let key = format!("cgroup:{}:{}:{word}:{}", spoke.cgroup, now.boot.micros(), self.number);
        self.number = self.number.wrapping_add(1);
        let owner = self.outlet.directory().owner_of(spoke.cgroup.as_str());
        let testimony = spoke.testimony(owner);
        self.outlet.take(Told { wall: None, boot: Some(now.boot), key, testimony }, now);
    }

    fn happened(&mut self, event: ProcEvent, now: Stamp) {
        let ran = self.people.learn(&event);
        match event {
            ProcEvent::Exec { at, pid } if ran == Some(pid) => {
                let who = self.people.party(pid);
                let words = who.command.clone().unwrap_or_default();
                let key = format!("ran:{pid}:{}:{}", start(&who), at.micros());
                let told = told(at, key, Witness::Processes, who, Fact::Ran, CONNECTOR, &words);
                self.outlet.take(told, now);
            }
            ProcEvent::Exit { at, pid, status } => self.ended(at, pid, status, now),
            ProcEvent::Lost => {
                self.everyday.lose();
                self.lost(Witness::Processes, 1, now);
            }
            _ => {}
        }
    }

    /// Counted each time, and said once a minute.
    fn lost(&mut self, witness: Witness, count: u64, now: Stamp) {
        self.outlet.board().gallery().dropped(witness, count);
        let last = self.lost_at.get(&witness);
        if last.is_none_or(|last| now.boot.since(*last) >= RESCAN_EVERY) {
            self.lost_at.insert(witness, now.boot);
            self.outlet.note_lost(witness, now);
        }
    }

    fn ended(&mut self, at: BootTime, pid: Pid, status: Status, now: Stamp) {
        let mut exit = self.people.exit(pid, status);
        // What nobody put anywhere has no first process.
        if self.people.cgroup(pid).is_none_or(|cgroup| cgroup.as_str() == "/") {
            exit.is_first = None;
        }
        self.everyday.end(at, pid, status);
        // Nearly all processes end well, and are of no interest: nothing is made of them.
        if self.awaited.remove(&pid).is_some_and(|until| at <= until) {
            let told = self.farewell(at, pid, exit);
            self.outlet.take_awaited(told, now);
        } else if status != Status::Code(0) || exit.is_first == Some(true) {
            let told = self.farewell(at, pid, exit);
            self.outlet.take(told, now);
        } else {
            self.departed.push_back((at, pid, exit));
            if self.departed.len() > DEPARTED {
                self.departed.pop_front();
            }
        }
    }

    fn farewell(&mut self, at: BootTime, pid: Pid, exit: Exit) -> Told {
        let who = self.people.party(pid);
        let words = match exit.status {
            Status::Code(code) => format!("exit pid={pid} code={code}"),
            Status::Signal { signal, core } => {
                format!("exit pid={pid} signal={signal} core={core}")
            }
        };
        let limit = self.people.limits(pid).address_space;
        let limit = limit.map_or(String::new(), |limit| format!(" RLIMIT_AS={}", limit.get()));
        let (words, key) = (words + &limit, format!("exit:{pid}:{}:{}", start(&who), at.micros()));
        told(at, key, Witness::Processes, who, Fact::Exited(exit), CONNECTOR, &words)
    }

    fn traced(&mut self, traced: &Traced<'_>, words: &[u8], now: Stamp) {
        match traced {
            Traced::Signal(signal) => self.signalled(signal, words, now),
            Traced::Marked { at, pid, .. } => {
                self.people.hear(traced);
                let who = self.people.party(*pid);
                let key = format!("mark:{}:{pid}", at.micros());
                let (fact, words) = (Fact::Oom(OomWord::Marked), String::from_utf8_lossy(words));
                let told = told(*at, key, Witness::Signals, who, fact, VICTIM_POINT, &words);
                self.outlet.take(told, now);
            }
            Traced::Exec { .. } => self.people.hear(traced),
            Traced::Lost { count } => {
                self.lost(Witness::Signals, count.unwrap_or(1), now);
                self.deafened(now);
            }
        }
    }

    /// Signals were lost: from when last all had been read, their silence proves nothing, which who
    /// asks later must know.
    fn deafened(&mut self, now: Stamp) {
        self.flood.lose(now.boot);
        let gallery = self.outlet.board().gallery();
        if gallery.sight().hears(Witness::Signals) != Some(true) {
            return;
        }
        let why = "there were more than could be read in time, and some are lost";
        gallery.set(Witness::Signals, Some(why.to_owned()));
        // Of those that nobody read while the agent was down, the first sight of this life tells.
        if let Some(since) = self.flood.drained() {
            self.outlet.note_sight(since, now);
        }
    }

    /// Has the kernel tell less after a loss, and all again later.
    fn stem(&mut self, tracing: &mut Tracing, now: Stamp) {
        if tracing.is_drained() {
            self.flood.drain(now);
        }
        self.relieve(now);
        let is_narrow = self.flood.is_narrow();
        let asked = if is_narrow { tracing.narrow() } else { tracing.widen() };
        if let Err(refused) = asked {
            log::say(&format!("cannot ask the kernel for other signals: {refused}"));
        }
    }

    /// Says that signals are heard again, a while after the last loss.
    fn relieve(&mut self, now: Stamp) {
        if self.flood.pass(now.boot) {
            self.outlet.board().gallery().set(Witness::Signals, None);
        }
    }

    fn signalled(&mut self, signal: &Signalled<'_>, words: &[u8], now: Stamp) {
        if signal.reception == Reception::Ignored {
            return;
        }
        if signal.signal.is_everyday() {
            return self.everyday(signal, words);
        }
        let (who, sent) = self.people.sent(signal);
        if let Some(by) = sent.by.pid.filter(|by| Some(*by) != who.pid) {
            let is_parent = who.parents.first().is_some_and(|parent| parent.pid == by);
            match sent.origin {
                Origin::User if is_parent => self.await_end(signal.at, by, AWAITED, now),
                Origin::Kernel if sent.signal == Signal::KILL && sent.to_process => {
                    self.await_end(signal.at, by, AWAITED_LAST, now);
                }
                Origin::Kernel => self.await_end(signal.at, by, AWAITED, now),
                _ => {}
            }
        }
        self.tell_signal(signal.at, who, sent, words, now);
    }

    /// Of such a signal only who dies of it is told, once that is heard.
    fn everyday(&mut self, signal: &Signalled<'_>, words: &[u8]) {
        if !self.hears_ends {
            return;
        }
        let target = self.people.process(signal.target);
        if !self.everyday.repeats(target, signal, words) {
            let may_look = self.everyday.may_look(signal.at);
            let parties = may_look.then(|| self.people.sent(signal));
            self.everyday.keep(target, Arrow::new(signal, parties, words));
        }
    }

    /// Tells the signals that were fatal after all.
    fn hit(&mut self, now: Stamp) {
        for mut arrow in self.everyday.hits(now.boot) {
            let parties = arrow.parties.take();
            let (who, sent) = parties.unwrap_or_else(|| self.look_back(&arrow));
            let is_it = who.pid.is_none_or(|pid| is_same(&who, &self.people.party(pid)));
            if is_it && !is_younger(&who, arrow.at) {
                self.tell_signal(arrow.at, who, sent, &arrow.words, now);
            }
        }
    }

    /// Who sent it and to whom, now that it matters.
    fn look_back(&mut self, arrow: &Arrow) -> (Party, Sent) {
        let (who, mut sent) = self.people.sent(&arrow.signalled());
        if is_younger(&sent.by, arrow.at) {
            *sent.by = sent.by.pid.map(Party::of_pid).unwrap_or_default();
        }
        (who, sent)
    }

    fn tell_signal(&mut self, at: BootTime, who: Party, sent: Sent, words: &[u8], now: Stamp) {
        let target = who.pid.unwrap_or_default();
        let key = format!("signal:{}:{target}:{}", at.micros(), sent.signal.0);
        let (fact, words) = (Fact::Signalled(sent), String::from_utf8_lossy(words));
        let told = told(at, key, Witness::Signals, who, fact, SIGNAL_POINT, &words);
        self.outlet.take(told, now);
    }

    /// Somebody got a signal from `parent`: that this one ends, or just ended, tells whether it sent
    /// it or died (`PR_SET_PDEATHSIG`, the end of a pid namespace).
    fn await_end(&mut self, at: BootTime, parent: Pid, span: Duration, now: Stamp) {
        let is_near = |other: BootTime| at.since(other).max(other.since(at)) <= AWAITED;
        self.awaited.retain(|_, until| at <= *until);
        let until = self.awaited.entry(parent).or_default();
        *until = (*until).max(later(at, span));
        if self.awaited.len() > MOST_AWAITED {
            let nearest = self.awaited.iter().min_by_key(|(_, until)| **until);
            let nearest = nearest.map(|(pid, _)| *pid);
            nearest.and_then(|nearest| self.awaited.remove(&nearest));
        }
        let is_it = |(ended, pid, _): &(BootTime, Pid, Exit)| *pid == parent && is_near(*ended);
        if let Some(place) = self.departed.iter().position(is_it)
            && let Some((ended, pid, exit)) = self.departed.remove(place)
        {
            let told = self.farewell(ended, pid, exit);
            self.outlet.take_awaited(told, now);
        }
    }
}

fn lose<T>(ear: &mut Option<T>, witness: Witness, error: &std::io::Error, board: &Board) {
    *ear = None;
    log::say(&format!("{} can no longer be read: {error}", witness.words()));
    board.gallery().set(witness, Some(error.to_string()));
}

fn start(who: &Party) -> u64 {
    who.start.map_or(0, StartTicks::get)
}

fn told(
    at: BootTime,
    key: String,
    witness: Witness,
    about: Party,
    fact: Fact,
    source: &str,
    words: &str,
) -> Told {
    let evidence =
        Evidence { source: source.to_owned(), line: None, text: cited(words.as_bytes()) };
    let testimony = Testimony { witness, about, fact, evidence };
    Told { wall: None, boot: Some(at), key, testimony }
}

#[cfg(test)]
mod tests;
